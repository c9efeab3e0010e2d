/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consoles: bytes between a VM on a node and the people who look at it. A console has a session
 * while somebody looks; the session's id in the desired state is what makes the node send and
 * fetch.
 */
#ifndef CONTROLLER_CONSOLE_H
#define CONTROLLER_CONSOLE_H

#include "tools/controller/http.h"

/* console_session - the id of the session that a VM's console has; false if nobody looks */
bool console_session(struct billetd *d, const char *vm, char session[static ID_TEXT_MAX]);

void console_forget(struct billetd *d, const char *vm); /* the VM is gone */
void console_expire(struct billetd *d); /* end sessions that nobody looks at; every few seconds */
void console_free_all(struct billetd *d);

extern const struct route console_routes[];

#endif
