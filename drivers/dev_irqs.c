/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of devices: one list of all that are connected. An INTx line has a vector of its own,
 * kept for ever, whose handler goes through those of the list that share the line. One that is
 * disconnected still leads on to the rest of the list, for whoever was just looking at it.
 */
#include "drivers/dev_irqs.h"

#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/lib/assert.h"
#include "kernel/log.h"
#include "kernel/memory.h"

#define LINES_MAX	 32u
#define LINE_NONE	 0xffu /* [PCI] "Interrupt Line": unknown, or not connected */
#define MSI_APIC_ID_MAX	 255u  /* a message has eight bits for its target */
#define MSIX_ENTRY_BYTES 16u

static struct dev_irqs *all;
static bool is_spread; /* all CPUs are up */

static uint32_t lines[LINES_MAX]; /* GSIs; only added to, by the boot CPU */
static uint32_t nr_lines;

enum dev_irq_kind dev_irqs_plan(enum dev_irq_kind best, uint32_t nr_msix, bool has_msi,
				bool has_intx, uint32_t nr_handlers, uint32_t *nr_vectors)
{
	*nr_vectors = 1;
	if (best >= DEV_IRQ_MSIX && nr_msix > 0) {
		*nr_vectors = MIN(nr_handlers, nr_msix);
		return DEV_IRQ_MSIX;
	}
	if (best >= DEV_IRQ_MSI && has_msi)
		return DEV_IRQ_MSI;
	return best >= DEV_IRQ_INTX && has_intx ? DEV_IRQ_INTX : DEV_IRQ_NONE;
}

static void call_handlers(const struct dev_irqs *irqs, uint32_t first)
{
	for (uint32_t i = first; i < irqs->nr_handlers; i += irqs->nr_vectors)
		irqs->handlers[i].fn(irqs->handlers[i].arg);
}

static void handle_vector(void *arg)
{
	const struct dev_irq_vector *vector = arg;

	call_handlers(vector->irqs, vector->index);
}

static void handle_line(void *arg)
{
	const uint32_t *gsi = arg;
	struct dev_irqs *irqs = __atomic_load_n(&all, __ATOMIC_ACQUIRE);

	for (; irqs; irqs = irqs->next)
		if (irqs->kind == DEV_IRQ_INTX && irqs->dev->irq_line == *gsi)
			call_handlers(irqs, 0);
}

static enum dev_irq_kind best_allowed(enum dev_irq_kind by_driver)
{
	static const char *const words[] = {"intx", "msi", "msix"};
	static const enum dev_irq_kind kinds[] = {DEV_IRQ_INTX, DEV_IRQ_MSI, DEV_IRQ_MSIX};
	unsigned chosen = cmdline_choose("irqs", words, ARRAY_SIZE(words), ARRAY_SIZE(words) - 1);

	return MIN(by_driver, kinds[chosen]);
}

/* So many vectors of the number wanted as there are; the first handlers have one each then. */
static uint32_t take_vectors(struct dev_irqs *irqs, uint32_t wanted)
{
	uint32_t taken = 0;

	for (; taken < wanted; taken++) {
		struct dev_irq_vector *vector = &irqs->vectors[taken];

		*vector = (struct dev_irq_vector){.irqs = irqs, .index = taken};
		if (irq_vector_take(handle_vector, vector, &vector->vector) != HV_OK)
			break;
	}
	irqs->nr_taken = taken;
	return taken;
}

static volatile uint32_t *map_table(const struct pci_device *dev, const struct pci_msix *msix)
{
	return mmio_map(dev->bars[msix->bar].base + msix->offset,
			(uint64_t)msix->nr_vectors * MSIX_ENTRY_BYTES);
}

static void point_vector(struct dev_irqs *irqs, uint32_t index, uint32_t cpu_index)
{
	uint64_t addr;
	uint32_t data;

	irq_msi_message(cpu_index, irqs->vectors[index].vector, &addr, &data);
	pci_msix_set(irqs->table, index, addr, data);
}

/* Where handler i is to run: CPU i, if a message can be sent to it. */
static uint32_t cpu_of(uint32_t index)
{
	uint32_t cpu = is_spread ? index % cpu_count() : 0;

	return cpu_at(cpu)->apic_id <= MSI_APIC_ID_MAX ? cpu : 0;
}

static enum hv_err connect_msix(struct dev_irqs *irqs, uint32_t wanted)
{
	irqs->nr_vectors = take_vectors(irqs, wanted);
	if (irqs->nr_vectors == 0)
		return HV_ENOMEM;
	for (uint32_t i = 0; i < irqs->nr_vectors; i++)
		point_vector(irqs, i, cpu_of(i));
	return pci_msix_enable(&pci_machine, irqs->dev);
}

static enum hv_err connect_msi(struct dev_irqs *irqs)
{
	uint64_t addr;
	uint32_t data;

