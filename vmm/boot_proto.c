/* SPDX-License-Identifier: Apache-2.0 */
/* Memory map, command line, initrd and GDT: the same for every way to boot a guest. */
#include "vmm/boot_proto.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "vmm/layout.h"

static void add_row(struct boot_map_row *rows, uint32_t *nr, uint64_t base, uint64_t end,
		    enum boot_map_type type)
{
	if (base >= end)
		return;
	ASSERT(*nr < BOOT_MAP_ROWS);
	rows[(*nr)++] = (struct boot_map_row){base, end - base, type};
}

uint32_t boot_map(const struct gmem *mem, struct boot_map_row rows[BOOT_MAP_ROWS])
{
	const uint64_t ecam_end = LAYOUT_ECAM + LAYOUT_ECAM_BYTES;
	const uint64_t high_end = GMEM_HIGH_BASE + mem->high_bytes;
	uint32_t nr = 0;

	ASSERT(mem->low_bytes >= LAYOUT_KERNEL_MIN);
	add_row(rows, &nr, 0, LAYOUT_LOW_RAM_END, BOOT_MAP_RAM);
	add_row(rows, &nr, LAYOUT_LOW_RAM_END, 0xa0000, BOOT_MAP_RESERVED);
	add_row(rows, &nr, LAYOUT_BIOS, LAYOUT_KERNEL_MIN, BOOT_MAP_RESERVED);
	add_row(rows, &nr, LAYOUT_KERNEL_MIN, mem->low_bytes, BOOT_MAP_RAM);
	add_row(rows, &nr, LAYOUT_ECAM, ecam_end, BOOT_MAP_RESERVED);
	add_row(rows, &nr, GMEM_HIGH_BASE, high_end, BOOT_MAP_RAM);
	return nr;
}

enum hv_err boot_read(const struct image_src *src, uint64_t offset, void *dst, uint64_t len_bytes)
{
	if (!range_fits(offset, len_bytes, src->size))
		return HV_EPROTO;
	return src->read(src->ctx, offset, dst, len_bytes);
}

enum hv_err boot_plan_initrd(const struct boot_request *req, uint64_t floor_gpa, uint64_t top_gpa,
			     uint64_t *gpa)
{
	uint64_t size = req->initrd.size, top = MIN(top_gpa, req->mem->low_bytes);
	struct boot_piece piece = {.image = BOOT_INITRD, .file_bytes = size, .mem_bytes = size};
	enum hv_err err;

	if (size == 0) {
		*gpa = 0;
		return HV_OK;
	}
	if (top < floor_gpa || size > top - floor_gpa)
		return HV_ENOMEM;
	piece.gpa = ALIGN_DOWN(top - size, 4096);
	if (piece.gpa < floor_gpa)
		return HV_ENOMEM;
	err = boot_plan_add(req->plan, req->mem, &piece);
	if (err == HV_OK)
		*gpa = piece.gpa;
	return err;
}

enum hv_err boot_put_cmdline(const struct gmem *mem, const char *cmdline, uint64_t max_len)
{
	uint64_t len = strlen(cmdline);

	if (len > max_len || len >= LAYOUT_CMDLINE_MAX)
		return HV_EINVAL;
	return gmem_write(mem, LAYOUT_CMDLINE, cmdline, len + 1);
}

/* [SDM] "Segment Descriptors": flat, from attributes in the form of struct guest_segment. */
static uint64_t flat_descriptor(uint16_t attr)
{
	return 0x000f00000000ffffull | (uint64_t)(attr & 0xf0ff) << 40;
}

enum hv_err boot_put_gdt(const struct gmem *mem, struct boot_entry *entry)
{
	uint16_t code = entry->mode == BOOT_LONG_64 ? BOOT_ATTR_CODE_64 : BOOT_ATTR_CODE_32;
	uint64_t gdt[6] = {
		[BOOT_SEL_CODE / 8] = flat_descriptor(code),
		[BOOT_SEL_DATA / 8] = flat_descriptor(BOOT_ATTR_DATA),
		[BOOT_SEL_TSS / 8] = 0x67ull | (uint64_t)BOOT_ATTR_TSS << 40,
	};

	entry->gdt_base = LAYOUT_GDT;
	entry->gdt_limit = sizeof(gdt) - 1;
	return gmem_write(mem, LAYOUT_GDT, gdt, sizeof(gdt));
}
