/* SPDX-License-Identifier: Apache-2.0 */
/* Console input: a long poll for one session, short polls in turn when there are several. */
#include <stdio.h>
#include <string.h>

#include "agent/control.h"
#include "agent/log.h"
#include "agent/node.h"

#define WAIT_S	     50u
#define WAIT_TURN_S  1u
#define TIMEOUT_MS   65000u
#define FULL_WAIT_MS 50u /* the guest takes no more just now */

static struct console_session *asking;
static char asking_session[ID_TEXT_MAX];
static bool asking_long;

/* Gives the guest what it takes; the rest is asked for again. */
static void give(struct node *n, const char *bytes, size_t len)
{
	struct control_io io = {
		.command = CTL_CONSOLE_WRITE, .arg0 = asking->handle, .in = bytes, .in_len = len};

	if (len == 0)
		return;
	if (control_call(&io) != HV_OK) {
		log_warn("console", "input is lost: %s", io.message);
		asking->in_offset += len;
		return;
	}
	asking->in_offset += MIN(io.value0, len);
	if (io.value0 < len)
		pace_wait(&n->input_pace, FULL_WAIT_MS);
}

static void answered(void *arg, const struct client_result *result)
{
	uint64_t offset = result->reader->has_offset ? result->reader->offset : asking->in_offset;
	struct node *n = arg;
	size_t skip;

	if (result->status == 0 || result->status >= 500) {
		pace_fail(&n->input_pace);
		return;
	}
	backoff_reset(&n->input_pace.backoff);
	if (!console_is_for(asking, asking_session))
		return;
	skip = console_take_input(asking, result->status, offset, result->body_len);
	give(n, result->body + skip, MIN(result->body_len - skip, (size_t)CTL_DATA_MAX));
}

/* A long poll for a session that ended, or while others wait for their turn, must not hold up
 * these. */
static bool is_in_the_way(const struct node *n)
{
	return !console_is_for(asking, asking_session) ||
	       (asking_long && console_nr_inputs(&n->console) > 1);
}

bool task_input(struct node *n)
{
	struct client_request req = {
		.method = "GET", .timeout_ms = TIMEOUT_MS, .done = answered, .arg = n};

	if (!n->is_online || !pace_is_due(&n->input_pace))
		return false;
	if (!client_is_idle(&n->input_client)) {
		if (is_in_the_way(n))
			client_close(&n->input_client);
		return false;
	}
	asking = console_next_input(&n->console);
	if (!asking)
		return false;
	asking_long = console_nr_inputs(&n->console) == 1;
	memcpy(asking_session, asking->session, sizeof(asking_session));
	console_input_path(asking, asking_long ? WAIT_S : WAIT_TURN_S, req.path);
	client_send(&n->input_client, &req, node_now_ms());
	return true;
}
