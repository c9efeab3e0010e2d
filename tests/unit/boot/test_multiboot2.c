/* SPDX-License-Identifier: Apache-2.0 */
/* multiboot2 information, built tag by tag as a loader does, and broken as one should not. */
#include "boot/multiboot2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"

static uint8_t area[16384];
static size_t len;
static struct boot_info info;

static int start(void **state)
{
	(void)state;
	memset(area, 0, sizeof(area));
	memset(&info, 0xee, sizeof(info));
	len = 8;
	return 0;
}

/* A tag with room for body_len bytes; returns where they go. */
static uint8_t *tag(uint32_t type, size_t body_len)
{
	uint8_t *at = area + len;

	put_le32(at, type);
	put_le32(at + 4, (uint32_t)(8 + body_len));
	len = ALIGN_UP(len + 8 + body_len, 8);
	return at + 8;
}

static void tag_text(uint32_t type, const char *text)
{
	memcpy(tag(type, strlen(text) + 1), text, strlen(text) + 1);
}

static void tag_module(uint32_t first, uint32_t end, const char *name)
{
	uint8_t *body = tag(3, 8 + strlen(name) + 1);

	put_le32(body, first);
	put_le32(body + 4, end);
	memcpy(body + 8, name, strlen(name) + 1);
}

static void tag_mmap(void)
{
	static const struct {
		uint64_t base, bytes;
		uint32_t type;
	} rows[] = {{0, 0x9fc00, 1}, {0x100000, 0x7ee0000, 1}, {0x7fe0000, 0x20000, 3}};
	uint8_t *body = tag(6, 8 + 24 * ARRAY_SIZE(rows));

	put_le32(body, 24);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put_le64(body + 8 + 24 * i, rows[i].base);
		put_le64(body + 16 + 24 * i, rows[i].bytes);
		put_le32(body + 24 + 24 * i, rows[i].type);
	}
}

/* Ends the list and parses an exactly sized copy, so that reading past it is seen. */
static enum hv_err parse_unended(void)
{
	uint8_t *copy = malloc(len);
	enum hv_err err;

	put_le32(area, (uint32_t)len);
	memcpy(copy, area, len);
	err = multiboot2_parse(copy, len, &info);
	free(copy);
	return err;
}

static enum hv_err parse(void)
{
	tag(0, 0);
	return parse_unended();
}

static void reads_what_grub_leaves(void **state)
{
	(void)state;
	tag_text(1, "log=debug serial");
	tag_text(2, "GRUB 2.12");
	tag_module(0x400000, 0x400123, "node.conf");
	tag(4, 8); /* basic memory: not used */
	tag_mmap();
	assert_int_equal(parse(), HV_OK);

	assert_string_equal(info.protocol, "multiboot2");
	assert_string_equal(info.cmdline, "log=debug serial");
	assert_string_equal(info.loader, "GRUB 2.12");
	assert_int_equal(info.nr_modules, 1);
	assert_int_equal(info.modules[0].hpa, 0x400000);
	assert_int_equal(info.modules[0].len_bytes, 0x123);
	assert_string_equal(info.modules[0].name, "node.conf");
	assert_int_equal(info.nr_ranges, 3);
	assert_int_equal(info.ranges[1].base, 0x100000);
	assert_int_equal(info.ranges[1].type, RANGE_RAM);
	assert_int_equal(info.ranges[2].type, RANGE_ACPI_RECLAIM);
	assert_int_equal(info.rsdp_copy_len, 0);
}

static void prefers_the_new_rsdp_in_either_order(void **state)
{
	(void)state;
	tag_mmap();
	memset(tag(15, 36), 'n', 36);
	memset(tag(14, 20), 'o', 20);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.rsdp_copy_len, 36);
	assert_int_equal(info.rsdp_copy[35], 'n');

	start(state);
	tag_mmap();
	memset(tag(14, 20), 'o', 20);
	memset(tag(15, 36), 'n', 36);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.rsdp_copy_len, 36);
	assert_int_equal(info.rsdp_copy[0], 'n');
}

static void cuts_long_text(void **state)
{
	char text[3000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	tag_mmap();
	tag_text(1, text);
	tag_text(2, text);
	tag_module(0x400000, 0x400001, text);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(strlen(info.cmdline), sizeof(info.cmdline) - 1);
	assert_int_equal(strlen(info.loader), sizeof(info.loader) - 1);
	assert_int_equal(strlen(info.modules[0].name), sizeof(info.modules[0].name) - 1);
}

static void takes_text_without_its_zero_byte(void **state)
{
	(void)state;
	memset(tag(1, 8), 'a', 8);
	tag_mmap();
	assert_int_equal(parse(), HV_OK);
	assert_string_equal(info.cmdline, "aaaaaaaa");
}

static void leaves_out_modules_that_are_not_in_ram(void **state)
{
	(void)state;
	tag_module(0xfee00000, 0xfee01000, "apic");
	tag_module(0x200000, 0x200010, "good");
	tag_mmap();
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.nr_modules, 1);
	assert_string_equal(info.modules[0].name, "good");
}

