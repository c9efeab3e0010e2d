/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/images, and /agent/v1/blobs where nodes fetch them. */
#ifndef CONTROLLER_IMAGE_H
#define CONTROLLER_IMAGE_H

#include "tools/controller/http.h"

extern const struct route image_routes[];

#endif
