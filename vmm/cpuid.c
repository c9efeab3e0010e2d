/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whitelist, and what is put in place of the host's own words: topology, sizes, frequencies.
 *
 * The guest has one socket with a core for each vCPU and no threads; the last-level cache is shared
 * by all of them, the others by none.
 */
#include "vmm/cpuid.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

#define ALL_BITS 0xffffffffu

/* [SDM] "XSAVE-Supported Features": bits of XCR0 */
#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))
#define XCR0_KNOWN  (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)

/* [SDM] "Layout of the XSAVE Area": the legacy region and the header */
#define XSAVE_HEADER_END 576u
#define XSTATE_ALIGNED	 BIT(1) /* leaf 0xd, ECX of a component's subleaf */

/* Leaf 1 */
#define L1_ECX_X2APIC	    BIT(21)
#define L1_ECX_TSC_DEADLINE BIT(24)
#define L1_ECX_XSAVE	    BIT(26)
#define L1_ECX_OSXSAVE	    BIT(27)
#define L1_ECX_HYPERVISOR   BIT(31)
#define L1_EDX_APIC	    BIT(9)
#define L1_EDX_HTT	    BIT(28)

/* A feature is shown when the host has it, a row names it, and the guest may switch on its state.
 */
struct row {
	uint32_t leaf, subleaf;
	enum cpuid_reg reg;
	uint32_t bits;
	uint64_t xcr0; /* needed in xcr0_valid */
	const char *names;
};

