/* SPDX-License-Identifier: Apache-2.0 */
/* Each job is a row of steps; a step is one disk request, or one for each piece of the image. */
#include "storage/slots.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "storage/boot_disk.h"

#define SLOT_NONE 2u

enum step {
	STEP_END,
	STEP_FORGET, /* the other slot is empty, and nothing is to be tried */
	STEP_WRITE,
	STEP_MANIFEST,
	STEP_FLUSH,
	STEP_READ_BACK,
	STEP_WHOLE,
	STEP_TRIAL,
	STEP_GOOD,
	STEP_NOTED, /* the FLUSH after which the new environment is the disk's */
};

static const enum step jobs[][9] = {
	[SLOTS_INSTALL] = {STEP_FORGET, STEP_NOTED, STEP_WRITE, STEP_MANIFEST, STEP_FLUSH,
			   STEP_READ_BACK, STEP_WHOLE, STEP_NOTED, STEP_END},
	[SLOTS_TRY] = {STEP_TRIAL, STEP_NOTED, STEP_END},
	[SLOTS_COMMIT] = {STEP_GOOD, STEP_NOTED, STEP_END},
};

static const char *const doing[] = {
	[STEP_END] = "nothing",
	[STEP_FORGET] = "marking the slot empty",
	[STEP_WRITE] = "writing the slot",
	[STEP_MANIFEST] = "writing the manifest",
	[STEP_FLUSH] = "flushing the slot",
	[STEP_READ_BACK] = "reading the slot back",
	[STEP_WHOLE] = "marking the slot whole",
	[STEP_TRIAL] = "marking the slot for a trial",
	[STEP_GOOD] = "marking the slot good",
	[STEP_NOTED] = "flushing the mark",
};

static const char *const slot_letters[] = {"a", "b"};
static const char *const state_names[] = {BOOT_DISK_ENV_STATE_A, BOOT_DISK_ENV_STATE_B};

static enum hv_err refuse(char why[SLOTS_WHY_BYTES], enum hv_err err, const char *text)
{
	fmt(why, SLOTS_WHY_BYTES, "%s", text);
	return err;
}

static uint32_t other_than(uint32_t slot)
{
	return slot ^ 1;
}

/* ---- the environment block ---- */

/* A value of exactly so many characters, all of them among these, in the block's first sector. */
static bool is_fixed(const uint8_t *env, const char *name, size_t len, const char *among)
{
	char value[BOOT_DISK_ATTEMPT_DIGITS + 1];

	if (grubenv_get(env, name, value, sizeof(value)) != HV_OK || strlen(value) != len ||
	    grubenv_place(env, name) + len > BOOT_DISK_SECTOR_BYTES)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr(among, value[i]))
			return false;
	return true;
}

static bool is_env_sound(const uint8_t *env)
{
	return grubenv_check(env) == HV_OK && is_fixed(env, BOOT_DISK_ENV_SLOT, 1, "ab") &&
	       is_fixed(env, BOOT_DISK_ENV_TRIAL, 1, "ab-") &&
	       is_fixed(env, BOOT_DISK_ENV_STATE_A, 1, "ewtg") &&
	       is_fixed(env, BOOT_DISK_ENV_STATE_B, 1, "ewtg") &&
	       is_fixed(env, BOOT_DISK_ENV_ATTEMPT, BOOT_DISK_ATTEMPT_DIGITS, "0123456789abcdef");
}

/* Of the fixed variables, so neither of these can fail. */
static void env_set(uint8_t *env, const char *name, const char *value)
{
	enum hv_err err = grubenv_set(env, name, value);

	ASSERT(err == HV_OK);
}

static char env_state(const uint8_t *env, uint32_t slot)
{
	return (char)env[grubenv_place(env, state_names[slot])];
}

static uint64_t env_attempt(const uint8_t *env)
{
	const uint8_t *digit = env + grubenv_place(env, BOOT_DISK_ENV_ATTEMPT);
	uint64_t attempt = 0;

	for (uint32_t i = 0; i < BOOT_DISK_ATTEMPT_DIGITS; i++, digit++)
		attempt =
			attempt << 4 | (uint64_t)(*digit <= '9' ? *digit - '0' : *digit - 'a' + 10);
	return attempt;
}

