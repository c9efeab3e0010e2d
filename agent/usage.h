/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage on its way to the controller: snapshots of the kernel's counters become records in a
 * bounded spool, and leave it when the controller has them on disk. Counters are cumulative and the
 * kernel numbers the snapshots, so a record that is lost here (with the agent, or because the spool
 * was full) costs resolution and no money; final records are the last to go.
 *
 * A destroyed VM may be forgotten by the kernel once its final record was acknowledged. Pure.
 */
#ifndef AGENT_USAGE_H
#define AGENT_USAGE_H

#include "agent/protocol/messages.h"
#include "kernel/lib/types.h"
#include "vmm/control_abi.h"

#define USAGE_SPOOL_MAX	 512u /* about eight hours of one VM */
#define USAGE_PERIOD_MS	 60000u
#define USAGE_REPORT_MAX 64u /* records in one report */

struct usage {
	char boot_id[UUID_TEXT_MAX];
	uint64_t next_ms; /* monotonic: when the next snapshot is due */
	uint32_t nr;
	struct usage_record records[USAGE_SPOOL_MAX]; /* oldest first */
	uint32_t handles[USAGE_SPOOL_MAX];	      /* of the VM, by record */
	uint32_t nr_forget;
	uint32_t forget[CTL_VMS_MAX];
	uint64_t dropped; /* records that found no room */
};

void usage_init(struct usage *u, const char *boot_id);

/* usage_is_due - time for a snapshot? A change of any VM's state makes it so by usage_hurry(). */
bool usage_is_due(const struct usage *u, uint64_t now_ms);
void usage_hurry(struct usage *u);

/* usage_take - one snapshot; uptime_ns and wall_ms are of the same moment. True when a record is
 * final. */
bool usage_take(struct usage *u, const struct ctl_usage *rows, uint32_t nr, uint64_t uptime_ns,
		uint64_t wall_ms, uint64_t now_ms);

/* usage_send - the oldest records, for a report; they stay until usage_acked() */
uint32_t usage_send(const struct usage *u, struct usage_record *out, uint32_t cap);

/* usage_acked - what usage_send() gave, up to this sequence number, is safe with the controller */
void usage_acked(struct usage *u, uint64_t last_seq);

/* usage_renumber - the controller knows other records by these numbers: drop them; a snapshot with
 * new numbers, due at once, says all that they said */
void usage_renumber(struct usage *u, uint64_t last_seq);

/* usage_next_forget - a handle for CTL_VM_FORGET; false: none */
bool usage_next_forget(struct usage *u, uint32_t *handle);

#endif
