/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network card. Sending copies each frame once into the device, so that the switch never looks
 * at memory that the guest can change; receiving copies into as many of the guest's buffers as it
 * takes.
 */
#include "vmm/dev/virtio_net.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/memory.h"

#define HDR_BYTES sizeof(struct virtio_net_hdr)

static struct virtio_net *net_of(struct virtio_pci *vp)
{
	return container_of(vp, struct virtio_net, vp);
}

/* ---- from the guest ---- */

/* Too short and too long ones go to the switch all the same, which drops and counts them. */
static void send_chain(struct virtio_net *net, const struct vring *vring)
{
	/* The header speaks of offloads only, and none was offered. */
	size_t len = vring_chain_read(vring, &net->tx_chain, HDR_BYTES, net->tx_frame,
				      sizeof(net->tx_frame));

	net->net->send(&net->port, net->tx_frame, len, NULL);
}

static void transmit(struct virtio_net *net)
{
	struct vring *vring = virtio_queue_take(&net->vp, VIRTIO_NET_TX);

	for (uint16_t nr = vring_arm(vring); nr && vring_pop(vring, &net->tx_chain); nr--) {
		send_chain(net, vring);
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

/* What a chain takes of a frame's rest; offset is where in the chain. */
static size_t fill_buffer(struct vring *vring, const struct vring_chain *chain, uint64_t offset,
			  const uint8_t *frame, size_t len_bytes)
{
	size_t part = vring_chain_write(vring, chain, offset, frame, len_bytes);

	vring_put(vring, chain->head, (uint32_t)(offset + part));
	return part;
}

/* The number of buffers used, or 0: no room, and the queue is as it was. */
static uint16_t fill_buffers(struct virtio_net *net, struct vring *vring, const uint8_t *frame,
			     size_t len_bytes)
{
	uint16_t max = virtio_pci_has(&net->vp, VIRTIO_NET_F_MRG_RXBUF) ? vring->size : 1;
	uint16_t nr = 1;
	size_t done;

	if (!pop_buffer(vring, &net->rx_first, HDR_BYTES))
		return 0;
	done = fill_buffer(vring, &net->rx_first, HDR_BYTES, frame, len_bytes);
	for (; done < len_bytes && nr < max && pop_buffer(vring, &net->rx_more, 1); nr++)
		done += fill_buffer(vring, &net->rx_more, 0, frame + done, len_bytes - done);
	if (done == len_bytes)
		return nr;
	vring_unpop(vring, nr);
	return 0;
}

static bool receive(struct net_port *port, const void *frame, size_t len_bytes,
		    const struct frame_offload *offload)
{
	struct virtio_net *net = port->owner;
	struct vring *vring = virtio_queue_take(&net->vp, VIRTIO_NET_RX);
	struct virtio_net_hdr hdr = {0};

	(void)offload;
	hdr.num_buffers = fill_buffers(net, vring, frame, len_bytes);
	if (hdr.num_buffers)
		vring_chain_write(vring, &net->rx_first, 0, &hdr, sizeof(hdr));
	virtio_queue_give(&net->vp, VIRTIO_NET_RX);
	return hdr.num_buffers != 0;
}

/* ---- life ---- */

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
	.features = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MRG_RXBUF,
	.notify = net_notify,
	.destroy = net_destroy,
};

static void fill_port(struct virtio_net *net, const struct virtio_net_conf *conf)
{
	net->port = (struct net_port){
		.name = conf->name,
		.kind = conf->kind,
		.network = conf->network,
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
	put_le16(net->vp.config + 6, VIRTIO_NET_S_LINK_UP);
	net->vp.config_len = 8;
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
