/* SPDX-License-Identifier: Apache-2.0 */
/* What a node is meant to run, as the document that it fetches. */
#ifndef CONTROLLER_DESIRED_H
#define CONTROLLER_DESIRED_H

#include "tools/controller/http.h"

/* desired_touch - a node's desired state is different from now on: next generation, and waiting
 * polls wake */
void desired_touch(struct billetd *d, const char *node);

uint64_t desired_generation(struct billetd *d, const char *node);

/* desired_encode - the whole document of a node */
void desired_encode(struct billetd *d, const char *node, struct json_out *o);

extern const struct route desired_routes[];

#endif
