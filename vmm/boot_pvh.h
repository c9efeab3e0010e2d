/* SPDX-License-Identifier: Apache-2.0 */
/* Boots an ELF kernel by PVH: 32-bit entry with a start info structure. So the agent boots. */
#ifndef VMM_BOOT_PVH_H
#define VMM_BOOT_PVH_H

#include "vmm/boot_proto.h"

/*
 * boot_pvh - put command line and start info into guest memory, kernel and initrd (as the one
 * module) onto the plan
 *
 * Parameters, errors and context as boot_linux(); RBX of the entry points at the start info.
 * Source:  [PVH] "x86/HVM direct boot ABI".
 */
MUST_CHECK enum hv_err boot_pvh(const struct boot_request *req, struct boot_entry *out,
				const char **why);

#endif
