/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Desired against actual. sync_next() looks at both and names one thing to do; the caller does it
 * by the control queue, tells sync_done() how it went, reads the actual state anew and asks again,
 * until there is nothing. So the same document applied twice does nothing, and a command that was
 * lost is found missing and given again.
 *
 * A VM that fails is left alone for a while, or until the document changes, and holds up no other.
 * What must be remembered of a VM beyond what the kernel knows (the restart that was applied, who
 * stopped it) is one struct sync_vm each, plain data that the agent keeps across its own resets.
 *
 *                    ┌────────── epoch changed, or not in the document: DESTROY ─────────────┐
 *   absent ─CREATE─▶ CREATED ─START─▶ RUNNING ◀─RESUME/PAUSE─▶ PAUSED                         ▼
 *                       ▲                │ STOP (desired), guest powers off, crashes      DESTROYED
 *                       └─── START ──── STOPPED, CRASHED    (START when stopped by us,    until its
 * usage or when restart has grown)   is acknowledged
 */
#ifndef AGENT_SYNC_H
#define AGENT_SYNC_H

#include "agent/protocol/messages.h"
#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "vmm/control_abi.h"

#define SYNC_RETRY_MS 30000u

struct sync_vm {
	uint8_t uuid[16];
	uint64_t restart;    /* applied */
	uint64_t stream;     /* of the console: wall clock in ms when the VM was created */
	uint64_t retry_ms;   /* after a failure: not before; 0: none */
	uint64_t generation; /* in which it failed */
	uint64_t since_ns,
		since_ms; /* when its state began: uptime, and the same by the wall clock, once */
	uint32_t is_used, is_held; /* held: stopped because that was desired */
	char reason[96];	   /* of the failure */
};

struct sync_memory {		  /* survives the agent's resets */
	uint64_t generation;	  /* applied wholly, as far as VMs did not fail */
	uint64_t images_retry_ms; /* an image could not be deleted: none is tried before */
	uint32_t turn;		  /* whose VM's turn it is, where they take turns: HV_EAGAIN */
	struct sync_vm vms[CTL_VMS_MAX];
};

struct sync_actual {
	const struct ctl_vm_info *vms;
	uint32_t nr_vms;
	const struct ctl_image_info *images;
	uint32_t nr_images;
	uint64_t now_ms, wall_ms;
};

enum sync_kind {
	SYNC_NOTHING,
	SYNC_DESTROY,
	SYNC_IMAGE_DELETE,
	SYNC_CREATE,
	SYNC_START,
	SYNC_STOP,
	SYNC_PAUSE,
	SYNC_RESUME,
	SYNC_RESET,
};

struct sync_action {
	enum sync_kind kind;
	uint32_t handle; /* of the VM or image; none for CREATE */
	uint32_t slot;	 /* in memory->vms; none for IMAGE_DELETE */
	uint64_t restart;
	struct ctl_vm_config config; /* for CREATE */
};

/* sync_next - the next thing to do; memory is changed only as far as slots are given and taken back
 */
void sync_next(struct sync_memory *memory, const struct desired *desired,
	       const struct sync_actual *actual, struct sync_action *action);

/* sync_done - how it went; HV_EEXIST, and HV_ENOENT for what shall go, are successes. After
 * HV_EAGAIN it is another VM's turn, if there is one with something to do. */
void sync_done(struct sync_memory *memory, const struct desired *desired,
	       const struct sync_action *action, enum hv_err err, const char *message,
	       uint64_t now_ms, uint64_t wall_ms);

/* sync_is_done - whether this answer means that what was wanted is so */
bool sync_is_done(const struct sync_action *action, enum hv_err err);

/* sync_find - what is remembered of a VM; NULL: nothing */
const struct sync_vm *sync_find(const struct sync_memory *memory, const uint8_t uuid[16]);

/*
 * sync_report - the states of the desired VMs, for a report
 *
 * image_reason  asked why an image is not there yet; NULL or "" while it is only on its way
 */
typedef const char *sync_image_reason_fn(void *arg, const char *sha256);
uint32_t sync_report(struct sync_memory *memory, const struct desired *desired,
		     const struct sync_actual *actual, uint64_t uptime_ns,
		     sync_image_reason_fn *image_reason, void *arg, struct report_vm *out,
		     uint32_t cap);

/* sync_find_image - by its SHA-256 in text; NULL: the node does not have it */
const struct ctl_image_info *sync_find_image(const struct sync_actual *actual, const char *sha256);

#endif
