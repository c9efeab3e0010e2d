/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device may ask of its VM (the end of vmm/vdev.h): the kernel's side of it. Tests have
 * another one.
 */
#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/random.h"
#include "kernel/time.h"
#include "vmm/agent_vm.h"
#include "vmm/board.h"
#include "vmm/console.h"
#include "vmm/dev/lapic.h"
#include "vmm/module_guests.h"
#include "vmm/run.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define LOG_BURST      20u
#define LOG_REFILL_NS  (NSEC_PER_SEC / 5) /* one more line each */
#define TIMER_RETRY_NS (20 * NSEC_PER_USEC)

const struct gmem *vm_memory(const struct vm *vm)
{
	return &vm->mem;
}

void vm_irq_line(struct vm *vm, uint32_t gsi, bool is_high)
{
	board_irq_line(vm->board, gsi, is_high);
}

void vm_msi(struct vm *vm, uint64_t addr, uint32_t data)
{
	struct lapic_ipi msg;

	if (lapic_decode_msi(addr, data, &msg))
		vcpu_send_ipi(vm, NULL, &msg);
}

uint64_t vm_time_ns(const struct vm *vm)
{
	uint64_t now = vm->state == VM_RUNNING ? time_now_ns() : vm->paused_since_ns;

	return now - vm->created_ns - vm->paused_ns;
}

uint64_t vm_wall_s(const struct vm *vm)
{
	(void)vm;
	return time_wall_s();
}

/* ---- timers ---- */

struct vdev_timer {
	struct timer timer;
	struct vm *vm;
	uint64_t deadline_ns; /* under vm->lock; TIMER_OFF: stopped */
	void (*fire)(void *arg);
	void *arg;
};
#define TIMER_OFF (~0ull)

static void arm(struct vdev_timer *t)
{
	uint64_t now = vm_time_ns(t->vm);
	uint64_t wait = t->deadline_ns > now ? t->deadline_ns - now : 0;

	timer_set_in(&t->timer, wait);
}

/*
 * A CPU that holds vm->lock may be waiting, in timer_set(), for this to return; so it never waits
 * for the lock, but comes back. A paused VM's clock stands still: its timers look again later.
 */
static void timer_fire(struct timer *timer)
{
	struct vdev_timer *t = container_of(timer, struct vdev_timer, timer);
	bool is_due;

	if (!lock_try(&t->vm->lock)) {
		timer_set_in(timer, TIMER_RETRY_NS);
		return;
	}
	is_due = t->deadline_ns != TIMER_OFF && t->deadline_ns <= vm_time_ns(t->vm);
	if (is_due) {
		t->deadline_ns = TIMER_OFF;
		t->fire(t->arg);
	} else if (t->deadline_ns != TIMER_OFF) {
		timer_set_in(timer, 10 * NSEC_PER_MSEC);
	}
	lock_release(&t->vm->lock);
}

enum hv_err vdev_timer_create(struct vm *vm, void (*fire)(void *arg), void *arg,
			      struct vdev_timer **out)
{
	struct vdev_timer *t = kmem_alloc(sizeof(*t));

	if (!t)
		return HV_ENOMEM;
	timer_init(&t->timer, timer_fire);
	t->vm = vm;
	t->deadline_ns = TIMER_OFF;
	t->fire = fire;
	t->arg = arg;
	*out = t;
	return HV_OK;
}

void vdev_timer_set(struct vdev_timer *t, uint64_t deadline_ns)
{
	t->deadline_ns = deadline_ns;
	arm(t);
}

void vdev_timer_stop(struct vdev_timer *t)
{
	t->deadline_ns = TIMER_OFF; /* what is armed finds nothing due */
}

void vdev_timer_destroy(struct vdev_timer *t)
{
	if (!t)
		return;
	timer_cancel(&t->timer);
	kmem_free(t);
}

/* ---- console ---- */

void vm_console_put(struct vm *vm, const uint8_t *data, size_t len_bytes)
{
	bool is_news = console_print(vm->console, data, len_bytes);

	module_guests_print(vm, data, len_bytes);
	if (vm->is_agent)
		agent_vm_print(data, len_bytes);
	else if (is_news && !agent_vm_event(CTL_EVENT_CONSOLE, vm->id, vm->console->out_end))
		console_not_told(vm->console);
}

size_t vm_console_get(struct vm *vm, uint8_t *data, size_t cap_bytes)
{
	return console_typed(vm->console, data, cap_bytes);
}

void vm_random(struct vm *vm, void *dst, size_t len_bytes)
{
	(void)vm;
	random_bytes(dst, len_bytes);
}

/* ---- log ---- */

static bool may_log(struct vm *vm)
{
	uint64_t now = time_now_ns(), lines = (now - vm->log_refill_ns) / LOG_REFILL_NS;

	if (lines > 0) {
		vm->log_refill_ns = now;
		vm->log_tokens = (uint32_t)MIN(LOG_BURST, vm->log_tokens + lines);
	}
	if (vm->log_tokens == 0) {
		vm->log_dropped++;
		return false;
	}
	vm->log_tokens--;
	return true;
}

void vm_log(struct vm *vm, enum log_level level, const char *module, const char *format, ...)
{
	char text[160];
	va_list args;

	if (!may_log(vm))
		return;
	va_start(args, format);
	fmt_v(text, sizeof(text), format, args);
	va_end(args);
	if (vm->log_dropped > 0)
		log_line(level, module, "vm %u: %s (%u more lines were dropped)", vm->id, text,
			 vm->log_dropped);
	else
		log_line(level, module, "vm %u: %s", vm->id, text);
	vm->log_dropped = 0;
}
