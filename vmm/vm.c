/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's life: everything is taken at creation and given back at destruction, and each change of
 * state in between parks the vCPUs first. See the drawing in vm.h.
 */
#include "vmm/vm.h"

#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "vmm/agent_vm.h"
#include "vmm/board.h"
#include "vmm/boot.h"
#include "vmm/console.h"
#include "vmm/ept.h"
#include "vmm/exits.h"
#include "vmm/module_guests.h"
#include "vmm/run.h"
#include "vmm/vcpu.h"
#include "vmm/vm_life.h"
#include "vmm/vm_memory.h"

#define WHY_BYTES 96u

static uint32_t next_id = 1;

/* ---- checks ---- */

#define REFUSE(err, ...)                                                                           \
	do {                                                                                       \
		fmt(why, WHY_BYTES, __VA_ARGS__);                                                  \
		return err;                                                                        \
	} while (0)

static enum hv_err check_config(const struct ctl_vm_config *c, char *why)
{
	struct pages_stats pages;

	if (c->nr_vcpus == 0 || c->nr_vcpus > CTL_VCPUS_MAX)
		REFUSE(HV_EINVAL, "vCPUs: %u asked for, 1 to %u can be had", c->nr_vcpus,
		       CTL_VCPUS_MAX);
	if (c->mem_bytes < GMEM_CHUNK || c->mem_bytes % GMEM_CHUNK)
		REFUSE(HV_EINVAL, "memory: %llu bytes is not a multiple of 2 MiB",
		       (unsigned long long)c->mem_bytes);
	if (c->weight == 0 || c->weight > SCHED_WEIGHT_MAX)
		REFUSE(HV_EINVAL, "weight: %u is not within 1 to %u", c->weight, SCHED_WEIGHT_MAX);
	if (c->cap_percent > 100)
		REFUSE(HV_EINVAL, "cap: %u%% of a CPU is more than there is", c->cap_percent);
	if (c->nr_nics > CTL_NICS_MAX)
		REFUSE(HV_EINVAL, "NICs: %u asked for, at most %u can be had", c->nr_nics,
		       CTL_NICS_MAX);
	pages_stats(&pages);
	if (c->mem_bytes / PAGE_SIZE > pages.free)
		REFUSE(HV_ENOMEM, "memory: %llu MiB asked for, %llu MiB are free",
		       (unsigned long long)(c->mem_bytes / MIB),
		       (unsigned long long)(pages.free * PAGE_SIZE / MIB));
	return HV_OK;
}

/* ---- creation ---- */

static uint64_t table_take(void *arg)
{
	(void)arg;
	return pages_alloc(0);
}

static void table_give_back(void *arg, uint64_t hpa)
{
	(void)arg;
	pages_free(hpa, 0);
}

static void *table_hva(void *arg, uint64_t hpa)
{
	(void)arg;
	return hva_of(hpa);
}

static const struct ept_pages table_pages = {
	.take = table_take, .give_back = table_give_back, .hva_of = table_hva};

static void destroy_vcpus(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpus[i]);
	vm->nr_vcpus = 0;
}

static enum hv_err create_vcpus(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->config.nr_vcpus; i++) {
		enum hv_err err = vcpu_create(vm, i, &vm->vcpus[i]);

		if (err != HV_OK) {
			destroy_vcpus(vm);
			return err;
		}
		vm->nr_vcpus++;
	}
	return HV_OK;
}

static void init_fields(struct vm *vm, const struct ctl_vm_config *config)
{
	vm->id = __atomic_fetch_add(&next_id, 1, __ATOMIC_RELAXED);
	vm->config = *config;
	vm->is_agent = agent_vm_is(config);
	memcpy(vm->uuid, config->uuid, sizeof(vm->uuid));
	memcpy(vm->name, config->name, sizeof(vm->name));
	vm->tsc_offset = 0 - tsc_now();
	vm->created_ns = vm->state_since_ns = vm->accounted_ns = time_now_ns();
	vm->state = VM_CREATED;
	vm->paused_since_ns = vm->created_ns;
}

enum hv_err vm_create(const struct ctl_vm_config *config, struct vm **out, char why[96])
{
	enum hv_err err = check_config(config, why);
	struct vm *vm;

	if (err != HV_OK)
		return err;
	fmt(why, WHY_BYTES, "not enough memory for the VM's own structures");
	vm = kmem_alloc(sizeof(*vm));
	if (!vm)
		return HV_ENOMEM;
	init_fields(vm, config);
	err = boot_hold(vm, why);
	if (err != HV_OK)
		goto free_vm;
	err = ept_create(&table_pages, virt->npt_format,
			 virt_caps.has_1g ? EPT_WITH_1G : EPT_WITHOUT_1G, &vm->ept);
	if (err != HV_OK)
		goto release_images;
	vm->npt_root = ept_root(vm->ept);
	err = vm_memory_create(vm, why);
	if (err != HV_OK)
		goto destroy_ept;
	err = virt->vm_init(vm);
	if (err != HV_OK)
		goto destroy_memory;
	vm->console = kmem_alloc(sizeof(*vm->console));
	err = HV_ENOMEM;
	if (!vm->console)
		goto destroy_arch;
	console_init(vm->console);
	err = create_vcpus(vm);
	if (err != HV_OK)
		goto free_console;
	err = board_create(vm, vm->is_agent ? agent_vm_control() : NULL);
	if (err == HV_EEXIST)
		fmt(why, WHY_BYTES, "a NIC's MAC address is in use on its network");
	if (err != HV_OK)
		goto destroy_vcpus;
	*out = vm;
	return HV_OK;

destroy_vcpus:
	destroy_vcpus(vm);
free_console:
	kmem_free(vm->console);
destroy_arch:
	virt->vm_destroy(vm);
destroy_memory:
	vm_memory_destroy(vm);
destroy_ept:
	ept_destroy(vm->ept);
release_images:
	boot_release(vm);
free_vm:
	kmem_free(vm);
	return err;
}

