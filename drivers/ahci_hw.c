/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of an AHCI controller: taking it over from the firmware, its reset, its interrupt,
 * and the block devices behind its ports.
 *
 * Each port has a lock and a timer of its own. What a port wants of the world it says in a struct
 * ahci_events; that is done when the lock is released, since a request's done() may submit again,
 * and a timer may be waiting for the lock. At boot the ports are run by spinning until each has
 * found its disk or nothing; a disk that takes longer to spin up, or is plugged in later, comes by
 * interrupt and timer.
 *
 * Source: [AHCI] "Generic Host Control", "System Software Specific Initialization", "BIOS/OS
 * Handoff".
 */
#include "drivers/ahci.h"

#include "drivers/ahci_port.h"
#include "drivers/dev_irqs.h"
#include "drivers/dev_open.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"

#define ABAR 5u /* the BAR with the registers */

/* [AHCI] "Generic Host Control" */
#define REG_CAP	 0x00u
#define REG_GHC	 0x04u
#define REG_IS	 0x08u
#define REG_PI	 0x0cu
#define REG_VS	 0x10u
#define REG_CAP2 0x24u
#define REG_BOHC 0x28u
#define REG_PORT 0x100u

#define CAP_NR_PORTS 0x0000001fu /* less one */
#define CAP_NR_SLOTS 0x00001f00u /* less one */
#define CAP_SSS	     0x08000000u /* staggered spin-up */
#define CAP_SNCQ     0x40000000u
#define CAP_S64A     0x80000000u
#define GHC_HR	     0x00000001u /* reset */
#define GHC_IE	     0x00000002u
#define GHC_AE	     0x80000000u /* AHCI, and not IDE */
#define CAP2_BOH     0x00000001u
#define BOHC_BOS     0x00000001u /* the firmware owns it */
#define BOHC_OOS     0x00000002u /* we do */
#define BOHC_BB	     0x00000010u /* the firmware has commands to end */

#define MS		 NSEC_PER_MSEC
#define RESET_NS	 (1000 * MS)
#define HANDOFF_NS	 (25 * MS)
#define HANDOFF_BUSY_NS	 (2000 * MS)
#define SETTLE_NS	 (10000 * MS) /* how long boot waits for disks */
#define SPIN_UP_APART_NS (700 * MS)
#define ALARM_NS	 (10 * MS) /* an alarm is never further away, as it cannot be moved */
#define IRQ_ROUNDS	 8u	   /* of one interrupt; then another one comes */
#define MEMORY_ORDER	 4
static_assert(sizeof(struct ahci_memory) <= PAGE_SIZE << MEMORY_ORDER, "a port fits its pages");

struct hba;

struct disk { /* one that was here once; its struct stays */
	struct block_dev dev;
	struct hba_port *port;
};

struct hba_port {
	struct hba *hba;
	volatile uint32_t *registers;
	uint32_t index, nr_disks; /* how many have been here: for names */
	char name[12];
	hpa_t memory;
	struct ahci_regs regs;
	struct timer timer; /* of whoever set has_alarm; only alarm() clears that */
	struct lock lock;
	struct ahci_port port; /* under lock, as all below */
	struct disk *disk;     /* NULL: none */
	bool has_alarm;
};

struct hba {
	struct pci_device *dev;
	volatile uint32_t *registers;
	uint32_t index, implemented; /* a bit for each port */
	struct dev_irqs irqs;
	struct hba_port *ports[AHCI_NR_PORTS];
	char location[16];
};

static uint32_t nr_hbas;

static uint32_t reg_read(struct hba *hba, uint32_t reg)
{
	return hba->registers[reg / 4];
}

static void reg_write(struct hba *hba, uint32_t reg, uint32_t val)
{
	hba->registers[reg / 4] = val;
}

static uint32_t port_read(void *arg, uint32_t reg)
{
	const struct hba_port *port = arg;

	return port->registers[reg / 4];
}

