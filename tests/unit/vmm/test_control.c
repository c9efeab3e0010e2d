/* SPDX-License-Identifier: Apache-2.0 */
/* The commands above a made-up machine: what is refused, with which words, and what is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/types.h"
#include "tests/unit/support/fake_log.h"
#include "tests/unit/support/fake_machine.h"
#include "tests/unit/support/fake_memory.h"

static const char config_file[] = "controller=https://10.0.2.2:8443\n";
static struct ctl_reply reply;
static uint8_t out[CTL_DATA_MAX];
static struct ctl_vm_config vm;

static int fresh(void **state)
{
	(void)state;
	fake_kept = (struct fake_kept){.len_bytes = 0};
	fake_machine_reset(config_file, sizeof(config_file) - 1, false);
	memset(&vm, 0, sizeof(vm));
	vm.uuid[0] = 1;
	strcpy(vm.name, "web");
	strcpy(vm.cmdline, "console=ttyS0 quiet");
	vm.mem_bytes = 256 * MIB;
	vm.nr_vcpus = 1;
	vm.weight = 100;
	vm.boot_kind = CTL_BOOT_LINUX;
	vm.kernel_image = 1;
	vm.epoch = 5;
	vm.nr_nics = 1;
	vm.nics[0].mac[0] = 2;
	return 0;
}

static int nothing_is_left(void **state)
{
	(void)state;
	fake_kept = (struct fake_kept){.len_bytes = 0};
	fake_machine_reset(NULL, 0, false);
	assert_int_equal(kmem_in_use(), 0);
	assert_int_equal(fake_pages_in_use, 0);
	return 0;
}

static enum hv_err ask(uint32_t command, uint64_t arg0, uint64_t arg1)
{
	return fake_machine_ask(command, arg0, arg1, NULL, 0, &reply, out, sizeof(out));
}

static enum hv_err ask_with(uint32_t command, uint64_t arg0, uint64_t arg1, const void *data,
			    size_t len)
{
	return fake_machine_ask(command, arg0, arg1, data, (uint32_t)len, &reply, out, sizeof(out));
}

static enum hv_err create(void)
{
	return ask_with(CTL_VM_CREATE, 0, 0, &vm, sizeof(vm));
}

static uint64_t created(void)
{
	assert_int_equal(create(), HV_OK);
	return reply.value0;
}

/* ---- shape ---- */

static void refuses_another_version_and_unknown_commands(void **state)
{
	struct ctl_request req = {.version = 3, .command = CTL_HELLO, .tag = 9};

	(void)state;
	control_handle(NULL, &req, NULL, &reply, out, sizeof(out));
	assert_int_equal(reply.status, HV_ENOTSUP);
	assert_int_equal(reply.tag, 9);
	assert_string_equal(reply.message, "version: 3, this kernel speaks 2");
	assert_int_equal(ask(0, 0, 0), HV_ENOTSUP);
	assert_int_equal(ask(15, 0, 0), HV_ENOTSUP);
	assert_int_equal(ask(64, 0, 0), HV_ENOTSUP);
	assert_int_equal(ask(UINT32_MAX, 0, 0), HV_ENOTSUP);
	assert_string_equal(reply.message, "command: 4294967295 is unknown");
}

static void refuses_reserved_words_and_arguments_that_are_not_taken(void **state)
{
	struct ctl_request req = {.version = 2, .command = CTL_HELLO, .reserved = 1};

	(void)state;
	control_handle(NULL, &req, NULL, &reply, out, sizeof(out));
	assert_int_equal(reply.status, HV_EINVAL);
	assert_string_equal(reply.message, "hello: reserved: not zero");
	assert_int_equal(ask(CTL_HELLO, 1, 0), HV_EINVAL);
	assert_int_equal(ask(CTL_RANDOM, 1, 1), HV_EINVAL);
}

