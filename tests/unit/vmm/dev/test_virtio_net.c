/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's network card, between a driver and a switch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/fake_memory.h"
#include "tests/unit/support/fake_net.h"
#include "tests/unit/support/fake_vm.h"
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

static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

static struct vm *vm;
static struct vdev *bus;
static struct virtio_net *net;
static struct vdriver driver;
static struct vdriver_queue rx, tx;
static uint8_t frame[NET_FRAME_MAX + 64];

static struct virtio_net_conf make_conf(void)
{
	struct virtio_net_conf conf = {
		.network = 7, .kind = NET_PORT_GUEST, .name = "guest", .net = &fake_net_ops};

	memcpy(conf.mac, mac, sizeof(mac));
	return conf;
}

static int make_card(void **state)
{
	struct virtio_net_conf conf = make_conf();

	(void)state;
	fake_net = (struct fake_net){.attach_err = HV_OK};
	for (size_t i = 0; i < sizeof(frame); i++)
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

static void sends_frames_of_every_lawful_length(void **state)
{
	uint32_t head, len;

	(void)state;
	start_with(BASE);
	send_len(HDR + NET_FRAME_MIN);
	assert_int_equal(fake_net.frame_len, NET_FRAME_MIN);
	send_len(HDR + NET_FRAME_MAX);
	assert_int_equal(fake_net.frame_len, NET_FRAME_MAX);
	assert_memory_equal(fake_net.frame, frame + HDR, NET_FRAME_MAX);
	assert_int_equal(fake_net.nr_refused, 0);
	send_len(HDR + NET_FRAME_MIN - 1);
	send_len(HDR + NET_FRAME_MAX + 1);
	send_len(HDR - 1);
	vdriver_add(&tx, &(struct vdriver_buf){0, 2 * GMEM_CHUNK, false}, 1);
	vdriver_kick(&driver, &tx);
	assert_int_equal(fake_net.nr_sent, 2);
	assert_int_equal(fake_net.nr_refused, 4);
	for (int i = 0; i < 6; i++)
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
		CARD_TEST(sends_frames_of_every_lawful_length),
		CARD_TEST(sends_a_batch_with_one_interrupt),
		CARD_TEST(sends_nothing_for_a_notified_receive_queue),
		CARD_TEST(receives_into_one_buffer),
		CARD_TEST(receives_into_a_split_header),
		CARD_TEST(merges_buffers_when_agreed_on),
		CARD_TEST(drops_whole_what_does_not_fit),
		CARD_TEST(breaks_on_receive_buffers_it_cannot_use),
		CARD_TEST(receives_nothing_after_a_reset),
		CARD_TEST(receives_nothing_before_the_driver_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
