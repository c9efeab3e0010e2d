/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF loader and PVH on made-up kernels of both classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "tests/unit/support/fake_vm.h"
#include "vmm/boot_pvh.h"
#include "vmm/elf.h"
#include "vmm/layout.h"

#define TEXT_AT	  0x1000u
#define TEXT_LEN  0x2345u
#define TEXT_GPA  0x200000u
#define BSS_LEN	  0x3000u
#define NOTES_AT  0x4000u
#define NOTES_LEN 0x40u
#define IMAGE_LEN (NOTES_AT + NOTES_LEN)
#define ENTRY	  (TEXT_GPA + 0x10)

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

static void put_phdr_64(uint8_t *at, uint32_t type, uint64_t offset, uint64_t gpa, uint64_t filesz,
			uint64_t memsz)
{
	put_le32(at, type);
	put_le64(at + 8, offset);
	put_le64(at + 16, 0xffffffff80000000ull + gpa);
	put_le64(at + 24, gpa);
	put_le64(at + 32, filesz);
	put_le64(at + 40, memsz);
}

static void put_phdr_32(uint8_t *at, uint32_t type, uint32_t offset, uint32_t gpa, uint32_t filesz,
			uint32_t memsz)
{
	put_le32(at, type);
	put_le32(at + 4, offset);
	put_le32(at + 12, gpa);
	put_le32(at + 16, filesz);
	put_le32(at + 20, memsz);
}

static void put_notes(void)
{
	uint8_t *at = image + NOTES_AT;

	put_le32(at, 4); /* somebody else's note of the same type first */
	put_le32(at + 4, 3);
	put_le32(at + 8, 18);
	memcpy(at + 12, "GNU", 4);
	memset(at + 16, 0xee, 4);
	at += 20;
	put_le32(at, 4);
	put_le32(at + 4, 8);
	put_le32(at + 8, 18);
	memcpy(at + 12, "Xen", 4);
	put_le64(at + 16, ENTRY);
}

static void make_image_64(void)
{
	memset(image, 0, sizeof(image));
	memcpy(image, "\177ELF\2\1\1", 7);
	put_le16(image + 16, 2);
	put_le16(image + 18, 62);
	put_le64(image + 24, 0xffffffff80200000ull);
	put_le64(image + 32, 64);
	put_le16(image + 54, 56);
	put_le16(image + 56, 2);
	put_phdr_64(image + 64, 1, TEXT_AT, TEXT_GPA, TEXT_LEN, TEXT_LEN + BSS_LEN);
	put_phdr_64(image + 120, 4, NOTES_AT, 0, NOTES_LEN, NOTES_LEN);
	memset(image + TEXT_AT, 0x90, TEXT_LEN);
	put_notes();
}

static void make_image_32(void)
{
	make_image_64();
	memset(image + 4, 0, 200);
	memcpy(image, "\177ELF\1\1\1", 7);
	put_le16(image + 16, 2);
	put_le16(image + 18, 3);
	put_le32(image + 24, 0x100000);
	put_le32(image + 28, 52);
	put_le16(image + 42, 32);
	put_le16(image + 44, 2);
	put_phdr_32(image + 52, 1, TEXT_AT, TEXT_GPA, TEXT_LEN, TEXT_LEN + BSS_LEN);
	put_phdr_32(image + 84, 4, NOTES_AT, 0, NOTES_LEN, NOTES_LEN);
}

static int setup(void **state)
{
	(void)state;
	make_image_64();
	memset(initrd, 0x5a, sizeof(initrd));
	vm = fake_vm_create(8 * MIB, 4 * MIB);
	req = (struct boot_request){
		.plan = &plan,
		.mem = vm_memory(vm),
		.kernel = {read_bytes, image, sizeof(image)},
		.initrd = {read_bytes, initrd, sizeof(initrd)},
		.cmdline = "role=agent",
		.rsdp_gpa = 0xe0000,
	};
	memset(&entry, 0x77, sizeof(entry));
	why = NULL;
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
	assert_int_equal(boot_pvh(&req, &entry, &why), HV_OK);
	assert_int_equal(boot_plan_step(&plan, req.mem, ~0ull), HV_OK);
}

static void assert_refused(enum hv_err err)
{
	why = NULL;
	assert_int_equal(boot_pvh(&req, &entry, &why), err);
	assert_non_null(why);
	assert_int_equal(entry.rip, 0x7777777777777777ull);
}

static void enters_where_the_note_says(void **state)
{
	(void)state;
	boot();
	assert_int_equal(entry.mode, BOOT_PROTECTED_32);
	assert_int_equal(entry.rip, ENTRY);
	assert_int_equal(entry.rbx, LAYOUT_START_INFO);
	assert_int_equal(get_le64(at(entry.gdt_base + 0x10)), 0x00cf9b000000ffffull);
}

static void loads_text_and_clears_bss(void **state)
{
	(void)state;
	memset(at(TEXT_GPA), 0xff, 64 * 1024); /* what was there before */
	boot();
	assert_memory_equal(at(TEXT_GPA), image + TEXT_AT, TEXT_LEN);
	for (uint32_t i = 0; i < BSS_LEN; i++)
		assert_int_equal(*at(TEXT_GPA + TEXT_LEN + i), 0);
	assert_int_equal(*at(TEXT_GPA + TEXT_LEN + BSS_LEN), 0xff);
}

