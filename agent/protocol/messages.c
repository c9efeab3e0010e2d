/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of docs/protocol.md's messages, in the order of that page, and the rules between
 * values.
 */
#include "agent/protocol/messages.h"

#include <stdio.h>
#include <string.h>

#define OPTIONAL FIELD_OPTIONAL
#define NEEDED	 FIELD_NEEDED

/* ---- the node ------------------------------------------------------------------------------- */

static const struct field node_nic_fields[] = {
	FIELD_STRING(struct node_nic, name, FORM_WORD, NEEDED),
	FIELD_STRING(struct node_nic, mac, FORM_MAC, NEEDED),
	FIELD_STRING(struct node_nic, driver, FORM_WORD, OPTIONAL),
	FIELD_STRING(struct node_nic, location, FORM_TEXT, OPTIONAL),
	FIELD_BOOL(struct node_nic, link, OPTIONAL),
	FIELD_BOOL(struct node_nic, uplink, OPTIONAL),
	FIELD_UINT(struct node_nic, speed_mbps, 0, 1000000, OPTIONAL),
	FIELD_UINT(struct node_nic, mtu, 0, 65535, OPTIONAL),
	FIELD_UINT(struct node_nic, queues, 0, 4096, OPTIONAL),
	FIELD_STRING(struct node_nic, offloads, FORM_TEXT, OPTIONAL),
	FIELD_U64(struct node_nic, rx_bytes, PROTO_COUNTER_MAX, OPTIONAL),
	FIELD_U64(struct node_nic, tx_bytes, PROTO_COUNTER_MAX, OPTIONAL),
	FIELD_U64(struct node_nic, rx_dropped, PROTO_COUNTER_MAX, OPTIONAL),
	FIELD_U64(struct node_nic, tx_dropped, PROTO_COUNTER_MAX, OPTIONAL),
};
static const struct schema node_nic_schema = SCHEMA(struct node_nic, node_nic_fields);

const char *const disk_health_names[DISK_HEALTHS] = {
	[DISK_HEALTH_UNKNOWN] = "unknown",
	[DISK_HEALTH_GOOD] = "good",
	[DISK_HEALTH_FAILING] = "failing",
	[DISK_HEALTH_GONE] = "gone",
};

static const struct field node_disk_fields[] = {
	FIELD_STRING(struct node_disk, name, FORM_WORD, NEEDED),
	FIELD_STRING(struct node_disk, driver, FORM_WORD, OPTIONAL),
	FIELD_STRING(struct node_disk, location, FORM_TEXT, OPTIONAL),
	FIELD_STRING(struct node_disk, model, FORM_TEXT, OPTIONAL),
	FIELD_STRING(struct node_disk, serial, FORM_TEXT, OPTIONAL),
	FIELD_U64(struct node_disk, size, PROTO_COUNTER_MAX, NEEDED),
	FIELD_UINT(struct node_disk, sector_bytes, 0, 65536, OPTIONAL),
	FIELD_ENUM(struct node_disk, health, disk_health_names, DISK_HEALTHS, OPTIONAL),
	FIELD_BOOL(struct node_disk, boot, OPTIONAL),
	FIELD_BOOL(struct node_disk, rotational, OPTIONAL),
	FIELD_UINT(struct node_disk, temperature_c, 0, 1000, OPTIONAL),
	FIELD_UINT(struct node_disk, used_percent, 0, 255, OPTIONAL),
	FIELD_U64(struct node_disk, power_on_hours, PROTO_COUNTER_MAX, OPTIONAL),
	FIELD_U64(struct node_disk, media_errors, PROTO_COUNTER_MAX, OPTIONAL),
	FIELD_U64(struct node_disk, errors, PROTO_COUNTER_MAX, OPTIONAL),
};
static const struct schema node_disk_schema = SCHEMA(struct node_disk, node_disk_fields);

const char *const update_state_names[UPDATE_STATES] = {
	[UPDATE_NONE] = "none",		  [UPDATE_UNSUPPORTED] = "unsupported",
	[UPDATE_FETCHING] = "fetching",	  [UPDATE_INSTALLING] = "installing",
	[UPDATE_REBOOTING] = "rebooting", [UPDATE_TRIAL] = "trial",
	[UPDATE_DONE] = "done",		  [UPDATE_FAILED] = "failed",
};

