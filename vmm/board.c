/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board, as rows. A new device is its own file, its rows here, and a line in module.mk.
 *
 * PCI functions have no rows of their own: they are on the bus, and their registers are in its
 * window.
 */
#include "vmm/board.h"

#include "kernel/lib/string.h"
#include "kernel/memory.h"
#include "net/port.h"
#include "vmm/dev/acpi_pm.h"
#include "vmm/dev/fw_misc.h"
#include "vmm/dev/ioapic.h"
#include "vmm/dev/pci_host.h"
#include "vmm/dev/pic.h"
#include "vmm/dev/pit.h"
#include "vmm/dev/rtc.h"
#include "vmm/dev/uart.h"
#include "vmm/dev/virtio_control.h"
#include "vmm/dev/virtio_net.h"
#include "vmm/dev/virtio_rng.h"
#include "vmm/layout.h"
#include "vmm/run.h"
#include "vmm/vcpu.h"

enum device { DEV_PIC, DEV_PIT, DEV_RTC, DEV_UART, DEV_IOAPIC, DEV_PM, DEV_MISC, DEV_PCI, DEVICES };

static const struct vdev_ops *const device_ops[DEVICES] = {
	[DEV_PIC] = &pic_ops,	   [DEV_PIT] = &pit_ops,       [DEV_RTC] = &rtc_ops,
	[DEV_UART] = &uart_ops,	   [DEV_IOAPIC] = &ioapic_ops, [DEV_PM] = &acpi_pm_ops,
	[DEV_MISC] = &fw_misc_ops, [DEV_PCI] = &pci_host_ops,
};

static const struct board_row {
	enum io_space space;
	uint64_t base;
	uint32_t len_bytes; /* ports or bytes */
	enum device device;
} rows[] = {
	{SPACE_PIO, LAYOUT_PIC_MASTER, 2, DEV_PIC},
	{SPACE_PIO, LAYOUT_PIT, 4, DEV_PIT},
	{SPACE_PIO, LAYOUT_I8042_DATA, 1, DEV_MISC},
	{SPACE_PIO, LAYOUT_PORT_B, 1, DEV_PIT},
	{SPACE_PIO, LAYOUT_I8042_STATUS, 1, DEV_MISC},
	{SPACE_PIO, LAYOUT_RTC, RTC_PORTS, DEV_RTC},
	{SPACE_PIO, LAYOUT_POST_CODE, 1, DEV_MISC},
	{SPACE_PIO, LAYOUT_FAST_A20, 1, DEV_MISC},
	{SPACE_PIO, LAYOUT_PIC_SLAVE, 2, DEV_PIC},
	{SPACE_PIO, LAYOUT_COM1, UART_PORTS, DEV_UART},
	{SPACE_PIO, LAYOUT_ELCR, 2, DEV_PIC},
	{SPACE_PIO, LAYOUT_PM, LAYOUT_PM_BYTES, DEV_PM},
	{SPACE_PIO, LAYOUT_RESET_CONTROL, 1, DEV_MISC}, /* inside the next */
	{SPACE_PIO, PCI_HOST_PORTS, PCI_HOST_PORTS_BYTES, DEV_PCI},
	{SPACE_PIO, LAYOUT_PCI_IO, LAYOUT_PCI_IO_BYTES, DEV_PCI},
	{SPACE_MMIO, PCI_HOST_MMIO, PCI_HOST_MMIO_BYTES, DEV_PCI},
	{SPACE_MMIO, LAYOUT_IOAPIC, LAYOUT_IOAPIC_BYTES, DEV_IOAPIC},
};

struct board {
	struct vdev *devices[DEVICES];
	struct virtio_net *nics[CTL_NICS_MAX];
	uint32_t nr_nics;
	struct virtio_control *control;
};

static const struct net_ops the_switch = {net_attach, net_detach, net_buffer, net_send};

/* Takes vm->lock's holder to the first vCPU, the only one that the PIC is wired to. */
static void pic_output(struct vm *vm, bool is_high)
{
	if (is_high && vm->nr_vcpus > 0)
		vcpu_request(vm->vcpus[0], VCPU_REQ_LOOK);
}

/* ---- life ---- */

static enum hv_err create_pci(struct vm *vm, struct board *board,
			      const struct virtio_control_conf *control)
{
	struct pci_host *host = pci_host_of(board->devices[DEV_PCI]);
	enum hv_err err = virtio_rng_create(vm, host);

	for (uint32_t i = 0; err == HV_OK && i < vm->config.nr_nics; i++) {
		struct virtio_net_conf conf = {
			.network = vm->config.nics[i].network,
			.mtu = vm->is_agent ? NET_MTU_MIN : net_mtu(),
			.kind = vm->is_agent ? NET_PORT_AGENT : NET_PORT_GUEST,
			.name = vm->name,
			.net = &the_switch,
		};

		memcpy(conf.mac, vm->config.nics[i].mac, sizeof(conf.mac));
		err = virtio_net_create(vm, host, &conf, &board->nics[i]);
		if (err == HV_OK)
			board->nr_nics++;
	}
	if (err == HV_OK && control)
		err = virtio_control_create(vm, host, control, &board->control);
	return err;
}

enum hv_err board_create(struct vm *vm, const struct virtio_control_conf *control)
{
	struct board *board = kmem_alloc(sizeof(*board));
	enum hv_err err = HV_OK;

