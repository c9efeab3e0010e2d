/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake asks for a client certificate and takes any, so that a refusal can be an HTTP
 * answer with a reason; auth.c checks the certificate at every request. Sessions are not resumed: a
 * resumed one would carry a certificate that was checked some other time.
 */
#include "tools/controller/server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <openssl/err.h>

#include "tools/controller/say.h"
#include "tools/controller/util.h"

static int take_any(int ok, X509_STORE_CTX *ctx)
{
	(void)ok;
	(void)ctx;
	return 1;
}

/* A client that gives up says why in an alert; nothing else of it reaches anybody. */
static void on_info(const SSL *ssl, int where, int code)
{
	char peer[INET6_ADDRSTRLEN + 8] = "a client";
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if ((where & SSL_CB_READ_ALERT) != SSL_CB_READ_ALERT || code >> 8 != SSL3_AL_FATAL)
		return;
	if (getpeername(SSL_get_fd(ssl), (struct sockaddr *)&address, &len) == 0)
		(void)getnameinfo((struct sockaddr *)&address, len, peer, sizeof(peer), NULL, 0,
				  NI_NUMERICHOST);
	say_warn("tls", "%s does not trust this controller's certificate or its TLS: %s", peer,
		 SSL_alert_desc_string_long(code));
}

static SSL_CTX *make_context(const struct ca *ca, X509 *cert, EVP_PKEY *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, take_any);
	SSL_CTX_set_info_callback(ctx, on_info);
	if (SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
	    SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
	    SSL_CTX_add_client_CA(ctx, ca->cert) == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

bool tls_reload(struct billetd *d)
{
	SSL_CTX *ctx;
	EVP_PKEY *key;
	X509 *cert;

	if (!ca_server_cert(&d->ca, d->options.data, d->options.names, d->options.nr_names,
			    now_ms() / 1000, &cert, &key))
		return false;
	ctx = make_context(&d->ca, cert, key);
	X509_free(cert);
	EVP_PKEY_free(key);
	if (!ctx) {
		say_err("tls", "cannot set up TLS: %s",
			ERR_reason_error_string(ERR_peek_last_error()));
		ERR_clear_error();
		return false;
	}
	SSL_CTX_free(d->tls); /* connections keep theirs */
	d->tls = ctx;
	return true;
}
