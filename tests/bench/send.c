/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one frame costs on its way from a guest to the node's network card: instructions from the
 * driver's first store into its ring to the frame taken back, of which Bochs makes TSC ticks. Each
 * is sent ROUNDS times, and the card has room, as it sends at once.
 */
#include "tests/guest/lib/virtio.h"

#define ROUNDS 200u
#define NET    1

/* [VIRTIO] "Network Device", "Feature bits", "Packet Transmission" */
#define F_CSUM	       (1u << 0)
#define F_HOST_TSO4    (1u << 11)
#define HDR_BYTES      12u
#define HDR_NEEDS_CSUM 1
#define HDR_GSO_TCPV4  1

#define ETH_BYTES     14u
#define HEADERS_BYTES (ETH_BYTES + 20u + 20u)
#define MSS	      1460u
#define SEGMENT_BYTES (44u * MSS) /* the most that 64 KiB hold */

static struct virtio_queue tx_queue;
static uint8_t tx[HDR_BYTES + HEADERS_BYTES + SEGMENT_BYTES] __attribute__((aligned(4096)));

static void put16(uint8_t *at, uint32_t val)
{
	at[0] = (uint8_t)(val >> 8);
	at[1] = (uint8_t)val;
}

/* TCP over IPv4 to a station outside, whose sums nobody looks at. */
static void make_frame(const struct virtio *v, uint32_t payload_bytes)
{
	static const uint8_t to[] = {2, 0xee, 0, 0, 0, 1};
	uint8_t *eth = tx + HDR_BYTES, *ip = eth + ETH_BYTES, *tcp = ip + 20;

	memset(tx, 0, sizeof(tx));
	memcpy(eth, to, 6);
	for (uint32_t i = 0; i < 6; i++)
		eth[6 + i] = read8(v->config + i);
	put16(eth + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, 40 + payload_bytes);
	ip[8] = 64;
	ip[9] = 6;
	tcp[12] = 0x50;
}

static void ask_for(uint8_t flags, uint8_t gso_type, uint16_t gso_size)
{
	uint16_t *words = (uint16_t *)tx; /* the header is little-endian, as we are */

	tx[0] = flags;
	tx[1] = gso_type;
	words[1] = HEADERS_BYTES;
	words[2] = gso_size;
	words[3] = ETH_BYTES + 20;
	words[4] = 16;
}

static void measure(const char *name, uint32_t payload_bytes)
{
	uint64_t start;
	uint16_t slot;

	virtio_give(&tx_queue, 0, tx, HDR_BYTES + HEADERS_BYTES + payload_bytes, false);
	while (virtio_take(&tx_queue, &slot) < 0)
		;
	start = rdtsc();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		virtio_give(&tx_queue, 0, tx, HDR_BYTES + HEADERS_BYTES + payload_bytes, false);
		while (virtio_take(&tx_queue, &slot) < 0)
			;
	}
	print_row(name, (rdtsc() - start) / ROUNDS);
}

static bool open_with(struct virtio *v, uint32_t features)
{
	tx_queue = (struct virtio_queue){.seen = 0};
	if (!virtio_open_with(v, NET, features))
		return false;
	virtio_queue_open(v, 1, &tx_queue, 0xffff);
	tx_queue.notify_port = (uint16_t)(v->notify_port + v->notify_multiplier);
	virtio_start(v);
	return true;
}

void guest_main(void)
{
	struct virtio v;

	EXPECT(open_with(&v, 0), "virtio-net is there");
	make_frame(&v, 6);
	measure("send-60", 6);
	make_frame(&v, MSS);
	measure("send-1514", MSS);
	if (!open_with(&v, F_CSUM | F_HOST_TSO4))
		return;
	make_frame(&v, MSS);
	ask_for(HDR_NEEDS_CSUM, 0, 0);
	measure("send-1514-csum", MSS);
	make_frame(&v, SEGMENT_BYTES);
	ask_for(HDR_NEEDS_CSUM, HDR_GSO_TCPV4, MSS);
	measure("send-64k", SEGMENT_BYTES);
}
