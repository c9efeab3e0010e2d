/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's RAM: taken from the page allocator in the largest blocks there are, mapped, given back. */
#ifndef VMM_VM_MEMORY_H
#define VMM_VM_MEMORY_H

#include "vmm/vm.h"

/* vm_memory_create - vm->config.mem_bytes into vm->mem and vm->ept; HV_ENOMEM fills why, takes nothing */
MUST_CHECK enum hv_err vm_memory_create(struct vm *vm, char why[96]);
void vm_memory_destroy(struct vm *vm);

#endif
