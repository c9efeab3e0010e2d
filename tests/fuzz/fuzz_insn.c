/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as an instruction: byte 0 chooses the mode and where accesses fail, the next 128 are
 * register values, the rest is decoded and, when it is one of ours, carried out in a memory that
 * answers everything.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/emulate.h"

#define MAX_REPS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct machine {
	uint64_t regs[GUEST_REGS];
	unsigned accesses, fail_at;
	uint8_t size;
};

static void expect(bool holds)
{
	if (!holds)
		abort();
}

static uint64_t reg_get(void *arg, enum guest_reg reg)
{
	expect(reg <= REG_RFLAGS);
	return ((struct machine *)arg)->regs[reg];
}

static void reg_set(void *arg, enum guest_reg reg, uint64_t val)
{
	expect(reg <= REG_R15 || reg == REG_RFLAGS);
	((struct machine *)arg)->regs[reg] = val;
}

static uint64_t seg_base(void *arg, enum guest_seg seg)
{
	(void)arg;
	expect(seg <= SEG_GS);
	return seg * 0x1000ull;
}

static enum hv_err mem_access(void *arg, enum emu_access access, uint64_t gva, uint8_t size,
			      uint64_t *val)
{
	struct machine *m = arg;

	expect(size == m->size && (size == 1 || size == 2 || size == 4 || size == 8));
	if (++m->accesses == m->fail_at)
		return HV_EIO;
	if (access != EMU_WRITE)
		*val = (gva * 0x9e3779b97f4a7c15ull) >> (64 - 8 * size);
	else
		expect(size == 8 || *val >> (8 * size) == 0);
	return HV_OK;
}

static void check_insn(const struct insn *insn, size_t len, enum insn_mode mode)
{
	expect(insn->len >= 1 && insn->len <= INSN_MAX_BYTES && insn->len <= len);
	expect(insn->op < INSN_OPS && insn->mode == mode && insn->seg < GUEST_SEGS);
	expect(insn->mem.base <= REG_R15 || insn->mem.base == INSN_NO_REG);
	expect(insn->mem.index <= REG_R15 || insn->mem.index == INSN_NO_REG);
	expect(insn->mem.shift <= 3 && insn->reg <= REG_R15);
	expect(mode == INSN_MODE_64 || (insn->size <= 4 && insn->addr_size <= 4));
	expect(insn_name(insn->op) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct machine m = {.fail_at = 0};
	struct emu_cpu cpu = {&m, reg_get, reg_set, seg_base, mem_access};
	struct insn insn = {.len = 0};
	enum insn_mode mode;
	bool is_done;

	if (len < 1 + 128)
		return 0;
	mode = data[0] % 16 % 3;
	m.fail_at = data[0] >> 4;
	memcpy(m.regs, data + 1, 128);
	if (insn_decode(data + 129, len - 129, mode, &insn) != HV_OK) {
		expect(insn.len == 0);
		return 0;
	}
	check_insn(&insn, len - 129, mode);
	m.size = insn.size;
	if (emulate(&insn, &cpu, MAX_REPS, &is_done) == HV_OK)
		expect(is_done || insn.is_rep);
	expect(m.accesses <= 2 * MAX_REPS);
	return 0;
}
