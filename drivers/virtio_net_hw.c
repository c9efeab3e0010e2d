/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network cards of virtio: pairs of rings, one for each CPU up to NIC_QUEUES_MAX where the device
 * has them.
 *
 * The device is started in attach(), its receive rings empty, so that it tells of its link from
 * then on; start() gives it buffers. Whoever looks at a receive ring holds its lock, which others
 * only try: what they came for is seen by the holder, who looks once more when he has let go of it.
 * So received() may send, and may be called from the watch, too.
 *
 * The watch looks after the device every second, from a timer: whether it is still there, whether
 * it or a ring wants a reset, and whether an interrupt was lost. A reset is done behind everybody's
 * back; frames that come meanwhile are lost, as on any wire.
 *
 * Source: [VIRTIO] "Network Device".
 */
#include "drivers/virtio_net_hw.h"

#include "drivers/dev_open.h"
#include "drivers/nic.h"
#include "drivers/virtio_net_rings.h"
#include "drivers/virtio_pci_hw.h"
#include "kernel/acpi.h"
#include "kernel/cpu.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"

/* [VIRTIO] "Network Device", "Feature bits" */
#define VIRTIO_NET_F_CSUM	  BIT(0)
#define VIRTIO_NET_F_GUEST_CSUM	  BIT(1)
#define VIRTIO_NET_F_MTU	  BIT(3)
#define VIRTIO_NET_F_MAC	  BIT(5)
#define VIRTIO_NET_F_GUEST_TSO4	  BIT(7)
#define VIRTIO_NET_F_GUEST_TSO6	  BIT(8)
#define VIRTIO_NET_F_HOST_TSO4	  BIT(11)
#define VIRTIO_NET_F_HOST_TSO6	  BIT(12)
#define VIRTIO_NET_F_MRG_RXBUF	  BIT(15)
#define VIRTIO_NET_F_STATUS	  BIT(16)
#define VIRTIO_NET_F_CTRL_VQ	  BIT(17)
#define VIRTIO_NET_F_CTRL_RX	  BIT(18)
#define VIRTIO_NET_F_MQ		  BIT(22)
#define VIRTIO_NET_F_SPEED_DUPLEX BIT(63)

#define WANTED                                                                                     \
	(VIRTIO_NET_F_MTU | VIRTIO_NET_F_MAC | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_STATUS |      \
	 VIRTIO_NET_F_SPEED_DUPLEX)
#define WANTED_WITH_CSUM      (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6)
#define WANTED_WITH_GUEST_TSO (VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6)
#define WANTED_WITH_CTRL_VQ   (VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_MQ)

/* [VIRTIO] "Network Device", "Device configuration layout": offsets */
#define CONFIG_MAC	 0u
#define CONFIG_STATUS	 6u
#define CONFIG_MAX_PAIRS 8u
#define CONFIG_MTU	 10u
#define CONFIG_SPEED	 12u /* Mb/s */

#define STATUS_LINK_UP 1u
#define SPEED_MAX      0x7fffffffu /* larger: unknown */

/* [VIRTIO] "Control Virtqueue" */
#define CTRL_RX		  0u
#define CTRL_RX_PROMISC	  0u
#define CTRL_RX_ALLMULTI  1u
#define CTRL_MQ		  4u
#define CTRL_MQ_PAIRS_SET 0u
#define CTRL_ACK_NONE	  0xffu /* not answered yet */
#define CTRL_ACK_OK	  0u
#define COMMANDS	  3u

#define BUFFER_BYTES_MERGE 4096u
#define BUFFER_BYTES	   2048u /* header, frame of NIC_MTU and a tag */
#define FRAME_EXTRA	   18u	 /* Ethernet header and a tag */
#define RX_BUDGET	   256u	 /* frames in one interrupt */
#define RX_SHOW_EVERY	   32u	 /* buffers given back at once */
#define WATCH_NS	   NSEC_PER_SEC
#define COMMAND_NS	   NSEC_PER_SEC
#define LARGE_ORDER	   5
static_assert((PAGE_SIZE << LARGE_ORDER) >= OFFLOAD_FRAME_MAX, "a frame fits its pages");
static_assert(BUFFER_BYTES >= sizeof(struct virtio_net_header) + NIC_MTU + FRAME_EXTRA,
	      "a frame fits a buffer");

