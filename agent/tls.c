/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Below mbedTLS, bytes: received pbufs wait in a chain until mbedTLS asks, and only then is TCP's
 * window opened again, so a peer cannot fill our memory. Above it, one state machine per
 * connection. The last session ticket is kept, as all connections go to one controller, and makes
 * the next handshake short.
 */
#include "agent/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/entropy.h"
#include "agent/port/cpu.h"
#include "agent/port/port.h"
#include "kernel/lib/assert.h"
#include "lwip/dns.h"
#include "lwip/tcp.h"
#include "mbedtls/ssl.h"
#include "mbedtls/x509_crt.h"
#include "psa/crypto.h"

#define OPEN_TIMEOUT_MS 30000u
#define TICKET_WAIT_MS	100u
#define KEEP_IDLE_MS                                                                               \
	20000u /* TCP keep-alive, so that a dead peer is noticed during a long poll                \
		*/
#define KEEP_INTVL_MS 5000u
#define KEEP_CNT      4u

struct tls {
	enum tls_state state;
	struct tcp_pcb *pcb; /* NULL when TCP is gone */
	struct pbuf *rx;     /* received, not yet read */
	bool peer_closed;
	const char *lost; /* how TCP ended, when not in good order */
	bool has_ssl;
	bool progressed;	     /* in the last tls_poll */
	uint64_t opened_ns, done_ns; /* of the handshake: begin and end */
	const char *host;
	uint16_t port;
	mbedtls_ssl_context ssl;
	char error[160], describe[64];
};

static mbedtls_ssl_config config;
static mbedtls_x509_crt ca, own_cert;
static mbedtls_pk_context own_key;
static mbedtls_ssl_session ticket;
static bool has_ticket;
static const struct tls *opening; /* the last that was dialled */

static void fail(struct tls *t, const char *what)
{
	if (t->state != TLS_FAILED)
		snprintf(t->error, sizeof(t->error), "%s", what);
	t->state = TLS_FAILED;
}

/* ---- TCP ------------------------------------------------------------------------------------ */

static err_t tcp_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct tls *t = arg;

	(void)pcb;
	(void)err;
	if (!p)
		t->peer_closed = true;
	else if (t->rx)
		pbuf_cat(t->rx, p);
	else
		t->rx = p;
	return ERR_OK;
}

static void tcp_failed(void *arg, err_t err)
{
	struct tls *t = arg;

	t->pcb = NULL; /* lwIP has freed it */
	if (t->state == TLS_CONNECTING)
		fail(t, err == ERR_RST ? "connection refused" : "no answer (TCP)");
	else /* what came before may still be read */
		t->lost = err == ERR_RST ? "connection reset by the controller" : "connection lost";
}

static err_t tcp_is_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct tls *t = arg;

	(void)pcb;
	(void)err;
	t->state = TLS_HANDSHAKE;
	return ERR_OK;
}

static void dial(struct tls *t, const ip_addr_t *addr)
{
	t->pcb = tcp_new();
	if (!t->pcb) {
		fail(t, "no memory for a TCP connection");
		return;
	}
	t->state = TLS_CONNECTING;
	tcp_arg(t->pcb, t);
	tcp_recv(t->pcb, tcp_received);
	tcp_err(t->pcb, tcp_failed);
	tcp_nagle_disable(t->pcb);
	ip_set_option(t->pcb, SOF_KEEPALIVE);
	t->pcb->keep_idle = KEEP_IDLE_MS;
	t->pcb->keep_intvl = KEEP_INTVL_MS;
	t->pcb->keep_cnt = KEEP_CNT;
	if (tcp_connect(t->pcb, addr, t->port, tcp_is_connected) != ERR_OK)
		fail(t, "no route to the controller");
}

static void resolved(const char *name, const ip_addr_t *addr, void *arg)
{
	struct tls *t = arg;

	(void)name;
	if (t->state != TLS_RESOLVING)
		return;
	if (addr)
		dial(t, addr);
	else
		fail(t, "the controller's name cannot be resolved");
}

/* ---- mbedTLS's view of TCP ------------------------------------------------------------------ */

static int bio_send(void *arg, const unsigned char *bytes, size_t len)
{
	struct tls *t = arg;
	uint16_t n;

	if (!t->pcb)
		return MBEDTLS_ERR_SSL_CONN_EOF;
	n = (uint16_t)MIN(len, (size_t)tcp_sndbuf(t->pcb));
	if (n == 0 || tcp_write(t->pcb, bytes, n, TCP_WRITE_FLAG_COPY) != ERR_OK)
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	tcp_output(t->pcb);
	return n;
}

static int bio_recv(void *arg, unsigned char *bytes, size_t len)
{
	struct tls *t = arg;
	struct pbuf *first = t->rx;
	uint16_t n;

	if (!first)
		return t->peer_closed || !t->pcb ? MBEDTLS_ERR_SSL_CONN_EOF
						 : MBEDTLS_ERR_SSL_WANT_READ;
	n = (uint16_t)MIN(len, (size_t)first->len);
	memcpy(bytes, first->payload, n);
	t->rx = pbuf_free_header(first, n);
	if (t->pcb)
		tcp_recved(t->pcb, n);
	return n;
}

