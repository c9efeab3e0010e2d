/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any block, any name and value: what was set is what is got, a value of the same length moves
 * nothing, and no block makes a reader leave it.
 *
 * Input: a name, a zero, a value, a zero, the block; zeros behind what there is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/grubenv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static const uint8_t *take_text(const uint8_t *at, const uint8_t *end, char *to, size_t cap)
{
	size_t len = 0;

	for (; at < end && *at; at++)
		if (len + 1 < cap)
			to[len++] = (char)*at;
	to[len] = 0;
	return at < end ? at + 1 : at;
}

/* As the header asks for: letters, digits and _. */
static void clean(char *name)
{
	for (; *name; name++)
		*name = (char)('a' + (uint8_t)*name % 26);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data, *end = data + size;
	char name[32], value[300], got[GRUBENV_BYTES];
	uint8_t *block = calloc(1, GRUBENV_BYTES), before[GRUBENV_BYTES];
	size_t place;
	enum hv_err err;

	at = take_text(at, end, name, sizeof(name));
	at = take_text(at, end, value, sizeof(value));
	clean(name);
	if (!name[0])
		strcpy(name, "x");
	memcpy(block, at, MIN((size_t)(end - at), (size_t)GRUBENV_BYTES));
	memcpy(before, block, sizeof(before));
	if (grubenv_get(block, name, got, sizeof(got)) == HV_OK)
		check(strlen(got) < GRUBENV_BYTES && grubenv_place(block, name) > 0);

	place = grubenv_place(block, name);
	err = grubenv_set(block, name, value);
	if (err != HV_OK) {
		check(memcmp(before, block, sizeof(before)) == 0);
	} else {
		check(grubenv_check(block) == HV_OK);
		check(grubenv_get(block, name, got, sizeof(got)) == HV_OK && !strcmp(got, value));
		check(place == 0 || grubenv_place(block, name) == place);
		memcpy(before, block, sizeof(before));
		check(grubenv_set(block, name, value) == HV_OK);
		check(memcmp(before, block, sizeof(before)) == 0);
	}
	free(block);
	return 0;
}
