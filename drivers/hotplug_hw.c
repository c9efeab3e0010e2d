/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slots of this machine, and what becomes of the cards in them.
 *
 * A card leaves in this order: detach(), is_detached(), power off, release(); then its entry in the
 * list of devices is free.
 *
 * Ports interrupt on a change; they are looked at once a second all the same, and more often where
 * the interrupt could not be connected.
 */
#include "drivers/hotplug.h"

#include "drivers/dev_irqs.h"
#include "drivers/drivers.h"
#include "kernel/cmdline.h"
#include "kernel/lib/fmt.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/pci_assign.h"
#include "kernel/pci_slot.h"
#include "kernel/time.h"

#define SLOTS_MAX	64u
#define LOOK_NS		(1 * NSEC_PER_SEC)
#define NO_IRQ_NS	(200 * NSEC_PER_MSEC)
#define REG_SUBORDINATE 0x1au /* [PCI] "PCI-to-PCI Bridge": the last bus behind it */

struct hot_slot {
	struct pci_slot slot;
	char name[32];
	bool has_irq;
	struct dev_irqs irqs;
};

static struct hot_slot *slots[SLOTS_MAX]; /* fixed after hotplug_init() */
static uint32_t nr_slots;
static bool is_started;
static struct timer timer;

/* ---- the cards behind a port ---- */

static uint32_t port_read(const struct pci_device *port, uint32_t reg)
{
	return pci_machine.read(pci_machine.arg, port->at, reg, 1);
}

static bool is_behind(const struct pci_device *port, const struct pci_device *dev)
{
	uint32_t first = port_read(port, PCI_REG_SECONDARY);
	uint32_t last = port_read(port, REG_SUBORDINATE);

	return dev->vendor != PCI_VENDOR_NONE && first != 0 && dev->at.bus >= first &&
	       dev->at.bus <= last;
}

/* Each device behind it. */
static void each(const struct pci_device *port, void (*fn)(struct pci_device *dev, void *arg),
		 void *arg)
{
	for (uint32_t i = 0; i < pci_count(); i++)
		if (is_behind(port, pci_at(i)))
			fn(pci_at(i), arg);
}

static void count(struct pci_device *dev, void *arg)
{
	uint32_t *nr = arg;

	(void)dev;
	(*nr)++;
}

static bool is_occupied(const struct pci_device *port)
{
	uint32_t nr = 0;

	each(port, count, &nr);
	return nr > 0;
}

/* ---- a card comes ---- */

static const char *why_not(enum hv_err err)
{
	switch (err) {
	case HV_ENOENT:
		return "it does not answer any more";
	case HV_ENOTSUP:
		return "it has a bridge, or takes smaller packets than its port sends";
	case HV_ENOMEM:
		return "there is not enough room for its registers";
	default:
		return "its registers do not stay where they are put";
	}
}

static void log_room(const struct hot_slot *hot, const struct pci_windows *windows, uint64_t wanted)
{
	log_err("hotplug",
		"%s: the card wants %llu KiB of addresses; firmware has left %llu KiB at the port, "
		"and %llu KiB for prefetchable memory",
		hot->name, wanted / KIB, (windows->memory.end - windows->memory.base) / KIB,
		(windows->prefetchable.end - windows->prefetchable.base) / KIB);
}

static enum hv_err prepare(const struct hot_slot *hot, struct pci_device *found, uint32_t nr)
{
	struct pci_windows windows;
	uint64_t wanted_bytes;
	enum hv_err err;

	pci_windows_read(&pci_machine, hot->slot.port, &windows);
	err = pci_assign(&pci_machine, &windows, found, nr, &wanted_bytes);
	if (err == HV_ENOMEM)
		log_room(hot, &windows, wanted_bytes);
	for (uint32_t i = 0; i < nr && err == HV_OK; i++)
		err = pci_match_payload(&pci_machine, hot->slot.port, &found[i]);
	return err;
}

