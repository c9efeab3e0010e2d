/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder against encodings written out by hand, and decoder with evaluator against this
 * machine's own CPU: every form with random values, run once for real and once by us, and then all
 * registers, flags and memory compared.
 */
#include <cpuid.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "vmm/emulate.h"
#include "vmm/insn.h"

#define CF	    BIT(0)
#define AF	    BIT(4)
#define ZF	    BIT(6)
#define DF	    BIT(10)
#define ARITH_FLAGS 0x8d5ull

/* ---- the decoder ---- */

struct encoding {
	const char *text;
	enum insn_mode mode;
	uint8_t len;
	uint8_t bytes[15];
	struct insn want;
};

#define MEM(b, i, s, d) {.base = b, .index = i, .shift = s, .disp = d}
#define NOWHERE		MEM(INSN_NO_REG, INSN_NO_REG, 0, 0)
#define RIP_REL(d)	{.base = INSN_NO_REG, .index = INSN_NO_REG, .is_rip_relative = true, .disp = d}
#define BY_REG(r, w)	.source = INSN_SRC_REG, .reg = r, .reg_size = w
#define BY_IMM(v)	.source = INSN_SRC_IMM, .imm = (uint64_t)(v)
#define NONE		INSN_NO_REG

/* clang-format off */
static const struct encoding encodings[] = {
	{"mov [rdi+0xb0], esi", INSN_MODE_64, 6, {0x89, 0xb7, 0xb0, 0, 0, 0},
	 {.op = INSN_MOV, .size = 4, .addr_size = 8, .to_mem = true, BY_REG(REG_RSI, 4), .seg = SEG_DS,
	  .mem = MEM(REG_RDI, NONE, 0, 0xb0)}},
	{"mov eax, [rip-0x10]", INSN_MODE_64, 6, {0x8b, 0x05, 0xf0, 0xff, 0xff, 0xff},
	 {.op = INSN_MOV, .size = 4, .addr_size = 8, BY_REG(REG_RAX, 4), .seg = SEG_DS,
	  .mem = RIP_REL(-0x10)}},
	{"mov eax, [0xfee00020]", INSN_MODE_32, 6, {0x8b, 0x05, 0x20, 0x00, 0xe0, 0xfe},
	 {.op = INSN_MOV, .size = 4, .addr_size = 4, BY_REG(REG_RAX, 4), .seg = SEG_DS,
	  .mem = MEM(NONE, NONE, 0, (int32_t)0xfee00020)}},
	{"mov ds:[0xffffffffff5fd0b0], 0 through SIB", INSN_MODE_64, 11,
	 {0xc7, 0x04, 0x25, 0xb0, 0xd0, 0x5f, 0xff, 0x78, 0x56, 0x34, 0xf2},
	 {.op = INSN_MOV, .size = 4, .addr_size = 8, .to_mem = true, BY_IMM(0xfffffffff2345678),
	  .reg_size = 4, .seg = SEG_DS, .mem = MEM(NONE, NONE, 0, (int32_t)0xff5fd0b0)}},
	{"mov r15b, [r12+r13*8-1]", INSN_MODE_64, 5, {0x47, 0x8a, 0x7c, 0xec, 0xff},
	 {.op = INSN_MOV, .size = 1, .addr_size = 8, BY_REG(REG_R15, 1), .seg = SEG_DS,
	  .mem = MEM(REG_R12, REG_R13, 3, -1)}},
	{"mov [rsp], bh", INSN_MODE_64, 3, {0x88, 0x3c, 0x24},
	 {.op = INSN_MOV, .size = 1, .addr_size = 8, .to_mem = true, BY_REG(REG_RBX, 1),
	  .is_high_byte = true, .seg = SEG_SS, .mem = MEM(REG_RSP, NONE, 0, 0)}},
	{"mov [rsp], dil", INSN_MODE_64, 4, {0x40, 0x88, 0x3c, 0x24},
	 {.op = INSN_MOV, .size = 1, .addr_size = 8, .to_mem = true, BY_REG(REG_RDI, 1), .seg = SEG_SS,
	  .mem = MEM(REG_RSP, NONE, 0, 0)}},
	{"mov [r13], rax", INSN_MODE_64, 4, {0x49, 0x89, 0x45, 0x00},
	 {.op = INSN_MOV, .size = 8, .addr_size = 8, .to_mem = true, BY_REG(REG_RAX, 8), .seg = SEG_DS,
	  .mem = MEM(REG_R13, NONE, 0, 0)}},
	{"mov [rbp-4], gs:", INSN_MODE_64, 4, {0x65, 0x89, 0x4d, 0xfc},
	 {.op = INSN_MOV, .size = 4, .addr_size = 8, .to_mem = true, BY_REG(REG_RCX, 4), .seg = SEG_GS,
	  .mem = MEM(REG_RBP, NONE, 0, -4)}},
	{"es: is nothing in 64-bit mode", INSN_MODE_64, 4, {0x64, 0x26, 0x89, 0x0b},
	 {.op = INSN_MOV, .size = 4, .addr_size = 8, .to_mem = true, BY_REG(REG_RCX, 4), .seg = SEG_FS,
	  .mem = MEM(REG_RBX, NONE, 0, 0)}},
	{"mov [ebx], cx, 67 and 66", INSN_MODE_64, 4, {0x67, 0x66, 0x89, 0x0b},
	 {.op = INSN_MOV, .size = 2, .addr_size = 4, .to_mem = true, BY_REG(REG_RCX, 2), .seg = SEG_DS,
	  .mem = MEM(REG_RBX, NONE, 0, 0)}},
	{"mov [bp+di+2], ax", INSN_MODE_16, 3, {0x89, 0x43, 0x02},
	 {.op = INSN_MOV, .size = 2, .addr_size = 2, .to_mem = true, BY_REG(REG_RAX, 2), .seg = SEG_SS,
	  .mem = MEM(REG_RBP, REG_RDI, 0, 2)}},
	{"mov es:[0x1234], eax", INSN_MODE_16, 6, {0x66, 0x26, 0x89, 0x06, 0x34, 0x12},
	 {.op = INSN_MOV, .size = 4, .addr_size = 2, .to_mem = true, BY_REG(REG_RAX, 4), .seg = SEG_ES,
	  .mem = MEM(NONE, NONE, 0, 0x1234)}},
	{"mov [si+0xfff0], al in 32-bit mode", INSN_MODE_32, 5, {0x67, 0x88, 0x84, 0xf0, 0xff},
	 {.op = INSN_MOV, .size = 1, .addr_size = 2, .to_mem = true, BY_REG(REG_RAX, 1), .seg = SEG_DS,
	  .mem = MEM(REG_RSI, NONE, 0, -16)}},
	{"movabs eax, [0x1122334455667788]", INSN_MODE_64, 9,
	 {0xa1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11},
	 {.op = INSN_MOV, .size = 4, .addr_size = 8, BY_REG(REG_RAX, 4), .seg = SEG_DS,
	  .mem = MEM(NONE, NONE, 0, 0x1122334455667788)}},
	{"mov [0x8000], al, moffs16", INSN_MODE_16, 3, {0xa2, 0x00, 0x80},
	 {.op = INSN_MOV, .size = 1, .addr_size = 2, .to_mem = true, BY_REG(REG_RAX, 1), .seg = SEG_DS,
	  .mem = MEM(NONE, NONE, 0, 0x8000)}},
	{"movzx ecx, word [rdx]", INSN_MODE_64, 3, {0x0f, 0xb7, 0x0a},
	 {.op = INSN_MOVZX, .size = 2, .addr_size = 8, BY_REG(REG_RCX, 4), .seg = SEG_DS,
	  .mem = MEM(REG_RDX, NONE, 0, 0)}},
	{"movsxd rcx, dword [rdx]", INSN_MODE_64, 3, {0x48, 0x63, 0x0a},
	 {.op = INSN_MOVSX, .size = 4, .addr_size = 8, BY_REG(REG_RCX, 8), .seg = SEG_DS,
	  .mem = MEM(REG_RDX, NONE, 0, 0)}},
	{"rep movsd", INSN_MODE_64, 2, {0xf3, 0xa5},
	 {.op = INSN_MOVS, .size = 4, .reg_size = 4, .addr_size = 8, .is_rep = true, .seg = SEG_DS,
	  .mem = NOWHERE}},
	{"rep stosq", INSN_MODE_64, 3, {0xf3, 0x48, 0xab},
	 {.op = INSN_STOS, .size = 8, .reg_size = 8, .addr_size = 8, .is_rep = true, .seg = SEG_DS,
	  .mem = NOWHERE}},
	{"lock or dword [rax], 0x80 by imm8", INSN_MODE_64, 4, {0xf0, 0x83, 0x08, 0x80},
	 {.op = INSN_OR, .size = 4, .reg_size = 4, .addr_size = 8, .to_mem = true, .is_lock = true,
	  BY_IMM(-128), .seg = SEG_DS, .mem = MEM(REG_RAX, NONE, 0, 0)}},
	{"test byte [rax+1], 0x20", INSN_MODE_64, 4, {0xf6, 0x40, 0x01, 0x20},
	 {.op = INSN_TEST, .size = 1, .reg_size = 1, .addr_size = 8, .to_mem = true, BY_IMM(0x20),
	  .seg = SEG_DS, .mem = MEM(REG_RAX, NONE, 0, 1)}},
	{"mov word [bx], imm16", INSN_MODE_16, 4, {0xc7, 0x07, 0xcd, 0xab},
	 {.op = INSN_MOV, .size = 2, .reg_size = 2, .addr_size = 2, .to_mem = true,
	  BY_IMM(0xffffffffffffabcd), .seg = SEG_DS, .mem = MEM(REG_RBX, NONE, 0, 0)}},
	{"btr dword [rax], 31", INSN_MODE_64, 4, {0x0f, 0xba, 0x30, 31},
	 {.op = INSN_BTR, .size = 4, .reg_size = 4, .addr_size = 8, .to_mem = true, BY_IMM(31),
	  .seg = SEG_DS, .mem = MEM(REG_RAX, NONE, 0, 0)}},
	{"movbe [rax], cx", INSN_MODE_64, 5, {0x66, 0x0f, 0x38, 0xf1, 0x08},
	 {.op = INSN_MOVBE, .size = 2, .addr_size = 8, .to_mem = true, BY_REG(REG_RCX, 2), .seg = SEG_DS,
	  .mem = MEM(REG_RAX, NONE, 0, 0)}},
};
/* clang-format on */

