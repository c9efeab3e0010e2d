/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupts of one PCI device: MSI-X with a vector each, or one MSI, or its INTx pin through
 * the IOAPIC, whatever is best of what the device has and works.
 *
 * With fewer vectors than handlers, a vector calls several of them; a handler that finds nothing to
 * do returns. INTx lines that devices share call all their handlers; each must silence its device's
 * cause, or the line stays low.
 *
 * At boot every vector goes to the boot CPU; dev_irqs_spread() moves those of MSI-X, handler i to
 * CPU i modulo their number, once all CPUs are up, and those connected later go there at once.
 */
#ifndef DRIVERS_DEV_IRQS_H
#define DRIVERS_DEV_IRQS_H

#include "kernel/irq.h"
#include "kernel/lib/err.h"
#include "kernel/pci.h"

#define DEV_IRQS_MAX 17u /* of one device: a queue for each of 16 CPUs, and one for the rest */

enum dev_irq_kind { DEV_IRQ_NONE, DEV_IRQ_INTX, DEV_IRQ_MSI, DEV_IRQ_MSIX };

struct dev_irq_handler {
	irq_fn *fn;
	void *arg;
};

struct dev_irqs;

struct dev_irq_vector {
	struct dev_irqs *irqs;
	uint32_t index;
	uint8_t vector;
};

struct dev_irqs {
	struct pci_device *dev;
	enum dev_irq_kind kind;
	uint32_t nr_vectors; /* handler i is called by vector i % nr_vectors */
	uint32_t nr_taken;   /* of them, that are its own: a line's is not */
	struct dev_irq_vector vectors[DEV_IRQS_MAX];
	volatile uint32_t *table; /* MSI-X; NULL otherwise */
	struct dev_irq_handler handlers[DEV_IRQS_MAX];
	uint32_t nr_handlers;
	struct dev_irqs *next;
};

/*
 * dev_irqs_connect - route a device's interrupts to handlers; last in a driver's attach()
 *
 * irqs      the driver's memory, zeroed, kept until dev_irqs_free()
 * allowed   the best kind that may be used; DEV_IRQ_MSIX lets it choose. The kernel's command line
 *           has irqs=intx, irqs=msi for machines, and tests, whose messages do not arrive.
 *
 * pci_size_bars() comes first. Errors: HV_ENOMEM - no vectors; HV_EIO - the device has no interrupt
 * that could be routed.
 */
MUST_CHECK enum hv_err dev_irqs_connect(struct dev_irqs *irqs, struct pci_device *dev,
					const struct dev_irq_handler *handlers,
					uint32_t nr_handlers, enum dev_irq_kind allowed);

/*
 * dev_irqs_disconnect - for a card that is taken out: it interrupts nobody any more. A handler may
 * still run, on any CPU.
 * dev_irqs_free - its vectors are free again; once no CPU is in a handler. Repeating either, or
 * irqs that were never connected, is harmless.
 *
 * Context: boot CPU, as connecting.
 */
void dev_irqs_disconnect(struct dev_irqs *irqs);
void dev_irqs_free(struct dev_irqs *irqs);

/*
 * dev_irqs_plan - the kind of interrupt, and how many vectors, that suit a device best. Pure.
 *
 * best       the best kind that the driver and the command line allow
 * nr_msix    entries of its MSI-X table, 0 without a usable one
 * returns    DEV_IRQ_NONE when nothing is left
 */
enum dev_irq_kind dev_irqs_plan(enum dev_irq_kind best, uint32_t nr_msix, bool has_msi,
				bool has_intx, uint32_t nr_handlers, uint32_t *nr_vectors);

/* dev_irqs_spread - MSI-X vectors of all devices over all CPUs; boot CPU, once all CPUs are up */
void dev_irqs_spread(void);

#endif
