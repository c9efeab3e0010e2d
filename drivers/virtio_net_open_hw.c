/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a network card of virtio, at boot or when it is plugged in, and letting go of it: what it
 * can, how many pairs of rings it has (one for
 * each CPU up to NIC_QUEUES_MAX is used), memory for them.
 *
 * Large segments are received only where a frame may fill several buffers; buffers that hold one
 * each would take 16 MiB a ring.
 *
 * Source: [VIRTIO] "Network Device".
 */
#include "drivers/virtio_net_hw.h"

#include "drivers/dev_open.h"
#include "drivers/virtio_net_priv.h"
#include "kernel/acpi.h"
#include "kernel/log.h"

#define WANTED                                                                                     \
	(VIRTIO_NET_F_MTU | VIRTIO_NET_F_MAC | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_STATUS |      \
	 VIRTIO_NET_F_SPEED_DUPLEX)
#define WANTED_WITH_CSUM      (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6)
#define WANTED_WITH_GUEST_TSO (VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6)
#define WANTED_WITH_CTRL_VQ   (VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_MQ)

#define ANSWER_LOOK_NS	   NSEC_PER_MSEC
#define BUFFER_BYTES_MERGE 4096u
#define BUFFER_BYTES	   2048u /* header, frame of NIC_MTU and a tag */
#define FRAME_EXTRA	   18u	 /* Ethernet header and a tag */
#define LARGE_ORDER	   5
static_assert((PAGE_SIZE << LARGE_ORDER) >= OFFLOAD_FRAME_MAX, "a frame fits its pages");
static_assert(BUFFER_BYTES >= sizeof(struct virtio_net_header) + NIC_MTU + FRAME_EXTRA,
	      "a frame fits a buffer");

static uint64_t choose_features(uint64_t offered)
{
	uint64_t wanted = WANTED;

	if (offered & VIRTIO_NET_F_CSUM)
		wanted |= WANTED_WITH_CSUM;
	if (offered & VIRTIO_NET_F_GUEST_CSUM)
		wanted |= VIRTIO_NET_F_GUEST_CSUM;
	if ((offered & VIRTIO_NET_F_GUEST_CSUM) && (offered & VIRTIO_NET_F_MRG_RXBUF))
		wanted |= WANTED_WITH_GUEST_TSO;
	if (offered & VIRTIO_NET_F_CTRL_VQ)
		wanted |= WANTED_WITH_CTRL_VQ;
	return wanted;
}

static void set_nic_features(struct virtio_net_card *card)
{
	static const struct {
		uint64_t virtio;
		uint32_t nic;
	} map[] = {
		{VIRTIO_NET_F_CSUM, NIC_TX_CSUM},
		{VIRTIO_NET_F_HOST_TSO4, NIC_TX_TSO4},
		{VIRTIO_NET_F_HOST_TSO6, NIC_TX_TSO6},
		{VIRTIO_NET_F_GUEST_CSUM, NIC_RX_CSUM},
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(map); i++)
		if (virtio_net_has(card, map[i].virtio))
			card->nic.features |= map[i].nic;
}

/* Large frames take several buffers, so without merging there are small ones only. */
static void read_mtu(struct virtio_net_card *card)
{
	uint32_t mtu = virtio_net_has(card, VIRTIO_NET_F_MRG_RXBUF) ? NIC_MTU_JUMBO : NIC_MTU;

	if (virtio_net_has(card, VIRTIO_NET_F_MTU))
		mtu = MIN(mtu, (uint32_t)virtio_dev_config(&card->virtio, CONFIG_MTU, 2));
	if (mtu < NIC_MTU)
		log_warn("virtio-net",
			 "%s: its network carries %u bytes, fewer than the %u of "
			 "Ethernet: larger frames are lost",
			 card->nic.location, mtu, NIC_MTU);
	card->nic.mtu_max = MAX(mtu, NIC_MTU);
}

static enum hv_err identify(struct virtio_net_card *card)
{
	enum hv_err err = virtio_dev_negotiate(&card->virtio,
					       choose_features(virtio_dev_offers(&card->virtio)));

