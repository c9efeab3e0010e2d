/* SPDX-License-Identifier: Apache-2.0 */
/* What a virtio disk's configuration means, and its queue of requests with the test as device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/virtio_blk.h"

#define RING_BUS      0x10000000ull
#define SLOTS_BUS     0x20000000ull
#define SEG_HPA	      0x30000000ull
#define SIZE	      256u
#define STATUS_OFFSET offsetof(struct virtio_blk_slot, status)

static struct virtq q;
static struct virtio_blk_queue queue;
static struct virtio_blk_slot *slots;
static uint8_t *memory;
static struct virtq_layout layout;
static const struct virtq_shape shape = {
	.size = SIZE, .table_max = VIRTIO_BLK_PIECES, .nr_tables = VIRTIO_BLK_SLOTS};
static struct block_seg segs[BLOCK_SEGS_MAX];

static int make(void **state)
{
	(void)state;
	layout = virtq_layout(&shape);
	memory = aligned_alloc(4096, ALIGN_UP(layout.len_bytes, 4096));
	slots = aligned_alloc(4096, ALIGN_UP(VIRTIO_BLK_SLOTS_BYTES, 4096));
	memset(slots, 0xa5, VIRTIO_BLK_SLOTS_BYTES);
	virtq_init(&q, memory, RING_BUS, &shape);
	virtio_blk_init(&queue, &q, slots, SLOTS_BUS, 512);
	for (uint32_t i = 0; i < BLOCK_SEGS_MAX; i++)
		segs[i] = (struct block_seg){SEG_HPA + 0x10000 * i, 512};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(memory);
	free(slots);
	return 0;
}

/* ---- the device ---- */

static uint16_t head_of(uint16_t n)
{
	return ((uint16_t *)(memory + layout.avail))[VIRTQ_RING + n % SIZE];
}

/* The table of the nth chain that was added, and how many descriptors it has. */
static struct virtq_desc *table_of(uint16_t n, uint32_t *nr)
{
	struct virtq_desc *head = (struct virtq_desc *)memory + head_of(n);

	assert_int_equal(head->flags, VIRTQ_DESC_F_INDIRECT);
	*nr = head->len_bytes / 16;
	return (struct virtq_desc *)(memory + (head->bus - RING_BUS));
}

static struct virtio_blk_slot *slot_of(uint16_t n)
{
	uint32_t nr;

	return slots + (table_of(n, &nr)->bus - SLOTS_BUS) / sizeof(*slots);
}

static void finish(uint16_t n, uint8_t status, uint32_t len)
{
	uint16_t *used = (uint16_t *)(memory + layout.used);
	uint32_t *entry = (uint32_t *)(used + VIRTQ_RING) + 2 * (used[VIRTQ_IDX] % SIZE);

	slot_of(n)->status = status;
	entry[0] = head_of(n);
	entry[1] = len;
	used[VIRTQ_IDX]++;
}

/* ---- configuration ---- */

static enum hv_err identify(const struct virtio_blk_config *config, struct block_dev *disk)
{
	*disk = (struct block_dev){0};
	return virtio_blk_identify(config, 130, disk);
}

static void knows_a_plain_disk(void **state)
{
	struct virtio_blk_config config = {.capacity = 2049};
	struct block_dev disk;

	(void)state;
	assert_int_equal(identify(&config, &disk), HV_OK);
	assert_int_equal(disk.sector_bytes, 512);
	assert_int_equal(disk.nr_sectors, 2049);
	assert_false(disk.has_volatile_cache || disk.is_read_only);
	assert_int_equal(disk.limits.max_segs, 1);
	assert_int_equal(disk.limits.max_bytes, 1 << 20);
	assert_int_equal(disk.limits.max_discard_sectors, 0);
}