static void keeps_as_many_modules_as_fit(void **state)
{
	(void)state;
	tag_mmap();
	for (uint32_t i = 0; i < BOOT_MODULES_MAX + 3; i++)
		tag_module(0x200000 + i * 0x1000, 0x201000 + i * 0x1000, "m");
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.nr_modules, BOOT_MODULES_MAX);
}

static void refuses_a_module_that_ends_before_it_starts(void **state)
{
	(void)state;
	tag_mmap();
	tag_module(0x400000, 0x3fffff, "m");
	assert_int_equal(parse(), HV_EPROTO);
}

static void refuses_a_missing_memory_map_and_a_missing_end(void **state)
{
	(void)state;
	tag_text(1, "x");
	assert_int_equal(parse(), HV_EPROTO);
	start(state);
	tag_mmap();
	assert_int_equal(parse_unended(), HV_EPROTO);
}

static void refuses_tags_that_leave_their_container(void **state)
{
	(void)state;
	tag_mmap();
	put_le32(tag(1, 8) - 4, 4000);
	assert_int_equal(parse(), HV_EPROTO);
	start(state);
	tag_mmap();
	put_le32(tag(1, 8) - 4, 7); /* shorter than its own header: would never end */
	assert_int_equal(parse(), HV_EPROTO);
	start(state);
	tag_mmap();
	put_le32(tag(1, 8) - 4, 0xffffffff);
	assert_int_equal(parse(), HV_EPROTO);
}

static void refuses_bodies_that_are_too_short(void **state)
{
	static const struct {
		uint32_t type, len;
	} rows[] = {{3, 7}, {6, 7}, {8, 23}, {12, 7}, {14, 19}, {15, 19}, {17, 7}, {17, 8}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		start(state);
		tag_mmap();
		tag(rows[i].type, rows[i].len);
		assert_int_equal(parse(), HV_EPROTO);
	}
}

static void refuses_small_entries_in_the_memory_map(void **state)
{
	uint8_t *body;

	(void)state;
	tag_mmap();
	body = tag(6, 8 + 24);
	put_le32(body, 0); /* would never end */
	assert_int_equal(parse(), HV_EPROTO);
	start(state);
	tag_mmap();
	body = tag(6, 8 + 24);
	put_le32(body, 23);
	assert_int_equal(parse(), HV_EPROTO);
}

static void refuses_a_total_size_beyond_the_buffer_or_below_the_header(void **state)
{
	uint8_t small[16] = {0};

	(void)state;
	tag_mmap();
	tag(0, 0);
	put_le32(area, (uint32_t)len);
	assert_int_equal(multiboot2_parse(area, len, &info), HV_OK);
	assert_int_equal(multiboot2_parse(area, len - 1, &info), HV_EPROTO);
	put_le32(small, 17);
	assert_int_equal(multiboot2_parse(small, sizeof(small), &info), HV_EPROTO);
	put_le32(small, 7);
	assert_int_equal(multiboot2_parse(small, sizeof(small), &info), HV_EPROTO);
	assert_int_equal(multiboot2_parse(small, 7, &info), HV_EPROTO);
	assert_int_equal(multiboot2_parse(small, 0, &info), HV_EPROTO);
}

/* [MULTIBOOT2] "Framebuffer info", as GRUB fills it on OVMF. */
static uint8_t *tag_framebuffer(uint64_t hpa, uint32_t pitch, uint32_t width, uint32_t height)
{
	static const uint8_t rgb[] = {32, 1, 0, 0, 16, 8, 8, 8, 0, 8};
	uint8_t *body = tag(8, 30);

	put_le64(body, hpa);
	put_le32(body + 8, pitch);
	put_le32(body + 12, width);
	put_le32(body + 16, height);
	memcpy(body + 20, rgb, sizeof(rgb));
	return body;
}

static void reads_a_framebuffer(void **state)
{
	(void)state;
	tag_framebuffer(0x80000000, 5120, 1280, 800); /* before the map it is judged by */
	tag_mmap();
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.screen.kind, SCREEN_FRAMEBUFFER);
	assert_int_equal(info.screen.hpa, 0x80000000);
	assert_int_equal(info.screen.width, 1280);
	assert_int_equal(info.screen.height, 800);
	assert_int_equal(info.screen.pitch_bytes, 5120);
	assert_int_equal(info.screen.bits_per_pixel, 32);
	assert_int_equal(info.screen.red.shift, 16);
	assert_int_equal(info.screen.green.shift, 8);
	assert_int_equal(info.screen.blue.bits, 8);
	assert_int_equal(info.firmware, FIRMWARE_BIOS);
}

