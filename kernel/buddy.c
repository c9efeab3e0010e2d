/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block of order o is 2^o pages; its buddy is the block whose index differs in bit o alone. Free
 * blocks lie on one list for each order and cleanness:
 *
 *     index    0   1   2   3   4   5   6   7
 *              |USED 0|free|FREE  1|FREE       2 ..|
 *                   0
 *
 * Two free buddies become one only when both are clean or both are dirty: merging a scrubbed 512
 * MiB with one dirty page would throw the scrubbing away. The scrubber brings them together in
 * time, and an allocation that would fail otherwise merges them at once (merge_mixed).
 */
#include "kernel/buddy.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

#define ORDER_2M 9

/* State of a block's first page; all other pages are NO_BLOCK, as is what is not RAM. */
enum { NO_BLOCK, FREE_DIRTY, FREE_CLEAN, USED, SCRUBBING };
static_assert(FREE_DIRTY + BUDDY_CLEAN == FREE_CLEAN, "a free state is FREE_DIRTY + clean");

uint64_t buddy_array_bytes(uint64_t nr_pages)
{
	return nr_pages * sizeof(struct buddy_page);
}

void buddy_init(struct buddy *b, void *pages, uint32_t nr_pages)
{
	memset(b, 0, sizeof(*b));
	memset(b->free, 0xff, sizeof(b->free)); /* BUDDY_NONE */
	memset(pages, 0, buddy_array_bytes(nr_pages));
	b->pages = pages;
	b->nr_pages = nr_pages;
}

static void set_block(struct buddy *b, uint32_t page, unsigned order, uint8_t state)
{
	b->pages[page].state = state;
	b->pages[page].order = (uint8_t)order;
}

static bool is_block(const struct buddy *b, uint32_t page, unsigned order, uint8_t state)
{
	return page < b->nr_pages && b->pages[page].state == state && b->pages[page].order == order;
}

static struct buddy_list *list_of(struct buddy *b, uint32_t page)
{
	const struct buddy_page *p = &b->pages[page];

	return &b->free[p->state - FREE_DIRTY][p->order];
}

/* Between two neighbours on the list; BUDDY_NONE is the end of it. */
static void link_between(struct buddy *b, uint32_t page, uint32_t prev, uint32_t next)
{
	struct buddy_list *list = list_of(b, page);

	b->pages[page].prev = prev;
	b->pages[page].next = next;
	*(prev == BUDDY_NONE ? &list->first : &b->pages[prev].next) = page;
	*(next == BUDDY_NONE ? &list->last : &b->pages[next].prev) = page;
}

static void unlink_block(struct buddy *b, uint32_t page)
{
	struct buddy_list *list = list_of(b, page);
	uint32_t prev = b->pages[page].prev, next = b->pages[page].next;

	*(prev == BUDDY_NONE ? &list->first : &b->pages[prev].next) = next;
	*(next == BUDDY_NONE ? &list->last : &b->pages[next].prev) = prev;
	b->pages[page].state = NO_BLOCK;
}

static void push_first(struct buddy *b, uint32_t page, unsigned order, enum buddy_clean clean)
{
	set_block(b, page, order, (uint8_t)(FREE_DIRTY + clean));
	link_between(b, page, BUDDY_NONE, list_of(b, page)->first);
}

static void push_last(struct buddy *b, uint32_t page, unsigned order, enum buddy_clean clean)
{
	set_block(b, page, order, (uint8_t)(FREE_DIRTY + clean));
	link_between(b, page, list_of(b, page)->last, BUDDY_NONE);
}

static uint32_t buddy_of(uint32_t page, unsigned order)
{
	return page ^ (1u << order);
}

/* Puts a block on its list, joined with its buddy as far as those are free and as clean as it. */
static void put_merged(struct buddy *b, uint32_t page, unsigned order, enum buddy_clean clean)
{
	while (order < BUDDY_ORDER_MAX &&
	       is_block(b, buddy_of(page, order), order, (uint8_t)(FREE_DIRTY + clean))) {
		unlink_block(b, buddy_of(page, order));
		page &= ~(1u << order);
		order++;
	}
	push_first(b, page, order, clean);
}

void buddy_add(struct buddy *b, uint32_t first, uint32_t count)
{
	ASSERT(range_fits(first, count, b->nr_pages));

	b->nr_total += count;
	b->nr_free += count;
	b->nr_dirty += count;
	while (count > 0) {
		unsigned order = 0;

		while (order < BUDDY_ORDER_MAX && IS_ALIGNED(first, 2ull << order) &&
		       (2ull << order) <= count)
			order++;
		push_last(b, first, order, BUDDY_DIRTY);
		first += 1u << order;
		count -= 1u << order;
	}
}

