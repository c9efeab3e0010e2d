/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/nodes. */
#ifndef CONTROLLER_API_NODES_H
#define CONTROLLER_API_NODES_H

#include "tools/controller/http.h"

extern const struct route api_nodes_routes[];

#endif
