/* SPDX-License-Identifier: Apache-2.0 */
/* AVIC's tables and exits; see the header. */
#include "vmm/svm/svm_avic.h"

#include "kernel/lib/assert.h"
#include "vmm/ept.h"
#include "vmm/layout.h"
#include "vmm/svm/vmcb.h"

/* [APM] "Interrupt Command Register" */
#define ICR_VECTOR    0x000000ffu
#define ICR_DELIVERY  0x00000700u
#define ICR_LOGICAL   0x00000800u
#define ICR_SHORTHAND 0x000c0000u
#define ICR_DEST      0xff00000000000000ull

#define DFR_MODEL	  0xf0000000u
#define DFR_MODEL_CLUSTER 0x0u
#define DFR_MODEL_FLAT	  0xfu
#define LDR_ID		  0xff000000u
#define CLUSTER_ALL	  0xfu

#define NPT_ENTRIES	      512u
#define NPT_INDEX(gpa, level) ((gpa) >> (12 + 9 * (level)) & 511)

/* CPUID leaf 1 EAX */
#define SIGNATURE_FAMILY     0x00000f00u
#define SIGNATURE_EXT_FAMILY 0x0ff00000u

uint64_t svm_avic_physical(uint64_t backing_hpa, uint32_t host_id)
{
	ASSERT((backing_hpa & ~AVIC_PHYSICAL_BACKING) == 0 && host_id <= AVIC_ID_MAX);
	return AVIC_PHYSICAL_VALID | backing_hpa | host_id;
}

/* ---- the logical table ---- */

static bool is_one_bit(uint32_t bits)
{
	return bits != 0 && (bits & (bits - 1)) == 0;
}

/* Which entry is of this member alone, by its registers; AVIC_LOGICAL_ENTRIES: none. */
static uint32_t logical_index(const struct svm_avic_member *m)
{
	uint32_t id = (uint32_t)FIELD_GET(LDR_ID, m->ldr), cluster = id >> 4;

	switch (FIELD_GET(DFR_MODEL, m->dfr)) {
	case DFR_MODEL_FLAT:
		return is_one_bit(id) ? (uint32_t)__builtin_ctz(id) : AVIC_LOGICAL_ENTRIES;
	case DFR_MODEL_CLUSTER:
		return is_one_bit(id & 0xf) && cluster != CLUSTER_ALL
			       ? cluster * 4 + (uint32_t)__builtin_ctz(id & 0xf)
			       : AVIC_LOGICAL_ENTRIES;
	default:
		return AVIC_LOGICAL_ENTRIES;
	}
}

/* A member that no message means yet says nothing about the mode either. */
static bool has_logical_id(const struct svm_avic_member *m)
{
	return FIELD_GET(LDR_ID, m->ldr) != 0;
}

static bool agree_on_mode(const struct svm_avic_member *members, uint32_t nr)
{
	const struct svm_avic_member *first = NULL;

	for (uint32_t i = 0; i < nr; i++) {
		if (!has_logical_id(&members[i]))
			continue;
		if (!first)
			first = &members[i];
		if ((members[i].dfr ^ first->dfr) & DFR_MODEL)
			return false;
	}
	return true;
}

/* The bits of the logical IDs of one mode: whether another claims a bit of this one's. */
static bool is_shared(const struct svm_avic_member *members, uint32_t nr, uint32_t index)
{
	uint32_t id = (uint32_t)FIELD_GET(LDR_ID, members[index].ldr);
	bool is_flat = FIELD_GET(DFR_MODEL, members[index].dfr) == DFR_MODEL_FLAT;

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t other = (uint32_t)FIELD_GET(LDR_ID, members[i].ldr);

		if (i == index)
			continue;
		if (is_flat ? (id & other) : (id >> 4 == other >> 4 && (id & other & 0xf)))
			return true;
	}
	return false;
}

void svm_avic_logical(const struct svm_avic_member *members, uint32_t nr,
		      uint32_t table[AVIC_LOGICAL_ENTRIES])
{
	ASSERT(nr <= AVIC_ID_MAX + 1);
	for (uint32_t i = 0; i < AVIC_LOGICAL_ENTRIES; i++)
		table[i] = 0;
	if (!agree_on_mode(members, nr))
		return;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t at = logical_index(&members[i]);

		if (at < AVIC_LOGICAL_ENTRIES && members[i].is_on && !is_shared(members, nr, i))
			table[at] = AVIC_LOGICAL_VALID | i;
	}
}

/* ---- nested tables ---- */

