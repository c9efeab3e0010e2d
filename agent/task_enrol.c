/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolment with the join token, and the certificate's renewal, over the report connection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/enrol.h"
#include "agent/entropy.h"
#include "agent/log.h"
#include "agent/node.h"
#include "agent/report.h"
#include "agent/wall.h"

#define TIMEOUT_MS 30000u
#define BODY_MAX   65536u

static char body[BODY_MAX];
static char last_text[512]; /* the same refusal is logged once */

static void log_once(const char *text)
{
	if (strcmp(text, last_text) == 0)
		return;
	snprintf(last_text, sizeof(last_text), "%s", text);
	log_warn("enrol", "%s", text);
}

static void finish(struct node *n, const struct enrol_answer *answer)
{
	wall_set(answer->reply.time_ms, WALL_CONTROLLER);
	identity_accept(&n->id, &answer->reply);
	backoff_reset(&n->enrol_pace.backoff);
	n->enrol_pace.next_ms = 0;
	last_text[0] = 0;
	n->fingerprint[0] = n->trouble[0] = 0;
	node_save_identity(n);
	if (n->is_online)
		log_info("enrol", "this node is %s, %u ms after start", n->id.node_id,
			 (unsigned)node_now_ms());
}

static void answered(void *arg, const struct client_result *result)
{
	struct enrol_answer *answer = malloc(sizeof(*answer));
	struct node *n = arg;

	if (!answer) {
		pace_fail(&n->enrol_pace);
		return;
	}
	enrol_read_answer(result->status, result->body, result->body_len, result->error, answer);
	if (answer->next == ENROL_DONE) {
		finish(n, answer);
	} else {
		log_once(answer->text);
		memcpy(n->fingerprint, answer->fingerprint, sizeof(n->fingerprint));
		if (answer->next == ENROL_PENDING)
			n->trouble[0] = 0;
		else
			snprintf(n->trouble, sizeof(n->trouble), "enrol: %.150s", answer->text);
		if (answer->next == ENROL_RETRY)
			pace_fail(&n->enrol_pace);
		else
			pace_wait(&n->enrol_pace, answer->wait_ms);
	}
	free(answer);
}

static bool write_enroll(struct node *n, struct json_out *o)
{
	struct enroll_request *req = calloc(1, sizeof(*req));
	uint8_t machine_id[16];
	bool ok;

	ok = req && node_describe(n, &req->node, machine_id) &&
	     identity_csr(&n->id, entropy_random, req->csr, sizeof(req->csr)) == HV_OK;
	if (ok) {
		memcpy(req->join_token, n->conf.join_token, sizeof(req->join_token));
		memcpy(req->hostname, n->conf.hostname, sizeof(req->hostname));
		uuid_to_text(machine_id, req->machine_id);
		req->has_node = true;
		schema_encode(&enroll_request_schema, req, NULL, o);
	}
	free(req);
	return ok && !o->overflow;
}

static bool write_renew(struct node *n, struct json_out *o)
{
	struct renew_request *req = calloc(1, sizeof(*req));
	bool ok = req && identity_csr(&n->id, entropy_random, req->csr, sizeof(req->csr)) == HV_OK;

	if (ok)
		schema_encode(&renew_request_schema, req, NULL, o);
	free(req);
	return ok && !o->overflow;
}

static bool needs_renewal(const struct node *n)
{
	return n->is_online && n->id.renew_ms != 0 && wall_ms() >= n->id.renew_ms;
}

static bool make_key(struct node *n)
{
	if (identity_make(&n->id, entropy_random) != HV_OK) {
		log_err("enrol", "no key can be made");
		pace_fail(&n->enrol_pace);
		return false;
	}
	node_keep_key(n);
	return true;
}

bool task_enrol(struct node *n)
{
	struct client_request req = {.method = "POST",
				     .content_type = "application/json",
				     .timeout_ms = TIMEOUT_MS,
				     .done = answered,
				     .arg = n};
	struct json_out o = {.at = body, .cap = sizeof(body)};
	bool is_renewal = needs_renewal(n);

	if ((n->is_online && !is_renewal) || !client_is_idle(&n->report_client) ||
	    !pace_is_due(&n->enrol_pace))
		return false;
	if (n->id.key_len == 0 && !make_key(n))
		return false;
	if (!(is_renewal ? write_renew(n, &o) : write_enroll(n, &o))) {
		log_err("enrol", "no request can be made");
		pace_fail(&n->enrol_pace);
		return false;
	}
	snprintf(req.path, sizeof(req.path), "/agent/v1/%s", is_renewal ? "renew" : "enroll");
	req.body = body;
	req.body_len = o.len;
	client_send(&n->report_client, &req, node_now_ms());
	return true;
}
