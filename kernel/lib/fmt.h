/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formatted text without a libc: %d %i %u %x %X %c %s %p %% with l, ll, z, width, 0, - and
 * precision for %s. Always ends dst with a zero byte when cap is not 0.
 */
#ifndef KERNEL_LIB_FMT_H
#define KERNEL_LIB_FMT_H

#include <stdarg.h>

#include "kernel/lib/types.h"

/* Both return the length the whole text has, as snprintf does; it was cut when that is >= cap. */
size_t fmt_v(char *dst, size_t cap, const char *fmt, va_list args);
size_t fmt(char *dst, size_t cap, const char *format, ...) PRINTF(3, 4);

#endif
