/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets which frame: a node with an uplink, the agent, and guests in two tenant networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "net/mac_table.h"
#include "net/port.h"
#include "tests/unit/support/tcp_frame.h"

#define MTU_FRAME (NET_FRAME_MIN + NET_MTU_MIN)

struct station {
	struct net_port port;
	uint32_t got; /* frames delivered */
	uint8_t last[OFFLOAD_FRAME_MAX];
	size_t last_len;
	bool has_offload; /* the last one had */
	struct frame_offload offload;
	uint32_t nr_wrong; /* finished TCP frames whose sums do not hold */
	bool is_full;
	uint32_t room; /* not 0: full after as many */
};

static struct station uplink, agent, guest_a, guest_b, tenant_a, tenant_b;
static struct station *const everyone[] = {&uplink,  &agent,	&guest_a,
					   &guest_b, &tenant_a, &tenant_b};

static const uint8_t outside[6] = {0x52, 0x55, 0x0a, 0, 2, 2};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static bool take(struct net_port *port, const void *frame, size_t len_bytes,
		 const struct frame_offload *offload)
{
	struct station *s = port->owner;

	if (s->is_full || (s->room && s->got == s->room))
		return false;
	s->got++;
	s->has_offload = offload;
	s->offload = offload ? *offload : (struct frame_offload){.gso = OFFLOAD_GSO_NONE};
	s->nr_wrong += !offload && !tcp_frame_holds(frame, len_bytes);
	memcpy(s->last, frame, len_bytes);
	s->last_len = len_bytes;
	return true;
}

static void prepare(struct station *s, enum net_port_kind kind, uint32_t network,
		    uint8_t last_octet)
{
	memset(s, 0, sizeof(*s));
	s->port = (struct net_port){
		.name = "test",
		.kind = kind,
		.network = network,
		.mac = {0x02, 0, 0, 0, 0, last_octet},
		.owner = s,
		.deliver = take,
		.slot = -1,
	};
}

static int plug_in(void **state)
{
	(void)state;
	prepare(&uplink, NET_PORT_UPLINK, 0, 1);
	prepare(&agent, NET_PORT_AGENT, 0, 2);
	prepare(&guest_a, NET_PORT_GUEST, 0, 3);
	prepare(&guest_b, NET_PORT_GUEST, 0, 4);
	prepare(&tenant_a, NET_PORT_GUEST, 7,
		3); /* the same address as guest_a, in another network */
	prepare(&tenant_b, NET_PORT_GUEST, 7, 5);
	for (size_t i = 0; i < ARRAY_SIZE(everyone); i++)
		assert_int_equal(net_attach(&everyone[i]->port), HV_OK);
	return 0;
}

static int unplug(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(everyone); i++)
		if (everyone[i]->port.slot >= 0)
			net_detach(&everyone[i]->port);
	return 0;
}

static uint8_t frame[NET_FRAME_MAX];

static bool send_type(struct station *from, const uint8_t *src, const uint8_t *dst, uint16_t type,
		      size_t len)
{
	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	put_be16(frame + 12, type);
	return net_send(&from->port, frame, len, NULL);
}

static bool send_ip(struct station *from, const uint8_t *src, const uint8_t *dst)
{
	return send_type(from, src, dst, 0x0800, 60);
}

static void assert_got(uint32_t up, uint32_t ag, uint32_t a, uint32_t b, uint32_t ta, uint32_t tb)
{
	assert_int_equal(uplink.got, up);
	assert_int_equal(agent.got, ag);
	assert_int_equal(guest_a.got, a);
	assert_int_equal(guest_b.got, b);
	assert_int_equal(tenant_a.got, ta);
	assert_int_equal(tenant_b.got, tb);
}

static void hands_unicast_to_its_owner_only(void **state)
{
	(void)state;
	assert_true(send_ip(&uplink, outside, guest_a.port.mac));
	assert_got(0, 0, 1, 0, 0, 0);
	assert_true(send_ip(&guest_a, guest_a.port.mac, agent.port.mac));
	assert_got(0, 1, 1, 0, 0, 0);
	assert_memory_equal(agent.last, frame, 60);
	assert_int_equal(agent.last_len, 60);
}

