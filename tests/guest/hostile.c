/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that means harm, the same harm for the same seed=: random values to every port, MSR,
 * control register, PCI register, virtqueue, APIC register and hypercall, for a while; then it
 * restarts itself in one of the ways there are, rounds= times, and powers off.
 *
 * It spares what would end it early: the power-off register, and INIT to itself by the ICR. If it
 * gets itself into a corner all the same, its second CPU, which only watches, restarts it.
 */
#include "tests/guest/lib/guest.h"

#include "vmm/layout.h"

#define COUNT 0x50 /* CMOS */
#define MAGIC 0x51

#define ROUND_MS   500u
#define CORNER_MS  300u
#define ARENA	   0x800000ull /* 4 MiB of its own memory that devices may spoil */
#define ARENA_END  0xc00000ull
#define PM_CONTROL (LAYOUT_PM + 4)

static uint64_t rng;
static volatile uint64_t heartbeat;
static uint8_t round_nr;
static uint8_t code[4096] __attribute__((aligned(4096)));

static uint64_t any(void)
{
	return random_next(&rng);
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(any() >> 32) % n;
}

/* Values that are often wrong in an interesting way. */
static uint64_t value(void)
{
	switch (below(6)) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return 1ull << below(64);
	case 3:
		return below(256);
	case 4:
		return ARENA + below(ARENA_END - ARENA);
	default:
		return any();
	}
}

/* Addresses for devices to read and write: the arena, the edges of RAM, devices, nowhere. */
static uint64_t address(void)
{
	switch (below(8)) {
	case 0:
		return 0x1000000 - below(64); /* the end of its 16 MiB */
	case 1:
		return LAYOUT_LAPIC + below(4096);
	case 2:
		return LAYOUT_ECAM + below(0x100000);
	case 3:
		return ~0ull - below(4096);
	case 4:
		return any() | 1ull << 40;
	default:
		return ARENA + (below(ARENA_END - ARENA) & ~(below(2) ? 0xfffull : 0ull));
	}
}

/* ---- ports ---- */

static bool is_spared(uint32_t port, uint32_t size)
{
	/* Power-off; and resets, which would make every round short. */
	return (port < PM_CONTROL + 2 && port + size > PM_CONTROL) ||
	       (port <= 0xcf9 && port + size > 0xcf9) || (port <= 0x64 && port + size > 0x60) ||
	       (port <= 0x92 && port + size > 0x92);
}

static uint16_t any_port(void)
{
	static const uint16_t devices[] = {0x20,  0x40,	 0x61,	0x70, 0xa0, 0x3f8,
					   0x4d0, 0x600, 0xcf8, 0x80, 0x510};

	return below(2) ? (uint16_t)(devices[below(sizeof(devices) / 2)] + below(16))
			: (uint16_t)any();
}

static void poke_port(void)
{
	uint16_t port = any_port();
	uint32_t size = 1u << below(3), val = (uint32_t)value();

	if (below(2)) {
		(void)(size == 1 ? in8(port) : size == 2 ? in16(port) : in32(port));
	} else if (!is_spared(port, size)) {
		if (size == 1)
			out8(port, (uint8_t)val);
		else if (size == 2)
			out16(port, (uint16_t)val);
		else
			out32(port, val);
	}
	cmos_write(COUNT, round_nr);
	cmos_write(MAGIC, 0xb2);
}

static void poke_port_string(void)
{
	uint64_t at = address(), cx = below(below(8) ? 64 : 100000);
	uint16_t port = any_port();

	if (at < 0x400000)
		return;
	if (below(2))
		CATCH(__asm__ volatile("rep insb" : "+D"(at), "+c"(cx) : "d"(port) : "memory"));
	else if (!is_spared(port, 1) && port != 0x71)
		CATCH(__asm__ volatile("rep outsb" : "+S"(at), "+c"(cx) : "d"(port) : "memory"));
}

