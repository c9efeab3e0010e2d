/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     | Billet 1.2                     up 3 d 4 h 5 min |
 *     | machine, CPUs, memory                           |
 *     | -- Node -----  state, code, address, controller |
 *     | -- Guests ---  a row each                       |
 *     | -- Network, disks ---  a row each               |
 *     | -- Warnings -  the last ones                    |
 *
 * The lists share the rows that the rest leaves: each gets what it needs at least, then one more in
 * turn until nothing is left or nobody wants more.
 */
#include "vmm/status_page.h"

#include "kernel/lib/fmt.h"

#define TITLE_COLOURS (SCREEN_WHITE | SCREEN_ON(SCREEN_BLUE))
#define LABEL_COLOURS SCREEN_LIGHT_CYAN
#define TEXT_COLOURS  SCREEN_GREY
#define LOUD_COLOURS  SCREEN_WHITE
#define GOOD_COLOURS  SCREEN_LIGHT_GREEN
#define WARN_COLOURS  SCREEN_YELLOW
#define BAD_COLOURS   SCREEN_LIGHT_RED
#define RULE_COLOURS  SCREEN_DARK_GREY

#define LABEL_COLUMN 1u
#define TEXT_COLUMN  13u
#define BAR_CELLS    20u
#define BAR_COLUMN   57u

#define NR_GAPS 5u /* below the title, above each rule */

enum list { GUESTS, NICS, DISKS, LINES, LISTS };

struct page {
	const struct status_info *info;
	struct screen_grid *grid;
	uint32_t row;
	uint32_t share[LISTS]; /* rows of each list */
	bool has_gaps;	       /* there is room for an empty row above each section */
};

static void label(struct page *page, const char *text)
{
	grid_text(page->grid, page->row, LABEL_COLUMN, LABEL_COLOURS, "%s", text);
}

static void rule(struct page *page, const char *title)
{
	page->row += page->has_gaps;
	grid_fill(page->grid, page->row, 0, page->grid->width, SCREEN_CHAR_LINE, RULE_COLOURS);
	grid_text(page->grid, page->row, 2, LOUD_COLOURS, " %s ", title);
	page->row++;
}

static void bar(struct page *page, uint64_t part, uint64_t whole)
{
	uint32_t full = whole ? (uint32_t)(MIN(part, whole) * BAR_CELLS / whole) : 0;

	grid_fill(page->grid, page->row, BAR_COLUMN, BAR_CELLS, SCREEN_CHAR_SHADE, RULE_COLOURS);
	grid_fill(page->grid, page->row, BAR_COLUMN, full, SCREEN_CHAR_BLOCK,
		  full * 10 >= BAR_CELLS * 9 ? WARN_COLOURS : SCREEN_GREEN);
}

/* ---- the machine ---- */

static void fmt_uptime(char *dst, size_t cap, uint64_t minutes)
{
	uint64_t days = minutes / (24 * 60), hours = minutes / 60 % 24;

	if (days > 0)
		fmt(dst, cap, "up %llu d %llu h %llu min", (unsigned long long)days,
		    (unsigned long long)hours, (unsigned long long)(minutes % 60));
	else if (hours > 0)
		fmt(dst, cap, "up %llu h %llu min", (unsigned long long)hours,
		    (unsigned long long)(minutes % 60));
	else
		fmt(dst, cap, "up %llu min", (unsigned long long)minutes);
}

static void draw_title(struct page *page)
{
	char uptime[40];
	size_t len;

	fmt_uptime(uptime, sizeof(uptime), page->info->uptime_min);
	for (len = 0; uptime[len]; len++)
		;
	grid_clear_row(page->grid, 0, TITLE_COLOURS);
	grid_text(page->grid, 0, LABEL_COLUMN, TITLE_COLOURS, "Billet %s", page->info->version);
	grid_text(page->grid, 0, page->grid->width - 1 - (uint32_t)len, TITLE_COLOURS, "%s",
		  uptime);
	page->row = 1 + page->has_gaps;
}

static void draw_machine(struct page *page)
{
	const struct status_info *i = page->info;
	bool is_small = i->mem_mib < 10240;
	uint64_t unit = is_small ? 1 : 1024;

	label(page, "Machine");
	grid_text(page->grid, page->row, TEXT_COLUMN, TEXT_COLOURS, "%s",
		  i->machine[0] ? i->machine : "?");
	page->row++;
	label(page, "Firmware");
	grid_text(page->grid, page->row, TEXT_COLUMN, TEXT_COLOURS, "%s",
		  i->firmware[0] ? i->firmware : "?");
	page->row++;
	label(page, "Processors");
	grid_text(page->grid, page->row, TEXT_COLUMN, TEXT_COLOURS, "%u x %.32s", i->nr_cpus,
		  i->cpu_model);
	grid_text(page->grid, page->row, BAR_COLUMN - 6, TEXT_COLOURS, "%3u %%", i->busy_percent);
	bar(page, i->busy_percent, 100);
	page->row++;
	label(page, "Memory");
	grid_text(page->grid, page->row, TEXT_COLUMN, TEXT_COLOURS, "%llu of %llu %s in use",
		  (unsigned long long)(i->mem_used_mib / unit),
		  (unsigned long long)(i->mem_mib / unit), is_small ? "MiB" : "GiB");
	bar(page, i->mem_used_mib, i->mem_mib);
	page->row++;
}

