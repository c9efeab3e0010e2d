/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of VMX controls. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/vmx/vmcs.h"
#include "vmm/vmx/vmx_ctl.h"

/* A CPU that must have nothing and may have everything. */
static struct vmx_cap generous(void)
{
	uint64_t all = 0xffffffffull << 32;

	return (struct vmx_cap){.basic = VMX_BASIC_TRUE_CTLS,
				.pin = all,
				.cpu = all,
				.cpu2 = all,
				.exit = all,
				.entry = all,
				.ept_vpid = ~0ull};
}

static enum hv_err choose(const struct vmx_cap *cap, enum vmx_apicv wanted, struct vmx_ctl *ctl,
			  char missing[256])
{
	char features[160];

	return vmx_ctl_choose(cap, wanted, ctl, missing, 256, features, sizeof(features));
}

static void takes_what_a_generous_cpu_offers(void **state)
{
	struct vmx_cap cap = generous();
	struct vmx_ctl ctl;
	char missing[256];

	(void)state;
	assert_int_equal(choose(&cap, VMX_APICV_DELIVERY, &ctl, missing), HV_OK);
	assert_int_equal(ctl.apicv, VMX_APICV_DELIVERY);
	assert_true(ctl.cpu2 & CPU2_EPT);
	assert_true(ctl.has_ept_1g);
	/* asked for later, when they are wanted */
	assert_false(ctl.cpu & CPU_INTERRUPT_WINDOW);
	assert_false(ctl.cpu2 & (CPU2_APIC_ACCESSES | CPU2_X2APIC_MODE | CPU2_INTERRUPT_DELIVERY));
}

static void knows_tsc_scaling_and_leaves_it_off(void **state)
{
	struct vmx_cap cap = generous();
	char missing[256], features[160];
	struct vmx_ctl ctl;

	(void)state;
	assert_int_equal(vmx_ctl_choose(&cap, VMX_APICV_DELIVERY, &ctl, missing, sizeof(missing),
					features, sizeof(features)),
			 HV_OK);
	assert_true(ctl.has_tsc_scaling);
	assert_false(ctl.cpu2 & CPU2_TSC_SCALING);
	assert_non_null(strstr(features, "tsc-scaling"));
	cap.cpu2 &= ~((uint64_t)CPU2_TSC_SCALING << 32);
	assert_int_equal(vmx_ctl_choose(&cap, VMX_APICV_DELIVERY, &ctl, missing, sizeof(missing),
					features, sizeof(features)),
			 HV_OK);
	assert_false(ctl.has_tsc_scaling);
	assert_null(strstr(features, "tsc-scaling"));
}

static void names_every_control_that_is_missing(void **state)
{
	struct vmx_cap cap = generous();
	struct vmx_ctl ctl = {.pin = 0x1234};
	char missing[256];

	(void)state;
	cap.cpu2 &= ~((uint64_t)(CPU2_EPT | CPU2_UNRESTRICTED) << 32);
	cap.ept_vpid &= ~EPT_CAP_2M;
	assert_int_equal(choose(&cap, VMX_APICV_DELIVERY, &ctl, missing), HV_ENOTSUP);
	assert_string_equal(missing, "enable EPT, unrestricted guest, EPT 2-MiB pages");
	assert_int_equal(ctl.pin, 0x1234); /* out-parameter untouched on error */
}

static void cuts_the_names_where_the_buffer_ends(void **state)
{
	struct vmx_cap cap = {.basic = 0};
	struct vmx_ctl ctl;
	char missing[8], features[1];

	(void)state;
	assert_int_equal(vmx_ctl_choose(&cap, VMX_APICV_DELIVERY, &ctl, missing, sizeof(missing),
					features, sizeof(features)),
			 HV_ENOTSUP);
	assert_string_equal(missing, "TRUE ca");
}

static void keeps_the_bits_that_must_be_one(void **state)
{
	struct vmx_cap cap = generous();
	struct vmx_ctl ctl;
	char missing[256];

	(void)state;
	cap.pin |= 0x16;
	cap.entry |= 0x11ff;
	assert_int_equal(choose(&cap, VMX_APICV_DELIVERY, &ctl, missing), HV_OK);
	assert_int_equal(ctl.pin & 0x16, 0x16);
	assert_int_equal(ctl.entry & 0x11ff, 0x11ff);
}

static void steps_down_the_apics_levels(void **state)
{
	struct vmx_cap cap = generous();
	struct vmx_ctl ctl;
	char missing[256];

	(void)state;
	assert_int_equal(choose(&cap, VMX_APICV_REGISTERS, &ctl, missing), HV_OK);
	assert_int_equal(ctl.apicv, VMX_APICV_REGISTERS);
	assert_int_equal(choose(&cap, VMX_APICV_NONE, &ctl, missing), HV_OK);
	assert_int_equal(ctl.apicv, VMX_APICV_NONE);
	cap.cpu2 &= ~((uint64_t)CPU2_INTERRUPT_DELIVERY << 32);
	assert_int_equal(choose(&cap, VMX_APICV_DELIVERY, &ctl, missing), HV_OK);
	assert_int_equal(ctl.apicv, VMX_APICV_REGISTERS);
	cap.cpu2 &= ~((uint64_t)CPU2_X2APIC_MODE
		      << 32); /* then the rest of that level is of no use either */
	assert_int_equal(choose(&cap, VMX_APICV_DELIVERY, &ctl, missing), HV_OK);
	assert_int_equal(ctl.apicv, VMX_APICV_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_a_generous_cpu_offers),
		cmocka_unit_test(knows_tsc_scaling_and_leaves_it_off),
		cmocka_unit_test(names_every_control_that_is_missing),
		cmocka_unit_test(cuts_the_names_where_the_buffer_ends),
		cmocka_unit_test(keeps_the_bits_that_must_be_one),
		cmocka_unit_test(steps_down_the_apics_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
