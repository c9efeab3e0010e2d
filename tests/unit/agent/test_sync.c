/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Desired against actual, on a node of this program's own: a table of VMs and images that obeys the
 * actions, or refuses them when a test says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/report.h"
#include "agent/sync.h"

#define KERNEL "1111111111111111111111111111111111111111111111111111111111111111"
#define INITRD "2222222222222222222222222222222222222222222222222222222222222222"
#define ID(n)  "3c1f2b9e-7d39-4a55-8d6e-0000000000" n

static struct desired_vm want[4];
static struct desired_image want_images[4];
static struct desired desired;
static struct sync_memory memory;
static struct ctl_vm_info vms[8];
static struct ctl_image_info images[8];
static struct sync_actual actual;
static enum sync_kind done[64];
static unsigned nr_done;
static uint32_t refuse_handle; /* START of this VM fails */
static uint32_t next_handle;

static void add_image(const char *sha256, bool is_sealed)
{
	struct ctl_image_info *image = &images[actual.nr_images++];

	*image = (struct ctl_image_info){.handle = 100 + actual.nr_images, .is_sealed = is_sealed};
	assert_true(hex_from_text(sha256, image->sha256, 32));
}

static struct desired_vm *add_vm(const char *id, enum vm_desired state)
{
	struct desired_vm *vm = &want[desired.vms.nr++];

	*vm = (struct desired_vm){.state = state,
				  .restart = 1,
				  .epoch = 1,
				  .vcpus = 1,
				  .memory_mib = 255,
				  .weight = 100,
				  .has_boot = true};
	strcpy(vm->id, id);
	snprintf(vm->name, sizeof(vm->name), "vm%u", desired.vms.nr);
	strcpy(vm->boot.kernel, KERNEL);
	strcpy(vm->boot.cmdline, "quiet");
	vm->nr_nics = 1;
	strcpy(vm->nics[0].mac, "52:54:00:12:34:56");
	return vm;
}

static int setup(void **state)
{
	(void)state;
	memset(&desired, 0, sizeof(desired));
	memset(&memory, 0, sizeof(memory));
	memset(&actual, 0, sizeof(actual));
	desired.generation = 5;
	desired.vms = (struct proto_list){want, 4, 0};
	desired.images = (struct proto_list){want_images, 4, 1};
	strcpy(want_images[0].sha256, KERNEL);
	actual.vms = vms;
	actual.images = images;
	actual.now_ms = 1000;
	actual.wall_ms = 1700000000000;
	nr_done = 0;
	refuse_handle = 0;
	next_handle = 1;
	return 0;
}

static void remove_vm(uint32_t at)
{
	vms[at] = vms[--actual.nr_vms];
}

static enum hv_err obey(const struct sync_action *a)
{
	struct ctl_vm_info *vm = NULL;
	uint32_t i;

	for (i = 0; i < actual.nr_vms; i++)
		if (vms[i].handle == a->handle)
			vm = &vms[i];
	switch (a->kind) {
	case SYNC_CREATE:
		assert_int_equal(a->handle,
				 0); /* the kernel wants what a command does not take to be zero */
		vm = &vms[actual.nr_vms++];
		*vm = (struct ctl_vm_info){
			.handle = next_handle++, .state = CTL_VM_CREATED, .epoch = a->config.epoch};
		memcpy(vm->uuid, a->config.uuid, 16);
		break;
	case SYNC_IMAGE_DELETE:
		for (i = 0; images[i].handle != a->handle; i++)
			;
		images[i] = images[--actual.nr_images];
		break;
	case SYNC_START:
		if (vm->handle == refuse_handle)
			return HV_ENOMEM;
		vm->state = CTL_VM_RUNNING;
		vm->boots++;
		break;
	case SYNC_RESET:
		vm->state = CTL_VM_RUNNING;
		vm->boots++;
		break;
	case SYNC_STOP:
		vm->state = CTL_VM_STOPPED;
		break;
	case SYNC_PAUSE:
		vm->state = CTL_VM_PAUSED;
		break;
	case SYNC_RESUME:
		vm->state = CTL_VM_RUNNING;
		break;
	case SYNC_DESTROY:
		vm->state = CTL_VM_DESTROYED;
		break;
	default:
		fail();
	}
	return HV_OK;
}

