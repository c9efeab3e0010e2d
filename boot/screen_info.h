/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a loader says about the screen, judged before anybody draws on it. Pure; for the boot
 * protocols' parsers. A screen that cannot be used is none: it costs a warning, not the boot.
 */
#ifndef BOOT_SCREEN_INFO_H
#define BOOT_SCREEN_INFO_H

#include "boot/boot_info.h"

/*
 * screen_info_check - whether out->screen can be drawn on as it stands; SCREEN_NONE when not
 *
 * Text lies in the VGA's window. A framebuffer has room for 80 by 25 characters and colours that
 * fit their pixel, and lies where there is no RAM; so the memory map must be whole before this.
 */
void screen_info_check(struct boot_info *info);

#endif
