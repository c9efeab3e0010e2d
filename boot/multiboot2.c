/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of tags, each a type, a size and a body, aligned to eight bytes:
 *
 *     total_size reserved | type size body.. pad | type size body.. pad | ... | 0 8
 *
 * One table says what is done with which type. Modules and the screen are judged last, since the
 * memory map, which the ones must lie in and the other beside, may come after them.
 */
#include "boot/multiboot2.h"

#include "boot/ranges.h"
#include "boot/screen_info.h"
#include "boot/uefi.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

/* [MULTIBOOT2] "Boot information format": the tag types of its subsections. */
#define MB2_TAG_END	    0
#define MB2_TAG_CMDLINE	    1
#define MB2_TAG_LOADER_NAME 2
#define MB2_TAG_MODULE	    3
#define MB2_TAG_MMAP	    6
#define MB2_TAG_FRAMEBUFFER 8
#define MB2_TAG_EFI32	    11
#define MB2_TAG_EFI64	    12
#define MB2_TAG_ACPI_OLD    14
#define MB2_TAG_ACPI_NEW    15
#define MB2_TAG_EFI_MMAP    17

/* [MULTIBOOT2] "Framebuffer info" */
#define FRAMEBUFFER_BYTES    24u /* and the colours behind it, by its type */
#define FRAMEBUFFER_RGB	     1u
#define FRAMEBUFFER_EGA_TEXT 2u
#define FRAMEBUFFER_COLOURS  6u

#define INFO_HEADER_BYTES 8u
#define TAG_HEADER_BYTES  8u
#define TAG_ALIGN	  8u
#define MMAP_ENTRY_BYTES  24u /* at least; entry_size says how many there are */
#define RSDP_OLD_BYTES	  20u

typedef enum hv_err tag_fn(const uint8_t *body, size_t len, struct boot_info *out);

/* A string that should end with a zero byte but need not. */
static void copy_text(char *dst, size_t cap, const uint8_t *text, size_t len)
{
	len = MIN(strnlen((const char *)text, len), cap - 1);
	memcpy(dst, text, len);
	dst[len] = '\0';
}

static enum hv_err parse_cmdline(const uint8_t *body, size_t len, struct boot_info *out)
{
	copy_text(out->cmdline, sizeof(out->cmdline), body, len);
	return HV_OK;
}

static enum hv_err parse_loader_name(const uint8_t *body, size_t len, struct boot_info *out)
{
	copy_text(out->loader, sizeof(out->loader), body, len);
	return HV_OK;
}

static enum hv_err parse_module(const uint8_t *body, size_t len, struct boot_info *out)
{
	struct boot_module *module;
	uint32_t start, end;

	if (len < 8)
		return HV_EPROTO;
	start = get_le32(body);
	end = get_le32(body + 4);
	if (end < start)
		return HV_EPROTO;
	if (out->nr_modules == BOOT_MODULES_MAX) {
		log_warn("boot", "more than %u modules, the rest left out", BOOT_MODULES_MAX);
		return HV_OK;
	}
	module = &out->modules[out->nr_modules++];
	module->hpa = start;
	module->len_bytes = end - start;
	copy_text(module->name, sizeof(module->name), body + 8, len - 8);
	return HV_OK;
}

static enum hv_err parse_mmap(const uint8_t *body, size_t len, struct boot_info *out)
{
	uint32_t entry_bytes;
	enum hv_err err;

	if (len < 8)
		return HV_EPROTO;
	entry_bytes = get_le32(body);
	if (entry_bytes < MMAP_ENTRY_BYTES)
		return HV_EPROTO;
	for (size_t at = 8; range_fits(at, entry_bytes, len); at += entry_bytes) {
		err = ranges_add(out, get_le64(body + at), get_le64(body + at + 8),
				 ranges_type_of_e820(get_le32(body + at + 16)));
		if (err != HV_OK)
			return err;
	}
	return HV_OK;
}

static enum hv_err parse_rsdp(const uint8_t *body, size_t len, struct boot_info *out)
{
	if (len < RSDP_OLD_BYTES)
		return HV_EPROTO;
	if (len < out->rsdp_copy_len)
		return HV_OK; /* the new one was here already */
	out->rsdp_copy_len = (uint32_t)MIN(len, sizeof(out->rsdp_copy));
	memcpy(out->rsdp_copy, body, out->rsdp_copy_len);
	return HV_OK;
}