static void keep(const struct hot_slot *hot, const struct pci_device *found)
{
	struct pci_device *dev = pci_add(found);

	if (!dev) {
		log_err("hotplug", "%s: there are too many devices for another", hot->name);
		return;
	}
	dev->is_plugged_in = true;
	log_info("hotplug", "%s: %02x:%02x.%u is %04x:%04x, class %06x", hot->name, dev->at.bus,
		 dev->at.dev, dev->at.fn, dev->vendor, dev->device, dev->class_code);
	drivers_bind(dev);
}

static void keep_all(const struct hot_slot *hot, const struct pci_device *found, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		keep(hot, &found[i]);
}

/* Its driver may still look at registers where the new card's are going to be. */
static const char not_forgotten[] =
	"the driver of the last card was not told that it went, or that one was a bridge: no other "
	"can be used until the machine is started again";

static void add_card(struct hot_slot *hot)
{
	struct pci_device found[PCI_FUNCTIONS];
	uint8_t bus = (uint8_t)port_read(hot->slot.port, PCI_REG_SECONDARY);
	uint32_t nr = bus == 0 ? 0 : pci_scan_slot(&pci_machine, bus, found);
	enum hv_err err;

	if (is_occupied(hot->slot.port)) {
		pci_slot_failed(&hot->slot, not_forgotten);
		return;
	}
	err = nr == 0 ? HV_ENOENT : prepare(hot, found, nr);
	if (err == HV_OK)
		keep_all(hot, found, nr);
	else
		pci_slot_failed(&hot->slot, why_not(err));
}

/* ---- a card goes ---- */

static void detach(struct pci_device *dev, void *is_there)
{
	if (dev->driver && dev->driver->detach)
		dev->driver->detach(dev, *(const bool *)is_there);
	else if (dev->driver)
		log_warn("hotplug", "%02x:%02x.%u: %s is not told, and finds out by itself",
			 dev->at.bus, dev->at.dev, dev->at.fn, dev->driver->name);
}

static void detach_all(struct hot_slot *hot, bool is_there)
{
	each(hot->slot.port, detach, &is_there);
}

static void ask(struct pci_device *dev, void *arg)
{
	bool *are_detached = arg;

	if (dev->driver && dev->driver->is_detached && !dev->driver->is_detached(dev))
		*are_detached = false;
}

/* One whose driver was not told is that driver's for ever, and bridges may be ports with slots. */
static void release(struct pci_device *dev, void *arg)
{
	(void)arg;
	if (dev->header_type != 0)
		return;
	if (dev->driver && !dev->driver->detach)
		return;
	if (dev->driver)
		dev->driver->release(dev);
	pci_remove(dev);
}

/* ---- the slots ---- */

static void say(const struct hot_slot *hot, enum pci_slot_state was)
{
	const struct pci_slot *slot = &hot->slot;

	if (slot->state == was)
		return;
	if (slot->state == PCI_SLOT_DEBOUNCE)
		log_info("hotplug", "%s: a card was plugged in", hot->name);
	else if (slot->state == PCI_SLOT_BLINKING)
		log_info("hotplug", "%s: its button was pressed: %s in %llu s, if it is not again",
			 hot->name, slot->was_on ? "off" : "on", PCI_SLOT_BUTTON_NS / NSEC_PER_SEC);
	else if (was == PCI_SLOT_BLINKING && slot->state != PCI_SLOT_CUTTING &&
		 slot->state != PCI_SLOT_LEAVING)
		log_info("hotplug", "%s: stays %s", hot->name, slot->was_on ? "on" : "off");
	else if (slot->state == PCI_SLOT_CUTTING && slot->failure)
		log_err("hotplug", "%s: %s; switched off", hot->name, slot->failure);
	else if (slot->state == PCI_SLOT_CUTTING && was == PCI_SLOT_LEAVING)
		log_info("hotplug", "%s: let go of", hot->name);
}

static void act(struct hot_slot *hot, enum pci_slot_do what)
{
	switch (what) {
	case PCI_SLOT_ADD:
		add_card(hot);
		break;
	case PCI_SLOT_REMOVE:
		detach_all(hot, true);
		break;
	case PCI_SLOT_GONE:
		log_warn("hotplug", "%s: its card was pulled out", hot->name);
		detach_all(hot, false);
		break;
	case PCI_SLOT_RELEASE:
		if (is_occupied(hot->slot.port) && !hot->slot.failure)
			log_info("hotplug", "%s: off", hot->name);
		each(hot->slot.port, release, NULL);
		break;
	default:
		break;
	}
}

