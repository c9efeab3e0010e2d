/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that are wider than any screen and narrow enough that no sum below can wrap. */
#include "boot/screen_info.h"

#include "boot/ranges.h"
#include "kernel/log.h"

#define VGA_TEXT_HPA	 0xb8000ull
#define VGA_TEXT_BYTES	 0x8000ull
#define TEXT_WIDTH_MIN	 80u
#define TEXT_WIDTH_MAX	 132u
#define TEXT_HEIGHT_MIN	 25u
#define TEXT_HEIGHT_MAX	 60u
#define PIXELS_WIDTH_MIN 640u
#define PIXELS_WIDTH_MAX 16384u
#define PIXELS_HIGH_MIN	 400u
#define PIXELS_HIGH_MAX	 16384u
#define PITCH_MAX	 (PIXELS_WIDTH_MAX * 4)
#define SCREEN_BYTES_MAX (256 * MIB)
#define SCREEN_END_MAX	 (1ull << 46) /* what the kernel's page tables have room for */

static bool is_within(uint32_t value, uint32_t least, uint32_t most)
{
	return value >= least && value <= most;
}

static bool is_text_usable(const struct boot_screen *s)
{
	return s->hpa == VGA_TEXT_HPA && is_within(s->width, TEXT_WIDTH_MIN, TEXT_WIDTH_MAX) &&
	       is_within(s->height, TEXT_HEIGHT_MIN, TEXT_HEIGHT_MAX) &&
	       s->pitch_bytes == s->width * 2 &&
	       (uint64_t)s->height * s->pitch_bytes <= VGA_TEXT_BYTES;
}

static bool fits_pixel(struct boot_screen_colour c, uint32_t bits_per_pixel)
{
	return is_within(c.bits, 1, 8) && c.shift + c.bits <= bits_per_pixel;
}

static bool is_framebuffer_usable(const struct boot_info *info, const struct boot_screen *s)
{
	uint64_t len = (uint64_t)s->height * s->pitch_bytes;

	if (s->bits_per_pixel != 16 && s->bits_per_pixel != 24 && s->bits_per_pixel != 32)
		return false;
	if (!is_within(s->width, PIXELS_WIDTH_MIN, PIXELS_WIDTH_MAX) ||
	    !is_within(s->height, PIXELS_HIGH_MIN, PIXELS_HIGH_MAX) ||
	    !is_within(s->pitch_bytes, s->width * (s->bits_per_pixel / 8), PITCH_MAX))
		return false;
	if (!fits_pixel(s->red, s->bits_per_pixel) || !fits_pixel(s->green, s->bits_per_pixel) ||
	    !fits_pixel(s->blue, s->bits_per_pixel))
		return false;
	return s->hpa != 0 && len <= SCREEN_BYTES_MAX && range_fits(s->hpa, len, SCREEN_END_MAX) &&
	       !ranges_touch_ram(info, s->hpa, len);
}

void screen_info_check(struct boot_info *info)
{
	struct boot_screen *s = &info->screen;

	if (s->kind == SCREEN_NONE ||
	    (s->kind == SCREEN_VGA_TEXT ? is_text_usable(s) : is_framebuffer_usable(info, s)))
		return;
	log_warn("boot", "a screen of %u x %u, %u bits, %u bytes a line at 0x%lx cannot be used",
		 s->width, s->height, s->bits_per_pixel, s->pitch_bytes, s->hpa);
	*s = (struct boot_screen){.kind = SCREEN_NONE};
}
