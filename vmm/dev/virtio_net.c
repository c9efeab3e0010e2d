/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network card. Sending copies each frame once into this CPU's buffer, so that the switch never
 * looks at memory that the guest can change; receiving copies into as many of the guest's buffers
 * as it takes.
 */
#include "vmm/dev/virtio_net.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/memory.h"
#include "net/offload.h"

#define HDR_BYTES sizeof(struct virtio_net_hdr)
static_assert(HDR_BYTES == NET_HEAD_BYTES, "a buffer has room for the header before the frame");

static struct virtio_net *net_of(struct virtio_pci *vp)
{
	return container_of(vp, struct virtio_net, vp);
}

/* ---- from the guest ---- */

/* [VIRTIO] "Packet Transmission": what the header asks for; false when it may not, or not so. */
static bool read_hdr(const struct virtio_net *net, const struct virtio_net_hdr *hdr,
		     struct frame_offload *out)
{
	*out = (struct frame_offload){
		.needs_csum = hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = hdr->csum_start,
		.csum_offset = hdr->csum_offset,
		.gso_size = hdr->gso_size,
	};
	if (out->needs_csum && !virtio_pci_has(&net->vp, VIRTIO_NET_F_CSUM))
		return false;
	switch (hdr->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		out->gso = OFFLOAD_GSO_TCP4;
		return virtio_pci_has(&net->vp, VIRTIO_NET_F_HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		out->gso = OFFLOAD_GSO_TCP6;
		return virtio_pci_has(&net->vp, VIRTIO_NET_F_HOST_TSO6);
	default:
		return false;
	}
}

/* A driver's segment has the length in its pseudo header's sum; ours has not (drivers/offload.h).
 */
static void put_pseudo_sum(uint8_t *frame, const struct frame_offload *offload, uint32_t tcp_bytes)
{
	put_be16(frame + offload->csum_start + offload->csum_offset,
		 offload_pseudo_sum(frame, offload, tcp_bytes));
}

/*
 * The frame behind the header in the buffer, which the guest cannot change any more. What breaks
 * the rules goes to the switch too, as a frame of no length, which drops and counts it. Returns the
 * frames that it becomes.
 */
static uint32_t send_frame(struct virtio_net *net, uint8_t *frame, size_t len_bytes)
{
	const struct virtio_net_hdr *hdr = (const void *)(frame - HDR_BYTES);
	struct frame_offload offload;

	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
	    hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		net->net->send(&net->port, frame, len_bytes, NULL);
		return 1;
	}
	if (!read_hdr(net, hdr, &offload) || offload_check(frame, len_bytes, &offload) != HV_OK) {
		net->net->send(&net->port, frame, 0, NULL);
		return 1;
	}
	if (offload.gso != OFFLOAD_GSO_NONE)
		put_pseudo_sum(frame, &offload, 0);
	net->net->send(&net->port, frame, len_bytes, &offload);
	return offload_frames(len_bytes, &offload);
}

/* Too short and too long ones go to the switch all the same. */
static uint32_t send_chain(struct virtio_net *net, const struct vring *vring, bool is_allowed)
{
	uint8_t *buffer = net->net->buffer();
	size_t len = vring_chain_read(vring, &net->tx_chain, 0, buffer, NET_BUFFER_BYTES);

	if (is_allowed && len >= HDR_BYTES)
		return send_frame(net, buffer + HDR_BYTES, len - HDR_BYTES);
	net->net->send(&net->port, buffer, 0, NULL);
	return 1;
}

static void transmit(struct virtio_net *net)
{
	struct vring *vring = virtio_queue_take(&net->vp, VIRTIO_NET_TX);
	uint32_t nr_frames = 0;

	for (uint16_t nr = vring_arm(vring); nr && vring_pop(vring, &net->tx_chain); nr--) {
		nr_frames += send_chain(net, vring, nr_frames < VIRTIO_NET_TX_FRAMES);
		vring_put(vring, net->tx_chain.head, 0);
	}
	virtio_queue_give(&net->vp, VIRTIO_NET_TX);
}

static void net_notify(struct virtio_pci *vp, uint32_t queue)
{
	if (queue == VIRTIO_NET_TX)
		transmit(net_of(vp));
}

