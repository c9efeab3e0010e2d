/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop that a CPU never leaves:
 *
 *     answer requests ─► pick ─► load ─► ┌─ deliver ─► enter … exit ─► handle ─┐ ─► put back or
 * block ▲                           └─────────────────◄───────────────────┘        │ └── idle:
 * scrub pages, halt ◄─────────────────────────────────────────────┘
 *
 * The vCPU that ran last stays loaded while nobody else wants the CPU, so an idle guest that wakes
 * costs no switch. kick_pending is cleared before the queue is looked at and tested after, with
 * interrupts off; one that comes later ends the entry or the HLT that follows.
 */
#include "vmm/run.h"

#include "kernel/cpu.h"
#include "kernel/cpu_arch.h"
#include "kernel/cpu_hw.h"
#include "kernel/irq.h"
#include "kernel/lib/assert.h"
#include "kernel/memory.h"
#include "kernel/mitigations.h"
#include "vmm/agent_vm.h"
#include "vmm/exits.h"
#include "vmm/module_guests.h"
#include "vmm/vcpu.h"
#include "vmm/vm_life.h"

struct cpu_run {
	struct lock lock;
	struct sched_queue queue;
	struct list requests; /* of vCPUs, by their listed member */
	uint32_t nr_homed;
	struct vm *stopping; /* whose stop this CPU carries out now */
	struct vcpu *loaded; /* this CPU's own from here on */
	uint32_t last_vm;    /* whose branches trained this CPU's predictors; 0: none */
	struct timer slice;
};

static struct cpu_run *run_of(struct cpu *cpu)
{
	return cpu->sched;
}

static void slice_over(struct timer *timer)
{
	(void)timer;
	cpu_kick(this_cpu());
}

void run_init_cpu(void)
{
	struct cpu_run *run = kmem_alloc(sizeof(*run));

	ASSERT(run);
	sched_queue_init(&run->queue, tsc_khz());
	list_init(&run->requests);
	timer_init(&run->slice, slice_over);
	__atomic_store_n(&this_cpu()->sched, run, __ATOMIC_RELEASE);
}

void run_wait_for_cpus(void)
{
	for (uint32_t i = 0; i < cpu_count(); i++)
		while (!__atomic_load_n(&cpu_at(i)->sched, __ATOMIC_ACQUIRE))
			cpu_pause();
}

struct vcpu *run_loaded(void)
{
	struct cpu_run *run = run_of(this_cpu());

	return run ? run->loaded : NULL;
}

static bool is_guests(const struct sched_entity *entity)
{
	return entity && !list_entry(entity, struct vcpu, sched)->vm->is_agent;
}

bool run_is_wanted(void)
{
	struct cpu_run *run = run_of(this_cpu());
	const struct list *first = &run->queue.runnable;
	bool is_wanted;

	lock_take(&run->lock);
	is_wanted = is_guests(run->queue.running);
	for (const struct list *at = first->next; at != first && !is_wanted; at = at->next)
		is_wanted = is_guests(list_entry(at, struct sched_entity, queued));
	lock_release(&run->lock);
	return is_wanted;
}

/* ---- from any CPU ---- */

void run_attach(struct vcpu *vcpu)
{
	struct cpu *best = cpu_at(0);

	for (uint32_t i = 1; i < cpu_count(); i++)
		if (run_of(cpu_at(i))->nr_homed < run_of(best)->nr_homed)
			best = cpu_at(i);
	vcpu->cpu = best;
	vcpu->is_parked = true;
	list_init(&vcpu->listed);
	sched_entity_init(&vcpu->sched, vcpu->vm->config.weight, vcpu->vm->config.cap_percent);
	__atomic_fetch_add(&run_of(best)->nr_homed, 1, __ATOMIC_RELAXED);
}

void run_detach(struct vcpu *vcpu)
{
	ASSERT(vcpu->is_parked && !vcpu->is_listed);
	__atomic_fetch_sub(&run_of(vcpu->cpu)->nr_homed, 1, __ATOMIC_RELAXED);
}