static void expect_insn(const struct encoding *e, const struct insn *got)
{
	const struct insn *want = &e->want;
	bool is_same = got->op == want->op && got->len == e->len && got->size == want->size &&
		       got->reg_size == want->reg_size && got->addr_size == want->addr_size &&
		       got->source == want->source && got->to_mem == want->to_mem &&
		       got->reg == want->reg && got->is_high_byte == want->is_high_byte &&
		       got->imm == want->imm && got->is_rep == want->is_rep &&
		       got->is_lock == want->is_lock && got->seg == want->seg &&
		       got->mem.base == want->mem.base && got->mem.index == want->mem.index &&
		       got->mem.shift == want->mem.shift && got->mem.disp == want->mem.disp &&
		       got->mem.is_rip_relative == want->mem.is_rip_relative &&
		       got->mode == e->mode;

	if (!is_same)
		fail_msg("%s: decoded as %s, %u bytes", e->text, insn_name(got->op), got->len);
}

static void decodes_each_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
		const struct encoding *e = &encodings[i];
		struct insn got;

		if (insn_decode(e->bytes, sizeof(e->bytes), e->mode, &got) != HV_OK)
			fail_msg("%s: not decoded", e->text);
		expect_insn(e, &got);
	}
}

static void says_truncated_at_every_shorter_length(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
		const struct encoding *e = &encodings[i];

		for (size_t len = 0; len < e->len; len++) {
			struct insn got = {.len = 77};
			enum hv_err err = insn_decode(e->bytes, len, e->mode, &got);

			/* A group's opcode alone, without the ModRM that says which one, may be
			 * refused. */
			if (err != HV_EPROTO && err != HV_ENOTSUP)
				fail_msg("%s: %zu bytes of it were decoded", e->text, len);
			assert_int_equal(got.len, 77);
		}
	}
}

