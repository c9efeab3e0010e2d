/* SPDX-License-Identifier: Apache-2.0 */
/* Whole pages, as they stand on the screen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/status_page.h"

static struct status_info info;
static struct screen_grid grid;

static int start(void **state)
{
	(void)state;
	memset(&info, 0, sizeof(info));
	memset(&grid, 0, sizeof(grid));
	grid.width = 80;
	grid.height = 25;
	strcpy(info.version, "1.2");
	strcpy(info.machine, "ACME Anvil 9000");
	strcpy(info.firmware, "UEFI ACME 4.5");
	strcpy(info.cpu_model, "AMD EPYC 7763");
	strcpy(info.virt, "svm");
	info.uptime_min = ((3 * 24) + 4) * 60 + 5;
	info.nr_cpus = 64;
	info.busy_percent = 12;
	info.mem_mib = 262144;
	info.mem_used_mib = 131072;
	info.nr_nics = 1;
	info.nics[0] =
		(struct status_nic){"41:00.0", "igb", {2, 0, 0, 0, 0xab, 1}, true, false, 1000};
	return 0;
}

/* Lines and bars as characters that a test can be written with. */
static void check(const char *const *expected)
{
	grid_clear(&grid, 7);
	status_page_draw(&info, &grid);
	for (uint32_t row = 0; row < grid.height; row++) {
		char text[SCREEN_WIDTH_MAX + 1] = "";
		size_t len = grid.width;

		for (uint32_t x = 0; x < grid.width; x++) {
			uint8_t ch = grid.cells[row][x].ch;

			text[x] = ch == SCREEN_CHAR_LINE    ? '-'
				  : ch == SCREEN_CHAR_BLOCK ? '#'
				  : ch == SCREEN_CHAR_SHADE ? '.'
							    : (char)ch;
		}
		while (len > 0 && text[len - 1] == ' ')
			text[--len] = '\0';
		assert_string_equal(text, *expected ? *expected : "");
		if (*expected)
			expected++;
	}
	assert_null(*expected);
}

static void shows_a_node_that_starts(void **state)
{
	(void)state;
	info.uptime_min = 0;
	info.mem_mib = 1011;
	info.mem_used_mib = 34;
	check((const char *const[]){
		" Billet 1.2                                                            up 0 min",
		"", " Machine     ACME Anvil 9000", " Firmware    UEFI ACME 4.5",
		" Processors  64 x AMD EPYC 7763                     12 % ##..................",
		" Memory      34 of 1011 MiB in use                       ....................", "",
		"-- Node ------------------------------------------------------------------------",
		" State       its agent is starting", "",
		"-- Guests: none ----------------------------------------------------------------",
		"",
		"-- Network and disks -----------------------------------------------------------",
		" 41:00.0     igb 02:00:00:00:ab:01                 link up, 1000 Mb/s", "",
		"-- No warnings, no errors ------------------------------------------------------",
		NULL});
}

static void put_guest(uint32_t at, const char *name, uint32_t state, uint32_t nr_vcpus,
		      uint64_t mib, const char *reason)
{
	strcpy(info.guests[at].name, name);
	strcpy(info.guests[at].reason, reason);
	info.guests[at].state = state;
	info.guests[at].nr_vcpus = nr_vcpus;
	info.guests[at].mem_mib = mib;
}

