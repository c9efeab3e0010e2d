/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the decoder, the walker, guest memory and the board: whose is this address, and what does
 * the instruction do with it. Everything read from the guest is read once.
 */
#include "vmm/guest_access.h"

#include "kernel/lib/string.h"
#include "kernel/lib/fmt.h"
#include "kernel/log.h"
#include "vmm/board.h"
#include "vmm/dev/lapic.h"
#include "vmm/emulate.h"
#include "vmm/layout.h"
#include "vmm/vcpu.h"
#include "vmm/walk.h"

#define MAX_REPS     64u   /* of a repeated instruction before interrupts get their turn */
#define STRING_BYTES 1024u /* of INS and OUTS likewise */

struct access_ctx {
	struct vcpu *vcpu;
	struct walk_state walk;
	struct walk_fault fault;
	bool has_fault;
	uint64_t exit_gva, exit_gpa; /* of the access that made the exit: it needs no walk */
	bool has_exit_gva;
};

static struct walk_state walk_state_of(struct vcpu *vcpu)
{
	struct guest_segment ss;

	virt->seg_get(vcpu, SEG_SS, &ss);
	return (struct walk_state){
		.cr0 = virt->reg_get(vcpu, REG_CR0),
		.cr3 = virt->reg_get(vcpu, REG_CR3),
		.cr4 = virt->reg_get(vcpu, REG_CR4),
		.efer = virt->reg_get(vcpu, REG_EFER),
		.rflags = virt->reg_get(vcpu, REG_RFLAGS),
		.cpl = (uint8_t)(ss.attr >> 5 & 3),
		.gpa_bits = virt_caps.gpa_bits,
	};
}

static void raise_page_fault(struct vcpu *vcpu, const struct walk_fault *fault)
{
	virt->reg_set(vcpu, REG_CR2, fault->gva);
	vcpu_raise_code(vcpu, VECTOR_PF, fault->code);
}

/* ---- where an access goes ---- */

static bool is_lapic(struct vcpu *vcpu, uint64_t gpa)
{
	return gpa - LAYOUT_LAPIC < LAYOUT_LAPIC_BYTES &&
	       lapic_mode(vcpu->lapic) == LAPIC_MODE_XAPIC;
}

/* The register is 32 bits wide, whatever part of it the instruction touches. */
static void access_lapic(struct vcpu *vcpu, uint64_t gpa, struct io_access *acc)
{
	uint32_t offset = (uint32_t)(gpa - LAYOUT_LAPIC), shift = (offset & 3) * 8;

	if (acc->is_write)
		lapic_mmio_write(vcpu->lapic, offset, (uint32_t)acc->value);
	else
		acc->value = lapic_mmio_read(vcpu->lapic, offset & ~3u) >> shift;
}

static enum hv_err access_gpa(struct vcpu *vcpu, uint64_t gpa, struct io_access *acc)
{
	const struct gmem *mem = &vcpu->vm->mem;

	if (gmem_has(mem, gpa, acc->size))
		return acc->is_write ? gmem_write(mem, gpa, &acc->value, acc->size)
				     : gmem_read(mem, gpa, &acc->value, acc->size);
	if (is_lapic(vcpu, gpa))
		access_lapic(vcpu, gpa, acc);
	else
		board_access(vcpu->vm, SPACE_MMIO, gpa, acc);
	return HV_OK;
}

static enum hv_err translate(struct access_ctx *ctx, uint64_t gva, enum walk_access how,
			     uint64_t *gpa)
{
	if (ctx->has_exit_gva && gva == ctx->exit_gva) {
		*gpa = ctx->exit_gpa;
		return HV_OK;
	}
	return walk_translate(&ctx->vcpu->vm->mem, &ctx->walk, gva, how, gpa, &ctx->fault);
}

/* Across a page: byte by byte, as each half has its own translation. Rare, so it need not be fast.
 */
