/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and checking certificates. What a certificate may be used for is said in its extensions;
 * who a node is, in its subject's CN. Nothing is taken from a request but its public key.
 */
#include "tools/controller/ca.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tools/controller/say.h"
#include "tools/controller/util.h"

#define DAY_S	      86400ll
#define CA_LIFE_S     (3653 * DAY_S)
#define SERVER_LIFE_S (825 * DAY_S)
#define RENEW_S	      (30 * DAY_S)
#define SKEW_S	      300 /* a node's certificate is valid a little before it was made */
#define YEAR_2020_S   1577836800ll

static bool log_openssl(const char *what)
{
	char text[256];

	ERR_error_string_n(ERR_get_error(), text, sizeof(text));
	say_err("ca", "%s: %s", what, text);
	return false;
}

/* ---- PEM ------------------------------------------------------------------------------------ */

static bool cert_pem(X509 *cert, char pem[static PROTO_PEM_MAX])
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n = -1;

	if (bio && PEM_write_bio_X509(bio, cert) == 1)
		n = BIO_read(bio, pem, PROTO_PEM_MAX - 1);
	pem[n > 0 ? n : 0] = 0;
	n = n > 0 && BIO_pending(bio) == 0;
	BIO_free(bio);
	return n;
}

static bool write_key(const char *path, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *bytes = NULL;
	long len = 0;
	bool ok;

	ok = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
	if (ok)
		len = BIO_get_mem_data(bio, &bytes);
	ok = ok && file_replace(path, bytes, (size_t)len);
	BIO_free(bio);
	return ok;
}

static bool write_cert(const char *path, X509 *cert)
{
	char pem[PROTO_PEM_MAX];

	return cert_pem(cert, pem) && file_replace(path, pem, strlen(pem));
}

static BIO *open_file(const char *path)
{
	BIO *bio = BIO_new_file(path, "r");

	ERR_clear_error();
	return bio;
}

static EVP_PKEY *read_key(const char *path)
{
	BIO *bio = open_file(path);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return key;
}

static X509 *read_cert(const char *path)
{
	BIO *bio = open_file(path);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return cert;
}

static X509_REQ *parse_csr(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509_REQ *req = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return req;
}

/* ---- certificates --------------------------------------------------------------------------- */

struct cert_plan {
	const char *cn;
	EVP_PKEY *key; /* the public key that is certified */
	int64_t from_s, to_s;
	const char *basic, *usage, *extended, *names; /* extensions; NULL: none */
};

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	bool ok;

	if (!value)
		return true;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool set_serial(X509 *cert)
{
	uint8_t bytes[16];
	BIGNUM *number;
	bool ok;

	random_bytes(bytes, sizeof(bytes));
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
	BN_free(number);
	return ok;
}

static bool set_subject(X509 *cert, const char *cn)
{
	X509_NAME *name = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"Billet",
					  -1, -1, 0) == 1 &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1,
					  -1, 0) == 1;
}

static bool set_time(ASN1_TIME *field, int64_t at_s)
{
	return ASN1_TIME_set(field, (time_t)at_s) != NULL;
}

/* issuer NULL: it signs itself. */
static X509 *make_cert(const struct cert_plan *plan, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *cert = X509_new();
	X509 *by = issuer ? issuer : cert;

	if (!cert)
		return NULL;
	if (X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
	    set_subject(cert, plan->cn) &&
	    X509_set_issuer_name(cert, X509_get_subject_name(by)) == 1 &&
	    set_time(X509_getm_notBefore(cert), plan->from_s) &&
	    set_time(X509_getm_notAfter(cert), plan->to_s) &&
	    X509_set_pubkey(cert, plan->key) == 1 &&
	    add_extension(cert, by, NID_basic_constraints, plan->basic) &&
	    add_extension(cert, by, NID_key_usage, plan->usage) &&
	    add_extension(cert, by, NID_ext_key_usage, plan->extended) &&
	    add_extension(cert, by, NID_subject_key_identifier, "hash") &&
	    add_extension(cert, by, NID_authority_key_identifier, issuer ? "keyid:always" : NULL) &&
	    add_extension(cert, by, NID_subject_alt_name, plan->names) &&
	    X509_sign(cert, issuer_key, EVP_sha256()) > 0)
		return cert;
	log_openssl("cannot make a certificate");
	X509_free(cert);
	return NULL;
}

