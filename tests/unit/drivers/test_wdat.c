/* SPDX-License-Identifier: Apache-2.0 */
/* WDATs as firmware writes them for a TCO timer, broken in every way, and run on its registers. */
#include "drivers/wdat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"

#define ENTRIES	    68u
#define ENTRY_BYTES 24u
#define ENTRIES_MAX 100u
#define RAM_END	    0x40000000u
#define GCS	    0xfed1f410u

#define READ_VALUE	0
#define READ_COUNTDOWN	1
#define WRITE_VALUE	2
#define WRITE_COUNTDOWN 3
#define PRESERVE	0x80

#define MEM 0
#define IO  1

struct row {
	uint8_t action, instruction, space, bit_width, bit_offset, access_size;
	uint64_t address;
	uint32_t value, mask;
};

static const struct row good[] = {
	{WDAT_RESET, WRITE_VALUE, IO, 16, 0, 2, 0x660, 1, 0xffff},
	{4, READ_COUNTDOWN, IO, 16, 0, 2, 0x660, 0, 0x3ff}, /* not used */
	{WDAT_SET_COUNTDOWN_PERIOD, WRITE_COUNTDOWN | PRESERVE, IO, 10, 0, 0, 0x672, 0, 0x3ff},
	{WDAT_QUERY_RUNNING_STATE, READ_VALUE, IO, 16, 11, 2, 0x668, 0, 1},
	{WDAT_SET_RUNNING_STATE, WRITE_VALUE | PRESERVE, IO, 16, 11, 2, 0x668, 0, 1},
	{WDAT_SET_STOPPED_STATE, WRITE_VALUE | PRESERVE, IO, 16, 11, 2, 0x668, 1, 1},
	{WDAT_SET_REBOOT, WRITE_VALUE | PRESERVE, MEM, 32, 5, 3, GCS, 0, 1},
	{WDAT_QUERY_WATCHDOG_STATUS, READ_VALUE, IO, 8, 1, 1, 0x666, 1, 1},
	{WDAT_SET_WATCHDOG_STATUS, WRITE_VALUE, IO, 8, 0, 1, 0x666, 2, 0xff},
	{WDAT_SET_WATCHDOG_STATUS, WRITE_VALUE, IO, 8, 0, 1, 0x666, 4, 0xff},
};
enum { AT_RESET, AT_UNUSED, AT_COUNTDOWN, AT_QUERY, AT_RUN, AT_STOP, AT_REBOOT, AT_STATUS };

static uint8_t table[ENTRIES + ENTRIES_MAX * ENTRY_BYTES];
static uint32_t nr_entries;
static struct wdat wdat;
static const char *why;

static uint8_t *entry(uint32_t i)
{
	return table + ENTRIES + i * ENTRY_BYTES;
}

static void add(const struct row *row)
{
	uint8_t *at = entry(nr_entries++);

	at[0] = row->action;
	at[1] = row->instruction;
	at[4] = row->space;
	at[5] = row->bit_width;
	at[6] = row->bit_offset;
	at[7] = row->access_size;
	put_le64(at + 8, row->address);
	put_le32(at + 16, row->value);
	put_le32(at + 20, row->mask);
	put_le32(table + 64, nr_entries);
}

static bool is_memory(uint64_t hpa, uint64_t len_bytes)
{
	(void)len_bytes;
	return hpa < RAM_END;
}

/* In a block of just this length, for AddressSanitizer. */
static enum hv_err parse_len(size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	enum hv_err err;

	memcpy(copy, table, len);
	why = "";
	memset(&wdat, 0xee, sizeof(wdat));
	err = wdat_parse(copy, len, is_memory, &wdat, &why);
	free(copy);
	if (err != HV_OK)
		assert_int_equal(wdat.period_ms, 0xeeeeeeee); /* left alone */
	return err;
}

static enum hv_err parse(void)
{
	return parse_len(ENTRIES + nr_entries * ENTRY_BYTES);
}

static void refuse(enum hv_err err, const char *because)
{
	assert_int_equal(parse(), err);
	assert_string_equal(why, because);
}

static int start(void **state)
{
	(void)state;
	memset(table, 0, sizeof(table));
	nr_entries = 0;
	put_le32(table + 48, 600);
	put_le32(table + 52, 0x3ff);
	put_le32(table + 56, 4);
	table[60] = 0x81;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		add(&good[i]);
	return 0;
}

