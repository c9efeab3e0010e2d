/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slots on a disk that keeps what was not flushed in a cache, and may lose any sector of that
 * when the power goes; and GRUB's part as tools/build/disk.cfg has it, in C. Whatever happens when,
 * the next boot finds a whole image.
 */
#include "storage/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/boot_disk.h"

#define SECTOR	   BOOT_DISK_SECTOR_BYTES
#define SLOT_BYTES (256 * KIB)
#define CONFIG_AT  (64 * KIB)
#define SLOT_A_AT  (256 * KIB)
#define SLOT_B_AT  (SLOT_A_AT + SLOT_BYTES)
#define DISK_BYTES (SLOT_B_AT + SLOT_BYTES)
#define OLD_BYTES  70001u
#define NEW_BYTES  150003u

static const struct slots_places places = {
	.config = CONFIG_AT, .slots = {SLOT_A_AT, SLOT_B_AT}, .slot_bytes = SLOT_BYTES};

static uint8_t disk[DISK_BYTES];  /* what a reader sees */
static uint8_t media[DISK_BYTES]; /* what survives */
static uint8_t old_image[OLD_BYTES], new_image[NEW_BYTES];
static struct ctl_update_manifest old_manifest, new_manifest;
static uint8_t buffer[SLOTS_BUFFER_BYTES];
static struct slots slots;
static char why[SLOTS_WHY_BYTES];
static uint32_t random_word;

static uint32_t draw(void)
{
	random_word = random_word * 1664525u + 1013904223u;
	return random_word >> 16;
}

static void make_image(uint8_t *image, size_t len, const char *version,
		       struct ctl_update_manifest *manifest)
{
	struct sha256 hash;

	for (size_t i = 0; i < len; i++)
		image[i] = (uint8_t)draw();
	memset(manifest, 0, sizeof(*manifest));
	memcpy(manifest->magic, "billet-release-1", sizeof(manifest->magic));
	strcpy(manifest->version, version);
	manifest->size = len;
	sha256_init(&hash);
	sha256_add(&hash, image, len);
	sha256_end(&hash, manifest->sha256);
}

static uint8_t *env(void)
{
	return disk + CONFIG_AT + BOOT_DISK_ENV_AT;
}

static void set(const char *name, const char *value)
{
	assert_int_equal(grubenv_set(env(), name, value), HV_OK);
}

static char get(const char *name)
{
	char value[2];

	assert_int_equal(grubenv_get(env(), name, value, sizeof(value)), HV_OK);
	return value[0];
}

/* As it leaves tools/build/disk: A is good, B empty. */
static int make_disk(void **state)
{
	(void)state;
	random_word = 1;
	make_image(old_image, sizeof(old_image), "old", &old_manifest);
	make_image(new_image, sizeof(new_image), "new", &new_manifest);
	memset(disk, 0, sizeof(disk));
	grubenv_init(env());
	set("slot", "a");
	set("trial", "-");
	set("state_a", "g");
	set("state_b", "e");
	set("attempt", "0000000000000000");
	set("id", "0123456789abcdef0123456789abcdef");
	set("cmdline", "log=info");
	memcpy(disk + SLOT_A_AT, old_image, sizeof(old_image));
	memcpy(disk + CONFIG_AT + BOOT_DISK_MANIFEST_A_AT, &old_manifest, sizeof(old_manifest));
	memcpy(media, disk, sizeof(disk));
	return 0;
}

/* ---- GRUB ---- */

struct boot {
	uint32_t slot;
	bool is_trial;
};

static struct boot grub(void)
{
	char trial = get("trial");

	if (trial == '-')
		return (struct boot){.slot = get("slot") == 'b'};
	set("trial", "-");
	set(trial == 'a' ? "state_a" : "state_b", "t");
	memcpy(media, disk, sizeof(disk));
	return (struct boot){.slot = trial == 'b', .is_trial = true};
}

static bool holds(uint32_t slot, const uint8_t *image, size_t len)
{
	return memcmp(disk + places.slots[slot], image, len) == 0;
}

