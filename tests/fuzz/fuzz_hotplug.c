/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile slot with a hostile card: registers that hold what the input says, change whenever it
 * says so, or answer something else at each reading. Whatever they do, cards come and go in turn,
 * and addresses that were given lie in the port's windows and not in one another.
 *
 * Input: registers of port and card, then steps.
 */
#include <stdlib.h>

#include "kernel/lib/bytes.h"
#include "kernel/pci_assign.h"
#include "kernel/pci_slot.h"
#include "tests/fuzz/input.h"

#define BUS	5u
#define CAP	0x40u
#define CONTROL (CAP + 0x18)
#define STATUS	(CAP + 0x1a)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	uint8_t port[256], card[PCI_FUNCTIONS][256], writable[PCI_FUNCTIONS][256];
	bool is_mad; /* readings of the card are the input's */
	struct input *in;
} machine;

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

static uint32_t fake_read(void *arg, struct pci_addr at, uint32_t reg, uint32_t size)
{
	const uint8_t *from = at.bus == BUS ? machine.card[at.fn] : machine.port;
	uint32_t val = 0;

	(void)arg;
	require(reg + size <= 256 && reg % size == 0 && at.fn < PCI_FUNCTIONS);
	if (at.bus == BUS && machine.is_mad)
		return (uint32_t)input_bytes(machine.in, size);
	for (uint32_t i = 0; i < size; i++)
		val |= (uint32_t)from[reg + i] << (8 * i);
	return val;
}

static void write_card(struct pci_addr at, uint32_t reg, uint32_t size, uint32_t val)
{
	for (uint32_t i = 0; i < size; i++) {
		uint8_t mask = machine.writable[at.fn][reg + i],
			*to = &machine.card[at.fn][reg + i];

		*to = (uint8_t)((*to & ~mask) | ((val >> (8 * i)) & mask));
	}
}

static void fake_write(void *arg, struct pci_addr at, uint32_t reg, uint32_t size, uint32_t val)
{
	(void)arg;
	require(reg + size <= 256 && reg % size == 0 && at.fn < PCI_FUNCTIONS);
	if (at.bus == BUS)
		write_card(at, reg, size, val);
	else if (reg == STATUS)
		put_le16(machine.port + STATUS, (uint16_t)(get_le16(machine.port + STATUS) & ~val));
	else if (reg == CONTROL)
		put_le16(machine.port + CONTROL, (uint16_t)val);
}

static const struct pci_access fake = {.read = fake_read, .write = fake_write};
static const struct pci_device port = {.header_type = 1};

static void read_card(struct input *in, uint8_t fn)
{
	uint8_t *reg = machine.card[fn];

	put_le16(reg + PCI_REG_VENDOR, input_u16(in));
	reg[PCI_REG_HEADER_TYPE] = input_u8(in);
	for (uint32_t i = 0; i < PCI_BARS; i++) {
		uint8_t bar = input_u8(in);

		reg[PCI_REG_BAR0 + 4 * i] = bar & 0xf;
		/* Its length is a power of two, or something that is none. */
		put_le32(machine.writable[fn] + PCI_REG_BAR0 + 4 * i,
			 bar & 0x80 ? input_u32(in) : ~0u << (bar >> 4 & 7) * 4);
	}
	put_le16(machine.writable[fn] + PCI_REG_COMMAND, 0x0407);
}

static void read_machine(struct input *in)
{
	memset(&machine, 0, sizeof(machine));
	machine.in = in;
	put_le16(machine.port + PCI_REG_STATUS, 0x10);
	machine.port[PCI_REG_CAP_POINTER] = CAP;
	machine.port[PCI_REG_SECONDARY] = BUS;
	put_le16(machine.port + CAP, PCI_CAP_EXPRESS);
	put_le16(machine.port + CAP + 2, 0x0142);
	put_le32(machine.port + CAP + 0x0c, input_u8(in) & 1 ? 1u << 20 : 0);
	put_le32(machine.port + CAP + 0x14, input_u32(in) | 0x40);
	for (uint32_t reg = 0x1c; reg < 0x34; reg += 4)
		put_le32(machine.port + reg, input_u32(in));
	for (uint8_t fn = 0; fn < 3; fn++)
		read_card(in, fn);
	for (uint8_t fn = 3; fn < PCI_FUNCTIONS; fn++)
		put_le16(machine.card[fn] + PCI_REG_VENDOR, PCI_VENDOR_NONE);
}

/* ---- what was assigned ---- */

static bool is_in(const struct pci_window *window, const struct pci_bar *bar)
{
	return bar->base >= window->base && bar->base < window->end &&
	       range_fits(bar->base, bar->len_bytes, window->end);
}