/* A free block leaves its list and is cut down to 2^order pages; the upper halves stay free. */
static uint32_t take_and_cut(struct buddy *b, uint32_t page, unsigned order)
{
	unsigned have = b->pages[page].order;
	enum buddy_clean clean = b->pages[page].state == FREE_CLEAN ? BUDDY_CLEAN : BUDDY_DIRTY;

	unlink_block(b, page);
	while (have > order) {
		have--;
		push_first(b, page + (1u << have), have, clean);
	}
	return page;
}

static uint32_t smallest(const struct buddy *b, unsigned order, enum buddy_clean clean)
{
	for (; order <= BUDDY_ORDER_MAX; order++)
		if (b->free[clean][order].first != BUDDY_NONE)
			return b->free[clean][order].first;
	return BUDDY_NONE;
}

/* The free block that an allocation should come from. */
static uint32_t choose(const struct buddy *b, unsigned order)
{
	uint32_t clean = smallest(b, order, BUDDY_CLEAN), dirty = smallest(b, order, BUDDY_DIRTY);

	if (clean == BUDDY_NONE)
		return dirty;
	if (dirty == BUDDY_NONE || order >= ORDER_2M)
		return clean;
	return b->pages[dirty].order < b->pages[clean].order ? dirty : clean;
}

/* Joins every dirty block with its free buddy, clean or not; what comes out is dirty. */
static void merge_mixed(struct buddy *b)
{
	for (unsigned order = 0; order < BUDDY_ORDER_MAX; order++) {
		uint32_t page = b->free[BUDDY_DIRTY][order].first, next;

		for (; page != BUDDY_NONE; page = next) {
			next = b->pages[page].next;
			if (!is_block(b, buddy_of(page, order), order, FREE_CLEAN))
				continue;
			unlink_block(b, page);
			unlink_block(b, buddy_of(page, order));
			b->nr_dirty += 1u << order;
			put_merged(b, page & ~(1u << order), order + 1, BUDDY_DIRTY);
		}
	}
}

uint32_t buddy_alloc(struct buddy *b, unsigned order, enum buddy_clean *clean)
{
	uint32_t page;

	ASSERT(order <= BUDDY_ORDER_MAX);

	page = choose(b, order);
	if (page == BUDDY_NONE && b->nr_free >= (1u << order)) {
		merge_mixed(b);
		page = choose(b, order);
	}
	if (page == BUDDY_NONE)
		return BUDDY_NONE;

	*clean = b->pages[page].state == FREE_CLEAN ? BUDDY_CLEAN : BUDDY_DIRTY;
	take_and_cut(b, page, order);
	set_block(b, page, order, USED);
	b->nr_free -= 1u << order;
	if (*clean == BUDDY_DIRTY)
		b->nr_dirty -= 1u << order;
	return page;
}

void buddy_free(struct buddy *b, uint32_t page, unsigned order)
{
	ASSERT(order <= BUDDY_ORDER_MAX);
	ASSERT(is_block(b, page, order, USED));

	b->pages[page].state = NO_BLOCK;
	b->nr_free += 1u << order;
	b->nr_dirty += 1u << order;
	put_merged(b, page, order, BUDDY_DIRTY);
}

uint32_t buddy_take_dirty(struct buddy *b, unsigned max_order, unsigned *order)
{
	ASSERT(max_order <= BUDDY_ORDER_MAX);

	for (int have = BUDDY_ORDER_MAX; have >= 0; have--) {
		uint32_t page = b->free[BUDDY_DIRTY][have].first;

		if (page == BUDDY_NONE)
			continue;
		*order = MIN((unsigned)have, max_order);
		take_and_cut(b, page, *order);
		set_block(b, page, *order, SCRUBBING);
		return page;
	}
	return BUDDY_NONE;
}

void buddy_put_clean(struct buddy *b, uint32_t page, unsigned order)
{
	ASSERT(is_block(b, page, order, SCRUBBING));

	b->pages[page].state = NO_BLOCK;
	b->nr_dirty -= 1u << order;
	put_merged(b, page, order, BUDDY_CLEAN);
}

int buddy_order_of(const struct buddy *b, uint32_t page)
{
	if (page >= b->nr_pages || b->pages[page].state != USED)
		return -1;
	return b->pages[page].order;
}