static void floods_broadcast_within_the_network_only(void **state)
{
	(void)state;
	assert_true(send_ip(&guest_a, guest_a.port.mac, broadcast));
	assert_got(1, 1, 0, 1, 0, 0);
	assert_true(send_ip(&tenant_a, tenant_a.port.mac, broadcast));
	assert_got(1, 1, 0, 1, 0, 1);
}

static void keeps_networks_apart_even_for_equal_addresses(void **state)
{
	(void)state;
	assert_true(send_ip(&tenant_b, tenant_b.port.mac, tenant_a.port.mac));
	assert_got(0, 0, 0, 0, 1, 0);
	assert_true(send_ip(&tenant_b, tenant_b.port.mac, agent.port.mac));
	assert_true(send_ip(&tenant_b, tenant_b.port.mac, outside));
	assert_got(0, 0, 0, 0, 1, 0);
}

/* Two networks in which guest_a's address has the same place in the switch's hash of 1024. */
static void keeps_networks_apart_even_for_equal_hashes(void **state)
{
	static struct station twin, friend;
	uint32_t network = 8;

	(void)state;
	while ((mac_hash(network, guest_a.port.mac) - mac_hash(0, guest_a.port.mac)) % 1024 != 0)
		network++;
	prepare(&twin, NET_PORT_GUEST, network, 3);
	prepare(&friend, NET_PORT_GUEST, network, 9);
	assert_int_equal(net_attach(&twin.port), HV_OK);
	assert_int_equal(net_attach(&friend.port), HV_OK);
	assert_true(send_ip(&friend, friend.port.mac, guest_a.port.mac));
	assert_int_equal(twin.got, 1);
	assert_got(0, 0, 0, 0, 0, 0);
	net_detach(&twin.port);
	assert_true(send_ip(&friend, friend.port.mac, guest_a.port.mac));
	assert_got(0, 0, 0, 0, 0, 0);
	net_detach(&friend.port);
}

static void sends_unknown_unicast_outside_and_to_no_guest(void **state)
{
	(void)state;
	assert_true(send_ip(&guest_a, guest_a.port.mac, outside));
	assert_got(1, 0, 0, 0, 0, 0);
}

static void drops_a_foreign_source_of_guest_and_agent(void **state)
{
	(void)state;
	assert_false(send_ip(&guest_a, guest_b.port.mac, broadcast));
	assert_false(send_ip(&guest_a, outside, agent.port.mac));
	assert_false(send_ip(&agent, guest_a.port.mac, outside));
	assert_got(0, 0, 0, 0, 0, 0);
	assert_int_equal(guest_a.port.counters.tx_dropped, 2);
	assert_int_equal(guest_a.port.counters.tx_packets, 0);
}

static void drops_what_the_uplink_reflects_or_makes_up(void **state)
{
	static const uint8_t multicast_source[6] = {0x03, 0, 0, 0, 0, 1}, zero[6];

	(void)state;
	assert_false(send_ip(&uplink, guest_a.port.mac, broadcast));
	assert_false(send_ip(&uplink, multicast_source, guest_a.port.mac));
	assert_false(send_ip(&uplink, zero, guest_a.port.mac));
	assert_got(0, 0, 0, 0, 0, 0);
}

static void drops_tags_except_a_priority_from_outside(void **state)
{
	static const uint16_t tag_types[] = {0x8100, 0x88a8, 0x9100};

	(void)state;
	memset(frame, 0, sizeof(frame));
	for (size_t i = 0; i < ARRAY_SIZE(tag_types); i++)
		assert_false(send_type(&guest_a, guest_a.port.mac, outside, tag_types[i], 64));
	assert_true(send_type(&uplink, outside, guest_a.port.mac, 0x8100, 64)); /* VLAN 0 */
	assert_got(0, 0, 1, 0, 0, 0);
	assert_false(send_type(&uplink, outside, guest_a.port.mac, 0x8100, 15)); /* cut off */
	put_be16(frame + 14, 5);
	assert_false(send_type(&uplink, outside, guest_a.port.mac, 0x8100, 64));
	put_be16(frame + 14, 0);
	assert_got(0, 0, 1, 0, 0, 0);
}

