/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's <string.h>. Bulk moves are string instructions over eight-byte words: fast on CPUs
 * with ERMSB, and an eighth of the instructions of a byte loop in an emulator. The odd rest of a
 * block is one unaligned word that overlaps the last whole one.
 */
#include "kernel/lib/string.h"

#include "kernel/lib/bytes.h"

static void move_words_up(void *dst, const void *src, size_t words)
{
	__asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(words) : : "memory");
}

static void move_bytes_up(void *dst, const void *src, size_t len)
{
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(len) : : "memory");
}

/* dst and src point at the last byte or word. */
static void move_bytes_down(void *dst, const void *src, size_t len)
{
	__asm__ volatile("std; rep movsb; cld"
			 : "+D"(dst), "+S"(src), "+c"(len)
			 :
			 : "memory", "cc");
}

static void move_words_down(void *dst, const void *src, size_t words)
{
	__asm__ volatile("std; rep movsq; cld"
			 : "+D"(dst), "+S"(src), "+c"(words)
			 :
			 : "memory", "cc");
}

/* The last word is read before anything is written, so blocks may overlap when dst < src. */
static void copy_up(void *dst, const void *src, size_t len)
{
	uint64_t last;

	if (len < 8) {
		move_bytes_up(dst, src, len);
		return;
	}
	last = get_le64((const char *)src + len - 8);
	move_words_up(dst, src, len / 8);
	put_le64((char *)dst + len - 8, last);
}

static void copy_down(void *dst, const void *src, size_t len)
{
	uint64_t first;

	if (len < 8) {
		move_bytes_down((char *)dst + len - 1, (const char *)src + len - 1, len);
		return;
	}
	first = get_le64(src);
	move_words_down((char *)dst + len - 8, (const char *)src + len - 8, len / 8);
	put_le64(dst, first);
}

void *memcpy(void *restrict dst, const void *restrict src, size_t len)
{
	copy_up(dst, src, len);
	return dst;
}

void *memmove(void *dst, const void *src, size_t len)
{
	if ((uintptr_t)dst - (uintptr_t)src >= len)
		copy_up(dst, src, len);
	else
		copy_down(dst, src, len);
	return dst;
}

void *memset(void *dst, int byte, size_t len)
{
	uint64_t word = 0x0101010101010101ull * (uint8_t)byte;
	void *at = dst;
	size_t words = len / 8;

	if (len < 8) {
		__asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(byte) : "memory");
		return dst;
	}
	__asm__ volatile("rep stosq" : "+D"(at), "+c"(words) : "a"(word) : "memory");
	put_le64((char *)dst + len - 8, word);
	return dst;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a, *y = b;

	for (; len >= 8 && get_le64(x) == get_le64(y); len -= 8)
		x += 8, y += 8;
	for (; len > 0; len--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *s, int byte, size_t len)
{
	for (const uint8_t *at = s; len > 0; len--, at++)
		if (*at == (uint8_t)byte)
			return (void *)(uintptr_t)at;
	return NULL;
}

size_t strlen(const char *s)
{
	size_t len = 0;

	while (s[len] != '\0')
		len++;
	return len;
}

size_t strnlen(const char *s, size_t max)
{
	size_t len = 0;

	while (len < max && s[len] != '\0')
		len++;
	return len;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t max)
{
	for (; max > 0; max--, a++, b++) {
		if (*a != *b)
			return (uint8_t)*a - (uint8_t)*b;
		if (*a == '\0')
			break;
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (*s == '\0')
			return NULL;
	}
}

char *strstr(const char *haystack, const char *needle)
{
	size_t len = strlen(needle);

	for (; strncmp(haystack, needle, len) != 0; haystack++)
		if (*haystack == '\0')
			return NULL;
	return (char *)(uintptr_t)haystack;
}
