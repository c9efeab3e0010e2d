/* SPDX-License-Identifier: Apache-2.0 */
/* PVH: an ELF whose note says where to enter it, and a start info that says what it was given. */
#include "vmm/boot_pvh.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "vmm/elf.h"
#include "vmm/layout.h"

/* [PVH] struct hvm_start_info, version 1 */
#define INFO_MAGIC 0x336ec578u
struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist_gpa, cmdline_gpa, rsdp_gpa;
	uint64_t memmap_gpa; /* from here on in version 1 only */
	uint32_t memmap_entries, reserved;
};
static_assert(sizeof(struct start_info) == 56, "[PVH] hvm_start_info");

/* [PVH] struct hvm_modlist_entry */
struct module {
	uint64_t gpa, len_bytes, cmdline_gpa, reserved;
};
static_assert(sizeof(struct module) == 32, "[PVH] hvm_modlist_entry");

/* [PVH] struct hvm_memmap_table_entry; the types are e820's */
struct map_entry {
	uint64_t gpa, len_bytes;
	uint32_t type, reserved;
};
static_assert(sizeof(struct map_entry) == 24, "[PVH] hvm_memmap_table_entry");

#define MODLIST (LAYOUT_START_TABLES)
#define MEMMAP	(LAYOUT_START_TABLES + sizeof(struct module))

static enum hv_err fail(const char **why, enum hv_err err, const char *text)
{
	*why = text;
	return err;
}

static enum hv_err put_memmap(const struct gmem *mem, uint32_t *nr)
{
	struct boot_map_row rows[BOOT_MAP_ROWS];
	struct map_entry entries[BOOT_MAP_ROWS] = {0};

	*nr = boot_map(mem, rows);
	for (uint32_t i = 0; i < *nr; i++) {
		entries[i].gpa = rows[i].base;
		entries[i].len_bytes = rows[i].len_bytes;
		entries[i].type = rows[i].type;
	}
	return gmem_write(mem, MEMMAP, entries, *nr * sizeof(entries[0]));
}

static enum hv_err put_start_info(const struct boot_request *req, uint64_t initrd_gpa)
{
	const struct module module = {.gpa = initrd_gpa, .len_bytes = req->initrd.size};
	struct start_info info = {
		.magic = INFO_MAGIC,
		.version = 1,
		.nr_modules = req->initrd.size > 0,
		.modlist_gpa = req->initrd.size > 0 ? MODLIST : 0,
		.cmdline_gpa = LAYOUT_CMDLINE,
		.rsdp_gpa = req->rsdp_gpa,
		.memmap_gpa = MEMMAP,
	};
	enum hv_err err = gmem_write(req->mem, MODLIST, &module, sizeof(module));

	if (err == HV_OK)
		err = put_memmap(req->mem, &info.memmap_entries);
	if (err == HV_OK)
		err = gmem_write(req->mem, LAYOUT_START_INFO, &info, sizeof(info));
	return err;
}

enum hv_err boot_pvh(const struct boot_request *req, struct boot_entry *out, const char **why)
{
	struct boot_entry entry = {
		.mode = BOOT_PROTECTED_32,
		.rsp = LAYOUT_STACK_TOP,
		.rbx = LAYOUT_START_INFO,
	};
	struct elf_info elf;
	uint64_t initrd_gpa;
	enum hv_err err;

	boot_plan_begin(req->plan, &req->kernel, &req->initrd);
	err = elf_plan(req, &elf, why);
	if (err != HV_OK)
		return err;
	if (!elf.has_pvh_entry)
		return fail(why, HV_EPROTO, "the kernel has no PVH entry point");
	if (elf.pvh_entry < elf.low_gpa || elf.pvh_entry >= elf.high_gpa)
		return fail(why, HV_EPROTO, "the kernel's PVH entry point lies outside it");
	err = boot_put_cmdline(req->mem, req->cmdline, LAYOUT_CMDLINE_MAX);
	if (err != HV_OK)
		return fail(why, err, "the command line is too long");
	err = boot_plan_initrd(req, elf.high_gpa, GMEM_LOW_MAX, &initrd_gpa);
	if (err != HV_OK)
		return fail(why, err,
			    err == HV_ENOMEM ? "the guest has too little memory for its initrd"
					     : "the initrd cannot be read");
	err = put_start_info(req, initrd_gpa);
	entry.rip = elf.pvh_entry;
	if (err == HV_OK)
		err = boot_put_gdt(req->mem, &entry);
	if (err != HV_OK)
		return fail(why, err, "the guest has too little memory");
	*out = entry;
	return HV_OK;
}
