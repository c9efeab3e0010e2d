/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/usage: the ledger, and the records behind it. */
#ifndef CONTROLLER_API_USAGE_H
#define CONTROLLER_API_USAGE_H

#include "tools/controller/http.h"

extern const struct route api_usage_routes[];

#endif
