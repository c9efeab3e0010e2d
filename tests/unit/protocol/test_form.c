/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of names, ids and hashes: what fits, and the nearest thing that does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/protocol/form.h"

static bool fits(enum form form, const char *text)
{
	return form_matches(form, text, strlen(text));
}

static void knows_names(void **state)
{
	(void)state;
	assert_true(fits(FORM_NAME, "a"));
	assert_true(fits(FORM_NAME, "web-1"));
	assert_true(
		fits(FORM_NAME, "0123456789012345678901234567890123456789012345678901234567890ab"));
	assert_false(fits(FORM_NAME,
			  "0123456789012345678901234567890123456789012345678901234567890abc"));
	assert_false(fits(FORM_NAME, ""));
	assert_false(fits(FORM_NAME, "-a"));
	assert_false(fits(FORM_NAME, "a-"));
	assert_false(fits(FORM_NAME, "Web"));
	assert_false(fits(FORM_NAME, "a_b"));
	assert_false(fits(FORM_NAME, "\xc3\xa4"));
}

static void knows_uuids_in_lower_case_only(void **state)
{
	(void)state;
	assert_true(fits(FORM_UUID, "3c1f2b9e-7d39-4a55-8d6e-0d4b1a2c3d4e"));
	assert_false(fits(FORM_UUID, "3C1F2B9E-7d39-4a55-8d6e-0d4b1a2c3d4e"));
	assert_false(fits(FORM_UUID, "3c1f2b9e07d39-4a55-8d6e-0d4b1a2c3d4e"));
	assert_false(fits(FORM_UUID, "3c1f2b9e-7d39-4a55-8d6e-0d4b1a2c3d4"));
	assert_false(fits(FORM_UUID, "3c1f2b9e-7d39-4a55-8d6e-0d4b1a2c3d4ee"));
}

static void knows_addresses(void **state)
{
	(void)state;
	assert_true(fits(FORM_MAC, "52:54:00:12:34:56"));
	assert_false(fits(FORM_MAC, "53:54:00:12:34:56")); /* a group address */
	assert_false(fits(FORM_MAC, "00:00:00:00:00:00"));
	assert_false(fits(FORM_MAC, "52-54-00-12-34-56"));
	assert_false(fits(FORM_MAC, "52:54:00:12:34"));
	assert_true(fits(FORM_IPV4, "10.0.2.15"));
	assert_true(fits(FORM_IPV4, "0.0.0.0"));
	assert_false(fits(FORM_IPV4, "10.0.2"));
	assert_false(fits(FORM_IPV4, "10.0.2.256"));
	assert_false(fits(FORM_IPV4, "10.0.02.1"));
	assert_false(fits(FORM_IPV4, "10.0.2.1."));
	assert_false(fits(FORM_IPV4, "10.0..1"));
}

static void knows_ids_and_hashes(void **state)
{
	static const char hash[] =
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	char secret[128] = "bjt_";

	(void)state;
	strcat(secret, hash);
	assert_true(fits(FORM_ID, "node_0011223344556677"));
	assert_true(fits(FORM_ID, "jt_0011223344556677"));
	assert_false(fits(FORM_ID, "node_001122334455667"));
	assert_false(fits(FORM_ID, "_0011223344556677"));
	assert_false(fits(FORM_ID, "node-0011223344556677"));
	assert_true(fits(FORM_SHA256, hash));
	assert_false(fits(FORM_SHA256, hash + 1));
	assert_true(fits(FORM_SECRET, secret));
	assert_false(fits(FORM_SECRET, hash));
	assert_true(fits(FORM_WORD, "l1d-flush_2.0"));
	assert_false(fits(FORM_WORD, "two words"));
	assert_true(fits(FORM_TEXT, "any\ntext \xc3\xa4"));
	assert_false(fits(FORM_TEXT, "\033[2J"));
}

static void parses_decimal_numbers_without_wrapping(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_true(form_parse_u64("18446744073709551615", 20, &v));
	assert_true(v == UINT64_MAX);
	assert_true(form_parse_u64("0", 1, &v));
	assert_true(v == 0);
	v = 7;
	assert_false(form_parse_u64("18446744073709551616", 20, &v));
	assert_false(form_parse_u64("99999999999999999999", 20, &v));
	assert_false(form_parse_u64("", 0, &v));
	assert_false(form_parse_u64("01", 2, &v));
	assert_false(form_parse_u64("-1", 2, &v));
	assert_false(form_parse_u64("1 ", 2, &v));
	assert_true(v == 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_names),
		cmocka_unit_test(knows_uuids_in_lower_case_only),
		cmocka_unit_test(knows_addresses),
		cmocka_unit_test(knows_ids_and_hashes),
		cmocka_unit_test(parses_decimal_numbers_without_wrapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
