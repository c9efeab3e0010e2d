/* SPDX-License-Identifier: Apache-2.0 */
/* Guest page walks over tables built by hand in 4 MiB of guest memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "vmm/walk.h"

#define PG   BIT(31)
#define WP   BIT(16)
#define PSE  BIT(4)
#define PAE  BIT(5)
#define LA57 BIT(12)
#define SMEP BIT(20)
#define SMAP BIT(21)
#define LMA  BIT(10)
#define NXE  BIT(11)
#define AC   BIT(18)
#define NX   BIT(63)

#define P_W_U 0x7ull
#define PS    0x80ull

static struct gmem mem;
static uint8_t *chunks[2];

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		chunks[i] = calloc(1, GMEM_CHUNK);
	mem = (struct gmem){.low_bytes = 2 * GMEM_CHUNK, .chunks = chunks, .nr_chunks = 2};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(chunks[0]);
	free(chunks[1]);
	return 0;
}

static uint8_t *at(uint64_t gpa)
{
	return chunks[gpa / GMEM_CHUNK] + gpa % GMEM_CHUNK;
}

static void put(uint64_t table, unsigned index, uint64_t entry)
{
	put_le64(at(table + index * 8), entry);
}

static void put32(uint64_t table, unsigned index, uint32_t entry)
{
	put_le32(at(table + index * 4), entry);
}

/* gva 0x8080604000 + offset goes through index 1, 2, 3, 4 of tables at 0x1000 .. 0x4000 */
#define GVA 0x8080604000ull

static struct walk_state long_mode(uint64_t leaf)
{
	put(0x1000, 1, 0x2000 | P_W_U);
	put(0x2000, 2, 0x3000 | P_W_U);
	put(0x3000, 3, 0x4000 | P_W_U);
	put(0x4000, 4, leaf);
	return (struct walk_state){
		.cr0 = PG | WP | 1, .cr3 = 0x1000, .cr4 = PAE, .efer = LMA | NXE, .gpa_bits = 40};
}

static void expect_gpa(const struct walk_state *s, uint64_t gva, enum walk_access access,
		       uint64_t want)
{
	struct walk_fault fault;
	uint64_t gpa = ~0ull;

	assert_int_equal(walk_translate(&mem, s, gva, access, &gpa, &fault), HV_OK);
	assert_int_equal(gpa, want);
}

static void expect_fault(const struct walk_state *s, uint64_t gva, enum walk_access access,
			 uint32_t code)
{
	struct walk_fault fault = {0};
	uint64_t gpa = 0x1234;

	assert_int_equal(walk_translate(&mem, s, gva, access, &gpa, &fault), HV_EPROTO);
	assert_int_equal(fault.code, code);
	assert_int_equal(fault.gva, gva);
	assert_int_equal(gpa, 0x1234);
}

static void is_the_identity_without_paging(void **state)
{
	struct walk_state s = {.cr0 = 1, .gpa_bits = 40};

	(void)state;
	expect_gpa(&s, 0x12345678, WALK_WRITE, 0x12345678);
	expect_gpa(&s, 0x100000010, WALK_READ, 0x10); /* linear addresses have 32 bits */
	s.efer = LMA;				      /* means nothing without paging */
	expect_gpa(&s, 0x100000010, WALK_READ, 0x10);
}

static void walks_four_levels(void **state)
{
	struct walk_state s = long_mode(0xabc000 | P_W_U);

	(void)state;
	expect_gpa(&s, GVA + 0x123, WALK_WRITE, 0xabc123);
	expect_fault(&s, GVA + 0x1000, WALK_READ, 0);
	expect_fault(&s, GVA + 0x1000, WALK_WRITE, PF_W);
	s.cpl = 3;
	expect_gpa(&s, GVA, WALK_FETCH, 0xabc000);
	expect_fault(&s, 0, WALK_FETCH, PF_U | PF_I);
}

