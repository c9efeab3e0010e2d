/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio transport under a driver, with a device class that gives back what it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "tests/unit/support/vdriver.h"
#include "vmm/dev/virtio_pci.h"

#define RINGS	   0x10000ull
#define RINGS_NEXT 0x20000ull
#define BUF	   0x30000ull
#define SIZE	   16u
#define OWN	   BIT(3) /* a feature of the class's own */
#define BASE	   (VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET)

struct echo {
	struct virtio_pci vp;
	struct vring_chain chain;
	uint32_t nr_notifies, nr_resets;
	bool is_holding; /* takes chains and does not give them back */
};

static struct vm *vm;
static struct vdev *bus;
static struct echo echo;
static struct vdriver driver;
static struct vdriver_queue queue, other;

static struct echo *echo_of(struct virtio_pci *vp)
{
	return container_of(vp, struct echo, vp);
}

static void echo_notify(struct virtio_pci *vp, uint32_t index)
{
	struct vring *vring = virtio_queue_take(vp, index);
	struct echo *e = echo_of(vp);

	e->nr_notifies++;
	for (uint16_t nr = vring_arm(vring); nr && vring_pop(vring, &e->chain); nr--)
		if (!e->is_holding)
			vring_put(vring, e->chain.head, (uint32_t)e->chain.writable_bytes);
	virtio_queue_give(vp, index);
}

static void echo_reset(struct virtio_pci *vp)
{
	echo_of(vp)->nr_resets++;
}

static void echo_destroy(struct virtio_pci *vp)
{
	(void)vp;
}

static const struct virtio_ops echo_ops = {
	.name = "echo",
	.id = 42,
	.class_code = 0x00ff00,
	.nr_queues = 2,
	.queue_max = 64,
	.quiet_queues = BIT(1),
	.features = OWN,
	.notify = echo_notify,
	.reset = echo_reset,
	.destroy = echo_destroy,
};

static int make_device(void **state)
{
	(void)state;
	vm = fake_vm_create(GMEM_CHUNK, 0);
	assert_int_equal(pci_host_ops.create(vm, NULL, &bus), HV_OK);
	memset(&echo, 0, sizeof(echo));
	memcpy(echo.vp.config, "device config", 13);
	echo.vp.config_len = 13;
	virtio_pci_init(&echo.vp, vm, &echo_ops);
	assert_int_equal(pci_host_add(pci_host_of(bus), &echo.vp.fn), HV_OK);
	assert_true(vdriver_find(&driver, vm, bus, 1));
	return 0;
}

static int drop_device(void **state)
{
	(void)state;
	bus->ops->destroy(bus);
	fake_vm_destroy(vm);
	return 0;
}

static void start_with(uint64_t features)
{
	assert_true(vdriver_negotiate(&driver, features));
	vdriver_enable_msix(&driver);
	vdriver_setup_queue(&driver, &queue, 0, SIZE, RINGS);
	vdriver_ready(&driver);
}

static struct fake_vm *fake(void)
{
	return fake_vm(vm);
}

static void send_one(void)
{
	vdriver_add(&queue, &(struct vdriver_buf){BUF, 4, true}, 1);
	vdriver_kick(&driver, &queue);
}

static bool comes_back(void)
{
	uint32_t head, len;

	return vdriver_take(&queue, &head, &len);
}

static bool needs_reset(void)
{
	return vdriver_get(&driver, device_status) & VIRTIO_STATUS_NEEDS_RESET;
}

/* ---- status and features ---- */

static void is_found_as_a_modern_device(void **state)
{
	(void)state;
	assert_int_equal(vdriver_config_read(&driver, PCI_DEVICE_ID, 2), 0x1040 + 42);
	assert_int_equal(vdriver_config_read(&driver, PCI_REVISION, 1), 1);
	assert_int_equal(vdriver_get(&driver, num_queues), 2);
	assert_int_equal(vdriver_get(&driver, device_status), 0);
	assert_int_equal(vdriver_get(&driver, config_msix_vector), VIRTIO_NO_VECTOR);
	assert_int_equal(vdriver_read(&driver, driver.device_gpa, 4), 0x69766564); /* "devi" */
	assert_int_equal(vdriver_read(&driver, driver.device_gpa + VIRTIO_CONFIG_MAX - 2, 4), 0);
	assert_int_equal(echo.nr_resets, 1);
}

