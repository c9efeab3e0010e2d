/* SPDX-License-Identifier: Apache-2.0 */
/* The made-up machine, and the reset of everything above it that a test needs. */
#include "tests/unit/support/fake_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/assert.h"
#include "storage/node_slots.h"
#include "vmm/console.h"
#include "vmm/images.h"

struct fake_kept fake_kept;
struct fake_machine fake_machine;

struct vm { /* this machine's own */
	uint32_t handle, state;
	struct ctl_vm_config config;
	struct console console;
	uint64_t run_ns;
};

static enum hv_err create(const struct ctl_vm_config *config, struct vm **out, char why[96])
{
	enum hv_err err = fake_machine.next_create;

	fake_machine.next_create = HV_OK;
	if (err != HV_OK) {
		snprintf(why, 96, "the machine says no");
		return err;
	}
	*out = calloc(1, sizeof(**out));
	(*out)->handle = ++fake_machine.last_vm;
	(*out)->state = CTL_VM_CREATED;
	(*out)->config = *config;
	console_init(&(*out)->console);
	fake_machine.nr_vms++;
	return HV_OK;
}

static bool is_down(const struct vm *vm)
{
	return vm->state != CTL_VM_RUNNING && vm->state != CTL_VM_PAUSED;
}

static enum hv_err start(struct vm *vm, char why[96])
{
	if (!is_down(vm)) {
		snprintf(why, 96, "the VM is up already");
		return HV_EBUSY;
	}
	vm->state = CTL_VM_RUNNING;
	return HV_OK;
}

static enum hv_err pause_vm(struct vm *vm)
{
	if (is_down(vm))
		return HV_EBUSY;
	vm->state = CTL_VM_PAUSED;
	return HV_OK;
}

static enum hv_err resume(struct vm *vm)
{
	if (is_down(vm))
		return HV_EBUSY;
	vm->state = CTL_VM_RUNNING;
	return HV_OK;
}

static enum hv_err power_off(struct vm *vm, bool is_gentle)
{
	if (is_gentle && vm->state == CTL_VM_PAUSED)
		return HV_EBUSY;
	if (!is_gentle && !is_down(vm))
		vm->state = CTL_VM_STOPPED;
	return HV_OK;
}

static enum hv_err reset(struct vm *vm, char why[96])
{
	(void)why;
	vm->state = CTL_VM_RUNNING;
	return HV_OK;
}

static void destroy(struct vm *vm)
{
	ASSERT(is_down(vm));
	fake_machine.nr_vms--;
	free(vm);
}

static void usage(struct vm *vm, struct ctl_usage *out)
{
	*out = (struct ctl_usage){
		.handle = vm->handle,
		.state = vm->state,
		.epoch = vm->config.epoch,
		.nr_vcpus = vm->config.nr_vcpus,
		.mem_mib = vm->config.mem_bytes / MIB,
		.vcpu_run_ns = ++vm->run_ns,
	};
	memcpy(out->uuid, vm->config.uuid, sizeof(out->uuid));
}

static void info(struct vm *vm, struct ctl_vm_info *out)
{
	*out = (struct ctl_vm_info){
		.handle = vm->handle, .state = vm->state, .epoch = vm->config.epoch};
	memcpy(out->uuid, vm->config.uuid, sizeof(out->uuid));
	memcpy(out->name, vm->config.name, sizeof(out->name));
}

static struct console *console(struct vm *vm)
{
	return &vm->console;
}

/* The guest of this machine is an echo. */
static void console_input(struct vm *vm)
{
	uint8_t byte;

	while (console_typed(&vm->console, &byte, 1))
		console_print(&vm->console, &byte, 1);
}

static void agent_alive(void)
{
	fake_machine.nr_alive++;
}

static uint32_t agent_restarts(void)
{
	return fake_machine.nr_restarts;
}

static void node_info(struct ctl_node_info *out)
{
	strcpy(out->version, "fake");
	out->nr_cpus = 2;
}

static uint32_t nics(struct ctl_nic_info *out, uint32_t cap)
{
	if (cap < 2)
		abort();
	strcpy(out[0].driver, "e1000");
	out[0].link_up = 1;
	strcpy(out[1].driver, "igb");
	return 2;
}

static uint32_t disks(struct ctl_disk_info *out, uint32_t cap)
{
	if (cap < 1)
		abort();
	strcpy(out[0].name, "nvme0n1");
	out[0].size_bytes = 1ull << 40;
	out[0].health = CTL_DISK_GOOD;
	return 1;
}

static uint32_t kept_read(void *out, uint32_t cap_bytes)
{
	if (fake_kept.len_bytes > cap_bytes)
		abort();
	memcpy(out, fake_kept.bytes, fake_kept.len_bytes);
	return fake_kept.len_bytes;
}

static void kept_write(const void *bytes, uint32_t len_bytes)
{
	fake_kept.nr_writes++;
	fake_kept.len_bytes = (uint32_t)MIN(len_bytes, sizeof(fake_kept.bytes));
	if (len_bytes > 0)
		memcpy(fake_kept.bytes, bytes, fake_kept.len_bytes);
}

static void node_power(bool is_off)
{
	fake_machine.nr_power++;
	fake_machine.was_power_off = is_off;
}

static uint64_t now_ns(void)
{
	return fake_machine.now_ns;
}

static uint64_t wall_s(void)
{
	return 1700000000;
}

