/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses that a switch has learned: (network, MAC) to the slot of a port, in a table of
 * fixed size. Each key has a set of MAC_TABLE_WAYS places; when they are full, the one used longest
 * ago goes, so a flood of made-up addresses costs others a lookup but never memory. Pure; no lock
 * inside.
 */
#ifndef NET_MAC_TABLE_H
#define NET_MAC_TABLE_H

#include "kernel/lib/types.h"

#define MAC_LEN	       6u
#define MAC_TABLE_SETS 256u /* a power of two */
#define MAC_TABLE_WAYS 4u

struct mac_entry {
	uint64_t last_used; /* the table's clock; 0: empty */
	uint32_t network;
	int32_t slot;
	uint8_t mac[MAC_LEN];
};

struct mac_table {
	uint64_t clock; /* counts learned and found addresses */
	struct mac_entry sets[MAC_TABLE_SETS][MAC_TABLE_WAYS];
};

/* mac_hash - spreads the keys; the same key gives the same hash in every table */
uint32_t mac_hash(uint32_t network, const uint8_t mac[MAC_LEN]);

/* mac_table_learn - this address was seen on that slot, and is no longer where it was before */
void mac_table_learn(struct mac_table *table, uint32_t network, const uint8_t mac[MAC_LEN],
		     int32_t slot);

/* mac_table_find - the slot that an address was last seen on, or -1 */
int32_t mac_table_find(struct mac_table *table, uint32_t network, const uint8_t mac[MAC_LEN]);

/* mac_table_forget_slot - a port is gone, and every address behind it */
void mac_table_forget_slot(struct mac_table *table, int32_t slot);

#endif
