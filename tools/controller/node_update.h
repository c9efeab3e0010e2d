/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/nodes/<id>/update: which release of its software a node shall run. */
#ifndef CONTROLLER_NODE_UPDATE_H
#define CONTROLLER_NODE_UPDATE_H

#include "tools/controller/http.h"

extern const struct route node_update_routes[];

/* node_update_reported - a node says how far it is; in the report's transaction */
void node_update_reported(struct billetd *d, const char *node, const struct node_update *update);

#endif
