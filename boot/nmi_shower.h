/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: NMIs to the other CPUs while they run guests, with nmi-every=MS on the command line.
 */
#ifndef BOOT_NMI_SHOWER_H
#define BOOT_NMI_SHOWER_H

/* nmi_shower_start - send them from now on, and log how many each CPU took. Boot CPU, others up. */
void nmi_shower_start(void);

#endif
