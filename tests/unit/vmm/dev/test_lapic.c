/* SPDX-License-Identifier: Apache-2.0 */
/* The LAPIC by its registers, its delivery rules and its timer; numbers are the SDM's. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/dev/lapic.h"
#include "vmm/layout.h"

#define TSC_KHZ	    2000000u /* two ticks a bus tick */
#define MSR(offset) (0x800u + (offset) / 16)

struct fixture {
	struct lapic l;
	uint8_t *page;
	uint64_t tsc, deadline;
	struct lapic_ipi ipi;
	int nr_ipis, nr_eois, last_eoi;
};

static uint64_t fake_tsc_now(void *ctx)
{
	return ((struct fixture *)ctx)->tsc;
}

static void fake_timer_set(void *ctx, uint64_t deadline_tsc)
{
	((struct fixture *)ctx)->deadline = deadline_tsc;
}

static void fake_ipi(void *ctx, const struct lapic_ipi *msg)
{
	struct fixture *f = ctx;

	f->ipi = *msg;
	f->nr_ipis++;
}

static void fake_eoi(void *ctx, uint8_t vector)
{
	struct fixture *f = ctx;

	f->last_eoi = vector;
	f->nr_eois++;
}

static const struct lapic_ops fake_ops = {fake_tsc_now, fake_timer_set, fake_ipi, fake_eoi};

static int setup_id(void **state, uint32_t id)
{
	struct fixture *f = aligned_alloc(64, sizeof(*f));

	memset(f, 0, sizeof(*f));
	f->page = aligned_alloc(4096, 4096);
	f->tsc = 1000000;
	f->deadline = LAPIC_NEVER;
	lapic_create(&f->l, f->page, id, TSC_KHZ, &fake_ops, f);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_id(state, 0);
}

static int setup_enabled(void **state)
{
	struct fixture *f;

	setup_id(state, 0);
	f = *state;
	lapic_mmio_write(&f->l, LAPIC_SVR, 0x1ff);
	return 0;
}

static int setup_x2apic_19(void **state)
{
	struct fixture *f;

	setup_id(state, 19);
	f = *state;
	assert_true(lapic_msr_write(&f->l, LAPIC_MSR_BASE, 0xfee00c00));
	assert_true(lapic_msr_write(&f->l, MSR(LAPIC_SVR), 0x1ff));
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	free(f->page);
	free(f);
	return 0;
}

static void post(struct fixture *f, uint8_t vector)
{
	(void)lapic_post(&f->l, vector, false);
	(void)lapic_sync(&f->l);
}

/* ---- registers ---- */

static void comes_out_of_reset_as_the_manual_says(void **state)
{
	struct fixture *f = *state;
	uint64_t base;

	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_SVR), 0xff);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_DFR), 0xffffffff);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_LVT_TIMER), 0x10000);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_LVT_ERROR), 0x10000);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_VERSION), 0x00050014);
	assert_true(lapic_msr_read(&f->l, LAPIC_MSR_BASE, &base));
	assert_int_equal(base, 0xfee00900); /* enabled, bootstrap processor */
}

static void reads_zero_and_notes_an_error_where_no_register_is(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(lapic_mmio_read(&f->l, 0x010), 0);
	assert_int_equal(lapic_mmio_read(&f->l, 0x3f0), 0);
	assert_int_equal(lapic_mmio_read(&f->l, 0x1000), 0);
	lapic_mmio_write(&f->l, 0xffc, 1);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_ESR), 0); /* shown only after a write */
	lapic_mmio_write(&f->l, LAPIC_ESR, 0);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_ESR), 0x80);
	lapic_mmio_write(&f->l, LAPIC_ESR, 0);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_ESR), 0);
}

static void keeps_local_interrupts_masked_while_software_disabled(void **state)
{
	struct fixture *f = *state;

	lapic_mmio_write(&f->l, LAPIC_LVT_LINT0, 0x700);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_LVT_LINT0), 0x10700);
	lapic_mmio_write(&f->l, LAPIC_SVR, 0x1ff);
	lapic_mmio_write(&f->l, LAPIC_LVT_LINT0, 0x700);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_LVT_LINT0), 0x700);
	lapic_mmio_write(&f->l, LAPIC_SVR, 0xff);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_LVT_LINT0), 0x10700);
}