static const struct field node_update_fields[] = {
	FIELD_ENUM(struct node_update, state, update_state_names, UPDATE_STATES, NEEDED),
	FIELD_STRING(struct node_update, slot, FORM_WORD, OPTIONAL),
	FIELD_STRING(struct node_update, version, FORM_TEXT, OPTIONAL),
	FIELD_U64(struct node_update, attempt, PROTO_COUNTER_MAX, OPTIONAL),
	FIELD_STRING(struct node_update, error, FORM_TEXT, OPTIONAL),
};
static const struct schema node_update_schema = SCHEMA(struct node_update, node_update_fields);

static const struct field node_info_fields[] = {
	FIELD_STRING(struct node_info, version, FORM_TEXT, OPTIONAL),
	FIELD_STRING(struct node_info, hostname, FORM_NAME, OPTIONAL),
	FIELD_STRING(struct node_info, virt, FORM_WORD, OPTIONAL),
	FIELD_UINT(struct node_info, cpus, 1, 4096, NEEDED),
	FIELD_STRING(struct node_info, cpu_model, FORM_TEXT, OPTIONAL),
	FIELD_UINT(struct node_info, tsc_khz, 0, UINT32_MAX, OPTIONAL),
	FIELD_NUM(struct node_info, memory_mib, 1ull << 32, NEEDED),
	FIELD_NUM(struct node_info, guest_memory_mib, 1ull << 32, NEEDED),
	FIELD_NUM(struct node_info, free_memory_mib, 1ull << 32, OPTIONAL),
	FIELD_NUM(struct node_info, uptime_ms, 1ull << 52, OPTIONAL),
	FIELD_ROWS(struct node_info, nics, nr_nics, &node_nic_schema, OPTIONAL),
	FIELD_ROWS(struct node_info, disks, nr_disks, &node_disk_schema, OPTIONAL),
	FIELD_STRINGS(struct node_info, mitigations, nr_mitigations, FORM_TEXT, OPTIONAL),
	FIELD_STRINGS(struct node_info, cpu_features, nr_cpu_features, FORM_WORD, OPTIONAL),
	FIELD_STRINGS(struct node_info, virt_features, nr_virt_features, FORM_WORD, OPTIONAL),
	FIELD_STRING(struct node_info, firmware, FORM_TEXT, OPTIONAL),
	FIELD_STRING(struct node_info, machine, FORM_TEXT, OPTIONAL),
	FIELD_BOOL(struct node_info, watchdog_reset, OPTIONAL),
	FIELD_OBJECT(struct node_info, update, has_update, &node_update_schema, OPTIONAL),
};
const struct schema node_info_schema = SCHEMA(struct node_info, node_info_fields);

static const struct field node_lease_fields[] = {
	FIELD_STRING(struct node_lease, address, FORM_IPV4, NEEDED),
	FIELD_UINT(struct node_lease, prefix, 0, 32, OPTIONAL),
	FIELD_STRING(struct node_lease, gateway, FORM_IPV4, OPTIONAL),
	FIELD_STRINGS(struct node_lease, dns, nr_dns, FORM_IPV4, OPTIONAL),
	FIELD_UINT(struct node_lease, expires_s, 0, UINT32_MAX, OPTIONAL),
};
const struct schema node_lease_schema = SCHEMA(struct node_lease, node_lease_fields);

/* ---- enrolment ------------------------------------------------------------------------------ */

static const struct field enroll_request_fields[] = {
	FIELD_STRING(struct enroll_request, join_token, FORM_SECRET, NEEDED),
	FIELD_STRING(struct enroll_request, machine_id, FORM_UUID, NEEDED),
	FIELD_STRING(struct enroll_request, csr, FORM_TEXT, NEEDED),
	FIELD_STRING(struct enroll_request, hostname, FORM_NAME, OPTIONAL),
	FIELD_OBJECT(struct enroll_request, node, has_node, &node_info_schema, OPTIONAL),
};
const struct schema enroll_request_schema = SCHEMA(struct enroll_request, enroll_request_fields);

