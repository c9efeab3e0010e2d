/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's RAM: two ranges with a hole between them, chunks that lie apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"

#define LOW  (2 * GMEM_CHUNK)
#define HIGH GMEM_CHUNK

static struct vm *vm;
static const struct gmem *mem;

static int make_vm(void **state)
{
	(void)state;
	vm = fake_vm_create(LOW, HIGH);
	mem = vm_memory(vm);
	return 0;
}

static int drop_vm(void **state)
{
	(void)state;
	fake_vm_destroy(vm);
	return 0;
}

static void maps_one_piece_of_one_chunk(void **state)
{
	uint64_t got = 0;

	(void)state;
	assert_ptr_equal(gmem_map(mem, 0x1000, 16, &got), mem->chunks[0] + 0x1000);
	assert_int_equal(got, 16);
	assert_ptr_equal(gmem_map(mem, GMEM_CHUNK - 4, 16, &got), mem->chunks[0] + GMEM_CHUNK - 4);
	assert_int_equal(got, 4);
	assert_ptr_equal(gmem_map(mem, GMEM_CHUNK, ~0ull, &got), mem->chunks[1]);
	assert_int_equal(got, GMEM_CHUNK);
	assert_ptr_equal(gmem_map(mem, GMEM_HIGH_BASE + 8, 8, &got), mem->chunks[2] + 8);
	assert_int_equal(got, 8);
}

static void maps_nothing_outside_ram(void **state)
{
	uint64_t got;

	(void)state;
	assert_null(gmem_map(mem, LOW, 1, &got));
	assert_null(gmem_map(mem, GMEM_HIGH_BASE - 1, 1, &got));
	assert_null(gmem_map(mem, GMEM_HIGH_BASE + HIGH, 1, &got));
	assert_null(gmem_map(mem, ~0ull, 1, &got));
}

static void knows_what_it_has_without_overflowing(void **state)
{
	(void)state;
	assert_true(gmem_has(mem, 0, LOW));
	assert_true(gmem_has(mem, LOW, 0));
	assert_false(gmem_has(mem, 0, LOW + 1));
	assert_false(gmem_has(mem, 1, LOW));
	assert_false(gmem_has(mem, 1, ~0ull));
	assert_true(gmem_has(mem, GMEM_HIGH_BASE, HIGH));
	assert_false(gmem_has(mem, GMEM_HIGH_BASE - 1, 2));
	assert_false(gmem_has(mem, GMEM_HIGH_BASE + HIGH - 1, 2));
	assert_false(gmem_has(mem, ~0ull, ~0ull));
}

static void copies_across_chunks(void **state)
{
	char in[] = "across the border";
	char out[sizeof(in)];

	(void)state;
	assert_int_equal(gmem_write(mem, GMEM_CHUNK - 5, in, sizeof(in)), HV_OK);
	assert_memory_equal(mem->chunks[0] + GMEM_CHUNK - 5, in, 5);
	assert_memory_equal(mem->chunks[1], in + 5, sizeof(in) - 5);
	assert_int_equal(gmem_read(mem, GMEM_CHUNK - 5, out, sizeof(out)), HV_OK);
	assert_string_equal(out, in);
}

static void copies_nothing_when_a_byte_is_not_ram(void **state)
{
	char buf[4] = "abc";

	(void)state;
	memset(mem->chunks[1] + GMEM_CHUNK - 2, 0x55, 2);
	assert_int_equal(gmem_write(mem, LOW - 2, buf, sizeof(buf)), HV_EINVAL);
	assert_int_equal(mem->chunks[1][GMEM_CHUNK - 2], 0x55);
	assert_int_equal(gmem_read(mem, LOW - 2, buf, sizeof(buf)), HV_EINVAL);
	assert_string_equal(buf, "abc");
}

static void reads_and_writes_aligned_words_only(void **state)
{
	uint16_t val = 7;

	(void)state;
	assert_int_equal(gmem_write_u16(mem, LOW - 2, 0x1234), HV_OK);
	assert_int_equal(gmem_read_u16(mem, LOW - 2, &val), HV_OK);
	assert_int_equal(val, 0x1234);
	assert_int_equal(gmem_read_u16(mem, LOW, &val), HV_EINVAL);
	assert_int_equal(gmem_write_u16(mem, LOW, 1), HV_EINVAL);
	assert_int_equal(gmem_read_u16(mem, 3, &val), HV_EINVAL);
	assert_int_equal(gmem_read_u16(mem, GMEM_CHUNK - 1, &val), HV_EINVAL);
	assert_int_equal(val, 0x1234);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_one_piece_of_one_chunk),
		cmocka_unit_test(maps_nothing_outside_ram),
		cmocka_unit_test(knows_what_it_has_without_overflowing),
		cmocka_unit_test(copies_across_chunks),
		cmocka_unit_test(copies_nothing_when_a_byte_is_not_ram),
		cmocka_unit_test(reads_and_writes_aligned_words_only),
	};

	return cmocka_run_group_tests(tests, make_vm, drop_vm);
}
