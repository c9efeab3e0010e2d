/* SPDX-License-Identifier: Apache-2.0 */
/* What the list of disks wants of the life of requests. */
#ifndef DRIVERS_BLOCK_PRIV_H
#define DRIVERS_BLOCK_PRIV_H

#include "drivers/block.h"

/* block_prepare - lists and timer of a disk that is new */
void block_prepare(struct block_dev *dev);

#endif
