/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is physical memory from 64 KiB on, starting with UEFI's system table; then the same as
 * a memory map.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "boot/uefi.h"
#include "tests/fuzz/check_boot_info.h"
#include "tests/unit/support/fake_phys.h"

#define BASE 0x10000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_phys phys;
	static struct boot_info info;

	memset(&info, 0, sizeof(info));
	info.efi_system_hpa = BASE;
	phys.base = BASE;
	phys.len_bytes = size;
	phys.bytes = data;
	uefi_read_tables(&info, fake_phys_map, &phys);
	fake_phys_unmap(&phys);
	if (size > 0 && uefi_add_map(&info, data + 1, size - 1, data[0]) == HV_OK &&
	    info.nr_ranges > 0)
		check_boot_info(&info);
	return 0;
}
