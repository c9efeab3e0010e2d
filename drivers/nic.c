/* SPDX-License-Identifier: Apache-2.0 */
/* The list of NICs: the boot CPU changes it, any CPU reads it. */
#include "drivers/nic.h"

#include "kernel/lib/assert.h"

static struct nic *nics[NIC_MAX]; /* NULL: removed */
static uint32_t nr_nics;	  /* with those */
static void (*watcher)(struct nic *nic, uint32_t index, bool is_there);

static uint32_t place_of(const struct nic *nic)
{
	uint32_t at = 0;

	while (at < nr_nics && nics[at] != nic)
		at++;
	return at;
}

bool nic_has_room(void)
{
	return place_of(NULL) < NIC_MAX;
}

void nic_add(struct nic *nic)
{
	uint32_t at = place_of(NULL);

	ASSERT(at < NIC_MAX);
	__atomic_store_n(&nics[at], nic, __ATOMIC_RELEASE);
	__atomic_store_n(&nr_nics, MAX(nr_nics, at + 1), __ATOMIC_RELEASE);
	if (watcher)
		watcher(nic, at, true);
}

void nic_remove(struct nic *nic)
{
	uint32_t at = place_of(nic);

	if (at == nr_nics)
		return;
	__atomic_store_n(&nics[at], NULL, __ATOMIC_RELAXED);
	if (watcher)
		watcher(nic, at, false);
}

void nic_watch(void (*fn)(struct nic *nic, uint32_t index, bool is_there))
{
	ASSERT(!watcher);
	watcher = fn;
}

uint32_t nic_count(void)
{
	return __atomic_load_n(&nr_nics, __ATOMIC_ACQUIRE);
}

struct nic *nic_at(uint32_t index)
{
	ASSERT(index < nic_count());
	return __atomic_load_n(&nics[index], __ATOMIC_ACQUIRE);
}
