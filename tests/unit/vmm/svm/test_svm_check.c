/* SPDX-License-Identifier: Apache-2.0 */
/* A VMCB that is right passes; each row below breaks one rule of it and is found by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/svm/svm_check.h"

#define PHYS_BITS 40
#define CR0_LONG  (BIT(0) | BIT(31))

static struct vmcb vmcb;

static int make_vmcb(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	vmcb.save.efer = EFER_SVME | BIT(8) | BIT(10);
	vmcb.save.cr0 = CR0_LONG;
	vmcb.save.cr4 = BIT(5);
	vmcb.save.cs.attrib = 0x29b;
	vmcb.control.intercept_misc2 = INTERCEPT_VMRUN;
	vmcb.control.asid = 1;
	vmcb.control.iopm_base_pa = BIT(PHYS_BITS) - 12288;
	vmcb.control.msrpm_base_pa = 0x10000;
	vmcb.control.nested_ctl = NESTED_CTL_NP_ENABLE;
	vmcb.control.n_cr3 = 0x20000;
	return 0;
}

static void passes_a_vmcb_that_is_right(void **state)
{
	(void)state;
	assert_null(svm_check(&vmcb, PHYS_BITS));
}

#define BREAKS(member, value, why)                                                                 \
	do {                                                                                       \
		make_vmcb(NULL);                                                                   \
		vmcb.member = (value);                                                             \
		assert_string_equal(svm_check(&vmcb, PHYS_BITS), why);                             \
	} while (0)

static void finds_what_registers_break(void **state)
{
	(void)state;
	BREAKS(save.efer, BIT(8), "EFER.SVME is clear");
	BREAKS(save.cr0, CR0_LONG | BIT(29), "CR0.NW is set without CR0.CD");
	BREAKS(save.cr0, CR0_LONG | BIT(32), "CR0 has bits above 31");
	BREAKS(save.cr3, BIT(PHYS_BITS), "CR3 lies beyond physical memory");
	BREAKS(save.dr6, BIT(32), "DR6 or DR7 has bits above 31");
	BREAKS(save.dr7, BIT(63), "DR6 or DR7 has bits above 31");
	BREAKS(save.cr4, 0, "long mode without CR4.PAE");
	BREAKS(save.cr0, BIT(31), "long mode without CR0.PE");
	BREAKS(save.cs.attrib, 0x69b, "CS has both L and D");
}

static void finds_what_controls_break(void **state)
{
	(void)state;
	BREAKS(control.intercept_misc2, 0, "VMRUN is not intercepted");
	BREAKS(control.asid, 0, "ASID is 0");
	BREAKS(control.iopm_base_pa, BIT(PHYS_BITS) - 4096,
	       "a permission map lies beyond physical memory");
	BREAKS(control.msrpm_base_pa, BIT(PHYS_BITS),
	       "a permission map lies beyond physical memory");
	BREAKS(control.n_cr3, BIT(PHYS_BITS), "N_CR3 lies beyond physical memory");
}

static void looks_at_avic_where_it_is_on(void **state)
{
	static const char why[] =
		"AVIC without nested paging, or a page of it lies beyond physical memory";

	(void)state;
	vmcb.control.avic_backing_page = BIT(PHYS_BITS);
	assert_null(svm_check(&vmcb, PHYS_BITS));
	vmcb.control.vintr = VINTR_AVIC_ENABLE;
	assert_string_equal(svm_check(&vmcb, PHYS_BITS), why);
	vmcb.control.avic_backing_page = BIT(PHYS_BITS) - 4096;
	assert_null(svm_check(&vmcb, PHYS_BITS));
	vmcb.control.nested_ctl = 0;
	assert_string_equal(svm_check(&vmcb, PHYS_BITS), why);
	make_vmcb(NULL);
	vmcb.control.vintr = VINTR_AVIC_ENABLE;
	vmcb.control.avic_logical_table = BIT(PHYS_BITS);
	assert_string_equal(svm_check(&vmcb, PHYS_BITS), why);
	vmcb.control.avic_logical_table = 0;
	vmcb.control.avic_physical_table = BIT(PHYS_BITS);
	assert_string_equal(svm_check(&vmcb, PHYS_BITS), why);
}

static void finds_events_that_do_not_exist(void **state)
{
	(void)state;
	BREAKS(control.event_inj, EVENT_V | 1 << 8, "the injected event does not exist");
	BREAKS(control.event_inj, EVENT_V | EVENT_TYPE_EXCEPTION << 8 | 2,
	       "the injected event does not exist");
	BREAKS(control.event_inj, EVENT_V | EVENT_TYPE_EXCEPTION << 8 | 32,
	       "the injected event does not exist");
	make_vmcb(NULL);
	vmcb.control.event_inj = EVENT_V | EVENT_TYPE_EXCEPTION << 8 | 14;
	assert_null(svm_check(&vmcb, PHYS_BITS));
	vmcb.control.event_inj = EVENT_V | EVENT_TYPE_INTR << 8 | 0xff;
	assert_null(svm_check(&vmcb, PHYS_BITS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(passes_a_vmcb_that_is_right, make_vmcb),
		cmocka_unit_test_setup(finds_what_registers_break, make_vmcb),
		cmocka_unit_test_setup(finds_what_controls_break, make_vmcb),
		cmocka_unit_test_setup(looks_at_avic_where_it_is_on, make_vmcb),
		cmocka_unit_test_setup(finds_events_that_do_not_exist, make_vmcb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
