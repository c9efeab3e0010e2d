/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the PVH entry to main(): what memory there is, what the loader brought, and the order in
 * which the port comes up.
 */
#include "agent/main.h"
#include "agent/port/cpu.h"
#include "agent/port/paging.h"
#include "agent/port/port.h"

#define HVM_START_MAGIC 0x336ec578u
#define MEMMAP_RAM	1u
#define RAM_MAX		(32 * MIB) /* more is not used */

struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct hvm_module {
	uint64_t at, size, cmdline, reserved;
};

struct hvm_memmap {
	uint64_t at, size;
	uint32_t type, reserved;
};

extern const char image_data[], image_end[];
uintptr_t __stack_chk_guard;
static struct hvm_module module;

NORETURN void agent_start(const struct hvm_start_info *info);
NORETURN void __stack_chk_fail(void);

const void *port_module(size_t *len_bytes)
{
	*len_bytes = module.size;
	return module.size ? (const void *)(uintptr_t)module.at : NULL;
}

/* Where the RAM ends that begins below the image and does not stop before its end. */
static uint64_t find_ram_end(const struct hvm_start_info *info)
{
	const struct hvm_memmap *map = (const struct hvm_memmap *)(uintptr_t)info->memmap;
	uint64_t image = (uintptr_t)image_data;
	uint32_t i;

	for (i = 0; i < info->memmap_entries; i++)
		if (map[i].type == MEMMAP_RAM && map[i].at <= image &&
		    map[i].at + map[i].size > image)
			return MIN(map[i].at + map[i].size, RAM_MAX);
	return 0;
}

NORETURN void __stack_chk_fail(void)
{
	agent_fail("a stack buffer overflowed", __FILE__, __LINE__);
}

__attribute__((optimize("no-stack-protector"))) NORETURN void
agent_start(const struct hvm_start_info *info)
{
	uint64_t ram_end, heap_end;

	uart_init();
	__stack_chk_guard = (rdtsc() * 0x9e3779b97f4a7c15ull) & ~0xffull;
	if (info->magic != HVM_START_MAGIC)
		agent_fail("not entered by PVH", __FILE__, __LINE__);
	if (info->nr_modules > 0)
		module = *(const struct hvm_module *)(uintptr_t)info->modules;
	ram_end = info->version >= 1 ? find_ram_end(info) : 0;
	if (ram_end == 0)
		agent_fail("the loader shows no RAM behind the image", __FILE__, __LINE__);
	heap_end =
		module.size && module.at > (uintptr_t)image_end ? MIN(ram_end, module.at) : ram_end;

	paging_init(ram_end);
	if (module.size)
		(void)paging_map_device(module.at, module.size); /* it may lie beyond what we use */
	trap_init();
	clock_init();
	timer_init();
	heap_init((uintptr_t)image_end, heap_end);
	agent_main();
}
