/* SPDX-License-Identifier: Apache-2.0 */
/* Two CPUs of a VM: one memory, one clock, and IPIs that answer each other. */
#include "tests/guest/lib/guest.h"

#define ROUNDS 200000u
#define TURNS  2000u

static volatile uint64_t counter;
static volatile uint32_t is_ready, is_done;
static volatile uint64_t stamp, turn;
static volatile bool second_went_back;
static volatile uint32_t nr_pongs;

static void count(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++)
		__asm__ volatile("lock incq %0" : "+m"(counter) : : "memory");
}

static bool take_turns(uint64_t parity)
{
	bool is_forward = true;

	for (;;) {
		uint64_t now = turn, tsc;

		if (now >= TURNS)
			return is_forward;
		if (now % 2 != parity) {
			__asm__ volatile("pause");
			continue;
		}
		tsc = rdtsc();
		is_forward = is_forward && tsc > stamp;
		stamp = tsc;
		turn = now + 1;
	}
}

static void answer(uint8_t vector)
{
	if (vector == 0x50) /* on the second CPU */
		apic_send(0, 0x51);
	else if (vector == 0x51)
		nr_pongs++;
}

static void second(void)
{
	is_ready = 1;
	while (is_ready != 2)
		__asm__ volatile("pause");
	count();
	is_done = 1;
	second_went_back = !take_turns(1);
	is_done = 2;
	for (;;)
		__asm__ volatile("sti; hlt");
}

void guest_main(void)
{
	bool all = true;

	apic_enable(option("x2apic", 1));
	EXPECT(start_second_cpu(second), "the second CPU starts");
	while (is_ready != 1)
		__asm__ volatile("pause");
	is_ready = 2;
	count();
	EXPECT(WAIT_FOR(is_done >= 1, 2000000), "both CPUs get through");
	EXPECT_EQ(counter, 2 * ROUNDS, "no locked increment is lost");
	EXPECT(take_turns(0), "the clock does not go back from the second CPU to the first");
	EXPECT(WAIT_FOR(is_done == 2, 1000000) && !second_went_back, "nor the other way round");
	irq_hook = answer;
	for (uint32_t i = 0; i < 500; i++) {
		uint32_t before = nr_pongs;

		apic_send(1, 0x50);
		all = all && WAIT_FOR(nr_pongs > before, 1000000);
	}
	EXPECT(all, "500 IPIs are answered");
	WAIT_FOR(false, 1000);
	EXPECT_EQ(nr_pongs, 500, "each by one IPI");
}
