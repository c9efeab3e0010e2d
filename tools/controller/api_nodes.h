/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/nodes. */
#ifndef CONTROLLER_API_NODES_H
#define CONTROLLER_API_NODES_H

#include "tools/controller/http.h"

extern const struct route api_nodes_routes[];

/* api_nodes_find - the node that the path names; false after answering that there is none */
bool api_nodes_find(struct call *c, char id[static ID_TEXT_MAX]);

/* api_nodes_reply - answer 200 with the node */
void api_nodes_reply(struct call *c, const char *id);

#endif
