/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands, the checks that all of them share, and those commands that are about the
 * node itself.
 */
#include "vmm/control_priv.h"

#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log_ring.h"
#include "kernel/memory.h"

#define LOG_TEXT_MAX  160u		    /* bytes of a line of the agent's */
#define LOG_BURST     64u		    /* lines at once */
#define LOG_REFILL_NS (100 * NSEC_PER_MSEC) /* and then one more in each */
#define RANDOM_MAX    256u

struct control control;

enum hv_err control_refuse(struct call *call, enum hv_err err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fmt_v(call->reply->message, sizeof(call->reply->message), format, args);
	va_end(args);
	return err;
}

enum hv_err control_put(struct call *call, const void *bytes, size_t len_bytes)
{
	if (len_bytes > call->cap - call->reply->data_len)
		return control_refuse(call, HV_EINVAL,
				      "reply: %zu bytes do not fit the %zu that there are",
				      len_bytes, call->cap);
	memcpy(call->out + call->reply->data_len, bytes, len_bytes);
	call->reply->data_len += (uint32_t)len_bytes;
	return HV_OK;
}

/* ---- commands about the node ---- */

static enum hv_err hello(struct call *call)
{
	const struct control_ops *ops = control.setup.ops;
	struct ctl_hello hello = {
		.abi_version = CTL_ABI_VERSION,
		.agent_restarts = ops->agent_restarts(),
		.uptime_ns = ops->now_ns(),
		.wall_s = ops->wall_s(),
		.config_len = control.setup.config_len,
		.tsc_khz = (uint32_t)ops->tsc_khz(),
	};

	memcpy(hello.boot_id, control.boot_id, sizeof(hello.boot_id));
	return control_put(call, &hello, sizeof(hello));
}

static enum hv_err heartbeat(struct call *call)
{
	(void)call;
	return HV_OK;
}

static enum hv_err node_info(struct call *call)
{
	struct ctl_node_info info;

	memset(&info, 0, sizeof(info));
	control.setup.ops->node_info(&info);
	info.nr_vms = control.registry.nr_vms;
	return control_put(call, &info, sizeof(info));
}

static enum hv_err nic_list(struct call *call)
{
	struct ctl_nic_info list[CTL_NODE_NICS_MAX];
	uint32_t nr;

	memset(list, 0, sizeof(list));
	nr = control.setup.ops->nics(list, CTL_NODE_NICS_MAX);
	call->reply->value0 = nr;
	return control_put(call, list, nr * sizeof(list[0]));
}

static enum hv_err disk_list(struct call *call)
{
	static struct ctl_disk_info list[CTL_NODE_DISKS_MAX]; /* under the control queue's lock */
	uint32_t nr;

	memset(list, 0, sizeof(list));
	nr = control.setup.ops->disks(list, CTL_NODE_DISKS_MAX);
	call->reply->value0 = nr;
	return control_put(call, list, nr * sizeof(list[0]));
}

static enum hv_err config_read(struct call *call)
{
	uint64_t offset = call->req->arg0, len = control.setup.config_len;

	if (offset > len)
		return control_refuse(call, HV_EINVAL, "offset: %llu is behind the end at %llu",
				      (unsigned long long)offset, (unsigned long long)len);
	if (offset == len)
		return HV_OK;
	return control_put(call, (const uint8_t *)control.setup.config + offset,
			   MIN(MIN(len - offset, call->cap), CTL_DATA_MAX));
}

static enum hv_err log_lines_read(struct call *call)
{
	uint64_t seq = call->req->arg0;

	if (call->cap < LOG_LINE_MAX)
		return control_refuse(call, HV_EINVAL,
				      "reply: there must be room for a line of %u bytes",
				      LOG_LINE_MAX);
	call->reply->data_len = (uint32_t)control.setup.ops->log_read(&seq, (char *)call->out,
								      MIN(call->cap, CTL_DATA_MAX));
	call->reply->value0 = seq;
	return HV_OK;
}

/* An agent that was taken over must not be able to push everybody else's lines out of the log. */
static bool may_log(void)
{
	uint64_t now = control.setup.ops->now_ns();
	uint64_t lines = (now - control.log_refill_ns) / LOG_REFILL_NS;

	control.log_refill_ns += lines * LOG_REFILL_NS;
	control.log_tokens = (uint32_t)MIN(control.log_tokens + lines, LOG_BURST);
	if (control.log_tokens == 0)
		return false;
	control.log_tokens--;
	return true;
}

