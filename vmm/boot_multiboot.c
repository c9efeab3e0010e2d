/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot. The header, somewhere in the first 8 KiB, either gives load addresses itself or leaves
 * them to the ELF headers.
 */
#include "vmm/boot_multiboot.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "vmm/elf.h"
#include "vmm/layout.h"

/* [MULTIBOOT] "The layout of Multiboot header" */
#define HEADER_SEARCH	     8192u
#define HEADER_LEN	     12u
#define HEADER_LEN_ADDRESSES 32u
#define HEADER_MAGIC	     0x1badb002u
#define FLAG_ADDRESSES	     0x00010000u
#define FLAGS_REQUIRED	     0x0000ffffu /* what the loader must know to go on */
#define FLAGS_KNOWN	     0x00000003u /* page-aligned modules, memory information */

/* [MULTIBOOT] "Machine state", "Boot information format" */
#define LOADER_MAGIC 0x2badb002u
#define INFO_MEMORY  BIT(0)
#define INFO_CMDLINE BIT(2)
#define INFO_MODULES BIT(3)
#define INFO_MAP     BIT(6)

struct info {
	uint32_t flags, mem_lower_kib, mem_upper_kib, boot_device, cmdline;
	uint32_t nr_modules, modules, symbols[4], map_len, map;
	uint32_t others[16]; /* drives, configuration table, loader's name, APM, video: none */
};
static_assert(sizeof(struct info) == 116, "[MULTIBOOT] boot information");

struct module {
	uint32_t start, end, cmdline, reserved;
};
static_assert(sizeof(struct module) == 16, "[MULTIBOOT] module structure");

struct PACKED map_entry {
	uint32_t len_of_rest;
	uint64_t base, len_bytes;
	uint32_t type;
};
static_assert(sizeof(struct map_entry) == 24, "[MULTIBOOT] memory map entry");

#define MODULES (LAYOUT_START_TABLES)
#define MAP	(LAYOUT_START_TABLES + sizeof(struct module))

struct header {
	uint32_t at; /* offset in the image */
	uint32_t flags, header_gpa, load_gpa, load_end_gpa, bss_end_gpa, entry;
};

struct loaded {
	uint64_t entry, low_gpa, high_gpa;
};

static enum hv_err fail(const char **why, enum hv_err err, const char *text)
{
	*why = text;
	return err;
}

static bool is_header(const uint8_t *at)
{
	return get_le32(at) == HEADER_MAGIC &&
	       get_le32(at) + get_le32(at + 4) + get_le32(at + 8) == 0;
}

static enum hv_err parse_header(const uint8_t *raw, uint64_t left, struct header *h,
				const char **why)
{
	h->flags = get_le32(raw + 4);
	if (h->flags & FLAGS_REQUIRED & ~FLAGS_KNOWN)
		return fail(why, HV_ENOTSUP, "the kernel demands a Multiboot feature we lack");
	if (!(h->flags & FLAG_ADDRESSES))
		return HV_OK;
	if (left < HEADER_LEN_ADDRESSES)
		return fail(why, HV_EPROTO, "the kernel's Multiboot header is cut short");
	h->header_gpa = get_le32(raw + 12);
	h->load_gpa = get_le32(raw + 16);
	h->load_end_gpa = get_le32(raw + 20);
	h->bss_end_gpa = get_le32(raw + 24);
	h->entry = get_le32(raw + 28);
	return HV_OK;
}

/* The search is done in pieces that overlap by a header's length, to keep the stack small. */
static enum hv_err find_header(const struct image_src *src, struct header *h, const char **why)
{
	uint8_t piece[1024 + HEADER_LEN_ADDRESSES];
	uint64_t end = MIN(src->size, HEADER_SEARCH);

	for (uint64_t at = 0; at + HEADER_LEN <= end; at += 1024) {
		uint64_t len = MIN(sizeof(piece), end - at);
		enum hv_err err = boot_read(src, at, piece, len);

		if (err != HV_OK)
			return fail(why, err, "the kernel image cannot be read");
		for (uint64_t i = 0; i < 1024 && i + HEADER_LEN <= len; i += 4) {
			if (!is_header(piece + i))
				continue;
			h->at = (uint32_t)(at + i);
			return parse_header(piece + i, len - i, h, why);
		}
	}
	return fail(why, HV_EPROTO, "the kernel has no Multiboot header");
}

/* Load addresses of the header: one piece of the file, then zeros. */
static enum hv_err plan_by_header(const struct boot_request *req, const struct header *h,
				  struct loaded *out, const char **why)
{
	uint64_t offset, len, bss_len;
	struct boot_piece piece;

