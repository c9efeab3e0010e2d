/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMs of this boot, by handle and by UUID. One that was destroyed stays as a tombstone with its
 * last counters until the agent has brought them home and has it forgotten; so a full table of
 * those refuses new VMs rather than lose what somebody owes.
 *
 * Pure; the caller holds a lock. The agent's own VM is not in here.
 */
#ifndef VMM_REGISTRY_H
#define VMM_REGISTRY_H

#include "kernel/lib/types.h"
#include "vmm/control_abi.h"

struct vm;

struct registry_row {
	uint32_t handle; /* 0: free */
	uint8_t uuid[16];
	struct vm *vm;		     /* NULL: a tombstone */
	struct ctl_usage last_usage; /* a tombstone's */
	struct ctl_vm_info last_info;
};

struct registry {
	uint64_t last_seq; /* of usage records in this boot */
	uint32_t nr_vms, nr_tombstones;
	struct registry_row rows[CTL_VMS_MAX];
};

static inline bool registry_is_full(const struct registry *r)
{
	return r->nr_vms + r->nr_tombstones == CTL_VMS_MAX;
}

struct registry_row *registry_find(struct registry *r, uint32_t handle); /* NULL: none */
struct registry_row *registry_find_uuid(struct registry *r, const uint8_t uuid[16]);

/* registry_add - keep a VM; there is room, and neither handle nor UUID is in the table */
void registry_add(struct registry *r, struct vm *vm, uint32_t handle, const uint8_t uuid[16]);

/* registry_bury - the VM of this row is about to go; from now on these are its last words */
void registry_bury(struct registry *r, struct registry_row *row, const struct ctl_usage *usage,
		   const struct ctl_vm_info *info);

/* registry_forget - a tombstone is not needed any more */
void registry_forget(struct registry *r, struct registry_row *row);

/*
 * One record for every row, in no order that means anything: nr_vms + nr_tombstones of them.
 * read    fills in what a living VM has to say
 */
void registry_usage(struct registry *r, void (*read)(struct vm *vm, struct ctl_usage *out),
		    uint64_t mono_ns, struct ctl_usage *out);
void registry_info(struct registry *r, void (*read)(struct vm *vm, struct ctl_vm_info *out),
		   struct ctl_vm_info *out);

#endif