static const struct row rows[] = {
	{0x1, 0, CPUID_EAX, ALL_BITS, 0, "family, model, stepping"},
	{0x1, 0, CPUID_EBX, 0x0000ff00, 0, "CLFLUSH line size"},
	{0x1, 0, CPUID_ECX, BIT(0) | BIT(1) | BIT(9) | BIT(13), 0, "sse3 pclmulqdq ssse3 cx16"},
	{0x1, 0, CPUID_ECX, BIT(17), 0, "pcid"},
	{0x1, 0, CPUID_ECX, BIT(19) | BIT(20) | BIT(22) | BIT(23), 0, "sse4_1 sse4_2 movbe popcnt"},
	{0x1, 0, CPUID_ECX, BIT(25) | BIT(30), 0, "aes rdrand"},
	{0x1, 0, CPUID_ECX, BIT(26), XCR0_SSE, "xsave"},
	{0x1, 0, CPUID_ECX, BIT(12) | BIT(28) | BIT(29), XCR0_AVX, "fma avx f16c"},
	{0x1, 0, CPUID_EDX, 0x0f8bfbff, 0,
	 "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clfsh mmx fxsr "
	 "sse sse2 ss"},
	{0x2, 0, CPUID_EAX, ALL_BITS, 0, "cache descriptors"},
	{0x2, 0, CPUID_EBX, ALL_BITS, 0, "cache descriptors"},
	{0x2, 0, CPUID_ECX, ALL_BITS, 0, "cache descriptors"},
	{0x2, 0, CPUID_EDX, ALL_BITS, 0, "cache descriptors"},
	{0x6, 0, CPUID_EAX, BIT(2), 0, "arat"},
	{0x7, 0, CPUID_EBX, BIT(0) | BIT(1) | BIT(3) | BIT(7) | BIT(8), 0,
	 "fsgsbase tsc_adjust bmi1 smep bmi2"},
	{0x7, 0, CPUID_EBX, BIT(6) | BIT(9) | BIT(10) | BIT(13), 0,
	 "fdp_excptn erms invpcid zero_fcs_fds"},
	{0x7, 0, CPUID_EBX, BIT(18) | BIT(19) | BIT(20), 0, "rdseed adx smap"},
	{0x7, 0, CPUID_EBX, BIT(23) | BIT(24) | BIT(29), 0, "clflushopt clwb sha"},
	{0x7, 0, CPUID_EBX, BIT(5), XCR0_AVX, "avx2"},
	{0x7, 0, CPUID_EBX, BIT(16) | BIT(17) | BIT(21) | BIT(28) | BIT(30) | BIT(31), XCR0_AVX512,
	 "avx512f avx512dq avx512ifma avx512cd avx512bw avx512vl"},
	{0x7, 0, CPUID_ECX, BIT(2) | BIT(8) | BIT(22), 0, "umip gfni rdpid"},
	{0x7, 0, CPUID_ECX, BIT(9) | BIT(10), XCR0_AVX, "vaes vpclmulqdq"},
	{0x7, 0, CPUID_ECX, BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14), XCR0_AVX512,
	 "avx512vbmi avx512_vbmi2 avx512_vnni avx512_bitalg avx512_vpopcntdq"},
	{0x7, 0, CPUID_EDX, BIT(4) | BIT(14), 0, "fsrm serialize"},
	{0x7, 0, CPUID_EDX, BIT(8) | BIT(23), XCR0_AVX512, "avx512_vp2intersect avx512_fp16"},
	{0x7, 1, CPUID_EAX, BIT(10) | BIT(11) | BIT(12), 0, "fzrm fsrs fsrc"},
	{0x7, 1, CPUID_EAX, BIT(4), XCR0_AVX, "avx_vnni"},
	{0x7, 1, CPUID_EAX, BIT(5), XCR0_AVX512, "avx512_bf16"},
	{0xd, 1, CPUID_EAX, BIT(0) | BIT(1) | BIT(2), XCR0_SSE, "xsaveopt xsavec xgetbv1"},
	{0x80000001, 0, CPUID_EAX, ALL_BITS, 0, "family, model, stepping of AMD"},
	{0x80000001, 0, CPUID_ECX, BIT(0) | BIT(5) | BIT(8), 0, "lahf_lm abm 3dnowprefetch"},
	{0x80000001, 0, CPUID_ECX, BIT(4) | BIT(6) | BIT(7), 0, "cr8_legacy sse4a misalignsse"},
	{0x80000001, 0, CPUID_EDX, BIT(11) | BIT(20) | BIT(26) | BIT(27) | BIT(29), 0,
	 "syscall nx pdpe1gb rdtscp lm"},
	{0x80000001, 0, CPUID_EDX, 0x0183f3ff, 0, "AMD's copy of leaf 1"},
	{0x80000001, 0, CPUID_EDX, BIT(22) | BIT(25), 0, "mmxext fxsr_opt"},
	{0x80000005, 0, CPUID_EAX, ALL_BITS, 0, "AMD's TLB and cache sizes"},
	{0x80000005, 0, CPUID_EBX, ALL_BITS, 0, "AMD's TLB and cache sizes"},
	{0x80000005, 0, CPUID_ECX, ALL_BITS, 0, "AMD's TLB and cache sizes"},
	{0x80000005, 0, CPUID_EDX, ALL_BITS, 0, "AMD's TLB and cache sizes"},
	{0x80000006, 0, CPUID_EAX, ALL_BITS, 0, "L2 and L3 sizes"},
	{0x80000006, 0, CPUID_EBX, ALL_BITS, 0, "L2 and L3 sizes"},
	{0x80000006, 0, CPUID_ECX, ALL_BITS, 0, "L2 and L3 sizes"},
	{0x80000006, 0, CPUID_EDX, ALL_BITS, 0, "L2 and L3 sizes"},
	{0x80000008, 0, CPUID_EBX, BIT(0), 0, "clzero"},
};

struct build {
	struct cpuid_policy *t;
	cpuid_fn *host;
	const struct cpuid_conf *conf;
	uint32_t max_basic, max_ext; /* the host's */
	bool is_intel;
};

static struct cpuid_answer ask(const struct build *b, uint32_t leaf, uint32_t subleaf)
{
	bool is_there = leaf >= 0x80000000u ? leaf <= b->max_ext : leaf <= b->max_basic;

	return is_there ? b->host(leaf, subleaf) : (struct cpuid_answer){.eax = 0};
}

static struct cpuid_answer *place_of(struct cpuid_policy *t, uint32_t leaf, uint32_t subleaf)
{
	if (leaf == 0x7 && subleaf == 1)
		return &t->features1;
	if (leaf == 0xd && subleaf == 1)
		return &t->xstate1;
	ASSERT(subleaf == 0);
	return leaf >= 0x80000000u ? &t->ext[leaf - 0x80000000u] : &t->basic[leaf];
}

