/* SPDX-License-Identifier: Apache-2.0 */
/* IOAPICs: two registers each, an index and a window on what it names. */
#include "kernel/ioapic.h"

#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/lock.h"
#include "kernel/log.h"
#include "kernel/memory.h"

#define IOAPIC_INDEX  0 /* in 32-bit words */
#define IOAPIC_WINDOW 4

#define IOAPIC_VER	       0x01
#define IOAPIC_VER_LAST_PIN    0x00ff0000u
#define IOAPIC_REDIRECTION(n)  (0x10 + 2 * (n))
#define REDIRECTION_ACTIVE_LOW 0x02000u
#define REDIRECTION_LEVEL      0x08000u
#define REDIRECTION_MASKED     0x10000u

#define PIC1_COMMAND  0x20
#define PIC2_COMMAND  0xa0
#define PIC_ICW1_INIT 0x11
#define PIC_ICW4_8086 0x01

static struct ioapic {
	volatile uint32_t *registers; /* NULL: could not be mapped */
	uint32_t gsi_base, nr_pins;
} ioapics[ACPI_IOAPICS_MAX];
static struct lock lock; /* guards the index registers */

static uint32_t ioapic_read(struct ioapic *io, uint32_t index)
{
	io->registers[IOAPIC_INDEX] = index;
	return io->registers[IOAPIC_WINDOW];
}

static void ioapic_write(struct ioapic *io, uint32_t index, uint32_t val)
{
	io->registers[IOAPIC_INDEX] = index;
	io->registers[IOAPIC_WINDOW] = val;
}

static void init_one(struct ioapic *io, uint64_t hpa, uint32_t gsi_base)
{
	io->registers = mmio_map(hpa, PAGE_SIZE);
	if (!io->registers) {
		log_warn("ioapic", "no page tables left to map 0x%lx, its interrupts are lost",
			 hpa);
		return;
	}
	io->gsi_base = gsi_base;
	io->nr_pins = (uint32_t)FIELD_GET(IOAPIC_VER_LAST_PIN, ioapic_read(io, IOAPIC_VER)) + 1;
	for (uint32_t pin = 0; pin < io->nr_pins; pin++)
		ioapic_write(io, IOAPIC_REDIRECTION(pin), REDIRECTION_MASKED);
}

/* Moved out of the exceptions' way first: a PIC may interrupt even when masked (spuriously). */
static void mask_pic(uint16_t command, uint8_t vector, uint8_t cascade)
{
	uint16_t data = command + 1;

	out8(command, PIC_ICW1_INIT);
	out8(data, vector);
	out8(data, cascade);
	out8(data, PIC_ICW4_8086);
	out8(data, 0xff);
}

void ioapic_init(void)
{
	mask_pic(PIC1_COMMAND, VECTOR_PIC, 4);
	mask_pic(PIC2_COMMAND, VECTOR_PIC + 8, 2);
	for (uint32_t i = 0; i < acpi_info.nr_ioapics; i++)
		init_one(&ioapics[i], acpi_info.ioapics[i].hpa, acpi_info.ioapics[i].gsi_base);
}

uint32_t ioapic_nr_pins(void)
{
	uint32_t nr = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(ioapics); i++)
		nr += ioapics[i].nr_pins;
	return nr;
}

enum hv_err ioapic_route(uint32_t gsi, uint8_t vector, uint8_t to_apic_id, enum irq_trigger trigger)
{
	uint32_t low = vector;

	if (trigger == IRQ_LEVEL_LOW || trigger == IRQ_LEVEL_HIGH)
		low |= REDIRECTION_LEVEL;
	if (trigger == IRQ_LEVEL_LOW || trigger == IRQ_EDGE_LOW)
		low |= REDIRECTION_ACTIVE_LOW;
	for (unsigned i = 0; i < ARRAY_SIZE(ioapics); i++) {
		struct ioapic *io = &ioapics[i];
		uint32_t pin = gsi - io->gsi_base;

		if (gsi < io->gsi_base || pin >= io->nr_pins)
			continue;
		lock_take(&lock);
		ioapic_write(io, IOAPIC_REDIRECTION(pin) + 1, (uint32_t)to_apic_id << 24);
		ioapic_write(io, IOAPIC_REDIRECTION(pin), low);
		lock_release(&lock);
		return HV_OK;
	}
	return HV_ENOENT;
}
