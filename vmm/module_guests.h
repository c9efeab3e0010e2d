/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests from the boot modules, without a controller: how the guest tests and the benches run.
 *
 * A module whose command line begins with "guest" becomes a VM at boot, its console lines go to the
 * node's log under its name:
 *
 *     guest NAME [pvh|linux] [vcpus=N] [mem=MIB] [weight=N] [cap=PERCENT] [-- COMMAND LINE]
 *     initrd                                     belongs to the guest before it
 *
 * With guests=only on the kernel's command line there is no agent, and the node powers off when the
 * last of them has stopped.
 */
#ifndef VMM_MODULE_GUESTS_H
#define VMM_MODULE_GUESTS_H

#include "kernel/lib/types.h"

struct vm;

/* module_guests_start - create and start them all; how many there are. Boot CPU, once. */
uint32_t module_guests_start(void);

/*
 * When the node is there for them alone and all have stopped, the run loop calls
 * module_guests_finish() each time it has no vCPU in hand: it destroys them, lets one more VM live
 * twenty times, logs what memory was free before all this and is now, and powers off.
 */
extern bool module_guests_are_over;
void module_guests_finish(void);

/* Whether the node is there for them alone. */
bool module_guests_only(void);

/* From vm_console_put() and from changes of state; nothing happens for other VMs. */
void module_guests_print(struct vm *vm, const uint8_t *data, size_t len_bytes);
void module_guests_stopped(struct vm *vm);

#endif
