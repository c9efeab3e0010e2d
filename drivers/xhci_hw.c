/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xHCI host controllers: taking one over from the firmware, its reset, its rings, its interrupt and
 * its timer.
 *
 * At boot attach() goes round until every stick that firmware had seen is a disk, or will not be
 * one; ports without a connection cost no time. What is plugged in later comes by interrupt, and
 * its waits by the timer.
 *
 * Source: [xHCI] "Host Controller Initialization", "USB Legacy Support Capability", "Interrupters".
 */
#include "drivers/xhci.h"

#include "drivers/dev_open.h"
#include "drivers/xhci_priv.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define BAR_MOST       (1 * MIB)
#define HANDOFF_NS     (1 * NSEC_PER_SEC)
#define HALT_NS	       (100 * NSEC_PER_MSEC) /* [xHCI]: 16 ms */
#define RESET_NS       (1 * NSEC_PER_SEC)
#define AFTER_RESET_NS (1 * NSEC_PER_MSEC) /* some hang when they are touched at once */
#define CONNECT_NS     (1 * NSEC_PER_SEC)
#define STEP_NS	       (2 * NSEC_PER_MSEC)
#define WATCH_NS       (250 * NSEC_PER_MSEC)
#define WATCH_EMPTY_NS (1 * NSEC_PER_SEC)
#define SLOTS_MOST     64u
#define EVENTS_MOST    XHCI_RING_TRBS /* in one go */
#define SCRATCH_ORDER  1	      /* the array of their addresses */

/* Pages of the controller's memory. */
#define MEMORY_ORDER  2
#define PAGE_DEVICES  0u /* DCBAA */
#define PAGE_SEGMENTS 1u /* ERST */
#define PAGE_COMMANDS 2u
#define PAGE_EVENTS   3u

struct erst_entry { /* [xHCI] "Event Ring Segment Table" */
	uint64_t base;
	uint32_t nr_trbs, reserved;
};
static_assert(sizeof(struct erst_entry) == 16, "[xHCI] an entry of the ERST is 16 bytes");

bool xhci_fits(const struct xhci *x, uint64_t hpa, uint64_t len_bytes)
{
	return x->caps.has_64bit || range_fits(hpa, len_bytes, 4 * GIB);
}

static uint64_t memory_hpa(const struct xhci *x, uint32_t page)
{
	return x->memory + page * PAGE_SIZE;
}

static volatile uint32_t *runtime(const struct xhci *x, uint32_t reg)
{
	return xhci_reg(x, x->caps.runtime + reg);
}

void xhci_doorbell(struct xhci *x, uint8_t slot, uint32_t target)
{
	/* The TRBs before the doorbell: the compiler keeps their order here, and x86 does. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*xhci_reg(x, x->caps.doorbells + 4u * slot) = target;
}

void xhci_set_device(struct xhci *x, uint8_t slot, uint64_t hpa)
{
	volatile uint64_t *devices = hva_of(memory_hpa(x, PAGE_DEVICES));

	devices[slot] = hpa;
}

/* ---- events ---- */

void xhci_give_up(struct xhci *x, const char *why)
{
	ASSERT_HELD(&x->lock);
	if (x->is_gone)
		return;
	x->is_gone = true;
	log_err("xhci", "%s: %s", x->location, why);
	dev_stop_dma(x->dev);
	for (uint32_t i = 0; i < XHCI_DEVICES_MAX; i++)
		if (x->devs[i]) {
			usb_stick_give_up(&x->devs[i]->usb);
			xhci_collect(x->devs[i]);
		}
}

static uint32_t collect_all(struct xhci *x)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < XHCI_DEVICES_MAX; i++)
		if (x->devs[i])
			nr += xhci_collect(x->devs[i]);
	return nr;
}

/* Returns how many requests ended: each event may end one, and another may begin. */
static uint32_t take_events(struct xhci *x, uint32_t status)
{
	uint32_t nr = 0, nr_ended = 0;
	struct xhci_event event;

	while (nr < EVENTS_MOST && xhci_events_next(&x->events, &event)) {
		nr++;
		if (event.kind == XHCI_EVENT_PORT)
			x->ports_due = true;
		else if (event.kind != XHCI_EVENT_OTHER)
			xhci_take_event(x, &event);
		nr_ended += collect_all(x);
	}
	if (nr > 0 || status & XHCI_USBSTS_EINT)
		xhci_write64(runtime(x, XHCI_ERDP),
			     xhci_events_dequeue(&x->events) | XHCI_ERDP_EHB);
	return nr_ended;
}

