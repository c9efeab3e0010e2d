/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending: layout of a frame over descriptors, and what the card is asked to do to it.
 *
 * The card sums TCP and UDP right behind a plain IP header; for anything else that a guest may ask
 * to have summed (short frames, options in IPv6, tunnels, offsets of its own invention) the sum is
 * made here. So the fields of a context, which are small, always have room for what is put there.
 */
#include "drivers/intel_tx.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

#define ETHERNET_BYTES 14u
#define VLAN_BYTES     4u
#define TYPE_VLAN      0x8100u
#define TYPE_IP4       0x0800u
#define TYPE_IP6       0x86ddu
#define IP4_BYTES      20u
#define IP6_BYTES      40u
#define PROTO_TCP      6u
#define PROTO_UDP      17u
#define TCP_SUM_AT     16u /* of the checksum in TCP's header */
#define UDP_SUM_AT     6u
#define SENTINEL_BYTES 4u

struct job { /* one frame, and what becomes of it */
	const uint8_t *frame;
	size_t len_bytes;
	const struct frame_offload *offload; /* NULL: nothing is left for the card */
	uint32_t l2_bytes;
	bool is_ip4, is_tcp, is_tso;
};

static uint32_t after(uint32_t index)
{
	return (index + 1) % INTEL_RING_ENTRIES;
}

static uint8_t *buffer_of(struct intel_tx_ring *ring, uint32_t index)
{
	return ring->buffers + index * INTEL_BUFFER_BYTES;
}

void intel_tx_init(struct intel_tx_ring *ring, enum intel_tx_format format, void *descs,
		   void *buffers, uint64_t buffers_bus, size_t frame_max)
{
	ASSERT(frame_max <= INTEL_FRAME_MAX);
	*ring = (struct intel_tx_ring){.descs = descs,
				       .buffers = buffers,
				       .buffers_bus = buffers_bus,
				       .frame_max = frame_max,
				       .format = format};
}

uint32_t intel_tx_restart(struct intel_tx_ring *ring)
{
	uint32_t nr_lost = 0;

	for (uint32_t i = ring->oldest; i != ring->tail; i = after(ring->last_of[i]))
		nr_lost++;
	ring->oldest = ring->tail = 0;
	ring->watched_oldest = ring->nr_watched = 0;
	return nr_lost;
}

void intel_tx_reclaim(struct intel_tx_ring *ring)
{
	while (ring->oldest != ring->tail) {
		uint32_t last = ring->last_of[ring->oldest];

		if (!(ring->descs[last].status & INTEL_TXS_DD))
			return;
		ring->oldest = after(last);
	}
}

bool intel_tx_is_stuck(struct intel_tx_ring *ring)
{
	intel_tx_reclaim(ring);
	if (ring->oldest == ring->tail || ring->oldest != ring->watched_oldest)
		ring->nr_watched = 0;
	else
		ring->nr_watched++;
	ring->watched_oldest = ring->oldest;
	return ring->nr_watched >= INTEL_TX_STUCK;
}

/* Whether the transport's header stands where the card looks for it. */
static bool is_plain(struct job *job, const struct frame_offload *offload)
{
	const uint8_t *frame = job->frame;
	uint32_t l3_bytes = IP6_BYTES;
	uint16_t type;
	uint8_t proto;

	if (job->len_bytes < INTEL_FRAME_SHORT)
		return false; /* a card may take what fills it up for a part of the packet */
	type = get_be16(frame + 12);
	job->l2_bytes = ETHERNET_BYTES;
	if (type == TYPE_VLAN) {
		type = get_be16(frame + 16);
		job->l2_bytes += VLAN_BYTES;
	}
	if (type != TYPE_IP4 && type != TYPE_IP6)
		return false;
	job->is_ip4 = type == TYPE_IP4;
	if (job->is_ip4)
		l3_bytes = (frame[job->l2_bytes] & 0x0fu) * 4;
	proto = frame[job->l2_bytes + (job->is_ip4 ? 9 : 6)];
	job->is_tcp = offload->csum_offset == TCP_SUM_AT;
	return l3_bytes >= IP4_BYTES && offload->csum_start == job->l2_bytes + l3_bytes &&
	       ((job->is_tcp && proto == PROTO_TCP) ||
		(offload->csum_offset == UDP_SUM_AT && proto == PROTO_UDP));
}

