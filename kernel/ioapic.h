/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOAPICs, and the two PICs that they replace. Set up at boot, changed only by irq_route_gsi().
 *
 * Source: [IOAPIC] "I/O APIC Registers"; [ACPI] "Interrupt Source Override Structure".
 */
#ifndef KERNEL_IOAPIC_H
#define KERNEL_IOAPIC_H

#include "kernel/irq.h"

/* ioapic_init - mask every pin of every IOAPIC that ACPI lists, and the PICs. Context: boot CPU. */
void ioapic_init(void);
uint32_t ioapic_nr_pins(void); /* of all of them */

/* ioapic_route - unmask a pin. HV_ENOENT: no IOAPIC has it. */
MUST_CHECK enum hv_err ioapic_route(uint32_t gsi, uint8_t vector, uint8_t to_apic_id,
				    enum irq_trigger trigger);

#endif
