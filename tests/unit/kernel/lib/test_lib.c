/* SPDX-License-Identifier: Apache-2.0 */
/* The small headers of kernel/lib: words for errors, byte order, bit fields, lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "kernel/lib/err.h"
#include "kernel/lib/list.h"
#include "kernel/lib/lock.h"
#include "tests/unit/support/expect_assert.h"

static void has_a_phrase_for_every_error(void **state)
{
	(void)state;
	for (unsigned err = 0; err < HV_ERRS; err++) {
		assert_non_null(hv_strerror((enum hv_err)err));
		assert_string_not_equal(hv_strerror((enum hv_err)err), "unknown error");
	}
	assert_string_equal(hv_strerror(HV_ERRS), "unknown error");
}

static void reads_and_writes_words_at_odd_addresses(void **state)
{
	uint8_t b[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8};

	(void)state;
	assert_int_equal(get_le16(b + 1), 0x0201);
	assert_int_equal(get_le32(b + 1), 0x04030201);
	assert_int_equal(get_le64(b + 1), 0x0807060504030201);
	assert_int_equal(get_be16(b + 1), 0x0102);
	assert_int_equal(get_be32(b + 1), 0x01020304);
	put_be32(b + 3, 0xa1b2c3d4);
	assert_int_equal(get_le32(b + 3), 0xd4c3b2a1);
}

static void takes_fields_apart_and_together(void **state)
{
	(void)state;
	assert_int_equal(FIELD_GET(0xff00, 0x1234), 0x12);
	assert_int_equal(FIELD_PREP(0xff00, 0x12), 0x1200);
	assert_int_equal(FIELD_PREP(0xf00, 0x12), 0x200);
	assert_int_equal(ALIGN_UP(4097, 4096), 8192);
	assert_int_equal(ALIGN_DOWN(8191, 4096), 4096);
}

static void knows_whether_a_range_fits_without_wrapping(void **state)
{
	(void)state;
	assert_true(range_fits(0, 10, 10));
	assert_true(range_fits(10, 0, 10));
	assert_false(range_fits(1, 10, 10));
	assert_false(range_fits(11, 0, 10));
	assert_false(range_fits(8, UINT64_MAX - 4, 10));
}

struct item {
	int value;
	struct list on_list;
};

static void keeps_list_order_and_survives_a_second_removal(void **state)
{
	struct list list;
	struct item items[3] = {{.value = 0}, {.value = 1}, {.value = 2}};
	int expected = 0;

	(void)state;
	list_init(&list);
	assert_true(list_is_empty(&list));
	for (int i = 0; i < 3; i++)
		list_add_tail(&list, &items[i].on_list);
	list_for_each (at, &list)
		assert_int_equal(list_entry(at, struct item, on_list)->value, expected++);
	assert_int_equal(expected, 3);

	list_remove(&items[1].on_list);
	list_remove(&items[1].on_list);
	assert_ptr_equal(items[0].on_list.next, &items[2].on_list);
	list_remove(&items[0].on_list);
	list_remove(&items[2].on_list);
	assert_true(list_is_empty(&list));
}

static void asserts_when_a_lock_is_released_twice(void **state)
{
	struct lock lock = {0};

	(void)state;
	lock_take(&lock);
	ASSERT_HELD(&lock);
	lock_release(&lock);
	EXPECT_ASSERT(lock_release(&lock));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_a_phrase_for_every_error),
		cmocka_unit_test(reads_and_writes_words_at_odd_addresses),
		cmocka_unit_test(takes_fields_apart_and_together),
		cmocka_unit_test(knows_whether_a_range_fits_without_wrapping),
		cmocka_unit_test(keeps_list_order_and_survives_a_second_removal),
		cmocka_unit_test(asserts_when_a_lock_is_released_twice),
	};

	return cmocka_run_group_tests_name("lib", tests, NULL, NULL);
}
