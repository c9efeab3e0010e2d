/* SPDX-License-Identifier: Apache-2.0 */
/* The node's own software: once a second the slots are looked at, and at most one thing is asked.
 */
#include <string.h>

#include "agent/control.h"
#include "agent/log.h"
#include "agent/node.h"

#define PACE_MS 1000u

static bool read_status(struct ctl_update_status *status)
{
	struct control_io io = {
		.command = CTL_UPDATE_STATUS, .out = status, .out_cap = sizeof(*status)};

	return control_call(&io) == HV_OK && io.out_len >= sizeof(*status);
}

static enum hv_err carry_out(const struct update_step *step, struct control_io *io)
{
	switch (step->action) {
	case UPDATE_DO_INSTALL:
		*io = (struct control_io){.command = CTL_UPDATE_INSTALL,
					  .arg0 = step->image,
					  .in = &step->manifest,
					  .in_len = sizeof(step->manifest)};
		break;
	case UPDATE_DO_TRY:
		*io = (struct control_io){.command = CTL_UPDATE_TRY, .arg0 = step->attempt};
		break;
	default:
		*io = (struct control_io){.command = CTL_UPDATE_COMMIT};
	}
	return control_call(io);
}

static void act(struct node *n, const struct update_step *step)
{
	static const char *const words[] = {[UPDATE_DO_INSTALL] = "install the release",
					    [UPDATE_DO_TRY] = "boot the release",
					    [UPDATE_DO_COMMIT] = "keep the release"};
	struct control_io io;
	enum hv_err err = carry_out(step, &io);

	update_done(&n->update_memory, step, err, io.message);
	if (err == HV_OK)
		log_info("update", "%s: %s", words[step->action], n->update_state.version);
	else if (err != HV_EEXIST && err != HV_EBUSY)
		log_err("update", "cannot %s: %s", words[step->action],
			io.message[0] ? io.message : hv_strerror(err));
}

/* People want to see each step, so each is reported at once. */
static void note_state(struct node *n, const struct node_update *now)
{
	if (n->knows_update && memcmp(now, &n->update_state, sizeof(*now)) == 0)
		return;
	if (now->state == UPDATE_FAILED && n->update_state.state != UPDATE_FAILED)
		log_err("update", "%s failed: %s", now->version, now->error);
	n->update_state = *now;
	n->knows_update = true;
	n->report_urgent = true;
}

bool task_update(struct node *n)
{
	struct ctl_update_status status;
	struct update_facts facts = {.status = &status,
				     .nr_sent = n->nr_reports_sent,
				     .last_accepted = n->last_report_accepted};
	struct update_step step;
	struct node_update now;

	if (!pace_is_due(&n->update_pace))
		return false;
	pace_wait(&n->update_pace, PACE_MS);
	if (!read_status(&status))
		return false;
	if (n->has_desired && n->desired.has_update) {
		facts.wanted = &n->desired.update;
		facts.image = sync_find_image(&n->actual, facts.wanted->sha256);
		facts.image_reason = images_reason(&n->images, facts.wanted->sha256);
	}
	update_next(&n->update_memory, &facts, &step, &now);
	note_state(n, &now);
	if (step.action == UPDATE_DO_NOTHING)
		return false;
	act(n, &step);
	return true;
}
