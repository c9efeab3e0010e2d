/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cli/args.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define GLOBAL	   ((1ull << OPT_GLOBAL_END) - 1)
#define VALUE_BASE 256 /* getopt_long() answers VALUE_BASE + enum option_id */

static_assert(OPTIONS <= 64, "a command's options are bits");

const struct option_row option_rows[OPTIONS] = {
	[OPT_SERVER] = {"server", "URL", NULL,
			"the controller; else BILLET_SERVER, else the configuration's"},
	[OPT_CA] = {"ca", "FILE", "file",
		    "trust this CA alone; else BILLET_CA, the configuration's, the system's CAs"},
	[OPT_TOKEN_FILE] = {"token-file", "FILE", "file",
			    "API token in a file; else BILLET_TOKEN, the configuration's"},
	[OPT_JSON] = {"json", NULL, NULL, "print JSON, for programs"},
	[OPT_HELP] = {"help", NULL, NULL, "show help"},
	[OPT_VERSION] = {"version", NULL, NULL, "show billetctl's version"},
	[OPT_ADDRESS] = {"address", "IP/BITS", NULL, "its own IPv4 address; without it, DHCP"},
	[OPT_ALL] = {"all", NULL, NULL, "removed ones as well"},
	[OPT_AUTO_APPROVE] = {"auto-approve", NULL, NULL,
			      "nodes that come with it need no approval"},
	[OPT_CANCEL] = {"cancel", NULL, NULL, "leave it at the release that it has"},
	[OPT_CAP] = {"cap", "PERCENT", NULL,
		     "at most so much of one CPU for each vCPU; 0: no cap (default)"},
	[OPT_CMDLINE] = {"cmdline", "TEXT", NULL, "the kernel's command line"},
	[OPT_CONTROLLER] = {"controller", "URL", NULL,
			    "the controller as nodes reach it (default: --server)"},
	[OPT_DNS] = {"dns", "IP[,IP]", NULL, "name servers; only with --address"},
	[OPT_EXPIRES] = {"expires", "TIME", NULL, "how long it is valid: 90s, 15m, 24h, 7d"},
	[OPT_FINGERPRINT] = {"fingerprint", "HEX", NULL,
			     "approve this key and no other; the node shows it on its screen"},
	[OPT_FORCE] = {"force", NULL, NULL, "do it anyway"},
	[OPT_FROM] = {"from", "FILE", "file",
		      "the image to fill in (default: billet.img beside billetctl)"},
	[OPT_GATEWAY] = {"gateway", "IP", NULL, "only with --address"},
	[OPT_INITRD] = {"initrd", "IMAGE", "image", "its initramfs"},
	[OPT_JOIN_TOKEN] = {"join-token", "SECRET", NULL,
			    "an earlier one's secret; without it, one is made for this node"},
	[OPT_KERNEL] = {"kernel", "IMAGE", "image", "its kernel"},
	[OPT_KEY] = {"key", "FILE", "file", "the private key to sign with (PEM, P-256)"},
	[OPT_KIND] = {"kind", "KIND", "kernel initrd",
		      "kernel or initrd; without it, seen from the file"},
	[OPT_LIMIT] = {"limit", "N", NULL, "the newest N (default 50)"},
	[OPT_MEMORY] = {"memory", "SIZE", NULL, "in MiB, or as 512M, 2G (default 256)"},
	[OPT_NAME] = {"name", "NAME", NULL, "give it this name"},
	[OPT_NETWORK] = {"network", "NAME", NULL, "its network (default: default)"},
	[OPT_NEW] = {"new", NULL, NULL, "only what comes from now on"},
	[OPT_NO_START] = {"no-start", NULL, NULL, "leave it stopped"},
	[OPT_NODE] = {"node", "NODE", "node", "this node"},
	[OPT_OUTPUT] = {"output", "FILE", "file", "where it is written: a file or a device"},
	[OPT_QUIET] = {"quiet", NULL, NULL, "names only, one a line"},
	[OPT_RECORDS] = {"records", NULL, NULL, "the raw records instead of totals"},
	[OPT_RELEASE] = {"release", "RELEASE", "release", "the release that it shall run"},
	[OPT_ROLE] = {"role", "ROLE", "viewer operator admin", "viewer, operator or admin"},
	[OPT_SEND] =
		{"send", "TEXT", NULL,
		 "type this instead of standard input; \\n \\r \\t \\e \\\\ \\xHH are understood"},
	[OPT_STATE] = {"state", "STATE", "running paused stopped crashed failed",
		       "wait for this (default running)"},
	[OPT_TIMEOUT] = {"timeout", "TIME", NULL, "give up after so long: 90s, 15m; exit status 5"},
	[OPT_TSC_KHZ] = {"tsc-khz", "KHZ", NULL,
			 "the rate of its TSC, on every node; refused where that cannot be had "
			 "(default: the node's)"},
	[OPT_UNTIL] = {"until", "REGEX", NULL,
		       "end when the output matches this extended regular expression"},
	[OPT_UPDATE_KEY] = {"update-key", "KEY", "file",
			    "the key that releases are signed with: a PEM file, or its public half "
			    "as 130 digits"},
	[OPT_USES] = {"uses", "N", NULL, "how many machines it admits (default 1)"},
	[OPT_VCPUS] = {"vcpus", "N", NULL, "default 1"},
	[OPT_VM] = {"vm", "VM", "vm", "of this VM only"},
	[OPT_WAIT] = {"wait", NULL, NULL, "until it runs"},
	[OPT_WEIGHT] = {"weight", "N", NULL,
			"its share when CPUs are short, 1 to 10000 (default 100)"},
};

