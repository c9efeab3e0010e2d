/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node in memory: the control queue's commands (vmm/control_abi.h) for an agent that runs in an
 * emulator without the hypervisor. Its VMs are rows in a table whose console prints a line at each
 * boot and echoes; its images keep only how much of them came. The configuration is the PVH module,
 * the log goes to the serial port, and a gap that the watchdog would have punished is printed.
 *
 * All of it lies in one struct. In a machine with memory at NODE_AT, which the agent does not use,
 * it lies there and outlives a reset, as the real node outlives its agent; "kill the agent" on a
 * console does that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control.h"
#include "agent/port/cpu.h"
#include "agent/port/paging.h"
#include "agent/port/port.h"

#define FAKE_VMS    8u
#define FAKE_IMAGES 8u
#define CONSOLE_CAP 8192u
#define FAKE_WALL_S 1700000000u /* what the RTC would say when there is none */

struct fake_vm {
	struct ctl_vm_info info;
	struct ctl_vm_config config;
	uint64_t since_ns, alloc_ns, created_ns;
	char console[CONSOLE_CAP];
	bool is_forgotten;
};

struct fake_node {
	uint64_t magic;
	uint32_t restarts;
	bool was_killed; /* once: the input comes again, as nobody acknowledged it */
	uint8_t boot_id[16];
	uint64_t uptime_ns; /* before this agent */
	struct fake_vm vms[FAKE_VMS];
	struct ctl_image_info images[FAKE_IMAGES];
	unsigned nr_vms, nr_images;
	uint32_t last_image;
	uint8_t store[CTL_STORE_SLOTS][CTL_STORE_MAX];
	size_t store_len[CTL_STORE_SLOTS];
	uint64_t usage_seq;
};

#define NODE_AT	   (80 * MIB)
#define NODE_MAGIC 0x2165646f6e656b61ull

static struct fake_node *node;
static uint64_t last_call_ns;
static struct ctl_event event_ring[32];
static unsigned event_in, event_out;

static uint64_t uptime_ns(void)
{
	return node->uptime_ns + clock_ns();
}

static bool has_memory(volatile uint64_t *at)
{
	uint64_t before = *at;
	bool holds;

	*at = ~before;
	holds = *at == ~before;
	*at = before;
	return holds;
}

void control_open(void)
{
	node = (struct fake_node *)(uintptr_t)paging_map_device(NODE_AT, sizeof(*node));
	if (!has_memory(&node->magic))
		node = calloc(1, sizeof(*node));
	if (node->magic == NODE_MAGIC) {
		node->restarts++;
	} else {
		memset(node, 0, sizeof(*node));
		node->magic = NODE_MAGIC;
	}
	last_call_ns = clock_ns();
}

uint64_t control_last_call_ns(void)
{
	return last_call_ns;
}

bool control_next_event(struct ctl_event *event)
{
	if (event_in == event_out)
		return false;
	*event = event_ring[event_out++ % ARRAY_SIZE(event_ring)];
	return true;
}

static void raise_event(uint32_t kind, uint32_t vm, uint64_t value)
{
	if (event_in - event_out < ARRAY_SIZE(event_ring))
		event_ring[event_in++ % ARRAY_SIZE(event_ring)] =
			(struct ctl_event){kind, vm, value};
}

static enum hv_err answer(struct control_io *io, const void *bytes, size_t len)
{
	if (len > io->out_cap)
		return HV_ENOMEM;
	if (len > 0)
		memcpy(io->out, bytes, len);
	io->out_len = len;
	return HV_OK;
}

static enum hv_err refuse(struct control_io *io, enum hv_err err, const char *why)
{
	snprintf(io->message, sizeof(io->message), "%s", why);
	return err;
}

/* ---- the node ------------------------------------------------------------------------------- */

static uint8_t rtc_read(uint8_t reg)
{
	uint8_t bcd;

	out8(0x70, reg);
	bcd = in8(0x71);
	return (uint8_t)((bcd >> 4) * 10 + (bcd & 15));
}