static void open_slots(struct boot boot)
{
	struct ctl_update_manifest manifests[2];

	memcpy(&manifests[0], disk + CONFIG_AT + BOOT_DISK_MANIFEST_A_AT, sizeof(manifests[0]));
	memcpy(&manifests[1], disk + CONFIG_AT + BOOT_DISK_MANIFEST_B_AT, sizeof(manifests[1]));
	assert_int_equal(slots_open(&slots, &places, env(), manifests, boot.slot, boot.is_trial,
				    buffer, sizeof(buffer)),
			 HV_OK);
}

static void boot(void)
{
	open_slots(grub());
}

/* ---- the disk ---- */

#define NEVER UINT32_MAX

static uint32_t nr_done; /* requests of this job */

static void do_io(const struct slots_io *io)
{
	assert_true(io->len_bytes <= sizeof(buffer) && io->len_bytes % SECTOR == 0 &&
		    io->at % SECTOR == 0 && range_fits(io->at, io->len_bytes, DISK_BYTES));
	if (io->op == SLOTS_READ)
		memcpy(buffer, disk + io->at, io->len_bytes);
	if (io->op == SLOTS_WRITE)
		memcpy(disk + io->at, buffer, io->len_bytes);
	if (io->op == SLOTS_FLUSH)
		memcpy(media, disk, sizeof(disk));
}

/* Of what was not flushed, each sector is on the media or is not. */
static void lose_power(void)
{
	for (size_t at = 0; at < DISK_BYTES; at += SECTOR)
		if (draw() % 2)
			memcpy(media + at, disk + at, SECTOR);
	memcpy(disk, media, sizeof(disk));
}

/* Carries the job out; false when the power went at its request number cut. */
static bool run(uint32_t cut)
{
	struct slots_io io;

	for (nr_done = 0; slots_next(&slots, HV_OK, &io); nr_done++) {
		do_io(&io);
		if (nr_done == cut) {
			lose_power();
			return false;
		}
	}
	return true;
}

/* One request fails; the job must end with that. */
static void run_with_failure(uint32_t at)
{
	enum hv_err last = HV_OK;
	struct slots_io io;

	for (nr_done = 0; slots_next(&slots, last, &io); nr_done++) {
		assert_int_equal(last, HV_OK);
		if (nr_done == at)
			last = HV_EIO;
		else
			do_io(&io);
	}
}

static enum hv_err read_new(const void *ctx, uint64_t offset, void *dst, uint64_t len_bytes)
{
	assert_true(range_fits(offset, len_bytes, NEW_BYTES));
	memcpy(dst, (const uint8_t *)ctx + offset, len_bytes);
	return HV_OK;
}

static enum hv_err install(void)
{
	struct slots_image image = {.read = read_new, .ctx = new_image};

	return slots_install(&slots, &new_manifest, &image, why);
}

static struct ctl_update_status status(void)
{
	struct ctl_update_status out;

	memset(&out, 0, sizeof(out));
	slots_status(&slots, &out);
	return out;
}

/* Whoever would boot it gets what its manifest says. */
static void expect_truth(uint32_t slot)
{
	struct ctl_update_status now = status();
	uint8_t digest[SHA256_BYTES];
	struct sha256 hash;

	if (now.slots[slot].state == CTL_SLOT_EMPTY)
		return;
	sha256_init(&hash);
	sha256_add(&hash, disk + places.slots[slot], now.slots[slot].size);
	sha256_end(&hash, digest);
	assert_memory_equal(digest, now.slots[slot].sha256, sizeof(digest));
}

/* ---- tests ---- */