/* ---- to the guest ---- */

/* A receive buffer that can hold something; others break the queue. */
static bool pop_buffer(struct vring *vring, struct vring_chain *chain, uint64_t min_bytes)
{
	if (!vring_pop(vring, chain))
		return false;
	if (chain->nr_readable == 0 && chain->writable_bytes >= min_bytes)
		return true;
	vring_break(vring, "receive buffer is too small or not writable");
	return false;
}

/* A frame on its way into buffers: its headers, where they are not those in the frame, and it. */
struct filling {
	const uint8_t *head, *frame;
	size_t head_bytes, len_bytes, done;
};

/* Put as much as there is room for into a chain, from offset on. */
static void fill_buffer(struct vring *vring, const struct vring_chain *chain, uint64_t offset,
			struct filling *f)
{
	if (f->done < f->head_bytes) {
		size_t part = vring_chain_write(vring, chain, offset, f->head + f->done,
						f->head_bytes - f->done);

		f->done += part;
		offset += part;
	}
	if (f->done >= f->head_bytes) {
		size_t part = vring_chain_write(vring, chain, offset, f->frame + f->done,
						f->len_bytes - f->done);

		f->done += part;
		offset += part;
	}
	vring_put(vring, chain->head, (uint32_t)offset);
}

/* The number of buffers used, or 0: no room, and the queue is as it was. */
static uint16_t fill_buffers(struct virtio_net *net, struct vring *vring, struct filling *f)
{
	uint16_t max = virtio_pci_has(&net->vp, VIRTIO_NET_F_MRG_RXBUF) ? vring->size : 1;
	uint16_t nr = 1;

	if (!pop_buffer(vring, &net->rx_first, HDR_BYTES))
		return 0;
	fill_buffer(vring, &net->rx_first, HDR_BYTES, f);
	for (; f->done < f->len_bytes && nr < max && pop_buffer(vring, &net->rx_more, 1); nr++)
		fill_buffer(vring, &net->rx_more, 0, f);
	if (f->done == f->len_bytes)
		return nr;
	vring_unpop(vring, nr);
	return 0;
}

static uint32_t takes(uint64_t features)
{
	return (features & VIRTIO_NET_F_GUEST_CSUM ? NET_TAKES_CSUM : 0) |
	       (features & VIRTIO_NET_F_GUEST_TSO4 ? NET_TAKES_TSO4 : 0) |
	       (features & VIRTIO_NET_F_GUEST_TSO6 ? NET_TAKES_TSO6 : 0);
}

/* [VIRTIO] "Processing of Incoming Packets"; false: this driver does not take it. */
static bool make_hdr(const struct virtio_net *net, const struct frame_offload *offload,
		     struct virtio_net_hdr *hdr)
{
	uint32_t can = takes(net->vp.driver_features);

