/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop: whatever can be done without waiting is done, then the CPU halts until a device or the
 * clock has something. Each turn ends with a sign of life for the kernel's watchdog if nothing else
 * was sent; a handshake's long computations give one whenever they draw randomness. Both happen
 * only where the program goes forward, so a hung agent falls silent.
 */
#include "agent/main.h"

#include "agent/control.h"
#include "agent/entropy.h"
#include "agent/fault.h"
#include "agent/log.h"
#include "agent/node.h"
#include "agent/port/port.h"

/* The longest that is computed in one go, the check of a signature, is 14 million instructions: the
 * rest of CTL_WATCHDOG_MS is enough for that on a machine of 35 million a second. */
#define HEARTBEAT_MS (CTL_WATCHDOG_MS / 8)
#define IDLE_MS	     (CTL_WATCHDOG_MS / 4)

static struct node node;

static void sign_of_life(void)
{
	struct control_io io = {.command = CTL_HEARTBEAT};

	if (clock_ns() - control_last_call_ns() >= HEARTBEAT_MS * NSEC_PER_MSEC)
		(void)control_call(&io);
}

static bool poll_clients(struct node *n)
{
	struct client *clients[] = {&n->desired_client, &n->report_client, &n->bulk_client,
				    &n->input_client};
	bool any = false;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(clients); i++) {
		any |= client_poll(clients[i], node_now_ms());
		sign_of_life();
	}
	return any;
}

/* One turn; true when the next should follow at once. */
static bool turn(struct node *n)
{
	bool any = net_poll();

	any |= task_status(n);
	if (!net_is_up())
		return any;
	any |= poll_clients(n);
	node_work(n);
	any |= task_enrol(n);
	any |= task_report(n);
	any |= task_desired(n);
	any |= task_bulk(n);
	any |= task_input(n);
	any |= task_update(n);
	return any;
}

/* A configuration that cannot be used: say so once, and stay, so that the node's log shows it. */
NORETURN static void stay_idle(void)
{
	for (;;) {
		sign_of_life();
		timer_idle(clock_ns() + IDLE_MS * NSEC_PER_MSEC);
	}
}

NORETURN void agent_main(void)
{
	control_open();
	if (!entropy_init())
		agent_fail("no source of randomness", __FILE__, __LINE__);
	entropy_set_hook(sign_of_life);
	if (!node_init(&node))
		stay_idle();
	log_info("agent", "started (%u times before since boot), controller %s:%u",
		 (unsigned)node.hello.agent_restarts, node.conf.host, (unsigned)node.conf.port);
	net_start(&node.conf);
	for (;;) {
		if (!turn(&node))
			timer_idle(clock_ns() + MIN(net_next_ms(), IDLE_MS) * NSEC_PER_MSEC);
		sign_of_life();
		fault_work(&node);
	}
}
