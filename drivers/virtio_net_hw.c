/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network card of virtio that runs: frames in and out of its rings, its link, commands, resets.
 *
 * The device is started at boot, its receive rings empty, so that it tells of its link from then
 * on; start() gives it buffers. Whoever looks at a receive ring holds its lock, which others only
 * try: what they came for is seen by the holder, who looks once more when he has let go of it. So
 * received() may send, and may be called from the watch, too.
 *
 * The watch looks after the device every second, from a timer: whether it is still there, whether
 * it or a ring wants a reset, and whether an interrupt was lost. A reset is done behind everybody's
 * back; frames that come meanwhile are lost, as on any wire.
 *
 * Source: [VIRTIO] "Network Device".
 */
#include "drivers/virtio_net_priv.h"

#include "kernel/cpu.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

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

#define RX_BUDGET     256u /* frames in one interrupt */
#define RX_SHOW_EVERY 32u  /* buffers given back at once */
#define WATCH_NS      NSEC_PER_SEC
#define COMMAND_NS    NSEC_PER_SEC

static struct virtio_net_card *card_of(struct virtio_dev *virtio)
{
	return container_of(virtio, struct virtio_net_card, virtio);
}

static void count(uint64_t *counter, uint64_t more)
{
	__atomic_fetch_add(counter, more, __ATOMIC_RELAXED);
}

/* ---- the link ---- */

static void read_link(struct virtio_net_card *card)
{
	uint64_t speed = 0;
	bool is_up = true;

	if (virtio_net_has(card, VIRTIO_NET_F_STATUS))
		is_up = virtio_dev_config(&card->virtio, CONFIG_STATUS, 2) & STATUS_LINK_UP;
	if (is_up && virtio_net_has(card, VIRTIO_NET_F_SPEED_DUPLEX))
		speed = virtio_dev_config(&card->virtio, CONFIG_SPEED, 4);
	card->nic.is_link_up = is_up && !card->nic.is_gone;
	card->nic.speed_mbps = speed <= SPEED_MAX && card->nic.is_link_up ? (uint32_t)speed : 0;
}

static void log_link(const struct virtio_net_card *card)
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

static void update_link(struct virtio_net_card *card)
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

static void receive_one(struct virtio_net_card *card, struct virtio_net_frame *frame,
			struct nic_counters *seen)
{
	seen->rx_packets++;
	seen->rx_bytes += frame->len_bytes;
	card->nic.received(&card->nic, frame->data, frame->len_bytes,
			   frame->has_offload ? &frame->offload : NULL);
}

/* What is there, up to the budget; true: that was used up. */
static bool receive_some(struct virtio_net_card *card, struct virtio_net_rx_queue *queue,
			 struct nic_counters *seen)
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
static bool receive_locked(struct virtio_net_card *card, struct virtio_net_rx_queue *queue)
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

static void receive(struct virtio_net_rx_queue *queue)
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
	receive(container_of(timer, struct virtio_net_rx_queue, more));
}

static void line(struct virtio_dev *virtio, uint32_t index)
{
	receive(&card_of(virtio)->rx[index]);
}

/* ---- send ---- */

