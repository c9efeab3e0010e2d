/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cli/deadline.h"

#include <time.h>
#include <unistd.h>

#include "tools/cli/die.h"
#include "tools/cli/units.h"

#define PAUSE_US 300000u

static int64_t monotonic_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

struct deadline deadline_begin(const struct args *args)
{
	struct deadline d = {.began_s = monotonic_s()};

	if (args->values[OPT_TIMEOUT] &&
	    !units_parse_seconds(args->values[OPT_TIMEOUT], &d.timeout_s))
		die(EXIT_USAGE, "--timeout %s: wants a time such as 90s, 15m",
		    args->values[OPT_TIMEOUT]);
	return d;
}

bool deadline_has_passed(const struct deadline *d)
{
	return d->timeout_s && monotonic_s() - d->began_s >= (int64_t)d->timeout_s;
}

void deadline_pause(void)
{
	usleep(PAUSE_US);
}
