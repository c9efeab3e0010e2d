/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdogs that Billet can drive: what firmware describes in ACPI's WDAT, else the TCO timer
 * of Intel's chipsets. kernel/watchdog.h says what is done with it.
 */
#ifndef DRIVERS_WATCHDOGS_H
#define DRIVERS_WATCHDOGS_H

/* watchdogs_init - find one and start it. Context: boot CPU, as soon as ACPI is known; it needs no
 * interrupts, time or pci_init(). */
void watchdogs_init(void);

#endif
