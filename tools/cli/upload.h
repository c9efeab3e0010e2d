/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing a file to the controller as an image: hashed, in pieces, resumed where it broke off. */
#ifndef CLI_UPLOAD_H
#define CLI_UPLOAD_H

#include "tools/cli/api.h"

#define UPLOAD_SHA256_BYTES 32u

struct upload_file {
	const char *path; /* borrowed */
	int fd;		  /* the caller closes it */
	uint64_t size;
	char sha256[2 * UPLOAD_SHA256_BYTES + 1];
	const char *kind; /* the caller's: "kernel", "initrd", "release" */
};

struct upload_extra { /* more that the image's entry says; a row without a key ends it */
	const char *key, *text;
};

/* upload_open - open and hash a file; ends the program when it is not one */
void upload_open(struct upload_file *f, const char *path);

/* upload_image - make the entry, or find an earlier one of the same bytes, and send what is
 * missing; the image as the controller has it then. Gives. */
yyjson_doc *upload_image(const struct upload_file *f, const char *name,
			 const struct upload_extra *extra);

#endif
