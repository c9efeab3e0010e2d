/* SPDX-License-Identifier: Apache-2.0 */
/* Grids, fonts and pixels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/psf.h"
#include "drivers/screen_fb.h"
#include "drivers/screen_grid.h"
#include "kernel/lib/bytes.h"

#define WIDTH  80u
#define HEIGHT 25u

static struct screen_grid grid;

static int start(void **state)
{
	(void)state;
	memset(&grid, 0xee, sizeof(grid));
	grid.width = WIDTH;
	grid.height = HEIGHT;
	grid_clear(&grid, 7);
	return 0;
}

/* ---- grids ---- */

static void a_grid_stays_within_its_size(void **state)
{
	(void)state;
	assert_int_equal(grid_text(&grid, 3, 76, 1, "%s", "abcdef"), 80);
	assert_int_equal(grid.cells[3][79].ch, 'd');
	assert_int_equal(grid.cells[3][80].ch, 0xee);
	assert_int_equal(grid_text(&grid, HEIGHT, 0, 1, "x"), 0);
	assert_int_equal(grid.cells[HEIGHT][0].ch, 0xee);
	grid_fill(&grid, 4, 78, 0xffffffff, '#', 1);
	assert_int_equal(grid.cells[4][79].ch, '#');
	assert_int_equal(grid.cells[4][80].ch, 0xee);
	grid_fill(&grid, 0xffffffff, 0, 1, '#', 1);
	assert_int_equal(grid_text(&grid, 5, 200, 1, "x"), 200);
}

static void what_is_not_printable_is_a_question_mark(void **state)
{
	(void)state;
	grid_text(&grid, 0, 0, 0x1f, "a\x1b\x7f\xff~");
	assert_int_equal(grid.cells[0][0].ch, 'a');
	assert_int_equal(grid.cells[0][1].ch, '?');
	assert_int_equal(grid.cells[0][2].ch, '?');
	assert_int_equal(grid.cells[0][3].ch, '?');
	assert_int_equal(grid.cells[0][4].ch, '~');
	assert_int_equal(grid.cells[0][4].colours, 0x1f);
}

/* ---- fonts ---- */

#define GLYPHS 4u

/* Glyph n of a font of 8 by 8 has n + 1 in every row. */
static size_t make_psf1(uint8_t *file)
{
	static const uint16_t table[] = {' ',	 0xffff, '?',	 0xffff, 'A', 'B',
					 0xffff, 0x2500, 0xfffe, 'C',	 'D', 0xffff};
	size_t at = 4;

	put_le16(file, 0x0436);
	file[2] = 2;
	file[3] = 8;
	for (uint32_t n = 0; n < 256; n++, at += 8)
		memset(file + at, (int)(n + 1), 8);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++, at += 2)
		put_le16(file + at, table[i]);
	return at;
}

static size_t make_psf2(uint8_t *file, uint32_t width, uint32_t height)
{
	static const uint8_t table[] = {' ',  0xff, '?',  0xff, 'A',  'B',  0xff, 0xe2,
					0x94, 0x80, 0xfe, 'C',	0xcc, 0x81, 0xff};
	uint32_t bytes = (width + 7) / 8 * height;
	size_t at = 32;

	put_le32(file, 0x864ab572);
	put_le32(file + 4, 0);
	put_le32(file + 8, 32);
	put_le32(file + 12, 1);
	put_le32(file + 16, GLYPHS);
	put_le32(file + 20, bytes);
	put_le32(file + 24, height);
	put_le32(file + 28, width);
	for (uint32_t n = 0; n < GLYPHS; n++, at += bytes)
		memset(file + at, (int)(n + 1), bytes);
	memcpy(file + at, table, sizeof(table));
	return at + sizeof(table);
}

static void check_glyphs(const struct psf *font)
{
	assert_int_equal(font->glyph[' '][0], 1);
	assert_int_equal(font->glyph['?'][0], 2);
	assert_int_equal(font->glyph['A'][0], 3);
	assert_int_equal(font->glyph['B'][0], 3);
	assert_int_equal(font->glyph[SCREEN_CHAR_LINE][0], 4);
	assert_int_equal(font->glyph['C'][0], 2); /* only in a sequence */
	assert_int_equal(font->glyph['z'][0], 2);
	assert_int_equal(font->glyph[0][0], 2);
}

