/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nested page tables. Levels are counted from the leaves: 0 maps 4 KiB, 1 maps 2 MiB, 2 maps 1 GiB;
 * level 3 holds tables only.
 *
 * Two facts keep this short. A range is looked at before it is changed, so that only a lack of
 * pages can stop ept_map half way; and no table below the root is ever empty, so a table in the
 * place where a large leaf should go means that something is mapped there.
 */
#include "vmm/ept.h"

#include "kernel/lib/assert.h"
#include "kernel/memory.h"

#define LEVEL_TOP  3
#define ENTRIES	   512
#define ENTRY_ADDR 0x000ffffffffff000ull
#define GPA_END	   BIT(EPT_GPA_BITS)
#define HPA_END	   BIT(52)

struct ept {
	struct ept_pages pages;
	const struct ept_format *format;
	unsigned level_max; /* of a leaf */
	uint64_t root_hpa;
	uint64_t nr_pages;
};

/* [SDM] tables "Format of an EPT Page-Table Entry that Maps a 4-KByte Page" and its neighbours */
const struct ept_format ept_format_intel = {
	.name = "ept",
	.present = 0x7,
	.table = 0x7,
	.read = BIT(0),
	.write = BIT(1),
	.exec = BIT(2),
	.large = BIT(7),
	.memtype_mask = 0x38,
	.memtype = {[EPT_WRITE_BACK] = 6 << 3, [EPT_UNCACHED] = 0 << 3},
};

/* [APM] "Nested Paging": the walk is a user access, so every entry carries U. PAT entry 3 is UC. */
const struct ept_format ept_format_amd = {
	.name = "npt",
	.present = BIT(0),
	.table = BIT(0) | BIT(1) | BIT(2),
	.read = BIT(0),
	.write = BIT(1),
	.no_exec = BIT(63),
	.leaf = BIT(2),
	.large = BIT(7),
	.memtype_mask = BIT(3) | BIT(4),
	.memtype = {[EPT_WRITE_BACK] = 0, [EPT_UNCACHED] = BIT(3) | BIT(4)},
};

static uint64_t level_bytes(unsigned level)
{
	return 1ull << (12 + 9 * level);
}

static uint64_t *entry_in(const struct ept *ept, uint64_t table_hpa, uint64_t gpa, unsigned level)
{
	uint64_t *table = ept->pages.hva_of(ept->pages.arg, table_hpa);

	return &table[gpa / level_bytes(level) % ENTRIES];
}

static bool is_present(const struct ept *ept, uint64_t entry)
{
	return entry & ept->format->present;
}

static bool is_leaf(const struct ept *ept, uint64_t entry, unsigned level)
{
	return level == 0 || (entry & ept->format->large);
}

static uint64_t take_page(struct ept *ept)
{
	uint64_t hpa = ept->pages.take(ept->pages.arg);

	if (hpa != HPA_NONE)
		ept->nr_pages++;
	return hpa;
}

static void give_page_back(struct ept *ept, uint64_t hpa)
{
	ept->pages.give_back(ept->pages.arg, hpa);
	ept->nr_pages--;
}

/* The leaf for gpa, or the highest entry on the way there that is not present. */
static uint64_t *find_entry(const struct ept *ept, uint64_t gpa, unsigned *level)
{
	uint64_t table_hpa = ept->root_hpa;

	for (*level = LEVEL_TOP;; (*level)--) {
		uint64_t *entry = entry_in(ept, table_hpa, gpa, *level);

		if (!is_present(ept, *entry) || is_leaf(ept, *entry, *level))
			return entry;
		table_hpa = *entry & ENTRY_ADDR;
	}
}

static bool is_range_free(const struct ept *ept, uint64_t gpa, uint64_t len_bytes)
{
	uint64_t end = gpa + len_bytes;

	while (gpa < end) {
		unsigned level;
		uint64_t *entry = find_entry(ept, gpa, &level);

		if (is_present(ept, *entry))
			return false;
		gpa = ALIGN_DOWN(gpa, level_bytes(level)) + level_bytes(level);
	}
	return true;
}

