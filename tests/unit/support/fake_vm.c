/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM's services for devices, on the host: plain recording, and a clock that the test winds.
 */
#include "tests/unit/support/fake_vm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER UINT64_MAX

struct vdev_timer {
	struct list in_vm;
	uint64_t deadline_ns; /* NEVER: not set */
	void (*fire)(void *arg);
	void *arg;
};

struct fake_vm *fake_vm(struct vm *vm)
{
	return (struct fake_vm *)vm;
}

static const struct fake_vm *fake_vm_const(const struct vm *vm)
{
	return (const struct fake_vm *)vm;
}

static void *alloc_or_abort(size_t nr, size_t len_bytes)
{
	void *block = calloc(nr ? nr : 1, len_bytes);

	if (!block)
		abort();
	return block;
}

struct vm *fake_vm_create(uint64_t low_bytes, uint64_t high_bytes)
{
	struct fake_vm *fake = alloc_or_abort(1, sizeof(*fake));

	fake->mem.low_bytes = low_bytes;
	fake->mem.high_bytes = high_bytes;
	fake->mem.nr_chunks = (uint32_t)((low_bytes + high_bytes) / GMEM_CHUNK);
	fake->mem.chunks = alloc_or_abort(fake->mem.nr_chunks, sizeof(*fake->mem.chunks));
	for (uint32_t i = 0; i < fake->mem.nr_chunks; i++)
		fake->mem.chunks[i] = alloc_or_abort(1, GMEM_CHUNK);
	list_init(&fake->timers);
	fake->wall_s = 1700000000;
	fake->random = 0x9e3779b97f4a7c15ull;
	return (struct vm *)fake;
}

void fake_vm_destroy(struct vm *vm)
{
	struct fake_vm *fake = fake_vm(vm);

	if (!fake)
		return;
	for (uint32_t i = 0; i < fake->mem.nr_chunks; i++)
		free(fake->mem.chunks[i]);
	free(fake->mem.chunks);
	free(fake);
}

/* ---- memory and interrupts ---- */

const struct gmem *vm_memory(const struct vm *vm)
{
	return &fake_vm_const(vm)->mem;
}

void vm_irq_line(struct vm *vm, uint32_t gsi, bool is_high)
{
	struct fake_vm *fake = fake_vm(vm);

	if (gsi >= FAKE_VM_GSIS)
		abort();
	if (is_high && !fake->irq_high[gsi])
		fake->irq_rises[gsi]++;
	fake->irq_high[gsi] = is_high;
}

void vm_msi(struct vm *vm, uint64_t addr, uint32_t data)
{
	struct fake_vm *fake = fake_vm(vm);

	if (fake->nr_msis < FAKE_VM_MSIS)
		fake->msis[fake->nr_msis] = (struct fake_msi){.addr = addr, .data = data};
	fake->nr_msis++;
}

void vm_stop(struct vm *vm, enum vm_stop_reason reason, const char *why)
{
	struct fake_vm *fake = fake_vm(vm);

	if (fake->is_stopped)
		return;
	fake->is_stopped = true;
	fake->stop_reason = reason;
	snprintf(fake->stop_why, sizeof(fake->stop_why), "%s", why);
}

/* ---- time ---- */

uint64_t vm_time_ns(const struct vm *vm)
{
	return fake_vm_const(vm)->now_ns;
}

uint64_t vm_wall_s(const struct vm *vm)
{
	return fake_vm_const(vm)->wall_s + fake_vm_const(vm)->now_ns / NSEC_PER_SEC;
}

enum hv_err vdev_timer_create(struct vm *vm, void (*fire)(void *arg), void *arg,
			      struct vdev_timer **out)
{
	struct vdev_timer *timer = alloc_or_abort(1, sizeof(*timer));

	timer->deadline_ns = NEVER;
	timer->fire = fire;
	timer->arg = arg;
	list_add_tail(&fake_vm(vm)->timers, &timer->in_vm);
	*out = timer;
	return HV_OK;
}

void vdev_timer_set(struct vdev_timer *timer, uint64_t deadline_ns)
{
	timer->deadline_ns = deadline_ns;
}

void vdev_timer_stop(struct vdev_timer *timer)
{
	timer->deadline_ns = NEVER;
}

void vdev_timer_destroy(struct vdev_timer *timer)
{
	if (!timer)
		return;
	list_remove(&timer->in_vm);
	free(timer);
}

static struct vdev_timer *earliest_timer(const struct fake_vm *fake)
{
	struct vdev_timer *earliest = NULL;

	list_for_each (at, &fake->timers) {
		struct vdev_timer *timer = list_entry(at, struct vdev_timer, in_vm);

		if (timer->deadline_ns != NEVER &&
		    (!earliest || timer->deadline_ns < earliest->deadline_ns))
			earliest = timer;
	}
	return earliest;
}

uint64_t fake_vm_next_deadline(const struct vm *vm)
{
	const struct vdev_timer *timer = earliest_timer(fake_vm_const(vm));

	return timer ? timer->deadline_ns : NEVER;
}

void fake_vm_advance(struct vm *vm, uint64_t ns)
{
	struct fake_vm *fake = fake_vm(vm);
	uint64_t end_ns = fake->now_ns + ns;
	struct vdev_timer *timer;

	while ((timer = earliest_timer(fake)) && timer->deadline_ns <= end_ns) {
		fake->now_ns = MAX(fake->now_ns, timer->deadline_ns);
		timer->deadline_ns = NEVER;
		timer->fire(timer->arg);
	}
	fake->now_ns = end_ns;
}

/* ---- console, randomness, log ---- */

void vm_console_put(struct vm *vm, const uint8_t *data, size_t len_bytes)
{
	struct fake_vm *fake = fake_vm(vm);
	size_t taken = MIN(len_bytes, sizeof(fake->printed) - fake->printed_len);

	memcpy(fake->printed + fake->printed_len, data, taken);
	fake->printed_len += taken;
}

size_t vm_console_get(struct vm *vm, uint8_t *data, size_t cap_bytes)
{
	struct fake_vm *fake = fake_vm(vm);
	size_t taken = MIN(cap_bytes, fake->typed_len);

	memcpy(data, fake->typed, taken);
	fake->typed_len -= taken;
	memmove(fake->typed, fake->typed + taken, fake->typed_len);
	return taken;
}

void fake_vm_type(struct vm *vm, const void *data, size_t len_bytes)
{
	struct fake_vm *fake = fake_vm(vm);

	if (len_bytes > sizeof(fake->typed) - fake->typed_len)
		abort();
	memcpy(fake->typed + fake->typed_len, data, len_bytes);
	fake->typed_len += len_bytes;
}

void vm_random(struct vm *vm, void *dst, size_t len_bytes)
{
	struct fake_vm *fake = fake_vm(vm);
	uint8_t *at = dst;

	while (len_bytes--) {
		fake->random ^= fake->random << 13;
		fake->random ^= fake->random >> 7;
		fake->random ^= fake->random << 17;
		*at++ = (uint8_t)(fake->random >> 32);
	}
}

void vm_log(struct vm *vm, enum log_level level, const char *module, const char *format, ...)
{
	struct fake_vm *fake = fake_vm(vm);
	va_list args;
	int used;

	(void)level;
	fake->nr_logs++;
	used = snprintf(fake->last_log, sizeof(fake->last_log), "%s: ", module);
	va_start(args, format);
	vsnprintf(fake->last_log + used, sizeof(fake->last_log) - (size_t)used, format, args);
	va_end(args);
}
