/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's part of an update, without an agent: requests to the control queue's own table, from
 * a kernel that was booted from a slot of the boot disk. What is in its own slot is put into the
 * other one, under the manifest that stands in node.conf's place; check= says how a trial ends.
 * What it does depends on how it was booted, so one kernel goes through the whole of an update:
 *
 *   not on trial, the other slot empty    a wrong signature, then install, then try
 *   on trial                              check=commit, panic, hang until the trial's end, or stand
 *                                         still with interrupts off
 *   not on trial otherwise                say what the slots hold, and power off
 */
#include "boot/after_boot.h"
#include "boot/boot_info.h"
#include "drivers/block.h"
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/power.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"
#include "storage/boot_disk.h"
#include "storage/node_slots.h"
#include "vmm/control.h"
#include "vmm/images.h"

#define PIECE_ORDER 4u
#define PIECE_BYTES (PAGE_SIZE << PIECE_ORDER)
#define ATTEMPT	    7u
#define WAKE_NS	    (10 * NSEC_PER_MSEC)

static struct ctl_reply reply;
static struct ctl_update_status status;
static struct ctl_update_manifest manifest;
static hpa_t piece;

static enum hv_err ask(uint32_t command, uint64_t arg0, uint64_t arg1, const void *data,
		       uint32_t len, void *out, size_t cap)
{
	struct ctl_request req = {
		.version = CTL_ABI_VERSION,
		.command = command,
		.arg0 = arg0,
		.arg1 = arg1,
		.data_len = len,
	};

	control_handle(NULL, &req, data, &reply, out, cap);
	return (enum hv_err)reply.status;
}

static void expect(enum hv_err wanted, enum hv_err got, const char *what)
{
	if (got != wanted)
		panic("check: %s: %s, not %s: %s", what, hv_strerror(got), hv_strerror(wanted),
		      reply.message);
}

static void read_status(void)
{
	expect(HV_OK, ask(CTL_UPDATE_STATUS, 0, 0, NULL, 0, &status, sizeof(status)), "status");
}

static void say_status(void)
{
	static const char *const words[] = {"empty", "writing", "whole", "tried", "good"};

	read_status();
	log_info("check", "slot %c%s, attempt %llu; a is %s (%s), b is %s (%s) %s",
		 'a' + status.running, status.is_trial ? " on trial" : "",
		 (unsigned long long)status.attempt, words[status.slots[0].state],
		 status.slots[0].version, words[status.slots[1].state], status.slots[1].version,
		 status.error);
}

/* Whatever CPU the disk interrupts, this one looks again after a while. */
static void wake(struct timer *timer)
{
	(void)timer;
	cpu_kick(this_cpu());
}

static void wait_a_little(void)
{
	static struct timer timer;

	timer_init(&timer, wake);
	timer_set_in(&timer, WAKE_NS);
	__atomic_store_n(&this_cpu()->kick_pending, 0, __ATOMIC_RELAXED);
	cpu_idle_wait();
	timer_cancel(&timer);
}

static void read_manifest(void)
{
	const struct boot_module *module = &boot_info.modules[0];

	if (boot_info.nr_modules != 1 || strcmp(module->name, "node.conf") != 0 ||
	    module->len_bytes < sizeof(manifest))
		panic("check: node.conf is not the one module");
	memcpy(&manifest, hva_of(module->hpa), sizeof(manifest));
}

static struct block_dev *boot_disk(void)
{
	for (uint32_t i = 0; i < block_count(); i++)
		if (block_at(i) == node_slots_disk())
			return block_at(i);
	panic("check: not booted from a slot");
}

static void read_own_slot(uint64_t at, uint32_t len_bytes)
{
	uint64_t slot = status.running ? BOOT_DISK_SLOT_B_AT : BOOT_DISK_SLOT_A_AT;
	struct block_seg seg = {.hpa = piece, .len_bytes = len_bytes};
	struct block_request req = {
		.op = BLOCK_READ,
		.sector = (slot + at) / BOOT_DISK_SECTOR_BYTES,
		.nr_sectors = len_bytes / BOOT_DISK_SECTOR_BYTES,
		.nr_segs = 1,
		.segs = &seg,
	};

	expect(HV_OK, block_run(boot_disk(), &req), "reading the slot");
}

