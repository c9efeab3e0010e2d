/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI's description of a watchdog: for each action a list of instructions, which are reads and
 * writes of registers. The table is firmware's and hostile: an instruction is kept only when its
 * register is a port or memory-mapped, nobody's RAM, aligned, and as wide as its mask wants; one
 * that breaks this makes the whole table unusable, as half an action is worse than none. Actions
 * that Billet never runs are not looked at. Pure; allocates nothing.
 *
 * Source: [WDAT] "Watchdog Action Table", "Watchdog Instruction Entries"; [ACPI] "Generic Address
 * Structure (GAS)".
 */
#ifndef DRIVERS_WDAT_H
#define DRIVERS_WDAT_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define WDAT_INSTRUCTIONS_MAX 64u

/* [WDAT] "Watchdog Actions"; the others are not used. */
enum wdat_action {
	WDAT_RESET = 1, /* start the countdown anew */
	WDAT_SET_COUNTDOWN_PERIOD = 6,
	WDAT_QUERY_RUNNING_STATE = 8,
	WDAT_SET_RUNNING_STATE = 9,
	WDAT_SET_STOPPED_STATE = 11,
	WDAT_SET_REBOOT = 17, /* what the end of the countdown does */
	WDAT_QUERY_WATCHDOG_STATUS = 32,
	WDAT_SET_WATCHDOG_STATUS = 33,
};

/* [WDAT] "Watchdog Instructions" */
enum wdat_op {
	WDAT_READ_VALUE,
	WDAT_READ_COUNTDOWN,
	WDAT_WRITE_VALUE,
	WDAT_WRITE_COUNTDOWN,
};

struct wdat_instruction {
	uint8_t action;	   /* enum wdat_action */
	uint8_t op;	   /* enum wdat_op */
	bool keeps_others; /* a write leaves the register's other bits as they are */
	bool is_io;
	uint8_t width_bytes; /* of the register: 1, 2 or 4 */
	uint8_t shift;	     /* of the mask in it; mask << shift fits */
	uint64_t address;
	uint32_t value, mask;
};

struct wdat {
	uint32_t period_ms;	       /* a count's; not 0 */
	uint32_t min_count, max_count; /* that the countdown can begin with; not 0 */
	uint32_t min_s, max_s;	       /* the same as timeouts */
	uint32_t nr_instructions;
	struct wdat_instruction instructions[WDAT_INSTRUCTIONS_MAX]; /* in the table's order */
};

/*
 * wdat_parse - check a table whose length and checksum hold
 *
 * is_memory  whether any byte of a block is RAM or firmware's memory
 * out        filled on HV_OK
 * why        on an error, a phrase that says what is wrong
 * Errors:    HV_ENOENT - firmware says that it is switched off. HV_EPROTO - it breaks its
 *            specification. HV_ENOTSUP - it wants registers that are not to be touched.
 */
MUST_CHECK enum hv_err wdat_parse(const uint8_t *table, size_t len,
				  bool (*is_memory)(uint64_t hpa, uint64_t len_bytes),
				  struct wdat *out, const char **why);

/* How registers are reached; index is the instruction's. */
struct wdat_io {
	uint32_t (*read)(void *arg, const struct wdat *wdat, uint32_t index);
	void (*write)(void *arg, const struct wdat *wdat, uint32_t index, uint32_t val);
	void *arg;
};

/* wdat_start - count down from timeout_s, within what it can. HV_EIO: it says that it stands still.
 */
MUST_CHECK enum hv_err wdat_start(const struct wdat *wdat, const struct wdat_io *io,
				  uint32_t timeout_s);
void wdat_kick(const struct wdat *wdat, const struct wdat_io *io);
void wdat_stop(const struct wdat *wdat, const struct wdat_io *io);
/* wdat_has_fired - whether the last reset was its doing, and forget it; false when it cannot say */
bool wdat_has_fired(const struct wdat *wdat, const struct wdat_io *io);

#endif