static void refuses_what_is_not_ours(void **state)
{
	static const struct {
		enum insn_mode mode;
		uint8_t bytes[15];
	} rows[] = {
		{INSN_MODE_64, {0x89, 0xc0}},			/* mov eax, eax: no memory */
		{INSN_MODE_64, {0xf0, 0x89, 0x00}},		/* lock mov */
		{INSN_MODE_64, {0xf0, 0x03, 0x00}},		/* lock add eax, [rax] */
		{INSN_MODE_64, {0xf0, 0x39, 0x00}},		/* lock cmp */
		{INSN_MODE_64, {0xf0, 0x0f, 0xba, 0x20, 1}},	/* lock bt */
		{INSN_MODE_64, {0x11, 0x00}},			/* adc */
		{INSN_MODE_64, {0x0f, 0x6f, 0x00}},		/* movq mm0, [rax] */
		{INSN_MODE_64, {0x66, 0x0f, 0x6f, 0x00}},	/* movdqa */
		{INSN_MODE_64, {0xf2, 0x0f, 0x38, 0xf0, 0x00}}, /* crc32 */
		{INSN_MODE_64, {0x66, 0x0f, 0xc3, 0x00}},	/* no such instruction */
		{INSN_MODE_64, {0xc7, 0x48, 0, 0, 0, 0, 0}},	/* C7 /1 */
		{INSN_MODE_64, {0xf7, 0x20}},			/* mul */
		{INSN_MODE_64, {0xff, 0x30}},			/* push */
		{INSN_MODE_64, {0x0f, 0xba, 0x18, 1}},		/* 0F BA /3 */
		{INSN_MODE_64, {0x48, 0x66, 0x89, 0x00}},	/* a prefix behind REX */
		{INSN_MODE_64, {0xc5, 0xf8, 0x77}},		/* VEX */
		{INSN_MODE_32, {0x63, 0x00}},			/* arpl */
		{INSN_MODE_32, {0x48, 0x89, 0x00}},		/* dec eax */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct insn got = {.len = 77};

		if (insn_decode(rows[i].bytes, 15, rows[i].mode, &got) != HV_ENOTSUP)
			fail_msg("row %zu was not refused", i);
		assert_int_equal(got.len, 77);
	}
}

