/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue: the whole authority of the agent over the machine. What is not in this table
 * cannot be done.
 *
 * It is a virtio device of the agent's board (device ID CTL_VIRTIO_ID, PCI 1af4:107f) with two
 * queues:
 *
 *   queue 0, requests   one chain each: device-readable struct ctl_request and, for commands that
 *                       carry bytes, those bytes behind it; then a device-writable struct ctl_reply
 *                       and, for commands that return bytes, room for them behind it
 *   queue 1, events     device-writable buffers of struct ctl_event; the kernel fills one for each
 *                       event and drops events when there is none (state is always readable)
 *
 * All words little-endian, all structs of fixed size, reserved words zero. The kernel copies a
 * request once, checks the copy, then acts on the copy. Requests are handled in order, each wholly
 * before its buffer is returned. A repeated command finds its work done and says HV_EEXIST,
 * HV_ENOENT or HV_OK, and changes nothing.
 */
#ifndef VMM_CONTROL_ABI_H
#define VMM_CONTROL_ABI_H

#include <stdint.h>

#define CTL_ABI_VERSION	   2u
#define CTL_VIRTIO_ID	   63u
#define CTL_QUEUE_REQUESTS 0u
#define CTL_QUEUE_EVENTS   1u
#define CTL_DATA_MAX	   65536u /* bytes behind one request or reply */
#define CTL_NAME_MAX	   64u	  /* with the closing zero */
#define CTL_CMDLINE_MAX	   2048u
#define CTL_NICS_MAX	   4u /* of a VM */
#define CTL_NODE_NICS_MAX  8u
#define CTL_NODE_DISKS_MAX 32u
#define CTL_VCPUS_MAX	   32u
#define CTL_VMS_MAX	   256u
#define CTL_TSC_KHZ_MIN	   100000u /* of a VM that has a rate of its own */
#define CTL_TSC_KHZ_MAX	   10000000u
#define CTL_TSC_PPM_MAX	   250u /* rates no further apart are one: crystals are, and KVM agrees */
#define CTL_IMAGES_MAX	   64u
#define CTL_STORE_SLOTS	   8u
#define CTL_STORE_KEPT	   0u	  /* the slot that the boot disk keeps, when it is not too large */
#define CTL_STORE_MAX	   65536u /* bytes in one slot */

/* The agent must send any request at least this often, or it is reset. */
#define CTL_WATCHDOG_MS 500u

enum ctl_command {
	CTL_HELLO = 1,	     /* → struct ctl_hello */
	CTL_HEARTBEAT = 2,   /* nothing but a sign of life */
	CTL_NODE_INFO = 3,   /* → struct ctl_node_info */
	CTL_CONFIG_READ = 4, /* arg0 offset → bytes of the node's configuration file */
	CTL_LOG_READ = 5,    /* arg0 log sequence → reply.value0 next sequence, bytes */
	CTL_RANDOM = 6,	     /* arg0 bytes wanted, at most 256 → bytes */
	CTL_STORE_READ = 7,  /* arg0 slot → bytes; HV_ENOENT when empty */
	CTL_STORE_WRITE = 8, /* arg0 slot; bytes replace the slot's at once, none empty it. Survives
				the agent's resets; CTL_STORE_KEPT also the machine's, where it
				was booted from a disk with slots, once that has written it */
	CTL_LOG_WRITE =
		9, /* arg0 enum log_level; one line of text into the node's log, as "agent" */
	CTL_NODE_POWER = 10, /* arg0: 0 reboot, 1 power off */
	CTL_NIC_LIST = 11,   /* → struct ctl_nic_info[], value0 how many */
	CTL_DISK_LIST = 12,  /* → struct ctl_disk_info[], value0 how many */
	CTL_STATUS_WRITE =
		13, /* bytes: struct ctl_agent_status, what the screen says of the agent */

