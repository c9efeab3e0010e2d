/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's network card: [VIRTIO] "Network Device" with one receive and one transmit queue, a port
 * of the node's switch. Offers MAC, STATUS (the link is always up) and MRG_RXBUF; no offloads, so
 * every frame in memory is a frame on the wire.
 *
 * Frames that the guest sends leave under its transmit queue's lock, within the notification;
 * frames for it come in through the port's deliver(), under the receive queue's lock only.
 *
 * Create it while its VM is created, with the VM's struct pci_host, which destroys it. Pure: the
 * switch is given as ops.
 */
#ifndef VMM_DEV_VIRTIO_NET_H
#define VMM_DEV_VIRTIO_NET_H

#include "net/port.h"
#include "vmm/dev/virtio_pci.h"

#define VIRTIO_NET_ID	     1u
#define VIRTIO_NET_RX	     0u
#define VIRTIO_NET_TX	     1u
#define VIRTIO_NET_QUEUE_MAX 256u

/* [VIRTIO] "Network Device", "Feature bits" */
#define VIRTIO_NET_F_MAC       BIT(5)
#define VIRTIO_NET_F_MRG_RXBUF BIT(15)
#define VIRTIO_NET_F_STATUS    BIT(16)

#define VIRTIO_NET_S_LINK_UP 1u

/* [VIRTIO] "Network Device", "Device Operation" */
struct virtio_net_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint16_t num_buffers; /* of a received frame */
};
static_assert(sizeof(struct virtio_net_hdr) == 12, "[VIRTIO] network header is 12 bytes");

struct net_ops { /* the switch: net_attach, net_detach, net_send of net/port.h */
	enum hv_err (*attach)(struct net_port *port);
	void (*detach)(struct net_port *port);
	bool (*send)(struct net_port *port, const void *frame, size_t len_bytes,
		     const struct frame_offload *offload);
};

struct virtio_net_conf { /* borrowed by create; net is kept */
	uint8_t mac[6];
	uint32_t network;
	enum net_port_kind kind;
	const char *name; /* of the port; kept */
	const struct net_ops *net;
};

struct virtio_net {
	struct virtio_pci vp; /* first */
	struct net_port port; /* its counters are the NIC's usage */
	const struct net_ops *net;

	struct vring_chain rx_first, rx_more; /* under the receive queue's lock */

	struct vring_chain tx_chain;	     /* under the transmit queue's lock */
	uint8_t tx_frame[NET_FRAME_MAX + 1]; /* room to see that one is too long */
};

/*
 * virtio_net_create - attach a port and put the card on the bus
 *
 * out      kept by host, and valid until host is destroyed; may be NULL
 * Errors:  HV_ENOMEM - memory, the switch's slots, or the bus ran out; and what conf->net->attach
 *          says of the address. Nothing is left behind.
 */
MUST_CHECK enum hv_err virtio_net_create(struct vm *vm, struct pci_host *host,
					 const struct virtio_net_conf *conf,
					 struct virtio_net **out);

#endif
