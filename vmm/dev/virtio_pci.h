/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio 1.2 over PCI, the modern transport: [VIRTIO] "Virtio Over PCI Bus". A device class embeds
 * struct virtio_pci as its first member and plugs in with a const struct virtio_ops.
 *
 *    BAR 0   0x0000 common configuration   0x1000 ISR   0x2000 device configuration
 *            0x3000 notifications, 4 bytes for each queue
 *    BAR 2   MSI-X table and pending bits; one vector for each queue and one for the configuration
 *
 * A queue is live when the driver has enabled it, set DRIVER_OK, and lets the function be bus
 * master. A queue that the driver broke stops, and the device asks for a reset
 * (DEVICE_NEEDS_RESET).
 *
 * Locking. Registers are under vm->lock. Each queue has a lock, vring.lock: the transport changes a
 * queue under both, data paths hold the queue's lock only and never take vm->lock:
 *
 *    struct vring *vring = virtio_queue_take(vp, queue);    // locks
 *    for (uint16_t nr = vring_arm(vring); nr && vring_pop(vring, chain); nr--) …
 *    virtio_queue_give(vp, queue);                          // shows, interrupts, unlocks
 *
 * Lock order: vm, one queue, switch, another port's queue, MSI-X. State is plain apart from the
 * pointers in the leading members. Pure.
 */
#ifndef VMM_DEV_VIRTIO_PCI_H
#define VMM_DEV_VIRTIO_PCI_H

#include "vmm/dev/pci_host.h"
#include "vmm/dev/vring.h"

#define VIRTIO_QUEUES_MAX 4u
#define VIRTIO_CONFIG_MAX 64u /* bytes of device configuration */
#define VIRTIO_NO_VECTOR  0xffffu

#define VIRTIO_PCI_VENDOR   0x1af4u
#define VIRTIO_PCI_ID_BASE  0x1040u /* and the virtio device ID: the PCI device ID */
#define VIRTIO_PCI_BAR	    0u
#define VIRTIO_PCI_MSIX_BAR 2u
#define VIRTIO_PCI_IO_BAR   4u /* notifications by OUT, which needs no look at the guest's code */

/* Offsets in BAR 0. */
#define VIRTIO_PCI_COMMON 0x0000u
#define VIRTIO_PCI_ISR	  0x1000u
#define VIRTIO_PCI_DEVICE 0x2000u
#define VIRTIO_PCI_NOTIFY 0x3000u
#define VIRTIO_PCI_BYTES  0x4000u

#define VIRTIO_NOTIFY_MULTIPLIER 4u

/* [VIRTIO] "Device Status Field" */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01u
#define VIRTIO_STATUS_DRIVER	  0x02u
#define VIRTIO_STATUS_DRIVER_OK	  0x04u
#define VIRTIO_STATUS_FEATURES_OK 0x08u
#define VIRTIO_STATUS_NEEDS_RESET 0x40u
#define VIRTIO_STATUS_FAILED	  0x80u

/* [VIRTIO] "ISR status capability" */
#define VIRTIO_ISR_QUEUE  1u
#define VIRTIO_ISR_CONFIG 2u

/* [VIRTIO] "Common configuration structure layout" */
struct virtio_common {
	uint32_t device_feature_select;
	uint32_t device_feature;
	uint32_t driver_feature_select;
	uint32_t driver_feature;
	uint16_t config_msix_vector;
	uint16_t num_queues;
	uint8_t device_status;
	uint8_t config_generation;
	uint16_t queue_select;
	uint16_t queue_size;
	uint16_t queue_msix_vector;
	uint16_t queue_enable;
	uint16_t queue_notify_off;
	uint64_t queue_desc;
	uint64_t queue_driver;
	uint64_t queue_device;
	uint16_t queue_notify_data;
	uint16_t queue_reset;
	uint32_t reserved;
};
static_assert(offsetof(struct virtio_common, queue_desc) == 0x20, "[VIRTIO] common configuration");
static_assert(offsetof(struct virtio_common, queue_reset) == 0x3a, "[VIRTIO] common configuration");