static void refuses_more_than_fifteen_bytes(void **state)
{
	uint8_t bytes[20];
	struct insn got;

	(void)state;
	memset(bytes, 0x2e, sizeof(bytes));
	bytes[13] = 0x89;
	bytes[14] = 0x00;
	assert_int_equal(insn_decode(bytes, sizeof(bytes), INSN_MODE_64, &got), HV_OK);
	assert_int_equal(got.len, 15);
	memset(bytes, 0x2e, 14);
	bytes[14] = 0x89;
	bytes[15] = 0x00;
	assert_int_equal(insn_decode(bytes, sizeof(bytes), INSN_MODE_64, &got), HV_EPROTO);
}

static void knows_the_mode_from_cs(void **state)
{
	(void)state;
	assert_int_equal(insn_mode_of(BIT(10), 0x209b), INSN_MODE_64);
	assert_int_equal(insn_mode_of(BIT(10), 0x409b), INSN_MODE_32); /* compatibility mode */
	assert_int_equal(insn_mode_of(0, 0x209b), INSN_MODE_16);
	assert_int_equal(insn_mode_of(0, 0xc09b), INSN_MODE_32);
	assert_int_equal(insn_mode_of(0, 0x0093), INSN_MODE_16);
}

/* ---- the real CPU ---- */

#define DATA_BYTES 4096

/* general registers in enum guest_reg order, then flags; RSP stays the host's */
uint64_t native_regs[17];
void *native_code, *native_rsp;
void native_run(void);
extern char native_back[];

#define LOAD(n, r)  "mov native_regs+8*" #n "(%rip), %" #r "\n"
#define STORE(n, r) "mov %" #r ", native_regs+8*" #n "(%rip)\n"
#define ALL_BUT_RSP(f)                                                                             \
	f(0, rax) f(1, rcx) f(2, rdx) f(3, rbx) f(5, rbp) f(6, rsi) f(7, rdi) f(8, r8) f(9, r9)    \
		f(10, r10) f(11, r11) f(12, r12) f(13, r13) f(14, r14) f(15, r15)

__asm__(".text\n"
	"native_run:\n"
	"push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
	"mov %rsp, native_rsp(%rip)\n"
	"pushq native_regs+128(%rip)\npopfq\n" ALL_BUT_RSP(
		LOAD) "jmp *native_code(%rip)\n"
		      "native_back:\n" ALL_BUT_RSP(
			      STORE) "pushfq\npopq native_regs+128(%rip)\n"
				     "cld\n"
				     "mov native_rsp(%rip), %rsp\n"
				     "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\n"
				     "ret\n");

struct machine { /* ours */
	uint64_t regs[GUEST_REGS];
	uint8_t data[DATA_BYTES];
	uint64_t data_gva;
	unsigned accesses, fail_at; /* the access that fails, counted from 1 */
	uint64_t seg_bases[GUEST_SEGS];
};

static uint64_t machine_reg_get(void *arg, enum guest_reg reg)
{
	return ((struct machine *)arg)->regs[reg];
}

static void machine_reg_set(void *arg, enum guest_reg reg, uint64_t val)
{
	((struct machine *)arg)->regs[reg] = val;
}

static uint64_t machine_seg_base(void *arg, enum guest_seg seg)
{
	return ((struct machine *)arg)->seg_bases[seg];
}

static enum hv_err machine_access(void *arg, enum emu_access access, uint64_t gva, uint8_t size,
				  uint64_t *val)
{
	struct machine *m = arg;
	uint64_t offset = gva - m->data_gva;

	assert_true(range_fits(offset, size, DATA_BYTES));
	if (++m->accesses == m->fail_at)
		return HV_EIO;
	if (access == EMU_WRITE) {
		memcpy(m->data + offset, val, size);
	} else {
		*val = 0;
		memcpy(val, m->data + offset, size);
	}
	return HV_OK;
}

static struct emu_cpu cpu_of(struct machine *m)
{
	return (struct emu_cpu){m, machine_reg_get, machine_reg_set, machine_seg_base,
				machine_access};
}

static uint8_t *code_page, *data_page; /* below 4 GiB, so that 32-bit addresses reach them */