static void has_a_read_only_id(void **state)
{
	struct fixture *f = *state;

	lapic_mmio_write(&f->l, LAPIC_ID, 0x55000000);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_ID), 0);
	memset(f->page + LAPIC_ID, 0x55, 4); /* what APICv does */
	lapic_apic_write(&f->l, LAPIC_ID);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_ID), 0);
}

static void maps_cr8_to_the_upper_half_of_tpr(void **state)
{
	struct fixture *f = *state;

	lapic_set_cr8(&f->l, 9);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_TPR), 0x90);
	lapic_mmio_write(&f->l, LAPIC_TPR, 0x35);
	assert_int_equal(lapic_get_cr8(&f->l), 3);
}

/* ---- modes ---- */

static void changes_mode_only_along_the_arrows(void **state)
{
	static const struct {
		uint64_t from, to;
		bool is_allowed;
	} rows[] = {
		{0xfee00900, 0xfee00d00, true},	 /* xAPIC → x2APIC */
		{0xfee00d00, 0xfee00900, false}, /* and never straight back */
		{0xfee00d00, 0xfee00100, true},	 /* x2APIC → off */
		{0xfee00100, 0xfee00d00, false}, /* off → x2APIC */
		{0xfee00100, 0xfee00900, true},	 /* off → xAPIC */
		{0xfee00900, 0xfee00500, false}, /* x2APIC without enable */
		{0xfee00900, 0xfee00901, false}, /* reserved bit */
		{0xfee00900, 0xfed00900, false}, /* the base does not move */
	};
	struct fixture *f = *state;
	uint64_t base;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		f->l.base_msr = rows[i].from;
		assert_int_equal(lapic_msr_write(&f->l, LAPIC_MSR_BASE, rows[i].to),
				 rows[i].is_allowed);
		assert_true(lapic_msr_read(&f->l, LAPIC_MSR_BASE, &base));
		assert_int_equal(base, rows[i].is_allowed ? rows[i].to : rows[i].from);
	}
}

static void shows_its_x2apic_identity(void **state)
{
	struct fixture *f = *state;
	uint64_t val;

	assert_int_equal(lapic_mode(&f->l), LAPIC_MODE_X2APIC);
	assert_true(lapic_msr_read(&f->l, 0x802, &val));
	assert_int_equal(val, 19);
	assert_true(lapic_msr_read(&f->l, 0x80d, &val));
	assert_int_equal(val, 0x00010008); /* cluster 1, bit 3 */
}

static void faults_on_what_x2apic_reserves(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t val;
	} refused[] = {
		{0x802, 0},	  {0x803, 0}, {0x808, 0x100}, {0x80a, 0},	  {0x80b, 1},
		{0x80d, 0},	  {0x80e, 0}, {0x80f, 0x200}, {0x810, 0},	  {0x827, 0},
		{0x828, 1},	  {0x831, 0}, {0x832, 0x800}, {0x837, 0x20000},	  {0x838, BIT(32)},
		{0x839, 0},	  {0x83e, 4}, {0x83f, 0x100}, {0x830, 0x2000000}, {0x8ff, 0},
		{0x833, BIT(32)},
	};
	struct fixture *f = *state;
	uint64_t val;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_false(lapic_msr_write(&f->l, refused[i].msr, refused[i].val));
	assert_false(lapic_msr_read(&f->l, 0x80b, &val));
	assert_false(lapic_msr_read(&f->l, 0x83f, &val));
	assert_false(lapic_msr_read(&f->l, 0x831, &val));
	assert_false(lapic_msr_read(&f->l, 0x82f, &val));
}

static void has_no_x2apic_msrs_in_xapic_mode(void **state)
{
	struct fixture *f = *state;
	uint64_t val;

	assert_false(lapic_msr_read(&f->l, 0x802, &val));
	assert_false(lapic_msr_write(&f->l, 0x80b, 0));
}

static void keeps_its_mode_through_init(void **state)
{
	struct fixture *f = *state;

	lapic_init(&f->l);
	assert_int_equal(lapic_mode(&f->l), LAPIC_MODE_X2APIC);
	lapic_reset(&f->l);
	assert_int_equal(lapic_mode(&f->l), LAPIC_MODE_XAPIC);
}

/* ---- delivery ---- */