static void walks_large_pages_of_four_levels(void **state)
{
	struct walk_state s = long_mode(0);

	(void)state;
	put(0x3000, 3, 0x40000000 | PS | P_W_U);
	expect_gpa(&s, GVA + 0x123, WALK_READ, 0x40004123);
	put(0x3000, 3, 0x40002000 | PS | P_W_U);
	expect_fault(&s, GVA, WALK_READ, PF_P | PF_RSVD);
	put(0x3000, 3, 0x40001000 | PS | P_W_U); /* bit 12 is PAT */
	expect_gpa(&s, GVA, WALK_READ, 0x40004000);
	put(0x2000, 2, 0x80000000ull | PS | P_W_U);
	expect_gpa(&s, GVA + 0x123, WALK_READ, 0x80604123);
	put(0x2000, 2, 0x80200000ull | PS | P_W_U);
	expect_fault(&s, GVA, WALK_READ, PF_P | PF_RSVD);
	put(0x1000, 1, 0x2000 | PS | P_W_U);
	expect_fault(&s, GVA, WALK_READ, PF_P | PF_RSVD);
}

static void walks_five_levels(void **state)
{
	struct walk_state s = long_mode(0xabc000 | P_W_U);

	(void)state;
	s.cr4 |= LA57;
	s.cr3 = 0x5000;
	put(0x5000, 5, 0x1000 | P_W_U);
	expect_gpa(&s, (5ull << 48) + GVA, WALK_READ, 0xabc000);
	expect_fault(&s, GVA, WALK_READ, 0);
}

static void walks_the_upper_half(void **state)
{
	struct walk_state s = long_mode(0xabc000 | P_W_U);

	(void)state;
	put(0x1000, 257, 0x2000 | P_W_U);
	expect_gpa(&s, 0xffff800000000000ull + GVA, WALK_READ, 0xabc000);
}

static void refuses_addresses_that_are_not_canonical(void **state)
{
	struct walk_state s = long_mode(0xabc000 | P_W_U);
	struct walk_fault fault;
	uint64_t gpa;

	(void)state;
	assert_int_equal(walk_translate(&mem, &s, BIT(47), WALK_READ, &gpa, &fault), HV_EINVAL);
	assert_int_equal(walk_translate(&mem, &s, NX, WALK_READ, &gpa, &fault), HV_EINVAL);
	s.cr4 |= LA57;
	assert_int_equal(walk_translate(&mem, &s, BIT(56), WALK_READ, &gpa, &fault), HV_EINVAL);
}

static void refuses_tables_that_are_not_in_ram(void **state)
{
	struct walk_state s = long_mode(0xabc000 | P_W_U);
	struct walk_fault fault;
	uint64_t gpa;

	(void)state;
	put(0x2000, 2, 0xfee00000 | P_W_U);
	assert_int_equal(walk_translate(&mem, &s, GVA, WALK_READ, &gpa, &fault), HV_ENOTSUP);
	s.cr3 = 0x800000;
	assert_int_equal(walk_translate(&mem, &s, GVA, WALK_READ, &gpa, &fault), HV_ENOTSUP);
}

static void finds_reserved_bits_beyond_the_physical_width(void **state)
{
	struct walk_state s = long_mode(BIT(40) | P_W_U);

	(void)state;
	expect_fault(&s, GVA, WALK_WRITE, PF_P | PF_RSVD | PF_W);
	s.gpa_bits = 41;
	expect_gpa(&s, GVA, WALK_READ, BIT(40));
	put(0x4000, 4, BIT(52) | 0xabc000 | P_W_U); /* ignored by the CPU */
	expect_gpa(&s, GVA, WALK_READ, 0xabc000);
}

static void obeys_no_execute_only_when_it_is_on(void **state)
{
	struct walk_state s = long_mode(0xabc000 | NX | P_W_U);

	(void)state;
	expect_gpa(&s, GVA, WALK_READ, 0xabc000);
	expect_fault(&s, GVA, WALK_FETCH, PF_P | PF_I);
	s.efer &= ~NXE;
	expect_fault(&s, GVA, WALK_READ, PF_P | PF_RSVD);
	put(0x4000, 4, 0xabc000 | P_W_U);
	put(0x2000, 2, 0x3000 | NX | P_W_U);
	s.efer |= NXE;
	expect_fault(&s, GVA, WALK_FETCH, PF_P | PF_I); /* from any level */
}

