/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of MSRs, in order of index so that it can be searched by halves.
 *
 * MTRRs are kept and obeyed by nobody: the type of a guest's memory is decided by its nested page
 * tables. They are there because systems set them up, and refuse what they do not understand.
 *
 * Source: [SDM] volume "Model-Specific Registers", "Memory Type Range Registers (MTRRs)".
 */
#include "vmm/msr.h"

#include "kernel/lib/assert.h"

#define NR_VARIABLE_MTRRS 8

enum slot {
	SLOT_NONE,
	SLOT_TSC_ADJUST,
	SLOT_MCG_STATUS,
	SLOT_MISC_ENABLE,
	SLOT_MISC_FEATURES,
	SLOT_XSS,
	SLOT_HWCR,
	SLOT_MTRR_DEF_TYPE,
	SLOT_MTRR_FIXED,
	SLOT_MTRR_VARIABLE = SLOT_MTRR_FIXED + 11,
	SLOTS = SLOT_MTRR_VARIABLE + 2 * NR_VARIABLE_MTRRS,
};
static_assert(SLOTS <= MSR_STORE_MAX, "the store of a vCPU has room for every slot");

#define ANY (~0ull)

/* Physical addresses have at most 52 bits; a smaller width of the guest is not looked at here. */
#define MTRR_BASE_VALID 0x000ffffffffff0ffull
#define MTRR_MASK_VALID 0x000ffffffffff800ull
#define MTRR_DEF_VALID	0x0cffull

#define MTRRCAP (NR_VARIABLE_MTRRS | BIT(8) /* fixed */ | BIT(10) /* write-combining */)

/* [SDM] "IA32_MISC_ENABLE": fast strings; no branch trace, no PEBS, no MONITOR */
#define MISC_ENABLE_RESET (BIT(0) | BIT(11) | BIT(12))
#define MISC_ENABLE_VALID (MISC_ENABLE_RESET | BIT(3) | BIT(16) | BIT(22) | BIT(34))

#define PASS(i, n)	  {.index = i, .nr = 1, .name = n, .kind = MSR_PASS_THROUGH, .valid = ANY}
#define BACKEND(i, n, v)  {.index = i, .nr = 1, .name = n, .kind = MSR_BACKEND, .valid = v}
#define LAPIC(i, c, n)	  {.index = i, .nr = c, .name = n, .kind = MSR_LAPIC, .valid = ANY}
#define CONSTANT(i, n, r) {.index = i, .nr = 1, .name = n, .kind = MSR_CONSTANT, .reset = r}
#define IGNORED(i, n, r)                                                                           \
	{.index = i, .nr = 1, .name = n, .kind = MSR_IGNORED, .valid = ANY, .reset = r}
#define STORED(i, n, s, v, r)                                                                      \
	{.index = i, .nr = 1, .name = n, .kind = MSR_STORED, .slot = s, .valid = v, .reset = r}
#define MTRR_PAIR(i)                                                                               \
	{.index = 0x200 + 2 * (i),                                                                 \
	 .nr = 1,                                                                                  \
	 .name = "MTRR_PHYSBASE" #i,                                                               \
	 .kind = MSR_STORED,                                                                       \
	 .slot = SLOT_MTRR_VARIABLE + 2 * (i),                                                     \
	 .valid = MTRR_BASE_VALID,                                                                 \
	 .check = MSR_CHECK_MTRR_TYPE},                                                            \
		STORED(0x201 + 2 * (i), "MTRR_PHYSMASK" #i, SLOT_MTRR_VARIABLE + 2 * (i) + 1,      \
		       MTRR_MASK_VALID, 0)
#define MTRR_FIX(i, n, s)                                                                          \
	{.index = i,                                                                               \
	 .nr = 1,                                                                                  \
	 .name = n,                                                                                \
	 .kind = MSR_STORED,                                                                       \
	 .slot = SLOT_MTRR_FIXED + (s),                                                            \
	 .valid = ANY,                                                                             \
	 .check = MSR_CHECK_MTRR_TYPES}

