/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer on the boot CPU: gather, compare with what was gathered last, draw the page if they
 * differ, then some cells. What takes a lock that somebody holds is left as it was.
 */
#include "vmm/status_screen.h"

#include "drivers/block.h"
#include "drivers/nic.h"
#include "drivers/screen.h"
#include "kernel/cpu.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/time.h"
#include "vmm/agent_vm.h"
#include "vmm/control.h"
#include "vmm/node_info.h"
#include "vmm/status_page.h"
#include "vmm/virt.h"

static_assert(CONTROL_VIEW_VMS == STATUS_GUESTS_MAX, "as many as there is room for");

#define LOOK_EVERY_NS (NSEC_PER_SEC)
#define FIRST_LOOK_NS (200 * NSEC_PER_MSEC)
#define DRAW_EVERY_NS (10 * NSEC_PER_MSEC) /* while there is more to draw */
#define BUSY_STEP     5u		   /* percent: smaller changes are not worth a redraw */

static struct status_info now, drawn; /* the boot CPU's */
static struct ctl_node_info node;
static struct control_view view;
static struct timer timer;
static uint64_t last_tsc, last_idle, next_look_tsc;

static struct {
	struct lock lock; /* held for a copy only; a leaf below the log's */
	uint32_t nr;
	char lines[STATUS_LINES_MAX][STATUS_LINE_BYTES];
} warnings;

/* Without its time, for which there is no room; the oldest goes when there is none for a new one.
 */
static void remember(const char *line, size_t len_bytes)
{
	const char *behind_time = memchr(line, ']', len_bytes);
	size_t skip = behind_time ? MIN((size_t)(behind_time - line) + 2, len_bytes - 1) : 0;
	size_t len = MIN(len_bytes - 1 - skip, STATUS_LINE_BYTES - 1);

	if (!lock_try(&warnings.lock))
		return;
	if (warnings.nr == STATUS_LINES_MAX)
		memmove(warnings.lines[0], warnings.lines[1],
			(STATUS_LINES_MAX - 1) * STATUS_LINE_BYTES);
	else
		warnings.nr++;
	memset(warnings.lines[warnings.nr - 1], 0, STATUS_LINE_BYTES);
	memcpy(warnings.lines[warnings.nr - 1], line + skip, len);
	lock_release(&warnings.lock);
}

void status_screen_watch(void)
{
	log_add_sink(remember, LOG_WARN);
}

static uint32_t busy_percent(void)
{
	uint64_t idle = 0, tsc = tsc_now(), whole, part;
	uint32_t percent;

	for (uint32_t i = 0; i < cpu_count(); i++)
		idle += cpu_idle_ticks(cpu_at(i));
	whole = (tsc - last_tsc) * cpu_count();
	part = idle > last_idle ? MIN(idle - last_idle, whole) : 0;
	percent = whole ? (uint32_t)((whole - part) * 100 / whole) : 0;
	last_tsc = tsc;
	last_idle = idle;
	return percent;
}

static void take_busy(void)
{
	uint32_t percent = busy_percent(), was = drawn.busy_percent;

	if ((percent > was ? percent - was : was - percent) >= BUSY_STEP)
		now.busy_percent = percent;
}

static void take_nic(const struct nic *nic)
{
	uint32_t i = now.nr_nics++;

	if (i >= STATUS_NICS_MAX)
		return;
	fmt(now.nics[i].location, sizeof(now.nics[i].location), "%s", nic->location);
	fmt(now.nics[i].driver, sizeof(now.nics[i].driver), "%s", nic->ops->driver);
	memcpy(now.nics[i].mac, nic->mac, sizeof(now.nics[i].mac));
	now.nics[i].is_link_up = nic->is_link_up;
	now.nics[i].is_gone = nic->is_gone;
	now.nics[i].speed_mbps = nic->speed_mbps;
}

