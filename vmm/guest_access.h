/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that the guest's CPU could not finish, carried out in its place. */
#ifndef VMM_GUEST_ACCESS_H
#define VMM_GUEST_ACCESS_H

#include "vmm/insn.h"
#include "vmm/vm.h"

enum guest_insn {
	GUEST_INSN_AGAIN, /* a fault was raised, or iterations are left: RIP stays, or was moved
			     already */
	GUEST_INSN_STUCK, /* not an instruction that we carry out: the VM cannot go on */
};

/* guest_mmio - fetch, decode and carry out the instruction that touched device registers */
enum guest_insn guest_mmio(struct vcpu *vcpu, const struct vm_exit *exit);

/* guest_string_io - INS or OUTS. True: done, move RIP on. False: run it again, or a fault was
 * raised. */
bool guest_string_io(struct vcpu *vcpu, const struct vm_exit *exit);

/* guest_fetch - the bytes at RIP, as far as they can be had, and how to read them. False: none. */
bool guest_fetch(struct vcpu *vcpu, uint8_t bytes[INSN_MAX_BYTES], size_t *len,
		 enum insn_mode *mode);

#endif
