/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's side of a virtqueue, with this program as the device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/port/virtqueue.h"

static struct vq_rings rings;
static struct vq q;
static uint16_t seen; /* of the available ring */

static int setup(void **state)
{
	(void)state;
	memset(&rings, 0, sizeof(rings));
	seen = 0;
	vq_init(&q, &rings, 8);
	return 0;
}

static uint16_t next_available(void)
{
	assert_int_not_equal(seen, rings.avail.idx);
	return rings.avail.ring[seen++ % q.size];
}

static void use(uint32_t id, uint32_t len)
{
	rings.used.ring[rings.used.idx % q.size].id = id;
	rings.used.ring[rings.used.idx % q.size].len = len;
	rings.used.idx++;
}

static void builds_a_chain(void **state)
{
	char out[3], in[5];
	struct vq_part parts[] = {{out, 3}, {in, 5}};
	uint32_t len;
	uint16_t head;

	(void)state;
	assert_int_equal(vq_add(&q, parts, 1, 1, out), HV_OK);
	head = next_available();
	assert_int_equal(rings.desc[head].addr, (uintptr_t)out);
	assert_int_equal(rings.desc[head].len, 3);
	assert_int_equal(rings.desc[head].flags, VQ_DESC_F_NEXT);
	assert_int_equal(rings.desc[rings.desc[head].next].addr, (uintptr_t)in);
	assert_int_equal(rings.desc[rings.desc[head].next].flags, VQ_DESC_F_WRITE);
	assert_null(vq_get(&q, &len));
	use(head, 4);
	assert_ptr_equal(vq_get(&q, &len), out);
	assert_int_equal(len, 4);
	assert_null(vq_get(&q, &len));
}

static void says_when_it_is_full_and_recovers(void **state)
{
	char bytes[8];
	struct vq_part parts[] = {{bytes, 1}, {bytes, 1}, {bytes, 1}};
	uint16_t heads[2];
	uint32_t len;
	int i;

	(void)state;
	assert_int_equal(vq_add(&q, parts, 1, 2, &bytes[0]), HV_OK);
	assert_int_equal(vq_add(&q, parts, 1, 2, &bytes[1]), HV_OK);
	assert_int_equal(vq_add(&q, parts, 1, 2, &bytes[2]), HV_EBUSY);
	heads[0] = next_available();
	heads[1] = next_available();
	for (i = 0; i < 20; i++) { /* in the other order, again and again, past the ring's end */
		use(heads[1], 2);
		assert_ptr_equal(vq_get(&q, &len), &bytes[1]);
		assert_int_equal(vq_add(&q, parts, 1, 2, &bytes[1]), HV_OK);
		heads[1] = next_available();
	}
	assert_int_equal(q.nr_free, 2);
	use(heads[0], 0);
	assert_ptr_equal(vq_get(&q, &len), &bytes[0]);
	assert_int_equal(q.nr_free, 5);
}

static void breaks(uint32_t id, uint32_t len)
{
	char bytes[4];
	struct vq_part part = {bytes, 4};
	uint32_t got;

	setup(NULL);
	assert_int_equal(vq_add(&q, &part, 0, 1, bytes), HV_OK);
	use(id, len);
	assert_null(vq_get(&q, &got));
	assert_true(q.is_broken);
	assert_int_equal(vq_add(&q, &part, 0, 1, bytes), HV_EIO);
}

static void breaks_on_what_cannot_be(void **state)
{
	(void)state;
	breaks(8, 1); /* no such descriptor */
	breaks(UINT32_MAX, 1);
	breaks(3, 1); /* not offered */
	breaks(0, 5); /* more written than there was room */
}

static void refuses_the_same_chain_twice(void **state)
{
	char bytes[4];
	struct vq_part part = {bytes, 4};
	uint32_t len;
	uint16_t head;

	(void)state;
	assert_int_equal(vq_add(&q, &part, 0, 1, bytes), HV_OK);
	head = next_available();
	use(head, 1);
	use(head, 1);
	assert_ptr_equal(vq_get(&q, &len), bytes);
	assert_null(vq_get(&q, &len));
	assert_true(q.is_broken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(builds_a_chain, setup),
		cmocka_unit_test_setup(says_when_it_is_full_and_recovers, setup),
		cmocka_unit_test_setup(breaks_on_what_cannot_be, setup),
		cmocka_unit_test_setup(refuses_the_same_chain_twice, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
