/* SPDX-License-Identifier: Apache-2.0 */
/* Multiboot on made-up kernels: addresses from the header, and from ELF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "tests/unit/support/fake_vm.h"
#include "vmm/boot_multiboot.h"
#include "vmm/layout.h"

#define HEADER_AT 0x404u
#define LOAD_GPA  0x200000u
#define IMAGE_LEN 0x3000u
#define BSS_END	  (LOAD_GPA + 0x8000u)

static uint8_t image[IMAGE_LEN], initrd[5000];
static struct vm *vm;
static struct boot_plan plan;
static struct boot_request req;
static struct boot_entry entry;
static const char *why;

static enum hv_err read_bytes(const void *ctx, uint64_t offset, void *dst, uint64_t len_bytes)
{
	memcpy(dst, (const uint8_t *)ctx + offset, len_bytes);
	return HV_OK;
}

static void put_header(uint32_t at, uint32_t flags)
{
	put_le32(image + at, 0x1badb002);
	put_le32(image + at + 4, flags);
	put_le32(image + at + 8, -(0x1badb002 + flags));
	put_le32(image + at + 12, LOAD_GPA + at);
	put_le32(image + at + 16, LOAD_GPA);
	put_le32(image + at + 20, LOAD_GPA + IMAGE_LEN - 0x10);
	put_le32(image + at + 24, BSS_END);
	put_le32(image + at + 28, LOAD_GPA + 0x1000);
}

static int setup(void **state)
{
	(void)state;
	memset(image, 0xcc, sizeof(image));
	put_header(HEADER_AT, 0x10003);
	memset(initrd, 0x5a, sizeof(initrd));
	vm = fake_vm_create(8 * MIB, 0);
	req = (struct boot_request){
		.plan = &plan,
		.mem = vm_memory(vm),
		.kernel = {read_bytes, image, sizeof(image)},
		.initrd = {read_bytes, initrd, sizeof(initrd)},
		.cmdline = "test",
	};
	memset(&entry, 0x77, sizeof(entry));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_destroy(vm);
	return 0;
}

static uint8_t *at(uint64_t gpa)
{
	uint64_t got;

	return gmem_map(req.mem, gpa, 1, &got);
}

static void boot(void)
{
	assert_int_equal(boot_multiboot(&req, &entry, &why), HV_OK);
	assert_int_equal(boot_plan_step(&plan, req.mem, ~0ull), HV_OK);
}

static void assert_refused(enum hv_err err)
{
	why = NULL;
	assert_int_equal(boot_multiboot(&req, &entry, &why), err);
	assert_non_null(why);
	assert_int_equal(entry.rip, 0x7777777777777777ull);
}

static void loads_by_the_headers_addresses(void **state)
{
	(void)state;
	memset(at(LOAD_GPA), 0xff, 0x9000);
	boot();
	assert_int_equal(entry.mode, BOOT_PROTECTED_32);
	assert_int_equal(entry.rip, LOAD_GPA + 0x1000);
	assert_int_equal(entry.rax, 0x2badb002);
	assert_memory_equal(at(LOAD_GPA), image, IMAGE_LEN - 0x10);
	assert_int_equal(*at(LOAD_GPA + IMAGE_LEN - 0x10), 0);
	assert_int_equal(*at(BSS_END - 1), 0);
	assert_int_equal(*at(BSS_END), 0xff);
}

static void fills_the_information(void **state)
{
	const uint8_t *info, *module, *map;

	(void)state;
	boot();
	info = at(entry.rbx);
	assert_int_equal(get_le32(info), 0x4d);
	assert_int_equal(get_le32(info + 4), 639);
	assert_int_equal(get_le32(info + 8), 7 * 1024);
	assert_string_equal((const char *)at(get_le32(info + 16)), "test");
	assert_int_equal(get_le32(info + 20), 1);
	module = at(get_le32(info + 24));
	assert_int_equal(get_le32(module + 4) - get_le32(module), sizeof(initrd));
	assert_memory_equal(at(get_le32(module)), initrd, sizeof(initrd));
	assert_int_equal(get_le32(module) % 4096, 0);
	assert_int_equal(get_le32(info + 44), 5 * 24);
	map = at(get_le32(info + 48)) + 3 * 24;
	assert_int_equal(get_le32(map), 20);
	assert_int_equal(get_le64(map + 4), 0x100000);
	assert_int_equal(get_le64(map + 12), 7 * MIB);
	assert_int_equal(get_le32(map + 20), 1);
}

static void loads_to_the_end_of_the_file_when_told_nothing(void **state)
{
	(void)state;
	put_le32(image + HEADER_AT + 20, 0);
	put_le32(image + HEADER_AT + 24, 0);
	boot();
	assert_memory_equal(at(LOAD_GPA), image, IMAGE_LEN);
}

static void finds_a_header_anywhere_in_8_kib(void **state)
{
	static const uint32_t places[] = {0, 0x3fc, 0x400, 0x1fe0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		memset(image, 0xcc, sizeof(image));
		put_header(places[i], 0x10003);
		boot();
	}
	memset(&entry, 0x77, sizeof(entry));
	memset(image, 0xcc, sizeof(image));
	put_header(0x2000, 0x10003);
	assert_refused(HV_EPROTO);
	memset(image, 0xcc, sizeof(image));
	put_header(0x1ff4, 0x10003); /* its addresses lie beyond */
	assert_refused(HV_EPROTO);
}