static void offers_its_features(void **state)
{
	(void)state;
	vdriver_set(&driver, device_feature_select, 0);
	assert_int_equal(vdriver_get(&driver, device_feature),
			 OWN | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX);
	vdriver_set(&driver, device_feature_select, 1);
	assert_int_equal(vdriver_get(&driver, device_feature),
			 (VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET) >> 32);
	vdriver_set(&driver, device_feature_select, 2);
	assert_int_equal(vdriver_get(&driver, device_feature), 0);
}

static void refuses_features_that_were_not_offered(void **state)
{
	(void)state;
	assert_true(vdriver_negotiate(&driver, BASE | OWN));
	assert_true(virtio_pci_has(&echo.vp, OWN));
	assert_false(vdriver_negotiate(&driver, BASE | BIT(4)));
	assert_false(vdriver_negotiate(&driver, BASE | BIT(63)));
	assert_false(vdriver_negotiate(&driver, OWN)); /* a legacy driver */

	vdriver_set(&driver, device_status, 0);
	vdriver_set(&driver, driver_feature_select, 1);
	vdriver_set(&driver, driver_feature, VIRTIO_F_VERSION_1 >> 32);
	vdriver_set(&driver, driver_feature_select, 2);
	vdriver_set(&driver, driver_feature, 1);
	vdriver_set(&driver, device_status, VIRTIO_STATUS_FEATURES_OK);
	assert_int_equal(vdriver_get(&driver, device_status), 0);
}

static void keeps_features_once_they_are_agreed_on(void **state)
{
	(void)state;
	assert_true(vdriver_negotiate(&driver, BASE));
	vdriver_set(&driver, driver_feature_select, 0);
	vdriver_set(&driver, driver_feature, OWN);
	assert_int_equal(vdriver_get(&driver, driver_feature), 0);
}

static void needs_features_before_it_is_ready(void **state)
{
	(void)state;
	vdriver_set(&driver, device_status, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER_OK);
	assert_int_equal(vdriver_get(&driver, device_status), VIRTIO_STATUS_ACKNOWLEDGE);
}

static void forgets_everything_at_a_reset(void **state)
{
	(void)state;
	start_with(BASE);
	vdriver_set(&driver, config_msix_vector, 0);
	vdriver_set(&driver, device_status, 0);
	assert_int_equal(vdriver_get(&driver, device_status), 0);
	assert_int_equal(vdriver_get(&driver, config_msix_vector), VIRTIO_NO_VECTOR);
	vdriver_set(&driver, queue_select, 0);
	assert_int_equal(vdriver_get(&driver, queue_enable), 0);
	assert_int_equal(vdriver_get(&driver, queue_size), 64);
	assert_int_equal(vdriver_get(&driver, queue_desc), 0);
	send_one();
	assert_false(comes_back());
}

/* ---- queues ---- */

static void works_a_queue_and_interrupts(void **state)
{
	(void)state;
	start_with(BASE);
	send_one();
	assert_true(comes_back());
	assert_int_equal(fake()->nr_msis, 1);
	assert_int_equal(fake()->msis[0].data, 0x4001);
	assert_int_equal(vdriver_read(&driver, driver.isr_gpa, 1), 0);
}

static void sets_the_isr_without_msix(void **state)
{
	(void)state;
	start_with(BASE);
	vdriver_config_write(&driver, driver.msix_cap + 2u, 2, 0);
	send_one();
	assert_int_equal(fake()->nr_msis, 0);
	assert_int_equal(vdriver_read(&driver, driver.isr_gpa, 1), VIRTIO_ISR_QUEUE);
	assert_int_equal(vdriver_read(&driver, driver.isr_gpa, 1), 0);
}

static void sends_nothing_for_no_vector(void **state)
{
	(void)state;
	start_with(BASE);
	vdriver_set(&driver, queue_select, 0);
	vdriver_set(&driver, queue_msix_vector, 3); /* there are 0 to 2 */
	assert_int_equal(vdriver_get(&driver, queue_msix_vector), VIRTIO_NO_VECTOR);
	send_one();
	assert_true(comes_back());
	assert_int_equal(fake()->nr_msis, 0);
}

