/* SPDX-License-Identifier: Apache-2.0 */
/*
 * billetctl vm console: a long poll for output and, beside it, posts of input, on one thread.
 *
 *	stdin ──> typed ──> sent ──POST──> controller
 *	stdout <── text <──────────GET──── controller
 *	            └─> --until
 *
 * What was typed waits in `typed` while a POST is under way; `sent` is kept until the controller
 *has it.
 */
#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli/api.h"
#include "tools/cli/commands.h"
#include "tools/cli/die.h"
#include "tools/cli/units.h"

#define ESCAPE	    0x1d   /* Ctrl-] */
#define INPUT_MAX   16384u /* bytes that the controller takes at once */
#define RECENT_MAX  65536u /* what --until looks at */
#define POLL_S	    20
#define AGAIN_MS    1000
#define FULL_MS	    200
#define PATIENCE_MS 30000 /* without any answer */

/* Where we are in a terminal's escape sequence. */
enum sequence { SEQUENCE_NONE, SEQUENCE_BEGUN, SEQUENCE_CSI };

struct console {
	const char *vm;
	CURLM *multi;

	struct rest_handle out;
	struct reply text;
	uint64_t next; /* offset to ask for */
	bool has_next, is_getting, skips_old;
	int64_t get_at_ms;

	struct rest_handle in;
	struct reply answer;
	char typed[INPUT_MAX], sent[INPUT_MAX];
	size_t nr_typed, nr_sent;
	bool is_posting, reads_stdin, is_raw;
	int64_t post_at_ms;

	int64_t failing_since_ms; /* 0: not */
	int64_t end_ms;		  /* 0: never */
	bool has_until;
	enum sequence sequence;
	regex_t until;
	char recent[RECENT_MAX + 1];
	size_t nr_recent;
};

static struct termios saved_terminal;

static void restore_terminal(void)
{
	tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_terminal);
}

static void on_signal(int nr)
{
	restore_terminal(); /* tcsetattr() may be called here */
	_exit(128 + nr);
}

/* Every key goes to the guest: no echo, no line editing, no signals. Put back however this ends. */
static void make_raw(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved_terminal) < 0)
		die(EXIT_REFUSED, "cannot read the terminal's settings: %s", strerror(errno));
	atexit(restore_terminal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	raw = saved_terminal;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static _Noreturn void leave(enum exit_status status)
{
	fflush(stdout);
	exit(status);
}

static void write_out(const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die(EXIT_REFUSED, "cannot write to standard output: %s", strerror(errno));
		bytes += n;
		len -= (size_t)n;
	}
}

static void remember(struct console *c, char byte)
{
	if (c->nr_recent == RECENT_MAX) {
		memmove(c->recent, c->recent + RECENT_MAX / 2, RECENT_MAX / 2);
		c->nr_recent = RECENT_MAX / 2;
	}
	c->recent[c->nr_recent++] = byte ? byte : ' ';
	c->recent[c->nr_recent] = 0;
}

/*
 * Does the output match now? Carriage returns and terminal sequences are left out, so that '^' and
 * '$' find the beginnings and ends of lines as people see them.
 */
static bool look_for_until(struct console *c, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (c->sequence) {
		case SEQUENCE_NONE:
			if (bytes[i] == '\033')
				c->sequence = SEQUENCE_BEGUN;
			else if (bytes[i] != '\r')
				remember(c, bytes[i]);
			break;
		case SEQUENCE_BEGUN:
			c->sequence = bytes[i] == '[' ? SEQUENCE_CSI : SEQUENCE_NONE;
			break;
		case SEQUENCE_CSI: /* [ECMA-48] parameters, then a final byte of '@' to '~' */
			if (bytes[i] >= '@' && bytes[i] <= '~')
				c->sequence = SEQUENCE_NONE;
			break;
		}
	}
	return c->has_until && regexec(&c->until, c->recent, 0, NULL, 0) == 0;
}

/* ---- output
 * --------------------------------------------------------------------------------------------------
 */