/* Until there is nothing to do; gives what was done since the last time. */
static unsigned settle(void)
{
	static struct sync_action action;
	enum hv_err err;

	for (nr_done = 0; nr_done < ARRAY_SIZE(done); nr_done++) {
		sync_next(&memory, &desired, &actual, &action);
		if (action.kind == SYNC_NOTHING)
			return nr_done;
		done[nr_done] = action.kind;
		err = obey(&action);
		sync_done(&memory, &desired, &action, err, err == HV_OK ? "" : "no room",
			  actual.now_ms, actual.wall_ms);
	}
	fail_msg("it never settles");
	return 0;
}

static void assert_done(const enum sync_kind *kinds, unsigned nr)
{
	unsigned i;

	assert_int_equal(settle(), nr);
	for (i = 0; i < nr; i++)
		assert_int_equal(done[i], kinds[i]);
}
#define DID(...)                                                                                   \
	assert_done((const enum sync_kind[]){__VA_ARGS__},                                         \
		    sizeof((const enum sync_kind[]){__VA_ARGS__}) / sizeof(enum sync_kind))
#define DID_NOTHING() assert_int_equal(settle(), 0)

static void creates_and_starts_once(void **state)
{
	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	DID(SYNC_CREATE, SYNC_START);
	DID_NOTHING();
	assert_int_equal(memory.generation, 5);
	assert_int_equal(vms[0].boots, 1);
}

static void hands_the_kernel_a_full_configuration(void **state)
{
	struct desired_vm *vm = add_vm(ID("01"), VM_DESIRED_RUNNING);
	struct sync_action action;

	(void)state;
	vm->cap_percent = 50;
	vm->tsc_khz = 2500000;
	strcpy(vm->boot.initrd, INITRD);
	strcpy(want_images[1].sha256, INITRD);
	desired.images.nr = 2;
	add_image(KERNEL, true);
	add_image(INITRD, true);
	sync_next(&memory, &desired, &actual, &action);
	assert_int_equal(action.kind, SYNC_CREATE);
	assert_string_equal(action.config.name, "vm1");
	assert_int_equal(action.config.mem_bytes, 256 * MIB); /* up to whole 2 MiB */
	assert_int_equal(action.config.nr_vcpus, 1);
	assert_int_equal(action.config.weight, 100);
	assert_int_equal(action.config.cap_percent, 50);
	assert_int_equal(action.config.tsc_khz, 2500000);
	assert_int_equal(action.config.boot_kind, CTL_BOOT_LINUX);
	assert_int_equal(action.config.kernel_image, 101);
	assert_int_equal(action.config.initrd_image, 102);
	assert_int_equal(action.config.epoch, 1);
	assert_int_equal(action.config.nr_nics, 1);
	assert_memory_equal(action.config.nics[0].mac, "\x52\x54\x00\x12\x34\x56", 6);
	assert_string_equal(action.config.cmdline, "quiet");
}

static void waits_for_its_images(void **state)
{
	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	DID_NOTHING();
	add_image(KERNEL, false);
	DID_NOTHING();
	images[0].is_sealed = 1;
	DID(SYNC_CREATE, SYNC_START);
}

static void destroys_before_it_creates(void **state)
{
	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	settle();
	strcpy(want[0].id, ID("02"));
	DID(SYNC_DESTROY, SYNC_CREATE, SYNC_START);
	DID_NOTHING(); /* a destroyed one that is not forgotten yet is left alone */
}

static void waits_with_a_new_epoch_until_the_old_is_forgotten(void **state)
{
	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	settle();
	want[0].epoch = 2;
	DID(SYNC_DESTROY);
	DID_NOTHING();
	remove_vm(0);
	DID(SYNC_CREATE, SYNC_START);
	assert_int_equal(vms[0].epoch, 2);
}

static void stops_and_starts_as_desired(void **state)
{
	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	settle();
	want[0].state = VM_DESIRED_STOPPED;
	DID(SYNC_STOP);
	DID_NOTHING();
	want[0].state = VM_DESIRED_RUNNING;
	DID(SYNC_START);
}

static void makes_no_vm_that_shall_be_stopped(void **state)
{
	(void)state;
	add_vm(ID("01"), VM_DESIRED_STOPPED);
	add_image(KERNEL, true);
	DID_NOTHING();
}

static void pauses_and_resumes(void **state)
{
	(void)state;
	add_vm(ID("01"), VM_DESIRED_PAUSED);
	add_image(KERNEL, true);
	DID(SYNC_CREATE, SYNC_START, SYNC_PAUSE);
	want[0].state = VM_DESIRED_RUNNING;
	DID(SYNC_RESUME);
}

static void leaves_a_guest_that_ended_by_itself(void **state)
{
	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	settle();
	vms[0].state = CTL_VM_CRASHED;
	DID_NOTHING();
	vms[0].state = CTL_VM_STOPPED;
	DID_NOTHING();
	want[0].restart = 2; /* until it is restarted */
	DID(SYNC_START);
	DID_NOTHING();
}

