/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function for each state, one for what all states share. A command is a write of Slot Control:
 * what is wanted of it is written as soon as the port has completed the one before.
 *
 * What latched while a card was on, and says that it was changed or lost its link, is believed even
 * if a card with a link is there again: that one was reset, and knows nothing of its addresses.
 */
#include "kernel/pci_slot.h"

#include "kernel/lib/assert.h"

/* [PCIe] "PCI Express Capability Structure": offsets */
#define EXP_FLAGS	 0x02u
#define EXP_LINK_CAPS	 0x0cu
#define EXP_LINK_STATUS	 0x12u
#define EXP_SLOT_CAPS	 0x14u
#define EXP_SLOT_CONTROL 0x18u
#define EXP_SLOT_STATUS	 0x1au
#define EXP_LAST_BYTES	 0x1cu

#define FLAGS_TYPE	 0x00f0u
#define FLAGS_ROOT_PORT	 4u
#define FLAGS_DOWNSTREAM 6u
#define FLAGS_SLOT	 0x0100u
#define LINK_CAPS_REPORT BIT(20)
#define LINK_STATUS_UP	 0x2000u

#define CAPS_POWER	0x00000002u /* the power controller */
#define CAPS_LATCH	0x00000004u /* its sensor */
#define CAPS_HOT_PLUG	0x00000040u
#define CAPS_NO_COMMAND 0x00040000u /* commands complete at once */
#define CAPS_NUMBER	0xfff80000u

#define CONTROL_BUTTON	  0x0001u
#define CONTROL_FAULT	  0x0002u
#define CONTROL_LATCH	  0x0004u
#define CONTROL_PRESENCE  0x0008u
#define CONTROL_COMMAND	  0x0010u
#define CONTROL_IRQ	  0x0020u
#define CONTROL_ATTENTION 0x00c0u
#define CONTROL_INDICATOR 0x0300u /* of the power */
#define CONTROL_POWER_OFF 0x0400u
#define CONTROL_INTERLOCK 0x0800u /* a one turns it over */
#define CONTROL_LINK	  0x1000u
#define CONTROL_EVENTS                                                                             \
	(CONTROL_BUTTON | CONTROL_FAULT | CONTROL_LATCH | CONTROL_PRESENCE | CONTROL_COMMAND |     \
	 CONTROL_LINK)

#define LIGHT_ON    1u
#define LIGHT_BLINK 2u
#define LIGHT_OFF   3u

#define STATUS_BUTTON	0x0001u
#define STATUS_FAULT	0x0002u
#define STATUS_LATCH	0x0004u
#define STATUS_PRESENCE 0x0008u
#define STATUS_COMMAND	0x0010u
#define STATUS_IS_OPEN	0x0020u
#define STATUS_HAS_CARD 0x0040u
#define STATUS_LINK	0x0100u
#define STATUS_EVENTS                                                                              \
	(STATUS_BUTTON | STATUS_FAULT | STATUS_LATCH | STATUS_PRESENCE | STATUS_COMMAND |          \
	 STATUS_LINK)
#define STATUS_CHANGED (STATUS_PRESENCE | STATUS_LATCH | STATUS_LINK)
#define STATUS_NOBODY  0xffffu

#define VENDOR_NOT_YET 0x0001u /* [PCIe] "Configuration Request Retry Status" */

#define COMMAND_NS   (1 * NSEC_PER_SEC) /* "Command Completed Events" */
#define DEBOUNCE_NS  (100 * NSEC_PER_MSEC)
#define LINK_NS	     (1 * NSEC_PER_SEC)
#define NO_REPORT_NS (250 * NSEC_PER_MSEC) /* for the link, when the port does not say */
#define SETTLE_NS    (100 * NSEC_PER_MSEC) /* "Conventional Reset": until it may be asked */
#define ANSWER_NS    (1 * NSEC_PER_SEC)	   /* until it must answer */
#define LEAVE_NS     (15 * NSEC_PER_SEC)
#define COOL_NS	     (1 * NSEC_PER_SEC) /* "Power Controller Control": before it is on again */

static uint16_t read16(const struct pci_slot *slot, uint32_t reg)
{
	return (uint16_t)slot->access->read(slot->access->arg, slot->port->at, slot->express + reg,
					    2);
}

static void write16(const struct pci_slot *slot, uint32_t reg, uint16_t val)
{
	slot->access->write(slot->access->arg, slot->port->at, slot->express + reg, 2, val);
}

static bool has_link(const struct pci_slot *slot)
{
	return read16(slot, EXP_LINK_STATUS) & LINK_STATUS_UP;
}

static bool has_card(const struct pci_slot *slot, uint16_t status)
{
	if (slot->caps & CAPS_LATCH && status & STATUS_IS_OPEN)
		return false;
	return status & STATUS_HAS_CARD;
}

