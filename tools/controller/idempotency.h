/* SPDX-License-Identifier: Apache-2.0 */
/* Idempotency-Key: a POST that is repeated with the same key gives the first answer again. */
#ifndef CONTROLLER_IDEMPOTENCY_H
#define CONTROLLER_IDEMPOTENCY_H

#include "tools/controller/http.h"

/* idempotency_replay - true when the call is answered: with what is stored, or because the key is
 * unfit */
bool idempotency_replay(struct call *c);

/* idempotency_keep - store a success, in the transaction that it came from */
void idempotency_keep(struct call *c);

/* idempotency_forget - drop what is older than a day */
void idempotency_forget(struct db *db, int64_t now_ms);

#endif
