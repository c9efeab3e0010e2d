/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a VM's life that the run loop and the services of devices call. */
#ifndef VMM_VM_LIFE_H
#define VMM_VM_LIFE_H

#include "vmm/vm.h"

/*
 * vm_life_take - be the only one who changes this VM's state, until vm_life_give
 *
 * While it waits it answers other CPUs' requests to park, so two CPUs that stop one another's VMs
 * cannot wait for each other. False: the VM is being destroyed, and nothing was taken; the control
 * queue, which destroys VMs itself, never sees that. Context: no lock held.
 */
bool vm_life_take(struct vm *vm);
void vm_life_give(struct vm *vm);

/* vm_carry_out_stop - what vm->stop_reason asks for. Context: run loop, no vCPU entered on this
 * CPU. */
void vm_carry_out_stop(struct vm *vm);

/* vm_life_begin, vm_life_end - the first and the last of it, at creation and destruction; after the
 * end nobody but the caller looks at the VM */
void vm_life_begin(struct vm *vm);
void vm_life_end(struct vm *vm);

/* Counters up to now, before the state or the size changes. Under vm->lock. */
void vm_account(struct vm *vm);

#endif
