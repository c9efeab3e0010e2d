/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF loader. Both classes are read into one struct segment first; everything after that is the
 * same. Segments are checked against the file and against RAM before a byte of them is copied.
 */
#include "vmm/elf.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "vmm/layout.h"

/* [ELF] "ELF Header" */
#define EI_CLASS    4u
#define EI_DATA	    5u
#define CLASS_32    1u
#define CLASS_64    2u
#define DATA_LSB    1u
#define ET_EXEC	    2u
#define ET_DYN	    3u
#define EM_386	    3u
#define EM_X86_64   62u
#define EHDR_LEN_32 52u
#define EHDR_LEN_64 64u

/* [ELF] "Program Header" */
#define PHDR_LEN_32 32u
#define PHDR_LEN_64 56u
#define PT_LOAD	    1u
#define PT_NOTE	    4u

#define NOTES_MAX	  4096u /* bytes of one PT_NOTE that are looked at */
#define NOTE_HEADER_LEN	  12u
#define NOTE_PHYS32_ENTRY 18u /* [PVH] XEN_ELFNOTE_PHYS32_ENTRY */

struct header {
	bool is_64;
	uint64_t entry, phoff;
	uint16_t phentsize, phnum;
};

struct segment {
	uint32_t type;
	uint64_t offset, paddr, filesz, memsz;
};

static enum hv_err fail(const char **why, enum hv_err err, const char *text)
{
	*why = text;
	return err;
}

static void parse_header(const uint8_t *raw, struct header *h)
{
	h->is_64 = raw[EI_CLASS] == CLASS_64;
	if (h->is_64) {
		h->entry = get_le64(raw + 24);
		h->phoff = get_le64(raw + 32);
		h->phentsize = get_le16(raw + 54);
		h->phnum = get_le16(raw + 56);
	} else {
		h->entry = get_le32(raw + 24);
		h->phoff = get_le32(raw + 28);
		h->phentsize = get_le16(raw + 42);
		h->phnum = get_le16(raw + 44);
	}
}

static bool is_x86_executable(const uint8_t *raw)
{
	uint16_t type = get_le16(raw + 16), machine = get_le16(raw + 18);

	if (memcmp(raw, "\177ELF", 4) != 0 || raw[EI_DATA] != DATA_LSB)
		return false;
	if (type != ET_EXEC && type != ET_DYN)
		return false;
	if (raw[EI_CLASS] == CLASS_32)
		return machine == EM_386;
	return raw[EI_CLASS] == CLASS_64 && (machine == EM_X86_64 || machine == EM_386);
}

static enum hv_err read_header(const struct image_src *src, struct header *h, const char **why)
{
	uint8_t raw[EHDR_LEN_64] = {0};
	enum hv_err err;

	if (src->size < EHDR_LEN_32)
		return fail(why, HV_EPROTO, "the kernel image is too short for an ELF file");
	err = boot_read(src, 0, raw, MIN(src->size, EHDR_LEN_64));
	if (err != HV_OK)
		return fail(why, err, "the kernel image cannot be read");
	if (!is_x86_executable(raw))
		return fail(why, HV_EPROTO, "the kernel is not an x86 ELF executable");
	parse_header(raw, h);
	if (h->phentsize != (h->is_64 ? PHDR_LEN_64 : PHDR_LEN_32) || h->phnum == 0 ||
	    h->phnum > BOOT_SEGMENTS_MAX)
		return fail(why, HV_EPROTO, "the kernel's program headers are not usable");
	return HV_OK;
}

static enum hv_err read_segment(const struct image_src *src, const struct header *h, uint32_t index,
				struct segment *seg)
{
	uint8_t raw[PHDR_LEN_64];
	enum hv_err err;

	if (!range_fits(h->phoff, (uint64_t)h->phnum * h->phentsize, src->size))
		return HV_EPROTO;
	err = boot_read(src, h->phoff + (uint64_t)index * h->phentsize, raw, h->phentsize);
	if (err != HV_OK)
		return err;
	seg->type = get_le32(raw);
	if (h->is_64) {
		seg->offset = get_le64(raw + 8);
		seg->paddr = get_le64(raw + 24);
		seg->filesz = get_le64(raw + 32);
		seg->memsz = get_le64(raw + 40);
	} else {
		seg->offset = get_le32(raw + 4);
		seg->paddr = get_le32(raw + 12);
		seg->filesz = get_le32(raw + 16);
		seg->memsz = get_le32(raw + 20);
	}
	return HV_OK;
}

