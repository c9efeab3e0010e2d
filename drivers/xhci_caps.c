/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets in capabilities are relative, so a chain may only go forwards, and ends with the BAR. */
#include "drivers/xhci_caps.h"

#include "kernel/lib/string.h"

#define VERSION_LEAST 0x0096u
#define DOORBELL_BITS 0xfffffffcu
#define RUNTIME_BITS  0xffffffe0u

/* [xHCI] "xHCI Supported Protocol Capability": words 0, 2, 3, and from 4 on the speed IDs */
#define PROTOCOL_MAJOR	   0xff000000u
#define PROTOCOL_FIRST	   0x000000ffu
#define PROTOCOL_COUNT	   0x0000ff00u
#define PROTOCOL_PSIC	   0xf0000000u
#define PROTOCOL_SLOT_TYPE 0x0000001fu
#define PROTOCOL_BYTES	   16u
#define PSI_VALUE	   0x0000000fu
#define PSI_EXPONENT	   0x00000030u /* 0: bit/s, 1: kbit/s, 2: Mbit/s, 3: Gbit/s */
#define PSI_MANTISSA	   0xffff0000u
#define MBIT		   1000000ull

static uint32_t read(const struct xhci_access *access, uint32_t offset)
{
	return access->read(access->arg, offset);
}

/* [USB2]: 1.5, 12 and 480 Mbit/s; [USB3]: 5 Gbit/s and more */
static enum usb_speed speed_of(uint32_t psi, uint8_t major)
{
	static const uint64_t units[] = {1, 1000, MBIT, 1000 * MBIT};
	uint64_t bits = FIELD_GET(PSI_MANTISSA, psi) * units[FIELD_GET(PSI_EXPONENT, psi)];

	if (major >= 3)
		return USB_SUPER;
	if (bits < 12 * MBIT)
		return USB_LOW;
	return bits < 480 * MBIT ? USB_FULL : USB_HIGH;
}

/* [xHCI] "Default Speed ID Mapping" */
static void default_speeds(struct xhci_port_kind *kind)
{
	for (uint8_t id = USB_FULL; id <= USB_HIGH && kind->major < 3; id++)
		kind->speeds[id] = id;
	for (uint8_t id = USB_SUPER; id < XHCI_SPEED_IDS && kind->major >= 3; id++)
		kind->speeds[id] = USB_SUPER;
}

static void take_protocol(const struct xhci_access *access, uint32_t at, struct xhci_caps *out)
{
	struct xhci_port_kind kind = {0};
	uint32_t ports, first, nr, nr_speeds;

	if (!range_fits(at, PROTOCOL_BYTES, access->len_bytes))
		return;
	ports = read(access, at + 8);
	first = (uint32_t)FIELD_GET(PROTOCOL_FIRST, ports);
	nr = (uint32_t)FIELD_GET(PROTOCOL_COUNT, ports);
	nr_speeds = (uint32_t)FIELD_GET(PROTOCOL_PSIC, ports);
	kind.major = (uint8_t)FIELD_GET(PROTOCOL_MAJOR, read(access, at));
	kind.slot_type = (uint8_t)FIELD_GET(PROTOCOL_SLOT_TYPE, read(access, at + 12));
	default_speeds(&kind);
	for (uint32_t i = 0; i < nr_speeds; i++) {
		uint32_t offset = at + PROTOCOL_BYTES + 4 * i, psi;

		if (!range_fits(offset, 4, access->len_bytes))
			break;
		psi = read(access, offset);
		kind.speeds[psi & PSI_VALUE] = (uint8_t)speed_of(psi, kind.major);
	}
	for (uint32_t i = 0; first > 0 && i < nr && first + i <= out->nr_ports; i++)
		out->ports[first + i] = kind;
}

static void walk_extended(const struct xhci_access *access, uint32_t at, struct xhci_caps *out)
{
	while (at >= XHCI_CAPABILITY_BYTES && range_fits(at, 4, access->len_bytes)) {
		uint32_t head = read(access, at);
		uint32_t next = 4 * (uint32_t)FIELD_GET(XHCI_EXT_NEXT, head);

		if (head == XHCI_GONE)
			return;
		if ((head & XHCI_EXT_ID) == XHCI_EXT_PROTOCOL)
			take_protocol(access, at, out);
		if ((head & XHCI_EXT_ID) == XHCI_EXT_LEGACY && out->legacy == 0 &&
		    range_fits(at, 8, access->len_bytes))
			out->legacy = at;
		if (next == 0)
			return;
		at += next; /* forwards: it ends with the BAR */
	}
}

static bool are_inside(const struct xhci_access *access, const struct xhci_caps *caps)
{
	return range_fits(caps->operational,
			  XHCI_PORTS + (uint64_t)XHCI_PORT_BYTES * caps->nr_ports,
			  access->len_bytes) &&
	       range_fits(caps->runtime, XHCI_RUNTIME_END, access->len_bytes) &&
	       range_fits(caps->doorbells, 4 * (caps->nr_slots + 1ull), access->len_bytes) &&
	       caps->operational >= XHCI_CAPABILITY_BYTES &&
	       caps->runtime >= XHCI_CAPABILITY_BYTES && caps->doorbells >= XHCI_CAPABILITY_BYTES &&
	       IS_ALIGNED(caps->operational, 4);
}

enum hv_err xhci_caps_read(const struct xhci_access *access, struct xhci_caps *out)
{
	uint32_t head, params1, params2, hccparams1;

	memset(out, 0, sizeof(*out));
	if (access->len_bytes < XHCI_CAPABILITY_BYTES)
		return HV_EPROTO;
	head = read(access, XHCI_CAPLENGTH);
	params1 = read(access, XHCI_HCSPARAMS1);
	params2 = read(access, XHCI_HCSPARAMS2);
	hccparams1 = read(access, XHCI_HCCPARAMS1);
	if (head == XHCI_GONE || hccparams1 == XHCI_GONE)
		return HV_EIO;
	out->version = (uint16_t)FIELD_GET(XHCI_CAPLENGTH_VERSION, head);
	if (out->version < VERSION_LEAST)
		return HV_ENOTSUP;
	out->operational = (uint32_t)FIELD_GET(XHCI_CAPLENGTH_LENGTH, head);
	out->runtime = read(access, XHCI_RTSOFF) & RUNTIME_BITS;
	out->doorbells = read(access, XHCI_DBOFF) & DOORBELL_BITS;
	out->nr_slots = (uint32_t)FIELD_GET(XHCI_HCSPARAMS1_SLOTS, params1);
	out->nr_ports = (uint32_t)FIELD_GET(XHCI_HCSPARAMS1_PORTS, params1);
	out->nr_scratch = (uint32_t)(FIELD_GET(XHCI_HCSPARAMS2_SCR_HI, params2) << 5 |
				     FIELD_GET(XHCI_HCSPARAMS2_SCRATCH, params2));
	out->context_bytes = hccparams1 & XHCI_HCCPARAMS1_CSZ ? 64 : 32;
	out->has_64bit = hccparams1 & XHCI_HCCPARAMS1_AC64;
	if (out->nr_slots == 0 || out->nr_ports == 0 || !are_inside(access, out))
		return HV_EPROTO;
	walk_extended(access, 4 * (uint32_t)FIELD_GET(XHCI_HCCPARAMS1_XECP, hccparams1), out);
	return HV_OK;
}