struct rx_queue {
	struct lock lock; /* tried only, but to stop it */
	bool is_live;	  /* the device has it, and buffers in it */
	struct virtio_ring ring;
	hpa_t buffers, large; /* HPA_NONE: not taken */
	unsigned order;
	struct virtio_net_rx rx;
	struct timer more; /* the budget was used up */
	struct card *card;
};

struct tx_queue {
	struct lock lock;
	bool is_live;
	struct virtio_ring ring;
	hpa_t chunks; /* HPA_NONE: not taken */
	unsigned order;
	struct virtio_net_tx tx;
};

struct command { /* the device's memory, too */
	uint8_t class, command;
	uint8_t data[2];
	volatile uint8_t ack;
};

struct card {
	struct nic nic;
	struct virtio_dev virtio;
	uint32_t nr_pairs, max_pairs;
	bool is_started, is_resetting;
	struct rx_queue rx[NIC_QUEUES_MAX];
	struct tx_queue tx[NIC_QUEUES_MAX];
	struct virtio_ring control; /* after boot: the watch's */
	hpa_t commands;		    /* COMMANDS of them; HPA_NONE: not taken */
	struct timer watch;
};

static struct card *card_of(struct virtio_dev *virtio)
{
	return container_of(virtio, struct card, virtio);
}

static bool has(const struct card *card, uint64_t feature)
{
	return card->virtio.features & feature;
}

static void count(uint64_t *counter, uint64_t more)
{
	__atomic_fetch_add(counter, more, __ATOMIC_RELAXED);
}

/* ---- the link ---- */

static void read_link(struct card *card)
{
	uint64_t speed = 0;
	bool is_up = true;

	if (has(card, VIRTIO_NET_F_STATUS))
		is_up = virtio_dev_config(&card->virtio, CONFIG_STATUS, 2) & STATUS_LINK_UP;
	if (is_up && has(card, VIRTIO_NET_F_SPEED_DUPLEX))
		speed = virtio_dev_config(&card->virtio, CONFIG_SPEED, 4);
	card->nic.is_link_up = is_up && !card->nic.is_gone;
	card->nic.speed_mbps = speed <= SPEED_MAX && card->nic.is_link_up ? (uint32_t)speed : 0;
}

static void log_link(const struct card *card)
{
	const uint8_t *mac = card->nic.mac;
	char link[32] = "link up";

	if (card->nic.is_link_up && card->nic.speed_mbps > 0)
		fmt(link, sizeof(link), "link up %u Mb/s", card->nic.speed_mbps);
	if (!card->nic.is_link_up)
		fmt(link, sizeof(link), "no link");
	log_info("virtio-net", "%s: %02x:%02x:%02x:%02x:%02x:%02x, %s", card->nic.location, mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5], link);
}

static void update_link(struct card *card)
{
	bool was_up = card->nic.is_link_up;

	read_link(card);
	if (card->nic.is_link_up == was_up)
		return;
	card->nic.counters.link_changes++;
	log_link(card);
	if (card->nic.link_changed)
		card->nic.link_changed(&card->nic);
}

/* ---- receive ---- */

static void receive_one(struct card *card, struct virtio_net_frame *frame,
			struct nic_counters *seen)
{
	seen->rx_packets++;
	seen->rx_bytes += frame->len_bytes;
	card->nic.received(&card->nic, frame->data, frame->len_bytes,
			   frame->has_offload ? &frame->offload : NULL);
}