	CTL_IMAGE_CREATE = 16, /* arg0 size; bytes: 32 of SHA-256 → value0 image handle. HV_EEXIST:
				  value0 is it */
	CTL_IMAGE_WRITE = 17,  /* arg0 handle, arg1 offset (= bytes so far); bytes */
	CTL_IMAGE_SEAL =
		18, /* arg0 handle: whole and verified; from now on it can be booted from */
	CTL_IMAGE_DELETE = 19, /* arg0 handle */
	CTL_IMAGE_LIST = 20,   /* → struct ctl_image_info[] , value0 how many */

	/* The boot disk's two slots, see docs/updates.md. */
	CTL_UPDATE_STATUS = 24, /* → struct ctl_update_status */
	CTL_UPDATE_INSTALL =
		25, /* arg0 handle of a sealed image; bytes: struct ctl_update_manifest.
		       The kernel checks the signature and the image's hash and size
		       against it, then begins to write the slot that is not running.
		       HV_EEXIST: the slot has it, whole; HV_EBUSY: is being written;
		       HV_EPROTO: the signature is not the operator's; HV_ENOTSUP: booted
		       from something without slots, or no key to check with */
	CTL_UPDATE_TRY =
		26, /* arg0 attempt, kept on the disk: reboot, once, into the slot that was
		       installed. HV_EBUSY: it is not whole, or was tried and not found healthy */
	CTL_UPDATE_COMMIT =
		27, /* the running slot is healthy: boot it from now on. HV_EEXIST: is so */

	CTL_VM_CREATE =
		32, /* bytes: struct ctl_vm_config → value0 VM handle. HV_EEXIST: value0 is it */
	CTL_VM_START =
		33, /* arg0 handle: boot it from its images. HV_EAGAIN: its memory is being cleared,
		       which the same command goes on with; the message says how far it is */
	CTL_VM_STOP = 34,    /* arg0 handle, arg1: 0 at once, 1 press the power button */
	CTL_VM_PAUSE = 35,   /* arg0 handle */
	CTL_VM_RESUME = 36,  /* arg0 handle */
	CTL_VM_RESET = 37,   /* arg0 handle */
	CTL_VM_DESTROY = 38, /* arg0 handle: memory goes back; its counters stay readable until
				CTL_VM_FORGET */
	CTL_VM_FORGET = 39,  /* arg0 handle: its last counters are safe with the controller */
	CTL_VM_LIST = 40,    /* → struct ctl_vm_info[], value0 how many */

	CTL_CONSOLE_READ = 48, /* arg0 handle, arg1 stream offset → value0 offset of the first byte,
				  value1 stream offset behind the last byte printed, bytes. After a
				  read that left nothing the next output makes an event */
	CTL_CONSOLE_WRITE = 49, /* arg0 handle; bytes → value0 how many were taken */

	CTL_USAGE_READ =
		56, /* → struct ctl_usage[], value0 how many: a snapshot of every VM, destroyed ones
		       too; each gets the next sequence number of this boot */
	CTL_TEST_FAULT = 63, /* arg0: 0 the agent is to be reset as if hung, … only when the
				kernel's command line has test=1, else HV_ENOTSUP */
};

struct ctl_request {
	uint32_t version; /* CTL_ABI_VERSION */
	uint32_t command; /* enum ctl_command */
	uint64_t tag;	  /* comes back in the reply */
	uint64_t arg0, arg1;
	uint32_t data_len; /* bytes behind this struct */
	uint32_t reserved;
};
_Static_assert(sizeof(struct ctl_request) == 40, "control ABI");

struct ctl_reply {
	uint32_t status; /* enum hv_err */
	uint32_t data_len;
	uint64_t tag;
	uint64_t value0, value1;
	char message[96]; /* for status not HV_OK: what was wrong and where; zero-terminated */
};
_Static_assert(sizeof(struct ctl_reply) == 128, "control ABI");

enum ctl_event_kind { CTL_EVENT_VM = 1, CTL_EVENT_CONSOLE = 2, CTL_EVENT_LOG = 3 };

struct ctl_event {
	uint32_t kind;
	uint32_t vm;	/* handle */
	uint64_t value; /* VM: enum ctl_vm_state; console: stream offset of its end */
};
_Static_assert(sizeof(struct ctl_event) == 16, "control ABI");

