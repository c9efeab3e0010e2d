/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first UART (16550 at port 0x3f8), 115200 8N1: the log's first reader. Without a UART there,
 * every call does nothing.
 *
 * A line takes it milliseconds. While the machine boots, and once it panics, whoever writes waits
 * for them, so that nothing is lost when the next step hangs. In between the bytes wait in a queue
 * and a timer sends them, a FIFO's worth at a time, while guests run.
 */
#ifndef KERNEL_SERIAL_H
#define KERNEL_SERIAL_H

#include "kernel/lib/types.h"

void serial_init(void);
/* A newline is sent as CR LF. One caller at a time: the log has a lock. */
void serial_write(const char *text, size_t len_bytes);
/* Wait until the last byte has left the machine, before power goes. Any CPU. */
void serial_drain(void);

/* serial_defer - from now on writers do not wait, unless the command line has serial=sync */
void serial_defer(void);
/* serial_enter_panic - from now on they do; the other CPUs are stopped, whatever lock they hold */
void serial_enter_panic(void);

#endif
