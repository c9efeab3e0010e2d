/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports and interrupts of an IDE controller, and the block devices behind its channels.
 *
 * A channel is in compatibility mode, with the ports and the ISA interrupt that it had in the AT,
 * or in native mode, with the BARs and the interrupt of a PCI function. The timing of transfers is
 * left as firmware set it up for the drives, since its registers are each chip's own.
 *
 * Source: [PCIIDE] "PCI IDE Controller Specification"; [BMIDE] "Register Description".
 */
#include "drivers/ata.h"

#include "drivers/ata_channel.h"
#include "drivers/dev_irqs.h"
#include "drivers/dev_open.h"
#include "kernel/cpu_hw.h"
#include "kernel/irq.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/time.h"

#define CHANNELS     2u
#define BM_BAR	     4u
#define BM_PORTS     16u
#define MEMORY_ORDER 6
static_assert(sizeof(struct ata_memory) <= PAGE_SIZE << MEMORY_ORDER, "a channel fits its pages");

/* [PCIIDE] programming interface, in the class code */
#define PROG_NATIVE(channel) (1u << 2 * (channel))
#define PROG_BUS_MASTER	     0x80u

/* In compatibility mode. */
static const struct {
	uint16_t command, control;
	uint8_t isa_irq;
} compatible[CHANNELS] = {{0x1f0, 0x3f6, 14}, {0x170, 0x376, 15}};

struct channel;

struct drive {
	struct block_dev dev;
	struct channel *channel;
	uint32_t index;
};

struct channel {
	struct pci_device *dev;
	uint16_t command, control, bus_master; /* first ports */
	char name[12];
	hpa_t memory; /* HPA_NONE: none, and so no channel */
	struct ata_ports ports;
	struct timer timer; /* of whoever set has_alarm; only alarm() clears that */
	struct drive drives[ATA_DRIVES];
	struct channel *other; /* of the same controller, whose bus mastering it shares */
	struct lock lock;
	struct ata_channel channel; /* under lock, with has_alarm */
	bool has_alarm;
};

struct controller {
	struct dev_irqs irqs; /* in native mode */
	struct channel channels[CHANNELS];
};

static uint32_t nr_channels; /* for names */

static uint32_t port_read(void *arg, enum ata_reg reg)
{
	const struct channel *c = arg;

	switch (reg) {
	case ATA_REG_DATA:
		return in16(c->command);
	case ATA_REG_CONTROL:
		return in8(c->control);
	case ATA_REG_BM_COMMAND:
		return in8(c->bus_master);
	case ATA_REG_BM_STATUS:
		return in8(c->bus_master + 2);
	case ATA_REG_BM_PRDT:
		return in32(c->bus_master + 4);
	default:
		return in8((uint16_t)(c->command + reg));
	}
}

static void port_write(void *arg, enum ata_reg reg, uint32_t val)
{
	const struct channel *c = arg;

	switch (reg) {
	case ATA_REG_DATA:
		out16(c->command, (uint16_t)val);
		return;
	case ATA_REG_CONTROL:
		out8(c->control, (uint8_t)val);
		return;
	case ATA_REG_BM_COMMAND:
		out8(c->bus_master, (uint8_t)val);
		return;
	case ATA_REG_BM_STATUS:
		out8(c->bus_master + 2, (uint8_t)val);
		return;
	case ATA_REG_BM_PRDT:
		out32(c->bus_master + 4, val);
		return;
	default:
		out8((uint16_t)(c->command + reg), (uint8_t)val);
	}
}

static void wait_us(void *arg, uint32_t us)
{
	(void)arg;
	time_busy_wait_ns(us * NSEC_PER_USEC);
}

/* ---- what a channel wants ---- */

/* What follows ata_channel_*(), in two halves: under the channel's lock, and not. */
struct aftermath {
	struct ata_events events;
	struct list batches[ATA_DRIVES];
	bool is_alarm_ours;
};

static void enter_channel(struct channel *c, struct aftermath *after)
{
	memset(after, 0, sizeof(*after));
	for (uint32_t i = 0; i < ATA_DRIVES; i++)
		list_init(&after->batches[i]);
	lock_take(&c->lock);
}

static void leave_channel(struct channel *c, struct aftermath *after)
{
	const struct ata_events *ev = &after->events;

	for (uint32_t i = 0; i < ev->nr_done; i++)
		block_finish(&c->drives[ev->done[i].drive].dev, ev->done[i].req, ev->done[i].status,
			     &after->batches[ev->done[i].drive]);
	after->is_alarm_ours = c->channel.wake_ns && !c->has_alarm;
	c->has_alarm |= after->is_alarm_ours;
	lock_release(&c->lock);
}

