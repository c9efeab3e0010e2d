/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all ways to boot a guest have in common: where images come from, the memory map, and the
 * state in which the first vCPU starts. Images are hostile bytes. Pure; called before the guest
 * runs.
 */
#ifndef VMM_BOOT_PROTO_H
#define VMM_BOOT_PROTO_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "vmm/boot_plan.h"
#include "vmm/gmem.h"

struct boot_request {
	const struct gmem *mem;
	struct image_src kernel, initrd;
	const char *cmdline;
	uint64_t rsdp_gpa;	/* 0: none */
	struct boot_plan *plan; /* made anew: what of the images goes where */
};

enum boot_mode { BOOT_LONG_64, BOOT_PROTECTED_32 };

/*
 * The first vCPU's registers; those not named are 0, RFLAGS is 2.
 * BOOT_LONG_64: CR0 PE|PG (and ET, NE), CR4 PAE, EFER LME|LMA, CR3 as given, 4 GiB mapped one to
 * one. BOOT_PROTECTED_32: CR0 PE (and ET), no paging. Both: GDTR as given; CS and the data segments
 * flat with the selectors and attributes below; TR a busy 32-bit (64-bit) TSS with base 0, limit
 * 0x67; LDTR unusable; IDTR limit 0.
 */
struct boot_entry {
	enum boot_mode mode;
	uint64_t rip, rsp, rax, rbx, rsi, cr3;
	uint64_t gdt_base;
	uint16_t gdt_limit;
};

#define BOOT_SEL_CODE 0x10u
#define BOOT_SEL_DATA 0x18u
#define BOOT_SEL_TSS  0x20u

/* As struct guest_segment has them. */
#define BOOT_ATTR_CODE_64 0xa09bu
#define BOOT_ATTR_CODE_32 0xc09bu
#define BOOT_ATTR_DATA	  0xc093u
#define BOOT_ATTR_TSS	  0x008bu

/* The numbers are e820's, which PVH and multiboot share. */
enum boot_map_type { BOOT_MAP_RAM = 1, BOOT_MAP_RESERVED = 2 };

struct boot_map_row {
	uint64_t base, len_bytes;
	enum boot_map_type type;
};
#define BOOT_MAP_ROWS 6

/* boot_map - the guest's memory map, sorted; returns how many rows */
uint32_t boot_map(const struct gmem *mem, struct boot_map_row rows[BOOT_MAP_ROWS]);

/* boot_read - checks the range, then reads; HV_EPROTO: the image is too short */
MUST_CHECK enum hv_err boot_read(const struct image_src *src, uint64_t offset, void *dst,
				 uint64_t len_bytes);

/*
 * boot_plan_initrd - onto the plan, at the highest page that it can begin at
 *
 * floor_gpa, top_gpa   it lies inside [floor_gpa, top_gpa) and low RAM
 * *gpa                 filled on HV_OK; 0 when there is no image
 * Errors:  HV_ENOMEM - no room.
 */
MUST_CHECK enum hv_err boot_plan_initrd(const struct boot_request *req, uint64_t floor_gpa,
					uint64_t top_gpa, uint64_t *gpa);

/* boot_put_cmdline - at LAYOUT_CMDLINE; HV_EINVAL: longer than max_len or than our place for it */
MUST_CHECK enum hv_err boot_put_cmdline(const struct gmem *mem, const char *cmdline,
					uint64_t max_len);

/* boot_put_gdt - the segments above into guest memory, and into entry for entry->mode */
MUST_CHECK enum hv_err boot_put_gdt(const struct gmem *mem, struct boot_entry *entry);

#endif
