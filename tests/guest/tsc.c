/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TSC at whatever rate this VM has, against a clock that does not depend on it, the PM timer,
 * and against what CPUID tells. The row "khz" is what was measured, for a comparison with others.
 *
 *     rate=1    measure the rate, and no more
 *     wait=MS   before what a neighbour on this CPU would disturb
 */
#include "tests/guest/lib/guest.h"

#include "vmm/layout.h"

#define PM_HZ	     3579545ull
#define VECTOR	     0x60
#define LVT_TIMER    0x320
#define INITIAL	     0x380
#define CURRENT	     0x390
#define DIVIDE	     0x3e0
#define DIVIDE_BY_1  0xbu
#define LVT_DEADLINE 0x40000u
#define MSR_TSC	     0x10u
#define MSR_DEADLINE 0x6e0u

struct moment {
	uint64_t tsc;
	uint32_t pm;
};

/* Both clocks at once: of a few tries the one with least between its two readings of the TSC. */
static struct moment now(void)
{
	struct moment best = {0};
	uint64_t least = ~0ull;

	for (uint32_t i = 0; i < 5; i++) {
		uint64_t before = rdtsc();
		uint32_t pm = in32(LAYOUT_PM + 8);
		uint64_t took = rdtsc() - before;

		if (took < least) {
			least = took;
			best = (struct moment){before + took / 2, pm};
		}
	}
	return best;
}

static uint64_t us_between(struct moment a, struct moment b)
{
	return (uint64_t)(b.pm - a.pm) * 1000000 / PM_HZ;
}

static bool is_near(uint64_t is, uint64_t should, uint64_t per_cent)
{
	return is * 100 >= should * (100 - per_cent) && is * 100 <= should * (100 + per_cent);
}

static bool is_rate(struct moment a, struct moment b)
{
	return is_near(b.tsc - a.tsc, us_between(a, b) * tsc_khz() / 1000, 1);
}

static void rate(void)
{
	struct moment start = now(), end;

	EXPECT(start.tsc < tsc_khz() * 60000, "the TSC began with the VM");
	do
		end = now();
	while (us_between(start, end) < 100000);
	EXPECT(is_rate(start, end), "it runs at the rate that CPUID tells, by the PM timer");
	print_row("khz", (end.tsc - start.tsc) * 1000 / us_between(start, end));
}

static void other_leaves(void)
{
	struct regs4 time = cpuid(0x15, 0), mhz = cpuid(0x16, 0);

	if (!time.eax) /* AMD's CPUs have neither */
		return;
	EXPECT(is_near((uint64_t)time.ecx * time.ebx / time.eax / 1000, tsc_khz(), 1),
	       "CPUID 15h tells that rate");
	EXPECT_EQ(mhz.eax, tsc_khz() / 1000, "so does CPUID 16h");
}

static void by_msr(void)
{
	uint64_t before, between, after;
	bool is_between = true;

	for (uint32_t i = 0; i < 1000; i++) {
		before = rdtsc();
		between = rdmsr(MSR_TSC);
		after = rdtsc();
		is_between = is_between && before <= between && between <= after;
	}
	EXPECT(is_between, "RDMSR and RDTSC are one clock, which only goes forward");
	wrmsr(MSR_TSC, 0);
	EXPECT(rdtsc() > after, "a write to it changes nothing");
}

static struct moment taken;

static void on_timer(uint8_t vector)
{
	if (vector == VECTOR)
		taken = now();
}

static void deadline(bool is_halted)
{
	struct moment start;
	uint64_t at, read_back, nr = irq_count[VECTOR];
	bool has_come;

	apic_write(LVT_TIMER, LVT_DEADLINE | VECTOR);
	start = now();
	at = start.tsc + tsc_khz() * 5;
	wrmsr(MSR_DEADLINE, at);
	read_back = rdmsr(MSR_DEADLINE);
	if (is_halted)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	has_come = WAIT_FOR(irq_count[VECTOR] == nr + 1, 50000);
	EXPECT_EQ(read_back, at, "a deadline reads back as it was written");
	EXPECT(has_come, "its interrupt comes");
	EXPECT(taken.tsc >= at, "not before the guest's TSC is there");
	EXPECT(is_near(us_between(start, taken), 5000, 10), "after 5 ms, by the PM timer");
	EXPECT(is_rate(start, taken), "and by the TSC");
}

static void late_and_never(void)
{
	uint64_t nr = irq_count[VECTOR];

	wrmsr(MSR_DEADLINE, 1);
	EXPECT(WAIT_FOR(irq_count[VECTOR] == nr + 1, 1000),
	       "a deadline that is past comes at once");
	wrmsr(MSR_DEADLINE, ~0ull);
	WAIT_FOR(irq_count[VECTOR] == nr + 2, 2000);
	wrmsr(MSR_DEADLINE, 1ull << 63);
	WAIT_FOR(irq_count[VECTOR] == nr + 2, 2000);
	EXPECT_EQ(irq_count[VECTOR], nr + 1, "one at the end of time does not");
	wrmsr(MSR_DEADLINE, 0);
}

static void bus_timer(void)
{
	uint64_t nr = irq_count[VECTOR];
	uint32_t khz = cpuid(0x40000010, 0).ebx, first, passed;
	struct moment start, later;
	bool has_come;

	apic_write(DIVIDE, DIVIDE_BY_1);
	apic_write(LVT_TIMER, VECTOR);
	start = now();
	apic_write(INITIAL, khz * 10);
	first = apic_read(CURRENT);
	wait_us(4000);
	later = now();
	passed = first - apic_read(CURRENT);
	has_come = WAIT_FOR(irq_count[VECTOR] == nr + 1, 50000);
	EXPECT(is_near(passed, us_between(start, later) * khz / 1000, 10),
	       "the LAPIC's count goes down at the bus's rate");
	EXPECT(has_come, "its interrupt comes");
	EXPECT(is_near(us_between(start, taken), 10000, 10), "after 10 ms of it");
	apic_write(INITIAL, 0);
}

static volatile uint64_t asked, answered;

static void second(void)
{
	while (!asked)
		__asm__ volatile("pause");
	answered = rdtsc();
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void other_cpu(void)
{
	uint64_t before, after;

	EXPECT(start_second_cpu(second), "the second CPU starts");
	before = rdtsc();
	asked = 1;
	while (!answered)
		__asm__ volatile("pause");
	after = rdtsc();
	EXPECT(before <= answered && answered <= after, "its TSC is the same");
}

void guest_main(void)
{
	rate();
	other_leaves();
	if (option("rate", 0))
		return;
	wait_us(option("wait", 0) * 1000);
	by_msr();
	irq_hook = on_timer;
	apic_enable(true);
	deadline(false);
	deadline(true);
	late_and_never();
	bus_timer();
	other_cpu();
}
