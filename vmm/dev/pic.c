/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8259 pair. Each chip: IRR holds requests, ISR what the CPU has acknowledged and not ended, IMR
 * the masks. The slave's output is the master's input 2, always seen as a level, so that a second
 * request of the slave is not lost while the first is in service.
 */
#include "vmm/dev/pic.h"

#include "kernel/memory.h"
#include "vmm/layout.h"

#define CASCADE	 2u
#define SPURIOUS 7u
#define NONE	 8u /* a priority below all, an input that is none */

/* [8259A] "Initialization Command Words", "Operation Command Words" */
#define ICW1_INIT     0x10u
#define ICW1_SINGLE   0x02u
#define ICW1_ICW4     0x01u
#define ICW2_BASE     0xf8u
#define ICW4_SFNM     0x10u
#define ICW4_AEOI     0x02u
#define OCW3	      0x08u
#define OCW3_SMM_SET  0x40u
#define OCW3_SMM      0x20u
#define OCW3_POLL     0x04u
#define OCW3_READ     0x02u
#define OCW3_ISR      0x01u
#define OCW2_ROTATE   0x80u
#define OCW2_SPECIFIC 0x40u
#define OCW2_EOI      0x20u
#define OCW2_LEVEL    0x07u

/* Inputs that are the board's own are always edges: timer, keyboard, cascade; RTC, FPU. */
static const uint8_t elcr_writable[2] = {0xf8, 0xde};

enum init_step { READY, WANTS_ICW2, WANTS_ICW3, WANTS_ICW4 };

struct chip {
	uint8_t irr, isr, imr, lines, elcr;
	uint8_t base;	/* vector of input 0 */
	uint8_t lowest; /* input with the lowest priority; the next one has the highest */
	enum init_step step;
	bool has_icw4, is_single, is_auto_eoi, rotates_on_aeoi;
	bool is_sfnm, is_special_mask, reads_isr, is_polled;
};

struct pic {
	struct vdev dev;
	struct chip chips[2]; /* master, slave */
	bool is_high;	      /* output to the CPU; atomic */
	void (*intr)(struct vm *vm, bool is_high);
};

static struct pic *pic_of(struct vdev *dev)
{
	return container_of(dev, struct pic, dev);
}

/* How far the most urgent of these inputs is from the top; NONE when there are none. */
static unsigned urgency(const struct chip *c, uint8_t inputs)
{
	for (unsigned i = 0; inputs && i < 8; i++)
		if (inputs & BIT((c->lowest + 1 + i) & 7))
			return i;
	return NONE;
}

/* The input that the chip now asks its output for, or NONE. */
static unsigned requested(const struct chip *c, bool is_master)
{
	uint8_t blocking = c->isr;
	unsigned first = urgency(c, c->irr & ~c->imr);

	if (c->is_special_mask)
		blocking &= (uint8_t)~c->imr;
	if (is_master && c->is_sfnm)
		blocking &= (uint8_t)~BIT(CASCADE);
	if (first == NONE || first >= urgency(c, blocking))
		return NONE;
	return (c->lowest + 1 + first) & 7;
}

static void update_output(struct pic *pic)
{
	struct chip *master = &pic->chips[0];
	bool is_high;

	master->irr &= (uint8_t)~BIT(CASCADE);
	if (requested(&pic->chips[1], false) != NONE)
		master->irr |= BIT(CASCADE);
	is_high = requested(master, true) != NONE;
	if (is_high == pic->is_high)
		return;
	__atomic_store_n(&pic->is_high, is_high, __ATOMIC_RELEASE);
	if (pic->intr != NULL)
		pic->intr(pic->dev.vm, is_high);
}

void pic_set_intr(struct vdev *dev, void (*intr)(struct vm *vm, bool is_high))
{
	pic_of(dev)->intr = intr;
}

/* An edge stays requested when the line falls again, as drivers of short pulses need it. */
static void set_line(struct chip *c, unsigned input, bool is_high)
{
	uint8_t bit = (uint8_t)BIT(input);
	bool was_high = c->lines & bit;

	c->lines = is_high ? c->lines | bit : c->lines & ~bit;
	if (c->elcr & bit)
		c->irr = is_high ? c->irr | bit : c->irr & ~bit;
	else if (is_high && !was_high)
		c->irr |= bit;
}

void pic_line(struct vdev *dev, uint32_t irq, bool is_high)
{
	struct pic *pic = pic_of(dev);

	if (irq >= PIC_IRQS || irq == CASCADE)
		return;
	set_line(&pic->chips[irq / 8], irq % 8, is_high);
	update_output(pic);
}

bool pic_pending(const struct vdev *dev)
{
	const struct pic *pic = container_of(dev, const struct pic, dev);

	return __atomic_load_n(&pic->is_high, __ATOMIC_ACQUIRE);
}

static void acknowledge(struct chip *c, unsigned input)
{
	uint8_t bit = (uint8_t)BIT(input);

	if (!(c->elcr & bit))
		c->irr &= (uint8_t)~bit;
	if (!c->is_auto_eoi)
		c->isr |= bit;
	else if (c->rotates_on_aeoi)
		c->lowest = (uint8_t)input;
}

/* Acknowledges a chip's request; its number, or the spurious one. */
static unsigned take(struct chip *c, bool is_master)
{
	unsigned input = requested(c, is_master);

	if (input == NONE)
		return SPURIOUS;
	acknowledge(c, input);
	return input;
}

