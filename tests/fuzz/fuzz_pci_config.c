/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that pokes the PCI bus with any address, width and value: ports, ECAM, BARs wherever it
 * moved them, MSI-X tables. Two functions are there. Input: steps.
 */
#include <stdlib.h>

#include "kernel/lib/assert.h"
#include "tests/fuzz/input.h"
#include "tests/unit/support/fake_net.h"
#include "tests/unit/support/fake_vm.h"
#include "tests/unit/support/vdriver.h"
#include "vmm/dev/pci_host.h"
#include "vmm/dev/virtio_rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static void must(enum hv_err err)
{
	if (err != HV_OK)
		abort();
}

static void poke(struct vdev *bus, enum io_space space, uint64_t offset, uint8_t how,
		 struct input *in)
{
	uint8_t size = (uint8_t)(1u << (how & 3));
	uint64_t val;

	if (how & 4) {
		vbus_write(bus, space, offset, size, input_bytes(in, size));
		return;
	}
	val = vbus_read(bus, space, offset, size);
	ASSERT(size == 8 || val < BIT(8 * size));
}

static void poke_bar(struct vdev *bus, uint8_t how, struct input *in)
{
	struct pci_host *host = pci_host_of(bus);
	uint32_t slot = input_u8(in) % host->nr_slots;
	unsigned bar = input_u8(in) % 4;
	uint64_t gpa;

	if (pci_fn_bar_at(host->slots[slot], bar, &gpa) && gpa >= PCI_HOST_MMIO)
		poke(bus, SPACE_MMIO, gpa - PCI_HOST_MMIO + input_u16(in), how, in);
}

static void step(struct vdev *bus, struct input *in)
{
	uint8_t how = input_u8(in);

	switch (how >> 3 & 7) {
	case 0:
	case 1:
		poke(bus, SPACE_PIO, input_u8(in), how, in);
		break;
	case 2:
	case 3: /* ECAM of the first slots */
		poke(bus, SPACE_MMIO,
		     LAYOUT_PCI_BARS_BYTES + ((uint64_t)(input_u8(in) & 3) << 15) + input_u8(in),
		     how, in);
		break;
	case 4:
		poke(bus, SPACE_MMIO, input_u32(in) % PCI_HOST_MMIO_BYTES, how, in);
		break;
	case 5:
	case 6:
		poke_bar(bus, how, in);
		break;
	case 7:
		if (how & 1)
			pci_msix_signal(pci_host_of(bus)->slots[1], input_u8(in));
		else if (how & 2)
			bus->ops->reset(bus);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	struct input in = {data, len_bytes};
	struct virtio_net_conf conf = {.kind = NET_PORT_GUEST, .net = &fake_net_ops};
	struct vm *vm = fake_vm_create(GMEM_CHUNK, 0);
	struct vdriver driver = {.vm = vm, .slot = 1};

	fake_net = (struct fake_net){.port = NULL};
	must(pci_host_ops.create(vm, NULL, &driver.bus));
	must(virtio_rng_create(vm, pci_host_of(driver.bus)));
	must(virtio_net_create(vm, pci_host_of(driver.bus), &conf, NULL));
	while (in.left)
		step(driver.bus, &in);
	ASSERT(vdriver_config_read(&driver, 0, 4) == 0x10441af4); /* who it is stays */
	driver.bus->ops->destroy(driver.bus);
	fake_vm_destroy(vm);
	return 0;
}
