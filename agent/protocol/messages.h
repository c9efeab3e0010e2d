/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between a node and its controller, as docs/protocol.md describes them: plain structs
 * with fixed limits, and for each a schema to decode it with schema_decode() and encode it with
 * schema_encode(). Texts are zero-terminated; an empty one was absent.
 *
 * Beyond what single values may be, some messages have rules between values; message_check_*()
 * knows those and is called after decoding.
 */
#ifndef AGENT_PROTOCOL_MESSAGES_H
#define AGENT_PROTOCOL_MESSAGES_H

#include "agent/protocol/form.h"
#include "agent/protocol/schema.h"

#define PROTO_VCPUS_MAX	     32u
#define PROTO_MEMORY_MIB_MIN 16u
#define PROTO_MEMORY_MIB_MAX 1048576u
#define PROTO_WEIGHT_MAX     10000u
#define PROTO_TSC_KHZ_MIN    100000u
#define PROTO_TSC_KHZ_MAX    10000000u
#define PROTO_TSC_PPM_MAX    250u  /* rates that differ by no more are one */
#define PROTO_CMDLINE_MAX    2048u /* with the closing zero */
#define PROTO_REASON_MAX     128u
#define PROTO_PEM_MAX	     4096u
#define PROTO_VMS_MAX	     256u /* in one desired state or report */
#define PROTO_IMAGES_MAX     512u
#define PROTO_USAGE_MAX	     256u /* in one report */
#define PROTO_EVENTS_MAX     32u
#define PROTO_VM_NICS_MAX    4u
#define PROTO_NODE_NICS_MAX  16u
#define PROTO_NODE_DISKS_MAX 32u
#define PROTO_COUNTER_MAX    ((uint64_t)INT64_MAX)
#define PROTO_WAIT_MAX_S     50u
#define PROTO_JSON_MAX	     1048576u /* bytes of one JSON body */
#define PROTO_CONSOLE_MAX    65536u   /* bytes of one console body */

/* ---- the node, as it describes itself ------------------------------------------------------- */

struct node_nic {
	char name[16];
	char mac[MAC_TEXT_MAX];
	char driver[16];
	char location[16];
	bool link;
	bool uplink; /* the one through which the node talks */
	uint32_t speed_mbps, mtu, queues;
	char offloads[48]; /* words divided by spaces */
	uint64_t rx_bytes, tx_bytes, rx_dropped, tx_dropped;
};

enum disk_health {
	DISK_HEALTH_UNKNOWN,
	DISK_HEALTH_GOOD,
	DISK_HEALTH_FAILING,
	DISK_HEALTH_GONE,
	DISK_HEALTHS
};
extern const char *const disk_health_names[DISK_HEALTHS];

struct node_disk {
	char name[16];
	char driver[16];
	char location[16];
	char model[48], serial[48];
	uint64_t size; /* bytes */
	uint32_t sector_bytes;
	enum disk_health health;
	bool boot; /* the node's software is on it */
	bool rotational;
	uint32_t temperature_c; /* 0: unknown, or below */
	uint32_t used_percent;	/* of its promised endurance */
	uint64_t power_on_hours, media_errors, errors;
};

/* How far an update of the node's software has come. */
enum update_state {
	UPDATE_NONE,	    /* none is wanted */
	UPDATE_UNSUPPORTED, /* booted from something without slots, or without a release key */
	UPDATE_FETCHING,
	UPDATE_INSTALLING,
	UPDATE_REBOOTING,
	UPDATE_TRIAL, /* runs, and has not been found healthy yet */
	UPDATE_DONE,
	UPDATE_FAILED,
	UPDATE_STATES
};
extern const char *const update_state_names[UPDATE_STATES];

struct node_update {
	enum update_state state;
	char slot[4]; /* "a" or "b": the one that runs; empty: booted from something without slots
		       */
	char version[64]; /* the one wanted */
	uint64_t attempt; /* desired_update's */
	char error[128];
};

