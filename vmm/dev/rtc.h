/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's MC146818 clock with its 128 bytes of CMOS RAM, on ISA IRQ 8. Shows vm_wall_s(), plus
 * what the guest set it off by. Under vm->lock. Row: SPACE_PIO, LAYOUT_RTC, RTC_PORTS.
 */
#ifndef VMM_DEV_RTC_H
#define VMM_DEV_RTC_H

#include "vmm/vdev.h"

#define RTC_PORTS 2u

extern const struct vdev_ops rtc_ops;

#endif
