/* SPDX-License-Identifier: Apache-2.0 */
/* An array in order of age: hundreds of records, moved once a minute at most. */
#include "agent/usage.h"

#include <stdio.h>
#include <string.h>

#include "agent/report.h"

void usage_init(struct usage *u, const char *boot_id)
{
	memset(u, 0, sizeof(*u));
	snprintf(u->boot_id, sizeof(u->boot_id), "%s", boot_id);
}

bool usage_is_due(const struct usage *u, uint64_t now_ms)
{
	return now_ms >= u->next_ms;
}

void usage_hurry(struct usage *u)
{
	u->next_ms = 0;
}

static void remove_at(struct usage *u, uint32_t at, uint32_t nr)
{
	uint32_t behind = u->nr - at - nr;

	memmove(&u->records[at], &u->records[at + nr], behind * sizeof(u->records[0]));
	memmove(&u->handles[at], &u->handles[at + nr], behind * sizeof(u->handles[0]));
	u->nr -= nr;
}

/* The oldest record that a later one of its VM stands in for, else the oldest that is not final. */
static void make_room(struct usage *u, const char *vm)
{
	uint32_t i, victim = 0;
	bool found = false;

	for (i = 0; i < u->nr && !found; i++) {
		found = !u->records[i].final && strcmp(u->records[i].vm, vm) == 0;
		victim = i;
	}
	for (i = 0; i < u->nr && !found; i++) {
		found = !u->records[i].final;
		victim = i;
	}
	remove_at(u, found ? victim : 0, 1);
	u->dropped++;
}

/* A final record whose like is waiting already says nothing new. */
static bool has_final(const struct usage *u, uint32_t handle)
{
	uint32_t i;

	for (i = 0; i < u->nr; i++)
		if (u->handles[i] == handle && u->records[i].final)
			return true;
	for (i = 0; i < u->nr_forget; i++)
		if (u->forget[i] == handle)
			return true;
	return false;
}

static void add(struct usage *u, const struct ctl_usage *row, uint64_t wall_ms)
{
	struct usage_record *r;
	char vm[UUID_TEXT_MAX];

	uuid_to_text(row->uuid, vm);
	if (u->nr == USAGE_SPOOL_MAX)
		make_room(u, vm);
	u->handles[u->nr] = row->handle;
	r = &u->records[u->nr++];
	memset(r, 0, sizeof(*r));
	memcpy(r->boot_id, u->boot_id, sizeof(r->boot_id));
	memcpy(r->vm, vm, sizeof(r->vm));
	r->seq = row->seq;
	r->mono_ns = row->mono_ns;
	r->wall_ms = wall_ms;
	r->epoch = row->epoch;
	r->vcpus = row->nr_vcpus;
	r->memory_mib = (uint32_t)row->mem_mib;
	r->final = row->is_final;
	r->counters[USAGE_VCPU_ALLOC_NS] = row->vcpu_alloc_ns;
	r->counters[USAGE_VCPU_RUN_NS] = row->vcpu_run_ns;
	r->counters[USAGE_MEM_MIB_MS] = row->mem_mib_ms;
	r->counters[USAGE_NET_RX_BYTES] = row->net_rx_bytes;
	r->counters[USAGE_NET_TX_BYTES] = row->net_tx_bytes;
	r->counters[USAGE_NET_RX_PACKETS] = row->net_rx_packets;
	r->counters[USAGE_NET_TX_PACKETS] = row->net_tx_packets;
}

bool usage_take(struct usage *u, const struct ctl_usage *rows, uint32_t nr, uint64_t uptime_ns,
		uint64_t wall_ms, uint64_t now_ms)
{
	bool any_final = false;
	uint64_t age_ms;
	uint32_t i;

	u->next_ms = now_ms + USAGE_PERIOD_MS;
	for (i = 0; i < nr; i++) {
		if (rows[i].is_final && has_final(u, rows[i].handle))
			continue;
		age_ms = (uptime_ns - MIN(rows[i].mono_ns, uptime_ns)) / NSEC_PER_MSEC;
		add(u, &rows[i], wall_ms - MIN(age_ms, wall_ms));
		any_final |= rows[i].is_final != 0;
	}
	return any_final;
}

uint32_t usage_send(const struct usage *u, struct usage_record *out, uint32_t cap)
{
	uint32_t nr = MIN(MIN(cap, u->nr), USAGE_REPORT_MAX);

	memcpy(out, u->records, nr * sizeof(*out));
	return nr;
}

/* Records are in the order of their numbers, as the kernel counts up. */
static uint32_t count_up_to(const struct usage *u, uint64_t last_seq)
{
	uint32_t nr = 0;

	while (nr < u->nr && u->records[nr].seq <= last_seq)
		nr++;
	return nr;
}

void usage_acked(struct usage *u, uint64_t last_seq)
{
	uint32_t i, nr = count_up_to(u, last_seq);

	for (i = 0; i < nr; i++)
		if (u->records[i].final && u->nr_forget < CTL_VMS_MAX)
			u->forget[u->nr_forget++] = u->handles[i];
	remove_at(u, 0, nr);
}

void usage_renumber(struct usage *u, uint64_t last_seq)
{
	remove_at(u, 0, count_up_to(u, last_seq));
	usage_hurry(u);
}

bool usage_next_forget(struct usage *u, uint32_t *handle)
{
	if (u->nr_forget == 0)
		return false;
	*handle = u->forget[--u->nr_forget];
	return true;
}
