/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk of a guest's page tables. One struct layout a paging mode, one loop for them all: the
 * modes differ in how many levels there are, how wide an entry is, and which bits of it are
 * reserved.
 */
#include "vmm/walk.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"

/* [SDM] "Control Registers", "Extended Feature Enable Register", "System Flags in EFLAGS" */
#define CR0_WP	  BIT(16)
#define CR0_PG	  BIT(31)
#define CR4_PSE	  BIT(4)
#define CR4_PAE	  BIT(5)
#define CR4_LA57  BIT(12)
#define CR4_SMEP  BIT(20)
#define CR4_SMAP  BIT(21)
#define EFER_LMA  BIT(10)
#define EFER_NXE  BIT(11)
#define RFLAGS_AC BIT(18)

/* [SDM] tables "Format of a Page-Table Entry …" */
#define PTE_P	       BIT(0)
#define PTE_W	       BIT(1)
#define PTE_U	       BIT(2)
#define PTE_PS	       BIT(7)
#define PTE_NX	       BIT(63)
#define PTE_ADDR       0x000ffffffffff000ull
#define PTE_ADDR_32    0xfffff000ull
#define PTE_HIGH_32    0x001fe000ull /* bits 39..32 of a 4 MiB page's address */
#define PAE_PDPTE_RSVD 0x1e6ull	     /* beside those beyond the physical width, NX among them */

struct layout {
	unsigned levels;     /* counted from the leaves: levels - 1 is the top */
	unsigned index_bits; /* of an index into a table */
	unsigned entry_bytes;
};

struct rights {
	bool is_writable, is_user, is_no_exec;
};

static struct layout layout_of(const struct walk_state *s)
{
	if (s->efer & EFER_LMA)
		return (struct layout){s->cr4 & CR4_LA57 ? 5 : 4, 9, 8};
	if (s->cr4 & CR4_PAE)
		return (struct layout){3, 9, 8};
	return (struct layout){2, 10, 4};
}

static bool is_canonical(uint64_t gva, unsigned bits)
{
	int64_t top = (int64_t)gva >> (bits - 1);

	return top == 0 || top == -1;
}

static uint32_t fault_code(const struct walk_state *s, enum walk_access access, uint32_t why)
{
	bool has_nx = (s->cr4 & CR4_PAE) && (s->efer & EFER_NXE);

	return why | (access == WALK_WRITE ? PF_W : 0) | (s->cpl == 3 ? PF_U : 0) |
	       (access == WALK_FETCH && (has_nx || (s->cr4 & CR4_SMEP)) ? PF_I : 0);
}

static enum hv_err read_entry(const struct gmem *mem, uint64_t gpa, unsigned entry_bytes,
			      uint64_t *out)
{
	uint8_t raw[8] = {0};

	if (gmem_read(mem, gpa, raw, entry_bytes) != HV_OK)
		return HV_ENOTSUP;
	*out = get_le64(raw);
	return HV_OK;
}

static bool is_large(const struct walk_state *s, const struct layout *l, unsigned level,
		     uint64_t entry)
{
	if (l->entry_bytes == 4)
		return level == 1 && (entry & PTE_PS) && (s->cr4 & CR4_PSE);
	/* PAE's top level has no large pages. */
	return (entry & PTE_PS) && (level == 1 || (level == 2 && l->levels > 3));
}

/* Bits that must be zero in an entry. */
static uint64_t reserved_bits(const struct walk_state *s, const struct layout *l, unsigned level,
			      bool large)
{
	uint64_t beyond = PTE_ADDR & ~(BIT(s->gpa_bits) - 1);

	if (l->entry_bytes == 4) {
		uint64_t high = s->gpa_bits >= 40
					? PTE_HIGH_32
					: PTE_HIGH_32 & (((BIT(s->gpa_bits) - 1) >> 32) << 13);

		return large ? 0x003fe000ull & ~high : 0;
	}
	if (l->levels == 3) {
		/* bits 62..52 are ignored with four levels, and reserved here */
		beyond |= 0x7ff0000000000000ull;
		if (level == 2)
			return beyond | PAE_PDPTE_RSVD | PTE_NX;
	}
	if (!(s->efer & EFER_NXE))
		beyond |= PTE_NX;
	if (large)
		return beyond | (ALIGN_DOWN((1ull << (12 + 9 * level)) - 1, 8192));
	return level >= 3 ? beyond | PTE_PS : beyond;
}

/* [SDM] "Determination of Access Rights" */
static bool may_access(const struct walk_state *s, const struct rights *r, enum walk_access access)
{
	bool is_supervisor = s->cpl < 3;
	bool has_smap = (s->cr4 & CR4_SMAP) && !(s->rflags & RFLAGS_AC);

	if (!is_supervisor && !r->is_user)
		return false;
	if (access == WALK_FETCH)
		return !r->is_no_exec && !(is_supervisor && r->is_user && (s->cr4 & CR4_SMEP));
	if (is_supervisor && r->is_user && has_smap)
		return false;
	return access == WALK_READ || r->is_writable || (is_supervisor && !(s->cr0 & CR0_WP));
}

static uint64_t page_gpa(const struct layout *l, uint64_t entry, uint64_t gva, unsigned level)
{
	uint64_t offset_mask = (1ull << (12 + l->index_bits * level)) - 1;
	uint64_t base = (l->entry_bytes == 4 ? PTE_ADDR_32 : PTE_ADDR) & entry & ~offset_mask;

	if (l->entry_bytes == 4 && level == 1)
		base |= FIELD_GET(PTE_HIGH_32, entry) << 32;
	return base | (gva & offset_mask);
}