	if (!board)
		return HV_ENOMEM;
	vm->board = board;
	for (int i = 0; err == HV_OK && i < DEVICES; i++)
		err = device_ops[i]->create(vm, NULL, &board->devices[i]);
	if (err == HV_OK)
		err = create_pci(vm, board, control);
	if (err == HV_OK) {
		pic_set_intr(board->devices[DEV_PIC], pic_output);
		return HV_OK;
	}
	board_destroy(board);
	vm->board = NULL;
	return err;
}

void board_destroy(struct board *board)
{
	if (!board)
		return;
	for (int i = 0; i < DEVICES; i++)
		if (board->devices[i])
			device_ops[i]->destroy(board->devices[i]);
	kmem_free(board);
}

void board_reset(struct board *board)
{
	for (int i = 0; i < DEVICES; i++)
		device_ops[i]->reset(board->devices[i]);
}

/* ---- accesses ---- */

#define PORTS 65536u

static uint8_t
	row_of_port[PORTS]; /* index into rows, plus 1; 0: nobody's. Fixed after board_init */

void board_init(void)
{
	for (size_t i = ARRAY_SIZE(rows); i-- > 0;) /* backwards, so that the first row wins */
		if (rows[i].space == SPACE_PIO)
			memset(&row_of_port[rows[i].base], (int)i + 1, rows[i].len_bytes);
}

static const struct board_row *find_mmio(uint64_t addr, uint8_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].space == SPACE_MMIO &&
		    range_fits(addr - rows[i].base, size, rows[i].len_bytes))
			return &rows[i];
	return NULL;
}

/* A multi-byte access belongs to the row that has all of it. */
static const struct board_row *find_pio(uint16_t port, uint8_t size)
{
	const struct board_row *row = row_of_port[port] ? &rows[row_of_port[port] - 1] : NULL;

	if (row && (size == 1 || range_fits(port - row->base, size, row->len_bytes)))
		return row;
	for (size_t i = 0; row && size > 1 && i < ARRAY_SIZE(rows);
	     i++) /* rows that lie in one another */
		if (rows[i].space == SPACE_PIO &&
		    range_fits(port - rows[i].base, size, rows[i].len_bytes))
			return &rows[i];
	return NULL;
}

static uint64_t ones(uint8_t size)
{
	return size >= 8 ? ~0ull : BIT(size * 8) - 1;
}

static void refuse(struct vm *vm, struct vdev *dev, const struct io_access *acc)
{
	if (dev->has_refused)
		return;
	dev->has_refused = true;
	vm_log(vm, LOG_WARN, dev->ops->name, "refused a %s of %u bytes at %llx",
	       acc->is_write ? "write" : "read", acc->size, (unsigned long long)acc->addr);
}

static void access_row(struct vm *vm, const struct board_row *row, struct io_access *acc)
{
	enum io_result result = IO_UNCLAIMED;

	if (row) {
		struct vdev *dev = vm->board->devices[row->device];

		acc->offset = acc->addr - row->base;
		lock_take(&vm->lock);
		result = dev->ops->access(dev, row->space, acc);
		if (result == IO_REFUSED)
			refuse(vm, dev, acc);
		lock_release(&vm->lock);
	}
	if (result != IO_DONE && !acc->is_write)
		acc->value = ones(acc->size);
}

void board_pio(struct vm *vm, struct io_access *acc)
{
	access_row(vm, find_pio((uint16_t)acc->addr, acc->size), acc);
}

bool board_doorbell(struct board *board, uint16_t port)
{
	return pci_host_doorbell(pci_host_of(board->devices[DEV_PCI]), port);
}

void board_access(struct vm *vm, enum io_space space, uint64_t addr, struct io_access *acc)
{
	acc->addr = addr;
	if (space == SPACE_PIO)
		board_pio(vm, acc);
	else
		access_row(vm, find_mmio(addr, acc->size), acc);
}

/* ---- wires ---- */

void board_irq_line(struct board *board, uint32_t gsi, bool is_high)
{
	pic_line(board->devices[DEV_PIC], gsi, is_high);
	ioapic_line(board->devices[DEV_IOAPIC], gsi == 0 ? LAYOUT_GSI_PIT : gsi, is_high);
}

void board_eoi(struct board *board, uint8_t vector)
{
	ioapic_eoi(board->devices[DEV_IOAPIC], vector);
}

bool board_extint_pending(const struct board *board)
{
	return pic_pending(board->devices[DEV_PIC]);
}

int board_extint_ack(struct vm *vm)
{
	int vector;

	lock_take(&vm->lock);
	vector = pic_ack(vm->board->devices[DEV_PIC]);
	lock_release(&vm->lock);
	return vector;
}

void board_press_power_button(struct board *board)
{
	acpi_pm_press_power_button(board->devices[DEV_PM]);
}

void board_console_input(struct board *board)
{
	uart_poll(board->devices[DEV_UART]);
}

struct virtio_control *board_control(const struct board *board)
{
	return board->control;
}

void board_net_counters(const struct board *board, struct net_counters *sum)
{
	*sum = (struct net_counters){0};
	for (uint32_t i = 0; i < board->nr_nics; i++) {
		const struct net_counters *nic = &board->nics[i]->port.counters;

		sum->rx_bytes += nic->rx_bytes;
		sum->rx_packets += nic->rx_packets;
		sum->rx_dropped += nic->rx_dropped;
		sum->tx_bytes += nic->tx_bytes;
		sum->tx_packets += nic->tx_packets;
		sum->tx_dropped += nic->tx_dropped;
	}
}