static void take_disk(const struct block_dev *dev)
{
	uint32_t i = now.nr_disks++;

	if (i >= STATUS_DISKS_MAX)
		return;
	fmt(now.disks[i].name, sizeof(now.disks[i].name), "%s", dev->name);
	fmt(now.disks[i].model, sizeof(now.disks[i].model), "%s", dev->model);
	now.disks[i].size_bytes = dev->nr_sectors * dev->sector_bytes;
	now.disks[i].is_failing = dev->health.is_known && dev->health.is_failing;
	now.disks[i].is_gone = dev->state == BLOCK_GONE;
}

static void take_devices(void)
{
	memset(now.nics, 0, sizeof(now.nics));
	memset(now.disks, 0, sizeof(now.disks));
	now.nr_nics = now.nr_disks = 0;
	for (uint32_t i = 0; i < nic_count(); i++) {
		const struct nic *nic = nic_at(i); /* NULL: was taken out */

		if (nic)
			take_nic(nic);
	}
	for (uint32_t i = 0; i < block_count(); i++) {
		const struct block_dev *dev = block_at(i);

		if (dev)
			take_disk(dev);
	}
}

static void take_guests(void)
{
	if (!control_try_view(&view))
		return;
	now.agent = view.agent;
	now.nr_guests = view.nr_vms;
	memset(now.guests, 0, sizeof(now.guests));
	for (uint32_t i = 0; i < view.nr_listed; i++) {
		const struct ctl_vm_info *vm = &view.vms[i];

		fmt(now.guests[i].name, sizeof(now.guests[i].name), "%s", vm->name);
		fmt(now.guests[i].reason, sizeof(now.guests[i].reason), "%s", vm->reason);
		now.guests[i].state = vm->state;
		now.guests[i].nr_vcpus = vm->nr_vcpus;
		now.guests[i].mem_mib = vm->mem_bytes / MIB;
	}
}

static void take_rest(void)
{
	struct pages_stats pages;

	pages_stats(&pages);
	now.mem_mib = pages.total * PAGE_SIZE / MIB;
	now.mem_used_mib = (pages.total - pages.free) * PAGE_SIZE / MIB;
	now.uptime_min = time_now_ns() / (60 * NSEC_PER_SEC);
	now.nr_cpus = cpu_count();
	now.agent_restarts = agent_vm_nr_restarts();
	if (lock_try(&warnings.lock)) {
		now.nr_lines = warnings.nr;
		memcpy(now.lines, warnings.lines, sizeof(now.lines));
		lock_release(&warnings.lock);
	}
}

static void look(void)
{
	struct screen_grid *grid;

	take_busy();
	take_devices();
	take_guests();
	take_rest();
	if (memcmp(&now, &drawn, sizeof(now)) == 0)
		return;
	grid = screen_begin_page();
	if (grid)
		status_page_draw(&now, grid);
	memcpy(&drawn, &now, sizeof(drawn));
}

static void tick(struct timer *t)
{
	uint64_t tsc = tsc_now();

	if (tsc >= next_look_tsc) {
		next_look_tsc = tsc + time_tsc_of_ns(LOOK_EVERY_NS);
		look();
	}
	timer_set(t, screen_draw_some() ? next_look_tsc : tsc + time_tsc_of_ns(DRAW_EVERY_NS));
}

void status_screen_start(void)
{
	if (!screen_is_on())
		return;
	memset(&node, 0, sizeof(node));
	if (virt)
		node_info_read(&node);
	fmt(now.version, sizeof(now.version), "%s", BILLET_VERSION);
	fmt(now.machine, sizeof(now.machine), "%s", node.machine);
	fmt(now.firmware, sizeof(now.firmware), "%s", node.firmware);
	fmt(now.cpu_model, sizeof(now.cpu_model), "%s", node.cpu_model);
	fmt(now.virt, sizeof(now.virt), "%s", node.virt);
	(void)busy_percent(); /* from now on, not since power-on */
	next_look_tsc = tsc_now() + time_tsc_of_ns(FIRST_LOOK_NS);
	timer_init(&timer, tick);
	timer_set(&timer, next_look_tsc);
}
