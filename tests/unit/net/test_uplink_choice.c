/* SPDX-License-Identifier: Apache-2.0 */
/* Which card is the uplink, as links come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/uplink_choice.h"

#define UP   {true, true}
#define DOWN {true, false}
#define GONE {false, false}
#define LIAR {false, true} /* it was never started, or is gone, and says that it has a link */

static void chooses(void **state)
{
	static const struct {
		struct uplink_card cards[3];
		int32_t current, chosen;
	} rows[] = {
		/* boot */
		{{UP, UP, UP}, -1, 0},
		{{DOWN, UP, UP}, -1, 1},
		{{DOWN, DOWN, DOWN}, -1, 0},
		{{GONE, DOWN, DOWN}, -1, 1},
		{{LIAR, DOWN, UP}, -1, 2},
		{{GONE, GONE, LIAR}, -1, -1},
		/* a card without a link at boot gets one */
		{{DOWN, DOWN, UP}, 0, 2},
		{{UP, DOWN, DOWN}, 0, 0},
		/* it loses its link: the first that has one */
		{{DOWN, UP, UP}, 0, 1},
		{{UP, DOWN, UP}, 1, 0},
		/* and stays with it when the old one is back */
		{{UP, UP, DOWN}, 1, 1},
		{{UP, DOWN, DOWN}, 1, 0},
		/* nobody has one */
		{{DOWN, DOWN, DOWN}, 1, 1},
		{{DOWN, GONE, DOWN}, 1, 0},
		{{GONE, GONE, GONE}, 1, -1},
		/* pulled out */
		{{UP, LIAR, UP}, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(uplink_choose(rows[i].cards, 3, rows[i].current), rows[i].chosen);
	assert_int_equal(uplink_choose(NULL, 0, -1), -1);
	assert_int_equal(uplink_choose(rows[0].cards, 3, 7), 0);
}

static void reads_an_mtu_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(uplink_mtu("1500"), 1500);
	assert_int_equal(uplink_mtu("9000"), 9000);
	assert_int_equal(uplink_mtu("1499"), 0);
	assert_int_equal(uplink_mtu("9001"), 0);
	assert_int_equal(uplink_mtu(""), 0);
	assert_int_equal(uplink_mtu("1500x"), 0);
	assert_int_equal(uplink_mtu("-1500"), 0);
	assert_int_equal(uplink_mtu("4294968796"), 0); /* 2^32 + 1500 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses),
		cmocka_unit_test(reads_an_mtu_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
