/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ELF loader under PVH and Multiboot, with the latter's own way to load. An input is a kernel
 * image; the guest has 4 MiB. What is accepted is entered inside what was loaded, above 1 MiB.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support/fake_vm.h"
#include "vmm/boot_multiboot.h"
#include "vmm/boot_pvh.h"
#include "vmm/elf.h"
#include "vmm/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define LOW_BYTES (4 * MIB)

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

static void carry_out(const struct boot_request *req)
{
	for (uint32_t i = 0; i < req->plan->nr; i++)
		require(req->plan->pieces[i].gpa >= LAYOUT_KERNEL_MIN);
	require(boot_plan_step(req->plan, req->mem, ~0ull) == HV_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct vm *vm;
	static struct boot_plan plan;
	const struct piece kernel = {data};
	struct boot_request req;
	struct boot_entry entry;
	struct elf_info info;
	const char *why = NULL;

	if (vm == NULL)
		vm = fake_vm_create(LOW_BYTES, 0);
	req = (struct boot_request){.mem = vm_memory(vm),
				    .kernel = {read_piece, &kernel, len},
				    .cmdline = "x",
				    .plan = &plan};
	if (boot_multiboot(&req, &entry, &why) == HV_OK) {
		require(entry.rip >= LAYOUT_KERNEL_MIN && entry.rip < LOW_BYTES);
		carry_out(&req);
	} else {
		require(why != NULL);
	}
	boot_plan_begin(&plan, &req.kernel, &req.initrd);
	if (elf_plan(&req, &info, &why) != HV_OK) {
		require(why != NULL);
		require(boot_pvh(&req, &entry, &why) != HV_OK);
		return 0;
	}
	require(info.low_gpa >= LAYOUT_KERNEL_MIN && info.low_gpa < info.high_gpa &&
		info.high_gpa <= LOW_BYTES);
	if (boot_pvh(&req, &entry, &why) == HV_OK) {
		require(entry.rip >= info.low_gpa && entry.rip < info.high_gpa);
		carry_out(&req);
	}
	return 0;
}
