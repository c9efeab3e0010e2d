/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot modules as guests. They go through the same image store and vm_create() as the controller's,
 * so a guest test exercises what a tenant's VM does.
 */
#include "vmm/module_guests.h"

#include "boot/boot_info.h"
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/power.h"
#include "kernel/time.h"
#include "vmm/exits.h"
#include "vmm/images.h"
#include "vmm/vm.h"

#define GUESTS_MAX  BOOT_MODULES_MAX
#define LINE_BYTES  200u
#define PIECE_BYTES (1 * MIB)
#define DEFAULT_MIB 128u

#define CYCLES	     20u /* of a VM's life at the end */
#define CYCLE_PHASES 4u

static struct guest {
	struct vm *vm;
	size_t line_len;
	char line[LINE_BYTES];
} guests[GUESTS_MAX];
static uint32_t nr_guests, nr_stopped;
static struct ctl_vm_config config; /* of the one that is being created */
static uint32_t images[GUESTS_MAX], nr_images;
static struct pages_stats before; /* any of it was taken */
static uint64_t before_heap;

bool module_guests_are_over;

static struct guest *guest_of(const struct vm *vm)
{
	for (uint32_t i = 0; i < nr_guests; i++)
		if (guests[i].vm == vm)
			return &guests[i];
	return NULL;
}

/* ---- images ---- */

/* The store names images by hash; here nobody asks for one by it, so any unique value will do. */
static enum hv_err image_of_module(const struct boot_module *module, uint32_t *handle)
{
	uint8_t id[32] = "boot module";
	const uint8_t *bytes = hva_of(module->hpa);
	enum hv_err err;

	memcpy(id + 16, &module->hpa, sizeof(module->hpa));
	err = image_create(module->len_bytes, id, handle);
	for (uint64_t at = 0; err == HV_OK && at < module->len_bytes; at += PIECE_BYTES)
		err = image_write(*handle, at, bytes + at,
				  MIN(PIECE_BYTES, module->len_bytes - at));
	if (err == HV_OK)
		images[nr_images++] = *handle;
	return err == HV_OK ? image_seal(*handle) : err;
}

/* ---- command lines ---- */

static bool begins_with(const struct boot_module *module, const char *word)
{
	size_t len = strlen(word);

	return strncmp(module->name, word, len) == 0 &&
	       (module->name[len] == ' ' || module->name[len] == '\0');
}

static void read_config(const struct boot_module *module, uint32_t index)
{
	const char *name = module->name + strlen("guest"), *rest = strstr(module->name, " -- ");
	char words[sizeof(module->name)], buf[8];
	size_t len;

	while (*name == ' ')
		name++;
	len = strlen(name);
	for (size_t i = 0; i < len; i++)
		if (name[i] == ' ')
			len = i;
	fmt(words, sizeof(words), "%s", module->name);
	if (rest)
		words[rest - module->name] = '\0';
	config = (struct ctl_vm_config){
		.mem_bytes = cmdline_find_number(words, "mem", DEFAULT_MIB) * MIB,
		.nr_vcpus = cmdline_find_number(words, "vcpus", 1),
		.weight = cmdline_find_number(words, "weight", SCHED_WEIGHT_DEFAULT),
		.cap_percent = cmdline_find_number(words, "cap", 0),
		.tsc_khz = (uint32_t)(tsc_khz() * cmdline_find_number(words, "tsc", 0) / 100),
		.boot_kind = cmdline_find(words, "linux", buf, sizeof(buf)) ? CTL_BOOT_LINUX
									    : CTL_BOOT_PVH,
		.nr_nics = 1,
		.nics = {{.mac = {0x02, 0xb1, 0x11, 0xe7, 0x01, (uint8_t)index}}},
	};
	memcpy(config.uuid, "boot module    ", 15);
	config.uuid[15] = (uint8_t)index;
	memcpy(config.name, name, MIN(len, sizeof(config.name) - 1));
	if (rest)
		fmt(config.cmdline, sizeof(config.cmdline), "%s", rest + strlen(" -- "));
}

/* ---- life ---- */

/* For the bench: what a VM takes of the node's memory for itself. */
static void log_overhead(const struct vm *vm, const struct pages_stats *without)
{
	struct pages_stats after;

	pages_stats(&after);
	log_dbg("guest", "\"%s\": %llu KiB beyond its memory", vm->name,
		(unsigned long long)((without->free - after.free) * PAGE_SIZE -
				     vm->config.mem_bytes) /
			KIB);
}

static void start(const struct boot_module *module, const struct boot_module *next, uint32_t index)
{
	char why[96] = "its image does not fit into the node's memory";
	struct guest *guest = &guests[nr_guests];
	struct pages_stats without;
	enum hv_err err;

	read_config(module, index);
	err = image_of_module(module, &config.kernel_image);
	if (err == HV_OK && next && begins_with(next, "initrd"))
		err = image_of_module(next, &config.initrd_image);
	pages_stats(&without);
	if (err == HV_OK)
		err = vm_create(&config, &guest->vm, why);
	if (err == HV_OK) {
		log_overhead(guest->vm, &without);
		nr_guests++;
		err = vm_start_whole(guest->vm, why);
	}
	if (err != HV_OK)
		log_err("guest", "\"%s\" cannot be started: %s", config.name, why);
}

