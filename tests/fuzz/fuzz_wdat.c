/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a WDAT. One that is taken has instructions that touch nothing they must not, and is
 * run on registers that hold what the table's own bytes say.
 */
#include <stdint.h>

#include "drivers/wdat.h"
#include "kernel/lib/assert.h"

#define RAM_END 0xc0000000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	const uint8_t *data;
	size_t size, at;
} registers;

static bool is_memory(uint64_t hpa, uint64_t len_bytes)
{
	ASSERT(len_bytes >= 1 && len_bytes <= 4 && hpa <= UINT64_MAX - len_bytes);
	return hpa < RAM_END;
}

static void check(const struct wdat *wdat, uint32_t index)
{
	const struct wdat_instruction *in = &wdat->instructions[index];

	ASSERT(index < wdat->nr_instructions && wdat->nr_instructions <= WDAT_INSTRUCTIONS_MAX);
	ASSERT(in->width_bytes == 1 || in->width_bytes == 2 || in->width_bytes == 4);
	ASSERT(IS_ALIGNED(in->address, in->width_bytes));
	if (in->is_io)
		ASSERT(in->address + in->width_bytes <= 0x10000 && in->address / 8 != 0x70 / 8 &&
		       in->address / 8 != 0xcf8 / 8);
	else
		ASSERT(in->address >= RAM_END && in->address + in->width_bytes <= BIT(52));
}

static uint32_t reg_read(void *arg, const struct wdat *wdat, uint32_t index)
{
	uint8_t byte = registers.data[registers.at++ % registers.size];

	(void)arg;
	check(wdat, index);
	return byte * 0x01010101u;
}

static void reg_write(void *arg, const struct wdat *wdat, uint32_t index, uint32_t val)
{
	const struct wdat_instruction *in = &wdat->instructions[index];

	(void)arg;
	check(wdat, index);
	if (!in->keeps_others)
		ASSERT(val < BIT(8 * in->width_bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wdat_io io = {.read = reg_read, .write = reg_write};
	const char *why = NULL;
	struct wdat wdat;

	if (wdat_parse(data, size, is_memory, &wdat, &why) != HV_OK) {
		ASSERT(why != NULL);
		return 0;
	}
	registers.data = data;
	registers.size = size;
	registers.at = 0;
	ASSERT(wdat.period_ms && wdat.min_count && wdat.min_count <= wdat.max_count);
	ASSERT(wdat.min_s && wdat.min_s <= wdat.max_s && wdat.max_s <= 24 * 3600);
	(void)wdat_has_fired(&wdat, &io);
	(void)wdat_start(&wdat, &io, wdat.min_s);
	(void)wdat_start(&wdat, &io, wdat.max_s);
	wdat_kick(&wdat, &io);
	wdat_stop(&wdat, &io);
	return 0;
}
