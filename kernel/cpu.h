/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUs of this machine. Each runs on one stack, with its struct cpu behind GS.
 */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define CPU_MAX 256

struct cpu {
	struct cpu *self; /* offset 0: how this_cpu() finds it */
	uint32_t index;	  /* 0 is the boot CPU */
	uint32_t apic_id;
	bool is_online;
	uint64_t kick_pending; /* somebody asked this CPU to look at its queues again */
	uint64_t idle_tsc;     /* ticks spent idle, only grows */
	uint64_t idle_since;   /* not 0: idle since this TSC, which idle_tsc does not have yet */
	void *sched;	       /* the vCPU scheduler's part */
	void *virt;	       /* the backend's part (VMXON region and the like) */
	void *arch;	       /* kernel/ part: GDT, TSS, stacks, timer queue */
};

#ifdef BILLET_HOST
struct cpu *this_cpu(void);
#else
static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}
#endif
uint32_t cpu_count(void); /* online ones; indices 0 .. count-1 */
struct cpu *cpu_at(uint32_t index);
void cpu_kick(struct cpu *cpu); /* IPI: an exit if it runs a guest, a wake-up if it idles */

/* Run once on every CPU but this one, interrupts off there, and wait until all have. */
void cpu_call_others(void (*fn)(void *arg), void *arg);

/* Ticks spent idle, up to now. Any CPU may ask; about right. */
uint64_t cpu_idle_ticks(const struct cpu *cpu);

/* Interrupts on and halted until one came; back with interrupts off. Returns at once when kicked.
 */
void cpu_idle_wait(void);

#endif
