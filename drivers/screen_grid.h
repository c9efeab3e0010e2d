/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of characters, as wide and high as the screen or smaller. Pure: whoever makes a page puts
 * texts into a grid; drivers/screen.h shows it.
 *
 * Characters are printable ASCII and the three of code page 437 below; colours are VGA's.
 */
#ifndef DRIVERS_SCREEN_GRID_H
#define DRIVERS_SCREEN_GRID_H

#include <stdarg.h>

#include "kernel/lib/types.h"

#define SCREEN_WIDTH_MIN  80u
#define SCREEN_HEIGHT_MIN 25u
#define SCREEN_WIDTH_MAX  160u
#define SCREEN_HEIGHT_MAX 60u

#define SCREEN_CHAR_LINE  0xc4 /* U+2500 */
#define SCREEN_CHAR_SHADE 0xb0 /* U+2591 */
#define SCREEN_CHAR_BLOCK 0xdb /* U+2588 */

enum screen_colour { /* foreground; the first eight are backgrounds, too, shifted by four bits */
		     SCREEN_BLACK,
		     SCREEN_BLUE,
		     SCREEN_GREEN,
		     SCREEN_CYAN,
		     SCREEN_RED,
		     SCREEN_MAGENTA,
		     SCREEN_BROWN,
		     SCREEN_GREY,
		     SCREEN_DARK_GREY,
		     SCREEN_LIGHT_BLUE,
		     SCREEN_LIGHT_GREEN,
		     SCREEN_LIGHT_CYAN,
		     SCREEN_LIGHT_RED,
		     SCREEN_PINK,
		     SCREEN_YELLOW,
		     SCREEN_WHITE,
};
#define SCREEN_ON(background) ((background) << 4)

struct screen_cell {
	uint8_t ch, colours; /* as VGA has them in its memory */
};

struct screen_grid {
	uint32_t width, height; /* SCREEN_WIDTH_MIN to _MAX, SCREEN_HEIGHT_MIN to _MAX */
	struct screen_cell cells[SCREEN_HEIGHT_MAX][SCREEN_WIDTH_MAX];
};

/* grid_clear - spaces in these colours everywhere, or on one row */
void grid_clear(struct screen_grid *grid, uint8_t colours);
void grid_clear_row(struct screen_grid *grid, uint32_t row, uint8_t colours);

/* grid_fill - one character, nr times, cut at the edge */
void grid_fill(struct screen_grid *grid, uint32_t row, uint32_t column, uint32_t nr, uint8_t ch,
	       uint8_t colours);

/*
 * grid_text - one line of text, cut at the edge; what is not printable ASCII becomes '?'
 *
 * returns  the column behind it
 */
uint32_t grid_text(struct screen_grid *grid, uint32_t row, uint32_t column, uint8_t colours,
		   const char *format, ...) PRINTF(5, 6);

#endif