void svm_avic_map(const uint64_t *root, const uint64_t *low, uint64_t *const tables[4],
		  const uint64_t hpa[4], uint64_t apic_page_hpa)
{
	const struct ept_format *f = &ept_format_amd;

	static_assert(LAYOUT_LAPIC >= GMEM_LOW_MAX && LAYOUT_LAPIC < GMEM_HIGH_BASE,
		      "its GiB has no memory");
	for (uint32_t i = 0; i < NPT_ENTRIES; i++) {
		tables[0][i] = i == NPT_INDEX(LAYOUT_LAPIC, 3) ? f->table | hpa[1] : root[i];
		tables[1][i] = i == NPT_INDEX(LAYOUT_LAPIC, 2) ? f->table | hpa[2]
			       : low			       ? low[i]
							       : 0;
		tables[2][i] = i == NPT_INDEX(LAYOUT_LAPIC, 1) ? f->table | hpa[3] : 0;
		tables[3][i] = i == NPT_INDEX(LAYOUT_LAPIC, 0)
				       ? f->leaf | f->read | f->write | f->no_exec | apic_page_hpa
				       : 0;
	}
}

/* ---- exits ---- */

void svm_avic_decode_ipi(uint64_t info_1, uint64_t info_2, struct svm_avic_ipi *ipi)
{
	uint32_t why = (uint32_t)FIELD_GET(AVIC_IPI_WHY, info_2);

	/*
	 * One invalid target keeps the CPU from the others, too. A message that is not fixed and
	 * edge-triggered, or has a vector below 16, is software's in any case; and so is what
	 * manuals to come put here.
	 */
	ipi->rest = why == AVIC_IPI_NOT_RUNNING ? AVIC_REST_WAKE : AVIC_REST_ALL;
	ipi->msg = (struct lapic_ipi){
		.delivery = FIELD_GET(ICR_DELIVERY, info_1),
		.shorthand = FIELD_GET(ICR_SHORTHAND, info_1),
		.vector = (uint8_t)FIELD_GET(ICR_VECTOR, info_1),
		.is_logical = info_1 & ICR_LOGICAL,
		.dest = (uint32_t)FIELD_GET(ICR_DEST, info_1),
	};
}

/* [APM] table "Guest vAPIC Register Access Behavior": writes that are done when they come out. */
static bool is_trap(uint32_t offset)
{
	switch (offset) {
	case LAPIC_ID:
	case LAPIC_EOI:
	case LAPIC_RRD:
	case LAPIC_LDR:
	case LAPIC_DFR:
	case LAPIC_SVR:
	case LAPIC_ESR:
	case LAPIC_ICR_LOW:
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERF:
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
	case LAPIC_LVT_ERROR:
	case LAPIC_TIMER_INITIAL:
	case LAPIC_TIMER_DIVIDE:
		return true;
	default:
		return false;
	}
}

void svm_avic_decode_access(uint64_t info_1, uint64_t info_2, int svi, struct vm_exit *exit)
{
	uint32_t offset = (uint32_t)(info_1 & AVIC_ACCESS_OFFSET);
	bool is_write = info_1 & AVIC_ACCESS_WRITE;
	uint8_t vector = (uint8_t)FIELD_GET(AVIC_ACCESS_VECTOR, info_2);

	if (!is_write || !is_trap(offset)) {
		exit->kind = EXIT_APIC_ACCESS;
		exit->mmio.gpa = LAYOUT_LAPIC + offset;
		exit->mmio.gva = 0;
		exit->mmio.has_gva = false;
		exit->mmio.is_write = is_write;
		exit->mmio.is_fetch = false;
		return;
	}
	/* Only the end of a level-triggered one comes out; ending it twice would end another. */
	if (offset == LAPIC_EOI && svi != vector) {
		exit->kind = EXIT_EOI;
		exit->eoi.vector = vector;
		return;
	}
	exit->kind = EXIT_APIC_WRITE;
	exit->apic.offset = offset;
}

/* ---- whether it may be on ---- */

enum svm_avic_obstacle svm_avic_obstacle(const struct svm_avic_view *view)
{
	const uint64_t flags = LAPIC_BASE_BSP | LAPIC_BASE_X2APIC | LAPIC_BASE_ENABLE;

	if (!(view->apic_base & LAPIC_BASE_ENABLE) || !(view->svr & LAPIC_SVR_ENABLE))
		return AVIC_OBSTACLE_DISABLED;
	if (view->apic_base & LAPIC_BASE_X2APIC)
		return AVIC_OBSTACLE_X2APIC;
	if ((view->apic_base & ~flags) != LAYOUT_LAPIC)
		return AVIC_OBSTACLE_BASE;
	if (view->id > AVIC_ID_MAX)
		return AVIC_OBSTACLE_ID;
	if (view->host_id > AVIC_ID_MAX)
		return AVIC_OBSTACLE_HOST_ID;
	if (view->wants_window)
		return AVIC_OBSTACLE_WINDOW;
	return view->has_extint ? AVIC_OBSTACLE_EXTINT : AVIC_OBSTACLE_NONE;
}

bool svm_avic_has_stale_running(uint32_t signature)
{
	return FIELD_GET(SIGNATURE_FAMILY, signature) +
		       FIELD_GET(SIGNATURE_EXT_FAMILY, signature) ==
	       0x17;
}
