/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to a PCI function as such, on one that has no driver here: virtio's random numbers.
 * Its device_status is the witness, which a reset clears and nothing else does.
 */
#include "boot/after_boot.h"
#include "drivers/dev_open.h"
#include "drivers/virtio_caps.h"
#include "kernel/log.h"
#include "kernel/power.h"
#include "kernel/time.h"

#define VENDOR_VIRTIO 0x1af4u
#define DEVICE_RNG    0x1044u

/* [VIRTIO] "Common configuration structure layout", "Device Status Field" */
#define COMMON_STATUS	   20u
#define STATUS_ACKNOWLEDGE 1u

/* [PCIPM] "Power Management Register Block Definition" */
#define PM_CONTROL	 4u
#define PM_CONTROL_STATE 3u
#define PM_STATE_D3HOT	 3u

#define HEADER_BYTES 0x40u

struct header {
	uint32_t words[HEADER_BYTES / 4];
};

static void say(bool holds, const char *claim)
{
	log_info("pci_check", "%s - %s", holds ? "ok" : "not ok", claim);
}

static struct pci_device *find_rng(void)
{
	for (uint32_t i = 0; i < pci_count(); i++)
		if (pci_at(i)->vendor == VENDOR_VIRTIO && pci_at(i)->device == DEVICE_RNG)
			return pci_at(i);
	return NULL;
}

static struct header header_of(const struct pci_device *dev)
{
	struct header header;

	for (uint32_t i = 0; i < ARRAY_SIZE(header.words); i++)
		header.words[i] = pci_machine.read(pci_machine.arg, dev->at, 4 * i, 4);
	return header;
}

static bool is_same(const struct header *a, const struct header *b)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(a->words); i++)
		if (a->words[i] != b->words[i])
			return false;
	return true;
}

static volatile uint8_t *map_common(const struct pci_device *dev)
{
	struct virtio_caps caps;
	const struct virtio_place *common = &caps.parts[VIRTIO_PART_COMMON];
	volatile uint8_t *bar;

	if (virtio_caps_find(&pci_machine, dev, &caps) != HV_OK)
		return NULL;
	bar = dev_map(dev, common->bar, common->offset + common->len_bytes);
	return bar ? bar + common->offset : NULL;
}

static void check_reset(struct pci_device *dev, volatile uint8_t *common)
{
	struct header before = header_of(dev), after;

	common[COMMON_STATUS] = STATUS_ACKNOWLEDGE;
	say(common[COMMON_STATUS] == STATUS_ACKNOWLEDGE, "the device keeps its status");
	say(pci_reset_function(&pci_machine, dev, time_busy_wait_ns) == HV_OK,
	    "it has function-level reset, and comes back from it");
	after = header_of(dev);
	say(is_same(&before, &after), "its header is as it was");
	say(common[COMMON_STATUS] == 0, "its status is as after power-on, read where it was");
}

static uint32_t power_state(const struct pci_device *dev, uint8_t cap)
{
	return pci_machine.read(pci_machine.arg, dev->at, cap + PM_CONTROL, 2) & PM_CONTROL_STATE;
}

static void check_power(struct pci_device *dev, volatile uint8_t *common)
{
	uint8_t cap = pci_find_cap(&pci_machine, dev, PCI_CAP_POWER);
	struct header before = header_of(dev), after;

	say(cap != 0, "it has power management");
	if (!cap)
		return;
	pci_machine.write(pci_machine.arg, dev->at, cap + PM_CONTROL, 2, PM_STATE_D3HOT);
	say(power_state(dev, cap) == PM_STATE_D3HOT, "it goes to D3");
	pci_power_up(&pci_machine, dev, time_busy_wait_ns);
	say(power_state(dev, cap) == 0, "it is woken to D0");
	after = header_of(dev);
	say(is_same(&before, &after), "its header is as before it slept");
	common[COMMON_STATUS] = STATUS_ACKNOWLEDGE;
	say(common[COMMON_STATUS] == STATUS_ACKNOWLEDGE, "its registers are where they were");
}

void after_boot(void)
{
	struct pci_device *dev = find_rng();
	volatile uint8_t *common = NULL;

	if (dev && dev_open(dev) == HV_OK)
		common = map_common(dev);
	say(common, "virtio's random numbers are there");
	if (common) {
		check_reset(dev, common);
		check_power(dev, common);
	}
	log_info("pci_check", "done");
	power_off();
}
