/* SPDX-License-Identifier: Apache-2.0 */
/* What the control queue's files share: the state under its lock, one request being served. */
#ifndef VMM_CONTROL_PRIV_H
#define VMM_CONTROL_PRIV_H

#include "kernel/lib/lock.h"
#include "vmm/control.h"
#include "vmm/registry.h"

struct control {
	struct lock lock; /* guards all of this; held while a request is served */
	struct control_setup setup;
	uint8_t boot_id[16];
	struct registry registry;
	struct {
		uint8_t *bytes; /* NULL: empty */
		uint32_t len;
	} store[CTL_STORE_SLOTS];
	struct ctl_agent_status agent_status; /* printable, every text ended */
	bool is_deaf;		/* a test wants the agent reset: its signs of life do not count … */
	uint32_t deaf_restarts; /* … until it has been reset more often than this */
	uint32_t log_tokens;	/* lines that the agent may still write */
	uint64_t log_refill_ns;
};

extern struct control control;

struct call {
	const struct ctl_request *req;
	const uint8_t *data;
	struct ctl_reply *reply;
	uint8_t *out; /* cap bytes, of which reply->data_len are filled */
	size_t cap;
};

/* control_refuse - say why in the reply; returns err */
enum hv_err control_refuse(struct call *call, enum hv_err err, const char *format, ...)
	PRINTF(3, 4);

/* control_put - bytes behind the reply. HV_EINVAL when the agent left too little room for them. */
MUST_CHECK enum hv_err control_put(struct call *call, const void *bytes, size_t len_bytes);

/* Handlers beside those of control.c: vmm/control_vm.c, vmm/control_image.c, vmm/control_update.c.
 */
enum hv_err control_vm_create(struct call *call);
enum hv_err control_vm_start(struct call *call);
enum hv_err control_vm_stop(struct call *call);
enum hv_err control_vm_pause(struct call *call);
enum hv_err control_vm_resume(struct call *call);
enum hv_err control_vm_reset(struct call *call);
enum hv_err control_vm_destroy(struct call *call);
enum hv_err control_vm_forget(struct call *call);
enum hv_err control_vm_list(struct call *call);
enum hv_err control_usage_read(struct call *call);
enum hv_err control_console_read(struct call *call);
enum hv_err control_console_write(struct call *call);
enum hv_err control_image_create(struct call *call);
enum hv_err control_image_write(struct call *call);
enum hv_err control_image_seal(struct call *call);
enum hv_err control_image_delete(struct call *call);
enum hv_err control_image_list(struct call *call);
enum hv_err control_update_status(struct call *call);
enum hv_err control_update_install(struct call *call);
enum hv_err control_update_try(struct call *call);
enum hv_err control_update_commit(struct call *call);

/* control_vm_check - every field of a config that can be judged without this machine */
MUST_CHECK enum hv_err control_vm_check(struct call *call, const struct ctl_vm_config *config);

#endif
