/* SPDX-License-Identifier: Apache-2.0 */
/* A stick's whole life, against a simulated one that can be told to misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/usb_stick.h"
#include "kernel/lib/bytes.h"

#define SECTORS	  64u
#define SECTOR	  512u
#define STEPS_MAX 2000u

enum phase { PHASE_CBW, PHASE_DATA, PHASE_CSW };

/* The simulated stick. Each misdeed is done so many times. */
static struct {
	uint8_t disk[SECTORS * SECTOR];
	enum phase phase;
	uint8_t cbw[31], data[4096];
	uint32_t data_len, residue, nr_commands[256], nr_resets, nr_recoveries, nr_disables;
	uint8_t status, key, asc;
	bool is_halted[2]; /* out, in */
	enum usb_speed speed;
	uint8_t type; /* SCSI's */
	bool is_protected, is_huge;
	uint8_t interface_class;
	char product;
	/* misdeeds */
	uint32_t not_ready, attention, stall_data, stall_csw, bad_tag, phase_error, fail_cbw,
		short_data;
	uint32_t wrong_residue, hang, fail_recovery, fail_address;
	uint8_t refuse_opcode, refuse_key, refuse_asc;
} is;

static struct usb_stick stick;
static uint8_t *page;

static bool once(uint32_t *misdeed)
{
	if (*misdeed == 0)
		return false;
	(*misdeed)--;
	return true;
}

/* ---- its commands ---- */

static uint32_t refuse(uint8_t key, uint8_t asc)
{
	is.status = 1;
	is.key = key;
	is.asc = asc;
	is.residue = is.data_len;
	return 0;
}

static uint32_t answer_sense(void)
{
	memset(is.data, 0, 18);
	is.data[0] = 0x70;
	is.data[2] = is.key;
	is.data[7] = 10;
	is.data[12] = is.asc;
	return 18;
}

static uint32_t answer_inquiry(void)
{
	memset(is.data, ' ', 36);
	is.data[0] = is.type;
	is.data[1] = 0x80;
	memcpy(is.data + 8, "Test    Stick", 13);
	is.data[22] = (uint8_t)is.product;
	return 36;
}

static uint32_t answer_capacity(void)
{
	put_be32(is.data, is.is_huge ? 0xffffffff : SECTORS - 1);
	put_be32(is.data + 4, SECTOR);
	return 8;
}

static uint32_t answer_capacity16(void)
{
	memset(is.data, 0, 32);
	put_be32(is.data, 1);
	put_be32(is.data + 8, SECTOR);
	return 32;
}

static uint32_t answer_mode(void)
{
	memset(is.data, 0, 4);
	is.data[0] = 3;
	is.data[2] = is.is_protected ? 0x80 : 0;
	return 4;
}

/* Bytes that it has to send. */
static uint32_t do_command(void)
{
	const uint8_t *cdb = is.cbw + 15;

	is.nr_commands[cdb[0]]++;
	is.status = 0;
	is.residue = 0;
	if (cdb[0] != 0x03 && cdb[0] == is.refuse_opcode && is.refuse_key)
		return refuse(is.refuse_key, is.refuse_asc);
	switch (cdb[0]) {
	case 0x00:
		if (once(&is.attention))
			return refuse(0x6, 0x28);
		return once(&is.not_ready) ? refuse(0x2, 0x04) : 0;
	case 0x03:
		return answer_sense();
	case 0x12:
		return answer_inquiry();
	case 0x1a:
		return answer_mode();
	case 0x25:
		return answer_capacity();
	case 0x9e:
		return answer_capacity16();
	case 0x28:
		memcpy(is.data, is.disk + get_be32(cdb + 2) * SECTOR, is.data_len);
		return is.data_len;
	case 0x88:
		assert_int_equal(get_be32(cdb + 2), 1);
		memset(is.data, 0x88, is.data_len);
		return is.data_len;
	default: /* writes, when their data is there; flushes */
		return 0;
	}
}

/* ---- its endpoints ---- */