static void reads_what_firmware_writes(void **state)
{
	(void)state;
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(wdat.period_ms, 600);
	assert_int_equal(wdat.min_count, 4);
	assert_int_equal(wdat.max_count, 0x3ff);
	assert_int_equal(wdat.min_s, 3);
	assert_int_equal(wdat.max_s, 613);
	assert_int_equal(wdat.nr_instructions, ARRAY_SIZE(good) - 1);
	assert_int_equal(wdat.instructions[1].width_bytes, 2); /* of 10 bits */
	assert_true(wdat.instructions[1].keeps_others);
	assert_int_equal(wdat.instructions[5].address, GCS);
	assert_int_equal(wdat.instructions[5].width_bytes, 4);
	assert_false(wdat.instructions[5].is_io);
}

static void refuses_tables_that_are_cut(void **state)
{
	(void)state;
	for (size_t len = 0; len < ENTRIES + nr_entries * ENTRY_BYTES; len++) {
		assert_int_equal(parse_len(len), HV_EPROTO);
		assert_string_equal(why, len < ENTRIES ? "too short"
						       : "more entries than the table holds");
	}
	put_le32(table + 64, UINT32_MAX);
	refuse(HV_EPROTO, "more entries than the table holds");
	put_le32(table + 64, 0x0aaaaaab + nr_entries); /* its bytes would wrap */
	refuse(HV_EPROTO, "more entries than the table holds");
}

static void leaves_one_alone_that_is_switched_off(void **state)
{
	(void)state;
	table[60] = 0x80;
	refuse(HV_ENOENT, "firmware has it switched off");
}

static void needs_times_that_make_sense(void **state)
{
	(void)state;
	put_le32(table + 48, 0);
	refuse(HV_EPROTO, "times that make no sense");
	start(state);
	put_le32(table + 56, 0x400); /* more than the mask can hold */
	put_le32(table + 52, 0x1000);
	refuse(HV_EPROTO, "times that make no sense");
	start(state);
	put_le32(table + 52, 0);
	put_le32(table + 56, 0);
	refuse(HV_EPROTO, "times that make no sense");
	start(state);
	put_le32(table + 52, 1); /* less than a second */
	put_le32(table + 56, 1);
	refuse(HV_EPROTO, "times that make no sense");
	start(state);
	put_le32(table + 48, UINT32_MAX); /* one count takes weeks */
	refuse(HV_EPROTO, "times that make no sense");
}

static void bounds_its_times(void **state)
{
	(void)state;
	put_le32(table + 52, UINT32_MAX);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(wdat.max_count, 0x3ff);
	put_le32(table + 56, 0);
	put_le32(table + 48, 1000000);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(wdat.min_count, 1);
	assert_int_equal(wdat.min_s, 1000);
	assert_int_equal(wdat.max_s, 24 * 3600);
}

static void refuses_instructions_that_do_not_exist(void **state)
{
	(void)state;
	for (unsigned op = 4; op < 0x80; op++) {
		entry(AT_RUN)[1] = (uint8_t)(op | PRESERVE);
		refuse(HV_EPROTO, "an instruction that does not exist");
	}
}

static void takes_ports_and_memory_only(void **state)
{
	(void)state;
	for (unsigned space = 2; space < 256; space++) {
		entry(AT_RUN)[4] = (uint8_t)space;
		refuse(HV_ENOTSUP,
		       "a register in an address space that is neither ports nor memory");
	}
}