static const struct msr_row rows[] = {
	{.index = MSR_IA32_TSC, .nr = 1, .name = "TSC", .kind = MSR_TSC, .valid = ANY},
	CONSTANT(0x17, "PLATFORM_ID", 0),
	LAPIC(0x1b, 1, "APIC_BASE"),
	IGNORED(0x2a, "EBL_CR_POWERON", 0),
	CONSTANT(0x34, "SMI_COUNT", 0),
	CONSTANT(0x3a, "FEATURE_CONTROL", 1), /* locked, VMX off */
	{.index = MSR_IA32_TSC_ADJUST,
	 .nr = 1,
	 .name = "TSC_ADJUST",
	 .kind = MSR_TSC_ADJUST,
	 .slot = SLOT_TSC_ADJUST,
	 .valid = ANY},
	IGNORED(0x79, "BIOS_UPDT_TRIG", 0),
	IGNORED(0x8b, "BIOS_SIGN_ID",
		1ull << 32), /* microcode; systems write 0 before they read it */
	CONSTANT(0xce, "PLATFORM_INFO", 0),
	CONSTANT(0xfe, "MTRRCAP", MTRRCAP),
	STORED(0x140, "MISC_FEATURES_ENABLES", SLOT_MISC_FEATURES, 0, 0),
	PASS(0x174, "SYSENTER_CS"),
	PASS(0x175, "SYSENTER_ESP"),
	PASS(0x176, "SYSENTER_EIP"),
	CONSTANT(0x179, "MCG_CAP", 0), /* no banks: machine checks are the host's */
	STORED(0x17a, "MCG_STATUS", SLOT_MCG_STATUS, 7, 0),
	CONSTANT(0x198, "PERF_STATUS", 0),
	IGNORED(0x199, "PERF_CTL", 0),
	IGNORED(0x19a, "CLOCK_MODULATION", 0),
	IGNORED(0x19b, "THERM_INTERRUPT", 0),
	IGNORED(0x19c, "THERM_STATUS", 0),
	STORED(0x1a0, "MISC_ENABLE", SLOT_MISC_ENABLE, MISC_ENABLE_VALID, MISC_ENABLE_RESET),
	CONSTANT(0x1a2, "TEMPERATURE_TARGET", 0),
	BACKEND(0x1d9, "DEBUGCTL", 2), /* single-step on branches */
	IGNORED(0x1fc, "POWER_CTL", 0),
	MTRR_PAIR(0),
	MTRR_PAIR(1),
	MTRR_PAIR(2),
	MTRR_PAIR(3),
	MTRR_PAIR(4),
	MTRR_PAIR(5),
	MTRR_PAIR(6),
	MTRR_PAIR(7),
	MTRR_FIX(0x250, "MTRR_FIX64K_00000", 0),
	MTRR_FIX(0x258, "MTRR_FIX16K_80000", 1),
	MTRR_FIX(0x259, "MTRR_FIX16K_A0000", 2),
	MTRR_FIX(0x268, "MTRR_FIX4K_C0000", 3),
	MTRR_FIX(0x269, "MTRR_FIX4K_C8000", 4),
	MTRR_FIX(0x26a, "MTRR_FIX4K_D0000", 5),
	MTRR_FIX(0x26b, "MTRR_FIX4K_D8000", 6),
	MTRR_FIX(0x26c, "MTRR_FIX4K_E0000", 7),
	MTRR_FIX(0x26d, "MTRR_FIX4K_E8000", 8),
	MTRR_FIX(0x26e, "MTRR_FIX4K_F0000", 9),
	MTRR_FIX(0x26f, "MTRR_FIX4K_F8000", 10),
	PASS(0x277, "PAT"),
	/* On, fixed ranges off, write-back: what firmware would leave for RAM. */
	{.index = 0x2ff,
	 .nr = 1,
	 .name = "MTRR_DEF_TYPE",
	 .kind = MSR_STORED,
	 .slot = SLOT_MTRR_DEF_TYPE,
	 .valid = MTRR_DEF_VALID,
	 .check = MSR_CHECK_MTRR_TYPE,
	 .reset = BIT(11) | 6},
	LAPIC(0x6e0, 1, "TSC_DEADLINE"),
	LAPIC(0x800, 0x100, "X2APIC"),
	STORED(0xda0, "XSS", SLOT_XSS, 0, 0), /* no supervisor state is offered */
	BACKEND(MSR_IA32_EFER, "EFER", 0xd01),
	PASS(0xc0000081, "STAR"),
	PASS(0xc0000082, "LSTAR"),
	PASS(0xc0000083, "CSTAR"),
	PASS(0xc0000084, "FMASK"),
	PASS(0xc0000100, "FS_BASE"),
	PASS(0xc0000101, "GS_BASE"),
	PASS(0xc0000102, "KERNEL_GS_BASE"),
	PASS(0xc0000103, "TSC_AUX"),
	CONSTANT(0xc0010010, "SYSCFG", 0),
	STORED(0xc0010015, "HWCR", SLOT_HWCR, BIT(3) | BIT(4) | BIT(6) | BIT(8) | BIT(24), BIT(24)),
	IGNORED(0xc001001f, "NB_CFG", 0),
	CONSTANT(0xc0010055, "INT_PENDING", 0),
	IGNORED(0xc0011029, "DE_CFG", BIT(1)), /* LFENCE serialises */
};

size_t msr_nr_rows(void)
{
	return ARRAY_SIZE(rows);
}

const struct msr_row *msr_row_at(size_t i)
{
	ASSERT(i < ARRAY_SIZE(rows));
	return &rows[i];
}

const struct msr_row *msr_find(uint32_t index)
{
	size_t low = 0, high = ARRAY_SIZE(rows);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (index < rows[middle].index)
			high = middle;
		else if (index - rows[middle].index >= rows[middle].nr)
			low = middle + 1;
		else
			return &rows[middle];
	}
	return NULL;
}

/* [SDM] table "Memory Types That Can Be Encoded in MTRRs" */
static bool is_mtrr_type(uint64_t type)
{
	return type < 7 && type != 2 && type != 3;
}

bool msr_may_write(const struct msr_row *row, uint64_t val)
{
	if (val & ~row->valid)
		return false;
	if (row->check == MSR_CHECK_MTRR_TYPE)
		return is_mtrr_type(val & 0xff);
	for (unsigned i = 0; row->check == MSR_CHECK_MTRR_TYPES && i < 64; i += 8)
		if (!is_mtrr_type(val >> i & 0xff))
			return false;
	return row->kind != MSR_CONSTANT;
}

void msr_store_reset(uint64_t *store)
{
	for (size_t i = 0; i < MSR_STORE_MAX; i++)
		store[i] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].slot != SLOT_NONE)
			store[rows[i].slot] = rows[i].reset;
}

uint64_t msr_store_read(const uint64_t *store, const struct msr_row *row)
{
	ASSERT(row->slot || row->kind == MSR_CONSTANT || row->kind == MSR_IGNORED);
	return row->slot != SLOT_NONE ? store[row->slot] : row->reset;
}

bool msr_store_write(uint64_t *store, const struct msr_row *row, uint64_t val)
{
	ASSERT(row->slot || row->kind == MSR_CONSTANT || row->kind == MSR_IGNORED);
	if (!msr_may_write(row, val))
		return false;
	if (row->slot != SLOT_NONE)
		store[row->slot] = val;
	return true;
}
