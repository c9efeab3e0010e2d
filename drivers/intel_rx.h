/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A receive ring of Intel's gigabit cards, as pure logic over memory that the card writes:
 *
 *     next ──► descriptors that the card fills, in order ──► tail register
 *
 * Each descriptor has a buffer of its own for ever. A frame that fits one is looked at where it
 * lies; the parts of a longer one are copied together. What the card writes is checked like a
 * packet: a broken one must not make us read outside a buffer. The caller holds the queue's lock.
 *
 * The e1000 writes legacy descriptors. The e1000e's extended ones and igb's advanced ones are the
 * same where we look, but for the address: the card writes over it, so it is put there each time.
 *
 * Source: [E1000] "Receive Descriptor Format"; [82574] "Extended Rx Descriptor"; [82576] "Advanced
 * Receive Descriptors".
 */
#ifndef DRIVERS_INTEL_RX_H
#define DRIVERS_INTEL_RX_H

#include "kernel/lib/types.h"

#define INTEL_RING_ENTRIES  256u
#define INTEL_RING_BYTES    (INTEL_RING_ENTRIES * 16u)
#define INTEL_BUFFER_BYTES  2048u
#define INTEL_BUFFERS_BYTES (INTEL_RING_ENTRIES * INTEL_BUFFER_BYTES)
#define INTEL_FRAME_MIN	    14u
#define INTEL_FRAME_MAX	    16384u /* what the parts of one are copied together into */

enum intel_rx_format { INTEL_RX_LEGACY, INTEL_RX_EXTENDED };

struct intel_rx_desc { /* of either format */
	uint32_t words[4];
};
static_assert(sizeof(struct intel_rx_desc) == 16, "[E1000] receive descriptor");

/* Words 2 and 3 of a descriptor that the card has filled */
#define INTEL_RXL2_LEN	  0x0000ffffull
#define INTEL_RXL3_STATUS 0x000000ffull
#define INTEL_RXL3_ERRORS 0x0000ff00ull
#define INTEL_RXE2_STATUS 0xffffffffull
#define INTEL_RXE3_LEN	  0x0000ffffull

/* Status and errors, as an extended descriptor has them; a legacy one's are its bits 0 and 24 up */
#define INTEL_RX_DD	BIT(0)	      /* the card is done with it */
#define INTEL_RX_EOP	BIT(1)	      /* the last one of its frame */
#define INTEL_RX_IXSM	BIT(2)	      /* ignore what it says of checksums */
#define INTEL_RX_L4CS	BIT(5)	      /* TCP's or UDP's checksum has been looked at ... */
#define INTEL_RX_L4E	BIT(29)	      /* ... and is wrong */
#define INTEL_RX_ERRORS 0x97000000ull /* CRC, symbol, sequence, carrier extension, data */

struct intel_rx_ring {
	volatile struct intel_rx_desc *descs;
	const uint8_t *buffers;
	uint64_t buffers_bus;
	uint8_t *whole;	    /* INTEL_FRAME_MAX bytes for the parts of a long frame ... */
	size_t whole_bytes; /* ... which has so many up to now */
	size_t frame_max;   /* bytes; longer ones are dropped */
	uint32_t next;
	enum intel_rx_format format;
	bool is_in_long_frame, is_dropping;
	bool was_filled;       /* the descriptor watched_next, ... */
	uint32_t watched_next; /* ... at the last intel_rx_is_waiting() */
};

struct intel_rx_frame {
	const uint8_t *data; /* in the ring's memory, until intel_rx_return() */
	size_t len_bytes;    /* INTEL_FRAME_MIN to frame_max */
	bool is_csum_valid;
};

/*
 * intel_rx_init - a ring of which the card may fill everything but the last descriptor
 *
 * descs, buffers, whole   INTEL_RING_BYTES, INTEL_BUFFERS_BYTES and INTEL_FRAME_MAX bytes, kept;
 *                         the card sees the buffers at buffers_bus
 * frame_max               at most INTEL_FRAME_MAX
 */
void intel_rx_init(struct intel_rx_ring *ring, enum intel_rx_format format, void *descs,
		   const void *buffers, uint64_t buffers_bus, void *whole, size_t frame_max);

/* intel_rx_restart - as after intel_rx_init(), whatever the card had done: it was reset */
void intel_rx_restart(struct intel_rx_ring *ring);

enum intel_rx { INTEL_RX_NONE, INTEL_RX_FRAME, INTEL_RX_PART, INTEL_RX_BAD };

/*
 * intel_rx_look - the next descriptor that the card has filled
 *
 * out      set for INTEL_RX_FRAME
 * returns  NONE: nothing new. FRAME: a whole one. PART: of one that goes on. BAD: the end of one to
 *          be counted as dropped. All but NONE are followed by intel_rx_return().
 */
enum intel_rx intel_rx_look(struct intel_rx_ring *ring, struct intel_rx_frame *out);

/* intel_rx_return - the descriptor last looked at is the card's again; returns the new tail */
uint32_t intel_rx_return(struct intel_rx_ring *ring);

/*
 * intel_rx_is_waiting - has what the card filled lain there since the last call of this function?
 * Called a second apart it means that nobody looked, and so that an interrupt was lost.
 */
bool intel_rx_is_waiting(struct intel_rx_ring *ring);

#endif
