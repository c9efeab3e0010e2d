/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table that tools/build/ksyms writes: functions by rising address, each with where its name
 * starts among the names. The last row is the end of .text.
 */
#include "kernel/ksyms.h"

struct ksym {
	uint32_t text_offset; /* from text_start */
	uint32_t name_offset; /* from ksyms_names */
};

extern const uint32_t ksyms_count;
extern const struct ksym ksyms_table[];
extern const char ksyms_names[];
extern const char text_start[], text_end[];

const char *ksyms_find(uint64_t at, uint64_t *offset)
{
	uint32_t low = 0, high = ksyms_count;

	if (at < (uint64_t)text_start || at >= (uint64_t)text_end)
		return NULL;
	at -= (uint64_t)text_start;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (ksyms_table[mid].text_offset <= at)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return NULL;
	*offset = at - ksyms_table[low - 1].text_offset;
	return ksyms_names + ksyms_table[low - 1].name_offset;
}
