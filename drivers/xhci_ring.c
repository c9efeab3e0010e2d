/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TRB belongs to the controller once its cycle bit is the lap's, doorbell or not. So the first
 * one of a transfer gets its bit last.
 */
#include "drivers/xhci_ring.h"

#include "kernel/lib/assert.h"

#define BOUNDARY      0x10000ull /* [xHCI] "TRB Buffer Pointer": none crosses it */
#define TD_SIZE_MAX   31u
#define SETUP_BYTES   8u
#define SETUP_NO_DATA 0u
#define SETUP_OUT     2u
#define SETUP_IN      3u
#define MOVED_ALL     UINT32_MAX
#define CONTROL_TRBS  3u
#define TYPE(type)    ((uint32_t)FIELD_PREP(XHCI_TRB_TYPE, type))

static void write_trb(volatile struct xhci_trb *trb, const struct xhci_trb *from, uint32_t control)
{
	trb->parameter = from->parameter;
	trb->status = from->status;
	/* The rest before the cycle bit, which gives it away. */
	__atomic_store_n(&trb->control, control, __ATOMIC_RELEASE);
}

static uint32_t cycle_bit(bool cycle)
{
	return cycle ? XHCI_TRB_CYCLE : 0;
}

void xhci_ring_init(struct xhci_ring *ring, void *trbs, uint64_t hpa)
{
	static const struct xhci_trb none;

	ring->trbs = trbs;
	ring->hpa = hpa;
	ring->at = ring->first = ring->last = 0;
	ring->cycle = true;
	ring->is_out = false;
	for (uint32_t i = 0; i < XHCI_RING_TRBS; i++)
		write_trb(&ring->trbs[i], &none, 0);
}

uint64_t xhci_ring_dequeue(const struct xhci_ring *ring)
{
	return (ring->hpa + ring->at * sizeof(struct xhci_trb)) | (ring->cycle ? 1 : 0);
}

/* Room for so many beside each other; the last place is the link's. */
static void make_room(struct xhci_ring *ring, uint32_t nr)
{
	struct xhci_trb link = {.parameter = ring->hpa};

	ASSERT(nr < XHCI_RING_TRBS);
	if (ring->at + nr < XHCI_RING_TRBS)
		return;
	for (uint32_t i = ring->at + 1; i < XHCI_RING_TRBS; i++)
		ring->trbs[i].control = cycle_bit(ring->cycle);
	write_trb(&ring->trbs[ring->at], &link,
		  TYPE(XHCI_TRB_LINK) | XHCI_TRB_TOGGLE | cycle_bit(ring->cycle));
	ring->at = 0;
	ring->cycle = !ring->cycle;
}

uint64_t xhci_ring_command(struct xhci_ring *ring, const struct xhci_trb *command)
{
	uint64_t hpa;

	make_room(ring, 1);
	hpa = ring->hpa + ring->at * sizeof(struct xhci_trb);
	write_trb(&ring->trbs[ring->at], command, command->control | cycle_bit(ring->cycle));
	ring->at++;
	return hpa;
}

static void begin(struct xhci_ring *ring, uint32_t nr)
{
	ASSERT(!ring->is_out);
	make_room(ring, nr);
	ring->first = ring->at;
	ring->moved = MOVED_ALL;
}

static void put(struct xhci_ring *ring, uint64_t parameter, uint32_t status, uint32_t control,
		uint32_t data_bytes)
{
	struct xhci_trb trb = {.parameter = parameter, .status = status};
	bool is_first = ring->at == ring->first;

	ASSERT(ring->at < XHCI_RING_TRBS - 1);
	ring->lens[ring->at] = data_bytes;
	write_trb(&ring->trbs[ring->at], &trb, control | cycle_bit(ring->cycle != is_first));
	ring->last = ring->at++;
}