static void do_events(struct channel *c, struct aftermath *after)
{
	for (uint32_t i = 0; i < ATA_DRIVES; i++) {
		struct block_dev *dev = &c->drives[i].dev;

		if (!c->channel.drives[i].is_disk)
			continue;
		if (after->events.nr_done > 0)
			block_end(dev, &after->batches[i]);
		if (after->events.is_dead)
			block_gone(dev);
		else if (after->events.is_reset_done[i])
			block_reset_done(dev, HV_OK);
	}
	if (after->is_alarm_ours)
		timer_set(&c->timer, time_tsc_at(c->channel.wake_ns));
}

/* Returns how many requests have ended. */
static uint32_t run(struct channel *c)
{
	struct aftermath after;

	enter_channel(c, &after);
	ata_channel_run(&c->channel, time_now_ns(), &after.events);
	leave_channel(c, &after);
	do_events(c, &after);
	return after.events.nr_done;
}

static void alarm(struct timer *timer)
{
	struct channel *c = container_of(timer, struct channel, timer);
	uint64_t wake_ns;

	run(c);
	lock_take(&c->lock);
	wake_ns = c->channel.wake_ns;
	c->has_alarm = wake_ns != 0;
	lock_release(&c->lock);
	if (wake_ns)
		timer_set(timer, time_tsc_at(wake_ns));
}

static void handle_interrupt(void *arg)
{
	run(arg);
}

/* ---- as block devices ---- */

static struct drive *drive_of(struct block_dev *dev)
{
	return container_of(dev, struct drive, dev);
}

static enum hv_err submit(struct block_dev *dev, struct block_request *req)
{
	struct drive *drive = drive_of(dev);
	struct channel *c = drive->channel;
	struct aftermath after;
	enum hv_err err;

	enter_channel(c, &after);
	block_accept(dev, req); /* it may be over before submit() returns */
	err = ata_channel_submit(&c->channel, drive->index, req, time_now_ns(), &after.events);
	leave_channel(c, &after);
	do_events(c, &after);
	return err;
}

static uint32_t poll(struct block_dev *dev)
{
	return run(drive_of(dev)->channel);
}

static void reset(struct block_dev *dev)
{
	struct drive *drive = drive_of(dev);
	struct channel *c = drive->channel;
	struct aftermath after;

	enter_channel(c, &after);
	ata_channel_reset(&c->channel, drive->index, time_now_ns(), &after.events);
	leave_channel(c, &after);
	do_events(c, &after);
}

static void kill(struct channel *c)
{
	struct aftermath after;

	if (c->memory == HPA_NONE)
		return;
	enter_channel(c, &after);
	ata_channel_kill(&c->channel, &after.events);
	leave_channel(c, &after);
	do_events(c, &after);
}

static void abandon(struct block_dev *dev)
{
	struct channel *c = drive_of(dev)->channel;

	log_err("ata", "%s: its controller is switched off", dev->name);
	dev_stop_dma(c->dev);
	kill(c);
	kill(c->other);
}

static const struct block_ops ata_ops = {
	.driver = "ata",
	.submit = submit,
	.poll = poll,
	.reset = reset,
	.abandon = abandon,
};

static void add_drive(struct channel *c, uint32_t index)
{
	const struct ata_identity *id = &c->channel.drives[index].id;
	struct block_dev *dev = &c->drives[index].dev;
	uint64_t sectors_max = id->has_lba48 ? ATA_SECTORS_48 : ATA_SECTORS_28;
	enum hv_err err;

	c->drives[index].channel = c;
	c->drives[index].index = index;
	ata_describe(id, dev);
	dev->ops = &ata_ops;
	fmt(dev->name, sizeof(dev->name), "%s%c", c->name, index ? 's' : 'm');
	dev_name(c->dev, dev->location, sizeof(dev->location));
	dev->limits = (struct block_limits){
		.max_bytes = (uint32_t)MIN(ATA_MAX_BYTES, sectors_max * id->sector_bytes),
		.max_segs = ATA_SEGS_MAX,
		.align_bytes = 2,
		.max_discard_sectors = id->has_trim ? ATA_TRIM_SECTORS_MAX : 0,
	};
	err = block_add(dev);
	if (err != HV_OK)
		log_warn("ata", "%s: cannot be added: %s", dev->name, hv_strerror(err));
	else
		log_info("ata", "%s: %s, %llu MiB in sectors of %u bytes", dev->name, dev->model,
			 dev->nr_sectors * dev->sector_bytes / MIB, dev->sector_bytes);
}

/* ---- the controller ---- */

static bool is_native(const struct pci_device *dev, uint32_t index)
{
	return dev->class_code & PROG_NATIVE(index);
}

