/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver of virtio network cards against Linux, for tests/system/test_virtio_net.py: what
 * tests/kernel/lib/nic_card.h has, and
 *
 *   - streams of TCP that the peer sends as large segments, or with checksums left to us: each is
 *     held against what its offload says, and sent back with the same offload
 *   - the same through the switch, to a port that takes them so and to one that wants all finished
 *   - then=…: lost interrupts (deaf), a device that asks for a reset (reset) or writes nonsense
 * into a ring (nonsense), the cable (link)
 */
#include "boot/after_boot.h"
#include "drivers/virtio_net_priv.h"
#include "kernel/cmdline.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/pci.h"
#include "kernel/power.h"
#include "net/port.h"
#include "net/uplink.h"
#include "tests/kernel/lib/deaf.h"
#include "tests/kernel/lib/nic_card.h"
#include "tests/kernel/lib/nic_frames.h"

#define PORT_BACK  7101u /* the peer's streams: IPv4 and IPv6 in turn */
#define STREAMS	   16u
#define TCP_FIN	   0x01u
#define TCP_CSUM   16u
#define PORT_TSO_2 7011u /* through the switch */

static const uint8_t plain_mac[6] = {0x02, 0xb1, 0, 0, 0, 3};

static struct virtio_net_card *virtio(void)
{
	return container_of(card, struct virtio_net_card, nic);
}

/* ---- flows ---- */

static void say_rings(const char *what, const uint16_t *nr)
{
	char text[96] = "";
	size_t at = 0;

	for (uint32_t i = 0; i < virtio()->nr_pairs; i++)
		at += fmt(text + at, sizeof(text) - at, " %u", nr[i]);
	log_info("nics", "%s by rings:%s", what, text);
}

/* Which ring a frame came by is for the device to say; the watch may be faster than its CPU. */
static void test_flows(void)
{
	uint16_t nr[NIC_QUEUES_MAX];

	for (uint32_t i = 0; i < virtio()->nr_pairs; i++)
		nr[i] = virtio()->rx[i].ring.q.next_used;
	card_test_flows();
	for (uint32_t i = 0; i < virtio()->nr_pairs; i++)
		nr[i] = (uint16_t)(virtio()->rx[i].ring.q.next_used - nr[i]);
	say_rings("flows", nr);
}

/* ---- streams of the peer ---- */

static struct {
	struct lock lock; /* streams are in one queue each, and their queues on any CPU */
	uint32_t next[STREAMS];
	uint32_t nr_ended, nr_bytes, longest;
	uint32_t nr_large, nr_partial, nr_finished;
	uint32_t nr_wrong;
	const char *wrong; /* the first */
	uint8_t back[FRAME_ROOM];
} streams;

static void forget_streams(void)
{
	memset(&streams, 0, sizeof(streams));
}

struct packet {
	bool is_ip4, is_last;
	size_t l4, payload, len_bytes;
	uint32_t stream, at;
};

/* False: nothing of the streams. */
static bool read_packet(const uint8_t *data, size_t len_bytes, struct packet *out)
{
	uint16_t type = get_be16(data + 12);
	size_t l4 = ETH_BYTES + (type == TYPE_IP4 ? IP4_BYTES : IP6_BYTES);
	uint32_t stream;

	if ((type != TYPE_IP4 && type != TYPE_IP6) || len_bytes < l4 + TCP_BYTES ||
	    memcmp(data + 6, peer_mac, 6) != 0)
		return false;
	stream = get_be16(data + l4 + 2) - PORT_BACK;
	*out = (struct packet){
		.is_ip4 = type == TYPE_IP4,
		.is_last = data[l4 + 13] & TCP_FIN,
		.l4 = l4,
		.payload = l4 + TCP_BYTES,
		.len_bytes = len_bytes,
		.stream = stream,
		.at = get_be32(data + l4 + 4),
	};
	return stream < STREAMS;
}

static uint16_t sum_of_pseudo(const uint8_t *data, const struct packet *p, size_t l4_bytes)
{
	const uint8_t *ip = data + ETH_BYTES;
	uint32_t sum = p->is_ip4 ? frame_add(0, ip + 12, 8) : frame_add(0, ip + 8, 32);

	return frame_fold(sum + PROTO_TCP + (uint32_t)l4_bytes);
}

