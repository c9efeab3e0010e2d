/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both versions are the same in another form, so each has a header that is read into a layout:
 *
 *     header | glyph glyph glyph ... | for each glyph: characters ... [mark sequence ...] end
 *
 * In version 1 characters are 16-bit words, in version 2 UTF-8.
 */
#include "drivers/psf.h"

#include "drivers/screen_grid.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

/* [PSF] "PSF version 1" */
#define PSF1_MAGIC	  0x0436u
#define PSF1_HEADER_BYTES 4u
#define PSF1_MODE	  2u
#define PSF1_CHARSIZE	  3u
#define PSF1_MODE512	  1u
#define PSF1_MODE_HASTAB  6u
#define PSF1_SEQUENCE	  0xfffeu
#define PSF1_SEPARATOR	  0xffffu

/* [PSF] "PSF version 2" */
#define PSF2_MAGIC	  0x864ab572u
#define PSF2_HEADER_BYTES 32u
#define PSF2_HEADERSIZE	  8u
#define PSF2_FLAGS	  12u
#define PSF2_LENGTH	  16u
#define PSF2_CHARSIZE	  20u
#define PSF2_HEIGHT	  24u
#define PSF2_WIDTH	  28u
#define PSF2_HAS_UNICODE  1u
#define PSF2_SEQUENCE	  0xfeu
#define PSF2_SEPARATOR	  0xffu

#define GLYPH_WIDTH_MAX	 32u
#define GLYPH_HEIGHT_MAX 64u
#define GLYPHS_MAX	 4096u

enum { MARK_END = 0xffffffff, MARK_SEQUENCE = 0xfffffffe }; /* what no codepoint is */

struct layout {
	uint32_t header_bytes, nr_glyphs, glyph_bytes;
	uint32_t (*next)(const uint8_t *at, size_t left, size_t *nr_bytes);
};

static const struct {
	uint32_t codepoint;
	uint8_t ch;
} other_chars[] = {
	{0x2500, SCREEN_CHAR_LINE}, {0x2591, SCREEN_CHAR_SHADE}, {0x2588, SCREEN_CHAR_BLOCK}};

/* The character of a grid that a codepoint is, or 0. */
static uint8_t char_of(uint32_t codepoint)
{
	if (codepoint >= ' ' && codepoint <= '~')
		return (uint8_t)codepoint;
	for (size_t i = 0; i < ARRAY_SIZE(other_chars); i++)
		if (other_chars[i].codepoint == codepoint)
			return other_chars[i].ch;
	return 0;
}

static uint32_t next_word(const uint8_t *at, size_t left, size_t *nr_bytes)
{
	uint32_t word;

	*nr_bytes = 2;
	if (left < 2)
		return 0;
	word = get_le16(at);
	return word == PSF1_SEPARATOR ? MARK_END : word == PSF1_SEQUENCE ? MARK_SEQUENCE : word;
}

/* As far as three bytes go; what is longer or broken is 0. */
static uint32_t next_utf8(const uint8_t *at, size_t left, size_t *nr_bytes)
{
	uint32_t nr = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4, value;

	*nr_bytes = 1;
	if (at[0] == PSF2_SEPARATOR)
		return MARK_END;
	if (at[0] == PSF2_SEQUENCE)
		return MARK_SEQUENCE;
	*nr_bytes = nr;
	if (nr > left || nr > 3)
		return 0;
	value = nr == 1 ? at[0] : at[0] & (0xffu >> (nr + 1));
	for (uint32_t i = 1; i < nr; i++)
		value = value << 6 | (at[i] & 0x3f);
	return value;
}

/* Of a sequence of codepoints that are one glyph, none is a character of ours. */
static void read_table(const uint8_t *table, size_t len, const uint8_t *glyphs,
		       const struct layout *layout, struct psf *out)
{
	bool is_sequence = false;
	uint32_t glyph = 0;

	for (size_t at = 0, step; at < len && glyph < layout->nr_glyphs; at += step) {
		uint32_t what = layout->next(table + at, len - at, &step);

		if (what == MARK_END) {
			glyph++;
			is_sequence = false;
		} else if (what == MARK_SEQUENCE) {
			is_sequence = true;
		} else if (!is_sequence && char_of(what)) {
			out->glyph[char_of(what)] = glyphs + (size_t)glyph * layout->glyph_bytes;
		}
	}
}

static bool read_header(const uint8_t *file, size_t len, struct layout *layout, struct psf *out)
{
	if (len >= PSF1_HEADER_BYTES && get_le16(file) == PSF1_MAGIC) {
		uint8_t mode = file[PSF1_MODE];

		*layout = (struct layout){PSF1_HEADER_BYTES, mode & PSF1_MODE512 ? 512 : 256,
					  file[PSF1_CHARSIZE], next_word};
		out->width = 8;
		out->height = file[PSF1_CHARSIZE];
		return mode & PSF1_MODE_HASTAB;
	}
	if (len < PSF2_HEADER_BYTES || get_le32(file) != PSF2_MAGIC)
		return false;
	*layout = (struct layout){get_le32(file + PSF2_HEADERSIZE), get_le32(file + PSF2_LENGTH),
				  get_le32(file + PSF2_CHARSIZE), next_utf8};
	out->width = get_le32(file + PSF2_WIDTH);
	out->height = get_le32(file + PSF2_HEIGHT);
	return layout->header_bytes >= PSF2_HEADER_BYTES &&
	       (get_le32(file + PSF2_FLAGS) & PSF2_HAS_UNICODE);
}

enum hv_err psf_parse(const uint8_t *file, size_t len_bytes, struct psf *out)
{
	struct layout layout;
	uint64_t end;

	memset(out, 0, sizeof(*out));
	if (!read_header(file, len_bytes, &layout, out))
		return HV_EPROTO;
	if (out->width < 4 || out->width > GLYPH_WIDTH_MAX || out->height < 4 ||
	    out->height > GLYPH_HEIGHT_MAX || layout.nr_glyphs > GLYPHS_MAX)
		return HV_EPROTO;
	out->row_bytes = (out->width + 7) / 8;
	end = (uint64_t)layout.header_bytes + (uint64_t)layout.nr_glyphs * layout.glyph_bytes;
	if (layout.glyph_bytes != out->row_bytes * out->height || end > len_bytes)
		return HV_EPROTO;

	read_table(file + end, len_bytes - end, file + layout.header_bytes, &layout, out);
	if (!out->glyph[' '] || !out->glyph['?'])
		return HV_EPROTO;
	for (uint32_t ch = 0; ch < ARRAY_SIZE(out->glyph); ch++)
		if (!out->glyph[ch])
			out->glyph[ch] = out->glyph['?'];
	return HV_OK;
}
