/* SPDX-License-Identifier: Apache-2.0 */
/* What the node's screen says of the agent, in words for the person in front of it. Pure. */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

#include "agent/protocol/messages.h"
#include "vmm/control_abi.h"

struct status_facts {
	const char *controller_host;
	uint16_t controller_port;
	const char *node_id;	 /* empty: not enrolled */
	const char *fingerprint; /* not empty: waits for approval of this key */
	const char *trouble;	 /* empty: all is well */
	bool is_online, has_reported;
	bool has_lease;
	struct node_lease lease;
	const struct node_update *update;
};

/* status_write - all of out */
void status_write(const struct status_facts *facts, struct ctl_agent_status *out);

#endif