static int map_pages(void **state)
{
	(void)state;
	code_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	data_page = mmap(NULL, DATA_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	return code_page == MAP_FAILED || data_page == MAP_FAILED;
}

static uint64_t random64(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	switch (x >> 60) { /* often a value at an edge */
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return 0x8000000080008080ull;
	case 3:
		return 0x7fffffff7fff7f7full;
	default:
		return x;
	}
}

static void run_native(const uint8_t *bytes, size_t len)
{
	static const uint8_t jump[6] = {0xff, 0x25, 0, 0, 0, 0}; /* jmp [rip+0] */

	memcpy(code_page, bytes, len);
	memcpy(code_page + len, jump, sizeof(jump));
	put_le64(code_page + len + sizeof(jump), (uint64_t)native_back);
	native_code = code_page;
	native_run();
}

/* Run bytes for real from the state in native_regs and data_page, and by us; compare what they
 * left. */
static void compare(const uint8_t *bytes, size_t len, uint64_t undefined_flags)
{
	static struct machine m;
	struct emu_cpu cpu = cpu_of(&m);
	struct insn insn;
	bool is_done = false;

	memset(&m, 0, sizeof(m));
	memcpy(m.regs, native_regs, 16 * 8);
	m.regs[REG_RFLAGS] = native_regs[16];
	m.regs[REG_RIP] = (uint64_t)code_page;
	m.data_gva = (uint64_t)data_page;
	memcpy(m.data, data_page, DATA_BYTES);

	if (insn_decode(bytes, len, INSN_MODE_64, &insn) != HV_OK || insn.len != len)
		fail_msg("%02x %02x %02x %02x: not decoded", bytes[0], bytes[1], bytes[2],
			 bytes[3]);
	run_native(bytes, len);
	assert_int_equal(emulate(&insn, &cpu, 1000, &is_done), HV_OK);
	assert_true(is_done);

	for (unsigned i = 0; i < 16; i++)
		if (m.regs[i] != native_regs[i])
			fail_msg("%s %02x %02x %02x %02x %02x: register %u is %lx, the CPU has %lx",
				 insn_name(insn.op), bytes[0], bytes[1], bytes[2], bytes[3],
				 bytes[4], i, m.regs[i], native_regs[i]);
	if ((m.regs[REG_RFLAGS] ^ native_regs[16]) & ARITH_FLAGS & ~undefined_flags)
		fail_msg("%s %02x %02x %02x %02x: flags %lx, the CPU has %lx", insn_name(insn.op),
			 bytes[0], bytes[1], bytes[2], bytes[3], m.regs[REG_RFLAGS],
			 native_regs[16]);
	if (memcmp(m.data, data_page, DATA_BYTES))
		fail_msg("%s: memory differs", insn_name(insn.op));
}

static void randomize(void)
{
	for (unsigned i = 0; i < 16; i++)
		if (i != REG_RSP)
			native_regs[i] = random64();
	native_regs[16] = 0x202 | (random64() & ARITH_FLAGS);
	for (unsigned i = 0; i < DATA_BYTES; i += 8)
		put_le64(data_page + i, random64());
}

struct form {
	uint8_t nr_opcode, opcode[3];
	int8_t group;	    /* ModRM's reg field, or -1: a register, all of them are tried */
	uint8_t imm_bytes;  /* 4: as wide as the operand, up to 4 */
	bool is_no_16;	    /* 66 is not allowed */
	uint64_t undefined; /* flags */
};

#define BT_UNDEFINED (ARITH_FLAGS & ~(CF | ZF))

/* clang-format off */
static const struct form forms[] = {
	{1, {0x88}, -1, 0, false, 0},	  {1, {0x89}, -1, 0, false, 0},	   {1, {0x8a}, -1, 0, false, 0},
	{1, {0x8b}, -1, 0, false, 0},	  {1, {0xc6}, 0, 1, false, 0},	   {1, {0xc7}, 0, 4, false, 0},
	{2, {0x0f, 0xb6}, -1, 0, false, 0}, {2, {0x0f, 0xb7}, -1, 0, false, 0},
	{2, {0x0f, 0xbe}, -1, 0, false, 0}, {2, {0x0f, 0xbf}, -1, 0, false, 0},
	{1, {0x63}, -1, 0, false, 0},	  {2, {0x0f, 0xc3}, -1, 0, true, 0},
	{1, {0x00}, -1, 0, false, 0},	  {1, {0x01}, -1, 0, false, 0},	   {1, {0x02}, -1, 0, false, 0},
	{1, {0x03}, -1, 0, false, 0},	  {1, {0x08}, -1, 0, false, AF},   {1, {0x09}, -1, 0, false, AF},
	{1, {0x0a}, -1, 0, false, AF},	  {1, {0x0b}, -1, 0, false, AF},   {1, {0x20}, -1, 0, false, AF},
	{1, {0x21}, -1, 0, false, AF},	  {1, {0x22}, -1, 0, false, AF},   {1, {0x23}, -1, 0, false, AF},
	{1, {0x28}, -1, 0, false, 0},	  {1, {0x29}, -1, 0, false, 0},	   {1, {0x2a}, -1, 0, false, 0},
	{1, {0x2b}, -1, 0, false, 0},	  {1, {0x30}, -1, 0, false, AF},   {1, {0x31}, -1, 0, false, AF},
	{1, {0x32}, -1, 0, false, AF},	  {1, {0x33}, -1, 0, false, AF},   {1, {0x38}, -1, 0, false, 0},
	{1, {0x39}, -1, 0, false, 0},	  {1, {0x3a}, -1, 0, false, 0},	   {1, {0x3b}, -1, 0, false, 0},
	{1, {0x84}, -1, 0, false, AF},	  {1, {0x85}, -1, 0, false, AF},   {1, {0x86}, -1, 0, false, 0},
	{1, {0x87}, -1, 0, false, 0},
	{1, {0x80}, 0, 1, false, 0},	  {1, {0x80}, 1, 1, false, AF},	   {1, {0x80}, 4, 1, false, AF},
	{1, {0x80}, 5, 1, false, 0},	  {1, {0x80}, 6, 1, false, AF},	   {1, {0x80}, 7, 1, false, 0},
	{1, {0x81}, 0, 4, false, 0},	  {1, {0x81}, 1, 4, false, AF},	   {1, {0x81}, 4, 4, false, AF},
	{1, {0x81}, 5, 4, false, 0},	  {1, {0x81}, 6, 4, false, AF},	   {1, {0x81}, 7, 4, false, 0},
	{1, {0x83}, 0, 1, false, 0},	  {1, {0x83}, 1, 1, false, AF},	   {1, {0x83}, 4, 1, false, AF},
	{1, {0x83}, 5, 1, false, 0},	  {1, {0x83}, 6, 1, false, AF},	   {1, {0x83}, 7, 1, false, 0},
	{1, {0xf6}, 0, 1, false, AF},	  {1, {0xf7}, 0, 4, false, AF},	   {1, {0xf6}, 1, 1, false, AF},
	{1, {0xf6}, 2, 0, false, 0},	  {1, {0xf7}, 2, 0, false, 0},	   {1, {0xf6}, 3, 0, false, 0},
	{1, {0xf7}, 3, 0, false, 0},	  {1, {0xfe}, 0, 0, false, 0},	   {1, {0xff}, 0, 0, false, 0},
	{1, {0xfe}, 1, 0, false, 0},	  {1, {0xff}, 1, 0, false, 0},
	{2, {0x0f, 0xba}, 4, 1, false, BT_UNDEFINED}, {2, {0x0f, 0xba}, 5, 1, false, BT_UNDEFINED},
	{2, {0x0f, 0xba}, 6, 1, false, BT_UNDEFINED}, {2, {0x0f, 0xba}, 7, 1, false, BT_UNDEFINED},
	{2, {0x0f, 0xb0}, -1, 0, false, 0}, {2, {0x0f, 0xb1}, -1, 0, false, 0},
	/* MOVBE is last: not every CPU has it */
	{3, {0x0f, 0x38, 0xf0}, -1, 0, false, 0}, {3, {0x0f, 0x38, 0xf1}, -1, 0, false, 0},
};
/* clang-format on */

/* prefixes REX/66, opcode, ModRM for [rbx + rsi*2 + disp8], SIB, disp8, immediate */
static size_t assemble(uint8_t *at, const struct form *f, uint8_t rex, bool has_66, unsigned reg)
{
	bool is_full = f->imm_bytes == 4;
	unsigned imm_bytes = is_full && has_66 && !(rex & 8) ? 2 : f->imm_bytes;
	uint8_t *start = at;

	if (has_66)
		*at++ = 0x66;
	if (rex)
		*at++ = rex;
	memcpy(at, f->opcode, f->nr_opcode);
	at += f->nr_opcode;
	*at++ = 0x44 | (f->group >= 0 ? (unsigned)f->group : reg) << 3;
	*at++ = 0x73;
	*at++ = 0xf8;
	put_le32(at, (uint32_t)random64());
	return at + imm_bytes - start;
}

static void try_form(const struct form *f, uint8_t rex, bool has_66)
{
	for (unsigned reg = 0; reg < (f->group < 0 ? 8 : 1); reg++) {
		uint8_t bytes[16];
		size_t len = assemble(bytes, f, rex, has_66, reg);
		unsigned real_reg = reg | (rex & 4 ? 8 : 0);
		bool is_ah = !rex && f->nr_opcode == 1 && !(f->opcode[0] & 1);

		if (f->group < 0 && real_reg == REG_RSP && !is_ah)
			continue; /* the host's stack */
		randomize();
		native_regs[REG_RSI] = random64() & 0xff;
		native_regs[REG_RBX] = (uint64_t)data_page + 512 + (random64() & 0xff);
		if (random64() & 1) /* give CMPXCHG a chance */
			native_regs[REG_RAX] = get_le64((uint8_t *)native_regs[REG_RBX] +
							native_regs[REG_RSI] * 2 - 8);
		compare(bytes, len, f->undefined);
	}
}

static bool has_movbe(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & BIT(22));
}

