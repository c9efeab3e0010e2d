/* SPDX-License-Identifier: Apache-2.0 */
/* The Range header of HTTP, as far as one range of bytes goes. Pure. */
#ifndef CONTROLLER_RANGE_H
#define CONTROLLER_RANGE_H

#include <stdint.h>

enum range_result {
	RANGE_NONE,    /* no header, or one that HTTP wants ignored: send the whole */
	RANGE_PART,    /* first and last are set, within size */
	RANGE_OUTSIDE, /* 416 */
};

/* range_parse - header may be NULL; size in bytes, last is inclusive */
enum range_result range_parse(const char *header, uint64_t size, uint64_t *first, uint64_t *last);

#endif
