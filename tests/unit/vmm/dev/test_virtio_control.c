/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue's transport, with a command table that echoes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "tests/unit/support/vdriver.h"
#include "vmm/dev/virtio_control.h"

#define RINGS	    0x10000ull
#define EVENT_RINGS 0x20000ull
#define REQUEST	    0x30000ull
#define REPLY	    0x50000ull
#define EVENT	    0x70000ull
#define SIZE	    8u

struct table { /* what the handler saw, and how it is to behave */
	uint32_t nr_handled, nr_kicks;
	struct ctl_request last;
	uint8_t data[CTL_DATA_MAX];
	size_t cap;
	struct ctl_event event; /* sent from within the handler, when kind is not 0 */
};

static struct vm *vm;
static struct vdev *bus;
static struct virtio_control *control;
static struct table table;
static struct vdriver driver;
static struct vdriver_queue queue, events;

static void handle(void *ctx, const struct ctl_request *req, const void *data,
		   struct ctl_reply *reply, void *reply_data, size_t reply_cap)
{
	struct table *t = ctx;

	t->nr_handled++;
	t->last = *req;
	t->cap = reply_cap;
	memcpy(t->data, data, req->data_len);
	if (t->event.kind)
		virtio_control_event(control, &t->event);
	assert_int_equal(reply->status, HV_OK);
	assert_int_equal(reply->tag, req->tag);
	reply->value0 = req->arg0 + 1;
	reply->data_len = (uint32_t)MIN(req->data_len, reply_cap);
	memcpy(reply_data, data, reply->data_len);
}

static void kick(void *ctx)
{
	((struct table *)ctx)->nr_kicks++;
}

static void start_device(void (*kick_fn)(void *ctx))
{
	const struct virtio_control_conf conf = {.handle = handle, .kick = kick_fn, .ctx = &table};

	memset(&table, 0, sizeof(table));
	vm = fake_vm_create(GMEM_CHUNK, 0);
	assert_int_equal(pci_host_ops.create(vm, NULL, &bus), HV_OK);
	assert_int_equal(virtio_control_create(vm, pci_host_of(bus), &conf, &control), HV_OK);
	assert_true(vdriver_find(&driver, vm, bus, 1));
	assert_true(vdriver_negotiate(&driver, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX));
	vdriver_enable_msix(&driver);
	vdriver_setup_queue(&driver, &queue, CTL_QUEUE_REQUESTS, SIZE, RINGS);
	vdriver_setup_queue(&driver, &events, CTL_QUEUE_EVENTS, SIZE, EVENT_RINGS);
	vdriver_ready(&driver);
}

static int start_without_kick(void **state)
{
	(void)state;
	start_device(NULL);
	return 0;
}

static int start_with_kick(void **state)
{
	(void)state;
	start_device(kick);
	return 0;
}

static int drop_device(void **state)
{
	(void)state;
	bus->ops->destroy(bus);
	fake_vm_destroy(vm);
	return 0;
}

static void put(uint64_t gpa, const void *src, size_t len_bytes)
{
	assert_int_equal(gmem_write(vm_memory(vm), gpa, src, len_bytes), HV_OK);
}

static void add_request(uint64_t tag, uint32_t data_len, uint32_t readable, uint32_t writable)
{
	const struct ctl_request req = {.version = CTL_ABI_VERSION,
					.command = CTL_HEARTBEAT,
					.tag = tag,
					.arg0 = 41,
					.data_len = data_len};
	const struct vdriver_buf bufs[] = {{REQUEST, readable, false}, {REPLY, writable, true}};

	put(REQUEST, &req, sizeof(req));
	vdriver_add(&queue, bufs, 2);
}

static struct ctl_reply take_reply(uint32_t *len_bytes)
{
	struct ctl_reply reply;
	uint32_t head;

	assert_true(vdriver_take(&queue, &head, len_bytes));
	assert_int_equal(gmem_read(vm_memory(vm), REPLY, &reply, sizeof(reply)), HV_OK);
	return reply;
}

static bool needs_reset(void)
{
	return vdriver_get(&driver, device_status) & VIRTIO_STATUS_NEEDS_RESET;
}

/* ---- requests ---- */

static void hands_a_request_on_and_its_reply_back(void **state)
{
	struct ctl_reply reply;
	char data[6];
	uint32_t len;

	(void)state;
	assert_int_equal(vdriver_config_read(&driver, PCI_DEVICE_ID, 2), 0x107f);
	put(REQUEST + 40, "hello", 6);
	add_request(99, 6, 46, 128 + 100);
	vdriver_kick(&driver, &queue);
	reply = take_reply(&len);
	assert_int_equal(len, 128 + 6);
	assert_int_equal(reply.status, HV_OK);
	assert_int_equal(reply.tag, 99);
	assert_int_equal(reply.value0, 42);
	assert_int_equal(gmem_read(vm_memory(vm), REPLY + 128, data, 6), HV_OK);
	assert_string_equal(data, "hello");
	assert_int_equal(table.last.command, CTL_HEARTBEAT);
	assert_int_equal(table.cap, 100);
	assert_memory_equal(table.data, "hello", 6);
	assert_int_equal(fake_vm(vm)->msis[0].data, 0x4001);
}