/* Days from the civil date, for the years of this century. */
static uint64_t rtc_seconds(void)
{
	static const uint16_t before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	unsigned year = rtc_read(9), month = rtc_read(8), days;

	if (month < 1 || month > 12)
		return FAKE_WALL_S;
	days = year * 365 + (year + 3) / 4 + before[month - 1] + (month > 2 && year % 4 == 0) +
	       rtc_read(7) - 1;
	return 946684800ull + days * 86400ull + rtc_read(4) * 3600u + rtc_read(2) * 60u +
	       rtc_read(0);
}

static enum hv_err hello(struct control_io *io)
{
	struct ctl_hello h = {.abi_version = CTL_ABI_VERSION,
			      .agent_restarts = node->restarts,
			      .uptime_ns = uptime_ns(),
			      .wall_s = rtc_seconds()};
	uint64_t id[2] = {rdtsc() * 0x9e3779b97f4a7c15ull,
			  h.wall_s * 0xbf58476d1ce4e5b9ull ^ rdtsc()};
	size_t len;

	if (node->restarts == 0)
		memcpy(node->boot_id, id, sizeof(node->boot_id));
	memcpy(h.boot_id, node->boot_id, sizeof(h.boot_id));
	port_module(&len);
	h.config_len = len;
	return answer(io, &h, sizeof(h));
}

static enum hv_err node_info(struct control_io *io)
{
	struct ctl_node_info n = {.version = "0.1-test",
				  .cpu_model = "Fake CPU",
				  .virt = "vmx",
				  .mitigations = "ibpb l1d-flush verw",
				  .boot_protocol = "pvh",
				  .machine_id = {0x0b, 0x9f, 0x5d, 0x1e, 0x6f, 0x0a, 0x4c, 0x2e,
						 0x9a, 0x51, 0x3f, 0x4d, 1, 2, 3, 4},
				  .nr_cpus = 2,
				  .tsc_khz = 1000000,
				  .mem_total = 2048 * MIB,
				  .mem_free = 1800 * MIB,
				  .mem_kernel = 64 * MIB,
				  .uptime_ns = uptime_ns()};

	n.nr_vms = node->nr_vms;
	return answer(io, &n, sizeof(n));
}

static enum hv_err nic_list(struct control_io *io)
{
	static const struct ctl_nic_info nic = {.driver = "e1000",
						.location = "00:03.0",
						.mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56},
						.link_up = 1,
						.speed_mbps = 1000};

	io->value0 = 1;
	return answer(io, &nic, sizeof(nic));
}

static enum hv_err config_read(struct control_io *io)
{
	size_t len;
	const char *text = port_module(&len);

	if (io->arg0 > len)
		return HV_EINVAL;
	len = MIN(len - io->arg0, io->out_cap);
	return answer(io, text + io->arg0, len);
}

static enum hv_err log_write(struct control_io *io)
{
	static const char *const levels[] = {"error: ", "warning: ", "", "debug: "};
	char line[320];
	int len = snprintf(line, sizeof(line), "[%5llu.%06llu] agent: %s%.*s\n",
			   clock_ns() / NSEC_PER_SEC, clock_ns() % NSEC_PER_SEC / 1000,
			   io->arg0 < 4 ? levels[io->arg0] : "", (int)io->in_len,
			   (const char *)io->in);

	uart_write(line, MIN((size_t)len, sizeof(line) - 1));
	return HV_OK;
}

static enum hv_err random_bytes(struct control_io *io)
{
	uint64_t word = rdtsc();
	size_t i;

	if (io->arg0 > io->out_cap)
		return HV_EINVAL;
	for (i = 0; i < io->arg0; i++) {
		word = word * 6364136223846793005ull + rdtsc();
		((uint8_t *)io->out)[i] = (uint8_t)(word >> 56);
	}
	io->out_len = io->arg0;
	return HV_OK;
}

static enum hv_err store_read(struct control_io *io)
{
	if (io->arg0 >= CTL_STORE_SLOTS)
		return HV_EINVAL;
	if (node->store_len[io->arg0] == 0)
		return HV_ENOENT;
	return answer(io, node->store[io->arg0], node->store_len[io->arg0]);
}

