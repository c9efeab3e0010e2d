/* SPDX-License-Identifier: Apache-2.0 */
/* The node's key and signing request, as mbedTLS reads them back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <mbedtls/x509_csr.h>
#include <stdlib.h>

#include "agent/identity.h"

static int good_random(void *arg, unsigned char *out, size_t len)
{
	(void)arg;
	while (len-- > 0)
		*out++ = (unsigned char)rand();
	return 0;
}

static int no_random(void *arg, unsigned char *out, size_t len)
{
	(void)arg;
	(void)out;
	(void)len;
	return -1;
}

static void makes_a_request_for_its_key(void **state)
{
	char pem[PROTO_PEM_MAX];
	mbedtls_x509_csr csr;
	mbedtls_pk_context key;
	struct identity id;

	(void)state;
	assert_int_equal(identity_make(&id, good_random), HV_OK);
	assert_false(identity_is_enrolled(&id));
	assert_int_equal(identity_csr(&id, good_random, pem, sizeof(pem)), HV_OK);

	mbedtls_x509_csr_init(&csr);
	mbedtls_pk_init(&key);
	assert_int_equal(mbedtls_x509_csr_parse(&csr, (unsigned char *)pem, strlen(pem) + 1), 0);
	assert_int_equal(mbedtls_pk_parse_key(&key, id.key, id.key_len, NULL, 0, good_random, NULL),
			 0);
	assert_int_equal(mbedtls_pk_get_bitlen(&key), 256);
	assert_int_equal(mbedtls_pk_check_pair(&csr.pk, &key, good_random, NULL), 0);
	mbedtls_pk_free(&key);
	mbedtls_x509_csr_free(&csr);
}

static void makes_another_key_each_time(void **state)
{
	struct identity a, b;

	(void)state;
	assert_int_equal(identity_make(&a, good_random), HV_OK);
	assert_int_equal(identity_make(&b, good_random), HV_OK);
	assert_memory_not_equal(a.key, b.key, sizeof(a.key));
}

static void does_without_randomness_nothing(void **state)
{
	struct identity id;

	(void)state;
	assert_int_equal(identity_make(&id, no_random), HV_EIO);
}

static void survives_the_store(void **state)
{
	struct enroll_reply reply = {.node_id = "node_5f1d6a7c00aa31be",
				     .certificate = "PEM",
				     .expires_ms = 2,
				     .renew_ms = 1};
	struct identity id, again;

	(void)state;
	assert_int_equal(identity_make(&id, good_random), HV_OK);
	identity_accept(&id, &reply);
	assert_true(identity_is_enrolled(&id));
	assert_int_equal(identity_load(&again, &id, sizeof(id)), HV_OK);
	assert_memory_equal(&again, &id, sizeof(id));
	assert_int_equal(identity_load(&again, &id, sizeof(id) - 1), HV_EPROTO);
	id.magic++;
	assert_int_equal(identity_load(&again, &id, sizeof(id)), HV_EPROTO);
	id.magic--;
	memset(id.node_id, 'x', sizeof(id.node_id));
	assert_int_equal(identity_load(&again, &id, sizeof(id)), HV_EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_a_request_for_its_key),
		cmocka_unit_test(makes_another_key_each_time),
		cmocka_unit_test(does_without_randomness_nothing),
		cmocka_unit_test(survives_the_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
