/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which VM-execution, exit and entry controls this CPU is run with. Pure: the capability MSRs come
 * in as a struct, the choice goes out, and what is missing is named.
 *
 * Source: [SDM] appendix "VMX Capability Reporting Facility".
 */
#ifndef VMM_VMX_VMX_CTL_H
#define VMM_VMX_VMX_CTL_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

/* How much of the local APIC is the CPU's work; each level has all of the ones before it. */
enum vmx_apicv {
	VMX_APICV_NONE,	     /* TPR shadow only: accesses are emulated, interrupts injected */
	VMX_APICV_REGISTERS, /* the CPU reads and writes the register page, writes exit trap-like */
	VMX_APICV_DELIVERY,  /* it also delivers interrupts and takes EOIs, without an exit */
};

struct vmx_cap { /* as RDMSR gave them */
	uint64_t basic, misc;
	uint64_t pin, cpu, cpu2, exit,
		entry; /* the TRUE ones; low half allowed-0, high half allowed-1 */
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	uint64_t ept_vpid;
	uint8_t phys_bits; /* width of a physical address, by CPUID; 0: not known */
};

struct vmx_ctl {
	uint32_t pin, cpu, cpu2, exit, entry;
	enum vmx_apicv apicv;
	bool has_ept_1g, has_ept_ad;
	bool has_preemption_timer, has_xsaves, has_pause_loop;
	bool has_tsc_scaling; /* on for VMs with a rate of their own */
	bool invept_single, invvpid_single;
	uint8_t timer_shift; /* the preemption timer counts TSC >> shift */
};

/*
 * vmx_ctl_choose - every control that Billet must have, and those it can use
 *
 * wanted   at most this much of the APIC
 * missing  filled with the names of what is missing, for HV_ENOTSUP
 * features filled with short words for what was chosen
 */
MUST_CHECK enum hv_err vmx_ctl_choose(const struct vmx_cap *cap, enum vmx_apicv wanted,
				      struct vmx_ctl *out, char *missing, size_t missing_cap,
				      char *features, size_t features_cap);

#endif
