/* SPDX-License-Identifier: Apache-2.0 */
/* The bzImage loader on a made-up kernel: what it places where, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "tests/unit/support/fake_vm.h"
#include "vmm/boot_linux.h"
#include "vmm/layout.h"

#define SETUP_LEN  (2 * 512)
#define KERNEL_LEN (3 * MIB + 123)
#define INITRD_LEN (1 * MIB + 7)
#define PREF	   (16 * MIB)
#define INIT_SIZE  (8 * MIB)

static uint8_t image[SETUP_LEN + KERNEL_LEN], initrd[INITRD_LEN];
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

static void make_image(void)
{
	memset(image, 0, SETUP_LEN);
	for (size_t i = 0; i < KERNEL_LEN; i++)
		image[SETUP_LEN + i] = (uint8_t)(i * 7 + i / 4096);
	image[0x1f1] = 1; /* one sector behind the boot sector */
	put_le16(image + 0x1fe, 0xaa55);
	image[0x200] = 0xeb;
	image[0x201] = 0x6a;
	memcpy(image + 0x202, "HdrS", 4);
	put_le16(image + 0x206, 0x020f);
	image[0x211] = 1;
	put_le32(image + 0x22c, 0x7fffffff);
	put_le32(image + 0x230, 0x200000);
	image[0x234] = 1;
	put_le16(image + 0x236, 0x7f);
	put_le32(image + 0x238, 2047);
	put_le64(image + 0x258, PREF);
	put_le32(image + 0x260, INIT_SIZE);
}