static void takes_nothing_while_software_disabled(void **state)
{
	struct fixture *f = *state;

	assert_false(lapic_post(&f->l, 0x41, false));
	assert_false(lapic_has_posted(&f->l));
}

static void asks_for_one_kick_until_it_has_looked(void **state)
{
	struct fixture *f = *state;

	assert_true(lapic_post(&f->l, 0x41, false));
	assert_false(lapic_post(&f->l, 0x42, false));
	(void)lapic_sync(&f->l);
	assert_false(lapic_has_posted(&f->l));
	assert_true(lapic_post(&f->l, 0x41, false));
}

#define ROUNDS 300000u

/* Posts its vector once a round; a round ends when both posters' vectors were taken. */
struct poster {
	struct lapic *l;
	uint8_t vector;
	uint32_t *round; /* atomic */
	uint32_t nr_kicks;
};

static void *post_each_round(void *arg)
{
	struct poster *p = arg;

	for (uint32_t i = 1; i <= ROUNDS; i++) {
		while (__atomic_load_n(p->round, __ATOMIC_ACQUIRE) < i)
			sched_yield();
		p->nr_kicks += lapic_post(p->l, p->vector, false);
	}
	return NULL;
}

static void take_two(struct lapic *l)
{
	for (int taken = 0; taken < 2;) {
		int vector;

		(void)lapic_sync(l);
		vector = lapic_pending(l);
		if (vector < 0) {
			sched_yield();
			continue;
		}
		lapic_accept(l, (uint8_t)vector);
		(void)lapic_eoi(l);
		taken++;
	}
}

static void loses_no_post_of_other_cpus(void **state)
{
	struct fixture *f = *state;
	uint32_t round = 0;
	struct poster posters[2] = {{&f->l, 0x43, &round, 0}, {&f->l, 0xc4, &round, 0}};
	pthread_t threads[2];

	alarm(60); /* a round with a lost post does not end */
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_each_round, &posters[i]),
				 0);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		__atomic_store_n(&round, i, __ATOMIC_RELEASE);
		take_two(&f->l);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	alarm(0);
	assert_int_equal(lapic_rvi(&f->l), -1);
	assert_true(posters[0].nr_kicks + posters[1].nr_kicks >= ROUNDS);
}

static void delivers_the_highest_class_first_and_nests(void **state)
{
	struct fixture *f = *state;

	post(f, 0x41);
	assert_int_equal(lapic_pending(&f->l), 0x41);
	lapic_accept(&f->l, 0x41);
	assert_int_equal(lapic_pending(&f->l), -1);
	post(f, 0x4f); /* the same class waits */
	assert_int_equal(lapic_pending(&f->l), -1);
	post(f, 0x51);
	assert_int_equal(lapic_pending(&f->l), 0x51);
	lapic_accept(&f->l, 0x51);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_PPR), 0x50);
	assert_int_equal(lapic_svi(&f->l), 0x51);
	assert_int_equal(lapic_rvi(&f->l), 0x4f);
	lapic_mmio_write(&f->l, LAPIC_EOI, 0);
	assert_int_equal(lapic_svi(&f->l), 0x41);
	lapic_mmio_write(&f->l, LAPIC_EOI, 0);
	assert_int_equal(lapic_pending(&f->l), 0x4f);
	assert_int_equal(f->nr_eois, 0);
}

static void holds_back_what_tpr_covers(void **state)
{
	struct fixture *f = *state;

	post(f, 0x51);
	lapic_set_cr8(&f->l, 5);
	assert_int_equal(lapic_pending(&f->l), -1);
	assert_int_equal(lapic_tpr_threshold(&f->l), 5);
	lapic_set_cr8(&f->l, 4);
	assert_int_equal(lapic_pending(&f->l), 0x51);
	assert_int_equal(lapic_tpr_threshold(&f->l), 0);
}

/* As AVIC has it: the CPU sets bits of IRR itself. */
static void takes_requests_in_beside_others(void **state)
{
	struct fixture *f = *state;
	uint64_t exits[4];

	assert_true(lapic_request(&f->l, 0x62));
	(void)lapic_post(&f->l, 0x61, true);
	(void)lapic_post(&f->l, 0xf0, false);
	assert_true(lapic_sync_shared(&f->l));
	assert_false(lapic_has_posted(&f->l));
	lapic_eoi_exits(&f->l, exits);
	assert_int_equal(exits[1], BIT(0x21));
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_IRR + 0x30), BIT(1) | BIT(2));
	assert_int_equal(lapic_pending(&f->l), 0xf0);
	assert_false(lapic_sync_shared(&f->l)); /* nothing new */
}