static void refuses_data_of_a_length_that_the_command_has_not(void **state)
{
	static const uint8_t data[CTL_DATA_MAX];

	(void)state;
	assert_int_equal(ask_with(CTL_HELLO, 0, 0, data, 1), HV_EINVAL);
	assert_int_equal(ask_with(CTL_IMAGE_CREATE, 1, 0, data, 31), HV_EINVAL);
	assert_string_equal(reply.message, "image_create: data_len: 31 is not 32 to 32");
	assert_int_equal(ask_with(CTL_VM_CREATE, 0, 0, data, sizeof(vm) - 1), HV_EINVAL);
	assert_int_equal(ask_with(CTL_VM_CREATE, 0, 0, data, sizeof(vm) + 1), HV_EINVAL);
	assert_int_equal(ask_with(CTL_LOG_WRITE, 0, 0, data, 161), HV_EINVAL);
}

static void refuses_when_there_is_no_room_for_the_answer(void **state)
{
	(void)state;
	assert_int_equal(fake_machine_ask(CTL_HELLO, 0, 0, NULL, 0, &reply, out,
					  sizeof(struct ctl_hello) - 1),
			 HV_EINVAL);
	assert_int_equal(reply.data_len, 0);
	assert_int_equal(
		fake_machine_ask(CTL_HELLO, 0, 0, NULL, 0, &reply, out, sizeof(struct ctl_hello)),
		HV_OK);
}

static void counts_every_request_as_a_sign_of_life(void **state)
{
	(void)state;
	fake_machine.nr_alive = 0;
	ask(CTL_HEARTBEAT, 0, 0);
	ask(999, 0, 0);
	assert_int_equal(fake_machine.nr_alive, 2);
}

/* ---- node ---- */

static void says_hello(void **state)
{
	struct ctl_hello hello;

	(void)state;
	fake_machine.now_ns = 77;
	fake_machine.nr_restarts = 3;
	assert_int_equal(ask(CTL_HELLO, 0, 0), HV_OK);
	assert_int_equal(reply.data_len, sizeof(hello));
	memcpy(&hello, out, sizeof(hello));
	assert_int_equal(hello.abi_version, 2);
	assert_int_equal(hello.agent_restarts, 3);
	assert_int_equal(hello.boot_id[15], 0x5a);
	assert_int_equal(hello.uptime_ns, 77);
	assert_int_equal(hello.config_len, sizeof(config_file) - 1);
	assert_int_equal(hello.tsc_khz, 2500000);
}

static void lists_what_is_plugged_in(void **state)
{
	struct ctl_nic_info nics[2];
	struct ctl_disk_info disk;

	(void)state;
	assert_int_equal(ask(CTL_NIC_LIST, 0, 0), HV_OK);
	assert_int_equal(reply.value0, 2);
	assert_int_equal(reply.data_len, sizeof(nics));
	memcpy(nics, out, sizeof(nics));
	assert_string_equal(nics[1].driver, "igb");
	assert_int_equal(nics[1].link_up, 0);
	assert_int_equal(ask(CTL_DISK_LIST, 0, 0), HV_OK);
	assert_int_equal(reply.value0, 1);
	assert_int_equal(reply.data_len, sizeof(disk));
	memcpy(&disk, out, sizeof(disk));
	assert_string_equal(disk.name, "nvme0n1");
	assert_int_equal(disk.health, CTL_DISK_GOOD);
	assert_int_equal(ask(CTL_DISK_LIST, 1, 0), HV_EINVAL);
}

static void reads_the_configuration_in_pieces(void **state)
{
	(void)state;
	assert_int_equal(fake_machine_ask(CTL_CONFIG_READ, 0, 0, NULL, 0, &reply, out, 10), HV_OK);
	assert_int_equal(reply.data_len, 10);
	assert_memory_equal(out, "controller", 10);
	assert_int_equal(ask(CTL_CONFIG_READ, 10, 0), HV_OK);
	assert_int_equal(reply.data_len, sizeof(config_file) - 1 - 10);
	assert_int_equal(ask(CTL_CONFIG_READ, sizeof(config_file) - 1, 0), HV_OK);
	assert_int_equal(reply.data_len, 0);
	assert_int_equal(ask(CTL_CONFIG_READ, sizeof(config_file), 0), HV_EINVAL);
	assert_int_equal(ask(CTL_CONFIG_READ, UINT64_MAX, 0), HV_EINVAL);
}

