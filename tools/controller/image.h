/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/images, and /agent/v1/blobs where nodes fetch them. */
#ifndef CONTROLLER_IMAGE_H
#define CONTROLLER_IMAGE_H

#include "tools/controller/http.h"

enum image_found {
	IMAGE_READY,
	IMAGE_NONE,
	IMAGE_OTHER_KIND, /* it is there, and of another kind */
	IMAGE_NOT_READY,  /* its upload has not ended, or ended badly */
};

/* image_find - the image of this kind that a name or an id means; id is its own, or empty */
enum image_found image_find(struct db *db, const char *name, const char *kind,
			    char id[static ID_TEXT_MAX]);

extern const struct route image_routes[];

#endif
