/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network card, between a driver and a switch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "tests/unit/support/fake_memory.h"
#include "tests/unit/support/fake_net.h"
#include "tests/unit/support/fake_vm.h"
#include "tests/unit/support/tcp_frame.h"
#include "tests/unit/support/vdriver.h"
#include "vmm/dev/virtio_net.h"

#define RX_RINGS 0x10000ull
#define TX_RINGS 0x20000ull
#define TABLE	 0x28000ull
#define BUF	 0x30000ull
#define BUF_STEP 0x1000ull
#define SIZE	 8u
#define HDR	 12u
#define BASE	 (VIRTIO_F_VERSION_1 | VIRTIO_NET_F_MAC | VIRTIO_F_INDIRECT_DESC)
#define SENDS	 (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6)
#define TAKES	 (VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6)

static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

static struct vm *vm;
static struct vdev *bus;
static struct virtio_net *net;
static struct vdriver driver;
static struct vdriver_queue rx, tx;
static uint8_t frame[NET_FRAME_MAX + 64];

static struct virtio_net_conf make_conf(void)
{
	struct virtio_net_conf conf = {.network = 7,
				       .mtu = 4000,
				       .kind = NET_PORT_GUEST,
				       .name = "guest",
				       .net = &fake_net_ops};

	memcpy(conf.mac, mac, sizeof(mac));
	return conf;
}

