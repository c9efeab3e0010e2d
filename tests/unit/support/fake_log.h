/* SPDX-License-Identifier: Apache-2.0 */
/* The log on the host: shown on stderr when VERBOSE is set, and the last line kept for tests. */
#ifndef TESTS_FAKE_LOG_H
#define TESTS_FAKE_LOG_H

#include "kernel/log.h"

extern unsigned fake_log_count[LOG_DBG + 1]; /* lines of each level so far */
extern char fake_log_last[256];		     /* "module: text" */

#endif