static void computes_what_the_cpu_computes(void **state)
{
	static const uint8_t rexes[] = {0, 0x40, 0x44, 0x48, 0x4c};
	size_t nr_forms = ARRAY_SIZE(forms) - (has_movbe() ? 0 : 2);

	(void)state;
	for (size_t i = 0; i < nr_forms; i++)
		for (size_t r = 0; r < sizeof(rexes); r++)
			for (unsigned n = 0; n < 64; n++)
				try_form(&forms[i], rexes[r], !forms[i].is_no_16 && (n & 1));
}

static void addresses_memory_as_the_cpu_does(void **state)
{
	uint8_t rip_relative[6] = {0x8b, 0x0d}, addr32[5] = {0x67, 0x89, 0x4c, 0xbb, 0x10};
	uint8_t r12_r13[5] = {0x4f, 0x89, 0x7c, 0x2c, 0x08}, moffs[10] = {0x48, 0xa3};
	uint8_t absolute[8] = {0x89, 0x04, 0x25};

	(void)state;
	randomize();
	put_le32(rip_relative + 2, (uint32_t)(data_page + 8 - (code_page + 6)));
	compare(rip_relative, 6, 0);

	native_regs[REG_RBX] =
		(uint64_t)data_page | 0xabcd00000000ull; /* the upper half is cut off */
	native_regs[REG_RDI] = 0xffffffffffffffffull;
	compare(addr32, 5, 0);

	native_regs[REG_R12] = (uint64_t)data_page - 100;
	native_regs[REG_R13] = 200;
	compare(r12_r13, 5, 0);

	put_le64(moffs + 2, (uint64_t)data_page + 16);
	compare(moffs, 10, 0);
	put_le32(absolute + 3, (uint32_t)(uint64_t)data_page + 24);
	compare(absolute, 7, 0);
}

