/* SPDX-License-Identifier: Apache-2.0 */
/*
 * billetctl node install-media: a copy of build/billet.img with one node's configuration in it. The
 * image is the same for all nodes; what is a node's own lies in its config partition at places that
 * storage/boot_disk.h fixes, so no file system is touched and no other tool is wanted.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "storage/boot_disk.h"
#include "storage/grubenv.h"
#include "tools/cli/api.h"
#include "tools/cli/commands.h"
#include "tools/cli/die.h"
#include "tools/cli/file.h"
#include "tools/cli/progress.h"
#include "tools/cli/release.h"
#include "tools/cli/units.h"

#define PIECE		 (1u << 20)
#define ID_DIGITS	 32u
#define PUBLIC_KEY_CHARS 130u
#define CMDLINE_MAX	 512u

struct media {
	const char *output;
	int fd;
	uint8_t config[BOOT_DISK_CONFIG_BYTES];
};

/* ---- what the node is told ------------------------------------------------------------------ */

static char *read_text_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;

	if (!f || getdelim(&text, &cap, 0, f) < 0)
		die(EXIT_REFUSED, "cannot read %s: %s", path, strerror(errno));
	fclose(f);
	return text;
}

/* A join token for this node alone: its secret. Gives. */
static char *make_join_token(const char *name)
{
	yyjson_mut_doc *body = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(body);
	yyjson_doc *doc;
	char *secret;

	yyjson_mut_doc_set_root(body, root);
	yyjson_mut_obj_add_str(body, root, "name", name);
	doc = api_call("POST", "/v1/join-tokens", body);
	yyjson_mut_doc_free(body);
	secret = xformat("%s", api_text(yyjson_doc_get_root(doc), "secret"));
	note("join token '%s' is made for it; the machine then waits for approval", name);
	yyjson_doc_free(doc);
	return secret;
}

/* The CA that the node shall trust: the one that we trust, or else the controller's own word. */
static char *find_ca(void)
{
	struct request request = {.method = "GET", .path = "/v1/ca"};
	struct reply reply = {0};
	CURLcode result;

	if (settings_now.ca)
		return read_text_file(settings_now.ca);
	result = rest_try(&request, &reply);
	if (result != CURLE_OK)
		rest_unreachable(result);
	if (reply.status != 200)
		api_refused(&reply);
	return reply.body;
}

static void add_line(char **conf, const char *key, const char *value)
{
	char *longer;

	if (!value)
		return;
	if (strpbrk(value, "\r\n"))
		die(EXIT_USAGE, "%s: one line, please", key);
	longer = xformat("%s%-10s = %s\n", *conf, key, value);
	free(*conf);
	*conf = longer;
}

static void check_network(const struct args *args)
{
	if (!args->values[OPT_ADDRESS] && (args->values[OPT_GATEWAY] || args->values[OPT_DNS]))
		die(EXIT_USAGE, "--gateway and --dns go with --address; without it the node asks "
				"DHCP for all three");
	if (args->values[OPT_ADDRESS] && !strchr(args->values[OPT_ADDRESS], '/'))
		die(EXIT_USAGE, "--address %s: wants its prefix, such as 192.0.2.10/24",
		    args->values[OPT_ADDRESS]);
}

/* docs/node-conf.md. Gives. */
static char *write_conf(const struct args *args)
{
	const char *name = args->operands[0], *token = args->values[OPT_JOIN_TOKEN];
	const char *controller = args->values[OPT_CONTROLLER];
	char *conf = xformat("# Made by billetctl for node %s.\n", name), *made = NULL, *ca, *whole;

	add_line(&conf, "controller", controller ? controller : settings_now.server);
	if (!token)
		token = made = make_join_token(name);
	add_line(&conf, "join_token", token);
	add_line(&conf, "hostname", name);
	add_line(&conf, "address", args->values[OPT_ADDRESS]);
	add_line(&conf, "gateway", args->values[OPT_GATEWAY]);
	add_line(&conf, "dns", args->values[OPT_DNS]);
	ca = find_ca();
	whole = xformat("%s\n%s", conf, ca);
	free(conf);
	free(ca);
	free(made);
	if (strlen(whole) >= BOOT_DISK_NODE_CONF_BYTES)
		die(EXIT_REFUSED, "the configuration is larger than the %u bytes there are for it",
		    BOOT_DISK_NODE_CONF_BYTES);
	return whole;
}

/* ---- the config partition ------------------------------------------------------------------- */

static void set_variable(uint8_t *env, const char *name, const char *value)
{
	if (grubenv_set(env, name, value) != HV_OK)
		die(EXIT_REFUSED, "the boot loader's environment has no room for %s", name);
}

static bool is_public_key(const char *text)
{
	return strlen(text) == PUBLIC_KEY_CHARS &&
	       strspn(text, "0123456789abcdef") == PUBLIC_KEY_CHARS;
}

/* The image's own words, then the update key, then the user's. */
static void set_cmdline(uint8_t *env, const struct args *args)
{
	const char *key = args->values[OPT_UPDATE_KEY], *more = args->values[OPT_CMDLINE];
	char first[CMDLINE_MAX] = "", *digits = NULL, *line;

	if (grubenv_get(env, BOOT_DISK_ENV_CMDLINE, first, sizeof(first)) != HV_OK)
		die(EXIT_REFUSED,
		    "the image's boot loader environment has no %s: is it a "
		    "billet.img?",
		    BOOT_DISK_ENV_CMDLINE);
	if (key)
		digits = is_public_key(key) ? xformat("%s", key) : release_public_key(key);
	line = xformat("%s%s%s%s%s", first, digits ? " update_key=" : "", digits ? digits : "",
		       more ? " " : "", more ? more : "");
	set_variable(env, BOOT_DISK_ENV_CMDLINE, line);
	free(line);
	free(digits);
}