static enum hv_err log_write(struct call *call)
{
	char text[LOG_TEXT_MAX + 1];
	uint32_t len = call->req->data_len;

	if (call->req->arg0 > LOG_DBG)
		return control_refuse(call, HV_EINVAL, "arg0: %llu is no log level",
				      (unsigned long long)call->req->arg0);
	if (!may_log())
		return control_refuse(call, HV_EBUSY, "too many lines; some may follow later");
	for (uint32_t i = 0; i < len; i++)
		text[i] = call->data[i] < 0x20 || call->data[i] > 0x7e ? '.' : (char)call->data[i];
	text[len] = 0;
	log_line((enum log_level)call->req->arg0, "agent", "%s", text);
	return HV_OK;
}

static enum hv_err random_read(struct call *call)
{
	uint8_t bytes[RANDOM_MAX];
	enum hv_err err;

	if (call->req->arg0 == 0 || call->req->arg0 > RANDOM_MAX)
		return control_refuse(call, HV_EINVAL, "arg0: 1 to %u bytes can be had",
				      RANDOM_MAX);
	control.setup.ops->random(bytes, call->req->arg0);
	err = control_put(call, bytes, call->req->arg0);
	memset(bytes, 0, sizeof(bytes));
	return err;
}

static enum hv_err check_slot(struct call *call)
{
	if (call->req->arg0 >= CTL_STORE_SLOTS)
		return control_refuse(call, HV_EINVAL, "arg0: slots are 0 to %u",
				      CTL_STORE_SLOTS - 1);
	return HV_OK;
}

static enum hv_err store_read(struct call *call)
{
	enum hv_err err = check_slot(call);
	uint64_t slot = call->req->arg0;

	if (err != HV_OK)
		return err;
	if (!control.store[slot].bytes)
		return control_refuse(call, HV_ENOENT, "slot %llu: empty",
				      (unsigned long long)slot);
	return control_put(call, control.store[slot].bytes, control.store[slot].len);
}

static enum hv_err store_write(struct call *call)
{
	enum hv_err err = check_slot(call);
	uint64_t slot = call->req->arg0;
	uint8_t *bytes = NULL;

	if (err != HV_OK)
		return err;
	if (call->req->data_len > 0) {
		bytes = kmem_alloc(call->req->data_len);
		if (!bytes)
			return control_refuse(call, HV_ENOMEM, "slot %llu: no memory for %u bytes",
					      (unsigned long long)slot, call->req->data_len);
		memcpy(bytes, call->data, call->req->data_len);
	}
	if (control.store[slot].bytes) /* keys among them */
		memset(control.store[slot].bytes, 0, control.store[slot].len);
	kmem_free(control.store[slot].bytes);
	control.store[slot].bytes = bytes;
	control.store[slot].len = call->req->data_len;
	if (slot == CTL_STORE_KEPT)
		control.setup.ops->kept_write(bytes, call->req->data_len);
	return HV_OK;
}

/* What the boot disk has kept, as if it had just been written. */
static void load_kept(void)
{
	uint8_t *room = kmem_alloc(CTL_STORE_MAX), *bytes;
	uint32_t len = room ? control.setup.ops->kept_read(room, CTL_STORE_MAX) : 0;

	bytes = len > 0 ? kmem_alloc(len) : NULL;
	if (bytes)
		memcpy(bytes, room, len);
	control.store[CTL_STORE_KEPT].bytes = bytes;
	control.store[CTL_STORE_KEPT].len = bytes ? len : 0;
	if (len > 0)
		memset(room, 0, len); /* keys */
	kmem_free(room);
}

/* For the screen: what a terminal would act on must not get there. */
static void copy_printable(char *dst, size_t cap, const char *src)
{
	size_t len = strnlen(src, cap - 1);

	memset(dst, 0, cap);
	for (size_t i = 0; i < len; i++)
		dst[i] = src[i] >= ' ' && src[i] <= '~' ? src[i] : '?';
}

static enum hv_err status_write(struct call *call)
{
	struct ctl_agent_status said, *kept = &control.agent_status;

	memcpy(&said, call->data, sizeof(said));
	copy_printable(kept->state, sizeof(kept->state), said.state);
	copy_printable(kept->code, sizeof(kept->code), said.code);
	copy_printable(kept->address, sizeof(kept->address), said.address);
	copy_printable(kept->controller, sizeof(kept->controller), said.controller);
	copy_printable(kept->error, sizeof(kept->error), said.error);
	return HV_OK;
}