static void reads_fonts_of_both_versions(void **state)
{
	static uint8_t file[4096];
	struct psf font;

	(void)state;
	assert_int_equal(psf_parse(file, make_psf1(file), &font), HV_OK);
	assert_int_equal(font.width, 8);
	assert_int_equal(font.height, 8);
	check_glyphs(&font);
	assert_int_equal(psf_parse(file, make_psf2(file, 16, 32), &font), HV_OK);
	assert_int_equal(font.width, 16);
	assert_int_equal(font.height, 32);
	assert_int_equal(font.row_bytes, 2);
	check_glyphs(&font);
}

static void refuses_fonts_that_do_not_hold_what_they_say(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
	} rows[] = {{0, 0},   {8, 31}, {8, 0xffffffff}, {12, 0}, {16, 5000}, {16, 100},
		    {20, 63}, {24, 3}, {24, 65},	{28, 3}, {28, 33},   {28, 24}};
	uint8_t file[512];
	size_t len = make_psf2(file, 16, 32);
	struct psf font;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make_psf2(file, 16, 32);
		put_le32(file + rows[i].at, rows[i].value);
		assert_int_equal(psf_parse(file, len, &font), HV_EPROTO);
	}
	make_psf2(file, 16, 32);
	for (size_t cut = 0; cut < len - 8; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, file, cut);
		(void)!psf_parse(copy, cut, &font);
		free(copy);
	}
	assert_int_equal(psf_parse(file, 32 + 64 * GLYPHS, &font), HV_EPROTO); /* no characters */
}

/* ---- pixels ---- */

static const struct boot_screen rgb32 = {
	SCREEN_FRAMEBUFFER, 0, 650, 410, 650 * 4 + 12, 32, {16, 8}, {8, 8}, {0, 8}};
static const struct boot_screen rgb24 = {
	SCREEN_FRAMEBUFFER, 0, 650, 410, 650 * 3 + 5, 24, {16, 8}, {8, 8}, {0, 8}};
static const struct boot_screen rgb16 = {
	SCREEN_FRAMEBUFFER, 0, 650, 410, 650 * 2 + 6, 16, {11, 5}, {5, 6}, {0, 5}};

static uint32_t pixel_at(const uint8_t *pixels, const struct boot_screen *mode, uint32_t x,
			 uint32_t y)
{
	const uint8_t *at = pixels + (size_t)y * mode->pitch_bytes + x * (mode->bits_per_pixel / 8);
	uint32_t pixel = 0;

	memcpy(&pixel, at, mode->bits_per_pixel / 8);
	return pixel;
}

static void draws_in(const struct boot_screen *mode, uint32_t white)
{
	static uint8_t file[8192];
	uint8_t *pixels = calloc(mode->height, mode->pitch_bytes);
	struct screen_fb fb;
	struct psf font;

	assert_int_equal(psf_parse(file, make_psf2(file, 8, 16), &font), HV_OK);
	screen_fb_init(&fb, pixels, mode, &font, &grid);
	assert_int_equal(grid.width, 81);
	assert_int_equal(grid.height, 25);
	screen_fb_clear(&fb);
	assert_int_equal(pixel_at(pixels, mode, 649, 409), fb.colour[0]);

	/* Glyph of 'A' is 00000011 in every row; one pixel is left of the grid, five above. */
	screen_fb_draw(&fb, 24, 80,
		       (struct screen_cell){'A', SCREEN_WHITE | SCREEN_ON(SCREEN_BLUE)});
	for (uint32_t y = 5 + 24 * 16; y < 5 + 25 * 16; y++)
		for (uint32_t x = 1 + 80 * 8; x < 1 + 81 * 8; x++)
			assert_int_equal(pixel_at(pixels, mode, x, y),
					 x >= 1 + 80 * 8 + 6 ? white : fb.colour[SCREEN_BLUE]);
	assert_int_equal(pixel_at(pixels, mode, 640, 400), fb.colour[0]);
	assert_int_equal(pixel_at(pixels, mode, 648, 405), fb.colour[0]);
	free(pixels);
}

static void draws_pixels_of_every_depth(void **state)
{
	(void)state;
	draws_in(&rgb32, 0xffffff);
	draws_in(&rgb24, 0xffffff);
	draws_in(&rgb16, 0xffff);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_grid_stays_within_its_size),
		TEST(what_is_not_printable_is_a_question_mark),
		TEST(reads_fonts_of_both_versions),
		TEST(refuses_fonts_that_do_not_hold_what_they_say),
		TEST(draws_pixels_of_every_depth),
	};

	return cmocka_run_group_tests_name("screen", tests, NULL, NULL);
}
