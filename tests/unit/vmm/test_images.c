/* SPDX-License-Identifier: Apache-2.0 */
/* Images in pieces, across blocks, within a budget; no page may be left when they are gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "tests/unit/support/fake_memory.h"
#include "vmm/images.h"

static uint8_t sha[32];

static int empty(void **state)
{
	(void)state;
	image_set_budget(64 * MIB);
	return 0;
}

static int all_is_given_back(void **state)
{
	struct ctl_image_info list[CTL_IMAGES_MAX];
	uint32_t nr = image_list(list, CTL_IMAGES_MAX);

	(void)state;
	for (uint32_t i = 0; i < nr; i++)
		assert_int_equal(image_delete(list[i].handle), HV_OK);
	assert_int_equal(fake_pages_in_use, 0);
	assert_int_equal(kmem_in_use(), 0);
	return 0;
}

static uint32_t create(uint64_t size, uint8_t name)
{
	uint32_t handle = 0;

	memset(sha, name, sizeof(sha));
	assert_int_equal(image_create(size, sha, &handle), HV_OK);
	assert_int_not_equal(handle, 0);
	return handle;
}

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 31 + (offset >> 13));
}

static void write_all(uint32_t handle, uint64_t size, uint64_t piece)
{
	uint8_t *data = malloc(piece);

	for (uint64_t at = 0; at < size; at += piece) {
		uint64_t len = MIN(piece, size - at);

		for (uint64_t i = 0; i < len; i++)
			data[i] = byte_at(at + i);
		assert_int_equal(image_write(handle, at, data, len), HV_OK);
	}
	free(data);
}

static void reads_back_what_was_written_across_blocks(void **state)
{
	const uint64_t size = 5 * MIB + 12345;
	uint32_t handle = create(size, 1);
	uint8_t *got = malloc(size);
	struct image *image;

	(void)state;
	write_all(handle, size, 65521); /* a prime, so that pieces lie across blocks */
	assert_int_equal(image_seal(handle), HV_OK);
	image = image_use(handle);
	assert_non_null(image);
	assert_int_equal(image_size(image), size);
	assert_int_equal(image_read(image, 0, got, size), HV_OK);
	for (uint64_t i = 0; i < size; i++)
		if (got[i] != byte_at(i))
			fail_msg("byte %llu differs", (unsigned long long)i);
	assert_int_equal(image_read(image, 2 * MIB - 1, got, 2), HV_OK);
	assert_int_equal(got[0], byte_at(2 * MIB - 1));
	assert_int_equal(got[1], byte_at(2 * MIB));
	assert_int_equal(image_read(image, size - 1, got, 2), HV_EINVAL);
	assert_int_equal(image_read(image, UINT64_MAX, got, 2), HV_EINVAL);
	assert_int_equal(image_read(image, size, got, 0), HV_OK);
	image_unuse(image);
	free(got);
}

static void takes_memory_as_bytes_arrive_and_a_small_block_at_the_end(void **state)
{
	uint32_t handle = create(2 * MIB + 5000, 1);

	(void)state;
	assert_int_equal(fake_pages_in_use, 0);
	write_all(handle, 2 * MIB + 5000, 64 * KIB);
	assert_int_equal(fake_pages_in_use, 512 + 2);
}

static void takes_bytes_in_order_only(void **state)
{
	static const uint8_t data[100];
	uint32_t handle = create(100, 1);

	(void)state;
	assert_int_equal(image_write(handle, 10, data, 10), HV_EINVAL);
	assert_int_equal(image_write(handle, 0, data, 60), HV_OK);
	assert_int_equal(image_write(handle, 0, data, 60), HV_EEXIST); /* the same again */
	assert_int_equal(image_write(handle, 50, data, 20), HV_EINVAL);
	assert_int_equal(image_write(handle, 60, data, 41), HV_EINVAL);
	assert_int_equal(image_write(handle, UINT64_MAX, data, 2), HV_EINVAL);
	assert_int_equal(image_write(handle, 60, data, 0), HV_EINVAL);
	assert_int_equal(image_seal(handle), HV_EBUSY);
	assert_int_equal(image_write(handle, 60, data, 40), HV_OK);
	assert_int_equal(image_seal(handle), HV_OK);
	assert_int_equal(image_seal(handle), HV_EEXIST);
}

