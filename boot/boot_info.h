/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What firmware and loader gave us, whatever they were: the one form that the rest of the kernel
 * knows. Filled by boot/ before anything else runs; read-only afterwards. All of it is hostile
 * input that has been checked: lengths lie inside their buffers, ranges do not wrap.
 */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include "kernel/lib/types.h"

#define BOOT_RANGES_MAX	 128
#define BOOT_MODULES_MAX 8

enum boot_range_type { RANGE_RAM, RANGE_RESERVED, RANGE_ACPI_RECLAIM, RANGE_ACPI_NVS, RANGE_BAD };

struct boot_range { /* sorted by base, not overlapping; page granularity is the reader's work */
	uint64_t base, len_bytes;
	enum boot_range_type type;
};

struct boot_module { /* lies in RAM that the allocator must not hand out */
	uint64_t hpa, len_bytes;
	char name[256]; /* its command line, cut */
};

enum boot_firmware { FIRMWARE_BIOS, FIRMWARE_UEFI, FIRMWARE_NONE }; /* NONE: PVH */

/* What a person in front of the machine looks at, as the loader left it. */
enum boot_screen_kind { SCREEN_NONE, SCREEN_VGA_TEXT, SCREEN_FRAMEBUFFER };

struct boot_screen {
	enum boot_screen_kind kind;
	uint64_t hpa;		 /* the whole of it lies in height * pitch_bytes from here */
	uint32_t width, height;	 /* pixels, or characters */
	uint32_t pitch_bytes;	 /* from one line to the next */
	uint32_t bits_per_pixel; /* 16, 24 or 32 */
	struct boot_screen_colour {
		uint8_t shift, bits; /* where it is in a pixel, and how wide: 1 to 8 */
	} red, green, blue;
};

struct boot_info {
	const char *protocol; /* "multiboot2" or "pvh" */
	char loader[64];
	char cmdline[1024];
	struct boot_range ranges[BOOT_RANGES_MAX];
	uint32_t nr_ranges;
	struct boot_module modules[BOOT_MODULES_MAX];
	uint32_t nr_modules;
	enum boot_firmware firmware;
	struct boot_screen screen;
	uint64_t efi_system_hpa; /* UEFI's system table, for boot/uefi.h; 0: none */
	uint64_t smbios_hpa;	 /* the entry point where UEFI has it; 0: search the BIOS area */
	uint64_t rsdp_hpa;	 /* 0: search the BIOS areas */
	uint8_t rsdp_copy[36];	 /* multiboot2 hands a copy; valid when rsdp_copy_len is not 0 */
	uint32_t rsdp_copy_len;
};

extern struct boot_info boot_info;

#endif
