/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM boots from, by the protocol that its config names. */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include "vmm/boot_proto.h"
#include "vmm/vm.h"

/* boot_hold - take hold of the images that vm->config names, for the VM's life. HV_ENOENT fills
 * why. */
MUST_CHECK enum hv_err boot_hold(struct vm *vm, char why[96]);
void boot_release(struct vm *vm);

/*
 * boot_vm - put tables, command line and the like into the guest's memory, and into vm->plan where
 * kernel and initrd go; vCPUs parked. Errors and why as the protocol's.
 */
MUST_CHECK enum hv_err boot_vm(struct vm *vm, struct boot_entry *entry, const char **why);

#endif
