/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes those instructions with which guests touch device registers: MOV in its forms, string
 * moves, the read-modify-write arithmetic. vmm/emulate.h carries them out.
 *
 * Everything else, also an instruction of these without a memory operand, is HV_ENOTSUP: no device
 * driver has a reason for it, and the VM is stopped with a message that shows the bytes.
 * Pure; any context.
 */
#ifndef VMM_INSN_H
#define VMM_INSN_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "vmm/virt.h"

#define INSN_MAX_BYTES 15

enum insn_op {
	INSN_MOV, /* also MOVNTI */
	INSN_MOVZX,
	INSN_MOVSX, /* also MOVSXD */
	INSN_MOVBE,
	INSN_MOVS,
	INSN_STOS,
	INSN_LODS,
	INSN_ADD,
	INSN_OR,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP,
	INSN_TEST,
	INSN_XCHG,
	INSN_CMPXCHG,
	INSN_BT,
	INSN_BTS,
	INSN_BTR,
	INSN_BTC,
	INSN_INC,
	INSN_DEC,
	INSN_NOT,
	INSN_NEG,
	INSN_OPS
};

enum insn_mode { INSN_MODE_16, INSN_MODE_32, INSN_MODE_64 };

/* What the instruction's other operand is. */
enum insn_source { INSN_SRC_NONE, INSN_SRC_REG, INSN_SRC_IMM };

#define INSN_NO_REG 0xff

struct insn_mem {
	uint8_t base, index; /* enum guest_reg, or INSN_NO_REG */
	uint8_t shift;	     /* of the index */
	bool is_rip_relative;
	int64_t disp; /* the whole address for MOV's moffs forms */
};

struct insn {
	enum insn_op op;
	uint8_t len;	   /* bytes, 1 to 15 */
	uint8_t size;	   /* of the memory operand: 1, 2, 4 or 8 bytes */
	uint8_t reg_size;  /* of the register operand; larger than size in MOVZX and MOVSX */
	uint8_t addr_size; /* 2, 4 or 8 */
	enum insn_mode mode;
	enum insn_source source;
	bool to_mem; /* the memory operand is the destination (or, for CMP and TEST, the first) */
	uint8_t reg; /* enum guest_reg */
	bool is_high_byte; /* AH, CH, DH or BH: bits 15..8 of reg */
	uint64_t imm;	   /* sign-extended */
	bool is_rep, is_lock;
	uint8_t seg; /* enum guest_seg of the memory operand; of MOVS and LODS: of the source */
	struct insn_mem mem; /* unused by MOVS, STOS and LODS */
};

/* insn_mode_of - by EFER.LMA and the attributes of CS as struct guest_segment has them */
enum insn_mode insn_mode_of(uint64_t efer, uint16_t cs_attr);

/*
 * insn_decode - one instruction out of the bytes at the guest's RIP
 *
 * bytes, len_bytes   a copy; at most INSN_MAX_BYTES are looked at
 * out                filled on HV_OK, left alone otherwise
 *
 * Errors:  HV_EPROTO  - the bytes end before the instruction does, or it is longer than 15
 *          HV_ENOTSUP - not one of ours, or undefined
 * Source:  [SDM] "Instruction Format", "Opcode Map".
 */
MUST_CHECK enum hv_err insn_decode(const uint8_t *bytes, size_t len_bytes, enum insn_mode mode,
				   struct insn *out);

const char *insn_name(enum insn_op op);

#endif
