/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's ACPI power management: PM1a event and control block, the PM timer. Power-off ends in
 * vm_stop(). The guest is always in ACPI mode. Under vm->lock. Row: SPACE_PIO, LAYOUT_PM,
 * LAYOUT_PM_BYTES.
 */
#ifndef VMM_DEV_ACPI_PM_H
#define VMM_DEV_ACPI_PM_H

#include "vmm/vdev.h"

/* Offsets in the block. */
#define ACPI_PM_EVENT	0u /* status 2, enable 2 */
#define ACPI_PM_CONTROL 4u
#define ACPI_PM_TIMER	8u

#define ACPI_PM_TIMER_HZ    3579545u
#define ACPI_PM_SLP_TYP_S5  5u	  /* as \_S5 in vmm/dsdt.asl says */
#define ACPI_PM_RESET_VALUE 0x06u /* hard reset; to LAYOUT_RESET_CONTROL, which is fw_misc's */

extern const struct vdev_ops acpi_pm_ops;

/* The guest is asked to shut down: a fixed power-button event, SCI if it listens. */
void acpi_pm_press_power_button(struct vdev *dev);

#endif
