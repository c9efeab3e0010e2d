/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cli/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = 0;
	return text;
}

static void replace(char **field, const char *value)
{
	free(*field);
	*field = value ? strdup(value) : NULL;
}

char *settings_read_token(const char *path, char why[static SETTINGS_WHY_MAX])
{
	char text[SETTINGS_TOKEN_MAX] = "";
	FILE *f = fopen(path, "re");
	char *token;

	if (!f) {
		snprintf(why, SETTINGS_WHY_MAX, "cannot read the token in %s: %s", path,
			 strerror(errno));
		return NULL;
	}
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	token = trim(text);
	/* A token goes into a header as it is: no spaces, no line ends. */
	if (!*token || token[strcspn(token, " \t\r\n")]) {
		snprintf(why, SETTINGS_WHY_MAX, "%s does not hold a token", path);
		return NULL;
	}
	return strdup(token);
}

static bool take_line(struct settings *s, char *line, const char *path, unsigned int nr, char *why)
{
	char *equals = strchr(line, '=');
	char *key, *value;

	if (!equals) {
		snprintf(why, SETTINGS_WHY_MAX, "%s line %u: wants key = value", path, nr);
		return false;
	}
	*equals = 0;
	key = trim(line);
	value = trim(equals + 1);
	if (strcmp(key, "server") == 0) {
		replace(&s->server, value);
	} else if (strcmp(key, "ca") == 0) {
		replace(&s->ca, value);
	} else if (strcmp(key, "token") == 0) {
		replace(&s->token, value);
	} else if (strcmp(key, "token-file") == 0) {
		free(s->token);
		s->token = settings_read_token(value, why);
		return s->token != NULL;
	} else {
		snprintf(why, SETTINGS_WHY_MAX,
			 "%s line %u: '%s' is none of server, ca, token, token-file", path, nr,
			 key);
		return false;
	}
	return true;
}

static bool take_file(struct settings *s, const char *path, char *why)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	bool is_good = true;
	unsigned int nr = 0;
	size_t cap = 0;

	if (!f) {
		if (errno == ENOENT || errno == ENOTDIR)
			return true;
		snprintf(why, SETTINGS_WHY_MAX, "cannot read %s: %s", path, strerror(errno));
		return false;
	}
	while (is_good && getline(&line, &cap, f) >= 0) {
		char *text = trim(line);

		nr++;
		if (*text && *text != '#')
			is_good = take_line(s, text, path, nr, why);
	}
	free(line);
	fclose(f);
	return is_good;
}

static void take_environment(struct settings *s)
{
	if (getenv("BILLET_SERVER"))
		replace(&s->server, getenv("BILLET_SERVER"));
	if (getenv("BILLET_CA"))
		replace(&s->ca, getenv("BILLET_CA"));
	if (getenv("BILLET_TOKEN"))
		replace(&s->token, getenv("BILLET_TOKEN"));
}

static bool take_options(struct settings *s, const struct args *args, char *why)
{
	if (args->values[OPT_SERVER])
		replace(&s->server, args->values[OPT_SERVER]);
	if (args->values[OPT_CA])
		replace(&s->ca, args->values[OPT_CA]);
	if (args->values[OPT_TOKEN_FILE]) {
		free(s->token);
		s->token = settings_read_token(args->values[OPT_TOKEN_FILE], why);
		return s->token != NULL;
	}
	return true;
}

static bool check(struct settings *s, char *why)
{
	size_t len = strlen(s->server);

	while (len && s->server[len - 1] == '/')
		s->server[--len] = 0;
	if (strncmp(s->server, "https://", 8) != 0 || len == 8) {
		snprintf(why, SETTINGS_WHY_MAX,
			 "the server '%s' is not of the form https://HOST:PORT", s->server);
		return false;
	}
	if (s->ca && !*s->ca)
		replace(&s->ca, NULL);
	if (s->token && (!*s->token || s->token[strcspn(s->token, " \t\r\n")])) {
		snprintf(why, SETTINGS_WHY_MAX, "the token is empty or has spaces in it");
		return false;
	}
	return true;
}

bool settings_load(struct settings *s, const struct args *args, const char *path,
		   char why[static SETTINGS_WHY_MAX])
{
	struct settings out = {.server = strdup(SETTINGS_SERVER_DEFAULT)};
	bool is_good = !path || take_file(&out, path, why);

	if (is_good) {
		take_environment(&out);
		is_good = take_options(&out, args, why) && check(&out, why);
	}
	if (is_good)
		*s = out;
	else
		settings_free(&out);
	return is_good;
}

void settings_free(struct settings *s)
{
	free(s->server);
	free(s->ca);
	free(s->token);
	*s = (struct settings){0};
}

char *settings_folder(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char *folder;

	if (xdg && *xdg) {
		if (asprintf(&folder, "%s/billet", xdg) < 0)
			return NULL;
		return folder;
	}
	if (!home || !*home || asprintf(&folder, "%s/.config/billet", home) < 0)
		return NULL;
	return folder;
}
