/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person in front of the machine sees: one page, from 80 by 25 characters on. Pure: the
 * facts in, a grid out; whoever gathers them is vmm/status_screen.c.
 *
 * A section whose list is longer than its share of the page says how many are left out.
 */
#ifndef VMM_STATUS_PAGE_H
#define VMM_STATUS_PAGE_H

#include "drivers/screen_grid.h"
#include "vmm/control_abi.h"

#define STATUS_NICS_MAX	  8u
#define STATUS_DISKS_MAX  12u
#define STATUS_GUESTS_MAX 24u
#define STATUS_LINES_MAX  12u
#define STATUS_LINE_BYTES 152u

struct status_nic {
	char location[16], driver[16];
	uint8_t mac[6];
	bool is_link_up, is_gone;
	uint32_t speed_mbps;
};

struct status_disk {
	char name[16], model[48];
	uint64_t size_bytes;
	bool is_failing, is_gone;
};

struct status_guest {
	char name[CTL_NAME_MAX];
	uint32_t state; /* enum ctl_vm_state */
	uint32_t nr_vcpus;
	uint64_t mem_mib;
	char reason[96];
};

struct status_info { /* wholly comparable: whoever fills one zeroes it first */
	char version[64], machine[96], firmware[64], cpu_model[64], virt[16];
	uint64_t uptime_min;
	uint32_t nr_cpus, busy_percent;
	uint64_t mem_mib, mem_used_mib;

	uint32_t agent_restarts;
	struct ctl_agent_status agent; /* all empty until it has said something */

	uint32_t nr_nics, nr_disks, nr_guests; /* how many there are; the arrays have the first */
	struct status_nic nics[STATUS_NICS_MAX];
	struct status_disk disks[STATUS_DISKS_MAX];
	struct status_guest guests[STATUS_GUESTS_MAX];

	uint32_t nr_lines; /* warnings and errors, the newest last */
	char lines[STATUS_LINES_MAX][STATUS_LINE_BYTES];
};

/* status_page_draw - all of it; the grid is empty before */
void status_page_draw(const struct status_info *info, struct screen_grid *grid);

#endif
