/* SPDX-License-Identifier: Apache-2.0 */
/* lwIP's view of the compiler: a little-endian 64-bit machine with newlib. */
#ifndef BILLET_LWIP_CC_H
#define BILLET_LWIP_CC_H

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

void agent_fail(const char *what, const char *file, int line) __attribute__((noreturn));

#define SSIZE_MAX LONG_MAX /* else lwIP makes its own ssize_t */
#define LWIP_PLATFORM_DIAG(x) ((void)0)
#define LWIP_PLATFORM_ASSERT(what) agent_fail(what, __FILE__, __LINE__)

#endif
