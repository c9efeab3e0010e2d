/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that gives nothing back: interrupts off, no HLT, no PAUSE, no exit, for seconds=. */
#include "tests/guest/lib/guest.h"

void guest_main(void)
{
	uint64_t end = rdtsc() + option("seconds", 3) * tsc_khz() * 1000;

	irq_off();
	while (rdtsc() < end)
		;
	EXPECT(true, "the guest has had its time");
}
