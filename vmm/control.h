/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue's table of commands (vmm/control_abi.h): every request of the agent is checked
 * here, field by field, before anything is done; the reply says which field was wrong.
 *
 * Pure: the machine below is a table of functions, so that tests and the fuzzer bring their own.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "kernel/log.h"
#include "vmm/control_abi.h"

struct vm;
struct console;
struct node_image;

struct control_ops { /* each as the function of that name in vmm/vm.h, kernel/log.h, kernel/time.h …
		      */
	enum hv_err (*vm_create)(const struct ctl_vm_config *config, struct vm **out, char why[96]);
	enum hv_err (*vm_start)(struct vm *vm, char why[96]);
	enum hv_err (*vm_pause)(struct vm *vm);
	enum hv_err (*vm_resume)(struct vm *vm);
	enum hv_err (*vm_power_off)(struct vm *vm, bool is_gentle);
	enum hv_err (*vm_reset)(struct vm *vm, char why[96]);
	void (*vm_destroy)(struct vm *vm);
	void (*vm_usage)(struct vm *vm, struct ctl_usage *out);
	void (*vm_info)(struct vm *vm, struct ctl_vm_info *out);
	struct console *(*vm_console)(struct vm *vm);
	void (*vm_console_input)(struct vm *vm);

	void (*agent_alive)(void);
	uint32_t (*agent_restarts)(void);

	void (*node_info)(struct ctl_node_info *out);		  /* all but nr_vms */
	uint32_t (*nics)(struct ctl_nic_info *out, uint32_t cap); /* returns how many are filled */
	uint32_t (*disks)(struct ctl_disk_info *out, uint32_t cap);
	void (*node_power)(bool is_off); /* returns only in tests */

	uint32_t (*kept_read)(void *out, uint32_t cap_bytes); /* storage/node_kept.h */
	void (*kept_write)(const void *bytes, uint32_t len_bytes);
	const uint8_t *(*update_key)(void); /* 65 bytes, who may sign releases; NULL: nobody */
	void (*update_status)(struct ctl_update_status *out);
	enum hv_err (*update_install)(const struct ctl_update_manifest *manifest,
				      const struct node_image *image, char why[96]);
	enum hv_err (*update_try)(uint64_t attempt, char why[96]);
	enum hv_err (*update_commit)(char why[96]);

	uint64_t (*now_ns)(void);
	uint64_t (*wall_s)(void);
	uint64_t (*tsc_khz)(void);
	void (*random)(void *dst, size_t len_bytes);
	size_t (*log_read)(uint64_t *seq, char *dst, size_t cap_bytes);
};

extern const struct control_ops control_machine; /* this machine's (vmm/control_machine.c) */

struct control_setup {
	const struct control_ops *ops;
	const void *config; /* the node's configuration file, kept; NULL: none */
	uint64_t config_len;
	bool allows_test_faults; /* the command line has test=1 */
};

/* control_init - before the first request; draws this boot's ID */
void control_init(const struct control_setup *setup);

/*
 * control_handle - carry out one request and fill its reply
 *
 * req, data      a copy that the agent cannot change; req->data_len bytes lie at data
 * reply          wholly overwritten
 * reply_data     reply_cap bytes; reply->data_len of them are filled
 * Context: one request at a time (locked inside); no lock held that comes after the control
 * queue's.
 */
void control_handle(void *ctx, const struct ctl_request *req, const void *data,
		    struct ctl_reply *reply, void *reply_data, size_t reply_cap);

/* control_read_key - a public key from its hexadecimal digits; false when it is none */
bool control_read_key(const char *hex, uint8_t key[65]);

#define CONTROL_VIEW_VMS 24u

struct control_view {		       /* for the screen */
	struct ctl_agent_status agent; /* the last CTL_STATUS_WRITE, printable; or empty */
	uint32_t nr_vms, nr_listed;
	struct ctl_vm_info vms[CONTROL_VIEW_VMS]; /* the first of them */
};

/* control_try_view - false, and out as it was, while a request is served. Any context but NMI. */
bool control_try_view(struct control_view *out);

/*
 * control_agent_mac - the agent's address: always the same on this machine, and another elsewhere
 *
 * mac    left alone on a machine without a NIC, whose address it is made from
 */
void control_agent_mac(uint8_t mac[6]);

#endif
