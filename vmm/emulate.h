/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries out a decoded instruction: operands, arithmetic, flags, registers, REP.
 *
 * The caller supplies registers and memory as callbacks; every memory operand is given to it as a
 * linear address, and it finds out whether RAM or a device is there. Registers and flags change
 * only when all accesses of the instruction (with REP: of the iteration) have succeeded; so after
 * an error the guest can take a fault at this instruction, or run it again.
 *
 * LOCK does not make the two accesses of a read-modify-write one: towards a device the device's
 * lock is what there is. Segment limits are not looked at. Pure; any context the callbacks allow.
 */
#ifndef VMM_EMULATE_H
#define VMM_EMULATE_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "vmm/insn.h"

enum emu_access {
	EMU_READ,
	EMU_READ_TO_WRITE, /* a read whose write follows: refuse now what the write would be refused
			      for */
	EMU_WRITE,
};

struct emu_cpu {
	void *arg;
	uint64_t (*reg_get)(void *arg, enum guest_reg reg); /* general ones, RIP and RFLAGS */
	void (*reg_set)(void *arg, enum guest_reg reg, uint64_t val);
	uint64_t (*seg_base)(void *arg, enum guest_seg seg);
	/* size is 1, 2, 4 or 8 and may cross a page; *val is in for a write, out (upper bits zero)
	 * for a read. */
	enum hv_err (*access)(void *arg, enum emu_access access, uint64_t gva, uint8_t size,
			      uint64_t *val);
};

/*
 * emulate - one instruction, or the next part of a repeated one
 *
 * max_reps   iterations of a repeated instruction before the guest gets its turn (interrupts); not
 * 0 is_done    filled on HV_OK. True: the caller moves RIP on by insn->len. False: iterations are
 * left, RCX, RSI and RDI say which; RIP stays, and the guest runs the instruction again.
 *
 * Errors:  what access() said, unchanged; finished iterations of a repeated instruction remain.
 */
MUST_CHECK enum hv_err emulate(const struct insn *insn, const struct emu_cpu *cpu,
			       uint32_t max_reps, bool *is_done);

#endif
