/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/join-tokens, with which machines join, and /v1/tokens, with which people call. */
#ifndef CONTROLLER_API_TOKENS_H
#define CONTROLLER_API_TOKENS_H

#include "tools/controller/http.h"

extern const struct route api_tokens_routes[];

#endif
