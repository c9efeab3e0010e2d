/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU: what it holds, how it comes onto its CPU, and what it is given before each entry.
 *
 * Unless it says otherwise, call these on the vCPU's home CPU while it is loaded there.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include "vmm/vm.h"

struct lapic_ipi;

MUST_CHECK enum hv_err vcpu_create(struct vm *vm, uint32_t index, struct vcpu **out); /* any CPU */
void vcpu_destroy(struct vcpu *vcpu); /* any CPU; parked. NULL is fine */

void vcpu_load(struct vcpu *vcpu); /* onto this CPU, with its FPU state */
void vcpu_put(struct vcpu *vcpu);

/*
 * vcpu_deliver - carry out requests, then hand over what interrupt is due
 *
 * False: it waits (HLT, or for SIPI) and must not be entered.
 */
bool vcpu_deliver(struct vcpu *vcpu);

/* vcpu_is_wanted - something came since vcpu_deliver() looked. Under the home queue's lock. */
bool vcpu_is_wanted(const struct vcpu *vcpu);

/* Any CPU: ask for something, and wake it. RESET also forgets what was asked before. */
void vcpu_request(struct vcpu *vcpu, enum vcpu_request what);

/* An exception with or without an error code, at the next entry. */
void vcpu_raise(struct vcpu *vcpu, uint8_t vector);
void vcpu_raise_code(struct vcpu *vcpu, uint8_t vector, uint32_t code);

enum { VECTOR_DB = 1, VECTOR_UD = 6, VECTOR_NM = 7, VECTOR_GP = 13, VECTOR_PF = 14 };

/* The guest wrote XCR0; checked by the caller. */
void vcpu_set_xcr0(struct vcpu *vcpu, uint64_t xcr0);
/* IA32_APIC_BASE may have changed the APIC's mode. */
void vcpu_apic_mode_changed(struct vcpu *vcpu);

uint64_t vcpu_guest_tsc(const struct vcpu *vcpu); /* any CPU */

/* vcpu_is_addressed - whether a message is for this vCPU; sender NULL: a device. Any CPU. */
bool vcpu_is_addressed(const struct vcpu *vcpu, const struct vcpu *sender,
		       const struct lapic_ipi *msg);

/* vcpu_send_ipi - to every vCPU of the VM that the message is for; sender NULL: a device. Any CPU.
 */
void vcpu_send_ipi(struct vm *vm, struct vcpu *sender, const struct lapic_ipi *msg);

#endif