uint8_t pic_ack(struct vdev *dev)
{
	struct pic *pic = pic_of(dev);
	struct chip *chip = &pic->chips[0];
	bool is_cascade = requested(chip, true) == CASCADE;
	unsigned input = take(chip, true);

	if (is_cascade) {
		chip = &pic->chips[1];
		input = take(chip, false);
	}
	update_output(pic);
	return (uint8_t)(chip->base + input);
}

/* ---- commands ---- */

static void write_icw1(struct chip *c, uint8_t val)
{
	*c = (struct chip){.lines = c->lines,
			   .elcr = c->elcr,
			   .base = c->base,
			   .lowest = 7,
			   .step = WANTS_ICW2,
			   .has_icw4 = val & ICW1_ICW4,
			   .is_single = val & ICW1_SINGLE};
	c->irr = c->lines & c->elcr;
}

static void end_of_interrupt(struct chip *c, uint8_t val)
{
	unsigned input = val & OCW2_LEVEL;

	if (!(val & OCW2_SPECIFIC)) {
		unsigned first = urgency(c, c->isr);

		if (first == NONE)
			return;
		input = (c->lowest + 1 + first) & 7;
	}
	c->isr &= (uint8_t)~BIT(input);
	if (val & OCW2_ROTATE)
		c->lowest = (uint8_t)input;
}

static void write_ocw2(struct chip *c, uint8_t val)
{
	if (val & OCW2_EOI)
		end_of_interrupt(c, val);
	else if ((val & OCW2_ROTATE) && (val & OCW2_SPECIFIC))
		c->lowest = val & OCW2_LEVEL;
	else if (!(val & OCW2_SPECIFIC))
		c->rotates_on_aeoi = val & OCW2_ROTATE;
}

static void write_ocw3(struct chip *c, uint8_t val)
{
	c->is_polled = val & OCW3_POLL;
	if (val & OCW3_READ)
		c->reads_isr = val & OCW3_ISR;
	if (val & OCW3_SMM_SET)
		c->is_special_mask = val & OCW3_SMM;
}

static void write_command(struct chip *c, uint8_t val)
{
	if (val & ICW1_INIT)
		write_icw1(c, val);
	else if (val & OCW3)
		write_ocw3(c, val);
	else
		write_ocw2(c, val);
}

static void write_data(struct chip *c, uint8_t val)
{
	switch (c->step) {
	case READY:
		c->imr = val;
		return;
	case WANTS_ICW2:
		c->base = val & ICW2_BASE;
		c->step = !c->is_single ? WANTS_ICW3 : c->has_icw4 ? WANTS_ICW4 : READY;
		return;
	case WANTS_ICW3: /* the wiring is what it is */
		c->step = c->has_icw4 ? WANTS_ICW4 : READY;
		return;
	case WANTS_ICW4:
		c->is_sfnm = val & ICW4_SFNM;
		c->is_auto_eoi = val & ICW4_AEOI;
		c->step = READY;
		return;
	}
}

static uint8_t poll(struct pic *pic, struct chip *c)
{
	bool is_master = c == &pic->chips[0], has_request = requested(c, is_master) != NONE;
	unsigned input = take(c, is_master);

	c->is_polled = false;
	return (uint8_t)((has_request ? 0x80u : 0) | input);
}

static uint8_t read_chip(struct pic *pic, struct chip *c, bool is_data)
{
	if (c->is_polled)
		return poll(pic, c);
	if (is_data)
		return c->imr;
	return c->reads_isr ? c->isr : c->irr;
}

static void write_elcr(struct chip *c, uint8_t val, uint8_t writable)
{
	uint8_t now_level;

	val &= writable;
	now_level = val & (uint8_t)~c->elcr;
	c->elcr = val;
	c->irr = (uint8_t)((c->irr & ~now_level) | (c->lines & now_level));
}

static enum io_result pic_access(struct vdev *dev, enum io_space space, struct io_access *acc)
{
	struct pic *pic = pic_of(dev);
	bool is_elcr = acc->addr >= LAYOUT_ELCR, is_odd = acc->addr & 1;
	bool is_slave = is_elcr ? is_odd : acc->addr >= LAYOUT_PIC_SLAVE;
	struct chip *c = &pic->chips[is_slave];
	uint8_t val = (uint8_t)acc->value;

	(void)space;
	if (acc->size != 1)
		return IO_REFUSED;
	if (is_elcr && acc->is_write)
		write_elcr(c, val, elcr_writable[is_slave]);
	else if (is_elcr)
		acc->value = c->elcr;
	else if (!acc->is_write)
		acc->value = read_chip(pic, c, is_odd);
	else if (is_odd)
		write_data(c, val);
	else
		write_command(c, val);
	update_output(pic);
	return IO_DONE;
}

/* ---- life ---- */

static void pic_reset(struct vdev *dev)
{
	struct pic *pic = pic_of(dev);

	for (int i = 0; i < 2; i++) /* masked until a system sets them up */
		pic->chips[i] =
			(struct chip){.imr = 0xff, .lowest = 7, .lines = pic->chips[i].lines};
	update_output(pic);
}

static enum hv_err pic_create(struct vm *vm, const void *conf, struct vdev **out)
{
	struct pic *pic = kmem_alloc(sizeof(*pic));

	(void)conf;
	if (pic == NULL)
		return HV_ENOMEM;
	pic->dev.ops = &pic_ops;
	pic->dev.vm = vm;
	pic_reset(&pic->dev);
	*out = &pic->dev;
	return HV_OK;
}

static void pic_destroy(struct vdev *dev)
{
	kmem_free(pic_of(dev));
}

const struct vdev_ops pic_ops = {
	.name = "pic",
	.create = pic_create,
	.access = pic_access,
	.reset = pic_reset,
	.destroy = pic_destroy,
};