static void drops_frames_that_steer_bridges(void **state)
{
	static const uint8_t spanning_tree[6] = {0x01, 0x80, 0xc2, 0, 0, 0};
	static const uint8_t beyond_reserved[6] = {0x01, 0x80, 0xc2, 0, 0, 0x10};

	(void)state;
	assert_false(send_ip(&guest_a, guest_a.port.mac, spanning_tree));
	assert_false(send_ip(&uplink, outside, spanning_tree));
	assert_got(0, 0, 0, 0, 0, 0);
	assert_true(send_ip(&guest_a, guest_a.port.mac, beyond_reserved));
	assert_got(1, 1, 0, 1, 0, 0);
}

static void drops_frames_of_wrong_length(void **state)
{
	(void)state;
	assert_false(send_type(&guest_a, guest_a.port.mac, outside, 0x0800, NET_FRAME_MIN - 1));
	assert_false(send_type(&guest_a, guest_a.port.mac, outside, 0x0800, MTU_FRAME + 1));
	assert_false(net_send(&guest_a.port, frame, 0, NULL));
	assert_got(0, 0, 0, 0, 0, 0);
	assert_true(send_type(&guest_a, guest_a.port.mac, outside, 0x0800, NET_FRAME_MIN));
	assert_true(send_type(&guest_a, guest_a.port.mac, outside, 0x0800, MTU_FRAME));
	assert_got(2, 0, 0, 0, 0, 0);
	assert_int_equal(guest_a.port.counters.tx_dropped, 3);
}

static void lets_a_tag_be_longer_by_its_own_length(void **state)
{
	(void)state;
	memset(frame, 0, sizeof(frame));
	assert_true(send_type(&uplink, outside, guest_a.port.mac, 0x8100, MTU_FRAME + 4));
	assert_false(send_type(&uplink, outside, guest_a.port.mac, 0x8100, MTU_FRAME + 5));
	assert_false(send_type(&uplink, outside, guest_a.port.mac, 0x0800, MTU_FRAME + 1));
	assert_got(0, 0, 1, 0, 0, 0);
}

static void drops_what_is_longer_than_the_receivers_mtu(void **state)
{
	size_t len = NET_FRAME_MIN + NET_MTU_MAX;

	(void)state;
	guest_a.port.mtu = guest_b.port.mtu = NET_MTU_MAX;
	assert_true(send_type(&guest_a, guest_a.port.mac, guest_b.port.mac, 0x0800, len));
	assert_int_equal(guest_b.last_len, len);
	assert_false(send_type(&guest_a, guest_a.port.mac, agent.port.mac, 0x0800, MTU_FRAME + 1));
	assert_int_equal(agent.port.counters.rx_dropped, 1);
	assert_true(send_type(&guest_a, guest_a.port.mac, broadcast, 0x0800, len));
	assert_int_equal(uplink.port.counters.rx_dropped, 1);
	assert_int_equal(agent.port.counters.rx_dropped, 2);
	assert_got(0, 0, 0, 2, 0, 0);
	assert_int_equal(guest_a.port.counters.tx_packets, 3);
}

/* ---- frames that are not finished ---- */

static struct tcp_frame tcp;

/* From guest_a, 5000 bytes of payload in four frames unless gso_size is 0. */
static bool send_tcp(const uint8_t *dst, uint16_t gso_size, uint32_t payload_bytes)
{
	tcp_frame_make(&tcp, &(struct tcp_frame_conf){.payload_bytes = payload_bytes,
						      .gso_size = gso_size});
	memcpy(tcp.bytes, dst, 6);
	memcpy(tcp.bytes + 6, guest_a.port.mac, 6);
	assert_int_equal(offload_check(tcp.bytes, tcp.len_bytes, &tcp.offload), HV_OK);
	return net_send(&guest_a.port, tcp.bytes, tcp.len_bytes, &tcp.offload);
}

static void assert_counted(uint64_t packets, uint64_t bytes, uint64_t counted_packets,
			   uint64_t counted_bytes)
{
	assert_int_equal(counted_packets, packets);
	assert_int_equal(counted_bytes, bytes);
}

