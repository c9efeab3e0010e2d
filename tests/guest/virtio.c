/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio devices by real queues: random bytes, and frames between two guests of the same program.
 */
#include "tests/guest/lib/virtio.h"

#define RNG 4
#define NET 1

#define ETHERTYPE 0xb588 /* 0x88b5, for local experiments, as it lies in memory */
#define HDR	  12
#define FRAMES	  20

static struct virtio_queue rng_queue, rx_queue, tx_queue;
static uint8_t bytes[256];
static uint8_t rx[8][2048], tx[HDR + 64];

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

void guest_main(void)
{
	apic_enable(false);
	rng();
	net();
}
