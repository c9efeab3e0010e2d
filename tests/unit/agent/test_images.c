/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching images: whole, resumed, wrong, and refused by the kernel. The kernel is a buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/images.h"
#include "agent/report.h"

#define SIZE 200000u

static uint8_t data[SIZE], kernel[SIZE];
static uint64_t written;
static unsigned nr_writes, nr_drops, nr_seals;
static bool has_old; /* an earlier agent left one */
static enum hv_err create_err, write_err;
static struct desired_image want[2];
static struct desired desired;
static struct ctl_image_info there;
static struct sync_actual actual;
static struct images im;

static enum hv_err create(void *arg, uint64_t size, const uint8_t sha256[32], uint32_t *handle,
			  const char **why)
{
	(void)arg;
	(void)size;
	(void)sha256;
	*why = "table full";
	*handle = 7;
	written = 0;
	if (has_old)
		return HV_EEXIST;
	return create_err;
}

static enum hv_err write_piece(void *arg, uint32_t handle, uint64_t offset, const void *bytes,
			       size_t len, const char **why)
{
	(void)arg;
	*why = "";
	assert_int_equal(handle, 7);
	assert_int_equal(offset, written);
	assert_true(len <= CTL_DATA_MAX && offset + len <= SIZE);
	if (write_err != HV_OK)
		return write_err;
	memcpy(kernel + offset, bytes, len);
	written += len;
	nr_writes++;
	return HV_OK;
}

static enum hv_err seal(void *arg, uint32_t handle, const char **why)
{
	(void)arg;
	(void)handle;
	*why = "";
	nr_seals++;
	return HV_OK;
}

static void drop(void *arg, uint32_t handle)
{
	(void)arg;
	(void)handle;
	nr_drops++;
	has_old = false;
}

static const struct images_ops ops = {create, write_piece, seal, drop};

static int setup(void **state)
{
	uint8_t hash[32];
	size_t i;

	(void)state;
	for (i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	mbedtls_sha256(data, SIZE, hash, 0);
	memset(want, 0, sizeof(want));
	hex_to_text(hash, 32, want[0].sha256);
	want[0].size = SIZE;
	desired = (struct desired){.images = {want, 2, 1}};
	memset(&actual, 0, sizeof(actual));
	actual.images = &there;
	nr_writes = nr_drops = nr_seals = 0;
	has_old = false;
	create_err = write_err = HV_OK;
	images_init(&im, &ops, NULL);
	return 0;
}

static bool feed(uint64_t from, uint64_t to, size_t piece)
{
	for (; from < to; from += piece)
		if (!images_feed(&im, data + from, MIN(piece, to - from), actual.now_ms))
			return false;
	return true;
}

static void fetches_in_large_pieces(void **state)
{
	(void)state;
	assert_true(images_pick(&im, &desired, &actual));
	assert_true(images_starts_at(&im, 206, true, 0, SIZE));
	assert_true(feed(0, SIZE, 1371));
	assert_true(images_end(&im, 0));
	assert_int_equal(nr_writes, (SIZE + CTL_DATA_MAX - 1) / CTL_DATA_MAX);
	assert_memory_equal(kernel, data, SIZE);
	assert_int_equal(nr_seals, 1);
	assert_int_equal(nr_drops, 0);
	there.is_sealed = 1;
	assert_true(hex_from_text(want[0].sha256, there.sha256, 32));
	actual.nr_images = 1;
	assert_false(images_pick(&im, &desired, &actual));
}

static void goes_on_where_it_broke_off(void **state)
{
	(void)state;
	assert_true(images_pick(&im, &desired, &actual));
	assert_true(feed(0, 70001, 1000));
	assert_false(images_end(&im, 0));
	assert_true(images_pick(&im, &desired, &actual));
	assert_int_equal(im.received, 70001);
	assert_false(images_starts_at(&im, 206, true, 70000, SIZE));
	assert_false(images_starts_at(&im, 206, true, 70001, SIZE + 1));
	assert_false(images_starts_at(&im, 206, false, 0, 0));
	assert_false(images_starts_at(&im, 200, false, 0, 0));
	assert_true(images_starts_at(&im, 206, true, 70001, SIZE));
	assert_true(feed(70001, SIZE, 5000));
	assert_true(images_end(&im, 0));
	assert_memory_equal(kernel, data, SIZE);
}

static void deletes_what_has_another_hash(void **state)
{
	(void)state;
	assert_true(images_pick(&im, &desired, &actual));
	data[SIZE - 1] ^= 1;
	assert_true(feed(0, SIZE, 4096));
	assert_false(images_end(&im, 0));
	assert_int_equal(nr_seals, 0);
	assert_int_equal(nr_drops, 1);
	assert_non_null(strstr(images_reason(&im, want[0].sha256), "SHA-256"));
	assert_false(images_pick(&im, &desired, &actual)); /* not at once again */
	actual.now_ms = IMAGES_BAD_MS;
	assert_true(images_pick(&im, &desired, &actual));
	data[SIZE - 1] ^= 1;
	assert_true(feed(0, SIZE, 4096));
	assert_true(images_end(&im, actual.now_ms));
	assert_null(images_reason(&im, want[0].sha256));
}

static void refuses_more_bytes_than_the_size(void **state)
{
	(void)state;
	assert_true(images_pick(&im, &desired, &actual));
	assert_true(feed(0, SIZE, 4096));
	assert_false(images_feed(&im, data, 1, 0));
	assert_int_equal(nr_drops, 1);
	assert_false(images_end(&im, 0));
}

static void begins_anew_what_an_earlier_agent_left(void **state)
{
	(void)state;
	has_old = true;
	assert_true(images_pick(&im, &desired, &actual));
	assert_int_equal(nr_drops, 1);
	assert_int_equal(im.received, 0);
}

static void passes_on_why_the_kernel_refuses(void **state)
{
	(void)state;
	create_err = HV_ENOMEM;
	assert_false(images_pick(&im, &desired, &actual));
	assert_string_equal(images_reason(&im, want[0].sha256), "table full");
	actual.now_ms = IMAGES_BAD_MS;
	create_err = HV_OK;
	write_err = HV_EIO;
	assert_true(images_pick(&im, &desired, &actual));
	assert_false(feed(0, SIZE, 4096));
	assert_string_equal(images_reason(&im, want[0].sha256), "hardware error");
	assert_int_equal(nr_drops, 1);
}

static void drops_what_is_no_longer_wanted(void **state)
{
	(void)state;
	assert_true(images_pick(&im, &desired, &actual));
	assert_true(feed(0, 1000, 1000));
	desired.images.nr = 0;
	assert_false(images_pick(&im, &desired, &actual));
	assert_int_equal(nr_drops, 1);
	assert_false(images_feed(&im, data, 1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(fetches_in_large_pieces, setup),
		cmocka_unit_test_setup(goes_on_where_it_broke_off, setup),
		cmocka_unit_test_setup(deletes_what_has_another_hash, setup),
		cmocka_unit_test_setup(refuses_more_bytes_than_the_size, setup),
		cmocka_unit_test_setup(begins_anew_what_an_earlier_agent_left, setup),
		cmocka_unit_test_setup(passes_on_why_the_kernel_refuses, setup),
		cmocka_unit_test_setup(drops_what_is_no_longer_wanted, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
