/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side of the node: reading what is, doing what sync wants, keeping what must survive.
 */
#include "agent/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control.h"
#include "agent/entropy.h"
#include "agent/log.h"
#include "agent/port/port.h"
#include "agent/report.h"
#include "agent/tls.h"
#include "agent/wall.h"

#define CONF_MAX       65536u
#define ACTIONS_A_TURN 8u /* then the network has its turn */

uint64_t node_now_ms(void)
{
	return clock_ns() / NSEC_PER_MSEC;
}

uint64_t node_uptime_ns(const struct node *n)
{
	return n->hello.uptime_ns + (clock_ns() - n->hello_ns);
}

void pace_wait(struct pace *p, uint32_t wait_ms)
{
	p->next_ms = node_now_ms() + wait_ms;
}

void pace_fail(struct pace *p)
{
	pace_wait(p, backoff_fail(&p->backoff, agent_random32()));
}

/* ---- the store ------------------------------------------------------------------------------ */

static void store(uint32_t slot, const void *bytes, size_t len)
{
	struct control_io io = {
		.command = CTL_STORE_WRITE, .arg0 = slot, .in = bytes, .in_len = len};

	if (control_call(&io) != HV_OK)
		log_warn("store", "slot %u is not kept: %s", (unsigned)slot, io.message);
}

static size_t load(uint32_t slot, void *bytes, size_t cap)
{
	struct control_io io = {
		.command = CTL_STORE_READ, .arg0 = slot, .out = bytes, .out_cap = cap};

	return control_call(&io) == HV_OK ? io.out_len : 0;
}

/* A document too large for its slots is not kept: it comes again from the controller. */
static void store_desired(const char *json, size_t len)
{
	uint32_t slot;
	size_t n;

	if (len > (SLOT_DESIRED_END - SLOT_DESIRED) * (size_t)CTL_STORE_MAX)
		len = 0;
	for (slot = SLOT_DESIRED; slot < SLOT_DESIRED_END; slot++) {
		n = MIN(len, (size_t)CTL_STORE_MAX);
		store(slot, json, n);
		json += n;
		len -= n;
	}
}

static bool decode_desired(struct node *n, const char *json, size_t len, struct proto_error *err)
{
	return schema_decode(&desired_schema, json, len, (struct proto_scratch){0}, &n->incoming,
			     err) == PROTO_OK &&
	       message_check_desired(&n->incoming, n->id.node_id, err) == PROTO_OK;
}

static void swap_desired(struct node *n)
{
	struct desired old = n->desired;

	n->desired = n->incoming;
	n->incoming = old;
	n->has_desired = true;
}

static void load_desired(struct node *n)
{
	char *json = malloc((SLOT_DESIRED_END - SLOT_DESIRED) * (size_t)CTL_STORE_MAX);
	struct proto_error err;
	size_t len = 0, got;
	uint32_t slot;

	for (slot = SLOT_DESIRED; json && slot < SLOT_DESIRED_END; slot++) {
		got = load(slot, json + len, CTL_STORE_MAX);
		len += got;
		if (got < CTL_STORE_MAX)
			break;
	}
	if (len > 0 && decode_desired(n, json, len, &err)) {
		swap_desired(n);
		log_info("store", "desired state of generation %lu kept",
			 (unsigned long)n->desired.generation);
	}
	free(json);
}

static void load_identity(struct node *n)
{
	static_assert((int)SLOT_IDENTITY == (int)CTL_STORE_KEPT, "it outlives the machine");

	struct identity *kept = malloc(CTL_STORE_MAX);
	size_t len = kept ? load(SLOT_IDENTITY, kept, CTL_STORE_MAX) : 0;

	if (len == 0 || identity_load(&n->id, kept, len) != HV_OK)
		memset(&n->id, 0, sizeof(n->id));
	free(kept);
	if (!identity_is_enrolled(&n->id))
		return;
	if (n->id.expires_ms != 0 && wall_ms() >= n->id.expires_ms)
		node_drop_identity(n, "the stored certificate has expired");
	else if (tls_set_identity(n->id.certificate, n->id.key, n->id.key_len) == HV_OK)
		n->is_online = true;
	else
		node_drop_identity(n, "the stored certificate cannot be read");
}

