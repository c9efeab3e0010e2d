/* SPDX-License-Identifier: Apache-2.0 */
/*
 * billetctl login: try a controller, a CA and a token, then keep them. The CA is copied, so that
 * the configuration stands by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "tools/cli/api.h"
#include "tools/cli/commands.h"
#include "tools/cli/die.h"

#define CA_MAX (1u << 20)

/* A token typed on a terminal is not shown there. */
static char *ask_token(void)
{
	char text[SETTINGS_TOKEN_MAX];
	struct termios old, hidden;
	bool is_terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &old) == 0;
	bool is_read;

	if (is_terminal) {
		hidden = old;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
		fputs("API token: ", stderr);
	}
	is_read = fgets(text, sizeof(text), stdin) != NULL;
	if (is_terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
		fputc('\n', stderr);
	}
	text[is_read ? strcspn(text, " \t\r\n") : 0] = 0;
	if (!text[0])
		die(EXIT_USAGE, "no token: give --token-file, BILLET_TOKEN, or type it");
	return xformat("%s", text);
}

static void make_folder(const char *path)
{
	char *part = xformat("%s", path);

	for (char *at = part + 1;; at++) {
		char c = *at;

		if (c && c != '/')
			continue;
		*at = 0;
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			die(EXIT_REFUSED, "cannot make the folder %s: %s", part, strerror(errno));
		*at = c;
		if (!c)
			break;
	}
	free(part);
}

/* Whole or not at all, and for this user alone. */
static void write_file(const char *path, const char *text, size_t len)
{
	char *part = xformat("%s.part", path);
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd) < 0 || close(fd) < 0 ||
	    rename(part, path) < 0)
		die(EXIT_REFUSED, "cannot write %s: %s", path, strerror(errno));
	free(part);
}

static void copy_ca(const char *from, const char *to)
{
	char *text = xalloc(CA_MAX);
	FILE *f = fopen(from, "re");
	size_t len = f ? fread(text, 1, CA_MAX, f) : 0;

	if (!f || len == 0)
		die(EXIT_REFUSED, "cannot read the CA in %s", from);
	fclose(f);
	write_file(to, text, len);
	free(text);
}

void login(const struct args *args)
{
	char *folder = settings_folder(), *path, *ca, *text;

	if (!folder)
		die(EXIT_REFUSED, "neither HOME nor XDG_CONFIG_HOME is set: there is no place for "
				  "the configuration");
	if (!args->values[OPT_TOKEN_FILE] && !getenv("BILLET_TOKEN")) {
		free(settings_now.token);
		settings_now.token = ask_token();
	}
	yyjson_doc_free(api_call("GET", "/v1/nodes?limit=1", NULL));

	make_folder(folder);
	path = xformat("%s/config", folder);
	ca = xformat("%s/ca.crt", folder);
	if (settings_now.ca && strcmp(settings_now.ca, ca) != 0)
		copy_ca(settings_now.ca, ca);
	text = xformat("server = %s\ntoken = %s\n%s%s%s", settings_now.server, settings_now.token,
		       settings_now.ca ? "ca = " : "", settings_now.ca ? ca : "",
		       settings_now.ca ? "\n" : "");
	write_file(path, text, strlen(text));
	api_done(args, NULL, "the token works at %s; kept in %s", settings_now.server, path);
	free(text);
	free(ca);
	free(path);
	free(folder);
}