static uint64_t top_table(const struct walk_state *s, const struct layout *l)
{
	if (l->levels == 2)
		return s->cr3 & PTE_ADDR_32;
	if (l->levels == 3)
		return s->cr3 & 0xffffffe0ull;
	return s->cr3 & PTE_ADDR;
}

/* Walk down to the leaf. HV_EPROTO: *why is PF_P's or PF_RSVD's part of the error code. */
static enum hv_err find_leaf(const struct gmem *mem, const struct walk_state *s, uint64_t gva,
			     struct rights *rights, uint64_t *gpa, uint32_t *why)
{
	struct layout l = layout_of(s);
	uint64_t table = top_table(s, &l);

	*rights = (struct rights){.is_writable = true, .is_user = true};
	for (unsigned level = l.levels; level-- > 0;) {
		uint64_t mask = (1ull << l.index_bits) - 1, entry;
		uint64_t index = (gva >> (12 + l.index_bits * level)) & mask;
		enum hv_err err =
			read_entry(mem, table + index * l.entry_bytes, l.entry_bytes, &entry);
		bool large;

		if (err != HV_OK)
			return err;
		large = is_large(s, &l, level, entry);
		*why = 0;
		if (!(entry & PTE_P))
			return HV_EPROTO;
		*why = PF_P | PF_RSVD;
		if (entry & reserved_bits(s, &l, level, large))
			return HV_EPROTO;
		if (l.levels != 3 || level != 2) { /* PAE's top entries have no rights */
			rights->is_writable &= !!(entry & PTE_W);
			rights->is_user &= !!(entry & PTE_U);
			rights->is_no_exec |= l.entry_bytes == 8 && (entry & PTE_NX);
		}
		if (level == 0 || large) {
			*gpa = page_gpa(&l, entry, gva, level);
			return HV_OK;
		}
		table = entry & (l.entry_bytes == 4 ? PTE_ADDR_32 : PTE_ADDR);
	}
	ASSERT(!"a walk ends at level 0");
	return HV_EPROTO;
}

enum hv_err walk_translate(const struct gmem *mem, const struct walk_state *state, uint64_t gva,
			   enum walk_access access, uint64_t *gpa, struct walk_fault *fault)
{
	bool has_paging = state->cr0 & CR0_PG, is_long = has_paging && (state->efer & EFER_LMA);
	struct rights rights;
	uint32_t why;
	uint64_t found;
	enum hv_err err;

	ASSERT(state->gpa_bits >= 32 && state->gpa_bits <= 52);
	if (!is_long)
		gva = (uint32_t)gva;
	else if (!is_canonical(gva, state->cr4 & CR4_LA57 ? 57 : 48))
		return HV_EINVAL;
	if (!has_paging) {
		*gpa = gva;
		return HV_OK;
	}

	err = find_leaf(mem, state, gva, &rights, &found, &why);
	if (err == HV_OK && !may_access(state, &rights, access)) {
		why = PF_P;
		err = HV_EPROTO;
	}
	if (err == HV_OK)
		*gpa = found;
	else if (err == HV_EPROTO)
		*fault = (struct walk_fault){.gva = gva, .code = fault_code(state, access, why)};
	return err;
}

static size_t bytes_in_page(uint64_t gva, size_t len_bytes)
{
	return MIN(len_bytes, 4096 - gva % 4096);
}

enum hv_err walk_read(const struct gmem *mem, const struct walk_state *state, uint64_t gva,
		      enum walk_access access, void *dst, size_t len_bytes,
		      struct walk_fault *fault)
{
	uint8_t *at = dst;

	while (len_bytes) {
		size_t part = bytes_in_page(gva, len_bytes);
		uint64_t gpa;
		enum hv_err err = walk_translate(mem, state, gva, access, &gpa, fault);

		if (err != HV_OK)
			return err;
		if (gmem_read(mem, gpa, at, part) != HV_OK)
			return HV_ENOENT;
		at += part;
		gva += part;
		len_bytes -= part;
	}
	return HV_OK;
}

enum hv_err walk_write(const struct gmem *mem, const struct walk_state *state, uint64_t gva,
		       const void *src, size_t len_bytes, struct walk_fault *fault)
{
	const uint8_t *at = src;
	uint64_t gpa[2] = {0};
	size_t first = bytes_in_page(gva, len_bytes);

	ASSERT(len_bytes <=
	       4096); /* two pages at most: both are looked at before either is changed */
	for (unsigned i = 0; i < (len_bytes > first ? 2u : 1u); i++) {
		enum hv_err err = walk_translate(mem, state, i ? gva + first : gva, WALK_WRITE,
						 &gpa[i], fault);

		if (err != HV_OK)
			return err;
		if (!gmem_has(mem, gpa[i], i ? len_bytes - first : first))
			return HV_ENOENT;
	}
	if (gmem_write(mem, gpa[0], at, first) != HV_OK ||
	    (len_bytes > first && gmem_write(mem, gpa[1], at + first, len_bytes - first) != HV_OK))
		return HV_ENOENT;
	return HV_OK;
}

enum hv_err walk_fetch(const struct gmem *mem, const struct walk_state *state, uint64_t gva,
		       uint8_t bytes[15], size_t *got, struct walk_fault *fault)
{
	size_t first = bytes_in_page(gva, 15);
	struct walk_fault beyond;
	enum hv_err err;

	*got = 0;
	err = walk_read(mem, state, gva, WALK_FETCH, bytes, first, fault);
	if (err != HV_OK)
		return err;
	*got = first;
	if (first < 15 && walk_read(mem, state, gva + first, WALK_FETCH, bytes + first, 15 - first,
				    &beyond) == HV_OK)
		*got = 15;
	return HV_OK;
}
