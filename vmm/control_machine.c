/* SPDX-License-Identifier: Apache-2.0 */
/* The machine that the control queue acts on when it is a real one. */
#include "kernel/power.h"
#include "kernel/random.h"
#include "kernel/time.h"
#include "vmm/agent_vm.h"
#include "vmm/control.h"
#include "vmm/node_info.h"
#include "vmm/vm.h"

static struct console *vm_console(struct vm *vm)
{
	return vm->console;
}

static void node_power(bool is_off)
{
	if (is_off)
		power_off();
	power_reboot();
}

const struct control_ops control_machine = {
	.vm_create = vm_create,
	.vm_start = vm_start,
	.vm_pause = vm_pause,
	.vm_resume = vm_resume,
	.vm_power_off = vm_power_off,
	.vm_reset = vm_reset,
	.vm_destroy = vm_destroy,
	.vm_usage = vm_usage,
	.vm_info = vm_info,
	.vm_console = vm_console,
	.vm_console_input = vm_console_input,

	.agent_alive = vm_agent_alive,
	.agent_restarts = agent_vm_nr_restarts,

	.node_info = node_info_read,
	.nics = node_nics_read,
	.disks = node_disks_read,
	.node_power = node_power,
	.now_ns = time_now_ns,
	.wall_s = time_wall_s,
	.tsc_khz = tsc_khz,
	.random = random_bytes,
	.log_read = log_read,
};
