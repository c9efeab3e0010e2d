/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio devices by real queues: random bytes, and frames between two guests of the same program.
 */
#include "tests/guest/lib/virtio.h"

#define RNG 4
#define NET 1

#define ETHERTYPE 0xb588 /* 0x88b5, for local experiments, as it lies in memory */
#define HDR	  12
#define FRAMES	  20

/* [VIRTIO] "Network Device", "Feature bits", "Packet Transmission" */
#define F_CSUM	       (1u << 0)
#define F_GUEST_CSUM   (1u << 1)
#define F_GUEST_TSO4   (1u << 7)
#define F_HOST_TSO4    (1u << 11)
#define HDR_NEEDS_CSUM 1
#define HDR_GSO_TCPV4  1

static struct virtio_queue rng_queue, rx_queue, tx_queue;
static uint8_t bytes[256];
static uint8_t rx[8][2048], tx[HDR + 64];
static uint8_t segment[HDR + 6000];

static void rng(void)
{
	struct virtio v;
	uint16_t slot = 99;
	int64_t len;
	uint32_t seen[8] = {0}, nr_values = 0;

	EXPECT(virtio_open(&v, RNG), "virtio-rng agrees on version 1");
	virtio_msix(&v, 0, 0x50);
	virtio_queue_open(&v, 0, &rng_queue, 0);
	virtio_start(&v);
	virtio_give(&rng_queue, 3, bytes, sizeof(bytes), true);
	EXPECT(WAIT_FOR(irq_count[0x50] >= 1, 100000), "virtio-rng interrupts by MSI-X");
	len = virtio_take(&rng_queue, &slot);
	EXPECT(len == sizeof(bytes) && slot == 3, "virtio-rng fills the buffer that it was given");
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		seen[bytes[i] / 32] |= 1u << bytes[i] % 32;
	for (uint32_t i = 0; i < 256; i++)
		nr_values += seen[i / 32] >> i % 32 & 1;
	EXPECT(nr_values > 100, "256 bytes have more than 100 different values");
	EXPECT_EQ(read8(v.isr), 0, "the ISR register is quiet with MSI-X");
	write8(v.common + 20, 0);
	EXPECT_EQ(read8(v.common + 20), 0, "the device can be reset");
}

static void send(struct virtio *v)
{
	uint16_t slot;

	memset(tx, 0, sizeof(tx));
	memset(tx + HDR, 0xff, 6);
	for (uint32_t i = 0; i < 6; i++)
		tx[HDR + 6 + i] = read8(v->config + i);
	*(uint16_t *)(tx + HDR + 12) = ETHERTYPE;
	for (uint32_t i = 14; i < 64; i++)
		tx[HDR + i] = (uint8_t)(i * 3);
	virtio_give(&tx_queue, 0, tx, sizeof(tx), false);
	while (virtio_take(&tx_queue, &slot) < 0)
		__asm__ volatile("pause");
}

static bool is_ours(const uint8_t *frame)
{
	for (uint32_t i = 14; i < 64; i++)
		if (frame[i] != (uint8_t)(i * 3))
			return false;
	return *(const uint16_t *)(frame + 12) == ETHERTYPE;
}

/* Frames of the other guest received until nothing has come for a while. */
static uint32_t exchange(struct virtio *v)
{
	uint32_t nr_received = 0, nr_sent = 0;
	uint64_t end = rdtsc() + tsc_khz() * 3000;

	while (rdtsc() < end && (nr_sent < FRAMES || nr_received == 0)) {
		uint16_t slot;

		send(v);
		nr_sent++;
		wait_us(10000);
		for (int64_t len; (len = virtio_take(&rx_queue, &slot)) >= 0;) {
			nr_received += len == HDR + 64 && is_ours(rx[slot] + HDR) &&
				       tx[HDR + 11] != rx[slot][HDR + 11];
			virtio_give(&rx_queue, slot, rx[slot], sizeof(rx[slot]), true);
		}
	}
	return nr_received;
}

static void net(void)
{
	struct virtio v;
	uint32_t nr_received;

	EXPECT(virtio_open(&v, NET), "virtio-net agrees on version 1");
	EXPECT_EQ(read8(v.config) & 3, 2, "its address is a local one, of a single station");
	virtio_msix(&v, 0, 0x51);
	virtio_msix(&v, 1, 0x52);
	virtio_queue_open(&v, 0, &rx_queue, 0);
	virtio_queue_open(&v, 1, &tx_queue, 1);
	virtio_start(&v);
	for (uint16_t i = 0; i < 8; i++)
		virtio_give(&rx_queue, i, rx[i], sizeof(rx[i]), true);
	nr_received = exchange(&v);
	print_row("frames", nr_received);
	EXPECT(nr_received > 0, "frames that the other guest sends arrive, as they were sent");
	irq_on();
	irq_off();
	EXPECT(irq_count[0x51] > 0, "receiving interrupts");
	EXPECT(irq_count[0x52] > 0, "sending interrupts");
}

/* ---- lies about what is left to do to a frame ---- */

static void send_segment(uint32_t len)
{
	uint16_t slot;

	virtio_give(&tx_queue, 0, segment, HDR + len, false);
	while (virtio_take(&tx_queue, &slot) < 0)
		__asm__ volatile("pause");
}

static void make_segment(const struct virtio *v)
{
	static const uint8_t ip[] = {0x45, 0, 0x17, 0x02, 0, 0, 0, 0, 64, 6}; /* 5890 bytes, TCP */
	uint16_t *hdr = (uint16_t *)segment;

	memset(segment, 0, sizeof(segment));
	hdr[0] = HDR_NEEDS_CSUM | HDR_GSO_TCPV4 << 8;
	hdr[2] = 1460;
	hdr[3] = 14 + 20;
	hdr[4] = 16;
	memset(segment + HDR, 2, 6); /* nobody's address */
	for (uint32_t i = 0; i < 6; i++)
		segment[HDR + 6 + i] = read8(v->config + i);
	segment[HDR + 12] = 8;
	memcpy(segment + HDR + 14, ip, sizeof(ip));
	segment[HDR + 14 + 20 + 12] = 0x50;
}

/* Each byte of the header and of the packet's headers, with every value that is one bit away. */
static void lie(const struct virtio *v)
{
	for (uint32_t at = 0; at < HDR + 54; at++)
		for (uint32_t bit = 0; bit < 8; bit++) {
			make_segment(v);
			segment[at] ^= (uint8_t)(1u << bit);
			send_segment(14 + 5890);
		}
	make_segment(v);
	for (uint32_t len = 0; len < 60; len++)
		send_segment(len);
}

static void offloads(void)
{
	struct virtio v;

	EXPECT(!virtio_open_with(&v, NET, F_HOST_TSO4), "segments without checksums are refused");
	EXPECT(!virtio_open_with(&v, NET, F_GUEST_TSO4 | F_CSUM), "and so is receiving them");
	EXPECT(virtio_open_with(&v, NET, F_CSUM | F_HOST_TSO4 | F_GUEST_CSUM | F_GUEST_TSO4),
	       "virtio-net agrees on checksums and TCP segments");
	EXPECT(read16(v.config + 10) >= 1500, "it says what its MTU is");
	memset(&tx_queue, 0, sizeof(tx_queue));
	virtio_queue_open(&v, 1, &tx_queue, 0xffff);
	virtio_start(&v);
	make_segment(&v);
	send_segment(14 + 5890);
	lie(&v);
	EXPECT_EQ(read8(v.common + 20), 15, "lies about segments cost the liar its frames only");
}

void guest_main(void)
{
	apic_enable(false);
	rng();
	net();
	offloads();
}