static void gives_random_bytes_in_small_portions(void **state)
{
	(void)state;
	assert_int_equal(ask(CTL_RANDOM, 256, 0), HV_OK);
	assert_int_equal(reply.data_len, 256);
	assert_int_equal(ask(CTL_RANDOM, 0, 0), HV_EINVAL);
	assert_int_equal(ask(CTL_RANDOM, 257, 0), HV_EINVAL);
}

static void keeps_slots_whole(void **state)
{
	uint8_t big[CTL_STORE_MAX];

	(void)state;
	assert_int_equal(ask(CTL_STORE_READ, 0, 0), HV_ENOENT);
	assert_int_equal(ask_with(CTL_STORE_WRITE, 0, 0, "old", 3), HV_OK);
	assert_int_equal(ask_with(CTL_STORE_WRITE, 7, 0, "other", 5), HV_OK);
	memset(big, 'n', sizeof(big));
	assert_int_equal(ask_with(CTL_STORE_WRITE, 0, 0, big, sizeof(big)), HV_OK);
	assert_int_equal(ask(CTL_STORE_READ, 0, 0), HV_OK);
	assert_int_equal(reply.data_len, sizeof(big));
	assert_memory_equal(out, big, sizeof(big));

	fake_memory_fail_after = 0;
	assert_int_equal(ask_with(CTL_STORE_WRITE, 7, 0, "newer", 5), HV_ENOMEM);
	assert_int_equal(ask(CTL_STORE_READ, 7, 0), HV_OK); /* still the old one */
	assert_memory_equal(out, "other", 5);

	assert_int_equal(ask(CTL_STORE_WRITE, 7, 0), HV_OK);
	assert_int_equal(ask(CTL_STORE_READ, 7, 0), HV_ENOENT);
	assert_int_equal(ask(CTL_STORE_WRITE, 8, 0), HV_EINVAL);
	assert_int_equal(ask(CTL_STORE_READ, UINT64_MAX, 0), HV_EINVAL);
}

static void keeps_one_slot_over_a_reboot(void **state)
{
	(void)state;
	fake_kept.nr_writes = 0;
	assert_int_equal(ask_with(CTL_STORE_WRITE, 1, 0, "memory", 6), HV_OK);
	assert_int_equal(fake_kept.nr_writes, 0);
	assert_int_equal(ask_with(CTL_STORE_WRITE, CTL_STORE_KEPT, 0, "identity", 8), HV_OK);
	assert_int_equal(fake_kept.nr_writes, 1);

	fake_machine_reset(NULL, 0, false);
	assert_int_equal(ask(CTL_STORE_READ, 1, 0), HV_ENOENT);
	assert_int_equal(ask(CTL_STORE_READ, CTL_STORE_KEPT, 0), HV_OK);
	assert_int_equal(reply.data_len, 8);
	assert_memory_equal(out, "identity", 8);

	assert_int_equal(ask(CTL_STORE_WRITE, CTL_STORE_KEPT, 0), HV_OK);
	fake_machine_reset(NULL, 0, false);
	assert_int_equal(ask(CTL_STORE_READ, CTL_STORE_KEPT, 0), HV_ENOENT);
}

static void writes_the_agents_lines_made_harmless(void **state)
{
	(void)state;
	assert_int_equal(ask_with(CTL_LOG_WRITE, LOG_WARN, 0, "a\n\x1b[31mb\xff", 8), HV_OK);
	assert_string_equal(fake_log_last, "agent: a..[31mb");
	assert_int_equal(ask_with(CTL_LOG_WRITE, 4, 0, "a", 1), HV_EINVAL);
}

