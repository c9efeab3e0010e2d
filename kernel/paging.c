/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own page tables. Tables come from a pool in the image until the allocator runs, so
 * that the direct map can be complete before the first page is handed out.
 */
#include "kernel/paging.h"

#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/pagetable.h"
#include "kernel/panic.h"

/* With 1 GiB pages a dozen do; without, one for every GiB of RAM. */
#define POOL_PAGES 160

#define MMIO_MAPS_MAX 512u

extern char image_start[], image_end[], text_start[], text_end[], rodata_start[], rodata_end[],
	data_start[], data_end[], boot_cpu_stacks[], boot_pml4[];

static uint8_t pool[POOL_PAGES][4096] __attribute__((aligned(4096)));
static uint32_t pool_used;
static bool has_allocator; /* the pool was not enough, and pages_alloc works */

static const struct boot_info *boot; /* what is RAM, for paging_map_firmware */

static struct lock mmio_lock; /* guards tables and the next three after boot */
static uint64_t mmio_next = MMIO_AREA;
/* What is mapped there, so that a card that is plugged in again and again is mapped once. Those
 * that have no place here are mapped each time. */
static struct {
	uint64_t base, len_bytes, va;
} mmio_maps[MMIO_MAPS_MAX];
static uint32_t nr_mmio_maps;

static uint64_t image_hpa(const void *at)
{
	uint64_t va = (uint64_t)at;

	return va >= KERNEL_BASE ? va - KERNEL_BASE : va;
}

static uint64_t take_page(void *arg)
{
	(void)arg;
	if (pool_used < POOL_PAGES)
		return image_hpa(pool[pool_used++]);
	return has_allocator ? pages_alloc(0) : HPA_NONE;
}

/* Both the boot tables and the final ones have every table page in their direct map. */
static void *table_hva(void *arg, uint64_t hpa)
{
	(void)arg;
	return (void *)(DIRECT_MAP + hpa);
}

static struct pagetable tables = {.take_page = take_page, .hva_of = table_hva};

static void map_or_panic(uint64_t va, uint64_t hpa, uint64_t len_bytes, uint64_t flags)
{
	enum hv_err err = pagetable_map(&tables, va, hpa, len_bytes, flags);

	if (err != HV_OK)
		panic("paging: mapping 0x%llx bytes at 0x%llx: %s", (unsigned long long)len_bytes,
		      (unsigned long long)va, hv_strerror(err));
}

static void map_image_part(const char *start, const char *end, uint64_t flags)
{
	map_or_panic((uint64_t)start, image_hpa(start), (uint64_t)(end - start), flags);
}

static void map_stacks(uint64_t va, uint64_t hpa)
{
	uint64_t at = STACK_GUARD_BYTES;

	map_or_panic(va + at, hpa + at, STACK_MAIN_BYTES, PTE_W | PTE_NX);
	at += STACK_MAIN_BYTES + STACK_GUARD_BYTES;
	for (unsigned i = 0; i < STACK_NR_IST; i++, at += STACK_IST_BYTES + STACK_GUARD_BYTES)
		map_or_panic(va + at, hpa + at, STACK_IST_BYTES, PTE_W | PTE_NX);
}

static void map_image(void)
{
	map_image_part(text_start, text_end, 0);
	map_image_part(rodata_start, rodata_end, PTE_NX);
	map_image_part(data_start, data_end, PTE_W | PTE_NX);
	map_stacks((uint64_t)boot_cpu_stacks, image_hpa(boot_cpu_stacks));
}

/* RAM from base to end; the part that is kernel text and rodata read-only. */
static void map_ram(uint64_t base, uint64_t end)
{
	uint64_t cuts[] = {base, image_hpa(text_start), image_hpa(rodata_end), end};
	uint64_t flags[] = {PTE_W | PTE_NX, PTE_NX, PTE_W | PTE_NX};

	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		uint64_t from = MIN(MAX(cuts[i], base), end), to = MIN(MAX(cuts[i + 1], base), end);

		if (from < to)
			map_or_panic(DIRECT_MAP + from, from, to - from, flags[i]);
	}
}

void paging_init(const struct boot_info *info)
{
	boot = info;
	tables.has_1g_pages = cpuid_if_present(0x80000001u, 0).edx & BIT(26);
	tables.root_hpa = take_page(NULL);
	map_image();
	for (uint32_t i = 0; i < info->nr_ranges; i++) {
		const struct boot_range *r = &info->ranges[i];
		uint64_t base = ALIGN_UP(r->base, PAGE_SIZE);
		uint64_t end = ALIGN_DOWN(r->base + r->len_bytes, PAGE_SIZE);

		if (r->type == RANGE_RAM && base < end && end <= DIRECT_MAP_BYTES)
			map_ram(base, end);
	}
	paging_load();
	has_allocator = true;
}

