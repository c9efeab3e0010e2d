/* SPDX-License-Identifier: Apache-2.0 */
/* The status page on this machine's screen (vmm/status_page.h, drivers/screen.h). */
#ifndef VMM_STATUS_SCREEN_H
#define VMM_STATUS_SCREEN_H

/* status_screen_watch - remember warnings and errors from now on. Boot CPU, early. */
void status_screen_watch(void);

/*
 * status_screen_start - look at the facts every second, and draw when they have changed
 *
 * Boot CPU, when it is about to run guests: a timer of its own does it from then on. Nothing
 * happens on a machine without a screen.
 */
void status_screen_start(void);

#endif
