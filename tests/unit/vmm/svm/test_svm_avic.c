/* SPDX-License-Identifier: Apache-2.0 */
/* AVIC's tables, exits and obstacles, in the manual's numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/svm/svm_avic.h"
#include "vmm/svm/vmcb.h"

#define FLAT	     0xffffffffu
#define CLUSTER	     0x0fffffffu
#define ON(ldr, dfr) {(uint32_t)(ldr) << 24, dfr, true}

static uint32_t table[AVIC_LOGICAL_ENTRIES];

static uint32_t nr_valid(void)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < AVIC_LOGICAL_ENTRIES; i++) {
		nr += table[i] >> 31;
		if (!(table[i] >> 31))
			assert_int_equal(table[i], 0);
	}
	return nr;
}

/* ---- tables ---- */

static void lays_out_a_physical_entry(void **state)
{
	uint64_t entry = svm_avic_physical(0x000ffffffffff000ull, 0xfe);

	(void)state;
	assert_int_equal(entry, 0x800ffffffffff0feull); /* valid, does not run */
	assert_int_equal(entry | AVIC_PHYSICAL_RUNNING, 0xc00ffffffffff0feull);
	assert_int_equal(svm_avic_physical(0x1000, 0), 0x8000000000001000ull);
}

static void finds_flat_targets_by_their_bit(void **state)
{
	static const struct svm_avic_member members[] = {ON(0x01, FLAT), ON(0x02, FLAT),
							 ON(0x80, FLAT)};

	(void)state;
	memset(table, 0x55, sizeof(table));
	svm_avic_logical(members, 3, table);
	assert_int_equal(table[0], 0x80000000);
	assert_int_equal(table[1], 0x80000001);
	assert_int_equal(table[7], 0x80000002);
	assert_int_equal(nr_valid(), 3);
}

static void finds_cluster_targets_by_cluster_and_bit(void **state)
{
	static const struct svm_avic_member members[] = {ON(0x01, CLUSTER), ON(0x08, CLUSTER),
							 ON(0x12, CLUSTER), ON(0xe8, CLUSTER)};

	(void)state;
	svm_avic_logical(members, 4, table);
	assert_int_equal(table[0], 0x80000000);
	assert_int_equal(table[3], 0x80000001);
	assert_int_equal(table[5], 0x80000002);
	assert_int_equal(table[59], 0x80000003); /* the last one: cluster 14 */
	assert_int_equal(nr_valid(), 4);
}

static void leaves_out_who_is_not_alone_or_nobody(void **state)
{
	static const struct svm_avic_member members[] = {
		ON(0x00, FLAT), /* none yet */
		ON(0x03, FLAT), /* two bits */
		ON(0x02, FLAT), /* one of those two */
		ON(0x10, FLAT),
		ON(0x10, FLAT),		    /* the same bit twice */
		{0x20u << 24, FLAT, false}, /* not in AVIC's hands */
		ON(0x40, FLAT),
	};

	(void)state;
	svm_avic_logical(members, ARRAY_SIZE(members), table);
	assert_int_equal(table[6], 0x80000006);
	assert_int_equal(nr_valid(), 1);
}

/* A bit that one outside claims, too, must not lead to one alone. */
static void counts_claims_of_those_outside(void **state)
{
	static const struct svm_avic_member members[] = {ON(0x10, FLAT),
							 {0x10u << 24, FLAT, false}};

	(void)state;
	svm_avic_logical(members, 2, table);
	assert_int_equal(nr_valid(), 0);
}

static void has_no_cluster_15_and_no_two_bits_of_a_cluster(void **state)
{
	static const struct svm_avic_member members[] = {ON(0xf1, CLUSTER), ON(0x23, CLUSTER),
							 ON(0x30, CLUSTER), ON(0x42, CLUSTER),
							 ON(0x46, CLUSTER), ON(0x52, CLUSTER)};

	(void)state;
	svm_avic_logical(members, ARRAY_SIZE(members), table);
	assert_int_equal(table[5 * 4 + 1], 0x80000005);
	assert_int_equal(nr_valid(), 1);
}

static void is_empty_where_the_mode_is_not_agreed_on(void **state)
{
	struct svm_avic_member members[] = {ON(0x01, FLAT), ON(0x12, CLUSTER)};

	(void)state;
	svm_avic_logical(members, 2, table);
	assert_int_equal(nr_valid(), 0);
	members[1].ldr = 0; /* has not set up anything yet */
	svm_avic_logical(members, 2, table);
	assert_int_equal(table[0], 0x80000000);
	members[0].dfr = 0x5fffffff; /* no model at all */
	svm_avic_logical(members, 2, table);
	assert_int_equal(nr_valid(), 0);
}

/* As the CPU walks: from the root to what is mapped, 0 when nothing is. */
static uint64_t walk(uint64_t *const tables[4], const uint64_t hpa[4], uint64_t gpa)
{
	uint64_t entry = hpa[0];

	for (unsigned level = 3;; level--) {
		const uint64_t *t = NULL;

		for (int i = 0; i < 4; i++)
			if (hpa[i] == (entry & 0xffffffffff000ull))
				t = tables[i];
		if (!t)
			return entry; /* shared from here on */
		entry = t[gpa >> (12 + 9 * level) & 511];
		if (level == 0 || !(entry & 1))
			return entry;
	}
}