static enum hv_err node_power(struct call *call)
{
	if (call->req->arg0 > 1)
		return control_refuse(call, HV_EINVAL, "arg0: 0 is reboot, 1 power off");
	log_info("control", "the agent asks for %s", call->req->arg0 ? "power off" : "a reboot");
	control.setup.ops->node_power(call->req->arg0 == 1);
	return HV_OK;
}

static enum hv_err test_fault(struct call *call)
{
	if (!control.setup.allows_test_faults)
		return control_refuse(call, HV_ENOTSUP, "the kernel's command line has no test=1");
	if (call->req->arg0 != 0)
		return control_refuse(call, HV_EINVAL, "arg0: %llu is no fault that is known",
				      (unsigned long long)call->req->arg0);
	control.is_deaf = true;
	control.deaf_restarts = control.setup.ops->agent_restarts();
	return HV_OK;
}

/* A sign of life for the watchdog, unless a test has it look as if there were none. */
static void hear_agent(void)
{
	if (control.is_deaf && control.setup.ops->agent_restarts() == control.deaf_restarts)
		return;
	control.is_deaf = false;
	control.setup.ops->agent_alive();
}

/* ---- the table ---- */

enum args { NO_ARGS, ONE_ARG, TWO_ARGS };

static const struct {
	const char *name;
	enum hv_err (*handle)(struct call *call);
	enum args args; /* the others must be zero */
	uint32_t data_min, data_max;
} commands[] = {
	/* name, handler, arguments, least and most bytes of data */
	[CTL_HELLO] = {"hello", hello, NO_ARGS, 0, 0},
	[CTL_HEARTBEAT] = {"heartbeat", heartbeat, NO_ARGS, 0, 0},
	[CTL_NODE_INFO] = {"node_info", node_info, NO_ARGS, 0, 0},
	[CTL_CONFIG_READ] = {"config_read", config_read, ONE_ARG, 0, 0},
	[CTL_LOG_READ] = {"log_read", log_lines_read, ONE_ARG, 0, 0},
	[CTL_RANDOM] = {"random", random_read, ONE_ARG, 0, 0},
	[CTL_STORE_READ] = {"store_read", store_read, ONE_ARG, 0, 0},
	[CTL_STORE_WRITE] = {"store_write", store_write, ONE_ARG, 0, CTL_STORE_MAX},
	[CTL_LOG_WRITE] = {"log_write", log_write, ONE_ARG, 1, LOG_TEXT_MAX},
	[CTL_NODE_POWER] = {"node_power", node_power, ONE_ARG, 0, 0},
	[CTL_NIC_LIST] = {"nic_list", nic_list, NO_ARGS, 0, 0},
	[CTL_DISK_LIST] = {"disk_list", disk_list, NO_ARGS, 0, 0},
	[CTL_STATUS_WRITE] = {"status_write", status_write, NO_ARGS,
			      sizeof(struct ctl_agent_status), sizeof(struct ctl_agent_status)},

	[CTL_IMAGE_CREATE] = {"image_create", control_image_create, ONE_ARG, 32, 32},
	[CTL_IMAGE_WRITE] = {"image_write", control_image_write, TWO_ARGS, 1, CTL_DATA_MAX},
	[CTL_IMAGE_SEAL] = {"image_seal", control_image_seal, ONE_ARG, 0, 0},
	[CTL_IMAGE_DELETE] = {"image_delete", control_image_delete, ONE_ARG, 0, 0},
	[CTL_IMAGE_LIST] = {"image_list", control_image_list, NO_ARGS, 0, 0},

	[CTL_UPDATE_STATUS] = {"update_status", control_update_status, NO_ARGS, 0, 0},
	[CTL_UPDATE_INSTALL] = {"update_install", control_update_install, ONE_ARG,
				sizeof(struct ctl_update_manifest),
				sizeof(struct ctl_update_manifest)},
	[CTL_UPDATE_TRY] = {"update_try", control_update_try, ONE_ARG, 0, 0},
	[CTL_UPDATE_COMMIT] = {"update_commit", control_update_commit, NO_ARGS, 0, 0},

	[CTL_VM_CREATE] = {"vm_create", control_vm_create, NO_ARGS, sizeof(struct ctl_vm_config),
			   sizeof(struct ctl_vm_config)},
	[CTL_VM_START] = {"vm_start", control_vm_start, ONE_ARG, 0, 0},
	[CTL_VM_STOP] = {"vm_stop", control_vm_stop, TWO_ARGS, 0, 0},
	[CTL_VM_PAUSE] = {"vm_pause", control_vm_pause, ONE_ARG, 0, 0},
	[CTL_VM_RESUME] = {"vm_resume", control_vm_resume, ONE_ARG, 0, 0},
	[CTL_VM_RESET] = {"vm_reset", control_vm_reset, ONE_ARG, 0, 0},
	[CTL_VM_DESTROY] = {"vm_destroy", control_vm_destroy, ONE_ARG, 0, 0},
	[CTL_VM_FORGET] = {"vm_forget", control_vm_forget, ONE_ARG, 0, 0},
	[CTL_VM_LIST] = {"vm_list", control_vm_list, NO_ARGS, 0, 0},

	[CTL_CONSOLE_READ] = {"console_read", control_console_read, TWO_ARGS, 0, 0},
	[CTL_CONSOLE_WRITE] = {"console_write", control_console_write, ONE_ARG, 1, CTL_DATA_MAX},

	[CTL_USAGE_READ] = {"usage_read", control_usage_read, NO_ARGS, 0, 0},
	[CTL_TEST_FAULT] = {"test_fault", test_fault, ONE_ARG, 0, 0},
};