static uint32_t copy(const struct usb_step *step, uint8_t *bytes, uint32_t len, bool to_host)
{
	const struct block_seg *segs = step->segs ? step->segs : &step->seg;
	uint32_t moved = 0;

	for (uint32_t i = 0; i < step->nr_segs && moved < len; i++) {
		uint32_t piece = MIN(segs[i].len_bytes, len - moved);
		void *memory = (void *)(uintptr_t)segs[i].hpa;

		if (to_host)
			memcpy(memory, bytes + moved, piece);
		else
			memcpy(bytes + moved, memory, piece);
		moved += piece;
	}
	return moved;
}

static uint32_t total(const struct usb_step *step)
{
	const struct block_seg *segs = step->segs ? step->segs : &step->seg;
	uint32_t len = 0;

	for (uint32_t i = 0; i < step->nr_segs; i++)
		len += segs[i].len_bytes;
	return len;
}

static enum usb_end stall(const struct usb_step *step)
{
	is.is_halted[!!(step->endpoint & USB_IN)] = true;
	return USB_STALLED;
}

static enum usb_end take_cbw(const struct usb_step *step, uint32_t *moved)
{
	assert_int_equal(total(step), 31);
	if (once(&is.fail_cbw))
		return USB_FAILED;
	*moved = copy(step, is.cbw, 31, false);
	assert_int_equal(get_le32(is.cbw), 0x43425355);
	is.data_len = get_le32(is.cbw + 8);
	is.phase = is.data_len ? PHASE_DATA : PHASE_CSW;
	if (is.cbw[12] & 0x80 || is.data_len == 0) {
		uint32_t len = do_command();

		is.residue = is.data_len - len;
		is.data_len = len;
	}
	return USB_OK;
}

static enum usb_end do_data(const struct usb_step *step, uint32_t *moved)
{
	is.phase = PHASE_CSW;
	if (once(&is.stall_data)) {
		is.residue = get_le32(is.cbw + 8);
		is.status = 1;
		is.key = 0xb;
		is.asc = 0;
		return stall(step);
	}
	if (is.cbw[12] & 0x80) {
		if (once(&is.short_data))
			is.data_len /= 2;
		*moved = copy(step, is.data, is.data_len, true);
		return USB_OK;
	}
	assert_int_equal(total(step), is.data_len);
	*moved = copy(step, is.disk + get_be32(is.cbw + 17) * SECTOR, is.data_len, false);
	do_command();
	return USB_OK;
}

static enum usb_end send_csw(const struct usb_step *step, uint32_t *moved)
{
	uint8_t csw[13] = {0};

	if (once(&is.stall_csw))
		return stall(step);
	put_le32(csw, 0x53425355);
	put_le32(csw + 4, get_le32(is.cbw + 4) + once(&is.bad_tag));
	put_le32(csw + 8, is.residue + (once(&is.wrong_residue) ? 100 : 0));
	csw[12] = once(&is.phase_error) ? 2 : is.status;
	*moved = copy(step, csw, 13, true);
	is.phase = PHASE_CBW;
	return USB_OK;
}

static enum usb_end do_bulk(const struct usb_step *step, uint32_t *moved)
{
	assert_false(is.is_halted[!!(step->endpoint & USB_IN)]);
	if (step->endpoint == 0x02 && is.phase == PHASE_CBW)
		return take_cbw(step, moved);
	if (is.phase == PHASE_DATA)
		return do_data(step, moved);
	assert_int_equal(is.phase, PHASE_CSW);
	assert_int_equal(step->endpoint, 0x81);
	return send_csw(step, moved);
}

static const uint8_t super_config[] = {9, 2,	44, 0,	  1, 1,	   0, 0xc0, 0, 9,  4,  0,  0,  2, 8,
				       6, 0x50, 0,  7,	  5, 0x81, 2, 0,    4, 0,  6,  48, 15, 0, 0,
				       0, 7,	5,  0x02, 2, 0,	   4, 0,    6, 48, 15, 0,  0,  0};
