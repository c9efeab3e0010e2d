/* SPDX-License-Identifier: Apache-2.0 */
/* Characters drawn as pixels. Pure: a framebuffer is memory like any other here. */
#ifndef DRIVERS_SCREEN_FB_H
#define DRIVERS_SCREEN_FB_H

#include "boot/boot_info.h"
#include "drivers/psf.h"
#include "drivers/screen_grid.h"

struct screen_fb {
	uint8_t *pixels;
	struct boot_screen mode; /* checked: boot/screen_info.h */
	const struct psf *font;
	uint32_t left, top;  /* pixels around the grid */
	uint32_t colour[16]; /* VGA's, as pixels of this mode */
};

/*
 * screen_fb_init - a grid in the middle of the screen
 *
 * pixels   mode->height * mode->pitch_bytes, kept
 * font     kept; so small that SCREEN_WIDTH_MIN by SCREEN_HEIGHT_MIN characters fit
 * grid     its size is set; its cells are not touched
 */
void screen_fb_init(struct screen_fb *fb, uint8_t *pixels, const struct boot_screen *mode,
		    const struct psf *font, struct screen_grid *grid);

/* screen_fb_clear - everything black, the edges too */
void screen_fb_clear(struct screen_fb *fb);

void screen_fb_draw(struct screen_fb *fb, uint32_t row, uint32_t column, struct screen_cell cell);

#endif
