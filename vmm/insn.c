/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction decoder: prefixes, opcode, ModRM and SIB, displacement, immediate, in that order,
 * each reading on from where the one before stopped. What an opcode means is a row in a table.
 *
 *      [prefixes] [REX] opcode [ModRM [SIB]] [displacement] [immediate]
 */
#include "vmm/insn.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

#define EFER_LMA  BIT(10)
#define CS_ATTR_L BIT(13)
#define CS_ATTR_D BIT(14)

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

enum opcode_map { MAP_1, MAP_0F, MAP_0F38 };

enum form {
	FORM_NONE, /* not ours */
	FORM_MR,   /* memory, register */
	FORM_RM,   /* register, memory */
	FORM_MI,   /* memory, immediate */
	FORM_M,	   /* memory alone */
	FORM_MOFFS_LOAD,
	FORM_MOFFS_STORE,
	FORM_STRING,
};

enum width {
	W_BYTE,		/* both operands one byte */
	W_FULL,		/* 2, 4 or 8 by the operand size */
	W_BYTE_TO_FULL, /* memory 1, register full */
	W_WORD_TO_FULL,
	W_DWORD_TO_FULL,
};

enum imm_kind { IMM_NONE, IMM_8, IMM_FULL /* 2 or 4, sign-extended */ };

struct opcode {
	enum form form;
	enum width width;
	enum insn_op op;
	enum imm_kind imm;
	unsigned prefixes; /* what they may do to it */
};

static const struct opcode not_ours; /* FORM_NONE */

#define MAY_LOCK    1
#define FORBIDS_66  2 /* it is another instruction then, or none */
#define FORBIDS_REP 4 /* the same for F2 and F3 */

struct decoder {
	const uint8_t *bytes;
	size_t len, at;
	enum insn_mode mode;
	uint8_t rex, modrm;
	bool has_66, has_67, has_f2, has_f3, has_lock;
	uint8_t seg; /* an override, or GUEST_SEGS */
	struct insn insn;
};

static const char *const names[INSN_OPS] = {
	[INSN_MOV] = "mov",	    [INSN_MOVZX] = "movzx", [INSN_MOVSX] = "movsx",
	[INSN_MOVBE] = "movbe",	    [INSN_MOVS] = "movs",   [INSN_STOS] = "stos",
	[INSN_LODS] = "lods",	    [INSN_ADD] = "add",	    [INSN_OR] = "or",
	[INSN_AND] = "and",	    [INSN_SUB] = "sub",	    [INSN_XOR] = "xor",
	[INSN_CMP] = "cmp",	    [INSN_TEST] = "test",   [INSN_XCHG] = "xchg",
	[INSN_CMPXCHG] = "cmpxchg", [INSN_BT] = "bt",	    [INSN_BTS] = "bts",
	[INSN_BTR] = "btr",	    [INSN_BTC] = "btc",	    [INSN_INC] = "inc",
	[INSN_DEC] = "dec",	    [INSN_NOT] = "not",	    [INSN_NEG] = "neg",
};

const char *insn_name(enum insn_op op)
{
	ASSERT(op < INSN_OPS);
	return names[op];
}

enum insn_mode insn_mode_of(uint64_t efer, uint16_t cs_attr)
{
	if ((efer & EFER_LMA) && (cs_attr & CS_ATTR_L))
		return INSN_MODE_64;
	return cs_attr & CS_ATTR_D ? INSN_MODE_32 : INSN_MODE_16;
}

/* ---- reading bytes ---- */

static bool take(struct decoder *d, unsigned nr_bytes, uint64_t *out)
{
	uint64_t val = 0;

	if (!range_fits(d->at, nr_bytes, d->len))
		return false;
	memcpy(&val, d->bytes + d->at, nr_bytes);
	d->at += nr_bytes;
	*out = val;
	return true;
}

static bool take_signed(struct decoder *d, unsigned nr_bytes, int64_t *out)
{
	unsigned shift = 64 - 8 * nr_bytes;
	uint64_t val;

	if (!take(d, nr_bytes, &val))
		return false;
	*out = nr_bytes ? (int64_t)(val << shift) >> shift : 0;
	return true;
}

