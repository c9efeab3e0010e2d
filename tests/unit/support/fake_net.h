/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A switch with one port, for tests of network cards: what the port sends is kept, and the test
 * delivers to it. Its functions go to the card as an ops struct, beside the real switch.
 */
#ifndef TESTS_FAKE_NET_H
#define TESTS_FAKE_NET_H

#include "net/port.h"
#include "vmm/dev/virtio_net.h"

struct fake_net {
	struct net_port *port;		  /* attached; NULL: none */
	enum hv_err attach_err;		  /* what the next attach says */
	uint8_t buffer[NET_BUFFER_BYTES]; /* what net_buffer() gives */
	uint8_t frame[OFFLOAD_FRAME_MAX]; /* the last one sent */
	size_t frame_len;
	bool has_offload;
	struct frame_offload offload; /* of the last one sent, if it had one */
	uint32_t nr_sent;	      /* lawful ones */
	uint32_t nr_refused;
};

extern struct fake_net fake_net; /* zero it before a test */
extern const struct net_ops fake_net_ops;

#endif
