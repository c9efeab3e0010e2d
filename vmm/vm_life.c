/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a VM's state, each with its vCPUs parked: see the drawing in vm.h.
 *
 * A VM that starts is RUNNING at once. Its vCPUs stay parked until its images are in its memory; a
 * timer brings them there a piece at a time, and the guests of its CPU, if any, run in between.
 */
#include "vmm/vm_life.h"

#include "kernel/cpu_hw.h"
#include "kernel/lib/fmt.h"
#include "kernel/log.h"
#include "vmm/agent_vm.h"
#include "vmm/board.h"
#include "vmm/boot.h"
#include "vmm/exits.h"
#include "vmm/module_guests.h"
#include "vmm/run.h"
#include "vmm/vcpu.h"
#include "vmm/vm_memory.h"

#define WHY_BYTES 96u

#define LOAD_BYTES	(512 * KIB) /* tens of microseconds' worth; then as long for the guests */
#define LOAD_IDLE_BYTES (4 * MIB)   /* where none waits; less than a millisecond */
#define LOAD_IDLE_NS	2000u	    /* for what came in meanwhile */
#define LOAD_TRY_NS	100000u

static void set_state(struct vm *vm, enum vm_state state, const char *reason)
{
	uint64_t now = time_now_ns();

	lock_take(&vm->lock);
	vm_account(vm);
	if (vm->state != VM_RUNNING && state == VM_RUNNING)
		vm->paused_ns += now - vm->paused_since_ns;
	if (vm->state == VM_RUNNING && state != VM_RUNNING)
		vm->paused_since_ns = now;
	vm->state = state;
	vm->state_since_ns = now;
	fmt(vm->reason, sizeof(vm->reason), "%s", reason);
	lock_release(&vm->lock);
	if (!vm->is_agent)
		(void)agent_vm_event(CTL_EVENT_VM, vm->id, state);
}

/* ---- one change at a time ---- */

static bool life_try(struct vm *vm)
{
	return !__atomic_exchange_n(&vm->life, 1, __ATOMIC_ACQUIRE);
}

bool vm_life_take(struct vm *vm)
{
	while (!life_try(vm)) {
		if (__atomic_load_n(&vm->is_dying, __ATOMIC_RELAXED))
			return false;
		run_serve_parks();
		cpu_pause();
	}
	return true;
}

void vm_life_give(struct vm *vm)
{
	__atomic_store_n(&vm->life, 0, __ATOMIC_RELEASE);
}

static void park_all(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->nr_vcpus; i++)
		if (!vm->vcpus[i]->is_parked)
			run_park(vm->vcpus[i]);
}

static void unpark_all(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->nr_vcpus; i++)
		run_unpark(vm->vcpus[i]);
}

/* ---- memory and images ---- */

/* Parked, from any state: board and vCPUs as after power-on, and a plan of what goes into memory.
 */
static enum hv_err boot(struct vm *vm, char *why)
{
	const char *text = NULL;
	enum hv_err err;

	lock_take(&vm->lock);
	vm->has_stop = false;
	board_reset(vm->board);
	lock_release(&vm->lock);
	err = boot_vm(vm, vm->vcpus[0]->entry, &text);
	if (err != HV_OK) {
		fmt(why, WHY_BYTES, "%s", text ? text : hv_strerror(err));
		return err;
	}
	for (uint32_t i = 0; i < vm->nr_vcpus; i++)
		vcpu_request(vm->vcpus[i], VCPU_REQ_RESET);
	vm->boots++;
	return HV_OK;
}

/*
 * A VM that is down holds no memory, and is not billed for any. Its devices are reset first: what
 * the network brings in must not find its queues.
 */
static void give_memory_back(struct vm *vm)
{
	lock_take(&vm->lock);
	vm_account(vm);
	board_reset(vm->board);
	lock_release(&vm->lock);
	vm_memory_destroy(vm);
}

static enum hv_err take_memory(struct vm *vm, char *why)
{
	if (vm_memory_is_there(vm))
		return HV_OK;
	lock_take(&vm->lock);
	vm_account(vm);
	lock_release(&vm->lock);
	return vm_memory_create(vm, why);
}

