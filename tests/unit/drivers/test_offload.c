/* SPDX-License-Identifier: Apache-2.0 */
/* What a sender says of a frame, and what becomes of lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/offload.h"
#include "kernel/lib/bytes.h"
#include "tests/unit/support/tcp_frame.h"

static struct tcp_frame f;

static int make(void **state)
{
	(void)state;
	tcp_frame_make(&f, &(struct tcp_frame_conf){.payload_bytes = 5000, .gso_size = 1448});
	return 0;
}

static int make_ipv6(void **state)
{
	(void)state;
	tcp_frame_make(&f, &(struct tcp_frame_conf){
				   .is_ipv6 = true, .payload_bytes = 5000, .gso_size = 1428});
	return 0;
}

static bool is_refused(void)
{
	return offload_check(f.bytes, f.len_bytes, &f.offload) == HV_EPROTO;
}

static void assert_header_is(uint16_t hdr_len)
{
	f.offload.hdr_len = 0xabcd;
	assert_int_equal(offload_check(f.bytes, f.len_bytes, &f.offload), HV_OK);
	assert_int_equal(f.offload.hdr_len, hdr_len);
}

static void takes_a_segment_and_finds_its_headers(void **state)
{
	(void)state;
	assert_header_is(14 + 20 + 20);
	tcp_frame_make(&f, &(struct tcp_frame_conf){.ip_options = 10,
						    .tcp_options = 10,
						    .payload_bytes = 1,
						    .gso_size = 1});
	assert_header_is(OFFLOAD_HDR_MAX);
	tcp_frame_make(&f, &(struct tcp_frame_conf){.is_ipv6 = true,
						    .tcp_options = 3,
						    .payload_bytes = 65535 - 40 - 32,
						    .gso_size = 1428});
	assert_header_is(14 + 40 + 32);
	tcp_frame_make(&f,
		       &(struct tcp_frame_conf){.payload_bytes = 65535 - 40, .gso_size = 65535});
	assert_header_is(14 + 20 + 20);
}

static void has_no_say_about_a_frame_that_needs_nothing(void **state)
{
	struct frame_offload offload = {.is_csum_valid = true, .csum_start = 0xffff};

	(void)state;
	assert_int_equal(offload_check(f.bytes, 14, &offload), HV_OK);
}

static void wants_the_sum_inside_the_frame(void **state)
{
	static const struct {
		uint16_t start, offset;
		size_t len;
		enum hv_err err;
	} rows[] = {
		{34, 16, 52, HV_OK},
		{34, 16, 51, HV_EPROTO},
		{34, 16, 14, HV_EPROTO},
		{0xffff, 0xffff, 1518, HV_EPROTO},
		{14, 0, 16, HV_OK},
		{14, 0, 15, HV_EPROTO},
		/* would change an address or a type that a switch has looked at */
		{13, 20, 1518, HV_EPROTO},
		{0, 6, 1518, HV_EPROTO},
		{0, 12, 1518, HV_EPROTO},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frame_offload offload = {.needs_csum = true,
						.csum_start = rows[i].start,
						.csum_offset = rows[i].offset};

		assert_int_equal(offload_check(f.bytes, rows[i].len, &offload), rows[i].err);
	}
}

static void refuses_a_segment_that_is_cut_off(void **state)
{
	(void)state;
	for (size_t len = 0; len < f.payload_at + 1u; len++) {
		struct frame_offload offload = f.offload;

		assert_int_equal(offload_check(f.bytes, len, &offload), HV_EPROTO);
	}
	f.len_bytes--;
	assert_true(is_refused());
	f.len_bytes += 2; /* and one with something behind it */
	assert_true(is_refused());
}

static void refuses_a_segment_without_payload(void **state)
{
	(void)state;
	tcp_frame_make(&f, &(struct tcp_frame_conf){.payload_bytes = 0, .gso_size = 1448});
	assert_true(is_refused());
	tcp_frame_make(&f, &(struct tcp_frame_conf){
				   .is_ipv6 = true, .payload_bytes = 0, .gso_size = 1448});
	assert_true(is_refused());
}

#define REFUSES(change)                                                                            \
	do {                                                                                       \
		make(state);                                                                       \
		change;                                                                            \
		assert_true(is_refused());                                                         \
	} while (0)

