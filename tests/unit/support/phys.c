/* SPDX-License-Identifier: Apache-2.0 */
/* Physical memory on the host. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support/fake_phys.h"

const void *fake_phys_map(void *arg, uint64_t hpa, uint64_t len_bytes)
{
	struct fake_phys *phys = arg;
	void *copy;

	if (hpa < phys->base || !range_fits(hpa - phys->base, len_bytes, phys->len_bytes) ||
	    phys->nr_mappings == FAKE_PHYS_MAPPINGS)
		return NULL;
	copy = malloc(len_bytes ? len_bytes : 1);
	if (copy == NULL)
		return NULL;
	memcpy(copy, phys->bytes + (hpa - phys->base), len_bytes);
	phys->mappings[phys->nr_mappings++] = copy;
	return copy;
}

void fake_phys_unmap(struct fake_phys *phys)
{
	while (phys->nr_mappings > 0)
		free(phys->mappings[--phys->nr_mappings]);
}
