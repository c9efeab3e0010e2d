/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evaluator behind the decoder. compute() is the arithmetic, a function of values and flags;
 * what stands around it fetches operands and puts results away, in the order that lets an error
 * undo itself: reads, then the write, then registers and flags.
 */
#include "vmm/emulate.h"

#include "kernel/lib/assert.h"

/* [SDM] figure "EFLAGS Register" */
#define RFLAGS_CF  BIT(0)
#define RFLAGS_PF  BIT(2)
#define RFLAGS_AF  BIT(4)
#define RFLAGS_ZF  BIT(6)
#define RFLAGS_SF  BIT(7)
#define RFLAGS_DF  BIT(10)
#define RFLAGS_OF  BIT(11)
#define RFLAGS_ALL (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static uint64_t mask_of(unsigned size)
{
	return ~0ull >> (64 - 8 * size);
}

static uint64_t sign_of(unsigned size)
{
	return 1ull << (8 * size - 1);
}

/* ---- registers ---- */

static uint64_t get_reg(const struct emu_cpu *cpu, unsigned reg, unsigned size)
{
	return cpu->reg_get(cpu->arg, reg) & mask_of(size);
}

/* 1 and 2 bytes leave the rest of the register as it is, 4 clear its upper half. */
static void set_reg(const struct emu_cpu *cpu, unsigned reg, unsigned size, uint64_t val)
{
	val &= mask_of(size);
	if (size < 4)
		val |= cpu->reg_get(cpu->arg, reg) & ~mask_of(size);
	cpu->reg_set(cpu->arg, reg, val);
}

static uint64_t get_operand(const struct insn *insn, const struct emu_cpu *cpu)
{
	if (insn->source == INSN_SRC_IMM)
		return insn->imm & mask_of(insn->size);
	if (insn->source == INSN_SRC_NONE)
		return 0;
	if (insn->is_high_byte)
		return get_reg(cpu, insn->reg, 2) >> 8;
	return get_reg(cpu, insn->reg, insn->reg_size);
}

static void set_operand(const struct insn *insn, const struct emu_cpu *cpu, uint64_t val)
{
	if (insn->is_high_byte)
		set_reg(cpu, insn->reg, 2, (val & 0xff) << 8 | get_reg(cpu, insn->reg, 1));
	else
		set_reg(cpu, insn->reg, insn->reg_size, val);
}

/* ---- addresses ---- */

static uint64_t linear(const struct insn *insn, const struct emu_cpu *cpu, unsigned seg,
		       uint64_t offset)
{
	bool is_long = insn->mode == INSN_MODE_64;
	bool has_base = !is_long || seg == SEG_FS || seg == SEG_GS;
	uint64_t gva =
		(offset & mask_of(insn->addr_size)) + (has_base ? cpu->seg_base(cpu->arg, seg) : 0);

	return is_long ? gva : (uint32_t)gva;
}

static uint64_t mem_gva(const struct insn *insn, const struct emu_cpu *cpu)
{
	const struct insn_mem *mem = &insn->mem;
	uint64_t offset = (uint64_t)mem->disp;

	if (mem->base != INSN_NO_REG)
		offset += cpu->reg_get(cpu->arg, mem->base);
	if (mem->index != INSN_NO_REG)
		offset += cpu->reg_get(cpu->arg, mem->index) << mem->shift;
	if (mem->is_rip_relative)
		offset += cpu->reg_get(cpu->arg, REG_RIP) + insn->len;
	return linear(insn, cpu, insn->seg, offset);
}

/* ---- arithmetic ---- */

static uint64_t flags_of_result(uint64_t r, unsigned size)
{
	return (r == 0 ? RFLAGS_ZF : 0) | (r & sign_of(size) ? RFLAGS_SF : 0) |
	       (__builtin_parity((unsigned)r & 0xff) ? 0 : RFLAGS_PF);
}

static uint64_t add(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
	uint64_t r = (a + b) & mask_of(size);

	*flags = flags_of_result(r, size) | (r < a ? RFLAGS_CF : 0) | ((a ^ b ^ r) & RFLAGS_AF) |
		 ((a ^ r) & (b ^ r) & sign_of(size) ? RFLAGS_OF : 0);
	return r;
}

static uint64_t sub(uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
	uint64_t r = (a - b) & mask_of(size);

	*flags = flags_of_result(r, size) | (a < b ? RFLAGS_CF : 0) | ((a ^ b ^ r) & RFLAGS_AF) |
		 ((a ^ b) & (a ^ r) & sign_of(size) ? RFLAGS_OF : 0);
	return r;
}

