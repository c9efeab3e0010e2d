/* SPDX-License-Identifier: Apache-2.0 */
/* The table of learned addresses: finding, moving, forgetting, and giving up the oldest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "net/mac_table.h"

static struct mac_table table;

static int empty_table(void **state)
{
	(void)state;
	memset(&table, 0, sizeof(table));
	return 0;
}

static void make_mac(uint8_t mac[MAC_LEN], uint32_t n)
{
	mac[0] = 2;
	mac[1] = 0;
	put_be32(mac + 2, n);
}

static void finds_what_it_learned_and_nothing_else(void **state)
{
	uint8_t mac[MAC_LEN], other[MAC_LEN];

	(void)state;
	make_mac(mac, 1);
	make_mac(other, 2);
	assert_int_equal(mac_table_find(&table, 0, mac), -1);
	mac_table_learn(&table, 0, mac, 7);
	assert_int_equal(mac_table_find(&table, 0, mac), 7);
	assert_int_equal(mac_table_find(&table, 0, other), -1);
	assert_int_equal(mac_table_find(&table, 1, mac), -1);
}

static void follows_a_station_that_moved(void **state)
{
	uint8_t mac[MAC_LEN];

	(void)state;
	make_mac(mac, 1);
	mac_table_learn(&table, 0, mac, 7);
	mac_table_learn(&table, 0, mac, 9);
	assert_int_equal(mac_table_find(&table, 0, mac), 9);
	mac_table_forget_slot(&table, 9);
	assert_int_equal(mac_table_find(&table, 0, mac), -1);
}

static void forgets_only_the_given_slot(void **state)
{
	uint8_t a[MAC_LEN], b[MAC_LEN];

	(void)state;
	make_mac(a, 1);
	make_mac(b, 2);
	mac_table_learn(&table, 0, a, 0);
	mac_table_learn(&table, 0, b, 1);
	mac_table_forget_slot(&table, 0);
	assert_int_equal(mac_table_find(&table, 0, a), -1);
	assert_int_equal(mac_table_find(&table, 0, b), 1);
}

static void gives_up_the_address_used_longest_ago(void **state)
{
	uint8_t macs[MAC_TABLE_WAYS + 1][MAC_LEN], mac[MAC_LEN];
	uint32_t n = 0, set;

	(void)state;
	make_mac(macs[0], 0);
	set = mac_hash(0, macs[0]) % MAC_TABLE_SETS;
	for (uint32_t i = 1; i < 100000 && n < MAC_TABLE_WAYS; i++) {
		make_mac(mac, i);
		if (mac_hash(0, mac) % MAC_TABLE_SETS == set)
			memcpy(macs[++n], mac, MAC_LEN);
	}
	assert_int_equal(n, MAC_TABLE_WAYS);

	for (uint32_t i = 0; i < MAC_TABLE_WAYS; i++)
		mac_table_learn(&table, 0, macs[i], (int32_t)i);
	assert_int_equal(mac_table_find(&table, 0, macs[0]), 0); /* now [1] is the oldest */
	mac_table_learn(&table, 0, macs[MAC_TABLE_WAYS], 100);

	assert_int_equal(mac_table_find(&table, 0, macs[0]), 0);
	assert_int_equal(mac_table_find(&table, 0, macs[1]), -1);
	assert_int_equal(mac_table_find(&table, 0, macs[MAC_TABLE_WAYS]), 100);
}

static void spreads_consecutive_addresses(void **state)
{
	uint32_t used[MAC_TABLE_SETS] = {0}, most = 0;
	uint8_t mac[MAC_LEN];

	(void)state;
	for (uint32_t i = 0; i < MAC_TABLE_SETS; i++) {
		make_mac(mac, i);
		used[mac_hash(0, mac) % MAC_TABLE_SETS]++;
	}
	for (uint32_t i = 0; i < MAC_TABLE_SETS; i++)
		most = used[i] > most ? used[i] : most;
	assert_true(most <= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(finds_what_it_learned_and_nothing_else, empty_table),
		cmocka_unit_test_setup(follows_a_station_that_moved, empty_table),
		cmocka_unit_test_setup(forgets_only_the_given_slot, empty_table),
		cmocka_unit_test_setup(gives_up_the_address_used_longest_ago, empty_table),
		cmocka_unit_test(spreads_consecutive_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
