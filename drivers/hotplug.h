/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cards that are plugged in and taken out while the machine runs: kernel/pci_slot.c says when,
 * kernel/pci_assign.c where a new card's registers go; here drivers are told.
 *
 * Which cards: behind ports of PCI Express with a slot that can be hot-plugged, of whatever kind a
 * driver with detach() knows, with several functions or one, but no bridges. The command line's
 * pciehp= chooses: auto, all slots that firmware does not serve itself; on, all; off, none.
 *
 * All of it on the boot CPU, from interrupts and a timer.
 */
#ifndef DRIVERS_HOTPLUG_H
#define DRIVERS_HOTPLUG_H

/* hotplug_init - find the slots, connect their interrupts; in drivers_init(), before it binds */
void hotplug_init(void);

/* hotplug_start - serve them from now on; boot CPU, once all CPUs are up */
void hotplug_start(void);

#endif
