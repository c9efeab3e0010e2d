/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's serial port: a 16550A whose other end is the VM's console. It sends in no time, so its
 * transmitter is always empty. Under vm->lock. Row: SPACE_PIO, LAYOUT_COM1, UART_PORTS.
 */
#ifndef VMM_DEV_UART_H
#define VMM_DEV_UART_H

#include "vmm/vdev.h"

#define UART_PORTS 8u

struct uart_conf { /* NULL means IRQ 4 */
	uint32_t irq;
};

extern const struct vdev_ops uart_ops;

/* Something was typed: take what there is room for. */
void uart_poll(struct vdev *dev);

#endif
