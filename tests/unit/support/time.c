/* SPDX-License-Identifier: Apache-2.0 */
/* The clock on the host. */
#include "kernel/time.h"

#include "tests/unit/support/fake_time.h"

uint64_t fake_time_ns;
uint64_t fake_wall_s = 1700000000;

uint64_t tsc_now(void)
{
	return fake_time_ns;
}

uint64_t tsc_khz(void)
{
	return NSEC_PER_MSEC;
}

uint64_t time_now_ns(void)
{
	return fake_time_ns;
}

uint64_t time_ns_of_tsc(uint64_t ticks)
{
	return ticks;
}

uint64_t time_tsc_of_ns(uint64_t ns)
{
	return ns;
}

uint64_t time_wall_s(void)
{
	return fake_wall_s + fake_time_ns / NSEC_PER_SEC;
}