static void note(struct slots *s, enum step step)
{
	uint32_t other = other_than(s->running);
	char attempt[BOOT_DISK_ATTEMPT_DIGITS + 1];

	memcpy(s->new_env, s->env, sizeof(s->env));
	switch (step) {
	case STEP_FORGET:
		/* The running one is what will be booted, even if GRUB came to it by falling back.
		 */
		env_set(s->new_env, BOOT_DISK_ENV_SLOT, slot_letters[s->running]);
		env_set(s->new_env, BOOT_DISK_ENV_TRIAL, "-");
		env_set(s->new_env, state_names[other], "e");
		break;
	case STEP_WHOLE:
		env_set(s->new_env, state_names[other], "w");
		break;
	case STEP_TRIAL:
		fmt(attempt, sizeof(attempt), "%016llx", (unsigned long long)s->attempt);
		env_set(s->new_env, BOOT_DISK_ENV_ATTEMPT, attempt);
		env_set(s->new_env, BOOT_DISK_ENV_TRIAL, slot_letters[other]);
		break;
	default:
		env_set(s->new_env, BOOT_DISK_ENV_SLOT, slot_letters[s->running]);
		env_set(s->new_env, BOOT_DISK_ENV_TRIAL, "-");
		env_set(s->new_env, state_names[s->running], "g");
	}
}

/* ---- opening ---- */

static bool is_manifest_sound(const struct ctl_update_manifest *manifest, uint64_t slot_bytes)
{
	return memcmp(manifest->magic, CTL_UPDATE_MAGIC, sizeof(manifest->magic)) == 0 &&
	       memchr(manifest->version, 0, sizeof(manifest->version)) && manifest->size > 0 &&
	       manifest->size <= slot_bytes;
}

enum hv_err slots_open(struct slots *slots, const struct slots_places *places, const uint8_t *env,
		       const struct ctl_update_manifest *manifests, uint32_t running, bool is_trial,
		       uint8_t *buffer, uint32_t piece_bytes)
{
	ASSERT(running < SLOT_NONE && piece_bytes <= SLOTS_BUFFER_BYTES &&
	       piece_bytes >= GRUBENV_BYTES && IS_ALIGNED(piece_bytes, BOOT_DISK_SECTOR_BYTES));

	if (!is_env_sound(env))
		return HV_EPROTO;
	*slots = (struct slots){.places = *places,
				.running = running,
				.is_trial = is_trial,
				.buffer = buffer,
				.piece_bytes = piece_bytes};
	memcpy(slots->env, env, sizeof(slots->env));
	for (uint32_t i = 0; i < SLOT_NONE; i++)
		if (is_manifest_sound(&manifests[i], places->slot_bytes))
			slots->manifests[i] = manifests[i];
	return HV_OK;
}

/* ---- beginning a job ---- */

static void begin(struct slots *s, enum slots_job job)
{
	s->job = job;
	s->step = 0;
	s->is_under_way = false;
	s->done_bytes = s->written = 0;
	s->error[0] = 0;
}

static enum hv_err check_idle(const struct slots *s, char why[SLOTS_WHY_BYTES])
{
	if (s->job == SLOTS_INSTALL)
		return refuse(why, HV_EBUSY, "the other slot is being written");
	return s->job == SLOTS_IDLE ? HV_OK
				    : refuse(why, HV_EBUSY, "the slots are about to change");
}

static bool is_same_image(const struct ctl_update_manifest *a, const struct ctl_update_manifest *b)
{
	return a->size == b->size && memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0;
}

enum hv_err slots_install(struct slots *slots, const struct ctl_update_manifest *manifest,
			  const struct slots_image *image, char why[SLOTS_WHY_BYTES])
{
	uint32_t other = other_than(slots->running);
	char state = env_state(slots->env, other);
	enum hv_err err = check_idle(slots, why);

	if (err != HV_OK)
		return err;
	if (slots->is_trial)
		return refuse(why, HV_EBUSY,
			      "the running slot is on trial, and the other one its way back");
	if (!is_manifest_sound(manifest, slots->places.slot_bytes))
		return refuse(why, HV_EINVAL,
			      "the manifest is none, or its image larger than a slot");
	if ((state == 'w' || state == 'g') && is_same_image(manifest, &slots->manifests[other]))
		return refuse(why, HV_EEXIST, "the other slot has it");
	begin(slots, SLOTS_INSTALL);
	slots->image = *image;
	slots->manifests[other] = *manifest;
	return HV_OK;
}