/* ---- the CPU ---- */

static void poke_msr(void)
{
	static const uint32_t known[] = {
		0x10,	    0x1b,  0x3a,  0x3b,	 0x79,	0x8b,	    0xfe,	0x174,
		0x175,	    0x176, 0x17a, 0x1a0, 0x1d9, 0x200,	    0x250,	0x277,
		0x2ff,	    0x6e0, 0x802, 0x808, 0x80b, 0x80f,	    0x828,	0x832,
		0x838,	    0x83f, 0xda0, 0x480, 0x48b, 0xc0000081, 0xc0000100, 0xc0000102,
		0xc0000103, 0x48,  0x49,  0x10a, 0x122, 0x150,	    0x4b564d01};
	static const uint32_t ranges[] = {0,	      0x800,	  0x480, 0xc0000080,
					  0xc0010000, 0x40000000, 0x600};
	uint32_t index = below(2) ? known[below(sizeof(known) / 4)] : ranges[below(7)] + below(256);
	uint64_t val;

	if (below(16) == 0)
		index = (uint32_t)any();
	if (below(2))
		rdmsr_catch(index, &val);
	else if (index != 0x830 && index != 0x1b) /* ICR and the APIC's mode: see poke_apic() */
		wrmsr_catch(index, value());
}

static void poke_cr(void)
{
	uint64_t cr0 = read_cr0(), cr4 = read_cr4(), val = value();

	switch (below(4)) {
	case 0:
		CATCH(__asm__ volatile(
			"mov %0, %%cr0" : : "r"(cr0 ^ (1ull << below(64))) : "memory"));
		break;
	case 1:
		CATCH(__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 ^ (1ull << below(64)) ^
							       below(2) << 6) : "memory"));
		break;
	case 2:
		CATCH(__asm__ volatile("mov %0, %%cr8" : : "r"(val) : "memory"));
		break;
	default:
		CATCH(__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 ^ (1ull << below(32)) ^
							       1ull << 30) : "memory"));
		break;
	}
	write_cr8(0);
	CATCH(__asm__ volatile("mov %0, %%cr0" : : "r"(cr0) : "memory"));
	CATCH(__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 18) : "memory"));
	CATCH(xsetbv(below(4) ? 0 : below(4), val));
}

static void poke_instructions(void)
{
	uint64_t rax = below(2) ? below(64) : any();

	switch (below(7)) {
	case 0:
		CATCH(__asm__ volatile("vmcall" : "+a"(rax) : "b"(any()), "c"(any()),
				       "d"(any()) : "memory"));
		break;
	case 1:
		cpuid((uint32_t)value(), (uint32_t)value());
		break;
	case 2:
		CATCH(__asm__ volatile("wbinvd"));
		break;
	case 3:
		CATCH(__asm__ volatile("vmxon (%0)" : : "r"(ARENA) : "memory", "cc"));
		break;
	case 4:
		CATCH(__asm__ volatile("rdpmc" : : "c"((uint32_t)rax) : "rax", "rdx"));
		break;
	case 5:
		CATCH(__asm__ volatile("ud2"));
		break;
	default:
		CATCH(__asm__ volatile("invlpg (%0)" : : "r"(any()) : "memory"));
		break;
	}
}

/* ---- interrupts ---- */

static void poke_apic(void)
{
	static const uint16_t regs[] = {0x20,  0x30,  0x80,  0x90,  0xa0,  0xb0,  0xd0,
					0xe0,  0x100, 0x170, 0x200, 0x280, 0x2f0, 0x310,
					0x320, 0x330, 0x340, 0x360, 0x370, 0x380, 0x390,
					0x3e0, 0x3f0, 0x400, 0xff0};
	uint64_t at = LAYOUT_LAPIC + regs[below(sizeof(regs) / 2)];

	if (below(2))
		CATCH(read32(at + (below(8) ? 0 : below(16))));
	else
		CATCH(write32(at, (uint32_t)value()));
	apic_write(0xf0, 0x1ff);
}