static void installs_tries_and_commits(void **state)
{
	struct ctl_update_status now;

	(void)state;
	boot();
	assert_int_equal(status().slots[1].state, CTL_SLOT_EMPTY);
	assert_int_equal(status().slots[0].state, CTL_SLOT_GOOD);
	assert_string_equal(status().slots[0].version, "old");
	assert_int_equal(install(), HV_OK);
	assert_int_equal(status().slots[1].state, CTL_SLOT_WRITING);
	assert_true(run(NEVER));
	now = status();
	assert_string_equal(now.error, "");
	assert_int_equal(now.slots[1].state, CTL_SLOT_WHOLE);
	assert_string_equal(now.slots[1].version, "new");
	assert_memory_equal(now.slots[1].sha256, new_manifest.sha256, 32);
	assert_int_equal(now.slots[1].size, NEW_BYTES);
	assert_int_equal(now.slots[1].written, NEW_BYTES);
	assert_true(holds(1, new_image, NEW_BYTES));
	assert_int_equal(install(), HV_EEXIST);

	assert_int_equal(slots_try(&slots, 0x1234567890abcdefull, why), HV_OK);
	assert_true(run(NEVER));
	assert_memory_equal(media, disk, sizeof(disk)); /* it is the disk's before the reboot */
	boot();
	now = status();
	assert_int_equal(now.running, 1);
	assert_int_equal(now.is_trial, 1);
	assert_true(now.attempt == 0x1234567890abcdefull);
	assert_int_equal(slots_commit(&slots, why), HV_OK);
	assert_true(run(NEVER));
	assert_int_equal(status().is_trial, 0);
	assert_int_equal(status().slots[1].state, CTL_SLOT_GOOD);
	assert_int_equal(slots_commit(&slots, why), HV_EEXIST);
	boot();
	assert_int_equal(status().running, 1);
	assert_int_equal(status().is_trial, 0);
	assert_int_equal(status().slots[0].state, CTL_SLOT_GOOD); /* the way back by hand */
	assert_string_equal(status().slots[0].version, "old");
}

static void falls_back_from_a_trial_that_nobody_commits(void **state)
{
	(void)state;
	boot();
	assert_int_equal(install(), HV_OK);
	assert_true(run(NEVER));
	assert_int_equal(slots_try(&slots, 5, why), HV_OK);
	assert_true(run(NEVER));
	boot();
	assert_int_equal(status().running, 1);
	boot();
	assert_int_equal(status().running, 0);
	assert_int_equal(status().is_trial, 0);
	assert_int_equal(status().slots[1].state, CTL_SLOT_TRIED);
	assert_int_equal(status().attempt, 5);
	assert_int_equal(slots_try(&slots, 6, why), HV_EBUSY);
	assert_int_equal(install(), HV_OK); /* again, when the operator wants it */
	assert_true(run(NEVER));
	assert_int_equal(slots_try(&slots, 6, why), HV_OK);
}

static void keeps_the_way_back_of_a_trial(void **state)
{
	(void)state;
	boot();
	assert_int_equal(slots_try(&slots, 1, why), HV_EBUSY); /* nothing is there */
	assert_int_equal(install(), HV_OK);
	assert_int_equal(install(), HV_EBUSY);
	assert_int_equal(slots_try(&slots, 1, why), HV_EBUSY);
	assert_int_equal(slots_commit(&slots, why), HV_EBUSY);
	assert_true(run(NEVER));
	assert_int_equal(slots_try(&slots, 1, why), HV_OK);
	assert_true(run(NEVER));
	boot();
	assert_int_equal(install(), HV_EBUSY);
	assert_non_null(strstr(why, "trial"));
	assert_int_equal(slots_try(&slots, 1, why), HV_EBUSY);
}

static void survives_losing_power_at_any_request_of_an_installation(void **state)
{
	uint32_t nr_cuts = 0, nr_whole = 0;

	for (uint32_t cut = 0, seed = 0; seed < 8; cut++) {
		make_disk(state);
		random_word = 1000 * seed + cut;
		boot();
		assert_int_equal(install(), HV_OK);
		if (run(cut)) { /* no such request: all cuts were made */
			cut = UINT32_MAX;
			seed++;
			continue;
		}
		nr_cuts++;
		boot();
		assert_int_equal(status().running, 0);
		assert_int_equal(status().is_trial, 0);
		assert_true(holds(0, old_image, OLD_BYTES));
		if (status().slots[1].state == CTL_SLOT_WHOLE) {
			assert_true(holds(1, new_image, NEW_BYTES));
			assert_memory_equal(status().slots[1].sha256, new_manifest.sha256, 32);
			nr_whole++;
			continue;
		}
		assert_int_equal(status().slots[1].state, CTL_SLOT_EMPTY);
		assert_int_equal(install(), HV_OK);
		assert_true(run(NEVER));
		assert_true(holds(1, new_image, NEW_BYTES));
	}
	assert_true(nr_cuts > 80 && nr_whole > 0);
}

