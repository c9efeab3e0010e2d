/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which controller, which CA, which token: from options, else the environment (BILLET_SERVER,
 * BILLET_CA, BILLET_TOKEN), else the configuration file, each by itself. The file holds `key =
 * value` lines with the keys server, ca, token and token-file, and comments that begin with '#'.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/cli/args.h"

#define SETTINGS_SERVER_DEFAULT "https://127.0.0.1:8443"
#define SETTINGS_WHY_MAX	512u
#define SETTINGS_TOKEN_MAX	256u

struct settings {
	char *server; /* without a slash at its end */
	char *ca;     /* file, or NULL: the system's */
	char *token;  /* or NULL */
};

/*
 * settings_load - put them together
 *
 * path     the configuration file; it may be missing
 * s        gives: settings_free(). Filled only when the answer is true.
 * why      one line, when it is false
 */
bool settings_load(struct settings *s, const struct args *args, const char *path,
		   char why[static SETTINGS_WHY_MAX]);
void settings_free(struct settings *s);

/* settings_read_token - the one word that is in a file; NULL with why. Gives. */
char *settings_read_token(const char *path, char why[static SETTINGS_WHY_MAX]);

/* settings_folder - $XDG_CONFIG_HOME/billet or ~/.config/billet; NULL when neither is known. Gives.
 */
char *settings_folder(void);

#endif