/* Every vector to itself, and a timer that is always due. */
static void flood(void)
{
	apic_enable(false);
	apic_write(0x80, 0);
	apic_write(0x3e0, 0xb);
	apic_write(0x320, 0x20000 | 0xfe);
	apic_write(0x380, 1 + below(20));
	for (uint32_t vector = 0; vector < 256; vector++)
		apic_send(0, 0x40000 | vector);
	for (uint32_t i = 0; i < 32; i++)
		apic_send(below(4), below(4) << 18 | (below(2) ? 0x400 : 0) | (32 + below(224)));
	irq_on();
	for (uint32_t i = 0; i < 2000; i++)
		__asm__ volatile("pause");
	irq_off();
	apic_write(0x380, 0);
}

static void poke_ioapic(void)
{
	write32(LAYOUT_IOAPIC, below(4) ? 0x10 + below(48) : (uint32_t)any());
	if (below(4))
		write32(LAYOUT_IOAPIC + 0x10,
			(uint32_t)(value() & ~0x700ull)); /* no INIT to itself */
	else
		CATCH(read32(LAYOUT_IOAPIC + below(0x1000)));
	out8(0x43, (uint8_t)any()), out8(0x40, (uint8_t)any()), out8(0x40, (uint8_t)any());
}

/* ---- PCI and virtio ---- */

static void poke_pci(void)
{
	uint32_t dev = below(below(2) ? 4 : 32), reg = below(64) * 4;

	if (below(3) == 0)
		(void)read32(LAYOUT_ECAM + (dev << 15) + below(4093));
	else if (below(2))
		pci_write(dev, reg, (uint32_t)value());
	else
		CATCH(write16(LAYOUT_ECAM + (dev << 15) + below(4095), (uint16_t)value()));
}

static void spoil_arena(void)
{
	volatile uint64_t *at = (uint64_t *)(ARENA + (below(ARENA_END - ARENA - 8192) & ~15u));

	for (uint32_t i = 0; i < 256;
	     i++) { /* as descriptors, and whatever else they may be taken for */
		at[2 * i] = address();
		at[2 * i + 1] = (uint64_t)below(70000) | (uint64_t)below(8) << 32 |
				(uint64_t)below(20) << 48;
	}
}

static void poke_virtio(void)
{
	uint32_t dev = 1 + below(2);
	uint64_t bar;

	pci_write(dev, 4, 6);
	pci_write(dev, 0x10, (uint32_t)LAYOUT_PCI_BARS + dev * 0x100000), pci_write(dev, 0x14, 0);
	bar = pci_bar(dev, 0);
	write8(bar + 20, 0);
	write8(bar + 20, 3);
	write32(bar + 8, 1), write32(bar + 12, below(8) ? 1 : (uint32_t)any());
	write32(bar + 8, 0), write32(bar + 12, below(2) ? 1u << 29 | 1u << 28 : (uint32_t)value());
	write8(bar + 20, 11);
	for (uint16_t queue = 0; queue < 3; queue++) {
		write16(bar + 22, below(8) ? queue : (uint16_t)any());
		write16(bar + 24, below(2) ? 1u << below(9) : (uint16_t)any());
		write16(bar + 26, (uint16_t)value());
		for (uint32_t ring = 32; ring < 56; ring += 8)
			write64(bar + ring, below(8) ? ARENA + (below(ARENA_END - ARENA) & ~0xfffu)
						     : address());
		write16(bar + 28, 1);
	}
	write8(bar + 20, below(8) ? 15 : (uint8_t)any());
	for (uint32_t i = 0; i < 20; i++) {
		spoil_arena();
		write16(bar + 0x3000 + 4 * below(4), (uint16_t)any());
		(void)read32(bar + below(0x4000 - 3));
		if (below(4) == 0)
			CATCH(write32(bar + below(0x3000), (uint32_t)value()));
	}
	write8(bar + 20, 0);
}

