/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's RAM: taken from the page allocator in the largest blocks there are, mapped, cleared,
 * given back. */
#ifndef VMM_VM_MEMORY_H
#define VMM_VM_MEMORY_H

#include "vmm/vm.h"

/* vm_memory_create - vm->config.mem_bytes into vm->mem and vm->ept, not to be looked at before
 * vm_memory_clear_some() is done; HV_ENOMEM fills why, takes nothing */
MUST_CHECK enum hv_err vm_memory_create(struct vm *vm, char why[96]);

/*
 * vm_memory_clear_some - zero what others have left in it, a millisecond's worth at most, as
 * this CPU's guests wait for it; HV_OK: all of it is zero. HV_EAGAIN: there is more; why says how
 * much.
 */
MUST_CHECK enum hv_err vm_memory_clear_some(struct vm *vm, char why[96]);

/* vm_memory_destroy - unmapped and given back; nobody looks at vm->mem. Nothing happens without
 * any. */
void vm_memory_destroy(struct vm *vm);

bool vm_memory_is_there(const struct vm *vm);

#endif