static void load_memory(struct node *n)
{
	static_assert(sizeof(struct sync_memory) <= CTL_STORE_MAX, "one slot");

	if (load(SLOT_MEMORY, &n->memory, sizeof(n->memory)) != sizeof(n->memory))
		memset(&n->memory, 0, sizeof(n->memory));
	n->stored_memory = n->memory;
}

static void store_memory(struct node *n)
{
	if (memcmp(&n->memory, &n->stored_memory, sizeof(n->memory)) == 0)
		return;
	n->stored_memory = n->memory;
	store(SLOT_MEMORY, &n->memory, sizeof(n->memory));
}

static void close_connections(struct node *n)
{
	client_close(&n->desired_client);
	client_close(&n->report_client);
	client_close(&n->bulk_client);
	client_close(&n->input_client);
}

void node_keep_key(const struct node *n)
{
	store(SLOT_IDENTITY, &n->id, sizeof(n->id));
}

void node_save_identity(struct node *n)
{
	store(SLOT_IDENTITY, &n->id, sizeof(n->id));
	close_connections(n);
	n->is_online = tls_set_identity(n->id.certificate, n->id.key, n->id.key_len) == HV_OK;
	if (!n->is_online)
		node_drop_identity(n, "the certificate that the controller issued cannot be read");
}

void node_drop_identity(struct node *n, const char *why)
{
	log_warn("enrol", "enrolling anew: %s", why);
	memset(&n->id, 0, sizeof(n->id));
	store(SLOT_IDENTITY, NULL, 0);
	close_connections(n);
	n->is_online = false;
	n->has_desired = false; /* it was another node's; its VMs run on until the new one has its
				   document */
	n->memory.generation = 0;
	pace_fail(&n->enrol_pace);
}

void node_accept_desired(struct node *n, const char *json, size_t len_bytes)
{
	swap_desired(n);
	store_desired(json, len_bytes);
	n->is_stale = true;
}

/* ---- events --------------------------------------------------------------------------------- */

void node_add_event(struct node *n, enum event_level level, const char *vm, const char *code,
		    const char *message)
{
	struct report_event *e;

	if (n->nr_events == EVENTS_MAX) { /* the oldest goes */
		memmove(&n->events[0], &n->events[1], (EVENTS_MAX - 1) * sizeof(n->events[0]));
		n->nr_events--;
	}
	e = &n->events[n->nr_events++];
	memset(e, 0, sizeof(*e));
	memcpy(e->boot_id, n->boot_id, sizeof(e->boot_id));
	e->wall_ms = wall_ms();
	e->level = level;
	snprintf(e->vm, sizeof(e->vm), "%s", vm);
	snprintf(e->code, sizeof(e->code), "%s", code);
	snprintf(e->message, sizeof(e->message), "%s", message);
	n->report_urgent = true;
}

/* ---- images: the kernel's side --------------------------------------------------------------- */

static struct control_io image_io;

static enum hv_err image_call(const char **why)
{
	enum hv_err err = control_call(&image_io);

	*why = image_io.message;
	return err;
}

static enum hv_err image_create(void *arg, uint64_t size, const uint8_t sha256[32],
				uint32_t *handle, const char **why)
{
	enum hv_err err;

	(void)arg;
	image_io = (struct control_io){
		.command = CTL_IMAGE_CREATE, .arg0 = size, .in = sha256, .in_len = 32};
	err = image_call(why);
	*handle = (uint32_t)image_io.value0;
	return err;
}

static enum hv_err image_write(void *arg, uint32_t handle, uint64_t offset, const void *bytes,
			       size_t len, const char **why)
{
	(void)arg;
	image_io = (struct control_io){.command = CTL_IMAGE_WRITE,
				       .arg0 = handle,
				       .arg1 = offset,
				       .in = bytes,
				       .in_len = len};
	return image_call(why);
}

static enum hv_err image_seal(void *arg, uint32_t handle, const char **why)
{
	struct node *n = arg;

