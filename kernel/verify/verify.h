/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who signed it, and is it whole: ECDSA on P-256, and SHA-256. The arithmetic is mbedTLS's, of the
 * same source package as the agent's, with a configuration that has nothing else in it; in the
 * kernel because the agent, which talks to the network, is not trusted with what the node boots.
 *
 * Any context, no lock; verify_p256 takes a few KiB from kmem and gives them back. It is used on
 * public values only: its time may depend on them.
 */
#ifndef KERNEL_VERIFY_H
#define KERNEL_VERIFY_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define SHA256_BYTES	     32u
#define VERIFY_KEY_BYTES     65u
#define VERIFY_KEY_HEX	     (2 * VERIFY_KEY_BYTES)
#define VERIFY_SIGNATURE_LEN 64u

struct sha256 { /* mbedTLS's, as room */
	uint64_t room[16];
};

void sha256_init(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *data, size_t len_bytes);
void sha256_end(struct sha256 *hash, uint8_t digest[SHA256_BYTES]);

/* verify_key_check - HV_OK when it is a point of the curve in SEC 1's uncompressed form: 04, x, y
 */
MUST_CHECK enum hv_err verify_key_check(const uint8_t key[VERIFY_KEY_BYTES]);

/*
 * verify_p256 - whether the holder of this public key signed this digest
 *
 * signature  r and s, 32 bytes each, big-endian. (r, n - s) is as good as (r, s): who has one has
 *            both, so a signature is no name for what it signs.
 * Returns    HV_EPROTO: no; HV_EINVAL: that is no key; HV_ENOMEM: could not be found out
 */
MUST_CHECK enum hv_err verify_p256(const uint8_t key[VERIFY_KEY_BYTES],
				   const uint8_t digest[SHA256_BYTES],
				   const uint8_t signature[VERIFY_SIGNATURE_LEN]);

#endif
