/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's IOAPIC, 24 pins, version 0x20 (with an EOI register). Turns lines into messages. A line
 * is "high" when its device wants service; the polarity bit is the guest's note to itself. Under
 * vm->lock. Row: SPACE_MMIO, LAYOUT_IOAPIC, LAYOUT_IOAPIC_BYTES.
 */
#ifndef VMM_DEV_IOAPIC_H
#define VMM_DEV_IOAPIC_H

#include "vmm/vdev.h"

#define IOAPIC_PINS 24u

extern const struct vdev_ops ioapic_ops;

/* Level of a pin; pins from IOAPIC_PINS up go nowhere. */
void ioapic_line(struct vdev *dev, uint32_t pin, bool is_high);
/* A LAPIC ended a level-triggered interrupt with this vector. */
void ioapic_eoi(struct vdev *dev, uint8_t vector);

#endif
