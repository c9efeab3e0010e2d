/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One row a word, in the order in which they are told: what virtualisation needs first, then what
 * programs are compiled for.
 *
 * Sources: [SDM] "CPUID - CPU Identification"; [APM] "Obtaining Processor Information Via the CPUID
 * Instruction".
 */
#include "kernel/cpu_words.h"

#include "kernel/lib/string.h"

enum reg { EAX, EBX, ECX, EDX };

static const struct {
	const char *word;
	uint32_t leaf;
	uint8_t subleaf;
	enum reg reg;
	uint8_t bit;
} rows[] = {
	{"vmx", 1, 0, ECX, 5},
	{"svm", 0x80000001, 0, ECX, 2},
	{"x2apic", 1, 0, ECX, 21},
	{"tsc_deadline_timer", 1, 0, ECX, 24},
	{"constant_tsc", 0x80000007, 0, EDX, 8},
	{"rdtscp", 0x80000001, 0, EDX, 27},
	{"pdpe1gb", 0x80000001, 0, EDX, 26},
	{"la57", 7, 0, ECX, 16},
	{"pcid", 1, 0, ECX, 17},
	{"invpcid", 7, 0, EBX, 10},
	{"smep", 7, 0, EBX, 7},
	{"smap", 7, 0, EBX, 20},
	{"umip", 7, 0, ECX, 2},
	{"pku", 7, 0, ECX, 3},
	{"rdrand", 1, 0, ECX, 30},
	{"rdseed", 7, 0, EBX, 18},
	{"sse4_1", 1, 0, ECX, 19},
	{"sse4_2", 1, 0, ECX, 20},
	{"popcnt", 1, 0, ECX, 23},
	{"cx16", 1, 0, ECX, 13},
	{"movbe", 1, 0, ECX, 22},
	{"aes", 1, 0, ECX, 25},
	{"pclmulqdq", 1, 0, ECX, 1},
	{"xsave", 1, 0, ECX, 26},
	{"xsaves", 0xd, 1, EAX, 3},
	{"avx", 1, 0, ECX, 28},
	{"f16c", 1, 0, ECX, 29},
	{"fma", 1, 0, ECX, 12},
	{"bmi1", 7, 0, EBX, 3},
	{"bmi2", 7, 0, EBX, 8},
	{"avx2", 7, 0, EBX, 5},
	{"adx", 7, 0, EBX, 19},
	{"erms", 7, 0, EBX, 9},
	{"fsrm", 7, 0, EDX, 4},
	{"clflushopt", 7, 0, EBX, 23},
	{"clwb", 7, 0, EBX, 24},
	{"sha_ni", 7, 0, EBX, 29},
	{"vaes", 7, 0, ECX, 9},
	{"vpclmulqdq", 7, 0, ECX, 10},
	{"gfni", 7, 0, ECX, 8},
	{"avx512f", 7, 0, EBX, 16},
	{"avx512dq", 7, 0, EBX, 17},
	{"avx512cd", 7, 0, EBX, 28},
	{"avx512bw", 7, 0, EBX, 30},
	{"avx512vl", 7, 0, EBX, 31},
	{"avx512_vnni", 7, 0, ECX, 11},
	{"avx_vnni", 7, 1, EAX, 4},
	{"amx_tile", 7, 0, EDX, 24},
	{"amx_int8", 7, 0, EDX, 25},
	{"amx_bf16", 7, 0, EDX, 22},
	{"abm", 0x80000001, 0, ECX, 5},
	{"sse4a", 0x80000001, 0, ECX, 6},
	{"topoext", 0x80000001, 0, ECX, 22},
};

static bool has(cpu_word_cpuid *read, size_t row)
{
	struct cpu_word_regs r = read(rows[row].leaf, rows[row].subleaf);
	const uint32_t regs[] = {r.eax, r.ebx, r.ecx, r.edx};

	return regs[rows[row].reg] >> rows[row].bit & 1;
}

void cpu_words(cpu_word_cpuid *read, char *out, size_t cap)
{
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t word_len = strlen(rows[i].word), need = word_len + (len > 0);

		if (!has(read, i) || len + need + 1 > cap)
			continue;
		if (len > 0)
			out[len++] = ' ';
		memcpy(out + len, rows[i].word, word_len);
		len += word_len;
	}
	if (cap > 0)
		out[len] = 0;
}