static enum hv_err store_write(struct control_io *io)
{
	if (io->arg0 >= CTL_STORE_SLOTS || io->in_len > CTL_STORE_MAX)
		return HV_EINVAL;
	memcpy(node->store[io->arg0], io->in, io->in_len);
	node->store_len[io->arg0] = io->in_len;
	return HV_OK;
}

/* ---- images --------------------------------------------------------------------------------- */

static struct ctl_image_info *image_of(uint64_t handle)
{
	unsigned i;

	for (i = 0; i < node->nr_images; i++)
		if (node->images[i].handle == handle)
			return &node->images[i];
	return NULL;
}

static enum hv_err image_create(struct control_io *io)
{
	unsigned i;

	if (io->in_len != 32)
		return HV_EINVAL;
	for (i = 0; i < node->nr_images; i++)
		if (memcmp(node->images[i].sha256, io->in, 32) == 0) {
			io->value0 = node->images[i].handle;
			return HV_EEXIST;
		}
	if (node->nr_images == FAKE_IMAGES)
		return refuse(io, HV_ENOMEM, "the table of images is full");
	node->images[node->nr_images] =
		(struct ctl_image_info){.handle = ++node->last_image, .size = io->arg0};
	memcpy(node->images[node->nr_images].sha256, io->in, 32);
	io->value0 = node->images[node->nr_images++].handle;
	return HV_OK;
}

static enum hv_err image_write(struct control_io *io)
{
	struct ctl_image_info *image = image_of(io->arg0);

	if (!image)
		return HV_ENOENT;
	if (image->is_sealed || io->arg1 != image->written ||
	    io->in_len > image->size - image->written)
		return refuse(io, HV_EINVAL, "image write out of order");
	image->written += io->in_len;
	return HV_OK;
}

static enum hv_err image_seal(struct control_io *io)
{
	struct ctl_image_info *image = image_of(io->arg0);

	if (!image)
		return HV_ENOENT;
	if (image->written != image->size)
		return refuse(io, HV_EBUSY, "the image is not whole");
	image->is_sealed = 1;
	return HV_OK;
}

static enum hv_err image_delete(struct control_io *io)
{
	struct ctl_image_info *image = image_of(io->arg0);

	if (!image)
		return HV_ENOENT;
	*image = node->images[--node->nr_images];
	return HV_OK;
}

/* ---- VMs ------------------------------------------------------------------------------------ */

static struct fake_vm *vm_of(uint64_t handle)
{
	return handle >= 1 && handle <= node->nr_vms && !node->vms[handle - 1].is_forgotten
		       ? &node->vms[handle - 1]
		       : NULL;
}

static void print(struct fake_vm *vm, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		vm->console[vm->info.console_end++ % CONSOLE_CAP] = text[i];
	raise_event(CTL_EVENT_CONSOLE, vm->info.handle, vm->info.console_end);
}

static void enter_state(struct fake_vm *vm, uint32_t state)
{
	uint64_t now = uptime_ns();

	if (vm->info.state == CTL_VM_RUNNING)
		vm->alloc_ns += now - vm->since_ns;
	vm->since_ns = vm->info.state_since_ns = now;
	vm->info.state = state;
	raise_event(CTL_EVENT_VM, vm->info.handle, state);
}

static enum hv_err vm_create(struct control_io *io)
{
	struct ctl_vm_config config;
	struct fake_vm *vm;
	unsigned i;

	if (io->in_len != sizeof(config))
		return HV_EINVAL;
	memcpy(&config, io->in, sizeof(config));
	for (i = 0; i < node->nr_vms; i++)
		if (!node->vms[i].is_forgotten &&
		    memcmp(node->vms[i].config.uuid, config.uuid, 16) == 0) {
			io->value0 = node->vms[i].info.handle;
			return HV_EEXIST;
		}
	if (strcmp(config.name, "toobig") == 0)
		return refuse(io, HV_ENOMEM, "not enough memory: 4096 MiB wanted, 1800 MiB free");
	if (node->nr_vms == FAKE_VMS)
		return HV_ENOMEM;
	vm = &node->vms[node->nr_vms];
	memset(vm, 0, sizeof(*vm));
	vm->config = config;
	vm->info = (struct ctl_vm_info){.handle = node->nr_vms + 1,
					.epoch = config.epoch,
					.mem_bytes = config.mem_bytes,
					.nr_vcpus = config.nr_vcpus};
	memcpy(vm->info.uuid, config.uuid, 16);
	memcpy(vm->info.name, config.name, sizeof(config.name));
	vm->created_ns = uptime_ns();
	node->nr_vms++;
	enter_state(vm, CTL_VM_CREATED);
	io->value0 = vm->info.handle;
	return HV_OK;
}