static const uint8_t super_device[] = {18,   1,	   0,	 3, 0, 0, 0, 9, 0x34,
				       0x12, 0x78, 0x56, 0, 1, 1, 2, 3, 1};
static const uint8_t serial[] = {8, 3, 'S', 0, 'N', 0, '1', 0};

static enum usb_end answer(const struct usb_setup *setup, const uint8_t *bytes, size_t len,
			   uint32_t *moved)
{
	*moved = (uint32_t)MIN(len, setup->length);
	memcpy(page + USB_DATA_AT, bytes, *moved);
	return USB_OK;
}

static enum usb_end do_control(const struct usb_setup *setup, uint32_t *moved)
{
	uint8_t config[sizeof(super_config)];

	switch (setup->type << 8 | setup->request) {
	case 0x8006:
		memcpy(config, super_config, sizeof(config));
		config[14] = is.interface_class;
		if (setup->value >> 8 == 1)
			return answer(setup, super_device, sizeof(super_device), moved);
		if (setup->value >> 8 == 2)
			return answer(setup, config, sizeof(config), moved);
		return answer(setup, serial, sizeof(serial), moved);
	case 0x0009:
		assert_int_equal(setup->value, 1);
		return USB_OK;
	case 0xa1fe:
		return USB_STALLED;
	case 0x21ff:
		is.nr_recoveries++;
		is.phase = PHASE_CBW;
		return once(&is.fail_recovery) ? USB_FAILED : USB_OK;
	case 0x0201:
		is.is_halted[!!(setup->index & USB_IN)] = false;
		return USB_OK;
	default:
		fail_msg("request %02x %02x", setup->type, setup->request);
		return USB_FAILED;
	}
}

static enum usb_end do_step(const struct usb_step *step, uint32_t *moved)
{
	switch (step->action) {
	case USB_DO_RESET_PORT:
		is.nr_resets++;
		is.phase = PHASE_CBW;
		is.is_halted[0] = is.is_halted[1] = false;
		stick.speed = is.speed;
		return USB_OK;
	case USB_DO_ADDRESS:
		return once(&is.fail_address) ? USB_FAILED : USB_OK;
	case USB_DO_CONTROL:
		return do_control(&step->setup, moved);
	case USB_DO_BULK:
		if (once(&is.hang))
			return USB_TIMED_OUT;
		return do_bulk(step, moved);
	case USB_DO_DISABLE:
		is.nr_disables++;
		return USB_OK;
	default:
		return USB_OK;
	}
}

/* Until it has nothing to do. */
static void run(void)
{
	for (uint32_t i = 0; stick.step.action != USB_DO_NOTHING; i++) {
		struct usb_step step = stick.step;
		uint32_t moved = 0;
		enum usb_end end;

		assert_true(i < STEPS_MAX);
		end = do_step(&step, &moved);
		usb_stick_next(&stick, end, moved);
	}
}

static int make(void **state)
{
	(void)state;
	memset(&is, 0, sizeof(is));
	memset(&stick, 0, sizeof(stick));
	for (uint32_t i = 0; i < sizeof(is.disk); i++)
		is.disk[i] = (uint8_t)(i * 7 + i / 512);
	is.speed = USB_SUPER;
	is.interface_class = 8;
	is.product = 'A';
	page = calloc(1, USB_PAGE_BYTES);
	usb_stick_connect(&stick, page, (uintptr_t)page);
	return 0;
}

static int drop(void **state)
{
	(void)state;
	free(page);
	return 0;
}

static void bring_up(void)
{
	run();
	assert_int_equal(stick.stage, USB_LIVE);
	assert_int_equal(stick.news, USB_NEWS_READY);
	stick.news = 0;
}

static enum hv_err request(enum block_op op, uint64_t sector, uint32_t nr, uint8_t *bytes)
{
	static struct block_request req;
	struct block_seg segs[2] = {{(uintptr_t)bytes, 100},
				    {(uintptr_t)bytes + 100, nr * SECTOR - 100}};

