/* SPDX-License-Identifier: Apache-2.0 */
/* The node's configuration file: what is taken from it, and which line is blamed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/conf.h"

#define TOKEN "bjt_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PEM   "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

static struct conf conf;
static struct conf_error err;

static enum hv_err parse(const char *text)
{
	return conf_parse(text, strlen(text), &conf, &err);
}

static void takes_a_whole_file(void **state)
{
	(void)state;
	assert_int_equal(parse("# node\n"
			       "controller = https://c.example:8443\r\n"
			       "  join_token=" TOKEN "\n"
			       "\n"
			       "hostname = host1\n" PEM "address = 192.0.2.10/24\n"
			       "gateway = 192.0.2.1\n"
			       "dns = 192.0.2.2 , 192.0.2.3"),
			 HV_OK);
	assert_string_equal(conf.host, "c.example");
	assert_int_equal(conf.port, 8443);
	assert_string_equal(conf.join_token, TOKEN);
	assert_string_equal(conf.hostname, "host1");
	assert_string_equal(conf.ca, PEM);
	assert_true(conf.has_address);
	assert_string_equal(conf.address, "192.0.2.10");
	assert_int_equal(conf.prefix, 24);
	assert_string_equal(conf.gateway, "192.0.2.1");
	assert_int_equal(conf.nr_dns, 2);
	assert_string_equal(conf.dns[1], "192.0.2.3");
}

static void assumes_port_443_and_dhcp(void **state)
{
	(void)state;
	assert_int_equal(parse("controller = https://10.0.2.2/\njoin_token = " TOKEN "\n" PEM),
			 HV_OK);
	assert_string_equal(conf.host, "10.0.2.2");
	assert_int_equal(conf.port, 443);
	assert_false(conf.has_address);
}

static void takes_faults_for_tests(void **state)
{
	(void)state;
	assert_int_equal(parse("controller = https://10.0.2.2\njoin_token = " TOKEN
			       "\ntest_fault = hang@30, crash@4000000000\n" PEM),
			 HV_OK);
	assert_int_equal(conf.nr_faults, 2);
	assert_int_equal(conf.faults[0].kind, CONF_FAULT_HANG);
	assert_int_equal(conf.faults[0].uptime_s, 30);
	assert_int_equal(conf.faults[1].kind, CONF_FAULT_CRASH);
	assert_int_equal(conf.faults[1].uptime_s, 4000000000);
}

static void takes_several_ca_certificates(void **state)
{
	(void)state;
	assert_int_equal(parse(PEM "controller = https://c\njoin_token = " TOKEN "\n" PEM), HV_OK);
	assert_string_equal(conf.ca, PEM PEM);
}

static void blames(const char *text, unsigned line, const char *word)
{
	assert_int_equal(parse(text), HV_EINVAL);
	assert_int_equal(err.line, line);
	assert_non_null(strstr(err.message, word));
}

static void names_the_line_of_an_error(void **state)
{
	(void)state;
	blames("\n# x\nfoo = bar\n", 3, "unknown key");
	blames("controller https://c\n", 1, "key = value");
	blames("controller =\n", 1, "without a value");
	blames("controller = http://c\n", 1, "https://");
	blames("controller = https://:1\n", 1, "host name");
	blames("controller = https://c:0\n", 1, "https://HOST");
	blames("controller = https://c:65536\n", 1, "https://HOST");
	blames("controller = https://c:1/v1\n", 1, "path");
	blames("controller = https://c\ncontroller = https://d\n", 2, "before");
	blames("join_token = bjt_00\n", 1, "join_token");
	blames("hostname = Host_1\n", 1, "hostname");
	blames("address = 10.0.0.1\n", 1, "address");
	blames("address = 10.0.0.1/31\n", 1, "address");
	blames("gateway = 10.0.0.256\n", 1, "gateway");
	blames("dns = 10.0.0.1,10.0.0.2,10.0.0.3\n", 1, "two");
	blames("dns = 10.0.0.1,\n", 1, "dns");
	blames("-----BEGIN CERTIFICATE-----\nMIIB\n", 2, "END CERTIFICATE");
}

static void names_a_fault_that_is_none(void **state)
{
	(void)state;
	blames("test_fault = crash\n", 1, "test_fault");
	blames("test_fault = crash@\n", 1, "test_fault");
	blames("test_fault = sulk@3\n", 1, "test_fault");
	blames("test_fault = crash@4294967296\n", 1, "test_fault");
	blames("test_fault = crash@1,\n", 1, "test_fault");
	blames("test_fault = crash@1,crash@2,crash@3,crash@4,crash@5\n", 1, "four");
}

static void names_what_is_missing(void **state)
{
	(void)state;
	blames("", 0, "'controller'");
	blames("controller = https://c\n", 0, "CA");
	blames("controller = https://c\n" PEM, 0, "'join_token'");
	blames("controller = https://c\njoin_token = " TOKEN "\ngateway = 10.0.0.1\n" PEM, 0,
	       "'address'");
	blames("controller = https://c\njoin_token = " TOKEN "\naddress = 10.0.0.5/8\n" PEM, 0,
	       "'dns'");
}

static void never_repeats_a_secret(void **state)
{
	(void)state;
	assert_int_equal(parse("join_token = bjt_secret\n"), HV_EINVAL);
	assert_null(strstr(err.message, "secret"));
}

static void bounds_the_ca(void **state)
{
	static char text[2 * CONF_CA_MAX];
	size_t len = (size_t)sprintf(text, "-----BEGIN CERTIFICATE-----\n");

	(void)state;
	while (len + 80 < sizeof(text))
		len += (size_t)sprintf(text + len, "%064d\n", 0);
	blames(text, 253, "16 KiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_whole_file),
		cmocka_unit_test(assumes_port_443_and_dhcp),
		cmocka_unit_test(takes_faults_for_tests),
		cmocka_unit_test(takes_several_ca_certificates),
		cmocka_unit_test(names_the_line_of_an_error),
		cmocka_unit_test(names_a_fault_that_is_none),
		cmocka_unit_test(names_what_is_missing),
		cmocka_unit_test(never_repeats_a_secret),
		cmocka_unit_test(bounds_the_ca),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
