/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUs: what each is made of, how they wake, call and wait for one another. Bringing the other
 * ones up is in kernel/cpu_start.c.
 */
#include "kernel/cpu.h"

#include "kernel/apic.h"
#include "kernel/cpu_arch.h"
#include "kernel/cpu_hw.h"
#include "kernel/cpu_start.h"
#include "kernel/idt.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/lock.h"
#include "kernel/paging.h"
#include "kernel/time.h"

/* [SDM] "XCR0": the components that a guest may use; switched with XSAVE. */
#define XCR0_X87     BIT(0)
#define XCR0_HANDLED (XCR0_X87 | BIT(1) | BIT(2) | BIT(5) | BIT(6) | BIT(7) | BIT(9))
#define XCR0_AVX512  (BIT(5) | BIT(6) | BIT(7))

#define CPUID_1_EDX_MCA BIT(14)

extern char boot_cpu_stacks[];

static struct cpu cpus[CPU_MAX];
static struct cpu_arch boot_arch;
static uint32_t nr_online; /* grows at boot only */
static uint64_t xcr0;

static struct {
	struct lock lock; /* held by the caller from start to end */
	void (*fn)(void *arg);
	void *arg;
	uint64_t generation; /* grows with every call; written last */
} call;

uint32_t cpu_count(void)
{
	return __atomic_load_n(&nr_online, __ATOMIC_ACQUIRE);
}

struct cpu *cpu_at(uint32_t index)
{
	ASSERT(index < CPU_MAX);
	return &cpus[index];
}

uint64_t cpu_xcr0(void)
{
	return xcr0;
}

void cpu_prepare(struct cpu *cpu, struct cpu_arch *arch, uint32_t index, void *stacks)
{
	cpu->self = cpu;
	cpu->index = index;
	cpu->arch = arch;
	arch->stacks = stacks;
	timer_queue_init(&arch->timers);
}

void cpu_enter(struct cpu *cpu)
{
	struct cpu_arch *arch = cpu->arch;

	gdt_load(&arch->gdt, arch->stacks);
	wrmsr(MSR_GS_BASE, (uint64_t)cpu); /* after gdt_load, which clears it */
	idt_load();
}

void cpu_init_boot(void)
{
	cpu_prepare(&cpus[0], &boot_arch, 0, boot_cpu_stacks);
	idt_init();
	cpu_enter(&cpus[0]);
}

static void enable_xsave(void)
{
	struct cpuid_regs leaf = cpuid_if_present(0xd, 0);

	if (!(cpuid(1, 0).ecx & BIT(26)))
		return;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	xcr0 = ((uint64_t)leaf.edx << 32 | leaf.eax) & XCR0_HANDLED;
	if ((xcr0 & XCR0_AVX512) != XCR0_AVX512)
		xcr0 &= ~XCR0_AVX512; /* they come together or not at all */
	xsetbv(0, xcr0 | XCR0_X87);
}

/* Let every bank report; what is left from before the boot was for firmware to see. */
static void enable_machine_checks(void)
{
	uint64_t nr_banks;

	if (!(cpuid(1, 0).edx & CPUID_1_EDX_MCA))
		return;
	nr_banks = rdmsr(MSR_MCG_CAP) & 0xff;
	for (uint32_t i = 0; i < nr_banks; i++) {
		(void)!wrmsr_safe(MSR_MC0_CTL + 4 * i, ~0ull);
		(void)!wrmsr_safe(MSR_MC0_STATUS + 4 * i, 0);
	}
	write_cr4(read_cr4() | CR4_MCE);
}

void cpu_init_features(void)
{
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	enable_machine_checks();
	enable_xsave();
}

void cpu_set_online(void)
{
	struct cpu *cpu = this_cpu();

	cpu->apic_id = apic_id();
	((struct cpu_arch *)cpu->arch)->calls_done =
		__atomic_load_n(&call.generation, __ATOMIC_ACQUIRE);
	cpu->is_online = true;
	/* What is written above is seen by whoever sees the new count. */
	__atomic_store_n(&nr_online, cpu->index + 1, __ATOMIC_RELEASE);
}

void cpu_kick(struct cpu *cpu)
{
	/* The flag before the interrupt: who wakes by it finds the flag set. */
	__atomic_store_n(&cpu->kick_pending, 1, __ATOMIC_SEQ_CST);
	if (cpu != this_cpu())
		apic_send_ipi(cpu->apic_id, VECTOR_KICK);
}

void cpu_answer_call(void)
{
	struct cpu_arch *arch = this_cpu()->arch;
	uint64_t generation = __atomic_load_n(&call.generation, __ATOMIC_ACQUIRE);

	if (arch->calls_done == generation)
		return;
	call.fn(call.arg);
	__atomic_store_n(&arch->calls_done, generation, __ATOMIC_RELEASE);
}

/* Two CPUs that call at once must answer each other, so waiting for the turn answers too. */
static void take_call_turn(void)
{
	while (!lock_try(&call.lock)) {
		cpu_answer_call();
		cpu_pause();
	}
}

void cpu_call_others(void (*fn)(void *arg), void *arg)
{
	struct cpu_arch *own = this_cpu()->arch;
	uint64_t generation;

	take_call_turn();
	call.fn = fn;
	call.arg = arg;
	generation = call.generation + 1;
	own->calls_done = generation;
	__atomic_store_n(&call.generation, generation, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < cpu_count(); i++)
		if (&cpus[i] != this_cpu())
			apic_send_ipi(cpus[i].apic_id, VECTOR_CALL);
	for (uint32_t i = 0; i < cpu_count(); i++) {
		struct cpu_arch *arch = cpus[i].arch;

		while (__atomic_load_n(&arch->calls_done, __ATOMIC_ACQUIRE) != generation)
			cpu_pause();
	}
	lock_release(&call.lock);
}

void cpu_idle_wait(void)
{
	struct cpu *cpu = this_cpu();
	uint64_t start = tsc_now();

	__atomic_store_n(&cpu->idle_since, start, __ATOMIC_RELAXED);
	/* STI holds interrupts off for one more instruction, so a kick after the test ends the HLT.
	 */
	if (!__atomic_load_n(&cpu->kick_pending, __ATOMIC_SEQ_CST))
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	__atomic_store_n(&cpu->idle_since, 0, __ATOMIC_RELAXED);
	cpu->idle_tsc += tsc_now() - start;
}

uint64_t cpu_idle_ticks(const struct cpu *cpu)
{
	uint64_t ticks = __atomic_load_n(&cpu->idle_tsc, __ATOMIC_RELAXED);
	uint64_t since = __atomic_load_n(&cpu->idle_since, __ATOMIC_RELAXED), now = tsc_now();

	return ticks + (since && now > since ? now - since : 0);
}