/* ---- device memory, by instructions that nobody would write ---- */

static void poke_mmio(void)
{
	static const uint8_t ops[] = {0x88, 0x89, 0x8a, 0x8b, 0x00, 0x01, 0x03, 0x08, 0x09,
				      0x0b, 0x20, 0x21, 0x23, 0x28, 0x29, 0x2b, 0x30, 0x31,
				      0x33, 0x38, 0x39, 0x3a, 0x3b, 0x84, 0x85, 0x86, 0x87};
	static const uint64_t bases[] = {LAYOUT_ECAM, LAYOUT_PCI_BARS, LAYOUT_IOAPIC + 0x20,
					 0xf0000000,  0xfed00000,      0xc0000000};
	uint64_t at = bases[below(6)] + below(0x1000);
	uint8_t *to = code;

	if (below(3) == 0)
		*to++ = 0x66;
	if (below(2))
		*to++ = (uint8_t)(0x48 | below(2) << 2);
	*to++ = ops[below(sizeof(ops))];
	*to++ = (uint8_t)(below(3) << 3 | 3); /* RAX, RCX or RDX (R8, R9, R10) and [RBX] */
	*to = 0xc3;
	CATCH(__asm__ volatile("call *%0" : : "S"(code), "b"(at), "a"(any()), "c"(any()),
			       "d"(any()) : "memory", "cc", "r8", "r9", "r10"));
}

static void poke_mmio_string(void)
{
	uint64_t si = below(2) ? 0xf0000000 + below(4096) : LAYOUT_ECAM, di = ARENA + below(4096),
		 cx = below(3000);

	if (below(2))
		CATCH(__asm__ volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(cx) : : "memory"));
	else
		CATCH(__asm__ volatile("rep movsb" : "+S"(di), "+D"(si), "+c"(cx) : : "memory"));
}

/* ---- the whole ---- */

static void (*const pokes[])(void) = {
	poke_port, poke_port,	      poke_port_string, poke_msr,  poke_msr,
	poke_cr,   poke_instructions, poke_apic,	flood,	   poke_ioapic,
	poke_pci,  poke_virtio,	      poke_mmio,	poke_mmio, poke_mmio_string,
};

static void restart(uint32_t how)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} none = {0, 0};

	cmos_write(MAGIC, 0xb2);
	if (how == 0)
		out8(LAYOUT_RESET_CONTROL, 0), out8(LAYOUT_RESET_CONTROL, 6);
	if (how == 1)
		out8(0x64, 0xfe);
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

static void corner(void)
{
	restart(2);
}

static void watch(void)
{
	uint64_t seen = 0, since = rdtsc();

	for (;;) {
		if (heartbeat != seen) {
			seen = heartbeat;
			since = rdtsc();
		} else if (rdtsc() - since > CORNER_MS * tsc_khz()) {
			corner();
		}
		__asm__ volatile("pause");
	}
}

void guest_main(void)
{
	uint64_t end;

	round_nr = cmos_read(MAGIC) == 0xb2 ? (uint8_t)(cmos_read(COUNT) + 1) : 0;
	cmos_write(COUNT, round_nr);
	cmos_write(MAGIC, 0xb2);
	if (round_nr >= option("rounds", 3)) {
		EXPECT(true, "the guest could do all the harm that it wanted to");
		return;
	}
	rng = option("seed", 1) * 0x9e3779b97f4a7c15ull + round_nr + 1;
	print("round\n");
	trap_fatal = corner;
	write_cr4(read_cr4() | 1 << 18);
	apic_enable(false);
	start_second_cpu(watch);
	end = rdtsc() + ROUND_MS * tsc_khz();
	while (rdtsc() < end) {
		heartbeat++;
		pokes[below(sizeof(pokes) / sizeof(pokes[0]))]();
	}
	restart(below(3));
}