	req = (struct block_request){
		.op = op, .sector = sector, .nr_sectors = nr, .segs = segs, .nr_segs = nr ? 2 : 0};
	assert_true(usb_stick_is_idle(&stick));
	stick.news = 0;
	usb_stick_submit(&stick, &req);
	run();
	if (!(stick.news & USB_NEWS_ENDED))
		return HV_EAGAIN; /* not any more: a reset, or its end */
	assert_ptr_equal(stick.ended, &req);
	return stick.status;
}

/* ---- to a disk ---- */

static void becomes_a_disk(void **state)
{
	(void)state;
	bring_up();
	assert_int_equal(stick.disk.capacity.nr_sectors, SECTORS);
	assert_int_equal(stick.disk.capacity.sector_bytes, SECTOR);
	assert_string_equal(stick.disk.serial, "SN1");
	assert_string_equal(stick.disk.model, "Test Stick A");
	assert_true(stick.disk.is_removable);
	assert_false(stick.disk.is_read_only);
	assert_int_equal(is.nr_resets, 1);
}

static void waits_until_it_is_ready(void **state)
{
	(void)state;
	is.attention = 2;
	is.not_ready = 7;
	bring_up();
	assert_int_equal(is.nr_commands[0x00], 10);
}

static void gives_up_on_one_that_never_is(void **state)
{
	(void)state;
	is.not_ready = 1000;
	run();
	assert_int_equal(stick.stage, USB_LEFT);
	assert_int_equal(stick.news, 0);
	assert_int_equal(is.nr_resets, 3);
	assert_int_equal(is.nr_disables, 3);
}

static void sees_that_it_is_protected(void **state)
{
	(void)state;
	is.is_protected = true;
	bring_up();
	assert_true(stick.disk.is_read_only);
}

static void takes_one_that_does_not_know_mode_sense(void **state)
{
	(void)state;
	is.refuse_opcode = 0x1a;
	is.refuse_key = 0x5;
	is.refuse_asc = 0x20;
	bring_up();
	assert_false(stick.disk.is_read_only);
}

static void asks_large_ones_in_the_long_form(void **state)
{
	uint8_t bytes[1024];

	(void)state;
	is.is_huge = true;
	bring_up();
	assert_int_equal(stick.disk.capacity.nr_sectors, 0x100000001ull);
	assert_int_equal(request(BLOCK_READ, 0x100000000ull, 2, bytes), HV_OK);
	assert_int_equal(bytes[1023], 0x88);
}

static void expect_left(void)
{
	run();
	assert_int_equal(stick.stage, USB_LEFT);
	assert_int_equal(stick.news, 0);
	assert_int_equal(is.nr_resets, 1);
	assert_int_equal(is.nr_disables, 1);
}

static void leaves_keyboards_alone(void **state)
{
	(void)state;
	is.interface_class = 3;
	expect_left();
}

static void leaves_cd_drives_alone(void **state)
{
	(void)state;
	is.type = 5;
	expect_left();
}

static void leaves_slots_without_a_medium_alone(void **state)
{
	(void)state;
	is.refuse_opcode = 0x25;
	is.refuse_key = 0x2;
	is.refuse_asc = 0x3a;
	expect_left();
}

static void leaves_low_speed_devices_alone(void **state)
{
	(void)state;
	is.speed = USB_LOW;
	expect_left();
}

static void tries_again_what_fails_at_first(void **state)
{
	(void)state;
	is.fail_address = 2;
	bring_up();
	assert_int_equal(is.nr_resets, 3);
}

static void gives_up_after_three_times(void **state)
{
	(void)state;
	is.fail_address = 3;
	run();
	assert_int_equal(stick.stage, USB_LEFT);
	assert_int_equal(is.nr_resets, 3);
}

/* ---- requests ---- */

