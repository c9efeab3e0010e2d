/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a device as commands and transfers. A step that is several commands is a script of
 * them, each sent when the one before has completed. A device has one command out, or one transfer.
 *
 * Source: [xHCI] "Command Interface", "Device Slot Management", "Endpoint Management".
 */
#include "drivers/xhci_priv.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

static uint64_t page_hpa(const struct xhci_dev *dev, enum xhci_dev_page page)
{
	return dev->pages + page * PAGE_SIZE;
}

static struct xhci_contexts contexts_of(const struct xhci_dev *dev)
{
	return (struct xhci_contexts){.input = xhci_page(dev, XHCI_PAGE_INPUT),
				      .bytes = dev->x->caps.context_bytes,
				      .port = dev->port,
				      .speed = dev->usb.speed};
}

/* ---- commands ---- */

static void add_command(struct xhci_dev *dev, enum xhci_trb_type type, uint64_t parameter,
			uint32_t endpoint)
{
	ASSERT(dev->nr_script < XHCI_SCRIPT_MAX);
	dev->script[dev->nr_script++] = (struct xhci_trb){
		.parameter = parameter,
		.control = (uint32_t)(FIELD_PREP(XHCI_TRB_TYPE, type) |
				      FIELD_PREP(XHCI_TRB_ENDPOINT, endpoint) |
				      FIELD_PREP(XHCI_TRB_SLOT, dev->slot)),
	};
}

/* Both are stopped by now, or were not there, and begin at the beginning of their rings. */
static void fill_endpoints(struct xhci_dev *dev)
{
	struct xhci_contexts contexts = contexts_of(dev);

	xhci_ring_init(&dev->in, xhci_page(dev, XHCI_PAGE_RING_IN),
		       page_hpa(dev, XHCI_PAGE_RING_IN));
	xhci_ring_init(&dev->out, xhci_page(dev, XHCI_PAGE_RING_OUT),
		       page_hpa(dev, XHCI_PAGE_RING_OUT));
	xhci_context_configure(&contexts, &dev->usb.interface, xhci_ring_dequeue(&dev->in),
			       xhci_ring_dequeue(&dev->out), dev->has_endpoints);
}

static void send_command(struct xhci_dev *dev)
{
	struct xhci *x = dev->x;
	const struct xhci_trb *command = &dev->script[dev->script_at];

	if (FIELD_GET(XHCI_TRB_TYPE, command->control) == XHCI_TRB_CONFIGURE)
		fill_endpoints(dev);
	dev->command = xhci_ring_command(&x->commands, command);
	dev->command_ns = time_now_ns() + XHCI_COMMAND_NS;
	xhci_doorbell(x, 0, 0);
}

static uint32_t state_of(const struct xhci_dev *dev, uint32_t endpoint)
{
	return xhci_context_state(xhci_page(dev, XHCI_PAGE_OUTPUT), dev->x->caps.context_bytes,
				  endpoint);
}

static void add_stop(struct xhci_dev *dev, uint32_t endpoint)
{
	uint32_t state = state_of(dev, endpoint);

	if (state == XHCI_ENDPOINT_RUNNING)
		add_command(dev, XHCI_TRB_STOP_ENDPOINT, 0, endpoint);
	else if (state == XHCI_ENDPOINT_HALTED)
		add_command(dev, XHCI_TRB_RESET_ENDPOINT, 0, endpoint);
}

static void add_stops(struct xhci_dev *dev)
{
	if (!dev->has_endpoints)
		return;
	add_stop(dev, xhci_endpoint_id(dev->usb.interface.in.address));
	add_stop(dev, xhci_endpoint_id(dev->usb.interface.out.address));
}

static struct xhci_ring *ring_of(struct xhci_dev *dev, uint8_t endpoint)
{
	if (endpoint == 0)
		return &dev->ring0;
	return endpoint & USB_IN ? &dev->in : &dev->out;
}

static void add_address(struct xhci_dev *dev)
{
	struct xhci_contexts contexts = contexts_of(dev);

	xhci_ring_init(&dev->ring0, xhci_page(dev, XHCI_PAGE_RING0),
		       page_hpa(dev, XHCI_PAGE_RING0));
	xhci_context_address(&contexts, dev->usb.packet0, xhci_ring_dequeue(&dev->ring0));
	add_command(dev, XHCI_TRB_ADDRESS, page_hpa(dev, XHCI_PAGE_INPUT), 0);
}

static void add_evaluate(struct xhci_dev *dev)
{
	struct xhci_contexts contexts = contexts_of(dev);

	xhci_context_evaluate(&contexts, dev->usb.packet0);
	add_command(dev, XHCI_TRB_EVALUATE, page_hpa(dev, XHCI_PAGE_INPUT), 0);
}