	if (err != HV_OK)
		return err;
	if (!virtio_net_has(card, VIRTIO_NET_F_MAC))
		return HV_ENOTSUP;
	for (uint32_t i = 0; i < sizeof(card->nic.mac); i++)
		card->nic.mac[i] = (uint8_t)virtio_dev_config(&card->virtio, CONFIG_MAC + i, 1);
	card->max_pairs = 1;
	if (virtio_net_has(card, VIRTIO_NET_F_MQ))
		card->max_pairs = (uint32_t)virtio_dev_config(&card->virtio, CONFIG_MAX_PAIRS, 2);
	set_nic_features(card);
	read_mtu(card);
	return HV_OK;
}

static unsigned order_of(uint64_t len_bytes)
{
	unsigned order = 0;

	while ((PAGE_SIZE << order) < len_bytes)
		order++;
	return order;
}

static enum hv_err alloc_rx(struct virtio_net_card *card, uint32_t index)
{
	struct virtio_net_rx_queue *queue = &card->rx[index];
	bool has_merge = virtio_net_has(card, VIRTIO_NET_F_MRG_RXBUF);
	uint32_t buffer_bytes = has_merge ? BUFFER_BYTES_MERGE : BUFFER_BYTES;
	enum hv_err err =
		virtio_dev_alloc_ring(&card->virtio, &queue->ring, (uint16_t)(2 * index), 0, 0);

	if (err != HV_OK)
		return err;
	queue->order = order_of((uint64_t)queue->ring.shape.size * buffer_bytes);
	queue->buffers = pages_alloc(queue->order);
	queue->large = pages_alloc(LARGE_ORDER);
	if (queue->buffers == HPA_NONE || queue->large == HPA_NONE)
		return HV_ENOMEM;
	virtio_net_card_init_queue(card, queue);
	queue->rx = (struct virtio_net_rx){
		.q = &queue->ring.q,
		.buffers = hva_of(queue->buffers),
		.buffers_bus = queue->buffers,
		.buffer_bytes = buffer_bytes,
		.has_merge = has_merge,
		.has_offload = virtio_net_has(card, VIRTIO_NET_F_GUEST_CSUM),
		.large = hva_of(queue->large),
	};
	return HV_OK;
}

static enum hv_err alloc_tx(struct virtio_net_card *card, uint32_t index)
{
	struct virtio_net_tx_queue *queue = &card->tx[index];
	enum hv_err err =
		virtio_dev_alloc_ring(&card->virtio, &queue->ring, (uint16_t)(2 * index + 1), 0, 0);

	if (err != HV_OK)
		return err;
	queue->order = order_of((uint64_t)queue->ring.shape.size * VIRTIO_NET_CHUNK_BYTES);
	queue->chunks = pages_alloc(queue->order);
	return queue->chunks == HPA_NONE ? HV_ENOMEM : HV_OK;
}

static enum hv_err alloc_control(struct virtio_net_card *card)
{
	uint16_t index = (uint16_t)(2 * card->max_pairs);
	enum hv_err err = virtio_dev_alloc_ring(&card->virtio, &card->control, index, 0, 0);

	if (err != HV_OK)
		return err;
	card->commands = pages_alloc(0);
	return card->commands == HPA_NONE ? HV_ENOMEM : HV_OK;
}

static enum hv_err alloc_rings(struct virtio_net_card *card)
{
	enum hv_err err = HV_OK;

	card->nr_pairs = MAX(1u, MIN(MIN(card->max_pairs, NIC_QUEUES_MAX), acpi_info.nr_cpus));
	for (uint32_t i = 0; i < card->nr_pairs && err == HV_OK; i++) {
		err = alloc_rx(card, i);
		if (err == HV_OK)
			err = alloc_tx(card, i);
	}
	if (err == HV_OK && virtio_net_has(card, VIRTIO_NET_F_CTRL_VQ))
		err = alloc_control(card);
	return err;
}

static void give_pages(hpa_t hpa, unsigned order)
{
	if (hpa != HPA_NONE)
		pages_free(hpa, order);
}

static void free_card(struct virtio_net_card *card)
{
	for (uint32_t i = 0; i < NIC_QUEUES_MAX; i++) {
		virtio_dev_free_ring(&card->rx[i].ring);
		virtio_dev_free_ring(&card->tx[i].ring);
		give_pages(card->rx[i].buffers, card->rx[i].order);
		give_pages(card->rx[i].large, LARGE_ORDER);
		give_pages(card->tx[i].chunks, card->tx[i].order);
	}
	virtio_dev_free_ring(&card->control);
	give_pages(card->commands, 0);
	kmem_free(card);
}

