/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI function: configuration bytes under a mask of writable bits, BARs, MSI-X.
 */
#include "vmm/dev/pci.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

#define MSIX_TABLE_AT 0u /* offset in its BAR */

/* ---- creation ---- */

void pci_fn_let_write(struct pci_fn *fn, uint32_t offset, uint32_t len)
{
	ASSERT(range_fits(offset, len, PCI_CONFIG_LEN));
	memset(fn->writable + offset, 0xff, len);
}

void pci_fn_init(struct pci_fn *fn, struct vm *vm, const struct pci_fn_ops *ops,
		 const struct pci_id *id)
{
	*fn = (struct pci_fn){.ops = ops, .vm = vm, .caps_end = PCI_HEADER_LEN};
	put_le16(fn->initial + PCI_VENDOR_ID, id->vendor);
	put_le16(fn->initial + PCI_DEVICE_ID, id->device);
	put_le16(fn->initial + PCI_SUBSYSTEM_VENDOR, id->subsystem_vendor);
	put_le16(fn->initial + PCI_SUBSYSTEM_ID, id->subsystem);
	put_le32(fn->initial + PCI_REVISION, id->class_code << 8 | id->revision);
	put_le16(fn->initial + PCI_COMMAND, PCI_COMMAND_MEMORY);
	put_le16(fn->writable + PCI_COMMAND,
		 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	fn->io_bar = PCI_BARS;
	pci_fn_let_write(fn, PCI_INTERRUPT_LINE, 1);
}

void pci_fn_add_bar(struct pci_fn *fn, unsigned bar, uint64_t bytes)
{
	uint32_t at = PCI_BAR0 + 4 * bar;

	ASSERT(bar % 2 == 0 && bar < PCI_BARS && !fn->bar_bytes[bar]);
	ASSERT(bytes >= 4 * KIB && !(bytes & (bytes - 1)));
	fn->bar_bytes[bar] = bytes;
	put_le32(fn->initial + at, PCI_BAR_MEM_64);
	put_le64(fn->writable + at, ~(bytes - 1));
}

void pci_fn_add_io_bar(struct pci_fn *fn, unsigned bar)
{
	uint32_t at = PCI_BAR0 + 4 * bar;

	ASSERT(bar < PCI_BARS && !fn->bar_bytes[bar] && fn->io_bar == PCI_BARS &&
	       fn->ops->doorbell);
	fn->io_bar = (uint8_t)bar;
	put_le32(fn->initial + at, PCI_BAR_IO);
	put_le32(fn->writable + at, 0xffffu & ~(PCI_IO_BAR_LEN - 1));
	put_le16(fn->initial + PCI_COMMAND, get_le16(fn->initial + PCI_COMMAND) | PCI_COMMAND_IO);
	put_le16(fn->writable + PCI_COMMAND, get_le16(fn->writable + PCI_COMMAND) | PCI_COMMAND_IO);
}

uint8_t pci_fn_add_cap(struct pci_fn *fn, uint8_t id, const void *body, uint8_t body_len)
{
	uint8_t at = fn->caps_end;

	ASSERT(range_fits(at, body_len + 2u, PCI_CONFIG_LEN - 4));
	fn->initial[at] = id;
	memcpy(fn->initial + at + 2, body, body_len);
	fn->initial[fn->last_cap ? fn->last_cap + 1u : PCI_CAP_POINTER] = at;
	put_le16(fn->initial + PCI_STATUS, PCI_STATUS_CAP_LIST);
	fn->last_cap = at;
	fn->caps_end = (uint8_t)ALIGN_UP(at + 2u + body_len, 4);
	return at;
}

void pci_fn_add_msix(struct pci_fn *fn, unsigned bar, uint16_t nr_vectors)
{
	uint8_t body[10];

	ASSERT(nr_vectors > 0 && nr_vectors <= PCI_MSIX_MAX);
	pci_fn_add_bar(fn, bar, PCI_MSIX_BAR_LEN);
	put_le16(body, (uint16_t)(nr_vectors - 1));
	put_le32(body + 2, MSIX_TABLE_AT | bar);
	put_le32(body + 6, PCI_MSIX_PBA | bar);
	fn->msix.cap = pci_fn_add_cap(fn, PCI_CAP_MSIX, body, sizeof(body));
	fn->msix.bar = (uint8_t)bar;
	fn->msix.nr_vectors = nr_vectors;
	put_le16(fn->writable + fn->msix.cap + PCI_MSIX_CONTROL,
		 PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK);
}

/* ---- MSI-X ---- */

static void msix_reset(struct pci_msix *msix)
{
	lock_take(&msix->lock);
	msix->is_enabled = msix->is_masked = false;
	msix->pending = 0;
	for (uint16_t i = 0; i < PCI_MSIX_MAX; i++)
		msix->table[i] = (struct pci_msix_entry){.control = PCI_MSIX_ENTRY_MASKED};
	lock_release(&msix->lock);
}

/* Send what has become sendable. */
static void msix_send_pending(struct pci_fn *fn)
{
	struct pci_msix *msix = &fn->msix;

	ASSERT_HELD(&msix->lock);
	if (!msix->is_enabled || msix->is_masked)
		return;
	for (uint64_t left = msix->pending; left; left &= left - 1) {
		const struct pci_msix_entry *entry = &msix->table[__builtin_ctzll(left)];

		if (entry->control & PCI_MSIX_ENTRY_MASKED)
			continue;
		msix->pending &= ~(left & -left);
		/* Under the lock: no message comes after the guest has seen its mask set. */
		vm_msi(fn->vm, entry->addr, entry->data);
	}
}

bool pci_msix_is_enabled(struct pci_fn *fn)
{
	bool is_enabled;

	lock_take(&fn->msix.lock);
	is_enabled = fn->msix.is_enabled;
	lock_release(&fn->msix.lock);
	return is_enabled;
}

void pci_msix_signal(struct pci_fn *fn, uint16_t vector)
{
	struct pci_msix *msix = &fn->msix;

	lock_take(&msix->lock);
	if (msix->is_enabled && vector < msix->nr_vectors) {
		msix->pending |= BIT(vector);
		msix_send_pending(fn);
	}
	lock_release(&msix->lock);
}

static void msix_control_wrote(struct pci_fn *fn)
{
	uint16_t control = get_le16(fn->config + fn->msix.cap + PCI_MSIX_CONTROL);

	lock_take(&fn->msix.lock);
	fn->msix.is_enabled = control & PCI_MSIX_CONTROL_ENABLE;
	fn->msix.is_masked = control & PCI_MSIX_CONTROL_MASK;
	msix_send_pending(fn);
	lock_release(&fn->msix.lock);
}

static void msix_read(struct pci_msix *msix, uint64_t offset, uint32_t size, uint64_t *val)
{
	uint64_t table_bytes = sizeof(msix->table[0]) * (uint64_t)msix->nr_vectors;

	*val = 0;
	if (range_fits(offset, size, table_bytes))
		memcpy(val, (const uint8_t *)msix->table + offset, size);
	else if (offset >= PCI_MSIX_PBA && range_fits(offset - PCI_MSIX_PBA, size, sizeof(*val)))
		memcpy(val, (const uint8_t *)&msix->pending + (offset - PCI_MSIX_PBA), size);
}

/* [PCI]: software shall use full doublewords or quadwords; others do nothing here. */
static void msix_write(struct pci_fn *fn, uint64_t offset, uint32_t size, uint64_t val)
{
	struct pci_msix *msix = &fn->msix;
	uint64_t table_bytes = sizeof(msix->table[0]) * (uint64_t)msix->nr_vectors;

	if (size < 4 || offset % size || !range_fits(offset, size, table_bytes))
		return;
	memcpy((uint8_t *)msix->table + offset, &val, size);
	msix->table[offset / PCI_MSIX_ENTRY_LEN].control &= PCI_MSIX_ENTRY_MASKED;
	msix_send_pending(fn);
}

static void msix_access(struct pci_fn *fn, struct io_access *acc)
{
	lock_take(&fn->msix.lock);
	if (acc->is_write)
		msix_write(fn, acc->offset, acc->size, acc->value);
	else
		msix_read(&fn->msix, acc->offset, acc->size, &acc->value);
	lock_release(&fn->msix.lock);
}

/* ---- configuration space ---- */

static bool overlaps(uint32_t offset, uint32_t size, uint32_t at, uint32_t len)
{
	return offset < at + len && at < offset + size;
}

static void tell_moved(struct pci_fn *fn)
{
	if (fn->ops->moved)
		fn->ops->moved(fn);
}

void pci_fn_reset(struct pci_fn *fn)
{
	memcpy(fn->config, fn->initial, sizeof(fn->config));
	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		if (fn->bar_bytes[bar])
			put_le64(fn->config + PCI_BAR0 + 4 * bar,
				 fn->bar_home[bar] | PCI_BAR_MEM_64);
	if (fn->io_bar < PCI_BARS)
		put_le32(fn->config + PCI_BAR0 + 4u * fn->io_bar,
			 (uint32_t)fn->bar_home[fn->io_bar] | PCI_BAR_IO);
	msix_reset(&fn->msix);
	if (fn->ops->reset)
		fn->ops->reset(fn);
	tell_moved(fn);
}

uint64_t pci_fn_read(struct pci_fn *fn, uint32_t offset, uint32_t size)
{
	uint64_t val = 0;

	if (size > sizeof(val) || !range_fits(offset, size, PCI_CONFIG_LEN))
		return 0;
	if (fn->ops->config_reads)
		fn->ops->config_reads(fn, offset, size);
	memcpy(&val, fn->config + offset, size);
	return val;
}

void pci_fn_write(struct pci_fn *fn, uint32_t offset, uint32_t size, uint64_t val)
{
	if (size > sizeof(val) || !range_fits(offset, size, PCI_CONFIG_LEN))
		return;
	for (uint32_t i = 0; i < size; i++, val >>= 8) {
		uint8_t mask = fn->writable[offset + i];
		uint8_t *byte = &fn->config[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (val & mask));
	}

	if (fn->msix.cap && overlaps(offset, size, fn->msix.cap + PCI_MSIX_CONTROL, 2))
		msix_control_wrote(fn);
	if (overlaps(offset, size, PCI_COMMAND, 2) ||
	    overlaps(offset, size, PCI_BAR0, 4 * PCI_BARS))
		tell_moved(fn);
	if (fn->ops->config_wrote)
		fn->ops->config_wrote(fn, offset, size);
}

bool pci_fn_is_master(const struct pci_fn *fn)
{
	return get_le16(fn->config + PCI_COMMAND) & PCI_COMMAND_MASTER;
}

bool pci_fn_bar_at(const struct pci_fn *fn, unsigned bar, uint64_t *gpa)
{
	ASSERT(bar < PCI_BARS);
	if (!fn->bar_bytes[bar] || !(get_le16(fn->config + PCI_COMMAND) & PCI_COMMAND_MEMORY))
		return false;
	*gpa = get_le64(fn->config + PCI_BAR0 + 4 * bar) & ~0xfull;
	return true;
}

bool pci_fn_ports_at(const struct pci_fn *fn, uint32_t *port)
{
	if (fn->io_bar == PCI_BARS || !(get_le16(fn->config + PCI_COMMAND) & PCI_COMMAND_IO))
		return false;
	*port = get_le32(fn->config + PCI_BAR0 + 4u * fn->io_bar) & ~(PCI_IO_BAR_LEN - 1);
	return true;
}

enum io_result pci_fn_access(struct pci_fn *fn, unsigned bar, struct io_access *acc)
{
	ASSERT(bar < PCI_BARS);
	if (!range_fits(acc->offset, acc->size, fn->bar_bytes[bar]))
		return IO_UNCLAIMED;
	if (!fn->msix.cap || bar != fn->msix.bar)
		return fn->ops->bar_access(fn, bar, acc);
	msix_access(fn, acc);
	return IO_DONE;
}