/* [xHCI] "Reset Endpoint": then the dequeue pointer, behind the transfer that stalled. */
static void add_unhalt(struct xhci_dev *dev)
{
	uint32_t id = xhci_endpoint_id(dev->usb.step.endpoint);

	add_command(dev, XHCI_TRB_RESET_ENDPOINT, 0, id);
	add_command(dev, XHCI_TRB_SET_DEQUEUE,
		    xhci_ring_dequeue(ring_of(dev, dev->usb.step.endpoint)), id);
}

static void add_disable(struct xhci_dev *dev)
{
	if (state_of(dev, 1) == XHCI_ENDPOINT_RUNNING)
		add_command(dev, XHCI_TRB_STOP_ENDPOINT, 0, 1);
	add_stops(dev);
	add_command(dev, XHCI_TRB_DISABLE_SLOT, 0, 0);
}

static void begin_script(struct xhci_dev *dev)
{
	dev->nr_script = dev->script_at = 0;
	switch (dev->usb.step.action) {
	case USB_DO_ENABLE:
		add_command(dev, XHCI_TRB_ENABLE_SLOT, 0, dev->x->caps.ports[dev->port].slot_type);
		break;
	case USB_DO_ADDRESS:
		add_address(dev);
		break;
	case USB_DO_PACKET0:
		add_evaluate(dev);
		break;
	case USB_DO_ENDPOINTS:
		add_stops(dev);
		add_command(dev, XHCI_TRB_CONFIGURE, page_hpa(dev, XHCI_PAGE_INPUT), 0);
		break;
	case USB_DO_UNHALT:
		add_unhalt(dev);
		break;
	default:
		add_disable(dev);
	}
	send_command(dev);
}

/* What a command has changed, whatever is wanted now. */
static void note_command(struct xhci_dev *dev, enum xhci_trb_type type,
			 const struct xhci_event *event)
{
	bool is_good = event->code == XHCI_CC_SUCCESS;

	if (type == XHCI_TRB_ENABLE_SLOT && is_good && event->slot > 0 &&
	    event->slot <= dev->x->caps.nr_slots) {
		dev->slot = event->slot;
		dev->has_endpoints = false;
		memset(xhci_page(dev, XHCI_PAGE_OUTPUT), 0, PAGE_SIZE);
		xhci_set_device(dev->x, dev->slot, page_hpa(dev, XHCI_PAGE_OUTPUT));
	}
	if (type == XHCI_TRB_CONFIGURE && is_good)
		dev->has_endpoints = true;
	if (type == XHCI_TRB_DISABLE_SLOT) {
		xhci_set_device(dev->x, dev->slot, 0);
		dev->slot = 0;
		dev->has_endpoints = false;
	}
}

/* An endpoint may stop or halt by itself, just before it is told to. */
static bool is_good_enough(enum xhci_trb_type type, uint8_t code)
{
	return code == XHCI_CC_SUCCESS || type == XHCI_TRB_DISABLE_SLOT ||
	       type == XHCI_TRB_STOP_ENDPOINT ||
	       (type == XHCI_TRB_RESET_ENDPOINT && code == XHCI_CC_CONTEXT);
}

static void command_ended(struct xhci_dev *dev, const struct xhci_event *event)
{
	enum xhci_trb_type type =
		(enum xhci_trb_type)FIELD_GET(XHCI_TRB_TYPE, dev->script[dev->script_at].control);

	dev->command = 0;
	note_command(dev, type, event);
	if (dev->is_replaced) {
		dev->is_replaced = false;
		xhci_go_on(dev);
	} else if (!is_good_enough(type, event->code) ||
		   (type == XHCI_TRB_ENABLE_SLOT && dev->slot == 0)) {
		log_warn("usb", "%s: command %u ended with code %u", dev->usb.where, type,
			 event->code);
		xhci_step_ended(dev, USB_FAILED, 0);
	} else if (++dev->script_at < dev->nr_script) {
		send_command(dev);
	} else {
		xhci_step_ended(dev, USB_OK, 0);
	}
}

/* ---- transfers ---- */

static void begin_control(struct xhci_dev *dev)
{
	dev->busy = &dev->ring0;
	xhci_ring_control(&dev->ring0, &dev->usb.step.setup,
			  page_hpa(dev, XHCI_PAGE_DATA) + USB_DATA_AT);
	xhci_doorbell(dev->x, dev->slot, 1);
}

static void begin_bulk(struct xhci_dev *dev)
{
	const struct usb_step *step = &dev->usb.step;
	const struct usb_interface *is = &dev->usb.interface;
	bool is_in = step->endpoint & USB_IN;

	dev->busy = ring_of(dev, step->endpoint);
	xhci_ring_bulk(dev->busy, step->segs ? step->segs : &step->seg, step->nr_segs,
		       is_in ? is->in.max_packet : is->out.max_packet, is_in);
	xhci_doorbell(dev->x, dev->slot, xhci_endpoint_id(step->endpoint));
}

