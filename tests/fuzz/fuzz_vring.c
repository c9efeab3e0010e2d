/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that writes what it likes into a virtqueue's rings, between and during the device's
 * calls. The device must end each call, and hand out RAM only. Input: the queue's shape, then
 * steps.
 */
#include <stdlib.h>

#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "tests/fuzz/input.h"
#include "tests/unit/support/fake_vm.h"
#include "tests/unit/support/vdriver.h"
#include "vmm/dev/vring.h"

#define RINGS 0x1000ull
#define TABLE 0x4000ull /* for indirect descriptors */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static struct vring vring;
static struct vdriver_queue driver;
static struct vring_chain chain;
static uint8_t scratch[4096];

static void check_chain(const struct gmem *mem)
{
	uint64_t sum = 0;

	ASSERT(chain.nr_readable <= chain.nr_pieces && chain.nr_pieces <= VRING_SIZE_MAX);
	for (uint16_t i = 0; i < chain.nr_pieces; i++) {
		ASSERT(chain.pieces[i].len_bytes > 0);
		ASSERT(gmem_has(mem, chain.pieces[i].gpa, chain.pieces[i].len_bytes));
		sum += chain.pieces[i].len_bytes;
	}
	ASSERT(sum == chain.readable_bytes + chain.writable_bytes);
}

static void work(const struct gmem *mem, struct input *in)
{
	uint64_t offset = input_u16(in);
	size_t nr;

	if (!vring_pop(&vring, &chain))
		return;
	check_chain(mem);
	nr = vring_chain_read(&vring, &chain, offset, scratch, sizeof(scratch));
	ASSERT(nr == MIN(sizeof(scratch),
			 offset < chain.readable_bytes ? chain.readable_bytes - offset : 0));
	nr = vring_chain_write(&vring, &chain, offset, scratch, sizeof(scratch));
	ASSERT(nr == MIN(sizeof(scratch),
			 offset < chain.writable_bytes ? chain.writable_bytes - offset : 0));
	if (input_u8(in) & 1)
		vring_put(&vring, chain.head, (uint32_t)nr);
	else
		vring_unpop(&vring, 1);
}

static void put_desc(struct input *in)
{
	uint8_t where = input_u8(in);
	struct vring_desc desc = {
		.gpa = input_gpa(in),
		.len_bytes = input_u8(in) & 1 ? input_u32(in) : 16u * (input_u8(in) & 0xf),
		.flags = input_u8(in) & 7,
		.next = input_u8(in),
	};

	if (desc.flags & VRING_DESC_F_INDIRECT && where & 0x80)
		desc.gpa = TABLE;
	vdriver_put_desc(&driver, where & 0x40 ? TABLE : driver.desc_gpa, where & 0x3f, &desc);
}

static void step(const struct gmem *mem, struct input *in)
{
	enum hv_err err = HV_OK;

	switch (input_u8(in) % 8) {
	case 0:
	case 1:
		put_desc(in);
		break;
	case 2:
		vdriver_show_head(&driver, input_u8(in));
		break;
	case 3:
		err = gmem_write_u16(mem, driver.avail_gpa + VRING_AVAIL_IDX, input_u16(in));
		break;
	case 4:
		ASSERT(vring_arm(&vring) <= vring.size);
		break;
	case 5:
		(void)!vring_flush(&vring);
		break;
	case 6:
		vdriver_set_used_event(&driver, input_u16(in));
		break;
	case 7:
		work(mem, in);
		break;
	}
	ASSERT(err == HV_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	struct input in = {data, len_bytes};
	struct vm *vm = fake_vm_create(GMEM_CHUNK, 0);
	const struct gmem *mem = vm_memory(vm);
	uint8_t shape = input_u8(&in);
	uint64_t features = (shape & 0x10 ? VIRTIO_F_EVENT_IDX : 0) |
			    (shape & 0x20 ? VIRTIO_F_INDIRECT_DESC : 0);
	uint64_t misplaced = shape & 0x40 ? input_gpa(&in) : 0;

	vring_init(&vring, mem);
	lock_take(&vring.lock);
	vdriver_queue_init(&driver, mem, (uint16_t)(1u << (shape & 7)), RINGS);
	if (vring_setup(&vring, driver.size, driver.desc_gpa, driver.avail_gpa,
			misplaced ? misplaced : driver.used_gpa, features) == HV_OK) {
		vring.is_live = true;
		while (in.left)
			step(mem, &in);
	}
	fake_vm_destroy(vm);
	return 0;
}
