/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller as one struct. There is one thread: everything here is only touched from the event
 * loop.
 */
#ifndef CONTROLLER_BILLETD_H
#define CONTROLLER_BILLETD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <openssl/ssl.h>

#include "tools/controller/ca.h"
#include "tools/controller/db.h"

#define OPTION_NAMES_MAX 16u
#define WAKES_MAX	 16u
#define TOPIC_MAX	 64u

struct options {
	const char *data;   /* folder */
	const char *listen; /* ADDR:PORT */
	const char *names[OPTION_NAMES_MAX];
	unsigned int nr_names;
	uint32_t report_interval_ms;
	int64_t node_cert_s;
	unsigned int max_connections;
	int idle_s; /* a connection on which nothing moves for so long is closed */
};

struct waiter;
struct console;
struct upload;

struct billetd {
	struct options options;
	struct event_base *base;
	struct evhttp *http;
	struct evconnlistener *listener;
	SSL_CTX *tls;
	struct event *ticker;
	unsigned int nr_connections;
	bool is_stopping;
	struct db db;
	struct ca ca;
	TAILQ_HEAD(, waiter) waiters;
	LIST_HEAD(, console) consoles;
	LIST_HEAD(, upload) uploads;
	char wakes[WAKES_MAX][TOPIC_MAX]; /* topics to wake after the commit */
	unsigned int nr_wakes;
	char unlink_after_commit[SHA256_TEXT_MAX]; /* a blob that nothing refers to any more */
};

#endif