/* ---- the connection ------------------------------------------------------------------------- */

static const struct {
	uint32_t flag;
	const char *text;
} verify_texts[] = {
	{MBEDTLS_X509_BADCERT_EXPIRED, "the controller's certificate has expired"},
	{MBEDTLS_X509_BADCERT_FUTURE, "the controller's certificate is not valid yet"},
	{MBEDTLS_X509_BADCERT_CN_MISMATCH, "the controller's certificate is for another host name"},
	{MBEDTLS_X509_BADCERT_NOT_TRUSTED,
	 "the controller's certificate is not from the configured CA"},
};

static void fail_handshake(struct tls *t, int err)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);
	char text[96];
	size_t i;

	if (err == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)
		for (i = 0; i < ARRAY_SIZE(verify_texts); i++)
			if (flags & verify_texts[i].flag) {
				fail(t, verify_texts[i].text);
				return;
			}
	if (err == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
		snprintf(text, sizeof(text),
			 "the controller refused the handshake with a TLS alert");
	else if (err == MBEDTLS_ERR_SSL_CONN_EOF)
		snprintf(text, sizeof(text),
			 "the controller closed the connection during the handshake");
	else
		snprintf(text, sizeof(text), "TLS handshake failed (mbedTLS -0x%04x, verify 0x%x)",
			 (unsigned)-err, (unsigned)flags);
	fail(t, text);
}

/* The ticket that came over this connection serves the next one. */
static void keep_ticket(struct tls *t)
{
	if (has_ticket)
		mbedtls_ssl_session_free(&ticket);
	mbedtls_ssl_session_init(&ticket);
	has_ticket = mbedtls_ssl_get_session(&t->ssl, &ticket) == 0;
}

/* A ticket is used once: two connections with the same one could be linked, and a bad one must not
 * stay. */
static void use_ticket(struct tls *t)
{
	if (!has_ticket)
		return;
	(void)mbedtls_ssl_set_session(&t->ssl, &ticket);
	mbedtls_ssl_session_free(&ticket);
	has_ticket = false;
}

static bool start_ssl(struct tls *t)
{
	mbedtls_ssl_init(&t->ssl);
	t->has_ssl = true;
	if (mbedtls_ssl_setup(&t->ssl, &config) != 0 ||
	    mbedtls_ssl_set_hostname(&t->ssl, t->host) != 0) {
		fail(t, "no memory for a TLS connection");
		return false;
	}
	use_ticket(t);
	mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
	return true;
}

/* One flight's worth of work a call, so that the loop breathes between the expensive ones. */
static void handshake(struct tls *t)
{
	int err;

	if (!t->has_ssl && !start_ssl(t))
		return;
	err = mbedtls_ssl_handshake_step(&t->ssl);
	if (err == MBEDTLS_ERR_SSL_WANT_READ || err == MBEDTLS_ERR_SSL_WANT_WRITE)
		return;
	t->progressed = true;
	if (err != 0) {
		fail_handshake(t, err);
		return;
	}
	if (!mbedtls_ssl_is_handshake_over(&t->ssl))
		return;
	t->state = TLS_OPEN;
	t->done_ns = clock_ns();
	snprintf(t->describe, sizeof(t->describe), "%s %s", mbedtls_ssl_get_version(&t->ssl),
		 mbedtls_ssl_get_ciphersuite(&t->ssl));
	if (mbedtls_ssl_get_version_number(&t->ssl) == MBEDTLS_SSL_VERSION_TLS1_2)
		keep_ticket(t);
}

struct tls *tls_create(void)
{
	return calloc(1, sizeof(struct tls));
}

static bool is_opening(const struct tls *t)
{
	return t->state == TLS_RESOLVING || t->state == TLS_CONNECTING || t->state == TLS_HANDSHAKE;
}

bool tls_may_open(void)
{
	if (!opening || opening->state == TLS_CLOSED || opening->state == TLS_FAILED)
		return true;
	return !is_opening(opening) &&
	       (has_ticket || clock_ns() - opening->done_ns > TICKET_WAIT_MS * NSEC_PER_MSEC);
}

void tls_open(struct tls *t, const char *host, uint16_t port)
{
	ip_addr_t addr;
	err_t err;

	tls_close(t);
	t->host = host;
	t->port = port;
	t->opened_ns = clock_ns();
	t->state = TLS_RESOLVING;
	opening = t;
	err = dns_gethostbyname(host, &addr, resolved, t);
	if (err == ERR_OK)
		dial(t, &addr);
	else if (err != ERR_INPROGRESS)
		fail(t, "the controller's name cannot be resolved");
}

enum tls_state tls_poll(struct tls *t)
{
	if (is_opening(t) && clock_ns() - t->opened_ns > OPEN_TIMEOUT_MS * NSEC_PER_MSEC)
		fail(t, "no answer from the controller (time-out)");
	t->progressed = false;
	if (t->state == TLS_HANDSHAKE)
		handshake(t);
	return t->state;
}