/* The status register, of which some bits are cleared; false: nothing is to be expected of it. */
static bool take_status(struct xhci *x, uint32_t clear, uint32_t *status)
{
	ASSERT_HELD(&x->lock);
	if (x->is_gone)
		return false;
	*status = *xhci_op(x, XHCI_USBSTS);
	if (*status == XHCI_GONE)
		xhci_give_up(x, "was pulled out");
	else if (*status & (XHCI_USBSTS_HSE | XHCI_USBSTS_HCE))
		xhci_give_up(x, "has had a fatal error");
	else if (*status & clear)
		*xhci_op(x, XHCI_USBSTS) = *status & clear;
	x->ports_due |= *status & XHCI_USBSTS_PCD;
	return !x->is_gone;
}

static uint32_t take_ports(struct xhci *x)
{
	if (!x->ports_due)
		return 0;
	x->ports_due = false;
	xhci_look_at_ports(x);
	return collect_all(x);
}

uint32_t xhci_process(struct xhci *x)
{
	uint32_t status, nr;

	if (!take_status(x, XHCI_USBSTS_EINT | XHCI_USBSTS_PCD, &status))
		return 0;
	*runtime(x, XHCI_IMAN) = XHCI_IMAN_IP | XHCI_IMAN_IE;
	nr = take_events(x, status);
	return nr + take_ports(x);
}

static void interrupt(void *arg)
{
	struct xhci *x = arg;

	lock_take(&x->lock);
	xhci_process(x);
	lock_release(&x->lock);
	xhci_deliver(x);
}

/* ---- the timer ---- */

static uint32_t count_devices(const struct xhci *x, bool unsettled_only)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < XHCI_DEVICES_MAX; i++)
		nr += x->devs[i] && !x->devs[i]->is_kept &&
		      !(unsettled_only && usb_stick_is_settled(&x->devs[i]->usb));
	return nr;
}

/*
 * Events of disks come by interrupt, and drivers/block.c finds out when they do not. Behind some
 * bridges what was pulled out reads as zero, and so does one that was reset: neither runs.
 */
static void watch(struct xhci *x)
{
	uint32_t status;

	lock_take(&x->lock);
	if (count_devices(x, true) > 0)
		xhci_process(x);
	else if (take_status(x, XHCI_USBSTS_PCD, &status))
		take_ports(x);
	if (!x->is_gone && !(*xhci_op(x, XHCI_USBCMD) & XHCI_USBCMD_RUN))
		xhci_give_up(x, "does not run any more");
	if (!x->is_gone) {
		xhci_check_deadlines(x);
		collect_all(x);
	}
	lock_release(&x->lock);
	xhci_deliver(x);
	xhci_reap(x);
}

/* 0: never again. */
static uint64_t next_look_ns(struct xhci *x)
{
	uint64_t ns = x->is_gone ? 0 : WATCH_EMPTY_NS;

	lock_take(&x->lock);
	if (count_devices(x, true) > 0)
		ns = STEP_NS;
	else if (count_devices(x, false) > 0)
		ns = WATCH_NS;
	lock_release(&x->lock);
	return ns;
}

static void set_timer(struct xhci *x)
{
	uint64_t ns = next_look_ns(x);

	if (ns != 0)
		timer_set_in(&x->timer, ns);
}

static void fire(struct timer *timer)
{
	struct xhci *x = container_of(timer, struct xhci, timer);

	watch(x);
	set_timer(x);
}

/* ---- start ---- */

static uint32_t read_register(void *arg, uint32_t offset)
{
	const struct xhci *x = arg;

	return *xhci_reg(x, offset);
}

static enum hv_err map_registers(struct xhci *x)
{
	uint64_t len = MIN(x->dev->bars[0].len_bytes, BAR_MOST);
	struct xhci_access access = {.read = read_register, .arg = x, .len_bytes = (uint32_t)len};

