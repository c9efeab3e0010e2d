/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's end of the control queue (vmm/control_abi.h): one request at a time, answered before
 * control_call() returns; events are collected until asked for. agent/port/control.c drives the
 * real device, tests/agent/fake_control.c is a node in memory.
 */
#ifndef AGENT_CONTROL_H
#define AGENT_CONTROL_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "vmm/control_abi.h"

struct control_io {
	uint32_t command; /* enum ctl_command */
	uint64_t arg0, arg1;
	const void *in; /* bytes behind the request */
	size_t in_len;
	void *out; /* room for bytes behind the reply */
	size_t out_cap;
	/* Set by control_call: */
	size_t out_len;
	uint64_t value0, value1;
	char message[96]; /* when the answer is not HV_OK; zero-terminated */
};

/* control_open - find the device; does not return when there is none, as nothing could be done */
void control_open(void);

/* control_call - the kernel's own answer; in_len and out_cap at most CTL_DATA_MAX */
enum hv_err control_call(struct control_io *io);

/* control_next_event - false when none is waiting */
bool control_next_event(struct ctl_event *event);

/* control_last_call_ns - clock_ns() of the last request: what the watchdog goes by */
uint64_t control_last_call_ns(void);

#endif
