/* SPDX-License-Identifier: Apache-2.0 */
/* What newlib asks of a system: memory and the time. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/port/port.h"
#include "agent/wall.h"
#include "mbedtls/platform_util.h"

static char *heap_at, *heap_start, *heap_end;

void heap_init(uint64_t from, uint64_t end)
{
	heap_start = heap_at = (char *)(uintptr_t)ALIGN_UP(from, 16);
	heap_end = (char *)(uintptr_t)end;
}

size_t heap_used(void)
{
	return (size_t)(heap_at - heap_start);
}

void *sbrk(ptrdiff_t by)
{
	char *old = heap_at;

	if (by > heap_end - heap_at || by < heap_start - heap_at) {
		errno = ENOMEM;
		return (void *)-1;
	}
	heap_at += by;
	return old;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	uint64_t ms = wall_ms();

	(void)zone;
	tv->tv_sec = (time_t)(ms / 1000);
	tv->tv_usec = (suseconds_t)(ms % 1000 * 1000);
	return 0;
}

mbedtls_ms_time_t mbedtls_ms_time(void)
{
	return (mbedtls_ms_time_t)(clock_ns() / NSEC_PER_MSEC);
}

/* Libraries that find themselves broken. newlib's own versions of these two would bring in stdio.
 */
NORETURN void __assert_func(const char *file, int line, const char *function, const char *cond)
{
	(void)function;
	agent_fail(cond, file, line);
}

NORETURN void abort(void)
{
	agent_fail("abort", __FILE__, __LINE__);
}
