/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that firmware would leave: found as an operating system finds them, and whole. */
#include "tests/guest/lib/guest.h"

#include "vmm/layout.h"

static uint8_t sum(uint64_t at, uint32_t len)
{
	uint8_t total = 0;

	for (uint32_t i = 0; i < len; i++)
		total = (uint8_t)(total + read8(at + i));
	return total;
}

static bool is_table(uint64_t at, const char *signature)
{
	return same((const void *)at, signature, 4) && sum(at, read32(at + 4)) == 0;
}

/* The table with that signature, or 0. */
static uint64_t find(uint64_t xsdt, const char *signature)
{
	for (uint32_t at = 36; at < read32(xsdt + 4); at += 8)
		if (same((const void *)read64(xsdt + at), signature, 4))
			return read64(xsdt + at);
	return 0;
}

static void madt(uint64_t at, uint32_t nr_vcpus)
{
	uint32_t nr_cpus = 0, nr_ioapics = 0, ioapic_at = 0;
	bool has_override = false;

	EXPECT_EQ(read32(at + 36), LAYOUT_LAPIC, "the MADT knows where LAPICs are");
	for (uint64_t entry = at + 44; entry < at + read32(at + 4); entry += read8(entry + 1)) {
		if (read8(entry) == 0 && (read32(entry + 4) & 1))
			nr_cpus++;
		if (read8(entry) == 9 && (read32(entry + 8) & 1))
			nr_cpus++;
		if (read8(entry) == 1) {
			nr_ioapics++;
			ioapic_at = read32(entry + 4);
		}
		if (read8(entry) == 2 && read8(entry + 3) == 0)
			has_override = read32(entry + 4) == LAYOUT_GSI_PIT;
	}
	EXPECT_EQ(nr_cpus, nr_vcpus, "the MADT has the VM's vCPUs");
	EXPECT(nr_ioapics == 1 && ioapic_at == LAYOUT_IOAPIC, "the MADT has the IOAPIC");
	EXPECT(has_override, "the MADT says where the PIT's interrupt is");
}

static void fadt(uint64_t at)
{
	uint64_t dsdt = read64(at + 140) ? read64(at + 140) : read32(at + 40);

	EXPECT(is_table(dsdt, "DSDT"), "the DSDT's checksum holds");
	EXPECT_EQ(read32(at + 64), LAYOUT_PM + 4, "the FADT has the power control");
	EXPECT_EQ(read32(at + 76), LAYOUT_PM + 8, "the FADT has the PM timer");
	EXPECT(in16(LAYOUT_PM + 4) & 1, "ACPI is on already");
	EXPECT(read32(at + 112) & 1 << 10, "the FADT has the reset register");
	EXPECT_EQ(read64(at + 120), LAYOUT_RESET_CONTROL, "and it is the PC's");
}

void guest_main(void)
{
	uint64_t rsdp = guest_rsdp(), xsdt, mcfg;
	bool all = true;

	EXPECT(rsdp && same((const void *)rsdp, "RSD PTR ", 8), "the start info leads to the RSDP");
	EXPECT(rsdp >= 0xe0000 && rsdp < 0x100000 && rsdp % 16 == 0, "a search would find it too");
	EXPECT(sum(rsdp, 20) == 0 && sum(rsdp, read32(rsdp + 20)) == 0,
	       "the RSDP's checksums hold");
	EXPECT(read8(rsdp + 15) >= 2, "it is of ACPI 2.0 or later");
	xsdt = read64(rsdp + 24);
	EXPECT(is_table(xsdt, "XSDT"), "the XSDT's checksum holds");
	for (uint32_t at = 36; at < read32(xsdt + 4); at += 8)
		all = all && sum(read64(xsdt + at), read32(read64(xsdt + at) + 4)) == 0;
	EXPECT(all, "every table's checksum holds");
	EXPECT(find(xsdt, "FACP"), "there is a FADT");
	fadt(find(xsdt, "FACP"));
	EXPECT(find(xsdt, "APIC"), "there is a MADT");
	madt(find(xsdt, "APIC"), (uint32_t)option("vcpus", 1));
	mcfg = find(xsdt, "MCFG");
	EXPECT(mcfg && read64(mcfg + 44) == LAYOUT_ECAM && read8(mcfg + 54) == 0,
	       "the MCFG has the ECAM of bus 0");
	EXPECT(same((const void *)LAYOUT_SMBIOS, "_SM3_", 5) ||
		       same((const void *)LAYOUT_SMBIOS, "_SM_", 4),
	       "SMBIOS is where it is looked for");
}
