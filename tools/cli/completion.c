/* SPDX-License-Identifier: Apache-2.0 */
/*
 * billetctl completion bash: a script made of the tables. Names of nodes, VMs, images and tokens
 * are asked of the controller when they are needed, by `billetctl GROUP ls --quiet`.
 */
#include <stdio.h>
#include <string.h>

#include "tools/cli/commands.h"
#include "tools/cli/die.h"

/* What a `names` of the tables means in the script. */
static void print_words(const char *names)
{
	static const char *const groups[] = {"node",	   "vm",    "image", "release",
					     "join-token", "token", NULL};

	if (strcmp(names, "file") == 0) {
		puts("compopt -o default; COMPREPLY=(); return ;;");
		return;
	}
	for (unsigned int i = 0; groups[i]; i++) {
		if (strcmp(names, groups[i]) == 0) {
			printf("words=$(\"${COMP_WORDS[0]}\" %s ls --quiet 2>/dev/null) ;;\n",
			       names);
			return;
		}
	}
	printf("words='%s' ;;\n", names);
}

static void print_values(void)
{
	puts("\tcase $previous in");
	for (int id = 0; id < OPTIONS; id++) {
		if (!option_rows[id].value)
			continue;
		printf("\t--%s) ", option_rows[id].name);
		if (option_rows[id].names)
			print_words(option_rows[id].names);
		else
			puts("return ;;");
	}
	puts("\tesac");
}

static void print_options(uint64_t which)
{
	for (int id = 0; id < OPTIONS; id++)
		if (which >> id & 1)
			printf(" --%s", option_rows[id].name);
}

static void print_commands(void)
{
	puts("\tcase \"$group $verb\" in");
	for (const struct command *c = commands; c->group; c++) {
		printf("\t'%s %s') options='", c->group, c->verb ? c->verb : "");
		print_options(c->options | ((1ull << OPT_VERSION) - 1));
		fputs("'; [[ $current == -* ]] || ", stdout);
		if (c->names)
			print_words(c->names);
		else
			puts("return ;;");
	}
	puts("\tesac");
}

static void print_groups(void)
{
	const char *last = "";

	fputs("\tlocal groups='", stdout);
	for (const struct command *c = commands; c->group; c++) {
		if (strcmp(last, c->group) != 0)
			printf("%s%s", *last ? " " : "", c->group);
		last = c->group;
	}
	puts("'");
	puts("\tcase $group in");
	for (const struct command *c = commands; c->group; c++) {
		if (!c->verb)
			continue;
		if (c == commands || strcmp(c[-1].group, c->group) != 0)
			printf("\t%s) verbs='", c->group);
		printf("%s%s", c == commands || strcmp(c[-1].group, c->group) != 0 ? "" : " ",
		       c->verb);
		if (!c[1].group || strcmp(c[1].group, c->group) != 0)
			puts("' ;;");
	}
	puts("\tesac");
}

static const char head[] =
	"# bash completion of billetctl; source it, or put it into a folder of bash-completion.\n"
	"_billetctl() {\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
	"\tlocal words='' options='' verbs='' group='' verb='' i word skip=''\n"
	"\tCOMPREPLY=()\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif [[ $skip ]]; then skip=''; continue; fi\n"
	"\t\tcase $word in\n";

static const char after_globals[] =
	"\t\t-*) ;;\n"
	"\t\t*) if [[ ! $group ]]; then group=$word; elif [[ ! $verb ]]; then verb=$word; fi ;;\n"
	"\t\tesac\n"
	"\tdone\n";

static const char middle[] = "\tif [[ ! $words && ! $group ]]; then\n"
			     "\t\twords=$groups; [[ $current == -* ]] && words='--server --ca "
			     "--token-file --json --help --version'\n"
			     "\telif [[ ! $words && $verbs && ! $verb ]]; then\n"
			     "\t\twords=$verbs\n"
			     "\telif [[ ! $words ]]; then\n"
			     "\t\t[[ $verbs ]] || verb=''\n";

static const char tail[] = "\t\t[[ $current == -* ]] && words=$options\n"
			   "\tfi\n"
			   "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
			   "}\n"
			   "complete -F _billetctl billetctl";

void completion(const struct args *args)
{
	if (strcmp(args->operands[0], "bash") != 0)
		die(EXIT_USAGE, "completion is there for bash, not for '%s'", args->operands[0]);
	fputs(head, stdout);
	fputs("\t\t", stdout);
	for (int id = 0; id < OPT_GLOBAL_END; id++)
		if (option_rows[id].value)
			printf("%s--%s", id ? "|" : "", option_rows[id].name);
	puts(") skip=1 ;;");
	fputs(after_globals, stdout);
	print_groups();
	print_values();
	fputs(middle, stdout);
	print_commands();
	fputs(tail, stdout);
	putchar('\n');
}
