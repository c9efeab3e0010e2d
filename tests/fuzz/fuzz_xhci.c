/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile xHCI host controller: it says of itself what it likes, and writes what it likes into
 * its event ring. Whatever it does, a transfer ends once, has moved no more than it had, and no
 * register outside of its BAR is read.
 */
#include <stdlib.h>

#include "drivers/xhci_caps.h"
#include "drivers/xhci_ring.h"
#include "tests/fuzz/input.h"

#define HPA	  0x40000ull
#define BAR_WORDS 1024u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

static uint32_t bar[BAR_WORDS];

static uint32_t read_bar(void *arg, uint32_t offset)
{
	(void)arg;
	require(offset % 4 == 0 && offset < sizeof(bar));
	return bar[offset / 4];
}

static void try_caps(struct input *in)
{
	struct xhci_access access = {.read = read_bar, .len_bytes = sizeof(bar)};
	static struct xhci_caps caps;

	memset(bar, 0, sizeof(bar));
	for (uint32_t i = 0; i < BAR_WORDS && in->left > 0; i++)
		bar[i] = input_u32(in);
	if (xhci_caps_read(&access, &caps) != HV_OK)
		return;
	require(caps.nr_scratch <= XHCI_SCRATCH_MAX && caps.nr_ports <= XHCI_PORTS_MAX);
	require(range_fits(caps.doorbells, 4 * (caps.nr_slots + 1), sizeof(bar)));
	require(caps.legacy <= sizeof(bar) - 8);
	for (uint32_t i = caps.nr_ports + 1; i <= XHCI_PORTS_MAX; i++)
		require(caps.ports[i].major == 0);
}

static void begin(struct input *in, struct xhci_ring *ring, uint32_t *most)
{
	struct usb_setup setup = {.type = input_u8(in), .length = input_u8(in)};
	struct block_seg segs[3];
	uint32_t nr = input_u8(in) % 4;

	*most = setup.length;
	if (nr == 0) {
		xhci_ring_control(ring, &setup, 0x9000);
		return;
	}
	*most = 0;
	for (uint32_t i = 0; i < nr; i++) {
		segs[i] = (struct block_seg){input_u32(in), 1u + input_u16(in)};
		*most += segs[i].len_bytes;
	}
	xhci_ring_bulk(ring, segs, nr, 512, setup.type & USB_IN);
}

/* Of the ring's last TRBs, of any lap, or any word. */
static void write_event(struct input *in, const struct xhci_ring *ring, struct xhci_trb *events)
{
	struct xhci_trb *trb = &events[input_u8(in)];
	uint8_t kind = input_u8(in);

	trb->parameter = kind & 1 ? input_u64(in) : HPA + (ring->at - kind / 64) * sizeof(*trb);
	trb->status = kind & 2 ? input_u32(in) : (uint32_t)input_u8(in) << 24 | input_u8(in);
	trb->control = kind & 4 ? input_u32(in)
				: XHCI_TRB_TRANSFER_EVENT << 10 | 1u << 24 | (kind >> 3 & 1);
}

static void try_ring(struct input *in)
{
	struct xhci_trb *trbs = aligned_alloc(4096, XHCI_RING_BYTES);
	struct xhci_trb *event_trbs = aligned_alloc(4096, XHCI_RING_BYTES);
	static struct xhci_ring ring;
	struct xhci_events events;
	struct xhci_event event;
	uint32_t moved, most = 0;
	bool is_out = false;
	enum usb_end end;

	require(trbs && event_trbs);
	xhci_ring_init(&ring, trbs, HPA);
	xhci_events_init(&events, event_trbs, 0x80000);
	while (in->left > 0) {
		switch (input_u8(in) % 3) {
		case 0:
			if (!is_out)
				begin(in, &ring, &most);
			is_out = true;
			break;
		case 1:
			write_event(in, &ring, event_trbs);
			break;
		default:
			if (!xhci_events_next(&events, &event) ||
			    !xhci_ring_ended(&ring, &event, &end, &moved))
				break;
			require(is_out && moved <= most);
			is_out = false;
		}
		require(ring.at < XHCI_RING_TRBS && events.at < XHCI_RING_TRBS);
	}
	free(trbs);
	free(event_trbs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	if (input_u8(&in) % 4 == 0)
		try_caps(&in);
	else
		try_ring(&in);
	return 0;
}
