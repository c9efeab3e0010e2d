/* SPDX-License-Identifier: Apache-2.0 */
/* Two rings; their positions only grow, and the place in a ring is the position modulo its size. */
#include "vmm/console.h"

static_assert((CONSOLE_OUT_BYTES & (CONSOLE_OUT_BYTES - 1)) == 0,
	      "positions wrap at the ring's end");
static_assert((CONSOLE_IN_BYTES & (CONSOLE_IN_BYTES - 1)) == 0, "positions wrap at the ring's end");

void console_init(struct console *c)
{
	c->lock = (struct lock){0};
	c->out_end = 0;
	c->is_told = false;
	c->in_head = c->in_tail = 0;
}

bool console_print(struct console *c, const uint8_t *data, size_t len_bytes)
{
	bool was_told;

	lock_take(&c->lock);
	for (size_t i = 0; i < len_bytes; i++)
		c->out[(c->out_end + i) % CONSOLE_OUT_BYTES] = data[i];
	/* vm_info() reads it without the lock. */
	__atomic_store_n(&c->out_end, c->out_end + len_bytes, __ATOMIC_RELAXED);
	was_told = c->is_told;
	c->is_told = true;
	lock_release(&c->lock);
	return !was_told;
}

void console_not_told(struct console *c)
{
	lock_take(&c->lock);
	c->is_told = false;
	lock_release(&c->lock);
}

size_t console_read(struct console *c, uint64_t *offset, uint8_t *dst, size_t cap_bytes)
{
	uint64_t first, len;

	lock_take(&c->lock);
	first = c->out_end > CONSOLE_OUT_BYTES ? c->out_end - CONSOLE_OUT_BYTES : 0;
	*offset = MIN(MAX(*offset, first), c->out_end);
	len = MIN(c->out_end - *offset, cap_bytes);
	for (uint64_t i = 0; i < len; i++)
		dst[i] = c->out[(*offset + i) % CONSOLE_OUT_BYTES];
	if (*offset + len == c->out_end)
		c->is_told = false;
	lock_release(&c->lock);
	return len;
}

size_t console_type(struct console *c, const uint8_t *data, size_t len_bytes)
{
	size_t room, len;

	lock_take(&c->lock);
	room = CONSOLE_IN_BYTES - (c->in_tail - c->in_head);
	len = MIN(len_bytes, room);
	for (size_t i = 0; i < len; i++)
		c->in[c->in_tail++ % CONSOLE_IN_BYTES] = data[i];
	lock_release(&c->lock);
	return len;
}

size_t console_typed(struct console *c, uint8_t *dst, size_t cap_bytes)
{
	size_t len;

	lock_take(&c->lock);
	len = MIN(c->in_tail - c->in_head, cap_bytes);
	for (size_t i = 0; i < len; i++)
		dst[i] = c->in[c->in_head++ % CONSOLE_IN_BYTES];
	lock_release(&c->lock);
	return len;
}