static enum hv_err boot(struct control_io *io, struct fake_vm *vm)
{
	struct ctl_image_info *kernel = image_of(vm->config.kernel_image);
	char text[128];
	int len;

	if (!kernel || !kernel->is_sealed)
		return refuse(io, HV_EBUSY, "the kernel image is not there");
	vm->info.boots++;
	len = snprintf(text, sizeof(text), "fake guest %s, boot %u\r\n# ", vm->info.name,
		       vm->info.boots);
	print(vm, text, (size_t)len);
	enter_state(vm, CTL_VM_RUNNING);
	return HV_OK;
}

static enum hv_err vm_command(struct control_io *io)
{
	struct fake_vm *vm = vm_of(io->arg0);

	if (!vm)
		return HV_ENOENT;
	switch (io->command) {
	case CTL_VM_START:
		return vm->info.state == CTL_VM_RUNNING ? HV_EEXIST : boot(io, vm);
	case CTL_VM_RESET:
		return boot(io, vm);
	case CTL_VM_STOP:
		enter_state(vm, CTL_VM_STOPPED);
		return HV_OK;
	case CTL_VM_PAUSE:
		enter_state(vm, CTL_VM_PAUSED);
		return HV_OK;
	case CTL_VM_RESUME:
		enter_state(vm, CTL_VM_RUNNING);
		return HV_OK;
	case CTL_VM_DESTROY:
		enter_state(vm, CTL_VM_DESTROYED);
		return HV_OK;
	default: /* CTL_VM_FORGET */
		vm->is_forgotten = true;
		return HV_OK;
	}
}

static enum hv_err vm_list(struct control_io *io)
{
	struct ctl_vm_info *out = io->out;
	unsigned i;

	for (i = 0; i < node->nr_vms; i++) {
		if (node->vms[i].is_forgotten)
			continue;
		if (io->out_len + sizeof(*out) > io->out_cap)
			return HV_ENOMEM;
		out[io->value0++] = node->vms[i].info;
		io->out_len += sizeof(*out);
	}
	return HV_OK;
}

static enum hv_err usage_read(struct control_io *io)
{
	struct ctl_usage *out = io->out;
	uint64_t now = uptime_ns();
	unsigned i;

	for (i = 0; i < node->nr_vms; i++) {
		const struct fake_vm *vm = &node->vms[i];
		uint64_t alloc =
			vm->alloc_ns + (vm->info.state == CTL_VM_RUNNING ? now - vm->since_ns : 0);

		if (vm->is_forgotten)
			continue;
		if (io->out_len + sizeof(*out) > io->out_cap)
			return HV_ENOMEM;
		out[io->value0] =
			(struct ctl_usage){.handle = vm->info.handle,
					   .state = vm->info.state,
					   .seq = ++node->usage_seq,
					   .mono_ns = now,
					   .epoch = vm->info.epoch,
					   .nr_vcpus = vm->info.nr_vcpus,
					   .is_final = vm->info.state == CTL_VM_DESTROYED,
					   .mem_mib = vm->info.mem_bytes / MIB,
					   .vcpu_alloc_ns = alloc * vm->info.nr_vcpus,
					   .vcpu_run_ns = alloc / 10,
					   .mem_mib_ms = (now - vm->created_ns) / NSEC_PER_MSEC *
							 (vm->info.mem_bytes / MIB)};
		if (vm->info.state == CTL_VM_DESTROYED)
			out[io->value0].mem_mib_ms = (vm->since_ns - vm->created_ns) /
						     NSEC_PER_MSEC * (vm->info.mem_bytes / MIB);
		memcpy(out[io->value0++].uuid, vm->info.uuid, 16);
		io->out_len += sizeof(*out);
	}
	return HV_OK;
}

