/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine below the control queue for tests: VMs that are only a state and a console, a clock
 * that the test sets, and answers that it can make go wrong.
 */
#ifndef TESTS_FAKE_MACHINE_H
#define TESTS_FAKE_MACHINE_H

#include "vmm/control.h"

struct fake_machine {
	enum hv_err next_create; /* what the next vm_create says; HV_OK again afterwards */
	uint32_t nr_vms;	 /* created and not destroyed */
	uint32_t last_vm;	 /* handle; never used again */
	uint32_t nr_alive;	 /* signs of life */
	uint32_t nr_restarts;
	uint32_t nr_power;
	bool was_power_off;
	uint64_t now_ns;

	/* The slots: what was asked of them, and what they say. */
	const uint8_t *update_key;
	enum hv_err next_update; /* what the next of the three says; HV_OK again afterwards */
	uint32_t nr_installs, nr_tries, nr_commits;
	struct ctl_update_manifest installed;
	uint64_t attempt;
};

/* What the boot disk has kept; outlives fake_machine_reset(), as a reboot. */
struct fake_kept {
	char bytes[64];
	uint32_t len_bytes, nr_writes;
};

extern struct fake_kept fake_kept;
extern struct fake_machine fake_machine;
extern const struct control_ops fake_machine_ops;

/* A control queue with nothing in it, above a machine with nothing in it. */
void fake_machine_reset(const void *config, uint64_t config_len, bool allows_test_faults);

/* One request with these arguments; returns reply->status. */
enum hv_err fake_machine_ask(uint32_t command, uint64_t arg0, uint64_t arg1, const void *data,
			     uint32_t data_len, struct ctl_reply *reply, void *out, size_t cap);

#endif