static bool find_ports(struct channel *c, uint32_t index)
{
	uint16_t bus_master = dev_ports(c->dev, BM_BAR, BM_PORTS), control;

	c->bus_master = (uint16_t)(bus_master + 8 * index);
	c->command = compatible[index].command;
	c->control = compatible[index].control;
	if (is_native(c->dev, index)) {
		c->command = dev_ports(c->dev, 2 * index, 8);
		control = dev_ports(c->dev, 2 * index + 1, 4);
		c->control = control ? (uint16_t)(control + 2) : 0;
	}
	return bus_master && c->command && c->control;
}

/* Its DMA has 32 address bits. */
static hpa_t alloc_memory(void)
{
	hpa_t hpa = pages_alloc(MEMORY_ORDER);

	if (hpa != HPA_NONE && !range_fits(hpa, PAGE_SIZE << MEMORY_ORDER, 4 * GIB)) {
		pages_free(hpa, MEMORY_ORDER);
		return HPA_NONE;
	}
	return hpa;
}

static bool has_disk(const struct channel *c)
{
	return c->channel.drives[0].is_disk || c->channel.drives[1].is_disk;
}

/* False: it has no disk that we could use, and is left as it was. */
static bool open_channel(struct channel *c, uint32_t index)
{
	c->memory = HPA_NONE;
	if (!find_ports(c, index))
		return false;
	fmt(c->name, sizeof(c->name), "ata%u", nr_channels);
	c->ports = (struct ata_ports){
		.read = port_read, .write = port_write, .wait_us = wait_us, .arg = c};
	c->channel.ports = &c->ports;
	c->channel.name = c->name;
	timer_init(&c->timer, alarm);
	ata_channel_probe(&c->channel);
	nr_channels++;
	if (!has_disk(c))
		return false;
	c->memory = alloc_memory();
	if (c->memory == HPA_NONE) {
		log_warn("ata", "%s: no memory below 4 GiB", c->name);
		return false;
	}
	c->channel.mem = hva_of(c->memory);
	c->channel.mem_hpa = c->memory;
	return true;
}

static enum hv_err connect_isa(struct channel *c, uint32_t index)
{
	enum irq_trigger trigger;
	uint32_t gsi = irq_isa_gsi(compatible[index].isa_irq, &trigger);
	uint8_t vector;
	enum hv_err err = irq_vector_take(handle_interrupt, c, &vector);

	return err == HV_OK ? irq_route_gsi(gsi, vector, trigger) : err;
}

static enum hv_err connect(struct controller *ctrl, struct pci_device *dev)
{
	struct dev_irq_handler handlers[CHANNELS];
	uint32_t nr_native = 0;
	enum hv_err err = HV_OK;

	for (uint32_t i = 0; i < CHANNELS; i++) {
		struct channel *c = &ctrl->channels[i];

		if (c->memory == HPA_NONE)
			continue;
		if (is_native(dev, i))
			handlers[nr_native++] =
				(struct dev_irq_handler){.fn = handle_interrupt, .arg = c};
		else if (err == HV_OK)
			err = connect_isa(c, i);
	}
	if (err == HV_OK && nr_native > 0)
		err = dev_irqs_connect(&ctrl->irqs, dev, handlers, nr_native, DEV_IRQ_MSI);
	return err;
}

/* A controller with nothing but CD drives needs no driver, and loses none of its memory to us. */
static enum hv_err attach(struct pci_device *dev)
{
	struct controller *ctrl = kmem_alloc(sizeof(*ctrl));
	uint32_t nr_used = 0;
	enum hv_err err;

	if (!ctrl)
		return HV_ENOMEM;
	err = dev_open(dev);
	if (err == HV_OK && !(dev->class_code & PROG_BUS_MASTER))
		err = HV_ENOTSUP;
	if (err != HV_OK)
		goto free_controller;
	for (uint32_t i = 0; i < CHANNELS; i++) {
		ctrl->channels[i].dev = dev;
		ctrl->channels[i].other = &ctrl->channels[i ^ 1];
		nr_used += open_channel(&ctrl->channels[i], i);
	}
	if (nr_used == 0)
		goto free_controller;
	err = connect(ctrl, dev); /* a vector that was taken stays, and so does what it leads to */
	if (err != HV_OK)
		return err;
	dev_start_dma(dev);
	for (uint32_t i = 0; i < CHANNELS * ATA_DRIVES; i++) {
		struct channel *c = &ctrl->channels[i / ATA_DRIVES];

		if (c->memory != HPA_NONE && c->channel.drives[i % ATA_DRIVES].is_disk)
			add_drive(c, i % ATA_DRIVES);
	}
	return HV_OK;

free_controller:
	kmem_free(ctrl);
	return err;
}

static const struct pci_class_match classes[] = {
	{0x010100, 0xffff00}, /* mass storage, IDE, any programming interface */
};

const struct pci_driver ata_driver = {
	.name = "ata",
	.base_class = PCI_CLASS_STORAGE,
	.devices = "IDE with bus-master DMA",
	.classes = classes,
	.nr_classes = ARRAY_SIZE(classes),
	.attach = attach,
};