enum hv_err slots_try(struct slots *slots, uint64_t attempt, char why[SLOTS_WHY_BYTES])
{
	enum hv_err err = check_idle(slots, why);

	if (err != HV_OK)
		return err;
	if (slots->is_trial)
		return refuse(why, HV_EBUSY, "the running slot is on trial itself");
	switch (env_state(slots->env, other_than(slots->running))) {
	case 'e':
		return refuse(why, HV_EBUSY, "the other slot is not whole");
	case 't':
		return refuse(why, HV_EBUSY, "the other slot was tried, and not found healthy");
	default:
		begin(slots, SLOTS_TRY);
		slots->attempt = attempt;
		return HV_OK;
	}
}

enum hv_err slots_commit(struct slots *slots, char why[SLOTS_WHY_BYTES])
{
	enum hv_err err = check_idle(slots, why);

	if (err != HV_OK)
		return err;
	if (!slots->is_trial)
		return refuse(why, HV_EEXIST, "the running slot is not on trial");
	begin(slots, SLOTS_COMMIT);
	return HV_OK;
}

/* ---- step by step ---- */

static enum step step_of(const struct slots *s)
{
	return jobs[s->job][s->step];
}

static void name_io(struct slots *s, struct slots_io *io, enum slots_op op, uint64_t at,
		    uint32_t len_bytes)
{
	*io = (struct slots_io){.op = op, .at = at, .len_bytes = len_bytes};
	s->len_bytes = len_bytes;
}

/* The next piece of the image, in whole sectors; false when there is none left. */
static bool name_piece(struct slots *s, struct slots_io *io, enum slots_op op)
{
	uint32_t other = other_than(s->running);
	uint64_t left = s->manifests[other].size - s->done_bytes;
	uint64_t len = MIN(left, s->piece_bytes);

	if (left == 0)
		return false;
	name_io(s, io, op, s->places.slots[other] + s->done_bytes,
		(uint32_t)ALIGN_UP(len, BOOT_DISK_SECTOR_BYTES));
	/* Zeros behind the image; and what a disk claims to have read must not be what we wrote. */
	memset(s->buffer, 0, io->len_bytes);
	return true;
}

static enum hv_err fill_piece(struct slots *s)
{
	uint64_t left = s->manifests[other_than(s->running)].size - s->done_bytes;

	if (s->image.read(s->image.ctx, s->done_bytes, s->buffer, MIN(left, s->len_bytes)) != HV_OK)
		return HV_EIO;
	return HV_OK;
}

static void put_manifest(struct slots *s, struct slots_io *io)
{
	uint32_t other = other_than(s->running);

	memset(s->buffer, 0, BOOT_DISK_SECTOR_BYTES);
	memcpy(s->buffer, &s->manifests[other], sizeof(s->manifests[other]));
	name_io(s, io, SLOTS_WRITE,
		s->places.config + (other ? BOOT_DISK_MANIFEST_B_AT : BOOT_DISK_MANIFEST_A_AT),
		BOOT_DISK_SECTOR_BYTES);
}

static void put_note(struct slots *s, struct slots_io *io)
{
	note(s, step_of(s));
	memcpy(s->buffer, s->new_env, sizeof(s->new_env));
	name_io(s, io, SLOTS_WRITE, s->places.config + BOOT_DISK_ENV_AT, sizeof(s->new_env));
}

/* HV_OK: io is this step's next request; HV_ENOENT: it has none left. */
static enum hv_err name_next(struct slots *s, struct slots_io *io)
{
	switch (step_of(s)) {
	case STEP_WRITE:
		return name_piece(s, io, SLOTS_WRITE) ? fill_piece(s) : HV_ENOENT;
	case STEP_READ_BACK:
		if (s->done_bytes == 0)
			sha256_init(&s->hash);
		return name_piece(s, io, SLOTS_READ) ? HV_OK : HV_ENOENT;
	case STEP_MANIFEST:
		put_manifest(s, io);
		return HV_OK;
	case STEP_FLUSH:
	case STEP_NOTED:
		name_io(s, io, SLOTS_FLUSH, 0, 0);
		return HV_OK;
	default:
		put_note(s, io);
		return HV_OK;
	}
}