static void knows_a_disk_that_can_everything(void **state)
{
	struct virtio_blk_config config = {
		.features = VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE |
			    VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_RO,
		.capacity = 4096 + 7,
		.blk_size = 4096,
		.size_max = 70000,
		.seg_max = 254,
		.max_discard_sectors = 8191,
	};
	struct block_dev disk;

	(void)state;
	assert_int_equal(identify(&config, &disk), HV_OK);
	assert_int_equal(disk.sector_bytes, 4096);
	assert_int_equal(disk.nr_sectors, 512);
	assert_true(disk.has_volatile_cache && disk.is_read_only);
	assert_int_equal(disk.limits.max_segs, 128);
	assert_int_equal(disk.limits.max_bytes, 17 * 4096);
	assert_int_equal(disk.limits.max_discard_sectors, 1023);
}

static void takes_sectors_between_512_and_4096_for_the_larger(void **state)
{
	struct virtio_blk_config config = {
		.features = VIRTIO_BLK_F_BLK_SIZE, .capacity = 800, .blk_size = 2048};
	struct block_dev disk;

	(void)state;
	assert_int_equal(identify(&config, &disk), HV_OK);
	assert_int_equal(disk.sector_bytes, 4096);
	assert_int_equal(disk.nr_sectors, 100);
}

static void refuses_what_makes_no_sense(void **state)
{
	static const uint32_t sizes[] = {0, 256, 513, 3072, 8192, ~0u};
	struct virtio_blk_config config = {.capacity = 800, .features = VIRTIO_BLK_F_BLK_SIZE};
	struct block_dev disk;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		config.blk_size = sizes[i];
		assert_int_equal(identify(&config, &disk), HV_ENOTSUP);
	}
	config.features = VIRTIO_BLK_F_SEG_MAX;
	assert_int_equal(identify(&config, &disk), HV_ENOTSUP); /* seg_max 0 */
	config.features = VIRTIO_BLK_F_SIZE_MAX;
	config.size_max = 511;
	assert_int_equal(identify(&config, &disk), HV_ENOTSUP);
	config.features = 0;
	assert_int_equal(virtio_blk_identify(&config, 2, &disk), HV_ENOTSUP);
}

static void keeps_segments_within_a_chain(void **state)
{
	struct virtio_blk_config config = {.features = VIRTIO_BLK_F_SEG_MAX, .seg_max = 126};
	struct block_dev disk = {0};

	(void)state;
	assert_int_equal(virtio_blk_identify(&config, 16, &disk), HV_OK);
	assert_int_equal(disk.limits.max_segs, 14);
}

static void makes_text_of_any_identity(void **state)
{
	static const uint8_t full[20] = "01234567890123456789";
	static const uint8_t odd[20] = {'a', 0xff, '\n', 'b', 0, 'c'};
	char out[48], small[4];

	(void)state;
	virtio_blk_text(full, out, sizeof(out));
	assert_string_equal(out, "01234567890123456789");
	virtio_blk_text(odd, out, sizeof(out));
	assert_string_equal(out, "a??b");
	virtio_blk_text(full, small, sizeof(small));
	assert_string_equal(small, "012");
}

/* ---- requests ---- */

static struct block_request request(enum block_op op, uint32_t nr_segs)
{
	return (struct block_request){.op = op,
				      .sector = op == BLOCK_FLUSH ? 0 : 1000,
				      .nr_sectors = op == BLOCK_FLUSH ? 0 : 8,
				      .segs = segs,
				      .nr_segs = nr_segs};
}

static void put(struct block_request *req)
{
	assert_int_equal(virtio_blk_put(&queue, req), HV_OK);
}

static void has_header(uint16_t n, uint32_t type, uint64_t sector)
{
	assert_int_equal(slot_of(n)->header.type, type);
	assert_int_equal(slot_of(n)->header.reserved, 0);
	assert_int_equal(slot_of(n)->header.sector, sector);
	assert_int_equal(slot_of(n)->status, 0xff);
}

