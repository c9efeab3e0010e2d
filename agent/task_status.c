/* SPDX-License-Identifier: Apache-2.0 */
/* The screen's part about the agent, sent when it has changed, once a second at most. */
#include <string.h>

#include "agent/control.h"
#include "agent/log.h"
#include "agent/node.h"
#include "agent/status.h"

#define PACE_MS 1000u

bool task_status(struct node *n)
{
	static struct ctl_agent_status shown;
	struct ctl_agent_status now;
	struct control_io io = {.command = CTL_STATUS_WRITE, .in = &now, .in_len = sizeof(now)};
	struct status_facts facts = {.controller_host = n->conf.host,
				     .controller_port = n->conf.port,
				     .node_id = n->id.node_id,
				     .fingerprint = n->fingerprint,
				     .trouble = n->trouble,
				     .is_online = n->is_online,
				     .has_reported = n->last_report_accepted > 0,
				     .update = &n->update_state};

	if (!pace_is_due(&n->status_pace))
		return false;
	pace_wait(&n->status_pace, PACE_MS);
	facts.has_lease = net_lease(&facts.lease);
	status_write(&facts, &now);
	if (memcmp(&now, &shown, sizeof(now)) == 0)
		return false;
	if (control_call(&io) != HV_OK)
		log_warn("status", "the screen does not take it: %s", io.message);
	shown = now;
	return true;
}