static void reads_and_writes(void **state)
{
	uint8_t bytes[2048], wanted[2048];

	(void)state;
	bring_up();
	assert_int_equal(request(BLOCK_READ, 5, 4, bytes), HV_OK);
	assert_memory_equal(bytes, is.disk + 5 * SECTOR, sizeof(bytes));
	memset(wanted, 0x5a, sizeof(wanted));
	memcpy(bytes, wanted, sizeof(bytes));
	assert_int_equal(request(BLOCK_WRITE, 9, 4, bytes), HV_OK);
	assert_memory_equal(is.disk + 9 * SECTOR, wanted, sizeof(wanted));
	assert_int_equal(request(BLOCK_FLUSH, 0, 0, bytes), HV_OK);
	assert_int_equal(is.nr_commands[0x35], 1);
	assert_true(stick.disk.has_cache);
}

static void has_no_cache_where_flush_is_not_known(void **state)
{
	uint8_t bytes[512];

	(void)state;
	bring_up();
	is.refuse_opcode = 0x35;
	is.refuse_key = 0x5;
	is.refuse_asc = 0x20;
	assert_int_equal(request(BLOCK_FLUSH, 0, 0, bytes), HV_OK);
	assert_false(stick.disk.has_cache);
}

static void says_what_the_disk_says(void **state)
{
	static const struct {
		uint8_t key, asc;
		enum hv_err status;
	} rows[] = {{0x3, 0x11, HV_EIO},   {0x7, 0x27, HV_EIO},	  {0x5, 0x21, HV_EIO},
		    {0xb, 0x00, HV_EBUSY}, {0x6, 0x29, HV_EBUSY}, {0x4, 0x44, HV_EIO}};
	uint8_t bytes[1024];

	(void)state;
	bring_up();
	is.refuse_opcode = 0x28;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		is.refuse_key = rows[i].key;
		is.refuse_asc = rows[i].asc;
		assert_int_equal(request(BLOCK_READ, 0, 2, bytes), rows[i].status);
		assert_int_equal(stick.stage, USB_LIVE);
	}
	assert_int_equal(is.nr_recoveries, 0);
}

static void clears_stalls(void **state)
{
	uint8_t bytes[1024];

	(void)state;
	bring_up();
	is.stall_data = 1;
	assert_int_equal(request(BLOCK_READ, 0, 2, bytes), HV_EBUSY);
	is.stall_csw = 1;
	assert_int_equal(request(BLOCK_READ, 0, 2, bytes), HV_OK);
	assert_int_equal(is.nr_recoveries, 0);
	is.stall_csw = 2;
	assert_int_equal(request(BLOCK_READ, 0, 2, bytes), HV_EBUSY);
	assert_int_equal(is.nr_recoveries, 1);
	assert_int_equal(request(BLOCK_READ, 0, 2, bytes), HV_OK);
	assert_int_equal(is.nr_resets, 1);
}

static void recovers_from_nonsense(void **state)
{
	uint32_t *misdeeds[] = {&is.bad_tag, &is.phase_error, &is.fail_cbw};
	uint8_t bytes[1024];

	(void)state;
	bring_up();
	for (uint32_t i = 0; i < ARRAY_SIZE(misdeeds); i++) {
		*misdeeds[i] = 1;
		assert_int_equal(request(BLOCK_READ, 0, 2, bytes), HV_EBUSY);
		assert_int_equal(is.nr_recoveries, i + 1);
		assert_int_equal(request(BLOCK_READ, 0, 2, bytes), HV_OK);
	}
	assert_int_equal(is.nr_resets, 1);
}

static void does_not_take_less_than_all(void **state)
{
	uint8_t bytes[1024];

	(void)state;
	bring_up();
	is.short_data = 1;
	assert_int_equal(request(BLOCK_READ, 0, 2, bytes), HV_EBUSY);
	is.wrong_residue = 1;
	assert_int_equal(request(BLOCK_WRITE, 0, 2, bytes), HV_EBUSY);
	assert_int_equal(request(BLOCK_READ, 0, 2, bytes), HV_OK);
}

/* ---- resets ---- */

