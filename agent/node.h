/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's state, and what its tasks share. The pure engines (sync, images, usage, console)
 * decide; node.c carries their wishes to the kernel, and each task_*.c to the controller over one
 * connection:
 *
 *     task_enrol    once, then when the certificate grows old    connection "report"
 *     task_report   what is, and usage                           connection "report"
 *     task_desired  what shall be: a long poll                   connection "desired"
 *     task_bulk     images, console output                       connection "bulk"
 *     task_input    console input: a long poll                   connection "input"
 *     task_update   the node's own software                      the control queue only
 *     task_status   what the node's screen says of the agent     the control queue only
 *
 * One struct node exists, for as long as the agent runs.
 */
#ifndef AGENT_NODE_H
#define AGENT_NODE_H

#include "agent/backoff.h"
#include "agent/client.h"
#include "agent/conf.h"
#include "agent/console.h"
#include "agent/identity.h"
#include "agent/images.h"
#include "agent/sync.h"
#include "agent/update.h"
#include "agent/usage.h"

/* Slots of the kernel's store. The desired state takes as many as it needs. */
enum node_slot { SLOT_IDENTITY, SLOT_MEMORY, SLOT_DESIRED, SLOT_DESIRED_END = CTL_STORE_SLOTS };

#define EVENTS_MAX 32u

struct pace {		  /* of one task */
	uint64_t next_ms; /* nothing before */
	struct backoff backoff;
};

struct node {
	struct conf conf;
	struct ctl_hello hello;
	uint64_t hello_ns; /* clock_ns() at that time */
	char boot_id[UUID_TEXT_MAX];
	struct identity id;
	bool is_online; /* enrolled, and the certificate is loaded */

	/* What is. */
	struct ctl_vm_info vms[CTL_VMS_MAX];
	struct ctl_image_info images_there[CTL_IMAGES_MAX];
	struct sync_actual actual;
	bool is_stale; /* the kernel's lists must be read anew */

	/* What shall be. */
	bool has_desired;
	struct desired desired, incoming; /* swapped when a document is accepted */
	struct sync_memory memory, stored_memory;

	/* Engines. */
	struct images images;
	struct usage usage;
	struct console console;

	/* The node's own software. */
	struct update_memory update_memory;
	struct node_update update_state; /* as reports tell it */
	bool knows_update;
	uint64_t nr_reports_sent, last_report_accepted; /* numbers of this agent's reports */

	/* What the screen says of us. */
	char fingerprint[SHA256_TEXT_MAX]; /* of the key, while a person must approve it */
	char trouble[160];		   /* the last one that is not over */

	/* Events on their way; numbered once it is known how far an earlier agent counted. */
	struct report_event events[EVENTS_MAX];
	uint32_t nr_events;
	uint64_t event_seq;
	bool knows_event_seq;

	/* Tasks. */
	struct client desired_client, report_client, bulk_client, input_client;
	struct pace enrol_pace, desired_pace, report_pace, bulk_pace, input_pace, update_pace,
		status_pace;
	bool report_urgent;
	bool poll_afresh; /* ask for the whole document */
};

/* ---- node.c: the kernel's side ----------------------------------------------------------------
 */

/* node_init - read the configuration and all that the store kept; false: the configuration is wrong
 */
bool node_init(struct node *n);

uint64_t node_now_ms(void);
uint64_t node_uptime_ns(const struct node *n);

/* node_console_end - a VM has printed up to this offset, as the kernel said with an event or a read
 */
void node_console_end(struct node *n, uint32_t handle, uint64_t end);

/* node_work - look at what is, bring it closer to what shall be, note usage */
void node_work(struct node *n);

/* node_accept_desired - a document that was checked becomes the desired state; json is stored */
void node_accept_desired(struct node *n, const char *json, size_t len_bytes);

/* node_keep_key - a key that nobody has approved yet: people compare its fingerprint, so it must
 * stay */
void node_keep_key(const struct node *n);

/* node_save_identity, node_drop_identity - and what follows for the connections */
void node_save_identity(struct node *n);
void node_drop_identity(struct node *n, const char *why);

void node_add_event(struct node *n, enum event_level level, const char *vm, const char *code,
		    const char *message);

/*
 * node_describe - the machine, for reports and enrolment; false: the kernel does not say
 *
 * machine_id  NULL, or where its identity goes
 */
bool node_describe(const struct node *n, struct node_info *info, uint8_t machine_id[16]);

/* ---- tasks: called from the loop; true when there was something to do ---------------------------
 */

bool task_enrol(struct node *n);
bool task_desired(struct node *n);
bool task_report(struct node *n);
bool task_bulk(struct node *n);
bool task_input(struct node *n);
bool task_update(struct node *n);
bool task_status(struct node *n);

/* pace_fail, pace_wait - not before a backoff, or a given time, from now */
void pace_fail(struct pace *p);
void pace_wait(struct pace *p, uint32_t wait_ms);
static inline bool pace_is_due(const struct pace *p)
{
	return node_now_ms() >= p->next_ms;
}

/* ---- net.c --------------------------------------------------------------------------------------
 */

void net_start(const struct conf *conf);
bool net_is_up(void);
/* net_poll - frames in, timers; true when something came */
bool net_poll(void);
uint32_t net_next_ms(void);
bool net_lease(struct node_lease *lease);

#endif
