/* SPDX-License-Identifier: Apache-2.0 */
/* Where a virtio device keeps its registers, over a made-up configuration space. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/virtio_caps.h"
#include "kernel/lib/bytes.h"

static uint8_t space[256];
static uint32_t end; /* where the next capability goes */
static uint32_t last_link;
static struct pci_device dev;
static struct virtio_caps caps;

static uint32_t fake_read(void *arg, struct pci_addr at, uint32_t reg, uint32_t size)
{
	uint32_t val = 0;

	(void)arg;
	(void)at;
	assert_true(reg + size <= 256 && reg % size == 0);
	memcpy(&val, space + reg, size);
	return val;
}

static const struct pci_access fake = {.read = fake_read};

/* BAR 1: 4 KiB of MSI-X; BAR 4: 16 KiB above 4 GiB; BAR 0: ports. */
static int make(void **state)
{
	(void)state;
	memset(space, 0, sizeof(space));
	memset(&caps, 0xee, sizeof(caps));
	put_le16(space + PCI_REG_STATUS, 0x0010);
	end = 0x40;
	last_link = PCI_REG_CAP_POINTER;
	dev = (struct pci_device){.vendor = 0x1af4, .device = 0x1041};
	dev.bars[0] = (struct pci_bar){.base = 0xc000, .len_bytes = 32, .is_io = true};
	dev.bars[1] = (struct pci_bar){.base = 0xfebc0000, .len_bytes = 0x1000};
	dev.bars[4] =
		(struct pci_bar){.base = 0x380000000000, .len_bytes = 0x4000, .is_64bit = true};
	return 0;
}

static uint8_t *add(uint8_t type, uint8_t bar, uint32_t offset, uint32_t len)
{
	uint8_t *cap = space + end;

	space[last_link] = (uint8_t)end;
	last_link = end + 1;
	cap[0] = 0x09;
	cap[2] = type == 2 ? 20 : 16;
	cap[3] = type;
	cap[4] = bar;
	put_le32(cap + 8, offset);
	put_le32(cap + 12, len);
	end += type == 2 ? 20 : 16;
	return cap;
}

static void add_notify(uint8_t bar, uint32_t offset, uint32_t len, uint32_t multiplier)
{
	put_le32(add(2, bar, offset, len) + 16, multiplier);
}

static void add_all(void)
{
	add(1, 4, 0, 0x1000);
	add(3, 4, 0x1000, 0x1000);
	add(4, 4, 0x2000, 0x1000);
	add_notify(4, 0x3000, 0x1000, 4);
}

static enum hv_err find(void)
{
	return virtio_caps_find(&fake, &dev, &caps);
}

static void finds_all_parts(void **state)
{
	(void)state;
	add_all();
	assert_int_equal(find(), HV_OK);
	assert_int_equal(caps.parts[VIRTIO_PART_COMMON].bar, 4);
	assert_int_equal(caps.parts[VIRTIO_PART_COMMON].offset, 0);
	assert_int_equal(caps.parts[VIRTIO_PART_ISR].offset, 0x1000);
	assert_int_equal(caps.parts[VIRTIO_PART_CONFIG].len_bytes, 0x1000);
	assert_int_equal(caps.parts[VIRTIO_PART_NOTIFY].offset, 0x3000);
	assert_int_equal(caps.notify_multiplier, 4);
}

static void says_that_a_device_is_a_legacy_one(void **state)
{
	(void)state;
	assert_int_equal(find(), HV_ENOTSUP); /* no capability at all */
	put_le16(space + PCI_REG_STATUS, 0);
	assert_int_equal(find(), HV_ENOTSUP);
	put_le16(space + PCI_REG_STATUS, 0x0010);
	add(1, 4, 0, 0x1000);
	add(3, 4, 0x1000, 0x1000);
	assert_int_equal(find(), HV_ENOTSUP); /* no notifications */
	assert_int_equal(caps.notify_multiplier, 0xeeeeeeee);
}

