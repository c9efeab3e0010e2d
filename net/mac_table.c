/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set-associative table, like a CPU's cache: the hash picks the set, the key one of its ways, and
 * a clock that ticks at each use says which way to give up.
 */
#include "net/mac_table.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

uint32_t mac_hash(uint32_t network, const uint8_t mac[MAC_LEN])
{
	uint64_t key = get_le32(mac) | (uint64_t)get_le16(mac + 4) << 32;

	/*
	 * Multiplication carries bits upwards only, and consecutive addresses differ in the key's
	 * top byte: hence twice, with the upper half folded down in between.
	 */
	key = (key ^ (uint64_t)network << 29) * 0x9e3779b97f4a7c15ull;
	key = (key ^ key >> 32) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(key >> 32);
}

static struct mac_entry *set_of(struct mac_table *table, uint32_t network, const uint8_t *mac)
{
	return table->sets[mac_hash(network, mac) % MAC_TABLE_SETS];
}

static struct mac_entry *find_in(struct mac_entry *set, uint32_t network, const uint8_t *mac)
{
	for (uint32_t i = 0; i < MAC_TABLE_WAYS; i++)
		if (set[i].last_used != 0 && set[i].network == network &&
		    memcmp(set[i].mac, mac, MAC_LEN) == 0)
			return &set[i];
	return NULL;
}

static struct mac_entry *oldest_in(struct mac_entry *set)
{
	struct mac_entry *oldest = &set[0];

	for (uint32_t i = 1; i < MAC_TABLE_WAYS; i++)
		if (set[i].last_used < oldest->last_used)
			oldest = &set[i];
	return oldest;
}

void mac_table_learn(struct mac_table *table, uint32_t network, const uint8_t mac[MAC_LEN],
		     int32_t slot)
{
	struct mac_entry *set = set_of(table, network, mac);
	struct mac_entry *entry = find_in(set, network, mac);

	if (!entry) {
		entry = oldest_in(set);
		entry->network = network;
		memcpy(entry->mac, mac, MAC_LEN);
	}
	entry->slot = slot;
	entry->last_used = ++table->clock;
}

int32_t mac_table_find(struct mac_table *table, uint32_t network, const uint8_t mac[MAC_LEN])
{
	struct mac_entry *entry = find_in(set_of(table, network, mac), network, mac);

	if (!entry)
		return -1;
	entry->last_used = ++table->clock;
	return entry->slot;
}

void mac_table_forget_slot(struct mac_table *table, int32_t slot)
{
	for (uint32_t i = 0; i < MAC_TABLE_SETS; i++)
		for (uint32_t way = 0; way < MAC_TABLE_WAYS; way++)
			if (table->sets[i][way].slot == slot)
				memset(&table->sets[i][way], 0, sizeof(table->sets[i][way]));
}
