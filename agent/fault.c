/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that was started after a fault's time leaves it alone: it is why that agent was started.
 */
#include "agent/fault.h"

#include "agent/control.h"
#include "agent/log.h"
#include "agent/port/cpu.h"

static bool is_due(const struct node *n, const struct conf_fault *fault)
{
	uint64_t at_ns = fault->uptime_s * NSEC_PER_SEC;

	return n->hello.uptime_ns < at_ns && node_uptime_ns(n) >= at_ns;
}

NORETURN static void hang(void)
{
	for (;;)
		cpu_pause();
}

static void commit(struct node *n, const struct conf_fault *fault)
{
	struct control_io io = {.command = CTL_TEST_FAULT};

	if (control_call(&io) != HV_OK) {
		log_warn("fault", "test_fault does nothing: %s", io.message);
		n->conf.nr_faults = 0;
		return;
	}
	log_warn("fault", "the agent will %s, on purpose",
		 fault->kind == CONF_FAULT_CRASH ? "crash" : "hang");
	if (fault->kind == CONF_FAULT_CRASH)
		__builtin_trap();
	hang();
}

void fault_work(struct node *n)
{
	uint32_t i;

	for (i = 0; i < n->conf.nr_faults; i++)
		if (is_due(n, &n->conf.faults[i]))
			commit(n, &n->conf.faults[i]);
}
