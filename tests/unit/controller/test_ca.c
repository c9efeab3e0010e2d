/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate authority: what it makes, what it takes, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tools/controller/ca.h"
#include "tools/controller/say.h"

#define NODE "node_00000000000000aa"
#define NOW  1772359200ll /* 2026-03-01 */

static char dir[] = "/tmp/billet-test-ca-XXXXXX";
static struct ca ca;

static int open_ca(void **state)
{
	(void)state;
	say_set_level(SAY_ERR);
	return mkdtemp(dir) && ca_open(&ca, dir) ? 0 : -1;
}

static int close_ca(void **state)
{
	static const char *const names[] = {"ca.key", "ca.crt", "server.key", "server.crt"};
	char path[128];

	(void)state;
	ca_close(&ca);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

/* A request with a key on `curve`, signed by `signer` (NULL: its own key). */
static void make_csr(const char *curve, EVP_PKEY *signer, char pem[static PROTO_PEM_MAX])
{
	EVP_PKEY *key = EVP_EC_gen(curve);
	X509_REQ *req = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	int n;

	assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
	assert_true(X509_REQ_sign(req, signer ? signer : key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509_REQ(bio, req), 1);
	n = BIO_read(bio, pem, PROTO_PEM_MAX - 1);
	assert_true(n > 0);
	pem[n] = 0;
	BIO_free(bio);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
}

static X509 *parse(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(cert);
	return cert;
}

static void takes_a_p256_request_that_signed_itself(void **state)
{
	char pem[PROTO_PEM_MAX], fingerprint[SHA256_TEXT_MAX] = "";
	const char *why;

	(void)state;
	make_csr("P-256", NULL, pem);
	assert_true(ca_check_csr(pem, fingerprint, &why));
	assert_int_equal(strlen(fingerprint), 64);
}

static void refuses_other_requests_and_says_why(void **state)
{
	char pem[PROTO_PEM_MAX], fingerprint[SHA256_TEXT_MAX];
	EVP_PKEY *stranger = EVP_EC_gen("P-256");
	const char *why;

	(void)state;
	assert_false(ca_check_csr("nonsense", fingerprint, &why));
	assert_non_null(strstr(why, "PEM"));
	make_csr("P-384", NULL, pem);
	assert_false(ca_check_csr(pem, fingerprint, &why));
	assert_non_null(strstr(why, "P-256"));
	make_csr("P-256", stranger, pem);
	assert_false(ca_check_csr(pem, fingerprint, &why));
	assert_non_null(strstr(why, "signed"));
	EVP_PKEY_free(stranger);
}

static void a_nodes_certificate_is_for_a_client_of_that_name_and_time(void **state)
{
	char pem[PROTO_PEM_MAX], cn[64] = "";
	struct ca_issued issued;
	X509 *cert;

	(void)state;
	make_csr("P-256", NULL, pem);
	assert_true(ca_issue_node(&ca, pem, NODE, NOW, 3600, &issued));
	assert_true(issued.expires_ms == (NOW + 3600) * 1000);
	cert = parse(issued.pem);
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn, sizeof(cn));
	assert_string_equal(cn, NODE);
	assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_CLIENT);
	assert_int_equal(X509_check_ca(cert), 0);
	assert_int_equal(ca_verify(&ca, cert, NOW), CA_OK);
	assert_int_equal(ca_verify(&ca, cert, NOW + 3599), CA_OK);
	assert_int_equal(ca_verify(&ca, cert, NOW + 3601), CA_EXPIRED);
	assert_int_equal(ca_verify(&ca, cert, NOW - 3600), CA_EXPIRED); /* not yet */
	X509_free(cert);
}

static void does_not_trust_another_ca_of_the_same_name(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *fake = X509_dup(ca.cert);

	(void)state;
	assert_int_equal(ca_verify(&ca, ca.cert, NOW), CA_OK);
	assert_true(X509_sign(fake, key, EVP_sha256()) > 0);
	assert_int_equal(ca_verify(&ca, fake, NOW), CA_UNTRUSTED);
	X509_free(fake);
	EVP_PKEY_free(key);
}

static void keeps_the_servers_certificate_until_its_names_or_time_end(void **state)
{
	static const char *const names[] = {"localhost", "127.0.0.1"}, *const more[] = {"localhost",
											"10.0.2.2"};
	X509 *first, *again, *later, *other;
	EVP_PKEY *k1, *k2, *k3, *k4;

	(void)state;
	assert_true(ca_server_cert(&ca, dir, names, 2, NOW, &first, &k1));
	assert_int_equal(X509_check_ip_asc(first, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(first, "10.0.2.2", 0), 0);
	assert_int_equal(X509_check_host(first, "localhost", 0, 0, NULL), 1);
	assert_int_equal(X509_get_extended_key_usage(first), XKU_SSL_SERVER);
	assert_true(ca_server_cert(&ca, dir, names, 2, NOW, &again, &k2));
	assert_int_equal(X509_cmp(first, again), 0);
	assert_true(ca_server_cert(&ca, dir, names, 2, NOW + 800 * 86400ll, &later, &k3));
	assert_int_not_equal(X509_cmp(first, later), 0);
	assert_true(ca_server_cert(&ca, dir, more, 2, NOW, &other, &k4));
	assert_int_equal(X509_check_ip_asc(other, "10.0.2.2", 0), 1);
	X509_free(first);
	X509_free(again);
	X509_free(later);
	X509_free(other);
	EVP_PKEY_free(k1);
	EVP_PKEY_free(k2);
	EVP_PKEY_free(k3);
	EVP_PKEY_free(k4);
}

static void is_the_same_after_a_restart_and_private(void **state)
{
	char path[128], fingerprint[SHA256_TEXT_MAX];
	struct stat st;
	struct ca second;

	(void)state;
	strcpy(fingerprint, ca.fingerprint);
	assert_true(ca_open(&second, dir));
	assert_string_equal(second.fingerprint, fingerprint);
	ca_close(&second);
	snprintf(path, sizeof(path), "%s/ca.key", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_p256_request_that_signed_itself),
		cmocka_unit_test(refuses_other_requests_and_says_why),
		cmocka_unit_test(a_nodes_certificate_is_for_a_client_of_that_name_and_time),
		cmocka_unit_test(does_not_trust_another_ca_of_the_same_name),
		cmocka_unit_test(keeps_the_servers_certificate_until_its_names_or_time_end),
		cmocka_unit_test(is_the_same_after_a_restart_and_private),
	};

	return cmocka_run_group_tests(tests, open_ca, close_ca);
}
