/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Linux/x86 boot protocol, 64-bit entry. A bzImage is real-mode sectors that we skip, but for
 * the setup header in them, and then the kernel proper, which goes to its preferred address. The
 * header is copied once, checked, and becomes part of the zero page.
 */
#include "vmm/boot_linux.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "vmm/layout.h"

/* [LINUX-BOOT] "The Real-Mode Kernel Header"; offsets in the image and in the zero page alike */
#define HDR_START	    0x1f1u
#define HDR_SETUP_SECTS	    0x1f1u
#define HDR_BOOT_FLAG	    0x1feu
#define HDR_JUMP_LEN	    0x201u /* the header ends this many bytes behind 0x202 */
#define HDR_MAGIC	    0x202u
#define HDR_VERSION	    0x206u
#define HDR_LOADER_TYPE	    0x210u
#define HDR_LOADFLAGS	    0x211u
#define HDR_RAMDISK_IMAGE   0x218u
#define HDR_RAMDISK_SIZE    0x21cu
#define HDR_CMDLINE_PTR	    0x228u
#define HDR_INITRD_ADDR_MAX 0x22cu
#define HDR_ALIGNMENT	    0x230u
#define HDR_RELOCATABLE	    0x234u
#define HDR_XLOADFLAGS	    0x236u
#define HDR_CMDLINE_SIZE    0x238u
#define HDR_SETUP_DATA	    0x250u
#define HDR_PREF_ADDRESS    0x258u
#define HDR_INIT_SIZE	    0x260u
#define HDR_LEAST_END	    0x264u /* a header of version 2.12 reaches at least to here */
#define HDR_END_MAX	    0x290u /* where the zero page has other things */

#define BOOT_FLAG	 0xaa55u
#define MAGIC		 0x53726448u /* "HdrS" */
#define VERSION_LEAST	 0x020cu
#define LOADFLAGS_HIGH	 0x01u
#define XLOADFLAGS_64	 0x0001u
#define LOADER_UNDEFINED 0xffu
#define SETUP_SECTS_OLD	 4u
#define SECTOR		 512u
#define ENTRY_64	 0x200u

/* [LINUX-BOOT] "The zero page" */
#define ZP_RSDP		0x070u
#define ZP_E820_ENTRIES 0x1e8u
#define ZP_E820_TABLE	0x2d0u
#define ZP_E820_ROW	20u
#define ZP_LEN		4096u

/* [SDM] "4-Level Paging": a present, writable entry; PS in a page directory makes it 2 MiB */
#define PTE_PRESENT_WRITABLE 0x03ull
#define PTE_PAGE_2M	     0x80ull

struct setup {
	uint8_t bytes[HDR_END_MAX]; /* the image's first bytes; zero from end on */
	uint32_t end;
	uint64_t kernel_offset, kernel_len; /* in the image */
	uint64_t load_gpa, init_size;
};

static enum hv_err fail(const char **why, enum hv_err err, const char *text)
{
	*why = text;
	return err;
}

static enum hv_err check_magic(const struct setup *s, const char **why)
{
	if (get_le16(s->bytes + HDR_BOOT_FLAG) != BOOT_FLAG ||
	    get_le32(s->bytes + HDR_MAGIC) != MAGIC)
		return fail(why, HV_EPROTO, "the kernel is not a Linux bzImage");
	if (get_le16(s->bytes + HDR_VERSION) < VERSION_LEAST)
		return fail(why, HV_EPROTO, "the kernel's boot protocol is older than 2.12");
	if (!(get_le16(s->bytes + HDR_XLOADFLAGS) & XLOADFLAGS_64))
		return fail(why, HV_EPROTO, "the kernel has no 64-bit entry point");
	if (!(s->bytes[HDR_LOADFLAGS] & LOADFLAGS_HIGH))
		return fail(why, HV_EPROTO, "the kernel is a zImage, not a bzImage");
	return HV_OK;
}

static enum hv_err read_setup(const struct image_src *src, struct setup *s, const char **why)
{
	uint32_t sects;
	enum hv_err err;

	memset(s, 0, sizeof(*s));
	if (src->size < sizeof(s->bytes))
		return fail(why, HV_EPROTO, "the kernel image is too short for a bzImage");
	err = boot_read(src, 0, s->bytes, sizeof(s->bytes));
	if (err != HV_OK)
		return fail(why, err, "the kernel image cannot be read");
	err = check_magic(s, why);
	if (err != HV_OK)
		return err;

	s->end = HDR_MAGIC + s->bytes[HDR_JUMP_LEN];
	if (s->end < HDR_LEAST_END)
		return fail(why, HV_EPROTO, "the kernel's setup header is cut short");
	s->end = MIN(s->end, HDR_END_MAX);
	memset(s->bytes + s->end, 0, HDR_END_MAX - s->end);

	sects = s->bytes[HDR_SETUP_SECTS] != 0 ? s->bytes[HDR_SETUP_SECTS] : SETUP_SECTS_OLD;
	s->kernel_offset = (uint64_t)(sects + 1) * SECTOR;
	if (src->size <= s->kernel_offset + ENTRY_64)
		return fail(why, HV_EPROTO, "the kernel image ends before its 64-bit entry point");
	s->kernel_len = src->size - s->kernel_offset;
	return HV_OK;
}

/* The preferred address, or for a kernel that prefers one below 1 MiB the first that it can take.
 */
static enum hv_err place_kernel(const struct gmem *mem, struct setup *s, const char **why)
{
	uint64_t align = get_le32(s->bytes + HDR_ALIGNMENT);