/* ---- accounting ---- */

void vm_account(struct vm *vm)
{
	uint64_t now = time_now_ns(), passed = now - vm->accounted_ns;

	ASSERT_HELD(&vm->lock);
	vm->accounted_ns = now;
	if (vm_memory_is_there(vm))
		vm->mem_mib_ms += vm->config.mem_bytes / MIB * passed / NSEC_PER_MSEC;
	if (vm->state == VM_RUNNING)
		vm->alloc_ns += passed * vm->nr_vcpus;
}

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

void vm_usage(struct vm *vm, struct ctl_usage *out)
{
	struct net_counters net;
	uint64_t run_tsc = 0;

	board_net_counters(vm->board, &net);
	for (uint32_t i = 0; i < vm->nr_vcpus; i++)
		run_tsc += __atomic_load_n(&vm->vcpus[i]->run_tsc, __ATOMIC_RELAXED);
	lock_take(&vm->lock);
	vm_account(vm);
	*out = (struct ctl_usage){
		.handle = vm->id,
		.state = vm->state,
		.epoch = vm->config.epoch,
		.nr_vcpus = vm->nr_vcpus,
		.mem_mib = vm->config.mem_bytes / MIB,
		.vcpu_alloc_ns = vm->alloc_ns,
		.vcpu_run_ns = time_ns_of_tsc(run_tsc),
		.mem_mib_ms = vm->mem_mib_ms,
		.net_rx_bytes = net.rx_bytes,
		.net_tx_bytes = net.tx_bytes,
		.net_rx_packets = net.rx_packets,
		.net_tx_packets = net.tx_packets,
	};
	lock_release(&vm->lock);
	memcpy(out->uuid, vm->uuid, sizeof(out->uuid));
}

void vm_exits(const struct vm *vm, struct vm_exits *out)
{
	*out = (struct vm_exits){{0}};
	for (uint32_t i = 0; i < vm->nr_vcpus; i++)
		for (uint32_t kind = 0; kind < EXIT_KINDS; kind++)
			out->nr[kind] += vm->vcpus[i]->exits[kind];
}

void vm_info(struct vm *vm, struct ctl_vm_info *out)
{
	lock_take(&vm->lock);
	*out = (struct ctl_vm_info){
		.handle = vm->id,
		.state = vm->state,
		.epoch = vm->config.epoch,
		.mem_bytes = vm->config.mem_bytes,
		.nr_vcpus = vm->nr_vcpus,
		.boots = vm->boots,
		.console_end = __atomic_load_n(&vm->console->out_end, __ATOMIC_RELAXED),
		.state_since_ns = vm->state_since_ns,
	};
	memcpy(out->reason, vm->reason, sizeof(out->reason));
	lock_release(&vm->lock);
	memcpy(out->uuid, vm->uuid, sizeof(out->uuid));
	memcpy(out->name, vm->name, sizeof(out->name));
}

/* ---- changes of state ---- */

bool vm_life_take(struct vm *vm)
{
	while (__atomic_exchange_n(&vm->life, 1, __ATOMIC_ACQUIRE)) {
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

/* Parked, from any state: board and vCPUs as after power-on, the kernel in memory. */
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
	vm->booted_ns = time_now_ns();
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

static enum hv_err boot_and_run(struct vm *vm, char *why)
{
	enum hv_err err = boot(vm, why);

	if (err != HV_OK) {
		give_memory_back(vm);
		set_state(vm, VM_CRASHED, why);
		return err;
	}
	set_state(vm, VM_RUNNING, "");
	unpark_all(vm);
	return HV_OK;
}

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
		finish_stop(vm);
	}
	vm_life_give(vm);
}

/* ---- the end ---- */

void vm_destroy(struct vm *vm)
{
	vm_life_take(vm);
	__atomic_store_n(&vm->is_dying, true, __ATOMIC_RELEASE);
	park_all(vm);
	run_forget(vm);
	board_destroy(vm->board);
	destroy_vcpus(vm);
	virt->vm_destroy(vm);
	kmem_free(vm->console);
	vm_memory_destroy(vm);
	ept_destroy(vm->ept);
	boot_release(vm);
	kmem_free(vm);
}

void vm_console_input(struct vm *vm)
{
	lock_take(&vm->lock);
	board_console_input(vm->board);
	lock_release(&vm->lock);
}