static void port_write(void *arg, uint32_t reg, uint32_t val)
{
	const struct hba_port *port = arg;

	port->registers[reg / 4] = val;
}

/* ---- what a port wants ---- */

static const struct block_ops ahci_ops;

/* Everything there is to do after ahci_port_*(), in two halves: under the port's lock, and not. */
struct aftermath {
	struct ahci_events events;
	struct list batch;
	struct disk *disk;
	bool is_alarm_ours;
};

static void set_alarm(struct hba_port *port)
{
	timer_set(&port->timer, time_tsc_at(MIN(port->port.wake_ns, time_now_ns() + ALARM_NS)));
}

static void enter_port(struct hba_port *port, struct aftermath *after)
{
	memset(after, 0, sizeof(*after));
	list_init(&after->batch);
	lock_take(&port->lock);
	after->disk = port->disk;
}

static void describe(struct hba_port *port, struct disk *disk)
{
	const struct ata_identity *id = &port->port.id;
	struct block_dev *dev = &disk->dev;
	uint64_t sectors_max = id->has_lba48 ? ATA_SECTORS_48 : ATA_SECTORS_28;

	ata_describe(id, dev);
	dev->ops = &ahci_ops;
	memcpy(dev->location, port->hba->location, sizeof(dev->location));
	if (port->nr_disks++ == 0)
		fmt(dev->name, sizeof(dev->name), "%s", port->name);
	else
		fmt(dev->name, sizeof(dev->name), "%s.%u", port->name, port->nr_disks - 1);
	dev->limits = (struct block_limits){
		.max_bytes = (uint32_t)MIN(AHCI_MAX_BYTES, sectors_max * id->sector_bytes),
		.max_segs = AHCI_SEGS_MAX,
		.align_bytes = 2,
		.max_discard_sectors = id->has_trim ? ATA_TRIM_SECTORS_MAX : 0,
	};
}

static struct disk *new_disk(struct hba_port *port)
{
	struct disk *disk = kmem_alloc(sizeof(*disk));

	if (!disk) {
		log_warn("ahci", "%s: no memory for a disk", port->name);
		return NULL;
	}
	disk->port = port;
	describe(port, disk);
	return disk;
}

static void leave_port(struct hba_port *port, struct aftermath *after)
{
	const struct ahci_events *ev = &after->events;

	for (uint32_t i = 0; i < ev->nr_done; i++)
		block_finish(&after->disk->dev, ev->done[i].req, ev->done[i].status, &after->batch);
	if (ev->is_gone)
		port->disk = NULL;
	if (ev->is_new)
		port->disk = new_disk(port);
	if (ev->has_health && port->disk)
		port->disk->dev.health = port->port.health;
	after->is_alarm_ours = port->port.wake_ns && !port->has_alarm;
	port->has_alarm |= after->is_alarm_ours;
	lock_release(&port->lock);
}

static void add_disk(struct hba_port *port, struct disk *disk)
{
	const struct block_dev *dev = &disk->dev;
	enum hv_err err = block_add(&disk->dev);

	if (err != HV_OK) {
		log_warn("ahci", "%s: a disk that cannot be added: %s", port->name,
			 hv_strerror(err));
		return;
	}
	log_info("ahci", "%s: %s, %llu MiB in sectors of %u bytes%s", dev->name, dev->model,
		 dev->nr_sectors * dev->sector_bytes / MIB, dev->sector_bytes,
		 port->port.can_queue && port->port.id.queue_depth ? ", NCQ" : "");
	ahci_ops.ask_health(&disk->dev);
}

static void switch_off(struct hba *hba);

static void do_events(struct hba_port *port, struct aftermath *after)
{
	const struct ahci_events *ev = &after->events;

	if (ev->is_wedged)
		switch_off(port->hba);
	if (after->disk && ev->nr_done > 0)
		block_end(&after->disk->dev, &after->batch);
	if (after->disk && ev->is_gone)
		block_gone(&after->disk->dev);
	if (ev->is_new && port->disk)
		add_disk(port, port->disk);
	if (after->disk && ev->is_reset_done)
		block_reset_done(&after->disk->dev, HV_OK);
	if (after->is_alarm_ours)
		set_alarm(port);
}