static bool take_byte(struct decoder *d, uint8_t *out)
{
	uint64_t val;

	if (!take(d, 1, &val))
		return false;
	*out = (uint8_t)val;
	return true;
}

/* ---- prefixes ---- */

/* In 64-bit mode only FS and GS count; the others are read over. */
static void note_segment(struct decoder *d, enum guest_seg seg)
{
	if (d->mode != INSN_MODE_64 || seg == SEG_FS || seg == SEG_GS)
		d->seg = seg;
}

static bool note_prefix(struct decoder *d, uint8_t byte)
{
	switch (byte) {
	case 0x66:
		d->has_66 = true;
		break;
	case 0x67:
		d->has_67 = true;
		break;
	case 0xf0:
		d->has_lock = true;
		break;
	case 0xf2:
		d->has_f2 = true;
		break;
	case 0xf3:
		d->has_f3 = true;
		break;
	case 0x26:
		note_segment(d, SEG_ES);
		break;
	case 0x2e:
		note_segment(d, SEG_CS);
		break;
	case 0x36:
		note_segment(d, SEG_SS);
		break;
	case 0x3e:
		note_segment(d, SEG_DS);
		break;
	case 0x64:
		note_segment(d, SEG_FS);
		break;
	case 0x65:
		note_segment(d, SEG_GS);
		break;
	default:
		return false;
	}
	return true;
}

/* Up to the first byte of the opcode, which goes to *opcode. REX counts only right before it. */
static bool take_prefixes(struct decoder *d, uint8_t *opcode)
{
	do {
		if (!take_byte(d, opcode))
			return false;
	} while (note_prefix(d, *opcode));

	if (d->mode == INSN_MODE_64 && (*opcode & 0xf0) == 0x40) {
		d->rex = *opcode;
		if (!take_byte(d, opcode))
			return false;
		/* Another prefix behind it would void it: no compiler does that, and map1_row()
		 * refuses. */
	}
	return true;
}

static unsigned full_size(const struct decoder *d)
{
	if (d->rex & REX_W)
		return 8;
	return (d->mode == INSN_MODE_16) != d->has_66 ? 2 : 4;
}

static unsigned addr_size(const struct decoder *d)
{
	if (d->mode == INSN_MODE_64)
		return d->has_67 ? 4 : 8;
	return (d->mode == INSN_MODE_16) != d->has_67 ? 2 : 4;
}

/* ---- opcodes ---- */

/* The eight operations of opcodes 00..3F and group 1; ADC and SBB are not ours. */
static const int8_t alu_ops[8] = {INSN_ADD, INSN_OR,  -1,	-1,
				  INSN_AND, INSN_SUB, INSN_XOR, INSN_CMP};

static struct opcode alu_row(unsigned nr, enum form form, enum width width, enum imm_kind imm)
{
	if (alu_ops[nr] < 0)
		return not_ours;
	return (struct opcode){form, width, (enum insn_op)alu_ops[nr], imm,
			       form != FORM_RM && alu_ops[nr] != INSN_CMP ? MAY_LOCK : 0};
}

/* Group 3 (F6, F7): TEST has an immediate; MUL and DIV are not ours. */
static struct opcode group3_row(unsigned nr, enum width width)
{
	if (nr <= 1)
		return (struct opcode){FORM_MI, width, INSN_TEST,
				       width == W_BYTE ? IMM_8 : IMM_FULL, 0};
	if (nr <= 3)
		return (struct opcode){FORM_M, width, nr == 2 ? INSN_NOT : INSN_NEG, IMM_NONE,
				       MAY_LOCK};
	return not_ours;
}

static struct opcode map1_row(uint8_t byte, unsigned nr, enum insn_mode mode)
{
	enum width width = byte & 1 ? W_FULL : W_BYTE;
	enum imm_kind imm = byte & 1 ? IMM_FULL : IMM_8;

	if (byte < 0x40 && (byte & 7) < 4)
		return alu_row(byte >> 3, byte & 2 ? FORM_RM : FORM_MR, width, IMM_NONE);