struct ctl_hello {
	uint32_t abi_version;
	uint32_t agent_restarts; /* how often the agent was reset since boot */
	uint8_t boot_id[16];	 /* random, new at every boot of the node */
	uint64_t uptime_ns;
	uint64_t wall_s;     /* what the node's RTC says, unauthenticated */
	uint64_t config_len; /* bytes of configuration, for CTL_CONFIG_READ */
	uint32_t tsc_khz;    /* of the agent's TSC */
	uint32_t reserved;
};
_Static_assert(sizeof(struct ctl_hello) == 56, "control ABI");

struct ctl_node_info {
	char version[64];
	char cpu_model[64];
	char virt[16]; /* "vmx", "svm" */
	char virt_features[160];
	char mitigations[256]; /* words, as in the boot log */
	char boot_protocol[16];
	uint8_t machine_id[16]; /* SMBIOS UUID, or made from what is fixed in the machine */
	uint32_t nr_cpus;
	uint32_t tsc_khz;
	uint64_t mem_total, mem_free, mem_kernel;	    /* bytes */
	uint64_t uptime_ns, idle_ns;			    /* idle: summed over CPUs */
	uint32_t nr_nics, nr_disks, nr_vms, watchdog_reset; /* 1: its last reset was a watchdog's */
	char firmware[64]; /* "UEFI", "BIOS" or "none", and its vendor and version where SMBIOS says
			    */
	char machine[96];  /* manufacturer and product */
	char cpu_features[512]; /* words as Linux' /proc/cpuinfo has them, those that matter to
				   guests */
};

struct ctl_nic_info {
	char driver[16], location[16];
	uint8_t mac[6], link_up, is_uplink;
	uint32_t speed_mbps, mtu;
	uint32_t nr_queues, is_gone;
	char offloads[48]; /* words: "tx-csum tso4 tso6 rx-csum" */
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets, rx_dropped, tx_dropped;
};
_Static_assert(sizeof(struct ctl_nic_info) == 152, "control ABI");

enum ctl_disk_health { CTL_DISK_UNKNOWN, CTL_DISK_GOOD, CTL_DISK_FAILING, CTL_DISK_GONE };

struct ctl_disk_info {
	char driver[16], name[16], location[16];
	char model[48], serial[48];
	uint64_t size_bytes;
	uint32_t sector_bytes;
	uint32_t health;       /* enum ctl_disk_health */
	int32_t temperature_c; /* 0: unknown */
	uint32_t used_percent; /* of its promised endurance; with UNKNOWN health nothing */
	uint64_t power_on_hours, media_errors;
	uint64_t read_ops, write_ops, read_bytes, write_bytes, errors, retries;
	uint32_t is_boot_disk, is_rotational;
};
_Static_assert(sizeof(struct ctl_disk_info) == 240, "control ABI");

struct ctl_agent_status { /* texts are shown as they are, cut to the screen; ASCII */
	char state[64];	  /* "enrolled as rack3-07", "waiting for approval" */
	char code[80];	  /* what to compare before one approves; empty when there is nothing to */
	char address[64]; /* "192.0.2.10/24, gateway 192.0.2.1" */
	char controller[128];
	char error[160]; /* the last one, empty when all is well */
};
_Static_assert(sizeof(struct ctl_agent_status) == 496, "control ABI");

#define CTL_UPDATE_MAGIC "billet-release-1"

/*
 * What a release's key signs: this struct without its signature, as it stands here. The signature
 * is ECDSA on P-256 over its SHA-256, r and s as 32 bytes each, big-endian.
 */
struct ctl_update_manifest {
	char magic[16];	    /* CTL_UPDATE_MAGIC without its closing zero */
	char version[64];   /* zero-terminated and zero-filled */
	uint8_t sha256[32]; /* of the image, a billet.elf */
	uint64_t size;	    /* bytes */
	uint8_t signature[64];
};
_Static_assert(sizeof(struct ctl_update_manifest) == 184, "control ABI");

