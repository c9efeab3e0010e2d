/* SPDX-License-Identifier: Apache-2.0 */
/* The input is multiboot2 information; what comes out must keep what boot_info.h promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "boot/multiboot2.h"
#include "tests/fuzz/check_boot_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot_info info;

	if (multiboot2_parse(data, size, &info) == HV_OK)
		check_boot_info(&info);
	return 0;
}
