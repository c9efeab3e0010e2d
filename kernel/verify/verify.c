/* SPDX-License-Identifier: Apache-2.0 */
/* mbedTLS in our words. Compiled together with it, by tools/build/verify-library. */
#include "kernel/verify/verify.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/sha256.h>

#include "kernel/memory.h"

#define POINT_BYTES 32u

static_assert(sizeof(mbedtls_sha256_context) <= sizeof(struct sha256), "room for mbedTLS's hash");

void *verify_calloc(size_t count, size_t len_bytes)
{
	size_t all;

	/* kmem's blocks are zero */
	return __builtin_mul_overflow(count, len_bytes, &all) || all == 0 ? NULL : kmem_alloc(all);
}

/* SHA-256 fails with hardware only, and this is none. */
void sha256_init(struct sha256 *hash)
{
	mbedtls_sha256_context *context = (void *)hash->room;

	mbedtls_sha256_init(context);
	(void)mbedtls_sha256_starts(context, 0);
}

void sha256_add(struct sha256 *hash, const void *data, size_t len_bytes)
{
	(void)mbedtls_sha256_update((void *)hash->room, data, len_bytes);
}

void sha256_end(struct sha256 *hash, uint8_t digest[SHA256_BYTES])
{
	(void)mbedtls_sha256_finish((void *)hash->room, digest);
}

static enum hv_err error_of(int err)
{
	switch (err) {
	case 0:
		return HV_OK;
	case MBEDTLS_ERR_MPI_ALLOC_FAILED:
	case MBEDTLS_ERR_ECP_ALLOC_FAILED:
		return HV_ENOMEM;
	default:
		return HV_EPROTO;
	}
}

static enum hv_err read_key(mbedtls_ecp_group *group, mbedtls_ecp_point *point,
			    const uint8_t key[VERIFY_KEY_BYTES])
{
	int err = mbedtls_ecp_group_load(group, MBEDTLS_ECP_DP_SECP256R1);

	if (err == 0)
		err = mbedtls_ecp_point_read_binary(group, point, key, VERIFY_KEY_BYTES);
	if (err == 0)
		err = mbedtls_ecp_check_pubkey(group, point);
	return error_of(err) == HV_EPROTO ? HV_EINVAL : error_of(err);
}

enum hv_err verify_key_check(const uint8_t key[VERIFY_KEY_BYTES])
{
	mbedtls_ecp_group group;
	mbedtls_ecp_point point;
	enum hv_err err;

	mbedtls_ecp_group_init(&group);
	mbedtls_ecp_point_init(&point);
	err = read_key(&group, &point, key);
	mbedtls_ecp_point_free(&point);
	mbedtls_ecp_group_free(&group);
	return err;
}

enum hv_err verify_p256(const uint8_t key[VERIFY_KEY_BYTES], const uint8_t digest[SHA256_BYTES],
			const uint8_t signature[VERIFY_SIGNATURE_LEN])
{
	mbedtls_ecp_group group;
	mbedtls_ecp_point point;
	mbedtls_mpi r, s;
	enum hv_err err;

	mbedtls_ecp_group_init(&group);
	mbedtls_ecp_point_init(&point);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	err = read_key(&group, &point, key);
	if (err == HV_OK)
		err = error_of(mbedtls_mpi_read_binary(&r, signature, POINT_BYTES));
	if (err == HV_OK)
		err = error_of(mbedtls_mpi_read_binary(&s, signature + POINT_BYTES, POINT_BYTES));
	if (err == HV_OK)
		err = error_of(mbedtls_ecdsa_verify(&group, digest, SHA256_BYTES, &point, &r, &s));
	mbedtls_mpi_free(&s);
	mbedtls_mpi_free(&r);
	mbedtls_ecp_point_free(&point);
	mbedtls_ecp_group_free(&group);
	return err;
}