uint32_t module_guests_start(void)
{
	pages_stats(&before);
	before_heap = kmem_in_use();
	for (uint32_t i = 0; i < boot_info.nr_modules; i++)
		if (begins_with(&boot_info.modules[i], "guest"))
			start(&boot_info.modules[i],
			      i + 1 < boot_info.nr_modules ? &boot_info.modules[i + 1] : NULL, i);
	if (module_guests_only() && nr_guests == nr_stopped)
		power_off();
	return nr_guests;
}

bool module_guests_only(void)
{
	char buf[8];

	return cmdline_get("guests", buf, sizeof(buf)) && strcmp(buf, "only") == 0;
}

void module_guests_print(struct vm *vm, const uint8_t *data, size_t len_bytes)
{
	struct guest *guest = guest_of(vm);

	for (size_t i = 0; guest && i < len_bytes; i++) {
		if (data[i] == '\r')
			continue;
		if (data[i] != '\n')
			guest->line[guest->line_len++] = (char)data[i];
		if (data[i] == '\n' || guest->line_len == sizeof(guest->line)) {
			log_info(vm->name, "%.*s", (int)guest->line_len, guest->line);
			guest->line_len = 0;
		}
	}
}

void module_guests_stopped(struct vm *vm)
{
	struct vm_exits exits;
	struct ctl_usage usage;

	if (!guest_of(vm))
		return;
	vm_exits(vm, &exits);
	for (uint32_t kind = 0; kind < EXIT_KINDS; kind++)
		if (exits.nr[kind] > 0)
			log_info(vm->name, "exits: %s %llu", exit_name(kind),
				 (unsigned long long)exits.nr[kind]);
	vm_usage(vm, &usage);
	log_dbg("guest", "\"%s\": ran %llu us of %llu us", vm->name,
		(unsigned long long)usage.vcpu_run_ns / NSEC_PER_USEC,
		(unsigned long long)usage.vcpu_alloc_ns / NSEC_PER_USEC);
	nr_stopped++;
	if (module_guests_only() && nr_stopped == nr_guests)
		__atomic_store_n(&module_guests_are_over, true, __ATOMIC_RELEASE);
}

/* ---- the end: nothing that a VM took may be missing ---- */

static struct {
	struct cpu *cpu; /* that does it all */
	uint32_t step;
	struct vm *vm;
	struct timer timer;
	uint64_t next_tsc;
} cycle;

static void wake_cycle(struct timer *timer)
{
	(void)timer;
	cpu_kick(this_cpu());
}

static void destroy_all(void)
{
	for (uint32_t i = 0; i < nr_guests; i++) {
		vm_destroy(guests[i].vm);
		guests[i].vm = NULL;
	}
}

/* One VM again and again, with what the last guest was made of: create and start, pause, resume,
 * destroy. */
static void step_cycle(uint32_t phase)
{
	char why[96] = "";
	enum hv_err err = HV_OK;

	switch (phase) {
	case 0:
		err = vm_create(&config, &cycle.vm, why);
		if (err == HV_OK)
			err = vm_start_whole(cycle.vm, why);
		break;
	case 1:
		err = vm_pause(cycle.vm);
		break;
	case 2:
		err = vm_resume(cycle.vm);
		break;
	default:
		vm_destroy(cycle.vm);
		break;
	}
	if (err != HV_OK)
		panic("guest: a VM cannot be made again: %s %s", hv_strerror(err), why);
}

static void log_memory(void)
{
	struct pages_stats now;

	for (uint32_t i = 0; i < nr_images; i++)
		if (image_delete(images[i]) != HV_OK)
			log_err("guest", "an image is still in use");
	pages_stats(&now);
	log_info("guest", "pages: %llu free before, %llu free after",
		 (unsigned long long)before.free, (unsigned long long)now.free);
	log_info("guest", "heap: %llu bytes before, %llu bytes after",
		 (unsigned long long)before_heap, (unsigned long long)kmem_in_use());
}

void module_guests_finish(void)
{
	if (!cycle.cpu) {
		cycle.cpu = this_cpu();
		timer_init(&cycle.timer, wake_cycle);
		destroy_all();
	}
	if (cycle.cpu != this_cpu() || tsc_now() < cycle.next_tsc)
		return;
	if (cycle.step == CYCLES * CYCLE_PHASES) {
		log_memory();
		power_off();
	}
	step_cycle(cycle.step++ % CYCLE_PHASES);
	cycle.next_tsc = tsc_now() + tsc_khz(); /* a millisecond for the VM to run */
	timer_set(&cycle.timer, cycle.next_tsc);
}