static void moves_strings_as_the_cpu_does(void **state)
{
	static const uint8_t ops[] = {0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad};
	static const uint8_t prefixes[][3] = {
		{0}, {0xf3}, {0xf3, 0x48}, {0x66, 0xf3}, {0x67, 0xf3}};

	(void)state;
	for (unsigned n = 0; n < 400; n++) {
		uint8_t bytes[4] = {0};
		size_t len = strnlen((const char *)prefixes[n % 5], 3);

		memcpy(bytes, prefixes[n % 5], len);
		bytes[len++] = ops[n / 5 % 6];
		randomize();
		native_regs[REG_RSI] = (uint64_t)data_page + 1024 + (random64() & 127);
		native_regs[REG_RDI] = (uint64_t)data_page + 1024 + (random64() & 127);
		native_regs[REG_RCX] = random64() & 31;
		native_regs[16] |= random64() & DF;
		compare(bytes, len, 0);
	}
}

/* ---- what the CPU cannot be asked here ---- */

static void stops_a_repetition_at_the_bound_and_goes_on(void **state)
{
	static const uint8_t rep_stosb[] = {0xf3, 0xaa};
	static struct machine m;
	struct emu_cpu cpu = cpu_of(&m);
	struct insn insn;
	bool is_done;

	(void)state;
	m.regs[REG_RCX] = 10;
	m.regs[REG_RAX] = 0x5a;
	assert_int_equal(insn_decode(rep_stosb, 2, INSN_MODE_64, &insn), HV_OK);
	assert_int_equal(emulate(&insn, &cpu, 4, &is_done), HV_OK);
	assert_false(is_done);
	assert_int_equal(m.regs[REG_RCX], 6);
	assert_int_equal(m.regs[REG_RDI], 4);
	assert_int_equal(emulate(&insn, &cpu, 6, &is_done), HV_OK);
	assert_true(is_done);
	assert_int_equal(m.regs[REG_RDI], 10);
	assert_int_equal(m.data[9], 0x5a);
	assert_int_equal(m.data[10], 0);
	assert_int_equal(emulate(&insn, &cpu, 1, &is_done), HV_OK); /* RCX is 0: nothing to do */
	assert_true(is_done);
	assert_int_equal(m.accesses, 10);
}