static void loads_elf_files(void **state)
{
	(void)state;
	memset(image, 0, sizeof(image));
	memcpy(image, "\177ELF\1\1\1", 7);
	put_le16(image + 16, 2);
	put_le16(image + 18, 3);
	put_le32(image + 24, LOAD_GPA + 8);
	put_le32(image + 28, 52);
	put_le16(image + 42, 32);
	put_le16(image + 44, 1);
	put_le32(image + 52, 1);
	put_le32(image + 56, 0x400);
	put_le32(image + 64, LOAD_GPA);
	put_le32(image + 68, 0x800);
	put_le32(image + 72, 0x1000);
	put_header(HEADER_AT, 0x3);
	boot();
	assert_int_equal(entry.rip, LOAD_GPA + 8);
	assert_memory_equal(at(LOAD_GPA), image + 0x400, 0x800);
	put_le32(image + 24, LOAD_GPA + 0x1000);
	memset(&entry, 0x77, sizeof(entry));
	assert_refused(HV_EPROTO);
}

static void refuses_addresses_that_cannot_be(void **state)
{
	static const struct {
		uint32_t field, value;
		enum hv_err err;
	} rows[] = {
		{12, LOAD_GPA - 1, HV_EPROTO},		   /* the header before the load address */
		{12, LOAD_GPA + HEADER_AT + 1, HV_EPROTO}, /* would begin before the file */
		{20, LOAD_GPA - 1, HV_EPROTO},		   /* ends before it begins */
		{20, LOAD_GPA + IMAGE_LEN + 1, HV_EPROTO}, /* ends behind the file */
		{24, 8 * MIB + 1, HV_ENOMEM},
		{28, LOAD_GPA - 1, HV_EPROTO},
		{28, BSS_END, HV_EPROTO},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put_header(HEADER_AT, 0x10003);
		put_le32(image + HEADER_AT + rows[i].field, rows[i].value);
		assert_refused(rows[i].err);
	}
	put_header(HEADER_AT, 0x10003);
	put_le32(image + HEADER_AT + 12, 0x8000 + HEADER_AT); /* on top of what we hand over */
	put_le32(image + HEADER_AT + 16, 0x8000);
	put_le32(image + HEADER_AT + 20, 0);
	assert_refused(HV_EPROTO);
}

static void refuses_what_it_does_not_know(void **state)
{
	(void)state;
	put_header(HEADER_AT, 0x10007); /* a video mode */
	assert_refused(HV_ENOTSUP);
	put_header(HEADER_AT, 0x10003);
	image[HEADER_AT + 8]++;
	assert_refused(HV_EPROTO);
	req.kernel.size = 5;
	assert_refused(HV_EPROTO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loads_by_the_headers_addresses),
		TEST(fills_the_information),
		TEST(loads_to_the_end_of_the_file_when_told_nothing),
		TEST(finds_a_header_anywhere_in_8_kib),
		TEST(loads_elf_files),
		TEST(refuses_addresses_that_cannot_be),
		TEST(refuses_what_it_does_not_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
