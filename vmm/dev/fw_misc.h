/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small ports of a PC that software expects, each too little for a device of its own: a
 * keyboard controller without a keyboard (its reset line is what counts), POST codes, fast A20, and
 * the chipset's reset control register. Under vm->lock.
 *
 * Rows, all SPACE_PIO, length 1: LAYOUT_I8042_DATA, LAYOUT_I8042_STATUS, LAYOUT_POST_CODE,
 * LAYOUT_FAST_A20, LAYOUT_RESET_CONTROL (before the PCI host's, which lies around it).
 */
#ifndef VMM_DEV_FW_MISC_H
#define VMM_DEV_FW_MISC_H

#include "vmm/vdev.h"

extern const struct vdev_ops fw_misc_ops;

#endif
