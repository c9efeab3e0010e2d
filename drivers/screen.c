/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     log line ──► page ──► compared with what is shown ──► VGA's memory, or pixels
 *     status page ─┘
 *
 * Until the first page the log draws, under the log's lock. From then on the one CPU that makes
 * pages does, until a panic, whose lines take the screen over for good: no lock is held then, and
 * no other CPU runs.
 */
#include "drivers/screen.h"

#include "drivers/screen_fb.h"
#include "kernel/cmdline.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"

/* [VGA] "CRT controller registers" */
#define CRTC_INDEX	  0x3d4
#define CRTC_DATA	  0x3d5
#define CRTC_CURSOR_START 0x0a
#define CURSOR_OFF	  0x20

#define PIXEL_CELLS_AT_ONCE 8u /* of up to 512 stores each, and those are slow */
#define TEXT_CELLS_AT_ONCE  256u
#define COMPARED_AT_ONCE    4000u /* cells looked at, changed or not */
#define LOG_COLOURS	    SCREEN_GREY
#define PANIC_COLOURS	    (SCREEN_WHITE | SCREEN_ON(SCREEN_RED))
#define PANIC_WORD	    "] PANIC: "
#define PANIC_WORD_BY	    24u /* the log's time stamp is no longer */

extern const uint8_t font_small[], font_small_end[], font_large[], font_large_end[];

static enum { OFF, SHOWS_LOG, SHOWS_PAGE, SHOWS_PANIC } state;
static enum boot_screen_kind kind;
static struct screen_grid shown, page;
static volatile struct screen_cell *text; /* VGA's */
static struct screen_fb fb;
static struct psf font;
static uint32_t log_row;      /* where the log's next line goes */
static uint32_t next_compare; /* the cell at which screen_draw_some() goes on */
static bool is_page_new;      /* not all of it was compared yet */

static void draw(uint32_t row, uint32_t column)
{
	struct screen_cell cell = page.cells[row][column];

	shown.cells[row][column] = cell;
	if (kind == SCREEN_FRAMEBUFFER)
		screen_fb_draw(&fb, row, column, cell);
	else
		text[row * page.width + column] = cell;
}

static bool is_shown(uint32_t row, uint32_t column)
{
	const struct screen_cell *a = &page.cells[row][column], *b = &shown.cells[row][column];

	return a->ch == b->ch && a->colours == b->colours;
}

static void draw_row(uint32_t row)
{
	for (uint32_t column = 0; column < page.width; column++)
		if (!is_shown(row, column))
			draw(row, column);
}

/* ---- the log ---- */

static bool begins_panic(const char *line, size_t len)
{
	size_t word = strlen(PANIC_WORD);

	for (size_t at = 0; at + word <= len && at < PANIC_WORD_BY; at++)
		if (memcmp(line + at, PANIC_WORD, word) == 0)
			return true;
	return false;
}

static void show_panic(void)
{
	state = SHOWS_PANIC;
	log_row = 1;
	grid_clear(&page, PANIC_COLOURS);
	grid_text(&page, 0, 0, PANIC_COLOURS,
		  " Billet stopped: a bug in it, or broken hardware. "
		  "Please report what stands here.");
	for (uint32_t row = 0; row < page.height; row++)
		draw_row(row);
}

static void put_line(const char *line, size_t len, uint8_t colours)
{
	grid_clear_row(&page, log_row, colours);
	for (size_t i = 0; i < len && line[i] != '\n'; i++)
		grid_text(&page, log_row, (uint32_t)i, colours, "%c", line[i]);
	draw_row(log_row);
	log_row++;
}

static void log_sink(const char *line, size_t len_bytes)
{
	if (state != SHOWS_PANIC && begins_panic(line, len_bytes))
		show_panic();
	if (state == SHOWS_PANIC && log_row < page.height)
		put_line(line, len_bytes, PANIC_COLOURS);
	if (state == SHOWS_LOG) {
		if (log_row == page.height)
			log_row = 0; /* from the top again, rather than scroll */
		put_line(line, len_bytes, LOG_COLOURS);
	}
}

/* ---- taking it over ---- */

static bool init_text(const struct boot_screen *screen)
{
	text = mmio_map(screen->hpa, (uint64_t)screen->height * screen->pitch_bytes);
	if (!text)
		return false;
	page.width = MIN(screen->width, SCREEN_WIDTH_MAX);
	page.height = MIN(screen->height, SCREEN_HEIGHT_MAX);
	out8(CRTC_INDEX, CRTC_CURSOR_START);
	out8(CRTC_DATA, CURSOR_OFF);
	for (uint32_t i = 0; i < page.width * page.height; i++)
		text[i] = (struct screen_cell){' ', LOG_COLOURS};
	return true;
}

/* The page must fit, or the font is not the one. */
static bool take_font(const uint8_t *file, const uint8_t *end, const struct boot_screen *screen)
{
	return psf_parse(file, (size_t)(end - file), &font) == HV_OK &&
	       screen->width >= SCREEN_WIDTH_MIN * font.width &&
	       screen->height >= SCREEN_HEIGHT_MIN * font.height;
}

static bool init_framebuffer(const struct boot_screen *screen)
{
	uint8_t *pixels;

	if (!take_font(font_large, font_large_end, screen) &&
	    !take_font(font_small, font_small_end, screen))
		return false;
	pixels = mmio_map(screen->hpa, (uint64_t)screen->height * screen->pitch_bytes);
	if (!pixels)
		return false;
	screen_fb_init(&fb, pixels, screen, &font, &page);
	screen_fb_clear(&fb);
	return true;
}

void screen_init(const struct boot_screen *screen)
{
	static const char *const words[] = {"on", "off"};
	bool is_usable;

	if (screen->kind == SCREEN_NONE || cmdline_choose("screen", words, ARRAY_SIZE(words), 0))
		return;
	is_usable = screen->kind == SCREEN_VGA_TEXT ? init_text(screen) : init_framebuffer(screen);
	if (!is_usable) {
		log_warn("screen", "it cannot be used");
		return;
	}
	kind = screen->kind;
	shown.width = page.width;
	shown.height = page.height;
	grid_clear(&shown, LOG_COLOURS);
	grid_clear(&page, LOG_COLOURS);
	state = SHOWS_LOG;
	log_add_sink(log_sink, LOG_DBG);
}

/* ---- pages ---- */

bool screen_is_on(void)
{
	return state != OFF;
}

struct screen_grid *screen_begin_page(void)
{
	if (state == OFF || state == SHOWS_PANIC)
		return NULL;
	state = SHOWS_PAGE;
	is_page_new = true;
	next_compare = 0;
	grid_clear(&page, SCREEN_GREY);
	return &page;
}

bool screen_draw_some(void)
{
	uint32_t nr_cells = page.width * page.height, drawn = 0, compared = 0;
	uint32_t at_once = kind == SCREEN_FRAMEBUFFER ? PIXEL_CELLS_AT_ONCE : TEXT_CELLS_AT_ONCE;

	if (state != SHOWS_PAGE || !is_page_new)
		return true;
	for (; next_compare < nr_cells; next_compare++, compared++) {
		uint32_t row = next_compare / page.width, column = next_compare % page.width;

		if (drawn == at_once || compared == COMPARED_AT_ONCE)
			return false;
		if (is_shown(row, column))
			continue;
		draw(row, column);
		drawn++;
	}
	is_page_new = false;
	return true;
}