static int setup(void **state)
{
	(void)state;
	make_image();
	memset(initrd, 0xa7, sizeof(initrd));
	vm = fake_vm_create(64 * MIB, 32 * MIB);
	req = (struct boot_request){
		.plan = &plan,
		.mem = vm_memory(vm),
		.kernel = {read_bytes, image, sizeof(image)},
		.initrd = {read_bytes, initrd, sizeof(initrd)},
		.cmdline = "console=ttyS0",
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

static const uint8_t *at(uint64_t gpa)
{
	uint64_t got;

	return gmem_map(req.mem, gpa, 1, &got);
}

static void boot(void)
{
	assert_int_equal(boot_linux(&req, &entry, &why), HV_OK);
	assert_int_equal(boot_plan_step(&plan, req.mem, ~0ull), HV_OK);
}

static void assert_refused(enum hv_err err)
{
	assert_int_equal(boot_linux(&req, &entry, &why), err);
	assert_non_null(why);
	assert_int_equal(entry.rip, 0x7777777777777777ull);
}

static void enters_64_bit_code_behind_the_kernels_start(void **state)
{
	(void)state;
	boot();
	assert_int_equal(entry.mode, BOOT_LONG_64);
	assert_int_equal(entry.rip, PREF + 0x200);
	assert_int_equal(entry.rsi, LAYOUT_ZERO_PAGE);
	assert_int_equal(entry.cr3, LAYOUT_PML4);
}

static void puts_every_byte_of_the_kernel_in_place(void **state)
{
	uint8_t *copy = test_malloc(KERNEL_LEN);

	(void)state;
	boot();
	assert_int_equal(gmem_read(req.mem, PREF, copy, KERNEL_LEN), HV_OK);
	assert_memory_equal(copy, image + SETUP_LEN, KERNEL_LEN);
	test_free(copy);
}

static void puts_the_initrd_high_and_says_where(void **state)
{
	uint64_t gpa;

	(void)state;
	boot();
	gpa = get_le32(at(LAYOUT_ZERO_PAGE + 0x218));
	assert_int_equal(gpa, 64 * MIB - 2 * MIB + (MIB - 4096)); /* highest page it fits behind */
	assert_int_equal(get_le32(at(LAYOUT_ZERO_PAGE + 0x21c)), INITRD_LEN);
	assert_int_equal(*at(gpa), 0xa7);
	assert_int_equal(*at(gpa + INITRD_LEN - 1), 0xa7);
}

static void obeys_the_initrds_highest_address(void **state)
{
	(void)state;
	put_le32(image + 0x22c, 40 * MIB - 1);
	boot();
	assert_in_range(get_le32(at(LAYOUT_ZERO_PAGE + 0x218)), PREF + INIT_SIZE,
			40 * MIB - INITRD_LEN);
}

static void fills_the_zero_page(void **state)
{
	const uint8_t *zp;

	(void)state;
	boot();
	zp = at(LAYOUT_ZERO_PAGE);
	assert_memory_equal(zp + 0x202, "HdrS", 4);
	assert_int_equal(zp[0x210], 0xff);
	assert_int_equal(get_le64(zp + 0x070), 0xe0000);
	assert_int_equal(get_le32(zp + 0x228), LAYOUT_CMDLINE);
	assert_string_equal((const char *)at(LAYOUT_CMDLINE), "console=ttyS0");
	assert_int_equal(zp[0x1ef], 0); /* the sentinel */
	assert_int_equal(zp[0x1e8], 6);
	assert_int_equal(get_le64(zp + 0x2d0), 0);
	assert_int_equal(get_le64(zp + 0x2d8), 0x9fc00);
	assert_int_equal(get_le32(zp + 0x2e0), 1);
	assert_int_equal(get_le64(zp + 0x2d0 + 3 * 20), 0x100000);
	assert_int_equal(get_le64(zp + 0x2d0 + 3 * 20 + 8), 63 * MIB);
	assert_int_equal(get_le64(zp + 0x2d0 + 5 * 20), 4 * GIB);
	assert_int_equal(get_le64(zp + 0x2d0 + 5 * 20 + 8), 32 * MIB);
}

static void maps_four_gib_one_to_one(void **state)
{
	uint64_t pml4e, pdpte, pde;

	(void)state;
	boot();
	for (uint64_t va = 0; va < 4 * GIB; va += 511 * 2 * MIB) {
		pml4e = get_le64(at(entry.cr3 + (va >> 39) * 8));
		assert_int_equal(pml4e & 0xfff, 3);
		pdpte = get_le64(at((pml4e & ~0xfffull) + (va >> 30 & 511) * 8));
		assert_int_equal(pdpte & 0xfff, 3);
		pde = get_le64(at((pdpte & ~0xfffull) + (va >> 21 & 511) * 8));
		assert_int_equal(pde, ALIGN_DOWN(va, 2 * MIB) | 0x83);
	}
	assert_int_equal(get_le64(at(entry.cr3 + 8)), 0);
}

static void gives_flat_64_bit_segments(void **state)
{
	(void)state;
	boot();
	assert_int_equal(get_le64(at(entry.gdt_base + 0x10)), 0x00af9b000000ffffull);
	assert_int_equal(get_le64(at(entry.gdt_base + 0x18)), 0x00cf93000000ffffull);
}

static void takes_a_kernel_without_an_initrd(void **state)
{
	(void)state;
	req.initrd.size = 0;
	boot();
	assert_int_equal(get_le32(at(LAYOUT_ZERO_PAGE + 0x218)), 0);
}

static void moves_a_relocatable_kernel_above_1_mib(void **state)
{
	(void)state;
	put_le64(image + 0x258, 0x7000); /* on top of the zero page */
	boot();
	assert_int_equal(entry.rip, 2 * MIB + 0x200);
}

static void refuses_what_is_not_a_bootable_bzimage(void **state)
{
	static const struct {
		uint32_t offset;
		uint8_t value;
	} changes[] = {
		{0x1fe, 0}, {0x202, 'h'}, {0x206, 0x0b}, {0x211, 0}, {0x236, 0x7e}, {0x201, 0x61},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		make_image();
		image[changes[i].offset] = changes[i].value;
		assert_refused(HV_EPROTO);
	}
	make_image();
	put_le64(image + 0x258, 0);
	image[0x234] = 0;
	assert_refused(HV_EPROTO);
}

static void refuses_truncated_images(void **state)
{
	static const uint64_t sizes[] = {0, 1, 0x1f1, 0x28f, SETUP_LEN, SETUP_LEN + 0x200};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		req.kernel.size = sizes[i];
		assert_refused(HV_EPROTO);
	}
}

static void refuses_what_does_not_fit(void **state)
{
	(void)state;
	put_le32(image + 0x260, 48 * MIB + 1);
	assert_refused(HV_ENOMEM);
	put_le32(image + 0x260, 48 * MIB - MIB); /* no room for the initrd any more */
	assert_refused(HV_ENOMEM);
	put_le64(image + 0x258, ~0ull - 4096);
	assert_refused(HV_ENOMEM);
	make_image();
	put_le32(image + 0x22c, PREF);
	assert_refused(HV_ENOMEM);
}

static void refuses_a_command_line_that_the_kernel_would_cut(void **state)
{
	(void)state;
	put_le32(image + 0x238, 12);
	assert_refused(HV_EINVAL);
	put_le32(image + 0x238, 13);
	boot();
}

static enum hv_err read_fails(const void *ctx, uint64_t offset, void *dst, uint64_t len_bytes)
{
	(void)ctx, (void)offset, (void)dst, (void)len_bytes;
	return HV_EIO;
}

static void passes_on_a_read_error(void **state)
{
	(void)state;
	req.kernel.read = read_fails;
	assert_refused(HV_EIO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(enters_64_bit_code_behind_the_kernels_start),
		TEST(puts_every_byte_of_the_kernel_in_place),
		TEST(puts_the_initrd_high_and_says_where),
		TEST(obeys_the_initrds_highest_address),
		TEST(fills_the_zero_page),
		TEST(maps_four_gib_one_to_one),
		TEST(gives_flat_64_bit_segments),
		TEST(takes_a_kernel_without_an_initrd),
		TEST(moves_a_relocatable_kernel_above_1_mib),
		TEST(refuses_what_is_not_a_bootable_bzimage),
		TEST(refuses_truncated_images),
		TEST(refuses_what_does_not_fit),
		TEST(refuses_a_command_line_that_the_kernel_would_cut),
		TEST(passes_on_a_read_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