static void copy_allowed(const struct build *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		const struct cpuid_answer host = ask(b, row->leaf, row->subleaf);

		if ((b->t->xcr0_valid & row->xcr0) == row->xcr0)
			place_of(b->t, row->leaf, row->subleaf)->r[row->reg] |=
				host.r[row->reg] & row->bits;
	}
}

/* ---- extended state ---- */

/* AVX needs SSE, SSE needs x87, and the three parts of AVX-512 go together and need AVX. */
static uint64_t consistent_xcr0(uint64_t mask)
{
	mask &= XCR0_KNOWN;
	if (!(mask & XCR0_SSE) || !(mask & XCR0_X87))
		return XCR0_X87;
	if (!(mask & XCR0_AVX))
		return mask & (XCR0_X87 | XCR0_SSE);
	return (mask & XCR0_AVX512) == XCR0_AVX512 ? mask : mask & ~XCR0_AVX512;
}

static bool has_host_xsave(const struct build *b)
{
	return b->max_basic >= 0xd && (ask(b, 1, 0).ecx & L1_ECX_XSAVE);
}

static void choose_xcr0(const struct build *b)
{
	struct cpuid_answer host = ask(b, 0xd, 0);
	uint64_t has = has_host_xsave(b) ? (uint64_t)host.edx << 32 | host.eax : XCR0_X87;

	b->t->xcr0_valid = consistent_xcr0(has & b->conf->xcr0_allowed);
}

/* Bytes of the standard form: up to the end of the last component. */
static uint32_t standard_size(const struct cpuid_policy *t, uint64_t xcr0)
{
	uint32_t end = XSAVE_HEADER_END;

	for (unsigned i = 2; i < CPUID_XSTATES; i++)
		if (xcr0 & BIT(i))
			end = MAX(end, t->xstate[i].eax + t->xstate[i].ebx);
	return end;
}

/* Bytes of the compacted form: one after the other, some aligned to 64. */
static uint32_t compacted_size(const struct cpuid_policy *t, uint64_t xcr0)
{
	uint32_t end = XSAVE_HEADER_END;

	for (unsigned i = 2; i < CPUID_XSTATES; i++) {
		if (!(xcr0 & BIT(i)))
			continue;
		if (t->xstate[i].ecx & XSTATE_ALIGNED)
			end = (uint32_t)ALIGN_UP(end, 64);
		end += t->xstate[i].eax;
	}
	return end;
}

static void fill_xstate(const struct build *b)
{
	struct cpuid_policy *t = b->t;

	if (!(t->basic[1].ecx & L1_ECX_XSAVE))
		return;
	for (unsigned i = 2; i < CPUID_XSTATES; i++) {
		if (!(t->xcr0_valid & BIT(i)))
			continue;
		t->xstate[i] = ask(b, 0xd, i);
		t->xstate[i].ecx &= XSTATE_ALIGNED;
		t->xstate[i].edx = 0;
	}
	t->basic[0xd].eax = (uint32_t)t->xcr0_valid;
	t->basic[0xd].ecx = standard_size(t, t->xcr0_valid);
}

/* ---- topology ---- */

static uint8_t apic_id_bits(uint32_t nr_vcpus)
{
	return nr_vcpus > 1 ? (uint8_t)(32 - __builtin_clz(nr_vcpus - 1)) : 0;
}

static void fill_caches(const struct build *b)
{
	for (uint32_t i = 0; b->is_intel && i < CPUID_CACHE_LEAVES; i++) {
		b->t->cache[i] = ask(b, 4, i);
		if (!(b->t->cache[i].eax & 0x1f))
			break;
	}
}

/* Leaf 4: EAX 4:0 type, 7:5 level, 25:14 and 31:26 highest IDs that share it and in the package */
static struct cpuid_answer answer_cache(const struct cpuid_policy *t, const struct cpuid_ctx *c,
					uint32_t subleaf)
{
	uint32_t ids = (1u << apic_id_bits(c->nr_vcpus)) - 1;
	struct cpuid_answer w = {.eax = 0};
	bool is_last_level;

	if (subleaf >= CPUID_CACHE_LEAVES || !(t->cache[subleaf].eax & 0x1f))
		return w;
	w = t->cache[subleaf];
	is_last_level = FIELD_GET(0xe0, w.eax) >= 3;
	w.eax = (w.eax & 0x3fff) | (uint32_t)FIELD_PREP(0x03ffc000u, is_last_level ? ids : 0) |
		(uint32_t)FIELD_PREP(0xfc000000u, MIN(ids, 63));
	return w;
}