static void maps_the_apic_page_beside_what_the_vm_has(void **state)
{
	static uint64_t root[512], low[512], pages[4][512];
	uint64_t *const tables[4] = {pages[0], pages[1], pages[2], pages[3]};
	static const uint64_t hpa[4] = {0x10000, 0x11000, 0x12000, 0x13000};

	(void)state;
	memset(pages, 0x55, sizeof(pages));
	root[0] = 0x20007;
	root[1] = 0x21007;
	low[0] = 0x22007;    /* a table */
	low[1] = 0x400000e7; /* a leaf of 1 GiB */
	low[4] = 0x23007;    /* behind the hole */
	svm_avic_map(root, low, tables, hpa, 0x30000);
	/* present, writable, user, never executed: [APM] "Nested Paging" */
	assert_int_equal(walk(tables, hpa, 0xfee00000), BIT(63) | 0x30007);
	assert_int_equal(walk(tables, hpa, 0xfee01000), 0);
	assert_int_equal(walk(tables, hpa, 0xfedff000), 0);
	assert_int_equal(walk(tables, hpa, 0xfec00000), 0);
	assert_int_equal(walk(tables, hpa, 0xd0000000), 0);
	assert_int_equal(walk(tables, hpa, 0x1000), 0x22007);
	assert_int_equal(walk(tables, hpa, 0x40000000), 0x400000e7);
	assert_int_equal(walk(tables, hpa, 0x80000000), 0);
	assert_int_equal(walk(tables, hpa, 0x100000000), 0x23007);
	assert_int_equal(walk(tables, hpa, 0x8000000000), 0x21007);

	root[0] = 0; /* a VM without memory */
	svm_avic_map(root, NULL, tables, hpa, 0x30000);
	assert_int_equal(walk(tables, hpa, 0xfee00000), BIT(63) | 0x30007);
	assert_int_equal(walk(tables, hpa, 0x1000), 0);
}

/* ---- exits ---- */

static void wakes_targets_that_do_not_run(void **state)
{
	struct svm_avic_ipi ipi;

	(void)state;
	/* fixed, edge, vector fdh, logical destination 5 */
	svm_avic_decode_ipi(0x05000000000048fdull, 1ull << 32 | 0x02, &ipi);
	assert_int_equal(ipi.rest, AVIC_REST_WAKE);
	assert_int_equal(ipi.msg.delivery, LAPIC_FIXED);
	assert_int_equal(ipi.msg.shorthand, LAPIC_TO_DEST);
	assert_int_equal(ipi.msg.vector, 0xfd);
	assert_true(ipi.msg.is_logical);
	assert_false(ipi.msg.is_x2apic || ipi.msg.is_level);
	assert_int_equal(ipi.msg.dest, 5);

	/* to all others */
	svm_avic_decode_ipi(0x00000000000c00fcull, 1ull << 32, &ipi);
	assert_int_equal(ipi.msg.shorthand, LAPIC_TO_OTHERS);
	assert_false(ipi.msg.is_logical);
}

static void sends_what_the_cpu_cannot(void **state)
{
	static const uint32_t whys[] = {0, 2, 3, 4, 5, 0xffffffff};
	struct svm_avic_ipi ipi;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(whys); i++) {
		svm_avic_decode_ipi(0x01000000000046aaull, (uint64_t)whys[i] << 32, &ipi);
		assert_int_equal(ipi.rest, AVIC_REST_ALL);
		assert_int_equal(ipi.msg.delivery, LAPIC_SIPI);
		assert_int_equal(ipi.msg.vector, 0xaa);
		assert_int_equal(ipi.msg.dest, 1);
	}
}

#define WRITE BIT(32)

static void takes_traps_as_writes_that_are_done(void **state)
{
	static const uint32_t offsets[] = {0x20,  0xc0,	 0xd0,	0xe0,  0xf0,  0x280, 0x300, 0x320,
					   0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct vm_exit exit = {.kind = EXIT_NONE};

		svm_avic_decode_access(WRITE | offsets[i], 0, -1, &exit);
		assert_int_equal(exit.kind, EXIT_APIC_WRITE);
		assert_int_equal(exit.apic.offset, offsets[i]);
	}
}

static void takes_faults_as_accesses_to_be_carried_out(void **state)
{
	static const uint32_t writes[] = {0x30,	 0x90,	0xa0,  0x100, 0x170, 0x180,
					  0x200, 0x270, 0x390, 0x3f0, 0x000, 0x400};
	struct vm_exit exit;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		memset(&exit, 0x55, sizeof(exit));
		svm_avic_decode_access(WRITE | writes[i], 0, -1, &exit);
		assert_int_equal(exit.kind, EXIT_APIC_ACCESS);
		assert_int_equal(exit.mmio.gpa, 0xfee00000 + writes[i]);
		assert_true(exit.mmio.is_write);
		assert_false(exit.mmio.has_gva || exit.mmio.is_fetch);
	}
	/* The count of the timer is read from nowhere; a read is never a trap. */
	svm_avic_decode_access(0x390, 0, -1, &exit);
	assert_int_equal(exit.kind, EXIT_APIC_ACCESS);
	assert_int_equal(exit.mmio.gpa, 0xfee00390);
	assert_false(exit.mmio.is_write);
	svm_avic_decode_access(0x380, 0, -1, &exit);
	assert_int_equal(exit.kind, EXIT_APIC_ACCESS);
}