static int make_card(void **state)
{
	struct virtio_net_conf conf = make_conf();

	(void)state;
	fake_net = (struct fake_net){.attach_err = HV_OK};
	for (size_t i = HDR; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	vm = fake_vm_create(2 * GMEM_CHUNK, 0);
	assert_int_equal(pci_host_ops.create(vm, NULL, &bus), HV_OK);
	assert_int_equal(virtio_net_create(vm, pci_host_of(bus), &conf, &net), HV_OK);
	assert_true(vdriver_find(&driver, vm, bus, 1));
	return 0;
}

static int drop_card(void **state)
{
	(void)state;
	bus->ops->destroy(bus);
	fake_vm_destroy(vm);
	assert_null(fake_net.port);
	return 0;
}

static void start_with(uint64_t features)
{
	assert_true(vdriver_negotiate(&driver, features));
	vdriver_enable_msix(&driver);
	vdriver_setup_queue(&driver, &rx, VIRTIO_NET_RX, SIZE, RX_RINGS);
	vdriver_setup_queue(&driver, &tx, VIRTIO_NET_TX, SIZE, TX_RINGS);
	vdriver_ready(&driver);
}

static struct fake_vm *fake(void)
{
	return fake_vm(vm);
}

static void put(uint64_t gpa, const void *src, size_t len_bytes)
{
	assert_int_equal(gmem_write(vm_memory(vm), gpa, src, len_bytes), HV_OK);
}

static void assert_memory_at(uint64_t gpa, const void *wanted, size_t len_bytes)
{
	uint8_t got[sizeof(frame)];

	assert_int_equal(gmem_read(vm_memory(vm), gpa, got, len_bytes), HV_OK);
	assert_memory_equal(got, wanted, len_bytes);
}

static uint16_t num_buffers_at(uint64_t gpa)
{
	struct virtio_net_hdr hdr;

	assert_int_equal(gmem_read(vm_memory(vm), gpa, &hdr, sizeof(hdr)), HV_OK);
	assert_int_equal(hdr.flags, 0);
	assert_int_equal(hdr.gso_type, 0);
	return hdr.num_buffers;
}

static void add_rx(uint32_t nr, uint32_t len_bytes)
{
	uint32_t next = rx.avail_idx;

	for (uint32_t i = 0; i < nr; i++)
		vdriver_add(
			&rx,
			&(struct vdriver_buf){BUF + BUF_STEP * (next++ % SIZE), len_bytes, true},
			1);
}

static bool deliver(size_t len_bytes)
{
	return net->port.deliver(&net->port, frame, len_bytes, NULL);
}

static bool needs_reset(void)
{
	return vdriver_get(&driver, device_status) & VIRTIO_STATUS_NEEDS_RESET;
}

/* ---- what it is ---- */

static void shows_its_address_and_link(void **state)
{
	uint64_t config = vdriver_read(&driver, driver.device_gpa, 8);

	(void)state;
	assert_int_equal(vdriver_config_read(&driver, PCI_DEVICE_ID, 2), 0x1041);
	assert_int_equal(vdriver_config_read(&driver, PCI_REVISION, 4) >> 8, 0x020000);
	assert_memory_equal(&config, mac, 6);
	assert_int_equal(config >> 48, VIRTIO_NET_S_LINK_UP);
	assert_int_equal(vdriver_read(&driver, driver.device_gpa + VIRTIO_NET_CONFIG_MTU, 2), 4000);
	assert_int_equal(net->port.network, 7);
	assert_memory_equal(net->port.mac, mac, 6);
}

static void leaves_nothing_behind_when_it_cannot_be_made(void **state)
{
	struct virtio_net_conf conf = make_conf();
	struct net_port *before = fake_net.port;
	uint32_t slots = pci_host_of(bus)->nr_slots;
	struct virtio_net *other = NULL;

	(void)state;
	fake_net.attach_err = HV_EEXIST;
	assert_int_equal(virtio_net_create(vm, pci_host_of(bus), &conf, &other), HV_EEXIST);
	fake_net.attach_err = HV_OK;
	fake_net.port = NULL;
	pci_host_of(bus)->nr_slots = PCI_HOST_SLOTS;
	assert_int_equal(virtio_net_create(vm, pci_host_of(bus), &conf, &other), HV_ENOMEM);
	pci_host_of(bus)->nr_slots = slots;
	assert_null(fake_net.port);
	fake_memory_fail_after = 0;
	assert_int_equal(virtio_net_create(vm, pci_host_of(bus), &conf, &other), HV_ENOMEM);
	fake_memory_fail_after = FAKE_MEMORY_NEVER;
	assert_null(other);
	fake_net.port = before;
}

/* ---- sending ---- */

static void send_len(uint32_t len_bytes)
{
	put(BUF, frame, len_bytes);
	vdriver_add(&tx, &(struct vdriver_buf){BUF, len_bytes, false}, 1);
	vdriver_kick(&driver, &tx);
}

static void sends_a_frame_from_scattered_buffers(void **state)
{
	const struct vdriver_buf bufs[] = {
		{BUF, 5, false}, {BUF + 0x100, 17, false}, {GMEM_CHUNK - 20, 50, false}};
	uint32_t head, len;

	(void)state;
	start_with(BASE);
	put(BUF + 0x100 + 7, frame, 10);
	put(GMEM_CHUNK - 20, frame + 10, 50);
	vdriver_add_indirect(&tx, TABLE, bufs, 3);
	vdriver_kick(&driver, &tx);
	assert_int_equal(fake_net.nr_sent, 1);
	assert_int_equal(fake_net.frame_len, 60);
	assert_memory_equal(fake_net.frame, frame, 60);
	assert_true(vdriver_take(&tx, &head, &len));
	assert_int_equal(len, 0);
	assert_int_equal(fake()->msis[0].data, 0x4002);
}

static void hands_frames_of_every_length_to_the_switch(void **state)
{
	uint32_t head, len;

	(void)state;
	start_with(BASE);
	send_len(HDR + NET_FRAME_MIN);
	assert_int_equal(fake_net.frame_len, NET_FRAME_MIN);
	send_len(HDR + NET_FRAME_MAX);
	assert_int_equal(fake_net.frame_len, NET_FRAME_MAX);
	assert_memory_equal(fake_net.frame, frame + HDR, NET_FRAME_MAX);
	assert_false(fake_net.has_offload);
	assert_int_equal(fake_net.nr_refused, 0);
	send_len(HDR + NET_FRAME_MIN - 1);
	send_len(HDR - 1);
	assert_int_equal(fake_net.nr_refused, 2);
	vdriver_add(&tx, &(struct vdriver_buf){BUF, 2 * GMEM_CHUNK - BUF, false}, 1);
	vdriver_kick(&driver, &tx);
	assert_int_equal(fake_net.nr_sent, 3);
	assert_int_equal(fake_net.frame_len, OFFLOAD_FRAME_MAX); /* it is the switch that says no */
	for (int i = 0; i < 5; i++)
		assert_true(
			vdriver_take(&tx, &head, &len)); /* each buffer comes back all the same */
	assert_false(needs_reset());
}

static void sends_a_batch_with_one_interrupt(void **state)
{
	(void)state;
	start_with(BASE);
	for (uint32_t i = 0; i < SIZE; i++)
		vdriver_add(&tx, &(struct vdriver_buf){BUF, 64, false}, 1);
	vdriver_kick(&driver, &tx);
	assert_int_equal(fake_net.nr_sent, SIZE);
	assert_int_equal(fake()->nr_msis, 1);
}

/* ---- sending what is not finished ---- */

static struct tcp_frame tcp;

/* A segment as a driver leaves it: with the length in its pseudo header's sum. */
static struct virtio_net_hdr make_segment(const struct tcp_frame_conf *conf)
{
	tcp_frame_make(&tcp, conf);
	put_be16(tcp.bytes + tcp.tcp_at + 16, tcp_frame_pseudo_sum(tcp.bytes, tcp.len_bytes));
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = !conf->gso_size ? VIRTIO_NET_HDR_GSO_NONE
			    : conf->is_ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6
					    : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = 7, /* not to be trusted */
		.gso_size = conf->gso_size,
		.csum_start = (uint16_t)tcp.tcp_at,
		.csum_offset = 16,
	};
}