static void fills_the_start_info(void **state)
{
	const uint8_t *info, *module, *map;

	(void)state;
	boot();
	info = at(entry.rbx);
	assert_int_equal(get_le32(info), 0x336ec578);
	assert_int_equal(get_le32(info + 4), 1);
	assert_int_equal(get_le32(info + 12), 1);
	assert_string_equal((const char *)at(get_le64(info + 24)), "role=agent");
	assert_int_equal(get_le64(info + 32), 0xe0000);
	module = at(get_le64(info + 16));
	assert_int_equal(get_le64(module + 8), sizeof(initrd));
	assert_memory_equal(at(get_le64(module)), initrd, sizeof(initrd));
	map = at(get_le64(info + 40));
	assert_int_equal(get_le32(info + 48), 6);
	assert_int_equal(get_le64(map + 3 * 24), 0x100000);
	assert_int_equal(get_le64(map + 3 * 24 + 8), 7 * MIB);
	assert_int_equal(get_le32(map + 3 * 24 + 16), 1);
	assert_int_equal(get_le32(map + 4 * 24 + 16), 2);
}

static void boots_32_bit_files_too(void **state)
{
	struct elf_info info;

	(void)state;
	make_image_32();
	boot();
	assert_int_equal(entry.rip, ENTRY);
	assert_int_equal(elf_plan(&req, &info, &why), HV_OK);
	assert_false(info.is_64);
	assert_int_equal(info.entry, 0x100000);
	assert_int_equal(info.low_gpa, TEXT_GPA);
	assert_int_equal(info.high_gpa, TEXT_GPA + TEXT_LEN + BSS_LEN);
}

static void has_no_modules_without_an_initrd(void **state)
{
	(void)state;
	req.initrd.size = 0;
	boot();
	assert_int_equal(get_le32(at(entry.rbx) + 12), 0);
	assert_int_equal(get_le64(at(entry.rbx) + 16), 0);
}

static void refuses_what_is_no_x86_executable(void **state)
{
	static const struct {
		uint32_t offset;
		uint8_t value;
	} changes[] = {{0, 0},	 {4, 3},  {5, 2},   {16, 1}, {18, 40},
		       {54, 55}, {56, 0}, {56, 65}, {39, 1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		make_image_64();
		image[changes[i].offset] = changes[i].value;
		assert_refused(HV_EPROTO);
	}
	make_image_64();
	for (uint64_t size = 0; size < 130; size += 13) {
		req.kernel.size = size;
		assert_refused(HV_EPROTO);
	}
}

static void refuses_segments_that_cannot_be(void **state)
{
	uint8_t *phdr = image + 64;

	(void)state;
	put_phdr_64(phdr, 1, TEXT_AT, TEXT_GPA, TEXT_LEN, TEXT_LEN - 1);
	assert_refused(HV_EPROTO);
	put_phdr_64(phdr, 1, IMAGE_LEN - 1, TEXT_GPA, 2, 2);
	assert_refused(HV_EPROTO);
	put_phdr_64(phdr, 1, ~0ull, TEXT_GPA, 2, 2);
	assert_refused(HV_EPROTO);
	put_phdr_64(phdr, 1, TEXT_AT, LAYOUT_ZERO_PAGE, 2, 2);
	assert_refused(HV_EPROTO);
	put_phdr_64(phdr, 1, TEXT_AT, 8 * MIB - 1, 2, 2);
	assert_refused(HV_ENOMEM);
	put_phdr_64(phdr, 1, TEXT_AT, TEXT_GPA, 2, ~0ull);
	assert_refused(HV_ENOMEM);
	put_phdr_64(phdr, 1, TEXT_AT, TEXT_GPA, 0, 0); /* nothing to load */
	assert_refused(HV_EPROTO);
}

static void refuses_segments_that_overlap(void **state)
{
	(void)state;
	put_le16(image + 56, 3);
	put_phdr_64(image + 176, 1, TEXT_AT, TEXT_GPA + TEXT_LEN, 16, 16);
	assert_refused(HV_EPROTO);
	put_phdr_64(image + 176, 1, TEXT_AT, TEXT_GPA + TEXT_LEN + BSS_LEN, 16, 16);
	boot();
}

static void refuses_a_missing_or_stray_entry_point(void **state)
{
	(void)state;
	image[NOTES_AT + 20 + 12] = 'Z';
	assert_refused(HV_EPROTO);
	put_notes();
	put_le32(image + NOTES_AT + 36, TEXT_GPA - 1);
	assert_refused(HV_EPROTO);
	put_le32(image + NOTES_AT + 36, TEXT_GPA + TEXT_LEN + BSS_LEN);
	assert_refused(HV_EPROTO);
	put_notes();
	put_le32(image + NOTES_AT + 20 + 4, 0xffffffff); /* a description that never ends */
	assert_refused(HV_EPROTO);
}

static void refuses_what_does_not_fit(void **state)
{
	char cmdline[LAYOUT_CMDLINE_MAX + 1];

	(void)state;
	req.initrd.size = 6 * MIB;
	assert_refused(HV_ENOMEM);
	req.initrd.size = 0;
	memset(cmdline, 'x', sizeof(cmdline));
	cmdline[LAYOUT_CMDLINE_MAX] = '\0';
	req.cmdline = cmdline;
	assert_refused(HV_EINVAL);
	cmdline[LAYOUT_CMDLINE_MAX - 1] = '\0';
	boot();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(enters_where_the_note_says),
		TEST(loads_text_and_clears_bss),
		TEST(fills_the_start_info),
		TEST(boots_32_bit_files_too),
		TEST(has_no_modules_without_an_initrd),
		TEST(refuses_what_is_no_x86_executable),
		TEST(refuses_segments_that_cannot_be),
		TEST(refuses_segments_that_overlap),
		TEST(refuses_a_missing_or_stray_entry_point),
		TEST(refuses_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
