/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI and SMBIOS tables for the guest, in its memory below 1 MiB (LAYOUT_ACPI, LAYOUT_SMBIOS),
 * which the memory map reserves. Pure; called before the guest runs.
 */
#ifndef VMM_TABLES_H
#define VMM_TABLES_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "vmm/gmem.h"

#define TABLES_VCPUS_MAX 254u /* APIC IDs of 8 bits, 0xff being everybody */

struct tables_conf {
	uint32_t nr_vcpus;  /* APIC IDs 0 to nr_vcpus - 1 */
	uint8_t uuid[16];   /* in the order that it is written in */
	const char *serial; /* borrowed */
};

/*
 * tables_put - write them all
 *
 * rsdp_gpa   filled on HV_OK
 * Errors:    HV_EINVAL - nr_vcpus is 0 or too large; HV_ENOMEM - no room, or no RAM there.
 */
MUST_CHECK enum hv_err tables_put(const struct gmem *mem, const struct tables_conf *conf,
				  uint64_t *rsdp_gpa);

/* The two halves, as tables_put() calls them. */
MUST_CHECK enum hv_err tables_put_acpi(const struct gmem *mem, uint32_t nr_vcpus,
				       uint64_t *rsdp_gpa);
MUST_CHECK enum hv_err tables_put_smbios(const struct gmem *mem, const struct tables_conf *conf);

/* The bytes of LAYOUT_ACPI… sum to zero where the specifications want it: the byte that makes it
 * so. */
uint8_t tables_checksum(const void *data, size_t len_bytes);

#endif