static void send_with(const struct virtio_net_hdr *hdr)
{
	put(BUF, hdr, HDR);
	put(BUF + HDR, tcp.bytes, tcp.len_bytes);
	vdriver_add(&tx, &(struct vdriver_buf){BUF, (uint32_t)(HDR + tcp.len_bytes), false}, 1);
	vdriver_kick(&driver, &tx);
}

static void sends_a_large_segment_whole(void **state)
{
	const struct tcp_frame_conf confs[] = {
		{.tcp_options = 3, .payload_bytes = 65535 - 52, .gso_size = 1448},
		{.is_ipv6 = true, .payload_bytes = 60000, .gso_size = 1440},
	};
	struct virtio_net_hdr hdr;

	start_with(BASE | SENDS);
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(confs); i++) {
		hdr = make_segment(&confs[i]);
		send_with(&hdr);
		assert_int_equal(fake_net.nr_sent, i + 1);
		assert_int_equal(fake_net.frame_len, tcp.len_bytes);
		assert_true(fake_net.has_offload && fake_net.offload.needs_csum);
		assert_int_equal(fake_net.offload.gso, tcp.offload.gso);
		assert_int_equal(fake_net.offload.gso_size, confs[i].gso_size);
		assert_int_equal(fake_net.offload.hdr_len, tcp.payload_at);
		/* from here on without the length */
		tcp_frame_make(&tcp, &confs[i]);
		assert_memory_equal(fake_net.frame, tcp.bytes, tcp.len_bytes);
	}
}

static void sends_a_frame_without_its_checksum(void **state)
{
	struct virtio_net_hdr hdr = make_segment(&(struct tcp_frame_conf){.payload_bytes = 100});

	(void)state;
	start_with(BASE | VIRTIO_NET_F_CSUM);
	send_with(&hdr);
	assert_true(fake_net.has_offload && fake_net.offload.needs_csum);
	assert_int_equal(fake_net.offload.gso, OFFLOAD_GSO_NONE);
	assert_memory_equal(fake_net.frame, tcp.bytes, tcp.len_bytes);
}

static void drops_what_was_not_agreed_on(void **state)
{
	static const struct {
		uint64_t features;
		struct tcp_frame_conf conf;
	} rows[] = {
		{BASE, {.payload_bytes = 100}},
		{BASE | VIRTIO_NET_F_CSUM, {.payload_bytes = 5000, .gso_size = 1448}},
		{BASE | VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO6,
		 {.payload_bytes = 5000, .gso_size = 1448}},
		{BASE | VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4,
		 {.is_ipv6 = true, .payload_bytes = 5000, .gso_size = 1448}},
	};
	uint32_t head, len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct virtio_net_hdr hdr = make_segment(&rows[i].conf);

		start_with(rows[i].features);
		send_with(&hdr);
		assert_int_equal(fake_net.nr_refused, i + 1);
		assert_true(vdriver_take(&tx, &head, &len));
	}
	assert_int_equal(fake_net.nr_sent, 0);
	assert_false(needs_reset());
}

