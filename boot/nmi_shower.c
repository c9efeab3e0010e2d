/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An NMI that ends a guest's run must be taken on its own stack, leave NMIs unblocked, and change
 * nothing in the guest. One that stays blocked shows in the count: the next ones merge with it.
 */
#include "boot/nmi_shower.h"

#include "kernel/apic.h"
#include "kernel/cmdline.h"
#include "kernel/cpu_arch.h"
#include "kernel/log.h"
#include "kernel/time.h"

#define NMIS 200u

static struct timer timer;
static uint64_t interval;
static uint32_t nr_sent;

static void log_counts(void)
{
	for (uint32_t i = 1; i < cpu_count(); i++) {
		const struct cpu_arch *arch = cpu_at(i)->arch;

		log_info("nmi", "CPU %u took %llu of %u", i, (unsigned long long)arch->nmi_count,
			 NMIS);
	}
}

static void fall(struct timer *t)
{
	if (nr_sent == NMIS) {
		log_counts();
		return;
	}
	nr_sent++;
	apic_send_nmi_to_others();
	timer_set(t, tsc_now() + interval);
}

void nmi_shower_start(void)
{
	interval = tsc_khz() * cmdline_number("nmi-every", 0);
	if (interval == 0)
		return;
	timer_init(&timer, fall);
	timer_set(&timer, tsc_now() + interval);
}