static struct virtio_net_card *alloc_card(void)
{
	struct virtio_net_card *card = nic_has_room() ? kmem_alloc(sizeof(*card)) : NULL;

	if (!card)
		return NULL;
	card->virtio.ops = &virtio_net_dev_ops;
	card->nic.ops = &virtio_net_nic_ops;
	card->commands = card->control.memory = HPA_NONE;
	for (uint32_t i = 0; i < NIC_QUEUES_MAX; i++) {
		card->rx[i].ring.memory = card->tx[i].ring.memory = HPA_NONE;
		card->rx[i].buffers = card->rx[i].large = card->tx[i].chunks = HPA_NONE;
	}
	return card;
}

static void say(const struct virtio_net_card *card)
{
	log_info("virtio-net", "%s: %u pair%s of rings, frames of up to %u bytes%s%s%s",
		 card->nic.location, card->nr_pairs, card->nr_pairs == 1 ? "" : "s",
		 card->nic.mtu_max, card->nic.features & NIC_TX_CSUM ? ", sends checksums" : "",
		 card->nic.features & (NIC_TX_TSO4 | NIC_TX_TSO6) ? " and segments" : "",
		 card->nic.features & NIC_RX_CSUM ? ", checks checksums" : "");
}

static void add(struct virtio_net_card *card)
{
	card->nic.nr_rx_queues = card->nic.nr_tx_queues = card->nr_pairs;
	virtio_net_card_announce(card);
	say(card);
	card->is_added = true;
	nic_add(&card->nic);
}

/* Of one that was plugged in; several may be, for the last place in the list. */
static void look_for_answers(struct timer *timer)
{
	struct virtio_net_card *card = container_of(timer, struct virtio_net_card, watch);

	if (!virtio_net_card_are_answered(card))
		timer_set_in(timer, ANSWER_LOOK_NS);
	else if (nic_has_room())
		add(card);
	else
		log_warn("virtio-net", "%s: there are too many cards for another",
			 card->nic.location);
}

static enum hv_err bring_up(struct virtio_net_card *card)
{
	enum hv_err err = virtio_net_card_run(card);

	if (err != HV_OK)
		return err;
	if (card->virtio.pci->is_plugged_in) {
		timer_init(&card->watch, look_for_answers);
		look_for_answers(&card->watch);
		return HV_OK;
	}
	while (!virtio_net_card_are_answered(card))
		;
	add(card);
	return HV_OK;
}

static enum hv_err attach(struct pci_device *dev)
{
	struct virtio_net_card *card = alloc_card();
	enum hv_err err;

	if (!card)
		return HV_ENOMEM;
	dev_name(dev, card->nic.location, sizeof(card->nic.location));
	err = virtio_dev_open(&card->virtio, dev);
	if (err == HV_OK)
		err = identify(card);
	if (err == HV_OK)
		err = alloc_rings(card);
	if (err == HV_OK)
		err = virtio_dev_connect(&card->virtio, card->nr_pairs);
	if (err == HV_OK)
		err = bring_up(card);
	if (err == HV_OK) {
		dev->driver_data = card;
		return HV_OK;
	}
	virtio_dev_close(&card->virtio);
	virtio_dev_release(&card->virtio);
	free_card(card);
	return err;
}

static void detach(struct pci_device *dev, bool is_there)
{
	virtio_net_card_leave(dev->driver_data, is_there);
}

static bool is_detached(struct pci_device *dev)
{
	struct virtio_net_card *card = dev->driver_data;

	return virtio_dev_has_left(&card->virtio);
}

static void release(struct pci_device *dev)
{
	struct virtio_net_card *card = dev->driver_data;

	virtio_dev_abandon(&card->virtio);
	if (card->is_added)
		nic_remove(&card->nic);
	virtio_dev_release(&card->virtio);
	virtio_net_card_end_timers(card);
	free_card(card);
}

static const struct pci_match matches[] = {
	{VIRTIO_PCI_VENDOR, VIRTIO_PCI_OLD_NET},
	{VIRTIO_PCI_VENDOR, VIRTIO_PCI_NET},
};

const struct pci_driver virtio_net_driver = {
	.name = "virtio-net",
	.base_class = PCI_CLASS_NETWORK,
	.devices = "virtio-net",
	.matches = matches,
	.nr_matches = ARRAY_SIZE(matches),
	.attach = attach,
	.detach = detach,
	.is_detached = is_detached,
	.release = release,
};
