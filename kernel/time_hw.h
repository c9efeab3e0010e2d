/* SPDX-License-Identifier: Apache-2.0 */
/* The part of time that only boot/ and the interrupt code call. */
#ifndef KERNEL_TIME_HW_H
#define KERNEL_TIME_HW_H

/*
 * time_init - measure the TSC, read the RTC, prepare the boot CPU's timer
 *
 * Against the HPET, else the ACPI PM timer, else what CPUID says; panics when there is none.
 * Context: boot CPU, after irq_init.
 */
void time_init(void);

/* Fire what is due on this CPU and arm the next deadline. From VECTOR_TIMER. */
void time_handle_interrupt(void);

#endif
