/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands and options as tables, and reading a command line with them.
 *
 * A command is one row: parsing, help and shell completion all come from it. Options are named
 * once, in option_rows[]; a command's row says which of them it takes. The first few, up to
 * OPT_GLOBAL_END, go with every command and may also stand before it.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_id {
	OPT_SERVER,
	OPT_CA,
	OPT_TOKEN_FILE,
	OPT_JSON,
	OPT_HELP,
	OPT_VERSION,
	OPT_GLOBAL_END,

	OPT_ADDRESS = OPT_GLOBAL_END,
	OPT_ALL,
	OPT_AUTO_APPROVE,
	OPT_CANCEL,
	OPT_CAP,
	OPT_CMDLINE,
	OPT_CONTROLLER,
	OPT_DNS,
	OPT_EXPIRES,
	OPT_FINGERPRINT,
	OPT_FORCE,
	OPT_FROM,
	OPT_GATEWAY,
	OPT_INITRD,
	OPT_JOIN_TOKEN,
	OPT_KERNEL,
	OPT_KEY,
	OPT_KIND,
	OPT_LIMIT,
	OPT_MEMORY,
	OPT_NAME,
	OPT_NETWORK,
	OPT_NEW,
	OPT_NO_START,
	OPT_NODE,
	OPT_OUTPUT,
	OPT_QUIET,
	OPT_RECORDS,
	OPT_RELEASE,
	OPT_ROLE,
	OPT_SEND,
	OPT_STATE,
	OPT_TIMEOUT,
	OPT_TSC_KHZ,
	OPT_UNTIL,
	OPT_UPDATE_KEY,
	OPT_USES,
	OPT_VCPUS,
	OPT_VM,
	OPT_WAIT,
	OPT_WEIGHT,
	OPTIONS,
};

#define OPT(name) (1ull << OPT_##name)

struct option_row {
	const char *name;
	const char *value; /* what it wants, for people: "FILE"; NULL: nothing */
	const char *names; /* what completes the value: "node", "vm", "image", "file", or words "a
			      b"; NULL: nothing */
	const char *help;
};
extern const struct option_row option_rows[OPTIONS];

#define OPERANDS_ANY 255

struct args;
struct command {
	const char *group,
		*verb; /* "node", "ls"; verb is NULL where the group is a command by itself */
	const char *operands; /* for people: "NODE..."; NULL: none */
	const char *names;    /* what completes them: as in struct option_row */
	uint8_t min_operands, max_operands;
	uint64_t options;    /* OPT(…)s beyond the global ones */
	uint64_t needed;     /* those of them that must be there */
	const char *summary; /* one line */
	const char *details; /* more for its --help; may be NULL */
	void (*run)(const struct args *args);
};

struct args {
	const struct command *command;
	const char *values[OPTIONS]; /* NULL: not given; "" for an option that wants no value */
	char **operands;
	int nr_operands;
};

enum args_result {
	ARGS_RUN,
	ARGS_HELP, /* of args->command, or of *group, or, with neither, of all */
	ARGS_VERSION,
	ARGS_WRONG, /* why has one line */
};

#define ARGS_WHY_MAX 256u

/*
 * args_parse - find the command and its options
 *
 * commands  ended by a row whose group is NULL; kept in args
 * argv      kept in args, reordered
 * group     the word of a group that exists, or NULL
 */
enum args_result args_parse(struct args *args, const struct command *commands, int argc,
			    char **argv, const char **group, char why[static ARGS_WHY_MAX]);

#endif