static void keeps_finished_iterations_when_one_fails(void **state)
{
	static const uint8_t rep_movsb[] = {0xf3, 0xa4};
	static struct machine m = {.fail_at = 6}; /* the write of the third */
	struct emu_cpu cpu = cpu_of(&m);
	struct insn insn;
	bool is_done;

	(void)state;
	m.regs[REG_RCX] = 8;
	m.regs[REG_RDI] = 100;
	assert_int_equal(insn_decode(rep_movsb, 2, INSN_MODE_64, &insn), HV_OK);
	assert_int_equal(emulate(&insn, &cpu, 100, &is_done), HV_EIO);
	assert_int_equal(m.regs[REG_RCX], 6);
	assert_int_equal(m.regs[REG_RSI], 2);
	assert_int_equal(m.regs[REG_RDI], 102);
}

static void changes_nothing_when_an_access_fails(void **state)
{
	static const uint8_t list[][4] = {{0x8b, 0x03}, {0x01, 0x0b},	    {0x03, 0x0b},
					  {0x87, 0x0b}, {0x0f, 0xb1, 0x0b}, {0xa4},
					  {0xac}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		for (unsigned fail_at = 1; fail_at <= 2; fail_at++) {
			static struct machine m;
			uint64_t before[GUEST_REGS];
			struct emu_cpu cpu = cpu_of(&m);
			struct insn insn;
			bool is_done;

			memset(&m, 0xa5, sizeof(m));
			memset(m.regs, 0, sizeof(m.regs));
			m.accesses = 0;
			m.data_gva = 0;
			m.fail_at = fail_at;
			m.regs[REG_RCX] = 77;
			memcpy(before, m.regs, sizeof(before));
			assert_int_equal(insn_decode(list[i], 4, INSN_MODE_64, &insn), HV_OK);
			if (emulate(&insn, &cpu, 1, &is_done) != HV_OK)
				assert_memory_equal(m.regs, before, sizeof(before));
			else
				assert_true(m.accesses < fail_at);
		}
	}
}

static void adds_segment_bases_where_they_count(void **state)
{
	static const uint8_t store_fs[] = {0x64, 0x88, 0x03}, store_es[] = {0x26, 0x88, 0x03};
	static const uint8_t store_bp[] = {0x88, 0x46, 0xfe};
	static struct machine m = {
		.seg_bases = {[SEG_ES] = 0x100, [SEG_SS] = 0x200, [SEG_FS] = 0x300}};
	struct emu_cpu cpu = cpu_of(&m);
	struct insn insn;
	bool is_done;

	(void)state;
	m.regs[REG_RAX] = 0xee;
	assert_int_equal(insn_decode(store_fs, 3, INSN_MODE_64, &insn), HV_OK);
	assert_int_equal(emulate(&insn, &cpu, 1, &is_done), HV_OK);
	assert_int_equal(m.data[0x300], 0xee);
	assert_int_equal(insn_decode(store_es, 3, INSN_MODE_64, &insn), HV_OK);
	assert_int_equal(emulate(&insn, &cpu, 1, &is_done), HV_OK);
	assert_int_equal(m.data[0], 0xee);
	assert_int_equal(insn_decode(store_es, 3, INSN_MODE_32, &insn), HV_OK);
	assert_int_equal(emulate(&insn, &cpu, 1, &is_done), HV_OK);
	assert_int_equal(m.data[0x100], 0xee);
	m.regs[REG_RBP] = 0x70001; /* 16-bit addressing: wraps to 0xffff */
	m.seg_bases[SEG_SS] = 0x200 - 0xffff;
	assert_int_equal(insn_decode(store_bp, 3, INSN_MODE_16, &insn), HV_OK);
	assert_int_equal(emulate(&insn, &cpu, 1, &is_done), HV_OK);
	assert_int_equal(m.data[0x200], 0xee);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_each_form),
		cmocka_unit_test(says_truncated_at_every_shorter_length),
		cmocka_unit_test(refuses_what_is_not_ours),
		cmocka_unit_test(refuses_more_than_fifteen_bytes),
		cmocka_unit_test(knows_the_mode_from_cs),
		cmocka_unit_test(computes_what_the_cpu_computes),
		cmocka_unit_test(addresses_memory_as_the_cpu_does),
		cmocka_unit_test(moves_strings_as_the_cpu_does),
		cmocka_unit_test(stops_a_repetition_at_the_bound_and_goes_on),
		cmocka_unit_test(keeps_finished_iterations_when_one_fails),
		cmocka_unit_test(changes_nothing_when_an_access_fails),
		cmocka_unit_test(adds_segment_bases_where_they_count),
	};

	return cmocka_run_group_tests(tests, map_pages, NULL);
}
