/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest page tables made of the input: its first bytes are the control registers, the address and
 * the access, the rest fills guest memory over and over.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct input {
	uint64_t cr0, cr3, cr4, efer, rflags, gva;
	uint8_t cpl, gpa_bits, access, len;
};

static uint8_t ram[GMEM_CHUNK]; /* only its first pages are filled anew */

#define FILLED (16 * 4096)

static void expect(bool holds)
{
	if (!holds)
		abort();
}

static void fill(const uint8_t *data, size_t len)
{
	for (size_t at = 0; at < FILLED; at += len)
		memcpy(ram + at, data, MIN(len, FILLED - at));
}

static void check_answer(enum hv_err err, const struct walk_state *s, uint64_t gpa,
			 const struct walk_fault *fault)
{
	expect(err == HV_OK || err == HV_EPROTO || err == HV_EINVAL || err == HV_ENOTSUP);
	if (err == HV_OK)
		expect(gpa < BIT(52));
	if (err == HV_EPROTO)
		expect(fault->code <= 0x1f && !!(fault->code & PF_U) == (s->cpl == 3));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *chunks[1] = {ram};
	const struct gmem mem = {.low_bytes = GMEM_CHUNK, .chunks = chunks, .nr_chunks = 1};
	struct walk_fault fault = {.code = ~0u};
	struct walk_state s;
	struct input in;
	uint8_t buf[256];
	uint64_t gpa = ~0ull;
	size_t got;

	if (len <= sizeof(in))
		return 0;
	memcpy(&in, data, sizeof(in));
	fill(data + sizeof(in), len - sizeof(in));
	s = (struct walk_state){.cr0 = in.cr0,
				.cr3 = in.cr3,
				.cr4 = in.cr4,
				.efer = in.efer,
				.rflags = in.rflags,
				.cpl = in.cpl % 4,
				.gpa_bits = (uint8_t)(32 + in.gpa_bits % 21)};
	check_answer(walk_translate(&mem, &s, in.gva, in.access % 3, &gpa, &fault), &s, gpa,
		     &fault);
	if (walk_read(&mem, &s, in.gva, WALK_READ, buf, in.len, &fault) == HV_OK)
		(void)!walk_write(&mem, &s, in.gva, buf, in.len, &fault);
	if (walk_fetch(&mem, &s, in.gva, buf, &got, &fault) == HV_OK)
		expect(got >= 1 && got <= 15);
	else
		expect(got == 0);
	return 0;
}