static void sets_a_request_only_where_it_is_an_edge(void **state)
{
	struct fixture *f = *state;

	assert_false(lapic_request(&f->l, 15));
	(void)lapic_post(&f->l, 0x61, true);
	assert_true(lapic_sync_shared(&f->l));
	assert_false(lapic_request(&f->l, 0x61)); /* TMR still says level */
	assert_true(lapic_request(&f->l, 0x81));
	assert_int_equal(lapic_rvi(&f->l), 0x81);
	assert_false(lapic_has_posted(&f->l));
	lapic_mmio_write(&f->l, LAPIC_SVR, 0xff);
	assert_false(lapic_request(&f->l, 0x91));
	assert_int_equal(lapic_rvi(&f->l), 0x81);
}

static void tells_the_ioapic_of_level_interrupts_only(void **state)
{
	struct fixture *f = *state;
	uint64_t exits[4];

	(void)lapic_post(&f->l, 0x61, true);
	assert_true(lapic_sync(&f->l)); /* the set of level vectors grew */
	lapic_eoi_exits(&f->l, exits);
	assert_int_equal(exits[1], BIT(0x21));
	lapic_accept(&f->l, 0x61);
	assert_int_equal(lapic_eoi(&f->l), 0x61);

	(void)lapic_post(&f->l, 0x61, true);
	assert_false(lapic_sync(&f->l));
	lapic_accept(&f->l, 0x61);
	lapic_mmio_write(&f->l, LAPIC_EOI, 0);
	assert_int_equal(f->nr_eois, 1);
	assert_int_equal(f->last_eoi, 0x61);

	(void)lapic_post(&f->l, 0x61, false); /* the same vector, now by an edge */
	assert_true(lapic_sync(&f->l));
	lapic_accept(&f->l, 0x61);
	assert_int_equal(lapic_eoi(&f->l), -1);
	assert_int_equal(lapic_eoi(&f->l), -1); /* nothing in service: nothing happens */
}

static void notes_an_illegal_vector_it_received(void **state)
{
	struct fixture *f = *state;

	assert_false(lapic_post(&f->l, 15, false));
	lapic_mmio_write(&f->l, LAPIC_ESR, 0);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_ESR), 0x40);
}

static void takes_the_pic_in_virtual_wire_mode(void **state)
{
	struct fixture *f = *state;

	assert_false(lapic_takes_extint(&f->l));
	lapic_set_virtual_wire(&f->l);
	assert_true(lapic_takes_extint(&f->l));
	lapic_mmio_write(&f->l, LAPIC_LVT_LINT0, 0x10700);
	assert_false(lapic_takes_extint(&f->l));
	assert_true(
		lapic_msr_write(&f->l, LAPIC_MSR_BASE, 0xfee00100)); /* as if it were not there */
	assert_true(lapic_takes_extint(&f->l));
}

/* ---- sending ---- */

static void decodes_what_icr_sends(void **state)
{
	struct fixture *f = *state;

	lapic_mmio_write(&f->l, LAPIC_ICR_HIGH, 0x03000000);
	lapic_mmio_write(&f->l, LAPIC_ICR_LOW, 0x00004500); /* INIT, assert, physical */
	assert_int_equal(f->ipi.delivery, LAPIC_INIT);
	assert_int_equal(f->ipi.dest, 3);
	assert_false(f->ipi.is_logical);
	lapic_mmio_write(&f->l, LAPIC_ICR_LOW, 0x0000469a); /* start at 0x9a000 */
	assert_int_equal(f->ipi.delivery, LAPIC_SIPI);
	assert_int_equal(f->ipi.vector, 0x9a);
	lapic_mmio_write(&f->l, LAPIC_ICR_LOW, 0x000c08fd); /* logical, all but self */
	assert_int_equal(f->ipi.shorthand, LAPIC_TO_OTHERS);
	assert_true(f->ipi.is_logical);
	assert_int_equal(f->nr_ipis, 3);
	lapic_mmio_write(&f->l, LAPIC_ICR_LOW, 0x00008500); /* INIT de-assert: nothing today */
	assert_int_equal(f->nr_ipis, 3);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_ICR_LOW) & 0x1000, 0);
}