static void start_get(struct console *c)
{
	int wait_s = c->skips_old || !c->has_next ? 0 : POLL_S;
	char *base = api_path("/v1/vms/%s/console", c->vm);
	char *path = c->has_next ? xformat("%s?offset=%" PRIu64 "&wait=%d", base, c->next, wait_s)
				 : xformat("%s?wait=0", base);
	struct request request = {.method = "GET", .path = path, .timeout_s = wait_s + 15};

	rest_prepare(&c->out, &request, &c->text);
	curl_multi_add_handle(c->multi, c->out.curl);
	c->is_getting = true;
	free(path);
	free(base);
}

static void take_output(struct console *c)
{
	uint64_t first = 0, next = 0;

	if (!rest_handle_u64(&c->out, "X-Billet-Next", &next) ||
	    !rest_handle_u64(&c->out, "X-Billet-Offset", &first))
		die(EXIT_REFUSED, "the answer lacks its offsets: is a billetd there?");
	if (c->has_next && first > c->next)
		note("%" PRIu64 " bytes of output were lost", first - c->next);
	c->next = next;
	c->has_next = true;
	if (c->skips_old) {
		c->skips_old = false;
		return;
	}
	write_out(c->text.body, c->text.len_bytes);
	if (look_for_until(c, c->text.body, c->text.len_bytes))
		leave(EXIT_OK);
}

/* ---- input
 * ---------------------------------------------------------------------------------------------------
 */

static void start_post(struct console *c)
{
	char *path = api_path("/v1/vms/%s/console", c->vm);
	struct request request = {.method = "POST",
				  .path = path,
				  .body = c->sent,
				  .type = "application/octet-stream"};

	if (c->nr_sent == 0) {
		memcpy(c->sent, c->typed, c->nr_typed);
		c->nr_sent = c->nr_typed;
		c->nr_typed = 0;
	}
	request.len_bytes = c->nr_sent;
	rest_prepare(&c->in, &request, &c->answer);
	curl_multi_add_handle(c->multi, c->in.curl);
	c->is_posting = true;
	free(path);
}

static void read_stdin(struct console *c)
{
	ssize_t n = read(STDIN_FILENO, c->typed + c->nr_typed, INPUT_MAX - c->nr_typed);
	const char *escape;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		c->reads_stdin = false;
		return;
	}
	escape = c->is_raw ? memchr(c->typed + c->nr_typed, ESCAPE, (size_t)n) : NULL;
	if (escape) {
		restore_terminal();
		note("left the console of '%s'; the VM runs on", c->vm);
		leave(EXIT_OK);
	}
	c->nr_typed += (size_t)n;
}

/* ---- both
 * ----------------------------------------------------------------------------------------------------
 */

/* No answer, or one that says "later": patience, but not for ever, and none at all before the first
 * answer. */
static void failed(struct console *c, CURLcode result, const struct reply *reply)
{
	int64_t now = clock_ms();

	if (!c->failing_since_ms)
		c->failing_since_ms = now;
	if (c->has_next && now - c->failing_since_ms < PATIENCE_MS)
		return;
	if (c->is_raw)
		restore_terminal();
	if (result != CURLE_OK)
		rest_unreachable(result);
	api_refused(reply);
}

static bool is_answered(struct console *c, CURLcode result, const struct reply *reply)
{
	if (result == CURLE_OK && reply->status >= 200 && reply->status < 300) {
		c->failing_since_ms = 0;
		return true;
	}
	if (result == CURLE_OK && reply->status != 429 && reply->status < 500) {
		if (c->is_raw)
			restore_terminal();
		api_refused(reply);
	}
	failed(c, result, reply);
	return false;
}

static void get_ended(struct console *c, CURLcode result)
{
	c->is_getting = false;
	rest_finish(&c->out);
	if (is_answered(c, result, &c->text))
		take_output(c);
	else
		c->get_at_ms = clock_ms() + AGAIN_MS;
}

static void post_ended(struct console *c, CURLcode result)
{
	c->is_posting = false;
	rest_finish(&c->in);
	if (result == CURLE_OK && c->answer.status == 429) {
		c->post_at_ms = clock_ms() + FULL_MS;
		return;
	}
	if (is_answered(c, result, &c->answer))
		c->nr_sent = 0;
	else
		c->post_at_ms = clock_ms() + AGAIN_MS;
}

