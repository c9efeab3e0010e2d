/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of a virtio device. Each is read with its own width, as [VIRTIO] "PCI Device
 * Layout" wants it.
 *
 * ACCESS_PLATFORM is accepted when it is offered: Billet programs no IOMMU, so bus addresses are
 * physical ones. ORDER_PLATFORM is, too: rings are cached memory, and the barriers here are those
 * that a device of real hardware needs.
 *
 * With INTx, reading the ISR lowers the line and forgets why it was raised. So only the first
 * line's handler reads it, before it and those behind it look at their rings: what comes later
 * raises the line anew.
 */
#include "drivers/virtio_pci_hw.h"

#include "drivers/dev_open.h"
#include "kernel/lib/assert.h"
#include "kernel/log.h"

/* [VIRTIO] "Common configuration structure layout" */
#define COMMON_DEVICE_FEATURE_SELECT 0x00u
#define COMMON_DEVICE_FEATURE	     0x04u
#define COMMON_DRIVER_FEATURE_SELECT 0x08u
#define COMMON_DRIVER_FEATURE	     0x0cu
#define COMMON_CONFIG_MSIX_VECTOR    0x10u
#define COMMON_NUM_QUEUES	     0x12u
#define COMMON_DEVICE_STATUS	     0x14u
#define COMMON_CONFIG_GENERATION     0x15u
#define COMMON_QUEUE_SELECT	     0x16u
#define COMMON_QUEUE_SIZE	     0x18u
#define COMMON_QUEUE_MSIX_VECTOR     0x1au
#define COMMON_QUEUE_ENABLE	     0x1cu
#define COMMON_QUEUE_NOTIFY_OFF	     0x1eu
#define COMMON_QUEUE_DESC	     0x20u
#define COMMON_QUEUE_DRIVER	     0x28u
#define COMMON_QUEUE_DEVICE	     0x30u
static_assert(COMMON_QUEUE_DEVICE + 8 == VIRTIO_COMMON_BYTES, "[VIRTIO] common configuration");

/* [VIRTIO] "Device Status Field" */
#define STATUS_ACKNOWLEDGE 0x01u
#define STATUS_DRIVER	   0x02u
#define STATUS_DRIVER_OK   0x04u
#define STATUS_FEATURES_OK 0x08u
#define STATUS_NEEDS_RESET 0x40u
#define STATUS_FAILED	   0x80u
#define STATUS_GONE	   0xffu

#define ISR_CONFIG    0x02u /* [VIRTIO] "ISR status capability" */
#define MSI_NO_VECTOR 0xffffu
#define RING_FEATURES                                                                              \
	(VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |                        \
	 VIRTIO_F_ACCESS_PLATFORM | VIRTIO_F_ORDER_PLATFORM)

#define RESET_BOOT_NS (1000 * NSEC_PER_MSEC)
#define RESET_FRESH_NS                                                                             \
	(1 * NSEC_PER_MSEC) /* of one that was just plugged in, while guests wait                  \
			     */
#define RESET_NS       (10 * NSEC_PER_SEC)
#define RESET_LOOK_NS  (1 * NSEC_PER_MSEC)
#define GENERATION_MAX 16u /* readings that a change may spoil */

static volatile void *common(struct virtio_dev *dev, uint32_t reg)
{
	return dev->parts[VIRTIO_PART_COMMON] + reg;
}

static uint8_t read8(struct virtio_dev *dev, uint32_t reg)
{
	return *(volatile uint8_t *)common(dev, reg);
}

static void write8(struct virtio_dev *dev, uint32_t reg, uint8_t val)
{
	*(volatile uint8_t *)common(dev, reg) = val;
}

static uint16_t read16(struct virtio_dev *dev, uint32_t reg)
{
	return *(volatile uint16_t *)common(dev, reg);
}

static void write16(struct virtio_dev *dev, uint32_t reg, uint16_t val)
{
	*(volatile uint16_t *)common(dev, reg) = val;
}

static uint32_t read32(struct virtio_dev *dev, uint32_t reg)
{
	return *(volatile uint32_t *)common(dev, reg);
}

static void write32(struct virtio_dev *dev, uint32_t reg, uint64_t val)
{
	*(volatile uint32_t *)common(dev, reg) = (uint32_t)val;
}

static void write64(struct virtio_dev *dev, uint32_t reg, uint64_t val)
{
	write32(dev, reg, val);
	write32(dev, reg + 4, val >> 32);
}

static void add_status(struct virtio_dev *dev, uint8_t bits)
{
	write8(dev, COMMON_DEVICE_STATUS, read8(dev, COMMON_DEVICE_STATUS) | bits);
}

/* Emulators answer zero, not all ones, where the registers of a device were: ask its header, too.
 */
