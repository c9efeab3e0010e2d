/* SPDX-License-Identifier: Apache-2.0 */
/* The update of the node's software against a boot disk of this program's own. */
#include "agent/update.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/report.h"

#define OLD "1111111111111111111111111111111111111111111111111111111111111111"
#define NEW "2222222222222222222222222222222222222222222222222222222222222222"

static struct ctl_update_status status;
static struct desired_update wanted;
static struct ctl_image_info image;
static struct update_memory memory;
static struct update_facts facts;
static struct update_step step;
static struct node_update said;

static int start(void **state)
{
	(void)state;
	memset(&memory, 0, sizeof(memory));
	status = (struct ctl_update_status){.has_slots = 1};
	status.slots[0].state = CTL_SLOT_GOOD;
	status.slots[0].size = 100;
	hex_from_text(OLD, status.slots[0].sha256, 32);
	wanted = (struct desired_update){
		.version = "0.4.0", .sha256 = NEW, .size = 200, .attempt = 1};
	memset(wanted.signature, 'a', sizeof(wanted.signature) - 1);
	image = (struct ctl_image_info){.handle = 7, .is_sealed = 1};
	facts = (struct update_facts){.wanted = &wanted, .status = &status};
	return 0;
}

static void next(void)
{
	update_next(&memory, &facts, &step, &said);
}

static void set_other(enum ctl_slot_state state)
{
	status.slots[1].state = state;
	status.slots[1].size = 200;
	hex_from_text(NEW, status.slots[1].sha256, 32);
}

static void does_nothing_when_nothing_is_wanted(void **state)
{
	(void)state;
	facts.wanted = NULL;
	facts.last_accepted = 5;
	next();
	assert_int_equal(step.action, UPDATE_DO_NOTHING);
	assert_int_equal(said.state, UPDATE_NONE);
	assert_string_equal(said.slot, "a");
	status.has_slots = 0;
	next();
	assert_string_equal(said.slot, "");
}

static void says_when_there_are_no_slots(void **state)
{
	(void)state;
	status.has_slots = 0;
	next();
	assert_int_equal(step.action, UPDATE_DO_NOTHING);
	assert_int_equal(said.state, UPDATE_UNSUPPORTED);
	assert_int_equal(said.attempt, 1);
}

static void installs_once_the_image_is_whole(void **state)
{
	(void)state;
	next();
	assert_int_equal(said.state, UPDATE_FETCHING);
	assert_int_equal(step.action, UPDATE_DO_NOTHING);
	facts.image = &image;
	image.is_sealed = 0;
	facts.image_reason = "its hash is wrong";
	next();
	assert_int_equal(step.action, UPDATE_DO_NOTHING);
	assert_string_equal(said.error, "its hash is wrong");

	image.is_sealed = 1;
	next();
	assert_int_equal(step.action, UPDATE_DO_INSTALL);
	assert_int_equal(step.image, 7);
	assert_memory_equal(step.manifest.magic, "billet-release-1", 16);
	assert_string_equal(step.manifest.version, "0.4.0");
	assert_int_equal(step.manifest.sha256[31], 0x22);
	assert_int_equal(step.manifest.size, 200);
	assert_int_equal(step.manifest.signature[63], 0xaa);
	assert_int_equal(said.state, UPDATE_INSTALLING);
}

static void reboots_only_after_a_last_report(void **state)
{
	(void)state;
	set_other(CTL_SLOT_WHOLE);
	facts.nr_sent = 4;
	facts.last_accepted = 4;
	next();
	assert_int_equal(step.action, UPDATE_DO_NOTHING);
	assert_int_equal(said.state, UPDATE_REBOOTING);
	facts.nr_sent = 5; /* on its way */
	next();
	assert_int_equal(step.action, UPDATE_DO_NOTHING);
	facts.last_accepted = 5;
	next();
	assert_int_equal(step.action, UPDATE_DO_TRY);
	assert_int_equal(step.attempt, 1);
}

static void commits_a_trial_that_reached_the_controller(void **state)
{
	(void)state;
	set_other(CTL_SLOT_TRIED);
	status.running = 1;
	status.is_trial = 1;
	status.attempt = 1;
	next();
	assert_int_equal(step.action, UPDATE_DO_NOTHING);
	assert_int_equal(said.state, UPDATE_TRIAL);
	facts.last_accepted = 1;
	next();
	assert_int_equal(step.action, UPDATE_DO_COMMIT);
	status.is_trial = 0;
	status.slots[1].state = CTL_SLOT_GOOD;
	next();
	assert_int_equal(step.action, UPDATE_DO_NOTHING);
	assert_int_equal(said.state, UPDATE_DONE);
	assert_string_equal(said.slot, "b");
}

static void commits_also_when_nothing_is_wanted_any_more(void **state)
{
	(void)state;
	facts.wanted = NULL;
	facts.last_accepted = 1;
	status.is_trial = 1;
	next();
	assert_int_equal(step.action, UPDATE_DO_COMMIT);
}

static void does_not_repeat_a_failed_trial_unless_asked(void **state)
{
	(void)state;
	set_other(CTL_SLOT_TRIED);
	status.attempt = 1;
	facts.image = &image;
	next();
	assert_int_equal(step.action, UPDATE_DO_NOTHING);
	assert_int_equal(said.state, UPDATE_FAILED);
	assert_true(said.error[0] != 0);
	wanted.attempt = 2;
	next();
	assert_int_equal(step.action, UPDATE_DO_INSTALL);
}

static void remembers_a_refusal_for_this_attempt(void **state)
{
	(void)state;
	facts.image = &image;
	next();
	assert_int_equal(step.action, UPDATE_DO_INSTALL);
	update_done(&memory, &step, HV_EPROTO, "the signature is not the operator's");
	next();
	assert_int_equal(step.action, UPDATE_DO_NOTHING);
	assert_int_equal(said.state, UPDATE_FAILED);
	assert_string_equal(said.error, "the signature is not the operator's");
	wanted.attempt = 2;
	next();
	assert_int_equal(step.action, UPDATE_DO_INSTALL);
}

static void tells_what_the_disk_said(void **state)
{
	(void)state;
	facts.image = &image;
	next();
	update_done(&memory, &step, HV_OK, "");
	status.slots[1].state = CTL_SLOT_WRITING;
	next();
	assert_int_equal(said.state, UPDATE_INSTALLING);
	status.slots[1].state = CTL_SLOT_EMPTY;
	strcpy(status.error, "nvme0n1: I/O error");
	next();
	assert_int_equal(step.action, UPDATE_DO_NOTHING);
	assert_int_equal(said.state, UPDATE_FAILED);
	assert_string_equal(said.error, "nvme0n1: I/O error");
}

static void a_busy_kernel_is_asked_again(void **state)
{
	(void)state;
	facts.image = &image;
	next();
	update_done(&memory, &step, HV_EBUSY, "a slot is being written");
	next();
	assert_int_equal(step.action, UPDATE_DO_INSTALL);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(does_nothing_when_nothing_is_wanted),
		TEST(says_when_there_are_no_slots),
		TEST(installs_once_the_image_is_whole),
		TEST(reboots_only_after_a_last_report),
		TEST(commits_a_trial_that_reached_the_controller),
		TEST(commits_also_when_nothing_is_wanted_any_more),
		TEST(does_not_repeat_a_failed_trial_unless_asked),
		TEST(remembers_a_refusal_for_this_attempt),
		TEST(tells_what_the_disk_said),
		TEST(a_busy_kernel_is_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