void paging_load(void)
{
	uint32_t has = cpuid_if_present(7, 0).ebx, has_c = cpuid_if_present(7, 0).ecx;
	uint64_t cr4 = 0;

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
	write_cr3(tables.root_hpa);
	cr4 |= has & BIT(7) ? CR4_SMEP : 0;
	cr4 |= has & BIT(20) ? CR4_SMAP : 0;
	cr4 |= has_c & BIT(2) ? CR4_UMIP : 0;
	write_cr4(read_cr4() | cr4);
}

static bool is_firmware_memory(uint64_t hpa)
{
	if (hpa < MIB)
		return true;
	for (uint32_t i = 0; i < boot->nr_ranges; i++) {
		const struct boot_range *r = &boot->ranges[i];

		if (hpa + PAGE_SIZE > r->base && hpa < r->base + r->len_bytes &&
		    r->type != RANGE_BAD)
			return true;
	}
	return false;
}

const void *paging_map_firmware(uint64_t hpa, uint64_t len_bytes)
{
	if (!len_bytes || !range_fits(hpa, len_bytes, DIRECT_MAP_BYTES))
		return NULL;
	for (uint64_t at = ALIGN_DOWN(hpa, PAGE_SIZE); at < hpa + len_bytes; at += PAGE_SIZE) {
		if (pagetable_find(&tables, DIRECT_MAP + at, NULL, NULL))
			continue;
		if (!is_firmware_memory(at) ||
		    pagetable_map(&tables, DIRECT_MAP + at, at, PAGE_SIZE, PTE_NX) != HV_OK)
			return NULL;
	}
	return (const void *)(DIRECT_MAP + hpa);
}

/* Page by page: the guards between them need no memory. */
static bool map_new_pages(uint64_t va, uint64_t len_bytes)
{
	for (uint64_t at = 0; at < len_bytes; at += PAGE_SIZE) {
		hpa_t page = pages_alloc(0);

		if (page == HPA_NONE)
			return false;
		if (pagetable_map(&tables, va + at, page, PAGE_SIZE, PTE_W | PTE_NX) != HV_OK)
			return false;
	}
	return true;
}

void *paging_map_stacks(uint32_t cpu_index)
{
	uint64_t base = STACK_AREA + cpu_index * ALIGN_UP(STACKS_BYTES, 128 * KIB);
	uint64_t va = base + STACK_GUARD_BYTES;

	if (!map_new_pages(va, STACK_MAIN_BYTES))
		return NULL;
	va += STACK_MAIN_BYTES + STACK_GUARD_BYTES;
	for (unsigned i = 0; i < STACK_NR_IST; i++, va += STACK_IST_BYTES + STACK_GUARD_BYTES)
		if (!map_new_pages(va, STACK_IST_BYTES))
			return NULL;
	return (void *)base;
}

void paging_forget_boot_tables(void)
{
	memset(hva_of((hpa_t)boot_pml4), 0, PAGE_SIZE);
}

bool paging_is_mapped(uint64_t va)
{
	return pagetable_find(&tables, va, NULL, NULL);
}

uint64_t paging_image_start(void)
{
	return (uint64_t)image_start;
}

uint64_t paging_image_end(void)
{
	return image_hpa(image_end);
}

static uint64_t find_mmio(uint64_t base, uint64_t len_bytes)
{
	for (uint32_t i = 0; i < nr_mmio_maps; i++)
		if (base >= mmio_maps[i].base &&
		    range_fits(base - mmio_maps[i].base, len_bytes, mmio_maps[i].len_bytes))
			return mmio_maps[i].va + (base - mmio_maps[i].base);
	return 0;
}

static uint64_t add_mmio(uint64_t base, uint64_t len_bytes)
{
	uint64_t va = mmio_next;

	mmio_next += len_bytes;
	if (pagetable_map(&tables, va, base, len_bytes, PTE_W | PTE_NX | PTE_PCD | PTE_PWT) !=
	    HV_OK)
		return 0;
	if (nr_mmio_maps < MMIO_MAPS_MAX) {
		mmio_maps[nr_mmio_maps].base = base;
		mmio_maps[nr_mmio_maps].len_bytes = len_bytes;
		mmio_maps[nr_mmio_maps++].va = va;
	}
	return va;
}

void *mmio_map(hpa_t hpa, uint64_t len_bytes)
{
	uint64_t base = ALIGN_DOWN(hpa, PAGE_SIZE),
		 len = ALIGN_UP(hpa + len_bytes, PAGE_SIZE) - base;
	uint64_t va;

	ASSERT(len_bytes && len_bytes <= GIB);
	lock_take(&mmio_lock);
	va = find_mmio(base, len);
	if (va == 0)
		va = add_mmio(base, len);
	lock_release(&mmio_lock);
	return va != 0 ? (void *)(va + (hpa - base)) : NULL;
}