static const struct field renew_request_fields[] = {
	FIELD_STRING(struct renew_request, csr, FORM_TEXT, NEEDED),
};
const struct schema renew_request_schema = SCHEMA(struct renew_request, renew_request_fields);

static const struct field enroll_reply_fields[] = {
	FIELD_STRING(struct enroll_reply, node_id, FORM_ID, NEEDED),
	FIELD_STRING(struct enroll_reply, certificate, FORM_TEXT, NEEDED),
	FIELD_STRING(struct enroll_reply, ca, FORM_TEXT, NEEDED),
	FIELD_U64(struct enroll_reply, expires_ms, PROTO_COUNTER_MAX, NEEDED),
	FIELD_U64(struct enroll_reply, renew_ms, PROTO_COUNTER_MAX, NEEDED),
	FIELD_U64(struct enroll_reply, time_ms, PROTO_COUNTER_MAX, NEEDED),
};
const struct schema enroll_reply_schema = SCHEMA(struct enroll_reply, enroll_reply_fields);

static const struct field enroll_pending_fields[] = {
	FIELD_STRING(struct enroll_pending, status, FORM_WORD, NEEDED),
	FIELD_STRING(struct enroll_pending, node_id, FORM_ID, OPTIONAL),
	FIELD_UINT(struct enroll_pending, retry_s, 1, 3600, NEEDED),
	FIELD_STRING(struct enroll_pending, fingerprint, FORM_SHA256, NEEDED),
};
const struct schema enroll_pending_schema = SCHEMA(struct enroll_pending, enroll_pending_fields);

/* ---- desired state -------------------------------------------------------------------------- */

const char *const vm_desired_names[VM_DESIRED_STATES] = {
	[VM_DESIRED_RUNNING] = "running",
	[VM_DESIRED_PAUSED] = "paused",
	[VM_DESIRED_STOPPED] = "stopped",
};
static const char *const vm_boot_kind_names[VM_BOOT_KINDS] = {[VM_BOOT_LINUX] = "linux"};

static const struct field desired_image_fields[] = {
	FIELD_STRING(struct desired_image, id, FORM_ID, NEEDED),
	FIELD_STRING(struct desired_image, sha256, FORM_SHA256, NEEDED),
	FIELD_U64(struct desired_image, size, PROTO_COUNTER_MAX, NEEDED),
};
static const struct schema desired_image_schema =
	SCHEMA(struct desired_image, desired_image_fields);

static const struct field desired_boot_fields[] = {
	FIELD_ENUM(struct desired_boot, kind, vm_boot_kind_names, VM_BOOT_KINDS, NEEDED),
	FIELD_STRING(struct desired_boot, kernel, FORM_SHA256, NEEDED),
	FIELD_STRING(struct desired_boot, initrd, FORM_SHA256, OPTIONAL),
	FIELD_STRING(struct desired_boot, cmdline, FORM_TEXT, OPTIONAL),
};
static const struct schema desired_boot_schema = SCHEMA(struct desired_boot, desired_boot_fields);

static const struct field desired_nic_fields[] = {
	FIELD_STRING(struct desired_nic, mac, FORM_MAC, NEEDED),
	FIELD_STRING(struct desired_nic, network, FORM_NAME, NEEDED),
};
static const struct schema desired_nic_schema = SCHEMA(struct desired_nic, desired_nic_fields);

static const struct field desired_console_fields[] = {
	FIELD_STRING(struct desired_console, session, FORM_ID, NEEDED),
};
static const struct schema desired_console_schema =
	SCHEMA(struct desired_console, desired_console_fields);