struct node_info {
	char version[64];
	char hostname[NAME_TEXT_MAX];
	char cpu_model[64];
	char virt[16]; /* "vmx", "svm" */
	uint32_t cpus;
	uint32_t tsc_khz; /* 0: not told */
	uint64_t memory_mib, guest_memory_mib, free_memory_mib;
	uint64_t uptime_ms;
	uint32_t nr_nics, nr_disks, nr_mitigations, nr_cpu_features, nr_virt_features;
	struct node_nic nics[PROTO_NODE_NICS_MAX];
	struct node_disk disks[PROTO_NODE_DISKS_MAX];
	char mitigations[32][32];
	char cpu_features[64][24];
	char virt_features[32][24]; /* words as in the boot log: "ept-1g", "tsc-scaling" */
	char firmware[64], machine[96];
	bool watchdog_reset; /* its last reset was that of its hardware's watchdog */
	bool has_update;
	struct node_update update;
};

struct node_lease {
	char address[IPV4_TEXT_MAX];
	uint32_t prefix;
	char gateway[IPV4_TEXT_MAX];
	uint32_t nr_dns;
	char dns[3][IPV4_TEXT_MAX];
	uint32_t expires_s;
};

extern const struct schema node_info_schema, node_lease_schema;

/* ---- enrolment ------------------------------------------------------------------------------ */

struct enroll_request {
	char join_token[SECRET_TEXT_MAX];
	char machine_id[UUID_TEXT_MAX];
	char csr[PROTO_PEM_MAX];
	char hostname[NAME_TEXT_MAX];
	bool has_node;
	struct node_info node;
};

struct renew_request {
	char csr[PROTO_PEM_MAX];
};

struct enroll_reply { /* 201 */
	char node_id[ID_TEXT_MAX];
	char certificate[PROTO_PEM_MAX];
	char ca[PROTO_PEM_MAX];
	uint64_t expires_ms, renew_ms, time_ms;
};

struct enroll_pending {	 /* 202 */
	char status[16]; /* "pending" */
	char node_id[ID_TEXT_MAX];
	uint32_t retry_s;
	char fingerprint[SHA256_TEXT_MAX];
};

extern const struct schema enroll_request_schema, renew_request_schema, enroll_reply_schema,
	enroll_pending_schema;

/* ---- desired state -------------------------------------------------------------------------- */

enum vm_desired { VM_DESIRED_RUNNING, VM_DESIRED_PAUSED, VM_DESIRED_STOPPED, VM_DESIRED_STATES };
extern const char *const vm_desired_names[VM_DESIRED_STATES];

enum vm_boot_kind { VM_BOOT_LINUX, VM_BOOT_KINDS };

struct desired_image {
	char id[ID_TEXT_MAX];
	char sha256[SHA256_TEXT_MAX];
	uint64_t size; /* bytes */
};

struct desired_boot {
	enum vm_boot_kind kind;
	char kernel[SHA256_TEXT_MAX];
	char initrd[SHA256_TEXT_MAX]; /* may be empty */
	char cmdline[PROTO_CMDLINE_MAX];
};

struct desired_nic {
	char mac[MAC_TEXT_MAX];
	char network[NAME_TEXT_MAX];
};

struct desired_console {
	char session[ID_TEXT_MAX];
};

struct desired_vm {
	char id[UUID_TEXT_MAX];
	char name[NAME_TEXT_MAX];
	enum vm_desired state;
	uint64_t restart, epoch;
	uint32_t vcpus, memory_mib, weight, cap_percent;
	uint32_t tsc_khz; /* 0: the node's rate */
	bool has_boot, has_console;
	struct desired_boot boot;
	uint32_t nr_nics;
	struct desired_nic nics[PROTO_VM_NICS_MAX];
	struct desired_console console;
};

