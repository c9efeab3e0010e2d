/* SPDX-License-Identifier: Apache-2.0 */
/* What CPUID promises: only what there is, and the same from every leaf that says it. */
#include "tests/guest/lib/guest.h"

#define CR4_OSXSAVE (1ull << 18)

static bool is_intel, is_amd;

static void identity(void)
{
	struct regs4 r = cpuid(0, 0);

	is_intel = r.ebx == 0x756e6547 && r.edx == 0x49656e69 && r.ecx == 0x6c65746e;
	is_amd = r.ebx == 0x68747541 && r.edx == 0x69746e65 && r.ecx == 0x444d4163;
	EXPECT(is_intel || is_amd, "the CPU is of a make that there is");
	EXPECT(r.eax >= (is_intel ? 0x16 : 0xd) && r.eax < 0x40,
	       "the highest basic leaf is a plausible one");
	EXPECT(cpuid(0x80000000, 0).eax >= 0x80000008, "the extended leaves reach address sizes");
	r = cpuid(0x40000000, 0);
	EXPECT(r.ebx == 0x6c6c6942 && r.ecx == 0x69427465 && r.edx == 0x74656c6c,
	       "the hypervisor gives its name");
	EXPECT(r.eax >= 0x40000010, "the hypervisor's leaves reach the one for timing");
}

static void features(void)
{
	struct regs4 r = cpuid(1, 0);
	uint64_t val;

	EXPECT(!(r.ecx & 1u << 5), "the CPU does not offer VMX");
	EXPECT(!(r.ecx & 1u << 6), "the CPU does not offer SMX");
	EXPECT(!(r.ecx & 1u << 3), "the CPU does not offer MONITOR, which it does not let through");
	EXPECT(r.ecx & 1u << 31, "the CPU says that there is a hypervisor");
	EXPECT(r.ecx & 1u << 21, "the CPU offers x2APIC");
	EXPECT(r.ecx & 1u << 24, "the CPU offers the TSC-deadline timer");
	EXPECT(r.edx & 1u << 9, "the CPU has an APIC");
	EXPECT(cpuid(0x80000007, 0).edx & 1u << 8, "the TSC is invariant");
	EXPECT_EQ(!!(cpuid(7, 0).edx & 1u << 26), rdmsr_catch(0x48, &val) < 0,
		  "SPEC_CTRL is there if, and only if, CPUID says so");
	EXPECT_EQ(!!(cpuid(7, 0).edx & 1u << 29), rdmsr_catch(0x10a, &val) < 0,
		  "ARCH_CAPABILITIES is there if, and only if, CPUID says so");
	EXPECT(!(cpuid(0xa, 0).eax & 0xff), "no performance counters are offered");
	EXPECT((cpuid(0x80000008, 0).eax & 0xff) >= 36,
	       "physical addresses have a plausible width");
}

static void osxsave(void)
{
	EXPECT(!(cpuid(1, 0).ecx & 1u << 27), "OSXSAVE is off while CR4 has it off");
	write_cr4(read_cr4() | CR4_OSXSAVE);
	EXPECT(cpuid(1, 0).ecx & 1u << 27, "OSXSAVE follows CR4");
}

static uint32_t standard_size(uint64_t xcr0)
{
	uint32_t end = 576;

	for (uint32_t i = 2; i < 63; i++) {
		struct regs4 r = cpuid(0xd, i);

		if ((xcr0 >> i & 1) && r.eax + r.ebx > end)
			end = r.eax + r.ebx;
	}
	return end;
}

static void xsave_sizes(void)
{
	uint64_t all = (uint64_t)cpuid(0xd, 0).edx << 32 | cpuid(0xd, 0).eax;

	EXPECT_EQ(xgetbv(0), 1, "XCR0 is 1 after reset");
	EXPECT_EQ(cpuid(0xd, 0).ebx, 576, "XSAVE takes 576 bytes with x87 alone");
	xsetbv(0, 3);
	EXPECT_EQ(cpuid(0xd, 0).ebx, 576, "XSAVE takes 576 bytes with SSE");
	if (all & 4) {
		xsetbv(0, 7);
		EXPECT_EQ(cpuid(0xd, 0).ebx, 832, "XSAVE takes 832 bytes with AVX");
		EXPECT_EQ(cpuid(0xd, 2).eax, 256, "AVX state is 256 bytes");
		EXPECT_EQ(cpuid(0xd, 2).ebx, 576, "AVX state is at 576");
	}
	xsetbv(0, all);
	EXPECT_EQ(cpuid(0xd, 0).ebx, standard_size(all),
		  "XSAVE's size is where the last component ends");
	EXPECT_EQ(cpuid(0xd, 0).ecx, cpuid(0xd, 0).ebx,
		  "the largest size is the one with everything on");
	EXPECT_EQ(cpuid(0xd, 40).eax, 0, "a component that is not offered has no size");
	xsetbv(0, 3);
}

static volatile uint32_t second_id_b, second_id_1;

static void second(void)
{
	second_id_1 = cpuid(1, 0).ebx >> 24;
	second_id_b = cpuid(0xb, 0).edx;
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void topology(void)
{
	EXPECT_EQ(cpuid(1, 0).ebx >> 24, 0, "the first CPU has APIC ID 0");
	EXPECT_EQ(cpuid(0xb, 0).ecx >> 8 & 0xff, 1, "the first level is threads");
	EXPECT_EQ(cpuid(0xb, 0).ebx, 1, "a core has one thread");
	EXPECT_EQ(cpuid(0xb, 1).ecx >> 8 & 0xff, 2, "the second level is cores");
	EXPECT_EQ(cpuid(0xb, 1).ebx, 2, "the package has as many cores as the VM has vCPUs");
	EXPECT_EQ(cpuid(0xb, 1).eax, 1, "one bit of the APIC ID tells two cores apart");
	EXPECT_EQ(cpuid(0xb, 2).ecx >> 8, 0, "there is no third level");
	EXPECT_EQ(cpuid(0xb, 2).ecx & 0xff, 2, "a level that is not there echoes its number");
	if (is_intel)
		EXPECT_EQ((cpuid(4, 0).eax >> 26) + 1, 2, "the cache leaf knows as many cores");
	else
		EXPECT_EQ(cpuid(0x80000008, 0).ecx & 0xff, 1,
			  "the leaf of sizes knows as many cores");
	apic_enable(false);
	EXPECT(start_second_cpu(second), "the second CPU starts");
	wait_us(1000);
	EXPECT_EQ(second_id_1, 1, "the second CPU has APIC ID 1 in leaf 1");
	EXPECT_EQ(second_id_b, 1, "the second CPU has APIC ID 1 in leaf 0xb");
}

static void timing(void)
{
	struct regs4 r = cpuid(0x15, 0);
	uint64_t khz = tsc_khz(), by_15 = r.eax ? (uint64_t)r.ecx * r.ebx / r.eax / 1000 : 0;

	EXPECT(khz > 1000, "the timing leaf has the TSC's frequency");
	if (!is_intel)
		return;
	EXPECT(by_15 > khz - khz / 1000 && by_15 < khz + khz / 1000,
	       "leaf 0x15 agrees with the timing leaf");
	EXPECT_EQ(cpuid(0x40000010, 0).ebx, r.ecx / 1000, "the LAPIC's clock is the crystal");
	EXPECT(cpuid(0x16, 0).eax >= khz / 1000 - 1 && cpuid(0x16, 0).eax <= khz / 1000 + 1,
	       "leaf 0x16 agrees with the timing leaf");
}

void guest_main(void)
{
	identity();
	features();
	osxsave();
	xsave_sizes();
	topology();
	timing();
}
