/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lwIP's interface on virtio-net: one receive and one transmit queue, no offloads, frames copied in
 * and out of fixed buffers. A frame that finds no transmit buffer is dropped; TCP sends it again.
 *
 * Source: [VIRTIO] "Network Device".
 */
#include <string.h>

#include "agent/port/cpu.h"
#include "agent/port/port.h"
#include "agent/port/virtio_pci.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "netif/ethernet.h"

#define VIRTIO_NET_ID	 1u
#define VIRTIO_NET_F_MAC BIT(5)
#define QUEUE_RX	 0u
#define QUEUE_TX	 1u
#define HEADER_LEN	 12u /* struct virtio_net_hdr with num_buffers, as VERSION_1 has it */
#define FRAME_MAX	 1514u
#define NR_BUFS		 VQ_SIZE_MAX

struct nic_buf {
	uint8_t header[HEADER_LEN];
	uint8_t frame[FRAME_MAX];
};

static struct virtio_dev dev;
static struct virtio_queue rx, tx;
static struct vq_rings rx_rings, tx_rings;
static struct nic_buf rx_bufs[NR_BUFS], tx_bufs[NR_BUFS];
static struct nic_buf *tx_free[NR_BUFS];
static unsigned nr_tx_free;
static struct netif netif;

static void offer_rx(struct nic_buf *buf)
{
	struct vq_part part = {buf, sizeof(*buf)};

	if (vq_add(&rx.vq, &part, 0, 1, buf) != HV_OK)
		agent_fail("nic: receive queue broken", __FILE__, __LINE__);
}

static void reclaim_tx(void)
{
	struct nic_buf *buf;
	uint32_t written;

	while ((buf = vq_get(&tx.vq, &written)))
		tx_free[nr_tx_free++] = buf;
}

static err_t send_frame(struct netif *nif, struct pbuf *p)
{
	struct nic_buf *buf;
	struct vq_part part;

	(void)nif;
	reclaim_tx();
	if (p->tot_len > FRAME_MAX || nr_tx_free == 0)
		return ERR_IF;
	buf = tx_free[--nr_tx_free];
	memset(buf->header, 0, sizeof(buf->header));
	pbuf_copy_partial(p, buf->frame, p->tot_len, 0);
	part = (struct vq_part){buf, HEADER_LEN + p->tot_len};
	if (vq_add(&tx.vq, &part, 1, 0, buf) != HV_OK)
		agent_fail("nic: transmit queue broken", __FILE__, __LINE__);
	virtio_notify(&tx);
	return ERR_OK;
}

static void deliver(const uint8_t *frame, uint32_t len)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (uint16_t)len, PBUF_POOL);

	if (!p)
		return;
	pbuf_take(p, frame, (uint16_t)len);
	if (netif.input(p, &netif) != ERR_OK)
		pbuf_free(p);
}

bool nic_poll(void)
{
	struct nic_buf *buf;
	uint32_t written;
	bool any = false;

	while ((buf = vq_get(&rx.vq, &written))) {
		if (written > HEADER_LEN)
			deliver(buf->frame, written - HEADER_LEN);
		offer_rx(buf);
		any = true;
	}
	if (any)
		virtio_notify(&rx);
	return any;
}

static err_t init_netif(struct netif *nif)
{
	unsigned i;

	nif->name[0] = 'e';
	nif->name[1] = 'n';
	nif->mtu = 1500;
	nif->hwaddr_len = ETH_HWADDR_LEN;
	for (i = 0; i < ETH_HWADDR_LEN; i++)
		nif->hwaddr[i] = mmio_read8(dev.config + i);
	nif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	nif->output = etharp_output;
	nif->linkoutput = send_frame;
	return ERR_OK;
}

void nic_init(const char *hostname)
{
	unsigned i;

	if (virtio_open(&dev, VIRTIO_NET_ID, VIRTIO_NET_F_MAC) != HV_OK ||
	    !(dev.features & VIRTIO_NET_F_MAC) || !dev.config ||
	    virtio_queue(&dev, QUEUE_RX, &rx_rings, &rx) != HV_OK ||
	    virtio_queue(&dev, QUEUE_TX, &tx_rings, &tx) != HV_OK)
		agent_fail("no virtio-net device with a MAC address", __FILE__, __LINE__);
	virtio_start(&dev);
	for (i = 0; i < rx.vq.size; i++)
		offer_rx(&rx_bufs[i]);
	virtio_notify(&rx);
	for (i = 0; i < tx.vq.size; i++)
		tx_free[nr_tx_free++] = &tx_bufs[i];

	lwip_init();
	if (!netif_add_noaddr(&netif, NULL, init_netif, ethernet_input))
		agent_fail("nic: lwIP refuses the interface", __FILE__, __LINE__);
	netif_set_default(&netif);
	netif_set_hostname(&netif, hostname);
	netif_set_link_up(&netif);
	netif_set_up(&netif);
}

uint32_t sys_now(void); /* lwIP's clock, ms */
uint32_t sys_now(void)
{
	return (uint32_t)(clock_ns() / NSEC_PER_MSEC);
}