/* More than fits: each list has its share, and says what it leaves out. */
static void shares_a_small_screen(void **state)
{
	(void)state;
	strcpy(info.agent.state, "waiting for approval");
	strcpy(info.agent.code, "f3a9 b20f 77c1");
	strcpy(info.agent.address, "192.0.2.10/24, gateway 192.0.2.1");
	strcpy(info.agent.controller, "https://controller.example:8443");
	strcpy(info.agent.error, "connect: no answer");
	info.agent_restarts = 1;
	info.nr_guests = 30;
	put_guest(0, "web-1", CTL_VM_RUNNING, 2, 4096, "");
	put_guest(1, "db", CTL_VM_CRASHED, 1, 512, "triple fault");
	put_guest(2, "cache", CTL_VM_PAUSED, 16, 65536, "");
	info.nr_disks = 2;
	info.disks[0] = (struct status_disk){"nvme0n1", "ACME SSD 1T", 1000204886016, false, false};
	info.disks[1] = (struct status_disk){"ahci0p2", "ACME HDD", 64000000, true, false};
	info.nr_lines = 6;
	for (uint32_t i = 0; i < 6; i++)
		snprintf(info.lines[i], STATUS_LINE_BYTES, "net: warning: number %u", i);
	check((const char *const[]){
		" Billet 1.2                                                    up 3 d 4 h 5 min",
		" Machine     ACME Anvil 9000",
		" Firmware    UEFI ACME 4.5",
		" Processors  64 x AMD EPYC 7763                     12 % ##..................",
		" Memory      128 of 256 GiB in use                       ##########..........",
		"-- Node ------------------------------------------------------------------------",
		" State       waiting for approval",
		" Code        f3a9 b20f 77c1",
		" Address     192.0.2.10/24, gateway 192.0.2.1",
		" Controller  https://controller.example:8443",
		" Trouble     connect: no answer",
		" Agent       was started anew 1 time",
		"-- Guests: 30 ------------------------------------------------------------------",
		" web-1                         running     2 vCPUs    4096 MiB",
		" db                            crashed     1 vCPU      512 MiB  triple fault",
		" cache                         paused     16 vCPUs   65536 MiB",
		" and 27 more",
		"-- Network and disks -----------------------------------------------------------",
		" 41:00.0     igb 02:00:00:00:ab:01                 link up, 1000 Mb/s",
		" nvme0n1     ACME SSD 1T                           1000 GB",
		" ahci0p2     ACME HDD                              64 MB, says that it fails",
		"-- Warnings and errors ---------------------------------------------------------",
		" net: warning: number 3",
		" net: warning: number 4",
		" net: warning: number 5",
		NULL});
}

static void says_what_is_wrong_with_a_machine(void **state)
{
	(void)state;
	info.virt[0] = '\0';
	info.machine[0] = info.firmware[0] = '\0';
	info.nr_nics = 0;
	info.uptime_min = 61;
	info.nr_lines = 1;
	strcpy(info.lines[0], "virt: error: firmware locked VT-x off");
	check((const char *const[]){
		" Billet 1.2                                                        up 1 h 1 min",
		"", " Machine     ?", " Firmware    ?",
		" Processors  64 x AMD EPYC 7763                     12 % ##..................",
		" Memory      128 of 256 GiB in use                       ##########..........", "",
		"-- Node ------------------------------------------------------------------------",
		" State       this machine cannot run guests: see below", "",
		"-- Guests: none ----------------------------------------------------------------",
		"",
		"-- Network and disks -----------------------------------------------------------",
		" no network card that Billet can drive", "",
		"-- Warnings and errors ---------------------------------------------------------",
		" virt: error: firmware locked VT-x off", NULL});
}

/* Whatever the facts and the size, the page stays on the grid (ASan and the grid's own edges). */
static void fits_every_size(void **state)
{
	(void)state;
	memset(&info, 0x41, sizeof(info));
	info.nr_nics = STATUS_NICS_MAX;
	info.nr_disks = 32;
	info.nr_guests = 256;
	info.nr_lines = STATUS_LINES_MAX;
	info.version[63] = info.machine[95] = info.firmware[63] = info.cpu_model[63] =
		info.virt[15] = 0;
	info.agent.state[63] = info.agent.code[79] = info.agent.address[63] = 0;
	info.agent.controller[127] = info.agent.error[159] = 0;
	for (uint32_t i = 0; i < STATUS_NICS_MAX; i++)
		info.nics[i] =
			(struct status_nic){"location7890123", "driver", {0}, false, true, 0};
	for (uint32_t i = 0; i < STATUS_DISKS_MAX; i++)
		info.disks[i] = (struct status_disk){"name", "model", 1, false, true};
	for (uint32_t i = 0; i < STATUS_GUESTS_MAX; i++)
		put_guest(i, "name", 0x41414141, 0x41414141, 0, "reason");
	for (uint32_t i = 0; i < STATUS_LINES_MAX; i++)
		info.lines[i][STATUS_LINE_BYTES - 1] = 0;
	for (grid.height = SCREEN_HEIGHT_MIN; grid.height <= SCREEN_HEIGHT_MAX; grid.height++)
		for (grid.width = SCREEN_WIDTH_MIN; grid.width <= SCREEN_WIDTH_MAX;
		     grid.width += 20)
			status_page_draw(&info, &grid);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shows_a_node_that_starts),
		TEST(shares_a_small_screen),
		TEST(says_what_is_wrong_with_a_machine),
		TEST(fits_every_size),
	};

	return cmocka_run_group_tests_name("status_page", tests, NULL, NULL);
}