static void reads_into_the_segments(void **state)
{
	struct block_request req = request(BLOCK_READ, 2);
	struct virtq_desc *table;
	uint32_t nr;

	(void)state;
	put(&req);
	table = table_of(0, &nr);
	assert_int_equal(nr, 4);
	has_header(0, 0, 1000);
	assert_int_equal(table[0].len_bytes, 16);
	assert_int_equal(table[0].flags, VIRTQ_DESC_F_NEXT);
	assert_int_equal(table[1].bus, SEG_HPA);
	assert_int_equal(table[1].flags, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE);
	assert_int_equal(table[2].bus, SEG_HPA + 0x10000);
	assert_int_equal(table[2].len_bytes, 512);
	assert_int_equal(table[3].bus, table[0].bus + STATUS_OFFSET);
	assert_int_equal(table[3].len_bytes, 1);
	assert_int_equal(table[3].flags, VIRTQ_DESC_F_WRITE);
}

static void writes_from_the_segments(void **state)
{
	struct block_request req = request(BLOCK_WRITE, 128);
	struct virtq_desc *table;
	uint32_t nr;

	(void)state;
	put(&req);
	table = table_of(0, &nr);
	assert_int_equal(nr, 130);
	has_header(0, 1, 1000);
	assert_int_equal(table[128].flags, VIRTQ_DESC_F_NEXT);
	assert_int_equal(table[129].flags, VIRTQ_DESC_F_WRITE);
}

static void flushes_and_discards(void **state)
{
	struct block_request flush = request(BLOCK_FLUSH, 0), discard = request(BLOCK_DISCARD, 0);
	struct virtq_desc *table;
	uint32_t nr;

	(void)state;
	put(&flush);
	table_of(0, &nr);
	assert_int_equal(nr, 2);
	has_header(0, 4, 0);
	put(&discard);
	table = table_of(1, &nr);
	assert_int_equal(nr, 3);
	has_header(1, 11, 0);
	assert_int_equal(table[1].len_bytes, 16);
	assert_int_equal(table[1].flags, VIRTQ_DESC_F_NEXT);
	assert_int_equal(slot_of(1)->range.sector, 1000);
	assert_int_equal(slot_of(1)->range.nr_sectors, 8);
	assert_int_equal(slot_of(1)->range.flags, 0);
}

static void counts_in_units_of_512_bytes(void **state)
{
	struct block_request read = request(BLOCK_READ, 1), discard = request(BLOCK_DISCARD, 0);

	(void)state;
	virtio_blk_init(&queue, &q, slots, SLOTS_BUS, 4096);
	put(&read);
	put(&discard);
	has_header(0, 0, 8000);
	assert_int_equal(slot_of(1)->range.sector, 8000);
	assert_int_equal(slot_of(1)->range.nr_sectors, 64);
}

static void asks_who_the_disk_is(void **state)
{
	struct block_request id = {.op = BLOCK_READ};
	enum hv_err status = HV_EBUSY;
	struct virtq_desc *table;
	uint32_t nr;

	(void)state;
	assert_int_equal(virtio_blk_put_id(&queue, &id), HV_OK);
	table = table_of(0, &nr);
	assert_int_equal(nr, 3);
	has_header(0, 8, 0);
	assert_int_equal(table[1].len_bytes, 20);
	assert_int_equal(table[1].flags, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE);
	assert_int_equal(table[1].bus, table[0].bus + offsetof(struct virtio_blk_slot, id));
	finish(0, 0, 21);
	assert_ptr_equal(virtio_blk_take(&queue, &status), &id);
	assert_int_equal(status, HV_OK);
}