static void resets_when_restart_grows_and_only_then(void **state)
{
	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	settle();
	want[0].restart = 7;
	DID(SYNC_RESET);
	DID_NOTHING();
	want[0].restart = 3;
	DID_NOTHING();
}

static void forgets_nothing_when_the_agent_was_reset(void **state)
{
	struct sync_memory kept;

	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	settle();
	want[0].restart = 2;
	settle();
	kept = memory;
	memset(&memory, 0xaa, sizeof(memory));
	memory = kept;
	DID_NOTHING();
	want[0].state = VM_DESIRED_STOPPED;
	settle();
	memset(&memory, 0, sizeof(memory)); /* nothing kept at all: no wild resets either */
	want[0].state = VM_DESIRED_STOPPED;
	DID_NOTHING();
}

static void holds_up_no_other_vm_with_a_failure(void **state)
{
	struct report_vm rows[4];

	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_vm(ID("02"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	refuse_handle = 1;
	DID(SYNC_CREATE, SYNC_START, SYNC_CREATE, SYNC_START);
	assert_int_equal(vms[1].state, CTL_VM_RUNNING);
	assert_int_equal(sync_report(&memory, &desired, &actual, 0, NULL, NULL, rows, 4), 2);
	assert_int_equal(rows[0].state, VM_STATE_FAILED);
	assert_string_equal(rows[0].reason, "no room");
	assert_int_equal(rows[1].state, VM_STATE_RUNNING);
	DID_NOTHING();
	refuse_handle = 0;
	actual.now_ms += SYNC_RETRY_MS;
	DID(SYNC_START);
}

static void tries_a_failure_again_with_a_new_document(void **state)
{
	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	refuse_handle = 1;
	settle();
	refuse_handle = 0;
	DID_NOTHING();
	desired.generation++;
	DID(SYNC_START);
}

static const char *bad_hash(void *arg, const char *sha256)
{
	(void)arg;
	return strcmp(sha256, KERNEL) == 0 ? "hash is wrong" : NULL;
}

static const char *on_its_way(void *arg, const char *sha256)
{
	(void)arg;
	(void)sha256;
	return NULL;
}

/* One step; a start comes not to its end. Which VM's start it was, 0 for another step. */
static uint32_t start_some(void)
{
	struct sync_action action;
	bool is_start;

	sync_next(&memory, &desired, &actual, &action);
	is_start = action.kind == SYNC_START;
	assert_int_not_equal(action.kind, SYNC_NOTHING);
	sync_done(&memory, &desired, &action, is_start ? HV_EAGAIN : obey(&action),
		  "64 MiB are left", actual.now_ms, actual.wall_ms);
	return is_start ? action.handle : 0;
}

static const struct report_vm *reported(uint32_t nr)
{
	static struct report_vm rows[4];

	assert_int_equal(sync_report(&memory, &desired, &actual, 0, on_its_way, NULL, rows, 4), nr);
	return rows;
}

/* Both VMs' memory is being cleared: they take turns, and say how far they are. */
static void lets_vms_take_turns_while_their_memory_is_cleared(void **state)
{
	uint32_t last = 0, now;

	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_vm(ID("02"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	while (actual.nr_vms < 2)
		start_some();
	for (unsigned i = 0; i < 6; i++, last = now) {
		now = start_some();
		assert_int_not_equal(now, 0);
		assert_int_not_equal(now, last);
	}
	assert_int_equal(reported(2)->state, VM_STATE_CREATING);
	assert_string_equal(reported(2)->reason, "64 MiB are left");
	DID(SYNC_START, SYNC_START);
	assert_int_equal(reported(2)->state, VM_STATE_RUNNING);
	assert_string_equal(reported(2)->reason, "");
}

static void forgets_what_a_vm_waited_for_when_it_is_not_wanted(void **state)
{
	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	start_some();
	assert_int_not_equal(start_some(), 0);
	assert_string_equal(reported(1)->reason, "64 MiB are left");
	want[0].state = VM_DESIRED_STOPPED;
	desired.generation++;
	DID_NOTHING();
	assert_string_equal(reported(1)->reason, "");
}

static void deletes_images_that_nothing_wants(void **state)
{
	(void)state;
	add_image(KERNEL, true);
	add_image(INITRD, true);
	DID(SYNC_IMAGE_DELETE);
	assert_int_equal(actual.nr_images, 1);
	desired.images.nr = 0;
	images[0].users = 1;
	DID_NOTHING();
}

static void waits_after_an_image_that_cannot_be_deleted(void **state)
{
	struct sync_action action;

	(void)state;
	add_image(INITRD, true);
	sync_next(&memory, &desired, &actual, &action);
	assert_int_equal(action.kind, SYNC_IMAGE_DELETE);
	sync_done(&memory, &desired, &action, HV_EBUSY, "", actual.now_ms, actual.wall_ms);
	DID_NOTHING();
	actual.now_ms += SYNC_RETRY_MS;
	DID(SYNC_IMAGE_DELETE);
}

static void takes_no_such_thing_for_done_only_where_it_shall_go(void **state)
{
	struct sync_action action;

	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	sync_next(&memory, &desired, &actual, &action);
	assert_int_equal(action.kind, SYNC_CREATE);
	sync_done(&memory, &desired, &action, HV_ENOENT, "no such image", actual.now_ms,
		  actual.wall_ms);
	DID_NOTHING();
	assert_true(sync_is_done(&(struct sync_action){.kind = SYNC_DESTROY}, HV_ENOENT));
	assert_true(sync_is_done(&(struct sync_action){.kind = SYNC_CREATE}, HV_EEXIST));
	assert_false(sync_is_done(&(struct sync_action){.kind = SYNC_DESTROY}, HV_EIO));
}

static void reports_what_is_missing(void **state)
{
	struct report_vm rows[4];

	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_vm(ID("02"), VM_DESIRED_STOPPED);
	settle();
	assert_int_equal(sync_report(&memory, &desired, &actual, 0, on_its_way, NULL, rows, 4), 2);
	assert_int_equal(rows[0].state, VM_STATE_CREATING);
	assert_int_equal(rows[1].state, VM_STATE_STOPPED);
	sync_report(&memory, &desired, &actual, 0, bad_hash, NULL, rows, 4);
	assert_int_equal(rows[0].state, VM_STATE_FAILED);
	assert_string_equal(rows[0].reason, "hash is wrong");
}

static void reports_one_time_for_one_state(void **state)
{
	struct report_vm rows[4];

	(void)state;
	add_vm(ID("01"), VM_DESIRED_RUNNING);
	add_image(KERNEL, true);
	settle();
	vms[0].state_since_ns = 5 * NSEC_PER_SEC;
	sync_report(&memory, &desired, &actual, 7 * NSEC_PER_SEC, on_its_way, NULL, rows, 4);
	assert_int_equal(rows[0].since_ms, 1700000000000 - 2000);
	actual.wall_ms += 12345; /* the clock is corrected */
	sync_report(&memory, &desired, &actual, 8 * NSEC_PER_SEC, on_its_way, NULL, rows, 4);
	assert_int_equal(rows[0].since_ms, 1700000000000 - 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(creates_and_starts_once, setup),
		cmocka_unit_test_setup(hands_the_kernel_a_full_configuration, setup),
		cmocka_unit_test_setup(waits_for_its_images, setup),
		cmocka_unit_test_setup(destroys_before_it_creates, setup),
		cmocka_unit_test_setup(waits_with_a_new_epoch_until_the_old_is_forgotten, setup),
		cmocka_unit_test_setup(stops_and_starts_as_desired, setup),
		cmocka_unit_test_setup(makes_no_vm_that_shall_be_stopped, setup),
		cmocka_unit_test_setup(pauses_and_resumes, setup),
		cmocka_unit_test_setup(leaves_a_guest_that_ended_by_itself, setup),
		cmocka_unit_test_setup(resets_when_restart_grows_and_only_then, setup),
		cmocka_unit_test_setup(forgets_nothing_when_the_agent_was_reset, setup),
		cmocka_unit_test_setup(holds_up_no_other_vm_with_a_failure, setup),
		cmocka_unit_test_setup(tries_a_failure_again_with_a_new_document, setup),
		cmocka_unit_test_setup(lets_vms_take_turns_while_their_memory_is_cleared, setup),
		cmocka_unit_test_setup(forgets_what_a_vm_waited_for_when_it_is_not_wanted, setup),
		cmocka_unit_test_setup(deletes_images_that_nothing_wants, setup),
		cmocka_unit_test_setup(waits_after_an_image_that_cannot_be_deleted, setup),
		cmocka_unit_test_setup(takes_no_such_thing_for_done_only_where_it_shall_go, setup),
		cmocka_unit_test_setup(reports_what_is_missing, setup),
		cmocka_unit_test_setup(reports_one_time_for_one_state, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