static void check_bar(const struct pci_windows *windows, const struct pci_bar *bar)
{
	if (bar->is_io) {
		require(bar->base == 0 || is_in(&windows->io, bar));
		return;
	}
	require(IS_ALIGNED(bar->base, bar->len_bytes) && IS_ALIGNED(bar->base, 4096));
	require(bar->is_64bit || bar->base + bar->len_bytes <= 4 * GIB);
	require(is_in(&windows->memory, bar) ||
		(bar->is_prefetchable && is_in(&windows->prefetchable, bar)));
}

static void check_apart(const struct pci_bar *one, const struct pci_bar *two)
{
	if (one == two || one->is_io || two->is_io || !one->len_bytes || !two->len_bytes)
		return;
	require(one->base + one->len_bytes <= two->base || two->base + two->len_bytes <= one->base);
}

/* Windows of a port that overlap one another are firmware's mistake, and not looked for. */
static bool are_apart(const struct pci_windows *windows)
{
	return windows->memory.end <= windows->prefetchable.base ||
	       windows->prefetchable.end <= windows->memory.base;
}

static void check_places(const struct pci_windows *windows, const struct pci_device *devs,
			 uint32_t nr)
{
	for (uint32_t i = 0; i < nr * PCI_BARS; i++) {
		const struct pci_bar *bar = &devs[i / PCI_BARS].bars[i % PCI_BARS];

		if (bar->len_bytes != 0)
			check_bar(windows, bar);
		for (uint32_t j = 0; j < nr * PCI_BARS && are_apart(windows); j++)
			check_apart(bar, &devs[j / PCI_BARS].bars[j % PCI_BARS]);
	}
}

static bool add_card(void)
{
	struct pci_device devs[PCI_FUNCTIONS];
	struct pci_windows windows;
	uint64_t wanted;
	uint32_t nr = pci_scan_slot(&fake, BUS, devs);

	require(nr <= PCI_FUNCTIONS);
	pci_windows_read(&fake, &port, &windows);
	if (nr == 0 || pci_assign(&fake, &windows, devs, nr, &wanted) != HV_OK)
		return false;
	check_places(&windows, devs, nr);
	for (uint32_t i = 0; i < nr; i++)
		if (pci_match_payload(&fake, &port, &devs[i]) != HV_OK)
			return false;
	return true;
}

/* ---- the slot ---- */

struct expected {
	bool is_on;	 /* a card was added */
	bool is_leaving; /* and is to be released */
};

static void act(struct pci_slot *slot, enum pci_slot_do what, struct expected *expected,
		struct input *in)
{
	switch (what) {
	case PCI_SLOT_ADD:
		require(!expected->is_on && !expected->is_leaving);
		expected->is_on = true;
		if (!add_card()) {
			pci_slot_failed(slot, "no use");
			expected->is_leaving = true;
		}
		break;
	case PCI_SLOT_REMOVE:
	case PCI_SLOT_GONE:
		require(expected->is_on && !expected->is_leaving);
		expected->is_leaving = true;
		if (input_u8(in) & 1)
			pci_slot_is_left(slot);
		break;
	case PCI_SLOT_RELEASE:
		require(expected->is_on == expected->is_leaving);
		expected->is_on = expected->is_leaving = false;
		break;
	default:
		break;
	}
}

static void change(struct input *in)
{
	uint8_t how = input_u8(in);

	switch (how & 3) {
	case 0:
		put_le16(machine.port + STATUS, input_u16(in));
		break;
	case 1: /* all that is wanted for a card */
		put_le16(machine.port + STATUS, 0x0058);
		put_le16(machine.port + CAP + 0x12, 0x2000);
		break;
	case 2:
		put_le16(machine.port + CAP + 0x12, input_u16(in));
		break;
	default:
		machine.is_mad = how & 4;
		machine.card[0][PCI_REG_HEADER_TYPE] = input_u8(in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct expected expected = {false, false};
	struct pci_slot slot;
	uint64_t now_ns = 0;

	read_machine(&in);
	if (pci_slot_find(&fake, &port, false, true, &slot) != HV_OK)
		return 0;
	expected.is_on = input_u8(&in) & 1;
	pci_slot_start(&slot, expected.is_on, true, now_ns);
	while (in.left > 0) {
		change(&in);
		now_ns += (uint64_t)input_u8(&in) * PCI_SLOT_STEP_NS;
		act(&slot, pci_slot_step(&slot, now_ns), &expected, &in);
	}
	return 0;
}