static void sends_to_itself_without_help(void **state)
{
	struct fixture *f = *state;

	lapic_mmio_write(&f->l, LAPIC_ICR_LOW, 0x00044077);
	(void)lapic_sync(&f->l);
	assert_int_equal(lapic_pending(&f->l), 0x77);
	assert_int_equal(f->nr_ipis, 0);
}

static void raises_its_error_interrupt_for_an_illegal_vector(void **state)
{
	struct fixture *f = *state;

	lapic_mmio_write(&f->l, LAPIC_LVT_ERROR, 0xfe);
	lapic_mmio_write(&f->l, LAPIC_ICR_LOW, 0x0000400f);
	assert_int_equal(f->nr_ipis, 0);
	(void)lapic_sync(&f->l);
	assert_int_equal(lapic_pending(&f->l), 0xfe);
	lapic_mmio_write(&f->l, LAPIC_ESR, 0);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_ESR), 0x20);
}

static void sends_64_bit_icr_in_x2apic_mode(void **state)
{
	struct fixture *f = *state;
	uint64_t val;

	assert_true(lapic_msr_write(&f->l, 0x830, 0x00010004000008fbull));
	assert_int_equal(f->ipi.dest, 0x00010004);
	assert_true(f->ipi.is_logical && f->ipi.is_x2apic);
	assert_true(lapic_msr_read(&f->l, 0x830, &val));
	assert_int_equal(val, 0x00010004000008fbull);
	assert_true(lapic_msr_write(&f->l, 0x83f, 0x45));
	(void)lapic_sync(&f->l);
	assert_int_equal(lapic_pending(&f->l), 0x45);
}

static void acts_on_what_apicv_left_in_the_page(void **state)
{
	struct fixture *f = *state;

	f->page[LAPIC_ICR_HIGH + 3] = 2;
	f->page[LAPIC_ICR_LOW] = 0x99;
	f->page[LAPIC_ICR_LOW + 1] = 0x40;
	lapic_apic_write(&f->l, LAPIC_ICR_LOW);
	assert_int_equal(f->ipi.dest, 2);
	assert_int_equal(f->ipi.vector, 0x99);
	f->page[LAPIC_TIMER_INITIAL] = 100;
	lapic_apic_write(&f->l, LAPIC_TIMER_INITIAL);
	assert_int_equal(f->deadline, f->tsc + 400);
	memset(f->page + LAPIC_SVR, 0, 4);
	lapic_apic_write(&f->l, LAPIC_SVR);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_LVT_TIMER), 0x10000);
}

/* ---- destinations ---- */

static void matches_xapic_destinations(void **state)
{
	struct fixture *f = *state;

	assert_true(lapic_matches(&f->l, false, 0, false));
	assert_false(lapic_matches(&f->l, false, 1, false));
	assert_true(lapic_matches(&f->l, false, 0xff, false));
	assert_false(lapic_matches(&f->l, true, 0x04, false)); /* LDR is still 0 */
	lapic_mmio_write(&f->l, LAPIC_LDR, 0x04000000);
	assert_true(lapic_matches(&f->l, true, 0x0c, false));
	assert_false(lapic_matches(&f->l, true, 0x0b, false));
	lapic_mmio_write(&f->l, LAPIC_DFR, 0x0fffffff); /* cluster */
	lapic_mmio_write(&f->l, LAPIC_LDR, 0x24000000);
	assert_true(lapic_matches(&f->l, true, 0x26, false));
	assert_false(lapic_matches(&f->l, true, 0x36, false));
	assert_false(lapic_matches(&f->l, true, 0x28, false));
	assert_false(lapic_matches(&f->l, true, 0x100, true));
}

static void matches_x2apic_destinations(void **state)
{
	struct fixture *f = *state;

	assert_true(lapic_matches(&f->l, false, 19, true));
	assert_false(lapic_matches(&f->l, false, 0xff, true)); /* no broadcast in 32 bits */
	assert_true(lapic_matches(&f->l, false, 0xff, false));
	assert_true(lapic_matches(&f->l, false, 0xffffffff, true));
	assert_true(lapic_matches(&f->l, true, 0x0001000a, true));
	assert_false(lapic_matches(&f->l, true, 0x00010007, true));
	assert_false(lapic_matches(&f->l, true, 0x00020008, true));
}

