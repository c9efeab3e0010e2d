/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Off and on again.
 *
 * Source: [ACPI] "Transitioning from the Working to the Sleeping State", "Reset Register".
 */
#include "kernel/power.h"

#include "kernel/acpi.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/lock.h"
#include "kernel/log.h"
#include "kernel/serial.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"

/* [ACPI] table "PM1 Control Registers Fixed Hardware Feature Control Bits" */
#define PM1_SLP_TYP 0x1c00
#define PM1_SLP_EN  0x2000

#define PORT_RESET_CONTROL 0xcf9
#define RESET_HARD	   0x02
#define RESET_NOW	   0x04
#define PORT_KBC	   0x64
#define KBC_PULSE_RESET	   0xfe

#define SETTLE_NS (100 * NSEC_PER_MSEC)

static struct power_hook *hooks;
static struct lock hooks_lock; /* guards it while it grows */

static void write_pm1(uint32_t port, uint8_t sleep_type)
{
	if (port)
		out16((uint16_t)port, (uint16_t)(FIELD_PREP(PM1_SLP_TYP, sleep_type) | PM1_SLP_EN));
}

void power_at_end(struct power_hook *hook)
{
	lock_take(&hooks_lock);
	hook->next = hooks;
	__atomic_store_n(&hooks, hook, __ATOMIC_RELEASE);
	lock_release(&hooks_lock);
}

void power_skip_hooks(void)
{
	__atomic_store_n(&hooks, NULL, __ATOMIC_RELAXED);
}

/* Each once, even when one of them ends up here again. */
static void tell_hooks(void)
{
	struct power_hook *hook = __atomic_exchange_n(&hooks, NULL, __ATOMIC_ACQUIRE);

	for (; hook; hook = hook->next)
		hook->end(hook);
}

void power_off(void)
{
	watchdog_stop();
	tell_hooks();
	log_info("power", "off");
	serial_drain();
	if (acpi_info.has_s5) {
		write_pm1(acpi_info.pm1a_cnt_port, acpi_info.s5_slp_typa);
		write_pm1(acpi_info.pm1b_cnt_port, acpi_info.s5_slp_typb);
		time_busy_wait_ns(SETTLE_NS);
	}
	log_err("power",
		"this machine does not power itself off; it is halted and may be switched off");
	serial_drain();
	cpu_halt_forever();
}

static NORETURN void triple_fault(void)
{
	static const struct PACKED {
		uint16_t limit;
		uint64_t base;
	} no_table = {0, 0};

	__asm__ volatile("lidt %0; int3" : : "m"(no_table));
	cpu_halt_forever();
}

void power_reboot(void)
{
	watchdog_kick(); /* it may end this, but not what firmware and loader do then */
	tell_hooks();
	log_info("power", "reboot");
	serial_drain();
	watchdog_stop();
	if (acpi_info.has_reset_reg) {
		out8(acpi_info.reset_port, acpi_info.reset_value);
		time_busy_wait_ns(SETTLE_NS);
	}
	out8(PORT_RESET_CONTROL, RESET_HARD);
	out8(PORT_RESET_CONTROL, RESET_HARD | RESET_NOW);
	time_busy_wait_ns(SETTLE_NS);
	out8(PORT_KBC, KBC_PULSE_RESET);
	time_busy_wait_ns(SETTLE_NS);
	triple_fault();
}