static enum hv_err plan_segment(const struct boot_request *req, const struct segment *seg,
				struct elf_info *info, const char **why)
{
	const struct boot_piece piece = {BOOT_KERNEL, seg->offset, seg->paddr, seg->filesz,
					 seg->memsz};

	if (seg->memsz == 0)
		return HV_OK;
	if (seg->filesz > seg->memsz || !range_fits(seg->offset, seg->filesz, req->kernel.size))
		return fail(why, HV_EPROTO, "a segment of the kernel reaches beyond its file");
	if (seg->paddr < LAYOUT_KERNEL_MIN)
		return fail(why, HV_EPROTO, "a segment of the kernel lies below 1 MiB");
	if (!range_fits(seg->paddr, seg->memsz, req->mem->low_bytes))
		return fail(why, HV_ENOMEM, "the guest has too little memory for this kernel");
	if (seg->paddr < info->high_gpa && info->low_gpa < seg->paddr + seg->memsz)
		return fail(why, HV_EPROTO, "segments of the kernel overlap or are out of order");

	if (boot_plan_add(req->plan, req->mem, &piece) != HV_OK)
		return fail(why, HV_EPROTO, "the kernel has too many segments");
	info->low_gpa = MIN(info->low_gpa, seg->paddr);
	info->high_gpa = MAX(info->high_gpa, seg->paddr + seg->memsz);
	return HV_OK;
}

/* One note at `at`, of len bytes that are left; returns its length, or 0 when it is cut short. */
static uint64_t parse_note(const uint8_t *at, uint64_t len, struct elf_info *info)
{
	uint64_t name_len, desc_len, desc_at, total;

	if (len < NOTE_HEADER_LEN)
		return 0;
	name_len = get_le32(at);
	desc_len = get_le32(at + 4);
	desc_at = NOTE_HEADER_LEN + ALIGN_UP(name_len, 4);
	total = desc_at + ALIGN_UP(desc_len, 4);
	if (desc_at + desc_len > len)
		return 0;
	if (get_le32(at + 8) == NOTE_PHYS32_ENTRY && name_len == 4 && desc_len >= 4 &&
	    memcmp(at + NOTE_HEADER_LEN, "Xen", 4) == 0) {
		info->has_pvh_entry = true;
		info->pvh_entry = get_le32(at + desc_at);
	}
	return MIN(total, len);
}

static enum hv_err read_notes(const struct image_src *src, const struct segment *seg,
			      struct elf_info *info, const char **why)
{
	uint8_t notes[NOTES_MAX];
	uint64_t len = MIN(seg->filesz, NOTES_MAX), at = 0, note_len;
	enum hv_err err = boot_read(src, seg->offset, notes, len);

	if (err != HV_OK)
		return fail(why, err, "the kernel's notes cannot be read");
	while ((note_len = parse_note(notes + at, len - at, info)) > 0)
		at += note_len;
	return HV_OK;
}

enum hv_err elf_plan(const struct boot_request *req, struct elf_info *info, const char **why)
{
	const struct image_src *src = &req->kernel;
	struct elf_info found = {.low_gpa = ~0ull};
	struct header h;
	enum hv_err err = read_header(src, &h, why);

	if (err != HV_OK)
		return err;
	found.is_64 = h.is_64;
	found.entry = h.entry;
	for (uint32_t i = 0; i < h.phnum; i++) {
		struct segment seg;

		err = read_segment(src, &h, i, &seg);
		if (err != HV_OK)
			return fail(why, err, "the kernel's program headers cannot be read");
		if (seg.type == PT_LOAD)
			err = plan_segment(req, &seg, &found, why);
		else if (seg.type == PT_NOTE)
			err = read_notes(src, &seg, &found, why);
		if (err != HV_OK)
			return err;
	}
	if (found.high_gpa == 0)
		return fail(why, HV_EPROTO, "the kernel has nothing to load");
	*info = found;
	return HV_OK;
}
