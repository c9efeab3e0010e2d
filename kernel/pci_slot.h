/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot of PCI Express whose card may be changed while the machine runs. Pure: it reads and writes
 * the registers of the slot's port through a struct pci_access, is told the time, and says what is
 * to be done with the card; doing that is drivers/hotplug_hw.c's.
 *
 *              card, or button            powered, link up, answers
 *     OFF ─► DEBOUNCE ─► POWERING ─► LINKING ─► SETTLING ─► ON ◄────► BLINKING
 *      ▲  └► BLINKING ─────┘ ▲   5 s          PCI_SLOT_ADD  │   button    │ 5 s: PCI_SLOT_REMOVE
 *      │                                                    │ gone        ▼
 *   COOLING ◄──────────────────────────── CUTTING ◄─────────┴────────── LEAVING
 *        PCI_SLOT_RELEASE: the power is off    PCI_SLOT_GONE     until pci_slot_is_left()
 *
 * Whose the slots are: [PCIFW] has the operating system ask firmware with _OSC, a method in ACPI's
 * byte code, which Billet does not interpret. Firmware that serves a port itself, by system
 * management interrupts, has the port's hot-plug interrupt switched on, and so pci_slot_find()
 * leaves a port alone that is found in this state, unless it is told to take all. Firmware that
 * would have slots served by ACPI's events waits for somebody who switches those on, which nobody
 * does here. QEMU, in that mode, has ports whose slots are empty whatever is in them: one that says
 * so of a card that was found at boot is left alone, too, or the card would be taken for pulled
 * out.
 *
 * Everything happens on one CPU, the boot CPU; there is no lock.
 *
 * Source: [PCIe] "PCI Express Hot-Plug Support", "Slot Capabilities Register", "Slot Control
 * Register", "Slot Status Register".
 */
#ifndef KERNEL_PCI_SLOT_H
#define KERNEL_PCI_SLOT_H

#include "kernel/pci.h"

#define PCI_SLOT_BUTTON_NS (5 * NSEC_PER_SEC)	/* in which a second press calls the first back */
#define PCI_SLOT_STEP_NS   (10 * NSEC_PER_MSEC) /* how often it is stepped while it is not idle */

enum pci_slot_state {
	PCI_SLOT_OFF,
	PCI_SLOT_DEBOUNCE,
	PCI_SLOT_BLINKING, /* the button was pressed; on or off as before */
	PCI_SLOT_POWERING,
	PCI_SLOT_LINKING,
	PCI_SLOT_SETTLING,
	PCI_SLOT_ON,
	PCI_SLOT_LEAVING,
	PCI_SLOT_CUTTING,
	PCI_SLOT_COOLING,
};

enum pci_slot_do {
	PCI_SLOT_NOTHING,
	PCI_SLOT_ADD,	  /* a card answers: enumerate it, then pci_slot_failed() if it is no use */
	PCI_SLOT_REMOVE,  /* let go of it in good order, then pci_slot_is_left() */
	PCI_SLOT_GONE,	  /* it was pulled out, or its power failed: do not touch it any more */
	PCI_SLOT_RELEASE, /* its power is off, no DMA can come any more */
};

struct pci_slot {
	const struct pci_access *access;
	const struct pci_device *port;
	uint16_t express; /* offset of the port's capability */
	uint32_t caps;
	uint32_t number; /* as the slot is labelled, where firmware knows it */
	bool reports_link, has_irq;

	enum pci_slot_state state;
	uint64_t due_ns; /* of the state */
	uint16_t events; /* seen and not yet acted upon */
	uint16_t wanted, written;
	bool is_commanded; /* the port has not completed the last command */
	uint64_t command_ns;
	bool was_on;	     /* BLINKING: the button is to remove */
	bool comes_back;     /* a card was changed for another: on again after COOLING */
	const char *failure; /* why the last card was not switched on, or off; NULL: it was */
};

/*
 * pci_slot_find - whether a device is a port with a slot that can be hot-plugged, and is ours
 *
 * is_occupied  a device was found behind it at boot
 * slot         filled when it is
 * Errors: HV_ENOENT - it is no such port. HV_EBUSY - firmware serves it; not with takes_all.
 *         HV_EPROTO - it says that there is no card, but there is one.
 */
MUST_CHECK enum hv_err pci_slot_find(const struct pci_access *access, const struct pci_device *port,
				     bool is_occupied, bool takes_all, struct pci_slot *slot);

/*
 * pci_slot_start - serve it from now on
 *
 * is_occupied  as for pci_slot_find(), of which some time may have passed
 * has_irq      the port's interrupt is connected; else it is only looked at from time to time
 */
void pci_slot_start(struct pci_slot *slot, bool is_occupied, bool has_irq, uint64_t now_ns);

/*
 * pci_slot_step - look at it; when its port interrupts, and when the time of pci_slot_idle() has
 * passed
 *
 * Context: never waits; some ten accesses to configuration space.
 */
enum pci_slot_do pci_slot_step(struct pci_slot *slot, uint64_t now_ns);

/* pci_slot_is_idle - nothing will happen unless somebody does something to the slot */
bool pci_slot_is_idle(const struct pci_slot *slot);

/* pci_slot_is_left - after PCI_SLOT_REMOVE: the power may go */
void pci_slot_is_left(struct pci_slot *slot);

/* pci_slot_failed - after PCI_SLOT_ADD: the card cannot be used, why says why; PCI_SLOT_RELEASE
 * follows */
void pci_slot_failed(struct pci_slot *slot, const char *why);

#endif
