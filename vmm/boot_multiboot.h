/* SPDX-License-Identifier: Apache-2.0 */
/* Boots a kernel by Multiboot (version 1): hobby kernels, test guests, other hypervisors. */
#ifndef VMM_BOOT_MULTIBOOT_H
#define VMM_BOOT_MULTIBOOT_H

#include "vmm/boot_proto.h"

/*
 * boot_multiboot - put kernel, initrd (as the one module), command line and information into memory
 *
 * Parameters, errors and context as boot_linux(); RAX of the entry is the magic number, RBX points
 * at the information. Kernels that demand a video mode are refused. Source:  [MULTIBOOT] "OS image
 * format", "Machine state", "Boot information format".
 */
MUST_CHECK enum hv_err boot_multiboot(const struct boot_request *req, struct boot_entry *out,
				      const char **why);

#endif