static void drops_headers_that_lie(void **state)
{
	const struct virtio_net_hdr good =
		make_segment(&(struct tcp_frame_conf){.payload_bytes = 5000, .gso_size = 1448});
	struct virtio_net_hdr lies[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
		lies[i] = good;
	lies[0].flags = 0;
	lies[1].gso_size = 0;
	lies[2].gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	lies[3].gso_type = 3;	  /* UDP fragments: never offered */
	lies[4].gso_type |= 0x80; /* congestion marks: never offered */
	lies[5].csum_start = 0xffff;
	lies[6].csum_offset = 0;
	lies[7].csum_start = 6; /* the source address */
	start_with(BASE | SENDS);
	for (uint32_t i = 0; i < ARRAY_SIZE(lies); i++) {
		send_with(&lies[i]);
		assert_int_equal(fake_net.nr_refused, i + 1);
	}
	assert_int_equal(fake_net.nr_sent, 0);
}

/* A full queue of the largest segments in the least pieces. */
static void bounds_the_frames_of_one_notification(void **state)
{
	struct virtio_net_hdr hdr =
		make_segment(&(struct tcp_frame_conf){.payload_bytes = 65535 - 40, .gso_size = 14});

	(void)state;
	start_with(BASE | SENDS);
	put(BUF, &hdr, HDR);
	put(BUF + HDR, tcp.bytes, tcp.len_bytes);
	for (uint32_t i = 0; i < SIZE; i++)
		vdriver_add(&tx, &(struct vdriver_buf){BUF, (uint32_t)(HDR + tcp.len_bytes), false},
			    1);
	vdriver_kick(&driver, &tx);
	assert_int_equal(fake_net.nr_sent, 4); /* of 4678 frames each */
	assert_int_equal(fake_net.nr_refused, 4);
	send_with(&hdr);
	assert_int_equal(fake_net.nr_sent, 5);
}

static void sends_nothing_for_a_notified_receive_queue(void **state)
{
	(void)state;
	start_with(BASE);
	add_rx(1, 1536);
	vdriver_kick(&driver, &rx);
	assert_int_equal(rx.used_idx, 0);
	assert_int_equal(fake_net.nr_sent, 0);
}

/* ---- receiving ---- */

static void receives_into_one_buffer(void **state)
{
	uint32_t head, len;

	(void)state;
	start_with(BASE);
	add_rx(1, 1536);
	assert_true(deliver(100));
	assert_true(vdriver_take(&rx, &head, &len));
	assert_int_equal(len, HDR + 100);
	assert_int_equal(num_buffers_at(BUF), 1);
	assert_memory_at(BUF + HDR, frame, 100);
	assert_int_equal(fake()->msis[0].data, 0x4001);
	assert_false(deliver(100)); /* no buffer is left */
	assert_false(needs_reset());
}

static void receives_into_a_split_header(void **state)
{
	const struct vdriver_buf bufs[] = {
		{BUF, 7, true}, {BUF + 0x100, 10, true}, {BUF + 0x200, 90, true}};
	uint32_t head, len;
	uint16_t one = 1;

	(void)state;
	start_with(BASE);
	vdriver_add(&rx, bufs, 3);
	assert_true(deliver(60));
	assert_true(vdriver_take(&rx, &head, &len));
	assert_int_equal(len, HDR + 60);
	assert_memory_at(BUF + 0x100 + 3, &one, 2);
	assert_memory_at(BUF + 0x100 + 5, frame, 5);
	assert_memory_at(BUF + 0x200, frame + 5, 55);
}

static void merges_buffers_when_agreed_on(void **state)
{
	uint32_t head, len;

	(void)state;
	start_with(BASE | VIRTIO_NET_F_MRG_RXBUF);
	add_rx(4, 100);
	assert_true(deliver(88 + 100 + 5));
	assert_int_equal(num_buffers_at(BUF), 3);
	assert_true(vdriver_take(&rx, &head, &len));
	assert_int_equal(len, 100);
	assert_true(vdriver_take(&rx, &head, &len));
	assert_int_equal(len, 100);
	assert_true(vdriver_take(&rx, &head, &len));
	assert_int_equal(len, 5);
	assert_false(vdriver_take(&rx, &head, &len));
	assert_memory_at(BUF + HDR, frame, 88);
	assert_memory_at(BUF + BUF_STEP, frame + 88, 100);
	assert_memory_at(BUF + 2 * BUF_STEP, frame + 188, 5);
	assert_int_equal(fake()->nr_msis, 1);
}

static void drops_whole_what_does_not_fit(void **state)
{
	uint32_t head, len;

	(void)state;
	start_with(BASE | VIRTIO_NET_F_MRG_RXBUF);
	add_rx(3, 100);
	assert_false(deliver(400));
	assert_false(vdriver_take(&rx, &head, &len));
	assert_int_equal(fake()->nr_msis, 0);
	assert_true(deliver(288)); /* the same three buffers */
	assert_int_equal(num_buffers_at(BUF), 3);

	start_with(BASE);
	add_rx(3, 100);
	assert_false(deliver(89)); /* one buffer only, without merging */
	assert_true(deliver(88));
	assert_int_equal(num_buffers_at(BUF), 1);
}

static void breaks_on_receive_buffers_it_cannot_use(void **state)
{
	static const struct vdriver_buf rows[] = {{BUF, 1500, false}, {BUF, HDR - 1, true}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		start_with(BASE);
		assert_false(needs_reset());
		vdriver_add(&rx, &rows[i], 1);
		assert_false(deliver(60));
		assert_true(needs_reset());
		vdriver_add(&rx, &(struct vdriver_buf){BUF, 1536, true}, 1);
		assert_false(deliver(60));
	}
}

/* ---- receiving what is not finished ---- */

static void assert_hdr_is(const struct virtio_net_hdr *wanted)
{
	assert_memory_at(BUF, wanted, HDR);
}

static bool deliver_tcp(const struct tcp_frame_conf *conf)
{
	tcp_frame_make(&tcp, conf);
	return net->port.deliver(&net->port, tcp.bytes, tcp.len_bytes, &tcp.offload);
}

static void says_to_the_switch_what_its_driver_takes(void **state)
{
	(void)state;
	assert_int_equal(net->port.offloads, 0);
	assert_int_equal(net->port.mtu, 4000);
	start_with(BASE | TAKES);
	assert_int_equal(net->port.offloads, NET_TAKES_CSUM | NET_TAKES_TSO4 | NET_TAKES_TSO6);
	start_with(BASE | SENDS | VIRTIO_NET_F_GUEST_CSUM);
	assert_int_equal(net->port.offloads, NET_TAKES_CSUM);
	vdriver_set(&driver, device_status, 0);
	assert_int_equal(net->port.offloads, 0);
}

static void refuses_segments_without_checksums(void **state)
{
	static const uint64_t rows[] = {VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
					VIRTIO_NET_F_GUEST_TSO4,
					VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_TSO6};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_false(vdriver_negotiate(&driver, BASE | rows[i]));
		assert_int_equal(net->port.offloads, 0);
	}
}

