/* SPDX-License-Identifier: Apache-2.0 */
/* What only a running machine can show: timers, calls between CPUs, kicks, MSRs that are not there.
 */
#ifndef BOOT_CHECKS_H
#define BOOT_CHECKS_H

/* Each check that does not hold panics; afterwards power off. For after-boot=check, all CPUs idle.
 */
void checks_run(void);

#endif
