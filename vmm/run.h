/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop of each CPU: which vCPU is on it, how one is woken, and how one is taken off.
 *
 * A CPU is always in one of three places: in a guest, in this loop, or halted in it. Other CPUs
 * reach it by listing a vCPU with a request and sending an interrupt, never by touching what it has
 * loaded.
 */
#ifndef VMM_RUN_H
#define VMM_RUN_H

#include "vmm/vm.h"

/* run_init_cpu - this CPU's queue; once, before any vCPU is given to it */
void run_init_cpu(void);

/* run_wait_for_cpus - until every online CPU has its queue; before the first VM */
void run_wait_for_cpus(void);

/* run_attach - choose a home for a new vCPU, the CPU that has the fewest; it starts parked */
void run_attach(struct vcpu *vcpu);
/* run_detach - the vCPU is parked and will not run again */
void run_detach(struct vcpu *vcpu);

/* run_kick - something is pending for the vCPU: an exit if it runs, a wake-up if it waits. Any CPU.
 */
void run_kick(struct vcpu *vcpu);

/*
 * run_park - take a vCPU off its CPU and keep it off; run_unpark - let it run again
 *
 * run_park returns when its state is in memory and no CPU holds any of it. Not for the vCPU whose
 * exit is being handled.
 */
void run_park(struct vcpu *vcpu);
void run_unpark(struct vcpu *vcpu);

/* run_stop_vm - let vm's home CPU carry out vm->stop_reason, outside of any exit. Any CPU. */
void run_stop_vm(struct vm *vm);
/* run_forget - drop such a request, and wait until no CPU carries one out. vm->is_dying is set. */
void run_forget(struct vm *vm);

/* run_serve_parks - answer other CPUs' run_park() while waiting for something oneself */
void run_serve_parks(void);

/* run_is_wanted - whether a guest, other than the agent, has this CPU or waits for it. Under no
 * lock.
 */
bool run_is_wanted(void);

/* The vCPU on this CPU, or NULL; for panics. */
struct vcpu *run_loaded(void);

NORETURN void run_forever(void);

#endif
