/* SPDX-License-Identifier: Apache-2.0 */
/* /agent/v1/blobs: the bytes of images, for the nodes that need them. */
#ifndef CONTROLLER_AGENT_BLOBS_H
#define CONTROLLER_AGENT_BLOBS_H

#include "tools/controller/http.h"

extern const struct route agent_blobs_routes[];

#endif
