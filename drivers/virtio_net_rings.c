/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device says how much it wrote into a buffer, which the ring has held against the buffer's
 * length, and in how many buffers a frame is, which is believed only until they add up to more than
 * a frame can be. A header is copied once and used from there.
 *
 * A large TCP segment has in its checksum field the sum of the pseudo header: without a length
 * inside Billet (drivers/offload.h), with the segment's own on virtio's wire.
 */
#include "drivers/virtio_net_rings.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

#define HEADER_BYTES sizeof(struct virtio_net_header)

/* [VIRTIO] "Network Device", "Device Operation" */
#define HDR_F_NEEDS_CSUM 1u
#define HDR_F_DATA_VALID 2u
#define HDR_GSO_NONE	 0u
#define HDR_GSO_TCPV4	 1u
#define HDR_GSO_TCPV6	 4u

/* ---- what a header says ---- */

static bool gso_of(uint8_t type, enum offload_gso *gso)
{
	switch (type) {
	case HDR_GSO_NONE:
		*gso = OFFLOAD_GSO_NONE;
		return true;
	case HDR_GSO_TCPV4:
		*gso = OFFLOAD_GSO_TCP4;
		return true;
	case HDR_GSO_TCPV6:
		*gso = OFFLOAD_GSO_TCP6;
		return true;
	default:
		return false;
	}
}

static uint8_t gso_type(enum offload_gso gso)
{
	static const uint8_t types[] = {[OFFLOAD_GSO_NONE] = HDR_GSO_NONE,
					[OFFLOAD_GSO_TCP4] = HDR_GSO_TCPV4,
					[OFFLOAD_GSO_TCP6] = HDR_GSO_TCPV6};

	return types[gso];
}

static void put_sum(uint8_t *frame, const struct frame_offload *offload, uint32_t tcp_bytes)
{
	put_be16(frame + offload->csum_start + offload->csum_offset,
		 offload_pseudo_sum(frame, offload, tcp_bytes));
}

/* False: a header of another kind than was agreed on, or not this frame's. */
static bool read_header(const struct virtio_net_header *header, uint8_t *data,
			struct virtio_net_frame *frame)
{
	struct frame_offload *offload = &frame->offload;

	*offload = (struct frame_offload){
		.needs_csum = header->flags & HDR_F_NEEDS_CSUM,
		.is_csum_valid = header->flags & HDR_F_DATA_VALID,
		.csum_start = header->csum_start,
		.csum_offset = header->csum_offset,
		.gso_size = header->gso_size,
	};
	if (!gso_of(header->gso_type, &offload->gso) ||
	    offload_check(data, frame->len_bytes, offload) != HV_OK)
		return false;
	if (offload->gso != OFFLOAD_GSO_NONE)
		put_sum(data, offload, 0);
	frame->has_offload = offload->needs_csum || offload->is_csum_valid;
	return true;
}

static void write_header(struct virtio_net_header *header, const struct frame_offload *offload)
{
	*header = (struct virtio_net_header){0};
	if (!offload || !offload->needs_csum)
		return;
	header->flags = HDR_F_NEEDS_CSUM;
	header->csum_start = offload->csum_start;
	header->csum_offset = offload->csum_offset;
	header->gso_type = gso_type(offload->gso);
	if (offload->gso == OFFLOAD_GSO_NONE)
		return;
	header->gso_size = offload->gso_size;
	header->hdr_len = offload->hdr_len;
}

/* ---- receive ---- */

static void offer(struct virtio_net_rx *rx, uint32_t index)
{
	struct virtq_piece piece = {rx->buffers_bus + (uint64_t)index * rx->buffer_bytes,
				    rx->buffer_bytes};
	enum hv_err err = virtq_add(rx->q, &piece, 0, 1, rx->buffers + index * rx->buffer_bytes);

	/* There are as many descriptors as buffers; a broken ring gets nothing more. */
	ASSERT(err == HV_OK || rx->q->is_broken);
}

void virtio_net_rx_fill(struct virtio_net_rx *rx)
{
	rx->nr_missing = rx->lent = 0;
	for (uint32_t i = 0; i < rx->q->shape.size; i++)
		offer(rx, i);
}

void virtio_net_rx_return(struct virtio_net_rx *rx)
{
	if (rx->lent)
		offer(rx, rx->lent - 1);
	rx->lent = 0;
}

static enum virtio_net_rx_kind finish(struct virtio_net_rx *rx,
				      const struct virtio_net_header *header, uint8_t *data,
				      size_t len_bytes, struct virtio_net_frame *frame)
{
	*frame = (struct virtio_net_frame){.data = data, .len_bytes = len_bytes};
	if (len_bytes < VIRTIO_NET_FRAME_MIN)
		return VIRTIO_NET_RX_BAD;
	if (rx->has_offload && !read_header(header, data, frame))
		return VIRTIO_NET_RX_BAD;
	return VIRTIO_NET_RX_FRAME;
}

static void append(struct virtio_net_rx *rx, const uint8_t *from, size_t len_bytes)
{
	if (!range_fits(rx->large_bytes, len_bytes, OFFLOAD_FRAME_MAX)) {
		rx->is_too_long = true;
		return;
	}
	memcpy(rx->large + rx->large_bytes, from, len_bytes);
	rx->large_bytes += len_bytes;
}

/* One more buffer of the frame that is being put together; whether that was its last. */
static bool collect(struct virtio_net_rx *rx, const uint8_t *from, size_t len_bytes, uint32_t index)
{
	append(rx, from, len_bytes);
	offer(rx, index);
	return --rx->nr_missing == 0;
}

