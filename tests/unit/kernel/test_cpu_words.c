/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a CPU that has some, all, and none of its features. */
#include "kernel/cpu_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct cpu_word_regs none(uint32_t leaf, uint32_t subleaf)
{
	(void)leaf;
	(void)subleaf;
	return (struct cpu_word_regs){0, 0, 0, 0};
}

static struct cpu_word_regs all(uint32_t leaf, uint32_t subleaf)
{
	(void)leaf;
	(void)subleaf;
	return (struct cpu_word_regs){~0u, ~0u, ~0u, ~0u};
}

/* As CPUID of a Skylake-X has them: leaf 1's VMX and AES, leaf 7's AVX2, leaf 0Dh's XSAVES. */
static struct cpu_word_regs some(uint32_t leaf, uint32_t subleaf)
{
	struct cpu_word_regs r = {0, 0, 0, 0};

	if (leaf == 1)
		r.ecx = 1u << 5 | 1u << 25;
	if (leaf == 7 && subleaf == 0)
		r.ebx = 1u << 5;
	if (leaf == 0xd && subleaf == 1)
		r.eax = 1u << 3;
	return r;
}

static void tells_what_is_there(void **state)
{
	char text[512];

	(void)state;
	cpu_words(some, text, sizeof(text));
	assert_string_equal(text, "vmx aes xsaves avx2");
	cpu_words(none, text, sizeof(text));
	assert_string_equal(text, "");
}

static void all_words_fit_the_report(void **state)
{
	char text[512], roomy[4096];

	(void)state;
	cpu_words(all, text, sizeof(text));
	cpu_words(all, roomy, sizeof(roomy));
	assert_string_equal(text, roomy);
}

static void never_cuts_a_word(void **state)
{
	char text[16];

	(void)state;
	memset(text, 'x', sizeof(text));
	cpu_words(some, text, 8);
	assert_string_equal(text, "vmx aes");
	cpu_words(some, text, 7);
	assert_string_equal(text, "vmx");
	assert_int_equal(text[8], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_is_there),
		cmocka_unit_test(all_words_fit_the_report),
		cmocka_unit_test(never_cuts_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
