/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/events, /v1/version, /v1/ca and /healthz. */
#ifndef CONTROLLER_API_MISC_H
#define CONTROLLER_API_MISC_H

#include "tools/controller/http.h"

extern const struct route api_misc_routes[];

#endif
