/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a font; every glyph that it is said to have can be read. */
#include <stdint.h>
#include <stdlib.h>

#include "drivers/psf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct psf font;

	if (psf_parse(data, size, &font) != HV_OK)
		return 0;
	for (unsigned ch = 0; ch < 256; ch++)
		for (uint32_t i = 0; i < font.row_bytes * font.height; i++)
			if (font.glyph[ch] + i >= data + size || font.glyph[ch] + i < data)
				abort();
	return 0;
}