/* [APM] "Size Identifiers": how many cores, and how many bits of the APIC ID say which */
static struct cpuid_answer answer_ext(const struct cpuid_policy *t, const struct cpuid_ctx *c,
				      uint32_t nr)
{
	struct cpuid_answer w = t->ext[nr];

	if (t->is_intel)
		return w;
	if (nr == 8)
		w.ecx = (uint32_t)apic_id_bits(c->nr_vcpus) << 12 | (c->nr_vcpus - 1);
	if (nr == 1 && c->nr_vcpus > 1)
		w.ecx |= BIT(1); /* CmpLegacy */
	return w;
}

/* [SDM] "Extended Topology Enumeration Leaf": level 0 threads (1 each), level 1 cores */
static struct cpuid_answer answer_topology(const struct cpuid_ctx *c, uint32_t subleaf)
{
	struct cpuid_answer w = {.ecx = subleaf & 0xff, .edx = c->vcpu_index};

	if (subleaf <= 1) {
		w.eax = subleaf == 0 ? 0 : apic_id_bits(c->nr_vcpus);
		w.ebx = subleaf == 0 ? 1 : c->nr_vcpus;
		w.ecx |= (subleaf + 1) << 8;
	}
	return w;
}

/* ---- time ---- */

void cpuid_tsc_ratio(uint32_t tsc_khz, uint32_t crystal_hz, uint32_t *numerator,
		     uint32_t *denominator)
{
	uint64_t crystal_khz = crystal_hz / 1000, best_error = ~0ull;
	uint64_t max_numerator = MIN(ALL_BITS / crystal_khz, 0xffffull);

	*numerator = *denominator = 1;
	for (uint64_t d = 1; d <= 0xffff && best_error; d++) {
		uint64_t n = (tsc_khz * d + crystal_khz / 2) / crystal_khz;
		uint64_t want = tsc_khz * d, is = n * crystal_khz;
		uint64_t error = want > is ? want - is : is - want; /* times d */

		if (n > max_numerator)
			return;
		/* error / d < best_error / best d, without a fraction */
		if (n && (best_error == ~0ull || error * *denominator < best_error * d)) {
			best_error = error;
			*numerator = (uint32_t)n;
			*denominator = (uint32_t)d;
		}
	}
}

void cpuid_set_tsc(struct cpuid_policy *t, uint32_t tsc_khz, uint32_t lapic_hz)
{
	if (t->hv[0].eax) {
		t->hv[1].eax = tsc_khz;
		t->hv[1].ebx = lapic_hz / 1000;
	}
	if (!t->is_intel)
		return;
	cpuid_tsc_ratio(tsc_khz, lapic_hz, &t->basic[0x15].ebx, &t->basic[0x15].eax);
	t->basic[0x15].ecx = lapic_hz;
	t->basic[0x16].eax = MAX(tsc_khz / 1000, 1) & 0xffff;
	t->basic[0x16].ebx = t->basic[0x16].eax;
	t->basic[0x16].ecx = 100;
}

/* ---- the whole ---- */

static void fill_identity(const struct build *b)
{
	struct cpuid_policy *t = b->t;
	uint32_t need = b->is_intel ? 0x16 : 0xd; /* what we fill in, whatever the host has */

	t->basic[0] = b->host(0, 0);
	t->basic[0].eax = MIN(MAX(b->max_basic, need), CPUID_BASIC_LEAVES - 1);
	t->ext[0] = b->host(0x80000000u, 0);
	t->ext[0].eax = 0x80000000u + CPUID_EXT_LEAVES - 1;
	for (uint32_t i = 2; i <= 4; i++) /* brand string */
		t->ext[i] = ask(b, 0x80000000u + i, 0);
	t->ext[8].eax = 48u << 8 | b->conf->gpa_bits;
}

static void fill_forced(const struct build *b)
{
	struct cpuid_policy *t = b->t;

	t->basic[1].ecx |= L1_ECX_X2APIC | L1_ECX_TSC_DEADLINE | L1_ECX_HYPERVISOR;
	t->basic[6].eax |= BIT(2); /* our LAPIC's timer never stops */
	t->basic[7].eax = b->max_basic >= 7 ? MIN(ask(b, 7, 0).eax, 1) : 0;
}