static enum virtio_net_rx_kind finish_large(struct virtio_net_rx *rx,
					    struct virtio_net_frame *frame)
{
	if (rx->is_too_long)
		return VIRTIO_NET_RX_BAD;
	return finish(rx, &rx->header, rx->large, rx->large_bytes, frame);
}

/* The first buffer of a frame, which may be all of it. */
static enum virtio_net_rx_kind begin(struct virtio_net_rx *rx, uint8_t *buffer, uint32_t written,
				     uint32_t index, struct virtio_net_frame *frame)
{
	struct virtio_net_header header;
	uint32_t nr;

	rx->lent = index + 1;
	if (written < HEADER_BYTES)
		return VIRTIO_NET_RX_BAD;
	memcpy(&header, buffer, HEADER_BYTES);
	nr = rx->has_merge ? header.nr_buffers : 1;
	if (nr == 0)
		return VIRTIO_NET_RX_BAD;
	if (nr == 1)
		return finish(rx, &header, buffer + HEADER_BYTES, written - HEADER_BYTES, frame);

	rx->lent = 0;
	rx->header = header;
	rx->nr_missing = nr;
	rx->large_bytes = 0;
	rx->is_too_long = false;
	collect(rx, buffer + HEADER_BYTES, written - HEADER_BYTES, index);
	return VIRTIO_NET_RX_NONE;
}

enum virtio_net_rx_kind virtio_net_rx_look(struct virtio_net_rx *rx, struct virtio_net_frame *frame)
{
	enum virtio_net_rx_kind kind;
	uint32_t written = 0, index;
	uint8_t *buffer;

	while ((buffer = virtq_get(rx->q, &written)) != NULL) {
		index = (uint32_t)(buffer - rx->buffers) / rx->buffer_bytes;
		if (rx->nr_missing > 0) {
			if (collect(rx, buffer, written, index))
				return finish_large(rx, frame);
			continue;
		}
		kind = begin(rx, buffer, written, index, frame);
		if (kind != VIRTIO_NET_RX_NONE)
			return kind;
	}
	return VIRTIO_NET_RX_NONE;
}

/* ---- send ---- */

void virtio_net_tx_init(struct virtio_net_tx *tx, struct virtq *q, void *chunks,
			uint64_t chunks_bus)
{
	memset(tx, 0, sizeof(*tx));
	tx->q = q;
	tx->chunks = chunks;
	tx->chunks_bus = chunks_bus;
	tx->nr_free = q->shape.size;
	for (uint16_t i = 0; i < q->shape.size; i++)
		tx->next[i] = (uint16_t)(i + 1);
}

static void give_back(struct virtio_net_tx *tx, uint16_t first, uint16_t nr)
{
	uint16_t last = first;

	for (uint16_t i = 1; i < nr; i++)
		last = tx->next[last];
	tx->next[last] = tx->free_head;
	tx->free_head = first;
	tx->nr_free = (uint16_t)(tx->nr_free + nr);
}

/* The chunks of all frames that the device is done with. */
static void reclaim(struct virtio_net_tx *tx)
{
	uint16_t *nr_of;
	uint32_t written;

	while ((nr_of = virtq_get(tx->q, &written)) != NULL)
		give_back(tx, (uint16_t)(nr_of - tx->nr_of), *nr_of);
}

/* Into the chunks from the first free one on: the header, and the frame behind it. */
static void copy(struct virtio_net_tx *tx, const struct virtio_net_header *header,
		 const uint8_t *frame, size_t len_bytes, uint32_t nr)
{
	uint16_t at = tx->free_head;

	for (uint32_t i = 0; i < nr; i++, at = tx->next[at]) {
		uint8_t *chunk = tx->chunks + (size_t)at * VIRTIO_NET_CHUNK_BYTES;
		size_t before = i == 0 ? HEADER_BYTES : 0;
		size_t part = MIN(VIRTIO_NET_CHUNK_BYTES - before, len_bytes);

		if (i == 0)
			memcpy(chunk, header, HEADER_BYTES);
		memcpy(chunk + before, frame, part);
		tx->pieces[i] =
			(struct virtq_piece){tx->chunks_bus + (uint64_t)at * VIRTIO_NET_CHUNK_BYTES,
					     (uint32_t)(before + part)};
		frame += part;
		len_bytes -= part;
	}
}

bool virtio_net_tx_put(struct virtio_net_tx *tx, const void *frame, size_t len_bytes,
		       const struct frame_offload *offload)
{
	uint32_t nr = (uint32_t)((HEADER_BYTES + len_bytes + VIRTIO_NET_CHUNK_BYTES - 1) /
				 VIRTIO_NET_CHUNK_BYTES);
	struct virtio_net_header header;
	uint16_t first;

	if (len_bytes < VIRTIO_NET_FRAME_MIN || len_bytes > OFFLOAD_FRAME_MAX)
		return false;
	if (tx->nr_free < nr)
		reclaim(tx);
	if (tx->nr_free < nr)
		return false;

	first = tx->free_head;
	write_header(&header, offload);
	copy(tx, &header, frame, len_bytes, nr);
	if (offload && offload->gso != OFFLOAD_GSO_NONE) /* its headers are in the first chunk */
		put_sum(tx->chunks + (size_t)first * VIRTIO_NET_CHUNK_BYTES + HEADER_BYTES, offload,
			(uint32_t)(len_bytes - offload->csum_start));
	tx->nr_of[first] = (uint16_t)nr;
	if (virtq_add(tx->q, tx->pieces, nr, 0, &tx->nr_of[first]) != HV_OK)
		return false;
	for (uint32_t i = 0; i < nr; i++)
		tx->free_head = tx->next[tx->free_head];
	tx->nr_free = (uint16_t)(tx->nr_free - nr);
	return true;
}
