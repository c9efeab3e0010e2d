/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every question is asked of the slots anew, so a node that lost power in the middle goes on from
 * what is on its disk. Before it reboots, the node reports once more: usage is with the controller
 * then, and people see why the node goes away.
 */
#include "agent/update.h"

#include <stdio.h>
#include <string.h>

#include "agent/report.h"

static bool is_release(const uint8_t sha256[32], uint64_t size, const struct desired_update *wanted)
{
	char text[SHA256_TEXT_MAX];

	hex_to_text(sha256, 32, text);
	return size == wanted->size && strcmp(text, wanted->sha256) == 0;
}

static void begin_attempt(struct update_memory *m, const struct desired_update *wanted)
{
	if (m->attempt == wanted->attempt && strcmp(m->sha256, wanted->sha256) == 0)
		return;
	memset(m, 0, sizeof(*m));
	m->attempt = wanted->attempt;
	memcpy(m->sha256, wanted->sha256, sizeof(m->sha256));
}

static void fail(struct node_update *out, const char *why)
{
	out->state = UPDATE_FAILED;
	snprintf(out->error, sizeof(out->error), "%s", why);
}

/* The manifest as the release's key signed it. */
static bool make_manifest(const struct desired_update *wanted, struct ctl_update_manifest *out)
{
	static_assert(sizeof(wanted->version) <= sizeof(out->version), "the version fits");

	memset(out, 0, sizeof(*out));
	memcpy(out->magic, CTL_UPDATE_MAGIC, sizeof(out->magic));
	memcpy(out->version, wanted->version, strlen(wanted->version));
	out->size = wanted->size;
	return hex_from_text(wanted->sha256, out->sha256, sizeof(out->sha256)) &&
	       hex_from_text(wanted->signature, out->signature, sizeof(out->signature));
}

static void install(const struct update_facts *f, struct update_step *step, struct node_update *out)
{
	out->state = UPDATE_FETCHING;
	if (f->image_reason)
		snprintf(out->error, sizeof(out->error), "%s", f->image_reason);
	if (!f->image || !f->image->is_sealed)
		return;
	if (!make_manifest(f->wanted, &step->manifest)) {
		fail(out, "the release's hash or signature cannot be read");
		return;
	}
	out->error[0] = 0;
	out->state = UPDATE_INSTALLING;
	step->action = UPDATE_DO_INSTALL;
	step->image = f->image->handle;
}

/* Once the controller has the last report. */
static void leave(struct update_memory *m, const struct update_facts *f, struct update_step *step,
		  struct node_update *out)
{
	out->state = UPDATE_REBOOTING;
	if (!m->is_leaving) {
		m->is_leaving = true;
		m->leaving_after = f->nr_sent;
	}
	if (f->last_accepted > m->leaving_after) {
		step->action = UPDATE_DO_TRY;
		step->attempt = f->wanted->attempt;
	}
}

static void look_at_other_slot(struct update_memory *m, const struct update_facts *f,
			       struct update_step *step, struct node_update *out)
{
	const struct ctl_update_status *s = f->status;
	uint32_t other = s->running == 0;
	bool is_there = is_release(s->slots[other].sha256, s->slots[other].size, f->wanted);

	if (s->slots[other].state == CTL_SLOT_WRITING) {
		out->state = UPDATE_INSTALLING;
	} else if (is_there && s->slots[other].state == CTL_SLOT_TRIED &&
		   s->attempt >= f->wanted->attempt) {
		fail(out, "it was booted and did not reach the controller in time; the release "
			  "before it runs again");
	} else if (is_there && (s->slots[other].state == CTL_SLOT_WHOLE ||
				s->slots[other].state == CTL_SLOT_GOOD)) {
		leave(m, f, step, out);
	} else if (m->is_installing) {
		fail(out, s->error[0] ? s->error : "the slot was not written");
	} else {
		install(f, step, out);
	}
}

void update_next(struct update_memory *memory, const struct update_facts *facts,
		 struct update_step *step, struct node_update *out)
{
	const struct ctl_update_status *s = facts->status;
	const struct desired_update *wanted = facts->wanted;
	bool is_trial = s->has_slots && s->is_trial;

	memset(step, 0, sizeof(*step));
	memset(out, 0, sizeof(*out));
	if (s->has_slots)
		snprintf(out->slot, sizeof(out->slot), "%c", s->running == 0 ? 'a' : 'b');
	if (is_trial && facts->last_accepted > 0)
		step->action = UPDATE_DO_COMMIT;
	out->state = is_trial ? UPDATE_TRIAL : UPDATE_NONE;
	if (!wanted)
		return;

	begin_attempt(memory, wanted);
	out->attempt = wanted->attempt;
	memcpy(out->version, wanted->version, sizeof(out->version));
	if (!s->has_slots) {
		out->state = UPDATE_UNSUPPORTED;
		snprintf(out->error, sizeof(out->error),
			 "the node was booted from something without slots; see docs/updates.md");
	} else if (is_release(s->slots[s->running & 1].sha256, s->slots[s->running & 1].size,
			      wanted)) {
		out->state = is_trial ? UPDATE_TRIAL : UPDATE_DONE;
	} else if (is_trial) {
		out->state = UPDATE_FETCHING; /* once this one is committed, or gone */
	} else if (memory->is_failed) {
		fail(out, memory->reason);
	} else {
		look_at_other_slot(memory, facts, step, out);
	}
}

void update_done(struct update_memory *memory, const struct update_step *step, enum hv_err err,
		 const char *why)
{
	if (step->action == UPDATE_DO_INSTALL && (err == HV_OK || err == HV_EEXIST))
		memory->is_installing = true;
	else if (err != HV_OK && err != HV_EEXIST && err != HV_EBUSY &&
		 step->action != UPDATE_DO_COMMIT) {
		memory->is_failed = true;
		snprintf(memory->reason, sizeof(memory->reason), "%s",
			 why && why[0] ? why : hv_strerror(err));
	}
}