static enum hv_err check_shape(struct call *call)
{
	const struct ctl_request *req = call->req;
	uint32_t command = req->command;

	if (req->version != CTL_ABI_VERSION)
		return control_refuse(call, HV_ENOTSUP, "version: %u, this kernel speaks %u",
				      req->version, CTL_ABI_VERSION);
	if (command >= ARRAY_SIZE(commands) || !commands[command].handle)
		return control_refuse(call, HV_ENOTSUP, "command: %u is unknown", command);
	if (req->reserved != 0)
		return control_refuse(call, HV_EINVAL, "%s: reserved: not zero",
				      commands[command].name);
	if ((commands[command].args < TWO_ARGS && req->arg1 != 0) ||
	    (commands[command].args < ONE_ARG && req->arg0 != 0))
		return control_refuse(call, HV_EINVAL,
				      "%s: an argument that it does not take is not zero",
				      commands[command].name);
	if (req->data_len < commands[command].data_min ||
	    req->data_len > commands[command].data_max)
		return control_refuse(call, HV_EINVAL, "%s: data_len: %u is not %u to %u",
				      commands[command].name, req->data_len,
				      commands[command].data_min, commands[command].data_max);
	return HV_OK;
}

static enum hv_err serve(struct call *call)
{
	enum hv_err err = check_shape(call);

	if (err != HV_OK)
		return err;
	err = commands[call->req->command].handle(call);
	if (err == HV_OK)
		memset(call->reply->message, 0, sizeof(call->reply->message));
	else if (call->reply->message[0] == 0)
		control_refuse(call, err, "%s: %s", commands[call->req->command].name,
			       hv_strerror(err));
	return err;
}

/* Off a boot disk the file comes with the zeros that are behind it there. */
static uint64_t config_end(const char *config, uint64_t len)
{
	while (len > 0 && config[len - 1] == 0)
		len--;
	return len;
}

void control_init(const struct control_setup *setup)
{
	control.setup = *setup;
	control.setup.config_len = config_end(setup->config, setup->config_len);
	control.log_tokens = LOG_BURST;
	control.log_refill_ns = setup->ops->now_ns();
	setup->ops->random(control.boot_id, sizeof(control.boot_id));
	load_kept();
}

void control_handle(void *ctx, const struct ctl_request *req, const void *data,
		    struct ctl_reply *reply, void *reply_data, size_t reply_cap)
{
	struct call call = {
		.req = req, .data = data, .reply = reply, .out = reply_data, .cap = reply_cap};

	(void)ctx;
	memset(reply, 0, sizeof(*reply));
	reply->tag = req->tag;
	lock_take(&control.lock);
	hear_agent();
	reply->status = serve(&call);
	if (reply->status != HV_OK)
		reply->data_len = 0;
	lock_release(&control.lock);
}

bool control_try_view(struct control_view *out)
{
	if (!lock_try(&control.lock))
		return false;
	memset(out, 0, sizeof(*out));
	out->agent = control.agent_status;
	out->nr_vms = control.registry.nr_vms;
	for (uint32_t i = 0, seen = 0;
	     seen < out->nr_vms && out->nr_listed < CONTROL_VIEW_VMS && i < CTL_VMS_MAX; i++) {
		struct vm *vm = control.registry.rows[i].vm;

		if (!vm)
			continue;
		seen++;
		control.setup.ops->vm_info(vm, &out->vms[out->nr_listed++]);
	}
	lock_release(&control.lock);
	return true;
}
