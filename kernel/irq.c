/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors and what they lead to. A handler is set before its vector can be raised, and stays until
 * its device is taken out.
 */
#include "kernel/irq.h"

#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/cpu_arch.h"
#include "kernel/idt.h"
#include "kernel/ioapic.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/lock.h"
#include "kernel/log.h"
#include "kernel/time_hw.h"

#define MSI_ADDRESS 0xfee00000ull /* [SDM] "Message Address Register Format" */

static struct {
	irq_fn *fn;
	void *arg;
} handlers[VECTOR_PIC];
static uint8_t next_vector = VECTOR_FIRST_IRQ; /* those from here on were never taken */
static struct lock lock;		       /* guards both while they change */

static uint32_t nr_unexpected; /* vectors without a handler; the first is logged */

void irq_init(void)
{
	/* PICs first: one that has an interrupt pending must take it back while the APIC listens.
	 */
	ioapic_init();
	apic_init_boot(acpi_info.lapic_hpa);
	log_info("irq", "%s, %u IOAPIC%s with %u pins", apic_mode_name(), acpi_info.nr_ioapics,
		 acpi_info.nr_ioapics == 1 ? "" : "s", ioapic_nr_pins());
}

/* The first that is free; VECTOR_PIC when all are taken. */
static uint8_t free_vector(void)
{
	uint8_t vector = VECTOR_FIRST_IRQ;

	ASSERT_HELD(&lock);
	while (vector < next_vector && handlers[vector].fn)
		vector++;
	return vector;
}

enum hv_err irq_vector_take(irq_fn *fn, void *arg, uint8_t *vector)
{
	enum hv_err err = HV_ENOMEM;
	uint8_t found;

	lock_take(&lock);
	found = free_vector();
	if (found < VECTOR_PIC) {
		next_vector = MAX(next_vector, (uint8_t)(found + 1));
		handlers[found].arg = arg;
		__atomic_store_n(&handlers[found].fn, fn, __ATOMIC_RELEASE);
		*vector = found;
		err = HV_OK;
	}
	lock_release(&lock);
	return err;
}

void irq_vector_give(uint8_t vector)
{
	lock_take(&lock);
	ASSERT(vector >= VECTOR_FIRST_IRQ && vector < next_vector && handlers[vector].fn);
	__atomic_store_n(&handlers[vector].fn, NULL, __ATOMIC_RELAXED);
	lock_release(&lock);
}

/* A board may wire a level-triggered line active high and say so in an override for its pin. */
static enum irq_trigger corrected(uint32_t gsi, enum irq_trigger trigger)
{
	for (uint32_t i = 0; i < acpi_info.nr_overrides; i++)
		if (acpi_info.overrides[i].gsi == gsi && acpi_info.overrides[i].is_level &&
		    trigger == IRQ_LEVEL_LOW && !acpi_info.overrides[i].is_active_low)
			return IRQ_LEVEL_HIGH;
	return trigger;
}

enum hv_err irq_route_gsi(uint32_t gsi, uint8_t vector, enum irq_trigger trigger)
{
	ASSERT(vector >= VECTOR_FIRST_IRQ && vector < next_vector);

	return ioapic_route(gsi, vector, (uint8_t)cpu_at(0)->apic_id, corrected(gsi, trigger));
}

uint32_t irq_isa_gsi(uint8_t isa_irq, enum irq_trigger *trigger)
{
	for (uint32_t i = 0; i < acpi_info.nr_overrides; i++) {
		bool is_low = acpi_info.overrides[i].is_active_low;

		if (acpi_info.overrides[i].isa_irq != isa_irq)
			continue;
		if (acpi_info.overrides[i].is_level)
			*trigger = is_low ? IRQ_LEVEL_LOW : IRQ_LEVEL_HIGH;
		else
			*trigger = is_low ? IRQ_EDGE_LOW : IRQ_EDGE_HIGH;
		return acpi_info.overrides[i].gsi;
	}
	*trigger = IRQ_EDGE_HIGH;
	return isa_irq;
}

void irq_msi_message(uint32_t cpu_index, uint8_t vector, uint64_t *addr, uint32_t *data)
{
	*addr = MSI_ADDRESS | (uint64_t)(uint8_t)cpu_at(cpu_index)->apic_id << 12;
	*data = vector;
}

static void dispatch_taken(uint8_t vector)
{
	irq_fn *fn = vector < VECTOR_PIC ? __atomic_load_n(&handlers[vector].fn, __ATOMIC_ACQUIRE)
					 : NULL;

	if (fn)
		fn(handlers[vector].arg);
	else if (!__atomic_fetch_add(&nr_unexpected, 1, __ATOMIC_RELAXED))
		log_warn("irq", "vector %u has no handler; further ones are not logged", vector);
}

void irq_dispatch(uint8_t vector)
{
	switch (vector) {
	case VECTOR_SPURIOUS:
		return; /* wants no EOI */
	case VECTOR_TIMER:
		time_handle_interrupt();
		break;
	case VECTOR_KICK:
		break; /* that it came is its meaning */
	case VECTOR_CALL:
		cpu_answer_call();
		break;
	default:
		dispatch_taken(vector);
	}
	apic_eoi();
}