static bool is_gone(struct virtio_dev *dev)
{
	if (!dev->is_gone && !pci_is_present(&pci_machine, dev->pci)) {
		dev->is_gone = true;
		log_err("virtio", "%s: does not answer any more", dev->location);
	}
	return dev->is_gone;
}

enum hv_err virtio_dev_look(struct virtio_dev *dev)
{
	uint8_t status = dev->is_gone ? STATUS_GONE : read8(dev, COMMON_DEVICE_STATUS);
	bool is_well = status != STATUS_GONE && (status & STATUS_DRIVER_OK) &&
		       !(status & STATUS_NEEDS_RESET);

	if (is_well)
		return HV_OK;
	return is_gone(dev) ? HV_ENOENT : HV_EIO;
}

/* ---- finding it ---- */

static enum hv_err map_parts(struct virtio_dev *dev)
{
	for (uint32_t i = 0; i < VIRTIO_PARTS; i++) {
		const struct virtio_place *place = &dev->caps.parts[i];

		if (place->len_bytes == 0)
			continue;
		dev->parts[i] = mmio_map(dev->pci->bars[place->bar].base + place->offset,
					 MIN(place->len_bytes, 64 * KIB));
		if (!dev->parts[i])
			return HV_ENOMEM;
	}
	return HV_OK;
}

/* In its reset, which ends when the status reads zero. */
static bool is_in_reset(struct virtio_dev *dev)
{
	return read8(dev, COMMON_DEVICE_STATUS) != 0;
}

static enum hv_err reset_at_boot(struct virtio_dev *dev)
{
	uint64_t limit_ns = dev->pci->is_plugged_in ? RESET_FRESH_NS : RESET_BOOT_NS;
	uint64_t start = time_now_ns();

	write8(dev, COMMON_DEVICE_STATUS, 0);
	while (is_in_reset(dev))
		if (time_now_ns() - start > limit_ns)
			return HV_EIO;
	return HV_OK;
}

static enum hv_err find_parts(struct virtio_dev *dev)
{
	enum hv_err err = virtio_caps_find(&pci_machine, dev->pci, &dev->caps);

	if (err == HV_ENOTSUP)
		log_warn("virtio",
			 "%s: has the legacy interface only; Billet needs virtio 1.0 or later "
			 "(QEMU: disable-modern=off)",
			 dev->location);
	return err == HV_OK ? map_parts(dev) : err;
}

enum hv_err virtio_dev_open(struct virtio_dev *dev, struct pci_device *pci)
{
	enum hv_err err = dev_open(pci);

	dev->pci = pci;
	dev_name(pci, dev->location, sizeof(dev->location));
	if (err == HV_OK)
		err = find_parts(dev);
	if (err == HV_OK)
		err = reset_at_boot(dev);
	if (err != HV_OK)
		return err;
	dev_start_dma(pci);
	add_status(dev, STATUS_ACKNOWLEDGE);
	add_status(dev, STATUS_DRIVER);
	return HV_OK;
}

void virtio_dev_close(struct virtio_dev *dev)
{
	if (dev->parts[VIRTIO_PART_COMMON] && reset_at_boot(dev) == HV_OK)
		add_status(dev, STATUS_FAILED);
	virtio_dev_abandon(dev);
}

void virtio_dev_abandon(struct virtio_dev *dev)
{
	dev->is_gone = true;
	dev_stop_dma(dev->pci);
}

void virtio_dev_leave(struct virtio_dev *dev)
{
	timer_cancel(&dev->reset_timer); /* one that is under way ends here */
	if (!dev->is_gone)
		write8(dev, COMMON_DEVICE_STATUS, 0);
}

bool virtio_dev_has_left(struct virtio_dev *dev)
{
	return dev->is_gone || !is_in_reset(dev);
}

void virtio_dev_release(struct virtio_dev *dev)
{
	virtio_dev_abandon(dev);
	dev_irqs_disconnect(&dev->irqs);
	dev_wait_for_cpus();
	dev_irqs_free(&dev->irqs);
	timer_cancel(&dev->reset_timer);
}

/* ---- features and configuration ---- */

uint64_t virtio_dev_offers(struct virtio_dev *dev)
{
	uint64_t features;

	write32(dev, COMMON_DEVICE_FEATURE_SELECT, 0);
	features = read32(dev, COMMON_DEVICE_FEATURE);
	write32(dev, COMMON_DEVICE_FEATURE_SELECT, 1);
	return features | (uint64_t)read32(dev, COMMON_DEVICE_FEATURE) << 32;
}

static enum hv_err accept_features(struct virtio_dev *dev, uint64_t features)
{
	for (uint32_t i = 0; i < 2; i++) {
		write32(dev, COMMON_DRIVER_FEATURE_SELECT, i);
		write32(dev, COMMON_DRIVER_FEATURE, features >> (32 * i));
	}
	add_status(dev, STATUS_FEATURES_OK);
	return read8(dev, COMMON_DEVICE_STATUS) & STATUS_FEATURES_OK ? HV_OK : HV_ENOTSUP;
}

