/* SPDX-License-Identifier: Apache-2.0 */
/* From exit words to a neutral exit. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "vmm/vmx/vmcs.h"
#include "vmm/vmx/vmx_decode.h"

static void finds_a_kind_for_each_reason_the_controls_allow(void **state)
{
	(void)state;
	assert_int_equal(vmx_decode_reason(REASON_CPUID), EXIT_CPUID);
	assert_int_equal(vmx_decode_reason(REASON_EPT_VIOLATION), EXIT_MMIO);
	assert_int_equal(vmx_decode_reason(REASON_VMXON), EXIT_UNDEFINED);
	assert_int_equal(vmx_decode_reason(REASON_RDPMC), EXIT_NO_COUNTER);
	assert_int_equal(vmx_decode_reason(REASON_BAD_GUEST_STATE | REASON_ENTRY_FAILURE),
			 EXIT_ENTRY_FAILED);
	for (uint32_t reason = REASON_VMCLEAR; reason <= REASON_VMXON; reason++)
		assert_int_equal(vmx_decode_reason(reason), EXIT_UNDEFINED);
}

static void calls_what_it_does_not_know_unknown(void **state)
{
	(void)state;
	assert_int_equal(vmx_decode_reason(REASON_EPT_MISCONFIG), EXIT_UNKNOWN);
	for (uint32_t reason = 69; reason <= 0xffff; reason++)
		assert_int_equal(vmx_decode_reason(reason), EXIT_UNKNOWN);
}

static void reads_port_width_and_direction(void **state)
{
	struct vm_exit exit = {0};

	(void)state;
	assert_int_equal(vmx_decode_io(0x03f80000 | IOQ_IN | 3, 0, 0, &exit), HV_OK);
	assert_int_equal(exit.io.port, 0x3f8);
	assert_int_equal(exit.io.size, 4);
	assert_true(exit.io.is_in);
	assert_false(exit.io.is_string);
}

static void reads_the_operand_of_a_string_form(void **state)
{
	struct vm_exit exit = {0};
	uint32_t info = 2u << 7 | (uint32_t)SEG_FS << 15; /* 64-bit addresses, FS */

	(void)state;
	assert_int_equal(vmx_decode_io(0x00600000 | IOQ_STRING | IOQ_REP, info, 0x1000, &exit),
			 HV_OK);
	assert_true(exit.io.is_string && exit.io.is_rep && !exit.io.is_in);
	assert_int_equal(exit.io.addr_size, 8);
	assert_int_equal(exit.io.seg, SEG_FS);
	assert_int_equal(exit.io.gva, 0x1000);
	/* INS goes to ES whatever the field says */
	assert_int_equal(vmx_decode_io(0x00600000 | IOQ_STRING | IOQ_IN, info, 0, &exit), HV_OK);
	assert_int_equal(exit.io.seg, SEG_ES);
}

static void rejects_a_width_the_manual_leaves_undefined(void **state)
{
	struct vm_exit exit = {.io.port = 0x1234};

	(void)state;
	for (uint64_t size = 0; size < 8; size++)
		if (size != 0 && size != 1 && size != 3)
			assert_int_equal(vmx_decode_io(size, 0, 0, &exit), HV_EPROTO);
	assert_int_equal(vmx_decode_io(IOQ_STRING, 3u << 7, 0, &exit), HV_EPROTO);
	assert_int_equal(exit.io.port, 0x1234); /* out-parameter untouched on error */
}

static void makes_one_value_of_every_way_to_write_cr0(void **state)
{
	uint64_t gpr[16] = {[REG_RBX] = 0x11, [REG_RSP] = 0xbad};
	struct vm_exit exit = {0};

	(void)state;
	assert_int_equal(vmx_decode_cr((uint64_t)REG_RBX << 8, gpr, 0x22, 0, &exit), HV_OK);
	assert_int_equal(exit.kind, EXIT_CR_WRITE);
	assert_int_equal(exit.cr.value, 0x11);
	assert_int_equal(vmx_decode_cr((uint64_t)REG_RSP << 8, gpr, 0x22, 0, &exit), HV_OK);
	assert_int_equal(exit.cr.value, 0x22); /* the stack pointer is the VMCS's */
	assert_int_equal(vmx_decode_cr(2 << 4, gpr, 0, 0x8000003b, &exit), HV_OK);
	assert_int_equal(exit.cr.value, 0x80000033); /* CLTS clears TS */
	/* LMSW loads PE, MP, EM, TS, and cannot clear PE */
	assert_int_equal(vmx_decode_cr(3 << 4 | 0x000e0000, gpr, 0, 0x80000031, &exit), HV_OK);
	assert_int_equal(exit.cr.value, 0x8000003f);
}

static void rejects_a_register_that_does_not_exist(void **state)
{
	uint64_t gpr[16] = {0};
	struct vm_exit exit = {0};

	(void)state;
	assert_int_equal(vmx_decode_cr(5, gpr, 0, 0, &exit), HV_EPROTO);
}

static void believes_a_linear_address_only_of_the_access_itself(void **state)
{
	struct vm_exit exit = {0};

	(void)state;
	vmx_decode_ept(EPTQ_WRITE | EPTQ_GLA_VALID | EPTQ_GLA_FINAL, 0xd0000000, 0x7000, &exit);
	assert_true(exit.mmio.is_write && exit.mmio.has_gva);
	assert_int_equal(exit.mmio.gva, 0x7000);
	vmx_decode_ept(EPTQ_READ | EPTQ_GLA_VALID, 0xd0000000, 0x7000,
		       &exit); /* of a page-table walk */
	assert_false(exit.mmio.has_gva);
	assert_int_equal(exit.mmio.gva, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_kind_for_each_reason_the_controls_allow),
		cmocka_unit_test(calls_what_it_does_not_know_unknown),
		cmocka_unit_test(reads_port_width_and_direction),
		cmocka_unit_test(reads_the_operand_of_a_string_form),
		cmocka_unit_test(rejects_a_width_the_manual_leaves_undefined),
		cmocka_unit_test(makes_one_value_of_every_way_to_write_cr0),
		cmocka_unit_test(rejects_a_register_that_does_not_exist),
		cmocka_unit_test(believes_a_linear_address_only_of_the_access_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