static void takes_what_was_added_before_it_was_ready(void **state)
{
	(void)state;
	assert_true(vdriver_negotiate(&driver, BASE));
	vdriver_setup_queue(&driver, &queue, 0, SIZE, RINGS);
	send_one();
	assert_false(comes_back());
	vdriver_ready(&driver);
	assert_true(comes_back());
}

static void stands_still_without_bus_mastering(void **state)
{
	(void)state;
	start_with(BASE);
	vdriver_config_write(&driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	send_one();
	assert_false(comes_back());
	vdriver_config_write(&driver, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(comes_back());
}

static void has_no_queue_beyond_its_last(void **state)
{
	(void)state;
	assert_true(vdriver_negotiate(&driver, BASE));
	vdriver_set(&driver, queue_select, 2);
	assert_int_equal(vdriver_get(&driver, queue_size), 0);
	vdriver_set(&driver, queue_size, 16);
	vdriver_set(&driver, queue_enable, 1);
	vdriver_set(&driver, queue_reset, 1);
	vdriver_set(&driver, queue_select, 0xffff);
	assert_int_equal(vdriver_get(&driver, queue_enable), 0);
	vdriver_write(&driver, driver.notify_gpa + 8, 2, 2);
	assert_int_equal(echo.nr_notifies, 0);
}

static void takes_lawful_queue_sizes_only(void **state)
{
	(void)state;
	vdriver_set(&driver, queue_select, 0);
	vdriver_set(&driver, queue_size, 128);
	vdriver_set(&driver, queue_size, 0);
	vdriver_set(&driver, queue_size, 12);
	assert_int_equal(vdriver_get(&driver, queue_size), 64);
	vdriver_set(&driver, queue_size, 32);
	assert_int_equal(vdriver_get(&driver, queue_size), 32);
}

static void takes_addresses_by_halves(void **state)
{
	uint64_t at = driver.common_gpa + offsetof(struct virtio_common, queue_driver);

	(void)state;
	vdriver_set(&driver, queue_select, 1);
	vdriver_write(&driver, at, 4, 0x89abcdef);
	vdriver_write(&driver, at + 4, 4, 0x01234567);
	vdriver_write(&driver, at + 2, 4, 0);
	vdriver_write(&driver, at, 2, 0);
	assert_int_equal(vdriver_get(&driver, queue_driver), 0x0123456789abcdef);
	assert_int_equal(vdriver_read(&driver, at + 3, 2), 0x6789);
}

static void asks_for_a_reset_when_rings_are_not_in_ram(void **state)
{
	(void)state;
	assert_true(vdriver_negotiate(&driver, BASE));
	vdriver_set(&driver, queue_select, 0);
	vdriver_set(&driver, queue_desc, 0xd0000000);
	vdriver_set(&driver, queue_enable, 1);
	assert_int_equal(vdriver_get(&driver, queue_enable), 0);
	assert_true(needs_reset());
	vdriver_set(&driver, device_status, 0);
	assert_false(needs_reset());
}

static void leaves_an_enabled_queue_alone(void **state)
{
	(void)state;
	start_with(BASE);
	vdriver_set(&driver, queue_select, 0);
	vdriver_set(&driver, queue_desc, 0);
	vdriver_set(&driver, queue_size, 64);
	vdriver_set(&driver, queue_enable, 0);
	vdriver_set(&driver, queue_enable, 1);
	assert_int_equal(vdriver_get(&driver, queue_desc), RINGS);
	assert_int_equal(vdriver_get(&driver, queue_size), SIZE);
	send_one();
	assert_true(comes_back());
}

static void resets_one_queue_and_takes_it_anew(void **state)
{
	(void)state;
	start_with(BASE);
	send_one();
	assert_true(comes_back());
	vdriver_set(&driver, queue_select, 0);
	vdriver_set(&driver, queue_reset, 1);
	assert_int_equal(vdriver_get(&driver, queue_reset), 0);
	assert_int_equal(vdriver_get(&driver, queue_enable), 0);
	send_one();
	assert_false(comes_back());
	vdriver_setup_queue(&driver, &queue, 0, SIZE, RINGS_NEXT);
	send_one();
	assert_true(comes_back());
}

static void resets_no_queue_unless_that_was_agreed_on(void **state)
{
	(void)state;
	start_with(VIRTIO_F_VERSION_1);
	vdriver_set(&driver, queue_select, 0);
	vdriver_set(&driver, queue_reset, 1);
	assert_int_equal(vdriver_get(&driver, queue_enable), 1);
}

static void forgets_buffers_that_were_out_at_a_reset(void **state)
{
	(void)state;
	echo.is_holding = true;
	start_with(BASE);
	send_one();
	send_one();
	vdriver_set(&driver, device_status, 0);
	echo.is_holding = false;
	start_with(BASE);
	assert_false(comes_back());
	send_one();
	assert_true(comes_back());
	assert_false(comes_back());
	assert_false(needs_reset());
}

static void asks_for_a_reset_when_a_queue_breaks(void **state)
{
	(void)state;
	start_with(BASE);
	vdriver_set(&driver, config_msix_vector, 0);
	vdriver_show_head(&queue, SIZE);
	vdriver_kick(&driver, &queue);
	assert_true(needs_reset());
	assert_int_equal(fake()->nr_msis, 1);
	assert_int_equal(fake()->msis[0].data, 0x4000);
	assert_int_equal(vdriver_read(&driver, driver.isr_gpa, 1), VIRTIO_ISR_CONFIG);
	assert_string_equal(fake()->last_log,
			    "echo: queue 0: descriptor index is out of range; waits for a reset");
	vdriver_kick(&driver, &queue);
	assert_int_equal(fake()->nr_msis, 1); /* told once */
	assert_int_equal(fake()->nr_logs, 1);
	start_with(BASE);
	assert_false(needs_reset());
	send_one();
	assert_true(comes_back());
}

static void quiets_queues_that_wait_for_input(void **state)
{
	(void)state;
	assert_true(vdriver_negotiate(&driver, BASE));
	vdriver_setup_queue(&driver, &queue, 0, SIZE, RINGS);
	vdriver_setup_queue(&driver, &other, 1, SIZE, RINGS_NEXT);
	vdriver_ready(&driver);
	assert_int_equal(vdriver_used_flags(&queue), 0);
	assert_int_equal(vdriver_used_flags(&other), VRING_USED_F_NO_NOTIFY);
}

/* ---- ways in ---- */

static void takes_a_notification_without_the_bus(void **state)
{
	(void)state;
	start_with(BASE);
	vdriver_add(&queue, &(struct vdriver_buf){BUF, 4, true}, 1);
	virtio_pci_notify(&echo.vp, 0);
	assert_true(comes_back());
	virtio_pci_notify(&echo.vp, 2);
	virtio_pci_notify(&echo.vp, 0xffffffff);
}

static void point_pci_cfg(uint32_t bar, uint32_t offset, uint32_t len)
{
	vdriver_config_write(&driver, driver.pci_cfg_cap + VIRTIO_PCI_CAP_BAR, 1, bar);
	vdriver_config_write(&driver, driver.pci_cfg_cap + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	vdriver_config_write(&driver, driver.pci_cfg_cap + VIRTIO_PCI_CAP_LENGTH, 4, len);
}

static void reaches_its_bar_through_config_space(void **state)
{
	uint32_t data = driver.pci_cfg_cap + VIRTIO_PCI_CAP_MORE;

	(void)state;
	vdriver_config_write(&driver, PCI_COMMAND, 2, 0); /* no BAR decodes */
	point_pci_cfg(0, offsetof(struct virtio_common, device_status), 1);
	vdriver_config_write(&driver, data, 1, VIRTIO_STATUS_ACKNOWLEDGE);
	assert_int_equal(echo.vp.status, VIRTIO_STATUS_ACKNOWLEDGE);
	assert_int_equal(vdriver_config_read(&driver, data, 1), VIRTIO_STATUS_ACKNOWLEDGE);
	point_pci_cfg(0, VIRTIO_PCI_DEVICE, 4);
	assert_int_equal(vdriver_config_read(&driver, data, 4), 0x69766564);
	point_pci_cfg(2, 12, 4);
	assert_int_equal(vdriver_config_read(&driver, data, 4), PCI_MSIX_ENTRY_MASKED);
}

static void ignores_nonsense_in_the_config_capability(void **state)
{
	uint32_t data = driver.pci_cfg_cap + VIRTIO_PCI_CAP_MORE;

	(void)state;
	vdriver_config_write(&driver, data, 4, 0x5555aaaa);
	point_pci_cfg(6, 0, 4);
	assert_int_equal(vdriver_config_read(&driver, data, 4), 0x5555aaaa);
	point_pci_cfg(255, 0, 4);
	assert_int_equal(vdriver_config_read(&driver, data, 4), 0x5555aaaa);
	point_pci_cfg(0, VIRTIO_PCI_BYTES, 4);
	assert_int_equal(vdriver_config_read(&driver, data, 4), 0x5555aaaa);
	point_pci_cfg(0, 0xfffffffc, 4);
	assert_int_equal(vdriver_config_read(&driver, data, 4), 0x5555aaaa);
	point_pci_cfg(0, 1, 4);
	assert_int_equal(vdriver_config_read(&driver, data, 4), 0x5555aaaa);
	point_pci_cfg(0, 0, 0);
	assert_int_equal(vdriver_config_read(&driver, data, 4), 0x5555aaaa);
	point_pci_cfg(0, 0, 0x104);
	assert_int_equal(vdriver_config_read(&driver, data, 4), 0x5555aaaa);
	point_pci_cfg(1, 0, 4); /* the upper half of BAR 0 is none */
	assert_int_equal(vdriver_config_read(&driver, data, 4), 0x5555aaaa);
}

static void ignores_writes_of_odd_widths(void **state)
{
	(void)state;
	vdriver_write(&driver, driver.common_gpa + 0x14, 4, 0x0f);
	vdriver_write(&driver, driver.common_gpa + 0x14, 2, 0x0f);
	vdriver_write(&driver, driver.common_gpa + 0x16, 1, 1);
	vdriver_write(&driver, driver.common_gpa, 2, 1);
	assert_int_equal(vdriver_get(&driver, device_status), 0);
	assert_int_equal(vdriver_get(&driver, queue_select), 0);
	assert_int_equal(vdriver_get(&driver, device_feature_select), 0);
	assert_int_equal(vdriver_read(&driver, driver.common_gpa + 0x3e, 8), 0);
	assert_int_equal(vdriver_read(&driver, driver.notify_gpa, 4), 0);
}

#define DEVICE_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_device, drop_device)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(is_found_as_a_modern_device),
		DEVICE_TEST(offers_its_features),
		DEVICE_TEST(refuses_features_that_were_not_offered),
		DEVICE_TEST(keeps_features_once_they_are_agreed_on),
		DEVICE_TEST(needs_features_before_it_is_ready),
		DEVICE_TEST(forgets_everything_at_a_reset),
		DEVICE_TEST(works_a_queue_and_interrupts),
		DEVICE_TEST(sets_the_isr_without_msix),
		DEVICE_TEST(sends_nothing_for_no_vector),
		DEVICE_TEST(takes_what_was_added_before_it_was_ready),
		DEVICE_TEST(stands_still_without_bus_mastering),
		DEVICE_TEST(has_no_queue_beyond_its_last),
		DEVICE_TEST(takes_lawful_queue_sizes_only),
		DEVICE_TEST(takes_addresses_by_halves),
		DEVICE_TEST(asks_for_a_reset_when_rings_are_not_in_ram),
		DEVICE_TEST(leaves_an_enabled_queue_alone),
		DEVICE_TEST(resets_one_queue_and_takes_it_anew),
		DEVICE_TEST(resets_no_queue_unless_that_was_agreed_on),
		DEVICE_TEST(forgets_buffers_that_were_out_at_a_reset),
		DEVICE_TEST(asks_for_a_reset_when_a_queue_breaks),
		DEVICE_TEST(quiets_queues_that_wait_for_input),
		DEVICE_TEST(takes_a_notification_without_the_bus),
		DEVICE_TEST(reaches_its_bar_through_config_space),
		DEVICE_TEST(ignores_nonsense_in_the_config_capability),
		DEVICE_TEST(ignores_writes_of_odd_widths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
