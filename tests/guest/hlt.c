/* SPDX-License-Identifier: Apache-2.0 */
/* HLT waits, and ends when it should: no wake-up is lost, none comes by itself. */
#include "tests/guest/lib/guest.h"

#define VECTOR	     0x60
#define LVT_DEADLINE 0x40000u
#define MSR_DEADLINE 0x6e0u

static volatile uint64_t waited;

static void set_deadline(uint64_t us)
{
	wrmsr(MSR_DEADLINE, rdtsc() + us * tsc_khz() / 1000);
}

static void by_timer(void)
{
	uint64_t start = rdtsc(), ticks, worst = 0;
	bool each = true;

	set_deadline(5000);
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	ticks = rdtsc() - start;
	EXPECT(ticks >= tsc_khz() * 5, "HLT lasts until the timer fires");
	EXPECT(ticks < tsc_khz() * 15, "and not 10 ms longer");
	EXPECT_EQ(irq_count[VECTOR], 1, "the handler has run when HLT ends");
	/* The race between going to sleep and being woken, at many distances. */
	for (uint32_t i = 0; i < 2000; i++) {
		uint64_t before = irq_count[VECTOR];

		start = rdtsc();
		wrmsr(MSR_DEADLINE, start + 200 + i % 300 * 3);
		__asm__ volatile("sti; hlt; cli" : : : "memory");
		ticks = rdtsc() - start;
		worst = ticks > worst ? ticks : worst;
		each = each && irq_count[VECTOR] > before;
	}
	EXPECT(each, "2000 short sleeps each end by their interrupt");
	EXPECT_EQ(irq_count[VECTOR], 2001, "by one interrupt each");
	EXPECT(worst < tsc_khz() * 20, "none of them late");
}

static void already_pending(void)
{
	apic_send(0, 0x40000 | 0x61);
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	EXPECT_EQ(irq_count[0x61], 1, "an interrupt that is pending already ends HLT");
}

static volatile bool may_poke;

static void poke(void)
{
	while (!may_poke)
		__asm__ volatile("pause");
	wait_us(2000);
	apic_send(0, 0x400);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void by_nmi(void)
{
	uint64_t start;

	EXPECT(start_second_cpu(poke), "the second CPU starts");
	apic_send(0, 0x40000 | 0x62); /* must not end it: IF is 0 */
	start = rdtsc();
	may_poke = true;
	__asm__ volatile("hlt" : : : "memory");
	waited = rdtsc() - start;
	EXPECT_EQ(irq_count[2], 1, "an NMI ends HLT with IF 0");
	EXPECT_EQ(irq_count[0x62], 0, "an interrupt does not");
	EXPECT(WAIT_FOR(irq_count[0x62] == 1, 1000), "but comes when IF is 1");
	EXPECT(waited >= tsc_khz() * 2, "HLT lasted until the NMI");
}

static void nmi_is_blocked_in_its_handler(void)
{
	uint64_t before = irq_count[2];

	apic_send(0, 0x400);
	wait_us(100);
	apic_send(0, 0x400);
	wait_us(100);
	EXPECT_EQ(irq_count[2], before + 2, "each NMI to itself arrives, though IF is 0");
}

void guest_main(void)
{
	apic_enable(option("x2apic", 1));
	apic_write(0x320, LVT_DEADLINE | VECTOR);
	by_timer();
	already_pending();
	by_nmi();
	nmi_is_blocked_in_its_handler();
}
