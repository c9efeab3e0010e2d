/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts of made-up devices on a made-up machine: this file is its PCI, IOAPIC and CPUs. */
#include "drivers/dev_irqs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "boot/boot_info.h"
#include "kernel/cpu.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/memory.h"

#define DEVS	     13u
#define TABLE_AT     0xfe000000u
#define CAP_MSI	     0x50u
#define CAP_MSIX     0x60u
#define FIRST_VECTOR 32u

static struct pci_device devs[DEVS];
static uint8_t config[DEVS][256];
static uint32_t table[DEVS][32 * 4];
static struct dev_irqs irqs[DEVS]; /* kept for ever, as the list of them is */
static uint32_t nr_used;	   /* of all three, by all tests */

static struct {
	irq_fn *fn;
	void *arg;
} vectors[256];
static uint32_t nr_vectors, nr_given, vectors_left, nr_routed, routed_gsi, routed_vector, nr_cpus;
static struct cpu cpus[4] = {{.apic_id = 0}, {.apic_id = 2}, {.apic_id = 4}, {.apic_id = 300}};

/* ---- the machine ---- */

static uint32_t fake_read(void *arg, struct pci_addr at, uint32_t reg, uint32_t size)
{
	uint32_t val = 0;

	(void)arg;
	memcpy(&val, config[at.dev] + reg, size);
	return val;
}

static void fake_write(void *arg, struct pci_addr at, uint32_t reg, uint32_t size, uint32_t val)
{
	(void)arg;
	memcpy(config[at.dev] + reg, &val, size);
}

const struct pci_access pci_machine = {.read = fake_read, .write = fake_write};

void *mmio_map(hpa_t hpa, uint64_t len_bytes)
{
	(void)len_bytes;
	return table[(hpa - TABLE_AT) / 0x1000];
}

enum hv_err irq_vector_take(irq_fn *fn, void *arg, uint8_t *vector)
{
	if (vectors_left == 0)
		return HV_ENOMEM;
	vectors_left--;
	*vector = (uint8_t)(FIRST_VECTOR + nr_vectors++);
	vectors[*vector].fn = fn;
	vectors[*vector].arg = arg;
	return HV_OK;
}

void irq_vector_give(uint8_t vector)
{
	assert_non_null(vectors[vector].fn);
	vectors[vector].fn = NULL;
	nr_given++;
}

enum hv_err irq_route_gsi(uint32_t gsi, uint8_t vector, enum irq_trigger trigger)
{
	assert_int_equal(trigger, IRQ_LEVEL_LOW);
	if (gsi >= 24)
		return HV_ENOENT;
	nr_routed++;
	routed_gsi = gsi;
	routed_vector = vector;
	return HV_OK;
}

void irq_msi_message(uint32_t cpu_index, uint8_t vector, uint64_t *addr, uint32_t *data)
{
	*addr = 0xfee00000 | cpus[cpu_index].apic_id << 12;
	*data = vector;
}

uint32_t cpu_count(void)
{
	return nr_cpus;
}

struct cpu *cpu_at(uint32_t index)
{
	return &cpus[index];
}

static void raise_vector(uint32_t vector)
{
	vectors[vector].fn(vectors[vector].arg);
}

/* ---- devices ---- */

static struct pci_device *make_device(bool has_msi, uint32_t nr_msix)
{
	struct pci_device *dev = &devs[nr_used];
	uint8_t *reg = config[nr_used];

	dev->at.dev = (uint8_t)nr_used;
	dev->irq_line = 11;
	dev->irq_pin = 1;
	dev->bars[0] = (struct pci_bar){.base = TABLE_AT + 0x1000 * nr_used, .len_bytes = 0x1000};
	reg[PCI_REG_STATUS] = 0x10;
	reg[PCI_REG_CAP_POINTER] = has_msi ? CAP_MSI : nr_msix ? CAP_MSIX : 0;
	put_le16(reg + CAP_MSI, (uint16_t)(PCI_CAP_MSI | (nr_msix ? CAP_MSIX << 8 : 0)));
	put_le16(reg + CAP_MSI + 2, 0x80);
	put_le16(reg + CAP_MSIX, PCI_CAP_MSIX);
	put_le16(reg + CAP_MSIX + 2, (uint16_t)(nr_msix - 1));
	nr_used++;
	return dev;
}

static uint32_t nr_calls[DEV_IRQS_MAX];

static void handle(void *arg)
{
	nr_calls[(uintptr_t)arg]++;
}

static enum hv_err connect(struct pci_device *dev, uint32_t nr_handlers, enum dev_irq_kind allowed)
{
	struct dev_irq_handler handlers[DEV_IRQS_MAX];