/* Over a release that was whole, so that one of the two must be there, or none. */
static void survives_losing_power_while_it_replaces_a_whole_slot(void **state)
{
	uint32_t nr_empty = 0;

	for (uint32_t cut = 0, seed = 0; seed < 8; cut++) {
		make_disk(state);
		boot();
		assert_int_equal(install(), HV_OK);
		assert_true(run(NEVER));
		make_image(new_image, NEW_BYTES, "newer", &new_manifest);
		random_word = 1000 * seed + cut;
		assert_int_equal(install(), HV_OK);
		if (run(cut)) {
			cut = UINT32_MAX;
			seed++;
			continue;
		}
		boot();
		assert_int_equal(status().running, 0);
		expect_truth(0);
		expect_truth(1);
		nr_empty += status().slots[1].state == CTL_SLOT_EMPTY;
	}
	assert_true(nr_empty > 40);
}

static void survives_losing_power_at_any_request_of_a_trial(void **state)
{
	for (uint32_t seed = 0; seed < 64; seed++)
		for (uint32_t cut = 0; cut < 4; cut++) {
			make_disk(state);
			boot();
			assert_int_equal(install(), HV_OK);
			assert_true(run(NEVER));
			random_word = seed;
			assert_int_equal(slots_try(&slots, 1, why), HV_OK);
			run(cut < 2 ? cut : NEVER);
			boot();
			if (!status().is_trial) {
				assert_true(cut < 2 && status().running == 0);
				continue;
			}
			assert_true(holds(1, new_image, NEW_BYTES));
			assert_int_equal(slots_commit(&slots, why), HV_OK);
			run(cut < 2 ? NEVER : cut - 2);
			boot();
			assert_int_equal(status().is_trial, 0); /* never twice */
			assert_true(status().running == 0 || get("state_b") == 'g');
		}
}

static void ends_a_job_whose_disk_fails(void **state)
{
	uint32_t nr_requests;

	boot();
	assert_int_equal(install(), HV_OK);
	assert_true(run(NEVER));
	nr_requests = nr_done;
	for (uint32_t at = 0; at < nr_requests; at++) {
		make_disk(state);
		boot();
		assert_int_equal(install(), HV_OK);
		run_with_failure(at);
		assert_int_equal(nr_done, at + 1);
		assert_non_null(strstr(status().error, ": hardware"));
		assert_int_equal(status().slots[1].state, CTL_SLOT_EMPTY);
		assert_int_equal(status().slots[1].size, 0);
		assert_int_equal(slots_try(&slots, 1, why), HV_EBUSY);
		assert_int_equal(install(), HV_OK);
		assert_true(run(NEVER));
		assert_string_equal(status().error, "");
		assert_int_equal(status().slots[1].state, CTL_SLOT_WHOLE);
	}
}

static void does_not_believe_a_disk_that_forgets(void **state)
{
	struct slots_io io;

	(void)state;
	boot();
	assert_int_equal(install(), HV_OK);
	while (slots_next(&slots, HV_OK, &io))
		if (io.op != SLOTS_WRITE || io.at != SLOT_B_AT + 2 * SLOTS_BUFFER_BYTES)
			do_io(&io);
	assert_non_null(strstr(status().error, "hash"));
	assert_int_equal(status().slots[1].state, CTL_SLOT_EMPTY);
}

/* Reads that touch no memory leave what was written last in nobody's buffer. */
static void does_not_believe_a_disk_that_reads_nothing(void **state)
{
	struct slots_io io;

	(void)state;
	boot();
	new_manifest.size = 512; /* in one piece, which is the last one written, too */
	make_image(new_image, 512, "new", &new_manifest);
	assert_int_equal(install(), HV_OK);
	while (slots_next(&slots, HV_OK, &io))
		if (io.op != SLOTS_READ)
			do_io(&io);
	assert_non_null(strstr(status().error, "hash"));
}