/* What is there, up to the budget; true: that was used up. */
static bool receive_some(struct card *card, struct rx_queue *queue, struct nic_counters *seen)
{
	struct virtio_net_frame frame;
	enum virtio_net_rx_kind kind;

	for (uint32_t done = 1; done <= RX_BUDGET; done++) {
		kind = virtio_net_rx_look(&queue->rx, &frame);
		if (kind == VIRTIO_NET_RX_NONE)
			return false;
		if (kind == VIRTIO_NET_RX_FRAME)
			receive_one(card, &frame, seen);
		else
			seen->rx_dropped++;
		virtio_net_rx_return(&queue->rx);
		if (done % RX_SHOW_EVERY == 0)
			virtio_dev_kick(&queue->ring);
	}
	return true;
}

/* Under the queue's lock; true: there is more. */
static bool receive_locked(struct card *card, struct rx_queue *queue)
{
	struct nic_counters seen = {0};
	bool is_more;

	if (!queue->is_live)
		return false;
	is_more = receive_some(card, queue, &seen);
	virtio_dev_kick(&queue->ring);
	count(&card->nic.counters.rx_packets, seen.rx_packets);
	count(&card->nic.counters.rx_bytes, seen.rx_bytes);
	count(&card->nic.counters.rx_dropped, seen.rx_dropped);
	return is_more || virtq_listen(&queue->ring.q);
}

static void receive(struct rx_queue *queue)
{
	bool is_more;

	do {
		if (!lock_try(&queue->lock))
			return;
		is_more = receive_locked(queue->card, queue);
		lock_release(&queue->lock);
		if (is_more) { /* in an interrupt of its own, so that others have theirs */
			timer_set(&queue->more, tsc_now());
			return;
		}
		/* The lock's release before this read: who tried it in vain came for what is here.
		 */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	} while (queue->is_live && virtq_has_used(&queue->ring.q));
}

static void receive_more(struct timer *timer)
{
	receive(container_of(timer, struct rx_queue, more));
}

static void line(struct virtio_dev *virtio, uint32_t index)
{
	receive(&card_of(virtio)->rx[index]);
}

/* ---- send ---- */

static bool send(struct nic *nic, const void *frame, size_t len_bytes,
		 const struct frame_offload *offload)
{
	struct card *card = container_of(nic, struct card, nic);
	struct tx_queue *queue = &card->tx[this_cpu()->index % card->nr_pairs];
	bool is_sent;

	lock_take(&queue->lock);
	is_sent = queue->is_live && virtio_net_tx_put(&queue->tx, frame, len_bytes, offload);
	if (is_sent)
		virtio_dev_kick(&queue->ring);
	lock_release(&queue->lock);
	if (is_sent) {
		count(&nic->counters.tx_packets, 1);
		count(&nic->counters.tx_bytes, len_bytes);
	} else {
		count(&nic->counters.tx_dropped, 1);
	}
	return is_sent;
}

/* ---- commands ---- */

static struct command *command_at(struct card *card, uint32_t index)
{
	return (struct command *)hva_of(card->commands) + index;
}

static void put_command(struct card *card, uint32_t index, uint8_t class, uint8_t command,
			uint16_t data, uint32_t data_bytes)
{
	struct command *at = command_at(card, index);
	uint64_t bus = card->commands + index * sizeof(*at);
	struct virtq_piece pieces[] = {
		{bus, 2},
		{bus + offsetof(struct command, data), data_bytes},
		{bus + offsetof(struct command, ack), 1},
	};

	*at = (struct command){.class = class, .command = command, .ack = CTRL_ACK_NONE};
	memcpy(at->data, &data, sizeof(at->data));
	if (virtq_add(&card->control.q, pieces, 2, 1, at) != HV_OK)
		log_warn("virtio-net", "%s: no room for command %u.%u", card->nic.location, class,
			 command);
}

/* Frames of any destination; and frames in all of the receive rings. */
static void put_commands(struct card *card)
{
	if (has(card, VIRTIO_NET_F_CTRL_RX)) {
		put_command(card, 0, CTRL_RX, CTRL_RX_PROMISC, 1, 1);
		put_command(card, 1, CTRL_RX, CTRL_RX_ALLMULTI, 1, 1);
	}
	if (card->nr_pairs > 1)
		put_command(card, 2, CTRL_MQ, CTRL_MQ_PAIRS_SET, (uint16_t)card->nr_pairs, 2);
	virtio_dev_kick(&card->control);
}

