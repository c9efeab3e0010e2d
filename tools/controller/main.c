/* SPDX-License-Identifier: Apache-2.0 */
/*
 * billetd: options, the order of starting and stopping, signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/protocol/form.h"
#include "tools/controller/auth.h"
#include "tools/controller/say.h"
#include "tools/controller/server.h"
#include "tools/controller/upload.h"
#include "tools/controller/util.h"

static const char usage[] =
	"Usage: billetd [OPTION]...\n"
	"The controller of Billet's nodes: HTTPS for nodes and people on one port.\n"
	"\n"
	"  --data DIR                 where everything is kept (default: ./billetd-data)\n"
	"  --listen ADDR:PORT         default 127.0.0.1:8443; port 0 takes a free one\n"
	"  --name NAME                a host name or address that the server's certificate is "
	"valid for; may be\n"
	"                             repeated (default: localhost and 127.0.0.1, which are always "
	"included)\n"
	"  --report-interval MS       how often nodes report (default 10000; 100..3600000)\n"
	"  --node-cert-lifetime S     how long nodes' certificates live (default 2592000, 30 "
	"days)\n"
	"  --max-connections N        default 1024\n"
	"  --idle-timeout S           close a connection on which nothing moves (default 120)\n"
	"  --log-level LEVEL          err, warn, info (default) or dbg\n"
	"  --help, --version\n"
	"\n"
	"The first start makes a certificate authority and an admin's token (DIR/admin.token).\n"
	"See docs/protocol.md for the API.\n";

enum option_id {
	OPT_DATA = 256,
	OPT_LISTEN,
	OPT_NAME,
	OPT_INTERVAL,
	OPT_LIFETIME,
	OPT_CONNECTIONS,
	OPT_IDLE,
	OPT_LEVEL,
	OPT_HELP,
	OPT_VERSION
};

static const struct option long_options[] = {
	{"data", required_argument, NULL, OPT_DATA},
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"name", required_argument, NULL, OPT_NAME},
	{"report-interval", required_argument, NULL, OPT_INTERVAL},
	{"node-cert-lifetime", required_argument, NULL, OPT_LIFETIME},
	{"max-connections", required_argument, NULL, OPT_CONNECTIONS},
	{"idle-timeout", required_argument, NULL, OPT_IDLE},
	{"log-level", required_argument, NULL, OPT_LEVEL},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{0},
};

static void refuse_option(const char *name, const char *value, const char *wants)
{
	fprintf(stderr, "billetd: --%s %s: wants %s\n", name, value, wants);
	exit(2);
}

static uint64_t number_option(const char *name, const char *text, uint64_t min, uint64_t max)
{
	char wants[64];
	uint64_t value;

	if (form_parse_u64(text, strlen(text), &value) && value >= min && value <= max)
		return value;
	snprintf(wants, sizeof(wants), "a number from %llu to %llu", (unsigned long long)min,
		 (unsigned long long)max);
	refuse_option(name, text, wants);
	return 0;
}

static void add_name(struct options *o, const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > 253 ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-") !=
		    len)
		refuse_option("name", name, "a host name or an address");
	for (unsigned int i = 0; i < o->nr_names; i++)
		if (strcmp(o->names[i], name) == 0)
			return;
	if (o->nr_names == OPTION_NAMES_MAX)
		refuse_option("name", name, "fewer names: 16 at most");
	o->names[o->nr_names++] = name;
}

static void read_options(struct options *o, int argc, char **argv)
{
	enum say_level level;
	int opt;

	*o = (struct options){.data = "billetd-data",
			      .listen = "127.0.0.1:8443",
			      .report_interval_ms = 10000,
			      .node_cert_s = 30 * 86400,
			      .max_connections = 1024,
			      .idle_s = 120};
	add_name(o, "localhost");
	add_name(o, "127.0.0.1");
	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (opt) {
		case OPT_DATA:
			o->data = optarg;
			break;
		case OPT_LISTEN:
			o->listen = optarg;
			break;
		case OPT_NAME:
			add_name(o, optarg);
			break;
		case OPT_INTERVAL:
			o->report_interval_ms =
				(uint32_t)number_option("report-interval", optarg, 100, 3600000);
			break;
		case OPT_LIFETIME:
			o->node_cert_s =
				(int64_t)number_option("node-cert-lifetime", optarg, 1, 315360000);
			break;
		case OPT_CONNECTIONS:
			o->max_connections =
				(unsigned int)number_option("max-connections", optarg, 1, 100000);
			break;
		case OPT_IDLE:
			o->idle_s = (int)number_option("idle-timeout", optarg, 1, 86400);
			break;
		case OPT_LEVEL:
			if (!say_parse_level(optarg, &level))
				refuse_option("log-level", optarg, "err, warn, info or dbg");
			say_set_level(level);
			break;
		case OPT_HELP:
			fputs(usage, stdout);
			exit(0);
		case OPT_VERSION:
			puts("billetd " BILLET_VERSION);
			exit(0);
		default:
			fputs("Try 'billetd --help'.\n", stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "billetd: '%s' is not an option. Try 'billetd --help'.\n",
			argv[optind]);
		exit(2);
	}
}

/* The folder, and its lock: two billetd's on one folder would each believe its own memory. */
static bool open_data(const char *dir)
{
	char path[4096];
	int fd;

	umask(077);
	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		say_err("main", "cannot make %s: %m", dir);
		return false;
	}
	fd = path_join(path, sizeof(path), dir, "lock")
		     ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)
		     : -1;
	if (fd < 0) {
		say_err("main", "cannot write in %s: %m", dir);
		return false;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		say_err("main", "another billetd uses %s", dir);
		return false;
	}
	return true; /* held until the process ends */
}

static bool open_database(struct billetd *d)
{
	char path[4096];

	if (!path_join(path, sizeof(path), d->options.data, "billetd.db") || !db_open(&d->db, path))
		return false;
	/* Consoles' sessions lived in memory: what nodes have applied may name some that are gone.
	 */
	db_begin(&d->db);
	db_run(&d->db, "UPDATE nodes SET generation = generation + 1", "");
	return db_commit(&d->db);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct billetd *d = arg;

	(void)what;
	say_info("main", "%s: stopping", strsignal((int)number));
	server_drain(d);
}

static int run(struct billetd *d)
{
	struct event *term = evsignal_new(d->base, SIGTERM, on_signal, d);
	struct event *intr = evsignal_new(d->base, SIGINT, on_signal, d);
	int status = 1;

	if (term && intr && evsignal_add(term, NULL) == 0 && evsignal_add(intr, NULL) == 0 &&
	    server_start(d))
		status = event_base_dispatch(d->base) < 0;
	server_stop(d);
	event_free(intr);
	event_free(term);
	return status;
}

int main(int argc, char **argv)
{
	static struct billetd d;
	int status = 1;

	read_options(&d.options, argc, argv);
	TAILQ_INIT(&d.waiters);
	LIST_INIT(&d.consoles);
	LIST_INIT(&d.uploads);
	signal(SIGPIPE, SIG_IGN);
	if (!open_data(d.options.data) || !ca_open(&d.ca, d.options.data))
		return 1;
	if (!open_database(&d))
		goto close_ca;
	d.base = event_base_new();
	if (d.base && upload_recover(&d) && auth_first_token(&d))
		status = run(&d);
	if (d.base)
		event_base_free(d.base);
	db_close(&d.db);
close_ca:
	ca_close(&d.ca);
	if (status == 0)
		say_info("main", "stopped");
	return status;
}