enum hv_err virtio_dev_negotiate(struct virtio_dev *dev, uint64_t wanted)
{
	uint64_t features = virtio_dev_offers(dev) & (wanted | RING_FEATURES);

	if (!(features & VIRTIO_F_VERSION_1))
		return HV_ENOTSUP;
	dev->features = features;
	return accept_features(dev, features);
}

static uint64_t config_read(struct virtio_dev *dev, uint32_t offset, uint32_t size)
{
	volatile uint8_t *at = dev->parts[VIRTIO_PART_CONFIG] + offset;

	switch (size) {
	case 1:
		return *at;
	case 2:
		return *(volatile uint16_t *)at;
	case 4:
		return *(volatile uint32_t *)at;
	default:
		return *(volatile uint32_t *)at | (uint64_t)*(volatile uint32_t *)(at + 4) << 32;
	}
}

uint64_t virtio_dev_config(struct virtio_dev *dev, uint32_t offset, uint32_t size)
{
	uint8_t generation;
	uint64_t val = ~0ull;

	ASSERT(IS_ALIGNED(offset, MIN(size, 4u)));
	if (dev->is_gone ||
	    !range_fits(offset, size, dev->caps.parts[VIRTIO_PART_CONFIG].len_bytes))
		return val;
	for (uint32_t i = 0; i < GENERATION_MAX; i++) {
		generation = read8(dev, COMMON_CONFIG_GENERATION);
		val = config_read(dev, offset, size);
		if (read8(dev, COMMON_CONFIG_GENERATION) == generation)
			break;
	}
	return val;
}

/* ---- rings ---- */

static unsigned order_of(size_t len_bytes)
{
	unsigned order = 0;

	while ((PAGE_SIZE << order) < len_bytes)
		order++;
	return order;
}

/* The largest power of two that is no more than what is offered and what we can. */
static uint16_t ring_size(uint16_t offered)
{
	uint16_t size = 1;

	while (2u * size <= MIN(offered, VIRTQ_SIZE_MAX))
		size = (uint16_t)(2 * size);
	return size;
}

enum hv_err virtio_dev_alloc_ring(struct virtio_dev *dev, struct virtio_ring *ring, uint16_t index,
				  uint16_t table_max, uint16_t nr_tables)
{
	struct virtq_shape *shape = &ring->shape;
	uint16_t offered = 0;

	ring->memory = HPA_NONE;
	ring->index = index;
	if (index < read16(dev, COMMON_NUM_QUEUES)) {
		write16(dev, COMMON_QUEUE_SELECT, index);
		offered = read16(dev, COMMON_QUEUE_SIZE);
	}
	if (offered == 0)
		return HV_ENOENT;

	shape->size = ring_size(offered);
	shape->has_event_idx = dev->features & VIRTIO_F_EVENT_IDX;
	if (dev->features & VIRTIO_F_INDIRECT_DESC) {
		shape->table_max = MIN(table_max, shape->size);
		shape->nr_tables = MIN(nr_tables, shape->size);
	}
	ring->order = order_of(virtq_layout(shape).len_bytes);
	ring->memory = pages_alloc(ring->order);
	return ring->memory == HPA_NONE ? HV_ENOMEM : HV_OK;
}

void virtio_dev_free_ring(struct virtio_ring *ring)
{
	if (ring->memory != HPA_NONE)
		pages_free(ring->memory, ring->order);
	ring->memory = HPA_NONE;
}

/* The entry of the MSI-X table that a line was given. */
static uint16_t vector_of(const struct virtio_dev *dev, uint32_t line)
{
	if (dev->irqs.kind != DEV_IRQ_MSIX || line == VIRTIO_NO_LINE)
		return MSI_NO_VECTOR;
	return (uint16_t)(line % dev->irqs.nr_vectors);
}

/* A device that has no resources for a vector says so by not keeping it. */
static enum hv_err set_vector(struct virtio_dev *dev, uint32_t reg, uint32_t line)
{
	uint16_t vector = vector_of(dev, line);

	write16(dev, reg, vector);
	return read16(dev, reg) == vector ? HV_OK : HV_EIO;
}

static enum hv_err find_notify(struct virtio_dev *dev, struct virtio_ring *ring)
{
	uint64_t offset =
		(uint64_t)read16(dev, COMMON_QUEUE_NOTIFY_OFF) * dev->caps.notify_multiplier;
	uint64_t len = MIN(dev->caps.parts[VIRTIO_PART_NOTIFY].len_bytes, 64 * KIB);

