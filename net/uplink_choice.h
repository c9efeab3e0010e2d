/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which network card is the node's way out, and how large its packets are. Pure: boot and the
 * cards' interrupt handlers ask, net/uplink.c does what it says.
 */
#ifndef NET_UPLINK_CHOICE_H
#define NET_UPLINK_CHOICE_H

#include "kernel/lib/types.h"

struct uplink_card {
	bool is_usable; /* it was started, and is not gone */
	bool has_link;
};

/*
 * uplink_choose - index of the card to use, or -1: none is usable
 *
 * current  the one in use, or -1. It stays for as long as it has a link, and when nobody has one:
 *          a change costs every station outside a moment to find us again, so a card that comes
 *          back takes nothing from the one that stood in for it.
 */
int32_t uplink_choose(const struct uplink_card *cards, uint32_t nr_cards, int32_t current);

/* uplink_mtu - the number in word, or 0: no number from NET_MTU_MIN to NET_MTU_MAX */
uint32_t uplink_mtu(const char *word);

#endif