static const struct field desired_vm_fields[] = {
	FIELD_STRING(struct desired_vm, id, FORM_UUID, NEEDED),
	FIELD_STRING(struct desired_vm, name, FORM_NAME, NEEDED),
	FIELD_ENUM(struct desired_vm, state, vm_desired_names, VM_DESIRED_STATES, NEEDED),
	FIELD_U64(struct desired_vm, restart, PROTO_COUNTER_MAX, OPTIONAL),
	FIELD_U64(struct desired_vm, epoch, PROTO_COUNTER_MAX, NEEDED),
	FIELD_UINT(struct desired_vm, vcpus, 1, PROTO_VCPUS_MAX, NEEDED),
	FIELD_UINT(struct desired_vm, memory_mib, PROTO_MEMORY_MIB_MIN, PROTO_MEMORY_MIB_MAX,
		   NEEDED),
	FIELD_UINT(struct desired_vm, weight, 1, PROTO_WEIGHT_MAX, NEEDED),
	FIELD_UINT(struct desired_vm, cap_percent, 0, 100, OPTIONAL),
	FIELD_UINT(struct desired_vm, tsc_khz, PROTO_TSC_KHZ_MIN, PROTO_TSC_KHZ_MAX, OPTIONAL),
	FIELD_OBJECT(struct desired_vm, boot, has_boot, &desired_boot_schema, NEEDED),
	FIELD_ROWS(struct desired_vm, nics, nr_nics, &desired_nic_schema, OPTIONAL),
	FIELD_OBJECT(struct desired_vm, console, has_console, &desired_console_schema, OPTIONAL),
};
static const struct schema desired_vm_schema = SCHEMA(struct desired_vm, desired_vm_fields);

static const struct field desired_update_fields[] = {
	FIELD_STRING(struct desired_update, version, FORM_TEXT, NEEDED),
	FIELD_STRING(struct desired_update, sha256, FORM_SHA256, NEEDED),
	FIELD_U64(struct desired_update, size, PROTO_COUNTER_MAX, NEEDED),
	FIELD_STRING(struct desired_update, signature, FORM_SIGNATURE, NEEDED),
	FIELD_U64(struct desired_update, attempt, PROTO_COUNTER_MAX, NEEDED),
};
static const struct schema desired_update_schema =
	SCHEMA(struct desired_update, desired_update_fields);

static const struct field desired_fields[] = {
	FIELD_STRING(struct desired, node_id, FORM_ID, NEEDED),
	FIELD_U64(struct desired, generation, PROTO_COUNTER_MAX, NEEDED),
	FIELD_STRING(struct desired, time, FORM_TEXT, OPTIONAL),
	FIELD_U64(struct desired, time_ms, PROTO_COUNTER_MAX, NEEDED),
	FIELD_UINT(struct desired, report_interval_ms, 100, 3600000, NEEDED),
	FIELD_STRINGS(struct desired, approved_ca, nr_approved_ca, FORM_SHA256, OPTIONAL),
	FIELD_OBJECT(struct desired, update, has_update, &desired_update_schema, OPTIONAL),
	FIELD_LIST(struct desired, images, &desired_image_schema, OPTIONAL),
	FIELD_LIST(struct desired, vms, &desired_vm_schema, NEEDED),
};
const struct schema desired_schema = SCHEMA(struct desired, desired_fields);

static enum proto_status refuse(struct proto_error *err, size_t vm, const char *key,
				const char *what)
{
	err->status = PROTO_INVALID;
	snprintf(err->field, sizeof(err->field), "vms[%zu].%s", vm, key);
	snprintf(err->message, sizeof(err->message), "'%s' %s", err->field, what);
	return err->status;
}

static bool image_is_listed(const struct desired *desired, const char *sha256)
{
	const struct desired_image *images = desired->images.at;

	for (uint32_t i = 0; i < desired->images.nr; i++)
		if (strcmp(images[i].sha256, sha256) == 0)
			return true;
	return false;
}

enum proto_status message_check_desired(const struct desired *desired, const char *node_id,
					struct proto_error *err)
{
	const struct desired_vm *vms = desired->vms.at;

