/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that stands still where check= says, or does not:
 *
 *   boot     in its boot, with interrupts off
 *   first    the boot CPU, some seconds after it was up
 *   last     another CPU then, while the boot CPU goes on
 *   no       (or nothing) nobody
 *   panic    it panics then
 *   busy     nobody, but all CPUs work for ten seconds with interrupts off
 *
 * A node whose boot CPU goes on does after so many seconds as stay= says what end= says: it powers
 * off, or reboots.
 */
#include "boot/after_boot.h"
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/power.h"
#include "kernel/serial.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"

#define HANG_AFTER_S 100u
#define STAY_S	     1000u

static struct timer end, hang;

static void stand_still(void)
{
	log_info("check", "CPU %u stands still", this_cpu()->index);
	serial_drain();
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void be_busy(struct timer *timer)
{
	(void)timer;
	for (unsigned i = 0; i < 20; i++) {
		time_busy_wait_ns(NSEC_PER_SEC / 2);
		watchdog_work();
	}
	log_info("check", "CPU %u was busy", this_cpu()->index);
}

static void hang_now(struct timer *timer)
{
	(void)timer;
	stand_still();
}

static void panic_now(struct timer *timer)
{
	(void)timer;
	panic("check: asked for");
}

static void end_now(struct timer *timer)
{
	static const char *const words[] = {"poweroff", "reboot"};

	(void)timer;
	log_info("check", "still here after %llu s",
		 (unsigned long long)time_now_ns() / NSEC_PER_SEC);
	if (cmdline_choose("end", words, ARRAY_SIZE(words), 0) == 1)
		power_reboot();
	power_off();
}

static void set(struct timer *timer, void (*fire)(struct timer *timer), uint64_t seconds)
{
	timer_init(timer, fire);
	timer_set_in(timer, seconds * NSEC_PER_SEC);
}

static void be_busy_soon(void *arg)
{
	static struct timer timers[CPU_MAX];

	(void)arg;
	set(&timers[this_cpu()->index], be_busy, 1);
}

static void hang_if_last(void *arg)
{
	(void)arg;
	if (this_cpu()->index == cpu_count() - 1)
		set(&hang, hang_now, HANG_AFTER_S);
}

void after_boot(void)
{
	static const char *const words[] = {"no", "boot", "first", "last", "panic", "busy"};

	switch (cmdline_choose("check", words, ARRAY_SIZE(words), 0)) {
	case 1:
		stand_still();
		break;
	case 2:
		set(&hang, hang_now, HANG_AFTER_S);
		break;
	case 3:
		cpu_call_others(hang_if_last, NULL);
		break;
	case 4:
		set(&hang, panic_now, HANG_AFTER_S);
		break;
	case 5:
		cpu_call_others(be_busy_soon, NULL);
		be_busy_soon(NULL);
		break;
	default:
		break;
	}
	set(&end, end_now, cmdline_number("stay", STAY_S));
	watchdog_watch();
	for (;;) {
		__atomic_store_n(&this_cpu()->kick_pending, 0, __ATOMIC_RELAXED);
		cpu_idle_wait();
	}
}
