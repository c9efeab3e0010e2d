/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's network card: [VIRTIO] "Network Device" with one receive and one transmit queue, a port
 * of the node's switch. Offers MAC, STATUS (the link is always up), MTU, MRG_RXBUF, and that either
 * side leaves checksums and the cutting of large TCP segments to the other; what is left to us, the
 * switch does or has done.
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
#define VIRTIO_NET_F_CSUM	BIT(0) /* the driver may send without a checksum */
#define VIRTIO_NET_F_GUEST_CSUM BIT(1) /* and may be sent such frames */
#define VIRTIO_NET_F_MTU	BIT(3)
#define VIRTIO_NET_F_MAC	BIT(5)
#define VIRTIO_NET_F_GUEST_TSO4 BIT(7)
#define VIRTIO_NET_F_GUEST_TSO6 BIT(8)
#define VIRTIO_NET_F_HOST_TSO4	BIT(11) /* the driver may send segments of up to 64 KiB */
#define VIRTIO_NET_F_HOST_TSO6	BIT(12)
#define VIRTIO_NET_F_MRG_RXBUF	BIT(15)
#define VIRTIO_NET_F_STATUS	BIT(16)

#define VIRTIO_NET_S_LINK_UP 1u

/* [VIRTIO] "Network Device", "Device configuration layout": offsets */
#define VIRTIO_NET_CONFIG_STATUS 6u
#define VIRTIO_NET_CONFIG_MTU	 10u
#define VIRTIO_NET_CONFIG_BYTES	 12u

/* The most frames that one notification may become: a full queue of the largest segments makes
 * fewer. What is beyond is dropped, so that many tiny segments do not hold the CPU for long. */
#define VIRTIO_NET_TX_FRAMES (VIRTIO_NET_QUEUE_MAX * 64u)

/* [VIRTIO] "Network Device", "Device Operation" */
#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1u
#define VIRTIO_NET_HDR_F_DATA_VALID 2u
#define VIRTIO_NET_HDR_GSO_NONE	    0u
#define VIRTIO_NET_HDR_GSO_TCPV4    1u
#define VIRTIO_NET_HDR_GSO_TCPV6    4u

struct virtio_net_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint16_t num_buffers; /* of a received frame */
};
static_assert(sizeof(struct virtio_net_hdr) == 12, "[VIRTIO] network header is 12 bytes");

struct net_ops { /* the switch: net_attach, net_detach, net_buffer, net_send of net/port.h */
	enum hv_err (*attach)(struct net_port *port);
	void (*detach)(struct net_port *port);
	uint8_t *(*buffer)(void);
	bool (*send)(struct net_port *port, const void *frame, size_t len_bytes,
		     const struct frame_offload *offload);
};

struct virtio_net_conf { /* borrowed by create; net is kept */
	uint8_t mac[6];
	uint32_t network;
	uint32_t mtu;
	enum net_port_kind kind;
	const char *name; /* of the port; kept */
	const struct net_ops *net;
};

struct virtio_net {
	struct virtio_pci vp; /* first */
	struct net_port port; /* its counters are the NIC's usage */
	const struct net_ops *net;

	struct vring_chain rx_first, rx_more; /* under the receive queue's lock */

	struct vring_chain tx_chain; /* under the transmit queue's lock */
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