static void passes_on_whole_what_the_receiver_takes(void **state)
{
	(void)state;
	guest_b.port.offloads = NET_TAKES_CSUM | NET_TAKES_TSO4;
	assert_true(send_tcp(guest_b.port.mac, 1460, 5000));
	assert_int_equal(guest_b.got, 1);
	assert_int_equal(guest_b.last_len, 5054);
	assert_memory_equal(guest_b.last, tcp.bytes, tcp.len_bytes);
	assert_int_equal(guest_b.offload.gso, OFFLOAD_GSO_TCP4);
	/* and is counted at both as what a wire would carry */
	assert_counted(4, 5054 + 3 * 54, guest_a.port.counters.tx_packets,
		       guest_a.port.counters.tx_bytes);
	assert_counted(4, 5054 + 3 * 54, guest_b.port.counters.rx_packets,
		       guest_b.port.counters.rx_bytes);
}

static void cuts_for_who_takes_finished_frames_only(void **state)
{
	(void)state;
	guest_b.port.offloads = NET_TAKES_CSUM | NET_TAKES_TSO6; /* of the wrong kind */
	assert_true(send_tcp(guest_b.port.mac, 1460, 5000));
	assert_int_equal(guest_b.got, 4);
	assert_true(guest_b.has_offload && guest_b.offload.needs_csum);
	assert_int_equal(guest_b.offload.gso, OFFLOAD_GSO_NONE);
	assert_true(send_tcp(outside, 1460, 5000));
	assert_int_equal(uplink.got, 4);
	assert_false(uplink.has_offload);
	assert_int_equal(uplink.nr_wrong, 0);
	assert_int_equal(uplink.last_len, 54 + 5000 - 3 * 1460);
	assert_counted(4, 5054 + 3 * 54, uplink.port.counters.rx_packets,
		       uplink.port.counters.rx_bytes);
	assert_counted(8, 2 * (5054 + 3 * 54), guest_a.port.counters.tx_packets,
		       guest_a.port.counters.tx_bytes);
}

static void stops_cutting_when_there_is_no_room(void **state)
{
	(void)state;
	assert_true(send_ip(&uplink, outside, guest_a.port.mac)); /* learned: no flood */
	uplink.room = 3;
	assert_false(send_tcp(outside, 1000, 9500));
	assert_int_equal(uplink.got, 3);
	assert_counted(3, 3 * 1054, uplink.port.counters.rx_packets, uplink.port.counters.rx_bytes);
	assert_int_equal(uplink.port.counters.rx_dropped, 7);
	uplink.is_full = true;
	uplink.port.offloads = NET_TAKES_CSUM | NET_TAKES_TSO4;
	assert_false(send_tcp(outside, 1000, 9500));
	assert_int_equal(uplink.port.counters.rx_dropped, 17);
}

static void fills_in_a_broadcasts_checksum_where_it_must(void **state)
{
	(void)state;
	guest_b.port.offloads = NET_TAKES_CSUM;
	assert_true(send_tcp(broadcast, 0, 301));
	assert_got(1, 1, 0, 1, 0, 0);
	assert_true(guest_b.has_offload && guest_b.offload.needs_csum);
	assert_memory_equal(guest_b.last, tcp.bytes, tcp.len_bytes);
	assert_false(uplink.has_offload || agent.has_offload);
	assert_int_equal(uplink.nr_wrong + agent.nr_wrong, 0);
	assert_int_equal(agent.last_len, tcp.len_bytes);
}

static void passes_on_that_a_checksum_was_looked_at(void **state)
{
	struct frame_offload offload = {.is_csum_valid = true};

	(void)state;
	memcpy(frame, guest_a.port.mac, 6);
	memcpy(frame + 6, outside, 6);
	assert_true(net_send(&uplink.port, frame, 60, &offload));
	assert_true(guest_a.has_offload && guest_a.offload.is_csum_valid);
}

static void cuts_nothing_for_many_and_nothing_into_dust(void **state)
{
	(void)state;
	assert_false(send_tcp(broadcast, 1460, 5000));
	assert_false(send_tcp((const uint8_t[6]){1, 0, 0x5e, 0, 0, 9}, 1460, 5000));
	assert_false(send_tcp(outside, NET_GSO_MIN - 1, 5000));
	assert_int_equal(guest_a.port.counters.tx_dropped, 3);
	assert_got(0, 0, 0, 0, 0, 0);
	assert_true(send_tcp(outside, NET_GSO_MIN, 5000));
}

