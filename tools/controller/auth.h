/* SPDX-License-Identifier: Apache-2.0 */
/* Who is calling: nodes by their certificate, people by their token. */
#ifndef CONTROLLER_AUTH_H
#define CONTROLLER_AUTH_H

#include "tools/controller/http.h"

/* auth_check - whether the caller may use the call's route; fills in actor, token_id, node; false
 * after answering why not */
bool auth_check(struct call *c);

/* auth_first_token - with no token at all: make an admin's and write it to DATA/admin.token */
bool auth_first_token(struct billetd *d);

/* auth_create_token - for a secret that is shown once; expires_ms 0: never. False if the name is
 * taken. */
bool auth_create_token(struct billetd *d, const char *name, const char *role, int64_t expires_ms,
		       char id[static ID_TEXT_MAX], char secret[static SECRET_TEXT_MAX]);

extern const char *const auth_roles[3]; /* viewer, operator, admin */

#endif
