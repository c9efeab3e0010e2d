/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is written outside of a grid, whatever row and column are asked for. */
#include "drivers/screen_grid.h"

#include "kernel/lib/fmt.h"

void grid_fill(struct screen_grid *grid, uint32_t row, uint32_t column, uint32_t nr, uint8_t ch,
	       uint8_t colours)
{
	if (row >= grid->height)
		return;
	for (uint32_t x = column; x < grid->width && x - column < nr; x++)
		grid->cells[row][x] = (struct screen_cell){ch, colours};
}

void grid_clear_row(struct screen_grid *grid, uint32_t row, uint8_t colours)
{
	grid_fill(grid, row, 0, grid->width, ' ', colours);
}

void grid_clear(struct screen_grid *grid, uint8_t colours)
{
	for (uint32_t row = 0; row < grid->height; row++)
		grid_clear_row(grid, row, colours);
}

uint32_t grid_text(struct screen_grid *grid, uint32_t row, uint32_t column, uint8_t colours,
		   const char *format, ...)
{
	char text[SCREEN_WIDTH_MAX + 1];
	va_list args;

	if (row >= grid->height)
		return column;
	va_start(args, format);
	fmt_v(text, sizeof(text), format, args);
	va_end(args);
	for (const char *at = text; *at && column < grid->width; at++, column++) {
		uint8_t ch = *at >= ' ' && *at <= '~' ? (uint8_t)*at : '?';

		grid->cells[row][column] = (struct screen_cell){ch, colours};
	}
	return column;
}
