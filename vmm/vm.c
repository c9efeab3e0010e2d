/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's beginning and end: everything is taken at creation and given back at destruction. What
 * lies in between is vmm/vm_life.c; here are also its counters.
 */
#include "vmm/vm.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/memory.h"
#include "vmm/agent_vm.h"
#include "vmm/board.h"
#include "vmm/boot.h"
#include "vmm/console.h"
#include "vmm/cpuid.h"
#include "vmm/dev/lapic.h"
#include "vmm/ept.h"
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
	vm->created_ns = vm->state_since_ns = vm->accounted_ns = time_now_ns();
	vm->state = VM_CREATED;
	vm->paused_since_ns = vm->created_ns;
	vm_life_begin(vm);
}

/* CPUID tells the rate, so a VM with its own has answers of its own. */
static enum hv_err choose_tsc(struct vm *vm, char *why)
{
	enum hv_err err = guest_tsc_init(&vm->tsc, vm->config.tsc_khz, (uint32_t)tsc_khz(),
					 &virt_caps.tsc_scaling, tsc_now(), why, WHY_BYTES);

	if (err != HV_OK || !vm->tsc.multiplier)
		return err;
	vm->cpuid = kmem_alloc(sizeof(*vm->cpuid));
	if (!vm->cpuid)
		return HV_ENOMEM;
	*vm->cpuid = cpuid_host_policy;
	cpuid_set_tsc(vm->cpuid, vm->tsc.khz, LAPIC_BUS_HZ);
	return HV_OK;
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
	err = choose_tsc(vm, why);
	if (err != HV_OK)
		goto free_vm;
	err = boot_hold(vm, why);
	if (err != HV_OK)
		goto free_cpuid;
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
free_cpuid:
	kmem_free(vm->cpuid);
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

/* ---- the end ---- */

void vm_destroy(struct vm *vm)
{
	vm_life_end(vm);
	board_destroy(vm->board);
	destroy_vcpus(vm);
	virt->vm_destroy(vm);
	kmem_free(vm->console);
	vm_memory_destroy(vm);
	ept_destroy(vm->ept);
	boot_release(vm);
	kmem_free(vm->cpuid);
	kmem_free(vm);
}

void vm_console_input(struct vm *vm)
{
	lock_take(&vm->lock);
	board_console_input(vm->board);
	lock_release(&vm->lock);
}