/* ---- the node, as its agent tells it ---- */

static void draw_fact(struct page *page, const char *name, const char *text, uint8_t colours)
{
	if (!text[0])
		return;
	label(page, name);
	grid_text(page->grid, page->row, TEXT_COLUMN, colours, "%s", text);
	page->row++;
}

static void draw_node(struct page *page)
{
	const struct status_info *i = page->info;

	rule(page, "Node");
	if (!i->virt[0])
		draw_fact(page, "State", "this machine cannot run guests: see below", BAD_COLOURS);
	else if (!i->agent.state[0])
		draw_fact(page, "State", "its agent is starting", TEXT_COLOURS);
	draw_fact(page, "State", i->agent.state, LOUD_COLOURS);
	draw_fact(page, "Code", i->agent.code, WARN_COLOURS);
	draw_fact(page, "Address", i->agent.address, TEXT_COLOURS);
	draw_fact(page, "Controller", i->agent.controller, TEXT_COLOURS);
	draw_fact(page, "Trouble", i->agent.error, BAD_COLOURS);
	if (i->agent_restarts > 0) {
		label(page, "Agent");
		grid_text(page->grid, page->row, TEXT_COLUMN, WARN_COLOURS,
			  "was started anew %u time%s", i->agent_restarts,
			  i->agent_restarts == 1 ? "" : "s");
		page->row++;
	}
}

/* ---- lists ---- */

/* How many of a list are drawn: all, or so many that there is a row left to say what is not. */
static uint32_t nr_drawn(const struct page *page, enum list list, uint32_t nr)
{
	return nr <= page->share[list] ? nr : page->share[list] - 1;
}

static void draw_rest(struct page *page, uint32_t nr, uint32_t drawn)
{
	if (drawn == nr)
		return;
	grid_text(page->grid, page->row, LABEL_COLUMN, RULE_COLOURS, "and %u more", nr - drawn);
	page->row++;
}

static const char *name_of_state(uint32_t state, uint8_t *colours)
{
	static const struct {
		const char *name;
		uint8_t colours;
	} rows[] = {
		[CTL_VM_CREATED] = {"created", TEXT_COLOURS},
		[CTL_VM_RUNNING] = {"running", GOOD_COLOURS},
		[CTL_VM_PAUSED] = {"paused", WARN_COLOURS},
		[CTL_VM_STOPPED] = {"stopped", TEXT_COLOURS},
		[CTL_VM_CRASHED] = {"crashed", BAD_COLOURS},
		[CTL_VM_DESTROYED] = {"destroyed", TEXT_COLOURS},
	};

	if (state >= ARRAY_SIZE(rows) || !rows[state].name) {
		*colours = WARN_COLOURS;
		return "?";
	}
	*colours = rows[state].colours;
	return rows[state].name;
}

static void draw_guests(struct page *page)
{
	const struct status_info *i = page->info;
	uint32_t drawn = nr_drawn(page, GUESTS, i->nr_guests);
	char title[40];

	fmt(title, sizeof(title), "Guests: %u", i->nr_guests);
	rule(page, i->nr_guests ? title : "Guests: none");
	for (uint32_t n = 0; n < drawn; n++) {
		const struct status_guest *g = &i->guests[n];
		uint8_t colours;
		const char *state = name_of_state(g->state, &colours);

		grid_text(page->grid, page->row, LABEL_COLUMN, LOUD_COLOURS, "%.28s", g->name);
		grid_text(page->grid, page->row, 31, colours, "%s", state);
		grid_text(page->grid, page->row, 42, TEXT_COLOURS, "%2u vCPU%s", g->nr_vcpus,
			  g->nr_vcpus == 1 ? "" : "s");
		grid_text(page->grid, page->row, 51, TEXT_COLOURS, "%7llu MiB  %s",
			  (unsigned long long)g->mem_mib, g->reason);
		page->row++;
	}
	draw_rest(page, i->nr_guests, drawn);
}

