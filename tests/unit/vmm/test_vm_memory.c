/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's RAM, out of pages that others have left full (tests/unit/support/memory.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/fake_memory.h"
#include "vmm/ept.h"
#include "vmm/vm_memory.h"

#define MEM_MIB 10

static struct vm vm;
static char why[96];

static uint64_t take_page(void *arg)
{
	(void)arg;
	return pages_alloc(0);
}

static void give_page(void *arg, uint64_t hpa)
{
	(void)arg;
	pages_free(hpa, 0);
}

static void *page_at(void *arg, uint64_t hpa)
{
	(void)arg;
	return hva_of(hpa);
}

static int make_vm(void **state)
{
	struct ept_pages pages = {take_page, give_page, page_at, NULL};

	(void)state;
	memset(&vm, 0, sizeof(vm));
	vm.config.mem_bytes = MEM_MIB * MIB;
	assert_int_equal(ept_create(&pages, &ept_format_intel, EPT_WITHOUT_1G, &vm.ept), HV_OK);
	assert_int_equal(vm_memory_create(&vm, why), HV_OK);
	return 0;
}

static int drop_vm(void **state)
{
	(void)state;
	vm_memory_destroy(&vm);
	ept_destroy(vm.ept);
	assert_int_equal(fake_pages_in_use, 0);
	return 0;
}

static bool is_zero(uint32_t chunk)
{
	const uint8_t *bytes = vm.mem.chunks[chunk];

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, GMEM_CHUNK - 1) == 0;
}

static uint32_t nr_zero_chunks(void)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < vm.mem.nr_chunks; i++)
		nr += is_zero(i);
	return nr;
}

static void clears_it_piece_by_piece(void **state)
{
	(void)state;
	assert_int_equal(nr_zero_chunks(), 0);
	assert_int_equal(vm_memory_clear_some(&vm, why), HV_EAGAIN);
	assert_int_equal(nr_zero_chunks() * GMEM_CHUNK, 4 * MIB);
	assert_string_equal(why, "its memory is being cleared: 6 of 10 MiB are left");
	assert_int_equal(vm_memory_clear_some(&vm, why), HV_EAGAIN);
	assert_string_equal(why, "its memory is being cleared: 2 of 10 MiB are left");
	assert_int_equal(vm_memory_clear_some(&vm, why), HV_OK);
	assert_int_equal(nr_zero_chunks(), vm.mem.nr_chunks);
}

static void clears_it_once(void **state)
{
	(void)state;
	while (vm_memory_clear_some(&vm, why) == HV_EAGAIN)
		;
	vm.mem.chunks[3][5] = 1; /* the guest's, from now on */
	assert_int_equal(vm_memory_clear_some(&vm, why), HV_OK);
	assert_int_equal(vm.mem.chunks[3][5], 1);
}

static void gives_back_what_was_never_cleared(void **state)
{
	(void)state;
	assert_int_equal(vm_memory_clear_some(&vm, why), HV_EAGAIN);
	vm_memory_destroy(&vm);
	assert_false(vm_memory_is_there(&vm));
	assert_int_equal(vm_memory_create(&vm, why), HV_OK);
	assert_int_equal(nr_zero_chunks(), 0);
	assert_int_equal(vm_memory_clear_some(&vm, why), HV_EAGAIN);
}

static void takes_nothing_when_there_is_not_enough(void **state)
{
	(void)state;
	vm_memory_destroy(&vm);
	fake_memory_fail_after = 3;
	while (vm_memory_create(&vm, why) == HV_OK) { /* in ever smaller blocks */
		vm_memory_destroy(&vm);
		fake_memory_fail_after = 0;
	}
	assert_false(vm_memory_is_there(&vm));
	fake_memory_fail_after = FAKE_MEMORY_NEVER;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_vm, drop_vm)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(clears_it_piece_by_piece),
		TEST(clears_it_once),
		TEST(gives_back_what_was_never_cleared),
		TEST(takes_nothing_when_there_is_not_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
