/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of any content and length from any port, and ports that come and go: no frame may cross
 * networks, reach its own sender, go from uplink to uplink, leave a guest under a foreign address,
 * or reach a port that does not take it as it is or as long as it is.
 *
 * Input: records of {what, length, bytes}. The low three bits of what name a port; bit 7 says that
 * it is attached or detached instead of sending; bit 6 puts the port's own address into the frame
 * and bits 3 to 5 choose the destination among the ports. With both bits it sends TCP instead, of
 * which length and bytes say how large, and what is left to do.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/port.h"
#include "tests/unit/support/tcp_frame.h"

#define PORTS 8u

static struct net_port ports[PORTS];
static struct net_port *sender;
static uint64_t delivered_bytes;
static bool is_tcp;
static struct tcp_frame tcp;

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static void check_offload(const struct net_port *port, const void *frame, size_t len_bytes,
			  const struct frame_offload *offload)
{
	struct frame_offload again;

	if (!offload) {
		check(!is_tcp || tcp_frame_holds(frame, len_bytes));
		check(len_bytes <= NET_FRAME_MIN + port->mtu + NET_TAG_BYTES);
		return;
	}
	again = *offload;
	check(offload_check(frame, len_bytes, &again) == HV_OK);
	check(port->offloads & NET_TAKES_CSUM);
	if (offload->gso == OFFLOAD_GSO_NONE) {
		check(len_bytes <= NET_FRAME_MIN + port->mtu);
		return;
	}
	check(port->offloads &
	      (offload->gso == OFFLOAD_GSO_TCP4 ? NET_TAKES_TSO4 : NET_TAKES_TSO6));
	check(MIN(len_bytes, (size_t)offload->hdr_len + offload->gso_size) <=
	      NET_FRAME_MIN + port->mtu);
}

static bool deliver(struct net_port *port, const void *frame, size_t len_bytes,
		    const struct frame_offload *offload)
{
	const uint8_t *bytes = frame;

	check_offload(port, frame, len_bytes, offload);
	check(port != sender && port->network == sender->network);
	check(port->kind != NET_PORT_UPLINK || sender->kind != NET_PORT_UPLINK);
	check(len_bytes >= NET_FRAME_MIN);
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
			.mtu = i % 2 ? NET_MTU_MAX : NET_MTU_MIN,
			.offloads = 7 * i % 8,
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
	is_tcp = false;
	net_send(port, frame, len_bytes, NULL);
}

static void send_tcp(struct net_port *port, uint8_t what, uint8_t size, const uint8_t *more,
		     size_t more_bytes)
{
	struct tcp_frame_conf conf = {
		.is_ipv6 = size & 1,
		.payload_bytes = 1u + 80u * size,
		.gso_size = more_bytes > 1 ? (uint16_t)(more[0] << 8 | more[1]) : 0,
	};
	struct net_counters before = port->counters;

	if (port->slot < 0)
		return;
	tcp_frame_make(&tcp, &conf);
	memcpy(tcp.bytes, ports[what >> 3 & 7].mac, 6);
	memcpy(tcp.bytes + 6, port->mac, 6);
	if (more_bytes > 2)
		tcp.bytes[0] |= more[2] & 1;
	check(offload_check(tcp.bytes, tcp.len_bytes, &tcp.offload) == HV_OK);
	sender = port;
	is_tcp = true;
	net_send(port, tcp.bytes, tcp.len_bytes, &tcp.offload);
	check(port->counters.tx_dropped != before.tx_dropped ||
	      port->counters.tx_bytes - before.tx_bytes >= tcp.len_bytes);
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
		if ((what & 0xc0) == 0xc0)
			send_tcp(&ports[what & 7], what, data[1], data + 2, got);
		else if (what & 0x80)
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