static void take_answers(struct console *c)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(c->multi, &left))) {
		CURL *curl = message->easy_handle;
		CURLcode result = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_multi_remove_handle(c->multi, curl);
		if (curl == c->out.curl)
			get_ended(c, result);
		else
			post_ended(c, result);
	}
}

static void start_what_is_due(struct console *c)
{
	int64_t now = clock_ms();

	if (!c->is_getting && now >= c->get_at_ms)
		start_get(c);
	/* Only behind the first answer: output that input causes is then new, also with --new. */
	if (!c->is_posting && c->has_next && c->nr_sent + c->nr_typed && now >= c->post_at_ms)
		start_post(c);
}

static void wait_for_something(struct console *c)
{
	struct curl_waitfd fd = {.fd = STDIN_FILENO, .events = CURL_WAIT_POLLIN};
	bool wants_stdin = c->reads_stdin && c->nr_typed < INPUT_MAX;
	int64_t wait_ms = AGAIN_MS / 4;
	int nr;

	if (c->end_ms && c->end_ms - clock_ms() < wait_ms)
		wait_ms = c->end_ms - clock_ms() > 0 ? c->end_ms - clock_ms() : 0;
	curl_multi_poll(c->multi, &fd, wants_stdin ? 1 : 0, (int)wait_ms, &nr);
	if (wants_stdin && fd.revents)
		read_stdin(c);
}

static void time_is_up(const struct console *c, const char *timeout)
{
	if (!c->has_until)
		leave(EXIT_OK);
	if (c->is_raw)
		restore_terminal();
	die(EXIT_TIMEOUT, "the console of '%s' showed nothing that matches within %s", c->vm,
	    timeout);
}

static void set_up(struct console *c, const struct args *args)
{
	const char *regex = args->values[OPT_UNTIL], *timeout = args->values[OPT_TIMEOUT];
	uint64_t seconds;

	c->vm = args->operands[0];
	c->skips_old = args->values[OPT_NEW] != NULL;
	if (timeout && !units_parse_seconds(timeout, &seconds))
		die(EXIT_USAGE, "--timeout %s: wants a time such as 90s, 15m", timeout);
	if (timeout)
		c->end_ms = clock_ms() + (int64_t)seconds * 1000;
	if (regex && regcomp(&c->until, regex, REG_EXTENDED | REG_NEWLINE | REG_NOSUB) != 0)
		die(EXIT_USAGE, "--until %s: is not an extended regular expression", regex);
	c->has_until = regex != NULL;
	if (args->values[OPT_SEND]) {
		char *text = xformat("%s", args->values[OPT_SEND]);
		ptrdiff_t len = units_unescape(text);

		if (len < 0 || (size_t)len > INPUT_MAX)
			die(EXIT_USAGE,
			    "--send: knows \\n \\r \\t \\e \\\\ \\xHH, and at most %u bytes",
			    INPUT_MAX);
		memcpy(c->typed, text, (size_t)len);
		c->nr_typed = (size_t)len;
		free(text);
	} else {
		c->reads_stdin = true;
		c->is_raw = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	}
}

void vm_console(const struct args *args)
{
	struct console *c = xalloc(sizeof(*c));

	set_up(c, args);
	rest_open(&c->out);
	rest_open(&c->in);
	c->multi = curl_multi_init();
	if (!c->multi)
		die(EXIT_REFUSED, "out of memory");
	/* Any refusal comes before the terminal changes. */
	yyjson_doc_free(api_call("GET", api_path("/v1/vms/%s", c->vm), NULL));
	if (c->is_raw) {
		note("the console of '%s'; Ctrl-] leaves it", c->vm);
		make_raw();
	}
	while (!c->end_ms || clock_ms() < c->end_ms) {
		int running;

		start_what_is_due(c);
		curl_multi_perform(c->multi, &running);
		take_answers(c);
		wait_for_something(c);
	}
	time_is_up(c, args->values[OPT_TIMEOUT]);
}