static void take_answers(struct card *card)
{
	uint32_t written;

	while (virtq_get(&card->control.q, &written))
		;
}

/* Spin until they are answered, at boot only; later the device has them done by itself. */
static void await_commands(struct card *card)
{
	uint64_t start = time_now_ns();

	while (card->control.q.nr_out > 0 && time_now_ns() - start < COMMAND_NS)
		take_answers(card);
	if (has(card, VIRTIO_NET_F_CTRL_RX) && command_at(card, 0)->ack != CTRL_ACK_OK)
		log_warn("virtio-net",
			 "%s: does not pass on frames to other addresses than its own",
			 card->nic.location);
	if (card->nr_pairs > 1 && command_at(card, 2)->ack != CTRL_ACK_OK) {
		log_warn("virtio-net", "%s: has refused to use %u pairs of rings",
			 card->nic.location, card->nr_pairs);
		card->nr_pairs = 1;
	}
}

/* ---- starting it, at boot and after a reset ---- */

static void fill_rx(struct rx_queue *queue)
{
	lock_take(&queue->lock);
	virtio_net_rx_fill(&queue->rx);
	virtio_dev_kick(&queue->ring);
	queue->is_live = true;
	lock_release(&queue->lock);
}

static void start_tx(struct tx_queue *queue)
{
	lock_take(&queue->lock);
	virtio_net_tx_init(&queue->tx, &queue->ring.q, hva_of(queue->chunks), queue->chunks);
	virtq_mute(&queue->ring.q);
	queue->is_live = true;
	lock_release(&queue->lock);
}

static enum hv_err enable_rings(struct card *card)
{
	enum hv_err err = HV_OK;

	for (uint32_t i = 0; i < card->nr_pairs && err == HV_OK; i++) {
		err = virtio_dev_enable_ring(&card->virtio, &card->rx[i].ring, i);
		if (err == HV_OK)
			err = virtio_dev_enable_ring(&card->virtio, &card->tx[i].ring,
						     VIRTIO_NO_LINE);
	}
	if (err == HV_OK && has(card, VIRTIO_NET_F_CTRL_VQ))
		err = virtio_dev_enable_ring(&card->virtio, &card->control, VIRTIO_NO_LINE);
	return err;
}

static enum hv_err run(struct card *card)
{
	enum hv_err err = enable_rings(card);

	if (err == HV_OK && has(card, VIRTIO_NET_F_CTRL_VQ))
		virtq_mute(&card->control.q);
	if (err == HV_OK)
		err = virtio_dev_ok(&card->virtio);
	if (err != HV_OK)
		return err;
	if (has(card, VIRTIO_NET_F_CTRL_VQ))
		put_commands(card);
	for (uint32_t i = 0; i < card->nr_pairs; i++)
		start_tx(&card->tx[i]);
	return HV_OK;
}

static enum hv_err start(struct nic *nic, uint32_t mtu)
{
	struct card *card = container_of(nic, struct card, nic);

	(void)mtu; /* buffers hold any */
	card->is_started = true;
	for (uint32_t i = 0; i < card->nr_pairs && !card->is_resetting; i++)
		fill_rx(&card->rx[i]);
	return HV_OK;
}

static void stop(struct card *card)
{
	for (uint32_t i = 0; i < card->nr_pairs; i++) {
		lock_take(&card->rx[i].lock);
		card->rx[i].is_live = false;
		lock_release(&card->rx[i].lock);
		lock_take(&card->tx[i].lock);
		card->tx[i].is_live = false;
		lock_release(&card->tx[i].lock);
	}
}

static void give_up(struct card *card, enum hv_err err)
{
	log_err("virtio-net", "%s: is lost: %s", card->nic.location, hv_strerror(err));
	virtio_dev_abandon(&card->virtio);
	card->nic.is_gone = true;
	update_link(card);
}