static void holds_each_frame_of_a_segment_to_the_mtu(void **state)
{
	(void)state;
	assert_true(send_ip(&uplink, outside, guest_a.port.mac));
	assert_true(send_tcp(outside, 1460, 5000)); /* 1500 with its headers */
	assert_false(send_tcp(outside, 1461, 5000));
	assert_int_equal(guest_a.port.counters.tx_dropped, 1);
	guest_a.port.mtu = NET_MTU_MAX;
	uplink.port.offloads = NET_TAKES_CSUM | NET_TAKES_TSO4;
	assert_false(send_tcp(outside, 1461, 5000));
	assert_int_equal(uplink.port.counters.rx_dropped, 4);
	assert_true(send_tcp(outside, 9000, 1460)); /* there is no more than one frame of it */
}

static void changes_what_is_behind_a_port(void **state)
{
	static struct station second;

	(void)state;
	prepare(&second, NET_PORT_UPLINK, 0, 1);
	assert_int_equal(net_attach(&second.port), HV_OK);
	assert_true(send_ip(&uplink, outside, guest_a.port.mac)); /* learned */
	net_change(&uplink.port, &second, NET_TAKES_CSUM, 4000);
	assert_ptr_equal(uplink.port.owner, &second);
	assert_int_equal(uplink.port.mtu, 4000);
	assert_int_equal(uplink.port.offloads, NET_TAKES_CSUM);
	assert_true(send_ip(&guest_a, guest_a.port.mac, outside)); /* by both: it is forgotten */
	assert_int_equal(second.got, 2);
	assert_int_equal(uplink.got, 0);
	uplink.port.owner = &uplink;
	net_detach(&second.port);
}

static void counts_from_the_view_of_the_owner(void **state)
{
	(void)state;
	assert_true(send_ip(&guest_a, guest_a.port.mac, guest_b.port.mac));
	guest_b.is_full = true;
	assert_false(send_ip(&guest_a, guest_a.port.mac, guest_b.port.mac));
	assert_int_equal(guest_a.port.counters.tx_packets, 2);
	assert_int_equal(guest_a.port.counters.tx_bytes, 120);
	assert_int_equal(guest_b.port.counters.rx_packets, 1);
	assert_int_equal(guest_b.port.counters.rx_bytes, 60);
	assert_int_equal(guest_b.port.counters.rx_dropped, 1);
}

static void a_full_port_costs_the_others_no_broadcast(void **state)
{
	(void)state;
	guest_b.is_full = true;
	assert_true(send_ip(&uplink, outside, broadcast));
	assert_got(0, 1, 1, 0, 0, 0);
}

static void refuses_an_address_twice_in_one_network(void **state)
{
	static struct station twin;

	(void)state;
	prepare(&twin, NET_PORT_GUEST, 0, 3);
	assert_int_equal(net_attach(&twin.port), HV_EEXIST);
	assert_int_equal(twin.port.slot, -1);
	net_detach(&guest_a.port);
	assert_int_equal(net_attach(&twin.port), HV_OK);
	assert_true(send_ip(&uplink, outside, twin.port.mac));
	assert_int_equal(twin.got, 1);
	net_detach(&twin.port);
}

static void refuses_addresses_that_cannot_be_a_station(void **state)
{
	static struct station s;

	(void)state;
	prepare(&s, NET_PORT_GUEST, 0, 9);
	s.port.mac[0] = 3;
	assert_int_equal(net_attach(&s.port), HV_EINVAL);
	memset(s.port.mac, 0, 6);
	assert_int_equal(net_attach(&s.port), HV_EINVAL);
}

static void the_agent_may_share_the_uplinks_address(void **state)
{
	(void)state;
	net_detach(&agent.port);
	memcpy(agent.port.mac, uplink.port.mac, 6);
	assert_int_equal(net_attach(&agent.port), HV_OK);
	assert_true(send_ip(&uplink, outside, uplink.port.mac));
	assert_got(0, 1, 0, 0, 0, 0);
}

static void delivers_nothing_after_detach(void **state)
{
	(void)state;
	net_detach(&guest_b.port);
	assert_true(
		send_ip(&uplink, outside, guest_b.port.mac)); /* nobody's: floods to no uplink */
	assert_true(send_ip(&uplink, outside, broadcast));
	assert_got(0, 1, 1, 0, 0, 0);
}

