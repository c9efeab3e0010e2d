/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor, turned on: which backend, on which CPUs, and then the loop. */
#include "vmm/vmm.h"

#include "boot/boot_info.h"
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "net/port.h"
#include "vmm/board.h"
#include "vmm/control.h"
#include "vmm/cpuid.h"
#include "vmm/exits.h"
#include "vmm/images.h"
#include "vmm/module_guests.h"
#include "vmm/node_info.h"
#include "vmm/run.h"
#include "vmm/status_screen.h"
#include "vmm/vm.h"

const struct virt_ops *virt;
struct virt_caps virt_caps;

static const struct virt_ops *const backends[] = {&vmx_ops, &svm_ops};

static void panic_note(void)
{
	const struct vcpu *vcpu = run_loaded();

	if (vcpu)
		exit_log_last(vcpu);
}

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
		board_init();
		panic_add_note(panic_note);
		return true;
	}
	log_err("virt", "this CPU has neither VT-x nor AMD-V, or a hypervisor below hides it: "
			"guests cannot "
			"run. On a physical machine, look for Intel Virtualization Technology or "
			"SVM in the "
			"firmware's set-up");
	return false;
}

void vmm_cpu_init(void)
{
	enum hv_err err = virt->cpu_on(this_cpu());

	if (err != HV_OK)
		panic("CPU %u does not enter %s operation: %s", this_cpu()->index, virt->name,
		      hv_strerror(err));
	err = net_cpu_init();
	if (err != HV_OK)
		panic("CPU %u has no memory for frames: %s", this_cpu()->index, hv_strerror(err));
	run_init_cpu();
}

/* The node's configuration is the module of that name; PVH loaders pass no names, so else the
 * first. */
static const struct boot_module *find_config(void)
{
	for (uint32_t i = 0; i < boot_info.nr_modules; i++)
		if (strncmp(boot_info.modules[i].name, "node.conf", strlen("node.conf")) == 0)
			return &boot_info.modules[i];
	return boot_info.nr_modules > 0 && boot_info.modules[0].name[0] == '\0'
		       ? &boot_info.modules[0]
		       : NULL;
}

static void init_control(void)
{
	const struct boot_module *module = find_config();
	char buf[8];
	struct control_setup setup = {
		.ops = &control_machine,
		.config = module ? hva_of(module->hpa) : NULL,
		.config_len = module ? module->len_bytes : 0,
		.allows_test_faults =
			cmdline_get("test", buf, sizeof(buf)) && strcmp(buf, "1") == 0,
	};

	control_init(&setup);
}

void vmm_start(void)
{
	struct pages_stats pages;

	run_wait_for_cpus();
	pages_stats(&pages);
	image_set_budget(pages.total * PAGE_SIZE / 2);
	node_info_init(boot_info.protocol);
	init_control();
	status_screen_start();
	module_guests_start();
	if (!module_guests_only() && vm_start_agent() != HV_OK)
		panic("the node cannot run its own agent");
}

void vmm_cpu_run(void)
{
	run_forever();
}