/* Of the checksum: what belongs into the field, as far as the offload says that it was summed. */
static const char *look_at_sum(const uint8_t *data, const struct packet *p,
			       const struct frame_offload *offload)
{
	size_t l4_bytes = p->len_bytes - p->l4;
	uint16_t field = get_be16(data + p->l4 + TCP_CSUM);
	uint32_t sum;

	if (!offload || !offload->needs_csum) {
		streams.nr_finished++;
		sum = frame_add(sum_of_pseudo(data, p, l4_bytes), data + p->l4, l4_bytes);
		return frame_fold(frame_fold(sum)) == 0xffff ? NULL : "a finished checksum";
	}
	if (offload->csum_start != p->l4 || offload->csum_offset != TCP_CSUM)
		return "where the checksum is";
	if (offload->gso == OFFLOAD_GSO_NONE) {
		streams.nr_partial++;
		return field == sum_of_pseudo(data, p, l4_bytes) ? NULL : "a pseudo header's sum";
	}
	streams.nr_large++;
	if (offload->gso != (p->is_ip4 ? OFFLOAD_GSO_TCP4 : OFFLOAD_GSO_TCP6))
		return "the kind of a segment";
	if (offload->hdr_len != p->payload || p->len_bytes - p->payload <= offload->gso_size)
		return "the lengths of a segment";
	return field == sum_of_pseudo(data, p, 0) ? NULL : "a segment's pseudo header";
}

static const char *look_at(const uint8_t *data, const struct packet *p,
			   const struct frame_offload *offload)
{
	uint32_t nr = (uint32_t)(p->len_bytes - p->payload);

	if (p->at != streams.next[p->stream])
		return "order";
	for (uint32_t i = 0; i < nr; i++)
		if (data[p->payload + i] != frame_pattern(PORT_BACK + p->stream, p->at + i))
			return "data";
	streams.next[p->stream] += nr;
	streams.nr_bytes += nr;
	streams.longest = MAX(streams.longest, (uint32_t)p->len_bytes);
	return look_at_sum(data, p, offload);
}

/* Under their lock. */
static void take_packet(const uint8_t *data, const struct packet *p,
			const struct frame_offload *offload)
{
	const char *wrong = look_at(data, p, offload);

	if (wrong && streams.nr_wrong++ == 0)
		streams.wrong = wrong;
	if (p->is_last)
		__atomic_fetch_add(&streams.nr_ended, 1, __ATOMIC_RELEASE);
}

static void send_back(const uint8_t *data, size_t len_bytes, const struct frame_offload *offload)
{
	memcpy(streams.back, data, len_bytes);
	memcpy(streams.back, data + 6, 6);
	memcpy(streams.back + 6, data, 6);
	if (!card->ops->send(card, streams.back, len_bytes, offload))
		streams.wrong = streams.nr_wrong++ == 0 ? "room to send it back" : streams.wrong;
}

static void received(struct nic *from, const void *data, size_t len_bytes,
		     const struct frame_offload *offload)
{
	struct packet packet;

	if (!read_packet(data, len_bytes, &packet)) {
		card_received(from, data, len_bytes, offload);
		return;
	}
	lock_take(&streams.lock);
	take_packet(data, &packet, offload);
	send_back(data, len_bytes, offload);
	lock_release(&streams.lock);
}

static void say_streams(const char *how)
{
	wait_for(&streams.nr_ended, STREAMS);
	lock_take(&streams.lock);
	log_info("nics",
		 "%s: %u streams, %u bytes, %u large, %u partial, %u finished, longest %u, "
		 "%u wrong: %s",
		 how, streams.nr_ended, streams.nr_bytes, streams.nr_large, streams.nr_partial,
		 streams.nr_finished, streams.longest, streams.nr_wrong,
		 streams.wrong ? streams.wrong : "nothing");
	lock_release(&streams.lock);
}

static void test_streams(void)
{
	forget_streams();
	if (!card_send_test(OP_SEND_STREAMS, 0, 60))
		end_badly("the streams cannot be asked for");
	say_streams("streams");
}

/* ---- through the switch ---- */

