/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     start info --> memory map table      (base, length, E820 type)
 *            |-----> module list ---------> names
 *            |-----> command line
 *            '-----> RSDP (only its address is kept)
 *
 * Every struct is copied through the map function once and used from the copy.
 */
#include "boot/pvh.h"

#include "boot/ranges.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define PVH_MAGIC     0x336ec578u
#define MMAP_ROWS_MAX 4096u

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules_hpa, cmdline_hpa, rsdp_hpa;
	uint64_t mmap_hpa; /* from version 1 on, with what follows */
	uint32_t nr_mmap, reserved;
};
static_assert(sizeof(struct start_info) == 56, "[PVH] struct hvm_start_info, version 1");

struct module_entry {
	uint64_t hpa, len_bytes, cmdline_hpa, reserved;
};
static_assert(sizeof(struct module_entry) == 32, "[PVH] struct hvm_modlist_entry");

struct mmap_entry {
	uint64_t base, len_bytes;
	uint32_t type, reserved;
};
static_assert(sizeof(struct mmap_entry) == 24, "[PVH] struct hvm_memmap_table_entry");

struct reader {
	pvh_map_fn *map;
	void *arg;
};

static enum hv_err read_at(const struct reader *mem, uint64_t hpa, void *dst, size_t len)
{
	const void *src;

	if (!range_fits(hpa, len, UINT64_MAX))
		return HV_EPROTO;
	src = mem->map(mem->arg, hpa, len);
	if (src == NULL)
		return HV_EPROTO;
	memcpy(dst, src, len);
	return HV_OK;
}

/* A string of unknown length, cut where dst is full or memory ends; address 0 means none. */
static void read_text(const struct reader *mem, uint64_t hpa, char *dst, size_t cap)
{
	size_t len = 0;

	if (hpa != 0)
		while (len + 1 < cap && read_at(mem, hpa + len, dst + len, 1) == HV_OK &&
		       dst[len] != '\0')
			len++;
	dst[len] = '\0';
}

static enum hv_err parse_mmap(const struct reader *mem, const struct start_info *info,
			      struct boot_info *out)
{
	struct mmap_entry entry;
	enum hv_err err;

	if (info->nr_mmap == 0 || info->nr_mmap > MMAP_ROWS_MAX)
		return HV_EPROTO;
	for (uint32_t i = 0; i < info->nr_mmap; i++) {
		err = read_at(mem, info->mmap_hpa + i * sizeof(entry), &entry, sizeof(entry));
		if (err != HV_OK)
			return err;
		err = ranges_add(out, entry.base, entry.len_bytes, ranges_type_of_e820(entry.type));
		if (err != HV_OK)
			return err;
	}
	return out->nr_ranges > 0 ? HV_OK : HV_EPROTO;
}

static enum hv_err parse_modules(const struct reader *mem, const struct start_info *info,
				 struct boot_info *out)
{
	struct module_entry entry;
	enum hv_err err;

	if (info->nr_modules > BOOT_MODULES_MAX)
		log_warn("boot", "%u modules, only %u are kept", info->nr_modules,
			 BOOT_MODULES_MAX);
	for (uint32_t i = 0; i < MIN(info->nr_modules, BOOT_MODULES_MAX); i++) {
		struct boot_module *module = &out->modules[i];

		err = read_at(mem, info->modules_hpa + i * sizeof(entry), &entry, sizeof(entry));
		if (err != HV_OK)
			return err;
		module->hpa = entry.hpa;
		module->len_bytes = entry.len_bytes;
		read_text(mem, entry.cmdline_hpa, module->name, sizeof(module->name));
		out->nr_modules = i + 1;
	}
	ranges_drop_stray_modules(out);
	return HV_OK;
}

enum hv_err pvh_parse(uint64_t start_info_hpa, pvh_map_fn *map, void *arg, struct boot_info *out)
{
	struct reader mem = {map, arg};
	struct start_info info;
	enum hv_err err;

	memset(out, 0, sizeof(*out));
	out->protocol = "pvh";
	out->firmware = FIRMWARE_NONE;
	err = read_at(&mem, start_info_hpa, &info, sizeof(info));
	if (err != HV_OK)
		return err;
	if (info.magic != PVH_MAGIC)
		return HV_EPROTO;
	if (info.version < 1)
		return HV_ENOTSUP;

	err = parse_mmap(&mem, &info, out);
	if (err != HV_OK)
		return err;
	err = parse_modules(&mem, &info, out);
	if (err != HV_OK)
		return err;
	read_text(&mem, info.cmdline_hpa, out->cmdline, sizeof(out->cmdline));
	out->rsdp_hpa = info.rsdp_hpa;
	return HV_OK;
}