static bool is_table_empty(const struct ept *ept, uint64_t table_hpa)
{
	const uint64_t *table = ept->pages.hva_of(ept->pages.arg, table_hpa);

	for (unsigned i = 0; i < ENTRIES; i++)
		if (table[i])
			return false;
	return true;
}

/* Give back those tables on the way to gpa that hold nothing any more. */
static void prune(struct ept *ept, uint64_t gpa)
{
	uint64_t *path[LEVEL_TOP + 1];
	uint64_t table_hpa = ept->root_hpa;
	unsigned level = LEVEL_TOP;

	for (;; level--) {
		path[level] = entry_in(ept, table_hpa, gpa, level);
		if (!is_present(ept, *path[level]) || is_leaf(ept, *path[level], level))
			break;
		table_hpa = *path[level] & ENTRY_ADDR;
	}
	for (; level < LEVEL_TOP; level++) {
		table_hpa = *path[level + 1] & ENTRY_ADDR;
		if (!is_table_empty(ept, table_hpa))
			return;
		*path[level + 1] = 0;
		give_page_back(ept, table_hpa);
	}
}

/* Empty a range that consists of whole leaves. */
static void clear_range(struct ept *ept, uint64_t gpa, uint64_t len_bytes)
{
	uint64_t end = gpa + len_bytes;

	while (gpa < end) {
		unsigned level;
		uint64_t *entry = find_entry(ept, gpa, &level);
		uint64_t next = gpa + level_bytes(level);

		ASSERT(is_present(ept, *entry));
		*entry = 0;
		if (next >= end || IS_ALIGNED(next, level_bytes(level + 1)))
			prune(ept, gpa);
		gpa = next;
	}
}

static unsigned largest_level(const struct ept *ept, uint64_t gpa, uint64_t hpa, uint64_t len_bytes)
{
	unsigned level = ept->level_max;

	while (level > 0 &&
	       (!IS_ALIGNED(gpa | hpa, level_bytes(level)) || len_bytes < level_bytes(level)))
		level--;
	return level;
}

/* The empty entry for gpa at a level, with tables made on the way; NULL when pages ran out. */
static uint64_t *make_entry(struct ept *ept, uint64_t gpa, unsigned level)
{
	uint64_t table_hpa = ept->root_hpa;

	for (unsigned at = LEVEL_TOP; at > level; at--) {
		uint64_t *entry = entry_in(ept, table_hpa, gpa, at);

		if (!is_present(ept, *entry)) {
			uint64_t page = take_page(ept);

			if (page == HPA_NONE)
				return NULL;
			*entry = page | ept->format->table;
		}
		table_hpa = *entry & ENTRY_ADDR;
	}
	return entry_in(ept, table_hpa, gpa, level);
}

static uint64_t leaf_bits(const struct ept_format *format, unsigned perms, enum ept_memtype memtype)
{
	return format->leaf | format->memtype[memtype] | format->read |
	       (perms & EPT_WRITE ? format->write : 0) |
	       (perms & EPT_EXEC ? format->exec : format->no_exec);
}

enum hv_err ept_create(const struct ept_pages *pages, const struct ept_format *format,
		       enum ept_flags flags, struct ept **out)
{
	struct ept *ept = kmem_alloc(sizeof(*ept));

	if (!ept)
		return HV_ENOMEM;
	*ept = (struct ept){
		.pages = *pages, .format = format, .level_max = flags & EPT_WITH_1G ? 2 : 1};
	ept->root_hpa = take_page(ept);
	if (ept->root_hpa == HPA_NONE) {
		kmem_free(ept);
		return HV_ENOMEM;
	}
	*out = ept;
	return HV_OK;
}

/* As deep as the tables are: four. */
static void destroy_table(struct ept *ept, uint64_t table_hpa, unsigned level)
{
	const uint64_t *table = ept->pages.hva_of(ept->pages.arg, table_hpa);

	for (unsigned i = 0; level > 0 && i < ENTRIES; i++)
		if (is_present(ept, table[i]) && !is_leaf(ept, table[i], level))
			destroy_table(ept, table[i] & ENTRY_ADDR, level - 1);
	give_page_back(ept, table_hpa);
}