	if (!range_fits(offset, 2, len) || !IS_ALIGNED(offset, 2))
		return HV_EIO;
	ring->notify = (volatile uint16_t *)(dev->parts[VIRTIO_PART_NOTIFY] + offset);
	return HV_OK;
}

enum hv_err virtio_dev_enable_ring(struct virtio_dev *dev, struct virtio_ring *ring, uint32_t line)
{
	struct virtq_layout layout = virtq_layout(&ring->shape);
	enum hv_err err;

	virtq_init(&ring->q, hva_of(ring->memory), ring->memory, &ring->shape);
	write16(dev, COMMON_QUEUE_SELECT, ring->index);
	if (read16(dev, COMMON_QUEUE_SIZE) < ring->shape.size)
		return HV_EIO;
	write16(dev, COMMON_QUEUE_SIZE, ring->shape.size);
	write64(dev, COMMON_QUEUE_DESC, ring->memory);
	write64(dev, COMMON_QUEUE_DRIVER, ring->memory + layout.avail);
	write64(dev, COMMON_QUEUE_DEVICE, ring->memory + layout.used);
	err = set_vector(dev, COMMON_QUEUE_MSIX_VECTOR, line);
	if (err == HV_OK)
		err = find_notify(dev, ring);
	if (err == HV_OK)
		write16(dev, COMMON_QUEUE_ENABLE, 1);
	return err;
}

enum hv_err virtio_dev_ok(struct virtio_dev *dev)
{
	enum hv_err err = set_vector(dev, COMMON_CONFIG_MSIX_VECTOR, dev->nr_lines);

	if (err != HV_OK)
		return err;
	add_status(dev, STATUS_DRIVER_OK);
	return virtio_dev_look(dev);
}

/* ---- interrupts ---- */

static void look_at_isr(struct virtio_dev *dev)
{
	uint8_t isr = *dev->parts[VIRTIO_PART_ISR];

	if (isr & ISR_CONFIG)
		__atomic_store_n(&dev->config_interrupts, 1, __ATOMIC_RELAXED);
}

static void handle_interrupt(void *arg)
{
	struct virtio_line *line = arg;
	struct virtio_dev *dev = line->dev;
	bool has_isr = dev->irqs.kind != DEV_IRQ_MSIX;

	if (dev->is_gone)
		return;
	if (has_isr && line->index == 0)
		look_at_isr(dev);
	if (line->index < dev->nr_lines)
		dev->ops->line(dev, line->index);
	else if (!has_isr || __atomic_exchange_n(&dev->config_interrupts, 0, __ATOMIC_RELAXED))
		dev->ops->config_changed(dev);
}

enum hv_err virtio_dev_connect(struct virtio_dev *dev, uint32_t nr_lines)
{
	struct dev_irq_handler handlers[VIRTIO_LINES_MAX + 1];

	ASSERT(nr_lines > 0 && nr_lines <= VIRTIO_LINES_MAX);
	dev->nr_lines = nr_lines;
	for (uint32_t i = 0; i <= nr_lines; i++) {
		dev->lines[i] = (struct virtio_line){.dev = dev, .index = i};
		handlers[i] = (struct dev_irq_handler){handle_interrupt, &dev->lines[i]};
	}
	return dev_irqs_connect(&dev->irqs, dev->pci, handlers, nr_lines + 1, DEV_IRQ_MSIX);
}

/* ---- resets while the machine runs ---- */

static enum hv_err greet_again(struct virtio_dev *dev)
{
	add_status(dev, STATUS_ACKNOWLEDGE);
	add_status(dev, STATUS_DRIVER);
	if (dev->features & ~virtio_dev_offers(dev))
		return HV_EIO;
	return accept_features(dev, dev->features) == HV_OK ? HV_OK : HV_EIO;
}

static void look_whether_reset(struct timer *timer)
{
	struct virtio_dev *dev = container_of(timer, struct virtio_dev, reset_timer);

	if (is_gone(dev)) {
		dev->reset_done(dev, HV_ENOENT);
		return;
	}
	if (!is_in_reset(dev)) {
		dev->reset_done(dev, greet_again(dev));
		return;
	}
	if (time_now_ns() > dev->reset_deadline_ns) {
		dev->reset_done(dev, HV_EIO);
		return;
	}
	timer_set_in(timer, RESET_LOOK_NS);
}

void virtio_dev_reset(struct virtio_dev *dev, void (*done)(struct virtio_dev *dev, enum hv_err err))
{
	dev->reset_done = done;
	dev->reset_deadline_ns = time_now_ns() + RESET_NS;
	timer_init(&dev->reset_timer, look_whether_reset);
	if (!is_gone(dev))
		write8(dev, COMMON_DEVICE_STATUS, 0);
	look_whether_reset(&dev->reset_timer);
}
