/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of <string.h> that the kernel has, with the standard's prototypes and meaning.
 * In the kernel they are ours (kernel/lib/string.c); on the host, libc's.
 */
#ifndef KERNEL_LIB_STRING_H
#define KERNEL_LIB_STRING_H

#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t len);
void *memmove(void *dst, const void *src, size_t len);
void *memset(void *dst, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
void *memchr(const void *s, int byte, size_t len);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *s, int c);
char *strstr(const char *haystack, const char *needle);

#endif
