/* SPDX-License-Identifier: Apache-2.0 */
/* The port: TLS, connections and their limits, and what happens every few seconds. */
#ifndef CONTROLLER_SERVER_H
#define CONTROLLER_SERVER_H

#include "tools/controller/billetd.h"

/* server_start - listen at options.listen; false after logging why not */
bool server_start(struct billetd *d);

/* server_drain - take no more connections, answer who waits, and end the event loop soon; at once
 * when repeated */
void server_drain(struct billetd *d);

/* server_stop - close everything */
void server_stop(struct billetd *d);

/* tls_reload - take the server's certificate from the data folder, or make it anew; false: the old
 * one stays */
bool tls_reload(struct billetd *d);

#endif
