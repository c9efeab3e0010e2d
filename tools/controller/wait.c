/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long polls: requests that wait for a topic, "desired node_…" or "console <vm>". Woken or out of
 * time, a request is run again from its beginning, with the caller checked anew, so that a revoked
 * one is not served.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/controller/http.h"
#include "tools/controller/util.h"

struct waiter {
	TAILQ_ENTRY(waiter) link;
	struct billetd *d;
	struct evhttp_request *req;
	struct event *timer;
	int64_t deadline_ms;
	char topic[TOPIC_MAX];
	bool is_woken;
};

static void run(struct waiter *w, bool can_wait)
{
	struct billetd *d = w->d;
	struct evhttp_request *req = w->req;
	int64_t deadline_ms = w->deadline_ms;

	TAILQ_REMOVE(&d->waiters, w, link);
	event_free(w->timer);
	free(w);
	http_run(d, req, deadline_ms, can_wait);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct waiter *w = arg;
	struct billetd *d = w->d;

	(void)fd;
	(void)what;
	run(w, false);
	wait_wake_pending(d);
}

void wait_add(struct billetd *d, struct evhttp_request *req, const char *topic, int64_t deadline_ms,
	      bool is_node)
{
	int64_t left_ms = deadline_ms - now_ms();
	struct timeval tv = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};
	struct waiter *w = calloc(1, sizeof(*w)), *old;

	if (left_ms <= 0)
		tv = (struct timeval){.tv_usec = 1000};
	if (w)
		w->timer = evtimer_new(d->base, on_timeout, w);
	if (!w || !w->timer) {
		free(w);
		evhttp_send_reply(req, 503, NULL, NULL);
		return;
	}
	w->d = d;
	w->req = req;
	w->deadline_ms = deadline_ms;
	strcpy(w->topic, topic);
	for (old = TAILQ_FIRST(&d->waiters); is_node && old; old = TAILQ_NEXT(old, link)) {
		if (strcmp(old->topic, topic) == 0) {
			evtimer_del(old->timer);
			event_active(old->timer, EV_TIMEOUT, 1);
		}
	}
	TAILQ_INSERT_TAIL(&d->waiters, w, link);
	evtimer_add(w->timer, &tv);
}

static bool is_wanted(struct billetd *d, const struct waiter *w)
{
	for (unsigned int i = 0; i < d->nr_wakes; i++)
		if (d->wakes[i][0] == 0 || strcmp(d->wakes[i], w->topic) == 0)
			return true;
	return false;
}

void wait_wake_pending(struct billetd *d)
{
	struct waiter *w, *next;

	/* Marked first: what runs may wait again, and may wake others. */
	while (d->nr_wakes > 0) {
		TAILQ_FOREACH(w, &d->waiters, link)
		w->is_woken = is_wanted(d, w);
		d->nr_wakes = 0;
		for (w = TAILQ_FIRST(&d->waiters); w; w = next) {
			next = TAILQ_NEXT(w, link);
			if (w->is_woken)
				run(w, true);
		}
	}
}

void wait_end_all(struct billetd *d)
{
	struct waiter *w;

	while ((w = TAILQ_FIRST(&d->waiters)))
		run(w, false);
}