static uint32_t make_image(void)
{
	uint32_t handle;

	expect(HV_OK, ask(CTL_IMAGE_CREATE, manifest.size, 0, manifest.sha256, 32, NULL, 0),
	       "image");
	handle = (uint32_t)reply.value0;
	for (uint64_t at = 0; at < manifest.size; at += PIECE_BYTES) {
		uint64_t len = MIN(PIECE_BYTES, manifest.size - at);

		read_own_slot(at, (uint32_t)ALIGN_UP(len, BOOT_DISK_SECTOR_BYTES));
		expect(HV_OK,
		       ask(CTL_IMAGE_WRITE, handle, at, hva_of(piece), (uint32_t)len, NULL, 0),
		       "write");
	}
	expect(HV_OK, ask(CTL_IMAGE_SEAL, handle, 0, NULL, 0, NULL, 0), "seal");
	return handle;
}

static enum hv_err ask_install(uint32_t handle)
{
	return ask(CTL_UPDATE_INSTALL, handle, 0, &manifest, sizeof(manifest), NULL, 0);
}

static void refuse_wrong_signatures(uint32_t handle)
{
	uint64_t began = rdtsc();

	manifest.signature[40] ^= 1;
	expect(HV_EPROTO, ask_install(handle), "a wrong signature");
	log_info("check", "a wrong signature is refused after %llu ticks: %s",
		 (unsigned long long)(rdtsc() - began), reply.message);
	manifest.signature[40] ^= 1;
	manifest.version[0] ^= 1;
	expect(HV_EPROTO, ask_install(handle), "another version");
	manifest.version[0] ^= 1;
}

static void install(void)
{
	uint32_t handle = make_image();

	refuse_wrong_signatures(handle);
	expect(HV_EBUSY, ask(CTL_UPDATE_TRY, ATTEMPT, 0, NULL, 0, NULL, 0), "try what is empty");
	expect(HV_EEXIST, ask(CTL_UPDATE_COMMIT, 0, 0, NULL, 0, NULL, 0), "commit what is good");
	log_info("check", "installing %llu bytes", (unsigned long long)manifest.size);
	expect(HV_OK, ask_install(handle), "install");
	for (read_status(); status.slots[!status.running].state == CTL_SLOT_WRITING; read_status())
		wait_a_little();
	say_status();
	if (status.slots[!status.running].state != CTL_SLOT_WHOLE)
		panic("check: not installed: %s", status.error);
	expect(HV_EEXIST, ask_install(handle), "install it again");
	expect(HV_OK, ask(CTL_IMAGE_DELETE, handle, 0, NULL, 0, NULL, 0),
	       "the image is used no more");
	expect(HV_OK, ask(CTL_UPDATE_TRY, ATTEMPT, 0, NULL, 0, NULL, 0), "try");
	for (;;)
		wait_a_little();
}

static void end_trial(void)
{
	static const char *const words[] = {"commit", "panic", "hang", "stop"};

	switch (cmdline_choose("check", words, ARRAY_SIZE(words), 0)) {
	case 1:
		panic("check: a bad release");
	case 2:
		log_info("check", "%u s are left", status.trial_left_s);
		for (;;)
			wait_a_little();
	case 3:
		log_info("check", "standing still");
		for (;;)
			__asm__ volatile("cli; hlt");
	default:
		expect(HV_OK, ask(CTL_UPDATE_COMMIT, 0, 0, NULL, 0, NULL, 0), "commit");
		for (read_status(); status.is_trial; read_status())
			wait_a_little();
		say_status();
		power_off();
	}
}

void after_boot(void)
{
	struct control_setup setup = {.ops = &control_machine};

	watchdog_watch();
	control_init(&setup);
	image_set_budget(64 * MIB);
	piece = pages_alloc(PIECE_ORDER);
	read_manifest();
	say_status();
	if (!status.has_slots)
		panic("check: no slots");
	if (status.is_trial)
		end_trial();
	if (status.slots[!status.running].state == CTL_SLOT_EMPTY)
		install();
	power_off();
}