	if (h->load_gpa > h->header_gpa || h->header_gpa - h->load_gpa > h->at)
		return fail(why, HV_EPROTO,
			    "the kernel's Multiboot addresses contradict each other");
	offset = h->at - (h->header_gpa - h->load_gpa);
	len = h->load_end_gpa != 0 ? (uint64_t)h->load_end_gpa - h->load_gpa
				   : req->kernel.size - offset;
	if (h->load_gpa < LAYOUT_KERNEL_MIN || !range_fits(offset, len, req->kernel.size))
		return fail(why, HV_EPROTO, "the kernel's Multiboot addresses are out of range");
	bss_len = h->bss_end_gpa > h->load_gpa + len ? h->bss_end_gpa - (h->load_gpa + len) : 0;
	if (!range_fits(h->load_gpa, len + bss_len, req->mem->low_bytes))
		return fail(why, HV_ENOMEM, "the guest has too little memory for this kernel");
	piece = (struct boot_piece){BOOT_KERNEL, offset, h->load_gpa, len, len + bss_len};
	if (boot_plan_add(req->plan, req->mem, &piece) != HV_OK)
		return fail(why, HV_EPROTO, "the kernel's Multiboot addresses are out of range");
	*out = (struct loaded){h->entry, h->load_gpa, h->load_gpa + len + bss_len};
	return HV_OK;
}

static enum hv_err plan_kernel(const struct boot_request *req, struct loaded *out, const char **why)
{
	struct header h = {0};
	struct elf_info elf;
	enum hv_err err = find_header(&req->kernel, &h, why);

	if (err != HV_OK)
		return err;
	if (h.flags & FLAG_ADDRESSES) {
		err = plan_by_header(req, &h, out, why);
	} else {
		err = elf_plan(req, &elf, why);
		if (err == HV_OK)
			*out = (struct loaded){elf.entry, elf.low_gpa, elf.high_gpa};
	}
	if (err != HV_OK)
		return err;
	if (out->entry < out->low_gpa || out->entry >= out->high_gpa)
		return fail(why, HV_EPROTO, "the kernel's entry point lies outside it");
	return HV_OK;
}

static enum hv_err put_map(const struct gmem *mem, uint32_t *len)
{
	struct boot_map_row rows[BOOT_MAP_ROWS];
	struct map_entry entries[BOOT_MAP_ROWS];
	uint32_t nr = boot_map(mem, rows);

	for (uint32_t i = 0; i < nr; i++)
		entries[i] = (struct map_entry){sizeof(entries[i]) - sizeof(uint32_t), rows[i].base,
						rows[i].len_bytes, rows[i].type};
	*len = (uint32_t)(nr * sizeof(entries[0]));
	return gmem_write(mem, MAP, entries, *len);
}

static enum hv_err put_info(const struct boot_request *req, uint64_t initrd_gpa)
{
	const struct module module = {
		.start = (uint32_t)initrd_gpa,
		.end = (uint32_t)(initrd_gpa + req->initrd.size),
		.cmdline = LAYOUT_CMDLINE,
	};
	struct info info = {
		.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP,
		.mem_lower_kib = LAYOUT_LOW_RAM_END / KIB,
		.mem_upper_kib = (uint32_t)((req->mem->low_bytes - LAYOUT_KERNEL_MIN) / KIB),
		.cmdline = LAYOUT_CMDLINE,
		.nr_modules = req->initrd.size > 0,
		.modules = MODULES,
		.map = MAP,
	};
	enum hv_err err = gmem_write(req->mem, MODULES, &module, sizeof(module));

	if (err == HV_OK)
		err = put_map(req->mem, &info.map_len);
	if (err == HV_OK)
		err = gmem_write(req->mem, LAYOUT_START_INFO, &info, sizeof(info));
	return err;
}

enum hv_err boot_multiboot(const struct boot_request *req, struct boot_entry *out, const char **why)
{
	struct boot_entry entry = {
		.mode = BOOT_PROTECTED_32,
		.rsp = LAYOUT_STACK_TOP,
		.rax = LOADER_MAGIC,
		.rbx = LAYOUT_START_INFO,
	};
	struct loaded kernel;
	uint64_t initrd_gpa;
	enum hv_err err;

	boot_plan_begin(req->plan, &req->kernel, &req->initrd);
	err = plan_kernel(req, &kernel, why);
	if (err != HV_OK)
		return err;
	err = boot_put_cmdline(req->mem, req->cmdline, LAYOUT_CMDLINE_MAX);
	if (err != HV_OK)
		return fail(why, err, "the command line is too long");
	err = boot_plan_initrd(req, kernel.high_gpa, GMEM_LOW_MAX, &initrd_gpa);
	if (err != HV_OK)
		return fail(why, err,
			    err == HV_ENOMEM ? "the guest has too little memory for its initrd"
					     : "the initrd cannot be read");
	err = put_info(req, initrd_gpa);
	entry.rip = kernel.entry;
	if (err == HV_OK)
		err = boot_put_gdt(req->mem, &entry);
	if (err != HV_OK)
		return fail(why, err, "the guest has too little memory");
	*out = entry;
	return HV_OK;
}
