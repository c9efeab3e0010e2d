/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue's commands on VMs: which one is meant, and what to say when it cannot be. */
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "vmm/console.h"
#include "vmm/control_priv.h"

static const struct control_ops *ops(void)
{
	return control.setup.ops;
}

static struct registry_row *row_of(struct call *call)
{
	uint64_t handle = call->req->arg0;

	return handle > UINT32_MAX ? NULL : registry_find(&control.registry, (uint32_t)handle);
}

/* The living VM that arg0 names, or NULL with the reply filled. */
static struct vm *vm_of(struct call *call)
{
	struct registry_row *row = row_of(call);

	if (row && row->vm)
		return row->vm;
	control_refuse(call, HV_ENOENT,
		       row ? "handle: VM %llu was destroyed" : "handle: no VM %llu",
		       (unsigned long long)call->req->arg0);
	return NULL;
}

/* What the machine answered; its words when it has some. */
static enum hv_err answer(struct call *call, enum hv_err err, const char *what)
{
	if (err == HV_EBUSY && call->reply->message[0] == 0)
		return control_refuse(call, err, "VM %llu: %s", (unsigned long long)call->req->arg0,
				      what);
	return err;
}

/* A VM with this UUID is or was here: said without doing anything. */
static enum hv_err create_again(struct call *call, const struct registry_row *row)
{
	if (!row->vm)
		return control_refuse(call, HV_EBUSY,
				      "uuid: VM %u was destroyed and has counters to be forgotten",
				      row->handle);
	call->reply->value0 = row->handle;
	return HV_EEXIST;
}

enum hv_err control_vm_create(struct call *call)
{
	static struct ctl_vm_config
		config; /* under the control queue's lock; too large for a stack */
	struct ctl_vm_info info;
	struct registry_row *row;
	struct vm *vm = NULL;
	enum hv_err err;

	memcpy(&config, call->data, sizeof(config));
	err = control_vm_check(call, &config);
	if (err != HV_OK)
		return err;
	row = registry_find_uuid(&control.registry, config.uuid);
	if (row)
		return create_again(call, row);
	if (registry_is_full(&control.registry))
		return control_refuse(call, HV_ENOMEM,
				      "%u VMs and %u destroyed ones to be forgotten fill the table",
				      control.registry.nr_vms, control.registry.nr_tombstones);

	err = ops()->vm_create(&config, &vm, call->reply->message);
	if (err == HV_EEXIST) /* an address in use; here that word would mean this very VM */
		return HV_EBUSY;
	if (err != HV_OK)
		return err;
	ops()->vm_info(vm, &info);
	registry_add(&control.registry, vm, info.handle, config.uuid);
	call->reply->value0 = info.handle;
	log_info("control", "vm %u \"%s\": %u vCPUs, %llu MiB", info.handle, config.name,
		 config.nr_vcpus, (unsigned long long)(config.mem_bytes / MIB));
	return HV_OK;
}

enum hv_err control_vm_start(struct call *call)
{
	struct vm *vm = vm_of(call);

	return vm ? answer(call, ops()->vm_start(vm, call->reply->message), "is running or paused")
		  : HV_ENOENT;
}

enum hv_err control_vm_stop(struct call *call)
{
	struct vm *vm = vm_of(call);

	if (!vm)
		return HV_ENOENT;
	if (call->req->arg1 > 1)
		return control_refuse(call, HV_EINVAL, "arg1: 0 is at once, 1 the power button");
	return answer(call, ops()->vm_power_off(vm, call->req->arg1 == 1), "is paused");
}

enum hv_err control_vm_pause(struct call *call)
{
	struct vm *vm = vm_of(call);

	return vm ? answer(call, ops()->vm_pause(vm), "is not running") : HV_ENOENT;
}

enum hv_err control_vm_resume(struct call *call)
{
	struct vm *vm = vm_of(call);

	return vm ? answer(call, ops()->vm_resume(vm), "is not paused") : HV_ENOENT;
}

enum hv_err control_vm_reset(struct call *call)
{
	struct vm *vm = vm_of(call);

	return vm ? answer(call, ops()->vm_reset(vm, call->reply->message), "cannot be reset now")
		  : HV_ENOENT;
}

/* Stopped first, so that nothing runs between the last reading of its counters and its end. */
enum hv_err control_vm_destroy(struct call *call)
{
	struct registry_row *row = row_of(call);
	struct ctl_usage usage;
	struct ctl_vm_info info;
	struct vm *vm;
	enum hv_err err;

	if (row && !row->vm)
		return HV_OK; /* done before */
	vm = vm_of(call);
	if (!vm)
		return HV_ENOENT;
	err = ops()->vm_power_off(vm, false);
	if (err != HV_OK)
		return answer(call, err, "cannot be stopped now");
	ops()->vm_usage(vm, &usage);
	ops()->vm_info(vm, &info);
	registry_bury(&control.registry, row, &usage, &info);
	ops()->vm_destroy(vm);
	log_info("control", "vm %u: destroyed", info.handle);
	return HV_OK;
}

enum hv_err control_vm_forget(struct call *call)
{
	struct registry_row *row = row_of(call);

	if (!row)
		return control_refuse(call, HV_ENOENT, "handle: no VM %llu",
				      (unsigned long long)call->req->arg0);
	if (row->vm)
		return control_refuse(call, HV_EBUSY, "VM %u: is not destroyed", row->handle);
	registry_forget(&control.registry, row);
	return HV_OK;
}

static uint32_t nr_rows(void)
{
	return control.registry.nr_vms + control.registry.nr_tombstones;
}

enum hv_err control_vm_list(struct call *call)
{
	static struct ctl_vm_info list[CTL_VMS_MAX]; /* under the control queue's lock */

	registry_info(&control.registry, ops()->vm_info, list);
	call->reply->value0 = nr_rows();
	return control_put(call, list, nr_rows() * sizeof(list[0]));
}

enum hv_err control_usage_read(struct call *call)
{
	static struct ctl_usage list[CTL_VMS_MAX]; /* under the control queue's lock */

	registry_usage(&control.registry, ops()->vm_usage, ops()->now_ns(), list);
	call->reply->value0 = nr_rows();
	return control_put(call, list, nr_rows() * sizeof(list[0]));
}

enum hv_err control_console_read(struct call *call)
{
	struct vm *vm = vm_of(call);
	uint64_t offset = call->req->arg1;

	if (!vm)
		return HV_ENOENT;
	call->reply->data_len = (uint32_t)console_read(ops()->vm_console(vm), &offset, call->out,
						       MIN(call->cap, CTL_DATA_MAX));
	call->reply->value0 = offset;
	call->reply->value1 = __atomic_load_n(&ops()->vm_console(vm)->out_end, __ATOMIC_RELAXED);
	return HV_OK;
}

enum hv_err control_console_write(struct call *call)
{
	struct vm *vm = vm_of(call);

	if (!vm)
		return HV_ENOENT;
	call->reply->value0 = console_type(ops()->vm_console(vm), call->data, call->req->data_len);
	ops()->vm_console_input(vm);
	return HV_OK;
}
