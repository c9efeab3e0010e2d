/* SPDX-License-Identifier: Apache-2.0 */
/* The machine that the control queue acts on when it is a real one. */
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/power.h"
#include "kernel/random.h"
#include "kernel/time.h"
#include "kernel/verify/verify.h"
#include "storage/node_kept.h"
#include "storage/node_slots.h"
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

/* Read once, at the first question; the control queue asks under its lock. */
static const uint8_t *update_key(void)
{
	static enum { NOT_READ, NONE, GOOD } state;
	static uint8_t key[VERIFY_KEY_BYTES];
	char hex[VERIFY_KEY_HEX + 2];

	if (state != NOT_READ)
		return state == GOOD ? key : NULL;
	state = NONE;
	if (!cmdline_get("update_key", hex, sizeof(hex)))
		return NULL;
	if (control_read_key(hex, key))
		state = GOOD;
	else
		log_err("control", "update_key= is no point of P-256 in %u hexadecimal digits",
			VERIFY_KEY_HEX);
	return state == GOOD ? key : NULL;
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
	.kept_read = node_kept_read,
	.kept_write = node_kept_write,
	.update_key = update_key,
	.update_status = node_slots_status,
	.update_install = node_slots_install,
	.update_try = node_slots_try,
	.update_commit = node_slots_commit,
	.now_ns = time_now_ns,
	.wall_s = time_wall_s,
	.tsc_khz = tsc_khz,
	.random = random_bytes,
	.log_read = log_read,
};
