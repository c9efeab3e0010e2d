/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in the two kinds of rings of a virtio network card. Pure; the owner locks each.
 *
 *    receive: every descriptor has a buffer for ever. A frame that fits one is looked at where it
 *             lies; one that fills several (a large TCP segment, a jumbo frame) is put together in
 *             memory of its own. [VIRTIO] "Processing of Incoming Packets".
 *    send:    frames are copied into chunks, as many as they need, which come back when the device
 *             is done with them. [VIRTIO] "Packet Transmission".
 *
 * Each frame has a header in front. What a header says of a received frame is checked against the
 * frame itself; a frame that is not what its header says is dropped.
 */
#ifndef DRIVERS_VIRTIO_NET_RINGS_H
#define DRIVERS_VIRTIO_NET_RINGS_H

#include "drivers/offload.h"
#include "drivers/virtio_queue.h"

struct virtio_net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint16_t nr_buffers;
};
static_assert(sizeof(struct virtio_net_header) == 12, "[VIRTIO] struct virtio_net_hdr");

#define VIRTIO_NET_FRAME_MIN   14u
#define VIRTIO_NET_CHUNK_BYTES 4096u
/* Chunks of the longest frame. */
#define VIRTIO_NET_CHUNKS                                                                          \
	((OFFLOAD_FRAME_MAX + sizeof(struct virtio_net_header) + VIRTIO_NET_CHUNK_BYTES - 1) /     \
	 VIRTIO_NET_CHUNK_BYTES)

/* ---- receive ---- */

struct virtio_net_rx {
	struct virtq *q;
	uint8_t *buffers;
	uint64_t buffers_bus;
	uint32_t buffer_bytes;
	bool has_merge;	  /* VIRTIO_NET_F_MRG_RXBUF: a frame may fill several buffers */
	bool has_offload; /* headers mean something */
	uint8_t *large;	  /* OFFLOAD_FRAME_MAX bytes, to put frames together */

	uint32_t lent; /* 1 + the buffer that a frame is being looked at in; 0: none */
	/* Of the frame that is being put together. */
	struct virtio_net_header header;
	uint32_t nr_missing; /* buffers of it that are still to come */
	size_t large_bytes;
	bool is_too_long;
};

enum virtio_net_rx_kind { VIRTIO_NET_RX_NONE, VIRTIO_NET_RX_FRAME, VIRTIO_NET_RX_BAD };

struct virtio_net_frame {
	const uint8_t *data;
	size_t len_bytes;
	struct frame_offload offload;
	bool has_offload;
};

/* virtio_net_rx_fill - all of its buffers into an empty ring, of as many entries */
void virtio_net_rx_fill(struct virtio_net_rx *rx);

/*
 * virtio_net_rx_look - the next frame
 *
 * returns  NONE: no whole one is there. FRAME: *frame, until virtio_net_rx_return(). BAD: one was
 *          dropped. All but NONE are followed by virtio_net_rx_return().
 */
enum virtio_net_rx_kind virtio_net_rx_look(struct virtio_net_rx *rx,
					   struct virtio_net_frame *frame);

/* virtio_net_rx_return - the frame's buffer may be filled anew; virtq_show() tells the device */
void virtio_net_rx_return(struct virtio_net_rx *rx);

/* ---- send ---- */

struct virtio_net_tx {
	struct virtq *q;
	uint8_t *chunks; /* as many as the ring has entries */
	uint64_t chunks_bus;
	uint16_t nr_free, free_head;
	uint16_t next[VIRTQ_SIZE_MAX];	/* of a free one, or of one that is out */
	uint16_t nr_of[VIRTQ_SIZE_MAX]; /* chunks of the frame that begins here */
	struct virtq_piece pieces[VIRTIO_NET_CHUNKS];
};

/* virtio_net_tx_init - all chunks free, the ring empty */
void virtio_net_tx_init(struct virtio_net_tx *tx, struct virtq *q, void *chunks,
			uint64_t chunks_bus);

/*
 * virtio_net_tx_put - copy a frame into the ring; virtq_show() tells the device
 *
 * offload  NULL, or passed offload_check()
 * returns  false: no room, or no length that fits; nothing has changed
 */
MUST_CHECK bool virtio_net_tx_put(struct virtio_net_tx *tx, const void *frame, size_t len_bytes,
				  const struct frame_offload *offload);

#endif
