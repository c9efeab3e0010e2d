/* SPDX-License-Identifier: Apache-2.0 */
/* Boots a Linux bzImage by the 64-bit boot protocol. */
#ifndef VMM_BOOT_LINUX_H
#define VMM_BOOT_LINUX_H

#include "vmm/boot_proto.h"

/*
 * boot_linux - put command line and zero page into guest memory, kernel and initrd onto the plan
 *
 * req      borrowed, but for what its plan keeps; headers are read once, and the rest as the plan
 *          is carried out
 * out      filled on HV_OK
 * why      on error, a sentence for people; a constant string
 *
 * Errors:  HV_EPROTO - not a bzImage that can be booted so; HV_ENOMEM - the guest's memory is too
 *          small for it; HV_EINVAL - the command line is too long; those of the images' read().
 *          Guest memory may have been written to.
 * Source:  [LINUX-BOOT] "The Linux/x86 Boot Protocol".
 */
MUST_CHECK enum hv_err boot_linux(const struct boot_request *req, struct boot_entry *out,
				  const char **why);

#endif