static enum hv_err access_split(struct access_ctx *ctx, bool is_write, uint64_t gva, uint8_t size,
				uint64_t *val)
{
	uint64_t result = 0;

	for (uint8_t i = 0; i < size; i++) {
		struct io_access acc = {
			.size = 1, .is_write = is_write, .value = *val >> (8 * i) & 0xff};
		uint64_t gpa;
		enum hv_err err =
			walk_translate(&ctx->vcpu->vm->mem, &ctx->walk, gva + i,
				       is_write ? WALK_WRITE : WALK_READ, &gpa, &ctx->fault);

		if (err == HV_OK)
			err = access_gpa(ctx->vcpu, gpa, &acc);
		if (err != HV_OK)
			return err;
		result |= (acc.value & 0xff) << (8 * i);
	}
	if (!is_write)
		*val = result;
	return HV_OK;
}

static enum hv_err access(void *arg, enum emu_access how, uint64_t gva, uint8_t size, uint64_t *val)
{
	struct access_ctx *ctx = arg;
	bool is_write = how == EMU_WRITE;
	struct io_access acc = {.size = size, .is_write = is_write, .value = is_write ? *val : 0};
	enum hv_err err;
	uint64_t gpa;

	if ((gva & 0xfff) + size > 0x1000) {
		err = access_split(ctx, is_write, gva, size, val);
	} else {
		err = translate(ctx, gva, how == EMU_READ ? WALK_READ : WALK_WRITE, &gpa);
		if (err == HV_OK)
			err = access_gpa(ctx->vcpu, gpa, &acc);
		if (err == HV_OK && !is_write)
			*val = acc.value;
	}
	ctx->has_fault = err == HV_EPROTO;
	return err;
}

/* ---- the emulator's view of the vCPU ---- */

static uint64_t get_reg(void *arg, enum guest_reg reg)
{
	return virt->reg_get(((struct access_ctx *)arg)->vcpu, reg);
}

static void set_reg(void *arg, enum guest_reg reg, uint64_t val)
{
	virt->reg_set(((struct access_ctx *)arg)->vcpu, reg, val);
}

static uint64_t get_seg_base(void *arg, enum guest_seg seg)
{
	struct guest_segment s;

	virt->seg_get(((struct access_ctx *)arg)->vcpu, seg, &s);
	return s.base;
}

/* ---- MMIO ---- */

static enum hv_err fetch(struct access_ctx *ctx, uint8_t bytes[INSN_MAX_BYTES], size_t *len,
			 enum insn_mode *mode)
{
	struct vcpu *vcpu = ctx->vcpu;
	struct guest_segment cs;
	enum hv_err err;

	virt->seg_get(vcpu, SEG_CS, &cs);
	*mode = insn_mode_of(ctx->walk.efer, cs.attr);
	err = walk_fetch(&vcpu->vm->mem, &ctx->walk, cs.base + virt->reg_get(vcpu, REG_RIP), bytes,
			 len, &ctx->fault);
	ctx->has_fault = err == HV_EPROTO;
	return err;
}

bool guest_fetch(struct vcpu *vcpu, uint8_t bytes[INSN_MAX_BYTES], size_t *len,
		 enum insn_mode *mode)
{
	struct access_ctx ctx = {.vcpu = vcpu, .walk = walk_state_of(vcpu)};

	return fetch(&ctx, bytes, len, mode) == HV_OK;
}

/* What a fault of the guest's own making becomes; false when it was none. */
static bool raise_fault(struct access_ctx *ctx, enum hv_err err)
{
	if (ctx->has_fault)
		raise_page_fault(ctx->vcpu, &ctx->fault);
	else if (err == HV_EINVAL)
		vcpu_raise_code(ctx->vcpu, VECTOR_GP, 0);
	else
		return false;
	return true;
}

static void log_stuck(struct vcpu *vcpu, const struct vm_exit *exit, const uint8_t *bytes,
		      size_t len)
{
	char text[3 * INSN_MAX_BYTES + 1] = "";

	for (size_t i = 0; i < len; i++)
		fmt(text + 3 * i, 4, "%02x ", bytes[i]);
	vm_log(vcpu->vm, LOG_WARN, "mmio", "cannot carry out the instruction %sat gpa %llx", text,
	       (unsigned long long)exit->mmio.gpa);
}

