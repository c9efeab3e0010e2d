/* SPDX-License-Identifier: Apache-2.0 */
/* Exit codes and information words as the manual lays them out. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/svm/svm_decode.h"
#include "vmm/svm/vmcb.h"

static void knows_every_code_that_is_intercepted(void **state)
{
	static const struct {
		uint64_t code;
		enum exit_kind kind;
	} rows[] = {
		{VMEXIT_INTR, EXIT_IRQ},
		{VMEXIT_VINTR, EXIT_IRQ_WINDOW},
		{VMEXIT_CPUID, EXIT_CPUID},
		{VMEXIT_HLT, EXIT_HLT},
		{VMEXIT_IOIO, EXIT_IO},
		{VMEXIT_MSR, EXIT_RDMSR},
		{VMEXIT_NPF, EXIT_MMIO},
		{VMEXIT_CR0_SEL_WRITE, EXIT_CR_WRITE},
		{VMEXIT_CR_WRITE(4), EXIT_CR_WRITE},
		{VMEXIT_CR_READ(4), EXIT_CR_READ},
		{VMEXIT_CR_WRITE(8), EXIT_TPR},
		{VMEXIT_SHUTDOWN, EXIT_TRIPLE_FAULT},
		{VMEXIT_INIT, EXIT_INIT},
		{VMEXIT_RDPMC, EXIT_NO_COUNTER},
		{VMEXIT_INVALID, EXIT_ENTRY_FAILED},
		{VMEXIT_VMMCALL, EXIT_HYPERCALL},
		{VMEXIT_XSETBV, EXIT_XSETBV},
		{VMEXIT_WBINVD, EXIT_WBINVD},
		{VMEXIT_INVD, EXIT_WBINVD},
		{VMEXIT_TASK_SWITCH, EXIT_TASK_SWITCH},
		{VMEXIT_PAUSE, EXIT_PAUSE},
		{VMEXIT_AVIC_INCOMPLETE_IPI, EXIT_APIC_WRITE},
		{VMEXIT_AVIC_NOACCEL, EXIT_APIC_WRITE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(svm_decode_code(rows[i].code), rows[i].kind);
}

static void has_no_instruction_of_svm_for_guests(void **state)
{
	static const uint64_t codes[] = {VMEXIT_VMRUN,	     VMEXIT_VMLOAD,  VMEXIT_VMSAVE,
					 VMEXIT_STGI,	     VMEXIT_CLGI,    VMEXIT_SKINIT,
					 VMEXIT_INVLPGA,     VMEXIT_MONITOR, VMEXIT_MWAIT,
					 VMEXIT_MWAIT_ARMED, VMEXIT_RSM,     VMEXIT_RDPRU};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		assert_int_equal(svm_decode_code(codes[i]), EXIT_UNDEFINED);
}

static void deals_with_the_hosts_own_without_a_neutral_exit(void **state)
{
	static const uint64_t codes[] = {VMEXIT_NMI,	  VMEXIT_SMI,	   VMEXIT_EXCP(1),
					 VMEXIT_EXCP(17), VMEXIT_EXCP(18), VMEXIT_IRET};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		assert_int_equal(svm_decode_code(codes[i]), EXIT_NONE);
}

static void does_not_know_other_codes(void **state)
{
	static const uint64_t codes[] = {VMEXIT_CR_READ(0),
					 VMEXIT_CR_WRITE(3),
					 0x20,
					 VMEXIT_EXCP(14),
					 0x8f,
					 0x3ff,
					 0x403,
					 0x404,
					 0x100000060ull,
					 ~1ull};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		assert_int_equal(svm_decode_code(codes[i]), EXIT_UNKNOWN);
}

static void takes_an_out_apart(void **state)
{
	struct vm_exit exit = {.kind = EXIT_IO};

	(void)state;
	assert_int_equal(svm_decode_io(0x03f80000 | BIT(4), &exit), HV_OK);
	assert_int_equal(exit.io.port, 0x3f8);
	assert_int_equal(exit.io.size, 1);
	assert_false(exit.io.is_in || exit.io.is_string || exit.io.is_rep);
}

static void takes_a_rep_insd_apart(void **state)
{
	struct vm_exit exit = {.kind = EXIT_IO};

	(void)state;
	assert_int_equal(svm_decode_io(0x01700000 | BIT(6) | BIT(9) | 5 << 10 | IOIO_REP |
					       IOIO_STR | IOIO_IN,
				       &exit),
			 HV_OK);
	assert_int_equal(exit.io.port, 0x170);
	assert_int_equal(exit.io.size, 4);
	assert_int_equal(exit.io.addr_size, 8);
	assert_int_equal(exit.io.seg, SEG_ES); /* whatever the word says */
	assert_true(exit.io.is_in && exit.io.is_string && exit.io.is_rep);
}