static void draw_nics(struct page *page)
{
	const struct status_info *i = page->info;
	uint32_t drawn = nr_drawn(page, NICS, i->nr_nics);

	for (uint32_t n = 0; n < drawn; n++) {
		const struct status_nic *c = &i->nics[n];
		bool is_up = c->is_link_up && !c->is_gone;
		uint32_t column;

		grid_text(page->grid, page->row, LABEL_COLUMN, LOUD_COLOURS, "%.15s", c->location);
		grid_text(page->grid, page->row, TEXT_COLUMN, TEXT_COLOURS,
			  "%.15s %02x:%02x:%02x:%02x:%02x:%02x", c->driver, c->mac[0], c->mac[1],
			  c->mac[2], c->mac[3], c->mac[4], c->mac[5]);
		column = grid_text(page->grid, page->row, BAR_COLUMN - 6,
				   is_up ? GOOD_COLOURS : BAD_COLOURS, "%s",
				   c->is_gone ? "pulled out"
				   : is_up    ? "link up"
					      : "no link");
		if (is_up && c->speed_mbps)
			grid_text(page->grid, page->row, column, TEXT_COLOURS, ", %u Mb/s",
				  c->speed_mbps);
		page->row++;
	}
	draw_rest(page, i->nr_nics, drawn);
}

static void draw_disks(struct page *page)
{
	const struct status_info *i = page->info;
	uint32_t drawn = nr_drawn(page, DISKS, i->nr_disks);

	for (uint32_t n = 0; n < drawn; n++) {
		const struct status_disk *d = &i->disks[n];
		uint64_t gb = d->size_bytes / 1000000000;

		grid_text(page->grid, page->row, LABEL_COLUMN, LOUD_COLOURS, "%.11s", d->name);
		grid_text(page->grid, page->row, TEXT_COLUMN, TEXT_COLOURS, "%.36s", d->model);
		grid_text(page->grid, page->row, BAR_COLUMN - 6,
			  d->is_gone || d->is_failing ? BAD_COLOURS : TEXT_COLOURS, "%llu %s%s",
			  (unsigned long long)(gb ? gb : d->size_bytes / 1000000), gb ? "GB" : "MB",
			  d->is_gone	  ? ", pulled out"
			  : d->is_failing ? ", says that it fails"
					  : "");
		page->row++;
	}
	draw_rest(page, i->nr_disks, drawn);
}

static void draw_devices(struct page *page)
{
	const struct status_info *i = page->info;

	rule(page, "Network and disks");
	if (i->nr_nics == 0) {
		grid_text(page->grid, page->row, LABEL_COLUMN, BAD_COLOURS,
			  "no network card that Billet can drive");
		page->row++;
	}
	draw_nics(page);
	draw_disks(page);
}

static void draw_lines(struct page *page)
{
	const struct status_info *i = page->info;
	uint32_t nr = MIN(i->nr_lines, page->share[LINES]);

	rule(page, i->nr_lines ? "Warnings and errors" : "No warnings, no errors");
	for (uint32_t n = i->nr_lines - nr; n < i->nr_lines; n++)
		grid_text(page->grid, page->row++, LABEL_COLUMN, WARN_COLOURS, "%s", i->lines[n]);
}

/* ---- the page ---- */

/* One row more for each list that wants one, in turn, until left is used up. */
static void share_rows(struct page *page, uint32_t left)
{
	const struct status_info *i = page->info;
	const uint32_t wanted[LISTS] = {
		[GUESTS] =
			MIN(i->nr_guests, STATUS_GUESTS_MAX + (i->nr_guests > STATUS_GUESTS_MAX)),
		[NICS] = MIN(i->nr_nics, STATUS_NICS_MAX),
		[DISKS] = MIN(i->nr_disks, STATUS_DISKS_MAX + (i->nr_disks > STATUS_DISKS_MAX)),
		[LINES] = i->nr_lines,
	};
	bool has_given = true;

	while (left > 0 && has_given) {
		has_given = false;
		for (uint32_t list = 0; list < LISTS && left > 0; list++) {
			if (page->share[list] == wanted[list])
				continue;
			page->share[list]++;
			left--;
			has_given = true;
		}
	}
	page->has_gaps = left >= NR_GAPS;
}

static uint32_t nr_fixed_rows(const struct status_info *i)
{
	const char *const facts[] = {i->agent.code, i->agent.address, i->agent.controller,
				     i->agent.error};
	uint32_t nr = 1 + 4 + 4; /* title, machine, four rules */

	nr += 1 + (!i->virt[0] && i->agent.state[0]); /* the state */
	for (size_t f = 0; f < ARRAY_SIZE(facts); f++)
		nr += facts[f][0] != '\0';
	return nr + (i->agent_restarts > 0) + (i->nr_nics == 0);
}

void status_page_draw(const struct status_info *info, struct screen_grid *grid)
{
	struct page page = {.info = info, .grid = grid};
	uint32_t fixed = nr_fixed_rows(info);

	share_rows(&page, grid->height > fixed ? grid->height - fixed : 0);
	draw_title(&page);
	draw_machine(&page);
	draw_node(&page);
	draw_guests(&page);
	draw_devices(&page);
	draw_lines(&page);
}
