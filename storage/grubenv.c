/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line at a time, as GRUB reads them: one that begins with # is a comment, and the padding is one
 * long comment without an end.
 */
#include "storage/grubenv.h"

#include "kernel/lib/string.h"

static const char signature[] = "# GRUB Environment Block\n";
#define SIGNATURE_BYTES (sizeof(signature) - 1)

/* Behind the line that begins at; escaped ends of lines belong to it. The block's end: it has none.
 */
static size_t line_end(const uint8_t *block, size_t at)
{
	for (; at < GRUBENV_BYTES; at++) {
		if (block[at] == '\\')
			at++;
		else if (block[at] == '\n')
			return at + 1;
	}
	return GRUBENV_BYTES + 1;
}

/* Comments end at the first end of a line, whatever is in front of it. */
static size_t comment_end(const uint8_t *block, size_t at)
{
	const uint8_t *end = memchr(block + at, '\n', GRUBENV_BYTES - at);

	return end ? (size_t)(end - block) + 1 : GRUBENV_BYTES + 1;
}

static size_t next_line(const uint8_t *block, size_t at)
{
	return block[at] == '#' ? comment_end(block, at) : line_end(block, at);
}

/* Nothing but # from here to the end, or nothing at all. */
static bool is_padding(const uint8_t *block, size_t at)
{
	while (at < GRUBENV_BYTES && block[at] == '#')
		at++;
	return at == GRUBENV_BYTES;
}

void grubenv_init(uint8_t block[GRUBENV_BYTES])
{
	memcpy(block, signature, SIGNATURE_BYTES);
	memset(block + SIGNATURE_BYTES, '#', GRUBENV_BYTES - SIGNATURE_BYTES);
}

enum hv_err grubenv_check(const uint8_t block[GRUBENV_BYTES])
{
	size_t at = SIGNATURE_BYTES;

	if (memcmp(block, signature, SIGNATURE_BYTES) != 0)
		return HV_EPROTO;
	while (at < GRUBENV_BYTES && !is_padding(block, at))
		at = next_line(block, at);
	return at <= GRUBENV_BYTES ? HV_OK : HV_EPROTO;
}

size_t grubenv_place(const uint8_t block[GRUBENV_BYTES], const char *name)
{
	size_t len = strlen(name);

	for (size_t at = SIGNATURE_BYTES; at < GRUBENV_BYTES; at = next_line(block, at))
		if (block[at] != '#' && len < GRUBENV_BYTES - at &&
		    memcmp(block + at, name, len) == 0 && block[at + len] == '=' &&
		    line_end(block, at) <= GRUBENV_BYTES)
			return at + len + 1;
	return 0;
}

enum hv_err grubenv_get(const uint8_t block[GRUBENV_BYTES], const char *name, char *value,
			size_t cap)
{
	size_t at = grubenv_place(block, name), len = 0, end;

	if (at == 0)
		return HV_ENOENT;
	end = line_end(block, at) - 1;
	for (; at < end; at++) {
		if (block[at] == '\\')
			at++;
		if (len + 1 >= cap)
			return HV_ENOMEM;
		value[len++] = (char)block[at];
	}
	if (cap == 0)
		return HV_ENOMEM;
	value[len] = 0;
	return HV_OK;
}

static size_t escaped_len(const char *value)
{
	size_t len = 0;

	for (; *value; value++)
		len += *value == '\\' || *value == '\n' ? 2 : 1;
	return len;
}

static void put_escaped(uint8_t *to, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '\n')
			*to++ = '\\';
		*to++ = (uint8_t)*value;
	}
}

/* Where the padding begins, of a block that was checked. */
static size_t used(const uint8_t *block)
{
	size_t at = SIGNATURE_BYTES;

	while (!is_padding(block, at))
		at = next_line(block, at);
	return at;
}

/* Bytes [at, at + was) become will bytes; what is behind moves, padding comes or goes. */
static bool resize(uint8_t *block, size_t at, size_t was, size_t will)
{
	size_t end = used(block), behind = end - at - was;

	if (will > was && will - was > GRUBENV_BYTES - end)
		return false;
	memmove(block + at + will, block + at + was, behind);
	if (will < was)
		memset(block + end - (was - will), '#', was - will);
	return true;
}

enum hv_err grubenv_set(uint8_t block[GRUBENV_BYTES], const char *name, const char *value)
{
	size_t at = grubenv_place(block, name), len = escaped_len(value), name_len = strlen(name);

	if (grubenv_check(block) != HV_OK)
		return HV_EPROTO;
	if (at != 0) {
		if (!resize(block, at, line_end(block, at) - 1 - at, len))
			return HV_ENOMEM;
		put_escaped(block + at, value);
		return HV_OK;
	}
	at = used(block);
	if (len + name_len + 2 > GRUBENV_BYTES - at)
		return HV_ENOMEM;
	memcpy(block + at, name, name_len);
	block[at + name_len] = '=';
	put_escaped(block + at + name_len + 1, value);
	block[at + name_len + 1 + len] = '\n';
	return HV_OK;
}
