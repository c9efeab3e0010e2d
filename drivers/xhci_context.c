/* SPDX-License-Identifier: Apache-2.0 */
/* Words of contexts; nothing of what the controller wrote into them is used but the state. */
#include "drivers/xhci_context.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

/* [xHCI] "Slot Context": word 0, word 1 */
#define SLOT_SPEED   0x00f00000u
#define SLOT_ENTRIES 0xf8000000u
#define SLOT_PORT    0x00ff0000u

/* [xHCI] "Endpoint Context": word 0, word 1, word 4 */
#define EP_STATE	0x00000007u
#define EP_ERRORS	0x00000006u
#define EP_TYPE		0x00000038u
#define EP_BURST	0x0000ff00u
#define EP_PACKET	0xffff0000u
#define EP_AVERAGE	0x0000ffffu
#define EP_ERRORS_MAX	3u
#define TYPE_BULK_OUT	2u
#define TYPE_CONTROL	4u
#define TYPE_BULK_IN	6u
#define AVERAGE_CONTROL 8u
#define AVERAGE_BULK	4096u

/* Word n of the context at index; 0 is the one that says which are meant. */
static uint32_t *context_at(const struct xhci_contexts *contexts, uint32_t index)
{
	return (uint32_t *)((uint8_t *)contexts->input + index * contexts->bytes);
}

static void begin(const struct xhci_contexts *contexts, uint32_t drop, uint32_t add)
{
	uint32_t *which = context_at(contexts, 0);

	ASSERT(contexts->bytes == 32 || contexts->bytes == 64);
	memset(contexts->input, 0, XHCI_CONTEXTS_BYTES);
	which[0] = drop;
	which[1] = add;
}

static void put_slot(const struct xhci_contexts *contexts, uint32_t nr_entries)
{
	uint32_t *slot = context_at(contexts, 1);

	slot[0] = (uint32_t)(FIELD_PREP(SLOT_SPEED, contexts->speed) |
			     FIELD_PREP(SLOT_ENTRIES, nr_entries));
	slot[1] = (uint32_t)FIELD_PREP(SLOT_PORT, contexts->port);
}

static void put_endpoint(const struct xhci_contexts *contexts, uint32_t id, uint32_t type,
			 uint16_t max_packet, uint8_t max_burst, uint64_t dequeue)
{
	uint32_t *endpoint = context_at(contexts, 1 + id);

	endpoint[1] =
		(uint32_t)(FIELD_PREP(EP_ERRORS, EP_ERRORS_MAX) | FIELD_PREP(EP_TYPE, type) |
			   FIELD_PREP(EP_BURST, max_burst) | FIELD_PREP(EP_PACKET, max_packet));
	endpoint[2] = (uint32_t)dequeue;
	endpoint[3] = (uint32_t)(dequeue >> 32);
	endpoint[4] = (uint32_t)FIELD_PREP(EP_AVERAGE,
					   type == TYPE_CONTROL ? AVERAGE_CONTROL : AVERAGE_BULK);
}

void xhci_context_address(const struct xhci_contexts *contexts, uint16_t packet0, uint64_t dequeue)
{
	begin(contexts, 0, BIT(0) | BIT(1));
	put_slot(contexts, 1);
	put_endpoint(contexts, 1, TYPE_CONTROL, packet0, 0, dequeue);
}

void xhci_context_evaluate(const struct xhci_contexts *contexts, uint16_t packet0)
{
	begin(contexts, 0, BIT(1));
	put_endpoint(contexts, 1, TYPE_CONTROL, packet0, 0, 0);
}

void xhci_context_configure(const struct xhci_contexts *contexts, const struct usb_interface *is,
			    uint64_t in_dequeue, uint64_t out_dequeue, bool is_again)
{
	uint32_t in = xhci_endpoint_id(is->in.address), out = xhci_endpoint_id(is->out.address);
	uint32_t both = (uint32_t)(BIT(in) | BIT(out));

	begin(contexts, is_again ? both : 0, both | BIT(0));
	put_slot(contexts, MAX(in, out));
	put_endpoint(contexts, in, TYPE_BULK_IN, is->in.max_packet, is->in.max_burst, in_dequeue);
	put_endpoint(contexts, out, TYPE_BULK_OUT, is->out.max_packet, is->out.max_burst,
		     out_dequeue);
}

uint32_t xhci_context_state(const volatile void *output, uint32_t context_bytes, uint32_t id)
{
	const volatile uint32_t *context =
		(const volatile uint32_t *)((const volatile uint8_t *)output + id * context_bytes);

	return context[0] & EP_STATE;
}