static struct net_port large_port, plain_port;
static void (*to_switch)(struct nic *nic, const void *frame, size_t len_bytes,
			 const struct frame_offload *offload);

static bool deliver(struct net_port *to, const void *data, size_t len_bytes,
		    const struct frame_offload *offload)
{
	struct packet packet;

	if (memcmp(data, to->mac, 6) != 0 || !read_packet(data, len_bytes, &packet))
		return true;
	lock_take(&streams.lock);
	take_packet(data, &packet, offload);
	lock_release(&streams.lock);
	return true;
}

static void attach(struct net_port *port, const uint8_t *mac, uint32_t offloads)
{
	*port = (struct net_port){.name = "test",
				  .kind = NET_PORT_AGENT,
				  .mtu = net_mtu(),
				  .offloads = offloads,
				  .deliver = deliver,
				  .slot = -1};
	memcpy(port->mac, mac, 6);
	if (net_attach(port) != HV_OK)
		end_badly("the switch has no slot");
}

static void ask_through(struct net_port *port, const char *how)
{
	forget_streams();
	frame_put_ethernet(peer_mac, TYPE_TEST);
	memcpy(frame + 6, port->mac, 6);
	memset(frame + ETH_BYTES, 0, 60 - ETH_BYTES);
	frame[14] = OP_SEND_STREAMS;
	frame[15] = 1; /* do not wait for them to come back */
	if (!net_send(port, frame, 60, NULL))
		end_badly("the streams cannot be asked for through the switch");
	say_streams(how);
}

static void send_through(size_t len_bytes, const struct frame_offload *offload)
{
	for (uint32_t i = 0; i < 100; i++) {
		if (net_send(&large_port, frame, len_bytes, offload))
			return;
		wait_tick();
	}
	end_badly("a frame cannot be sent through the switch");
}

/* Whatever the card does not do by itself is the switch's. */
static void send_segments_through(void)
{
	for (uint32_t i = 0; i < 8; i++) {
		struct frame_offload offload = {.gso = i & 1 ? OFFLOAD_GSO_TCP6 : OFFLOAD_GSO_TCP4,
						.gso_size = (uint16_t)(net_mtu() - 60)};
		uint32_t bytes = 20000, at = i / 2 * bytes;
		size_t len = frame_make_packet(
			!(i & 1), PROTO_TCP, (uint16_t)(PORT_TSO_2 + (i & 1)), at, bytes, &offload);

		send_through(len, &offload);
	}
	for (uint32_t i = 0; i < 8; i++) {
		struct frame_offload offload = {0};
		size_t len = frame_make_packet(i & 1, i & 2 ? PROTO_TCP : PROTO_UDP, PORT_CSUM, 0,
					       100 + i, &offload);

		send_through(len, &offload);
	}
	log_info("nics", "through the switch: 8 segments, 8 packets");
}

static void test_switch(void)
{
	card->received = to_switch;
	attach(&large_port, our_mac, NET_TAKES_CSUM | NET_TAKES_TSO4 | NET_TAKES_TSO6);
	attach(&plain_port, plain_mac, 0);
	send_segments_through();
	ask_through(&large_port, "to a port that takes all");
	ask_through(&plain_port, "to a port that takes nothing");
	net_detach(&large_port);
	net_detach(&plain_port);
	card->received = received;
}

/* ---- what may go wrong ---- */

#define IN_FLIGHT 100u

#define PCI_STATUS	     0x06u
#define PCI_STATUS_INTERRUPT 0x0008u /* wanted, whether or not it may be raised */

static bool has_msix(void)
{
	return virtio()->virtio.irqs.kind == DEV_IRQ_MSIX;
}

/* Whether there is an interrupt that could not be raised. */
static bool is_interrupt_pending(void)
{
	const struct pci_device *dev = virtio()->virtio.pci;
	uint32_t at = pci_find_cap(&pci_machine, dev, PCI_CAP_MSIX), where;
	const volatile uint32_t *pending;

	if (!has_msix())
		return pci_machine.read(pci_machine.arg, dev->at, PCI_STATUS, 2) &
		       PCI_STATUS_INTERRUPT;
	where = pci_machine.read(pci_machine.arg, dev->at, at + 8, 4);
	pending = mmio_map(dev->bars[where & 7].base + (where & ~7u), 8);
	if (!pending)
		end_badly("the pending bits cannot be mapped");
	return *pending != 0;
}

