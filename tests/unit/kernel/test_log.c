/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log proper: what a line looks like, who gets it, and a panic in the middle of one. Its
 * functions have other names here, since the host's own log is linked as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define log_line	our_log_line
#define log_add_sink	our_log_add_sink
#define log_set_level	our_log_set_level
#define log_enter_panic our_log_enter_panic
#define log_read	our_log_read
#include "kernel/log.c"

#include "tests/unit/support/expect_assert.h"
#include "tests/unit/support/fake_time.h"

static char seen[4096];
static size_t seen_len;

static void see(const char *line, size_t len_bytes)
{
	assert_true(len_bytes <= LOG_LINE_MAX);
	memcpy(seen + seen_len, line, len_bytes);
	seen_len += len_bytes;
	seen[seen_len] = '\0';
}

static char errors[4096];

static void see_errors(const char *line, size_t len_bytes)
{
	memcpy(errors, line, len_bytes);
	errors[len_bytes] = '\0';
}

static int start(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	nr_sinks = 0;
	max_level = LOG_INFO;
	is_unlocked = false;
	seen_len = 0;
	seen[0] = errors[0] = '\0';
	fake_time_ns = 1234567890ull;
	log_add_sink(see, LOG_DBG);
	log_add_sink(see_errors, LOG_ERR);
	return 0;
}

static void writes_time_module_level_and_text(void **state)
{
	(void)state;
	log_info("boot", "%u CPUs", 2u);
	log_warn("acpi", "odd");
	log_err("disk", "gone");
	assert_string_equal(seen, "[    1.234567] boot: 2 CPUs\n"
				  "[    1.234567] acpi: warning: odd\n"
				  "[    1.234567] disk: error: gone\n");
	assert_string_equal(errors, "[    1.234567] disk: error: gone\n");
}

static void gives_readers_the_same_lines(void **state)
{
	char text[256];
	uint64_t seq = 0;
	size_t len;

	(void)state;
	log_info("a", "b");
	len = log_read(&seq, text, sizeof(text));
	assert_int_equal(len, seen_len);
	assert_memory_equal(text, seen, len);
	assert_int_equal(log_read(&seq, text, sizeof(text)), 0);
}

static void drops_debug_lines_until_they_are_wanted(void **state)
{
	(void)state;
	log_dbg("a", "b");
	assert_string_equal(seen, "");
	log_set_level(LOG_DBG);
	log_dbg("a", "b");
	assert_string_equal(seen, "[    1.234567] a: debug: b\n");
	EXPECT_ASSERT(log_set_level(LOG_DBG + 1));
}

static void keeps_a_line_a_line_whatever_is_in_it(void **state)
{
	(void)state;
	log_info("a", "one\ntwo\r\x1b[31m\x7f");
	assert_string_equal(seen, "[    1.234567] a: one?two??[31m?\n");
}

static void cuts_long_lines_and_ends_them(void **state)
{
	char text[600], module[300];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("a", "%s", text);
	assert_true(seen_len <= LOG_LINE_MAX && seen_len > LOG_LINE_MAX - 4);
	assert_int_equal(seen[seen_len - 1], '\n');
	seen_len = 0;
	memset(module, 'm', sizeof(module));
	module[sizeof(module) - 1] = '\0';
	log_info(module, "%s", text);
	assert_true(seen_len <= LOG_LINE_MAX);
	assert_int_equal(seen[seen_len - 1], '\n');
}

static void still_logs_in_a_panic_that_struck_under_the_lock(void **state)
{
	(void)state;
	lock_take(&lock);
	log_enter_panic();
	log_err("panic", "x");
	assert_string_equal(errors, "[    1.234567] panic: error: x\n");
	lock_release(&lock);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(writes_time_module_level_and_text),
		TEST(gives_readers_the_same_lines),
		TEST(drops_debug_lines_until_they_are_wanted),
		TEST(keeps_a_line_a_line_whatever_is_in_it),
		TEST(cuts_long_lines_and_ends_them),
		TEST(still_logs_in_a_panic_that_struck_under_the_lock),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
