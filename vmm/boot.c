/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a VM's config to a loader: where its images are, and which protocol they want. The agent's
 * image is part of the kernel; all others are in the node's image store.
 */
#include "vmm/boot.h"

#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "vmm/agent_vm.h"
#include "vmm/boot_linux.h"
#include "vmm/boot_multiboot.h"
#include "vmm/boot_pvh.h"
#include "vmm/images.h"
#include "vmm/tables.h"

static enum hv_err read_image(const void *ctx, uint64_t offset, void *dst, uint64_t len_bytes)
{
	return image_read(ctx, offset, dst, len_bytes);
}

static struct image_src source_of(const struct image *image)
{
	if (!image)
		return (struct image_src){.size = 0};
	return (struct image_src){.read = read_image, .ctx = image, .size = image_size(image)};
}

enum hv_err boot_hold(struct vm *vm, char why[96])
{
	if (vm->is_agent)
		return HV_OK;
	vm->kernel = image_use(vm->config.kernel_image);
	if (!vm->kernel) {
		fmt(why, 96, "kernel: there is no sealed image %u", vm->config.kernel_image);
		return HV_ENOENT;
	}
	if (vm->config.initrd_image == 0)
		return HV_OK;
	vm->initrd = image_use(vm->config.initrd_image);
	if (vm->initrd)
		return HV_OK;
	fmt(why, 96, "initrd: there is no sealed image %u", vm->config.initrd_image);
	boot_release(vm);
	return HV_ENOENT;
}

void boot_release(struct vm *vm)
{
	if (vm->kernel)
		image_unuse(vm->kernel);
	if (vm->initrd)
		image_unuse(vm->initrd);
	vm->kernel = vm->initrd = NULL;
}

static enum hv_err put_tables(struct vm *vm, uint64_t *rsdp_gpa)
{
	struct tables_conf conf = {.nr_vcpus = vm->nr_vcpus, .serial = vm->name};

	memcpy(conf.uuid, vm->uuid, sizeof(conf.uuid));
	return tables_put(&vm->mem, &conf, rsdp_gpa);
}

enum hv_err boot_vm(struct vm *vm, struct boot_entry *entry, const char **why)
{
	struct boot_request req = {
		.mem = &vm->mem,
		.kernel = vm->is_agent ? agent_vm_image() : source_of(vm->kernel),
		.initrd = source_of(vm->initrd),
		.cmdline = vm->config.cmdline,
		.plan = &vm->plan,
	};
	enum hv_err err = put_tables(vm, &req.rsdp_gpa);

	*why = "the firmware tables do not fit into the VM's memory";
	if (err != HV_OK)
		return err;
	*why = NULL;
	switch (vm->config.boot_kind) {
	case CTL_BOOT_LINUX:
		return boot_linux(&req, entry, why);
	case CTL_BOOT_PVH:
		return boot_pvh(&req, entry, why);
	case CTL_BOOT_MULTIBOOT:
		return boot_multiboot(&req, entry, why);
	default:
		*why = "this boot protocol is not known here";
		return HV_ENOTSUP;
	}
}