void run_kick(struct vcpu *vcpu)
{
	struct cpu_run *run = run_of(vcpu->cpu);
	bool is_wanted = false;

	lock_take(&run->lock);
	if (!vcpu->is_parked) {
		/*
		 * One more that can run: who runs now gets a slice, or gives way. One that runs on
		 * another CPU must come out to look at what is pending; one on this CPU will
		 * anyway.
		 */
		is_wanted = vcpu->sched.state == SCHED_BLOCKED ||
			    (vcpu->sched.state == SCHED_RUNNING && vcpu->cpu != this_cpu());
		sched_wake(&run->queue, &vcpu->sched, tsc_now());
	}
	lock_release(&run->lock);
	if (is_wanted)
		cpu_kick(vcpu->cpu);
}

static void list_request(struct vcpu *vcpu, enum vcpu_cpu_request what)
{
	struct cpu_run *run = run_of(vcpu->cpu);

	lock_take(&run->lock);
	vcpu->cpu_request |= what;
	if (!vcpu->is_listed) {
		vcpu->is_listed = true;
		list_add_tail(&run->requests, &vcpu->listed);
	}
	lock_release(&run->lock);
	cpu_kick(vcpu->cpu);
}

void run_stop_vm(struct vm *vm)
{
	list_request(vm->vcpus[0], VCPU_CPU_STOP_VM);
}

void run_unpark(struct vcpu *vcpu)
{
	struct cpu_run *run = run_of(vcpu->cpu);

	lock_take(&run->lock);
	vcpu->is_parked = false;
	sched_wake(&run->queue, &vcpu->sched, tsc_now());
	lock_release(&run->lock);
	cpu_kick(vcpu->cpu);
}

/* ---- this CPU's vCPU ---- */

static void put_loaded(struct cpu_run *run)
{
	if (!run->loaded)
		return;
	vcpu_put(run->loaded);
	run->loaded = NULL;
}

/* Under the lock. The vCPU is on this CPU's queue or loaded here, and not in the middle of an exit.
 */
static void park(struct cpu_run *run, struct vcpu *vcpu)
{
	ASSERT(vcpu->sched.state != SCHED_RUNNING);
	if (run->loaded == vcpu)
		put_loaded(run);
	sched_remove(&run->queue, &vcpu->sched);
	vcpu->cpu_request &= ~(uint32_t)VCPU_CPU_PARK;
	__atomic_store_n(&vcpu->is_parked, true, __ATOMIC_RELEASE);
}

static void delist_if_served(struct vcpu *vcpu)
{
	if (vcpu->cpu_request != 0)
		return;
	vcpu->is_listed = false;
	list_remove(&vcpu->listed);
}

/* Serves the parks among the requests. */
static void serve_parks(struct cpu_run *run)
{
	lock_take(&run->lock);
	for (struct list *at = run->requests.next, *next; at != &run->requests; at = next) {
		struct vcpu *vcpu = list_entry(at, struct vcpu, listed);

		next = at->next;
		/* The vCPU whose exit is being handled parks when that is done. */
		if ((vcpu->cpu_request & VCPU_CPU_PARK) && vcpu->sched.state != SCHED_RUNNING)
			park(run, vcpu);
		delist_if_served(vcpu);
	}
	lock_release(&run->lock);
}

/* A VM that is to be stopped by this CPU, or NULL; until the caller clears run->stopping, it stays.
 */
static struct vm *next_stop(struct cpu_run *run)
{
	lock_take(&run->lock);
	run->stopping = NULL;
	for (struct list *at = run->requests.next; at != &run->requests; at = at->next) {
		struct vcpu *vcpu = list_entry(at, struct vcpu, listed);

		if (!(vcpu->cpu_request & VCPU_CPU_STOP_VM))
			continue;
		vcpu->cpu_request &= ~(uint32_t)VCPU_CPU_STOP_VM;
		delist_if_served(vcpu);
		run->stopping = vcpu->vm;
		break;
	}
	lock_release(&run->lock);
	return run->stopping;
}

void run_serve_parks(void)
{
	serve_parks(run_of(this_cpu()));
}

void run_park(struct vcpu *vcpu)
{
	struct cpu_run *run = run_of(vcpu->cpu);

	if (vcpu->cpu == this_cpu()) {
		lock_take(&run->lock);
		park(run, vcpu);
		lock_release(&run->lock);
		return;
	}
	list_request(vcpu, VCPU_CPU_PARK);
	while (!__atomic_load_n(&vcpu->is_parked, __ATOMIC_ACQUIRE)) {
		run_serve_parks();
		cpu_pause();
	}
}

