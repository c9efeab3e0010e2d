/* SPDX-License-Identifier: Apache-2.0 */
/* Lengths behind all manner of prefixes, and what is not the instruction that the exit speaks of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/svm/svm_insn.h"
#include "vmm/svm/vmcb.h"

#define M16 INSN_MODE_16
#define M32 INSN_MODE_32
#define M64 INSN_MODE_64

static const struct {
	uint64_t code;
	enum insn_mode mode;
	uint8_t nr, bytes[15];
	uint8_t len;
} lengths[] = {
	{VMEXIT_CPUID, M64, 2, {0x0f, 0xa2}, 2},
	{VMEXIT_CPUID, M64, 3, {0x48, 0x0f, 0xa2}, 3},
	{VMEXIT_CPUID, M64, 5, {0x66, 0xf3, 0x41, 0x0f, 0xa2}, 5},
	{VMEXIT_CPUID,
	 M64,
	 15,
	 {0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x0f, 0xa2},
	 15},
	{VMEXIT_CPUID, M32, 3, {0x67, 0x0f, 0xa2}, 3},
	{VMEXIT_HLT, M16, 1, {0xf4}, 1},
	{VMEXIT_HLT, M64, 2, {0xf2, 0xf4}, 2},
	{VMEXIT_MSR, M64, 2, {0x0f, 0x30}, 2},
	{VMEXIT_MSR, M64, 2, {0x0f, 0x32}, 2},
	{VMEXIT_VMMCALL, M64, 3, {0x0f, 0x01, 0xd9}, 3},
	{VMEXIT_XSETBV, M64, 3, {0x0f, 0x01, 0xd1}, 3},
	{VMEXIT_WBINVD, M64, 3, {0xf3, 0x0f, 0x09}, 3}, /* WBNOINVD */
	{VMEXIT_INVD, M32, 2, {0x0f, 0x08}, 2},
	{VMEXIT_IOIO, M64, 2, {0xf3, 0x6e}, 2},
};

static const struct {
	uint64_t code;
	enum insn_mode mode;
	uint8_t nr, bytes[15];
	enum hv_err err;
} refused[] = {
	{VMEXIT_CPUID, M64, 0, {0}, HV_EPROTO},
	{VMEXIT_CPUID, M64, 1, {0x0f}, HV_EPROTO},
	{VMEXIT_CPUID, M64, 3, {0x66, 0x66, 0x66}, HV_EPROTO},
	{VMEXIT_CPUID, M64, 2, {0x0f, 0xa3}, HV_ENOTSUP},
	{VMEXIT_CPUID, M32, 3, {0x48, 0x0f, 0xa2}, HV_ENOTSUP}, /* DEC EAX */
	{VMEXIT_MSR, M64, 2, {0x0f, 0x31}, HV_ENOTSUP},
	{VMEXIT_VMMCALL, M64, 3, {0x0f, 0x01, 0xc1}, HV_ENOTSUP}, /* VMCALL */
	{VMEXIT_CR_WRITE(4), M64, 2, {0x0f, 0x22}, HV_EPROTO},
	{VMEXIT_CR0_SEL_WRITE, M64, 3, {0x0f, 0x01, 0x30}, HV_ENOTSUP}, /* LMSW of memory */
	{VMEXIT_CR0_SEL_WRITE, M64, 3, {0x0f, 0x01, 0xe0}, HV_ENOTSUP}, /* SMSW */
	{VMEXIT_NPF, M64, 1, {0x90}, HV_ENOTSUP},
};

static void measures_instructions_with_their_prefixes(void **state)
{
	struct svm_insn insn;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		assert_int_equal(svm_insn_decode(lengths[i].code, lengths[i].bytes, lengths[i].nr,
						 lengths[i].mode, &insn),
				 HV_OK);
		assert_int_equal(insn.len, lengths[i].len);
	}
}