static void takes_the_least_rights_of_all_levels(void **state)
{
	struct walk_state s = long_mode(0xabc000 | P_W_U);

	(void)state;
	put(0x2000, 2, 0x3000 | 0x5); /* read-only */
	expect_fault(&s, GVA, WALK_WRITE, PF_P | PF_W);
	s.cr0 &= ~WP;
	expect_gpa(&s, GVA, WALK_WRITE, 0xabc000);
	s.cpl = 3; /* WP is for supervisors */
	expect_fault(&s, GVA, WALK_WRITE, PF_P | PF_W | PF_U);
	expect_gpa(&s, GVA, WALK_READ, 0xabc000);
	put(0x1000, 1, 0x2000 | 0x3); /* supervisor */
	expect_fault(&s, GVA, WALK_READ, PF_P | PF_U);
}

static void keeps_a_supervisor_from_user_pages(void **state)
{
	struct walk_state s = long_mode(0xabc000 | P_W_U);

	(void)state;
	s.cr4 |= SMEP;
	expect_fault(&s, GVA, WALK_FETCH, PF_P | PF_I);
	expect_gpa(&s, GVA, WALK_READ, 0xabc000);
	s.cr4 |= SMAP;
	expect_fault(&s, GVA, WALK_READ, PF_P);
	s.cr0 &= ~WP;
	expect_fault(&s, GVA, WALK_WRITE, PF_P | PF_W);
	s.rflags = AC;
	expect_gpa(&s, GVA, WALK_READ, 0xabc000);
	s.rflags = 0;
	s.cpl = 3;
	expect_gpa(&s, GVA, WALK_FETCH, 0xabc000);
}

static void walks_32_bit_tables(void **state)
{
	struct walk_state s = {.cr0 = PG | WP, .cr3 = 0x1018, .gpa_bits = 40, .cpl = 3};

	(void)state;
	put32(0x1000, 3, 0x2007);
	put32(0x2000, 5, 0xfffff007);
	expect_gpa(&s, 0x00c05678, WALK_WRITE, 0xfffff678);
	expect_fault(&s, 0x00c06678, WALK_FETCH, PF_U); /* no NX, no SMEP: no I */
	put32(0x1000, 3, 0x2087);
	expect_gpa(&s, 0x00c05678, WALK_WRITE, 0xfffff678); /* without PSE the bit is ignored */
}

static void walks_4_mib_pages_with_40_bits(void **state)
{
	struct walk_state s = {.cr0 = PG, .cr3 = 0x1000, .cr4 = PSE, .gpa_bits = 40};

	(void)state;
	put32(0x1000, 3, 0x80400083 | 0xff << 13);
	expect_gpa(&s, 0x00c05678, WALK_READ, 0xff80405678ull);
	put32(0x1000, 3, 0x80400083 | 1 << 21);
	expect_fault(&s, 0x00c05678, WALK_READ, PF_P | PF_RSVD);
	s.gpa_bits = 36;
	put32(0x1000, 3, 0x80400083 | 0x10 << 13);
	expect_fault(&s, 0x00c05678, WALK_READ, PF_P | PF_RSVD);
	put32(0x1000, 3, 0x80400083 | 0x0f << 13 | BIT(12));
	expect_gpa(&s, 0x00c05678, WALK_READ, 0xf80405678ull);
}

