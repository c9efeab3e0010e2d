/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's 8254 timer: counter 0 on ISA IRQ 0, counter 2 behind port 0x61, where systems measure
 * the TSC with it. Counts in binary only; the BCD bit is kept and ignored. Under vm->lock.
 *
 * Rows, SPACE_PIO: LAYOUT_PIT, length 4; LAYOUT_PORT_B, length 1.
 */
#ifndef VMM_DEV_PIT_H
#define VMM_DEV_PIT_H

#include "vmm/vdev.h"

#define PIT_HZ 1193182u

extern const struct vdev_ops pit_ops;

#endif
