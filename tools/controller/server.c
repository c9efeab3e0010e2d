/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One listener, one event loop. When there are as many connections as may be, the listener is
 * disabled until one ends; who comes meanwhile waits in the kernel's queue.
 */
#include "tools/controller/server.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include <event2/bufferevent_ssl.h>

#include "tools/controller/console.h"
#include "tools/controller/http.h"
#include "tools/controller/idempotency.h"
#include "tools/controller/say.h"
#include "tools/controller/upload.h"
#include "tools/controller/util.h"

#define HEADERS_MAX 16384
#define BODY_MAX                                                                                   \
	((ssize_t)9 << 20) /* above what any route takes, so that the route can say what it takes  \
			    */
#define BACKLOG	    128
#define DRAIN_MS    250 /* for answers on their way out when it is told to stop */
#define EXPIRE_S    5
#define DAILY_TICKS (86400 / EXPIRE_S)

static int ssl_index = -1; /* SSL ex data: the struct billetd, to count connections */

static void on_ssl_freed(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long arg,
			 void *argp)
{
	struct billetd *d = ptr;

	(void)parent;
	(void)ad;
	(void)index;
	(void)arg;
	(void)argp;
	if (!d)
		return;
	d->nr_connections--;
	if (d->listener && !d->is_stopping && d->nr_connections < d->options.max_connections)
		evconnlistener_enable(d->listener);
}

/* Never NULL: libevent would then go on without TLS. */
static struct bufferevent *new_connection(struct event_base *base, void *arg)
{
	struct billetd *d = arg;
	struct bufferevent *bev = NULL;
	SSL *ssl = SSL_new(d->tls);

	if (ssl) {
		SSL_set_ex_data(ssl, ssl_index, d);
		d->nr_connections++;
		bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
						     BEV_OPT_CLOSE_ON_FREE |
							     BEV_OPT_DEFER_CALLBACKS);
	}
	if (!bev) {
		say_err("server", "out of memory for a connection");
		_exit(1);
	}
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	if (d->nr_connections >= d->options.max_connections)
		evconnlistener_disable(d->listener);
	return bev;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	static unsigned int ticks;
	struct billetd *d = arg;

	(void)fd;
	(void)what;
	db_begin(&d->db);
	console_expire(d);
	if (++ticks % DAILY_TICKS == 0) {
		idempotency_forget(&d->db, now_ms());
		(void)tls_reload(d);
	}
	if (!db_commit(&d->db))
		d->nr_wakes = 0;
	wait_wake_pending(d);
}

static bool start_ticking(struct billetd *d)
{
	struct timeval every = {.tv_sec = EXPIRE_S};

	d->ticker = event_new(d->base, -1, EV_PERSIST, on_tick, d);
	return d->ticker && event_add(d->ticker, &every) == 0;
}

static void say_where(struct billetd *d)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char host[64] = "?";
	int port = 0;

	if (getsockname(evconnlistener_get_fd(d->listener), (struct sockaddr *)&addr, &len) == 0) {
		if (addr.ss_family == AF_INET6) {
			struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;

			evutil_inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
			port = ntohs(in6->sin6_port);
		} else {
			struct sockaddr_in *in = (struct sockaddr_in *)&addr;

			evutil_inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
			port = ntohs(in->sin_port);
		}
	}
	say_info("server", "billetd %s listens at %s port %d", BILLET_VERSION, host, port);
}

/* "127.0.0.1:8443" or "[::1]:8443", numbers only. Gives: the caller frees it with freeaddrinfo();
 * NULL: not so. */
static struct addrinfo *parse_listen(const char *text)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				 .ai_socktype = SOCK_STREAM};
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	struct addrinfo *addr;
	char host[64];

	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		return NULL;
	memcpy(host, text, len);
	host[len] = 0;
	return getaddrinfo(host, colon + 1, &hints, &addr) == 0 ? addr : NULL;
}

static bool open_listener(struct billetd *d)
{
	struct addrinfo *addr = parse_listen(d->options.listen);

	if (!addr) {
		say_err("server", "--listen %s: wants ADDRESS:PORT, such as 127.0.0.1:8443",
			d->options.listen);
		return false;
	}
	d->listener = evconnlistener_new_bind(d->base, NULL, NULL,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
						      LEV_OPT_REUSEABLE,
					      BACKLOG, addr->ai_addr, (int)addr->ai_addrlen);
	if (!d->listener)
		say_err("server", "cannot listen at %s: %s", d->options.listen, strerror(errno));
	freeaddrinfo(addr);
	return d->listener != NULL;
}

bool server_start(struct billetd *d)
{
	ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_freed);
	if (ssl_index < 0 || !tls_reload(d) || !open_listener(d))
		return false;
	d->http = evhttp_new(d->base);
	if (!d->http)
		return false;
	evhttp_set_allowed_methods(d->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
						    EVHTTP_REQ_PATCH | EVHTTP_REQ_PUT |
						    EVHTTP_REQ_DELETE);
	evhttp_set_max_headers_size(d->http, HEADERS_MAX);
	evhttp_set_max_body_size(d->http, BODY_MAX);
	evhttp_set_timeout(d->http, d->options.idle_s);
	evhttp_set_default_content_type(d->http, NULL);
	evhttp_set_bevcb(d->http, new_connection, d);
	evhttp_set_gencb(d->http, http_handle, d);
	if (!evhttp_bind_listener(d->http, d->listener) || !start_ticking(d))
		return false;
	say_where(d);
	return true;
}

void server_drain(struct billetd *d)
{
	struct timeval soon = {.tv_usec = DRAIN_MS * 1000};

	if (d->is_stopping) {
		event_base_loopbreak(d->base);
		return;
	}
	d->is_stopping = true;
	evconnlistener_disable(d->listener);
	wait_end_all(d);
	event_base_loopexit(d->base, &soon);
}

void server_stop(struct billetd *d)
{
	wait_end_all(d);
	d->listener = NULL; /* evhttp_free() frees it */
	if (d->http)
		evhttp_free(d->http);
	if (d->ticker)
		event_free(d->ticker);
	console_free_all(d);
	upload_free_all(d);
	SSL_CTX_free(d->tls);
}
