/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A modern virtio device on PCI, with one MSI-X vector for all its queues: the interrupt only ends
 * a HLT. Bring-up: virtio_open, virtio_queue for each queue, virtio_start.
 *
 * Source: [VIRTIO] "Virtio Over PCI Bus", "Device Initialization".
 */
#ifndef AGENT_PORT_VIRTIO_PCI_H
#define AGENT_PORT_VIRTIO_PCI_H

#include "agent/port/pci.h"
#include "agent/port/virtqueue.h"

#define VIRTIO_F_VERSION_1 BIT(32)

struct virtio_dev {
	struct pci_dev pci;
	volatile uint8_t *common, *notify, *config; /* config: device-specific; may be NULL */
	uint16_t notify_port;			    /* 0: notifications go to memory at notify */
	uint32_t notify_step;
	uint64_t features; /* agreed on */
};

struct virtio_queue {
	struct vq vq;
	volatile uint8_t *doorbell; /* or, when it is not 0, the port: a cheaper exit */
	uint16_t port;
	uint16_t index;
};

/* virtio_open - find the device, reset it, agree on (offered & wanted) | VERSION_1. HV_ENOENT: none
 * there */
MUST_CHECK enum hv_err virtio_open(struct virtio_dev *dev, unsigned virtio_id, uint64_t wanted);
MUST_CHECK enum hv_err virtio_queue(struct virtio_dev *dev, uint16_t index, struct vq_rings *rings,
				    struct virtio_queue *q);
void virtio_start(struct virtio_dev *dev);

/* virtio_notify - tell the device to look at the queue */
void virtio_notify(struct virtio_queue *q);

#endif