static void test_deaf(uint32_t mtu)
{
	struct deaf before = deaf_begin(virtio()->virtio.pci);

	log_info("nics", "deaf");
	card_test_sizes(mtu, 1);
	log_info("nics", "interrupts are %s", is_interrupt_pending() ? "pending" : "not pending");
	deaf_end(virtio()->virtio.pci, &before);
	card_test_sizes(mtu, 2);
}

static bool is_begun_anew(void)
{
	struct virtio_net_card *of = virtio();
	uint32_t last = of->nr_pairs - 1;

	return __atomic_load_n(&of->rx[last].is_live, __ATOMIC_ACQUIRE) && of->tx[0].is_live &&
	       of->tx[0].ring.q.shown == 0;
}

static void test_after_reset(uint32_t mtu)
{
	if (!wait_until(is_begun_anew))
		end_badly("nothing was reset");
	for (uint32_t i = 0; i < 30; i++) /* echoes that were under way */
		wait_tick();
	card_test_sizes(mtu, 2);
	test_streams();
	test_flows();
}

static bool wants_reset(void)
{
	return virtio_dev_look(&virtio()->virtio) == HV_EIO;
}

/* In the midst of echoes, a frame in a descriptor that the ring does not have: the device finds
 * that something is badly wrong. */
static void test_reset(uint32_t mtu)
{
	struct virtio_net_tx_queue *queue = &virtio()->tx[0];
	struct virtq *q = &queue->ring.q;

	for (uint32_t i = 0; i < IN_FLIGHT; i++)
		card_send_test(OP_ECHO, i, 60);
	lock_take(&queue->lock);
	q->avail[VIRTQ_RING + q->shown % q->shape.size] = q->shape.size;
	q->avail[VIRTQ_IDX] = (uint16_t)(q->shown + 1);
	*queue->ring.notify = queue->ring.index;
	lock_release(&queue->lock);
	if (!wait_until(wants_reset))
		end_badly("the device does not ask for a reset");
	log_info("nics", "the device asks for a reset");
	test_after_reset(mtu);
}

/* The part of a device that has filled more buffers than it was given. */
static void test_nonsense(uint32_t mtu)
{
	struct virtio_net_rx_queue *queue = &virtio()->rx[virtio()->nr_pairs - 1];
	struct virtq *q = &queue->ring.q;

	lock_take(&queue->lock);
	q->used[VIRTQ_IDX] = (uint16_t)(q->used[VIRTQ_IDX] + 2 * q->shape.size);
	lock_release(&queue->lock);
	test_after_reset(mtu);
}

/* ---- all of it ---- */

static void say_sent(void)
{
	uint16_t nr[NIC_QUEUES_MAX];

	for (uint32_t i = 0; i < virtio()->nr_pairs; i++)
		nr[i] = virtio()->tx[i].ring.q.shown;
	say_rings("sent", nr);
}

static void test_events(uint32_t mtu)
{
	static const struct {
		const char *word;
		void (*run)(uint32_t mtu);
	} events[] = {
		{"deaf", test_deaf},
		{"reset", test_reset},
		{"nonsense", test_nonsense},
		{"link", card_test_link},
	};
	char then[64] = "";

	cmdline_get("then", then, sizeof(then));
	for (uint32_t i = 0; i < ARRAY_SIZE(events); i++)
		if (strstr(then, events[i].word))
			events[i].run(mtu);
}

void after_boot(void)
{
	uint32_t mtu;

	if (nic_count() == 0)
		end_badly("no card");
	card = nic_at(0);
	mtu = MIN(net_mtu(), card->mtu_max);
	to_switch = card->received;
	card->received = received;
	card->link_changed = card_link_changed;
	log_info("nics", "%s, %u queues, mtu %u", card->ops->driver, card->nr_rx_queues, mtu);
	card_test_sizes(mtu, 10);
	card_test_checksums();
	card_test_segments(mtu);
	test_flows();
	test_streams();
	say_sent();
	test_switch();
	test_events(mtu);
	log_info("nics", "done, %lu received dropped", card->counters.rx_dropped);
	power_off();
}
