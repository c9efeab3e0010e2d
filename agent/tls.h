/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS over TCP: mbedTLS on lwIP's raw API, polled from the agent's loop; nothing here waits. The
 * peer must have a certificate that the configured CA issued for the host name (or address)
 * dialled, valid now; there is no way to switch that off.
 *
 * A struct tls lives as long as its owner and is opened and closed any number of times. About 40
 * KiB of heap while open.
 */
#ifndef AGENT_TLS_H
#define AGENT_TLS_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

enum tls_state { TLS_CLOSED, TLS_RESOLVING, TLS_CONNECTING, TLS_HANDSHAKE, TLS_OPEN, TLS_FAILED };

struct tls;

/* tls_setup - once: the CA (PEM) that alone is trusted. HV_EINVAL: it is none */
MUST_CHECK enum hv_err tls_setup(const char *ca_pem);

/* tls_set_identity - the certificate (PEM) and key (DER) that this node shows from now on, to new
 * connections; open ones must be closed first. HV_EINVAL: they do not fit together */
MUST_CHECK enum hv_err tls_set_identity(const char *cert_pem, const uint8_t *key, size_t key_len);

/* tls_create - memory for one connection; NULL: none left */
struct tls *tls_create(void);

/* tls_may_open - whether now is a good time to dial: one handshake at a time, and the next when the
 * last one's session ticket is there, which saves it most of the computing */
bool tls_may_open(void);

/* tls_open - dial; state goes on from RESOLVING. host is kept until closed */
void tls_open(struct tls *t, const char *host, uint16_t port);

/* tls_poll - move on as far as possible without waiting */
enum tls_state tls_poll(struct tls *t);

/* tls_progressed - whether the last tls_poll did a step of a handshake, so that the next may be due
 * at once */
bool tls_progressed(const struct tls *t);

/* While TLS_OPEN: bytes moved, 0 when none can be now. After a failure or the peer's end, state
 * says so. */
size_t tls_write(struct tls *t, const void *bytes, size_t len_bytes);
size_t tls_read(struct tls *t, void *bytes, size_t cap_bytes);

void tls_close(struct tls *t);

/* tls_error - why it is TLS_FAILED, for a log line; "" when the peer closed in good order */
const char *tls_error(const struct tls *t);

/* tls_describe - "TLSv1.3 TLS1-3-AES-128-GCM-SHA256", while open */
const char *tls_describe(const struct tls *t);

#endif
