/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order: what must go, goes first (its memory may be needed); then images that nothing wants;
 * then each desired VM takes one step at a time.
 */
#include "agent/sync.h"

#include <stdio.h>
#include <string.h>

#include "agent/report.h"
#include "kernel/lib/assert.h"

static uint32_t network_id(const char *name)
{
	(void)name; /* a node has one network yet, "default" */
	return 0;
}

static const struct desired_vm *desired_vms(const struct desired *d)
{
	return d->vms.at;
}

static const struct desired_vm *find_desired(const struct desired *d, const uint8_t uuid[16])
{
	char text[UUID_TEXT_MAX];
	uint32_t i;

	uuid_to_text(uuid, text);
	for (i = 0; i < d->vms.nr; i++)
		if (strcmp(desired_vms(d)[i].id, text) == 0)
			return &desired_vms(d)[i];
	return NULL;
}

static const struct ctl_vm_info *find_actual(const struct sync_actual *a, const uint8_t uuid[16])
{
	uint32_t i;

	for (i = 0; i < a->nr_vms; i++)
		if (memcmp(a->vms[i].uuid, uuid, 16) == 0)
			return &a->vms[i];
	return NULL;
}

static struct sync_vm *find_slot(struct sync_memory *memory, const uint8_t uuid[16])
{
	uint32_t i;

	for (i = 0; i < CTL_VMS_MAX; i++)
		if (memory->vms[i].is_used && memcmp(memory->vms[i].uuid, uuid, 16) == 0)
			return &memory->vms[i];
	return NULL;
}

const struct sync_vm *sync_find(const struct sync_memory *memory, const uint8_t uuid[16])
{
	return find_slot((struct sync_memory *)(uintptr_t)memory, uuid);
}

const struct ctl_image_info *sync_find_image(const struct sync_actual *actual, const char *sha256)
{
	uint8_t hash[32];
	uint32_t i;

	if (!hex_from_text(sha256, hash, sizeof(hash)))
		return NULL;
	for (i = 0; i < actual->nr_images; i++)
		if (memcmp(actual->images[i].sha256, hash, sizeof(hash)) == 0)
			return &actual->images[i];
	return NULL;
}

static bool is_alive(const struct ctl_vm_info *vm)
{
	return vm && vm->state != CTL_VM_DESTROYED;
}

/* Slots of VMs that are neither desired nor there are free again. */
static void forget_gone(struct sync_memory *m, const struct desired *d, const struct sync_actual *a)
{
	uint32_t i;

	for (i = 0; i < CTL_VMS_MAX; i++)
		if (m->vms[i].is_used && !find_desired(d, m->vms[i].uuid) &&
		    !find_actual(a, m->vms[i].uuid))
			memset(&m->vms[i], 0, sizeof(m->vms[i]));
}

/* The VM's slot; a VM that is there but not remembered is taken to be as it is desired. */
static struct sync_vm *slot_of(struct sync_memory *m, const uint8_t uuid[16], uint64_t restart)
{
	struct sync_vm *slot = find_slot(m, uuid);
	uint32_t i;

	for (i = 0; !slot && i < CTL_VMS_MAX; i++) {
		if (m->vms[i].is_used)
			continue;
		slot = &m->vms[i];
		memset(slot, 0, sizeof(*slot));
		slot->is_used = 1;
		slot->restart = restart;
		memcpy(slot->uuid, uuid, 16);
	}
	return slot;
}

static bool is_waiting(const struct sync_vm *slot, const struct desired *d, uint64_t now_ms)
{
	return slot->retry_ms != 0 && slot->generation == d->generation && now_ms < slot->retry_ms;
}

static bool destroy_one(struct sync_memory *m, const struct desired *d, const struct sync_actual *a,
			struct sync_action *action)
{
	const struct desired_vm *want;
	struct sync_vm *slot;
	uint32_t i;

