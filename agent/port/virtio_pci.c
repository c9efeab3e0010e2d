/* SPDX-License-Identifier: Apache-2.0 */
/* Registers and steps as [VIRTIO] "PCI Device Layout" names them. */
#include "agent/port/virtio_pci.h"

#include "agent/port/cpu.h"
#include "agent/port/paging.h"
#include "agent/port/port.h"

#define VIRTIO_VENDOR 0x1af4u
#define VIRTIO_DEVICE 0x1040u /* plus the virtio id */

#define CAP_VENDOR 0x09u
#define CAP_MSIX   0x11u

#define VIRTIO_PCI_CAP_COMMON_CFG 1u
#define VIRTIO_PCI_CAP_NOTIFY_CFG 2u
#define VIRTIO_PCI_CAP_DEVICE_CFG 4u

#define COMMON_DEVICE_FEATURE_SELECT 0x00
#define COMMON_DEVICE_FEATURE	     0x04
#define COMMON_DRIVER_FEATURE_SELECT 0x08
#define COMMON_DRIVER_FEATURE	     0x0c
#define COMMON_MSIX_VECTOR	     0x10
#define COMMON_STATUS		     0x14
#define COMMON_QUEUE_SELECT	     0x16
#define COMMON_QUEUE_SIZE	     0x18
#define COMMON_QUEUE_MSIX_VECTOR     0x1a
#define COMMON_QUEUE_ENABLE	     0x1c
#define COMMON_QUEUE_NOTIFY_OFF	     0x1e
#define COMMON_QUEUE_DESC	     0x20
#define COMMON_QUEUE_DRIVER	     0x28
#define COMMON_QUEUE_DEVICE	     0x30

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER	   2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u

#define RESET_SPINS 1000000

static volatile uint8_t *map_cap(struct pci_dev pci, uint8_t cap)
{
	uint64_t bar = pci_bar(pci, pci_read8(pci, (uint8_t)(cap + 4)));
	uint32_t offset = pci_read32(pci, (uint8_t)(cap + 8)),
		 len = pci_read32(pci, (uint8_t)(cap + 12));

	if (bar == 0 || len == 0)
		return NULL;
	return (volatile uint8_t *)paging_map_device(bar + offset, len);
}

/* The first place that the device offers, which is the one it likes best. */
static void find_notify(struct virtio_dev *dev, uint8_t cap)
{
	uint16_t port = pci_io_bar(dev->pci, pci_read8(dev->pci, (uint8_t)(cap + 4)));

	if (dev->notify || dev->notify_port)
		return;
	if (port)
		dev->notify_port = (uint16_t)(port + pci_read32(dev->pci, (uint8_t)(cap + 8)));
	else
		dev->notify = map_cap(dev->pci, cap);
	dev->notify_step = pci_read32(dev->pci, (uint8_t)(cap + 16));
}

static void find_parts(struct virtio_dev *dev)
{
	uint8_t cap = 0;

	while ((cap = pci_next_cap(dev->pci, CAP_VENDOR, cap)) != 0) {
		switch (pci_read8(dev->pci, (uint8_t)(cap + 3))) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			dev->common = dev->common ? dev->common : map_cap(dev->pci, cap);
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			find_notify(dev, cap);
			break;
		case VIRTIO_PCI_CAP_DEVICE_CFG:
			dev->config = dev->config ? dev->config : map_cap(dev->pci, cap);
			break;
		}
	}
}

/* Vector 0 of the table brings DEVICE_VECTOR to this CPU; everything else stays masked. */
static enum hv_err enable_msix(struct pci_dev pci)
{
	uint8_t cap = pci_next_cap(pci, CAP_MSIX, 0);
	volatile uint8_t *entry;
	uint32_t where;

	if (cap == 0)
		return HV_ENOTSUP;
	where = pci_read32(pci, (uint8_t)(cap + 4));
	entry = (volatile uint8_t *)paging_map_device(pci_bar(pci, where & 7) + (where & ~7u), 16);
	pci_write16(pci, (uint8_t)(cap + 2), 0x8000);
	mmio_write32(entry, 0xfee00000u | timer_apic_id() << 12);
	mmio_write32(entry + 4, 0);
	mmio_write32(entry + 8, DEVICE_VECTOR);
	mmio_write32(entry + 12, 0);
	return HV_OK;
}

