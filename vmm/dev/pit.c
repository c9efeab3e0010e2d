/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8254. A counter is not counted down: it remembers when it was loaded, and what it shows is
 * computed from the VM's clock. Only counter 0's next interrupt needs a timer.
 */
#include "vmm/dev/pit.h"

#include "kernel/memory.h"
#include "vmm/layout.h"

/* [8254] "Control Word Format", "Read-Back Command" */
#define CTL_COUNTER	  0xc0u
#define CTL_RW		  0x30u
#define CTL_MODE	  0x0eu
#define CTL_FORMAT	  0x3fu /* what status shows of it */
#define COUNTER_READ_BACK 3u
#define RB_NO_COUNT	  0x20u
#define RB_NO_STATUS	  0x10u
#define RW_LATCH	  0u
#define RW_LSB		  1u
#define RW_MSB		  2u
#define RW_BOTH		  3u
#define STATUS_OUT	  0x80u
#define STATUS_NULL	  0x40u

enum mode { MODE_COUNT, MODE_ONE_SHOT, MODE_RATE, MODE_SQUARE, MODE_STROBE, MODE_HW_STROBE };

/* Port 0x61 */
#define PORT_B_GATE    0x01u
#define PORT_B_WRITTEN 0x0fu
#define PORT_B_REFRESH 0x10u
#define PORT_B_OUT     0x20u
#define REFRESH_NS     15085u /* DRAM refresh, long gone; its toggling is still waited for */

/* A guest's periodic interrupts come no closer together, lest the host do nothing else. */
#define PERIOD_MIN_NS 20000u

struct counter {
	uint8_t control;   /* RW, mode and BCD as written */
	uint32_t reload;   /* 1 to 0x10000; 0: was never loaded */
	uint64_t start_ns; /* when counting began from reload */
	bool has_gate;
	uint64_t stopped_ticks;	   /* how far it had come when the gate fell */
	bool has_low, low_is_read; /* between the two bytes of a count */
	uint8_t low;
	bool has_latch, has_status;
	uint16_t latch;
	uint8_t status;
};

struct pit {
	struct vdev dev;
	struct counter counters[3];
	uint8_t port_b;
	struct vdev_timer *timer;
	uint64_t due_ns; /* of counter 0's next interrupt */
	bool is_line_high;
};

static struct pit *pit_of(struct vdev *dev)
{
	return container_of(dev, struct pit, dev);
}

/* Seconds and the rest apart, against overflow. */
static uint64_t ticks_of_ns(uint64_t ns)
{
	return ns / NSEC_PER_SEC * PIT_HZ + ns % NSEC_PER_SEC * PIT_HZ / NSEC_PER_SEC;
}

/* Rounded up: when a timer fires, the tick is there. */
static uint64_t ns_of_ticks(uint64_t ticks)
{
	return ticks / PIT_HZ * NSEC_PER_SEC +
	       (ticks % PIT_HZ * NSEC_PER_SEC + PIT_HZ - 1) / PIT_HZ;
}

static enum mode mode_of(const struct counter *c)
{
	unsigned mode = (unsigned)FIELD_GET(CTL_MODE, c->control);

	return mode > MODE_HW_STROBE ? mode - 4 : mode; /* 6 and 7 are 2 and 3 */
}

static bool is_periodic(const struct counter *c)
{
	return mode_of(c) == MODE_RATE || mode_of(c) == MODE_SQUARE;
}

static uint64_t ticks_gone(const struct pit *pit, const struct counter *c)
{
	if (!c->has_gate && mode_of(c) != MODE_ONE_SHOT && mode_of(c) != MODE_HW_STROBE)
		return c->stopped_ticks;
	return ticks_of_ns(vm_time_ns(pit->dev.vm) - c->start_ns);
}

static uint16_t count_now(const struct pit *pit, const struct counter *c)
{
	uint64_t gone = ticks_gone(pit, c);

	if (c->reload == 0)
		return 0;
	switch (mode_of(c)) {
	case MODE_RATE:
		return (uint16_t)(c->reload - gone % c->reload);
	case MODE_SQUARE: /* counts down by two, twice a period */
		return (uint16_t)(c->reload - gone * 2 % c->reload);
	default: /* wraps and goes on */
		return (uint16_t)(c->reload - gone);
	}
}