static void forget_transfer(struct xhci_dev *dev)
{
	if (dev->busy)
		xhci_ring_forget(dev->busy);
	dev->busy = NULL;
}

/* ---- steps ---- */

static void begin_reset(struct xhci_dev *dev)
{
	struct xhci *x = dev->x;

	dev->waits_turn = x->at_default && x->at_default != dev;
	if (dev->waits_turn) {
		dev->deadline_ns = 0;
		return;
	}
	x->at_default = dev;
	xhci_reset_port(dev);
}

/* True: it has ended at once. */
static bool begin_step(struct xhci_dev *dev)
{
	const struct usb_step *step = &dev->usb.step;

	dev->deadline_ns = step->ns ? time_now_ns() + step->ns : 0;
	switch (step->action) {
	case USB_DO_NOTHING:
	case USB_DO_WAIT:
		return false;
	case USB_DO_RESET_PORT:
		begin_reset(dev);
		return false;
	case USB_DO_CONTROL:
		begin_control(dev);
		return false;
	case USB_DO_BULK:
		begin_bulk(dev);
		return false;
	default:
		if (step->action == USB_DO_DISABLE && dev->slot == 0)
			return true;
		begin_script(dev);
		return false;
	}
}

/* Whose port was reset, and has an address now or never will, is not in the others' way any more.
 */
static void pass_turn(struct xhci_dev *dev)
{
	struct xhci *x = dev->x;
	enum usb_stage stage = dev->usb.stage;

	if (x->at_default != dev || (stage >= USB_PORT_RESET && stage <= USB_ADDRESS))
		return;
	x->at_default = NULL;
	for (uint32_t i = 0; i < XHCI_DEVICES_MAX && !x->at_default; i++)
		if (x->devs[i] && x->devs[i]->waits_turn)
			xhci_go_on(x->devs[i]);
}

void xhci_go_on(struct xhci_dev *dev)
{
	if (dev->x->is_gone)
		return;
	while (begin_step(dev))
		usb_stick_next(&dev->usb, USB_OK, 0);
	pass_turn(dev);
}

void xhci_step_ended(struct xhci_dev *dev, enum usb_end end, uint32_t moved)
{
	forget_transfer(dev);
	usb_stick_next(&dev->usb, end, moved);
	xhci_go_on(dev);
}

void xhci_drop(struct xhci_dev *dev, enum usb_drop why)
{
	forget_transfer(dev);
	dev->waits_turn = false;
	dev->bring_up_ns = time_now_ns() + USB_STICK_BRING_UP;
	usb_stick_drop(&dev->usb, why);
	dev->is_replaced = dev->command != 0;
	if (!dev->is_replaced)
		xhci_go_on(dev);
}

static void take_transfer(struct xhci_dev *dev, const struct xhci_event *event)
{
	enum usb_end end;
	uint32_t moved;

	if (dev->slot != event->slot || !dev->busy)
		return;
	if (xhci_ring_ended(dev->busy, event, &end, &moved))
		xhci_step_ended(dev, end, moved);
}

void xhci_take_event(struct xhci *x, const struct xhci_event *event)
{
	for (uint32_t i = 0; i < XHCI_DEVICES_MAX; i++) {
		struct xhci_dev *dev = x->devs[i];

		if (!dev)
			continue;
		if (event->kind == XHCI_EVENT_TRANSFER)
			take_transfer(dev, event);
		else if (dev->command != 0 && dev->command == event->trb)
			command_ended(dev, event);
	}
}

static void check_deadline(struct xhci_dev *dev, uint64_t now_ns)
{
	bool is_waiting = dev->usb.step.action == USB_DO_WAIT;

	if (dev->command != 0 && now_ns > dev->command_ns) {
		xhci_give_up(dev->x, "does not complete its commands");
	} else if (!usb_stick_is_settled(&dev->usb) && dev->usb.stage != USB_DROP &&
		   now_ns > dev->bring_up_ns) {
		log_warn("usb", "%s: takes too long, in step %u of %u", dev->usb.where,
			 dev->usb.stage, USB_LIVE);
		xhci_drop(dev, dev->usb.was_live ? USB_DROP_GONE : USB_DROP_LEFT);
	} else if (dev->deadline_ns != 0 && now_ns >= dev->deadline_ns) {
		xhci_step_ended(dev, is_waiting ? USB_OK : USB_TIMED_OUT, 0);
	}
}

void xhci_check_deadlines(struct xhci *x)
{
	uint64_t now_ns = time_now_ns();

	for (uint32_t i = 0; i < XHCI_DEVICES_MAX && !x->is_gone; i++)
		if (x->devs[i])
			check_deadline(x->devs[i], now_ns);
}
