/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All CPUs at once on all disks: each has lanes of its own on each disk, and each lane writes a
 * page, reads it back, compares, and goes on to its next page, from done() to done(). So
 * submissions meet in the block layer and in the drivers, and ends come on all CPUs.
 *
 *   cpus-rounds=N    pages for each lane; default 200
 *
 * Of each disk: how many requests ended, how many of these on the CPU that had submitted them, and
 * how much was wrong. Where each CPU has a queue of its own, all of them end where they began.
 */
#include "boot/after_boot.h"
#include "drivers/block.h"
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/power.h"

#define CPUS_MAX 8u
#define LANES	 12u /* of each CPU on each disk: more than a queue of some disks has slots */

struct lane {
	struct block_request req;
	struct block_seg seg;
	struct block_dev *dev;
	uint32_t owner, nr; /* whose pages it writes */
	uint32_t cpu;	    /* that submitted last */
	uint32_t round;
	bool is_reading;
	uint64_t *page;
};

static struct lane lanes[BLOCK_DEVS_MAX][CPUS_MAX][LANES];
static struct {
	uint32_t ended, ended_at_home, failed, wrong; /* atomic */
} results[BLOCK_DEVS_MAX];
static uint32_t nr_running, nr_rounds, nr_cpus;

static void count(uint32_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static uint32_t index_of(const struct lane *lane)
{
	return (uint32_t)((lane - &lanes[0][0][0]) / (CPUS_MAX * LANES));
}

static uint64_t word_of(const struct lane *lane, uint32_t i)
{
	return (lane->req.sector << 32 | lane->round << 16 | i) * 0x9e3779b97f4a7c15ull;
}

static void compare(struct lane *lane)
{
	for (uint32_t i = 0; i < PAGE_SIZE / 8; i++)
		if (lane->page[i] != word_of(lane, i)) {
			count(&results[index_of(lane)].wrong);
			return;
		}
}

static void submit(struct lane *lane)
{
	uint32_t sectors = (uint32_t)(PAGE_SIZE / lane->dev->sector_bytes);
	uint64_t page_nr = ((uint64_t)lane->round * nr_cpus + lane->owner) * LANES + lane->nr;

	lane->req.op = lane->is_reading ? BLOCK_READ : BLOCK_WRITE;
	lane->req.nr_sectors = sectors;
	lane->req.sector = page_nr * sectors % (lane->dev->nr_sectors / sectors * sectors);
	if (lane->is_reading)
		memset(lane->page, 0, PAGE_SIZE);
	else
		for (uint32_t i = 0; i < PAGE_SIZE / 8; i++)
			lane->page[i] = word_of(lane, i);
	if (block_submit(lane->dev, &lane->req) == HV_OK)
		return;
	count(&results[index_of(lane)].failed);
	__atomic_fetch_sub(&nr_running, 1, __ATOMIC_RELEASE);
}

static void done(struct block_request *req, enum hv_err status)
{
	struct lane *lane = req->arg;
	uint32_t disk = index_of(lane);

	count(&results[disk].ended);
	if (this_cpu()->index == lane->cpu)
		count(&results[disk].ended_at_home);
	if (status != HV_OK)
		count(&results[disk].failed);
	else if (lane->is_reading)
		compare(lane);
	lane->cpu = this_cpu()->index; /* the next one is submitted from here */
	if (lane->is_reading)
		lane->round++;
	lane->is_reading = !lane->is_reading;
	if (lane->round < nr_rounds)
		submit(lane);
	else
		__atomic_fetch_sub(&nr_running, 1, __ATOMIC_RELEASE);
}

static void prepare(uint32_t disk, uint32_t cpu, uint32_t nr)
{
	struct lane *lane = &lanes[disk][cpu][nr];
	hpa_t hpa = pages_alloc(0);

	if (hpa == HPA_NONE) {
		log_err("disk_cpus", "no memory");
		power_off();
	}
	*lane = (struct lane){
		.dev = block_at(disk), .owner = cpu, .cpu = cpu, .nr = nr, .page = hva_of(hpa)};
	lane->seg = (struct block_seg){hpa, (uint32_t)PAGE_SIZE};
	lane->req =
		(struct block_request){.nr_segs = 1, .segs = &lane->seg, .done = done, .arg = lane};
	nr_running++;
}

/* On each CPU, interrupts off. */
static void start(void *arg)
{
	uint32_t cpu = this_cpu()->index;

	(void)arg;
	for (uint32_t disk = 0; disk < block_count() && cpu < nr_cpus; disk++)
		for (uint32_t nr = 0; nr < LANES; nr++)
			submit(&lanes[disk][cpu][nr]);
}

static void report(uint32_t disk)
{
	const struct block_counters *c = &block_at(disk)->counters;

	log_info("disk_cpus",
		 "%s: %u ended, %u where they began; %u failed, %u wrong; %lu resets, %lu lost "
		 "interrupts",
		 block_at(disk)->name, results[disk].ended, results[disk].ended_at_home,
		 results[disk].failed, results[disk].wrong, c->resets, c->lost_interrupts);
}

void after_boot(void)
{
	nr_rounds = cmdline_number("cpus-rounds", 200);
	nr_cpus = MIN(cpu_count(), CPUS_MAX);
	for (uint32_t disk = 0; disk < block_count(); disk++)
		for (uint32_t cpu = 0; cpu < nr_cpus; cpu++)
			for (uint32_t nr = 0; nr < LANES; nr++)
				prepare(disk, cpu, nr);
	cpu_call_others(start, NULL);
	start(NULL);
	while (__atomic_load_n(&nr_running, __ATOMIC_ACQUIRE) > 0)
		cpu_idle_wait();
	for (uint32_t disk = 0; disk < block_count(); disk++)
		report(disk);
	log_info("disk_cpus", "done, %u disks, %u CPUs", block_count(), nr_cpus);
	power_off();
}
