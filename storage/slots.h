/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boot disk's two slots: what is in them, and the ways to change that. Pure: a machine that
 * names one disk request at a time and is told how it went.
 *
 *   slots_install / _try / _commit ─► slots_next ─► struct slots_io ─► the disk ─┐
 *                                        ▲ └─► false: over                      │
 *                                        └──────────────────────────────────────┘
 *
 * Power may go at any request. What is written when, so that there is always a slot to boot:
 *
 *   install  the other slot is empty (FLUSH), its bytes, its manifest (FLUSH), read it back and
 *            compare hashes, the other slot is whole (FLUSH)
 *   try      boot the other slot, once (FLUSH); the caller reboots; GRUB takes note before it boots
 *   commit   boot this slot from now on (FLUSH)
 *
 * The three notes are changes of one sector (storage/boot_disk.h). Not locked: the caller's work.
 */
#ifndef STORAGE_SLOTS_H
#define STORAGE_SLOTS_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "kernel/verify/verify.h"
#include "storage/grubenv.h"
#include "vmm/control_abi.h"

#define SLOTS_BUFFER_BYTES 65536u
#define SLOTS_WHY_BYTES	   96u

enum slots_op { SLOTS_READ, SLOTS_WRITE, SLOTS_FLUSH };

struct slots_io {
	enum slots_op op;
	uint64_t at; /* bytes from the disk's start; a multiple of its sectors, as len_bytes */
	uint32_t len_bytes; /* in or out of slots->buffer, from its start; 0 for FLUSH */
};

struct slots_image { /* where the bytes come from; they never change */
	enum hv_err (*read)(const void *ctx, uint64_t offset, void *dst, uint64_t len_bytes);
	void *ctx;
};

struct slots_places { /* bytes from the disk's start */
	uint64_t config, slots[2];
	uint64_t slot_bytes; /* of the smaller one */
};

enum slots_job { SLOTS_IDLE, SLOTS_INSTALL, SLOTS_TRY, SLOTS_COMMIT };

struct slots {
	/* Fixed after slots_open. */
	struct slots_places places;
	uint32_t running; /* 0 is A, 1 is B */
	uint8_t *buffer;
	uint32_t piece_bytes;

	bool is_trial;
	uint8_t env[GRUBENV_BYTES];	/* as it is on the disk … */
	uint8_t new_env[GRUBENV_BYTES]; /* … and as it is being written */
	struct ctl_update_manifest manifests[2];

	enum slots_job job;
	uint32_t step;
	bool is_under_way; /* slots_next has named a request, of len_bytes */
	uint32_t len_bytes;
	uint64_t done_bytes; /* of the image, in this step */
	uint64_t written;    /* of the image, in all */
	uint64_t attempt;
	struct slots_image image;
	struct sha256 hash;
	char error[SLOTS_WHY_BYTES]; /* of the last job; empty: it was well */
};

/*
 * slots_open - from what was read off the disk
 *
 * env        GRUBENV_BYTES of the config partition
 * manifests  of slot A and B, as they lie there; unusable ones count as none
 * buffer     SLOTS_BUFFER_BYTES, for ever; of which one request has piece_bytes at most
 * Errors:    HV_EPROTO - the environment block lacks something, or has it in the wrong form
 */
MUST_CHECK enum hv_err slots_open(struct slots *slots, const struct slots_places *places,
				  const uint8_t *env, const struct ctl_update_manifest *manifests,
				  uint32_t running, bool is_trial, uint8_t *buffer,
				  uint32_t piece_bytes);

/*
 * The three jobs. HV_OK: begun, slots_next says what is to be done. Else the reason is in why, and
 * nothing has changed. All: HV_EBUSY - another job, or not in this state.
 *
 * slots_install  HV_EEXIST: is there, whole; HV_EINVAL: no slot is so large. The manifest's
 *                signature and the image's size are the caller's to check; the hash is compared
 *                here, in the end.
 * slots_commit   HV_EEXIST: is so
 */
MUST_CHECK enum hv_err slots_install(struct slots *slots,
				     const struct ctl_update_manifest *manifest,
				     const struct slots_image *image, char why[SLOTS_WHY_BYTES]);
MUST_CHECK enum hv_err slots_try(struct slots *slots, uint64_t attempt, char why[SLOTS_WHY_BYTES]);
MUST_CHECK enum hv_err slots_commit(struct slots *slots, char why[SLOTS_WHY_BYTES]);

/*
 * slots_next - the next request of the job
 *
 * last     how the one before went; HV_OK for the first
 * returns  false: the job is over, well when slots->error is empty
 */
bool slots_next(struct slots *slots, enum hv_err last, struct slots_io *io);

/* All of the status but disk and trial_left_s. */
void slots_status(const struct slots *slots, struct ctl_update_status *out);

#endif
