/* SPDX-License-Identifier: Apache-2.0 */
/* How memory starts; for boot/main.c. */
#ifndef KERNEL_MEMORY_INIT_H
#define KERNEL_MEMORY_INIT_H

#include "boot/boot_info.h"

/*
 * memory_init - all RAM but the first MiB, this image, and the modules becomes free pages
 *
 * Panics when there is no room for the page array. Context: boot, once, after paging_init.
 */
void memory_init(const struct boot_info *info);

#endif
