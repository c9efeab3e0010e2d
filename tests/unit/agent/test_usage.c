/* SPDX-License-Identifier: Apache-2.0 */
/* The spool of usage records: nothing leaves it unacknowledged, and full it loses only resolution.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/usage.h"

#define BOOT "b0070000-0000-4000-8000-000000000001"

static struct usage u;
static struct usage_record out[USAGE_SPOOL_MAX];
static uint64_t seq;

static int setup(void **state)
{
	(void)state;
	usage_init(&u, BOOT);
	seq = 0;
	return 0;
}

static struct ctl_usage row(uint32_t vm, bool is_final)
{
	struct ctl_usage r = {.handle = vm,
			      .seq = ++seq,
			      .mono_ns = 60 * NSEC_PER_SEC,
			      .epoch = 4,
			      .nr_vcpus = 2,
			      .mem_mib = 256,
			      .is_final = is_final,
			      .vcpu_alloc_ns = 1,
			      .vcpu_run_ns = 2,
			      .mem_mib_ms = 3,
			      .net_rx_bytes = 4,
			      .net_tx_bytes = 5,
			      .net_rx_packets = 6,
			      .net_tx_packets = 7};

	r.uuid[15] = (uint8_t)vm;
	return r;
}

static bool take(uint32_t vm, bool is_final)
{
	struct ctl_usage r = row(vm, is_final);

	return usage_take(&u, &r, 1, 61 * NSEC_PER_SEC, 1700000061000, 0);
}

static void copies_every_counter(void **state)
{
	enum usage_counter i;

	(void)state;
	take(9, false);
	assert_int_equal(usage_send(&u, out, 4), 1);
	assert_string_equal(out[0].boot_id, BOOT);
	assert_string_equal(out[0].vm, "00000000-0000-0000-0000-000000000009");
	assert_int_equal(out[0].seq, 1);
	assert_int_equal(out[0].epoch, 4);
	assert_int_equal(out[0].vcpus, 2);
	assert_int_equal(out[0].memory_mib, 256);
	assert_int_equal(out[0].wall_ms,
			 1700000060000); /* when it was read, not when it was noted */
	for (i = 0; i < USAGE_COUNTERS; i++)
		assert_int_equal(out[0].counters[i], i + 1);
}

static void is_due_each_minute_and_in_a_hurry(void **state)
{
	(void)state;
	assert_true(usage_is_due(&u, 0));
	usage_take(&u, NULL, 0, 0, 0, 1000);
	assert_false(usage_is_due(&u, 60999));
	assert_true(usage_is_due(&u, 61000));
	usage_hurry(&u);
	assert_true(usage_is_due(&u, 1001));
}

static void keeps_what_was_not_acknowledged(void **state)
{
	(void)state;
	take(1, false);
	take(1, false);
	assert_int_equal(usage_send(&u, out, 1), 1);
	take(1, false); /* while the report is under way */
	usage_acked(&u, out[0].seq);
	assert_int_equal(usage_send(&u, out, 8), 2);
	assert_int_equal(out[0].seq, 2);
	assert_int_equal(usage_send(&u, out, 8), 2); /* sending changes nothing */
}

static void forgets_a_vm_after_its_final_record_was_acknowledged(void **state)
{
	uint32_t handle;

	(void)state;
	assert_true(take(3, true));
	assert_false(usage_next_forget(&u, &handle));
	assert_false(take(3, true)); /* the same once more says nothing new */
	assert_int_equal(u.nr, 1);
	usage_send(&u, out, 8);
	assert_true(out[0].final);
	usage_acked(&u, out[0].seq);
	assert_true(usage_next_forget(&u, &handle));
	assert_int_equal(handle, 3);
	assert_false(usage_next_forget(&u, &handle));
}

static void drops_old_records_of_the_same_vm_when_full(void **state)
{
	uint32_t i;

	(void)state;
	take(1, false);
	take(2, true);
	for (i = 0; i < USAGE_SPOOL_MAX - 2; i++)
		take(3, false);
	assert_int_equal(u.nr, USAGE_SPOOL_MAX);
	take(3, false);
	assert_int_equal(u.nr, USAGE_SPOOL_MAX);
	assert_int_equal(u.dropped, 1);
	usage_send(&u, out, USAGE_REPORT_MAX);
	assert_int_equal(out[0].seq, 1); /* another VM's is still there */
	assert_int_equal(out[1].seq, 2); /* the final one, too */
	assert_int_equal(out[2].seq, 4);
	take(4, false); /* has none of its own: the oldest that is not final goes */
	usage_send(&u, out, USAGE_REPORT_MAX);
	assert_int_equal(out[0].seq, 2);
	assert_true(out[0].final);
}

static void sends_no_more_than_a_report_takes(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 200; i++)
		take(1, false);
	assert_int_equal(usage_send(&u, out, USAGE_SPOOL_MAX), USAGE_REPORT_MAX);
}

static void numbers_anew_after_a_conflict(void **state)
{
	(void)state;
	take(1, false);
	take(1, false);
	usage_renumber(&u, 1);
	assert_int_equal(u.nr, 1);
	assert_true(usage_is_due(&u, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(copies_every_counter, setup),
		cmocka_unit_test_setup(is_due_each_minute_and_in_a_hurry, setup),
		cmocka_unit_test_setup(keeps_what_was_not_acknowledged, setup),
		cmocka_unit_test_setup(forgets_a_vm_after_its_final_record_was_acknowledged, setup),
		cmocka_unit_test_setup(drops_old_records_of_the_same_vm_when_full, setup),
		cmocka_unit_test_setup(sends_no_more_than_a_report_takes, setup),
		cmocka_unit_test_setup(numbers_anew_after_a_conflict, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