static enum hv_err parse_framebuffer(const uint8_t *body, size_t len, struct boot_info *out)
{
	struct boot_screen *s = &out->screen;
	const uint8_t *colours = body + FRAMEBUFFER_BYTES;

	if (len < FRAMEBUFFER_BYTES)
		return HV_EPROTO;
	s->hpa = get_le64(body);
	s->pitch_bytes = get_le32(body + 8);
	s->width = get_le32(body + 12);
	s->height = get_le32(body + 16);
	s->bits_per_pixel = body[20];
	if (body[21] == FRAMEBUFFER_EGA_TEXT) {
		s->kind = SCREEN_VGA_TEXT;
	} else if (body[21] == FRAMEBUFFER_RGB) {
		if (len < FRAMEBUFFER_BYTES + FRAMEBUFFER_COLOURS)
			return HV_EPROTO;
		s->kind = SCREEN_FRAMEBUFFER;
		s->red = (struct boot_screen_colour){colours[0], colours[1]};
		s->green = (struct boot_screen_colour){colours[2], colours[3]};
		s->blue = (struct boot_screen_colour){colours[4], colours[5]};
	}
	return HV_OK;
}

/* UEFI of 32 bits has structs of another form, which we do not read. */
static enum hv_err parse_efi32(const uint8_t *body, size_t len, struct boot_info *out)
{
	(void)body;
	(void)len;
	out->firmware = FIRMWARE_UEFI;
	return HV_OK;
}

static enum hv_err parse_efi64(const uint8_t *body, size_t len, struct boot_info *out)
{
	if (len < 8)
		return HV_EPROTO;
	out->firmware = FIRMWARE_UEFI;
	out->efi_system_hpa = get_le64(body);
	return HV_OK;
}

static enum hv_err parse_efi_mmap(const uint8_t *body, size_t len, struct boot_info *out)
{
	if (len < 8)
		return HV_EPROTO;
	return uefi_add_map(out, body + 8, len - 8, get_le32(body));
}

static const struct {
	uint32_t type;
	tag_fn *parse;
} tag_rows[] = {
	{MB2_TAG_CMDLINE, parse_cmdline},
	{MB2_TAG_LOADER_NAME, parse_loader_name},
	{MB2_TAG_MODULE, parse_module},
	{MB2_TAG_MMAP, parse_mmap},
	{MB2_TAG_ACPI_OLD, parse_rsdp},
	{MB2_TAG_ACPI_NEW, parse_rsdp},
	{MB2_TAG_FRAMEBUFFER, parse_framebuffer},
	{MB2_TAG_EFI32, parse_efi32},
	{MB2_TAG_EFI64, parse_efi64},
	{MB2_TAG_EFI_MMAP, parse_efi_mmap},
};

static enum hv_err parse_tag(uint32_t type, const uint8_t *body, size_t len, struct boot_info *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(tag_rows); i++)
		if (tag_rows[i].type == type)
			return tag_rows[i].parse(body, len, out);
	return HV_OK; /* not for us */
}

static enum hv_err parse_tags(const uint8_t *info, size_t size, struct boot_info *out)
{
	uint32_t type, tag_bytes;
	enum hv_err err;

	for (size_t at = INFO_HEADER_BYTES; range_fits(at, TAG_HEADER_BYTES, size);
	     at = ALIGN_UP(at + tag_bytes, TAG_ALIGN)) {
		type = get_le32(info + at);
		tag_bytes = get_le32(info + at + 4);
		if (tag_bytes < TAG_HEADER_BYTES || !range_fits(at, tag_bytes, size))
			return HV_EPROTO;
		if (type == MB2_TAG_END)
			return HV_OK;
		err = parse_tag(type, info + at + TAG_HEADER_BYTES, tag_bytes - TAG_HEADER_BYTES,
				out);
		if (err != HV_OK)
			return err;
	}
	return HV_EPROTO;
}

enum hv_err multiboot2_parse(const void *info, size_t len_bytes, struct boot_info *out)
{
	uint32_t size;
	enum hv_err err;

	memset(out, 0, sizeof(*out));
	out->protocol = "multiboot2";
	if (len_bytes < INFO_HEADER_BYTES)
		return HV_EPROTO;
	size = get_le32(info);
	if (size < INFO_HEADER_BYTES || size > len_bytes)
		return HV_EPROTO;

	err = parse_tags(info, size, out);
	if (err != HV_OK)
		return err;
	if (out->nr_ranges == 0)
		return HV_EPROTO;
	ranges_drop_stray_modules(out);
	screen_info_check(out);
	return HV_OK;
}