static void end(struct xhci_ring *ring)
{
	volatile struct xhci_trb *first = &ring->trbs[ring->first];

	ring->is_out = true;
	/* All others before the first one's cycle bit. */
	__atomic_store_n(&first->control, first->control ^ XHCI_TRB_CYCLE, __ATOMIC_RELEASE);
}

void xhci_ring_control(struct xhci_ring *ring, const struct usb_setup *setup, uint64_t data_hpa)
{
	bool is_in = setup->type & USB_IN;
	uint32_t kind = setup->length == 0 ? SETUP_NO_DATA : is_in ? SETUP_IN : SETUP_OUT;
	uint64_t bytes;

	__builtin_memcpy(&bytes, setup, sizeof(bytes));
	begin(ring, CONTROL_TRBS);
	put(ring, bytes, SETUP_BYTES,
	    TYPE(XHCI_TRB_SETUP) | XHCI_TRB_IDT | (uint32_t)FIELD_PREP(XHCI_TRB_TRT, kind), 0);
	if (setup->length > 0)
		put(ring, data_hpa, setup->length,
		    TYPE(XHCI_TRB_DATA) | XHCI_TRB_ISP | (is_in ? XHCI_TRB_IN : 0), setup->length);
	/* [USB2] "Control Transfers": the status goes the other way; without data, to the host. */
	put(ring, 0, 0,
	    TYPE(XHCI_TRB_STATUS) | XHCI_TRB_IOC | (setup->length > 0 && is_in ? 0 : XHCI_TRB_IN),
	    0);
	end(ring);
}

static uint32_t piece_bytes(uint64_t hpa, uint64_t len)
{
	return (uint32_t)MIN(len, BOUNDARY - hpa % BOUNDARY);
}

static uint32_t count_pieces(const struct block_seg *segs, uint32_t nr_segs, uint64_t *total)
{
	uint32_t nr = 0;

	*total = 0;
	for (uint32_t i = 0; i < nr_segs; i++) {
		ASSERT(segs[i].len_bytes > 0 && segs[i].len_bytes <= BOUNDARY);
		nr += piece_bytes(segs[i].hpa, segs[i].len_bytes) < segs[i].len_bytes ? 2 : 1;
		*total += segs[i].len_bytes;
	}
	return nr;
}

/* [xHCI] "TD Size": how many packets remain behind this TRB. */
static uint32_t td_size(uint64_t left, uint16_t max_packet)
{
	uint64_t packets = (left + max_packet - 1) / max_packet;

	return (uint32_t)FIELD_PREP(XHCI_TRB_TD_SIZE, MIN(packets, TD_SIZE_MAX));
}

void xhci_ring_bulk(struct xhci_ring *ring, const struct block_seg *segs, uint32_t nr_segs,
		    uint16_t max_packet, bool is_in)
{
	uint64_t left;
	uint32_t nr = count_pieces(segs, nr_segs, &left);

	ASSERT(nr > 0 && nr <= XHCI_TD_MAX && nr < XHCI_RING_TRBS - 1 && max_packet > 0);
	begin(ring, nr);
	for (uint32_t i = 0; i < nr_segs; i++) {
		uint64_t hpa = segs[i].hpa, end_hpa = hpa + segs[i].len_bytes;

		while (hpa < end_hpa) {
			uint32_t len = piece_bytes(hpa, end_hpa - hpa);
			uint32_t control = TYPE(XHCI_TRB_NORMAL) | (is_in ? XHCI_TRB_ISP : 0);

			left -= len;
			put(ring, hpa, len | td_size(left, max_packet),
			    control | (left > 0 ? XHCI_TRB_CHAIN : XHCI_TRB_IOC), len);
			hpa += len;
		}
	}
	end(ring);
}

void xhci_ring_forget(struct xhci_ring *ring)
{
	ring->is_out = false;
}

void xhci_events_init(struct xhci_events *events, void *trbs, uint64_t hpa)
{
	static const struct xhci_trb none;

	*events = (struct xhci_events){.trbs = trbs, .hpa = hpa, .cycle = true};
	for (uint32_t i = 0; i < XHCI_RING_TRBS; i++)
		write_trb(&events->trbs[i], &none, 0);
}

