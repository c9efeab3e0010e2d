/* SPDX-License-Identifier: Apache-2.0 */
/* One sentence a question: where am I, who am I, what am I waiting for. */
#include "agent/status.h"

#include <stdio.h>
#include <string.h>

#define CODE_GROUP 8u /* digits between two spaces */
#define CODE_SHOWN 64u

static void write_state(const struct status_facts *f, char *out, size_t cap)
{
	if (f->fingerprint[0])
		snprintf(out, cap, "waiting for approval");
	else if (!f->has_lease)
		snprintf(out, cap, "waiting for an address (DHCP)");
	else if (!f->is_online)
		snprintf(out, cap, "enrolling");
	else if (!f->has_reported)
		snprintf(out, cap, "connecting as %s", f->node_id);
	else if (f->update->state == UPDATE_FETCHING || f->update->state == UPDATE_INSTALLING ||
		 f->update->state == UPDATE_REBOOTING)
		snprintf(out, cap, "enrolled, updating to %.40s", f->update->version);
	else
		snprintf(out, cap, "enrolled as %s", f->node_id);
}

/* Eight groups of eight digits can be compared by eye, and by telephone. */
static void write_code(const char *fingerprint, char *out, size_t cap)
{
	size_t len = 0;

	for (size_t i = 0; i < CODE_SHOWN && fingerprint[i] && len + 2 < cap; i++) {
		if (i > 0 && i % CODE_GROUP == 0)
			out[len++] = ' ';
		out[len++] = fingerprint[i];
	}
	out[len] = 0;
}

void status_write(const struct status_facts *f, struct ctl_agent_status *out)
{
	memset(out, 0, sizeof(*out));
	write_state(f, out->state, sizeof(out->state));
	write_code(f->fingerprint, out->code, sizeof(out->code));
	if (f->has_lease)
		snprintf(out->address, sizeof(out->address), "%s/%u%s%s", f->lease.address,
			 (unsigned)f->lease.prefix, f->lease.gateway[0] ? ", gateway " : "",
			 f->lease.gateway);
	snprintf(out->controller, sizeof(out->controller), "%.100s:%u", f->controller_host,
		 (unsigned)f->controller_port);
	snprintf(out->error, sizeof(out->error), "%s", f->trouble);
}