static void set_watch(struct card *card)
{
	timer_set(&card->watch, tsc_now() + time_tsc_of_ns(WATCH_NS));
}

static void reset_done(struct virtio_dev *virtio, enum hv_err err)
{
	struct card *card = card_of(virtio);

	if (err == HV_OK)
		err = run(card);
	if (err != HV_OK) {
		give_up(card, err);
		return;
	}
	card->is_resetting = false;
	for (uint32_t i = 0; i < card->nr_pairs && card->is_started; i++)
		fill_rx(&card->rx[i]);
	update_link(card);
	set_watch(card);
}

static bool has_broken_ring(const struct card *card)
{
	for (uint32_t i = 0; i < card->nr_pairs; i++)
		if (card->rx[i].ring.q.is_broken || card->tx[i].ring.q.is_broken)
			return true;
	return false;
}

static void watch(struct timer *timer)
{
	struct card *card = container_of(timer, struct card, watch);
	enum hv_err err = virtio_dev_look(&card->virtio);

	if (err == HV_OK && !has_broken_ring(card)) {
		for (uint32_t i = 0; i < card->nr_pairs; i++)
			receive(&card->rx[i]);
		set_watch(card);
		return;
	}
	stop(card);
	if (err == HV_ENOENT) {
		give_up(card, err);
		return;
	}
	log_err("virtio-net", "%s: asks for a reset, or has written nonsense into a ring; reset",
		card->nic.location);
	card->is_resetting = true;
	virtio_dev_reset(&card->virtio, reset_done);
}

static void config_changed(struct virtio_dev *virtio)
{
	struct card *card = card_of(virtio);

	if (!card->is_resetting && virtio_dev_look(virtio) == HV_OK)
		update_link(card); /* what else may be the matter is the watch's */
}

static const struct virtio_dev_ops virtio_ops = {.line = line, .config_changed = config_changed};
static const struct nic_ops ops = {.driver = "virtio-net", .start = start, .send = send};

/* ---- finding it ---- */

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

static void set_nic_features(struct card *card)
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
		if (has(card, map[i].virtio))
			card->nic.features |= map[i].nic;
}

/* Large frames take several buffers, so without merging there are small ones only. */
static void read_mtu(struct card *card)
{
	uint32_t mtu = has(card, VIRTIO_NET_F_MRG_RXBUF) ? NIC_MTU_JUMBO : NIC_MTU;

	if (has(card, VIRTIO_NET_F_MTU))
		mtu = MIN(mtu, (uint32_t)virtio_dev_config(&card->virtio, CONFIG_MTU, 2));
	if (mtu < NIC_MTU)
		log_warn("virtio-net",
			 "%s: its network carries %u bytes, fewer than the %u of "
			 "Ethernet: larger frames are lost",
			 card->nic.location, mtu, NIC_MTU);
	card->nic.mtu_max = MAX(mtu, NIC_MTU);
}

static enum hv_err identify(struct card *card)
{
	enum hv_err err = virtio_dev_negotiate(&card->virtio,
					       choose_features(virtio_dev_offers(&card->virtio)));

	if (err != HV_OK)
		return err;
	if (!has(card, VIRTIO_NET_F_MAC))
		return HV_ENOTSUP;
	for (uint32_t i = 0; i < sizeof(card->nic.mac); i++)
		card->nic.mac[i] = (uint8_t)virtio_dev_config(&card->virtio, CONFIG_MAC + i, 1);
	card->max_pairs = 1;
	if (has(card, VIRTIO_NET_F_MQ))
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

static enum hv_err alloc_rx(struct card *card, uint32_t index)
{
	struct rx_queue *queue = &card->rx[index];
	bool has_merge = has(card, VIRTIO_NET_F_MRG_RXBUF);
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
	queue->card = card;
	timer_init(&queue->more, receive_more);
	queue->rx = (struct virtio_net_rx){
		.q = &queue->ring.q,
		.buffers = hva_of(queue->buffers),
		.buffers_bus = queue->buffers,
		.buffer_bytes = buffer_bytes,
		.has_merge = has_merge,
		.has_offload = has(card, VIRTIO_NET_F_GUEST_CSUM),
		.large = hva_of(queue->large),
	};
	return HV_OK;
}

static enum hv_err alloc_tx(struct card *card, uint32_t index)
{
	struct tx_queue *queue = &card->tx[index];
	enum hv_err err =
		virtio_dev_alloc_ring(&card->virtio, &queue->ring, (uint16_t)(2 * index + 1), 0, 0);