static void limits_how_fast_the_agent_writes_to_the_log(void **state)
{
	uint32_t taken = 0;

	(void)state;
	while (ask_with(CTL_LOG_WRITE, LOG_INFO, 0, "a", 1) == HV_OK)
		taken++;
	assert_int_equal(taken, 64);
	assert_int_equal(reply.status, HV_EBUSY);
	fake_machine.now_ns += 100 * NSEC_PER_MSEC;
	assert_int_equal(ask_with(CTL_LOG_WRITE, LOG_INFO, 0, "a", 1), HV_OK);
	assert_int_equal(ask_with(CTL_LOG_WRITE, LOG_INFO, 0, "a", 1), HV_EBUSY);
}

static void reads_the_log_with_room_for_a_line(void **state)
{
	(void)state;
	assert_int_equal(fake_machine_ask(CTL_LOG_READ, 0, 0, NULL, 0, &reply, out, 255),
			 HV_EINVAL);
	assert_int_equal(ask(CTL_LOG_READ, 0, 0), HV_OK);
	assert_int_equal(reply.value0, reply.data_len);
	assert_memory_equal(out, "[    0.000000] test: one line\n", reply.data_len);
}

static void keeps_what_the_screen_shows_made_harmless(void **state)
{
	struct ctl_agent_status status = {.state = "enrolled\x1b[2J", .code = "f3 a9", .error = ""};
	static struct control_view view;

	(void)state;
	memset(status.controller, 'c', sizeof(status.controller));
	assert_int_equal(ask_with(CTL_STATUS_WRITE, 0, 0, &status, sizeof(status) - 1), HV_EINVAL);
	assert_int_equal(ask_with(CTL_STATUS_WRITE, 0, 0, &status, sizeof(status)), HV_OK);
	assert_true(control_try_view(&view));
	assert_string_equal(view.agent.state, "enrolled?[2J");
	assert_string_equal(view.agent.code, "f3 a9");
	assert_string_equal(view.agent.error, "");
	assert_int_equal(strlen(view.agent.controller), sizeof(view.agent.controller) - 1);
	assert_int_equal(view.nr_vms, 0);

	created();
	assert_true(control_try_view(&view));
	assert_int_equal(view.nr_vms, 1);
	assert_int_equal(view.nr_listed, 1);
	assert_int_equal(view.vms[0].handle, reply.value0);
}

static void powers_the_node(void **state)
{
	(void)state;
	assert_int_equal(ask(CTL_NODE_POWER, 2, 0), HV_EINVAL);
	assert_int_equal(fake_machine.nr_power, 0);
	assert_int_equal(ask(CTL_NODE_POWER, 1, 0), HV_OK);
	assert_true(fake_machine.was_power_off);
	assert_int_equal(ask(CTL_NODE_POWER, 0, 0), HV_OK);
	assert_false(fake_machine.was_power_off);
}

static void plays_deaf_for_tests_until_the_agent_was_reset(void **state)
{
	(void)state;
	assert_int_equal(ask(CTL_TEST_FAULT, 0, 0), HV_ENOTSUP);
	fake_machine_reset(NULL, 0, true);
	assert_int_equal(ask(CTL_TEST_FAULT, 1, 0), HV_EINVAL);
	assert_int_equal(ask(CTL_TEST_FAULT, 0, 0), HV_OK);
	fake_machine.nr_alive = 0;
	assert_int_equal(ask(CTL_HEARTBEAT, 0, 0), HV_OK);
	assert_int_equal(fake_machine.nr_alive, 0);
	fake_machine.nr_restarts++;
	assert_int_equal(ask(CTL_HEARTBEAT, 0, 0), HV_OK);
	assert_int_equal(fake_machine.nr_alive, 1);
}

/* ---- images ---- */