static void takes_widths_of_8_16_and_32_bits_only(void **state)
{
	static const struct {
		uint8_t bit_width, bit_offset, access_size, bytes;
	} rows[] = {
		{16, 11, 1, 0}, {16, 11, 2, 2}, {16, 11, 3, 4}, {64, 0, 4, 0},	  {8, 0, 5, 0},
		{8, 0, 255, 0}, {0, 0, 0, 0},	{1, 7, 0, 1},	{1, 8, 0, 2},	  {9, 0, 0, 2},
		{17, 0, 0, 4},	{32, 0, 0, 4},	{32, 1, 0, 0},	{255, 255, 0, 0}, {0, 0, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		entry(AT_RUN)[5] = rows[i].bit_width;
		entry(AT_RUN)[6] = rows[i].bit_offset;
		entry(AT_RUN)[7] = rows[i].access_size;
		assert_int_equal(parse() == HV_OK, rows[i].bytes != 0);
		if (rows[i].bytes)
			assert_int_equal(wdat.instructions[3].width_bytes, rows[i].bytes);
	}
}

static void needs_masks_that_fit(void **state)
{
	static const struct {
		uint32_t mask;
		uint8_t bit_offset;
		bool is_good;
	} rows[] = {{0, 0, false},	{0xffff, 0, true}, {0x10000, 0, false},
		    {1, 15, true},	{1, 16, false},	   {3, 15, false},
		    {0xffff, 1, false}, {1, 255, false},   {UINT32_MAX, 0, false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put_le32(entry(AT_RUN) + 20, rows[i].mask);
		entry(AT_RUN)[6] = rows[i].bit_offset;
		if (rows[i].is_good)
			assert_int_equal(parse(), HV_OK);
		else
			refuse(HV_EPROTO, "a mask that does not fit into its register");
	}
}

static void needs_ports_that_exist(void **state)
{
	(void)state;
	put_le64(entry(AT_RUN) + 8, 0xfffe);
	assert_int_equal(parse(), HV_OK);
	put_le64(entry(AT_RUN) + 8, 0xffff);
	refuse(HV_EPROTO, "a register lies outside of its address space");
	put_le64(entry(AT_RUN) + 8, 0x10668);
	refuse(HV_EPROTO, "a register lies outside of its address space");
	put_le64(entry(AT_RUN) + 8, UINT64_MAX);
	refuse(HV_EPROTO, "a register lies outside of its address space");
	put_le64(entry(AT_RUN) + 8, 0x667);
	refuse(HV_EPROTO, "a register is not aligned");
}

static void keeps_off_the_clock_and_pci(void **state)
{
	static const uint16_t kept[] = {0x70, 0x72, 0x76, 0xcf8, 0xcfc, 0xcfe};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		put_le64(entry(AT_RUN) + 8, kept[i]);
		refuse(HV_ENOTSUP, "it wants ports of the clock or of PCI's configuration");
	}
	put_le64(entry(AT_RUN) + 8, 0x6c);
	entry(AT_RUN)[7] = 3;
	assert_int_equal(parse(), HV_OK);
	put_le64(entry(AT_RUN) + 8, 0x78);
	assert_int_equal(parse(), HV_OK);
}

static void keeps_off_memory(void **state)
{
	static const uint64_t bad[] = {0, 0x1000, RAM_END - 4};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put_le64(entry(AT_REBOOT) + 8, bad[i]);
		refuse(HV_EPROTO, "a register lies in memory");
	}
	put_le64(entry(AT_REBOOT) + 8, GCS + 2);
	refuse(HV_EPROTO, "a register is not aligned");
	put_le64(entry(AT_REBOOT) + 8, BIT(52));
	refuse(HV_EPROTO, "a register lies outside of its address space");
	put_le64(entry(AT_REBOOT) + 8, UINT64_MAX - 3);
	refuse(HV_EPROTO, "a register lies outside of its address space");
	put_le64(entry(AT_REBOOT) + 8, BIT(52) - 4);
	assert_int_equal(parse(), HV_OK);
}

static void does_not_look_at_what_it_never_runs(void **state)
{
	(void)state;
	memset(entry(AT_UNUSED) + 1, 0xff, ENTRY_BYTES - 1);
	assert_int_equal(parse(), HV_OK);
	entry(AT_UNUSED)[0] = 0xff;
	assert_int_equal(parse(), HV_OK);
}

static void needs_to_start_stop_and_kick_it(void **state)
{
	static const unsigned needed[] = {AT_RESET, AT_COUNTDOWN, AT_RUN, AT_STOP};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		start(state);
		entry(needed[i])[0] = 5;
		refuse(HV_ENOTSUP, "it cannot be started, stopped and kicked");
	}
	start(state);
	entry(AT_QUERY)[0] = entry(AT_REBOOT)[0] = entry(AT_STATUS)[0] = 5;
	assert_int_equal(parse(), HV_OK);
}

static void bounds_the_number_of_instructions(void **state)
{
	(void)state;
	while (nr_entries < WDAT_INSTRUCTIONS_MAX + 1)
		add(&good[AT_RESET]);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(wdat.nr_instructions, WDAT_INSTRUCTIONS_MAX);
	add(&good[AT_UNUSED]);
	assert_int_equal(parse(), HV_OK);
	add(&good[AT_RESET]);
	refuse(HV_ENOTSUP, "too many instructions");
}

/* ---- run on registers ---- */

static struct {
	uint16_t rld, sts2, cnt1, tmr;
	uint32_t gcs;
	char order[64]; /* first letters of what was written */
	bool is_stuck;
} chip;

static void wrote(char what)
{
	size_t len = strlen(chip.order);

	assert_true(len + 1 < sizeof(chip.order));
	chip.order[len] = what;
}

static uint32_t chip_read(void *arg, const struct wdat *w, uint32_t index)
{
	const struct wdat_instruction *in = &w->instructions[index];

	assert_ptr_equal(arg, &chip);
	switch (in->address) {
	case 0x666:
		assert_int_equal(in->width_bytes, 1);
		return chip.sts2;
	case 0x668:
		return chip.cnt1;
	case 0x672:
		return chip.tmr;
	default:
		assert_int_equal(in->address, GCS);
		assert_int_equal(in->width_bytes, 4);
		return chip.gcs;
	}
}

