/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line's after-boot= asks for (see kernel/cmdline.h), so that tests can see it
 * done. */
#ifndef BOOT_AFTER_BOOT_H
#define BOOT_AFTER_BOOT_H

/* Returns when nothing is asked for. Boot CPU, everything up. */
void after_boot(void);

#endif