static void crash(struct vm *vm, const char *why)
{
	give_memory_back(vm);
	set_state(vm, VM_CRASHED, why);
}

/* The next piece; behind the last one the vCPUs run, unless the VM was paused meanwhile. */
static void load_some(struct vm *vm)
{
	bool is_wanted = run_is_wanted();
	uint64_t start_ns = time_now_ns();
	enum hv_err err =
		boot_plan_step(&vm->plan, &vm->mem, is_wanted ? LOAD_BYTES : LOAD_IDLE_BYTES);

	if (err == HV_EAGAIN) {
		timer_set_in(&vm->loader, is_wanted ? time_now_ns() - start_ns : LOAD_IDLE_NS);
		return;
	}
	vm->is_loading = false;
	vm->booted_ns = time_now_ns();
	if (err != HV_OK)
		crash(vm, "its kernel or initrd cannot be read");
	else if (vm->state == VM_RUNNING)
		unpark_all(vm);
}

/* Whoever changes the state may wait, in timer_cancel(), for this to return; so it never waits. */
static void load_more(struct timer *timer)
{
	struct vm *vm = container_of(timer, struct vm, loader);

	if (!life_try(vm)) {
		timer_set_in(timer, LOAD_TRY_NS);
		return;
	}
	if (vm->is_loading)
		load_some(vm);
	vm_life_give(vm);
}

void vm_life_begin(struct vm *vm)
{
	timer_init(&vm->loader, load_more);
}

/* Before anything happens to the memory that it loads into. */
static void stop_loading(struct vm *vm)
{
	if (!vm->is_loading)
		return;
	vm->is_loading = false;
	timer_cancel(&vm->loader);
}

static enum hv_err boot_and_run(struct vm *vm, char *why)
{
	enum hv_err err = boot(vm, why);

	if (err != HV_OK) {
		crash(vm, why);
		return err;
	}
	set_state(vm, VM_RUNNING, "");
	vm->is_loading = true;
	load_some(vm);
	return HV_OK;
}

/* ---- what is asked for from outside ---- */

static bool is_down(const struct vm *vm)
{
	return vm->state == VM_CREATED || vm->state == VM_STOPPED || vm->state == VM_CRASHED;
}

enum hv_err vm_start(struct vm *vm, char why[96])
{
	enum hv_err err = HV_EBUSY;

	vm_life_take(vm);
	if (is_down(vm))
		err = take_memory(vm, why);
	else
		fmt(why, WHY_BYTES, "the VM is up already");
	if (err == HV_OK)
		err = vm_memory_clear_some(vm, why);
	if (err == HV_OK)
		err = boot_and_run(vm, why);
	vm_life_give(vm);
	return err;
}

enum hv_err vm_start_whole(struct vm *vm, char why[96])
{
	enum hv_err err;

	do
		err = vm_start(vm, why);
	while (err == HV_EAGAIN);
	return err;
}

enum hv_err vm_pause(struct vm *vm)
{
	enum hv_err err = HV_OK;

	vm_life_take(vm);
	if (vm->state == VM_RUNNING) {
		park_all(vm);
		set_state(vm, VM_PAUSED, "");
	} else if (vm->state != VM_PAUSED) {
		err = HV_EBUSY;
	}
	vm_life_give(vm);
	return err;
}

enum hv_err vm_resume(struct vm *vm)
{
	enum hv_err err = HV_OK;

	vm_life_take(vm);
	if (vm->state == VM_PAUSED) {
		set_state(vm, VM_RUNNING, "");
		if (!vm->is_loading)
			unpark_all(vm);
		if (vm->has_stop) /* asked for before the pause, and not yet carried out */
			run_stop_vm(vm);
	} else if (vm->state != VM_RUNNING) {
		err = HV_EBUSY;
	}
	vm_life_give(vm);
	return err;
}

enum hv_err vm_power_off(struct vm *vm, bool is_gentle)
{
	enum hv_err err = HV_OK;