/* ---- commands ---- */

static void want(struct pci_slot *slot, uint16_t mask, uint16_t val)
{
	slot->wanted = (uint16_t)((slot->wanted & ~mask) | val);
}

static void show_power(struct pci_slot *slot, uint16_t light)
{
	want(slot, CONTROL_INDICATOR, (uint16_t)FIELD_PREP(CONTROL_INDICATOR, light));
}

static void show_attention(struct pci_slot *slot, uint16_t light)
{
	want(slot, CONTROL_ATTENTION, (uint16_t)FIELD_PREP(CONTROL_ATTENTION, light));
}

static void command(struct pci_slot *slot, uint64_t now_ns)
{
	if (slot->is_commanded && now_ns - slot->command_ns >= COMMAND_NS)
		slot->is_commanded = false; /* it may be given the next one all the same */
	if (slot->is_commanded || slot->wanted == slot->written)
		return;
	write16(slot, EXP_SLOT_CONTROL, slot->wanted);
	slot->written = slot->wanted;
	slot->is_commanded = !(slot->caps & CAPS_NO_COMMAND);
	slot->command_ns = now_ns;
}

static bool is_done(const struct pci_slot *slot)
{
	return !slot->is_commanded && slot->wanted == slot->written;
}

/* ---- states ---- */

static void enter(struct pci_slot *slot, enum pci_slot_state state, uint64_t due_ns)
{
	slot->state = state;
	slot->due_ns = due_ns;
}

static bool take_event(struct pci_slot *slot, uint16_t which)
{
	bool is_there = slot->events & which;

	slot->events &= (uint16_t)~which;
	return is_there;
}

static void cut_power(struct pci_slot *slot)
{
	want(slot, CONTROL_POWER_OFF, slot->caps & CAPS_POWER ? CONTROL_POWER_OFF : 0);
	show_power(slot, LIGHT_OFF);
	enter(slot, PCI_SLOT_CUTTING, 0);
}

static void fail(struct pci_slot *slot, const char *why)
{
	slot->failure = why;
	slot->comes_back = false;
	show_attention(slot, LIGHT_ON);
	cut_power(slot);
}

static void switch_on(struct pci_slot *slot)
{
	slot->failure = NULL;
	slot->events = 0;
	show_attention(slot, LIGHT_OFF);
	show_power(slot, LIGHT_BLINK);
	want(slot, CONTROL_POWER_OFF, 0);
	enter(slot, PCI_SLOT_POWERING, 0);
}

static enum pci_slot_do step_off(struct pci_slot *slot, bool is_there, uint64_t now_ns)
{
	bool is_new = take_event(slot, STATUS_CHANGED), is_asked = take_event(slot, STATUS_BUTTON);

	take_event(slot, STATUS_FAULT);
	if (!is_there)
		return PCI_SLOT_NOTHING;
	if (is_new) {
		enter(slot, PCI_SLOT_DEBOUNCE, now_ns + DEBOUNCE_NS);
	} else if (is_asked) {
		slot->was_on = false;
		show_power(slot, LIGHT_BLINK);
		enter(slot, PCI_SLOT_BLINKING, now_ns + PCI_SLOT_BUTTON_NS);
	}
	return PCI_SLOT_NOTHING;
}

static enum pci_slot_do step_debounce(struct pci_slot *slot, bool is_there, uint64_t now_ns)
{
	if (!is_there)
		enter(slot, PCI_SLOT_OFF, 0);
	else if (take_event(slot, STATUS_PRESENCE | STATUS_LATCH))
		slot->due_ns = now_ns + DEBOUNCE_NS;
	else if (now_ns >= slot->due_ns)
		switch_on(slot);
	return PCI_SLOT_NOTHING;
}

static enum pci_slot_do step_powering(struct pci_slot *slot, bool is_there, uint64_t now_ns)
{
	if (!is_there)
		cut_power(slot);
	else if (is_done(slot))
		enter(slot, PCI_SLOT_LINKING,
		      now_ns + (slot->reports_link ? LINK_NS : NO_REPORT_NS));
	return PCI_SLOT_NOTHING;
}

static enum pci_slot_do step_linking(struct pci_slot *slot, bool is_there, uint64_t now_ns)
{
	bool is_late = now_ns >= slot->due_ns;

	if (!is_there)
		cut_power(slot);
	else if (take_event(slot, STATUS_FAULT))
		fail(slot, "its power failed");
	else if (slot->reports_link ? has_link(slot) : is_late)
		enter(slot, PCI_SLOT_SETTLING, now_ns + SETTLE_NS);
	else if (is_late)
		fail(slot, "its link does not come up");
	return PCI_SLOT_NOTHING;
}

