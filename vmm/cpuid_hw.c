/* SPDX-License-Identifier: Apache-2.0 */
/* Where the policy `host` meets this machine: the CPUID instruction, the clock, the FPU states in
 * use. */
#include "kernel/cpu_arch.h"
#include "kernel/cpu_hw.h"
#include "kernel/time.h"
#include "vmm/cpuid.h"
#include "vmm/dev/lapic.h"
#include "vmm/virt.h"

struct cpuid_policy cpuid_host_policy;

static struct cpuid_answer execute(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r = cpuid(leaf, subleaf);

	return (struct cpuid_answer){.eax = r.eax, .ebx = r.ebx, .ecx = r.ecx, .edx = r.edx};
}

void cpuid_host_init(void)
{
	const struct cpuid_conf conf = {
		.xcr0_allowed = cpu_xcr0(),
		.tsc_khz = (uint32_t)tsc_khz(),
		.lapic_hz = LAPIC_BUS_HZ,
		.gpa_bits = virt_caps.gpa_bits,
		.has_hypervisor_leaf = true,
	};

	cpuid_build(&cpuid_host_policy, execute, &conf);
}
