/* SPDX-License-Identifier: Apache-2.0 */
/* The peer answers in order: when its flows have come, it has seen all that was sent before. */
#include "tests/kernel/lib/nic_card.h"

#include "kernel/cpu.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "tests/kernel/lib/nic_frames.h"

struct nic *card;
static uint32_t nr_echoed, nr_wrong, nr_link_changes;
static uint32_t nr_flow_frames, nr_valid, nr_wrongly_valid, per_cpu[CPU_MAX];

static void count(uint32_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* The peer's flows are TCP; the first byte of payload says whether the checksum is wrong. */
static void receive_flow(const uint8_t *data, size_t len_bytes, bool is_ip4, bool is_valid)
{
	size_t payload = ETH_BYTES + (is_ip4 ? IP4_BYTES : IP6_BYTES) + TCP_BYTES;

	if (len_bytes <= payload)
		return;
	if (is_valid)
		count(data[payload] ? &nr_wrongly_valid : &nr_valid);
	count(&per_cpu[this_cpu()->index]);
	count(&nr_flow_frames);
}

/* On any CPU. An echo has its number and length behind the type, and then the pattern. */
void card_received(struct nic *from, const void *bytes, size_t len_bytes,
		   const struct frame_offload *offload)
{
	const uint8_t *data = bytes;
	uint16_t type = get_be16(data + 12);
	bool is_valid = offload && offload->is_csum_valid;
	uint32_t nr;

	(void)from;
	if ((type == TYPE_IP4 || type == TYPE_IP6) && memcmp(data + 6, peer_mac, 6) == 0)
		receive_flow(data, len_bytes, type == TYPE_IP4, is_valid);
	if (type != TYPE_TEST || data[14] != OP_ECHOED)
		return;
	nr = get_be32(data + 16);
	if (get_be32(data + 20) != len_bytes)
		count(&nr_wrong);
	for (size_t i = 24; i < len_bytes; i++)
		if (data[i] != frame_pattern(nr, (uint32_t)i)) {
			count(&nr_wrong);
			break;
		}
	count(&nr_echoed);
}

bool card_has_link(void)
{
	return card->is_link_up;
}

void card_link_changed(struct nic *of)
{
	(void)of;
	count(&nr_link_changes);
}

bool card_send_test(enum op op, uint32_t nr, size_t len_bytes)
{
	frame_put_ethernet(peer_mac, TYPE_TEST);
	frame[14] = (uint8_t)op;
	frame[15] = 0;
	put_be32(frame + 16, nr);
	put_be32(frame + 20, (uint32_t)len_bytes);
	for (size_t i = 24; i < len_bytes; i++)
		frame[i] = frame_pattern(nr, (uint32_t)i);
	return card->ops->send(card, frame, len_bytes, NULL);
}

/* The ring may be full for a moment, as nothing tells when it is not. */
void card_send_sure(size_t len_bytes, const struct frame_offload *offload)
{
	for (uint32_t i = 0; i < 100; i++) {
		if (card->ops->send(card, frame, len_bytes, offload))
			return;
		wait_tick();
	}
	end_badly("a frame cannot be sent");
}

void card_test_sizes(uint32_t mtu, uint32_t rounds)
{
	static const uint16_t sizes[] = {60,   61,   64,   600,	 1514, 1518, 2047, 2048,
					 2049, 4096, 4097, 6000, 8000, 9014, 9018};
	uint32_t nr_sent = 0, before = nr_echoed;

	for (uint32_t i = 0; i < rounds * ARRAY_SIZE(sizes); i++) {
		size_t len = sizes[i % ARRAY_SIZE(sizes)];

		if (len <= mtu + ETH_BYTES) {
			if (!card_send_test(OP_ECHO, i, len))
				end_badly("a frame of the sizes cannot be sent");
			nr_sent++;
		}
		if (i % 10 == 9 && !wait_for(&nr_echoed, before + nr_sent))
			break;
	}
	wait_for(&nr_echoed, before + nr_sent);
	log_info("nics", "sizes: %u sent, %u back, %u wrong", nr_sent, nr_echoed - before,
		 nr_wrong);
}

void card_test_checksums(void)
{
	uint32_t nr_sent = 0;

	for (uint32_t i = 0; (card->features & NIC_TX_CSUM) && i < 4 * 50; i++) {
		bool is_ip4 = i & 1;
		uint8_t proto = (i & 2) ? PROTO_TCP : PROTO_UDP;
		struct frame_offload offload = {0};
		size_t len =
			frame_make_packet(is_ip4, proto, PORT_CSUM, 0, 1 + i * 7 % 1400, &offload);

		card_send_sure(len, &offload);
		nr_sent++;
	}
	log_info("nics", "checksums: %u sent", nr_sent);
}

void card_test_segments(uint32_t mtu)
{
	static const uint32_t sizes[] = {1000, 1449, 2000, 10000, 40000, 65000};
	uint32_t nr_sent = 0;

	for (uint32_t kind = 0; kind < 2; kind++) {
		bool is_ip4 = kind == 0;
		uint32_t at = 0;

		if (!(card->features & (is_ip4 ? NIC_TX_TSO4 : NIC_TX_TSO6)))
			continue;
		for (uint32_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct frame_offload offload = {
				.gso = is_ip4 ? OFFLOAD_GSO_TCP4 : OFFLOAD_GSO_TCP6,
				.gso_size = (uint16_t)(i == 4 ? 536 : mtu - 60)};
			size_t len =
				frame_make_packet(is_ip4, PROTO_TCP, (uint16_t)(PORT_TSO + kind),
						  at, sizes[i], &offload);

			card_send_sure(len, &offload);
			at += sizes[i];
			nr_sent++;
		}
	}
	log_info("nics", "segments: %u sent", nr_sent);
}

void card_test_flows(void)
{
	char text[128];
	size_t at = 0;

	nr_flow_frames = nr_valid = nr_wrongly_valid = 0;
	memset(per_cpu, 0, sizeof(per_cpu));
	if (!card_send_test(OP_SEND_FLOWS, 0, 60))
		end_badly("the flows cannot be asked for");
	wait_for(&nr_flow_frames, 400);
	for (uint32_t i = 0; i < cpu_count(); i++)
		at += fmt(text + at, sizeof(text) - at, " %u", per_cpu[i]);
	log_info("nics", "flows: %u frames, %u valid, %u wrongly valid, on CPUs:%s", nr_flow_frames,
		 nr_valid, nr_wrongly_valid, text);
}

void card_test_link(uint32_t mtu)
{
	uint32_t before = nr_link_changes;

	log_info("nics", "pull the cable");
	if (!wait_for(&nr_link_changes, before + 1))
		end_badly("nobody pulled it");
	log_info("nics", "link %s, %s", card->is_link_up ? "up" : "down",
		 card_send_test(OP_ECHO, 0, 60) ? "sent" : "not sent");
	if (!wait_for(&nr_link_changes, before + 2))
		end_badly("nobody plugged it in");
	log_info("nics", "link %s, %u Mb/s", card->is_link_up ? "up" : "down", card->speed_mbps);
	card_test_sizes(mtu, 2);
}

/* [PCIe] "Slot Control Register", "Slot Status Register" */
#define EXPRESS_SLOT_CONTROL 0x18u
struct pci_device *card_device(void)
{
	char at[16];

	for (uint32_t i = 0; i < pci_count(); i++) {
		struct pci_device *dev = pci_at(i);

		fmt(at, sizeof(at), "%02x:%02x.%u", dev->at.bus, dev->at.dev, dev->at.fn);
		if (strcmp(at, card->location) == 0)
			return dev;
	}
	return NULL;
}