static void decodes_messages(void **state)
{
	struct lapic_ipi msg = {.vector = 1};

	(void)state;
	assert_true(lapic_decode_msi(0xfee0300c, 0xc155, &msg));
	assert_int_equal(msg.dest, 3);
	assert_true(msg.is_logical && msg.is_level && !msg.is_x2apic);
	assert_int_equal(msg.delivery, LAPIC_LOWEST);
	assert_int_equal(msg.vector, 0x55);
	assert_false(lapic_decode_msi(0xfed00000, 0, &msg));
	assert_false(lapic_decode_msi(0x1fee00000, 0, &msg));
	assert_int_equal(msg.vector, 0x55);
}

/* ---- timer ---- */

static void counts_down_once(void **state)
{
	struct fixture *f = *state;

	lapic_mmio_write(&f->l, LAPIC_LVT_TIMER, 0xec);
	lapic_mmio_write(&f->l, LAPIC_TIMER_DIVIDE, 0x3); /* by 16 */
	lapic_mmio_write(&f->l, LAPIC_TIMER_INITIAL, 1000);
	assert_int_equal(f->deadline, f->tsc + 1000 * 16 * 2);
	f->tsc += 250 * 16 * 2;
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_TIMER_CURRENT), 750);
	lapic_timer_fired(&f->l, f->tsc); /* too early: armed again, no interrupt */
	assert_false(lapic_has_posted(&f->l));
	f->tsc = f->deadline;
	lapic_timer_fired(&f->l, f->tsc);
	(void)lapic_sync(&f->l);
	assert_int_equal(lapic_pending(&f->l), 0xec);
	assert_int_equal(lapic_mmio_read(&f->l, LAPIC_TIMER_CURRENT), 0);
	lapic_accept(&f->l, 0xec);
	lapic_timer_fired(&f->l, f->tsc + 1000);
	assert_false(lapic_has_posted(&f->l));
}

static void knows_every_divisor(void **state)
{
	static const uint8_t divisors[8] = {2, 4, 8, 16, 32, 64, 128, 1};
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 8; i++) {
		lapic_mmio_write(&f->l, LAPIC_TIMER_DIVIDE, (i & 3) | (i & 4) << 1);
		lapic_mmio_write(&f->l, LAPIC_TIMER_INITIAL, 0xffffffff);
		assert_int_equal(f->deadline - f->tsc, 0xffffffffull * divisors[i] * 2);
		f->tsc += divisors[i] * 2;
		assert_int_equal(lapic_mmio_read(&f->l, LAPIC_TIMER_CURRENT), 0xfffffffe);
	}
}

static void repeats_without_drift_and_skips_what_it_missed(void **state)
{
	struct fixture *f = *state;
	uint64_t start = f->tsc, period = 1000000 * 2 * 2;

	lapic_mmio_write(&f->l, LAPIC_LVT_TIMER, 0x200ec);
	lapic_mmio_write(&f->l, LAPIC_TIMER_INITIAL, 1000000);
	f->tsc = f->deadline + 17;
	lapic_timer_fired(&f->l, f->tsc);
	assert_int_equal(f->deadline, start + 2 * period);
	f->tsc = start + 5 * period + 3;
	lapic_timer_fired(&f->l, f->tsc);
	assert_int_equal(f->deadline, start + 6 * period);
	lapic_mmio_write(&f->l, LAPIC_TIMER_INITIAL, 0);
	assert_int_equal(f->deadline, LAPIC_NEVER);
}

static void does_not_let_a_tiny_period_eat_the_host(void **state)
{
	struct fixture *f = *state;

	lapic_mmio_write(&f->l, LAPIC_LVT_TIMER, 0x200ec);
	lapic_mmio_write(&f->l, LAPIC_TIMER_INITIAL, 1);
	f->tsc = f->deadline;
	lapic_timer_fired(&f->l, f->tsc);
	assert_int_equal(f->deadline - f->tsc, 200 * TSC_KHZ / 1000);
}

