/* SPDX-License-Identifier: Apache-2.0 */
/* The first card with a link is as good as any other; staying is better than changing. */
#include "net/uplink_choice.h"

#include "net/port.h"

static bool works(const struct uplink_card *card)
{
	return card->is_usable && card->has_link;
}

int32_t uplink_choose(const struct uplink_card *cards, uint32_t nr_cards, int32_t current)
{
	bool is_there = current >= 0 && (uint32_t)current < nr_cards && cards[current].is_usable;

	if (is_there && cards[current].has_link)
		return current;
	for (uint32_t i = 0; i < nr_cards; i++)
		if (works(&cards[i]))
			return (int32_t)i;
	if (is_there)
		return current;
	for (uint32_t i = 0; i < nr_cards; i++)
		if (cards[i].is_usable)
			return (int32_t)i;
	return -1;
}

uint32_t uplink_mtu(const char *word)
{
	uint32_t mtu = 0;

	for (; *word; word++) {
		if (*word < '0' || *word > '9')
			return 0;
		mtu = mtu * 10 + (uint32_t)(*word - '0');
		if (mtu > NET_MTU_MAX)
			return 0;
	}
	return mtu >= NET_MTU_MIN ? mtu : 0;
}
