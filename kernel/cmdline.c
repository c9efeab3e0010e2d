/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, read anew for each question: there are few, all of them at boot. */
#include "kernel/cmdline.h"

#include "boot/boot_info.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define VALUE_MAX 64

static const char *word_end(const char *word)
{
	while (*word && *word != ' ')
		word++;
	return word;
}

/* The value in a word when its key is the one asked for, else NULL. */
static const char *value_in(const char *word, const char *end, const char *key)
{
	size_t len = strlen(key);

	if ((size_t)(end - word) < len || strncmp(word, key, len))
		return NULL;
	word += len;
	if (word == end)
		return word;
	return *word == '=' ? word + 1 : NULL;
}

const char *cmdline_find(const char *cmdline, const char *key, char *buf, size_t cap)
{
	const char *found = NULL;

	ASSERT(cap);
	while (*cmdline) {
		const char *end = word_end(cmdline), *value = value_in(cmdline, end, key);

		if (value) {
			size_t len = MIN((size_t)(end - value), cap - 1);

			memcpy(buf, value, len);
			buf[len] = 0;
			found = buf;
		}
		cmdline = *end ? end + 1 : end;
	}
	return found;
}

uint32_t cmdline_find_number(const char *cmdline, const char *key, uint32_t otherwise)
{
	char buf[12];
	uint64_t val = 0;

	if (!cmdline_find(cmdline, key, buf, sizeof(buf)) || !buf[0])
		return otherwise;
	for (const char *at = buf; *at; at++) {
		if (*at < '0' || *at > '9')
			return otherwise;
		val = val * 10 + (uint64_t)(*at - '0');
	}
	return val <= UINT32_MAX ? (uint32_t)val : otherwise;
}

const char *cmdline_get(const char *key, char *buf, size_t cap)
{
	return cmdline_find(boot_info.cmdline, key, buf, cap);
}

uint32_t cmdline_number(const char *key, uint32_t otherwise)
{
	return cmdline_find_number(boot_info.cmdline, key, otherwise);
}

unsigned cmdline_choose(const char *key, const char *const *words, unsigned count, unsigned none)
{
	char value[VALUE_MAX];

	if (!cmdline_get(key, value, sizeof(value)))
		return none;
	for (unsigned i = 0; i < count; i++)
		if (!strcmp(value, words[i]))
			return i;
	log_warn("cmdline", "%s=%s is not known, ignored", key, value);
	return none;
}