	s->load_gpa = get_le64(s->bytes + HDR_PREF_ADDRESS);
	if (s->load_gpa < LAYOUT_KERNEL_MIN) {
		if (!s->bytes[HDR_RELOCATABLE] || align == 0 || (align & (align - 1)))
			return fail(why, HV_EPROTO, "the kernel wants to be loaded below 1 MiB");
		s->load_gpa = ALIGN_UP(LAYOUT_KERNEL_MIN, align);
	}
	s->init_size = MAX((uint64_t)get_le32(s->bytes + HDR_INIT_SIZE), s->kernel_len);
	if (!range_fits(s->load_gpa, s->init_size, mem->low_bytes))
		return fail(why, HV_ENOMEM, "the guest has too little memory for this kernel");
	return HV_OK;
}

static void put_e820(uint8_t *zero_page, const struct gmem *mem)
{
	struct boot_map_row rows[BOOT_MAP_ROWS];
	uint32_t nr = boot_map(mem, rows);

	zero_page[ZP_E820_ENTRIES] = (uint8_t)nr;
	for (uint32_t i = 0; i < nr; i++) {
		uint8_t *row = zero_page + ZP_E820_TABLE + i * ZP_E820_ROW;

		put_le64(row, rows[i].base);
		put_le64(row + 8, rows[i].len_bytes);
		put_le32(row + 16, rows[i].type);
	}
}

static enum hv_err put_zero_page(const struct boot_request *req, const struct setup *s,
				 uint64_t initrd_gpa)
{
	uint8_t page[ZP_LEN] = {0};

	memcpy(page + HDR_START, s->bytes + HDR_START, s->end - HDR_START);
	page[HDR_LOADER_TYPE] = LOADER_UNDEFINED;
	put_le32(page + HDR_RAMDISK_IMAGE, (uint32_t)initrd_gpa);
	put_le32(page + HDR_RAMDISK_SIZE, (uint32_t)req->initrd.size);
	put_le32(page + HDR_CMDLINE_PTR, LAYOUT_CMDLINE);
	put_le64(page + HDR_SETUP_DATA, 0);
	put_le64(page + ZP_RSDP, req->rsdp_gpa);
	put_e820(page, req->mem);
	return gmem_write(req->mem, LAYOUT_ZERO_PAGE, page, sizeof(page));
}

/* 4 GiB one to one, in pages of 2 MiB, which every 64-bit CPU has. */
static enum hv_err put_page_tables(const struct gmem *mem)
{
	uint64_t table[512] = {LAYOUT_PDPT | PTE_PRESENT_WRITABLE};
	enum hv_err err = gmem_write(mem, LAYOUT_PML4, table, sizeof(table));

	for (uint64_t i = 0; i < 4; i++)
		table[i] = (LAYOUT_PD + i * sizeof(table)) | PTE_PRESENT_WRITABLE;
	if (err == HV_OK)
		err = gmem_write(mem, LAYOUT_PDPT, table, sizeof(table));
	for (uint64_t pd = 0; pd < 4; pd++) {
		for (uint64_t i = 0; i < 512; i++)
			table[i] = (pd * 512 + i) * 2 * MIB | PTE_PRESENT_WRITABLE | PTE_PAGE_2M;
		if (err == HV_OK)
			err = gmem_write(mem, LAYOUT_PD + pd * sizeof(table), table, sizeof(table));
	}
	return err;
}

static enum hv_err put_entry(const struct gmem *mem, const struct setup *s, struct boot_entry *out)
{
	struct boot_entry entry = {
		.mode = BOOT_LONG_64,
		.rip = s->load_gpa + ENTRY_64,
		.rsp = LAYOUT_STACK_TOP,
		.rsi = LAYOUT_ZERO_PAGE,
		.cr3 = LAYOUT_PML4,
	};
	enum hv_err err = put_page_tables(mem);

	if (err == HV_OK)
		err = boot_put_gdt(mem, &entry);
	if (err == HV_OK)
		*out = entry;
	return err;
}

enum hv_err boot_linux(const struct boot_request *req, struct boot_entry *out, const char **why)
{
	const struct gmem *mem = req->mem;
	struct boot_piece kernel = {.image = BOOT_KERNEL};
	struct setup s;
	uint64_t initrd_gpa, initrd_top;
	enum hv_err err;

	boot_plan_begin(req->plan, &req->kernel, &req->initrd);
	err = read_setup(&req->kernel, &s, why);
	if (err != HV_OK)
		return err;
	err = place_kernel(mem, &s, why);
	if (err != HV_OK)
		return err;

	err = boot_put_cmdline(mem, req->cmdline, get_le32(s.bytes + HDR_CMDLINE_SIZE));
	if (err != HV_OK)
		return fail(why, err, "the command line is longer than the kernel takes");
	kernel.offset = s.kernel_offset;
	kernel.gpa = s.load_gpa;
	kernel.file_bytes = kernel.mem_bytes = s.kernel_len;
	err = boot_plan_add(req->plan, mem, &kernel);
	if (err != HV_OK)
		return fail(why, err, "the kernel image cannot be read");
	initrd_top = (uint64_t)get_le32(s.bytes + HDR_INITRD_ADDR_MAX) + 1;
	err = boot_plan_initrd(req, s.load_gpa + s.init_size, initrd_top, &initrd_gpa);
	if (err != HV_OK)
		return fail(why, err,
			    err == HV_ENOMEM
				    ? "the guest has too little memory for kernel and initrd"
				    : "the initrd cannot be read");
	err = put_zero_page(req, &s, initrd_gpa);
	if (err == HV_OK)
		err = put_entry(mem, &s, out);
	if (err != HV_OK)
		return fail(why, err, "the guest has too little memory");
	return HV_OK;
}