static uint64_t logic(uint64_t r, unsigned size, uint64_t *flags)
{
	*flags = flags_of_result(r, size);
	return r;
}

static uint64_t bit_op(enum insn_op op, uint64_t a, uint64_t bit, uint64_t *flags)
{
	*flags = (*flags & ~RFLAGS_CF) | (a & bit ? RFLAGS_CF : 0);
	switch (op) {
	case INSN_BTS:
		return a | bit;
	case INSN_BTR:
		return a & ~bit;
	case INSN_BTC:
		return a ^ bit;
	default:
		return a;
	}
}

/* a op b. flags: the arithmetic ones, in and out; those that an instruction leaves alone stay. */
static uint64_t compute(enum insn_op op, uint64_t a, uint64_t b, unsigned size, uint64_t *flags)
{
	uint64_t carry = *flags & RFLAGS_CF, r;

	switch (op) {
	case INSN_ADD:
		return add(a, b, size, flags);
	case INSN_SUB:
	case INSN_CMP:
		return sub(a, b, size, flags);
	case INSN_AND:
	case INSN_TEST:
		return logic(a & b, size, flags);
	case INSN_OR:
		return logic(a | b, size, flags);
	case INSN_XOR:
		return logic(a ^ b, size, flags);
	case INSN_NOT:
		return ~a & mask_of(size);
	case INSN_NEG:
		return sub(0, a, size, flags);
	case INSN_INC:
	case INSN_DEC:
		r = op == INSN_INC ? add(a, 1, size, flags) : sub(a, 1, size, flags);
		*flags = (*flags & ~RFLAGS_CF) | carry;
		return r;
	case INSN_BT:
	case INSN_BTS:
	case INSN_BTR:
	case INSN_BTC:
		return bit_op(op, a, 1ull << (b & (8 * size - 1)), flags);
	default:
		ASSERT(!"an operation with a result");
		return 0;
	}
}

static uint64_t get_flags(const struct emu_cpu *cpu)
{
	return cpu->reg_get(cpu->arg, REG_RFLAGS) & RFLAGS_ALL;
}

static void set_flags(const struct emu_cpu *cpu, uint64_t flags)
{
	cpu->reg_set(cpu->arg, REG_RFLAGS,
		     (cpu->reg_get(cpu->arg, REG_RFLAGS) & ~RFLAGS_ALL) | flags);
}

/* ---- kinds of instruction ---- */

static uint64_t swap_bytes(uint64_t val, unsigned size)
{
	return __builtin_bswap64(val) >> (64 - 8 * size);
}

/* MOV, MOVZX, MOVSX, MOVBE: one access, no flags */
static enum hv_err emulate_move(const struct insn *insn, const struct emu_cpu *cpu)
{
	uint64_t gva = mem_gva(insn, cpu), val = get_operand(insn, cpu);
	enum hv_err err;

	if (insn->to_mem) {
		if (insn->op == INSN_MOVBE)
			val = swap_bytes(val, insn->size);
		return cpu->access(cpu->arg, EMU_WRITE, gva, insn->size, &val);
	}
	err = cpu->access(cpu->arg, EMU_READ, gva, insn->size, &val);
	if (err != HV_OK)
		return err;
	if (insn->op == INSN_MOVBE)
		val = swap_bytes(val, insn->size);
	else if (insn->op == INSN_MOVSX && (val & sign_of(insn->size)))
		val |= ~mask_of(insn->size);
	set_operand(insn, cpu, val);
	return HV_OK;
}

static bool is_write_back(enum insn_op op)
{
	return op != INSN_CMP && op != INSN_TEST && op != INSN_BT;
}

static enum hv_err emulate_arith(const struct insn *insn, const struct emu_cpu *cpu)
{
	uint64_t gva = mem_gva(insn, cpu), other = get_operand(insn, cpu), flags = get_flags(cpu);
	bool writes_mem = insn->to_mem && is_write_back(insn->op);
	uint64_t val, r;
	enum hv_err err;

	err = cpu->access(cpu->arg, writes_mem ? EMU_READ_TO_WRITE : EMU_READ, gva, insn->size,
			  &val);
	if (err != HV_OK)
		return err;
	if (insn->to_mem)
		r = compute(insn->op, val, other, insn->size, &flags);
	else
		r = compute(insn->op, other, val, insn->size, &flags);
	if (writes_mem) {
		err = cpu->access(cpu->arg, EMU_WRITE, gva, insn->size, &r);
		if (err != HV_OK)
			return err;
	} else if (is_write_back(insn->op)) {
		set_operand(insn, cpu, r);
	}
	set_flags(cpu, flags);
	return HV_OK;
}