static void does_without_a_configuration_of_the_kind(void **state)
{
	(void)state;
	add(1, 4, 0, 56);
	add(3, 4, 0x1000, 1);
	add_notify(4, 0x3000, 2, 0);
	assert_int_equal(find(), HV_OK);
	assert_int_equal(caps.parts[VIRTIO_PART_CONFIG].len_bytes, 0);
}

static void takes_the_first_place_that_is_usable(void **state)
{
	(void)state;
	add_notify(0, 0, 4, 0); /* a port */
	add(1, 6, 0, 0x1000);	/* reserved: to be passed over */
	add(8, 4, 0, 0x1000);	/* shared memory */
	add_all();
	add(1, 4, 0x2000, 0x1000);
	assert_int_equal(find(), HV_OK);
	assert_int_equal(caps.parts[VIRTIO_PART_COMMON].offset, 0);
	assert_int_equal(caps.parts[VIRTIO_PART_NOTIFY].bar, 4);
}

static void refused(uint8_t type, uint8_t bar, uint32_t offset, uint32_t len)
{
	make(NULL);
	for (uint8_t other = 1; other <= 4; other++)
		if (other != type)
			add(other, 4, 0x1000u * (other - 1), 0x1000);
	add(type, bar, offset, len);
	assert_int_equal(find(), HV_EPROTO);
}

static void refuses_places_outside_of_a_memory_bar(void **state)
{
	(void)state;
	refused(1, 4, 0x3fd0, 56);
	refused(1, 4, 0xfffffff0, 0x1000);
	refused(1, 4, 0, 0x4001);
	refused(1, 4, 0, 55);
	refused(1, 4, 2, 56); /* not aligned */
	refused(1, 2, 0, 56); /* no such BAR */
	refused(1, 0, 0, 0);
	refused(2, 4, 1, 4);
	refused(3, 4, 0x4000, 1);
	refused(4, 0, 0, 8);
	refused(4, 4, 0, 0);
}

static void refuses_a_bar_without_an_address(void **state)
{
	(void)state;
	add_all();
	dev.bars[4].base = 0;
	assert_int_equal(find(), HV_EPROTO);
}

static void ends_in_a_list_that_has_no_end(void **state)
{
	(void)state;
	add_all();
	space[last_link] = 0x40;
	assert_int_equal(find(), HV_OK);
	memset(space + 0x40, 0, 192);
	space[0x40] = 0x05;
	space[0x41] = 0x40;
	assert_int_equal(find(), HV_ENOTSUP);
}

static void reads_nothing_beyond_the_space(void **state)
{
	(void)state;
	end = 0xf0;
	add(1, 4, 0, 0x1000);
	assert_int_equal(find(), HV_ENOTSUP);
	make(NULL);
	end = 0xf0; /* a notification capability needs four bytes more */
	space[last_link] = 0xf0;
	space[0xf0] = 0x09;
	space[0xf2] = 20;
	space[0xf3] = 2;
	assert_int_equal(find(), HV_ENOTSUP);
}

static void copes_with_a_device_that_was_pulled_out(void **state)
{
	(void)state;
	memset(space, 0xff, sizeof(space));
	assert_int_equal(find(), HV_ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(finds_all_parts, make),
		cmocka_unit_test_setup(says_that_a_device_is_a_legacy_one, make),
		cmocka_unit_test_setup(does_without_a_configuration_of_the_kind, make),
		cmocka_unit_test_setup(takes_the_first_place_that_is_usable, make),
		cmocka_unit_test_setup(refuses_places_outside_of_a_memory_bar, make),
		cmocka_unit_test_setup(refuses_a_bar_without_an_address, make),
		cmocka_unit_test_setup(ends_in_a_list_that_has_no_end, make),
		cmocka_unit_test_setup(reads_nothing_beyond_the_space, make),
		cmocka_unit_test_setup(copes_with_a_device_that_was_pulled_out, make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