/* The answer of function 0, whose bus firmware has numbered. */
static uint32_t vendor_of_card(const struct pci_slot *slot)
{
	struct pci_addr at = {.bus = (uint8_t)slot->access->read(slot->access->arg, slot->port->at,
								 PCI_REG_SECONDARY, 1)};

	return slot->access->read(slot->access->arg, at, PCI_REG_VENDOR, 2);
}

static enum pci_slot_do step_settling(struct pci_slot *slot, bool is_there, uint64_t now_ns)
{
	uint32_t vendor;

	if (!is_there) {
		cut_power(slot);
		return PCI_SLOT_NOTHING;
	}
	if (take_event(slot, STATUS_FAULT)) {
		fail(slot, "its power failed");
		return PCI_SLOT_NOTHING;
	}
	if (now_ns < slot->due_ns)
		return PCI_SLOT_NOTHING;
	vendor = vendor_of_card(slot);
	if (vendor != PCI_VENDOR_NONE && vendor != VENDOR_NOT_YET) {
		slot->events = 0; /* what the way up has set */
		show_power(slot, LIGHT_ON);
		enter(slot, PCI_SLOT_ON, 0);
		return PCI_SLOT_ADD;
	}
	if (now_ns >= slot->due_ns + ANSWER_NS)
		fail(slot, "it does not answer");
	return PCI_SLOT_NOTHING;
}

/* ON, and BLINKING before a removal. */
static bool is_lost(struct pci_slot *slot, bool is_there)
{
	if (take_event(slot, STATUS_FAULT)) {
		fail(slot, "its power failed");
		return true;
	}
	if (!take_event(slot, STATUS_CHANGED) && is_there &&
	    (!slot->reports_link || has_link(slot)))
		return false;
	slot->comes_back = true;
	cut_power(slot);
	return true;
}

static enum pci_slot_do step_on(struct pci_slot *slot, bool is_there, uint64_t now_ns)
{
	if (is_lost(slot, is_there))
		return PCI_SLOT_GONE;
	if (take_event(slot, STATUS_BUTTON)) {
		slot->was_on = true;
		show_power(slot, LIGHT_BLINK);
		enter(slot, PCI_SLOT_BLINKING, now_ns + PCI_SLOT_BUTTON_NS);
	}
	return PCI_SLOT_NOTHING;
}

static enum pci_slot_do step_blinking(struct pci_slot *slot, bool is_there, uint64_t now_ns)
{
	if (slot->was_on && is_lost(slot, is_there))
		return PCI_SLOT_GONE;
	if (!slot->was_on && !is_there) {
		show_power(slot, LIGHT_OFF);
		enter(slot, PCI_SLOT_OFF, 0);
	} else if (take_event(slot, STATUS_BUTTON)) { /* taken back */
		show_power(slot, slot->was_on ? LIGHT_ON : LIGHT_OFF);
		enter(slot, slot->was_on ? PCI_SLOT_ON : PCI_SLOT_OFF, 0);
	} else if (now_ns >= slot->due_ns && slot->was_on) {
		slot->comes_back = false;
		enter(slot, PCI_SLOT_LEAVING, now_ns + LEAVE_NS);
		return PCI_SLOT_REMOVE;
	} else if (now_ns >= slot->due_ns) {
		switch_on(slot);
	}
	return PCI_SLOT_NOTHING;
}

static enum pci_slot_do step_leaving(struct pci_slot *slot, bool is_there, uint64_t now_ns)
{
	take_event(slot, STATUS_BUTTON);
	if (!is_there || now_ns >= slot->due_ns)
		cut_power(slot);
	return PCI_SLOT_NOTHING;
}

static enum pci_slot_do step_cutting(struct pci_slot *slot, bool is_there, uint64_t now_ns)
{
	(void)is_there;
	take_event(slot, STATUS_BUTTON);
	if (!is_done(slot))
		return PCI_SLOT_NOTHING;
	enter(slot, PCI_SLOT_COOLING, now_ns + COOL_NS);
	return PCI_SLOT_RELEASE;
}

/* That the link went down with the power says nothing; a card that comes meanwhile does. */
static enum pci_slot_do step_cooling(struct pci_slot *slot, bool is_there, uint64_t now_ns)
{
	take_event(slot, STATUS_LINK | STATUS_FAULT);
	if (now_ns < slot->due_ns)
		return PCI_SLOT_NOTHING;
	enter(slot, PCI_SLOT_OFF, 0);
	if (slot->comes_back && is_there)
		slot->events |= STATUS_PRESENCE;
	slot->comes_back = false;
	return PCI_SLOT_NOTHING;
}

/* ---- all of them ---- */

