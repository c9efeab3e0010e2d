/* SPDX-License-Identifier: Apache-2.0 */
/* The table becomes checked instructions, and actions are run by going through them in order. */
#include "drivers/wdat.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

/* [WDAT] "Watchdog Action Table" */
#define WDAT_TIMER_PERIOD 48
#define WDAT_MAX_COUNT	  52
#define WDAT_MIN_COUNT	  56
#define WDAT_FLAGS	  60
#define WDAT_NR_ENTRIES	  64
#define WDAT_ENTRIES	  68u
#define WDAT_ENABLED	  0x01u

/* [WDAT] "Watchdog Instruction Entries" */
#define ENTRY_ACTION	  0
#define ENTRY_INSTRUCTION 1
#define ENTRY_REGISTER	  4 /* a generic address */
#define ENTRY_VALUE	  16
#define ENTRY_MASK	  20
#define ENTRY_BYTES	  24u

#define INSTRUCTION_PRESERVE 0x80u

/* [ACPI] "Generic Address Structure (GAS)" */
#define GAS_SPACE	  0
#define GAS_BIT_WIDTH	  1
#define GAS_BIT_OFFSET	  2
#define GAS_ACCESS_SIZE	  3
#define GAS_ADDRESS	  4
#define GAS_SYSTEM_MEMORY 0
#define GAS_SYSTEM_IO	  1

#define PORTS	     0x10000u
#define ADDRESSES    BIT(52) /* of memory, on any CPU */
#define TIMEOUT_MAX  (24u * 3600)
#define MS_IN_SECOND 1000u

/* The clock's memory, where some firmware counts, is read and written in two steps, which an SMI
 * or the kernel's own reading of the clock comes between; and PCI's configuration. */
static const struct {
	uint16_t first, last;
} kept_ports[] = {{0x70, 0x77}, {0xcf8, 0xcff}};

static bool is_used(uint8_t action)
{
	static const uint8_t used[] = {
		WDAT_RESET,
		WDAT_SET_COUNTDOWN_PERIOD,
		WDAT_QUERY_RUNNING_STATE,
		WDAT_SET_RUNNING_STATE,
		WDAT_SET_STOPPED_STATE,
		WDAT_SET_REBOOT,
		WDAT_QUERY_WATCHDOG_STATUS,
		WDAT_SET_WATCHDOG_STATUS,
	};

	for (size_t i = 0; i < ARRAY_SIZE(used); i++)
		if (used[i] == action)
			return true;
	return false;
}

/* Bytes of an access: as the table says, or, where it leaves that open, enough for the field. */
static uint8_t width_of(const uint8_t *gas)
{
	uint32_t bits = (uint32_t)gas[GAS_BIT_WIDTH] + gas[GAS_BIT_OFFSET];

	switch (gas[GAS_ACCESS_SIZE]) {
	case 0:
		return bits == 0 || bits > 32 ? 0 : bits <= 8 ? 1 : bits <= 16 ? 2 : 4;
	case 1:
		return 1;
	case 2:
		return 2;
	case 3:
		return 4;
	default:
		return 0; /* 64 bits, or nothing that exists */
	}
}

static bool is_kept_port(uint64_t port, uint32_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept_ports); i++)
		if (port <= kept_ports[i].last && port + len > kept_ports[i].first)
			return true;
	return false;
}

static enum hv_err check_place(const struct wdat_instruction *in,
			       bool (*is_memory)(uint64_t hpa, uint64_t len_bytes),
			       const char **why)
{
	uint64_t end = in->is_io ? PORTS : ADDRESSES;

	*why = "a register lies outside of its address space";
	if (!range_fits(in->address, in->width_bytes, end))
		return HV_EPROTO;
	*why = "a register is not aligned";
	if (!IS_ALIGNED(in->address, in->width_bytes))
		return HV_EPROTO;
	*why = "it wants ports of the clock or of PCI's configuration";
	if (in->is_io && is_kept_port(in->address, in->width_bytes))
		return HV_ENOTSUP;
	*why = "a register lies in memory";
	if (!in->is_io && (in->address == 0 || is_memory(in->address, in->width_bytes)))
		return HV_EPROTO;
	return HV_OK;
}

