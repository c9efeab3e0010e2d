/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's words in the protocol's forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/report.h"

static void writes_and_reads_uuids(void **state)
{
	static const uint8_t uuid[16] = {0x3c, 0x1f, 0x2b, 0x9e, 0x7d, 0x39, 0x4a, 0x55,
					 0x8d, 0x6e, 0x0d, 0x4b, 0x1a, 0x2c, 0x3d, 0x4e};
	char text[UUID_TEXT_MAX];
	uint8_t back[16];

	(void)state;
	uuid_to_text(uuid, text);
	assert_string_equal(text, "3c1f2b9e-7d39-4a55-8d6e-0d4b1a2c3d4e");
	assert_true(uuid_from_text(text, back));
	assert_memory_equal(uuid, back, 16);
	assert_false(uuid_from_text("3c1f2b9e-7d39-4a55-8d6e-0d4b1a2c3d4", back));
	assert_false(uuid_from_text("3c1f2b9e-7d39-4a55-8d6e-0d4b1a2c3d4e0", back));
	assert_false(uuid_from_text("3c1f2b9e+7d39-4a55-8d6e-0d4b1a2c3d4e", back));
	assert_false(uuid_from_text("", back));
}

static void reads_macs_and_hex(void **state)
{
	uint8_t mac[6], bytes[2];
	char text[5];

	(void)state;
	assert_true(mac_from_text("52:54:00:12:34:ff", mac));
	assert_memory_equal(mac, "\x52\x54\x00\x12\x34\xff", 6);
	assert_false(mac_from_text("52:54:00:12:34", mac));
	assert_false(mac_from_text("52:54:00:12:34:ff:", mac));
	assert_true(hex_from_text("beef", bytes, 2));
	hex_to_text(bytes, 2, text);
	assert_string_equal(text, "beef");
	assert_false(hex_from_text("bee", bytes, 2));
	assert_false(hex_from_text("BEEF", bytes, 2));
}

static void describes_the_node(void **state)
{
	struct ctl_node_info info = {.version = "0.1",
				     .virt = "vmx",
				     .virt_features = "ept tsc-scaling",
				     .tsc_khz = 2500000,
				     .nr_cpus = 2,
				     .mem_total = 1024 * MIB,
				     .mem_kernel = 24 * MIB,
				     .mem_free = 640 * MIB,
				     .uptime_ns = 5 * NSEC_PER_SEC,
				     .mitigations = " ibpb  l1d-flush "};
	struct node_info node;

	(void)state;
	memset(info.cpu_model, 'x', sizeof(info.cpu_model)); /* no closing zero */
	memset(info.machine, 'y', sizeof(info.machine));
	strcpy(info.firmware, "UEFI");
	info.watchdog_reset = 1;
	strcpy(info.cpu_features, "svm aes avx2");
	report_node(&info, "host1", &node);
	assert_string_equal(node.version, "0.1");
	assert_string_equal(node.hostname, "host1");
	assert_int_equal(strlen(node.cpu_model), sizeof(node.cpu_model) - 1);
	assert_int_equal(node.memory_mib, 1024);
	assert_int_equal(node.guest_memory_mib, 1000);
	assert_int_equal(node.free_memory_mib, 640);
	assert_int_equal(node.uptime_ms, 5000);
	assert_int_equal(node.nr_mitigations, 2);
	assert_string_equal(node.mitigations[0], "ibpb");
	assert_string_equal(node.mitigations[1], "l1d-flush");
	assert_int_equal(node.nr_cpu_features, 3);
	assert_string_equal(node.cpu_features[2], "avx2");
	assert_int_equal(node.nr_virt_features, 2);
	assert_string_equal(node.virt_features[1], "tsc-scaling");
	assert_int_equal(node.tsc_khz, 2500000);
	assert_string_equal(node.firmware, "UEFI");
	assert_true(node.watchdog_reset);
	assert_int_equal(strlen(node.machine), sizeof(node.machine) - 1);
	assert_int_equal(node.nr_nics, 0);
}

static void describes_what_is_plugged_in(void **state)
{
	struct ctl_nic_info nics[2] = {{.driver = "e1000",
					.location = "00:03.0",
					.mac = {0x52, 0x54, 0, 0xab, 0xcd, 0xef},
					.link_up = 1,
					.speed_mbps = 1000,
					.offloads = "tx-csum tso4",
					.rx_dropped = 3},
				       {.driver = "igb"}};
	struct ctl_disk_info disks[2] = {{.name = "nvme0n1",
					  .size_bytes = 1ull << 40,
					  .health = CTL_DISK_FAILING,
					  .temperature_c = -3,
					  .used_percent = 1000,
					  .is_boot_disk = 1},
					 {.health = 77}};
	struct node_info node = {0};

	(void)state;
	memset(disks[1].model, 'm', sizeof(disks[1].model));
	report_nics(nics, 2, &node);
	report_disks(disks, 2, &node);
	assert_int_equal(node.nr_nics, 2);
	assert_string_equal(node.nics[0].name, "net0");
	assert_string_equal(node.nics[0].mac, "52:54:00:ab:cd:ef");
	assert_true(node.nics[0].link);
	assert_string_equal(node.nics[0].offloads, "tx-csum tso4");
	assert_int_equal(node.nics[0].rx_dropped, 3);
	assert_string_equal(node.nics[1].name, "net1");
	assert_int_equal(node.nr_disks, 2);
	assert_int_equal(node.disks[0].size, 1ull << 40);
	assert_int_equal(node.disks[0].health, DISK_HEALTH_FAILING);
	assert_int_equal(node.disks[0].temperature_c, 0);
	assert_int_equal(node.disks[0].used_percent, 255);
	assert_true(node.disks[0].boot);
	assert_int_equal(node.disks[1].health, DISK_HEALTH_UNKNOWN);
	assert_int_equal(strlen(node.disks[1].model), sizeof(node.disks[1].model) - 1);
}

static void bounds_what_the_kernel_counts(void **state)
{
	struct ctl_node_info info = {0};
	static struct ctl_nic_info nics[100];
	static struct ctl_disk_info disks[100];
	struct node_info node;

	(void)state;
	memset(info.mitigations, 'a', sizeof(info.mitigations));
	report_node(&info, "", &node);
	report_nics(nics, 100, &node);
	report_disks(disks, 100, &node);
	assert_int_equal(node.nr_nics, PROTO_NODE_NICS_MAX);
	assert_int_equal(node.nr_disks, PROTO_NODE_DISKS_MAX);
	assert_int_equal(node.nr_mitigations, 1);
	assert_int_equal(strlen(node.mitigations[0]), sizeof(node.mitigations[0]) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_and_reads_uuids),
		cmocka_unit_test(reads_macs_and_hex),
		cmocka_unit_test(describes_the_node),
		cmocka_unit_test(describes_what_is_plugged_in),
		cmocka_unit_test(bounds_what_the_kernel_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