	x->registers = len >= XHCI_CAPABILITY_BYTES ? dev_map(x->dev, 0, len) : NULL;
	return x->registers ? xhci_caps_read(&access, &x->caps) : HV_EIO;
}

/* Until (a register & mask) is val. */
static bool wait_for(volatile uint32_t *reg, uint32_t mask, uint32_t val, uint64_t ns)
{
	uint64_t start_ns = time_now_ns();

	while ((*reg & mask) != val)
		if (time_now_ns() - start_ns > ns)
			return false;
	return true;
}

/* [xHCI] "Pre-OS to OS Handoff Synchronization" */
static void take_over(struct xhci *x)
{
	volatile uint32_t *legacy = xhci_reg(x, x->caps.legacy), *control;

	if (x->caps.legacy == 0)
		return;
	control = xhci_reg(x, x->caps.legacy + XHCI_LEGACY_CTL);
	*legacy |= XHCI_LEGACY_OS;
	if (!wait_for(legacy, XHCI_LEGACY_BIOS, 0, HANDOFF_NS)) {
		log_warn("xhci", "%s: the firmware does not let go of it", x->location);
		*legacy &= ~XHCI_LEGACY_BIOS;
	}
	*control = (*control & ~XHCI_LEGACY_SMIS) | XHCI_LEGACY_EVENTS;
}

static enum hv_err reset_controller(struct xhci *x)
{
	volatile uint32_t *command = xhci_op(x, XHCI_USBCMD), *status = xhci_op(x, XHCI_USBSTS);

	*command &= ~(XHCI_USBCMD_RUN | XHCI_USBCMD_INTE | XHCI_USBCMD_HSEE);
	if (!wait_for(status, XHCI_USBSTS_HALTED, XHCI_USBSTS_HALTED, HALT_NS))
		log_warn("xhci", "%s: does not halt", x->location);
	*command |= XHCI_USBCMD_RESET;
	time_busy_wait_ns(AFTER_RESET_NS);
	if (!wait_for(command, XHCI_USBCMD_RESET, 0, RESET_NS) ||
	    !wait_for(status, XHCI_USBSTS_CNR, 0, RESET_NS))
		return HV_EIO;
	return *xhci_op(x, XHCI_PAGESIZE) & XHCI_PAGESIZE_4K ? HV_OK : HV_ENOTSUP;
}

static enum hv_err alloc_scratch(struct xhci *x)
{
	uint64_t *array;

	if (x->caps.nr_scratch == 0)
		return HV_OK;
	x->scratch = pages_alloc(SCRATCH_ORDER);
	if (x->scratch == HPA_NONE)
		return HV_ENOMEM;
	array = hva_of(x->scratch);
	for (uint32_t i = 0; i < x->caps.nr_scratch; i++) {
		hpa_t page = pages_alloc(0);

		if (page == HPA_NONE)
			return HV_ENOMEM;
		array[i] = page;
		if (!xhci_fits(x, page, PAGE_SIZE))
			return HV_ENOTSUP;
	}
	xhci_set_device(x, 0, x->scratch); /* [xHCI] "Scratchpad Buffers" */
	return xhci_fits(x, x->scratch, PAGE_SIZE << SCRATCH_ORDER) ? HV_OK : HV_ENOTSUP;
}

static enum hv_err alloc_memory(struct xhci *x)
{
	struct erst_entry *segment;

	x->memory = pages_alloc(MEMORY_ORDER);
	if (x->memory == HPA_NONE)
		return HV_ENOMEM;
	if (!xhci_fits(x, x->memory, PAGE_SIZE << MEMORY_ORDER))
		return HV_ENOTSUP;
	segment = hva_of(memory_hpa(x, PAGE_SEGMENTS));
	segment->base = memory_hpa(x, PAGE_EVENTS);
	segment->nr_trbs = XHCI_RING_TRBS;
	xhci_ring_init(&x->commands, hva_of(memory_hpa(x, PAGE_COMMANDS)),
		       memory_hpa(x, PAGE_COMMANDS));
	xhci_events_init(&x->events, hva_of(memory_hpa(x, PAGE_EVENTS)),
			 memory_hpa(x, PAGE_EVENTS));
	return alloc_scratch(x);
}