static enum hv_err read_entry(const uint8_t *entry,
			      bool (*is_memory)(uint64_t hpa, uint64_t len_bytes),
			      struct wdat_instruction *in, const char **why)
{
	const uint8_t *gas = entry + ENTRY_REGISTER;

	*in = (struct wdat_instruction){
		.action = entry[ENTRY_ACTION],
		.op = entry[ENTRY_INSTRUCTION] & (uint8_t)~INSTRUCTION_PRESERVE,
		.keeps_others = entry[ENTRY_INSTRUCTION] & INSTRUCTION_PRESERVE,
		.is_io = gas[GAS_SPACE] == GAS_SYSTEM_IO,
		.width_bytes = width_of(gas),
		.shift = gas[GAS_BIT_OFFSET],
		.address = get_le64(gas + GAS_ADDRESS),
		.value = get_le32(entry + ENTRY_VALUE),
		.mask = get_le32(entry + ENTRY_MASK),
	};
	*why = "an instruction that does not exist";
	if (in->op > WDAT_WRITE_COUNTDOWN)
		return HV_EPROTO;
	*why = "a register in an address space that is neither ports nor memory";
	if (!in->is_io && gas[GAS_SPACE] != GAS_SYSTEM_MEMORY)
		return HV_ENOTSUP;
	*why = "a register that is not 8, 16 or 32 bits wide";
	if (in->width_bytes == 0)
		return HV_ENOTSUP;
	*why = "a mask that does not fit into its register";
	if (in->mask == 0 || in->shift >= 8 * in->width_bytes ||
	    (uint64_t)in->mask << in->shift >= BIT(8 * in->width_bytes))
		return HV_EPROTO;
	return check_place(in, is_memory, why);
}

static bool has_action(const struct wdat *wdat, uint8_t action)
{
	for (uint32_t i = 0; i < wdat->nr_instructions; i++)
		if (wdat->instructions[i].action == action)
			return true;
	return false;
}

static enum hv_err read_entries(const uint8_t *table, size_t len,
				bool (*is_memory)(uint64_t hpa, uint64_t len_bytes),
				struct wdat *wdat, const char **why)
{
	static const uint8_t needed[] = {WDAT_RESET, WDAT_SET_COUNTDOWN_PERIOD,
					 WDAT_SET_RUNNING_STATE, WDAT_SET_STOPPED_STATE};
	uint32_t nr = get_le32(table + WDAT_NR_ENTRIES);

	*why = "more entries than the table holds";
	if (nr > (len - WDAT_ENTRIES) / ENTRY_BYTES)
		return HV_EPROTO;
	for (uint32_t i = 0; i < nr; i++) {
		const uint8_t *entry = table + WDAT_ENTRIES + i * ENTRY_BYTES;
		enum hv_err err;

		if (!is_used(entry[ENTRY_ACTION]))
			continue;
		*why = "too many instructions";
		if (wdat->nr_instructions == WDAT_INSTRUCTIONS_MAX)
			return HV_ENOTSUP;
		err = read_entry(entry, is_memory, &wdat->instructions[wdat->nr_instructions], why);
		if (err != HV_OK)
			return err;
		wdat->nr_instructions++;
	}
	*why = "it cannot be started, stopped and kicked";
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!has_action(wdat, needed[i]))
			return HV_ENOTSUP;
	return HV_OK;
}

/* What the countdown can begin with is also limited by the bits that it is written to. */
static enum hv_err read_times(const uint8_t *table, struct wdat *wdat, const char **why)
{
	wdat->period_ms = get_le32(table + WDAT_TIMER_PERIOD);
	wdat->max_count = get_le32(table + WDAT_MAX_COUNT);
	wdat->min_count = MAX(get_le32(table + WDAT_MIN_COUNT), 1);
	for (uint32_t i = 0; i < wdat->nr_instructions; i++)
		if (wdat->instructions[i].op == WDAT_WRITE_COUNTDOWN)
			wdat->max_count = MIN(wdat->max_count, wdat->instructions[i].mask);
	*why = "times that make no sense";
	if (wdat->period_ms == 0 || wdat->min_count > wdat->max_count)
		return HV_EPROTO;
	wdat->min_s = (uint32_t)MIN(
		((uint64_t)wdat->min_count * wdat->period_ms + MS_IN_SECOND - 1) / MS_IN_SECOND,
		TIMEOUT_MAX + 1);
	wdat->max_s = (uint32_t)MIN((uint64_t)wdat->max_count * wdat->period_ms / MS_IN_SECOND,
				    TIMEOUT_MAX);
	return wdat->min_s <= wdat->max_s ? HV_OK : HV_EPROTO;
}