	image_io = (struct control_io){.command = CTL_IMAGE_SEAL, .arg0 = handle};
	n->is_stale = true;
	return image_call(why);
}

static void image_drop(void *arg, uint32_t handle)
{
	struct node *n = arg;
	const char *why;

	image_io = (struct control_io){.command = CTL_IMAGE_DELETE, .arg0 = handle};
	if (image_call(&why) != HV_OK)
		log_warn("images", "image %u cannot be deleted: %s", (unsigned)handle, why);
	n->is_stale = true;
	n->report_urgent = true;
}

static const struct images_ops images_ops = {image_create, image_write, image_seal, image_drop};

/* ---- start ---------------------------------------------------------------------------------- */

static size_t read_config(char *text, size_t cap)
{
	struct control_io io = {.command = CTL_CONFIG_READ};
	size_t len = 0;

	do {
		io.arg0 = len;
		io.out = text + len;
		io.out_cap = MIN(cap - len, (size_t)CTL_DATA_MAX);
		if (io.out_cap == 0 || control_call(&io) != HV_OK)
			break;
		len += io.out_len;
	} while (io.out_len > 0);
	return len;
}

static bool load_config(struct node *n)
{
	char *text = malloc(CONF_MAX);
	struct conf_error err;
	bool ok;

	if (!text || n->hello.config_len == 0) {
		log_err("conf", "this node has no configuration file (docs/node-conf.md)");
		return false;
	}
	ok = conf_parse(text, read_config(text, CONF_MAX), &n->conf, &err) == HV_OK;
	if (!ok && err.line > 0)
		log_err("conf", "line %u: %s", err.line, err.message);
	else if (!ok)
		log_err("conf", "%s", err.message);
	free(text);
	return ok;
}

static bool allocate(struct node *n)
{
	struct desired *docs[] = {&n->desired, &n->incoming};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(docs); i++) {
		docs[i]->vms.at = calloc(PROTO_VMS_MAX, sizeof(struct desired_vm));
		docs[i]->vms.cap = PROTO_VMS_MAX;
		docs[i]->images.at = calloc(PROTO_IMAGES_MAX, sizeof(struct desired_image));
		docs[i]->images.cap = PROTO_IMAGES_MAX;
		if (!docs[i]->vms.at || !docs[i]->images.at)
			return false;
	}
	return client_init(&n->desired_client, "desired", n->conf.host, n->conf.port) &&
	       client_init(&n->report_client, "report", n->conf.host, n->conf.port) &&
	       client_init(&n->bulk_client, "bulk", n->conf.host, n->conf.port) &&
	       client_init(&n->input_client, "input", n->conf.host, n->conf.port);
}

bool node_init(struct node *n)
{
	struct control_io io = {
		.command = CTL_HELLO, .out = &n->hello, .out_cap = sizeof(n->hello)};

	if (control_call(&io) != HV_OK || io.out_len < sizeof(n->hello) ||
	    n->hello.abi_version != CTL_ABI_VERSION)
		agent_fail("the kernel speaks another version of the control queue", __FILE__,
			   __LINE__);
	n->hello_ns = clock_ns();
	wall_set(n->hello.wall_s * 1000, WALL_RTC);
	uuid_to_text(n->hello.boot_id, n->boot_id);
	if (!load_config(n))
		return false;
	if (tls_setup(n->conf.ca) != HV_OK) {
		log_err("conf", "the CA certificate cannot be read");
		return false;
	}
	if (!allocate(n))
		agent_fail("not enough memory", __FILE__, __LINE__);
	usage_init(&n->usage, n->boot_id);
	images_init(&n->images, &images_ops, n);
	load_identity(n);
	load_memory(n);
	if (n->is_online)
		load_desired(n);
	n->is_stale = true;
	n->poll_afresh = true;
	return true;
}

/* A list of the kernel's; how many entries came. */
static uint32_t list_devices(uint32_t command, void *out, size_t cap, size_t entry)
{
	struct control_io io = {.command = command, .out = out, .out_cap = cap};

	return control_call(&io) == HV_OK ? (uint32_t)(io.out_len / entry) : 0;
}

