/* SPDX-License-Identifier: Apache-2.0 */
/* The list of NICs: it grows at boot and is read-only afterwards. */
#include "drivers/nic.h"

#include "kernel/lib/assert.h"

static struct nic *nics[NIC_MAX];
static uint32_t nr_nics;

void nic_add(struct nic *nic)
{
	ASSERT(nr_nics < NIC_MAX);
	nics[nr_nics++] = nic;
}

uint32_t nic_count(void)
{
	return nr_nics;
}

struct nic *nic_at(uint32_t index)
{
	ASSERT(index < nr_nics);
	return nics[index];
}