	for (i = 0; i < a->nr_vms; i++) {
		want = find_desired(d, a->vms[i].uuid);
		if (!is_alive(&a->vms[i]) || (want && want->epoch == a->vms[i].epoch))
			continue;
		slot = slot_of(m, a->vms[i].uuid, 0);
		if (!slot || is_waiting(slot, d, a->now_ms))
			continue;
		action->kind = SYNC_DESTROY;
		action->handle = a->vms[i].handle;
		action->slot = (uint32_t)(slot - m->vms);
		return true;
	}
	return false;
}

static bool is_listed(const struct desired *d, const struct ctl_image_info *image)
{
	const struct desired_image *images = d->images.at;
	char text[SHA256_TEXT_MAX];
	uint32_t i;

	hex_to_text(image->sha256, sizeof(image->sha256), text);
	for (i = 0; i < d->images.nr; i++)
		if (strcmp(images[i].sha256, text) == 0)
			return true;
	return false;
}

static bool delete_one_image(const struct sync_memory *m, const struct desired *d,
			     const struct sync_actual *a, struct sync_action *action)
{
	uint32_t i;

	if (a->now_ms < m->images_retry_ms)
		return false;
	for (i = 0; i < a->nr_images; i++) {
		if (a->images[i].users > 0 || is_listed(d, &a->images[i]))
			continue;
		action->kind = SYNC_IMAGE_DELETE;
		action->handle = a->images[i].handle;
		return true;
	}
	return false;
}

static uint32_t sealed_handle(const struct sync_actual *a, const char *sha256)
{
	const struct ctl_image_info *image = sync_find_image(a, sha256);

	return image && image->is_sealed ? image->handle : 0;
}

_Static_assert(PROTO_TSC_KHZ_MIN == CTL_TSC_KHZ_MIN && PROTO_TSC_KHZ_MAX == CTL_TSC_KHZ_MAX &&
		       PROTO_TSC_PPM_MAX == CTL_TSC_PPM_MAX,
	       "what the controller lets pass, and by what it chooses a node");

static bool fill_config(const struct desired_vm *want, const struct sync_actual *a,
			struct ctl_vm_config *config)
{
	uint32_t i;

	memset(config, 0, sizeof(*config));
	config->kernel_image = sealed_handle(a, want->boot.kernel);
	config->initrd_image = want->boot.initrd[0] ? sealed_handle(a, want->boot.initrd) : 0;
	if (config->kernel_image == 0 || (want->boot.initrd[0] && config->initrd_image == 0))
		return false;
	if (!uuid_from_text(want->id, config->uuid))
		return false;
	snprintf(config->name, sizeof(config->name), "%s", want->name);
	snprintf(config->cmdline, sizeof(config->cmdline), "%s", want->boot.cmdline);
	config->mem_bytes = ALIGN_UP(want->memory_mib, 2) * MIB;
	config->nr_vcpus = want->vcpus;
	config->weight = want->weight;
	config->cap_percent = want->cap_percent;
	config->tsc_khz = want->tsc_khz;
	config->boot_kind = CTL_BOOT_LINUX;
	config->epoch = want->epoch;
	config->nr_nics = want->nr_nics;
	for (i = 0; i < want->nr_nics; i++) {
		if (!mac_from_text(want->nics[i].mac, config->nics[i].mac))
			return false;
		config->nics[i].network = network_id(want->nics[i].network);
	}
	return true;
}

static enum sync_kind towards_running(const struct desired_vm *want, const struct sync_vm *slot,
				      uint32_t state)
{
	bool is_restart = want->restart > slot->restart;

	switch (state) {
	case CTL_VM_CREATED:
		return SYNC_START;
	case CTL_VM_RUNNING:
		return is_restart ? SYNC_RESET : SYNC_NOTHING;
	case CTL_VM_PAUSED:
		return is_restart ? SYNC_RESET : SYNC_RESUME;
	case CTL_VM_STOPPED:
	case CTL_VM_CRASHED:
		return is_restart || slot->is_held ? SYNC_START : SYNC_NOTHING;
	default:
		return SYNC_NOTHING;
	}
}