	memset(err, 0, sizeof(*err));
	if (strcmp(desired->node_id, node_id) != 0) {
		err->status = PROTO_INVALID;
		snprintf(err->field, sizeof(err->field), "node_id");
		snprintf(err->message, sizeof(err->message),
			 "the desired state is for node %s, this is %s", desired->node_id, node_id);
		return err->status;
	}
	if (desired->has_update && !image_is_listed(desired, desired->update.sha256)) {
		err->status = PROTO_INVALID;
		snprintf(err->field, sizeof(err->field), "update.sha256");
		snprintf(err->message, sizeof(err->message),
			 "'update.sha256' is not among the images");
		return err->status;
	}
	for (uint32_t i = 0; i < desired->vms.nr; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(vms[i].id, vms[j].id) == 0)
				return refuse(err, i, "id", "is in the list twice");
			if (strcmp(vms[i].name, vms[j].name) == 0)
				return refuse(err, i, "name", "is in the list twice");
		}
		if (vms[i].memory_mib % 2 != 0)
			return refuse(err, i, "memory_mib", "must be even");
		if (!image_is_listed(desired, vms[i].boot.kernel))
			return refuse(err, i, "boot.kernel", "is not among the images");
		if (vms[i].boot.initrd[0] && !image_is_listed(desired, vms[i].boot.initrd))
			return refuse(err, i, "boot.initrd", "is not among the images");
	}
	return PROTO_OK;
}

/* ---- report --------------------------------------------------------------------------------- */

const char *const vm_state_names[VM_STATES] = {
	[VM_STATE_CREATING] = "creating", [VM_STATE_RUNNING] = "running",
	[VM_STATE_PAUSED] = "paused",	  [VM_STATE_STOPPED] = "stopped",
	[VM_STATE_CRASHED] = "crashed",	  [VM_STATE_FAILED] = "failed",
};
const char *const event_level_names[EVENT_LEVELS] = {
	[EVENT_INFO] = "info",
	[EVENT_WARN] = "warn",
	[EVENT_ERROR] = "error",
};
const char *const usage_counter_names[USAGE_COUNTERS] = {
	[USAGE_VCPU_ALLOC_NS] = "vcpu_alloc_ns",   [USAGE_VCPU_RUN_NS] = "vcpu_run_ns",
	[USAGE_MEM_MIB_MS] = "mem_mib_ms",	   [USAGE_NET_RX_BYTES] = "net_rx_bytes",
	[USAGE_NET_TX_BYTES] = "net_tx_bytes",	   [USAGE_NET_RX_PACKETS] = "net_rx_packets",
	[USAGE_NET_TX_PACKETS] = "net_tx_packets",
};

static const struct field report_vm_fields[] = {
	FIELD_STRING(struct report_vm, id, FORM_UUID, NEEDED),
	FIELD_ENUM(struct report_vm, state, vm_state_names, VM_STATES, NEEDED),
	FIELD_STRING(struct report_vm, reason, FORM_TEXT, OPTIONAL),
	FIELD_U64(struct report_vm, since_ms, PROTO_COUNTER_MAX, OPTIONAL),
	FIELD_U64(struct report_vm, restart, PROTO_COUNTER_MAX, OPTIONAL),
};
static const struct schema report_vm_schema = SCHEMA(struct report_vm, report_vm_fields);

#define COUNTER(key_, index)                                                                       \
	{.key = (key_),                                                                            \
	 .kind = FIELD_KIND_U64,                                                                   \
	 .need = NEEDED,                                                                           \
	 .offset = offsetof(struct usage_record, counters) + (index) * sizeof(uint64_t),           \
	 .max = PROTO_COUNTER_MAX}

static const struct field usage_record_fields[] = {
	FIELD_STRING(struct usage_record, boot_id, FORM_UUID, NEEDED),
	{.key = "seq",
	 .kind = FIELD_KIND_U64,
	 .need = NEEDED,
	 .offset = offsetof(struct usage_record, seq),
	 .min = 1,
	 .max = PROTO_COUNTER_MAX},
	FIELD_U64(struct usage_record, mono_ns, PROTO_COUNTER_MAX, NEEDED),
	FIELD_U64(struct usage_record, wall_ms, PROTO_COUNTER_MAX, NEEDED),
	FIELD_STRING(struct usage_record, vm, FORM_UUID, NEEDED),
	FIELD_U64(struct usage_record, epoch, PROTO_COUNTER_MAX, NEEDED),
	FIELD_UINT(struct usage_record, vcpus, 0, PROTO_VCPUS_MAX, NEEDED),
	FIELD_UINT(struct usage_record, memory_mib, 0, PROTO_MEMORY_MIB_MAX, NEEDED),
	FIELD_BOOL(struct usage_record, final, OPTIONAL),
	COUNTER("vcpu_alloc_ns", USAGE_VCPU_ALLOC_NS),
	COUNTER("vcpu_run_ns", USAGE_VCPU_RUN_NS),
	COUNTER("mem_mib_ms", USAGE_MEM_MIB_MS),
	COUNTER("net_rx_bytes", USAGE_NET_RX_BYTES),
	COUNTER("net_tx_bytes", USAGE_NET_TX_BYTES),
	COUNTER("net_rx_packets", USAGE_NET_RX_PACKETS),
	COUNTER("net_tx_packets", USAGE_NET_TX_PACKETS),
};
const struct schema usage_record_schema = SCHEMA(struct usage_record, usage_record_fields);