enum hv_err wdat_parse(const uint8_t *table, size_t len,
		       bool (*is_memory)(uint64_t hpa, uint64_t len_bytes), struct wdat *out,
		       const char **why)
{
	struct wdat wdat = {.nr_instructions = 0};
	enum hv_err err;

	*why = "too short";
	if (len < WDAT_ENTRIES)
		return HV_EPROTO;
	*why = "firmware has it switched off";
	if (!(table[WDAT_FLAGS] & WDAT_ENABLED))
		return HV_ENOENT;
	err = read_entries(table, len, is_memory, &wdat, why);
	if (err == HV_OK)
		err = read_times(table, &wdat, why);
	if (err == HV_OK)
		*out = wdat;
	return err;
}

/* ---- running them ---- */

static uint32_t run_read(const struct wdat *wdat, const struct wdat_io *io, uint32_t index)
{
	const struct wdat_instruction *in = &wdat->instructions[index];
	uint32_t val = io->read(io->arg, wdat, index) >> in->shift & in->mask;

	return in->op == WDAT_READ_VALUE ? val == in->value : val;
}

static void run_write(const struct wdat *wdat, const struct wdat_io *io, uint32_t index,
		      uint32_t count)
{
	const struct wdat_instruction *in = &wdat->instructions[index];
	uint32_t val = in->op == WDAT_WRITE_VALUE ? in->value : count;

	val = (val & in->mask) << in->shift;
	if (in->keeps_others)
		val |= io->read(io->arg, wdat, index) & ~(in->mask << in->shift);
	io->write(io->arg, wdat, index, val);
}

/* What its last read found; otherwise when it reads nothing, or is not in the table. */
static uint32_t run(const struct wdat *wdat, const struct wdat_io *io, uint8_t action,
		    uint32_t count, uint32_t otherwise)
{
	uint32_t found = otherwise;

	for (uint32_t i = 0; i < wdat->nr_instructions; i++) {
		const struct wdat_instruction *in = &wdat->instructions[i];

		if (in->action != action)
			continue;
		if (in->op == WDAT_READ_VALUE || in->op == WDAT_READ_COUNTDOWN)
			found = run_read(wdat, io, i);
		else
			run_write(wdat, io, i, count);
	}
	return found;
}

enum hv_err wdat_start(const struct wdat *wdat, const struct wdat_io *io, uint32_t timeout_s)
{
	uint64_t count =
		((uint64_t)timeout_s * MS_IN_SECOND + wdat->period_ms - 1) / wdat->period_ms;

	count = MAX(MIN(count, wdat->max_count), wdat->min_count);
	run(wdat, io, WDAT_SET_COUNTDOWN_PERIOD, (uint32_t)count, 0);
	run(wdat, io, WDAT_SET_REBOOT, 0, 0);
	run(wdat, io, WDAT_SET_RUNNING_STATE, 0, 0);
	wdat_kick(wdat, io);
	if (run(wdat, io, WDAT_QUERY_RUNNING_STATE, 0, 1))
		return HV_OK;
	wdat_stop(wdat, io); /* should it run after all: nobody would kick it */
	return HV_EIO;
}

void wdat_kick(const struct wdat *wdat, const struct wdat_io *io)
{
	run(wdat, io, WDAT_RESET, 0, 0);
}

void wdat_stop(const struct wdat *wdat, const struct wdat_io *io)
{
	run(wdat, io, WDAT_SET_STOPPED_STATE, 0, 0);
}

bool wdat_has_fired(const struct wdat *wdat, const struct wdat_io *io)
{
	bool has_fired = run(wdat, io, WDAT_QUERY_WATCHDOG_STATUS, 0, 0);

	if (has_fired)
		run(wdat, io, WDAT_SET_WATCHDOG_STATUS, 0, 0);
	return has_fired;
}