enum ctl_slot_state {
	CTL_SLOT_EMPTY,
	CTL_SLOT_WRITING,
	CTL_SLOT_WHOLE, /* installed, never booted */
	CTL_SLOT_TRIED, /* booted once, and not found healthy: not booted again */
	CTL_SLOT_GOOD,	/* committed */
};

struct ctl_update_status {
	uint32_t has_slots;    /* 0: booted from something else; what follows is zero */
	uint32_t running;      /* 0 is slot A, 1 is B */
	uint32_t is_trial;     /* the running one was not committed yet */
	uint32_t trial_left_s; /* and the node reboots into the other when this has passed */
	uint64_t attempt;      /* CTL_UPDATE_TRY's, of the last one on this disk; 0: none */
	char disk[16];
	struct {
		uint32_t state; /* enum ctl_slot_state */
		uint32_t reserved;
		char version[64];
		uint8_t sha256[32];
		uint64_t size, written;
	} slots[2];
	char error[96]; /* of the last installation; empty: it was well */
};
_Static_assert(sizeof(struct ctl_update_status) == 376, "control ABI");

struct ctl_image_info {
	uint32_t handle;
	uint32_t is_sealed;
	uint64_t size, written;
	uint8_t sha256[32];
	uint32_t users, reserved;
};
_Static_assert(sizeof(struct ctl_image_info) == 64, "control ABI");

enum ctl_boot_kind { CTL_BOOT_LINUX = 1, CTL_BOOT_PVH = 2, CTL_BOOT_MULTIBOOT = 3 };

struct ctl_vm_config {
	uint8_t uuid[16]; /* names the VM; creating it twice finds the first */
	char name[CTL_NAME_MAX];
	uint64_t mem_bytes; /* a multiple of 2 MiB */
	uint32_t nr_vcpus;
	uint32_t weight;      /* 1..10000, 100 is usual */
	uint32_t cap_percent; /* of one CPU per vCPU; 0: none */
	uint32_t boot_kind;
	uint32_t kernel_image, initrd_image; /* handles; initrd 0: none */
	uint64_t epoch;			     /* the controller's; comes back in usage */
	uint32_t nr_nics;
	uint32_t tsc_khz; /* what the guest's TSC runs at; 0: at the node's rate */
	struct {
		uint8_t mac[6];
		uint16_t reserved;
		uint32_t network;
	} nics[CTL_NICS_MAX];
	char cmdline[CTL_CMDLINE_MAX];
};
_Static_assert(sizeof(struct ctl_vm_config) == 2224, "control ABI");

enum ctl_vm_state {
	CTL_VM_CREATED = 1,
	CTL_VM_RUNNING,
	CTL_VM_PAUSED,
	CTL_VM_STOPPED,
	CTL_VM_CRASHED,
	CTL_VM_DESTROYED
};

struct ctl_vm_info {
	uint32_t handle;
	uint32_t state;
	uint8_t uuid[16];
	char name[CTL_NAME_MAX];
	char reason[96]; /* of STOPPED and CRASHED */
	uint64_t epoch, mem_bytes;
	uint32_t nr_vcpus, boots; /* how often it was started or reset */
	uint64_t console_end;	  /* stream offset behind the last byte printed */
	uint64_t state_since_ns;  /* uptime when it came into this state */
};

struct ctl_usage { /* counters only grow, from CTL_VM_CREATE until it is forgotten */
	uint32_t handle;
	uint32_t state;
	uint8_t uuid[16];
	uint64_t seq;	  /* next number of this boot; never used twice */
	uint64_t mono_ns; /* uptime of the reading */
	uint64_t epoch;
	uint32_t nr_vcpus, is_final; /* final: destroyed, will not grow */
	uint64_t mem_mib;
	uint64_t vcpu_alloc_ns; /* vCPUs times the time the VM was running */
	uint64_t vcpu_run_ns;	/* time in guest mode */
	uint64_t mem_mib_ms;	/* MiB times the time it held its memory */
	uint64_t net_rx_bytes, net_tx_bytes, net_rx_packets,
		net_tx_packets; /* seen from the guest */
};

#endif