bool node_describe(const struct node *n, struct node_info *info, uint8_t machine_id[16])
{
	static struct ctl_node_info raw;
	static struct ctl_nic_info nics[CTL_NODE_NICS_MAX];
	static struct ctl_disk_info disks[CTL_NODE_DISKS_MAX];
	struct control_io io = {.command = CTL_NODE_INFO, .out = &raw, .out_cap = sizeof(raw)};

	if (control_call(&io) != HV_OK || io.out_len < sizeof(raw))
		return false;
	report_node(&raw, n->conf.hostname, info);
	report_nics(nics, list_devices(CTL_NIC_LIST, nics, sizeof(nics), sizeof(nics[0])), info);
	report_disks(disks, list_devices(CTL_DISK_LIST, disks, sizeof(disks), sizeof(disks[0])),
		     info);
	info->update = n->update_state;
	info->has_update = n->knows_update;
	if (machine_id)
		memcpy(machine_id, raw.machine_id, sizeof(raw.machine_id));
	return true;
}

/* ---- the work ------------------------------------------------------------------------------- */

/* A start that failed was told when it did. */
static bool is_told(const struct node *n, const struct ctl_vm_info *vm, const char *reason)
{
	const struct sync_vm *slot = sync_find(&n->memory, vm->uuid);

	return slot && slot->retry_ms != 0 && strcmp(slot->reason, reason) == 0;
}

static void note_change(struct node *n, const struct ctl_vm_info *vm)
{
	char id[UUID_TEXT_MAX], reason[sizeof(vm->reason) + 1];

	n->report_urgent = true;
	usage_hurry(&n->usage);
	if (vm->state != CTL_VM_CRASHED)
		return;
	uuid_to_text(vm->uuid, id);
	snprintf(reason, sizeof(reason), "%.*s", (int)sizeof(vm->reason), vm->reason);
	if (is_told(n, vm, reason))
		return;
	log_warn("sync", "VM %s crashed: %s", id, reason);
	node_add_event(n, EVENT_ERROR, id, "vm_crashed", reason);
}

static void compare(struct node *n, const struct ctl_vm_info *before, uint32_t nr_before)
{
	uint32_t i, j;

	for (i = 0; i < n->actual.nr_vms; i++) {
		for (j = 0; j < nr_before && before[j].handle != n->vms[i].handle; j++)
			;
		if (j == nr_before || before[j].state != n->vms[i].state ||
		    before[j].boots != n->vms[i].boots)
			note_change(n, &n->vms[i]);
	}
}

static void read_actual(struct node *n)
{
	static struct ctl_vm_info before[CTL_VMS_MAX];
	uint32_t nr_before = n->actual.nr_vms;
	struct control_io vms = {.command = CTL_VM_LIST,
				 .out = n->vms,
				 .out_cap = MIN(sizeof(n->vms), CTL_DATA_MAX)};
	struct control_io images = {.command = CTL_IMAGE_LIST,
				    .out = n->images_there,
				    .out_cap = sizeof(n->images_there)};

	memcpy(before, n->vms, nr_before * sizeof(before[0]));
	if (control_call(&vms) != HV_OK || control_call(&images) != HV_OK) {
		log_err("sync", "the kernel does not list its VMs: %s%s", vms.message,
			images.message);
		return;
	}
	n->actual = (struct sync_actual){
		.vms = n->vms,
		.nr_vms = (uint32_t)MIN(vms.value0, vms.out_len / sizeof(n->vms[0])),
		.images = n->images_there,
		.nr_images =
			(uint32_t)MIN(images.value0, images.out_len / sizeof(n->images_there[0])),
	};
	n->is_stale = false;
	compare(n, before, nr_before);
}

static const char *const kind_names[] = {
	[SYNC_NOTHING] = "nothing",
	[SYNC_DESTROY] = "destroy",
	[SYNC_IMAGE_DELETE] = "delete image",
	[SYNC_CREATE] = "create",
	[SYNC_START] = "start",
	[SYNC_STOP] = "stop",
	[SYNC_PAUSE] = "pause",
	[SYNC_RESUME] = "resume",
	[SYNC_RESET] = "reset",
};

