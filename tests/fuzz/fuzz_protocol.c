/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoders of everything that crosses the wire between node and controller. The first byte
 * chooses the message. What was accepted is written out and must be accepted again, byte for byte
 * the same the second time.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/protocol/messages.h"

#define NR_ITEMS 8

static struct desired_image images[NR_ITEMS];
static struct desired_vm vms[NR_ITEMS];
static struct report_vm report_vms[NR_ITEMS];
static struct usage_record usage[NR_ITEMS];
static struct report_event events[NR_ITEMS];

static const struct schema *const schemas[] = {
	&desired_schema,	&report_schema,	      &enroll_request_schema, &enroll_reply_schema,
	&enroll_pending_schema, &report_reply_schema, &error_reply_schema,    &renew_request_schema,
};

static union message {
	struct desired desired;
	struct report report;
	struct enroll_request enroll;
	struct enroll_reply reply;
	struct enroll_pending pending;
	struct report_reply report_reply;
	struct error_reply error;
	struct renew_request renew;
} message;

static void prepare(size_t which)
{
	memset(&message, 0, sizeof(message));
	if (which == 0) {
		message.desired.images = (struct proto_list){.at = images, .cap = NR_ITEMS};
		message.desired.vms = (struct proto_list){.at = vms, .cap = NR_ITEMS};
	} else if (which == 1) {
		message.report.vms = (struct proto_list){.at = report_vms, .cap = NR_ITEMS};
		message.report.usage = (struct proto_list){.at = usage, .cap = NR_ITEMS};
		message.report.events = (struct proto_list){.at = events, .cap = NR_ITEMS};
	}
}

static size_t write_out(size_t which, char *buf, size_t cap)
{
	struct json_out o = {.at = buf, .cap = cap};

	schema_encode(schemas[which], &message, NULL, &o);
	if (o.overflow)
		abort();
	return o.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char scratch[1 << 18], first[1 << 20], second[1 << 20];
	struct proto_scratch mem = {scratch, sizeof(scratch)};
	struct proto_error err;
	size_t which, len;

	if (size == 0)
		return 0;
	which = data[0] % (sizeof(schemas) / sizeof(schemas[0]));
	prepare(which);
	if (schema_decode(schemas[which], (const char *)data + 1, size - 1, mem, &message, &err) !=
	    PROTO_OK) {
		if (err.status == PROTO_OK || !err.message[0])
			abort();
		return 0;
	}
	if (which == 0)
		(void)message_check_desired(&message.desired, "node_0000000000000000", &err);
	len = write_out(which, first, sizeof(first));
	prepare(which);
	mem.at = NULL; /* what is written may be longer than what was read; take it from malloc */
	if (schema_decode(schemas[which], first, len, mem, &message, &err) != PROTO_OK)
		abort();
	if (write_out(which, second, sizeof(second)) != len || memcmp(first, second, len) != 0)
		abort();
	return 0;
}