static void fires_at_a_tsc_deadline(void **state)
{
	struct fixture *f = *state;
	uint64_t val;

	assert_true(lapic_msr_write(&f->l, LAPIC_MSR_TSC_DEADLINE, 5)); /* other mode: ignored */
	assert_int_equal(f->deadline, LAPIC_NEVER);
	lapic_mmio_write(&f->l, LAPIC_LVT_TIMER, 0x400ec);
	assert_true(lapic_msr_write(&f->l, LAPIC_MSR_TSC_DEADLINE, 2000000));
	assert_int_equal(f->deadline, 2000000);
	assert_true(lapic_msr_read(&f->l, LAPIC_MSR_TSC_DEADLINE, &val));
	assert_int_equal(val, 2000000);
	lapic_mmio_write(&f->l, LAPIC_TIMER_INITIAL, 77); /* ignored in this mode */
	assert_int_equal(f->deadline, 2000000);
	lapic_timer_fired(&f->l, 2000000);
	assert_true(lapic_msr_read(&f->l, LAPIC_MSR_TSC_DEADLINE, &val));
	assert_int_equal(val, 0);
	(void)lapic_sync(&f->l);
	assert_int_equal(lapic_pending(&f->l), 0xec);
	assert_true(lapic_msr_write(&f->l, LAPIC_MSR_TSC_DEADLINE, 3000000));
	lapic_mmio_write(&f->l, LAPIC_LVT_TIMER, 0xec); /* leaving the mode disarms */
	assert_int_equal(f->deadline, LAPIC_NEVER);
}

static void keeps_a_masked_timer_silent(void **state)
{
	struct fixture *f = *state;

	lapic_mmio_write(&f->l, LAPIC_LVT_TIMER, 0x100ec);
	lapic_mmio_write(&f->l, LAPIC_TIMER_INITIAL, 10);
	lapic_timer_fired(&f->l, f->deadline);
	assert_false(lapic_has_posted(&f->l));
}

#define TEST(name)	  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_ON(name)	  cmocka_unit_test_setup_teardown(name, setup_enabled, teardown)
#define TEST_X2APIC(name) cmocka_unit_test_setup_teardown(name, setup_x2apic_19, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(comes_out_of_reset_as_the_manual_says),
		TEST(reads_zero_and_notes_an_error_where_no_register_is),
		TEST(keeps_local_interrupts_masked_while_software_disabled),
		TEST(has_a_read_only_id),
		TEST(maps_cr8_to_the_upper_half_of_tpr),
		TEST(changes_mode_only_along_the_arrows),
		TEST_X2APIC(shows_its_x2apic_identity),
		TEST_X2APIC(faults_on_what_x2apic_reserves),
		TEST_ON(has_no_x2apic_msrs_in_xapic_mode),
		TEST_X2APIC(keeps_its_mode_through_init),
		TEST(takes_nothing_while_software_disabled),
		TEST_ON(asks_for_one_kick_until_it_has_looked),
		TEST_ON(loses_no_post_of_other_cpus),
		TEST_ON(delivers_the_highest_class_first_and_nests),
		TEST_ON(holds_back_what_tpr_covers),
		TEST_ON(takes_requests_in_beside_others),
		TEST_ON(sets_a_request_only_where_it_is_an_edge),
		TEST_ON(tells_the_ioapic_of_level_interrupts_only),
		TEST_ON(notes_an_illegal_vector_it_received),
		TEST(takes_the_pic_in_virtual_wire_mode),
		TEST_ON(decodes_what_icr_sends),
		TEST_ON(sends_to_itself_without_help),
		TEST_ON(raises_its_error_interrupt_for_an_illegal_vector),
		TEST_X2APIC(sends_64_bit_icr_in_x2apic_mode),
		TEST_ON(acts_on_what_apicv_left_in_the_page),
		TEST_ON(matches_xapic_destinations),
		TEST_X2APIC(matches_x2apic_destinations),
		TEST(decodes_messages),
		TEST_ON(counts_down_once),
		TEST_ON(knows_every_divisor),
		TEST_ON(repeats_without_drift_and_skips_what_it_missed),
		TEST_ON(does_not_let_a_tiny_period_eat_the_host),
		TEST_ON(fires_at_a_tsc_deadline),
		TEST_ON(keeps_a_masked_timer_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