static bool output_now(const struct pit *pit, const struct counter *c)
{
	uint64_t gone = ticks_gone(pit, c);

	if (c->reload == 0)
		return mode_of(c) != MODE_COUNT;
	switch (mode_of(c)) {
	case MODE_COUNT:
	case MODE_ONE_SHOT:
		return gone >= c->reload;
	case MODE_RATE: /* low for the last tick */
		return gone % c->reload != c->reload - 1;
	case MODE_SQUARE:
		return gone % c->reload < (c->reload + 1) / 2;
	default:
		return gone != c->reload;
	}
}

/* ---- counter 0's interrupt ---- */

static uint64_t period_ns(const struct counter *c)
{
	return MAX(ns_of_ticks(c->reload), PERIOD_MIN_NS);
}

static void set_line(struct pit *pit, bool is_high)
{
	if (is_high == pit->is_line_high)
		return;
	pit->is_line_high = is_high;
	vm_irq_line(pit->dev.vm, 0, is_high);
}

/* A new control word or count: its interrupt is due one count from now. */
static void restart_irq(struct pit *pit)
{
	struct counter *c = &pit->counters[0];
	enum mode mode = mode_of(c);

	vdev_timer_stop(pit->timer);
	set_line(pit, c->reload == 0 && mode != MODE_COUNT);
	if (c->reload == 0 || mode == MODE_ONE_SHOT || mode == MODE_HW_STROBE)
		return; /* these wait for a gate that is wired high */
	pit->due_ns = c->start_ns + (is_periodic(c) ? period_ns(c) : ns_of_ticks(c->reload));
	vdev_timer_set(pit->timer, pit->due_ns);
}

static void fire_irq(void *arg)
{
	struct pit *pit = arg;
	struct counter *c = &pit->counters[0];
	uint64_t period, late;

	set_line(pit, false);
	set_line(pit, true);
	if (!is_periodic(c) || c->reload == 0)
		return;
	/* Without drift; what was missed is not made up for. */
	period = period_ns(c);
	late = vm_time_ns(pit->dev.vm) - pit->due_ns;
	pit->due_ns += (late / period + 1) * period;
	vdev_timer_set(pit->timer, pit->due_ns);
}

/* ---- accesses ---- */

static void load(struct pit *pit, struct counter *c, uint16_t count)
{
	c->reload = count != 0 ? count : 0x10000;
	c->start_ns = vm_time_ns(pit->dev.vm);
	c->stopped_ticks = 0;
	if (c == &pit->counters[0])
		restart_irq(pit);
}

static void write_count(struct pit *pit, struct counter *c, uint8_t val)
{
	switch (FIELD_GET(CTL_RW, c->control)) {
	case RW_LSB:
		load(pit, c, val);
		return;
	case RW_MSB:
		load(pit, c, (uint16_t)(val << 8));
		return;
	default:
		if (c->has_low)
			load(pit, c, (uint16_t)(c->low | val << 8));
		c->low = val;
		c->has_low = !c->has_low;
	}
}

static uint8_t read_count(struct pit *pit, struct counter *c)
{
	uint16_t count = c->has_latch ? c->latch : count_now(pit, c);
	uint64_t rw = FIELD_GET(CTL_RW, c->control);

	if (c->has_status) {
		c->has_status = false;
		return c->status;
	}
	if (rw == RW_BOTH && !c->low_is_read) {
		c->low_is_read = true;
		return (uint8_t)count;
	}
	c->low_is_read = false;
	c->has_latch = false;
	return (uint8_t)(rw == RW_LSB ? count : count >> 8);
}

static void latch_count(struct pit *pit, struct counter *c)
{
	if (c->has_latch)
		return;
	c->latch = count_now(pit, c);
	c->has_latch = true;
}

static void latch_status(struct pit *pit, struct counter *c)
{
	if (c->has_status)
		return;
	c->status = (c->control & CTL_FORMAT) | (output_now(pit, c) ? STATUS_OUT : 0) |
		    (c->reload == 0 ? STATUS_NULL : 0);
	c->has_status = true;
}

