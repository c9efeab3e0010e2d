/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes on their way to a UART, in order, as the wire has them: a newline is CR LF. Pure; the
 * caller locks.
 */
#ifndef KERNEL_SERIAL_QUEUE_H
#define KERNEL_SERIAL_QUEUE_H

#include "kernel/lib/types.h"

#define SERIAL_QUEUE_BYTES 16384u /* a power of two; 1.4 s of a wire at 115200 baud */

/* All zero: empty. The counts come round, which their difference does not notice. */
struct serial_queue {
	uint32_t put, taken; /* bytes ever */
	char bytes[SERIAL_QUEUE_BYTES];
};

static inline bool serial_queue_is_empty(const struct serial_queue *queue)
{
	return queue->put == queue->taken;
}

/* serial_queue_put - the whole text, or none of it, and false, where there is no room for all */
bool serial_queue_put(struct serial_queue *queue, const char *text, size_t len_bytes);

/* serial_queue_drop - what is in it is lost */
static inline void serial_queue_drop(struct serial_queue *queue)
{
	queue->taken = queue->put;
}

/* serial_queue_take - the byte that is first; the queue is not empty */
char serial_queue_take(struct serial_queue *queue);

#endif
