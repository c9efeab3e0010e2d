/* SPDX-License-Identifier: Apache-2.0 */
/* Few enough rows to be looked through one by one: nothing here is on a guest's path. */
#include "vmm/registry.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

struct registry_row *registry_find(struct registry *r, uint32_t handle)
{
	for (uint32_t i = 0; i < CTL_VMS_MAX; i++)
		if (handle != 0 && r->rows[i].handle == handle)
			return &r->rows[i];
	return NULL;
}

struct registry_row *registry_find_uuid(struct registry *r, const uint8_t uuid[16])
{
	for (uint32_t i = 0; i < CTL_VMS_MAX; i++)
		if (r->rows[i].handle != 0 && memcmp(r->rows[i].uuid, uuid, 16) == 0)
			return &r->rows[i];
	return NULL;
}

static struct registry_row *free_row(struct registry *r)
{
	for (uint32_t i = 0; i < CTL_VMS_MAX; i++)
		if (r->rows[i].handle == 0)
			return &r->rows[i];
	return NULL;
}

void registry_add(struct registry *r, struct vm *vm, uint32_t handle, const uint8_t uuid[16])
{
	struct registry_row *row = free_row(r);

	ASSERT(row && vm && handle != 0 && !registry_find(r, handle) &&
	       !registry_find_uuid(r, uuid));
	row->handle = handle;
	row->vm = vm;
	memcpy(row->uuid, uuid, sizeof(row->uuid));
	r->nr_vms++;
}

void registry_bury(struct registry *r, struct registry_row *row, const struct ctl_usage *usage,
		   const struct ctl_vm_info *info)
{
	ASSERT(row->vm);
	row->vm = NULL;
	row->last_usage = *usage;
	row->last_usage.state = CTL_VM_DESTROYED;
	row->last_usage.is_final = 1;
	row->last_info = *info;
	row->last_info.state = CTL_VM_DESTROYED;
	r->nr_vms--;
	r->nr_tombstones++;
}

void registry_forget(struct registry *r, struct registry_row *row)
{
	ASSERT(row->handle != 0 && !row->vm);
	memset(row, 0, sizeof(*row));
	r->nr_tombstones--;
}

void registry_usage(struct registry *r, void (*read)(struct vm *vm, struct ctl_usage *out),
		    uint64_t mono_ns, struct ctl_usage *out)
{
	for (uint32_t i = 0; i < CTL_VMS_MAX; i++) {
		const struct registry_row *row = &r->rows[i];

		if (row->handle == 0)
			continue;
		if (row->vm)
			read(row->vm, out);
		else
			*out = row->last_usage;
		out->seq = ++r->last_seq;
		out->mono_ns = mono_ns;
		out++;
	}
}

void registry_info(struct registry *r, void (*read)(struct vm *vm, struct ctl_vm_info *out),
		   struct ctl_vm_info *out)
{
	for (uint32_t i = 0; i < CTL_VMS_MAX; i++) {
		const struct registry_row *row = &r->rows[i];

		if (row->handle == 0)
			continue;
		if (row->vm)
			read(row->vm, out);
		else
			*out = row->last_info;
		out++;
	}
}