static void refuses_what_made_no_such_exit(void **state)
{
	struct svm_insn insn = {.len = 77};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		assert_int_equal(svm_insn_decode(refused[i].code, refused[i].bytes, refused[i].nr,
						 refused[i].mode, &insn),
				 refused[i].err);
		assert_int_equal(insn.len, 77); /* out-parameter untouched on error */
	}
}

static void finds_the_registers_of_a_move(void **state)
{
	static const struct {
		uint64_t code;
		enum insn_mode mode;
		uint8_t bytes[5], nr, cr, gpr;
	} rows[] = {
		{VMEXIT_CR_WRITE(4), M64, {0x0f, 0x22, 0xe0}, 3, 4, REG_RAX},
		{VMEXIT_CR_WRITE(4), M64, {0x41, 0x0f, 0x22, 0xe7}, 4, 4, REG_R15},
		{VMEXIT_CR_READ(4), M64, {0x0f, 0x20, 0xe3}, 3, 4, REG_RBX},
		{VMEXIT_CR_WRITE(8), M64, {0x44, 0x0f, 0x22, 0xc1}, 4, 8, REG_RCX},
		{VMEXIT_CR_WRITE(8), M32, {0xf0, 0x0f, 0x22, 0xc2}, 4, 8, REG_RDX},
		{VMEXIT_CR_WRITE(4),
		 M64,
		 {0x45, 0x66, 0x0f, 0x22, 0xe1},
		 5,
		 4,
		 REG_RCX}, /* that REX is lost */
		{VMEXIT_CR0_SEL_WRITE, M64, {0x0f, 0x22, 0x06}, 3, 0, REG_RSI}, /* mod does not
										   matter */
	};
	struct svm_insn insn;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(svm_insn_decode(rows[i].code, rows[i].bytes, rows[i].nr,
						 rows[i].mode, &insn),
				 HV_OK);
		assert_int_equal(insn.cr, rows[i].cr);
		assert_int_equal(insn.gpr, rows[i].gpr);
		assert_int_equal(insn.len, rows[i].nr);
		assert_false(insn.is_lmsw);
	}
}

static void knows_lmsw_of_a_register(void **state)
{
	static const uint8_t bytes[] = {0x41, 0x0f, 0x01, 0xf1};
	struct svm_insn insn;

	(void)state;
	assert_int_equal(svm_insn_decode(VMEXIT_CR0_SEL_WRITE, bytes, sizeof(bytes), M64, &insn),
			 HV_OK);
	assert_true(insn.is_lmsw);
	assert_int_equal(insn.gpr, REG_R9);
	assert_int_equal(insn.cr, 0);
}

static void reads_segment_and_width_of_strings_from_prefixes(void **state)
{
	static const struct {
		enum insn_mode mode;
		uint8_t bytes[4], nr, seg, addr_size;
	} rows[] = {
		{M64, {0x6e}, 1, SEG_DS, 8},
		{M64, {0x64, 0xf3, 0x6f}, 3, SEG_FS, 8},
		{M64, {0x67, 0x65, 0x6e}, 3, SEG_GS, 4},
		{M32, {0x6c}, 1, SEG_DS, 4},
		{M32, {0x67, 0x26, 0x6e}, 3, SEG_ES, 2},
		{M16, {0x2e, 0x6e}, 2, SEG_CS, 2},
		{M16, {0x67, 0x36, 0x66, 0x6f}, 4, SEG_SS, 4},
	};
	struct svm_insn insn;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(svm_insn_decode(VMEXIT_IOIO, rows[i].bytes, rows[i].nr,
						 rows[i].mode, &insn),
				 HV_OK);
		assert_int_equal(insn.seg, rows[i].seg);
		assert_int_equal(insn.addr_size, rows[i].addr_size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measures_instructions_with_their_prefixes),
		cmocka_unit_test(refuses_what_made_no_such_exit),
		cmocka_unit_test(finds_the_registers_of_a_move),
		cmocka_unit_test(knows_lmsw_of_a_register),
		cmocka_unit_test(reads_segment_and_width_of_strings_from_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
