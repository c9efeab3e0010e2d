/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AVIC: a guest's local APIC in the CPU's hands, as far as it takes it. Pure: tables, exits, and
 * when it must not be.
 *
 * The register page of vmm/dev/lapic.h is the CPU's vAPIC backing page. Two tables of each VM lead
 * there:
 *
 *     destination, logical ──► logical table ──► guest's APIC ID ─┐
 *     destination, physical ──────────────────────────────────────┴─► physical table ──► backing
 *     page of the target, and the CPU that it runs on
 *
 * The CPU sets the vector in the IRR of each target and rings the doorbell of those that run. What
 * it cannot do comes out. Whoever is not in the physical table as valid is reached by software
 * alone; so each vCPU can be taken out of AVIC by itself, and its page is then nobody else's.
 *
 * x2AVIC is not used: a guest that chooses x2APIC mode goes without.
 *
 * Source: [APM] "Advanced Virtual Interrupt Controller".
 */
#ifndef VMM_SVM_SVM_AVIC_H
#define VMM_SVM_SVM_AVIC_H

#include "kernel/lib/err.h"
#include "vmm/dev/lapic.h"
#include "vmm/virt.h"

/* [APM] "Physical APIC ID Table": a page of 64-bit entries, by the guest's APIC ID */
#define AVIC_PHYSICAL_HOST_ID 0x00000000000000ffull
#define AVIC_PHYSICAL_BACKING 0x000ffffffffff000ull
#define AVIC_PHYSICAL_RUNNING BIT(62)
#define AVIC_PHYSICAL_VALID   BIT(63)
#define AVIC_ID_MAX	      0xfeu /* 0xff is everybody; of guests and, in xAPIC mode, of CPUs */

/* [APM] "Logical APIC ID Table": a page of 32-bit entries, 8 of them used in flat mode, in cluster
 * mode 4 for each of 15 clusters */
#define AVIC_LOGICAL_ID	     0x000000ffu
#define AVIC_LOGICAL_VALID   0x80000000u
#define AVIC_LOGICAL_ENTRIES 60u

/* svm_avic_physical - a valid entry of one that does not run */
uint64_t svm_avic_physical(uint64_t backing_hpa, uint32_t host_id);

struct svm_avic_member {
	uint32_t ldr, dfr; /* as in its page */
	bool is_on;	   /* valid in the physical table */
};

/*
 * svm_avic_logical - a VM's whole logical table
 *
 * members  by APIC ID; nr of them, at most AVIC_ID_MAX + 1
 *
 * An entry leads to one target. A bit that several claim, a target that claims several, and targets
 * that do not agree about the mode are nowhere in it: such messages come out, and go by software.
 */
void svm_avic_logical(const struct svm_avic_member *members, uint32_t nr,
		      uint32_t table[AVIC_LOGICAL_ENTRIES]);

/*
 * svm_avic_map - nested tables that differ from a VM's in one thing: the APIC's page is mapped
 *
 * The CPU wants it to be, whatever is behind it, where AVIC is on; where it is not, accesses must
 * find nothing there. Both share all but the four tables on the way to that page.
 *
 * root, low   the VM's table of 512 GiB entries, and the one behind its first entry or NULL
 * tables      four pages to be filled, the root first; and their physical addresses
 */
void svm_avic_map(const uint64_t *root, const uint64_t *low, uint64_t *const tables[4],
		  const uint64_t hpa[4], uint64_t apic_page_hpa);

/* What is left to do of an ICR write that the CPU did not finish. */
enum svm_avic_rest {
	AVIC_REST_ALL,	/* nothing reached all of its targets: send it by software */
	AVIC_REST_WAKE, /* IRR is set in all; those that do not run have to be woken */
};

struct svm_avic_ipi {
	enum svm_avic_rest rest;
	struct lapic_ipi msg;
};

/* svm_avic_decode_ipi - of VMEXIT_AVIC_INCOMPLETE_IPI. Trap-like: the page holds ICR, RIP is
 * behind.
 */
void svm_avic_decode_ipi(uint64_t info_1, uint64_t info_2, struct svm_avic_ipi *ipi);

/*
 * svm_avic_decode_access - of VMEXIT_AVIC_NOACCEL
 *
 * svi      the highest vector in service, by the page; -1: none
 * exit     .kind and its part. Trap-like writes are EXIT_APIC_WRITE, the end of a level-triggered
 *          interrupt that is in service no more EXIT_EOI; all else is to be decoded like EXIT_MMIO
 *
 * Source:  [APM] "Virtual APIC Register Accesses".
 */
void svm_avic_decode_access(uint64_t info_1, uint64_t info_2, int svi, struct vm_exit *exit);

/* Why a vCPU goes without AVIC for now. */
enum svm_avic_obstacle {
	AVIC_OBSTACLE_NONE,
	AVIC_OBSTACLE_DISABLED, /* by IA32_APIC_BASE or by the spurious interrupt register */
	AVIC_OBSTACLE_X2APIC,
	AVIC_OBSTACLE_BASE,    /* not where the VMCB says it is */
	AVIC_OBSTACLE_ID,      /* too large for the tables */
	AVIC_OBSTACLE_HOST_ID, /* of the CPU that it is on: likewise */
	AVIC_OBSTACLE_WINDOW,  /* wants to know when events can be taken: AVIC ignores V_IRQ */
	AVIC_OBSTACLE_EXTINT,  /* the PIC has an interrupt for it, which comes by such a window */
};

struct svm_avic_view {
	uint64_t apic_base; /* IA32_APIC_BASE */
	uint32_t svr, id, host_id;
	bool wants_window, has_extint;
};

enum svm_avic_obstacle svm_avic_obstacle(const struct svm_avic_view *view);

/*
 * svm_avic_has_stale_running - whether this CPU's own IPIs may meet an is-running bit of the past
 *
 * signature  CPUID leaf 1 EAX. Family 17h, erratum 1235: the bit is never set there, so that each
 *            IPI to another comes out.
 */
bool svm_avic_has_stale_running(uint32_t signature);

#endif
