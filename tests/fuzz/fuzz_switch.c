/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of any content and length from any port, and ports that come and go: no frame may cross
 * networks, reach its own sender, go from uplink to uplink, or leave a guest under a foreign
 * address.
 *
 * Input: records of {what, length, bytes}. The low three bits of what name a port; bit 7 says that
 * it is attached or detached instead of sending; bit 6 puts the port's own address into the frame
 * and bits 3 to 5 choose the destination among the ports.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/port.h"

#define PORTS 8u

static struct net_port ports[PORTS];
static struct net_port *sender;
static uint64_t delivered_bytes;

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static bool deliver(struct net_port *port, const void *frame, size_t len_bytes,
		    const struct frame_offload *offload)
{
	const uint8_t *bytes = frame;

	(void)offload;
	check(port != sender && port->network == sender->network);
	check(port->kind != NET_PORT_UPLINK || sender->kind != NET_PORT_UPLINK);
	check(len_bytes >= NET_FRAME_MIN && len_bytes <= NET_FRAME_MAX);
	if (sender->kind != NET_PORT_UPLINK)
		check(memcmp(bytes + 6, sender->mac, 6) == 0);
	if (!(bytes[0] & 1) && port->kind != NET_PORT_UPLINK)
		check(memcmp(bytes, port->mac, 6) == 0);
	for (size_t i = 0; i < len_bytes; i++)
		delivered_bytes += bytes[i] != 0;
	return bytes[len_bytes - 1] != 0xee;
}

static void prepare(void)
{
	for (uint32_t i = 0; i < PORTS; i++)
		ports[i] = (struct net_port){
			.name = "fuzz",
			.kind = i < 2	 ? NET_PORT_UPLINK
				: i == 2 ? NET_PORT_AGENT
					 : NET_PORT_GUEST,
			.network = i < 5 ? 0 : 1,
			.mac = {2, 0, 0, 0, 0, (uint8_t)(i < 6 ? i : i - 3)},
			.deliver = deliver,
			.slot = -1,
		};
}

static void plug(struct net_port *port)
{
	if (port->slot >= 0)
		net_detach(port);
	else
		(void)!net_attach(port);
}

static void send_one(struct net_port *port, uint8_t what, uint8_t *frame, size_t len_bytes)
{
	if (port->slot < 0)
		return;
	if ((what & 0x40) && len_bytes >= 12) {
		memcpy(frame, ports[what >> 3 & 7].mac, 6);
		memcpy(frame + 6, port->mac, 6);
	}
	sender = port;
	net_send(port, frame, len_bytes, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	prepare();
	while (size >= 2) {
		uint8_t what = data[0];
		size_t len = (size_t)data[1] * 8 + (data[1] & 7), got = MIN(len, size - 2);
		uint8_t *frame =
			malloc(MAX(len, 1)); /* of this size, so that a read past it is seen */

		memset(frame, 0, len);
		memcpy(frame, data + 2, got);
		if (what & 0x80)
			plug(&ports[what & 7]);
		else
			send_one(&ports[what & 7], what, frame, len);
		free(frame);
		data += 2 + got;
		size -= 2 + got;
	}
	for (uint32_t i = 0; i < PORTS; i++)
		if (ports[i].slot >= 0)
			net_detach(&ports[i]);
	return 0;
}