static void fill_getopt(struct option table[static OPTIONS + 1], uint64_t allowed)
{
	size_t n = 0;

	for (int id = 0; id < OPTIONS; id++)
		if (allowed >> id & 1)
			table[n++] = (struct option){option_rows[id].name,
						     option_rows[id].value ? required_argument
									   : no_argument,
						     NULL, VALUE_BASE + id};
	table[n] = (struct option){0};
}

/* Options from argv[1] on; where the rest begins, or -1. With "+" it begins at the first operand.
 */
static int take_options(struct args *args, uint64_t allowed, const char *mode, int argc,
			char **argv, char *why)
{
	struct option table[OPTIONS + 1];
	int got;

	fill_getopt(table, allowed);
	opterr = 0;
	optind = 0; /* begin anew */
	while ((got = getopt_long(argc, argv, mode, table, NULL)) != -1) {
		if (got >= VALUE_BASE) {
			args->values[got - VALUE_BASE] = optarg ? optarg : "";
		} else if (got == 'h') {
			args->values[OPT_HELP] = "";
		} else if (got == 'q' && allowed & OPT(QUIET)) {
			args->values[OPT_QUIET] = "";
		} else {
			snprintf(why, ARGS_WHY_MAX,
				 got == ':' ? "%s wants a value" : "unknown option %s",
				 argv[optind - 1]);
			return -1;
		}
	}
	return optind;
}

static const struct command *find_command(const struct command *commands, const char *group,
					  const char *verb)
{
	for (; commands->group; commands++)
		if (strcmp(commands->group, group) == 0 &&
		    (!commands->verb || (verb && strcmp(commands->verb, verb) == 0)))
			return commands;
	return NULL;
}

static bool is_group(const struct command *commands, const char *group)
{
	for (; commands->group; commands++)
		if (strcmp(commands->group, group) == 0)
			return true;
	return false;
}

static enum args_result check_operands(const struct args *args, char *why)
{
	const struct command *c = args->command;

	if (args->nr_operands < c->min_operands) {
		snprintf(why, ARGS_WHY_MAX, "'%s%s%s' wants %s", c->group, c->verb ? " " : "",
			 c->verb ? c->verb : "", c->operands);
		return ARGS_WRONG;
	}
	if (c->max_operands != OPERANDS_ANY && args->nr_operands > c->max_operands) {
		snprintf(why, ARGS_WHY_MAX, "'%s' is one word too many",
			 args->operands[c->max_operands]);
		return ARGS_WRONG;
	}
	for (int id = 0; id < OPTIONS; id++) {
		if (c->needed >> id & 1 && !args->values[id]) {
			snprintf(why, ARGS_WHY_MAX, "'%s%s%s' wants --%s %s", c->group,
				 c->verb ? " " : "", c->verb ? c->verb : "", option_rows[id].name,
				 option_rows[id].value);
			return ARGS_WRONG;
		}
	}
	return ARGS_RUN;
}

/* What stands before the command: 0 and more when a command's words begin there. */
static enum args_result parse_group(struct args *args, const struct command *commands, int argc,
				    char **argv, int at, const char **group, char *why)
{
	if (at < argc && !is_group(commands, argv[at])) {
		snprintf(why, ARGS_WHY_MAX, "'%s' is not a command", argv[at]);
		return ARGS_WRONG;
	}
	if (at < argc)
		*group = argv[at];
	if (args->values[OPT_VERSION])
		return ARGS_VERSION;
	if (args->values[OPT_HELP] && at >= argc)
		return ARGS_HELP;
	if (at >= argc) {
		snprintf(why, ARGS_WHY_MAX, "a command is wanted");
		return ARGS_WRONG;
	}
	args->command = find_command(commands, argv[at], at + 1 < argc ? argv[at + 1] : NULL);
	if (args->command)
		return ARGS_RUN;
	if (args->values[OPT_HELP] || (at + 1 < argc && (strcmp(argv[at + 1], "--help") == 0 ||
							 strcmp(argv[at + 1], "-h") == 0)))
		return ARGS_HELP;
	if (at + 1 < argc)
		snprintf(why, ARGS_WHY_MAX, "'%s %s' is not a command", argv[at], argv[at + 1]);
	else
		snprintf(why, ARGS_WHY_MAX, "'%s' wants one of its commands", argv[at]);
	return ARGS_WRONG;
}

enum args_result args_parse(struct args *args, const struct command *commands, int argc,
			    char **argv, const char **group, char why[static ARGS_WHY_MAX])
{
	enum args_result result;
	int at, rest;

	*args = (struct args){0};
	*group = NULL;
	at = take_options(args, GLOBAL, "+:h", argc, argv, why);
	if (at < 0)
		return ARGS_WRONG;
	result = parse_group(args, commands, argc, argv, at, group, why);
	if (result != ARGS_RUN)
		return result;

	at += args->command->verb ? 1 : 0;
	rest = take_options(args, GLOBAL | args->command->options, ":hq", argc - at, argv + at,
			    why);
	if (rest < 0)
		return ARGS_WRONG;
	if (args->values[OPT_HELP])
		return ARGS_HELP;
	if (args->values[OPT_VERSION])
		return ARGS_VERSION;
	args->operands = argv + at + rest;
	args->nr_operands = argc - at - rest;
	return check_operands(args, why);
}