static enum hv_err emulate_xchg(const struct insn *insn, const struct emu_cpu *cpu)
{
	uint64_t gva = mem_gva(insn, cpu), from_reg = get_operand(insn, cpu), val;
	enum hv_err err = cpu->access(cpu->arg, EMU_READ_TO_WRITE, gva, insn->size, &val);

	if (err == HV_OK)
		err = cpu->access(cpu->arg, EMU_WRITE, gva, insn->size, &from_reg);
	if (err == HV_OK)
		set_operand(insn, cpu, val);
	return err;
}

/* The memory is written in either case, as [SDM] says of the bus cycle. */
static enum hv_err emulate_cmpxchg(const struct insn *insn, const struct emu_cpu *cpu)
{
	uint64_t gva = mem_gva(insn, cpu), old, flags;
	uint64_t rax = get_reg(cpu, REG_RAX, insn->size), to_write;
	enum hv_err err = cpu->access(cpu->arg, EMU_READ_TO_WRITE, gva, insn->size, &old);

	if (err != HV_OK)
		return err;
	to_write = rax == old ? get_operand(insn, cpu) : old;
	err = cpu->access(cpu->arg, EMU_WRITE, gva, insn->size, &to_write);
	if (err != HV_OK)
		return err;
	(void)sub(rax, old, insn->size, &flags);
	if (rax != old)
		set_reg(cpu, REG_RAX, insn->size, old);
	set_flags(cpu, flags);
	return HV_OK;
}

/* ---- strings ---- */

static void advance(const struct insn *insn, const struct emu_cpu *cpu, enum guest_reg reg)
{
	bool is_down = cpu->reg_get(cpu->arg, REG_RFLAGS) & RFLAGS_DF;
	uint64_t at = cpu->reg_get(cpu->arg, reg);

	set_reg(cpu, reg, insn->addr_size, is_down ? at - insn->size : at + insn->size);
}

static enum hv_err emulate_string_once(const struct insn *insn, const struct emu_cpu *cpu)
{
	uint64_t val = get_reg(cpu, REG_RAX, insn->size);
	enum hv_err err = HV_OK;

	if (insn->op != INSN_STOS)
		err = cpu->access(cpu->arg, EMU_READ,
				  linear(insn, cpu, insn->seg, cpu->reg_get(cpu->arg, REG_RSI)),
				  insn->size, &val);
	if (err == HV_OK && insn->op != INSN_LODS)
		err = cpu->access(cpu->arg, EMU_WRITE,
				  linear(insn, cpu, SEG_ES, cpu->reg_get(cpu->arg, REG_RDI)),
				  insn->size, &val);
	if (err != HV_OK)
		return err;
	if (insn->op == INSN_LODS)
		set_reg(cpu, REG_RAX, insn->size, val);
	else
		advance(insn, cpu, REG_RDI);
	if (insn->op != INSN_STOS)
		advance(insn, cpu, REG_RSI);
	return HV_OK;
}

static enum hv_err emulate_string(const struct insn *insn, const struct emu_cpu *cpu,
				  uint32_t max_reps, bool *is_done)
{
	uint64_t left;

	*is_done = true;
	if (!insn->is_rep)
		return emulate_string_once(insn, cpu);

	left = get_reg(cpu, REG_RCX, insn->addr_size);
	for (; left && max_reps; left--, max_reps--) {
		enum hv_err err = emulate_string_once(insn, cpu);

		if (err != HV_OK)
			return err;
		set_reg(cpu, REG_RCX, insn->addr_size, left - 1);
	}
	*is_done = left == 0;
	return HV_OK;
}

enum hv_err emulate(const struct insn *insn, const struct emu_cpu *cpu, uint32_t max_reps,
		    bool *is_done)
{
	ASSERT(max_reps && insn->op < INSN_OPS);

	*is_done = true;
	switch (insn->op) {
	case INSN_MOV:
	case INSN_MOVZX:
	case INSN_MOVSX:
	case INSN_MOVBE:
		return emulate_move(insn, cpu);
	case INSN_MOVS:
	case INSN_STOS:
	case INSN_LODS:
		return emulate_string(insn, cpu, max_reps, is_done);
	case INSN_XCHG:
		return emulate_xchg(insn, cpu);
	case INSN_CMPXCHG:
		return emulate_cmpxchg(insn, cpu);
	default:
		return emulate_arith(insn, cpu);
	}
}