/* Returns how many requests have ended. */
static uint32_t run(struct hba_port *port)
{
	struct aftermath after;

	enter_port(port, &after);
	ahci_port_run(&port->port, time_now_ns(), &after.events);
	leave_port(port, &after);
	do_events(port, &after);
	return after.events.nr_done;
}

static void alarm(struct timer *timer)
{
	struct hba_port *port = container_of(timer, struct hba_port, timer);
	bool goes_on;

	run(port);
	lock_take(&port->lock);
	goes_on = port->has_alarm = port->port.wake_ns != 0;
	lock_release(&port->lock);
	if (goes_on)
		set_alarm(port);
}

/* An engine that does not stop would go on writing into memory: none of the controller may. */
static void switch_off(struct hba *hba)
{
	dev_stop_dma(hba->dev);
	for (uint32_t i = 0; i < AHCI_NR_PORTS; i++) {
		struct hba_port *port = hba->ports[i];
		struct aftermath after;

		if (!port)
			continue;
		enter_port(port, &after);
		ahci_port_kill(&port->port, &after.events);
		leave_port(port, &after);
		do_events(port, &after);
	}
}

/* ---- as a block device ---- */

static struct hba_port *port_of(struct block_dev *dev)
{
	return container_of(dev, struct disk, dev)->port;
}

static enum hv_err submit(struct block_dev *dev, struct block_request *req)
{
	struct hba_port *port = port_of(dev);
	enum hv_err err = HV_ENOENT;

	lock_take(&port->lock);
	if (port->disk && &port->disk->dev == dev)
		err = ahci_port_submit(&port->port, req);
	if (err == HV_OK)
		block_accept(dev, req);
	lock_release(&port->lock);
	return err;
}

static uint32_t poll(struct block_dev *dev)
{
	return run(port_of(dev));
}

static void reset(struct block_dev *dev)
{
	struct hba_port *port = port_of(dev);
	struct aftermath after;

	enter_port(port, &after);
	if (after.disk && &after.disk->dev == dev)
		ahci_port_reset(&port->port, time_now_ns(), &after.events);
	leave_port(port, &after);
	do_events(port, &after);
}

static void abandon(struct block_dev *dev)
{
	struct hba_port *port = port_of(dev);

	log_err("ahci", "%s: its controller is switched off", dev->name);
	switch_off(port->hba);
}

static void ask_health(struct block_dev *dev)
{
	struct hba_port *port = port_of(dev);
	struct aftermath after;

	enter_port(port, &after);
	if (after.disk && &after.disk->dev == dev)
		ahci_port_ask_health(&port->port, time_now_ns());
	leave_port(port, &after);
	do_events(port, &after);
}

static const struct block_ops ahci_ops = {
	.driver = "ahci",
	.submit = submit,
	.poll = poll,
	.reset = reset,
	.abandon = abandon,
	.ask_health = ask_health,
};

/* ---- the controller ---- */

static void handle_interrupt(void *arg)
{
	struct hba *hba = arg;

	for (uint32_t round = 0; round < IRQ_ROUNDS; round++) {
		uint32_t is = reg_read(hba, REG_IS);
		uint32_t mine = is & hba->implemented;

		if (mine == 0)
			return;
		for (; mine; mine &= mine - 1)
			run(hba->ports[__builtin_ctz(mine)]);
		reg_write(hba, REG_IS, is); /* after the ports' own, from which it comes */
	}
}

/* Until the bits are clear. False: they stay. */
static bool wait_clear(struct hba *hba, uint32_t reg, uint32_t bits, uint64_t limit_ns)
{
	uint64_t start_ns = time_now_ns();

	while (reg_read(hba, reg) & bits) {
		if (time_now_ns() - start_ns > limit_ns)
			return false;
		__builtin_ia32_pause();
	}
	return true;
}

