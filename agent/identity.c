/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and requests by mbedTLS. The stored form is the struct itself: the store never leaves the
 * machine. */
#include "agent/identity.h"

#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_csr.h>
#include <string.h>

#define IDENTITY_MAGIC 0x31444942u /* "BID1" */

enum hv_err identity_make(struct identity *id, random_fn *random)
{
	mbedtls_pk_context pk;
	int len = -1;

	memset(id, 0, sizeof(*id));
	mbedtls_pk_init(&pk);
	if (mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0 &&
	    mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(pk), random, NULL) == 0)
		len = mbedtls_pk_write_key_der(&pk, id->key,
					       sizeof(id->key)); /* at the buffer's end */
	mbedtls_pk_free(&pk);
	if (len <= 0)
		return HV_EIO;
	memmove(id->key, id->key + sizeof(id->key) - len, (size_t)len);
	id->key_len = (uint32_t)len;
	id->magic = IDENTITY_MAGIC;
	return HV_OK;
}

enum hv_err identity_csr(const struct identity *id, random_fn *random, char *pem, size_t cap)
{
	mbedtls_x509write_csr csr;
	mbedtls_pk_context pk;
	int err;

	mbedtls_pk_init(&pk);
	mbedtls_x509write_csr_init(&csr);
	err = mbedtls_pk_parse_key(&pk, id->key, id->key_len, NULL, 0, random, NULL);
	if (err == 0)
		err = mbedtls_x509write_csr_set_subject_name(&csr, "CN=billet-node");
	if (err == 0) {
		mbedtls_x509write_csr_set_md_alg(&csr, MBEDTLS_MD_SHA256);
		mbedtls_x509write_csr_set_key(&csr, &pk);
		err = mbedtls_x509write_csr_pem(&csr, (unsigned char *)pem, cap, random, NULL);
	}
	mbedtls_x509write_csr_free(&csr);
	mbedtls_pk_free(&pk);
	return err == 0 ? HV_OK : HV_EIO;
}

enum hv_err identity_load(struct identity *id, const void *bytes, size_t len_bytes)
{
	if (len_bytes != sizeof(*id))
		return HV_EPROTO;
	memcpy(id, bytes, sizeof(*id));
	if (id->magic != IDENTITY_MAGIC || id->key_len == 0 || id->key_len > sizeof(id->key) ||
	    id->node_id[sizeof(id->node_id) - 1] || id->certificate[sizeof(id->certificate) - 1])
		return HV_EPROTO;
	return HV_OK;
}

void identity_accept(struct identity *id, const struct enroll_reply *reply)
{
	memcpy(id->node_id, reply->node_id, sizeof(id->node_id));
	memcpy(id->certificate, reply->certificate, sizeof(id->certificate));
	id->expires_ms = reply->expires_ms;
	id->renew_ms = reply->renew_ms;
}
