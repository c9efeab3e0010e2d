/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks for the end of the machine, on the host. */
#include "tests/unit/support/fake_power.h"

static struct power_hook *hooks;

void power_at_end(struct power_hook *hook)
{
	hook->next = hooks;
	hooks = hook;
}

void fake_power_end(void)
{
	for (struct power_hook *hook = hooks; hook; hook = hook->next)
		hook->end(hook);
}