static uint64_t read_features(struct virtio_dev *dev)
{
	uint64_t low;

	mmio_write32(dev->common + COMMON_DEVICE_FEATURE_SELECT, 0);
	low = mmio_read32(dev->common + COMMON_DEVICE_FEATURE);
	mmio_write32(dev->common + COMMON_DEVICE_FEATURE_SELECT, 1);
	return low | (uint64_t)mmio_read32(dev->common + COMMON_DEVICE_FEATURE) << 32;
}

static void add_status(struct virtio_dev *dev, uint8_t bits)
{
	mmio_write8(dev->common + COMMON_STATUS, mmio_read8(dev->common + COMMON_STATUS) | bits);
}

static enum hv_err negotiate(struct virtio_dev *dev, uint64_t wanted)
{
	uint64_t offered = read_features(dev);

	if (!(offered & VIRTIO_F_VERSION_1))
		return HV_ENOTSUP;
	dev->features = offered & (wanted | VIRTIO_F_VERSION_1);
	mmio_write32(dev->common + COMMON_DRIVER_FEATURE_SELECT, 0);
	mmio_write32(dev->common + COMMON_DRIVER_FEATURE, (uint32_t)dev->features);
	mmio_write32(dev->common + COMMON_DRIVER_FEATURE_SELECT, 1);
	mmio_write32(dev->common + COMMON_DRIVER_FEATURE, (uint32_t)(dev->features >> 32));
	add_status(dev, STATUS_FEATURES_OK);
	return mmio_read8(dev->common + COMMON_STATUS) & STATUS_FEATURES_OK ? HV_OK : HV_ENOTSUP;
}

enum hv_err virtio_open(struct virtio_dev *dev, unsigned virtio_id, uint64_t wanted)
{
	enum hv_err err;
	int spins = 0;

	*dev = (struct virtio_dev){0};
	if (!pci_find(VIRTIO_VENDOR, (uint16_t)(VIRTIO_DEVICE + virtio_id), &dev->pci))
		return HV_ENOENT;
	pci_enable(dev->pci);
	find_parts(dev);
	if (!dev->common || (!dev->notify && !dev->notify_port))
		return HV_EPROTO;

	mmio_write8(dev->common + COMMON_STATUS, 0);
	while (mmio_read8(dev->common + COMMON_STATUS) != 0 && spins++ < RESET_SPINS)
		cpu_pause();
	add_status(dev, STATUS_ACKNOWLEDGE);
	add_status(dev, STATUS_DRIVER);
	err = negotiate(dev, wanted);
	if (err != HV_OK)
		return err;
	err = enable_msix(dev->pci);
	if (err != HV_OK)
		return err;
	mmio_write16(dev->common + COMMON_MSIX_VECTOR, 0);
	return HV_OK;
}

static void write_address(volatile uint8_t *reg, const void *at)
{
	mmio_write32(reg, (uint32_t)(uintptr_t)at);
	mmio_write32(reg + 4, (uint32_t)((uint64_t)(uintptr_t)at >> 32));
}

enum hv_err virtio_queue(struct virtio_dev *dev, uint16_t index, struct vq_rings *rings,
			 struct virtio_queue *q)
{
	volatile uint8_t *common = dev->common;
	uint32_t offset;
	uint16_t size;

	mmio_write16(common + COMMON_QUEUE_SELECT, index);
	size = mmio_read16(common + COMMON_QUEUE_SIZE);
	if (size == 0)
		return HV_ENOENT;
	while (size > VQ_SIZE_MAX)
		size /= 2;
	if (size & (size - 1))
		return HV_EPROTO;
	mmio_write16(common + COMMON_QUEUE_SIZE, size);
	vq_init(&q->vq, rings, size);
	q->index = index;
	offset = mmio_read16(common + COMMON_QUEUE_NOTIFY_OFF) * dev->notify_step;
	q->port = dev->notify_port ? (uint16_t)(dev->notify_port + offset) : 0;
	q->doorbell = dev->notify + offset;
	mmio_write16(common + COMMON_QUEUE_MSIX_VECTOR, 0);
	write_address(common + COMMON_QUEUE_DESC, rings->desc);
	write_address(common + COMMON_QUEUE_DRIVER, &rings->avail);
	write_address(common + COMMON_QUEUE_DEVICE, &rings->used);
	mmio_write16(common + COMMON_QUEUE_ENABLE, 1);
	return HV_OK;
}

void virtio_start(struct virtio_dev *dev)
{
	add_status(dev, STATUS_DRIVER_OK);
}

void virtio_notify(struct virtio_queue *q)
{
	/* The ring's index is written before the device is told to read it. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->port)
		out16(q->port, q->index);
	else
		mmio_write16(q->doorbell, q->index);
}