static void takes_an_image_from_creation_to_seal(void **state)
{
	struct ctl_image_info info;
	uint8_t sha[32] = {7};
	uint64_t handle;

	(void)state;
	assert_int_equal(ask_with(CTL_IMAGE_CREATE, 5, 0, sha, 32), HV_OK);
	handle = reply.value0;
	assert_int_equal(ask_with(CTL_IMAGE_CREATE, 5, 0, sha, 32), HV_EEXIST);
	assert_int_equal(reply.value0, handle);
	assert_int_equal(ask_with(CTL_IMAGE_CREATE, 6, 0, sha, 32), HV_EINVAL);
	assert_int_equal(ask(CTL_IMAGE_SEAL, handle, 0), HV_EBUSY);
	assert_int_equal(ask_with(CTL_IMAGE_WRITE, handle, 1, "x", 1), HV_EINVAL);
	assert_int_equal(ask_with(CTL_IMAGE_WRITE, handle, 0, "abcde", 5), HV_OK);
	assert_int_equal(ask(CTL_IMAGE_SEAL, handle, 0), HV_OK);
	assert_int_equal(ask(CTL_IMAGE_LIST, 0, 0), HV_OK);
	assert_int_equal(reply.value0, 1);
	memcpy(&info, out, sizeof(info));
	assert_int_equal(info.is_sealed, 1);
	assert_int_equal(ask(CTL_IMAGE_DELETE, handle, 0), HV_OK);
	assert_int_equal(ask(CTL_IMAGE_DELETE, handle, 0), HV_ENOENT);
	assert_int_equal(ask(CTL_IMAGE_SEAL, handle + (1ull << 32), 0), HV_ENOENT);
}

static void refuses_an_image_that_has_no_room(void **state)
{
	uint8_t sha[32] = {7};

	(void)state;
	assert_int_equal(ask_with(CTL_IMAGE_CREATE, 1ull << 40, 0, sha, 32), HV_ENOMEM);
	assert_string_equal(reply.message,
			    "size: no room for an image of 1099511627776 bytes beside the others");
}

/* ---- VMs ---- */

static void creates_a_vm_once(void **state)
{
	uint64_t handle = created();

	(void)state;
	assert_int_not_equal(handle, 0);
	assert_int_equal(create(), HV_EEXIST);
	assert_int_equal(reply.value0, handle);
	assert_int_equal(fake_machine.nr_vms, 1);
}

static void takes_a_tsc_rate_within_limits(void **state)
{
	static const struct {
		uint32_t khz;
		enum hv_err answer;
	} rows[] = {{99999, HV_EINVAL}, {100000, HV_OK}, {10000000, HV_OK}, {10000001, HV_EINVAL}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vm.uuid[15] = (uint8_t)i;
		vm.tsc_khz = rows[i].khz;
		assert_int_equal(create(), rows[i].answer);
	}
	assert_string_equal(reply.message, "tsc_khz: 10000001 is not 100000 to 10000000");
}

static void names_the_field_that_is_wrong(void **state)
{
	static const struct {
		size_t at, len;
		uint8_t byte;
		const char *field;
	} rows[] = {
#define FIELD(name) offsetof(struct ctl_vm_config, name), sizeof(((struct ctl_vm_config *)0)->name)
		{FIELD(uuid), 0, "uuid:"},
		{FIELD(name[0]), 0, "name:"},
		{FIELD(name), 'x', "name:"}, /* no end */
		{FIELD(name[1]), '\n', "name:"},
		{FIELD(mem_bytes), 0, "mem_bytes:"},
		{offsetof(struct ctl_vm_config, mem_bytes), 1, 1, "mem_bytes:"},
		{FIELD(nr_vcpus), 0, "nr_vcpus:"},
		{offsetof(struct ctl_vm_config, nr_vcpus), 1, 33, "nr_vcpus:"},
		{FIELD(weight), 0, "weight:"},
		{FIELD(weight), 1, "weight:"},
		{offsetof(struct ctl_vm_config, cap_percent), 1, 101, "cap_percent:"},
		{FIELD(boot_kind), 0, "boot_kind:"},
		{offsetof(struct ctl_vm_config, boot_kind), 1, 4, "boot_kind:"},
		{FIELD(kernel_image), 0, "kernel_image:"},
		{FIELD(tsc_khz), 1, "tsc_khz:"},				/* 16,843,009 */
		{offsetof(struct ctl_vm_config, tsc_khz), 2, 0xff, "tsc_khz:"}, /* 65,535 */
		{offsetof(struct ctl_vm_config, nr_nics), 1, 5, "nr_nics:"},
		{FIELD(nics[0].mac), 0, "nics[0].mac:"},
		{FIELD(nics[0].mac), 0xff, "nics[0].mac:"},
		{FIELD(nics[0].reserved), 1, "nics[0].reserved:"},
		{FIELD(cmdline), 'x', "cmdline:"},
		{FIELD(cmdline[3]), 0x7f, "cmdline:"},
#undef FIELD
	};
	struct ctl_vm_config good = vm;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		vm = good;
		memset((uint8_t *)&vm + rows[i].at, rows[i].byte, rows[i].len);
		assert_int_equal(create(), HV_EINVAL);
		if (strncmp(reply.message, rows[i].field, strlen(rows[i].field)) != 0)
			fail_msg("row %zu: \"%s\" does not begin with \"%s\"", i, reply.message,
				 rows[i].field);
	}
	assert_int_equal(fake_machine.nr_vms, 0);
}

