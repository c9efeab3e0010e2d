/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A send ring of Intel's gigabit cards, as pure logic over memory that the card reads and writes:
 *
 *     oldest ──► given to the card, not yet done ──► tail register ──► free
 *
 * Each descriptor has a buffer of its own for ever; a frame is copied into as many as it needs, so
 * nothing waits for the card. One that the card is to sum or to cut has a context descriptor before
 * it. The last descriptor of a frame asks for a report, and is the only one whose status is read:
 * a card that reports wrongly makes us send an old frame's bytes, never touch other memory. The
 * caller holds the queue's lock.
 *
 * Source: [E1000] "TCP/IP Context Descriptor", "TCP/IP Data Descriptor"; [82576] "Advanced Transmit
 * Context Descriptor", "Advanced Transmit Data Descriptor".
 */
#ifndef DRIVERS_INTEL_TX_H
#define DRIVERS_INTEL_TX_H

#include "drivers/intel_rx.h"
#include "drivers/offload.h"
#include "kernel/lib/types.h"

#define INTEL_FRAME_SHORT 60u /* on the wire, without FCS; filled up to it with zeros */
#define INTEL_GSO_SIZE_MIN                                                                         \
	48u		  /* no TCP has smaller segments; a card may stumble over tiny ones        \
			   */
#define INTEL_TX_STUCK 3u /* so many looks in a row at the same oldest frame */

enum intel_tx_format { INTEL_TX_EXTENDED, INTEL_TX_ADVANCED };

struct intel_tx_desc {
	union {
		uint64_t addr;
		uint32_t context[2];
	};
	uint32_t command, status;
};
static_assert(sizeof(struct intel_tx_desc) == 16, "[E1000] transmit descriptor");

/* command: the length below bit 20 (extended) or 16 (advanced), and these */
#define INTEL_TXC_DTYP_EXTENDED 0x00100000u /* data; a context has 0 */
#define INTEL_TXC_DTYP_CONTEXT	0x00200000u /* advanced */
#define INTEL_TXC_DTYP_ADVANCED 0x00300000u /* advanced, data */
#define INTEL_TXC_EOP		0x01000000u /* the last one of its frame */
#define INTEL_TXC_IFCS		0x02000000u /* add the FCS */
#define INTEL_TXC_TSE_EXTENDED	0x04000000u
#define INTEL_TXC_RS		0x08000000u /* report it in status */
#define INTEL_TXC_DEXT		0x20000000u /* not a legacy descriptor */
#define INTEL_TXC_TSE_ADVANCED	0x80000000u

/* status, as we write it: what to insert; and the card's report */
#define INTEL_TXS_DD		  0x00000001u
#define INTEL_TXS_IXSM		  0x00000100u	/* IP's checksum */
#define INTEL_TXS_TXSM		  0x00000200u	/* TCP's or UDP's */
#define INTEL_TXS_PAYLEN_ADVANCED 0xffffc000ull /* advanced: bytes, with TSO those of payload */

/* An extended context: what the checksums cover, bytes from the start of the frame */
#define INTEL_CTX0_IPCSS  0x000000ffull /* start of IP's header, ... */
#define INTEL_CTX0_IPCSO  0x0000ff00ull /* ... its checksum, ... */
#define INTEL_CTX0_IPCSE  0xffff0000ull /* ... its last byte */
#define INTEL_CTX1_TUCSS  0x000000ffull /* start of TCP's or UDP's header, ... */
#define INTEL_CTX1_TUCSO  0x0000ff00ull /* ... its checksum; it goes to the end of the frame */
#define INTEL_CTX2_PAYLEN 0x000fffffull
#define INTEL_CTX2_TCP	  0x01000000u /* and not UDP */
#define INTEL_CTX2_IP4	  0x02000000u
#define INTEL_CTX2_TSE	  0x04000000u
#define INTEL_CTX3_HDRLEN 0x0000ff00ull
#define INTEL_CTX3_MSS	  0xffff0000ull

/* An advanced context: lengths of the headers */
#define INTEL_ACTX0_IPLEN  0x000001ffull
#define INTEL_ACTX0_MACLEN 0x0000fe00ull
#define INTEL_ACTX2_IP4	   0x00000400u
#define INTEL_ACTX2_TCP	   0x00000800u
#define INTEL_ACTX3_L4LEN  0x0000ff00ull
#define INTEL_ACTX3_MSS	   0xffff0000ull

struct intel_tx_ring {
	volatile struct intel_tx_desc *descs;
	uint8_t *buffers;
	uint64_t buffers_bus;
	size_t frame_max; /* bytes of a frame on the wire */
	uint32_t oldest, tail;
	uint16_t last_of[INTEL_RING_ENTRIES]; /* of the frame that begins here */
	enum intel_tx_format format;
	uint32_t watched_oldest, nr_watched; /* intel_tx_is_stuck() */
};

/* Memory as intel_rx_init() wants it; frame_max is at most INTEL_FRAME_MAX. */
void intel_tx_init(struct intel_tx_ring *ring, enum intel_tx_format format, void *descs,
		   void *buffers, uint64_t buffers_bus, size_t frame_max);

/* intel_tx_restart - empty, and from the start: the card was reset. Returns frames lost. */
uint32_t intel_tx_restart(struct intel_tx_ring *ring);

/*
 * intel_tx_put - copy a frame into the ring; what the card has sent meanwhile is free again
 *
 * offload  NULL, or passed offload_check()
 * returns  false: the ring is full, or the frame has no length that fits. Then nothing has changed.
 *          True: ring->tail is the new value of the tail register.
 */
bool intel_tx_put(struct intel_tx_ring *ring, const void *frame, size_t len_bytes,
		  const struct frame_offload *offload);

/* intel_tx_reclaim - take back what the card has sent */
void intel_tx_reclaim(struct intel_tx_ring *ring);

/*
 * intel_tx_is_stuck - whether the card does not send any more, to be asked at equal intervals: the
 * frame that is the oldest was so the last INTEL_TX_STUCK times, too
 */
bool intel_tx_is_stuck(struct intel_tx_ring *ring);

#endif