void run_forget(struct vm *vm)
{
	struct cpu_run *run = run_of(vm->vcpus[0]->cpu);

	lock_take(&run->lock);
	vm->vcpus[0]->cpu_request = 0;
	vm->vcpus[0]->is_listed = false;
	list_remove(&vm->vcpus[0]->listed);
	lock_release(&run->lock);
	while (__atomic_load_n(&run->stopping, __ATOMIC_ACQUIRE) == vm)
		cpu_pause();
}

/* ---- the loop ---- */

static struct vcpu *pick(struct cpu_run *run)
{
	uint64_t until;
	struct sched_entity *entity;

	lock_take(&run->lock);
	entity = sched_pick(&run->queue, tsc_now(), &until);
	lock_release(&run->lock);
	if (until == SCHED_NEVER)
		timer_cancel(&run->slice);
	else
		timer_set(&run->slice, until);
	return entity ? list_entry(entity, struct vcpu, sched) : NULL;
}

static bool is_kicked(struct cpu *cpu)
{
	return __atomic_load_n(&cpu->kick_pending, __ATOMIC_RELAXED);
}

/* Until the vCPU waits for something, is stopped, or somebody wants the CPU. */
static void run_vcpu(struct cpu *cpu, struct vcpu *vcpu, bool *is_blocked)
{
	struct vm_exit exit;

	*is_blocked = false;
	while (!is_kicked(cpu)) {
		uint64_t start;

		if (vcpu->vm->has_stop || !vcpu_deliver(vcpu)) {
			*is_blocked = true;
			break;
		}
		start = tsc_now();
		virt->run(vcpu, &exit);
		start = tsc_now() - start;
		__atomic_store_n(&vcpu->run_tsc, vcpu->run_tsc + start, __ATOMIC_RELAXED);
		exit_handle(vcpu, &exit);
		if (vcpu->vm->has_work)
			agent_vm_work(vcpu->vm);
	}
}

static void run_picked(struct cpu *cpu, struct cpu_run *run, struct vcpu *vcpu)
{
	bool is_blocked;
	uint64_t start;

	if (run->loaded != vcpu) {
		put_loaded(run);
		if (run->last_vm != vcpu->vm->id) {
			run->last_vm = vcpu->vm->id;
			mitigations_change_vm();
		}
		vcpu_load(vcpu);
		run->loaded = vcpu;
	}
	mitigations_touch_l1d(); /* by whatever this CPU did since it ran a guest */
	start = tsc_now();
	run_vcpu(cpu, vcpu, &is_blocked);
	lock_take(&run->lock);
	/* Its exits count, too: else a guest that makes dear ones takes the CPU from the others. */
	sched_charge(&run->queue, tsc_now() - start, tsc_now());
	/* Who posts something takes this lock after it has posted, so the last look is under it. */
	if (is_blocked && (vcpu->vm->has_stop || !vcpu_is_wanted(vcpu)))
		sched_block(&run->queue);
	else if (vcpu->yields)
		sched_give_way(&run->queue, tsc_now());
	else
		sched_put_back(&run->queue, tsc_now());
	vcpu->yields = false;
	lock_release(&run->lock);
}

static void idle(struct cpu *cpu)
{
	if (!pages_scrub_some()) {
		mitigations_idle();
		cpu_idle_wait();
		return;
	}
	if (!is_kicked(cpu))
		cpu_take_interrupts();
}

NORETURN void run_forever(void)
{
	struct cpu *cpu = this_cpu();
	struct cpu_run *run = run_of(cpu);

	for (;;) {
		struct vcpu *vcpu;

		__atomic_store_n(&cpu->kick_pending, 0, __ATOMIC_SEQ_CST);
		serve_parks(run);
		while (next_stop(run))
			vm_carry_out_stop(run->stopping);
		if (__atomic_load_n(&module_guests_are_over, __ATOMIC_ACQUIRE))
			module_guests_finish();
		vcpu = pick(run);
		if (vcpu)
			run_picked(cpu, run, vcpu);
		else
			idle(cpu);
	}
}