static void leaves_the_width_open_when_the_cpu_does(void **state)
{
	struct vm_exit exit = {.kind = EXIT_IO};

	(void)state;
	assert_int_equal(svm_decode_io(BIT(5) | IOIO_STR | 7 << 10, &exit), HV_OK);
	assert_int_equal(exit.io.addr_size, 0);
	assert_int_equal(exit.io.size, 2);
	assert_int_equal(exit.io.seg, SEG_GS); /* 6 and 7 are no segments */
}

static void rejects_sizes_the_manual_leaves_undefined(void **state)
{
	static const uint64_t infos[] = {0, BIT(4) | BIT(5), BIT(4) | BIT(5) | BIT(6),
					 BIT(4) | BIT(7) | BIT(8)};
	struct vm_exit exit = {.kind = EXIT_IO, .io.port = 0x1234};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(infos); i++) {
		assert_int_equal(svm_decode_io(infos[i], &exit), HV_EPROTO);
		assert_int_equal(exit.io.port, 0x1234);
	}
}

static void adds_up_addresses_of_strings(void **state)
{
	(void)state;
	assert_int_equal(svm_string_gva(INSN_MODE_64, 8, 0xffff800000001000, SEG_DS, 0x5000),
			 0xffff800000001000);
	assert_int_equal(svm_string_gva(INSN_MODE_64, 8, 0x1000, SEG_FS, 0x5000), 0x6000);
	assert_int_equal(svm_string_gva(INSN_MODE_64, 4, 0x1200001000, SEG_DS, 0), 0x1000);
	assert_int_equal(svm_string_gva(INSN_MODE_32, 4, 0xfffff000, SEG_ES, 0x2000), 0x1000);
	assert_int_equal(svm_string_gva(INSN_MODE_16, 2, 0x12345, SEG_CS, 0xf0000), 0xf2345);
}

static void takes_a_nested_fault_apart(void **state)
{
	struct vm_exit exit = {.kind = EXIT_MMIO};

	(void)state;
	svm_decode_npf(BIT(32) | NPF_WRITE | BIT(2), 0xfee000b0, &exit);
	assert_int_equal(exit.mmio.gpa, 0xfee000b0);
	assert_true(exit.mmio.is_write);
	assert_false(exit.mmio.is_fetch || exit.mmio.has_gva);
	svm_decode_npf(NPF_FETCH, 0x1000, &exit);
	assert_true(exit.mmio.is_fetch);
	assert_false(exit.mmio.is_write);
}

static void knows_which_events_come_again_by_themselves(void **state)
{
	(void)state;
	assert_true(svm_repeats_itself(EVENT_V | EVENT_TYPE_SOFTWARE << 8 | 0x80));
	assert_true(svm_repeats_itself(EVENT_V | EVENT_TYPE_EXCEPTION << 8 | 3));
	assert_true(svm_repeats_itself(EVENT_V | EVENT_TYPE_EXCEPTION << 8 | 4));
	assert_false(svm_repeats_itself(EVENT_V | EVENT_TYPE_EXCEPTION << 8 | 14));
	assert_false(svm_repeats_itself(EVENT_V | EVENT_TYPE_INTR << 8 | 3));
	assert_false(svm_repeats_itself(EVENT_V | EVENT_TYPE_NMI << 8 | 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_every_code_that_is_intercepted),
		cmocka_unit_test(has_no_instruction_of_svm_for_guests),
		cmocka_unit_test(deals_with_the_hosts_own_without_a_neutral_exit),
		cmocka_unit_test(does_not_know_other_codes),
		cmocka_unit_test(takes_an_out_apart),
		cmocka_unit_test(takes_a_rep_insd_apart),
		cmocka_unit_test(leaves_the_width_open_when_the_cpu_does),
		cmocka_unit_test(rejects_sizes_the_manual_leaves_undefined),
		cmocka_unit_test(adds_up_addresses_of_strings),
		cmocka_unit_test(takes_a_nested_fault_apart),
		cmocka_unit_test(knows_which_events_come_again_by_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