static enum sync_kind towards_paused(const struct desired_vm *want, const struct sync_vm *slot,
				     uint32_t state)
{
	if (state == CTL_VM_PAUSED && want->restart <= slot->restart)
		return SYNC_NOTHING;
	if (state == CTL_VM_RUNNING && want->restart <= slot->restart)
		return SYNC_PAUSE;
	return towards_running(want, slot, state); /* by way of running */
}

static enum sync_kind next_step(const struct desired_vm *want, const struct sync_vm *slot,
				uint32_t state)
{
	switch (want->state) {
	case VM_DESIRED_RUNNING:
		return towards_running(want, slot, state);
	case VM_DESIRED_PAUSED:
		return towards_paused(want, slot, state);
	default:
		return state == CTL_VM_RUNNING || state == CTL_VM_PAUSED ? SYNC_STOP : SYNC_NOTHING;
	}
}

/* One step for one VM that the document wants. */
static bool step_vm(struct sync_memory *m, const struct desired *d, const struct desired_vm *want,
		    const struct sync_actual *a, struct sync_action *action)
{
	const struct ctl_vm_info *vm;
	struct sync_vm *slot;
	uint8_t uuid[16];

	if (!uuid_from_text(want->id, uuid))
		return false;
	vm = find_actual(a, uuid);
	slot = slot_of(m, uuid, want->restart);
	if (!slot || is_waiting(slot, d, a->now_ms) || (vm && !is_alive(vm)))
		return false;
	action->slot = (uint32_t)(slot - m->vms);
	action->restart = want->restart;
	action->handle = vm ? vm->handle : 0;
	if (!vm) {
		if (want->state == VM_DESIRED_STOPPED || !fill_config(want, a, &action->config))
			return false;
		action->kind = SYNC_CREATE;
		return true;
	}
	action->kind = next_step(want, slot, vm->state);
	if (action->kind == SYNC_NOTHING && !slot->retry_ms)
		slot->reason[0] = 0; /* of something that is not wanted any more */
	return action->kind != SYNC_NOTHING;
}

void sync_next(struct sync_memory *memory, const struct desired *desired,
	       const struct sync_actual *actual, struct sync_action *action)
{
	uint32_t i, nr = desired->vms.nr;

	memset(action, 0, sizeof(*action));
	forget_gone(memory, desired, actual);
	if (destroy_one(memory, desired, actual, action) ||
	    delete_one_image(memory, desired, actual, action))
		return;
	for (i = 0; i < nr; i++)
		if (step_vm(memory, desired, &desired_vms(desired)[(memory->turn + i) % nr], actual,
			    action))
			return;
	action->kind = SYNC_NOTHING;
	memory->generation = desired->generation;
}

bool sync_is_done(const struct sync_action *action, enum hv_err err)
{
	bool is_removal = action->kind == SYNC_DESTROY || action->kind == SYNC_IMAGE_DELETE;

	return err == HV_OK || err == HV_EEXIST || (err == HV_ENOENT && is_removal);
}

void sync_done(struct sync_memory *memory, const struct desired *desired,
	       const struct sync_action *action, enum hv_err err, const char *message,
	       uint64_t now_ms, uint64_t wall_ms)
{
	struct sync_vm *slot = &memory->vms[action->slot];

	ASSERT(action->slot < CTL_VMS_MAX);
	if (action->kind == SYNC_IMAGE_DELETE) {
		memory->images_retry_ms = sync_is_done(action, err) ? 0 : now_ms + SYNC_RETRY_MS;
		return;
	}
	if (err == HV_EAGAIN) {
		snprintf(slot->reason, sizeof(slot->reason), "%s", message);
		memory->turn++;
		return;
	}
	if (!sync_is_done(action, err)) {
		slot->retry_ms = now_ms + SYNC_RETRY_MS;
		slot->generation = desired->generation;
		snprintf(slot->reason, sizeof(slot->reason), "%s",
			 message[0] ? message : hv_strerror(err));
		return;
	}
	slot->retry_ms = 0;
	slot->reason[0] = 0;
	if (action->kind == SYNC_CREATE)
		slot->stream = wall_ms;
	if (action->kind == SYNC_CREATE || action->kind == SYNC_START || action->kind == SYNC_RESET)
		slot->restart = action->restart;
	if (action->kind == SYNC_STOP)
		slot->is_held = 1;
	else if (action->kind == SYNC_START)
		slot->is_held = 0;
}

