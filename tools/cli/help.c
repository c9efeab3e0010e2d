/* SPDX-License-Identifier: Apache-2.0 */
/* Help, made of the tables. */
#include <stdio.h>
#include <string.h>

#include "tools/cli/commands.h"

static const char ending[] = "\nExit status: 0 done, 1 refused or failed, 2 wrong usage, 3 "
			     "controller not reached, 4 not found,\n"
			     "5 timeout, 6 not allowed.\n";

static void print_options(const char *head, uint64_t which)
{
	if (!which)
		return;
	printf("\n%s:\n", head);
	for (int id = 0; id < OPTIONS; id++) {
		const struct option_row *o = &option_rows[id];
		char left[40];

		if (!(which >> id & 1))
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
			 o->value ? o->value : "");
		printf("  %-20s %s\n", left, o->help);
	}
}

static void print_row(const struct command *c)
{
	char left[80];

	snprintf(left, sizeof(left), "%s%s%s%s%s", c->group, c->verb ? " " : "",
		 c->verb ? c->verb : "", c->operands ? " " : "", c->operands ? c->operands : "");
	printf("  %-28s %s\n", left, c->summary);
}

static void help_command(const struct command *c)
{
	printf("Usage: billetctl %s%s%s%s%s%s\n", c->group, c->verb ? " " : "",
	       c->verb ? c->verb : "", c->options ? " [OPTION]..." : "", c->operands ? " " : "",
	       c->operands ? c->operands : "");
	printf("%c%s.\n", c->summary[0] - 'a' + 'A', c->summary + 1);
	if (c->details)
		printf("\n%s\n", c->details);
	print_options("Options", c->options);
	print_options("Options of every command", (1ull << OPT_VERSION) - 1);
}

void help_show(const struct command *command, const char *group)
{
	const char *last = "";

	if (command) {
		help_command(command);
		return;
	}
	printf("Usage: billetctl %s [OPTION]...\n", group ? group : "COMMAND");
	if (!group)
		puts("Work with nodes, images and VMs through a Billet controller.");
	if (group)
		putchar('\n');
	for (const struct command *c = commands; c->group; c++) {
		if (group && strcmp(group, c->group) != 0)
			continue;
		if (!group && strcmp(last, c->group) != 0 &&
		    (c->verb || c == commands || c[-1].verb))
			putchar('\n');
		last = c->group;
		print_row(c);
	}
	print_options("Options of every command", (1ull << OPT_GLOBAL_END) - 1);
	if (!group)
		fputs(ending, stdout);
	puts("\n'billetctl COMMAND --help' says more.");
}
