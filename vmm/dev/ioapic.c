/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOAPIC. An edge sends one message; a level sends one, then waits (remote IRR) until the LAPIC
 * that took it reports the end, and sends again if the line is still high.
 */
#include "vmm/dev/ioapic.h"

#include "kernel/memory.h"

/* [IOAPIC] "Register Description" of the 82093AA, and the EOI register of its successors. */
#define REG_SELECT 0x00u
#define REG_WINDOW 0x10u
#define REG_EOI	   0x40u

#define INDEX_ID	  0x00u
#define INDEX_VERSION	  0x01u
#define INDEX_ARBITRATION 0x02u
#define INDEX_ENTRIES	  0x10u /* two a pin: low, high */

#define VERSION_VALUE (0x20u | (IOAPIC_PINS - 1) << 16)

#define ENTRY_VECTOR	 0x00000000000000ffull
#define ENTRY_DELIVERY	 0x0000000000000700ull
#define ENTRY_LOGICAL	 0x0000000000000800ull
#define ENTRY_PENDING	 0x0000000000001000ull
#define ENTRY_REMOTE_IRR 0x0000000000004000ull
#define ENTRY_LEVEL	 0x0000000000008000ull
#define ENTRY_MASKED	 0x0000000000010000ull
#define ENTRY_DEST	 0xff00000000000000ull
#define ENTRY_POLARITY	 0x0000000000002000ull
#define ENTRY_WRITABLE                                                                             \
	(ENTRY_VECTOR | ENTRY_DELIVERY | ENTRY_LOGICAL | ENTRY_POLARITY | ENTRY_LEVEL |            \
	 ENTRY_MASKED | ENTRY_DEST)

/* [SDM] "Message Address Register Format", "Message Data Register Format" */
#define MSI_ADDR	 0xfee00000u
#define MSI_ADDR_DEST	 0x000ff000u
#define MSI_ADDR_LOGICAL 0x00000004u
#define MSI_DATA_ASSERT	 0x00004000u
#define MSI_DATA_LEVEL	 0x00008000u

struct ioapic {
	struct vdev dev;
	uint8_t select;
	uint32_t id;
	uint32_t lines; /* a bit a pin: high */
	uint64_t entries[IOAPIC_PINS];
};

static struct ioapic *ioapic_of(struct vdev *dev)
{
	return container_of(dev, struct ioapic, dev);
}

static void send(struct ioapic *io, uint64_t entry)
{
	uint64_t addr = MSI_ADDR | FIELD_PREP(MSI_ADDR_DEST, FIELD_GET(ENTRY_DEST, entry)) |
			(entry & ENTRY_LOGICAL ? MSI_ADDR_LOGICAL : 0);
	uint32_t data = (uint32_t)(entry & (ENTRY_VECTOR | ENTRY_DELIVERY));

	if (entry & ENTRY_LEVEL)
		data |= MSI_DATA_LEVEL | MSI_DATA_ASSERT;
	vm_msi(io->dev.vm, addr, data);
}

/* A level pin that wants service and is not being served. */
static void serve_level(struct ioapic *io, uint32_t pin)
{
	uint64_t entry = io->entries[pin];

	if (!(entry & ENTRY_LEVEL) || (entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) ||
	    !(io->lines & BIT(pin)))
		return;
	io->entries[pin] |= ENTRY_REMOTE_IRR;
	send(io, entry);
}

void ioapic_line(struct vdev *dev, uint32_t pin, bool is_high)
{
	struct ioapic *io = ioapic_of(dev);
	bool is_rise;

	if (pin >= IOAPIC_PINS)
		return;
	is_rise = is_high && !(io->lines & BIT(pin));
	io->lines = (io->lines & ~(uint32_t)BIT(pin)) | (uint32_t)is_high << pin;
	if (io->entries[pin] & ENTRY_LEVEL)
		serve_level(io, pin);
	else if (is_rise && !(io->entries[pin] & ENTRY_MASKED))
		send(io, io->entries[pin]);
}