/* [RFC1071]: of big-endian words; a zero fills up the last one */
static uint16_t sum_of(const uint8_t *at, size_t len_bytes)
{
	uint64_t sum = 0;

	for (size_t i = 0; i + 1 < len_bytes; i += 2)
		sum += get_be16(at + i);
	if (len_bytes & 1)
		sum += (uint64_t)at[len_bytes - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* One byte of the frame whose data begin in this descriptor's buffer. */
static void patch(struct intel_tx_ring *ring, uint32_t first, size_t at, uint8_t byte)
{
	uint32_t index = (first + (uint32_t)(at / INTEL_BUFFER_BYTES)) % INTEL_RING_ENTRIES;

	buffer_of(ring, index)[at % INTEL_BUFFER_BYTES] = byte;
}

static void sum_in_software(struct intel_tx_ring *ring, uint32_t first, const struct job *job,
			    const struct frame_offload *offload)
{
	uint16_t sum =
		sum_of(job->frame + offload->csum_start, job->len_bytes - offload->csum_start);
	size_t at = (size_t)offload->csum_start + offload->csum_offset;

	if (sum == 0 && offload->csum_offset == UDP_SUM_AT)
		sum = 0xffff; /* zero says that there is none */
	patch(ring, first, at, (uint8_t)(sum >> 8));
	patch(ring, first, at + 1, (uint8_t)sum);
}

/* A frame to be cut has no length and no checksum in its IP header: each piece gets its own. */
static void clear_ip_lengths(struct intel_tx_ring *ring, uint32_t first, const struct job *job)
{
	uint8_t *ip = buffer_of(ring, first) + job->l2_bytes;

	if (job->is_ip4) {
		put_be16(ip + 2, 0);
		put_be16(ip + 10, 0);
	} else {
		put_be16(ip + 4, 0);
	}
}

static void put_extended_context(volatile struct intel_tx_desc *desc, const struct job *job)
{
	const struct frame_offload *offload = job->offload;
	uint32_t command = INTEL_TXC_DEXT, ip = 0;

	if (job->is_tcp)
		command |= INTEL_CTX2_TCP;
	if (job->is_ip4) {
		command |= INTEL_CTX2_IP4;
		ip = (uint32_t)(FIELD_PREP(INTEL_CTX0_IPCSO, job->l2_bytes + 10) |
				FIELD_PREP(INTEL_CTX0_IPCSE, offload->csum_start - 1));
	}
	if (job->is_tso)
		command |= INTEL_CTX2_TSE | (uint32_t)FIELD_PREP(INTEL_CTX2_PAYLEN,
								 job->len_bytes - offload->hdr_len);
	desc->context[0] = ip | (uint32_t)FIELD_PREP(INTEL_CTX0_IPCSS, job->l2_bytes);
	desc->context[1] = (uint32_t)(FIELD_PREP(INTEL_CTX1_TUCSS, offload->csum_start) |
				      FIELD_PREP(INTEL_CTX1_TUCSO,
						 offload->csum_start + offload->csum_offset));
	desc->command = command;
	desc->status = job->is_tso ? (uint32_t)(FIELD_PREP(INTEL_CTX3_HDRLEN, offload->hdr_len) |
						FIELD_PREP(INTEL_CTX3_MSS, offload->gso_size))
				   : 0;
}

static void put_advanced_context(volatile struct intel_tx_desc *desc, const struct job *job)
{
	const struct frame_offload *offload = job->offload;
	uint32_t l4_bytes = job->is_tso ? offload->hdr_len - offload->csum_start : 0;

	desc->context[0] =
		(uint32_t)(FIELD_PREP(INTEL_ACTX0_MACLEN, job->l2_bytes) |
			   FIELD_PREP(INTEL_ACTX0_IPLEN, offload->csum_start - job->l2_bytes));
	desc->context[1] = 0;
	desc->command = INTEL_TXC_DEXT | INTEL_TXC_DTYP_CONTEXT |
			(job->is_ip4 ? INTEL_ACTX2_IP4 : 0) | (job->is_tcp ? INTEL_ACTX2_TCP : 0);
	desc->status = job->is_tso ? (uint32_t)(FIELD_PREP(INTEL_ACTX3_L4LEN, l4_bytes) |
						FIELD_PREP(INTEL_ACTX3_MSS, offload->gso_size))
				   : 0;
}

/* What all data descriptors of a frame have in common. */
static void data_words(const struct intel_tx_ring *ring, const struct job *job, uint32_t *command,
		       uint32_t *status)
{
	bool is_advanced = ring->format == INTEL_TX_ADVANCED;
	size_t payload = MAX(job->len_bytes, INTEL_FRAME_SHORT);

	*command = INTEL_TXC_DEXT | INTEL_TXC_IFCS |
		   (is_advanced ? INTEL_TXC_DTYP_ADVANCED : INTEL_TXC_DTYP_EXTENDED);
	*status = job->offload ? INTEL_TXS_TXSM : 0;
	if (job->is_tso) {
		*command |= is_advanced ? INTEL_TXC_TSE_ADVANCED : INTEL_TXC_TSE_EXTENDED;
		*status |= job->is_ip4 ? INTEL_TXS_IXSM : 0;
		payload = job->len_bytes - job->offload->hdr_len;
	}
	if (is_advanced)
		*status |= (uint32_t)FIELD_PREP(INTEL_TXS_PAYLEN_ADVANCED, payload);
}

/*
 * A frame to be cut that lies in one buffer is given in two pieces: older cards report such a one
 * before they have read it all. The last bytes are their own descriptor's then.
 */
static size_t piece_bytes(const struct job *job, size_t at, size_t wire_bytes)
{
	size_t left = wire_bytes - at;

	if (job->is_tso && at == 0 && left <= INTEL_BUFFER_BYTES)
		return left - SENTINEL_BYTES;
	return MIN(left, INTEL_BUFFER_BYTES);
}

static uint32_t nr_pieces(const struct job *job, size_t wire_bytes)
{
	if (job->is_tso && wire_bytes <= INTEL_BUFFER_BYTES)
		return 2;
	return (uint32_t)((wire_bytes + INTEL_BUFFER_BYTES - 1) / INTEL_BUFFER_BYTES);
}

/* Returns the last descriptor of the frame. */
static uint32_t put_data(struct intel_tx_ring *ring, const struct job *job, uint32_t index,
			 size_t wire_bytes)
{
	uint32_t command, status, last = index;

	data_words(ring, job, &command, &status);
	for (size_t at = 0; at < wire_bytes; index = after(index)) {
		size_t piece = piece_bytes(job, at, wire_bytes);
		size_t have = at < job->len_bytes ? MIN(piece, job->len_bytes - at) : 0;
		uint8_t *buffer = buffer_of(ring, index);

		memcpy(buffer, job->frame + at, have);
		memset(buffer + have, 0, piece - have);
		at += piece;
		ring->descs[index].addr = ring->buffers_bus + index * INTEL_BUFFER_BYTES;
		ring->descs[index].command = command | (uint32_t)piece |
					     (at == wire_bytes ? INTEL_TXC_EOP | INTEL_TXC_RS : 0);
		ring->descs[index].status = status;
		last = index;
	}
	return last;
}

static bool can_go(const struct intel_tx_ring *ring, size_t len_bytes,
		   const struct frame_offload *offload)
{
	if (!offload || offload->gso == OFFLOAD_GSO_NONE)
		return len_bytes >= INTEL_FRAME_MIN && len_bytes <= ring->frame_max;
	return len_bytes <= OFFLOAD_FRAME_MAX && len_bytes > offload->hdr_len &&
	       offload->gso_size >= INTEL_GSO_SIZE_MIN &&
	       (size_t)offload->hdr_len + offload->gso_size <= ring->frame_max;
}

bool intel_tx_put(struct intel_tx_ring *ring, const void *frame, size_t len_bytes,
		  const struct frame_offload *offload)
{
	struct job job = {.frame = frame, .len_bytes = len_bytes};
	size_t wire_bytes = MAX(len_bytes, INTEL_FRAME_SHORT);
	uint32_t first = ring->tail, data, nr_free, last;

	if (!can_go(ring, len_bytes, offload))
		return false;
	if (offload && offload->needs_csum && is_plain(&job, offload))
		job.offload = offload;
	job.is_tso = offload && offload->gso != OFFLOAD_GSO_NONE;
	if (job.is_tso && !job.offload)
		return false;
	intel_tx_reclaim(ring);
	nr_free = (ring->oldest - ring->tail - 1) % INTEL_RING_ENTRIES;
	if (nr_pieces(&job, wire_bytes) + (job.offload != NULL) > nr_free)
		return false;

	data = job.offload ? after(first) : first;
	last = put_data(ring, &job, data, wire_bytes);
	if (job.is_tso)
		clear_ip_lengths(ring, data, &job);
	if (job.offload && ring->format == INTEL_TX_ADVANCED)
		put_advanced_context(&ring->descs[first], &job);
	else if (job.offload)
		put_extended_context(&ring->descs[first], &job);
	else if (offload && offload->needs_csum)
		sum_in_software(ring, data, &job, offload);
	ring->last_of[first] = (uint16_t)last;
	/* The frame and its descriptors before the tail register, which the caller writes. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	ring->tail = after(last);
	return true;
}