static void chip_write(void *arg, const struct wdat *w, uint32_t index, uint32_t val)
{
	const struct wdat_instruction *in = &w->instructions[index];

	assert_ptr_equal(arg, &chip);
	switch (in->address) {
	case 0x660:
		chip.rld = (uint16_t)val;
		wrote('k');
		break;
	case 0x666:
		chip.sts2 &= (uint16_t)~val;
		wrote('s');
		break;
	case 0x668:
		if (!chip.is_stuck)
			chip.cnt1 = (uint16_t)val;
		wrote(val & 0x800 ? 'h' : 'r');
		break;
	case 0x672:
		chip.tmr = (uint16_t)val;
		wrote('t');
		break;
	default:
		assert_int_equal(in->address, GCS);
		chip.gcs = val;
		wrote('b');
	}
}

static const struct wdat_io io = {.read = chip_read, .write = chip_write, .arg = &chip};

static int start_chip(void **state)
{
	start(state);
	memset(&chip, 0, sizeof(chip));
	chip.cnt1 = 0x0a00;
	chip.tmr = 0x8004;
	chip.gcs = 0xc64;
	return parse() == HV_OK ? 0 : -1;
}

static void starts_with_the_count_for_its_timeout(void **state)
{
	static const struct {
		uint32_t seconds;
		uint16_t count;
	} rows[] = {{60, 100}, {61, 102}, {613, 1022}, {10000, 0x3ff}, {1, 4}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(wdat_start(&wdat, &io, rows[i].seconds), HV_OK);
		assert_int_equal(chip.tmr, 0x8000 | rows[i].count);
	}
	assert_int_equal(chip.cnt1, 0x0200);
	assert_int_equal(chip.gcs, 0xc44);
	assert_memory_equal(chip.order, "tbrk", 4);
}

static void says_that_it_does_not_start(void **state)
{
	(void)state;
	chip.is_stuck = true;
	assert_int_equal(wdat_start(&wdat, &io, 60), HV_EIO);
	assert_string_equal(chip.order, "tbrkh");
	start(state); /* one that cannot be asked is believed */
	entry(AT_QUERY)[0] = 5;
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(wdat_start(&wdat, &io, 60), HV_OK);
}

static void is_kicked_and_stopped(void **state)
{
	(void)state;
	wdat_kick(&wdat, &io);
	assert_int_equal(chip.rld, 1);
	wdat_stop(&wdat, &io);
	assert_int_equal(chip.cnt1, 0x0a00);
	assert_string_equal(chip.order, "kh");
}

static void says_once_that_it_fired(void **state)
{
	(void)state;
	assert_false(wdat_has_fired(&wdat, &io));
	assert_string_equal(chip.order, "");
	chip.sts2 = 0x06;
	assert_true(wdat_has_fired(&wdat, &io));
	assert_int_equal(chip.sts2, 0);
	assert_string_equal(chip.order, "ss");
	assert_false(wdat_has_fired(&wdat, &io));
}

static void cannot_say_it_without_the_action(void **state)
{
	start(state);
	entry(AT_STATUS)[0] = 5;
	assert_int_equal(parse(), HV_OK);
	chip.sts2 = 0x06;
	assert_false(wdat_has_fired(&wdat, &io));
}

#define TEST(name)	cmocka_unit_test_setup(name, start)
#define CHIP_TEST(name) cmocka_unit_test_setup(name, start_chip)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_what_firmware_writes),
		TEST(refuses_tables_that_are_cut),
		TEST(leaves_one_alone_that_is_switched_off),
		TEST(needs_times_that_make_sense),
		TEST(bounds_its_times),
		TEST(refuses_instructions_that_do_not_exist),
		TEST(takes_ports_and_memory_only),
		TEST(takes_widths_of_8_16_and_32_bits_only),
		TEST(needs_masks_that_fit),
		TEST(needs_ports_that_exist),
		TEST(keeps_off_the_clock_and_pci),
		TEST(keeps_off_memory),
		TEST(does_not_look_at_what_it_never_runs),
		TEST(needs_to_start_stop_and_kick_it),
		TEST(bounds_the_number_of_instructions),
		CHIP_TEST(starts_with_the_count_for_its_timeout),
		CHIP_TEST(says_that_it_does_not_start),
		CHIP_TEST(is_kicked_and_stopped),
		CHIP_TEST(says_once_that_it_fired),
		CHIP_TEST(cannot_say_it_without_the_action),
	};

	return cmocka_run_group_tests_name("wdat", tests, NULL, NULL);
}
