/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the LAPIC share: lapic.c (delivery), lapic_regs.c (accesses), lapic_timer.c. */
#ifndef VMM_DEV_LAPIC_PRIV_H
#define VMM_DEV_LAPIC_PRIV_H

#include "kernel/lib/bytes.h"
#include "vmm/dev/lapic.h"

/* [SDM] "Local Vector Table (LVT)" */
#define LVT_VECTOR	  0x000000ffu
#define LVT_DELIVERY	  0x00000700u
#define LVT_MODE	  0x00060000u /* timer only */
#define LVT_MODE_ONE_SHOT 0u
#define LVT_MODE_PERIODIC 1u
#define LVT_MODE_DEADLINE 2u

/* [SDM] "Error Status Register (ESR)" */
#define ESR_SEND_ILLEGAL     0x20u
#define ESR_RECEIVE_ILLEGAL  0x40u
#define ESR_ILLEGAL_REGISTER 0x80u

/* [SDM] "Interrupt Command Register (ICR)" */
#define ICR_VECTOR    0x000000ffu
#define ICR_DELIVERY  0x00000700u
#define ICR_LOGICAL   0x00000800u
#define ICR_PENDING   0x00001000u
#define ICR_ASSERT    0x00004000u
#define ICR_LEVEL     0x00008000u
#define ICR_SHORTHAND 0x000c0000u

#define VECTOR_MIN 16 /* below are exceptions; an APIC sends and takes none of them */

static inline uint32_t reg_get(const struct lapic *l, uint32_t offset)
{
	return get_le32(l->page + offset);
}

static inline void reg_set(struct lapic *l, uint32_t offset, uint32_t val)
{
	put_le32(l->page + offset, val);
}

void lapic_raise_error(struct lapic *l, uint32_t esr_bit);
/* An interrupt of the local vector table: deliver it if its entry lets it. */
void lapic_fire_lvt(struct lapic *l, uint32_t lvt_offset);
/* Registers as after RESET; ID, LDR and mode are the caller's. */
void lapic_clear_regs(struct lapic *l);

void lapic_timer_stop(struct lapic *l);
/* LVT_TIMER has a new value in the page. */
void lapic_timer_mode_changed(struct lapic *l);
void lapic_timer_set_initial(struct lapic *l, uint32_t count);
void lapic_timer_set_divide(struct lapic *l, uint32_t val);
void lapic_timer_set_deadline(struct lapic *l, uint64_t deadline_tsc);
uint64_t lapic_timer_get_deadline(const struct lapic *l);
uint32_t lapic_timer_current(const struct lapic *l);

#endif
