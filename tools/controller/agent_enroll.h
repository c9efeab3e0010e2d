/* SPDX-License-Identifier: Apache-2.0 */
/* /agent/v1/enroll and /agent/v1/renew. */
#ifndef CONTROLLER_AGENT_ENROLL_H
#define CONTROLLER_AGENT_ENROLL_H

#include "tools/controller/http.h"
#include "tools/controller/node.h"

extern const struct route agent_enroll_routes[];

#endif