static const struct field report_event_fields[] = {
	FIELD_STRING(struct report_event, boot_id, FORM_UUID, NEEDED),
	{.key = "seq",
	 .kind = FIELD_KIND_U64,
	 .need = NEEDED,
	 .offset = offsetof(struct report_event, seq),
	 .min = 1,
	 .max = PROTO_COUNTER_MAX},
	FIELD_U64(struct report_event, wall_ms, PROTO_COUNTER_MAX, NEEDED),
	FIELD_ENUM(struct report_event, level, event_level_names, EVENT_LEVELS, NEEDED),
	FIELD_STRING(struct report_event, vm, FORM_UUID, OPTIONAL),
	FIELD_STRING(struct report_event, code, FORM_WORD, NEEDED),
	FIELD_STRING(struct report_event, message, FORM_TEXT, OPTIONAL),
};
const struct schema report_event_schema = SCHEMA(struct report_event, report_event_fields);

static const struct field report_fields[] = {
	FIELD_STRING(struct report, node_id, FORM_ID, NEEDED),
	FIELD_STRING(struct report, boot_id, FORM_UUID, NEEDED),
	FIELD_U64(struct report, applied_generation, PROTO_COUNTER_MAX, NEEDED),
	FIELD_OBJECT(struct report, lease, has_lease, &node_lease_schema, OPTIONAL),
	FIELD_OBJECT(struct report, node, has_node, &node_info_schema, OPTIONAL),
	FIELD_LIST(struct report, vms, &report_vm_schema, OPTIONAL),
	FIELD_LIST(struct report, usage, &usage_record_schema, OPTIONAL),
	FIELD_LIST(struct report, events, &report_event_schema, OPTIONAL),
};
const struct schema report_schema = SCHEMA(struct report, report_fields);

static const struct field report_reply_fields[] = {
	FIELD_U64(struct report_reply, ack_seq, PROTO_COUNTER_MAX, NEEDED),
	FIELD_U64(struct report_reply, ack_event_seq, PROTO_COUNTER_MAX, OPTIONAL),
	FIELD_UINT(struct report_reply, refused, 0, UINT32_MAX, OPTIONAL),
	FIELD_UINT(struct report_reply, repeated, 0, UINT32_MAX, OPTIONAL),
	FIELD_STRING(struct report_reply, time, FORM_TEXT, OPTIONAL),
	FIELD_U64(struct report_reply, time_ms, PROTO_COUNTER_MAX, NEEDED),
	FIELD_UINT(struct report_reply, next_ms, 100, 3600000, NEEDED),
};
const struct schema report_reply_schema = SCHEMA(struct report_reply, report_reply_fields);

/* ---- errors --------------------------------------------------------------------------------- */

static const struct field error_detail_fields[] = {
	FIELD_STRING(struct error_detail, code, FORM_WORD, NEEDED),
	FIELD_STRING(struct error_detail, message, FORM_TEXT, NEEDED),
	FIELD_STRING(struct error_detail, field, FORM_TEXT, OPTIONAL),
};
static const struct schema error_detail_schema = SCHEMA(struct error_detail, error_detail_fields);

static const struct field error_reply_fields[] = {
	FIELD_OBJECT(struct error_reply, error, has_error, &error_detail_schema, NEEDED),
	FIELD_U64(struct error_reply, ack_seq, PROTO_COUNTER_MAX, OPTIONAL),
};
const struct schema error_reply_schema = SCHEMA(struct error_reply, error_reply_fields);
