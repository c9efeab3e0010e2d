/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PC's own devices together under any sequence of accesses, lines and passing time. An input is
 * steps of four bytes: what, where, how wide, a value.
 */
#include <stdlib.h>

#include "tests/unit/support/fake_vm.h"
#include "vmm/dev/acpi_pm.h"
#include "vmm/dev/fw_misc.h"
#include "vmm/dev/ioapic.h"
#include "vmm/dev/pic.h"
#include "vmm/dev/pit.h"
#include "vmm/dev/rtc.h"
#include "vmm/dev/uart.h"
#include "vmm/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define STEP_LEN 4u

enum device { UART, PIC, PIT, RTC, PM, MISC, IOAPIC, DEVICES };

static const struct vdev_ops *const ops[DEVICES] = {
	&uart_ops, &pic_ops, &pit_ops, &rtc_ops, &acpi_pm_ops, &fw_misc_ops, &ioapic_ops};

/* Ranges as vmm/board.c has them. */
static const struct range {
	enum device device;
	uint64_t base, len;
} ranges[] = {
	{UART, LAYOUT_COM1, UART_PORTS},
	{PIC, LAYOUT_PIC_MASTER, 2},
	{PIC, LAYOUT_PIC_SLAVE, 2},
	{PIC, LAYOUT_ELCR, 2},
	{PIT, LAYOUT_PIT, 4},
	{PIT, LAYOUT_PORT_B, 1},
	{RTC, LAYOUT_RTC, RTC_PORTS},
	{PM, LAYOUT_PM, LAYOUT_PM_BYTES},
	{MISC, LAYOUT_I8042_DATA, 1},
	{MISC, LAYOUT_I8042_STATUS, 1},
	{MISC, LAYOUT_POST_CODE, 1},
	{MISC, LAYOUT_FAST_A20, 1},
	{MISC, LAYOUT_RESET_CONTROL, 1},
	{IOAPIC, LAYOUT_IOAPIC, LAYOUT_IOAPIC_BYTES},
};

static void require(bool claim)
{
	if (!claim)
		abort();
}

static void access_device(struct vdev *devices[], const uint8_t *in)
{
	const struct range *r = &ranges[in[1] % ARRAY_SIZE(ranges)];
	uint8_t size = (uint8_t)(1u << (in[2] & 3));
	struct io_access acc = {.size = size, .is_write = in[0] & 0x80};
	struct vdev *dev = devices[r->device];
	enum io_result result;

	acc.offset = r->device == IOAPIC ? (in[2] >> 2 & 15) * 8u : (uint64_t)(in[2] >> 2) % r->len;
	if (!range_fits(acc.offset, size, r->len))
		return;
	acc.addr = r->base + acc.offset;
	if (acc.is_write)
		acc.value = size == 1 ? in[3] : in[3] * 0x0101010101010101ull >> (8 - size) * 8;
	result = dev->ops->access(dev, r->device == IOAPIC ? SPACE_MMIO : SPACE_PIO, &acc);
	if (result == IO_DONE && !acc.is_write && size < 8)
		require(acc.value < BIT(size * 8));
}

static void step(struct vm *vm, struct vdev *devices[], const uint8_t *in)
{
	switch (in[0] & 7) {
	case 0:
		fake_vm_advance(vm, (uint64_t)in[1] << (in[2] % 17));
		break;
	case 1:
		pic_line(devices[PIC], in[1] % 20, in[2] & 1);
		ioapic_line(devices[IOAPIC], in[1] % 28, in[2] & 1);
		break;
	case 2:
		require(pic_pending(devices[PIC]) || (pic_ack(devices[PIC]) & 7) == 7);
		if (pic_pending(devices[PIC]))
			(void)pic_ack(devices[PIC]);
		break;
	case 3:
		fake_vm(vm)->typed_len = 0;
		fake_vm_type(vm, in, STEP_LEN);
		uart_poll(devices[UART]);
		break;
	case 4:
		if (in[1] == 0)
			ops[in[2] % DEVICES]->reset(devices[in[2] % DEVICES]);
		else if (in[1] == 1)
			acpi_pm_press_power_button(devices[PM]);
		else if (in[1] == 2)
			fake_vm(vm)->wall_s += (uint64_t)in[2] << in[3] % 24;
		else
			ioapic_eoi(devices[IOAPIC], in[2]);
		break;
	default:
		access_device(devices, in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct vm *vm = fake_vm_create(0, 0);
	struct vdev *devices[DEVICES];

	for (int i = 0; i < DEVICES; i++)
		require(ops[i]->create(vm, NULL, &devices[i]) == HV_OK);
	for (; len >= STEP_LEN; data += STEP_LEN, len -= STEP_LEN)
		step(vm, devices, data);
	for (int i = 0; i < DEVICES; i++)
		ops[i]->destroy(devices[i]);
	fake_vm_destroy(vm);
	return 0;
}
