/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's local APIC, xAPIC and x2APIC.
 *
 * Its registers live in a 4 KiB page laid out as [SDM] "Local APIC Register Address Map" says,
 * because with APIC virtualisation the CPU reads and writes that page itself. What is not there
 * (the posted requests, the timer's deadline) is beside it in plain fields. Pure.
 *
 * Two halves. Everything but lapic_post(), lapic_request(), lapic_has_posted() and lapic_matches()
 * belongs to the vCPU: call it on the CPU that the vCPU is loaded on, or while it cannot run. Those
 * four are for any CPU without a lock: they touch atomics and single words only.
 *
 * Without APICv, the way of an interrupt is lapic_post → lapic_sync → lapic_pending → (entry can
 * take it) lapic_accept → guest's EOI. With it: lapic_post → lapic_sync → lapic_rvi into the VMCS,
 * and the CPU does the rest; what it leaves to software comes as lapic_apic_write().
 *
 * The timer counts a bus clock of LAPIC_BUS_HZ; deadlines are in ticks of the guest's own TSC,
 * which the caller turns into the host's (vmm/guest_tsc.h).
 */
#ifndef VMM_DEV_LAPIC_H
#define VMM_DEV_LAPIC_H

#include "kernel/lib/types.h"

#define LAPIC_BUS_HZ   1000000000u /* what CPUID 15h tells the guest as its crystal */
#define LAPIC_PAGE_LEN 4096u
#define LAPIC_NEVER    (~0ull) /* a deadline: no timer */

/* [SDM] "Local APIC Register Address Map"; MSR 0x800 + offset / 16 in x2APIC mode. */
#define LAPIC_ID	    0x020u
#define LAPIC_VERSION	    0x030u
#define LAPIC_TPR	    0x080u
#define LAPIC_APR	    0x090u
#define LAPIC_PPR	    0x0a0u
#define LAPIC_EOI	    0x0b0u
#define LAPIC_RRD	    0x0c0u
#define LAPIC_LDR	    0x0d0u
#define LAPIC_DFR	    0x0e0u
#define LAPIC_SVR	    0x0f0u
#define LAPIC_ISR	    0x100u /* 8 registers of 32 vectors, 16 bytes apart; so TMR and IRR */
#define LAPIC_TMR	    0x180u
#define LAPIC_IRR	    0x200u
#define LAPIC_ESR	    0x280u
#define LAPIC_ICR_LOW	    0x300u
#define LAPIC_ICR_HIGH	    0x310u
#define LAPIC_LVT_TIMER	    0x320u
#define LAPIC_LVT_THERMAL   0x330u
#define LAPIC_LVT_PERF	    0x340u
#define LAPIC_LVT_LINT0	    0x350u
#define LAPIC_LVT_LINT1	    0x360u
#define LAPIC_LVT_ERROR	    0x370u
#define LAPIC_TIMER_INITIAL 0x380u
#define LAPIC_TIMER_CURRENT 0x390u
#define LAPIC_TIMER_DIVIDE  0x3e0u
#define LAPIC_SELF_IPI	    0x3f0u /* x2APIC only */

/* [SDM] "IA32_APIC_BASE MSR" */
#define LAPIC_BASE_BSP	  BIT(8)
#define LAPIC_BASE_X2APIC BIT(10)
#define LAPIC_BASE_ENABLE BIT(11)

#define LAPIC_SVR_ENABLE 0x100u
#define LAPIC_LVT_MASKED 0x10000u

#define LAPIC_MSR_BASE	       0x1bu
#define LAPIC_MSR_TSC_DEADLINE 0x6e0u
#define LAPIC_MSR_X2APIC       0x800u /* to 0x8ff */

enum lapic_mode { LAPIC_MODE_DISABLED, LAPIC_MODE_XAPIC, LAPIC_MODE_X2APIC };

/* [SDM] "Interrupt Command Register (ICR)", delivery mode; the numbers are the hardware's. */
enum lapic_delivery {
	LAPIC_FIXED = 0,
	LAPIC_LOWEST = 1,
	LAPIC_SMI = 2,
	LAPIC_NMI = 4,
	LAPIC_INIT = 5,
	LAPIC_SIPI = 6,
	LAPIC_EXTINT = 7,
};

enum lapic_shorthand {
	LAPIC_TO_DEST = 0,
	LAPIC_TO_SELF = 1,
	LAPIC_TO_ALL = 2,
	LAPIC_TO_OTHERS = 3
};

/* An interrupt message, from an ICR or decoded from an MSI. */
struct lapic_ipi {
	enum lapic_delivery delivery;
	enum lapic_shorthand shorthand;
	uint8_t vector;
	bool is_logical, is_level;
	bool is_x2apic; /* dest is 32 bits wide, else 8 */
	uint32_t dest;
};

struct lapic_ops {
	uint64_t (*tsc_now)(void *ctx); /* the guest's TSC */
	/* Call lapic_timer_fired() once the guest's TSC reaches deadline; LAPIC_NEVER: not at all.
	 */
	void (*timer_set)(void *ctx, uint64_t deadline_tsc);
	/* Send to whom it may concern, the sender too when the destination says so. */
	void (*ipi)(void *ctx, const struct lapic_ipi *msg);
	/* The guest finished with a level-triggered interrupt: for the IOAPIC. */
	void (*eoi)(void *ctx, uint8_t vector);
};

/* The first 64 bytes are as [SDM] "Posted-Interrupt Descriptor" wants them. */
struct lapic_posted {
	uint64_t requests[4]; /* atomic */
	uint64_t control;     /* atomic; bit 0: something was posted and nobody has looked yet */
	uint64_t reserved[3];
	uint64_t level[4]; /* atomic; trigger mode of each vector when it was last posted */
} __attribute__((aligned(64)));

struct lapic {
	struct lapic_posted posted;
	uint8_t *page; /* caller's, page aligned, kept */
	const struct lapic_ops *ops;
	void *ctx;
	uint32_t id;
	uint32_t tsc_khz;
	uint64_t base_msr;
	uint32_t errors; /* atomic; shown in ESR by the next write to it */

	/* Timer. The mode and divisor in force, for the page may already hold newer ones. */
	uint8_t timer_mode;
	uint8_t timer_shift;
	uint64_t deadline_tsc; /* LAPIC_NEVER: stopped */
	uint64_t period_tsc;   /* of a periodic timer */
};

/* ---- life ---- */

/* lapic_create - page, ops and ctx are kept; ends with lapic_reset() */
void lapic_create(struct lapic *l, uint8_t *page, uint32_t id, uint32_t tsc_khz,
		  const struct lapic_ops *ops, void *ctx);
/* As RESET leaves it: xAPIC mode, software-disabled; the vCPU with ID 0 is the bootstrap processor.
 */
void lapic_reset(struct lapic *l);
/* As INIT leaves it: like reset, but the mode and the ID stay. */
void lapic_init(struct lapic *l);
/* What firmware does before it boots a system: enabled, LINT0 takes the PIC, LINT1 is NMI. */
void lapic_set_virtual_wire(struct lapic *l);

enum lapic_mode lapic_mode(const struct lapic *l);

/* ---- the guest's accesses ---- */

/*
 * lapic_msr_read, lapic_msr_write - IA32_APIC_BASE, IA32_TSC_DEADLINE and 0x800 to 0x8ff
 *
 * Returns false when the guest is to get #GP(0); nothing was changed then. After a write to
 * IA32_APIC_BASE, look at lapic_mode(). The base address cannot be moved from LAYOUT_LAPIC.
 */
MUST_CHECK bool lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *val);

