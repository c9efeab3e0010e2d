/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This CPU's local APIC: x2APIC where the CPU has it, else through memory. Every function acts on
 * the CPU that calls it, interrupts off.
 *
 * Source: [SDM] "Advanced Programmable Interrupt Controller (APIC)".
 */
#ifndef KERNEL_APIC_H
#define KERNEL_APIC_H

#include "kernel/lib/types.h"

/* Vectors that are ours; irq_vector_take() gives out those below VECTOR_PIC. */
enum {
	VECTOR_PIC = 0xe0, /* sixteen, where the masked PICs would interrupt */
	VECTOR_TIMER = 0xf0,
	VECTOR_KICK = 0xf1,
	VECTOR_CALL = 0xf2,
	VECTOR_APIC_ERROR = 0xfe,
	VECTOR_SPURIOUS = 0xff,
};

void apic_init_boot(uint64_t lapic_hpa); /* boot CPU: choose the mode; then apic_init_cpu() */
void apic_init_cpu(void);		 /* each CPU */
const char *apic_mode_name(void);

uint32_t apic_id(void);
void apic_eoi(void);

void apic_send_ipi(uint32_t to_apic_id, uint8_t vector);
void apic_send_init(uint32_t to_apic_id);
void apic_send_startup(uint32_t to_apic_id,
		       uint64_t trampoline_hpa); /* below 1 MiB, page aligned */
void apic_send_nmi_to_others(void);		 /* nothing before apic_init_boot */

/* Boot CPU, once the TSC's rate is known: find the timer's. Before any CPU arms one. */
void apic_timer_init_boot(void);
const char *apic_timer_mode_name(void);
/*
 * apic_timer_arm - one VECTOR_TIMER interrupt at deadline_tsc or somewhat before it; TIMER_NEVER:
 * none
 *
 * A deadline that has passed interrupts as soon as interrupts are on.
 */
void apic_timer_arm(uint64_t deadline_tsc);

#endif
