/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of an xHCI host controller: what is plugged in becomes a device, what is pulled out is
 * dropped. A port is looked at when the controller says that one has changed.
 *
 * Source: [xHCI] "Root Hub Port State Machines", "Port Status and Control Register (PORTSC)".
 */
#include "drivers/xhci_priv.h"
#include "kernel/lib/fmt.h"
#include "kernel/log.h"

/* Bits of it are cleared, or done, by writing 1: all others are to stay as they are. */
static void write_port(struct xhci *x, uint32_t port, uint32_t portsc, uint32_t bits)
{
	*xhci_portsc(x, port) = (portsc & XHCI_PORTSC_KEEP) | bits;
}

static bool is_used(const struct xhci *x, uint32_t port)
{
	return x->caps.ports[port].major != 0;
}

uint32_t xhci_count_connections(const struct xhci *x)
{
	uint32_t nr = 0;

	for (uint32_t port = 1; port <= x->caps.nr_ports; port++) {
		uint32_t portsc = *xhci_portsc(x, port);

		nr += is_used(x, port) && portsc != XHCI_GONE && portsc & XHCI_PORTSC_CCS;
	}
	return nr;
}

void xhci_power_ports(struct xhci *x)
{
	for (uint32_t port = 1; port <= x->caps.nr_ports; port++) {
		uint32_t portsc = *xhci_portsc(x, port);

		if (is_used(x, port) && !(portsc & XHCI_PORTSC_PP))
			write_port(x, port, portsc, XHCI_PORTSC_PP);
	}
}

/* A port of USB 3 that has no link any more wakes by a warm reset only. */
void xhci_reset_port(struct xhci_dev *dev)
{
	struct xhci *x = dev->x;
	uint32_t portsc = *xhci_portsc(x, dev->port);
	uint32_t link = (uint32_t)FIELD_GET(XHCI_PORTSC_PLS, portsc);
	bool is_warm = x->caps.ports[dev->port].major >= 3 &&
		       (link == XHCI_PLS_INACTIVE || link == XHCI_PLS_COMPLIANCE);

	write_port(x, dev->port, portsc,
		   (portsc & (XHCI_PORTSC_PRC | XHCI_PORTSC_WRC)) |
			   (is_warm ? XHCI_PORTSC_WPR : XHCI_PORTSC_PR));
}

static void end_reset(struct xhci_dev *dev, uint32_t portsc)
{
	const struct xhci_port_kind *kind = &dev->x->caps.ports[dev->port];

	dev->usb.speed = kind->speeds[FIELD_GET(XHCI_PORTSC_SPEED, portsc)];
	xhci_step_ended(dev, portsc & XHCI_PORTSC_PED && dev->usb.speed != 0 ? USB_OK : USB_FAILED,
			0);
}

static struct xhci_dev *make_device(struct xhci *x, uint8_t port)
{
	struct xhci_dev *dev = kmem_alloc(sizeof(*dev));

	if (!dev)
		return NULL;
	dev->x = x;
	dev->port = port;
	list_init(&dev->batch);
	dev->pages = pages_alloc(XHCI_DEV_ORDER);
	if (dev->pages != HPA_NONE && xhci_fits(x, dev->pages, PAGE_SIZE << XHCI_DEV_ORDER))
		return dev;
	if (dev->pages != HPA_NONE)
		pages_free(dev->pages, XHCI_DEV_ORDER);
	kmem_free(dev);
	return NULL;
}

static void connect(struct xhci *x, uint8_t port)
{
	uint32_t index = 0;
	struct xhci_dev *dev;

	while (index < XHCI_DEVICES_MAX && x->devs[index])
		index++;
	dev = index < XHCI_DEVICES_MAX ? make_device(x, port) : NULL;
	if (!dev) {
		if (!x->is_full)
			log_warn("usb", "%s port %u: no room for what is plugged in there",
				 x->location, port);
		x->is_full = true;
		return;
	}
	dev->index = index;
	fmt(dev->usb.where, sizeof(dev->usb.where), "%s port %u", x->location, port);
	dev->bring_up_ns = time_now_ns() + USB_STICK_BRING_UP;
	x->devs[index] = x->ports[port] = dev;
	usb_stick_connect(&dev->usb, xhci_page(dev, XHCI_PAGE_DATA),
			  dev->pages + XHCI_PAGE_DATA * PAGE_SIZE);
	xhci_go_on(dev);
}

static void disconnect(struct xhci_dev *dev)
{
	if (dev->usb.stage == USB_GONE ||
	    (dev->usb.stage == USB_DROP && dev->usb.drop == USB_DROP_GONE))
		return;
	if (dev->usb.was_live)
		log_err("usb", "%s: was pulled out", dev->usb.where);
	xhci_drop(dev, USB_DROP_GONE);
}

static void look_at_port(struct xhci *x, uint8_t port)
{
	uint32_t portsc = *xhci_portsc(x, port);
	uint32_t changes = portsc & XHCI_PORTSC_CHANGES;
	struct xhci_dev *dev = x->ports[port];
	bool is_resetting = dev && x->at_default == dev && dev->usb.stage == USB_PORT_RESET;

	if (portsc == XHCI_GONE)
		return; /* xhci_process() finds out */
	if (changes)
		write_port(x, port, portsc, changes);
	if (!(portsc & XHCI_PORTSC_CCS)) {
		if (dev)
			disconnect(dev);
	} else if (!dev) {
		connect(x, port);
	} else if (is_resetting) {
		if (changes & (XHCI_PORTSC_PRC | XHCI_PORTSC_WRC) && !(portsc & XHCI_PORTSC_PR))
			end_reset(dev, portsc);
	} else if (changes & XHCI_PORTSC_CSC) {
		disconnect(dev); /* it was away for a moment, and may be another one */
	}
}

void xhci_look_at_ports(struct xhci *x)
{
	for (uint32_t port = 1; port <= x->caps.nr_ports && !x->is_gone; port++)
		if (is_used(x, port))
			look_at_port(x, (uint8_t)port);
}
