/* SPDX-License-Identifier: Apache-2.0 */
/* What watchdog= means, and which CPU stands still. */
#include "kernel/watchdog_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct watchdog_times times;
static struct watchdog_beats beats;

static int start(void **state)
{
	(void)state;
	memset(&times, 0xee, sizeof(times));
	memset(&beats, 0, sizeof(beats));
	return 0;
}

static void waits_longer_while_the_machine_boots(void **state)
{
	static const char *const words[] = {NULL, "auto"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		assert_true(watchdog_choose(words[i], 5, 1227, &times));
		assert_false(times.is_off);
		assert_int_equal(times.boot_s, 300);
		assert_int_equal(times.run_s, 60);
		assert_int_equal(times.look_ms, 15000);
		assert_int_equal(times.beat_ms, 7500);
	}
}

static void takes_seconds_for_both(void **state)
{
	(void)state;
	assert_true(watchdog_choose("8", 5, 1227, &times));
	assert_int_equal(times.boot_s, 8);
	assert_int_equal(times.run_s, 8);
	assert_int_equal(times.look_ms, 2000);
	assert_int_equal(times.beat_ms, 1000);
	assert_true(watchdog_choose("5", 5, 1227, &times));
	assert_int_equal(times.run_s, 5);
	assert_true(watchdog_choose("3600", 1, 4000, &times));
	assert_int_equal(times.run_s, 3600);
}

static void stays_within_what_the_hardware_can(void **state)
{
	(void)state;
	assert_true(watchdog_choose("3600", 5, 1227, &times));
	assert_int_equal(times.boot_s, 1227);
	assert_int_equal(times.run_s, 1227);
	assert_true(watchdog_choose(NULL, 1, 100, &times));
	assert_int_equal(times.boot_s, 100);
	assert_int_equal(times.run_s, 60);
	assert_true(watchdog_choose("5", 20, 100, &times));
	assert_int_equal(times.run_s, 20);
	assert_true(watchdog_choose(NULL, 1, 1, &times));
	assert_int_equal(times.run_s, 1);
	assert_int_equal(times.beat_ms, 125);
}

static void can_be_off(void **state)
{
	(void)state;
	assert_true(watchdog_choose("off", 5, 1227, &times));
	assert_true(times.is_off);
}

static void takes_what_means_nothing_for_auto(void **state)
{
	static const char *const words[] = {"",	   "0",	    "4",	  "3601", "on",
					    "5s",  "-5",    "0x10",	  " 8",	  "4294967301",
					    "Off", "autos", "99999999999"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		assert_false(watchdog_choose(words[i], 5, 1227, &times));
		assert_false(times.is_off);
		assert_int_equal(times.boot_s, 300);
		assert_int_equal(times.run_s, 60);
	}
}

static void finds_nobody_dead_when_all_count(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		for (uint32_t cpu = 1; cpu < 4; cpu++)
			watchdog_beat(&beats, cpu);
		assert_int_equal(watchdog_find_dead(&beats, 4), 0);
	}
}

static void names_the_first_that_does_not_count(void **state)
{
	(void)state;
	for (uint32_t cpu = 1; cpu < 4; cpu++)
		watchdog_beat(&beats, cpu);
	assert_int_equal(watchdog_find_dead(&beats, 4), 0);
	watchdog_beat(&beats, 1);
	assert_int_equal(watchdog_find_dead(&beats, 4), 2);
	watchdog_beat(&beats, 1);
	watchdog_beat(&beats, 2);
	assert_int_equal(watchdog_find_dead(&beats, 4), 3);
	for (uint32_t cpu = 1; cpu < 4; cpu++) /* it came back */
		watchdog_beat(&beats, cpu);
	assert_int_equal(watchdog_find_dead(&beats, 4), 0);
	assert_int_equal(watchdog_find_dead(&beats, 4), 1);
}

static void needs_nobody_beside_the_boot_cpu(void **state)
{
	(void)state;
	assert_int_equal(watchdog_find_dead(&beats, 1), 0);
	assert_int_equal(watchdog_find_dead(&beats, 1), 0);
}

static void counts_past_the_end_of_its_numbers(void **state)
{
	(void)state;
	beats.counted[1] = beats.seen[1] = UINT32_MAX;
	watchdog_beat(&beats, 1);
	assert_int_equal(beats.counted[1], 0);
	assert_int_equal(watchdog_find_dead(&beats, 2), 0);
	assert_int_equal(watchdog_find_dead(&beats, 2), 1);
}

static void watches_as_many_cpus_as_there_can_be(void **state)
{
	(void)state;
	for (uint32_t cpu = 1; cpu < CPU_MAX - 1; cpu++)
		watchdog_beat(&beats, cpu);
	assert_int_equal(watchdog_find_dead(&beats, CPU_MAX), CPU_MAX - 1);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(waits_longer_while_the_machine_boots),
		TEST(takes_seconds_for_both),
		TEST(stays_within_what_the_hardware_can),
		TEST(can_be_off),
		TEST(takes_what_means_nothing_for_auto),
		TEST(finds_nobody_dead_when_all_count),
		TEST(names_the_first_that_does_not_count),
		TEST(needs_nobody_beside_the_boot_cpu),
		TEST(counts_past_the_end_of_its_numbers),
		TEST(watches_as_many_cpus_as_there_can_be),
	};

	return cmocka_run_group_tests_name("watchdog_rules", tests, NULL, NULL);
}
