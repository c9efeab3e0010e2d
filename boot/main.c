/* SPDX-License-Identifier: Apache-2.0 */
/* The boot order, top to bottom. Each step may use what those above it started. */
#include "boot/after_boot.h"
#include "boot/multiboot2.h"
#include "boot/nmi_shower.h"
#include "boot/pvh.h"
#include "boot/uefi.h"
#include "drivers/dev_irqs.h"
#include "drivers/drivers.h"
#include "drivers/hotplug.h"
#include "drivers/screen.h"
#include "drivers/watchdogs.h"
#include "kernel/acpi.h"
#include "kernel/cmdline.h"
#include "kernel/cpu_hw.h"
#include "kernel/cpu_start.h"
#include "kernel/irq.h"
#include "kernel/lib/bytes.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/memory_init.h"
#include "kernel/mitigations.h"
#include "kernel/paging.h"
#include "kernel/panic.h"
#include "kernel/pci.h"
#include "kernel/random.h"
#include "kernel/serial.h"
#include "kernel/time.h"
#include "kernel/time_hw.h"
#include "kernel/watchdog.h"
#include "net/uplink.h"
#include "storage/node_kept.h"
#include "storage/node_slots.h"
#include "vmm/status_screen.h"
#include "vmm/vmm.h"

#define BOOT_MAPPED_BYTES (4 * GIB) /* by entry.S, in the direct map */

uint64_t __stack_chk_guard;
static bool can_run_guests;

void boot_main(uint32_t protocol, uint32_t info_hpa);
NORETURN void __stack_chk_fail(void);

void __stack_chk_fail(void)
{
	panic("stack smashed");
}

/* Random where the CPU can; the lowest byte zero, so that no string copy carries it over. */
static inline __attribute__((always_inline)) void seed_stack_guard(void)
{
	uint64_t random = 0; /* and it stays so when RDRAND has nothing to give */

	if (cpuid(1, 0).ecx & BIT(30))
		__asm__ volatile("rdrand %0" : "+r"(random) : : "cc");
	__stack_chk_guard = (random ^ rdtsc() * 0x9e3779b97f4a7c15ull) << 8;
}

static const void *map_early(void *arg, uint64_t hpa, uint64_t len_bytes)
{
	(void)arg;
	return range_fits(hpa, len_bytes, BOOT_MAPPED_BYTES) ? (const void *)(DIRECT_MAP + hpa)
							     : NULL;
}

static void read_boot_info(uint32_t protocol, uint32_t info_hpa)
{
	enum hv_err err;

	if (protocol == MULTIBOOT2_BOOTLOADER_MAGIC) {
		const void *info = map_early(NULL, info_hpa, sizeof(uint32_t));
		size_t len = info ? get_le32(info) : 0;

		info = map_early(NULL, info_hpa, len);
		err = info ? multiboot2_parse(info, len, &boot_info) : HV_EPROTO;
	} else {
		err = pvh_parse(info_hpa, map_early, NULL, &boot_info);
	}
	if (err != HV_OK)
		panic("the boot loader's information is unusable: %s", hv_strerror(err));
}

static void apply_cmdline(void)
{
	static const char *const levels[] = {"err", "warn", "info", "debug"};
	static const char *const actions[] = {"reboot", "halt", "poweroff"};

	log_set_level(cmdline_choose("log", levels, ARRAY_SIZE(levels), LOG_INFO));
	panic_set_action(cmdline_choose("panic", actions, ARRAY_SIZE(actions), PANIC_REBOOT));
	log_info("boot", "by %s from %s: %s", boot_info.protocol,
		 boot_info.loader[0] ? boot_info.loader : "an unnamed loader", boot_info.cmdline);
	for (uint32_t i = 0; i < boot_info.nr_modules; i++)
		log_info("boot", "module %s, %lu bytes", boot_info.modules[i].name,
			 boot_info.modules[i].len_bytes);
}

static const void *map_firmware(void *arg, uint64_t hpa, uint64_t len_bytes)
{
	(void)arg;
	return paging_map_firmware(hpa, len_bytes);
}

/* While the memory that they lie in is still nobody's. */
static void read_uefi(void)
{
	static const char *const names[] = {
		[FIRMWARE_BIOS] = "BIOS", [FIRMWARE_UEFI] = "UEFI", [FIRMWARE_NONE] = "none"};

	uefi_read_tables(&boot_info, map_firmware, NULL);
	if (boot_info.screen.kind == SCREEN_NONE)
		log_info("boot", "firmware: %s, no screen", names[boot_info.firmware]);
	else
		log_info("boot", "firmware: %s, screen of %u x %u %s", names[boot_info.firmware],
			 boot_info.screen.width, boot_info.screen.height,
			 boot_info.screen.kind == SCREEN_VGA_TEXT ? "characters" : "pixels");
}

/* The loader's copy of the RSDP, else the one it points at, else the one in the BIOS's memory. */
static void read_acpi(void)
{
	const void *rsdp = boot_info.rsdp_copy;
	size_t len = boot_info.rsdp_copy_len;
	uint64_t hpa = boot_info.rsdp_hpa;
	enum hv_err err;

	if (!len) {
		hpa = hpa ? hpa : acpi_find_rsdp(map_firmware, NULL);
		len = sizeof(boot_info.rsdp_copy);
		rsdp = hpa ? paging_map_firmware(hpa, len) : NULL;
	}
	if (!rsdp)
		panic("this machine has no ACPI tables; Billet needs them to find its CPUs");
	err = acpi_parse(rsdp, len, map_firmware, NULL, &acpi_info);
	if (err != HV_OK)
		panic("this machine's ACPI tables are unusable: %s", hv_strerror(err));
	log_info("acpi", "%u tables, %u bad, %u CPUs", acpi_info.nr_tables, acpi_info.nr_bad_tables,
		 acpi_info.nr_cpus);
}

/* Every CPU's end of the boot. A machine that cannot run guests waits for somebody who reads why.
 */
static void run(void)
{
	if (can_run_guests) {
		vmm_cpu_init();
		if (this_cpu()->index == 0)
			vmm_start();
		vmm_cpu_run();
	}
	if (this_cpu()->index == 0)
		status_screen_start();
	for (;;) {
		__atomic_store_n(&this_cpu()->kick_pending, 0, __ATOMIC_RELAXED);
		cpu_idle_wait();
	}
}

__attribute__((no_stack_protector)) void boot_main(uint32_t protocol, uint32_t info_hpa)
{
	seed_stack_guard();
	serial_init();
	log_add_sink(serial_write, LOG_DBG);
	log_info("boot", "Billet %s", BILLET_VERSION);
	cpu_init_boot();
	read_boot_info(protocol, info_hpa);
	apply_cmdline();
	paging_init(&boot_info);
	read_uefi();
	memory_init(&boot_info);
	screen_init(&boot_info.screen);
	status_screen_watch();
	read_acpi();
	watchdogs_init();
	irq_init();
	cpu_init_features();
	time_init();
	cpu_set_online();
	log_info("cpu", "side channels: %s", mitigations_text());
	pci_init();
	drivers_init();
	watchdog_kick();
	node_slots_init();
	watchdog_kick();
	node_kept_init();
	watchdog_kick();
	net_uplink_init();
	random_init();
	can_run_guests = vmm_init();
	watchdog_kick();
	cpu_start_others(run);
	watchdog_kick();
	dev_irqs_spread();
	hotplug_start();
	log_info("boot", "up after %llu ms", time_now_ns() / NSEC_PER_MSEC);
	serial_defer();
	nmi_shower_start();
	after_boot();
	watchdog_watch();
	run();
}