/* [VIRTIO] "Virtio Structure PCI Capabilities" */
#define VIRTIO_PCI_CAP_VENDOR	  0x09u /* PCI capability ID: vendor specific */
#define VIRTIO_PCI_CAP_COMMON_CFG 1u
#define VIRTIO_PCI_CAP_NOTIFY_CFG 2u
#define VIRTIO_PCI_CAP_ISR_CFG	  3u
#define VIRTIO_PCI_CAP_DEVICE_CFG 4u
#define VIRTIO_PCI_CAP_PCI_CFG	  5u
#define VIRTIO_PCI_CAP_BAR	  4u /* offsets in the capability */
#define VIRTIO_PCI_CAP_OFFSET	  8u
#define VIRTIO_PCI_CAP_LENGTH	  12u
#define VIRTIO_PCI_CAP_MORE	  16u /* notify_off_multiplier, pci_cfg_data */

struct virtio_pci;

struct virtio_ops {
	const char *name;
	uint16_t id; /* [VIRTIO] "Device Types" */
	uint32_t class_code;
	uint16_t nr_queues;
	uint16_t queue_max;    /* entries offered for each, a power of two */
	uint32_t quiet_queues; /* bit n: queue n waits for input and wants no notifications */
	uint64_t features;     /* the class's own; the ring's are added */
	/* The driver wants these and no others, all of them offered: false, and it may not. May be
	 * NULL: it may. Under vm->lock; no queue is live. */
	bool (*agree)(struct virtio_pci *vp, uint64_t features);
	/* The queue may have something to do. Any CPU, no queue's lock held; takes it itself. */
	void (*notify)(struct virtio_pci *vp, uint32_t queue);
	void (*reset)(struct virtio_pci *vp); /* after the queues; may be NULL */
	void (*destroy)(struct virtio_pci *vp);
};

struct virtio_queue {
	struct vring vring; /* its lock guards the rest of this struct too */
	uint16_t size;
	uint16_t vector;
	bool is_enabled;
	bool has_told_broken;
	uint64_t desc_gpa, driver_gpa, device_gpa;
};

struct virtio_pci {
	struct pci_fn fn; /* first */
	const struct virtio_ops *ops;
	uint8_t pci_cfg_cap;		   /* fixed */
	uint8_t config[VIRTIO_CONFIG_MAX]; /* what the driver reads; fixed, filled by the class */
	uint32_t config_len;

	/* under vm->lock */
	uint32_t device_feature_select, driver_feature_select;
	uint64_t driver_features; /* what was agreed on, while a queue is live */
	bool has_alien_features;  /* the driver set bits beyond the 64 that there are */
	uint16_t queue_select;
	uint8_t status;

	/* atomic */
	uint16_t config_vector;
	bool needs_reset;
	uint32_t isr;

	struct virtio_queue queues[VIRTIO_QUEUES_MAX];
};

/*
 * virtio_pci_init - the transport of a device whose class has filled vp->config and config_len
 *
 * Then pci_host_add(host, &vp->fn). From there on the host owns it, and calls ops->destroy.
 */
void virtio_pci_init(struct virtio_pci *vp, struct vm *vm, const struct virtio_ops *ops);

/* virtio_pci_notify - as the driver's write to a queue's notification address. Any CPU, with
 * vm->lock or without. */
void virtio_pci_notify(struct virtio_pci *vp, uint32_t queue);

/* virtio_pci_has - whether the feature was agreed on. Under a live queue's lock. */
bool virtio_pci_has(const struct virtio_pci *vp, uint64_t feature);

/* The way to a queue's chains; see above. Any CPU. */
struct vring *virtio_queue_take(struct virtio_pci *vp, uint32_t queue);
void virtio_queue_give(struct virtio_pci *vp, uint32_t queue);

/* virtio_queue_show - show what was put so far and interrupt, if wanted; the lock stays taken */
void virtio_queue_show(struct virtio_pci *vp, uint32_t queue);

#endif