static void refuses_an_image_with_another_hash(void **state)
{
	(void)state;
	boot();
	new_manifest.sha256[31] ^= 1;
	assert_int_equal(install(), HV_OK);
	assert_true(run(NEVER));
	assert_non_null(strstr(status().error, "hash"));
	assert_int_equal(status().slots[1].state, CTL_SLOT_EMPTY);
	assert_int_equal(get("state_b"), 'e');
}

static void refuses_manifests_that_are_none(void **state)
{
	(void)state;
	boot();
	new_manifest.size = SLOT_BYTES + 1;
	assert_int_equal(install(), HV_EINVAL);
	new_manifest.size = 0;
	assert_int_equal(install(), HV_EINVAL);
	new_manifest.size = NEW_BYTES;
	new_manifest.magic[0] = 'B';
	assert_int_equal(install(), HV_EINVAL);
	new_manifest.magic[0] = 'b';
	memset(new_manifest.version, 'v', sizeof(new_manifest.version));
	assert_int_equal(install(), HV_EINVAL);
}

static void makes_the_running_slot_the_good_one_before_it_writes_the_other(void **state)
{
	(void)state;
	set("slot", "b"); /* which could not be loaded, so GRUB took the other one */
	set("state_b", "g");
	open_slots((struct boot){.slot = 0});
	assert_int_equal(install(), HV_OK);
	run(1); /* the note and its flush */
	assert_int_equal(grub().slot, 0);
}

static void refuses_an_environment_that_it_could_not_change_in_place(void **state)
{
	static const struct {
		const char *name, *value;
	} rows[] = {{"slot", "c"},	{"slot", ""},
		    {"slot", "ab"},	{"trial", "x"},
		    {"state_a", "?"},	{"state_b", "gg"},
		    {"attempt", "123"}, {"attempt", "000000000000000G"}};
	struct ctl_update_manifest manifests[2];

	memset(manifests, 0, sizeof(manifests));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make_disk(state);
		set(rows[i].name, rows[i].value);
		assert_int_equal(slots_open(&slots, &places, env(), manifests, 0, false, buffer,
					    sizeof(buffer)),
				 HV_EPROTO);
	}
	make_disk(state);
	memset(env() + 100, 0, 10);
	memcpy(env(), "# grub", 6);
	assert_int_equal(
		slots_open(&slots, &places, env(), manifests, 0, false, buffer, sizeof(buffer)),
		HV_EPROTO);
	grubenv_init(env()); /* all of it in the second sector */
	set("x",
	    "................................................................................"
	    "................................................................................"
	    "................................................................................"
	    "................................................................................"
	    "................................................................................"
	    "................................................................................");
	set("slot", "a");
	set("trial", "-");
	set("state_a", "g");
	set("state_b", "e");
	set("attempt", "0000000000000000");
	assert_int_equal(
		slots_open(&slots, &places, env(), manifests, 0, false, buffer, sizeof(buffer)),
		HV_EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(installs_tries_and_commits, make_disk),
		cmocka_unit_test_setup(falls_back_from_a_trial_that_nobody_commits, make_disk),
		cmocka_unit_test_setup(keeps_the_way_back_of_a_trial, make_disk),
		cmocka_unit_test_setup(survives_losing_power_at_any_request_of_an_installation,
				       make_disk),
		cmocka_unit_test_setup(survives_losing_power_while_it_replaces_a_whole_slot,
				       make_disk),
		cmocka_unit_test_setup(survives_losing_power_at_any_request_of_a_trial, make_disk),
		cmocka_unit_test_setup(ends_a_job_whose_disk_fails, make_disk),
		cmocka_unit_test_setup(does_not_believe_a_disk_that_forgets, make_disk),
		cmocka_unit_test_setup(does_not_believe_a_disk_that_reads_nothing, make_disk),
		cmocka_unit_test_setup(refuses_an_image_with_another_hash, make_disk),
		cmocka_unit_test_setup(refuses_manifests_that_are_none, make_disk),
		cmocka_unit_test_setup(
			makes_the_running_slot_the_good_one_before_it_writes_the_other, make_disk),
		cmocka_unit_test_setup(refuses_an_environment_that_it_could_not_change_in_place,
				       make_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
