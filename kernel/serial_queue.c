/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of bytes between two counts. */
#include "kernel/serial_queue.h"

#include "kernel/lib/assert.h"

static void put(struct serial_queue *queue, char c)
{
	queue->bytes[queue->put++ % SERIAL_QUEUE_BYTES] = c;
}

bool serial_queue_put(struct serial_queue *queue, const char *text, size_t len_bytes)
{
	size_t on_wire = len_bytes;

	for (size_t i = 0; i < len_bytes; i++)
		on_wire += text[i] == '\n';
	if (on_wire > SERIAL_QUEUE_BYTES - (queue->put - queue->taken))
		return false;
	for (size_t i = 0; i < len_bytes; i++) {
		if (text[i] == '\n')
			put(queue, '\r');
		put(queue, text[i]);
	}
	return true;
}

char serial_queue_take(struct serial_queue *queue)
{
	ASSERT(!serial_queue_is_empty(queue));
	return queue->bytes[queue->taken++ % SERIAL_QUEUE_BYTES];
}
