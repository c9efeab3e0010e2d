/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Touches each 4 KiB page of its own memory, from 4 MiB up to mib=, for writing and again for
 * reading. Every EPT violation would show among the exits that the node counts.
 */
#include "tests/guest/lib/guest.h"

void guest_main(void)
{
	uint64_t end = option("mib", 8) << 20, sum = 0, pages = 0;

	for (uint64_t gpa = 4 << 20; gpa < end; gpa += 4096, pages++)
		write64(gpa, gpa);
	for (uint64_t gpa = 4 << 20; gpa < end; gpa += 4096)
		sum += read64(gpa) != gpa;
	EXPECT_EQ(sum, 0, "memory holds what was written");
	print_row("pages", pages);
}