/* ---- reports -------------------------------------------------------------------------------- */

static enum vm_state state_of(const struct ctl_vm_info *vm)
{
	switch (vm->state) {
	case CTL_VM_CREATED:
		return VM_STATE_CREATING;
	case CTL_VM_RUNNING:
		return VM_STATE_RUNNING;
	case CTL_VM_PAUSED:
		return VM_STATE_PAUSED;
	case CTL_VM_STOPPED:
		return VM_STATE_STOPPED;
	default:
		return VM_STATE_CRASHED;
	}
}

static void report_absent(const struct desired_vm *want, const struct sync_vm *slot,
			  sync_image_reason_fn *why, void *arg, struct report_vm *out)
{
	const char *reason = slot && slot->retry_ms ? slot->reason : NULL;

	if (want->state == VM_DESIRED_STOPPED) {
		out->state = VM_STATE_STOPPED;
		return;
	}
	if (!reason || !reason[0])
		reason = why(arg, want->boot.kernel);
	if ((!reason || !reason[0]) && want->boot.initrd[0])
		reason = why(arg, want->boot.initrd);
	out->state = reason && reason[0] ? VM_STATE_FAILED : VM_STATE_CREATING;
	snprintf(out->reason, sizeof(out->reason), "%s", reason ? reason : "");
}

/* A point in time is turned into wall clock once, or it would wander as that clock is corrected. */
static uint64_t since_ms(const struct ctl_vm_info *vm, struct sync_vm *slot, uint64_t wall_ms,
			 uint64_t uptime_ns)
{
	uint64_t age_ms = (uptime_ns - MIN(vm->state_since_ns, uptime_ns)) / NSEC_PER_MSEC;
	uint64_t ms = wall_ms - MIN(age_ms, wall_ms);

	if (!slot)
		return ms;
	if (slot->since_ms == 0 || slot->since_ns != vm->state_since_ns) {
		slot->since_ns = vm->state_since_ns;
		slot->since_ms = ms;
	}
	return slot->since_ms;
}

static void report_present(const struct ctl_vm_info *vm, struct sync_vm *slot, uint64_t now_wall_ms,
			   uint64_t uptime_ns, struct report_vm *out)
{
	out->state = state_of(vm);
	out->since_ms = since_ms(vm, slot, now_wall_ms, uptime_ns);
	snprintf(out->reason, sizeof(out->reason), "%.*s", (int)sizeof(vm->reason), vm->reason);
	if (slot && slot->reason[0])
		snprintf(out->reason, sizeof(out->reason), "%s", slot->reason);
	if (slot && slot->retry_ms && out->state == VM_STATE_CREATING)
		out->state = VM_STATE_FAILED;
}

uint32_t sync_report(struct sync_memory *memory, const struct desired *desired,
		     const struct sync_actual *actual, uint64_t uptime_ns,
		     sync_image_reason_fn *image_reason, void *arg, struct report_vm *out,
		     uint32_t cap)
{
	const struct ctl_vm_info *vm;
	struct sync_vm *slot;
	uint8_t uuid[16];
	uint32_t i, nr = 0;

	for (i = 0; i < desired->vms.nr && nr < cap; i++) {
		const struct desired_vm *want = &desired_vms(desired)[i];
		struct report_vm *row = &out[nr];

		if (!uuid_from_text(want->id, uuid))
			continue;
		memset(row, 0, sizeof(*row));
		memcpy(row->id, want->id, sizeof(row->id));
		vm = find_actual(actual, uuid);
		slot = find_slot(memory, uuid);
		row->restart = slot ? slot->restart : 0;
		row->since_ms = actual->wall_ms;
		if (is_alive(vm))
			report_present(vm, slot, actual->wall_ms, uptime_ns, row);
		else
			report_absent(want, slot, image_reason, arg, row);
		nr++;
	}
	return nr;
}