uint64_t xhci_events_dequeue(const struct xhci_events *events)
{
	return events->hpa + events->at * sizeof(struct xhci_trb);
}

static enum xhci_event_kind kind_of(uint32_t control)
{
	switch (FIELD_GET(XHCI_TRB_TYPE, control)) {
	case XHCI_TRB_TRANSFER_EVENT:
		return XHCI_EVENT_TRANSFER;
	case XHCI_TRB_COMMAND_EVENT:
		return XHCI_EVENT_COMMAND;
	case XHCI_TRB_PORT_EVENT:
		return XHCI_EVENT_PORT;
	default:
		return XHCI_EVENT_OTHER;
	}
}

bool xhci_events_next(struct xhci_events *events, struct xhci_event *out)
{
	volatile struct xhci_trb *trb = &events->trbs[events->at];
	/* The cycle bit before the rest, which is there when it is. */
	uint32_t control = __atomic_load_n(&trb->control, __ATOMIC_ACQUIRE), status;

	if (!!(control & XHCI_TRB_CYCLE) != events->cycle)
		return false;
	status = trb->status;
	*out = (struct xhci_event){
		.kind = kind_of(control),
		.trb = trb->parameter,
		.left = (uint32_t)FIELD_GET(XHCI_EVENT_LENGTH, status),
		.code = (uint8_t)FIELD_GET(XHCI_EVENT_CODE, status),
		.slot = (uint8_t)FIELD_GET(XHCI_TRB_SLOT, control),
		.endpoint = (uint8_t)FIELD_GET(XHCI_TRB_ENDPOINT, control),
	};
	out->port = (uint8_t)FIELD_GET(XHCI_EVENT_PORT_ID, (uint32_t)out->trb);
	if (++events->at == XHCI_RING_TRBS) {
		events->at = 0;
		events->cycle = !events->cycle;
	}
	return true;
}

/* Bytes up to and with the TRB at index, of which so many are left. */
static uint32_t moved_until(const struct xhci_ring *ring, uint32_t index, uint32_t left)
{
	uint32_t moved = 0;

	for (uint32_t i = ring->first; i <= index; i++)
		moved += ring->lens[i];
	return moved - MIN(left, ring->lens[index]);
}

static enum usb_end end_of(uint8_t code)
{
	switch (code) {
	case XHCI_CC_SUCCESS:
	case XHCI_CC_SHORT:
		return USB_OK;
	case XHCI_CC_STALL:
		return USB_STALLED;
	default:
		return USB_FAILED;
	}
}

/* Of a control transfer: the status stage, which comes behind the data. */
static bool is_status(const struct xhci_ring *ring, uint32_t index)
{
	return index == ring->last && ring->lens[index] == 0;
}

bool xhci_ring_ended(struct xhci_ring *ring, const struct xhci_event *event, enum usb_end *end_out,
		     uint32_t *moved)
{
	uint64_t offset = event->trb - ring->hpa;
	uint32_t index = (uint32_t)(offset / sizeof(struct xhci_trb));
	uint32_t upto;

	if (!ring->is_out || offset >= XHCI_RING_BYTES || offset % sizeof(struct xhci_trb) != 0 ||
	    index < ring->first || index > ring->last)
		return false;
	upto = moved_until(ring, index, event->left);
	if (event->code == XHCI_CC_SHORT && is_status(ring, ring->last) && index < ring->last) {
		ring->moved = upto;
		return false; /* the status stage follows */
	}
	if (event->code == XHCI_CC_SUCCESS && index < ring->last)
		return false;
	ring->is_out = false;
	*end_out = end_of(event->code);
	*moved = is_status(ring, index) && ring->moved != MOVED_ALL ? ring->moved : upto;
	return true;
}
