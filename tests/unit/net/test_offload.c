/* SPDX-License-Identifier: Apache-2.0 */
/* Frames finished in software, against sums reckoned byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "net/offload.h"
#include "tests/unit/support/tcp_frame.h"

#define FIN 0x01
#define PSH 0x08
#define ACK 0x10
#define CWR 0x80

static struct tcp_frame f;
static struct offload_cut cut;
static uint8_t out[OFFLOAD_FRAME_MAX];

static void make(const struct tcp_frame_conf *conf)
{
	tcp_frame_make(&f, conf);
	assert_int_equal(offload_check(f.bytes, f.len_bytes, &f.offload), HV_OK);
}

static void start(bool leaves_csum)
{
	offload_cut_start(&cut, f.bytes, f.len_bytes, &f.offload, leaves_csum);
}

/* Cuts, and looks at every frame; how many there were. */
static uint32_t cut_all(const struct tcp_frame_conf *conf)
{
	size_t len, done = 0;
	uint64_t wire_bytes = 0;
	uint32_t nr = 0;

	make(conf);
	start(false);
	for (; (len = offload_cut_next(&cut, out)) != 0; nr++) {
		bool is_last = done + len - f.payload_at == conf->payload_bytes;
		uint8_t flags = conf->flags;

		assert_true(len <= offload_longest(f.len_bytes, &f.offload));
		assert_true(tcp_frame_holds(out, len));
		assert_false(cut.left.needs_csum);
		assert_memory_equal(out, f.bytes, 14);
		assert_memory_equal(out + f.payload_at, f.bytes + f.payload_at + done,
				    len - f.payload_at);
		assert_int_equal(get_be32(out + f.tcp_at + 4), conf->seq + (uint32_t)done);
		flags = is_last ? flags : flags & (uint8_t)~(FIN | PSH);
		flags = nr == 0 ? flags : flags & (uint8_t)~CWR;
		assert_int_equal(out[f.tcp_at + 13], flags);
		if (!conf->is_ipv6)
			assert_int_equal(get_be16(out + 18), (uint16_t)(conf->id + nr));
		done += len - f.payload_at;
		wire_bytes += len;
	}
	assert_int_equal(done, conf->payload_bytes);
	assert_int_equal(nr, offload_frames(f.len_bytes, &f.offload));
	assert_int_equal(wire_bytes, offload_wire_bytes(f.len_bytes, &f.offload));
	assert_int_equal(offload_cut_next(&cut, out), 0);
	return nr;
}

static void cuts_ipv4_into_frames(void **state)
{
	(void)state;
	assert_int_equal(cut_all(&(struct tcp_frame_conf){
				 .payload_bytes = 5000, .gso_size = 1460, .flags = ACK | PSH}),
			 4);
}

static void cuts_with_options_and_numbers_that_wrap(void **state)
{
	(void)state;
	assert_int_equal(cut_all(&(struct tcp_frame_conf){.ip_options = 3,
							  .tcp_options = 3,
							  .payload_bytes = 60001,
							  .gso_size = 1001,
							  .flags = ACK | PSH | FIN | CWR,
							  .seq = 0xffffff00,
							  .id = 0xfffe}),
			 60);
}

static void cuts_ipv6_into_frames(void **state)
{
	(void)state;
	assert_int_equal(cut_all(&(struct tcp_frame_conf){.is_ipv6 = true,
							  .tcp_options = 3,
							  .payload_bytes = 65535 - 40 - 32,
							  .gso_size = 1428,
							  .flags = ACK | FIN | CWR,
							  .seq = 0x80000000}),
			 46);
}

static void cuts_at_the_edges(void **state)
{
	(void)state;
	assert_int_equal(cut_all(&(struct tcp_frame_conf){.payload_bytes = 1, .gso_size = 1}), 1);
	assert_int_equal(cut_all(&(struct tcp_frame_conf){.payload_bytes = 100, .gso_size = 1}),
			 100);
	assert_int_equal(cut_all(&(struct tcp_frame_conf){.payload_bytes = 2920, .gso_size = 1460}),
			 2);
	assert_int_equal(cut_all(&(struct tcp_frame_conf){.payload_bytes = 2921, .gso_size = 1460}),
			 3);
	assert_int_equal(cut_all(&(struct tcp_frame_conf){.payload_bytes = 100, .gso_size = 65535}),
			 1);
}

/* Every length from odd to even, so that each rest of eight bytes is summed. */
static void sums_frames_of_every_length(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 70; n++) {
		make(&(struct tcp_frame_conf){.is_ipv6 = n % 2, .payload_bytes = n, .flags = ACK});
		start(false);
		assert_int_equal(offload_cut_next(&cut, out), f.len_bytes);
		assert_true(tcp_frame_holds(out, f.len_bytes));
		assert_int_equal(cut.nr_made, 1);
		assert_int_equal(offload_cut_next(&cut, out), 0);
	}
}

/* The words add up to all ones: UDP would read a checksum of 0 as none. */
static void never_writes_a_checksum_of_zero(void **state)
{
	uint8_t frame[40] = {0};
	struct frame_offload offload = {.needs_csum = true, .csum_start = 14, .csum_offset = 6};

	(void)state;
	put_be16(frame + 14, 0xffff);
	offload_cut_start(&cut, frame, sizeof(frame), &offload, false);
	assert_int_equal(offload_cut_next(&cut, out), sizeof(frame));
	assert_int_equal(get_be16(out + 20), 0xffff);
}

static void leaves_sums_to_who_takes_them(void **state)
{
	size_t len;

	(void)state;
	make(&(struct tcp_frame_conf){.payload_bytes = 5000, .gso_size = 1460, .flags = ACK});
	start(true);
	while ((len = offload_cut_next(&cut, out)) != 0) {
		assert_true(cut.left.needs_csum);
		assert_int_equal(cut.left.gso, OFFLOAD_GSO_NONE);
		assert_int_equal(cut.left.csum_start, f.tcp_at);
		assert_int_equal(cut.left.csum_offset, 16);
		assert_int_equal(get_be16(out + f.tcp_at + 16), tcp_frame_pseudo_sum(out, len));
	}
	assert_int_equal(cut.nr_made, 4);
}

static void counts_a_finished_frame_as_it_is(void **state)
{
	(void)state;
	assert_int_equal(offload_frames(60, NULL), 1);
	assert_int_equal(offload_wire_bytes(60, NULL), 60);
	assert_int_equal(offload_longest(60, NULL), 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_ipv4_into_frames),
		cmocka_unit_test(cuts_with_options_and_numbers_that_wrap),
		cmocka_unit_test(cuts_ipv6_into_frames),
		cmocka_unit_test(cuts_at_the_edges),
		cmocka_unit_test(sums_frames_of_every_length),
		cmocka_unit_test(never_writes_a_checksum_of_zero),
		cmocka_unit_test(leaves_sums_to_who_takes_them),
		cmocka_unit_test(counts_a_finished_frame_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