	irqs->nr_vectors = take_vectors(irqs, 1);
	if (irqs->nr_vectors == 0)
		return HV_ENOMEM;
	irq_msi_message(0, irqs->vectors[0].vector, &addr, &data);
	return pci_msi_enable(&pci_machine, irqs->dev, addr, data);
}

static bool is_line_routed(uint32_t gsi)
{
	for (uint32_t i = 0; i < nr_lines; i++)
		if (lines[i] == gsi)
			return true;
	return false;
}

static enum hv_err route_line(uint32_t gsi)
{
	enum hv_err err;
	uint8_t vector;

	if (is_line_routed(gsi))
		return HV_OK;
	if (nr_lines == LINES_MAX)
		return HV_ENOMEM;
	lines[nr_lines] = gsi;
	err = irq_vector_take(handle_line, &lines[nr_lines], &vector);
	if (err == HV_OK)
		err = irq_route_gsi(gsi, vector, IRQ_LEVEL_LOW);
	if (err != HV_OK)
		return err == HV_ENOENT ? HV_EIO : err;
	nr_lines++;
	return HV_OK;
}

static enum hv_err connect_intx(struct dev_irqs *irqs)
{
	irqs->nr_vectors = 1;
	pci_command(&pci_machine, irqs->dev, 0, PCI_COMMAND_INTX_DISABLE);
	return route_line(irqs->dev->irq_line);
}

/* What dev_irqs_plan() is asked, and then done. */
static enum hv_err connect_best(struct dev_irqs *irqs, enum dev_irq_kind best)
{
	const struct pci_device *dev = irqs->dev;
	struct pci_msix msix = {0};
	uint32_t wanted;
	bool has_msix = pci_msix_find(&pci_machine, dev, &msix) == HV_OK;
	bool has_msi = pci_find_cap(&pci_machine, dev, PCI_CAP_MSI) != 0;
	bool has_intx = dev->irq_pin != 0 && dev->irq_line != LINE_NONE;

	if (has_msix && !irqs->table)
		irqs->table = map_table(dev, &msix);
	irqs->kind = dev_irqs_plan(best, irqs->table ? msix.nr_vectors : 0, has_msi, has_intx,
				   irqs->nr_handlers, &wanted);
	switch (irqs->kind) {
	case DEV_IRQ_MSIX:
		return connect_msix(irqs, wanted);
	case DEV_IRQ_MSI:
		return connect_msi(irqs);
	case DEV_IRQ_INTX:
		return connect_intx(irqs);
	default:
		log_warn("irqs", "%02x:%02x.%u: has no interrupt that could be routed", dev->at.bus,
			 dev->at.dev, dev->at.fn);
		return HV_EIO;
	}
}

enum hv_err dev_irqs_connect(struct dev_irqs *irqs, struct pci_device *dev,
			     const struct dev_irq_handler *handlers, uint32_t nr_handlers,
			     enum dev_irq_kind allowed)
{
	enum hv_err err;

	ASSERT(nr_handlers > 0 && nr_handlers <= DEV_IRQS_MAX);

	irqs->dev = dev;
	irqs->nr_handlers = nr_handlers;
	for (uint32_t i = 0; i < nr_handlers; i++)
		irqs->handlers[i] = handlers[i];

	allowed = best_allowed(allowed);
	do { /* a capability may be there and yet be unusable */
		err = connect_best(irqs, allowed);
		allowed = irqs->kind - 1;
		if (err != HV_OK)
			dev_irqs_free(irqs);
	} while (err == HV_ENOTSUP);
	if (err != HV_OK)
		return err;
	irqs->next = all;
	__atomic_store_n(&all, irqs, __ATOMIC_RELEASE);
	return HV_OK;
}

static struct dev_irqs **link_to(const struct dev_irqs *irqs)
{
	struct dev_irqs **link = &all;

	while (*link && *link != irqs)
		link = &(*link)->next;
	return link;
}

void dev_irqs_disconnect(struct dev_irqs *irqs)
{
	struct dev_irqs **link = link_to(irqs);

	if (!*link)
		return;
	pci_messages_off(&pci_machine, irqs->dev);
	pci_command(&pci_machine, irqs->dev, PCI_COMMAND_INTX_DISABLE, 0);
	__atomic_store_n(link, irqs->next, __ATOMIC_RELEASE);
}

void dev_irqs_free(struct dev_irqs *irqs)
{
	for (uint32_t i = 0; i < irqs->nr_taken; i++)
		irq_vector_give(irqs->vectors[i].vector);
	irqs->nr_taken = 0;
}

static void spread(struct dev_irqs *irqs)
{
	for (uint32_t i = 0; i < irqs->nr_vectors; i++)
		if (cpu_of(i) != 0)
			point_vector(irqs, i, cpu_of(i));
}

void dev_irqs_spread(void)
{
	is_spread = true;
	for (struct dev_irqs *irqs = all; irqs; irqs = irqs->next)
		if (irqs->kind == DEV_IRQ_MSIX)
			spread(irqs);
}