void ca_fingerprint(X509 *cert, char fingerprint[static SHA256_TEXT_MAX])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (X509_digest(cert, EVP_sha256(), digest, &len) != 1)
		len = 0;
	hex_text(digest, len, fingerprint);
}

enum ca_verdict ca_verify(const struct ca *ca, X509 *cert, int64_t now_s)
{
	time_t at = (time_t)now_s;

	if (X509_verify(cert, ca->key) != 1) {
		ERR_clear_error();
		return CA_UNTRUSTED;
	}
	if (X509_cmp_time(X509_get0_notBefore(cert), &at) > 0 ||
	    X509_cmp_time(X509_get0_notAfter(cert), &at) < 0)
		return CA_EXPIRED;
	return CA_OK;
}

/* ---- the authority itself ------------------------------------------------------------------- */

static bool make_ca(struct ca *ca, const char *key_path, const char *cert_path)
{
	char cn[64] = "Billet CA ";
	uint8_t tag[4];
	struct cert_plan plan = {.cn = cn,
				 .basic = "critical,CA:TRUE,pathlen:0",
				 .usage = "critical,keyCertSign,cRLSign",
				 .from_s = YEAR_2020_S};

	random_bytes(tag, sizeof(tag)); /* two controllers' CAs can be told apart by name */
	hex_text(tag, sizeof(tag), cn + strlen(cn));
	ca->key = EVP_EC_gen("P-256");
	plan.key = ca->key;
	plan.to_s = now_ms() / 1000 + CA_LIFE_S;
	if (!ca->key)
		return log_openssl("cannot make a key");
	ca->cert = make_cert(&plan, NULL, ca->key);
	if (!ca->cert)
		return false;
	if (!write_key(key_path, ca->key) || !write_cert(cert_path, ca->cert)) {
		say_err("ca", "cannot write %s or %s: %m", key_path, cert_path);
		return false;
	}
	say_info("ca", "made a certificate authority: %s", cert_path);
	return true;
}

bool ca_open(struct ca *ca, const char *dir)
{
	char key_path[4096], cert_path[4096];
	bool ok;

	memset(ca, 0, sizeof(*ca));
	if (!path_join(key_path, sizeof(key_path), dir, "ca.key") ||
	    !path_join(cert_path, sizeof(cert_path), dir, "ca.crt"))
		return false;
	ca->key = read_key(key_path);
	ca->cert = read_cert(cert_path);
	if (ca->key && ca->cert) {
		ok = X509_check_private_key(ca->cert, ca->key) == 1;
		if (!ok)
			say_err("ca", "%s does not belong to %s", key_path, cert_path);
	} else if (ca->cert) {
		say_err("ca", "%s is there, but %s cannot be read; restore it from a backup",
			cert_path, key_path);
		ok = false;
	} else {
		/* A key without a certificate is what a first start that was cut short leaves. */
		EVP_PKEY_free(ca->key);
		ok = make_ca(ca, key_path, cert_path);
	}
	if (ok && cert_pem(ca->cert, ca->pem)) {
		ca_fingerprint(ca->cert, ca->fingerprint);
		return true;
	}
	ca_close(ca);
	return false;
}

