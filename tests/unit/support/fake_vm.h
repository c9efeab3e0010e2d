/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM without CPUs: the services at the end of vmm/vdev.h for tests of guest devices. What a
 * device does to the VM is recorded here; its clock stands still until the test moves it. Several
 * may live at once. Struct vm itself stays unknown: a struct vm * of a test points at one of these.
 */
#ifndef TESTS_FAKE_VM_H
#define TESTS_FAKE_VM_H

#include "kernel/lib/list.h"
#include "vmm/vdev.h"

#define FAKE_VM_MSIS  64u /* the first so many are kept, all are counted */
#define FAKE_VM_GSIS  64u
#define FAKE_VM_BYTES 4096u /* of console each way */

struct fake_msi {
	uint64_t addr;
	uint32_t data;
};

struct fake_vm {
	struct gmem mem;

	struct fake_msi msis[FAKE_VM_MSIS];
	uint32_t nr_msis;

	bool irq_high[FAKE_VM_GSIS];
	uint32_t irq_rises[FAKE_VM_GSIS]; /* low to high */

	uint64_t now_ns;
	uint64_t wall_s;
	struct list timers; /* every one created, set or not */

	uint8_t printed[FAKE_VM_BYTES]; /* by the guest; what does not fit is dropped */
	size_t printed_len;
	uint8_t typed[FAKE_VM_BYTES]; /* to the guest, not yet taken */
	size_t typed_len;

	bool is_stopped;
	enum vm_stop_reason stop_reason; /* of the first stop */
	char stop_why[96];

	uint32_t nr_logs;
	char last_log[160];

	uint64_t random; /* state of a generator that repeats; never 0 */
};

/* RAM of these sizes, multiples of 2 MiB, all zeros; each chunk is an allocation of its own. */
struct vm *fake_vm_create(uint64_t low_bytes, uint64_t high_bytes);
void fake_vm_destroy(struct vm *vm); /* NULL is fine; devices and their timers first */

struct fake_vm *fake_vm(struct vm *vm);

/* Time passes; timers that come due fire in order, each at its deadline. */
void fake_vm_advance(struct vm *vm, uint64_t ns);

/* When the earliest timer is due, in vm_time_ns(); UINT64_MAX: none is set. */
uint64_t fake_vm_next_deadline(const struct vm *vm);

void fake_vm_type(struct vm *vm, const void *data, size_t len_bytes);

#endif
