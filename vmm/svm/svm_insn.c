/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prefixes, then an opcode that must be the one of the exit. REX counts only directly before the
 * opcode; an older one is a prefix like others, without effect.
 */
#include "vmm/svm/svm_insn.h"

#include "vmm/svm/vmcb.h"

enum operand { NO_OPERAND, MOV_CR, LMSW };

static const struct row {
	uint64_t exit_code;
	uint8_t nr_bytes, bytes[3];
	enum operand operand;
} rows[] = {
	{VMEXIT_CPUID, 2, {0x0f, 0xa2}, NO_OPERAND},
	{VMEXIT_HLT, 1, {0xf4}, NO_OPERAND},
	{VMEXIT_INVD, 2, {0x0f, 0x08}, NO_OPERAND},
	{VMEXIT_WBINVD, 2, {0x0f, 0x09}, NO_OPERAND},
	{VMEXIT_MSR, 2, {0x0f, 0x30}, NO_OPERAND},
	{VMEXIT_MSR, 2, {0x0f, 0x32}, NO_OPERAND},
	{VMEXIT_VMMCALL, 3, {0x0f, 0x01, 0xd9}, NO_OPERAND},
	{VMEXIT_XSETBV, 3, {0x0f, 0x01, 0xd1}, NO_OPERAND},
	{VMEXIT_CR0_SEL_WRITE, 2, {0x0f, 0x22}, MOV_CR},
	{VMEXIT_CR0_SEL_WRITE, 2, {0x0f, 0x01}, LMSW},
	{VMEXIT_CR_READ(4), 2, {0x0f, 0x20}, MOV_CR},
	{VMEXIT_CR_WRITE(4), 2, {0x0f, 0x22}, MOV_CR},
	{VMEXIT_CR_WRITE(8), 2, {0x0f, 0x22}, MOV_CR},
	{VMEXIT_IOIO, 1, {0x6c}, NO_OPERAND},
	{VMEXIT_IOIO, 1, {0x6d}, NO_OPERAND},
	{VMEXIT_IOIO, 1, {0x6e}, NO_OPERAND},
	{VMEXIT_IOIO, 1, {0x6f}, NO_OPERAND},
};

struct prefixes {
	size_t len;
	uint8_t rex, seg;
	bool has_addr_size, has_lock;
};

/* False: not a prefix. */
static bool take_prefix(struct prefixes *p, uint8_t byte, enum insn_mode mode)
{
	if (mode == INSN_MODE_64 && (byte & 0xf0) == 0x40) {
		p->rex = byte;
		return true;
	}
	switch (byte) {
	case 0x26:
		p->seg = SEG_ES;
		break;
	case 0x2e:
		p->seg = SEG_CS;
		break;
	case 0x36:
		p->seg = SEG_SS;
		break;
	case 0x3e:
		p->seg = SEG_DS;
		break;
	case 0x64:
		p->seg = SEG_FS;
		break;
	case 0x65:
		p->seg = SEG_GS;
		break;
	case 0x67:
		p->has_addr_size = true;
		break;
	case 0xf0:
		p->has_lock = true;
		break;
	case 0x66:
	case 0xf2:
	case 0xf3:
		break;
	default:
		return false;
	}
	p->rex = 0;
	return true;
}

static struct prefixes take_prefixes(const uint8_t *bytes, size_t len_bytes, enum insn_mode mode)
{
	struct prefixes p = {.seg = SEG_DS};

	while (p.len < len_bytes && take_prefix(&p, bytes[p.len], mode))
		p.len++;
	return p;
}

static uint8_t addr_size(const struct prefixes *p, enum insn_mode mode)
{
	switch (mode) {
	case INSN_MODE_64:
		return p->has_addr_size ? 4 : 8;
	case INSN_MODE_32:
		return p->has_addr_size ? 2 : 4;
	default:
		return p->has_addr_size ? 4 : 2;
	}
}

/* LOCK is AMD's way to CR8 where there is no REX. Only the registers of ModRM count, whatever its
 * mod. */
static void take_mov_cr(const struct prefixes *p, uint8_t modrm, struct svm_insn *insn)
{
	bool is_upper = (p->rex & 4) || p->has_lock;

	insn->cr = (uint8_t)((modrm >> 3 & 7) | (is_upper ? 8 : 0));
	insn->gpr = (uint8_t)((modrm & 7) | (p->rex & 1 ? 8 : 0));
}

/* The form with a register, which is the only one that the last thirty years have seen. */
static bool take_lmsw(const struct prefixes *p, uint8_t modrm, struct svm_insn *insn)
{
	insn->is_lmsw = true;
	insn->gpr = (uint8_t)((modrm & 7) | (p->rex & 1 ? 8 : 0));
	return (modrm & 0xf8) == 0xf0;
}

static bool matches(const struct row *row, const uint8_t *bytes)
{
	for (uint8_t i = 0; i < row->nr_bytes; i++)
		if (bytes[i] != row->bytes[i])
			return false;
	return true;
}

static enum hv_err decode_row(const struct row *row, const struct prefixes *p, const uint8_t *bytes,
			      size_t len_bytes, struct svm_insn *insn)
{
	size_t len = p->len + row->nr_bytes + (row->operand != NO_OPERAND);

	if (p->len + row->nr_bytes > len_bytes)
		return HV_EPROTO;
	if (!matches(row, bytes + p->len))
		return HV_ENOTSUP;
	if (len > len_bytes)
		return HV_EPROTO;
	insn->len = (uint8_t)len;
	if (row->operand == MOV_CR)
		take_mov_cr(p, bytes[len - 1], insn);
	if (row->operand == LMSW && !take_lmsw(p, bytes[len - 1], insn))
		return HV_ENOTSUP;
	return HV_OK;
}

enum hv_err svm_insn_decode(uint64_t exit_code, const uint8_t *bytes, size_t len_bytes,
			    enum insn_mode mode, struct svm_insn *out)
{
	size_t len = MIN(len_bytes, (size_t)INSN_MAX_BYTES);
	struct prefixes p = take_prefixes(bytes, len, mode);
	struct svm_insn insn = {.addr_size = addr_size(&p, mode), .seg = p.seg};
	enum hv_err err = HV_ENOTSUP;

	for (size_t i = 0; i < ARRAY_SIZE(rows) && err == HV_ENOTSUP; i++)
		if (rows[i].exit_code == exit_code)
			err = decode_row(&rows[i], &p, bytes, len, &insn);
	if (err == HV_OK)
		*out = insn;
	return err;
}
