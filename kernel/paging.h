/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's address space, one for all CPUs, built once at boot:
 *
 *   0xffff800000000000  DIRECT_MAP   all RAM, writable, not executable; kernel text and read-only
 *                                    data are read-only here too; firmware tables read-only
 *   0xffffd00000000000  MMIO_AREA    device registers, uncached
 *   0xffffe00000000000  STACK_AREA   stacks of the other CPUs, an unmapped page below each
 *   0xffffffff80000000  KERNEL_BASE  the image: text RX, rodata R, data and bss RW
 *
 * Nothing is mapped in the lower half. The tables that boot/entry.S made, which map the first 4 GiB
 * there, are loaded only by a CPU that is coming up, and are emptied once all CPUs are up.
 */
#ifndef KERNEL_PAGING_H
#define KERNEL_PAGING_H

#define KERNEL_BASE	 0xffffffff80000000
#define KERNEL_LOAD	 0x200000 /* physical address of the image */
#define DIRECT_MAP	 0xffff800000000000
#define DIRECT_MAP_BYTES 0x400000000000 /* 64 TiB */
#define MMIO_AREA	 0xffffd00000000000
#define STACK_AREA	 0xffffe00000000000

/* A CPU's stacks, lowest first, each above an unmapped page. */
#define STACK_GUARD_BYTES 4096
#define STACK_MAIN_BYTES  32768
#define STACK_IST_BYTES	  8192
#define STACK_NR_IST	  3 /* NMI, double fault, machine check */
#define STACKS_BYTES                                                                               \
	(STACK_GUARD_BYTES + STACK_MAIN_BYTES +                                                    \
	 STACK_NR_IST * (STACK_GUARD_BYTES + STACK_IST_BYTES))

#ifndef __ASSEMBLER__

#	include "boot/boot_info.h"
#	include "kernel/lib/err.h"
#	include "kernel/lib/types.h"

/* paging_init - build the final tables and load them. Context: boot CPU, before memory_init. */
void paging_init(const struct boot_info *info);

/* paging_load - use the final tables on this CPU; protections (WP, SMEP, SMAP, UMIP, NX) on */
void paging_load(void);

/*
 * paging_map_firmware - len_bytes of firmware's tables, readable at their place in the direct map
 *
 * returns  NULL when any of it lies outside the memory map and above 1 MiB, or tables ran out
 * Context: boot.
 */
const void *paging_map_firmware(uint64_t hpa, uint64_t len_bytes);

/* paging_map_stacks - memory for a CPU's stacks; the lowest address, or NULL when there is none */
void *paging_map_stacks(uint32_t cpu_index);

/* Whether va can be read. For a panic, which must not fault. */
bool paging_is_mapped(uint64_t va);

/* paging_forget_boot_tables - empty the tables with the identity mapping. Context: boot, last. */
void paging_forget_boot_tables(void);

/* Where the image of this kernel lies in physical memory, so that memory_init keeps off it. */
uint64_t paging_image_start(void);
uint64_t paging_image_end(void);

#endif
#endif