enum guest_insn guest_mmio(struct vcpu *vcpu, const struct vm_exit *exit)
{
	struct access_ctx ctx = {.vcpu = vcpu,
				 .walk = walk_state_of(vcpu),
				 .exit_gva = exit->mmio.gva,
				 .exit_gpa = exit->mmio.gpa,
				 .has_exit_gva = exit->mmio.has_gva};
	struct emu_cpu cpu = {.arg = &ctx,
			      .reg_get = get_reg,
			      .reg_set = set_reg,
			      .seg_base = get_seg_base,
			      .access = access};
	uint8_t bytes[INSN_MAX_BYTES];
	enum insn_mode mode;
	struct insn insn;
	size_t len = 0;
	bool is_done;
	enum hv_err err;

	if (exit->mmio.is_fetch)
		return GUEST_INSN_STUCK;
	err = fetch(&ctx, bytes, &len, &mode);
	if (err == HV_OK)
		err = insn_decode(bytes, len, mode, &insn);
	if (err == HV_OK)
		err = emulate(&insn, &cpu, MAX_REPS, &is_done);
	if (err != HV_OK) {
		if (raise_fault(&ctx, err))
			return GUEST_INSN_AGAIN;
		log_stuck(vcpu, exit, bytes, len);
		return GUEST_INSN_STUCK;
	}
	if (is_done)
		virt->skip(vcpu, insn.len);
	return GUEST_INSN_AGAIN;
}

/* ---- INS and OUTS ---- */

static uint64_t addr_mask(uint8_t addr_size)
{
	return addr_size == 8 ? ~0ull : BIT(addr_size * 8) - 1;
}

static void advance(struct vcpu *vcpu, const struct vm_exit *exit, enum guest_reg reg, int64_t step)
{
	uint64_t mask = addr_mask(exit->io.addr_size), old = virt->reg_get(vcpu, reg);
	uint64_t val = (old + (uint64_t)step) & mask;

	virt->reg_set(vcpu, reg, exit->io.addr_size == 2 ? (old & ~mask) | val : val);
}

static enum hv_err string_step(struct access_ctx *ctx, const struct vm_exit *exit, uint64_t gva)
{
	struct io_access acc = {.size = exit->io.size, .is_write = !exit->io.is_in};
	enum hv_err err;

	if (exit->io.is_in) {
		/* The page is looked at first: input that cannot be stored must not be taken. */
		err = access(ctx, EMU_READ_TO_WRITE, gva, acc.size, &acc.value);
		if (err != HV_OK)
			return err;
		board_access(ctx->vcpu->vm, SPACE_PIO, exit->io.port, &acc);
		return access(ctx, EMU_WRITE, gva, acc.size, &acc.value);
	}
	err = access(ctx, EMU_READ, gva, acc.size, &acc.value);
	if (err == HV_OK)
		board_access(ctx->vcpu->vm, SPACE_PIO, exit->io.port, &acc);
	return err;
}

bool guest_string_io(struct vcpu *vcpu, const struct vm_exit *exit)
{
	struct access_ctx ctx = {.vcpu = vcpu, .walk = walk_state_of(vcpu)};
	bool is_down = ctx.walk.rflags & BIT(10);
	int64_t step = is_down ? -(int64_t)exit->io.size : exit->io.size;
	uint64_t mask = addr_mask(exit->io.addr_size), gva = exit->io.gva;
	uint64_t left = exit->io.is_rep ? virt->reg_get(vcpu, REG_RCX) & mask : 1;

	for (uint32_t done = 0; left > 0 && done < STRING_BYTES; done += exit->io.size) {
		enum hv_err err = string_step(&ctx, exit, gva);

		if (err != HV_OK) {
			if (!raise_fault(&ctx, err))
				vm_stop(vcpu->vm, VM_STOP_CRASH,
					"string I/O from or to memory that is not RAM");
			return false;
		}
		gva += (uint64_t)step;
		left--;
		advance(vcpu, exit, exit->io.is_in ? REG_RDI : REG_RSI, step);
		if (exit->io.is_rep)
			advance(vcpu, exit, REG_RCX, -1);
	}
	return left == 0;
}
