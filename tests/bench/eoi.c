/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts to itself, as many as rounds= says. The node's count of exits says what they cost: the
 * bench runs it with none and with a thousand.
 */
#include "tests/guest/lib/guest.h"

#define VECTOR 0x50

void guest_main(void)
{
	uint64_t rounds = option("rounds", 0);

	apic_enable(false);
	irq_on();
	for (uint64_t i = 0; i < rounds; i++)
		apic_send(0, 0x40000 | VECTOR);
	irq_off();
	print_row("taken", irq_count[VECTOR]);
}