void ept_destroy(struct ept *ept)
{
	if (!ept)
		return;
	destroy_table(ept, ept->root_hpa, LEVEL_TOP);
	ASSERT(ept->nr_pages == 0);
	kmem_free(ept);
}

enum hv_err ept_map(struct ept *ept, uint64_t gpa, uint64_t hpa, uint64_t len_bytes, unsigned perms,
		    enum ept_memtype memtype)
{
	uint64_t done = 0;

	ASSERT(len_bytes && IS_ALIGNED(gpa | hpa | len_bytes, level_bytes(0)));
	ASSERT(range_fits(hpa, len_bytes, HPA_END));
	ASSERT((perms & EPT_READ) && memtype < EPT_MEMTYPES);
	if (!range_fits(gpa, len_bytes, GPA_END))
		return HV_EINVAL;
	if (!is_range_free(ept, gpa, len_bytes))
		return HV_EEXIST;

	while (done < len_bytes) {
		unsigned level = largest_level(ept, gpa + done, hpa + done, len_bytes - done);
		uint64_t *entry = make_entry(ept, gpa + done, level);

		if (!entry)
			goto undo;
		*entry = (hpa + done) | leaf_bits(ept->format, perms, memtype) |
			 (level ? ept->format->large : 0);
		done += level_bytes(level);
	}
	return HV_OK;

undo:
	prune(ept, gpa + done);
	clear_range(ept, gpa, done);
	return HV_ENOMEM;
}

enum hv_err ept_unmap(struct ept *ept, uint64_t gpa, uint64_t len_bytes)
{
	uint64_t at = gpa, end;

	ASSERT(len_bytes && IS_ALIGNED(gpa | len_bytes, level_bytes(0)));
	if (!range_fits(gpa, len_bytes, GPA_END))
		return HV_EINVAL;

	end = gpa + len_bytes;
	while (at < end) {
		unsigned level;
		uint64_t *entry = find_entry(ept, at, &level);

		if (!is_present(ept, *entry))
			return HV_ENOENT;
		if (!IS_ALIGNED(at, level_bytes(level)) || end - at < level_bytes(level))
			return HV_EINVAL;
		at += level_bytes(level);
	}
	clear_range(ept, gpa, len_bytes);
	return HV_OK;
}

bool ept_is_mapped(const struct ept *ept, uint64_t gpa)
{
	unsigned level;

	return gpa < GPA_END && is_present(ept, *find_entry(ept, gpa, &level));
}

static unsigned perms_of(const struct ept_format *format, uint64_t entry)
{
	bool is_exec = format->exec ? entry & format->exec : !(entry & format->no_exec);

	return (entry & format->read ? EPT_READ : 0) | (entry & format->write ? EPT_WRITE : 0) |
	       (is_exec ? EPT_EXEC : 0);
}

bool ept_translate(const struct ept *ept, uint64_t gpa, struct ept_leaf *out)
{
	const struct ept_format *format = ept->format;
	unsigned level;
	uint64_t entry, offset_mask;

	if (!ept_is_mapped(ept, gpa))
		return false;
	entry = *find_entry(ept, gpa, &level);
	offset_mask = level_bytes(level) - 1;
	out->hpa = (entry & ENTRY_ADDR & ~offset_mask) | (gpa & offset_mask);
	out->size_bytes = level_bytes(level);
	out->perms = perms_of(format, entry);
	out->memtype = (entry & format->memtype_mask) == format->memtype[EPT_WRITE_BACK]
			       ? EPT_WRITE_BACK
			       : EPT_UNCACHED;
	return true;
}

uint64_t ept_root(const struct ept *ept)
{
	return ept->root_hpa;
}

uint64_t ept_nr_pages(const struct ept *ept)
{
	return ept->nr_pages;
}
