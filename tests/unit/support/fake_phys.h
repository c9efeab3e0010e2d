/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A piece of physical memory on the host, for parsers that read through a map function. Each
 * mapping is an allocation of exactly the bytes asked for, so that AddressSanitizer sees one byte
 * too many; they live until fake_phys_unmap().
 */
#ifndef TESTS_FAKE_PHYS_H
#define TESTS_FAKE_PHYS_H

#include "kernel/lib/types.h"

#define FAKE_PHYS_MAPPINGS 16384u

struct fake_phys {
	uint64_t base, len_bytes;
	const uint8_t *bytes; /* borrows */
	void *mappings[FAKE_PHYS_MAPPINGS];
	unsigned nr_mappings;
};

/* An acpi_map_fn and pvh_map_fn; arg is the struct fake_phys. NULL outside, or after too many. */
const void *fake_phys_map(void *arg, uint64_t hpa, uint64_t len_bytes);
void fake_phys_unmap(struct fake_phys *phys);

#endif
