/* SPDX-License-Identifier: Apache-2.0 */
/*
 * billetctl: read the command line, find the controller, run the command's function.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/cli/commands.h"
#include "tools/cli/die.h"
#include "tools/cli/rest.h"

struct settings settings_now;

static void run(const struct args *args)
{
	char why[SETTINGS_WHY_MAX];
	char *folder = settings_folder(), *path = folder ? xformat("%s/config", folder) : NULL;

	if (!settings_load(&settings_now, args, path, why))
		die(EXIT_USAGE, "%s", why);
	free(path);
	free(folder);
	rest_begin(&settings_now);
	args->command->run(args);
}

int main(int argc, char **argv)
{
	struct args args;
	char why[ARGS_WHY_MAX];
	const char *group;

	setlocale(LC_CTYPE, "");
	switch (args_parse(&args, commands, argc, argv, &group, why)) {
	case ARGS_HELP:
		help_show(args.command, group);
		break;
	case ARGS_VERSION:
		puts("billetctl " BILLET_VERSION);
		break;
	case ARGS_WRONG:
		die(EXIT_USAGE, "%s. Try 'billetctl %s%s--help'.", why, group ? group : "",
		    group ? " " : "");
	case ARGS_RUN:
		run(&args);
		break;
	}
	if (fflush(stdout) != 0)
		die(EXIT_REFUSED, "cannot write to standard output");
	return EXIT_OK;
}