static enum hv_err console_read(struct control_io *io)
{
	struct fake_vm *vm = vm_of(io->arg0);
	uint64_t end, at;
	size_t i;

	if (!vm)
		return HV_ENOENT;
	end = vm->info.console_end;
	at = MIN(io->arg1, end);
	if (end - at > CONSOLE_CAP)
		at = end - CONSOLE_CAP;
	io->value0 = at;
	io->value1 = end;
	io->out_len = MIN((size_t)(end - at), io->out_cap);
	for (i = 0; i < io->out_len; i++)
		((char *)io->out)[i] = vm->console[(at + i) % CONSOLE_CAP];
	return HV_OK;
}

static enum hv_err console_write(struct control_io *io)
{
	struct fake_vm *vm = vm_of(io->arg0);

	if (!vm)
		return HV_ENOENT;
	if (io->in_len > 4 && memcmp(io->in, "kill", 4) == 0 && !node->was_killed) {
		node->was_killed = true;
		node->uptime_ns += clock_ns();
		agent_fail("a test wants it", __FILE__, __LINE__);
	}
	if (io->in_len > 3 && memcmp(io->in, "die", 3) == 0) {
		strcpy(vm->info.reason, "triple fault at rip=0xffffffff81000000");
		enter_state(vm, CTL_VM_CRASHED);
	} else {
		print(vm, io->in, io->in_len);
	}
	io->value0 = io->in_len;
	return HV_OK;
}

/* ---- the table ------------------------------------------------------------------------------ */

static enum hv_err nothing(struct control_io *io)
{
	(void)io;
	return HV_OK;
}

static enum hv_err image_list(struct control_io *io)
{
	io->value0 = node->nr_images;
	return answer(io, node->images, node->nr_images * sizeof(node->images[0]));
}

static enum hv_err (*const commands[])(struct control_io *io) = {
	[CTL_HELLO] = hello,
	[CTL_HEARTBEAT] = nothing,
	[CTL_NODE_INFO] = node_info,
	[CTL_NIC_LIST] = nic_list,
	[CTL_CONFIG_READ] = config_read,
	[CTL_RANDOM] = random_bytes,
	[CTL_STORE_READ] = store_read,
	[CTL_STORE_WRITE] = store_write,
	[CTL_LOG_WRITE] = log_write,
	[CTL_IMAGE_CREATE] = image_create,
	[CTL_IMAGE_WRITE] = image_write,
	[CTL_IMAGE_SEAL] = image_seal,
	[CTL_IMAGE_DELETE] = image_delete,
	[CTL_IMAGE_LIST] = image_list,
	[CTL_VM_CREATE] = vm_create,
	[CTL_VM_START] = vm_command,
	[CTL_VM_STOP] = vm_command,
	[CTL_VM_PAUSE] = vm_command,
	[CTL_VM_RESUME] = vm_command,
	[CTL_VM_RESET] = vm_command,
	[CTL_VM_DESTROY] = vm_command,
	[CTL_VM_FORGET] = vm_command,
	[CTL_VM_LIST] = vm_list,
	[CTL_CONSOLE_READ] = console_read,
	[CTL_CONSOLE_WRITE] = console_write,
	[CTL_USAGE_READ] = usage_read,
};

enum hv_err control_call(struct control_io *io)
{
	uint64_t gap_ms = (clock_ns() - last_call_ns) / NSEC_PER_MSEC;
	char line[64];

	last_call_ns = clock_ns();
	if (gap_ms > CTL_WATCHDOG_MS)
		uart_write(line,
			   (size_t)snprintf(line, sizeof(line),
					    "fake: watchdog, %lu ms without a request\n", gap_ms));
	io->out_len = 0;
	io->value0 = io->value1 = 0;
	io->message[0] = 0;
	if (io->command >= ARRAY_SIZE(commands) || !commands[io->command])
		return refuse(io, HV_ENOTSUP, "no such command");
	return commands[io->command](io);
}
