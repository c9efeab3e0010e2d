/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes as rows: finding them, keeping what they say of themselves, and whether they are there. */
#ifndef CONTROLLER_NODE_H
#define CONTROLLER_NODE_H

#include "agent/protocol/messages.h"
#include "tools/controller/billetd.h"

/* node_find - id of the node that an id or (for one that is not removed) a name means */
bool node_find(struct db *db, const char *id_or_name, char id[static ID_TEXT_MAX]);

void node_keep_info(struct billetd *d, const char *node, const struct node_info *info);
void node_keep_lease(struct billetd *d, const char *node, const struct node_lease *lease);

/* node_lost_before - a node that was last seen before this is lost */
int64_t node_lost_before(const struct billetd *d);

#endif