static void take_from_firmware(struct hba *hba)
{
	if (!(reg_read(hba, REG_CAP2) & CAP2_BOH))
		return;
	reg_write(hba, REG_BOHC, reg_read(hba, REG_BOHC) | BOHC_OOS);
	if (wait_clear(hba, REG_BOHC, BOHC_BOS, HANDOFF_NS))
		return;
	if (!(reg_read(hba, REG_BOHC) & BOHC_BB) ||
	    !wait_clear(hba, REG_BOHC, BOHC_BOS | BOHC_BB, HANDOFF_BUSY_NS))
		log_warn("ahci", "%s: the firmware does not let go of it", hba->location);
}

/* Which ports there are is firmware's to say, and a reset may forget it. */
static enum hv_err reset_controller(struct hba *hba)
{
	uint32_t implemented;

	reg_write(hba, REG_GHC, reg_read(hba, REG_GHC) | GHC_AE);
	implemented = reg_read(hba, REG_PI);
	reg_write(hba, REG_GHC, GHC_AE | GHC_HR);
	if (!wait_clear(hba, REG_GHC, GHC_HR, RESET_NS))
		return HV_EIO;
	reg_write(hba, REG_GHC, GHC_AE);
	if (reg_read(hba, REG_PI) == 0)
		reg_write(hba, REG_PI, implemented);
	hba->implemented = reg_read(hba, REG_PI);
	return reg_read(hba, REG_CAP) == ~0u || hba->implemented == 0 ? HV_EIO : HV_OK;
}

static struct hba_port *new_port(struct hba *hba, uint32_t index)
{
	struct hba_port *port = kmem_alloc(sizeof(*port));
	uint32_t cap = reg_read(hba, REG_CAP);

	if (!port)
		return NULL;
	port->memory = pages_alloc(MEMORY_ORDER);
	if (port->memory == HPA_NONE ||
	    (!(cap & CAP_S64A) && !range_fits(port->memory, PAGE_SIZE << MEMORY_ORDER, 4 * GIB))) {
		if (port->memory != HPA_NONE)
			pages_free(port->memory, MEMORY_ORDER);
		kmem_free(port);
		return NULL;
	}
	port->hba = hba;
	port->index = index;
	port->registers = hba->registers + (REG_PORT + index * AHCI_PORT_REG_SIZE) / 4;
	port->regs = (struct ahci_regs){.read = port_read, .write = port_write, .arg = port};
	fmt(port->name, sizeof(port->name), "ahci%up%u", hba->index, index);
	timer_init(&port->timer, alarm);
	port->port = (struct ahci_port){
		.regs = &port->regs,
		.mem = hva_of(port->memory),
		.mem_hpa = port->memory,
		.name = port->name,
		.nr_slots = (uint32_t)FIELD_GET(CAP_NR_SLOTS, cap) + 1,
		.can_queue = cap & CAP_SNCQ,
		.has_64bit = cap & CAP_S64A,
	};
	return port;
}

static void free_ports(struct hba *hba)
{
	for (uint32_t i = 0; i < AHCI_NR_PORTS; i++) {
		if (!hba->ports[i])
			continue;
		pages_free(hba->ports[i]->memory, MEMORY_ORDER);
		kmem_free(hba->ports[i]);
	}
}

static enum hv_err make_ports(struct hba *hba)
{
	for (uint32_t i = 0; i < AHCI_NR_PORTS; i++) {
		if (!(hba->implemented & BIT(i)))
			continue;
		hba->ports[i] = new_port(hba, i);
		if (!hba->ports[i]) {
			free_ports(hba);
			return HV_ENOMEM;
		}
	}
	return HV_OK;
}

