/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli/units.h"

#define TERMINAL_MS 200
#define PLAIN_MS    2000
#define BAR	    24

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void draw_bar(const struct progress *p, char bar[static BAR + 4])
{
	double part = p->total ? (double)p->done / (double)p->total : 1;

	bar[0] = 0;
	if (!p->is_terminal)
		return;
	bar[0] = '[';
	for (int i = 0; i < BAR; i++)
		bar[1 + i] = i < part * BAR ? '#' : ' ';
	memcpy(bar + 1 + BAR, "] ", 3);
}

void progress_text(const struct progress *p, int64_t now_ms, char text[static PROGRESS_TEXT_MAX])
{
	char done[UNITS_TEXT_MAX], total[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX],
		left[UNITS_TEXT_MAX], bar[BAR + 4];
	double seconds = (double)(now_ms - p->began_ms) / 1000;
	double per_second = seconds > 0 ? (double)(p->done - p->first) / seconds : 0;
	unsigned int percent =
		p->total ? (unsigned int)((double)p->done * 100 / (double)p->total) : 100;
	int n;

	draw_bar(p, bar);
	n = snprintf(text, PROGRESS_TEXT_MAX, "%s: %s%s of %s, %u%%", p->what, bar,
		     units_bytes(p->done, done), units_bytes(p->total, total), percent);
	if (n < 0 || (size_t)n >= PROGRESS_TEXT_MAX || per_second < 1)
		return;
	text += n;
	if (p->done < p->total)
		snprintf(text, PROGRESS_TEXT_MAX - (size_t)n, ", %s/s, %s left",
			 units_bytes((uint64_t)per_second, rate),
			 units_duration((int64_t)((double)(p->total - p->done) / per_second) + 1,
					left));
	else
		snprintf(text, PROGRESS_TEXT_MAX - (size_t)n, ", %s/s",
			 units_bytes((uint64_t)per_second, rate));
}

static void show(struct progress *p, int64_t now_ms)
{
	char text[PROGRESS_TEXT_MAX];
	size_t width;

	progress_text(p, now_ms, text);
	p->shown_ms = now_ms;
	if (!p->is_terminal) {
		fprintf(stderr, "%s\n", text);
		return;
	}
	width = units_width(text);
	fprintf(stderr, "\r%s%*s", text, (int)(p->width > width ? p->width - width : 0), "");
	fflush(stderr);
	p->width = width;
}

void progress_begin(struct progress *p, const char *what, uint64_t first, uint64_t total)
{
	*p = (struct progress){.what = what,
			       .total = total,
			       .first = first,
			       .done = first,
			       .began_ms = clock_ms()};
	p->shown_ms = p->began_ms;
	p->is_terminal = isatty(STDERR_FILENO);
}

void progress_at(struct progress *p, uint64_t done)
{
	int64_t now_ms = clock_ms();

	p->done = done;
	if (now_ms - p->shown_ms >= (p->is_terminal ? TERMINAL_MS : PLAIN_MS))
		show(p, now_ms);
}

void progress_end(struct progress *p)
{
	show(p, clock_ms());
	if (p->is_terminal)
		fputc('\n', stderr);
}