	if (offload->needs_csum) {
		hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		hdr->csum_start = offload->csum_start;
		hdr->csum_offset = offload->csum_offset;
	} else if (offload->is_csum_valid && can & NET_TAKES_CSUM) {
		hdr->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (offload->gso == OFFLOAD_GSO_NONE)
		return !offload->needs_csum || can & NET_TAKES_CSUM;
	hdr->gso_type = offload->gso == OFFLOAD_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4
							 : VIRTIO_NET_HDR_GSO_TCPV6;
	hdr->gso_size = offload->gso_size;
	hdr->hdr_len = offload->hdr_len;
	return can & (offload->gso == OFFLOAD_GSO_TCP4 ? NET_TAKES_TSO4 : NET_TAKES_TSO6);
}

/* The switch asked what the port takes, and the driver may have changed its mind since. */
static bool receive_locked(struct virtio_net *net, struct vring *vring, const void *frame,
			   size_t len_bytes, const struct frame_offload *offload)
{
	struct virtio_net_hdr hdr = {0};
	struct filling f = {.frame = frame, .len_bytes = len_bytes};
	uint8_t head[OFFLOAD_HDR_MAX];

	if (offload && !make_hdr(net, offload, &hdr))
		return false;
	if (offload && offload->gso != OFFLOAD_GSO_NONE) {
		memcpy(head, frame, offload->hdr_len);
		put_pseudo_sum(head, offload, (uint32_t)(len_bytes - offload->csum_start));
		f.head = head;
		f.head_bytes = offload->hdr_len;
	}
	hdr.num_buffers = fill_buffers(net, vring, &f);
	if (hdr.num_buffers)
		vring_chain_write(vring, &net->rx_first, 0, &hdr, sizeof(hdr));
	return hdr.num_buffers != 0;
}

static bool receive(struct net_port *port, const void *frame, size_t len_bytes,
		    const struct frame_offload *offload)
{
	struct virtio_net *net = port->owner;
	struct vring *vring = virtio_queue_take(&net->vp, VIRTIO_NET_RX);
	bool is_received = receive_locked(net, vring, frame, len_bytes, offload);

	virtio_queue_give(&net->vp, VIRTIO_NET_RX);
	return is_received;
}

/* ---- life ---- */

/* [VIRTIO] "Network Device", "Feature bit requirements" */
static bool net_agree(struct virtio_pci *vp, uint64_t features)
{
	const uint64_t host_tso = VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6;
	const uint64_t guest_tso = VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6;

	if ((features & host_tso && !(features & VIRTIO_NET_F_CSUM)) ||
	    (features & guest_tso && !(features & VIRTIO_NET_F_GUEST_CSUM)))
		return false;
	__atomic_store_n(&net_of(vp)->port.offloads, takes(features), __ATOMIC_RELAXED);
	return true;
}

static void net_reset(struct virtio_pci *vp)
{
	__atomic_store_n(&net_of(vp)->port.offloads, 0, __ATOMIC_RELAXED);
}

static void net_destroy(struct virtio_pci *vp)
{
	struct virtio_net *net = net_of(vp);

	net->net->detach(&net->port);
	kmem_free(net);
}

static const struct virtio_ops net_dev_ops = {
	.name = "virtio-net",
	.id = VIRTIO_NET_ID,
	.class_code = 0x020000, /* Ethernet controller */
	.nr_queues = 2,
	.queue_max = VIRTIO_NET_QUEUE_MAX,
	.quiet_queues = BIT(VIRTIO_NET_RX),
	.features = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MTU |
		    VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 |
		    VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 |
		    VIRTIO_NET_F_GUEST_TSO6,
	.agree = net_agree,
	.notify = net_notify,
	.reset = net_reset,
	.destroy = net_destroy,
};

static void fill_port(struct virtio_net *net, const struct virtio_net_conf *conf)
{
	net->port = (struct net_port){
		.name = conf->name,
		.kind = conf->kind,
		.network = conf->network,
		.mtu = conf->mtu,
		.owner = net,
		.deliver = receive,
		.slot = -1,
	};
	memcpy(net->port.mac, conf->mac, sizeof(net->port.mac));
}

/* [VIRTIO] "Network Device", "Device configuration layout" */
static void fill_config(struct virtio_net *net, const struct virtio_net_conf *conf)
{
	memcpy(net->vp.config, conf->mac, sizeof(conf->mac));
	put_le16(net->vp.config + VIRTIO_NET_CONFIG_STATUS, VIRTIO_NET_S_LINK_UP);
	put_le16(net->vp.config + VIRTIO_NET_CONFIG_MTU, (uint16_t)conf->mtu);
	net->vp.config_len = VIRTIO_NET_CONFIG_BYTES;
}

enum hv_err virtio_net_create(struct vm *vm, struct pci_host *host,
			      const struct virtio_net_conf *conf, struct virtio_net **out)
{
	struct virtio_net *net = kmem_alloc(sizeof(*net));
	enum hv_err err;

	if (!net)
		return HV_ENOMEM;
	net->net = conf->net;
	fill_port(net, conf);
	fill_config(net, conf);
	virtio_pci_init(&net->vp, vm, &net_dev_ops);

	/* Before it is on the bus: a function that is there belongs to the bus. */
	err = net->net->attach(&net->port);
	if (err != HV_OK)
		goto free_net;
	err = pci_host_add(host, &net->vp.fn);
	if (err != HV_OK)
		goto detach_port;
	if (out)
		*out = net;
	return HV_OK;

detach_port:
	net->net->detach(&net->port);
free_net:
	kmem_free(net);
	return err;
}