bool tls_progressed(const struct tls *t)
{
	return t->progressed;
}

/* What mbedTLS says besides a number of bytes. */
static size_t not_bytes(struct tls *t, int err)
{
	char text[64];

	switch (err) {
	case MBEDTLS_ERR_SSL_WANT_READ:
	case MBEDTLS_ERR_SSL_WANT_WRITE:
		break;
	case MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET:
		keep_ticket(t);
		break;
	case 0:
	case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
	case MBEDTLS_ERR_SSL_CONN_EOF:
		fail(t, t->lost ? t->lost : "");
		break;
	case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
		fail(t, "the controller ended the session with a TLS alert (is this node's "
			"certificate refused?)");
		break;
	default:
		snprintf(text, sizeof(text), "TLS failed (mbedTLS -0x%04x)", (unsigned)-err);
		fail(t, text);
	}
	return 0;
}

size_t tls_write(struct tls *t, const void *bytes, size_t len_bytes)
{
	int n;

	if (t->state != TLS_OPEN || len_bytes == 0)
		return 0;
	n = mbedtls_ssl_write(&t->ssl, bytes, len_bytes);
	return n > 0 ? (size_t)n : not_bytes(t, n);
}

size_t tls_read(struct tls *t, void *bytes, size_t cap_bytes)
{
	int n;

	ASSERT(cap_bytes > 0);
	if (t->state != TLS_OPEN)
		return 0;
	n = mbedtls_ssl_read(&t->ssl, bytes, cap_bytes);
	return n > 0 ? (size_t)n : not_bytes(t, n);
}

void tls_close(struct tls *t)
{
	if (t->has_ssl) {
		if (t->state == TLS_OPEN)
			(void)mbedtls_ssl_close_notify(&t->ssl);
		mbedtls_ssl_free(&t->ssl);
		t->has_ssl = false;
	}
	if (t->pcb) {
		tcp_arg(t->pcb, NULL);
		tcp_recv(t->pcb, NULL);
		tcp_err(t->pcb, NULL);
		if (tcp_close(t->pcb) != ERR_OK)
			tcp_abort(t->pcb);
		t->pcb = NULL;
	}
	if (t->rx)
		pbuf_free(t->rx);
	t->rx = NULL;
	t->peer_closed = false;
	t->lost = NULL;
	t->state = TLS_CLOSED;
	t->error[0] = 0;
}

const char *tls_error(const struct tls *t)
{
	return t->error;
}

const char *tls_describe(const struct tls *t)
{
	return t->describe;
}

/* ---- set-up --------------------------------------------------------------------------------- */

/* Images are megabytes: AES alone where the CPU does it (servers prefer ChaCha20 to AES-128),
 * ChaCha20 where not. */
static const int suites_aes[] = {MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
				 MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 0};
static const int suites_chacha[] = {MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
				    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
				    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
				    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 0};

static bool has_aes(void)
{
	uint32_t features = cpuid(1, 0).ecx;

	return (features & BIT(25)) && (features & BIT(1)); /* AES-NI, and PCLMULQDQ for GCM */
}

enum hv_err tls_setup(const char *ca_pem)
{
	mbedtls_x509_crt_init(&ca);
	mbedtls_x509_crt_init(&own_cert);
	mbedtls_pk_init(&own_key);
	mbedtls_ssl_config_init(&config);
	if (psa_crypto_init() != PSA_SUCCESS ||
	    mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT,
					MBEDTLS_SSL_TRANSPORT_STREAM,
					MBEDTLS_SSL_PRESET_DEFAULT) != 0)
		return HV_ENOMEM;
	if (mbedtls_x509_crt_parse(&ca, (const unsigned char *)ca_pem, strlen(ca_pem) + 1) != 0)
		return HV_EINVAL;
	mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(&config, &ca, NULL);
	mbedtls_ssl_conf_rng(&config, entropy_random, NULL);
	mbedtls_ssl_conf_ciphersuites(&config, has_aes() ? suites_aes : suites_chacha);
	mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
		&config, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
	return HV_OK;
}

enum hv_err tls_set_identity(const char *cert_pem, const uint8_t *key, size_t key_len)
{
	if (has_ticket)
		mbedtls_ssl_session_free(&ticket);
	has_ticket = false;
	(void)mbedtls_ssl_conf_own_cert(&config, NULL, NULL);
	mbedtls_x509_crt_free(&own_cert);
	mbedtls_pk_free(&own_key);
	mbedtls_x509_crt_init(&own_cert);
	mbedtls_pk_init(&own_key);
	if (mbedtls_x509_crt_parse(&own_cert, (const unsigned char *)cert_pem,
				   strlen(cert_pem) + 1) != 0 ||
	    mbedtls_pk_parse_key(&own_key, key, key_len, NULL, 0, entropy_random, NULL) != 0 ||
	    mbedtls_pk_check_pair(&own_cert.pk, &own_key, entropy_random, NULL) != 0 ||
	    mbedtls_ssl_conf_own_cert(&config, &own_cert, &own_key) != 0)
		return HV_EINVAL;
	return HV_OK;
}