	for (uintptr_t i = 0; i < nr_handlers; i++)
		handlers[i] = (struct dev_irq_handler){handle, (void *)i};
	return dev_irqs_connect(&irqs[dev - devs], dev, handlers, nr_handlers, allowed);
}

static int make(void **state)
{
	(void)state;
	vectors_left = 100;
	nr_cpus = 1;
	nr_routed = 0;
	memset(nr_calls, 0, sizeof(nr_calls));
	memset(boot_info.cmdline, 0, sizeof(boot_info.cmdline));
	return 0;
}

/* ---- tests ---- */

static void prefers_the_best_kind_that_is_allowed(void **state)
{
	uint32_t nr;

	(void)state;
	assert_int_equal(dev_irqs_plan(DEV_IRQ_MSIX, 4, true, true, 9, &nr), DEV_IRQ_MSIX);
	assert_int_equal(nr, 4);
	assert_int_equal(dev_irqs_plan(DEV_IRQ_MSIX, 64, true, true, 9, &nr), DEV_IRQ_MSIX);
	assert_int_equal(nr, 9);
	assert_int_equal(dev_irqs_plan(DEV_IRQ_MSIX, 0, true, true, 9, &nr), DEV_IRQ_MSI);
	assert_int_equal(nr, 1);
	assert_int_equal(dev_irqs_plan(DEV_IRQ_MSI, 64, true, true, 9, &nr), DEV_IRQ_MSI);
	assert_int_equal(dev_irqs_plan(DEV_IRQ_INTX, 64, true, true, 9, &nr), DEV_IRQ_INTX);
	assert_int_equal(dev_irqs_plan(DEV_IRQ_MSIX, 0, false, true, 9, &nr), DEV_IRQ_INTX);
	assert_int_equal(dev_irqs_plan(DEV_IRQ_MSIX, 0, false, false, 9, &nr), DEV_IRQ_NONE);
}

static void gives_each_handler_a_vector_by_msix(void **state)
{
	struct pci_device *dev = make_device(true, 8);
	uint32_t first = FIRST_VECTOR + nr_vectors, *entries = table[nr_used - 1];

	(void)state;
	assert_int_equal(connect(dev, 3, DEV_IRQ_MSIX), HV_OK);
	assert_int_equal(irqs[dev - devs].kind, DEV_IRQ_MSIX);
	assert_int_equal(entries[0], 0xfee00000);
	assert_int_equal(entries[4 + 2], first + 1);
	assert_int_equal(entries[4 + 3], 0);
	raise_vector(first + 1);
	assert_int_equal(nr_calls[0], 0);
	assert_int_equal(nr_calls[1], 1);
	assert_true(get_le16(config[dev->at.dev] + CAP_MSIX + 2) & 0x8000);
	assert_true(get_le16(config[dev->at.dev] + PCI_REG_COMMAND) & PCI_COMMAND_INTX_DISABLE);
}

static void shares_vectors_when_there_are_fewer(void **state)
{
	struct pci_device *dev = make_device(false, 8);
	uint32_t first = FIRST_VECTOR + nr_vectors;

	(void)state;
	vectors_left = 2;
	assert_int_equal(connect(dev, 5, DEV_IRQ_MSIX), HV_OK);
	assert_int_equal(irqs[dev - devs].nr_vectors, 2);
	raise_vector(first);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(nr_calls[i], i % 2 == 0);
	raise_vector(first + 1);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(nr_calls[i], 1);
}

static void does_as_the_command_line_says(void **state)
{
	struct pci_device *dev = make_device(true, 8);
	uint32_t vector = FIRST_VECTOR + nr_vectors;

	(void)state;
	strcpy(boot_info.cmdline, "irqs=msi");
	assert_int_equal(connect(dev, 2, DEV_IRQ_MSIX), HV_OK);
	assert_int_equal(irqs[dev - devs].kind, DEV_IRQ_MSI);
	assert_int_equal(get_le16(config[dev->at.dev] + CAP_MSI + 0xc), vector);
	raise_vector(vector);
	assert_int_equal(nr_calls[0], 1);
	assert_int_equal(nr_calls[1], 1);
}

