/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the hardware's watchdog: who kicks it, and from when on. */
#include "kernel/watchdog.h"

#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/log.h"
#include "kernel/time.h"
#include "kernel/watchdog_rules.h"

static struct watchdog *running; /* NULL: none, or stopped for good */
static struct watchdog_times times;
static struct watchdog_beats beats;
static struct timer timers[CPU_MAX];
static bool has_reset;	      /* fixed in watchdog_begin() */
static bool is_watching;      /* fixed once it is set, on the boot CPU */
static uint64_t looked_at_ns; /* the boot CPU's */

static void choose(const struct watchdog *dog)
{
	char word[16];
	const char *asked = cmdline_get("watchdog", word, sizeof(word));

	if (!watchdog_choose(asked, dog->min_s, dog->max_s, &times))
		log_warn("cmdline", "watchdog=%s is not auto, off or %u to %u seconds, ignored",
			 asked, WATCHDOG_SECONDS_MIN, WATCHDOG_SECONDS_MAX);
}

enum hv_err watchdog_begin(struct watchdog *dog)
{
	enum hv_err err;

	choose(dog);
	if (dog->ops->has_fired(dog)) {
		has_reset = true;
		log_warn("watchdog", "%s reset this machine, which had stood still", dog->name);
	}
	if (times.is_off) {
		dog->ops->stop(dog); /* firmware may have left it running */
		log_info("watchdog", "%s: off, as watchdog=off says", dog->name);
		return HV_OK;
	}
	err = dog->ops->start(dog, times.boot_s);
	if (err != HV_OK)
		return err;
	__atomic_store_n(&running, dog, __ATOMIC_RELEASE);
	log_info("watchdog", "%s: %u s for each step of the boot, %u s from then on", dog->name,
		 times.boot_s, times.run_s);
	return HV_OK;
}

bool watchdog_has_reset(void)
{
	return has_reset;
}

void watchdog_kick(void)
{
	struct watchdog *dog = __atomic_load_n(&running, __ATOMIC_ACQUIRE);

	if (dog)
		dog->ops->kick(dog);
}

void watchdog_stop(void)
{
	struct watchdog *dog = __atomic_exchange_n(&running, NULL, __ATOMIC_ACQ_REL);

	if (dog)
		dog->ops->stop(dog);
}

static void again(struct timer *timer, uint32_t ms)
{
	timer_set_in(timer, ms * NSEC_PER_MSEC);
}

static void beat(struct timer *timer)
{
	watchdog_beat(&beats, this_cpu()->index);
	again(timer, times.beat_ms);
}

static void look_around(void)
{
	uint32_t dead = watchdog_find_dead(&beats, cpu_count());

	looked_at_ns = time_now_ns();
	if (!dead)
		watchdog_kick();
	else
		log_err("watchdog", "CPU %u stands still: if it goes on so, the machine is reset",
			dead);
}

static bool has_passed(uint32_t ms)
{
	return time_now_ns() - looked_at_ns >= ms * NSEC_PER_MSEC;
}

/* Not at once after watchdog_work() did: the others had no time to count. */
static void look(struct timer *timer)
{
	if (has_passed(times.look_ms / 2))
		look_around();
	again(timer, times.look_ms);
}

void watchdog_work(void)
{
	uint32_t cpu = this_cpu()->index;

	if (!__atomic_load_n(&is_watching, __ATOMIC_RELAXED))
		watchdog_kick();
	else if (cpu != 0)
		watchdog_beat(&beats, cpu);
	else if (has_passed(times.look_ms))
		look_around();
}

static void begin_beating(void *arg)
{
	struct timer *timer = &timers[this_cpu()->index];

	(void)arg;
	timer_init(timer, beat);
	beat(timer);
}

void watchdog_watch(void)
{
	struct watchdog *dog = __atomic_load_n(&running, __ATOMIC_ACQUIRE);

	if (!dog)
		return;
	cpu_call_others(begin_beating, NULL);
	timer_init(&timers[0], look);
	looked_at_ns = time_now_ns();
	__atomic_store_n(&is_watching, true, __ATOMIC_RELAXED);
	again(&timers[0], times.look_ms);
	if (dog->ops->start(dog, times.run_s) != HV_OK)
		log_err("watchdog", "%s does not take its new timeout", dog->name);
}
