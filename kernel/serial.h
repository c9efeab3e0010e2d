/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first UART (16550 at port 0x3f8), 115200 8N1, polled: the log's first reader. Without a UART
 * there, every call does nothing. Takes no lock: the log calls one sink at a time, a panic has the
 * machine to itself.
 */
#ifndef KERNEL_SERIAL_H
#define KERNEL_SERIAL_H

#include "kernel/lib/types.h"

void serial_init(void);
/* A newline is sent as CR LF. Any context. */
void serial_write(const char *text, size_t len_bytes);
/* Wait until the last byte has left the machine, before power goes. */
void serial_drain(void);

#endif