/* As a driver has it: the length is in the pseudo header's sum again. */
static void receives_a_large_segment_into_many_buffers(void **state)
{
	uint32_t head, len, bytes = 0;
	uint8_t *got = fake_net.buffer;

	(void)state;
	start_with(BASE | TAKES | VIRTIO_NET_F_MRG_RXBUF);
	add_rx(5, 100); /* the header lies in two of them */
	assert_true(deliver_tcp(&(struct tcp_frame_conf){
		.ip_options = 9, .tcp_options = 5, .payload_bytes = 300, .gso_size = 100}));
	assert_hdr_is(&(struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					       .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					       .hdr_len = (uint16_t)tcp.payload_at,
					       .gso_size = 100,
					       .csum_start = (uint16_t)tcp.tcp_at,
					       .csum_offset = 16,
					       .num_buffers = 5});
	for (uint32_t i = 0; vdriver_take(&rx, &head, &len); i++, bytes += len)
		assert_int_equal(gmem_read(vm_memory(vm), BUF + i * BUF_STEP, got + bytes, len),
				 HV_OK);
	assert_int_equal(bytes, HDR + tcp.len_bytes);
	put_be16(tcp.bytes + tcp.tcp_at + 16, tcp_frame_pseudo_sum(tcp.bytes, tcp.len_bytes));
	assert_memory_equal(got + HDR, tcp.bytes, tcp.len_bytes);

	assert_true(!deliver_tcp(&(struct tcp_frame_conf){.payload_bytes = 3000, .gso_size = 99}));
	add_rx(1, 100);
	assert_true(deliver(60)); /* and leaves nothing used when there is no room */
}