	if (err != HV_OK)
		return err;
	queue->order = order_of((uint64_t)queue->ring.shape.size * VIRTIO_NET_CHUNK_BYTES);
	queue->chunks = pages_alloc(queue->order);
	return queue->chunks == HPA_NONE ? HV_ENOMEM : HV_OK;
}

static enum hv_err alloc_control(struct card *card)
{
	uint16_t index = (uint16_t)(2 * card->max_pairs);
	enum hv_err err = virtio_dev_alloc_ring(&card->virtio, &card->control, index, 0, 0);

	if (err != HV_OK)
		return err;
	card->commands = pages_alloc(0);
	return card->commands == HPA_NONE ? HV_ENOMEM : HV_OK;
}

static enum hv_err alloc_rings(struct card *card)
{
	enum hv_err err = HV_OK;

	card->nr_pairs = MAX(1u, MIN(MIN(card->max_pairs, NIC_QUEUES_MAX), acpi_info.nr_cpus));
	for (uint32_t i = 0; i < card->nr_pairs && err == HV_OK; i++) {
		err = alloc_rx(card, i);
		if (err == HV_OK)
			err = alloc_tx(card, i);
	}
	if (err == HV_OK && has(card, VIRTIO_NET_F_CTRL_VQ))
		err = alloc_control(card);
	return err;
}

static void give_pages(hpa_t hpa, unsigned order)
{
	if (hpa != HPA_NONE)
		pages_free(hpa, order);
}

static void free_card(struct card *card)
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

static struct card *alloc_card(void)
{
	struct card *card = nic_count() < NIC_MAX ? kmem_alloc(sizeof(*card)) : NULL;

	if (!card)
		return NULL;
	card->virtio.ops = &virtio_ops;
	card->nic.ops = &ops;
	card->commands = card->control.memory = HPA_NONE;
	for (uint32_t i = 0; i < NIC_QUEUES_MAX; i++) {
		card->rx[i].ring.memory = card->tx[i].ring.memory = HPA_NONE;
		card->rx[i].buffers = card->rx[i].large = card->tx[i].chunks = HPA_NONE;
	}
	return card;
}

static void say(const struct card *card)
{
	log_info("virtio-net", "%s: %u pair%s of rings, frames of up to %u bytes%s%s%s",
		 card->nic.location, card->nr_pairs, card->nr_pairs == 1 ? "" : "s",
		 card->nic.mtu_max, card->nic.features & NIC_TX_CSUM ? ", sends checksums" : "",
		 card->nic.features & (NIC_TX_TSO4 | NIC_TX_TSO6) ? " and segments" : "",
		 card->nic.features & NIC_RX_CSUM ? ", checks checksums" : "");
}

/* Interrupts cannot be disconnected: what fails from here on is left, silenced, where it is. */
static enum hv_err bring_up(struct card *card)
{
	enum hv_err err = run(card);

	if (err != HV_OK) {
		virtio_dev_close(&card->virtio);
		return err;
	}
	if (has(card, VIRTIO_NET_F_CTRL_VQ))
		await_commands(card);
	card->nic.nr_rx_queues = card->nic.nr_tx_queues = card->nr_pairs;
	read_link(card);
	nic_add(&card->nic);
	log_link(card);
	say(card);
	timer_init(&card->watch, watch);
	set_watch(card);
	return HV_OK;
}

static enum hv_err attach(struct pci_device *dev)
{
	struct card *card = alloc_card();
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
		return bring_up(card);

	virtio_dev_close(&card->virtio);
	free_card(card);
	return err;
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
};
