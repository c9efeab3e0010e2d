/* SPDX-License-Identifier: Apache-2.0 */
/* Reports: at the controller's pace, and at once when a VM changed. What was sent goes only when
 * 200 came. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/enrol.h"
#include "agent/log.h"
#include "agent/node.h"
#include "agent/port/port.h"
#include "agent/wall.h"

#define TIMEOUT_MS    30000u
#define FIRST_PACE_MS 10000u
#define BODY_FIRST    8192u

static char *body;
static uint64_t sent_usage_seq, sent_event_seq;
static bool told_first;
static char last_text[256];

static bool grow(struct json_out *o, size_t need)
{
	size_t cap = o->cap ? o->cap : BODY_FIRST;
	char *grown;

	while (cap < need)
		cap *= 2;
	if (cap > PROTO_JSON_MAX)
		return false;
	grown = realloc(o->at, cap);
	if (!grown)
		return false;
	o->at = grown;
	o->cap = cap;
	return true;
}

static void forget_events(struct node *n)
{
	uint32_t sent = 0;

	while (sent < n->nr_events && n->events[sent].seq != 0 &&
	       n->events[sent].seq <= sent_event_seq)
		sent++;
	n->nr_events -= sent;
	memmove(&n->events[0], &n->events[sent], n->nr_events * sizeof(n->events[0]));
}

static void accepted(struct node *n, const char *json, size_t len)
{
	struct report_reply reply = {0};
	struct proto_error err;

	if (schema_decode(&report_reply_schema, json, len, (struct proto_scratch){0}, &reply,
			  &err) != PROTO_OK) {
		log_warn("report", "the controller's answer is wrong: %s", err.message);
		pace_fail(&n->report_pace);
		return;
	}
	wall_set(reply.time_ms, WALL_CONTROLLER);
	n->last_report_accepted = n->nr_reports_sent;
	n->trouble[0] = 0;
	usage_acked(&n->usage, sent_usage_seq);
	forget_events(n);
	if (!n->knows_event_seq)
		n->event_seq = reply.ack_event_seq;
	n->knows_event_seq = true;
	if (reply.refused > 0)
		log_warn("report", "the controller refused %u usage records",
			 (unsigned)reply.refused);
	if (!told_first)
		log_info("report", "first report accepted, %u ms after start, %u KiB of heap",
			 (unsigned)node_now_ms(), (unsigned)(heap_used() / KIB));
	told_first = true;
	last_text[0] = 0;
	backoff_reset(&n->report_pace.backoff);
	pace_wait(&n->report_pace, reply.next_ms);
	if (n->usage.nr > 0 || n->nr_events > 0)
		n->report_urgent = true;
}

static void refused(struct node *n, const struct client_result *result)
{
	char text[256];

	if (result->status == 0)
		snprintf(text, sizeof(text), "%s", result->error);
	else
		error_describe(result->status, result->body, result->body_len, text, sizeof(text));
	if (strcmp(text, last_text) != 0)
		log_warn("report", "%s", text);
	snprintf(n->trouble, sizeof(n->trouble), "report: %.150s", text);
	snprintf(last_text, sizeof(last_text), "%s", text);
	n->report_urgent = true;
	pace_fail(&n->report_pace);
	if (result->status == 409)
		usage_renumber(&n->usage, sent_usage_seq);
	else if (result->status == 401 || result->status == 403)
		node_drop_identity(n, text);
}

static void answered(void *arg, const struct client_result *result)
{
	struct node *n = arg;

	free(body);
	body = NULL;
	if (result->status == 200)
		accepted(n, result->body, result->body_len);
	else
		refused(n, result);
}

static void fill_events(struct node *n, struct report *r)
{
	uint32_t i;

	if (!n->knows_event_seq)
		return;
	for (i = 0; i < n->nr_events; i++)
		if (n->events[i].seq == 0)
			n->events[i].seq = ++n->event_seq;
	r->events = (struct proto_list){n->events, EVENTS_MAX, n->nr_events};
	sent_event_seq = n->event_seq;
}

/* Large, and needed only while the JSON is written. */
struct draft {
	struct report report;
	struct report_vm vms[PROTO_VMS_MAX];
	struct usage_record usage[USAGE_REPORT_MAX];
};

static void fill(struct node *n, struct draft *d)
{
	struct report *r = &d->report;
	uint32_t nr;

	memcpy(r->node_id, n->id.node_id, sizeof(r->node_id));
	memcpy(r->boot_id, n->boot_id, sizeof(r->boot_id));
	r->applied_generation = n->memory.generation;
	r->has_lease = net_lease(&r->lease);
	r->has_node = node_describe(n, &r->node, NULL);
	if (n->has_desired) {
		nr = sync_report(&n->memory, &n->desired, &n->actual, node_uptime_ns(n),
				 images_reason, &n->images, d->vms, PROTO_VMS_MAX);
		r->vms = (struct proto_list){d->vms, PROTO_VMS_MAX, nr};
	}
	nr = usage_send(&n->usage, d->usage, USAGE_REPORT_MAX);
	r->usage = (struct proto_list){d->usage, USAGE_REPORT_MAX, nr};
	sent_usage_seq = nr > 0 ? d->usage[nr - 1].seq : 0;
	fill_events(n, r);
}

static size_t write_body(struct node *n)
{
	struct draft *draft = calloc(1, sizeof(*draft));
	struct json_out o = {.grow = grow};

	free(body); /* of a report that was given up */
	body = NULL;
	if (!draft)
		return 0;
	fill(n, draft);
	schema_encode(&report_schema, &draft->report, NULL, &o);
	free(draft);
	body = o.at;
	if (o.overflow) {
		free(body);
		body = NULL;
	}
	return o.overflow ? 0 : o.len;
}

bool task_report(struct node *n)
{
	struct client_request req = {.method = "POST",
				     .path = "/agent/v1/report",
				     .content_type = "application/json",
				     .timeout_ms = TIMEOUT_MS,
				     .done = answered,
				     .arg = n};
	bool is_failing = n->report_pace.backoff.failures > 0;

	if (!n->is_online || !client_is_idle(&n->report_client) ||
	    (!pace_is_due(&n->report_pace) && (is_failing || !n->report_urgent)))
		return false;
	n->report_urgent = false;
	req.body_len = write_body(n);
	req.body = body;
	if (req.body_len == 0) {
		log_err("report", "no memory for a report");
		pace_fail(&n->report_pace);
		return false;
	}
	n->nr_reports_sent++;
	pace_wait(&n->report_pace, FIRST_PACE_MS);
	client_send(&n->report_client, &req, node_now_ms());
	return true;
}
