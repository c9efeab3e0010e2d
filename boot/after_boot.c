/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to end, on purpose: tests of the machine's power-off, reboot, panics and protections boot
 * with after-boot= and read the log. Each break goes through two functions whose names the
 * backtrace shows.
 */
#include "boot/after_boot.h"

#include "boot/checks.h"
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/lib/assert.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/power.h"
#include "kernel/time.h"

#define LINES_BEFORE 20u

extern char text_start[], rodata_start[];

/* And with lines that the serial port has not sent yet. */
static __attribute__((noinline)) void break_by_panic(void)
{
	for (uint32_t i = 1; i <= LINES_BEFORE; i++)
		log_info("boot", "line %u of %u before a panic", i, LINES_BEFORE);
	panic("asked for on the command line");
}

static __attribute__((noinline)) void break_by_reading_null(void)
{
	const volatile char *null = NULL;

	__asm__("" : "+r"(null)); /* so that the compiler does not see what we do */
	(void)*null;
}

static __attribute__((noinline)) void break_by_assert(void)
{
	volatile bool is_true = false;

	ASSERT(is_true);
}

static __attribute__((noinline)) void break_by_writing_text(void)
{
	*(volatile char *)text_start = 0;
}

static __attribute__((noinline)) void break_by_running_data(void)
{
	void (*data)(void) = (void (*)(void))(void *)rodata_start;

	data();
}

/* Down to the guard page, where only the double fault's own stack is left to report on. */
static __attribute__((noinline)) uint64_t break_by_overflow(uint64_t depth)
{
	static volatile bool is_deep_enough;
	volatile uint64_t on_stack[64];

	if (is_deep_enough)
		return 0;
	on_stack[depth % 64] = depth;
	return break_by_overflow(depth + 1) + on_stack[depth % 64];
}

static void overflow(void)
{
	log_info("boot", "%lu", break_by_overflow(0));
}

static void fire_null(struct timer *timer)
{
	(void)timer;
	break_by_reading_null();
}

static __attribute__((noinline)) void break_by_interrupt(void)
{
	static struct timer timer;

	timer_init(&timer, fire_null);
	timer_set_in(&timer, NSEC_PER_MSEC);
	for (;;)
		cpu_idle_wait();
}

void after_boot(void)
{
	static const struct {
		const char *word;
		void (*act)(void);
	} rows[] = {
		{"poweroff", power_off},
		{"reboot", power_reboot},
		{"check", checks_run},
		{"panic", break_by_panic},
		{"fault", break_by_reading_null},
		{"assert", break_by_assert},
		{"write-text", break_by_writing_text},
		{"run-data", break_by_running_data},
		{"overflow", overflow},
		{"interrupt", break_by_interrupt},
	};
	const char *words[ARRAY_SIZE(rows)];
	unsigned chosen;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		words[i] = rows[i].word;
	chosen = cmdline_choose("after-boot", words, ARRAY_SIZE(rows), ARRAY_SIZE(rows));
	if (chosen < ARRAY_SIZE(rows))
		rows[chosen].act();
}
