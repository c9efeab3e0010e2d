/* SPDX-License-Identifier: Apache-2.0 */
/* Chipsets' LAN: commands for its PHY, and what is wanted of which part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "drivers/e1000e_pch.h"

static struct pch_tuning tune(uint16_t device, uint32_t speed_mbps, uint16_t gap)
{
	struct pch_tuning tuning;

	pch_tune(pch_part_of(device), speed_mbps, gap, &tuning);
	return tuning;
}

static void knows_its_parts_and_no_others(void **state)
{
	(void)state;
	assert_int_equal(pch_part_of(0x153a)->mac, PCH_LPT);
	assert_int_equal(pch_part_of(0x156f)->mac, PCH_SPT);
	assert_null(pch_part_of(0x10d3)); /* 82574L */
	assert_null(pch_part_of(0x1502)); /* 82579LM, the generation before */
	assert_null(pch_part_of(0x15bb)); /* I219-LM of Cannon Lake, the one after */
}

static void knows_who_has_ultra_low_power(void **state)
{
	(void)state;
	assert_false(pch_part_of(0x153b)->has_ulp); /* I217-V */
	assert_true(pch_part_of(0x155a)->has_ulp);  /* I218-LM */
	assert_false(pch_part_of(0x15a0)->has_ulp); /* I218-LM beside I217's MAC */
	assert_true(pch_part_of(0x1570)->has_ulp);  /* I219-V */
}

static void names_ieee_registers_at_address_2_without_a_page(void **state)
{
	(void)state;
	assert_int_equal(pch_mdic_select(PCH_PHY_ID1), 0);
	assert_int_equal(pch_mdic_read(PCH_PHY_ID1), 2u << 26 | 2u << 21 | 2u << 16);
	assert_int_equal(pch_mdic_write(PCH_PHY_CONTROL, 0x1200),
			 1u << 26 | 2u << 21 | 0u << 16 | 0x1200);
}

static void names_paged_registers_at_address_1(void **state)
{
	(void)state;
	assert_int_equal(pch_mdic_select(PCH_PHY_POWER),
			 1u << 26 | 1u << 21 | 31u << 16 | 770u << 5);
	assert_int_equal(pch_mdic_read(PCH_PHY_POWER), 2u << 26 | 1u << 21 | 17u << 16);
	assert_int_equal(pch_mdic_write(PCH_PHY_ULP, 0xffff),
			 1u << 26 | 1u << 21 | 16u << 16 | 0xffff);
}

static void takes_an_answer_to_its_question_only(void **state)
{
	uint32_t command = pch_mdic_read(PCH_PHY_ID2);
	uint16_t val = 0x1234;

	(void)state;
	assert_int_equal(pch_mdic_look(command, command, &val), PCH_MDIC_BUSY);
	assert_int_equal(pch_mdic_look(command, command | 5u << 28, &val),
			 PCH_MDIC_BAD); /* error */
	assert_int_equal(pch_mdic_look(command, (command ^ 1u << 16) | 1u << 28, &val),
			 PCH_MDIC_BAD);					   /* of another register */
	assert_int_equal(pch_mdic_look(command, ~0u, &val), PCH_MDIC_BAD); /* the card is gone */
	assert_int_equal(val, 0x1234);
	assert_int_equal(pch_mdic_look(command, command | 1u << 28 | 0x00a1, &val), PCH_MDIC_DONE);
	assert_int_equal(val, 0x00a1);
}

static void keeps_the_clock_in_k1_where_dma_would_stop(void **state)
{
	(void)state;
	assert_true(tune(0x155a, 1000, 0).keep_clock);
	assert_false(tune(0x155a, 100, 0).keep_clock);
	assert_true(tune(0x155a, 100, 0).has_k1_switch); /* it is cleared */
	assert_false(tune(0x153a, 1000, 0).has_k1_switch);
	assert_false(tune(0x156f, 1000, 0).keep_clock);
}

static void gates_the_clock_by_the_links_speed(void **state)
{
	(void)state;
	assert_int_equal(tune(0x153a, 1000, 0).pll_gate.val, 0x0fa);
	assert_int_equal(tune(0x153a, 100, 0).pll_gate.val, 0x3e8);
	assert_int_equal(tune(0x153a, 10, 0).pll_gate.mask, 0x7ff);
	assert_int_equal(tune(0x153a, 1000, 0).power.val, 0x200);
	assert_int_equal(tune(0x153a, 100, 0).power.mask, 0);
}

static void widens_i219s_pointer_gap_when_it_is_too_small(void **state)
{
	(void)state;
	assert_int_equal(tune(0x156f, 1000, 0x17 << 2).pointer_gap.mask, 0xffc);
	assert_int_equal(tune(0x156f, 1000, 0x17 << 2).pointer_gap.val, 0x18 << 2);
	assert_int_equal(tune(0x156f, 1000, 0x18 << 2).pointer_gap.mask, 0);
	assert_int_equal(tune(0x156f, 100, 0x18 << 2).pointer_gap.val, 0xc023);
	assert_int_equal(tune(0x153a, 1000, 0).pointer_gap.mask, 0);
	assert_int_equal(tune(0x156f, 100, 0).ipg, 12);
	assert_int_equal(tune(0x156f, 1000, 0).ipg, 8);
	assert_int_equal(tune(0x153a, 100, 0).ipg, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_its_parts_and_no_others),
		cmocka_unit_test(knows_who_has_ultra_low_power),
		cmocka_unit_test(names_ieee_registers_at_address_2_without_a_page),
		cmocka_unit_test(names_paged_registers_at_address_1),
		cmocka_unit_test(takes_an_answer_to_its_question_only),
		cmocka_unit_test(keeps_the_clock_in_k1_where_dma_would_stop),
		cmocka_unit_test(gates_the_clock_by_the_links_speed),
		cmocka_unit_test(widens_i219s_pointer_gap_when_it_is_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
