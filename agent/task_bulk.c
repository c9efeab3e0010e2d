/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is many bytes, over one connection: console output first, as somebody looks at it, then
 * images, in ranges of a mebibyte so that the console has its turn between them.
 */
#include <stdio.h>
#include <string.h>

#include "agent/control.h"
#include "agent/enrol.h"
#include "agent/log.h"
#include "agent/node.h"

#define TIMEOUT_MS 120000u
#define RANGE_MAX  (1024u * 1024u)

static uint8_t console_bytes[PROTO_CONSOLE_MAX / 4];
static struct console_session *sending;
static char sending_session[ID_TEXT_MAX];
static uint64_t sending_offset;
static size_t sending_len;
static uint64_t transfer_start_ms;
static bool is_range_checked;

static void failed(struct node *n, const char *what, const char *error)
{
	if (n->bulk_pace.backoff.failures == 0)
		log_warn(what, "%s", error);
	pace_fail(&n->bulk_pace);
}

/* ---- console -------------------------------------------------------------------------------- */

static void output_sent(void *arg, const struct client_result *result)
{
	struct node *n = arg;

	if (result->status == 0) {
		failed(n, "console", result->error);
		return;
	}
	backoff_reset(&n->bulk_pace.backoff);
	if (console_is_for(sending, sending_session))
		console_output_done(sending, sending_offset, sending_len, result->status);
	if (result->status >= 500)
		pace_fail(&n->bulk_pace);
}

static bool send_console(struct node *n)
{
	struct client_request req = {.method = "POST",
				     .content_type = "application/octet-stream",
				     .body = console_bytes,
				     .timeout_ms = TIMEOUT_MS,
				     .done = output_sent,
				     .arg = n};
	struct control_io io = {.command = CTL_CONSOLE_READ,
				.out = console_bytes,
				.out_cap = sizeof(console_bytes)};

	sending = console_next_output(&n->console);
	if (!sending)
		return false;
	io.arg0 = sending->handle;
	io.arg1 = sending->out_offset;
	if (control_call(&io) != HV_OK || io.out_len == 0) {
		sending->out_offset = sending->end; /* the kernel no longer has it */
		return true;
	}
	sending->end = MAX(sending->end, io.value1);
	node_console_end(n, sending->handle, io.value1);
	memcpy(sending_session, sending->session, sizeof(sending_session));
	sending_offset = io.value0;
	sending_len = io.out_len;
	console_output_path(sending, sending_offset, req.path);
	req.body_len = io.out_len;
	client_send(&n->bulk_client, &req, node_now_ms());
	return true;
}

/* ---- images --------------------------------------------------------------------------------- */

static bool take_piece(void *arg, const uint8_t *bytes, size_t len)
{
	struct node *n = arg;
	const struct http_reader *r = &n->bulk_client.reader;

	if (r->status != 200 && r->status != 206)
		return true; /* an error's body; its status says enough */
	if (!is_range_checked && !images_starts_at(&n->images, r->status, r->has_content_range,
						   r->range_first, r->range_total)) {
		images_fail(&n->images, "the controller sent other bytes than were asked for",
			    node_now_ms());
		return false;
	}
	is_range_checked = true;
	return images_feed(&n->images, bytes, len, node_now_ms());
}

static void image_done(struct node *n)
{
	uint64_t ms = node_now_ms() - transfer_start_ms;

	log_info("images", "%.12s… verified: %lu bytes in %lu ms", n->images.sha256,
		 (unsigned long)n->images.size, (unsigned long)ms);
	n->is_stale = true;
	n->report_urgent = true;
}

static void piece_ended(void *arg, const struct client_result *result)
{
	struct node *n = arg;
	bool was_active = n->images.is_active;
	char text[64];

	if (result->status == 200 || result->status == 206) {
		backoff_reset(&n->bulk_pace.backoff);
		if (images_end(&n->images, node_now_ms()))
			image_done(n);
	} else if (result->status == 404 || result->status == 416) {
		snprintf(text, sizeof(text), "the controller does not have the image (%u)",
			 result->status);
		images_fail(&n->images, text, node_now_ms());
	} else if (result->status == 0 && n->images.is_active) {
		failed(n, "images", result->error);
	} else {
		pace_fail(&n->bulk_pace);
	}
	if (was_active && !n->images.is_active && images_reason(&n->images, n->images.sha256)) {
		log_err("images", "%.12s…: %s", n->images.sha256,
			images_reason(&n->images, n->images.sha256));
		n->report_urgent = true;
	}
}

static bool fetch_image(struct node *n)
{
	struct client_request req = {.method = "GET",
				     .has_range = true,
				     .timeout_ms = TIMEOUT_MS,
				     .sink = take_piece,
				     .done = piece_ended,
				     .arg = n};

	n->actual.now_ms = node_now_ms();
	if (!n->has_desired || n->is_stale || !images_pick(&n->images, &n->desired, &n->actual))
		return false;
	if (n->images.received == 0)
		transfer_start_ms = node_now_ms();
	snprintf(req.path, sizeof(req.path), "/agent/v1/blobs/%s", n->images.sha256);
	req.range_first = n->images.received;
	req.range_last = MIN(n->images.received + RANGE_MAX, n->images.size) - 1;
	is_range_checked = false;
	client_send(&n->bulk_client, &req, node_now_ms());
	return true;
}

bool task_bulk(struct node *n)
{
	if (!n->is_online || !client_is_idle(&n->bulk_client) || !pace_is_due(&n->bulk_pace))
		return false;
	return send_console(n) || fetch_image(n);
}