/* lapic_is_readable - whether x2APIC mode has a register at this offset that can be read */
bool lapic_is_readable(uint32_t offset);
MUST_CHECK bool lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t val);

/* Offset in the page, xAPIC mode. Offsets that are no register read as 0 and set an error in ESR.
 */
uint32_t lapic_mmio_read(struct lapic *l, uint32_t offset);
void lapic_mmio_write(struct lapic *l, uint32_t offset, uint32_t val);

/* lapic_apic_write - APICv: the CPU has put a value at offset and leaves what follows from it to us
 */
void lapic_apic_write(struct lapic *l, uint32_t offset);

uint8_t lapic_get_cr8(const struct lapic *l);
void lapic_set_cr8(struct lapic *l, uint8_t cr8);

/* ---- delivery ---- */

/* lapic_sync - take in what was posted; true when lapic_eoi_exits() has a new answer */
bool lapic_sync(struct lapic *l);
/* lapic_sync_shared - the same where other CPUs may set bits of IRR meanwhile (AVIC) */
bool lapic_sync_shared(struct lapic *l);
/* Highest requested vector that the priorities let through, or -1. */
int lapic_pending(const struct lapic *l);
/* The CPU took it: from requested to in service. */
void lapic_accept(struct lapic *l, uint8_t vector);
/* End of the highest in service; returns its vector if the IOAPIC has to hear of it, else -1. */
int lapic_eoi(struct lapic *l);

int lapic_rvi(const struct lapic *l); /* highest requested, -1: none */
int lapic_svi(const struct lapic *l); /* highest in service, -1: none */
/* Which vectors' EOI must come to us: the level-triggered ones. */
void lapic_eoi_exits(const struct lapic *l, uint64_t vectors[4]);
/* TPR shadow: exit when TPR falls below this; 0: never. */
uint8_t lapic_tpr_threshold(const struct lapic *l);
/* Whether the PIC's interrupt reaches this CPU (LINT0 as ExtINT, or the APIC globally disabled). */
bool lapic_takes_extint(const struct lapic *l);

/* lapic_timer_fired - the deadline given to timer_set() has come; too early is harmless */
void lapic_timer_fired(struct lapic *l, uint64_t now_tsc);

/* ---- any CPU ---- */

/*
 * lapic_post - request an interrupt
 *
 * Returns true when the vCPU must be kicked: nobody has since it last called lapic_sync().
 */
bool lapic_post(struct lapic *l, uint8_t vector, bool is_level);
bool lapic_has_posted(const struct lapic *l);
/*
 * lapic_request - set a vector in IRR itself, for a CPU that looks there by itself (AVIC)
 *
 * False: nothing was done, post it. So it is with vectors that none may have, and with one whose
 * last interrupt was level-triggered, as TMR is changed by lapic_sync() only.
 */
MUST_CHECK bool lapic_request(struct lapic *l, uint8_t vector);
/* lapic_matches - whether a message with this destination (no shorthand) is for this APIC */
bool lapic_matches(const struct lapic *l, bool is_logical, uint32_t dest, bool src_is_x2apic);

/* lapic_decode_msi - false: the address is no interrupt message */
MUST_CHECK bool lapic_decode_msi(uint64_t addr, uint32_t data, struct lapic_ipi *msg);

#endif
