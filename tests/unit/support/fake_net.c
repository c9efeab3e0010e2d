/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One port's worth of a switch.
 */
#include "tests/unit/support/fake_net.h"

#include <stdlib.h>
#include <string.h>

struct fake_net fake_net;

static enum hv_err attach(struct net_port *port)
{
	if (fake_net.attach_err != HV_OK)
		return fake_net.attach_err;
	if (fake_net.port)
		abort();
	fake_net.port = port;
	port->slot = 0;
	return HV_OK;
}

static void detach(struct net_port *port)
{
	if (fake_net.port != port)
		abort();
	fake_net.port = NULL;
	port->slot = -1;
}

static uint8_t *buffer(void)
{
	return fake_net.buffer;
}

/* What the switch may rely on. */
static bool is_checked(const void *frame, size_t len_bytes, const struct frame_offload *offload)
{
	struct frame_offload again;

	if (!offload)
		return true;
	again = *offload;
	return offload_check(frame, len_bytes, &again) == HV_OK &&
	       again.hdr_len == offload->hdr_len;
}

static bool keep_frame(struct net_port *port, const void *frame, size_t len_bytes,
		       const struct frame_offload *offload)
{
	if (fake_net.port != port || (len_bytes && !is_checked(frame, len_bytes, offload)))
		abort();
	if (len_bytes < NET_FRAME_MIN || len_bytes > OFFLOAD_FRAME_MAX) {
		fake_net.nr_refused++;
		return false;
	}
	memcpy(fake_net.frame, frame, len_bytes);
	fake_net.frame_len = len_bytes;
	fake_net.has_offload = offload;
	fake_net.offload = offload ? *offload : (struct frame_offload){.gso = OFFLOAD_GSO_NONE};
	fake_net.nr_sent++;
	return true;
}

const struct net_ops fake_net_ops = {
	.attach = attach, .detach = detach, .buffer = buffer, .send = keep_frame};