/* Only what was seen is cleared: what comes between stays for the next time. */
static uint16_t read_status(struct pci_slot *slot)
{
	uint16_t status = read16(slot, EXP_SLOT_STATUS);
	uint16_t seen = status & STATUS_EVENTS;

	if (status == STATUS_NOBODY)
		return 0; /* the port itself is gone, and the card with it */
	if (seen)
		write16(slot, EXP_SLOT_STATUS, seen);
	if (seen & STATUS_COMMAND)
		slot->is_commanded = false;
	slot->events |= seen & (uint16_t)~STATUS_COMMAND;
	return status;
}

enum pci_slot_do pci_slot_step(struct pci_slot *slot, uint64_t now_ns)
{
	static enum pci_slot_do (*const steps[])(struct pci_slot *, bool, uint64_t) = {
		[PCI_SLOT_OFF] = step_off,
		[PCI_SLOT_DEBOUNCE] = step_debounce,
		[PCI_SLOT_BLINKING] = step_blinking,
		[PCI_SLOT_POWERING] = step_powering,
		[PCI_SLOT_LINKING] = step_linking,
		[PCI_SLOT_SETTLING] = step_settling,
		[PCI_SLOT_ON] = step_on,
		[PCI_SLOT_LEAVING] = step_leaving,
		[PCI_SLOT_CUTTING] = step_cutting,
		[PCI_SLOT_COOLING] = step_cooling,
	};
	bool is_there = has_card(slot, read_status(slot));
	enum pci_slot_do what;

	ASSERT(slot->state < ARRAY_SIZE(steps));
	command(slot, now_ns); /* the one before may be over */
	what = steps[slot->state](slot, is_there, now_ns);
	command(slot, now_ns);
	return what;
}

bool pci_slot_is_idle(const struct pci_slot *slot)
{
	return (slot->state == PCI_SLOT_OFF || slot->state == PCI_SLOT_ON) && is_done(slot);
}

void pci_slot_is_left(struct pci_slot *slot)
{
	if (slot->state == PCI_SLOT_LEAVING)
		cut_power(slot);
}

void pci_slot_failed(struct pci_slot *slot, const char *why)
{
	if (slot->state == PCI_SLOT_ON)
		fail(slot, why);
}

/* ---- the beginning ---- */

enum hv_err pci_slot_find(const struct pci_access *access, const struct pci_device *port,
			  bool is_occupied, bool takes_all, struct pci_slot *slot)
{
	struct pci_slot found = {.access = access, .port = port};
	uint32_t flags, type;

	if (port->header_type != 1)
		return HV_ENOENT;
	found.express = pci_find_cap(access, port, PCI_CAP_EXPRESS);
	if (found.express == 0 || found.express > 256 - EXP_LAST_BYTES)
		return HV_ENOENT;
	flags = read16(&found, EXP_FLAGS);
	type = (uint32_t)FIELD_GET(FLAGS_TYPE, flags);
	if (!(flags & FLAGS_SLOT) || (type != FLAGS_ROOT_PORT && type != FLAGS_DOWNSTREAM))
		return HV_ENOENT;
	found.caps = access->read(access->arg, port->at, found.express + EXP_SLOT_CAPS, 4);
	if (!(found.caps & CAPS_HOT_PLUG) || found.caps == UINT32_MAX)
		return HV_ENOENT;
	if (read16(&found, EXP_SLOT_CONTROL) & CONTROL_IRQ && !takes_all)
		return HV_EBUSY;
	if (is_occupied && !has_card(&found, read16(&found, EXP_SLOT_STATUS)))
		return HV_EPROTO;
	found.number = (uint32_t)FIELD_GET(CAPS_NUMBER, found.caps);
	found.reports_link = access->read(access->arg, port->at, found.express + EXP_LINK_CAPS, 4) &
			     LINK_CAPS_REPORT;
	if (is_occupied && !has_link(&found))
		found.reports_link = false; /* the card answers, so there is one */
	*slot = found;
	return HV_OK;
}

void pci_slot_start(struct pci_slot *slot, bool is_occupied, bool has_irq, uint64_t now_ns)
{
	uint16_t events = CONTROL_EVENTS;

	slot->written = read16(slot, EXP_SLOT_CONTROL) & (uint16_t)~CONTROL_INTERLOCK;
	slot->wanted = slot->written;
	slot->has_irq = has_irq;
	if (!slot->reports_link)
		events &= (uint16_t)~CONTROL_LINK;
	want(slot, CONTROL_EVENTS | CONTROL_IRQ, (uint16_t)(events | (has_irq ? CONTROL_IRQ : 0)));

	(void)read_status(slot); /* what is left from the beginning of the machine */
	slot->events = 0;
	if (is_occupied) {
		show_power(slot, LIGHT_ON);
		enter(slot, PCI_SLOT_ON, 0);
	} else {
		slot->comes_back = true; /* a card that firmware did not switch on, or not know */
		cut_power(slot);
	}
	command(slot, now_ns);
}
