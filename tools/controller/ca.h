/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's own certificate authority: one P-256 key, made at first start, that signs the
 * server's certificate and those of nodes. Kept as PEM files with mode 0600 in the data folder.
 *
 * Certificates of the CA and of the server are valid from 2020 on, so that a node whose clock has
 * lost its battery can check them before it has learned the time.
 */
#ifndef CONTROLLER_CA_H
#define CONTROLLER_CA_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "agent/protocol/messages.h"

struct ca {
	X509 *cert;
	EVP_PKEY *key;
	char pem[PROTO_PEM_MAX];	   /* of cert */
	char fingerprint[SHA256_TEXT_MAX]; /* of cert, DER */
};

struct ca_issued {
	char pem[PROTO_PEM_MAX];
	char fingerprint[SHA256_TEXT_MAX]; /* of the certificate, DER */
	int64_t expires_ms;
};

enum ca_verdict { CA_OK, CA_UNTRUSTED, CA_EXPIRED };

/* ca_open - read ca.key and ca.crt in dir, or make them; false after logging why */
bool ca_open(struct ca *ca, const char *dir);
void ca_close(struct ca *ca);

/*
 * ca_check_csr - whether a request's key is P-256 and signed it
 *
 * fingerprint	SHA-256 of its public key (SubjectPublicKeyInfo), set when true
 * why		a sentence, set when false
 */
bool ca_check_csr(const char *csr_pem, char fingerprint[static SHA256_TEXT_MAX], const char **why);

/* ca_issue_node - a client certificate for the key in a request that ca_check_csr() liked */
bool ca_issue_node(const struct ca *ca, const char *csr_pem, const char *node_id, int64_t now_s,
		   int64_t lifetime_s, struct ca_issued *out);

/*
 * ca_server_cert - the server's key and certificate, from server.key and server.crt in dir; made
 * anew when they are missing, not of this CA, for other names, or within 30 days of their end
 *
 * Gives: the caller frees both. False after logging why.
 */
bool ca_server_cert(const struct ca *ca, const char *dir, const char *const *names,
		    unsigned int nr_names, int64_t now_s, X509 **cert, EVP_PKEY **key);

/* ca_verify - whether this CA signed a certificate, and whether now lies within its time */
enum ca_verdict ca_verify(const struct ca *ca, X509 *cert, int64_t now_s);

void ca_fingerprint(X509 *cert, char fingerprint[static SHA256_TEXT_MAX]);

#endif
