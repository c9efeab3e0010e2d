/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is physical memory from 64 KiB on, starting with the start info. What comes out must
 * keep what boot_info.h promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "boot/pvh.h"
#include "tests/fuzz/check_boot_info.h"
#include "tests/unit/support/fake_phys.h"

#define BASE 0x10000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_phys phys;
	static struct boot_info info;

	phys.base = BASE;
	phys.len_bytes = size;
	phys.bytes = data;
	if (pvh_parse(BASE, fake_phys_map, &phys, &info) == HV_OK)
		check_boot_info(&info);
	fake_phys_unmap(&phys);
	return 0;
}
