/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is physical memory from 0xe0000 on, with the RSDP at its start. Where the OEM ID of the
 * RSDP starts with 'F' its checksums, and those of tables when they are mapped whole, are made
 * right, so that what lies behind them is reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/acpi.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "tests/unit/support/fake_phys.h"

#define BASE	     0xe0000u
#define RSDP_BYTES   36u
#define RSDP_OEM_ID  9
#define HEADER_BYTES 36u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_fixing;

static void fix_sum(uint8_t *block, size_t len, size_t sum_at)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + block[i]);
	block[sum_at] = (uint8_t)(block[sum_at] - sum);
}

static const void *map(void *arg, uint64_t hpa, uint64_t len_bytes)
{
	const void *mapped = fake_phys_map(arg, hpa, len_bytes);
	uint8_t *copy = (uint8_t *)(uintptr_t)mapped; /* fake_phys gives each mapping a copy */

	if (copy != NULL && is_fixing && len_bytes >= HEADER_BYTES &&
	    get_le32(copy + 4) == len_bytes)
		fix_sum(copy, len_bytes, 9);
	return mapped;
}

static void check(const struct acpi_info *info)
{
	ASSERT(info->nr_cpus > 0 && info->nr_cpus <= ACPI_CPUS_MAX);
	for (uint32_t i = 1; i < info->nr_cpus; i++)
		ASSERT(info->apic_ids[i] != info->apic_ids[i - 1]);
	ASSERT(info->nr_ioapics <= ACPI_IOAPICS_MAX);
	ASSERT(info->nr_overrides <= ACPI_OVERRIDES_MAX);
	ASSERT(info->nr_mcfg <= ACPI_MCFG_MAX);
	for (uint32_t i = 0; i < info->nr_mcfg; i++)
		ASSERT(info->mcfg[i].bus_first <= info->mcfg[i].bus_last);
	ASSERT(info->pm_timer_port <= 0xffff && info->pm1a_cnt_port <= 0xffff &&
	       info->pm1b_cnt_port <= 0xffff);
	ASSERT(info->s5_slp_typa <= 7 && info->s5_slp_typb <= 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_phys phys;
	static struct acpi_info info;
	uint8_t rsdp[RSDP_BYTES] = {0};

	memcpy(rsdp, data, MIN(size, sizeof(rsdp)));
	is_fixing = rsdp[RSDP_OEM_ID] == 'F';
	if (is_fixing) {
		fix_sum(rsdp, 20, 8);
		fix_sum(rsdp, sizeof(rsdp), 32);
	}
	phys.base = BASE;
	phys.len_bytes = size;
	phys.bytes = data;
	(void)acpi_find_rsdp(map, &phys);
	if (acpi_parse(rsdp, rsdp[15] < 2 ? 20 : sizeof(rsdp), map, &phys, &info) == HV_OK)
		check(&info);
	fake_phys_unmap(&phys);
	return 0;
}