static void read_back(struct pit *pit, uint8_t val)
{
	for (unsigned i = 0; i < 3; i++) {
		if (!(val & BIT(i + 1)))
			continue;
		if (!(val & RB_NO_COUNT))
			latch_count(pit, &pit->counters[i]);
		if (!(val & RB_NO_STATUS))
			latch_status(pit, &pit->counters[i]);
	}
}

static void write_control(struct pit *pit, uint8_t val)
{
	unsigned index = (unsigned)FIELD_GET(CTL_COUNTER, val);
	struct counter *c = &pit->counters[index % 3];

	if (index == COUNTER_READ_BACK) {
		read_back(pit, val);
	} else if (FIELD_GET(CTL_RW, val) == RW_LATCH) {
		latch_count(pit, c);
	} else {
		*c = (struct counter){.control = val & CTL_FORMAT, .has_gate = c->has_gate};
		if (index == 0)
			restart_irq(pit);
	}
}

/* Counter 2's gate: its fall stops the counting modes, its rise starts the others anew. */
static void set_gate(struct pit *pit, struct counter *c, bool has_gate)
{
	uint64_t now_ns = vm_time_ns(pit->dev.vm);
	bool counts_on = mode_of(c) == MODE_COUNT || mode_of(c) == MODE_STROBE;

	if (has_gate == c->has_gate)
		return;
	if (!has_gate)
		c->stopped_ticks = ticks_gone(pit, c);
	else
		c->start_ns = now_ns - (counts_on ? ns_of_ticks(c->stopped_ticks) : 0);
	c->has_gate = has_gate;
}

static void write_port_b(struct pit *pit, uint8_t val)
{
	pit->port_b = val & PORT_B_WRITTEN;
	set_gate(pit, &pit->counters[2], val & PORT_B_GATE);
}

static uint8_t read_port_b(const struct pit *pit)
{
	bool refresh = vm_time_ns(pit->dev.vm) / REFRESH_NS & 1;

	return pit->port_b | (refresh ? PORT_B_REFRESH : 0) |
	       (output_now(pit, &pit->counters[2]) ? PORT_B_OUT : 0);
}

static enum io_result pit_access(struct vdev *dev, enum io_space space, struct io_access *acc)
{
	struct pit *pit = pit_of(dev);
	uint8_t val = (uint8_t)acc->value;

	(void)space;
	if (acc->size != 1)
		return IO_REFUSED;
	if (acc->addr == LAYOUT_PORT_B && acc->is_write)
		write_port_b(pit, val);
	else if (acc->addr == LAYOUT_PORT_B)
		acc->value = read_port_b(pit);
	else if (acc->addr == LAYOUT_PIT + 3 && acc->is_write)
		write_control(pit, val);
	else if (acc->addr == LAYOUT_PIT + 3)
		return IO_UNCLAIMED;
	else if (acc->is_write)
		write_count(pit, &pit->counters[acc->addr & 3], val);
	else
		acc->value = read_count(pit, &pit->counters[acc->addr & 3]);
	return IO_DONE;
}

/* ---- life ---- */

static void pit_reset(struct vdev *dev)
{
	struct pit *pit = pit_of(dev);

	for (int i = 0; i < 3; i++)
		pit->counters[i] = (struct counter){.control = RW_BOTH << 4, .has_gate = i != 2};
	pit->port_b = 0;
	restart_irq(pit);
}

static enum hv_err pit_create(struct vm *vm, const void *conf, struct vdev **out)
{
	struct pit *pit = kmem_alloc(sizeof(*pit));
	enum hv_err err;

	(void)conf;
	if (pit == NULL)
		return HV_ENOMEM;
	pit->dev.ops = &pit_ops;
	pit->dev.vm = vm;
	err = vdev_timer_create(vm, fire_irq, pit, &pit->timer);
	if (err != HV_OK)
		goto free_pit;
	pit_reset(&pit->dev);
	*out = &pit->dev;
	return HV_OK;
free_pit:
	kmem_free(pit);
	return err;
}

static void pit_destroy(struct vdev *dev)
{
	struct pit *pit = pit_of(dev);

	vdev_timer_destroy(pit->timer);
	kmem_free(pit);
}

const struct vdev_ops pit_ops = {
	.name = "pit",
	.create = pit_create,
	.access = pit_access,
	.reset = pit_reset,
	.destroy = pit_destroy,
};