static void ends_each_request_with_its_own_status(void **state)
{
	struct block_request reqs[4];
	enum hv_err status;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		reqs[i] = request(BLOCK_READ, 1);
		put(&reqs[i]);
	}
	finish(2, 1, 1); /* VIRTIO_BLK_S_IOERR */
	finish(0, 0, 513);
	finish(3, 2, 1);    /* VIRTIO_BLK_S_UNSUPP */
	finish(1, 0xff, 0); /* finished without a status */
	assert_ptr_equal(virtio_blk_take(&queue, &status), &reqs[2]);
	assert_int_equal(status, HV_EIO);
	assert_ptr_equal(virtio_blk_take(&queue, &status), &reqs[0]);
	assert_int_equal(status, HV_OK);
	assert_ptr_equal(virtio_blk_take(&queue, &status), &reqs[3]);
	assert_int_equal(status, HV_EIO);
	assert_ptr_equal(virtio_blk_take(&queue, &status), &reqs[1]);
	assert_int_equal(status, HV_EIO);
	assert_null(virtio_blk_take(&queue, &status));
}

static void does_not_mind_a_device_that_says_it_wrote_less(void **state)
{
	struct block_request req = request(BLOCK_READ, 1);
	enum hv_err status;

	(void)state;
	put(&req);
	finish(0, 0, 1);
	assert_ptr_equal(virtio_blk_take(&queue, &status), &req);
	assert_int_equal(status, HV_OK);
}

static void has_so_many_slots_and_no_more(void **state)
{
	static struct block_request reqs[VIRTIO_BLK_SLOTS + 1];
	enum hv_err status;

	(void)state;
	for (uint32_t i = 0; i < VIRTIO_BLK_SLOTS; i++) {
		reqs[i] = request(BLOCK_WRITE, 128);
		put(&reqs[i]);
	}
	reqs[VIRTIO_BLK_SLOTS] = request(BLOCK_READ, 1);
	assert_int_equal(virtio_blk_put(&queue, &reqs[VIRTIO_BLK_SLOTS]), HV_EBUSY);
	assert_int_equal(virtio_blk_put_id(&queue, &reqs[VIRTIO_BLK_SLOTS]), HV_EBUSY);
	finish(17, 0, 1);
	assert_ptr_equal(virtio_blk_take(&queue, &status), &reqs[17]);
	put(&reqs[VIRTIO_BLK_SLOTS]);
	assert_int_equal(reqs[VIRTIO_BLK_SLOTS].slot, reqs[17].slot);
}

static void takes_nothing_when_the_ring_is_broken(void **state)
{
	struct block_request req = request(BLOCK_READ, 1);
	enum hv_err status;

	(void)state;
	put(&req);
	finish(0, 0, 514); /* one more than it had room for */
	assert_null(virtio_blk_take(&queue, &status));
	assert_int_equal(virtio_blk_put(&queue, &req), HV_EIO);
	assert_int_equal(queue.nr_free, VIRTIO_BLK_SLOTS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_a_plain_disk),
		cmocka_unit_test(knows_a_disk_that_can_everything),
		cmocka_unit_test(takes_sectors_between_512_and_4096_for_the_larger),
		cmocka_unit_test(refuses_what_makes_no_sense),
		cmocka_unit_test(keeps_segments_within_a_chain),
		cmocka_unit_test(makes_text_of_any_identity),
		cmocka_unit_test_setup_teardown(reads_into_the_segments, make, tear_down),
		cmocka_unit_test_setup_teardown(writes_from_the_segments, make, tear_down),
		cmocka_unit_test_setup_teardown(flushes_and_discards, make, tear_down),
		cmocka_unit_test_setup_teardown(counts_in_units_of_512_bytes, make, tear_down),
		cmocka_unit_test_setup_teardown(asks_who_the_disk_is, make, tear_down),
		cmocka_unit_test_setup_teardown(ends_each_request_with_its_own_status, make,
						tear_down),
		cmocka_unit_test_setup_teardown(does_not_mind_a_device_that_says_it_wrote_less,
						make, tear_down),
		cmocka_unit_test_setup_teardown(has_so_many_slots_and_no_more, make, tear_down),
		cmocka_unit_test_setup_teardown(takes_nothing_when_the_ring_is_broken, make,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