/* The array is the controller's to read, so only what we wrote there is in it. */
static void free_memory(struct xhci *x)
{
	uint64_t *array = x->scratch != HPA_NONE ? hva_of(x->scratch) : NULL;

	for (uint32_t i = 0; array && i < x->caps.nr_scratch && array[i]; i++)
		pages_free(array[i], 0);
	if (array)
		pages_free(x->scratch, SCRATCH_ORDER);
	if (x->memory != HPA_NONE)
		pages_free(x->memory, MEMORY_ORDER);
}

static void start(struct xhci *x)
{
	*xhci_op(x, XHCI_CONFIG) = MIN(x->caps.nr_slots, SLOTS_MOST);
	xhci_write64(xhci_op(x, XHCI_DCBAAP), memory_hpa(x, PAGE_DEVICES));
	xhci_write64(xhci_op(x, XHCI_CRCR), memory_hpa(x, PAGE_COMMANDS) | XHCI_CRCR_CYCLE);
	*runtime(x, XHCI_ERSTSZ) = 1;
	xhci_write64(runtime(x, XHCI_ERDP), memory_hpa(x, PAGE_EVENTS));
	xhci_write64(runtime(x, XHCI_ERSTBA), memory_hpa(x, PAGE_SEGMENTS));
	*runtime(x, XHCI_IMOD) = XHCI_IMOD_DEFAULT;
	*runtime(x, XHCI_IMAN) = XHCI_IMAN_IP | XHCI_IMAN_IE;
	*xhci_op(x, XHCI_USBCMD) = XHCI_USBCMD_RUN | XHCI_USBCMD_INTE;
}

/* As many connections as there were, or so long; then until all are settled, each of which has a
 * limit. */
static void settle(struct xhci *x, uint32_t nr_before)
{
	uint64_t start_ns = time_now_ns();

	xhci_power_ports(x);
	while (xhci_count_connections(x) < nr_before && time_now_ns() - start_ns < CONNECT_NS)
		time_busy_wait_ns(STEP_NS);
	x->ports_due = true;
	do
		watch(x);
	while (next_look_ns(x) == STEP_NS);
}

static enum hv_err bring_up(struct xhci *x)
{
	struct dev_irq_handler handler = {interrupt, x};
	enum hv_err err = dev_open(x->dev);
	uint32_t nr_before = 0;

	if (err == HV_OK)
		err = map_registers(x);
	if (err != HV_OK)
		return err;
	take_over(x);
	nr_before = xhci_count_connections(x);
	err = reset_controller(x);
	if (err == HV_OK)
		err = alloc_memory(x);
	if (err != HV_OK)
		return err;
	/* The vector before the interrupter is enabled: QEMU forgets one that comes later. */
	err = dev_irqs_connect(&x->irqs, x->dev, &handler, 1, DEV_IRQ_MSIX);
	if (err != HV_OK)
		return err;
	dev_start_dma(x->dev);
	start(x);
	log_info("xhci", "%s: version %x.%02x, %u ports, %u connections", x->location,
		 x->caps.version >> 8, x->caps.version & 0xff, x->caps.nr_ports, nr_before);
	settle(x, nr_before);
	return HV_OK;
}

static enum hv_err attach(struct pci_device *dev)
{
	static uint32_t nr_controllers;
	struct xhci *x = kmem_alloc(sizeof(*x));
	enum hv_err err;

	if (!x)
		return HV_ENOMEM;
	x->dev = dev;
	x->memory = x->scratch = HPA_NONE;
	dev_name(dev, x->location, sizeof(x->location));
	x->index = nr_controllers;
	timer_init(&x->timer, fire);
	err = bring_up(x);
	if (err != HV_OK)
		goto free_all;
	nr_controllers++;
	dev->driver_data = x;
	set_timer(x);
	return HV_OK;

free_all:
	dev_stop_dma(dev);
	free_memory(x);
	kmem_free(x);
	return err;
}

static const struct pci_class_match classes[] = {
	{0x0c0330, 0xffffff}, /* USB, xHCI */
};

const struct pci_driver xhci_driver = {
	.name = "xhci",
	.base_class = PCI_CLASS_SERIAL,
	.devices = "xHCI",
	.classes = classes,
	.nr_classes = ARRAY_SIZE(classes),
	.attach = attach,
};