static void refuses_what_is_not_as_it_says(void **state)
{
	REFUSES(f.offload.needs_csum = false);
	REFUSES(f.offload.gso_size = 0);
	REFUSES(f.offload.gso = OFFLOAD_GSO_TCP6);
	REFUSES(f.offload.csum_start++);
	REFUSES(f.offload.csum_start = 14);
	REFUSES(f.offload.csum_offset = 6);
	REFUSES(put_be16(f.bytes + 12, 0x86dd)); /* the type */
	REFUSES(f.bytes[14] = 0x65);		 /* version */
	REFUSES(f.bytes[14] = 0x44);		 /* header of 16 bytes */
	REFUSES(f.bytes[14] = 0x46);		 /* of 24: TCP is not where the sum is */
	REFUSES(f.bytes[23] = 17);		 /* UDP */
	REFUSES(f.bytes[20] |= 0x20);		 /* more fragments */
	REFUSES(f.bytes[21] = 1);		 /* a later fragment */
	REFUSES(f.bytes[f.tcp_at + 12] = 0x40);	 /* TCP header of 16 bytes */
}

static void refuses_lying_ipv6(void **state)
{
	make_ipv6(state);
	f.offload.gso = OFFLOAD_GSO_TCP4;
	assert_true(is_refused());
	make_ipv6(state);
	f.bytes[14] = 0x45;
	assert_true(is_refused());
	make_ipv6(state);
	f.bytes[20] = 0; /* hop-by-hop options */
	assert_true(is_refused());
	make_ipv6(state);
	put_be16(f.bytes + 18, 0); /* a jumbogram */
	assert_true(is_refused());
}

static void refuses_headers_that_are_longer_than_the_packet(void **state)
{
	(void)state;
	tcp_frame_make(&f, &(struct tcp_frame_conf){.payload_bytes = 39, .gso_size = 8});
	f.bytes[f.tcp_at + 12] = 0xf0; /* 60 bytes, and 59 are there */
	assert_true(is_refused());
	tcp_frame_make(&f, &(struct tcp_frame_conf){.payload_bytes = 10, .gso_size = 8});
	f.bytes[14] = 0x4f; /* 60 bytes, and 50 are there */
	assert_true(is_refused());
}

/* Nobody whose segments are cut may send one. */
static void refuses_a_segment_behind_a_vlan_tag(void **state)
{
	(void)state;
	memmove(f.bytes + 16, f.bytes + 12, f.len_bytes - 12);
	put_be16(f.bytes + 12, 0x8100);
	f.len_bytes += 4;
	f.offload.csum_start += 4;
	assert_true(is_refused());
	f.offload.gso = OFFLOAD_GSO_NONE; /* but a sum can be filled in anywhere */
	assert_int_equal(offload_check(f.bytes, f.len_bytes, &f.offload), HV_OK);
}

static void sums_pseudo_headers(void **state)
{
	uint32_t tcp_bytes;

	(void)state;
	tcp_bytes = (uint32_t)f.len_bytes - f.tcp_at;
	assert_int_equal(offload_pseudo_sum(f.bytes, &f.offload, tcp_bytes),
			 tcp_frame_pseudo_sum(f.bytes, f.len_bytes));
	assert_int_equal(offload_pseudo_sum(f.bytes, &f.offload, 0),
			 get_be16(f.bytes + f.tcp_at + 16));
	make_ipv6(state);
	tcp_bytes = (uint32_t)f.len_bytes - f.tcp_at;
	assert_int_equal(offload_pseudo_sum(f.bytes, &f.offload, tcp_bytes),
			 tcp_frame_pseudo_sum(f.bytes, f.len_bytes));
	assert_int_equal(offload_pseudo_sum(f.bytes, &f.offload, 0),
			 get_be16(f.bytes + f.tcp_at + 16));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(takes_a_segment_and_finds_its_headers, make),
		cmocka_unit_test_setup(has_no_say_about_a_frame_that_needs_nothing, make),
		cmocka_unit_test_setup(wants_the_sum_inside_the_frame, make),
		cmocka_unit_test_setup(refuses_a_segment_that_is_cut_off, make),
		cmocka_unit_test_setup(refuses_a_segment_that_is_cut_off, make_ipv6),
		cmocka_unit_test_setup(refuses_a_segment_without_payload, make),
		cmocka_unit_test_setup(refuses_what_is_not_as_it_says, make),
		cmocka_unit_test_setup(refuses_lying_ipv6, make_ipv6),
		cmocka_unit_test_setup(refuses_headers_that_are_longer_than_the_packet, make),
		cmocka_unit_test_setup(refuses_a_segment_behind_a_vlan_tag, make),
		cmocka_unit_test_setup(sums_pseudo_headers, make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
