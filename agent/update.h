/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The update of the node's own software. update_next() looks at what the controller wants and at
 * the boot disk's two slots, and names one thing to do; it also says how far the update has come.
 * The kernel checks the signature and writes the slot; nothing here is trusted with more than
 * asking.
 *
 *   FETCHING ─ image there ─► INSTALLING ─ slot whole ─► REBOOTING ─► TRIAL ─ a report accepted ─►
 * DONE │                                    │ └── refused, disk error ─► FAILED ◄──┘ not healthy in
 * time: the old one
 *
 * Pure. What must be remembered beyond what the slots tell is struct update_memory; when the agent
 * loses it, a step is taken once more, which does no harm.
 */
#ifndef AGENT_UPDATE_H
#define AGENT_UPDATE_H

#include "agent/protocol/messages.h"
#include "agent/sync.h"
#include "vmm/control_abi.h"

struct update_memory {
	char sha256[SHA256_TEXT_MAX]; /* of the attempt that the rest is about */
	uint64_t attempt;
	bool is_installing;	/* asked for, and accepted */
	bool is_failed;		/* with reason */
	bool is_leaving;	/* the next report is the last one before the reboot */
	uint64_t leaving_after; /* its number must be greater than this */
	char reason[128];
};

enum update_action { UPDATE_DO_NOTHING, UPDATE_DO_INSTALL, UPDATE_DO_TRY, UPDATE_DO_COMMIT };

struct update_step {
	enum update_action action;
	uint32_t image;			     /* for INSTALL: its handle */
	uint64_t attempt;		     /* for TRY */
	struct ctl_update_manifest manifest; /* for INSTALL */
};

struct update_facts {
	const struct desired_update *wanted; /* NULL: none */
	const struct ctl_update_status *status;
	const struct ctl_image_info
		*image;		  /* the wanted one on this node, sealed or not; NULL: none */
	const char *image_reason; /* why it is not there yet; NULL: it is on its way */
	uint64_t nr_sent, last_accepted; /* numbers of reports of this agent; 0: none */
};

/* update_next - the next thing to do, and the state as the controller is told it */
void update_next(struct update_memory *memory, const struct update_facts *facts,
		 struct update_step *step, struct node_update *out);

/* update_done - how it went; why is the kernel's message */
void update_done(struct update_memory *memory, const struct update_step *step, enum hv_err err,
		 const char *why);

#endif
