/* SPDX-License-Identifier: Apache-2.0 */
/* Every store is volatile and as wide as a pixel, since the memory behind it is a device's. */
#include "drivers/screen_fb.h"

#include "kernel/lib/assert.h"

/* The sixteen colours of a text screen, a little softer than VGA's own: red, green, blue. */
static const uint8_t palette[16][3] = {
	{0x10, 0x12, 0x16}, {0x1d, 0x4f, 0x8c}, {0x2e, 0x8b, 0x57}, {0x2a, 0x8c, 0x9c},
	{0xa8, 0x2a, 0x2a}, {0x8c, 0x3a, 0x8c}, {0xa8, 0x70, 0x1c}, {0xb8, 0xbe, 0xc6},
	{0x6c, 0x74, 0x7e}, {0x6a, 0xa8, 0xf0}, {0x6c, 0xd0, 0x84}, {0x6c, 0xd4, 0xe0},
	{0xff, 0x74, 0x6c}, {0xe0, 0x8c, 0xe0}, {0xf4, 0xd0, 0x5c}, {0xff, 0xff, 0xff},
};

static uint32_t pixel_part(uint8_t value, struct boot_screen_colour c)
{
	return (uint32_t)(value >> (8 - c.bits)) << c.shift;
}

void screen_fb_init(struct screen_fb *fb, uint8_t *pixels, const struct boot_screen *mode,
		    const struct psf *font, struct screen_grid *grid)
{
	ASSERT(mode->width >= SCREEN_WIDTH_MIN * font->width &&
	       mode->height >= SCREEN_HEIGHT_MIN * font->height);

	fb->pixels = pixels;
	fb->mode = *mode;
	fb->font = font;
	grid->width = MIN(mode->width / font->width, SCREEN_WIDTH_MAX);
	grid->height = MIN(mode->height / font->height, SCREEN_HEIGHT_MAX);
	fb->left = (mode->width - grid->width * font->width) / 2;
	fb->top = (mode->height - grid->height * font->height) / 2;
	for (uint32_t i = 0; i < ARRAY_SIZE(palette); i++)
		fb->colour[i] = pixel_part(palette[i][0], mode->red) |
				pixel_part(palette[i][1], mode->green) |
				pixel_part(palette[i][2], mode->blue);
}

static uint8_t *put_pixel(uint8_t *at, uint32_t bits_per_pixel, uint32_t pixel)
{
	switch (bits_per_pixel) {
	case 32:
		*(volatile uint32_t *)at = pixel;
		return at + 4;
	case 24:
		((volatile uint8_t *)at)[0] = (uint8_t)pixel;
		((volatile uint8_t *)at)[1] = (uint8_t)(pixel >> 8);
		((volatile uint8_t *)at)[2] = (uint8_t)(pixel >> 16);
		return at + 3;
	default:
		*(volatile uint16_t *)at = (uint16_t)pixel;
		return at + 2;
	}
}

void screen_fb_clear(struct screen_fb *fb)
{
	for (uint32_t y = 0; y < fb->mode.height; y++) {
		uint8_t *at = fb->pixels + (uint64_t)y * fb->mode.pitch_bytes;

		for (uint32_t x = 0; x < fb->mode.width; x++)
			at = put_pixel(at, fb->mode.bits_per_pixel, fb->colour[SCREEN_BLACK]);
	}
}

void screen_fb_draw(struct screen_fb *fb, uint32_t row, uint32_t column, struct screen_cell cell)
{
	const struct psf *font = fb->font;
	const uint8_t *bits = font->glyph[cell.ch];
	uint32_t ink = fb->colour[cell.colours & 15], paper = fb->colour[cell.colours >> 4 & 7];
	uint32_t left = fb->left + column * font->width, top = fb->top + row * font->height;

	ASSERT(left + font->width <= fb->mode.width && top + font->height <= fb->mode.height);

	for (uint32_t y = 0; y < font->height; y++, bits += font->row_bytes) {
		uint8_t *at = fb->pixels + (uint64_t)(top + y) * fb->mode.pitch_bytes +
			      (uint64_t)left * (fb->mode.bits_per_pixel / 8);

		for (uint32_t x = 0; x < font->width; x++)
			at = put_pixel(at, fb->mode.bits_per_pixel,
				       bits[x / 8] >> (7 - x % 8) & 1 ? ink : paper);
	}
}