	switch (byte) {
	case 0x63: /* ARPL outside 64-bit mode */
		if (mode != INSN_MODE_64)
			break;
		return (struct opcode){FORM_RM, W_DWORD_TO_FULL, INSN_MOVSX, IMM_NONE, 0};
	case 0x80:
	case 0x81:
		return alu_row(nr, FORM_MI, width, imm);
	case 0x83:
		return alu_row(nr, FORM_MI, W_FULL, IMM_8);
	case 0x84:
	case 0x85:
		return (struct opcode){FORM_MR, width, INSN_TEST, IMM_NONE, 0};
	case 0x86:
	case 0x87:
		return (struct opcode){FORM_MR, width, INSN_XCHG, IMM_NONE, MAY_LOCK};
	case 0x88:
	case 0x89:
		return (struct opcode){FORM_MR, width, INSN_MOV, IMM_NONE, 0};
	case 0x8a:
	case 0x8b:
		return (struct opcode){FORM_RM, width, INSN_MOV, IMM_NONE, 0};
	case 0xa0:
	case 0xa1:
		return (struct opcode){FORM_MOFFS_LOAD, width, INSN_MOV, IMM_NONE, 0};
	case 0xa2:
	case 0xa3:
		return (struct opcode){FORM_MOFFS_STORE, width, INSN_MOV, IMM_NONE, 0};
	case 0xa4:
	case 0xa5:
		return (struct opcode){FORM_STRING, width, INSN_MOVS, IMM_NONE, 0};
	case 0xaa:
	case 0xab:
		return (struct opcode){FORM_STRING, width, INSN_STOS, IMM_NONE, 0};
	case 0xac:
	case 0xad:
		return (struct opcode){FORM_STRING, width, INSN_LODS, IMM_NONE, 0};
	case 0xc6:
	case 0xc7:
		if (nr == 0)
			return (struct opcode){FORM_MI, width, INSN_MOV, imm, 0};
		break;
	case 0xf6:
	case 0xf7:
		return group3_row(nr, width);
	case 0xfe:
	case 0xff:
		if (nr <= 1)
			return (struct opcode){FORM_M, width, nr ? INSN_DEC : INSN_INC, IMM_NONE,
					       MAY_LOCK};
		break;
	}
	return not_ours;
}

static struct opcode map0f_row(uint8_t byte, unsigned nr)
{
	enum width width = byte & 1 ? W_FULL : W_BYTE;

	switch (byte) {
	case 0xb0:
	case 0xb1:
		return (struct opcode){FORM_MR, width, INSN_CMPXCHG, IMM_NONE, MAY_LOCK};
	case 0xb6:
		return (struct opcode){FORM_RM, W_BYTE_TO_FULL, INSN_MOVZX, IMM_NONE, 0};
	case 0xb7:
		return (struct opcode){FORM_RM, W_WORD_TO_FULL, INSN_MOVZX, IMM_NONE, 0};
	case 0xbe:
		return (struct opcode){FORM_RM, W_BYTE_TO_FULL, INSN_MOVSX, IMM_NONE, 0};
	case 0xbf:
		return (struct opcode){FORM_RM, W_WORD_TO_FULL, INSN_MOVSX, IMM_NONE, 0};
	case 0xc3: /* MOVNTI */
		return (struct opcode){FORM_MR, W_FULL, INSN_MOV, IMM_NONE,
				       FORBIDS_66 | FORBIDS_REP};
	case 0xba:
		if (nr >= 4)
			return (struct opcode){FORM_MI, W_FULL, (enum insn_op)(INSN_BT + nr - 4),
					       IMM_8, nr != 4 ? MAY_LOCK : 0};
		break;
	}
	return not_ours;
}

static struct opcode map0f38_row(uint8_t byte)
{
	if (byte == 0xf0)
		return (struct opcode){FORM_RM, W_FULL, INSN_MOVBE, IMM_NONE, FORBIDS_REP};
	if (byte == 0xf1)
		return (struct opcode){FORM_MR, W_FULL, INSN_MOVBE, IMM_NONE, FORBIDS_REP};
	return not_ours;
}

