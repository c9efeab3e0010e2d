/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver and a device on two threads, each asleep until the other notifies it. When one
 * notification is lost, both sleep for ever; here, until a deadline. It finds looks and wishes in
 * the wrong order; a missing fence alone shows too seldom on a strongly ordered CPU to be found.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <pthread.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "tests/unit/support/vdriver.h"
#include "vmm/dev/vring.h"

#define SIZE	   8u
#define CHAINS	   30000u
#define RINGS	   0x1000ull
#define BUF	   0x8000ull
#define DEADLINE_S 60

static struct vring vring;
static struct vdriver_queue driver;
static struct vring_chain chain;
static bool kicked, interrupted, is_over; /* atomic */

/* False: nobody called in time. */
static bool sleep_until(bool *flag)
{
	time_t deadline = time(NULL) + DEADLINE_S;

	while (!__atomic_exchange_n(flag, false, __ATOMIC_SEQ_CST)) {
		if (__atomic_load_n(&is_over, __ATOMIC_SEQ_CST) || time(NULL) > deadline)
			return false;
		sched_yield();
	}
	return true;
}

static void work_off(void)
{
	lock_take(&vring.lock);
	for (uint16_t nr = vring_arm(&vring); nr && vring_pop(&vring, &chain); nr--)
		vring_put(&vring, chain.head, 4);
	if (vring_flush(&vring))
		__atomic_store_n(&interrupted, true, __ATOMIC_SEQ_CST);
	lock_release(&vring.lock);
}

static void *run_device(void *arg)
{
	while (sleep_until(&kicked))
		work_off();
	return arg;
}

static void add_and_kick(void)
{
	uint16_t before = driver.avail_idx;

	vdriver_add(&driver, &(struct vdriver_buf){BUF, 4, true}, 1);
	/* The available index before a look at avail_event. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vdriver_avail_event(&driver) == before)
		__atomic_store_n(&kicked, true, __ATOMIC_SEQ_CST);
}

static uint32_t take_all(void)
{
	uint32_t head, len, nr = 0;

	while (vdriver_take(&driver, &head, &len))
		nr++;
	return nr;
}

/* What came back, asleep until something did; 0: a notification was lost. */
static uint32_t wait_for_some(void)
{
	uint32_t nr = take_all();

	while (nr == 0) {
		vdriver_set_used_event(&driver, driver.used_idx);
		/* Our wish before a last look at the used index. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		nr = take_all();
		if (nr == 0 && !sleep_until(&interrupted))
			return 0;
		nr += take_all();
	}
	return nr;
}

static void loses_no_notification(void **state)
{
	struct vm *vm = fake_vm_create(GMEM_CHUNK, 0);
	uint32_t added = 0, back = 0;
	pthread_t device;

	(void)state;
	vring_init(&vring, vm_memory(vm));
	vdriver_queue_init(&driver, vm_memory(vm), SIZE, RINGS);
	lock_take(&vring.lock);
	assert_int_equal(vring_setup(&vring, SIZE, driver.desc_gpa, driver.avail_gpa,
				     driver.used_gpa, VIRTIO_F_EVENT_IDX),
			 HV_OK);
	vring.is_live = true;
	lock_release(&vring.lock);
	assert_int_equal(pthread_create(&device, NULL, run_device, NULL), 0);

	while (back < CHAINS) {
		uint32_t some;

		for (; added - back < SIZE; added++)
			add_and_kick();
		some = wait_for_some();
		if (some == 0)
			break;
		back += some;
	}
	__atomic_store_n(&is_over, true, __ATOMIC_SEQ_CST);
	assert_int_equal(pthread_join(device, NULL), 0);
	assert_null(vring.broken_why);
	assert_true(back >= CHAINS);
	fake_vm_destroy(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(loses_no_notification)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
