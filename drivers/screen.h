/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The screen that firmware or loader left: VGA text or a framebuffer. It shows the log while the
 * machine boots, then pages that somebody makes, and in the end a panic.
 *
 * Only cells that changed are drawn, and only so many at once, since a framebuffer's memory is slow
 * and guests wait meanwhile. Nothing here waits for a device.
 */
#ifndef DRIVERS_SCREEN_H
#define DRIVERS_SCREEN_H

#include "boot/boot_info.h"
#include "drivers/screen_grid.h"

/*
 * screen_init - take the screen over, unless the command line says screen=off; from now on it shows
 * each line of the log. Boot CPU, when mmio_map() works.
 */
void screen_init(const struct boot_screen *screen);

/* screen_begin_page - a grid of the screen's size to draw on, empty; NULL when there is no screen
 */
struct screen_grid *screen_begin_page(void);

/* screen_is_on - whether there is one */
bool screen_is_on(void);

/*
 * screen_draw_some - make the screen look more like the page: a bounded number of cells
 *
 * The first call ends the time in which the log was shown. False: there is more to draw, call it
 * again soon. From one CPU only.
 */
bool screen_draw_some(void);

#endif