static void walks_pae(void **state)
{
	struct walk_state s = {
		.cr0 = PG | WP, .cr3 = 0x1020, .cr4 = PAE, .efer = NXE, .gpa_bits = 40, .cpl = 3};

	(void)state;
	put(0x1020, 2, 0x2001); /* its top entries have no rights */
	put(0x2000, 3, 0x3007);
	put(0x3000, 4, 0x7f00abc007);
	expect_gpa(&s, 0x80604123, WALK_WRITE, 0x7f00abc123ull);
	put(0x3000, 4, BIT(52) | 0xabc007);
	expect_fault(&s, 0x80604123, WALK_READ, PF_P | PF_RSVD | PF_U);
	put(0x2000, 3, 0x7f00200087);
	expect_gpa(&s, 0x80604123, WALK_READ, 0x7f00204123ull);
	put(0x1020, 2, 0x2003);
	expect_fault(&s, 0x80604123, WALK_READ, PF_P | PF_RSVD | PF_U);
}

static void ends_at_tables_that_point_at_themselves(void **state)
{
	struct walk_state s = long_mode(0);

	(void)state;
	put(0x1000, 0, 0x1000 | P_W_U);
	expect_gpa(&s, 8, WALK_READ, 0x1008);
}

static void copies_across_pages_or_not_at_all(void **state)
{
	struct walk_state s = long_mode(0x10000 | P_W_U);
	struct walk_fault fault;
	uint8_t buf[8];

	(void)state;
	put(0x4000, 5, 0x30000 | P_W_U);
	assert_int_equal(walk_write(&mem, &s, GVA + 0xffc, "abcdefgh", 8, &fault), HV_OK);
	assert_memory_equal(at(0x10ffc), "abcd", 4);
	assert_memory_equal(at(0x30000), "efgh", 4);
	assert_int_equal(walk_read(&mem, &s, GVA + 0xffc, WALK_READ, buf, 8, &fault), HV_OK);
	assert_memory_equal(buf, "abcdefgh", 8);

	put(0x4000, 5, 0x30000 | 0x5);
	assert_int_equal(walk_write(&mem, &s, GVA + 0xffc, "ABCDEFGH", 8, &fault), HV_EPROTO);
	assert_int_equal(fault.gva, GVA + 0x1000);
	assert_memory_equal(at(0x10ffc), "abcd", 4);
	put(0x4000, 5, 0xfee00000 | P_W_U);
	assert_int_equal(walk_write(&mem, &s, GVA + 0xffc, "ABCDEFGH", 8, &fault), HV_ENOENT);
	assert_memory_equal(at(0x10ffc), "abcd", 4);
}

static void fetches_up_to_a_page_that_is_not_there(void **state)
{
	struct walk_state s = long_mode(0x10000 | P_W_U);
	struct walk_fault fault = {0};
	uint8_t bytes[15];
	size_t got;

	(void)state;
	memset(at(0x10ff0), 0x90, 16);
	assert_int_equal(walk_fetch(&mem, &s, GVA + 0xffd, bytes, &got, &fault), HV_OK);
	assert_int_equal(got, 3);
	assert_int_equal(fault.code, 0);
	assert_int_equal(walk_fetch(&mem, &s, GVA + 0xff1, bytes, &got, &fault), HV_OK);
	assert_int_equal(got, 15);
	assert_int_equal(walk_fetch(&mem, &s, GVA + 0x1000, bytes, &got, &fault), HV_EPROTO);
	assert_int_equal(got, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_the_identity_without_paging),
		TEST(walks_four_levels),
		TEST(walks_large_pages_of_four_levels),
		TEST(walks_five_levels),
		TEST(walks_the_upper_half),
		TEST(refuses_addresses_that_are_not_canonical),
		TEST(refuses_tables_that_are_not_in_ram),
		TEST(finds_reserved_bits_beyond_the_physical_width),
		TEST(obeys_no_execute_only_when_it_is_on),
		TEST(takes_the_least_rights_of_all_levels),
		TEST(keeps_a_supervisor_from_user_pages),
		TEST(walks_32_bit_tables),
		TEST(walks_4_mib_pages_with_40_bits),
		TEST(walks_pae),
		TEST(ends_at_tables_that_point_at_themselves),
		TEST(copies_across_pages_or_not_at_all),
		TEST(fetches_up_to_a_page_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
