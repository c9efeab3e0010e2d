/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we want to know from the firmware's ACPI tables. The tables are hostile input: every length
 * is checked against its container, checksums must hold, and a table that breaks its specification
 * is left out with a warning. Pure: reads memory only through the given map function.
 *
 * Source: [ACPI] "Root System Description Pointer (RSDP)", "Multiple APIC Description Table
 * (MADT)", "Fixed ACPI Description Table (FADT)"; [HPET] "The ACPI Description Table"; [PCIFW]
 * "MCFG".
 */
#ifndef KERNEL_ACPI_H
#define KERNEL_ACPI_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define ACPI_CPUS_MAX	   256
#define ACPI_IOAPICS_MAX   8
#define ACPI_OVERRIDES_MAX 16
#define ACPI_MCFG_MAX	   8

struct acpi_info {
	uint64_t lapic_hpa;
	uint32_t nr_cpus; /* enabled ones only, in table order */
	uint32_t apic_ids[ACPI_CPUS_MAX];
	uint32_t nr_ioapics;
	struct {
		uint64_t hpa;
		uint32_t gsi_base;
		uint8_t id;
	} ioapics[ACPI_IOAPICS_MAX];
	uint32_t nr_overrides;
	struct {
		uint8_t isa_irq;
		uint32_t gsi;
		bool is_active_low, is_level;
	} overrides[ACPI_OVERRIDES_MAX];
	uint64_t hpet_hpa;	/* 0: none */
	uint32_t pm_timer_port; /* 0: none */
	bool pm_timer_is_32bit;
	uint32_t pm1a_cnt_port, pm1b_cnt_port; /* for power off; 0: none */
	uint8_t s5_slp_typa, s5_slp_typb;
	bool has_s5; /* found \\_S5_ in the DSDT */
	uint32_t nr_mcfg;
	struct {
		uint64_t hpa;
		uint16_t segment;
		uint8_t bus_first, bus_last;
	} mcfg[ACPI_MCFG_MAX];
	bool has_reset_reg; /* FADT reset register, in I/O space */
	uint16_t reset_port;
	uint8_t reset_value;
	uint64_t wdat_hpa; /* a watchdog's table, whose checksum holds; 0: none */
	uint32_t wdat_len_bytes;
	uint16_t nr_tables, nr_bad_tables;
};

/* Pointer to len_bytes of physical memory, or NULL when that is not memory that firmware may use.
 */
typedef const void *acpi_map_fn(void *arg, uint64_t hpa, uint64_t len_bytes);

/* acpi_find_rsdp - search a copy of the BIOS areas (EBDA, 0xe0000) as [ACPI] says; 0 when not found
 */
uint64_t acpi_find_rsdp(acpi_map_fn *map, void *arg);

/*
 * acpi_parse - walk from the RSDP to the tables above
 *
 * rsdp     the pointer structure itself, rsdp_len bytes (20 for revision 0)
 * out      filled on HV_OK
 * Errors:  HV_EPROTO - RSDP or root table unusable, or no MADT with a CPU in it.
 */
MUST_CHECK enum hv_err acpi_parse(const void *rsdp, size_t rsdp_len, acpi_map_fn *map, void *arg,
				  struct acpi_info *out);

extern struct acpi_info acpi_info; /* this machine's; fixed after boot */

#endif
