/* SPDX-License-Identifier: Apache-2.0 */
/* The long poll for the desired state. After any failure the whole document is asked for again. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/enrol.h"
#include "agent/log.h"
#include "agent/node.h"
#include "agent/wall.h"

#define WAIT_S	   50u
#define TIMEOUT_MS 65000u
#define REFUSED_MS 60000u

static char last_text[256]; /* the same trouble is logged once */

static void trouble(struct node *n, const char *text)
{
	n->poll_afresh = true;
	snprintf(n->trouble, sizeof(n->trouble), "desired: %.148s", text);
	if (strcmp(text, last_text) == 0)
		return;
	snprintf(last_text, sizeof(last_text), "%s", text);
	log_warn("desired", "%s", text);
}

static void take_document(struct node *n, const char *json, size_t len)
{
	struct proto_error err = {0};
	char text[sizeof(err.message) + 64];

	if (schema_decode(&desired_schema, json, len, (struct proto_scratch){0}, &n->incoming,
			  &err) != PROTO_OK ||
	    message_check_desired(&n->incoming, n->id.node_id, &err) != PROTO_OK) {
		snprintf(text, sizeof(text), "document refused, nothing changed: %s", err.message);
		trouble(n, text);
		node_add_event(n, EVENT_ERROR, "", "desired_refused", text);
		pace_fail(&n->desired_pace);
		return;
	}
	wall_set(n->incoming.time_ms, WALL_CONTROLLER);
	if (n->incoming.generation < n->memory.generation) {
		trouble(n, "document refused, nothing changed: it is older than the one applied");
		pace_fail(&n->desired_pace);
		return;
	}
	if (!n->has_desired || n->incoming.generation != n->desired.generation)
		log_info("desired", "generation %" PRIu64 ": %u VMs, %u images",
			 n->incoming.generation, (unsigned)n->incoming.vms.nr,
			 (unsigned)n->incoming.images.nr);
	node_accept_desired(n, json, len);
	n->poll_afresh = false;
	last_text[0] = 0;
	backoff_reset(&n->desired_pace.backoff);
}

static void answered(void *arg, const struct client_result *result)
{
	struct node *n = arg;
	char text[256];

	switch (result->status) {
	case 200:
		take_document(n, result->body, result->body_len);
		break;
	case 204:
		backoff_reset(&n->desired_pace.backoff);
		break;
	case 0:
		trouble(n, result->error);
		pace_fail(&n->desired_pace);
		break;
	default:
		error_describe(result->status, result->body, result->body_len, text, sizeof(text));
		trouble(n, text);
		if (result->status == 401 || result->status == 403)
			node_drop_identity(n, text);
		pace_fail(&n->desired_pace);
	}
}

bool task_desired(struct node *n)
{
	struct client_request req = {
		.method = "GET", .timeout_ms = TIMEOUT_MS, .done = answered, .arg = n};

	if (!n->is_online || !client_is_idle(&n->desired_client) || !pace_is_due(&n->desired_pace))
		return false;
	if (n->poll_afresh || !n->has_desired)
		snprintf(req.path, sizeof(req.path), "/agent/v1/desired");
	else
		snprintf(req.path, sizeof(req.path), "/agent/v1/desired?gen=%" PRIu64 "&wait=%u",
			 n->desired.generation, WAIT_S);
	client_send(&n->desired_client, &req, node_now_ms());
	return true;
}