static void receives_a_frame_without_its_checksum(void **state)
{
	(void)state;
	start_with(BASE | TAKES);
	add_rx(2, 1536);
	assert_true(deliver_tcp(&(struct tcp_frame_conf){.payload_bytes = 200}));
	assert_hdr_is(&(struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					       .csum_start = (uint16_t)tcp.tcp_at,
					       .csum_offset = 16,
					       .num_buffers = 1});
	assert_memory_at(BUF + HDR, tcp.bytes, tcp.len_bytes);
}

static void says_that_a_checksum_was_looked_at(void **state)
{
	struct frame_offload offload = {.is_csum_valid = true};

	(void)state;
	start_with(BASE | VIRTIO_NET_F_GUEST_CSUM);
	add_rx(1, 1536);
	assert_true(net->port.deliver(&net->port, frame, 60, &offload));
	assert_hdr_is(
		&(struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_DATA_VALID, .num_buffers = 1});
	start_with(BASE); /* unless nobody wants to know */
	add_rx(1, 1536);
	assert_true(net->port.deliver(&net->port, frame, 60, &offload));
	assert_hdr_is(&(struct virtio_net_hdr){.num_buffers = 1});
}

/* The switch looked a moment too early. */
static void refuses_what_its_driver_does_not_take(void **state)
{
	(void)state;
	start_with(BASE | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO6);
	add_rx(1, 8000);
	assert_false(deliver_tcp(&(struct tcp_frame_conf){.payload_bytes = 300, .gso_size = 100}));
	start_with(BASE);
	add_rx(1, 8000);
	assert_false(deliver_tcp(&(struct tcp_frame_conf){.payload_bytes = 300}));
	assert_true(deliver(60));
}

static void receives_nothing_after_a_reset(void **state)
{
	uint32_t head, len;

	(void)state;
	start_with(BASE);
	add_rx(2, 1536);
	vdriver_set(&driver, device_status, 0);
	assert_false(deliver(60));
	assert_false(vdriver_take(&rx, &head, &len));
	start_with(BASE);
	add_rx(1, 1536);
	assert_true(deliver(60));
}

static void receives_nothing_before_the_driver_is_ready(void **state)
{
	(void)state;
	assert_false(deliver(60));
	assert_true(vdriver_negotiate(&driver, BASE));
	vdriver_setup_queue(&driver, &rx, VIRTIO_NET_RX, SIZE, RX_RINGS);
	add_rx(1, 1536);
	assert_false(deliver(60));
	vdriver_ready(&driver);
	assert_true(deliver(60));
}

#define CARD_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_card, drop_card)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CARD_TEST(shows_its_address_and_link),
		CARD_TEST(leaves_nothing_behind_when_it_cannot_be_made),
		CARD_TEST(sends_a_frame_from_scattered_buffers),
		CARD_TEST(hands_frames_of_every_length_to_the_switch),
		CARD_TEST(sends_a_batch_with_one_interrupt),
		CARD_TEST(sends_a_large_segment_whole),
		CARD_TEST(sends_a_frame_without_its_checksum),
		CARD_TEST(drops_what_was_not_agreed_on),
		CARD_TEST(drops_headers_that_lie),
		CARD_TEST(bounds_the_frames_of_one_notification),
		CARD_TEST(sends_nothing_for_a_notified_receive_queue),
		CARD_TEST(receives_into_one_buffer),
		CARD_TEST(receives_into_a_split_header),
		CARD_TEST(merges_buffers_when_agreed_on),
		CARD_TEST(drops_whole_what_does_not_fit),
		CARD_TEST(breaks_on_receive_buffers_it_cannot_use),
		CARD_TEST(says_to_the_switch_what_its_driver_takes),
		CARD_TEST(refuses_segments_without_checksums),
		CARD_TEST(receives_a_large_segment_into_many_buffers),
		CARD_TEST(receives_a_frame_without_its_checksum),
		CARD_TEST(says_that_a_checksum_was_looked_at),
		CARD_TEST(refuses_what_its_driver_does_not_take),
		CARD_TEST(receives_nothing_after_a_reset),
		CARD_TEST(receives_nothing_before_the_driver_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
