/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile NVMe controller: it writes what it likes into a completion queue, and says of itself
 * what it likes. Whatever it does, a command ends once, and one that was given.
 */
#include <stdlib.h>

#include "drivers/nvme_identify.h"
#include "drivers/nvme_queue.h"
#include "tests/fuzz/input.h"

#define ENTRIES 5u
#define ID	1u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

static void require_text(const char *text, size_t cap)
{
	size_t len = strnlen(text, cap);

	require(len < cap);
	for (size_t i = 0; i < len; i++)
		require(text[i] >= ' ' && text[i] <= '~');
}

static void try_identities(struct input *in)
{
	static uint8_t data[NVME_IDENTIFY_BYTES];
	struct nvme_controller_info ctrl;
	struct nvme_namespace_info ns;
	struct block_health health;
	size_t offset = input_u8(in) % 2 ? 500 : 0; /* so that short inputs reach all fields */

	memset(data, 0, sizeof(data));
	while (in->left > 0 && offset < sizeof(data))
		data[offset++] = input_u8(in);
	if (nvme_identify_controller(data, &ctrl) == HV_OK)
		require(ctrl.max_bytes >= 4096);
	require_text(ctrl.model, sizeof(ctrl.model));
	require_text(ctrl.serial, sizeof(ctrl.serial));
	require_text(ctrl.firmware, sizeof(ctrl.firmware));
	if (nvme_identify_namespace(data, &ns) == HV_OK) {
		require(ns.sector_bytes == 512 || ns.sector_bytes == 4096);
		require(ns.nr_sectors > 0 && ns.nr_sectors <= UINT64_MAX / ns.sector_bytes);
	}
	nvme_health(data, &health);
}

/* An entry as a controller would write it, or any. */
static void write_entry(struct input *in, struct nvme_completion *cq)
{
	struct nvme_completion *entry = &cq[input_u8(in) % ENTRIES];
	uint8_t kind = input_u8(in);

	if (kind & 1) {
		entry->sq = input_u32(in);
		entry->status = input_u32(in);
	} else {
		entry->sq = ID << 16 | (kind >> 4) % ENTRIES;
		entry->status = (uint32_t)(input_u8(in) % ENTRIES) |
				(kind & 2 ? NVME_CQE_PHASE : 0) | (uint32_t)(kind & 4) << 17;
	}
}

static void try_queue(struct input *in)
{
	struct nvme_command *sq = malloc(ENTRIES * sizeof(*sq)), command = {.opcode = NVME_FLUSH};
	struct nvme_completion *cq = malloc(ENTRIES * sizeof(*cq));
	bool is_out[ENTRIES - 1] = {false};
	struct nvme_queue queue;
	struct nvme_done done;
	uint16_t slot;

	require(sq && cq);
	nvme_queue_init(&queue, ID, ENTRIES, sq, cq, NULL, 0);
	while (in->left > 0) {
		switch (input_u8(in) % 3) {
		case 0:
			for (uint32_t i = 0; i < ENTRIES - 1; i++) {
				if (is_out[i] || !nvme_queue_take(&queue, &is_out[i], NULL, &slot))
					continue;
				is_out[i] = true;
				nvme_queue_put(&queue, slot, &command);
				break;
			}
			break;
		case 1:
			write_entry(in, cq);
			break;
		default:
			if (nvme_queue_next(&queue, &done) != NVME_FOUND)
				break;
			require(*(bool *)done.owner);
			*(bool *)done.owner = false;
			(void)nvme_status_error(done.status);
		}
		require(queue.cq_head < ENTRIES && queue.sq_tail < ENTRIES);
	}
	free(sq);
	free(cq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	if (input_u8(&in) % 4 == 0)
		try_identities(&in);
	else
		try_queue(&in);
	return 0;
}
