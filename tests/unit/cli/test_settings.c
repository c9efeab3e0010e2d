/* SPDX-License-Identifier: Apache-2.0 */
/* tools/cli/settings.c: this unit... */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/settings.h"

static char config[] = "/tmp/billetctl-config-XXXXXX", token[] = "/tmp/billetctl-token-XXXXXX";
static struct settings s;
static char why[SETTINGS_WHY_MAX];

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int set_up(void **state)
{
	(void)state;
	unsetenv("BILLET_SERVER");
	unsetenv("BILLET_CA");
	unsetenv("BILLET_TOKEN");
	put(config, "");
	s = (struct settings){0};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	settings_free(&s);
	return 0;
}

static void has_a_default_without_a_file(void **state)
{
	struct args args = {0};

	(void)state;
	assert_true(settings_load(&s, &args, "/nonexistent/config", why));
	assert_string_equal(s.server, SETTINGS_SERVER_DEFAULT);
	assert_null(s.ca);
	assert_null(s.token);
}

static void reads_the_file(void **state)
{
	struct args args = {0};

	(void)state;
	put(config, "# mine\n\n server = https://a:1/ \nca=/x\ntoken = bat_1\n");
	assert_true(settings_load(&s, &args, config, why));
	assert_string_equal(s.server, "https://a:1");
	assert_string_equal(s.ca, "/x");
	assert_string_equal(s.token, "bat_1");
}

static void puts_options_before_environment_before_file(void **state)
{
	struct args args = {.values = {[OPT_SERVER] = "https://option"}};

	(void)state;
	put(config, "server = https://file\nca = /file\ntoken = file\n");
	setenv("BILLET_SERVER", "https://environment", 1);
	setenv("BILLET_CA", "/environment", 1);
	assert_true(settings_load(&s, &args, config, why));
	assert_string_equal(s.server, "https://option");
	assert_string_equal(s.ca, "/environment");
	assert_string_equal(s.token, "file");
}

static void reads_a_token_from_a_file(void **state)
{
	struct args args = {.values = {[OPT_TOKEN_FILE] = token}};

	(void)state;
	put(token, "bat_2\n");
	setenv("BILLET_TOKEN", "bat_3", 1);
	assert_true(settings_load(&s, &args, config, why));
	assert_string_equal(s.token, "bat_2");
}

static void refuses(const char *text, const char *expected)
{
	struct args args = {0};
	struct settings untouched = {0};

	put(config, text);
	assert_false(settings_load(&untouched, &args, config, why));
	assert_non_null(strstr(why, expected));
	assert_null(untouched.server);
}

static void says_what_is_wrong(void **state)
{
	struct args args = {.values = {[OPT_TOKEN_FILE] = "/nonexistent/token"}};

	(void)state;
	refuses("server\n", "line 1: wants key = value");
	refuses("\nserve = https://a\n", "line 2: 'serve' is none of");
	refuses("server = http://a\n", "not of the form https://");
	refuses("server = https://\n", "not of the form https://");
	refuses("token = a b\n", "spaces");
	assert_false(settings_load(&s, &args, config, why));
	assert_non_null(strstr(why, "/nonexistent/token"));
}

static void keeps_line_ends_out_of_headers(void **state)
{
	struct args args = {.values = {[OPT_TOKEN_FILE] = token}};

	(void)state;
	put(token, "bat_2\nX-Evil: 1\n");
	assert_false(settings_load(&s, &args, config, why));
	setenv("BILLET_TOKEN", "bat_3\r\nX-Evil: 1", 1);
	args.values[OPT_TOKEN_FILE] = NULL;
	assert_false(settings_load(&s, &args, config, why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(has_a_default_without_a_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reads_the_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(puts_options_before_environment_before_file, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(reads_a_token_from_a_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(says_what_is_wrong, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_line_ends_out_of_headers, set_up, tear_down),
	};
	int failed;

	close(mkstemp(config));
	close(mkstemp(token));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(config);
	unlink(token);
	return failed;
}
