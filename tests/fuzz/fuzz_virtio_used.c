/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device that writes whatever it likes into its rings: a driver gets back only what it
 * gave, each once, and with no more bytes than there was room for; what it knows of its own chains
 * stays true.
 *
 * Input: a byte for the queue's shape, then steps: add a chain, take one, write a used entry, write
 * anything anywhere.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/virtio_queue.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECES 6u

struct token {
	bool is_out;
	uint64_t room_bytes;
};

static struct virtq q;
static struct token tokens[VIRTQ_SIZE_MAX];
static uint8_t *memory;
static struct virtq_layout layout;
static uint32_t nr_out;

static void check(bool is_true)
{
	if (!is_true)
		abort();
}

static void make(uint8_t how)
{
	struct virtq_shape shape = {.size = (uint16_t)(1u << (how & 7)), .has_event_idx = how & 8};

	if (how & 16) {
		shape.table_max = PIECES;
		shape.nr_tables = how & 32 ? shape.size : (uint16_t)(shape.size / 2);
	}
	layout = virtq_layout(&shape);
	memory = calloc(1, layout.len_bytes);
	check(memory != NULL);
	virtq_init(&q, memory, 0x1000, &shape);
	memset(tokens, 0, sizeof(tokens));
	nr_out = 0;
}

static void add(struct input *in)
{
	struct virtq_piece pieces[PIECES];
	uint32_t nr = 1 + input_u8(in) % MIN(PIECES, q.shape.size),
		 nr_read = input_u8(in) % (nr + 1);
	struct token *token = tokens;
	uint64_t room = 0;

	while (token < tokens + VIRTQ_SIZE_MAX && token->is_out)
		token++;
	if (token == tokens + VIRTQ_SIZE_MAX)
		return;
	for (uint32_t i = 0; i < nr; i++) {
		pieces[i] = (struct virtq_piece){0x10000 * i, input_u16(in)};
		room += i >= nr_read ? pieces[i].len_bytes : 0;
	}
	if (virtq_add(&q, pieces, nr_read, nr - nr_read, token) != HV_OK)
		return;
	*token = (struct token){.is_out = true, .room_bytes = room};
	nr_out++;
	check(nr_out <= q.shape.size);
}

static void take(void)
{
	uint32_t written = 0;
	struct token *token = virtq_get(&q, &written);

	if (!token)
		return;
	check(token->is_out && written <= token->room_bytes && !q.is_broken);
	token->is_out = false;
	nr_out--;
}

/* Likely ones: the next entry, of a chain that may be out, and an index that counts it. */
static void use(struct input *in)
{
	uint16_t *used = (uint16_t *)(memory + layout.used);
	uint32_t *entry = (uint32_t *)(used + VIRTQ_RING) + 2 * (used[VIRTQ_IDX] % q.shape.size);

	entry[0] = input_u8(in);
	entry[1] = input_u16(in);
	used[VIRTQ_IDX]++;
}

static void scribble(struct input *in)
{
	size_t at = input_u16(in) % layout.len_bytes;

	memory[at] = input_u8(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	make(input_u8(&in));
	while (in.left) {
		switch (input_u8(&in) % 6) {
		case 0:
			add(&in);
			break;
		case 1:
			take();
			break;
		case 2:
			use(&in);
			break;
		case 3:
			scribble(&in);
			break;
		case 4:
			(void)!virtq_show(&q);
			break;
		case 5:
			(void)!virtq_listen(&q);
			break;
		}
		check(q.is_broken || q.nr_out == nr_out);
		check(q.nr_free <= q.shape.size);
	}
	free(memory);
	return 0;
}
