/* SPDX-License-Identifier: Apache-2.0 */
/* Up to a zero byte the key, after it the command line; into a small and into a tight buffer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cmdline.h"

#define CAP 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 2), *buf = malloc(CAP);
	const char *cmdline, *value;

	memcpy(text, data, size);
	text[size] = text[size + 1] = 0;
	cmdline = text + strlen(text) + 1;
	if (cmdline > text + size)
		cmdline = text + size;
	value = cmdline_find(cmdline, text, buf, CAP);
	if (value && (value != buf || strlen(value) >= CAP || strlen(value) > strlen(cmdline)))
		abort();
	free(buf);
	free(text);
	return 0;
}
