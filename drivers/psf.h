/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A console font, as kbd and Linux use them: a header, glyphs of one bit for each pixel, and a
 * table that says which characters a glyph is for. Pure.
 *
 * Source: [PSF] "PSF version 1", "PSF version 2".
 */
#ifndef DRIVERS_PSF_H
#define DRIVERS_PSF_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

struct psf {
	const uint8_t *glyph[256]; /* by character of drivers/screen_grid.h; those without one
				      have the question mark's */
	uint32_t width, height, row_bytes; /* of a glyph; a row's first pixel is its highest bit */
};

/*
 * psf_parse - find the glyphs of printable ASCII and of the grid's other characters
 *
 * file     borrowed for as long as out is used
 * Errors:  HV_EPROTO - no such font, or it does not hold what it says.
 */
MUST_CHECK enum hv_err psf_parse(const uint8_t *file, size_t len_bytes, struct psf *out);

#endif
