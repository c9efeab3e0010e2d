/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor, turned on: which backend, on which CPUs, and then the loop. */
#include "vmm/vmm.h"

#include "kernel/cpu.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "vmm/cpuid.h"
#include "vmm/run.h"
#include "vmm/vm.h"

const struct virt_ops *virt;
struct virt_caps virt_caps;

static const struct virt_ops *const backends[] = {&vmx_ops};

bool vmm_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		enum hv_err err = backends[i]->probe(&virt_caps);

		if (err == HV_ENOENT)
			continue; /* not this vendor */
		if (err != HV_OK)
			return false;
		virt = backends[i];
		log_info("virt", "%s: %s", virt->name, virt_caps.features);
		cpuid_host_init();
		return true;
	}
	log_err("virt", "this CPU has neither VT-x nor AMD-V, or a hypervisor below hides it: guests cannot "
			"run. On a physical machine, look for Intel Virtualization Technology or SVM in the "
			"firmware's set-up");
	return false;
}

void vmm_cpu_init(void)
{
	enum hv_err err = virt->cpu_on(this_cpu());

	if (err != HV_OK)
		panic("CPU %u does not enter %s operation: %s", this_cpu()->index, virt->name, hv_strerror(err));
	run_init_cpu();
}

void vmm_start(void)
{
	if (vm_start_agent() != HV_OK)
		panic("the node cannot run its own agent");
}

void vmm_cpu_run(void)
{
	run_forever();
}