/* The software that the node shall run; its bytes are among the images. */
struct desired_update {
	char version[64];
	char sha256[SHA256_TEXT_MAX];
	uint64_t size;
	char signature[SIGNATURE_TEXT_MAX]; /* struct ctl_update_manifest's, as text */
	uint64_t attempt; /* from 1: grows when a person wants it tried once more */
};

struct desired {
	char node_id[ID_TEXT_MAX];
	uint64_t generation;
	char time[32];
	uint64_t time_ms;
	uint32_t report_interval_ms;
	uint32_t nr_approved_ca;
	char approved_ca[4][SHA256_TEXT_MAX];
	bool has_update;
	struct desired_update update;
	struct proto_list images; /* struct desired_image */
	struct proto_list vms;	  /* struct desired_vm */
};

extern const struct schema desired_schema;

/* The document is for this node; VM ids and names are unique; each boot image is listed. */
enum proto_status message_check_desired(const struct desired *desired, const char *node_id,
					struct proto_error *err);

/* ---- report --------------------------------------------------------------------------------- */

enum vm_state {
	VM_STATE_CREATING,
	VM_STATE_RUNNING,
	VM_STATE_PAUSED,
	VM_STATE_STOPPED,
	VM_STATE_CRASHED,
	VM_STATE_FAILED,
	VM_STATES
};
extern const char *const vm_state_names[VM_STATES];

struct report_vm {
	char id[UUID_TEXT_MAX];
	enum vm_state state;
	char reason[PROTO_REASON_MAX];
	uint64_t since_ms;
	uint64_t restart;
};

enum usage_counter {
	USAGE_VCPU_ALLOC_NS,
	USAGE_VCPU_RUN_NS,
	USAGE_MEM_MIB_MS,
	USAGE_NET_RX_BYTES,
	USAGE_NET_TX_BYTES,
	USAGE_NET_RX_PACKETS,
	USAGE_NET_TX_PACKETS,
	USAGE_COUNTERS
};
extern const char *const usage_counter_names[USAGE_COUNTERS];

struct usage_record {
	char boot_id[UUID_TEXT_MAX];
	uint64_t seq; /* from 1 */
	uint64_t mono_ns, wall_ms;
	char vm[UUID_TEXT_MAX];
	uint64_t epoch;
	uint32_t vcpus, memory_mib;
	bool final;
	uint64_t counters[USAGE_COUNTERS];
};

enum event_level { EVENT_INFO, EVENT_WARN, EVENT_ERROR, EVENT_LEVELS };
extern const char *const event_level_names[EVENT_LEVELS];

struct report_event {
	char boot_id[UUID_TEXT_MAX];
	uint64_t seq; /* from 1 */
	uint64_t wall_ms;
	enum event_level level;
	char vm[UUID_TEXT_MAX]; /* may be empty */
	char code[32];
	char message[256];
};

struct report {
	char node_id[ID_TEXT_MAX];
	char boot_id[UUID_TEXT_MAX];
	uint64_t applied_generation;
	bool has_lease, has_node;
	struct node_lease lease;
	struct node_info node;
	struct proto_list vms;	  /* struct report_vm */
	struct proto_list usage;  /* struct usage_record */
	struct proto_list events; /* struct report_event */
};

struct report_reply { /* 200 */
	uint64_t ack_seq, ack_event_seq;
	uint32_t refused, repeated; /* usage records: not this node's; stored already */
	char time[32];
	uint64_t time_ms;
	uint32_t next_ms;
};

extern const struct schema report_schema, report_reply_schema, usage_record_schema,
	report_event_schema;

/* ---- errors --------------------------------------------------------------------------------- */

struct error_detail {
	char code[48];
	char message[384];
	char field[96];
};

struct error_reply { /* any status of 400 or above */
	bool has_error;
	struct error_detail error;
	uint64_t ack_seq; /* with usage_conflict */
};

extern const struct schema error_reply_schema;

#endif