void ioapic_eoi(struct vdev *dev, uint8_t vector)
{
	struct ioapic *io = ioapic_of(dev);

	for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t entry = io->entries[pin];

		if (!(entry & ENTRY_REMOTE_IRR) || FIELD_GET(ENTRY_VECTOR, entry) != vector)
			continue;
		io->entries[pin] &= ~ENTRY_REMOTE_IRR;
		serve_level(io, pin);
	}
}

static void write_entry(struct ioapic *io, uint32_t index, uint32_t val)
{
	uint32_t pin = (index - INDEX_ENTRIES) / 2;
	unsigned shift = index & 1 ? 32 : 0;
	uint64_t writable = ENTRY_WRITABLE & 0xffffffffull << shift;
	uint64_t *entry = &io->entries[pin];

	*entry = (*entry & ~writable) | ((uint64_t)val << shift & writable);
	if (!(*entry & ENTRY_LEVEL)) /* systems rely on this to end a level interrupt by hand */
		*entry &= ~ENTRY_REMOTE_IRR;
	serve_level(io, pin);
}

static bool is_entry(uint32_t index)
{
	return index >= INDEX_ENTRIES && index < INDEX_ENTRIES + 2 * IOAPIC_PINS;
}

static uint32_t read_window(const struct ioapic *io)
{
	if (is_entry(io->select)) {
		uint64_t entry = io->entries[(io->select - INDEX_ENTRIES) / 2];

		return (uint32_t)(io->select & 1 ? entry >> 32 : entry);
	}
	switch (io->select) {
	case INDEX_ID:
	case INDEX_ARBITRATION:
		return io->id;
	case INDEX_VERSION:
		return VERSION_VALUE;
	default:
		return 0;
	}
}

static void write_window(struct ioapic *io, uint32_t val)
{
	if (is_entry(io->select))
		write_entry(io, io->select, val);
	else if (io->select == INDEX_ID)
		io->id = val & 0x0f000000;
}

static enum io_result ioapic_access(struct vdev *dev, enum io_space space, struct io_access *acc)
{
	struct ioapic *io = ioapic_of(dev);
	uint32_t val = (uint32_t)acc->value;

	(void)space;
	switch (acc->offset) {
	case REG_SELECT:
		if (acc->is_write)
			io->select = (uint8_t)val;
		else
			acc->value = io->select;
		return IO_DONE;
	case REG_WINDOW:
		if (acc->size != 4)
			return IO_REFUSED;
		if (acc->is_write)
			write_window(io, val);
		else
			acc->value = read_window(io);
		return IO_DONE;
	case REG_EOI:
		if (acc->is_write)
			ioapic_eoi(dev, (uint8_t)val);
		else
			acc->value = 0;
		return IO_DONE;
	default:
		return IO_UNCLAIMED;
	}
}

static void ioapic_reset(struct vdev *dev)
{
	struct ioapic *io = ioapic_of(dev);

	io->select = 0;
	io->id = 0;
	io->lines = 0;
	for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++)
		io->entries[pin] = ENTRY_MASKED;
}

static enum hv_err ioapic_create(struct vm *vm, const void *conf, struct vdev **out)
{
	struct ioapic *io = kmem_alloc(sizeof(*io));

	(void)conf;
	if (io == NULL)
		return HV_ENOMEM;
	io->dev.ops = &ioapic_ops;
	io->dev.vm = vm;
	ioapic_reset(&io->dev);
	*out = &io->dev;
	return HV_OK;
}

static void ioapic_destroy(struct vdev *dev)
{
	kmem_free(ioapic_of(dev));
}

const struct vdev_ops ioapic_ops = {
	.name = "ioapic",
	.create = ioapic_create,
	.access = ioapic_access,
	.reset = ioapic_reset,
	.destroy = ioapic_destroy,
};
