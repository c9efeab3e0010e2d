/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log proper: puts a line together on the stack, then under one lock into the ring and to the
 * sinks, so that lines of several CPUs do not mix. A panic takes the lock out of use, since it may
 * have struck while this or a stopped CPU held it.
 */
#include "kernel/log.h"

#include "kernel/lib/fmt.h"
#include "kernel/lib/lock.h"
#include "kernel/log_ring.h"
#include "kernel/time.h"

#define SINKS_MAX 4

static const char *const level_words[] = {
	[LOG_ERR] = "error: ",
	[LOG_WARN] = "warning: ",
	[LOG_INFO] = "",
	[LOG_DBG] = "debug: ",
};

static struct lock lock;
static struct log_ring ring; /* under lock, with what follows */
static struct {
	log_sink_fn *write;
	enum log_level max;
} sinks[SINKS_MAX];
static unsigned nr_sinks;

static enum log_level max_level = LOG_INFO; /* written at boot */
static bool is_unlocked;		    /* set by a panic, for ever */

static void enter(void)
{
	if (!is_unlocked)
		lock_take(&lock);
}

static void leave(void)
{
	if (!is_unlocked)
		lock_release(&lock);
}

void log_enter_panic(void)
{
	is_unlocked = true;
}

void log_set_level(enum log_level max)
{
	ASSERT(max < ARRAY_SIZE(level_words));

	max_level = max;
}

/* A byte that would end the line or confuse a terminal is shown as a question mark. */
static void make_printable(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
}

/* Into LOG_LINE_MAX bytes; returns the length with the newline. */
static size_t make_line(char *line, enum log_level level, const char *module, const char *format,
			va_list args)
{
	uint64_t now_us = tsc_khz() ? time_now_ns() / NSEC_PER_USEC : 0;
	size_t cap = LOG_LINE_MAX - 1, len;

	len = fmt(line, cap, "[%5lu.%06lu] %s: %s", now_us / 1000000, now_us % 1000000, module,
		  level_words[level]);
	len = MIN(len, cap - 1);
	len += fmt_v(line + len, cap - len, format, args);
	len = MIN(len, cap - 1);
	make_printable(line, len);
	line[len] = '\n';
	return len + 1;
}

void log_line(enum log_level level, const char *module, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	size_t len;
	va_list args;

	ASSERT(level < ARRAY_SIZE(level_words));

	if (level > max_level)
		return;
	va_start(args, format);
	len = make_line(line, level, module, format, args);
	va_end(args);

	enter();
	log_ring_put(&ring, line, len);
	for (unsigned i = 0; i < nr_sinks; i++)
		if (level <= sinks[i].max)
			sinks[i].write(line, len);
	leave();
}

void log_add_sink(log_sink_fn *sink, enum log_level max)
{
	enter();
	ASSERT(nr_sinks < SINKS_MAX);
	sinks[nr_sinks].write = sink;
	sinks[nr_sinks].max = max;
	nr_sinks++;
	leave();
}

size_t log_read(uint64_t *seq, char *dst, size_t cap_bytes)
{
	size_t len;

	enter();
	len = log_ring_read(&ring, seq, dst, cap_bytes);
	leave();
	return len;
}
