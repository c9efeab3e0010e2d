/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bzImage loader. An input is a kernel image; the guest has 24 MiB. What the loader accepts
 * must lie in RAM above 1 MiB, and its initrd beside the kernel.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/bytes.h"
#include "tests/unit/support/fake_vm.h"
#include "vmm/boot_linux.h"
#include "vmm/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define LOW_BYTES  (24 * MIB)
#define INITRD_LEN 10000u

struct piece {
	const uint8_t *data;
};

static void require(bool claim)
{
	if (!claim)
		abort();
}

static enum hv_err read_piece(const void *ctx, uint64_t offset, void *dst, uint64_t len_bytes)
{
	memcpy(dst, ((const struct piece *)ctx)->data + offset, len_bytes);
	return HV_OK;
}

static void check_accepted(const struct gmem *mem, const struct boot_entry *entry, size_t len)
{
	uint8_t zero_page[4096];
	uint64_t kernel = entry->rip - 0x200, initrd;

	require(entry->mode == BOOT_LONG_64 && kernel >= LAYOUT_KERNEL_MIN && kernel < LOW_BYTES);
	require(gmem_read(mem, entry->rsi, zero_page, sizeof(zero_page)) == HV_OK);
	initrd = get_le32(zero_page + 0x218);
	require(get_le32(zero_page + 0x21c) == INITRD_LEN);
	require(initrd >= kernel + get_le32(zero_page + 0x260) && initrd + INITRD_LEN <= LOW_BYTES);
	require(initrd >= kernel + len - 256 * 512); /* behind the kernel's bytes, too */
	require(zero_page[0x1e8] > 0 && zero_page[0x1e8] <= BOOT_MAP_ROWS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t initrd[INITRD_LEN];
	static struct vm *vm;
	static struct boot_plan plan;
	const struct piece kernel = {data}, initrd_piece = {initrd};
	struct boot_request req;
	struct boot_entry entry;
	const char *why = NULL;
	enum hv_err err;

	if (vm == NULL)
		vm = fake_vm_create(LOW_BYTES, 0);
	req = (struct boot_request){
		.plan = &plan,
		.mem = vm_memory(vm),
		.kernel = {read_piece, &kernel, len},
		.initrd = {read_piece, &initrd_piece, INITRD_LEN},
		.cmdline = "quiet",
	};
	err = boot_linux(&req, &entry, &why);
	if (err != HV_OK) {
		require(why != NULL && err != HV_EIO);
		return 0;
	}
	require(boot_plan_step(&plan, req.mem, ~0ull) == HV_OK);
	check_accepted(req.mem, &entry, len);
	return 0;
}