static void look_whether_left(struct hot_slot *hot)
{
	bool are_detached = true;

	each(hot->slot.port, ask, &are_detached);
	if (are_detached)
		pci_slot_is_left(&hot->slot);
}

static void step(struct hot_slot *hot)
{
	enum pci_slot_state was = hot->slot.state;
	enum pci_slot_do what;

	if (was == PCI_SLOT_LEAVING)
		look_whether_left(hot);
	what = pci_slot_step(&hot->slot, time_now_ns());
	say(hot, was);
	was = hot->slot.state;
	act(hot, what);
	say(hot, was);
}

static void set_timer(void)
{
	uint64_t ns = LOOK_NS;

	for (uint32_t i = 0; i < nr_slots; i++) {
		if (!slots[i]->has_irq)
			ns = MIN(ns, NO_IRQ_NS);
		if (!pci_slot_is_idle(&slots[i]->slot))
			ns = PCI_SLOT_STEP_NS;
	}
	timer_set_in(&timer, ns);
}

static void fire(struct timer *unused)
{
	(void)unused;
	for (uint32_t i = 0; i < nr_slots; i++)
		step(slots[i]);
	set_timer();
}

static void handle_interrupt(void *arg)
{
	if (!is_started)
		return;
	step(arg);
	set_timer();
}

/* ---- boot ---- */

/* Bridges need bus mastering for messages of their own and for the DMA of all behind them. */
static bool connect(struct hot_slot *hot, struct pci_device *port)
{
	struct dev_irq_handler handler = {handle_interrupt, hot};

	pci_command(&pci_machine, port, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
		    0);
	return pci_size_bars(&pci_machine, port) == HV_OK &&
	       dev_irqs_connect(&hot->irqs, port, &handler, 1, DEV_IRQ_MSIX) == HV_OK;
}

static void find(struct pci_device *port, bool takes_all)
{
	struct hot_slot *hot;
	struct pci_slot slot;
	enum hv_err err = pci_slot_find(&pci_machine, port, is_occupied(port), takes_all, &slot);

	if (err == HV_EBUSY)
		log_info("hotplug", "%02x:%02x.%u: firmware serves this slot (pciehp=on takes it)",
			 port->at.bus, port->at.dev, port->at.fn);
	if (err == HV_EPROTO)
		log_info("hotplug",
			 "%02x:%02x.%u: says that it is empty, but it has a card: not served",
			 port->at.bus, port->at.dev, port->at.fn);
	if (err != HV_OK)
		return;
	hot = nr_slots < SLOTS_MAX ? kmem_alloc(sizeof(*hot)) : NULL;
	if (!hot) {
		log_warn("hotplug", "%02x:%02x.%u: no room for another slot", port->at.bus,
			 port->at.dev, port->at.fn);
		return;
	}
	hot->slot = slot;
	fmt(hot->name, sizeof(hot->name), "slot %u at %02x:%02x.%u", slot.number, port->at.bus,
	    port->at.dev, port->at.fn);
	hot->has_irq = connect(hot, port);
	slots[nr_slots++] = hot;
}

void hotplug_init(void)
{
	static const char *const words[] = {"auto", "on", "off"};
	unsigned choice = cmdline_choose("pciehp", words, ARRAY_SIZE(words), 0);

	for (uint32_t i = 0; i < pci_count() && choice != 2; i++)
		find(pci_at(i), choice == 1);
	if (nr_slots > 0)
		log_info("hotplug", "%u slot%s can be hot-plugged", nr_slots,
			 nr_slots == 1 ? "" : "s");
}

void hotplug_start(void)
{
	if (nr_slots == 0)
		return;
	is_started = true;
	timer_init(&timer, fire);
	for (uint32_t i = 0; i < nr_slots; i++)
		pci_slot_start(&slots[i]->slot, is_occupied(slots[i]->slot.port), slots[i]->has_irq,
			       time_now_ns());
	set_timer();
}