static void fill_hypervisor(const struct build *b)
{
	static const char signature[] = CPUID_HV_SIGNATURE;

	static_assert(sizeof(signature) == 13, "a signature fills three registers");
	if (!b->conf->has_hypervisor_leaf)
		return;
	b->t->hv[0].eax = CPUID_HV_TIMING;
	memcpy(&b->t->hv[0].r[CPUID_EBX], signature, 12);
}

void cpuid_build(struct cpuid_policy *out, cpuid_fn *host, const struct cpuid_conf *conf)
{
	struct build b = {.t = out, .host = host, .conf = conf};
	struct cpuid_answer first = host(0, 0);

	ASSERT(conf->tsc_khz && conf->lapic_hz >= 1000);
	memset(out, 0, sizeof(*out));
	b.max_basic = first.eax;
	b.max_ext = host(0x80000000u, 0).eax;
	b.is_intel = out->is_intel = !memcmp(&first.r[CPUID_EBX], "Genu", 4);
	choose_xcr0(&b);
	copy_allowed(&b);
	fill_identity(&b);
	fill_forced(&b);
	fill_caches(&b);
	fill_xstate(&b);
	fill_hypervisor(&b);
	out->ext[7].edx = BIT(8); /* invariant TSC */
	cpuid_set_tsc(out, conf->tsc_khz, conf->lapic_hz);
}

uint64_t cpuid_xcr0_valid(const struct cpuid_policy *policy)
{
	return policy->xcr0_valid;
}

/* ---- the exit path ---- */

static struct cpuid_answer answer_features(const struct cpuid_policy *t, const struct cpuid_ctx *c)
{
	struct cpuid_answer w = t->basic[1];

	w.ebx |= c->vcpu_index << 24 | MIN(1u << apic_id_bits(c->nr_vcpus), 255) << 16;
	if (c->has_osxsave)
		w.ecx |= L1_ECX_OSXSAVE;
	if (!c->has_apic)
		w.edx &= (uint32_t)~L1_EDX_APIC;
	if (c->nr_vcpus > 1)
		w.edx |= L1_EDX_HTT;
	return w;
}

static struct cpuid_answer answer_xstate(const struct cpuid_policy *t, const struct cpuid_ctx *c,
					 uint32_t subleaf)
{
	struct cpuid_answer w = {.eax = 0};

	if (subleaf == 0) {
		w = t->basic[0xd];
		w.ebx = w.eax ? standard_size(t, c->xcr0) : 0;
	} else if (subleaf == 1) {
		w = t->xstate1;
		w.ebx = w.eax & BIT(1) ? compacted_size(t, c->xcr0) : 0;
	} else if (subleaf < CPUID_XSTATES) {
		w = t->xstate[subleaf];
	}
	return w;
}

static struct cpuid_answer answer_basic(const struct cpuid_policy *t, const struct cpuid_ctx *c,
					uint32_t leaf, uint32_t subleaf)
{
	static const struct cpuid_answer none;

	switch (leaf) {
	case 0x1:
		return answer_features(t, c);
	case 0x4:
		return answer_cache(t, c, subleaf);
	case 0x7:
		return subleaf == 0 ? t->basic[7] : subleaf == 1 ? t->features1 : none;
	case 0xb:
	case 0x1f:
		return answer_topology(c, subleaf);
	case 0xd:
		return answer_xstate(t, c, subleaf);
	default:
		return t->basic[leaf];
	}
}

void cpuid_answer(const struct cpuid_policy *policy, const struct cpuid_ctx *ctx, uint32_t leaf,
		  uint32_t subleaf, struct cpuid_answer *out)
{
	if (leaf <= policy->basic[0].eax)
		*out = answer_basic(policy, ctx, leaf, subleaf);
	else if (leaf - 0x80000000u < CPUID_EXT_LEAVES)
		*out = answer_ext(policy, ctx, leaf - 0x80000000u);
	else if (leaf == CPUID_HV_BASE || leaf == CPUID_HV_TIMING)
		*out = policy->hv[leaf == CPUID_HV_TIMING];
	else
		*out = (struct cpuid_answer){.eax = 0};
}
