/* SPDX-License-Identifier: Apache-2.0 */
/* The one boot_info; boot/main.c has it filled. */
#include "boot/boot_info.h"

struct boot_info boot_info;