void ca_close(struct ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	memset(ca, 0, sizeof(*ca));
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static bool is_p256(EVP_PKEY *key)
{
	char group[32] = "";

	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	       strcmp(group, SN_X9_62_prime256v1) == 0;
}

bool ca_check_csr(const char *csr_pem, char fingerprint[static SHA256_TEXT_MAX], const char **why)
{
	X509_REQ *req = parse_csr(csr_pem);
	EVP_PKEY *key = req ? X509_REQ_get0_pubkey(req) : NULL;
	unsigned char *der = NULL;
	int len = -1;

	*why = NULL;
	if (!req)
		*why = "must be a certificate request in PEM (PKCS #10)";
	else if (!key || !is_p256(key))
		*why = "must hold an EC key on the curve P-256";
	else if (X509_REQ_verify(req, key) != 1)
		*why = "is not signed with its own key";
	else if ((len = i2d_PUBKEY(key, &der)) <= 0)
		*why = "holds a key that cannot be encoded";
	else
		sha256_text(der, (size_t)len, fingerprint);
	OPENSSL_free(der);
	X509_REQ_free(req);
	ERR_clear_error();
	return *why == NULL;
}

bool ca_issue_node(const struct ca *ca, const char *csr_pem, const char *node_id, int64_t now_s,
		   int64_t lifetime_s, struct ca_issued *out)
{
	struct cert_plan plan = {.cn = node_id,
				 .basic = "critical,CA:FALSE",
				 .usage = "critical,digitalSignature",
				 .extended = "clientAuth",
				 .from_s = now_s - SKEW_S,
				 .to_s = now_s + lifetime_s};
	X509_REQ *req = parse_csr(csr_pem);
	X509 *cert = NULL;
	bool ok;

	if (req) {
		plan.key = X509_REQ_get0_pubkey(req);
		cert = make_cert(&plan, ca->cert, ca->key);
	}
	ok = cert && cert_pem(cert, out->pem);
	if (ok) {
		ca_fingerprint(cert, out->fingerprint);
		out->expires_ms = plan.to_s * 1000;
	}
	X509_free(cert);
	X509_REQ_free(req);
	return ok;
}

/* ---- the server ----------------------------------------------------------------------------- */

static bool is_address(const char *name)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);
	bool is = ip != NULL;

	ASN1_OCTET_STRING_free(ip);
	ERR_clear_error();
	return is;
}

static bool names_match(X509 *cert, const char *const *names, unsigned int nr_names)
{
	GENERAL_NAMES *have = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool ok = have && (unsigned int)sk_GENERAL_NAME_num(have) == nr_names;

	GENERAL_NAMES_free(have);
	for (unsigned int i = 0; ok && i < nr_names; i++)
		ok = is_address(names[i]) ? X509_check_ip_asc(cert, names[i], 0) == 1
					  : X509_check_host(cert, names[i], 0, 0, NULL) == 1;
	return ok;
}

static X509 *make_server_cert(const struct ca *ca, EVP_PKEY *key, const char *const *names,
			      unsigned int nr_names, int64_t now_s)
{
	struct cert_plan plan = {.cn = "billetd",
				 .key = key,
				 .basic = "critical,CA:FALSE",
				 .usage = "critical,digitalSignature",
				 .extended = "serverAuth",
				 .from_s = YEAR_2020_S,
				 .to_s = now_s + SERVER_LIFE_S};
	char list[4096] = "";
	size_t len = 0;

	for (unsigned int i = 0; i < nr_names; i++) {
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s:%s", i ? "," : "",
					is_address(names[i]) ? "IP" : "DNS", names[i]);
		if (len >= sizeof(list))
			return NULL;
	}
	plan.names = list;
	return make_cert(&plan, ca->cert, ca->key);
}

bool ca_server_cert(const struct ca *ca, const char *dir, const char *const *names,
		    unsigned int nr_names, int64_t now_s, X509 **cert, EVP_PKEY **key)
{
	char key_path[4096], cert_path[4096];

	if (!path_join(key_path, sizeof(key_path), dir, "server.key") ||
	    !path_join(cert_path, sizeof(cert_path), dir, "server.crt"))
		return false;
	*key = read_key(key_path);
	*cert = read_cert(cert_path);
	if (*key && *cert && X509_check_private_key(*cert, *key) == 1 &&
	    ca_verify(ca, *cert, now_s + RENEW_S) == CA_OK && names_match(*cert, names, nr_names))
		return true;
	X509_free(*cert);
	EVP_PKEY_free(*key);
	*key = EVP_EC_gen("P-256");
	*cert = *key ? make_server_cert(ca, *key, names, nr_names, now_s) : NULL;
	if (*cert && write_key(key_path, *key) && write_cert(cert_path, *cert)) {
		say_info("ca", "made the server's certificate for %u names: %s", nr_names,
			 cert_path);
		return true;
	}
	say_err("ca", "cannot make or write %s", cert_path);
	X509_free(*cert);
	EVP_PKEY_free(*key);
	return false;
}
