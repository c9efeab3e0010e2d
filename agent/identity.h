/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who this node is to its controller: a P-256 key made on the node, the certificate that the
 * controller issued for it, and the node's id. It outlives the agent in a slot of the kernel's
 * store. Randomness comes as an argument, of mbedTLS's f_rng type.
 */
#ifndef AGENT_IDENTITY_H
#define AGENT_IDENTITY_H

#include "agent/protocol/messages.h"
#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define IDENTITY_KEY_MAX 256u /* bytes of a P-256 key in DER */

typedef int random_fn(void *arg, unsigned char *out, size_t len_bytes);

struct identity {
	uint32_t magic, key_len;
	uint8_t key[IDENTITY_KEY_MAX]; /* DER */
	char node_id[ID_TEXT_MAX];     /* empty until enrolled */
	char certificate[PROTO_PEM_MAX];
	uint64_t expires_ms, renew_ms;
};

/* identity_make - a new key, nothing else. HV_EIO: mbedTLS or the randomness failed */
MUST_CHECK enum hv_err identity_make(struct identity *id, random_fn *random);

/* identity_csr - a signing request for the key, PEM with a closing zero */
MUST_CHECK enum hv_err identity_csr(const struct identity *id, random_fn *random, char *pem,
				    size_t cap);

/* identity_load - take what the store had; HV_EPROTO: it is not one of ours */
MUST_CHECK enum hv_err identity_load(struct identity *id, const void *bytes, size_t len_bytes);

/* identity_accept - take over what the controller issued */
void identity_accept(struct identity *id, const struct enroll_reply *reply);

static inline bool identity_is_enrolled(const struct identity *id)
{
	return id->node_id[0] != 0;
}

#endif