static void refuses_the_same_address_twice_in_one_network(void **state)
{
	(void)state;
	vm.nr_nics = 2;
	vm.nics[1] = vm.nics[0];
	assert_int_equal(create(), HV_EINVAL);
	vm.nics[1].network = 3;
	assert_int_equal(create(), HV_OK);
}

static void passes_on_what_the_machine_says(void **state)
{
	(void)state;
	fake_machine.next_create = HV_ENOMEM;
	assert_int_equal(create(), HV_ENOMEM);
	assert_string_equal(reply.message, "the machine says no");
	assert_int_equal(reply.value0, 0);
	fake_machine.next_create = HV_EEXIST; /* of a MAC address, not of this VM */
	assert_int_equal(create(), HV_EBUSY);
	assert_string_equal(reply.message, "the machine says no");
	assert_int_equal(create(), HV_OK);
	assert_string_equal(reply.message, "");
}

static void leads_a_vm_through_its_life(void **state)
{
	uint64_t handle = created();

	(void)state;
	assert_int_equal(ask(CTL_VM_PAUSE, handle, 0), HV_EBUSY);
	assert_int_equal(ask(CTL_VM_START, handle, 0), HV_OK);
	assert_int_equal(ask(CTL_VM_START, handle, 0), HV_EBUSY);
	assert_string_equal(reply.message, "the VM is up already");
	assert_int_equal(ask(CTL_VM_PAUSE, handle, 0), HV_OK);
	assert_int_equal(ask(CTL_VM_STOP, handle, 1), HV_EBUSY);
	assert_int_equal(ask(CTL_VM_RESUME, handle, 0), HV_OK);
	assert_int_equal(ask(CTL_VM_RESET, handle, 0), HV_OK);
	assert_int_equal(ask(CTL_VM_STOP, handle, 2), HV_EINVAL);
	assert_int_equal(ask(CTL_VM_STOP, handle, 0), HV_OK);
	assert_int_equal(ask(CTL_VM_RESUME, handle, 0), HV_EBUSY);
	assert_int_equal(ask(CTL_VM_START, handle + 1, 0), HV_ENOENT);
	assert_int_equal(ask(CTL_VM_START, handle + (1ull << 32), 0), HV_ENOENT);
}