static void carries_as_many_bytes_as_the_abi_allows(void **state)
{
	struct ctl_reply reply;
	uint32_t len;

	(void)state;
	add_request(1, CTL_DATA_MAX, 40 + CTL_DATA_MAX, 128 + CTL_DATA_MAX + 8);
	vdriver_kick(&driver, &queue);
	reply = take_reply(&len);
	assert_int_equal(reply.status, HV_OK);
	assert_int_equal(len, 128 + CTL_DATA_MAX);
	assert_int_equal(table.cap, CTL_DATA_MAX);
}

static void answers_a_request_that_is_too_short(void **state)
{
	static const struct {
		uint32_t data_len, readable;
	} rows[] = {{0, 39}, {7, 46}, {CTL_DATA_MAX + 1, 40 + CTL_DATA_MAX + 1}, {0xffffffff, 64}};
	struct ctl_reply reply;
	uint32_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		add_request(5, rows[i].data_len, rows[i].readable, 128);
		vdriver_kick(&driver, &queue);
		reply = take_reply(&len);
		assert_int_equal(len, 128);
		assert_int_equal(reply.status, HV_EPROTO);
		assert_int_equal(reply.data_len, 0);
		assert_string_equal(reply.message, "request is shorter than it says");
	}
	assert_int_equal(table.nr_handled, 0);
}

static void breaks_where_no_reply_has_room(void **state)
{
	(void)state;
	add_request(1, 0, 40, 127);
	vdriver_kick(&driver, &queue);
	assert_true(needs_reset());
	assert_int_equal(table.nr_handled, 0);
}

static void handles_requests_in_order(void **state)
{
	uint32_t first, second, len;

	(void)state;
	add_request(1, 0, 40, 128);
	add_request(2, 0, 40, 128);
	vdriver_kick(&driver, &queue);
	assert_int_equal(table.nr_handled, 2);
	assert_true(vdriver_take(&queue, &first, &len));
	assert_true(vdriver_take(&queue, &second, &len));
	assert_int_equal(first, 0);
	assert_int_equal(second, 2);
}

static void puts_requests_off_until_it_is_run(void **state)
{
	uint32_t len;

	(void)state;
	assert_int_equal(table.nr_kicks, 1); /* the queue came to life */
	add_request(1, 0, 40, 128);
	vdriver_kick(&driver, &queue);
	assert_int_equal(table.nr_kicks, 2);
	assert_int_equal(table.nr_handled, 0);
	virtio_control_run(control);
	assert_int_equal(table.nr_handled, 1);
	assert_int_equal(take_reply(&len).tag, 1);
	virtio_control_run(control);
	assert_int_equal(table.nr_handled, 1);
}

/* ---- events ---- */

static void tells_events_while_there_are_buffers(void **state)
{
	const struct ctl_event event = {.kind = CTL_EVENT_VM, .vm = 3, .value = CTL_VM_RUNNING};
	struct ctl_event got;
	uint32_t head, len;

	(void)state;
	virtio_control_event(control, &event);
	assert_false(vdriver_take(&events, &head, &len));
	vdriver_add(&events, &(struct vdriver_buf){EVENT, 32, true}, 1);
	virtio_control_event(control, &event);
	virtio_control_event(control, &event);
	assert_true(vdriver_take(&events, &head, &len));
	assert_int_equal(len, sizeof(event));
	assert_false(vdriver_take(&events, &head, &len));
	assert_int_equal(gmem_read(vm_memory(vm), EVENT, &got, sizeof(got)), HV_OK);
	assert_memory_equal(&got, &event, sizeof(event));
	assert_int_equal(fake_vm(vm)->msis[0].data, 0x4002);
}

static void tells_an_event_from_within_a_request(void **state)
{
	uint32_t head, len;

	(void)state;
	vdriver_add(&events, &(struct vdriver_buf){EVENT, 16, true}, 1);
	table.event.kind = CTL_EVENT_CONSOLE;
	add_request(1, 0, 40, 128);
	vdriver_kick(&driver, &queue);
	assert_true(vdriver_take(&events, &head, &len));
}

static void breaks_on_an_event_buffer_that_is_too_small(void **state)
{
	const struct ctl_event event = {.kind = CTL_EVENT_VM};

	(void)state;
	vdriver_add(&events, &(struct vdriver_buf){EVENT, 15, true}, 1);
	virtio_control_event(control, &event);
	assert_true(needs_reset());
}

#define DEVICE_TEST(fn) cmocka_unit_test_setup_teardown(fn, start_without_kick, drop_device)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(hands_a_request_on_and_its_reply_back),
		DEVICE_TEST(carries_as_many_bytes_as_the_abi_allows),
		DEVICE_TEST(answers_a_request_that_is_too_short),
		DEVICE_TEST(breaks_where_no_reply_has_room),
		DEVICE_TEST(handles_requests_in_order),
		cmocka_unit_test_setup_teardown(puts_requests_off_until_it_is_run, start_with_kick,
						drop_device),
		DEVICE_TEST(tells_events_while_there_are_buffers),
		DEVICE_TEST(tells_an_event_from_within_a_request),
		DEVICE_TEST(breaks_on_an_event_buffer_that_is_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