static void reads_a_text_screen(void **state)
{
	uint8_t *body;

	(void)state;
	tag_mmap();
	body = tag_framebuffer(0xb8000, 160, 80, 25);
	put_le32(body - 4, 8 + 24); /* GRUB leaves the colours out */
	body[20] = 16;
	body[21] = 2;
	len -= 8;
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.screen.kind, SCREEN_VGA_TEXT);
	assert_int_equal(info.screen.width, 80);
	assert_int_equal(info.screen.height, 25);
}

/* Each is a good screen with one byte or word changed. */
static void leaves_out_a_screen_that_cannot_be_drawn_on(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
	} words[] = {
		{0, 0x200000},	 /* in RAM */
		{0, 0x7fdfff0},	 /* ends of it in RAM */
		{4, 0x40000000}, /* beyond what we can map */
		{4, 0xffffffff}, /* wraps */
		{8, 5119},	 /* lines overlap */
		{8, 0xffffffff}, {12, 0},     {12, 639},	{12, 0x80000000},
		{16, 0},	 {16, 399},   {16, 0x80000000}, {20, 0x108},
		{20, 0x10f},	 {20, 0x100}, {20, 0x020},
	};
	static const struct {
		size_t at;
		uint8_t value;
	} bytes[] = {{24, 32}, {25, 0}, {25, 9}, {26, 25}, {28, 255}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		start(state);
		tag_mmap();
		put_le32(tag_framebuffer(0x80000000, 5120, 1280, 800) + words[i].at,
			 words[i].value);
		assert_int_equal(parse(), HV_OK);
		assert_int_equal(info.screen.kind, SCREEN_NONE);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		start(state);
		tag_mmap();
		tag_framebuffer(0x80000000, 5120, 1280, 800)[bytes[i].at] = bytes[i].value;
		assert_int_equal(parse(), HV_OK);
		assert_int_equal(info.screen.kind, SCREEN_NONE);
	}
}

static void leaves_out_a_text_screen_elsewhere(void **state)
{
	static const struct {
		uint64_t hpa;
		uint32_t pitch, width, height;
	} rows[] = {{0xb0000, 160, 80, 25},
		    {0xb8000, 158, 80, 25},
		    {0xb8000, 80, 40, 25},
		    {0xb8000, 160, 80, 0x8000},
		    {0xb8000, 266, 133, 25}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		start(state);
		tag_mmap();
		tag_framebuffer(rows[i].hpa, rows[i].pitch, rows[i].width, rows[i].height)[21] = 2;
		assert_int_equal(parse(), HV_OK);
		assert_int_equal(info.screen.kind, SCREEN_NONE);
	}
}

static void knows_uefi_by_its_system_table(void **state)
{
	(void)state;
	tag_mmap();
	put_le64(tag(12, 8), 0x17f9ec018);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.firmware, FIRMWARE_UEFI);
	assert_int_equal(info.efi_system_hpa, 0x17f9ec018);

	start(state);
	tag_mmap();
	put_le32(tag(11, 4), 0x7f9ec018);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.firmware, FIRMWARE_UEFI);
	assert_int_equal(info.efi_system_hpa, 0);
}

static void keeps_off_what_uefi_keeps(void **state)
{
	uint8_t *body;

	(void)state;
	body = tag(17, 8 + 48);
	put_le32(body, 48);
	put_le32(body + 4, 1);
	put_le32(body + 8, 6); /* runtime services' data */
	put_le64(body + 16, 0x1000000);
	put_le64(body + 32, 2);
	tag_mmap();
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.nr_ranges, 5);
	assert_int_equal(info.ranges[2].base, 0x1000000);
	assert_int_equal(info.ranges[2].len_bytes, 0x2000);
	assert_int_equal(info.ranges[2].type, RANGE_RESERVED);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_what_grub_leaves),
		TEST(prefers_the_new_rsdp_in_either_order),
		TEST(cuts_long_text),
		TEST(takes_text_without_its_zero_byte),
		TEST(leaves_out_modules_that_are_not_in_ram),
		TEST(keeps_as_many_modules_as_fit),
		TEST(refuses_a_module_that_ends_before_it_starts),
		TEST(refuses_a_missing_memory_map_and_a_missing_end),
		TEST(refuses_tags_that_leave_their_container),
		TEST(refuses_bodies_that_are_too_short),
		TEST(refuses_small_entries_in_the_memory_map),
		TEST(reads_a_framebuffer),
		TEST(reads_a_text_screen),
		TEST(leaves_out_a_screen_that_cannot_be_drawn_on),
		TEST(leaves_out_a_text_screen_elsewhere),
		TEST(knows_uefi_by_its_system_table),
		TEST(keeps_off_what_uefi_keeps),
		TEST(refuses_a_total_size_beyond_the_buffer_or_below_the_header),
	};

	return cmocka_run_group_tests_name("multiboot2", tests, NULL, NULL);
}