static uint64_t khz(void)
{
	return 2500000;
}

static void random_fill(void *dst, size_t len_bytes)
{
	memset(dst, 0x5a, len_bytes);
}

static size_t read_log(uint64_t *seq, char *dst, size_t cap_bytes)
{
	static const char line[] = "[    0.000000] test: one line\n";
	size_t len = sizeof(line) - 1;

	if (*seq > 0 || cap_bytes < len)
		return 0;
	memcpy(dst, line, len);
	*seq = len;
	return len;
}

static const uint8_t *update_key(void)
{
	return fake_machine.update_key;
}

static void update_status(struct ctl_update_status *out)
{
	memset(out, 0, sizeof(*out));
	out->has_slots = 1;
	out->attempt = fake_machine.attempt;
}

static enum hv_err update_answer(char why[96])
{
	enum hv_err err = fake_machine.next_update;

	fake_machine.next_update = HV_OK;
	if (err != HV_OK)
		snprintf(why, 96, "the slots say no");
	return err;
}

/* This one reads the image at once. */
static enum hv_err update_install(const struct ctl_update_manifest *manifest,
				  const struct node_image *image, char why[96])
{
	enum hv_err err = update_answer(why);
	uint8_t byte;

	if (err != HV_OK)
		return err;
	fake_machine.nr_installs++;
	fake_machine.installed = *manifest;
	ASSERT(image->image.read(image->image.ctx, manifest->size - 1, &byte, 1) == HV_OK);
	image->release(image->image.ctx);
	return HV_OK;
}

static enum hv_err update_try(uint64_t attempt, char why[96])
{
	enum hv_err err = update_answer(why);

	if (err != HV_OK)
		return err;
	fake_machine.nr_tries++;
	fake_machine.attempt = attempt;
	return HV_OK;
}

static enum hv_err update_commit(char why[96])
{
	enum hv_err err = update_answer(why);

	if (err == HV_OK)
		fake_machine.nr_commits++;
	return err;
}

const struct control_ops fake_machine_ops = {
	.vm_create = create,
	.vm_start = start,
	.vm_pause = pause_vm,
	.vm_resume = resume,
	.vm_power_off = power_off,
	.vm_reset = reset,
	.vm_destroy = destroy,
	.vm_usage = usage,
	.vm_info = info,
	.vm_console = console,
	.vm_console_input = console_input,
	.agent_alive = agent_alive,
	.agent_restarts = agent_restarts,
	.node_info = node_info,
	.nics = nics,
	.disks = disks,
	.kept_read = kept_read,
	.kept_write = kept_write,
	.node_power = node_power,
	.update_key = update_key,
	.update_status = update_status,
	.update_install = update_install,
	.update_try = update_try,
	.update_commit = update_commit,
	.now_ns = now_ns,
	.wall_s = wall_s,
	.tsc_khz = khz,
	.random = random_fill,
	.log_read = read_log,
};

enum hv_err fake_machine_ask(uint32_t command, uint64_t arg0, uint64_t arg1, const void *data,
			     uint32_t data_len, struct ctl_reply *reply, void *out, size_t cap)
{
	struct ctl_request req = {
		.version = CTL_ABI_VERSION,
		.command = command,
		.tag = 0x1122334455667788ull + command,
		.arg0 = arg0,
		.arg1 = arg1,
		.data_len = data_len,
	};

	control_handle(NULL, &req, data, reply, out, cap);
	ASSERT(reply->tag == req.tag && reply->data_len <= cap);
	return (enum hv_err)reply->status;
}

/* Through the front door, so that the control queue is left as it leaves itself. */
static void clean_up(void)
{
	static struct ctl_vm_info vms[CTL_VMS_MAX];
	struct ctl_image_info images[CTL_IMAGES_MAX];
	struct fake_kept kept = fake_kept; /* the memory goes, not what is on the disk */
	struct ctl_reply reply;
	uint32_t nr;

	fake_machine_ask(CTL_VM_LIST, 0, 0, NULL, 0, &reply, vms, sizeof(vms));
	nr = (uint32_t)reply.value0;
	for (uint32_t i = 0; i < nr; i++) {
		fake_machine_ask(CTL_VM_DESTROY, vms[i].handle, 0, NULL, 0, &reply, NULL, 0);
		fake_machine_ask(CTL_VM_FORGET, vms[i].handle, 0, NULL, 0, &reply, NULL, 0);
	}
	nr = image_list(images, CTL_IMAGES_MAX);
	for (uint32_t i = 0; i < nr; i++)
		ASSERT(image_delete(images[i].handle) == HV_OK);
	for (uint32_t slot = 0; slot < CTL_STORE_SLOTS; slot++)
		fake_machine_ask(CTL_STORE_WRITE, slot, 0, NULL, 0, &reply, NULL, 0);
	fake_kept = kept;
}

void fake_machine_reset(const void *config, uint64_t config_len, bool allows_test_faults)
{
	static bool was_used;
	struct control_setup setup = {
		.ops = &fake_machine_ops,
		.config = config,
		.config_len = config_len,
		.allows_test_faults = allows_test_faults,
	};

	if (was_used)
		clean_up();
	was_used = true;
	fake_machine = (struct fake_machine){.last_vm = fake_machine.last_vm};
	image_set_budget(16 * MIB);
	control_init(&setup);
}