static void ends_a_level_interrupt_once(void **state)
{
	struct vm_exit exit;

	(void)state;
	svm_avic_decode_access(WRITE | 0xb0, 0x61, 0x61, &exit); /* in service still */
	assert_int_equal(exit.kind, EXIT_APIC_WRITE);
	assert_int_equal(exit.apic.offset, 0xb0);
	svm_avic_decode_access(WRITE | 0xb0, 0x61, 0x51, &exit); /* what it had interrupted */
	assert_int_equal(exit.kind, EXIT_EOI);
	assert_int_equal(exit.eoi.vector, 0x61);
	svm_avic_decode_access(WRITE | 0xb0, 0x61, -1, &exit);
	assert_int_equal(exit.kind, EXIT_EOI);
}

/* ---- obstacles ---- */

static const struct svm_avic_view fine = {
	.apic_base = 0xfee00900, .svr = 0x1ff, .id = 0xfe, .host_id = 0xfe};

static void may_be_on_where_nothing_is_in_the_way(void **state)
{
	struct svm_avic_view view = fine;

	(void)state;
	assert_int_equal(svm_avic_obstacle(&view), AVIC_OBSTACLE_NONE);
	view.apic_base = 0xfee00800; /* not the bootstrap processor */
	assert_int_equal(svm_avic_obstacle(&view), AVIC_OBSTACLE_NONE);
}

#define IS_KEPT_OFF(member, value, obstacle)                                                       \
	do {                                                                                       \
		struct svm_avic_view view = fine;                                                  \
		view.member = (value);                                                             \
		assert_int_equal(svm_avic_obstacle(&view), obstacle);                              \
	} while (0)

static void is_kept_off_by_each_obstacle(void **state)
{
	(void)state;
	IS_KEPT_OFF(apic_base, 0xfee00100, AVIC_OBSTACLE_DISABLED);
	IS_KEPT_OFF(svr, 0xff, AVIC_OBSTACLE_DISABLED);
	IS_KEPT_OFF(apic_base, 0xfee00d00, AVIC_OBSTACLE_X2APIC);
	IS_KEPT_OFF(apic_base, 0xfec00900, AVIC_OBSTACLE_BASE);
	IS_KEPT_OFF(apic_base, 0x1fee00900, AVIC_OBSTACLE_BASE);
	IS_KEPT_OFF(id, 0xff, AVIC_OBSTACLE_ID);
	IS_KEPT_OFF(host_id, 0xff, AVIC_OBSTACLE_HOST_ID);
	IS_KEPT_OFF(host_id, 0x100, AVIC_OBSTACLE_HOST_ID);
	IS_KEPT_OFF(wants_window, true, AVIC_OBSTACLE_WINDOW);
	IS_KEPT_OFF(has_extint, true, AVIC_OBSTACLE_EXTINT);
}

static void knows_the_family_of_erratum_1235(void **state)
{
	(void)state;
	assert_true(svm_avic_has_stale_running(0x00800f12));  /* Zen 1 */
	assert_true(svm_avic_has_stale_running(0x00830f10));  /* Zen 2 */
	assert_false(svm_avic_has_stale_running(0x00a00f11)); /* Zen 3, 19h */
	assert_false(svm_avic_has_stale_running(0x00b00f20)); /* Zen 5, 1Ah */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lays_out_a_physical_entry),
		cmocka_unit_test(finds_flat_targets_by_their_bit),
		cmocka_unit_test(finds_cluster_targets_by_cluster_and_bit),
		cmocka_unit_test(leaves_out_who_is_not_alone_or_nobody),
		cmocka_unit_test(counts_claims_of_those_outside),
		cmocka_unit_test(has_no_cluster_15_and_no_two_bits_of_a_cluster),
		cmocka_unit_test(is_empty_where_the_mode_is_not_agreed_on),
		cmocka_unit_test(maps_the_apic_page_beside_what_the_vm_has),
		cmocka_unit_test(wakes_targets_that_do_not_run),
		cmocka_unit_test(sends_what_the_cpu_cannot),
		cmocka_unit_test(takes_traps_as_writes_that_are_done),
		cmocka_unit_test(takes_faults_as_accesses_to_be_carried_out),
		cmocka_unit_test(ends_a_level_interrupt_once),
		cmocka_unit_test(may_be_on_where_nothing_is_in_the_way),
		cmocka_unit_test(is_kept_off_by_each_obstacle),
		cmocka_unit_test(knows_the_family_of_erratum_1235),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