static bool has_modrm(enum form form)
{
	return form == FORM_MR || form == FORM_RM || form == FORM_MI || form == FORM_M;
}

/* ModRM may be needed to know the row, so it is looked at ahead of its turn; 0 when it is missing.
 */
static enum hv_err take_opcode(struct decoder *d, struct opcode *row)
{
	enum opcode_map map = MAP_1;
	uint8_t byte;

	if (!take_prefixes(d, &byte))
		return HV_EPROTO;
	if (byte == 0x0f) {
		map = MAP_0F;
		if (!take_byte(d, &byte))
			return HV_EPROTO;
		if (byte == 0x38) {
			map = MAP_0F38;
			if (!take_byte(d, &byte))
				return HV_EPROTO;
		}
	}
	d->modrm = d->at < d->len ? d->bytes[d->at] : 0;
	if (map == MAP_1)
		*row = map1_row(byte, d->modrm >> 3 & 7, d->mode);
	else if (map == MAP_0F)
		*row = map0f_row(byte, d->modrm >> 3 & 7);
	else
		*row = map0f38_row(byte);
	if (row->form == FORM_NONE)
		return HV_ENOTSUP;
	if (has_modrm(row->form) && !take_byte(d, &d->modrm))
		return HV_EPROTO;
	return HV_OK;
}

/* ---- operands ---- */

static uint8_t default_seg(const struct decoder *d, uint8_t base)
{
	if (d->seg != GUEST_SEGS)
		return d->seg;
	return base == REG_RSP || base == REG_RBP ? SEG_SS : SEG_DS;
}

/* [SDM] table "16-Bit Addressing Forms with the ModR/M Byte" */
static enum hv_err take_mem_16(struct decoder *d)
{
	static const uint8_t pairs[8][2] = {{REG_RBX, REG_RSI},	    {REG_RBX, REG_RDI},
					    {REG_RBP, REG_RSI},	    {REG_RBP, REG_RDI},
					    {REG_RSI, INSN_NO_REG}, {REG_RDI, INSN_NO_REG},
					    {REG_RBP, INSN_NO_REG}, {REG_RBX, INSN_NO_REG}};
	struct insn_mem *mem = &d->insn.mem;
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7;
	bool is_absolute = mod == 0 && rm == 6;

	mem->base = is_absolute ? INSN_NO_REG : pairs[rm][0];
	mem->index = is_absolute ? INSN_NO_REG : pairs[rm][1];
	d->insn.seg = default_seg(d, mem->base);
	return take_signed(d, is_absolute ? 2 : mod, &mem->disp) ? HV_OK : HV_EPROTO;
}

/* [SDM] table "32-Bit Addressing Forms with the SIB Byte" */
static bool take_sib(struct decoder *d)
{
	struct insn_mem *mem = &d->insn.mem;
	uint8_t sib;

	if (!take_byte(d, &sib))
		return false;
	mem->shift = sib >> 6;
	mem->index = (sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0);
	if (mem->index == REG_RSP)
		mem->index = INSN_NO_REG;
	mem->base = (sib & 7) | (d->rex & REX_B ? 8 : 0);
	return true;
}

static enum hv_err take_mem(struct decoder *d)
{
	struct insn_mem *mem = &d->insn.mem;
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7;
	unsigned disp_bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	if (mod == 3)
		return HV_ENOTSUP;
	if (d->insn.addr_size == 2)
		return take_mem_16(d);

	mem->base = rm | (d->rex & REX_B ? 8 : 0);
	if (rm == 4) {
		if (!take_sib(d))
			return HV_EPROTO;
		if (mod == 0 && (mem->base & 7) == REG_RBP) {
			mem->base = INSN_NO_REG;
			disp_bytes = 4;
		}
	} else if (mod == 0 && rm == 5) {
		mem->base = INSN_NO_REG;
		mem->is_rip_relative = d->mode == INSN_MODE_64;
		disp_bytes = 4;
	}
	d->insn.seg = default_seg(d, mem->base);
	return take_signed(d, disp_bytes, &mem->disp) ? HV_OK : HV_EPROTO;
}