/* Every disk has an identity of its own, so that a node never takes another's for its own. */
static void set_id(uint8_t *env)
{
	uint8_t bytes[ID_DIGITS / 2];
	char text[ID_DIGITS + 1];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		die(EXIT_REFUSED, "libcrypto gives no random numbers");
	set_variable(env, BOOT_DISK_ENV_ID, units_hex(bytes, sizeof(bytes), text));
}

static void fill_config(struct media *m, const struct args *args, const char *conf)
{
	uint8_t *env = m->config + BOOT_DISK_ENV_AT;

	static_assert(BOOT_DISK_ENV_BYTES == GRUBENV_BYTES, "one block");
	if (grubenv_check(env) != HV_OK)
		die(EXIT_REFUSED, "the image has no boot loader environment: is it a billet.img?");
	set_id(env);
	set_cmdline(env, args);
	memset(m->config + BOOT_DISK_NODE_CONF_AT, 0, BOOT_DISK_NODE_CONF_BYTES);
	memcpy(m->config + BOOT_DISK_NODE_CONF_AT, conf, strlen(conf));
}

/* ---- writing -------------------------------------------------------------------------------- */

/* billet.img beside this program, where the build leaves both. Gives. */
static char *default_image(void)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[len < 0 ? 0 : len] = 0;
	slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	return xformat("%s/billet.img", slash ? self : ".");
}

static int open_image(const struct args *args)
{
	char *path =
		args->values[OPT_FROM] ? xformat("%s", args->values[OPT_FROM]) : default_image();
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		die(EXIT_REFUSED, "cannot open %s: %s (--from FILE names a billet.img)", path,
		    strerror(errno));
	if (st.st_size != BOOT_DISK_IMAGE_BYTES)
		die(EXIT_REFUSED,
		    "%s is no billet.img of this version: it has %" PRIu64 " bytes, not %u", path,
		    (uint64_t)st.st_size, BOOT_DISK_IMAGE_BYTES);
	free(path);
	return fd;
}

static void check_device(const struct media *m)
{
	uint64_t size = 0;

	if (ioctl(m->fd, BLKGETSIZE64, &size) != 0 || size < BOOT_DISK_IMAGE_BYTES)
		die(EXIT_REFUSED, "%s has %" PRIu64 " bytes, %u are needed", m->output, size,
		    BOOT_DISK_IMAGE_BYTES);
}

/* O_EXCL on a device: not while it is mounted, or part of something. On a file: not over one. */
static void open_output(struct media *m, const struct args *args)
{
	bool force = args->values[OPT_FORCE] != NULL;
	struct stat st;
	bool is_device = stat(m->output, &st) == 0 && S_ISBLK(st.st_mode);

	if (is_device && !force)
		die(EXIT_REFUSED,
		    "%s is a disk, and all on it would be lost; --force says that "
		    "this is meant",
		    m->output);
	m->fd = open(m->output,
		     O_RDWR | O_CLOEXEC |
			     (is_device ? O_EXCL : O_CREAT | (force ? O_TRUNC : O_EXCL)),
		     0600);
	if (m->fd < 0 && errno == EEXIST)
		die(EXIT_REFUSED, "%s is there already; --force replaces it", m->output);
	if (m->fd < 0 && errno == EBUSY)
		die(EXIT_REFUSED, "%s is in use; unmount what is on it first", m->output);
	if (m->fd < 0)
		die(EXIT_REFUSED, "cannot write %s: %s", m->output, strerror(errno));
	if (is_device)
		check_device(m);
}

/* open_image() has looked at its size. */
static void read_image(int image, uint8_t *bytes, size_t len, uint64_t at)
{
	if (file_read_at(image, "the image", bytes, len, at) != len)
		die(EXIT_REFUSED, "cannot read the image: it ends early");
}

static void copy_image(const struct media *m, int image)
{
	uint8_t *piece = xalloc(PIECE);
	struct progress progress;

	static_assert(BOOT_DISK_IMAGE_BYTES % PIECE == 0, "whole pieces");
	progress_begin(&progress, m->output, 0, BOOT_DISK_IMAGE_BYTES);
	for (uint64_t at = 0; at < BOOT_DISK_IMAGE_BYTES; at += PIECE) {
		read_image(image, piece, PIECE, at);
		file_write_at(m->fd, m->output, piece, PIECE, at);
		progress_at(&progress, at + PIECE);
	}
	progress_end(&progress);
	free(piece);
}

void node_install_media(const struct args *args)
{
	struct media *m = xalloc(sizeof(*m));
	int image = open_image(args);
	char *conf;

	check_network(args);
	m->output = args->values[OPT_OUTPUT];
	read_image(image, m->config, sizeof(m->config), BOOT_DISK_CONFIG_AT);
	open_output(m, args);
	conf = write_conf(args);
	fill_config(m, args, conf);
	copy_image(m, image);
	file_write_at(m->fd, m->output, m->config, sizeof(m->config), BOOT_DISK_CONFIG_AT);
	if (fsync(m->fd) != 0 || close(m->fd) != 0)
		die(EXIT_REFUSED, "cannot write %s: %s", m->output, strerror(errno));
	close(image);
	free(conf);
	if (!args->values[OPT_UPDATE_KEY])
		note("without --update-key this node takes no updates");
	api_done(args, NULL, "%s boots as node '%s'; it holds a secret, keep it safe", m->output,
		 args->operands[0]);
	free(m);
}
