/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20 against the RFC's own example. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "kernel/chacha.h"

/* [RFC8439] "Test Vector for the ChaCha20 Block Function" */
static void computes_the_block_of_the_rfcs_example(void **state)
{
	uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	static const uint8_t expected[16] = {0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15,
					     0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4};
	uint8_t block[CHACHA_BLOCK_BYTES];

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		in[4 + i] = 0x03020100 + 0x04040404 * i;
	in[12] = 1;
	in[13] = 0x09000000;
	in[14] = 0x4a000000;
	chacha_block(in, block);
	assert_memory_equal(block, expected, sizeof(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(computes_the_block_of_the_rfcs_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
