/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest device is, and what it may ask of its VM.
 *
 * A device is one file with a const ops struct and one row in vmm/board.c. Its access() and timer
 * callbacks run under vm->lock. Data paths (virtqueues) have a lock per queue, because frames come
 * in from other CPUs; they never take vm->lock. Devices are pure: on the host, tests/unit/support
 * has its own version of the services at the end of this file.
 */
#ifndef VMM_VDEV_H
#define VMM_VDEV_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "kernel/log.h"
#include "vmm/gmem.h"

struct vm;
struct vdev;

enum io_space { SPACE_PIO, SPACE_MMIO };

enum io_result {
	IO_DONE,
	IO_UNCLAIMED, /* reads as all ones, writes vanish, as on a PC */
	IO_REFUSED,   /* the same, and logged once per guest and device */
};

struct io_access {
	uint64_t offset; /* from the row's base; size bytes lie inside the row's range */
	uint64_t addr;	 /* the port or gpa itself, for devices with several ranges */
	uint8_t size;	 /* 1, 2, 4 or 8 */
	bool is_write;
	uint64_t value; /* in for a write (upper bits zero), out for a read */
};

struct vdev_ops {
	const char *name;
	/* Takes all memory the device will ever need. conf is the row's, or NULL. *out is kept by
	 * the board. */
	enum hv_err (*create)(struct vm *vm, const void *conf, struct vdev **out);
	enum io_result (*access)(struct vdev *dev, enum io_space space, struct io_access *acc);
	void (*reset)(struct vdev *dev); /* as the reset line does */
	void (*destroy)(struct vdev *dev);
};

struct vdev { /* first member of every device's own struct */
	const struct vdev_ops *ops;
	struct vm *vm;
	bool has_refused; /* one log line was enough */
};

/* ---- services of the VM (vmm/vm_services.c; fakes in tests) ---- */

const struct gmem *vm_memory(const struct vm *vm);

/* Level of an interrupt line into PIC and IOAPIC (ISA IRQ 0 reaches IOAPIC pin 2). Under vm->lock.
 */
void vm_irq_line(struct vm *vm, uint32_t gsi, bool is_high);

/* A message-signalled interrupt. Any CPU, no lock needed. Nonsense addresses go nowhere. */
void vm_msi(struct vm *vm, uint64_t addr, uint32_t data);

enum vm_stop_reason { VM_STOP_POWER_OFF, VM_STOP_RESET, VM_STOP_TRIPLE_FAULT, VM_STOP_CRASH };

/* The guest asked for it, or earned it; takes effect before its next instruction. */
void vm_stop(struct vm *vm, enum vm_stop_reason reason, const char *why);

/* Device time: nanoseconds since the VM was created; stands still while it is paused. */
uint64_t vm_time_ns(const struct vm *vm);
uint64_t vm_wall_s(const struct vm *vm); /* seconds since 1970, UTC; what the RTC shows */

struct vdev_timer; /* one-shot; its callback runs under vm->lock */
enum hv_err vdev_timer_create(struct vm *vm, void (*fire)(void *arg), void *arg,
			      struct vdev_timer **out);
void vdev_timer_set(struct vdev_timer *timer, uint64_t deadline_ns); /* in vm_time_ns() */
void vdev_timer_stop(struct vdev_timer *timer);
void vdev_timer_destroy(struct vdev_timer *timer);

/* What the guest prints and is typed, as bytes; the ring behind it is the VM's (console.c). */
void vm_console_put(struct vm *vm, const uint8_t *data, size_t len_bytes);
size_t vm_console_get(struct vm *vm, uint8_t *data, size_t cap_bytes); /* typed input; 0: none */

/* Random bytes for the guest; from RDRAND/RDSEED mixed into a generator. */
void vm_random(struct vm *vm, void *dst, size_t len_bytes);

/* At most a few lines a second and guest; the rest are counted. */
void vm_log(struct vm *vm, enum log_level level, const char *module, const char *format, ...)
	PRINTF(4, 5);

#endif
