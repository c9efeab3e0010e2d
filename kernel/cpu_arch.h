/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own part of a struct cpu, and how CPUs come up. Fields are written by their own CPU,
 * unless it says otherwise.
 */
#ifndef KERNEL_CPU_ARCH_H
#define KERNEL_CPU_ARCH_H

#include "kernel/cpu.h"
#include "kernel/gdt.h"
#include "kernel/lib/lock.h"
#include "kernel/timer_queue.h"

struct cpu_arch {
	struct gdt gdt;
	void *stacks;		      /* see kernel/paging.h; fixed */
	uint64_t nmi_count;	      /* only grows */
	uint64_t machine_check_count; /* survived ones, only grows */
	uint64_t calls_done; /* generation of the last cpu_call_others() run here; others read it */
	struct lock timer_lock;
	struct timer_queue timers;   /* under timer_lock, with running */
	struct timer *timer_running; /* whose fire() runs now, or NULL */
};

/* cpu_init_boot - descriptor tables and GS of the boot CPU; this_cpu() works from here on */
void cpu_init_boot(void);

/* cpu_init_features - what each CPU switches on once: XSAVE, machine checks, the local APIC */
void cpu_init_features(void);

/*
 * cpu_start_others - start every CPU that ACPI lists, one after the other
 *
 * A CPU that does not answer within a second is left out with a warning.
 * run      what each of them runs when it is up, interrupts off; never returns
 */
void cpu_start_others(void (*run)(void));

/* XCR0 as every CPU has it: all state components that we can switch for guests. */
uint64_t cpu_xcr0(void);

/* Run the cpu_call_others() that this CPU has not run yet, if there is one. From the call IPI. */
void cpu_answer_call(void);

#endif
