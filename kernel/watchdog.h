/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hardware's watchdog: it resets the machine when nobody has kicked it for a while. It runs
 * from early in the boot, where whoever gets one step further kicks it; once the node is up, the
 * boot CPU kicks it from a timer as long as every CPU's timers run (kernel/watchdog_rules.h). What
 * a healthy node does with its agent and guests is not its subject.
 *
 * A driver (drivers/watchdogs.h) brings it. There is one at most; without one, or with
 * watchdog=off, all of this does nothing.
 */
#ifndef KERNEL_WATCHDOG_H
#define KERNEL_WATCHDOG_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

struct watchdog;

/* None of these waits or takes a lock. */
struct watchdog_ops {
	/*
	 * From now on it resets the machine timeout_s after the last kick, or a little later; it
	 * may be running already. Errors: HV_EIO - the hardware did not take it and stands still.
	 */
	MUST_CHECK enum hv_err (*start)(struct watchdog *dog, uint32_t timeout_s);
	void (*kick)(struct watchdog *dog);
	void (*stop)(struct watchdog *dog);
	bool (*has_fired)(struct watchdog *dog); /* the last reset was its doing; once */
};

struct watchdog {
	const struct watchdog_ops *ops;
	char name[48];
	uint32_t min_s, max_s; /* timeouts that it can do */
};

/*
 * watchdog_begin - take this one, and start it as watchdog= says
 *
 * dog      kept for ever
 * Errors:  HV_EIO - it does not start; another one may be tried.
 * Context: boot CPU, once ACPI is known.
 */
MUST_CHECK enum hv_err watchdog_begin(struct watchdog *dog);

/* watchdog_has_reset - whether this boot came of the watchdog's reset. Context: any, after that. */
bool watchdog_has_reset(void);

/* watchdog_kick - the machine got further. Context: the boot, and a panic. */
void watchdog_kick(void);

/*
 * watchdog_work - a piece of long work is done, and there is more: for what keeps a CPU for seconds
 * in the kernel, where its timers do not fire. Context: any but NMI.
 */
void watchdog_work(void);

/* watchdog_watch - the boot is over, and all CPUs are up: kick from timers. Context: boot CPU. */
void watchdog_watch(void);

/* watchdog_stop - for good: the machine goes down, or is to stay halted. Context: any. */
void watchdog_stop(void);

#endif