static void set_widths(struct decoder *d, enum width width)
{
	static const uint8_t mem_bytes[] = {
		[W_BYTE] = 1, [W_BYTE_TO_FULL] = 1, [W_WORD_TO_FULL] = 2, [W_DWORD_TO_FULL] = 4};

	d->insn.reg_size = width == W_BYTE ? 1 : full_size(d);
	d->insn.size = width == W_FULL ? d->insn.reg_size : mem_bytes[width];
	/* MOVSXD with a 16-bit register reads 16 bits only. */
	d->insn.size = MIN(d->insn.size, width == W_DWORD_TO_FULL ? d->insn.reg_size : 8);
}

static void set_reg(struct decoder *d)
{
	uint8_t nr = (d->modrm >> 3 & 7) | (d->rex & REX_R ? 8 : 0);

	d->insn.source = INSN_SRC_REG;
	d->insn.is_high_byte = d->insn.reg_size == 1 && !d->rex && nr >= 4;
	d->insn.reg = d->insn.is_high_byte ? nr - 4 : nr;
}

static enum hv_err take_moffs(struct decoder *d)
{
	uint64_t offset;

	if (!take(d, d->insn.addr_size, &offset))
		return HV_EPROTO;
	d->insn.source = INSN_SRC_REG;
	d->insn.reg = REG_RAX;
	d->insn.seg = default_seg(d, INSN_NO_REG);
	d->insn.mem.disp = (int64_t)offset;
	return HV_OK;
}

static enum hv_err take_imm(struct decoder *d, enum imm_kind kind)
{
	unsigned nr_bytes = kind == IMM_8 ? 1 : MIN(d->insn.size, 4);
	int64_t imm;

	if (!take_signed(d, nr_bytes, &imm))
		return HV_EPROTO;
	d->insn.source = INSN_SRC_IMM;
	d->insn.imm = (uint64_t)imm;
	return HV_OK;
}

static enum hv_err take_operands(struct decoder *d, const struct opcode *row)
{
	enum hv_err err;

	switch (row->form) {
	case FORM_STRING:
		d->insn.seg = default_seg(d, INSN_NO_REG);
		d->insn.is_rep = d->has_f2 || d->has_f3;
		return HV_OK;
	case FORM_MOFFS_LOAD:
	case FORM_MOFFS_STORE:
		d->insn.to_mem = row->form == FORM_MOFFS_STORE;
		return take_moffs(d);
	default:
		break;
	}
	d->insn.to_mem = row->form != FORM_RM;
	err = take_mem(d);
	if (err != HV_OK)
		return err;
	if (row->form == FORM_MR || row->form == FORM_RM)
		set_reg(d);
	return row->imm == IMM_NONE ? HV_OK : take_imm(d, row->imm);
}

static bool is_forbidden(const struct decoder *d, const struct opcode *row)
{
	return (d->has_lock && !(row->prefixes & MAY_LOCK)) ||
	       (d->has_66 && (row->prefixes & FORBIDS_66)) ||
	       ((d->has_f2 || d->has_f3) && (row->prefixes & FORBIDS_REP));
}

enum hv_err insn_decode(const uint8_t *bytes, size_t len_bytes, enum insn_mode mode,
			struct insn *out)
{
	struct decoder d = {.bytes = bytes,
			    .len = MIN(len_bytes, INSN_MAX_BYTES),
			    .mode = mode,
			    .seg = GUEST_SEGS};
	struct opcode row;
	enum hv_err err = take_opcode(&d, &row);

	if (err != HV_OK)
		return err;
	if (is_forbidden(&d, &row))
		return HV_ENOTSUP;
	d.insn.op = row.op;
	d.insn.mode = mode;
	d.insn.addr_size = addr_size(&d);
	d.insn.is_lock = d.has_lock;
	d.insn.mem.base = d.insn.mem.index = INSN_NO_REG;
	set_widths(&d, row.width);
	err = take_operands(&d, &row);
	if (err != HV_OK)
		return err;
	d.insn.len = (uint8_t)d.at;
	*out = d.insn;
	return HV_OK;
}
