/* SPDX-License-Identifier: Apache-2.0 */
/* tools/cli/args.c: this unit... */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tools/cli/args.h"

static const struct command table[] = {
	{"vm", "ls", NULL, NULL, 0, 0, OPT(NODE) | OPT(QUIET), 0, "list", NULL, NULL},
	{"vm", "create", "NAME", NULL, 1, 1, OPT(KERNEL) | OPT(MEMORY), OPT(KERNEL), "create", NULL,
	 NULL},
	{"vm", "stop", "VM...", NULL, 1, OPERANDS_ANY, 0, 0, "stop", NULL, NULL},
	{"usage", NULL, NULL, NULL, 0, 0, OPT(VM), 0, "usage", NULL, NULL},
	{0},
};

static struct args args;
static const char *group;
static char why[ARGS_WHY_MAX];

static enum args_result parse(const char *line)
{
	static char copy[256];
	static char *argv[32];
	int argc = 0;

	strcpy(copy, line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	return args_parse(&args, table, argc, argv, &group, why);
}

static void finds_a_command_and_its_options(void **state)
{
	(void)state;
	assert_int_equal(parse("b vm create web1 --kernel k --memory=512"), ARGS_RUN);
	assert_ptr_equal(args.command, &table[1]);
	assert_int_equal(args.nr_operands, 1);
	assert_string_equal(args.operands[0], "web1");
	assert_string_equal(args.values[OPT_KERNEL], "k");
	assert_string_equal(args.values[OPT_MEMORY], "512");
	assert_null(args.values[OPT_JSON]);
}

static void takes_global_options_anywhere(void **state)
{
	(void)state;
	assert_int_equal(parse("b --server https://a vm ls --json"), ARGS_RUN);
	assert_string_equal(args.values[OPT_SERVER], "https://a");
	assert_non_null(args.values[OPT_JSON]);
	assert_int_equal(parse("b vm stop one --json two -- --three"), ARGS_RUN);
	assert_int_equal(args.nr_operands, 3);
	assert_string_equal(args.operands[2], "--three");
}

static void knows_commands_of_one_word(void **state)
{
	(void)state;
	assert_int_equal(parse("b usage --vm web1"), ARGS_RUN);
	assert_ptr_equal(args.command, &table[3]);
	assert_string_equal(args.values[OPT_VM], "web1");
}

static void gives_help_at_each_level(void **state)
{
	(void)state;
	assert_int_equal(parse("b --help"), ARGS_HELP);
	assert_null(group);
	assert_null(args.command);
	assert_int_equal(parse("b vm --help"), ARGS_HELP);
	assert_string_equal(group, "vm");
	assert_null(args.command);
	assert_int_equal(parse("b vm create --help"), ARGS_HELP);
	assert_ptr_equal(args.command, &table[1]);
	assert_int_equal(parse("b --version"), ARGS_VERSION);
}

static void refuses_what_it_does_not_know(void **state)
{
	static const char *const rows[][2] = {
		{"b", "a command is wanted"},
		{"b vn ls", "'vn' is not a command"},
		{"b vm", "'vm' wants one of its commands"},
		{"b vm fly", "'vm fly' is not a command"},
		{"b vm ls --kernel k", "unknown option --kernel"},
		{"b vm ls --node", "--node wants a value"},
		{"b vm ls extra", "'extra' is one word too many"},
		{"b vm create web1", "'vm create' wants --kernel IMAGE"},
		{"b vm stop", "'vm stop' wants VM..."},
		{"b usage extra", "'extra' is one word too many"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse(rows[i][0]), ARGS_WRONG);
		assert_string_equal(why, rows[i][1]);
	}
}

static void names_every_option(void **state)
{
	(void)state;
	for (int id = 0; id < OPTIONS; id++) {
		assert_non_null(option_rows[id].name);
		assert_non_null(option_rows[id].help);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_command_and_its_options),
		cmocka_unit_test(takes_global_options_anywhere),
		cmocka_unit_test(knows_commands_of_one_word),
		cmocka_unit_test(gives_help_at_each_level),
		cmocka_unit_test(refuses_what_it_does_not_know),
		cmocka_unit_test(names_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
