/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The e1000's two rings of descriptors, as pure logic over memory that the card reads and writes.
 *
 *     receive:   next ──► descriptors that the card fills, in order ──► tail register
 *     send:      oldest ──► given to the card, not yet done ──► tail register ──► free
 *
 * Each descriptor has a buffer of its own for ever; frames are copied out of and into it, so that
 * nothing waits for the card. What the card writes is checked like a packet: a broken one must not
 * make us read outside a buffer. The caller holds the lock of the ring, where there is one.
 *
 * Source: [E1000] "Receive Descriptor Format", "Legacy Transmit Descriptor Format".
 */
#ifndef DRIVERS_E1000_RING_H
#define DRIVERS_E1000_RING_H

#include "kernel/lib/types.h"

#define E1000_RING_ENTRIES 256u
#define E1000_BUFFER_BYTES 2048u
#define E1000_FRAME_MIN	   14u
#define E1000_FRAME_SHORT  60u /* on the wire, without FCS; filled up to it with zeros */

struct e1000_rx_desc {
	uint64_t addr;
	uint16_t len_bytes, checksum;
	uint8_t status, errors;
	uint16_t special;
};
static_assert(sizeof(struct e1000_rx_desc) == 16, "[E1000] receive descriptor");

#define E1000_RXD_DD	 0x01u /* status: the card is done with it */
#define E1000_RXD_EOP	 0x02u /* status: the last one of its frame */
/* errors: CRC, symbol, sequence, carrier extension, data. The others speak of TCP and IP. */
#define E1000_RXD_ERRORS 0x97u

struct e1000_tx_desc {
	uint64_t addr;
	uint16_t len_bytes;
	uint8_t checksum_offset, command, status, checksum_start;
	uint16_t special;
};
static_assert(sizeof(struct e1000_tx_desc) == 16, "[E1000] legacy transmit descriptor");

#define E1000_TXD_EOP  0x01u /* command: the last one of its frame */
#define E1000_TXD_IFCS 0x02u /* command: add the FCS */
#define E1000_TXD_RS   0x08u /* command: report it in status */
#define E1000_TXD_DD   0x01u /* status: done */

#define E1000_RING_BYTES    (E1000_RING_ENTRIES * 16u)
#define E1000_BUFFERS_BYTES (E1000_RING_ENTRIES * E1000_BUFFER_BYTES)

struct e1000_rx_ring {
	volatile struct e1000_rx_desc *descs;
	const uint8_t *buffers;
	uint32_t next;
	bool is_in_long_frame; /* parts of one that does not fit a buffer are being passed over */
};

struct e1000_tx_ring {
	volatile struct e1000_tx_desc *descs;
	uint8_t *buffers;
	uint64_t buffers_bus;
	uint32_t oldest, tail;
};

/*
 * Memory: zeroed, E1000_RING_BYTES and E1000_BUFFERS_BYTES of it; the card sees the buffers at
 * buffers_bus.
 */
void e1000_rx_init(struct e1000_rx_ring *ring, void *descs, const void *buffers,
		   uint64_t buffers_bus);
void e1000_tx_init(struct e1000_tx_ring *ring, void *descs, void *buffers, uint64_t buffers_bus);

enum e1000_rx { E1000_RX_NONE, E1000_RX_FRAME, E1000_RX_PART, E1000_RX_BAD };

/*
 * e1000_rx_look - the next descriptor that the card has filled
 *
 * frame, len_bytes   set for E1000_RX_FRAME: in its buffer, until e1000_rx_return()
 * returns            NONE: nothing new. FRAME: a whole one. PART: of a frame that is too long.
 *                    BAD: to be counted as dropped. All but NONE are followed by e1000_rx_return().
 */
enum e1000_rx e1000_rx_look(struct e1000_rx_ring *ring, const uint8_t **frame, size_t *len_bytes);

/* e1000_rx_return - the descriptor last looked at is the card's again; returns the new tail */
uint32_t e1000_rx_return(struct e1000_rx_ring *ring);

/*
 * e1000_tx_put - copy a frame into the ring; what the card has sent meanwhile is free again
 *
 * returns  false: the ring is full, or the frame has no length that fits. Then nothing has changed.
 *          True: ring->tail is the new value of the tail register.
 */
bool e1000_tx_put(struct e1000_tx_ring *ring, const void *frame, size_t len_bytes);

#endif