static void keeps_the_counters_of_a_destroyed_vm_until_they_are_forgotten(void **state)
{
	uint64_t handle = created();
	struct ctl_usage usage;

	(void)state;
	assert_int_equal(ask(CTL_VM_START, handle, 0), HV_OK);
	assert_int_equal(ask(CTL_VM_FORGET, handle, 0), HV_EBUSY);
	assert_int_equal(ask(CTL_VM_DESTROY, handle, 0), HV_OK);
	assert_int_equal(fake_machine.nr_vms, 0);
	assert_int_equal(ask(CTL_VM_DESTROY, handle, 0), HV_OK); /* done before */
	assert_int_equal(ask(CTL_VM_START, handle, 0), HV_ENOENT);
	assert_int_equal(create(), HV_EBUSY);

	assert_int_equal(ask(CTL_USAGE_READ, 0, 0), HV_OK);
	assert_int_equal(reply.value0, 1);
	memcpy(&usage, out, sizeof(usage));
	assert_int_equal(usage.handle, handle);
	assert_int_equal(usage.is_final, 1);
	assert_int_equal(usage.epoch, 5);

	assert_int_equal(ask(CTL_VM_FORGET, handle, 0), HV_OK);
	assert_int_equal(ask(CTL_VM_FORGET, handle, 0), HV_ENOENT);
	assert_int_equal(ask(CTL_VM_DESTROY, handle, 0), HV_ENOENT);
	assert_int_equal(ask(CTL_USAGE_READ, 0, 0), HV_OK);
	assert_int_equal(reply.value0, 0);
	assert_int_not_equal(created(), handle); /* the same VM again has another handle */
}

static void refuses_vms_rather_than_lose_counters(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < CTL_VMS_MAX; i++) {
		vm.uuid[1] = (uint8_t)i;
		vm.uuid[2] = 1;
		assert_int_equal(ask(CTL_VM_DESTROY, created(), 0), HV_OK);
	}
	vm.uuid[2] = 2;
	assert_int_equal(create(), HV_ENOMEM);
	assert_string_equal(reply.message,
			    "0 VMs and 256 destroyed ones to be forgotten fill the table");
	assert_int_equal(ask(CTL_USAGE_READ, 0, 0), HV_OK);
	assert_int_equal(reply.data_len, 256 * sizeof(struct ctl_usage));
	assert_int_equal(ask(CTL_VM_LIST, 0, 0), HV_OK);
	assert_int_equal(reply.data_len, 256 * sizeof(struct ctl_vm_info));
}

static void carries_the_console_both_ways(void **state)
{
	uint64_t handle = created();

	(void)state;
	assert_int_equal(ask_with(CTL_CONSOLE_WRITE, handle, 0, "ls\n", 3), HV_OK);
	assert_int_equal(reply.value0, 3);
	assert_int_equal(ask(CTL_CONSOLE_READ, handle, 1), HV_OK);
	assert_int_equal(reply.value0, 1);
	assert_int_equal(reply.data_len, 2);
	assert_memory_equal(out, "s\n", 2);
	assert_int_equal(ask(CTL_CONSOLE_READ, handle, UINT64_MAX), HV_OK);
	assert_int_equal(reply.value0, 3);
	assert_int_equal(reply.data_len, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, nothing_is_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refuses_another_version_and_unknown_commands),
		TEST(refuses_reserved_words_and_arguments_that_are_not_taken),
		TEST(refuses_data_of_a_length_that_the_command_has_not),
		TEST(refuses_when_there_is_no_room_for_the_answer),
		TEST(counts_every_request_as_a_sign_of_life),
		TEST(says_hello),
		TEST(lists_what_is_plugged_in),
		TEST(reads_the_configuration_in_pieces),
		TEST(gives_random_bytes_in_small_portions),
		TEST(keeps_slots_whole),
		TEST(keeps_one_slot_over_a_reboot),
		TEST(keeps_what_the_screen_shows_made_harmless),
		TEST(writes_the_agents_lines_made_harmless),
		TEST(limits_how_fast_the_agent_writes_to_the_log),
		TEST(reads_the_log_with_room_for_a_line),
		TEST(powers_the_node),
		TEST(plays_deaf_for_tests_until_the_agent_was_reset),
		TEST(takes_an_image_from_creation_to_seal),
		TEST(refuses_an_image_that_has_no_room),
		TEST(creates_a_vm_once),
		TEST(takes_a_tsc_rate_within_limits),
		TEST(names_the_field_that_is_wrong),
		TEST(refuses_the_same_address_twice_in_one_network),
		TEST(passes_on_what_the_machine_says),
		TEST(leads_a_vm_through_its_life),
		TEST(keeps_the_counters_of_a_destroyed_vm_until_they_are_forgotten),
		TEST(refuses_vms_rather_than_lose_counters),
		TEST(carries_the_console_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
