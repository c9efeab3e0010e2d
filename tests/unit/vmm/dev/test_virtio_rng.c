/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/fake_memory.h"
#include "tests/unit/support/fake_vm.h"
#include "tests/unit/support/vdriver.h"
#include "vmm/dev/virtio_rng.h"

#define RINGS 0x10000ull
#define BUF   0x30000ull
#define SIZE  VIRTIO_RNG_QUEUE_MAX

static struct vm *vm;
static struct vdev *bus;
static struct vdriver driver;
static struct vdriver_queue queue;

static int start_device(void **state)
{
	(void)state;
	vm = fake_vm_create(GMEM_CHUNK, 0);
	assert_int_equal(pci_host_ops.create(vm, NULL, &bus), HV_OK);
	assert_int_equal(virtio_rng_create(vm, pci_host_of(bus)), HV_OK);
	assert_true(vdriver_find(&driver, vm, bus, 1));
	assert_true(vdriver_negotiate(&driver, VIRTIO_F_VERSION_1));
	vdriver_enable_msix(&driver);
	vdriver_setup_queue(&driver, &queue, 0, SIZE, RINGS);
	vdriver_ready(&driver);
	return 0;
}

static int drop_device(void **state)
{
	(void)state;
	bus->ops->destroy(bus);
	fake_vm_destroy(vm);
	return 0;
}

static uint32_t ask(uint32_t len_bytes, bool is_writable)
{
	uint32_t head, len;

	vdriver_add(&queue, &(struct vdriver_buf){BUF, len_bytes, is_writable}, 1);
	vdriver_kick(&driver, &queue);
	assert_true(vdriver_take(&queue, &head, &len));
	return len;
}

static void fills_a_buffer_and_not_a_byte_more(void **state)
{
	uint8_t got[201], zero[200] = {0};

	(void)state;
	assert_int_equal(vdriver_config_read(&driver, PCI_DEVICE_ID, 2), 0x1044);
	assert_int_equal(ask(200, true), 200);
	assert_int_equal(gmem_read(vm_memory(vm), BUF, got, sizeof(got)), HV_OK);
	assert_memory_not_equal(got, zero, 64);
	assert_memory_not_equal(got + 128, zero, 72);
	assert_memory_not_equal(got, got + 128, 64);
	assert_int_equal(got[200], 0);
	assert_int_equal(fake_vm(vm)->nr_msis, 1);
}

static void fills_at_most_so_many_bytes(void **state)
{
	uint8_t got[2];

	(void)state;
	assert_int_equal(ask(VIRTIO_RNG_BYTES_MAX + 2, true), VIRTIO_RNG_BYTES_MAX);
	assert_int_equal(gmem_read(vm_memory(vm), BUF + VIRTIO_RNG_BYTES_MAX, got, 2), HV_OK);
	assert_memory_equal(got, "\0\0", 2);
}

static void gives_back_what_it_cannot_write(void **state)
{
	(void)state;
	assert_int_equal(ask(16, false), 0);
}

static void leaves_nothing_behind_when_it_cannot_be_made(void **state)
{
	uint32_t slots = pci_host_of(bus)->nr_slots;

	(void)state;
	fake_memory_fail_after = 0;
	assert_int_equal(virtio_rng_create(vm, pci_host_of(bus)), HV_ENOMEM);
	fake_memory_fail_after = FAKE_MEMORY_NEVER;
	pci_host_of(bus)->nr_slots = PCI_HOST_SLOTS;
	assert_int_equal(virtio_rng_create(vm, pci_host_of(bus)), HV_ENOMEM);
	pci_host_of(bus)->nr_slots = slots;
}

#define DEVICE_TEST(fn) cmocka_unit_test_setup_teardown(fn, start_device, drop_device)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(fills_a_buffer_and_not_a_byte_more),
		DEVICE_TEST(fills_at_most_so_many_bytes),
		DEVICE_TEST(gives_back_what_it_cannot_write),
		DEVICE_TEST(leaves_nothing_behind_when_it_cannot_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