/* What is behind the last piece's end is not of the image. */
static void take_piece(struct slots *s)
{
	uint64_t left = s->manifests[other_than(s->running)].size - s->done_bytes;
	uint64_t len = MIN(left, s->len_bytes);

	if (step_of(s) == STEP_READ_BACK)
		sha256_add(&s->hash, s->buffer, len);
	else
		s->written += len;
	s->done_bytes += len;
}

/* A request of this step is done; most steps have only one. */
static void take_done(struct slots *s)
{
	switch (step_of(s)) {
	case STEP_WRITE:
	case STEP_READ_BACK:
		take_piece(s);
		return;
	case STEP_NOTED:
		memcpy(s->env, s->new_env, sizeof(s->env));
		break;
	default:
		break;
	}
	s->step++;
}

static bool is_hash_right(struct slots *s)
{
	uint8_t digest[SHA256_BYTES];

	sha256_end(&s->hash, digest);
	return memcmp(digest, s->manifests[other_than(s->running)].sha256, sizeof(digest)) == 0;
}

static bool end(struct slots *s)
{
	uint32_t other = other_than(s->running);

	if (s->job == SLOTS_COMMIT && s->error[0] == 0)
		s->is_trial = false;
	if (env_state(s->env, other) == 'e')
		memset(&s->manifests[other], 0, sizeof(s->manifests[other]));
	s->job = SLOTS_IDLE;
	return false;
}

static bool fail(struct slots *s, enum hv_err err)
{
	fmt(s->error, sizeof(s->error), "%s: %s", doing[step_of(s)], hv_strerror(err));
	return end(s);
}

bool slots_next(struct slots *slots, enum hv_err last, struct slots_io *io)
{
	ASSERT(slots->job != SLOTS_IDLE);

	if (last != HV_OK)
		return fail(slots, last);
	if (slots->is_under_way)
		take_done(slots);
	slots->is_under_way = true;
	while (step_of(slots) != STEP_END) {
		enum hv_err err = name_next(slots, io);

		if (err == HV_OK)
			return true;
		if (err != HV_ENOENT)
			return fail(slots, err);
		if (step_of(slots) == STEP_READ_BACK && !is_hash_right(slots)) {
			fmt(slots->error, sizeof(slots->error),
			    "what is read back from the slot has not the release's hash");
			return end(slots);
		}
		slots->done_bytes = 0;
		slots->step++;
	}
	return end(slots);
}

/* ---- what there is ---- */

static uint32_t state_of(const struct slots *s, uint32_t slot)
{
	if (s->job == SLOTS_INSTALL && slot != s->running)
		return CTL_SLOT_WRITING;
	switch (env_state(s->env, slot)) {
	case 'w':
		return CTL_SLOT_WHOLE;
	case 't':
		return CTL_SLOT_TRIED;
	case 'g':
		return CTL_SLOT_GOOD;
	default:
		return CTL_SLOT_EMPTY;
	}
}

void slots_status(const struct slots *slots, struct ctl_update_status *out)
{
	out->has_slots = 1;
	out->running = slots->running;
	out->is_trial = slots->is_trial;
	out->attempt = env_attempt(slots->env);
	memcpy(out->error, slots->error, sizeof(out->error));
	for (uint32_t i = 0; i < SLOT_NONE; i++) {
		const struct ctl_update_manifest *manifest = &slots->manifests[i];
		uint32_t state = state_of(slots, i);

		out->slots[i].state = state;
		if (state == CTL_SLOT_EMPTY)
			continue;
		memcpy(out->slots[i].version, manifest->version, sizeof(manifest->version));
		memcpy(out->slots[i].sha256, manifest->sha256, sizeof(manifest->sha256));
		out->slots[i].size = manifest->size;
		out->slots[i].written = state == CTL_SLOT_WRITING ? slots->written : manifest->size;
	}
}
