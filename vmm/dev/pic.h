/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's two 8259 interrupt controllers, the second behind input 2 of the first, and the ELCR
 * that makes inputs level-triggered. Under vm->lock, except pic_pending().
 *
 * Rows, all SPACE_PIO, length 2: LAYOUT_PIC_MASTER, LAYOUT_PIC_SLAVE, LAYOUT_ELCR.
 */
#ifndef VMM_DEV_PIC_H
#define VMM_DEV_PIC_H

#include "vmm/vdev.h"

#define PIC_IRQS 16u

extern const struct vdev_ops pic_ops;

/* Called with vm->lock held whenever the output to the CPU changes; NULL: nobody listens. */
void pic_set_intr(struct vdev *dev, void (*intr)(struct vm *vm, bool is_high));

/* Level of an ISA interrupt line; numbers from PIC_IRQS up, and 2, go nowhere. */
void pic_line(struct vdev *dev, uint32_t irq, bool is_high);
/* Whether the output to the CPU is high. Any CPU, no lock. */
bool pic_pending(const struct vdev *dev);
/* The CPU's acknowledge cycle: the vector. With nothing pending it is the spurious one. */
uint8_t pic_ack(struct vdev *dev);

#endif