static bool send(struct nic *nic, const void *frame, size_t len_bytes,
		 const struct frame_offload *offload)
{
	struct virtio_net_card *card = container_of(nic, struct virtio_net_card, nic);
	struct virtio_net_tx_queue *queue = &card->tx[this_cpu()->index % card->nr_pairs];
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

static struct virtio_net_command *command_at(struct virtio_net_card *card, uint32_t index)
{
	return (struct virtio_net_command *)hva_of(card->commands) + index;
}

static void put_command(struct virtio_net_card *card, uint32_t index, uint8_t class,
			uint8_t command, uint16_t data, uint32_t data_bytes)
{
	struct virtio_net_command *at = command_at(card, index);
	uint64_t bus = card->commands + index * sizeof(*at);
	struct virtq_piece pieces[] = {
		{bus, 2},
		{bus + offsetof(struct virtio_net_command, data), data_bytes},
		{bus + offsetof(struct virtio_net_command, ack), 1},
	};

	*at = (struct virtio_net_command){.class = class, .command = command, .ack = CTRL_ACK_NONE};
	memcpy(at->data, &data, sizeof(at->data));
	if (virtq_add(&card->control.q, pieces, 2, 1, at) != HV_OK)
		log_warn("virtio-net", "%s: no room for command %u.%u", card->nic.location, class,
			 command);
}

/* Frames of any destination; and frames in all of the receive rings. */
static void put_commands(struct virtio_net_card *card)
{
	if (virtio_net_has(card, VIRTIO_NET_F_CTRL_RX)) {
		put_command(card, 0, CTRL_RX, CTRL_RX_PROMISC, 1, 1);
		put_command(card, 1, CTRL_RX, CTRL_RX_ALLMULTI, 1, 1);
	}
	if (card->nr_pairs > 1)
		put_command(card, 2, CTRL_MQ, CTRL_MQ_PAIRS_SET, (uint16_t)card->nr_pairs, 2);
	virtio_dev_kick(&card->control);
}

static void take_answers(struct virtio_net_card *card)
{
	uint32_t written;

	while (virtq_get(&card->control.q, &written))
		;
}

static void judge_answers(struct virtio_net_card *card)
{
	if (virtio_net_has(card, VIRTIO_NET_F_CTRL_RX) && command_at(card, 0)->ack != CTRL_ACK_OK)
		log_warn("virtio-net",
			 "%s: does not pass on frames to other addresses than its own",
			 card->nic.location);
	if (card->nr_pairs > 1 && command_at(card, 2)->ack != CTRL_ACK_OK) {
		log_warn("virtio-net", "%s: has refused to use %u pairs of rings",
			 card->nic.location, card->nr_pairs);
		card->nr_pairs = 1;
	}
}

/* In attach() only; after a reset the device has them done by itself. */
bool virtio_net_card_are_answered(struct virtio_net_card *card)
{
	if (!virtio_net_has(card, VIRTIO_NET_F_CTRL_VQ))
		return true;
	take_answers(card);
	if (card->control.q.nr_out > 0 && time_now_ns() - card->commands_ns < COMMAND_NS)
		return false;
	judge_answers(card);
	return true;
}

/* ---- starting it, at boot and after a reset ---- */

static void fill_rx(struct virtio_net_rx_queue *queue)
{
	lock_take(&queue->lock);
	virtio_net_rx_fill(&queue->rx);
	virtio_dev_kick(&queue->ring);
	queue->is_live = true;
	lock_release(&queue->lock);
}

static void start_tx(struct virtio_net_tx_queue *queue)
{
	lock_take(&queue->lock);
	virtio_net_tx_init(&queue->tx, &queue->ring.q, hva_of(queue->chunks), queue->chunks);
	virtq_mute(&queue->ring.q);
	queue->is_live = true;
	lock_release(&queue->lock);
}

static enum hv_err enable_rings(struct virtio_net_card *card)
{
	enum hv_err err = HV_OK;

	for (uint32_t i = 0; i < card->nr_pairs && err == HV_OK; i++) {
		err = virtio_dev_enable_ring(&card->virtio, &card->rx[i].ring, i);
		if (err == HV_OK)
			err = virtio_dev_enable_ring(&card->virtio, &card->tx[i].ring,
						     VIRTIO_NO_LINE);
	}
	if (err == HV_OK && virtio_net_has(card, VIRTIO_NET_F_CTRL_VQ))
		err = virtio_dev_enable_ring(&card->virtio, &card->control, VIRTIO_NO_LINE);
	return err;
}

enum hv_err virtio_net_card_run(struct virtio_net_card *card)
{
	enum hv_err err = enable_rings(card);

	if (err == HV_OK && virtio_net_has(card, VIRTIO_NET_F_CTRL_VQ))
		virtq_mute(&card->control.q);
	if (err == HV_OK)
		err = virtio_dev_ok(&card->virtio);
	if (err != HV_OK)
		return err;
	card->commands_ns = time_now_ns();
	if (virtio_net_has(card, VIRTIO_NET_F_CTRL_VQ))
		put_commands(card);
	for (uint32_t i = 0; i < card->nr_pairs; i++)
		start_tx(&card->tx[i]);
	return HV_OK;
}

static enum hv_err start(struct nic *nic, uint32_t mtu)
{
	struct virtio_net_card *card = container_of(nic, struct virtio_net_card, nic);

	(void)mtu; /* buffers hold any */
	card->is_started = true;
	for (uint32_t i = 0; i < card->nr_pairs && !card->is_resetting; i++)
		fill_rx(&card->rx[i]);
	return HV_OK;
}

static void stop(struct virtio_net_card *card)
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

static void give_up(struct virtio_net_card *card, enum hv_err err)
{
	log_err("virtio-net", "%s: is lost: %s", card->nic.location, hv_strerror(err));
	virtio_dev_abandon(&card->virtio);
	card->nic.is_gone = true;
	update_link(card);
}

static void set_watch(struct virtio_net_card *card)
{
	timer_set_in(&card->watch, WATCH_NS);
}

static void reset_done(struct virtio_dev *virtio, enum hv_err err)
{
	struct virtio_net_card *card = card_of(virtio);

	if (err == HV_OK)
		err = virtio_net_card_run(card);
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

static bool has_broken_ring(const struct virtio_net_card *card)
{
	for (uint32_t i = 0; i < card->nr_pairs; i++)
		if (card->rx[i].ring.q.is_broken || card->tx[i].ring.q.is_broken)
			return true;
	return false;
}

static void watch(struct timer *timer)
{
	struct virtio_net_card *card = container_of(timer, struct virtio_net_card, watch);
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
	struct virtio_net_card *card = card_of(virtio);

	if (!card->is_resetting && virtio_dev_look(virtio) == HV_OK)
		update_link(card); /* what else may be the matter is the watch's */
}

const struct virtio_dev_ops virtio_net_dev_ops = {.line = line, .config_changed = config_changed};
const struct nic_ops virtio_net_nic_ops = {.driver = "virtio-net", .start = start, .send = send};

void virtio_net_card_init_queue(struct virtio_net_card *card, struct virtio_net_rx_queue *queue)
{
	queue->card = card;
	timer_init(&queue->more, receive_more);
}

void virtio_net_card_announce(struct virtio_net_card *card)
{
	read_link(card);
	log_link(card);
	timer_init(&card->watch, watch);
	set_watch(card);
}

/* The watch and resets are on this CPU, too. */
void virtio_net_card_leave(struct virtio_net_card *card, bool is_there)
{
	timer_cancel(&card->watch);
	stop(card);
	card->nic.is_gone = true;
	if (card->is_added)
		update_link(card);
	if (is_there)
		virtio_dev_leave(&card->virtio);
	else
		virtio_dev_abandon(&card->virtio);
}

void virtio_net_card_end_timers(struct virtio_net_card *card)
{
	timer_cancel(&card->watch);
	for (uint32_t i = 0; i < NIC_QUEUES_MAX; i++)
		timer_cancel(&card->rx[i].more);
}
