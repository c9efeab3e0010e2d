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

static bool keep_frame(struct net_port *port, const void *frame, size_t len_bytes,
		       const struct frame_offload *offload)
{
	(void)offload;
	if (fake_net.port != port)
		abort();
	if (len_bytes < NET_FRAME_MIN || len_bytes > NET_FRAME_MAX) {
		fake_net.nr_refused++;
		return false;
	}
	memcpy(fake_net.frame, frame, len_bytes);
	fake_net.frame_len = len_bytes;
	fake_net.nr_sent++;
	return true;
}

const struct net_ops fake_net_ops = {.attach = attach, .detach = detach, .send = keep_frame};