/* At boot: run all of them until each knows what it has; who takes longer goes on by itself. */
static void find_disks(struct hba *hba)
{
	uint64_t start_ns = time_now_ns(), when_ns = start_ns;
	bool is_staggered = reg_read(hba, REG_CAP) & CAP_SSS, is_settled = false;

	for (uint32_t i = 0; i < AHCI_NR_PORTS; i++) {
		if (!hba->ports[i])
			continue;
		ahci_port_begin(&hba->ports[i]->port, when_ns);
		when_ns += is_staggered ? SPIN_UP_APART_NS : 0;
	}
	while (!is_settled && time_now_ns() - start_ns < SETTLE_NS) {
		is_settled = true;
		for (uint32_t i = 0; i < AHCI_NR_PORTS; i++) {
			if (!hba->ports[i])
				continue;
			run(hba->ports[i]);
			is_settled &= ahci_port_is_settled(&hba->ports[i]->port);
		}
		__builtin_ia32_pause();
	}
}

static enum hv_err bring_up(struct hba *hba)
{
	uint32_t nr_ports = AHCI_NR_PORTS;
	enum hv_err err = dev_open(hba->dev);

	if (err != HV_OK)
		return err;
	if (hba->dev->bars[ABAR].len_bytes < REG_PORT + AHCI_PORT_REG_SIZE)
		return HV_EIO;
	hba->registers = dev_map(hba->dev, ABAR, hba->dev->bars[ABAR].len_bytes);
	if (!hba->registers)
		return HV_EIO;
	take_from_firmware(hba);
	err = reset_controller(hba);
	if (err != HV_OK)
		return err;
	/* No more ports than there are registers for, whatever it says. */
	nr_ports = (uint32_t)MIN(nr_ports,
				 (hba->dev->bars[ABAR].len_bytes - REG_PORT) / AHCI_PORT_REG_SIZE);
	hba->implemented &= (uint32_t)(BIT(nr_ports) - 1);
	err = make_ports(hba);
	if (err != HV_OK)
		return err;
	dev_start_dma(hba->dev);
	return HV_OK;
}

static enum hv_err attach(struct pci_device *dev)
{
	struct hba *hba = kmem_alloc(sizeof(*hba));
	struct dev_irq_handler handler = {.fn = handle_interrupt, .arg = hba};
	uint32_t version;
	enum hv_err err;

	if (!hba)
		return HV_ENOMEM;
	hba->dev = dev;
	hba->index = nr_hbas;
	dev_name(dev, hba->location, sizeof(hba->location));
	err = bring_up(hba);
	if (err != HV_OK)
		goto free_hba;
	err = dev_irqs_connect(&hba->irqs, dev, &handler, 1, DEV_IRQ_MSI);
	if (err != HV_OK)
		goto free_hba_ports;
	nr_hbas++;
	version = reg_read(hba, REG_VS);
	log_info("ahci", "%s: AHCI %u.%u, %u ports, %lu commands each%s", hba->location,
		 version >> 16, version >> 8 & 0xff, ahci_count(hba->implemented),
		 FIELD_GET(CAP_NR_SLOTS, reg_read(hba, REG_CAP)) + 1,
		 reg_read(hba, REG_CAP) & CAP_SNCQ ? ", NCQ" : "");
	reg_write(hba, REG_IS, ~0u);
	reg_write(hba, REG_GHC, GHC_AE | GHC_IE);
	find_disks(hba);
	return HV_OK;

free_hba_ports:
	dev_stop_dma(dev);
	free_ports(hba);
free_hba:
	kmem_free(hba);
	return err;
}

static const struct pci_class_match classes[] = {
	{0x010601, 0xffffff}, /* mass storage, SATA, AHCI 1.0 */
};

const struct pci_driver ahci_driver = {
	.name = "ahci",
	.base_class = PCI_CLASS_STORAGE,
	.devices = "AHCI",
	.classes = classes,
	.nr_classes = ARRAY_SIZE(classes),
	.attach = attach,
};