	vm_life_take(vm);
	if (is_gentle && vm->state == VM_RUNNING) {
		lock_take(&vm->lock);
		board_press_power_button(vm->board);
		lock_release(&vm->lock);
	} else if (is_gentle && vm->state == VM_PAUSED) {
		err = HV_EBUSY;
	} else if (!is_down(vm)) {
		park_all(vm);
		stop_loading(vm);
		give_memory_back(vm);
		set_state(vm, VM_STOPPED, "stopped from outside");
	}
	vm_life_give(vm);
	return err;
}

enum hv_err vm_reset(struct vm *vm, char why[96])
{
	enum hv_err err;

	vm_life_take(vm);
	park_all(vm);
	stop_loading(vm);
	err = take_memory(vm, why);
	if (err == HV_OK)
		err = boot_and_run(vm, why);
	vm_life_give(vm);
	return err;
}

/* ---- stops that the guest made ---- */

void vm_stop(struct vm *vm, enum vm_stop_reason reason, const char *why)
{
	if (__atomic_exchange_n(&vm->has_stop, true, __ATOMIC_ACQ_REL))
		return; /* the first one counts */
	vm->stop_reason = reason;
	fmt(vm->stop_why, sizeof(vm->stop_why), "%s", why);
	run_stop_vm(vm);
}

/*
 * Loading a kernel takes this CPU's time and nobody is charged for it; a guest that does nothing
 * but reset itself must not live on that.
 */
#define QUICK_RESET_NS	 (100 * NSEC_PER_MSEC)
#define QUICK_RESETS_MAX 20u

static bool resets_in_a_loop(struct vm *vm)
{
	if (vm->stop_reason != VM_STOP_RESET && vm->stop_reason != VM_STOP_TRIPLE_FAULT)
		return false;
	vm->quick_resets =
		time_now_ns() - vm->booted_ns < QUICK_RESET_NS ? vm->quick_resets + 1 : 0;
	return vm->quick_resets >= QUICK_RESETS_MAX;
}

static void finish_stop(struct vm *vm)
{
	static const enum vm_state states[] = {
		[VM_STOP_POWER_OFF] = VM_STOPPED,
		[VM_STOP_RESET] = VM_RUNNING,
		[VM_STOP_TRIPLE_FAULT] = VM_RUNNING, /* as on a PC: a reset */
		[VM_STOP_CRASH] = VM_CRASHED,
	};
	enum vm_state next = vm->is_agent ? VM_RUNNING : states[vm->stop_reason];
	char why[WHY_BYTES];

	/* Not for a triple fault: a guest can have one as often as it likes, and a line takes
	 * milliseconds. */
	if (vm->stop_reason == VM_STOP_CRASH)
		for (uint32_t i = 0; i < vm->nr_vcpus; i++)
			exit_log_last(vm->vcpus[i]);
	if (vm->is_agent) {
		agent_vm_restarts();
	} else if (resets_in_a_loop(vm)) {
		next = VM_CRASHED;
		fmt(vm->stop_why, sizeof(vm->stop_why),
		    "reset loop: %u times within %llu ms of its start", QUICK_RESETS_MAX,
		    QUICK_RESET_NS / NSEC_PER_MSEC);
		vm->quick_resets = 0;
	}
	log_info("vm", "vm %u \"%s\": %s", vm->id, vm->name, vm->stop_why);
	if (next == VM_RUNNING) {
		(void)boot_and_run(vm, why); /* what failed is in the state's reason */
	} else {
		give_memory_back(vm);
		set_state(vm, next, vm->stop_why);
	}
	if (next != VM_RUNNING)
		module_guests_stopped(vm);
}

void vm_carry_out_stop(struct vm *vm)
{
	if (!vm_life_take(vm))
		return;
	if (vm->has_stop && vm->state == VM_RUNNING) {
		park_all(vm);
		stop_loading(vm); /* who is asked to stop may not have begun to run */
		finish_stop(vm);
	}
	vm_life_give(vm);
}

/* ---- the end ---- */

void vm_life_end(struct vm *vm)
{
	vm_life_take(vm);
	__atomic_store_n(&vm->is_dying, true, __ATOMIC_RELEASE);
	park_all(vm);
	stop_loading(vm);
	run_forget(vm);
}
