/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of this machine. Handlers run with interrupts off, on the CPU that the interrupt was
 * routed to, whether it was idle or came out of a guest; EOI is sent after the handler.
 */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

typedef void irq_fn(void *arg);

enum irq_trigger { IRQ_EDGE_HIGH, IRQ_EDGE_LOW, IRQ_LEVEL_HIGH, IRQ_LEVEL_LOW };

/* irq_vector_take - a free vector (32..239) for a handler. HV_ENOMEM when all are taken. */
MUST_CHECK enum hv_err irq_vector_take(irq_fn *fn, void *arg, uint8_t *vector);
/* irq_vector_give - it cannot be raised any more, and no CPU is in its handler */
void irq_vector_give(uint8_t vector);
/* irq_route_gsi - let an IOAPIC pin raise a vector on the boot CPU. HV_ENOENT: no such pin. */
MUST_CHECK enum hv_err irq_route_gsi(uint32_t gsi, uint8_t vector, enum irq_trigger trigger);
/* irq_isa_gsi - the pin that an ISA interrupt arrives at, and how it is triggered, as MADT says */
uint32_t irq_isa_gsi(uint8_t isa_irq, enum irq_trigger *trigger);
/* What to write into an MSI capability so that it raises vector on cpu_index. */
void irq_msi_message(uint32_t cpu_index, uint8_t vector, uint64_t *addr, uint32_t *data);

/* What the IDT stubs call, and what the run loop calls for an interrupt that ended a guest's run.
 */
void irq_dispatch(uint8_t vector);

void irq_init(void); /* boot CPU, after ACPI */

#endif