static void finds_an_image_by_its_hash(void **state)
{
	uint32_t handle = create(100, 1), again = 0;

	(void)state;
	assert_int_equal(image_create(100, sha, &again), HV_EEXIST);
	assert_int_equal(again, handle);
	assert_int_equal(image_create(101, sha, &again), HV_EINVAL);
	assert_int_equal(image_create(0, sha, &again), HV_EINVAL);
}

static void never_uses_a_handle_twice(void **state)
{
	uint32_t first = create(100, 1);

	(void)state;
	assert_int_equal(image_delete(first), HV_OK);
	assert_int_equal(image_delete(first), HV_ENOENT);
	assert_int_not_equal(create(100, 1), first);
	assert_int_equal(image_delete(0), HV_ENOENT);
}

static void gives_only_sealed_images_to_vms_and_keeps_them_meanwhile(void **state)
{
	uint32_t handle = create(100, 1);
	struct image *image;

	(void)state;
	assert_null(image_use(handle));
	assert_null(image_use(0));
	write_all(handle, 100, 100);
	assert_int_equal(image_seal(handle), HV_OK);
	image = image_use(handle);
	assert_ptr_equal(image_use(handle), image);
	assert_int_equal(image_delete(handle), HV_EBUSY);
	image_unuse(image);
	assert_int_equal(image_delete(handle), HV_EBUSY);
	image_unuse(image);
	assert_int_equal(image_delete(handle), HV_OK);
}

static void keeps_to_its_budget(void **state)
{
	uint32_t handle, other;

	(void)state;
	image_set_budget(4 * MIB);
	handle = create(2 * MIB + 1, 1); /* takes 2 MiB and a page */
	memset(sha, 2, sizeof(sha));
	assert_int_equal(image_create(2 * MIB, sha, &other), HV_ENOMEM);
	assert_int_equal(image_create(UINT64_MAX, sha, &other), HV_ENOMEM);
	assert_int_equal(image_create(4096, sha, &other), HV_OK);
	assert_int_equal(image_delete(handle), HV_OK);
	memset(sha, 3, sizeof(sha));
	assert_int_equal(image_create(2 * MIB, sha, &other), HV_OK);
}

static void says_when_memory_is_out_and_can_go_on_later(void **state)
{
	uint32_t handle = create(3 * MIB, 1);
	uint8_t *data = calloc(1, 3 * MIB);

	(void)state;
	fake_memory_fail_after = 1;
	assert_int_equal(image_write(handle, 0, data, 3 * MIB), HV_ENOMEM);
	assert_int_equal(image_write(handle, 0, data, 3 * MIB), HV_OK);
	assert_int_equal(image_seal(handle), HV_OK);
	free(data);
}

static void lists_what_there_is(void **state)
{
	struct ctl_image_info list[2];
	uint32_t first = create(100, 1), second = create(200, 2);

	(void)state;
	write_all(second, 200, 200);
	assert_int_equal(image_seal(second), HV_OK);
	assert_int_equal(image_list(list, 2), 2);
	assert_int_equal(list[0].handle, first);
	assert_int_equal(list[0].is_sealed, 0);
	assert_int_equal(list[0].written, 0);
	assert_int_equal(list[1].size, 200);
	assert_int_equal(list[1].is_sealed, 1);
	assert_memory_equal(list[1].sha256, sha, 32);
	assert_int_equal(image_list(list, 1), 1);
}

static void has_a_bounded_table(void **state)
{
	uint32_t handle;

	(void)state;
	for (uint32_t i = 0; i < CTL_IMAGES_MAX; i++)
		create(1, (uint8_t)(i + 1));
	memset(sha, 0xff, sizeof(sha));
	assert_int_equal(image_create(1, sha, &handle), HV_ENOMEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, empty, all_is_given_back)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_back_what_was_written_across_blocks),
		TEST(takes_memory_as_bytes_arrive_and_a_small_block_at_the_end),
		TEST(takes_bytes_in_order_only),
		TEST(finds_an_image_by_its_hash),
		TEST(never_uses_a_handle_twice),
		TEST(gives_only_sealed_images_to_vms_and_keeps_them_meanwhile),
		TEST(keeps_to_its_budget),
		TEST(says_when_memory_is_out_and_can_go_on_later),
		TEST(lists_what_there_is),
		TEST(has_a_bounded_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
