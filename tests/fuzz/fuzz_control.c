/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as an enemy: any sequence of requests to the table of commands, above a made-up
 * machine. Beside what the sanitizers see: replies stay within their room, messages end, sequence
 * numbers of usage grow, and at the end everything can be given back.
 *
 * Input: requests one after the other, each a command (1 byte), arg0 and arg1 (each a byte that
 * says how many bytes of value follow, 0 to 8), the length of data (2 bytes), reply room (2 bytes),
 * data. The top bit of the command breaks the version; the one below sets the reserved word. Data
 * of a VM's configuration begins with a good one, over which the input is laid. Handles are counted
 * from those that inputs before this one have used up, so that an input always does the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/types.h"
#include "tests/unit/support/fake_machine.h"
#include "tests/unit/support/fake_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

static uint64_t take(struct input *in, size_t bytes)
{
	uint64_t val = 0;

	for (size_t i = 0; i < bytes && in->left > 0; i++, in->at++, in->left--)
		val |= (uint64_t)*in->at << (8 * i);
	return val;
}

static uint64_t take_word(struct input *in)
{
	return take(in, take(in, 1) % 9);
}

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static void put_good_config(uint8_t *data, size_t len)
{
	struct ctl_vm_config config = {
		.uuid = {1},
		.name = "vm",
		.mem_bytes = 2 * MIB,
		.nr_vcpus = 1,
		.weight = 100,
		.boot_kind = CTL_BOOT_PVH,
		.kernel_image = 1,
		.tsc_khz = 2500000,
		.cmdline = "quiet",
	};

	memcpy(data, &config, MIN(len, sizeof(config)));
}

static uint64_t last_seq, vms_before, images_before, last_image;

static uint64_t handles_before(uint32_t command)
{
	if (command >= CTL_IMAGE_WRITE && command <= CTL_IMAGE_DELETE)
		return images_before;
	if ((command >= CTL_VM_START && command <= CTL_VM_FORGET) || command == CTL_CONSOLE_READ ||
	    command == CTL_CONSOLE_WRITE)
		return vms_before;
	return 0;
}

static void check_usage(const struct ctl_reply *reply, const uint8_t *out)
{
	check(reply->data_len == reply->value0 * sizeof(struct ctl_usage));
	for (uint64_t i = 0; i < reply->value0; i++) {
		struct ctl_usage usage;

		memcpy(&usage, out + i * sizeof(usage), sizeof(usage));
		check(usage.seq > last_seq);
		last_seq = usage.seq;
	}
}

static void one_request(struct input *in)
{
	uint8_t command = (uint8_t)take(in, 1);
	struct ctl_request req = {
		.version = command & 0x80 ? 0 : CTL_ABI_VERSION,
		.command = command & 0x3f,
		.tag = 0x55aa,
		.arg0 = take_word(in),
		.arg1 = take_word(in),
		.data_len = (uint32_t)take(in, 2),
		.reserved = command & 0x40,
	};
	size_t cap = (size_t)take(in, 2), given;
	uint8_t *data = calloc(1, req.data_len + 1), *out = malloc(cap + 1);
	struct ctl_reply reply;

	req.arg0 += handles_before(req.command);
	given = MIN(req.data_len, in->left);
	if (req.command == CTL_VM_CREATE)
		put_good_config(data, req.data_len);
	for (size_t i = 0; i < given; i++)
		data[i] ^= in->at[i];
	in->at += given;
	in->left -= given;

	fake_machine.now_ns += 10 * NSEC_PER_MSEC;
	control_handle(NULL, &req, data, &reply, out, cap);
	check(reply.tag == 0x55aa && reply.status < HV_ERRS && reply.data_len <= cap);
	check(memchr(reply.message, 0, sizeof(reply.message)) != NULL);
	check((reply.status == HV_OK) == (reply.message[0] == 0));
	check(fake_machine.nr_vms <= CTL_VMS_MAX);
	if (req.command == CTL_IMAGE_CREATE && reply.status == HV_OK)
		last_image = reply.value0;
	if (req.command == CTL_USAGE_READ && reply.status == HV_OK)
		check_usage(&reply, out);
	free(data);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	fake_machine_reset("node=1\n", 7, true);
	vms_before = fake_machine.last_vm;
	images_before = last_image;
	while (in.left > 0)
		one_request(&in);
	fake_machine_reset(NULL, 0, false);
	check(kmem_in_use() == 0 && fake_pages_in_use == 0);
	return 0;
}