static void is_reset_by_its_port_when_recovery_fails(void **state)
{
	uint8_t bytes[1024];

	(void)state;
	bring_up();
	is.bad_tag = is.fail_recovery = 1;
	assert_int_equal(request(BLOCK_READ, 0, 2, bytes), HV_EAGAIN);
	assert_int_equal(stick.news, USB_NEWS_RESETTING | USB_NEWS_RESET_DONE);
	assert_int_equal(is.nr_resets, 2);
	assert_int_equal(request(BLOCK_READ, 0, 2, bytes), HV_OK);
}

static void is_reset_when_it_hangs(void **state)
{
	struct block_seg seg = {(uintptr_t)page, 512};
	struct block_request req = {.op = BLOCK_READ, .nr_sectors = 1, .segs = &seg, .nr_segs = 1};

	(void)state;
	bring_up();
	usb_stick_submit(&stick, &req);
	usb_stick_drop(&stick, USB_DROP_RETRY);
	assert_int_equal(stick.news, USB_NEWS_RESETTING);
	assert_false(usb_stick_is_idle(&stick));
	run();
	assert_int_equal(stick.stage, USB_LIVE);
	assert_int_equal(stick.news, USB_NEWS_RESETTING | USB_NEWS_RESET_DONE);
	assert_true(usb_stick_is_idle(&stick));
}

static void is_gone_when_another_comes_back(void **state)
{
	(void)state;
	bring_up();
	is.product = 'B';
	usb_stick_drop(&stick, USB_DROP_RETRY);
	run();
	assert_int_equal(stick.stage, USB_GONE);
	assert_int_equal(stick.news, USB_NEWS_RESETTING | USB_NEWS_GONE);
}

static void is_gone_when_it_does_not_come_back(void **state)
{
	(void)state;
	bring_up();
	is.hang = 1000;
	usb_stick_drop(&stick, USB_DROP_RETRY);
	run();
	assert_int_equal(stick.stage, USB_GONE);
	assert_true(stick.news & USB_NEWS_GONE);
}

static void is_gone_when_its_medium_changes(void **state)
{
	uint8_t bytes[1024];

	(void)state;
	bring_up();
	is.refuse_opcode = 0x28;
	is.refuse_key = 0x6;
	is.refuse_asc = 0x28;
	assert_int_equal(request(BLOCK_READ, 0, 2, bytes), HV_EAGAIN);
	assert_int_equal(stick.stage, USB_GONE);
	assert_int_equal(stick.news, USB_NEWS_GONE);
}

static void is_gone_when_it_is_unplugged(void **state)
{
	(void)state;
	bring_up();
	usb_stick_drop(&stick, USB_DROP_GONE);
	usb_stick_drop(&stick, USB_DROP_RETRY); /* too late */
	run();
	assert_int_equal(stick.stage, USB_GONE);
	assert_true(stick.news & USB_NEWS_GONE);
	usb_stick_give_up(&stick);
	assert_int_equal(stick.stage, USB_GONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(becomes_a_disk),
		TEST(waits_until_it_is_ready),
		TEST(gives_up_on_one_that_never_is),
		TEST(sees_that_it_is_protected),
		TEST(takes_one_that_does_not_know_mode_sense),
		TEST(asks_large_ones_in_the_long_form),
		TEST(leaves_keyboards_alone),
		TEST(leaves_cd_drives_alone),
		TEST(leaves_slots_without_a_medium_alone),
		TEST(leaves_low_speed_devices_alone),
		TEST(tries_again_what_fails_at_first),
		TEST(gives_up_after_three_times),
		TEST(reads_and_writes),
		TEST(has_no_cache_where_flush_is_not_known),
		TEST(says_what_the_disk_says),
		TEST(clears_stalls),
		TEST(recovers_from_nonsense),
		TEST(does_not_take_less_than_all),
		TEST(is_reset_by_its_port_when_recovery_fails),
		TEST(is_reset_when_it_hangs),
		TEST(is_gone_when_another_comes_back),
		TEST(is_gone_when_it_does_not_come_back),
		TEST(is_gone_when_its_medium_changes),
		TEST(is_gone_when_it_is_unplugged),
	};

	return cmocka_run_group_tests_name("usb_stick", tests, NULL, NULL);
}