static void calls_all_devices_on_a_shared_line(void **state)
{
	struct pci_device *one = make_device(false, 0), *two = make_device(false, 0),
			  *three = make_device(false, 0);

	(void)state;
	three->irq_line = 10;
	put_le16(config[one->at.dev] + PCI_REG_COMMAND, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(connect(one, 1, DEV_IRQ_MSIX), HV_OK);
	assert_int_equal(connect(two, 2, DEV_IRQ_MSIX), HV_OK);
	assert_int_equal(nr_routed, 1);
	assert_int_equal(routed_gsi, 11);
	assert_int_equal(get_le16(config[one->at.dev] + PCI_REG_COMMAND), 0);
	raise_vector(routed_vector);
	assert_int_equal(nr_calls[0], 2);
	assert_int_equal(nr_calls[1], 1);

	assert_int_equal(connect(three, 1, DEV_IRQ_MSIX), HV_OK);
	assert_int_equal(nr_routed, 2);
	raise_vector(routed_vector);
	assert_int_equal(nr_calls[0], 3);
}

static void says_when_a_device_has_no_way_to_interrupt(void **state)
{
	struct pci_device *dev = make_device(false, 0);

	(void)state;
	dev->irq_pin = 0;
	assert_int_equal(connect(dev, 1, DEV_IRQ_MSIX), HV_EIO);
	dev->irq_pin = 1;
	dev->irq_line = 0xff;
	assert_int_equal(connect(dev, 1, DEV_IRQ_MSIX), HV_EIO);
	dev->irq_line = 30; /* no such pin */
	assert_int_equal(connect(dev, 1, DEV_IRQ_MSIX), HV_EIO);
	vectors_left = 0;
	dev->irq_line = 9;
	assert_int_equal(connect(dev, 1, DEV_IRQ_MSIX), HV_ENOMEM);
}

static void spreads_msix_vectors_over_the_cpus(void **state)
{
	struct pci_device *dev = make_device(false, 8);
	uint32_t *entries = table[nr_used - 1], first = FIRST_VECTOR + nr_vectors;

	(void)state;
	assert_int_equal(connect(dev, 6, DEV_IRQ_MSIX), HV_OK);
	nr_cpus = 4;
	dev_irqs_spread();
	for (uint32_t i = 0; i < 6; i++) {
		/* A message cannot name the fourth CPU: its vector stays where it was. */
		uint32_t apic_id = i % 4 == 3 ? 0 : cpus[i % 4].apic_id;

		assert_int_equal(entries[4 * i], 0xfee00000 | apic_id << 12);
		assert_int_equal(entries[4 * i + 2], first + i);
		assert_int_equal(entries[4 * i + 3], 0);
	}
}

static void sends_those_that_are_connected_later_there_at_once(void **state)
{
	struct pci_device *dev = make_device(false, 8);
	uint32_t *entries = table[nr_used - 1];

	(void)state;
	nr_cpus = 4;
	assert_int_equal(connect(dev, 3, DEV_IRQ_MSIX), HV_OK);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(entries[4 * i], 0xfee00000 | cpus[i].apic_id << 12);
}

static void gives_vectors_back_when_a_card_is_taken_out(void **state)
{
	struct pci_device *dev = make_device(false, 8);
	struct dev_irqs *its = &irqs[nr_used - 1];

	(void)state;
	assert_int_equal(connect(dev, 5, DEV_IRQ_MSIX), HV_OK);
	assert_int_not_equal(get_le16(config[dev->at.dev] + CAP_MSIX + 2) & 0x8000, 0);
	nr_given = 0;
	dev_irqs_disconnect(its);
	assert_int_equal(get_le16(config[dev->at.dev] + CAP_MSIX + 2) & 0x8000, 0);
	assert_int_equal(nr_given, 0); /* a handler may still run */
	dev_irqs_free(its);
	assert_int_equal(nr_given, 5);
	dev_irqs_disconnect(its);
	dev_irqs_free(its);
	assert_int_equal(nr_given, 5);
}

static void calls_the_others_on_a_line_when_one_is_taken_out(void **state)
{
	struct pci_device *one = make_device(false, 0), *two = make_device(false, 0);
	struct dev_irqs *its = &irqs[one->at.dev];

	(void)state;
	one->irq_line = two->irq_line = 12;
	assert_int_equal(connect(one, 1, DEV_IRQ_MSIX), HV_OK);
	assert_int_equal(connect(two, 2, DEV_IRQ_MSIX), HV_OK);
	nr_given = 0;
	dev_irqs_disconnect(its);
	dev_irqs_free(its);
	raise_vector(routed_vector);
	assert_int_equal(nr_calls[0], 1);
	assert_int_equal(nr_calls[1], 1);
	assert_int_equal(nr_given, 0); /* the line's vector is not its own */
	assert_int_not_equal(
		get_le16(config[one->at.dev] + PCI_REG_COMMAND) & PCI_COMMAND_INTX_DISABLE, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, make)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(prefers_the_best_kind_that_is_allowed),
		TEST(gives_each_handler_a_vector_by_msix),
		TEST(shares_vectors_when_there_are_fewer),
		TEST(does_as_the_command_line_says),
		TEST(calls_all_devices_on_a_shared_line),
		TEST(says_when_a_device_has_no_way_to_interrupt),
		TEST(spreads_msix_vectors_over_the_cpus),
		TEST(sends_those_that_are_connected_later_there_at_once),
		TEST(gives_vectors_back_when_a_card_is_taken_out),
		TEST(calls_the_others_on_a_line_when_one_is_taken_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