static const uint32_t kind_commands[] = {
	[SYNC_DESTROY] = CTL_VM_DESTROY, [SYNC_IMAGE_DELETE] = CTL_IMAGE_DELETE,
	[SYNC_CREATE] = CTL_VM_CREATE,	 [SYNC_START] = CTL_VM_START,
	[SYNC_STOP] = CTL_VM_STOP,	 [SYNC_PAUSE] = CTL_VM_PAUSE,
	[SYNC_RESUME] = CTL_VM_RESUME,	 [SYNC_RESET] = CTL_VM_RESET,
};

static void act(struct node *n, const struct sync_action *action)
{
	struct control_io io = {.command = kind_commands[action->kind], .arg0 = action->handle};
	char id[UUID_TEXT_MAX] = "";
	enum hv_err err;

	if (action->kind == SYNC_CREATE) {
		io.in = &action->config;
		io.in_len = sizeof(action->config);
	}
	err = control_call(&io);
	if (action->kind != SYNC_IMAGE_DELETE)
		uuid_to_text(n->memory.vms[action->slot].uuid, id);
	sync_done(&n->memory, &n->desired, action, err, io.message, node_now_ms(), wall_ms());
	if (err == HV_EAGAIN)
		return; /* its memory is being cleared, piece by piece */
	if (sync_is_done(action, err)) {
		log_info("sync", "%s %s", kind_names[action->kind], id);
	} else {
		log_err("sync", "%s %s: %s", kind_names[action->kind], id,
			io.message[0] ? io.message : hv_strerror(err));
		if (id[0])
			node_add_event(n, EVENT_ERROR, id, "vm_failed", io.message);
	}
	n->report_urgent = true;
	n->is_stale = true;
}

/* Returns true when there was something to do. */
static bool sync_step(struct node *n)
{
	struct sync_action action;

	n->actual.now_ms = node_now_ms();
	n->actual.wall_ms = wall_ms();
	sync_next(&n->memory, &n->desired, &n->actual, &action);
	if (action.kind == SYNC_NOTHING)
		return false;
	act(n, &action);
	return true;
}

static void take_usage(struct node *n)
{
	static struct ctl_usage rows[CTL_VMS_MAX];
	struct control_io io = {
		.command = CTL_USAGE_READ, .out = rows, .out_cap = MIN(sizeof(rows), CTL_DATA_MAX)};

	if (!usage_is_due(&n->usage, node_now_ms()))
		return;
	if (control_call(&io) != HV_OK) {
		log_err("usage", "the kernel does not tell its counters: %s", io.message);
		return;
	}
	if (usage_take(&n->usage, rows, (uint32_t)MIN(io.value0, io.out_len / sizeof(rows[0])),
		       node_uptime_ns(n), wall_ms(), node_now_ms()))
		n->report_urgent = true;
}

static void forget_vms(struct node *n)
{
	struct control_io io = {.command = CTL_VM_FORGET};
	uint32_t handle;

	while (usage_next_forget(&n->usage, &handle)) {
		io.arg0 = handle;
		(void)control_call(&io); /* one that stays is reported, and forgotten, once more */
		n->is_stale = true;
	}
}

void node_console_end(struct node *n, uint32_t handle, uint64_t end)
{
	for (uint32_t i = 0; i < n->actual.nr_vms; i++)
		if (n->vms[i].handle == handle)
			n->vms[i].console_end = MAX(n->vms[i].console_end, end);
}

static void take_events(struct node *n)
{
	struct ctl_event event;

	while (control_next_event(&event)) {
		if (event.kind == CTL_EVENT_VM)
			n->is_stale = true;
		if (event.kind == CTL_EVENT_CONSOLE)
			node_console_end(n, event.vm, event.value);
	}
}

void node_work(struct node *n)
{
	unsigned i;

	take_events(n);
	forget_vms(n);
	for (i = 0; i < ACTIONS_A_TURN; i++) {
		if (n->is_stale)
			read_actual(n);
		if (!n->has_desired || n->is_stale || !sync_step(n))
			break;
	}
	store_memory(n);
	take_usage(n);
	if (n->has_desired)
		console_update(&n->console, &n->desired, &n->actual, &n->memory);
}