static void learns_which_uplink_a_station_is_behind(void **state)
{
	static struct station second;

	(void)state;
	prepare(&second, NET_PORT_UPLINK, 0, 1);
	assert_int_equal(net_attach(&second.port), HV_OK);
	assert_true(send_ip(&guest_a, guest_a.port.mac, outside));
	assert_int_equal(second.got, 1);
	assert_got(1, 0, 0, 0, 0, 0);

	assert_true(send_ip(&second, outside, guest_a.port.mac));
	assert_true(send_ip(&guest_a, guest_a.port.mac, outside));
	assert_int_equal(second.got, 2);
	assert_got(1, 0, 1, 0, 0, 0);

	net_detach(&second.port);
	assert_true(send_ip(&guest_a, guest_a.port.mac, outside));
	assert_got(2, 0, 1, 0, 0, 0);
}

static void passes_nothing_from_uplink_to_uplink(void **state)
{
	static struct station second;
	const uint8_t far[6] = {2, 9, 9, 9, 9, 9};

	(void)state;
	prepare(&second, NET_PORT_UPLINK, 0, 1);
	assert_int_equal(net_attach(&second.port), HV_OK);
	assert_true(send_ip(&second, far, broadcast));
	assert_true(send_ip(&uplink, outside, far)); /* known, behind the second */
	assert_true(send_ip(&uplink, outside, (const uint8_t[6]){2, 8, 8, 8, 8, 8}));
	assert_int_equal(second.got, 0);
	assert_got(0, 1, 1, 1, 0, 0);
	net_detach(&second.port);
}

static void has_256_ports_and_says_when_they_are_taken(void **state)
{
	enum { MORE = 256 - ARRAY_SIZE(everyone) };
	struct station *more = calloc(MORE + 1, sizeof(*more));

	(void)state;
	for (uint32_t i = 0; i <= MORE; i++) {
		prepare(&more[i], NET_PORT_GUEST, 9, 0);
		put_be16(more[i].port.mac + 3, (uint16_t)i);
		assert_int_equal(net_attach(&more[i].port), i < MORE ? HV_OK : HV_ENOMEM);
	}
	assert_true(send_ip(&more[0], more[0].port.mac, broadcast));
	for (uint32_t i = 0; i < MORE; i += 2)
		net_detach(&more[i].port);
	assert_true(send_ip(&more[1], more[1].port.mac, more[MORE - 1].port.mac));
	assert_int_equal(more[MORE - 1].got, 2);
	for (uint32_t i = 1; i < MORE; i += 2)
		net_detach(&more[i].port);
	assert_got(0, 0, 0, 0, 0, 0);
	free(more);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, plug_in, unplug)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hands_unicast_to_its_owner_only),
		TEST(floods_broadcast_within_the_network_only),
		TEST(keeps_networks_apart_even_for_equal_addresses),
		TEST(keeps_networks_apart_even_for_equal_hashes),
		TEST(sends_unknown_unicast_outside_and_to_no_guest),
		TEST(drops_a_foreign_source_of_guest_and_agent),
		TEST(drops_what_the_uplink_reflects_or_makes_up),
		TEST(drops_tags_except_a_priority_from_outside),
		TEST(drops_frames_that_steer_bridges),
		TEST(drops_frames_of_wrong_length),
		TEST(lets_a_tag_be_longer_by_its_own_length),
		TEST(drops_what_is_longer_than_the_receivers_mtu),
		TEST(passes_on_whole_what_the_receiver_takes),
		TEST(cuts_for_who_takes_finished_frames_only),
		TEST(stops_cutting_when_there_is_no_room),
		TEST(fills_in_a_broadcasts_checksum_where_it_must),
		TEST(passes_on_that_a_checksum_was_looked_at),
		TEST(cuts_nothing_for_many_and_nothing_into_dust),
		TEST(holds_each_frame_of_a_segment_to_the_mtu),
		TEST(changes_what_is_behind_a_port),
		TEST(counts_from_the_view_of_the_owner),
		TEST(a_full_port_costs_the_others_no_broadcast),
		TEST(refuses_an_address_twice_in_one_network),
		TEST(refuses_addresses_that_cannot_be_a_station),
		TEST(the_agent_may_share_the_uplinks_address),
		TEST(delivers_nothing_after_detach),
		TEST(learns_which_uplink_a_station_is_behind),
		TEST(passes_nothing_from_uplink_to_uplink),
		TEST(has_256_ports_and_says_when_they_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
