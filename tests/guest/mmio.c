/* SPDX-License-Identifier: Apache-2.0 */
/* Device memory: every way to move bytes that a driver uses, on PCI's configuration window. */
#include "tests/guest/lib/guest.h"

#include "vmm/layout.h"

#define PF   14
#define LINE 0x3c /* interrupt line: a byte of configuration that keeps what is written */
#define HOLE 0xd8000000ull

static uint64_t line_at; /* of the first virtio function */
static uint8_t copy[4096] __attribute__((aligned(4096)));

static void same_by_both_ways(void)
{
	bool all = true, bytes = true, words = true;

	for (uint32_t dev = 0; dev < 32; dev++)
		for (uint32_t reg = 0; reg < 256; reg += 4)
			all = all && read32(LAYOUT_ECAM + (dev << 15) + reg) == pci_read(dev, reg);
	EXPECT(all, "ECAM and ports CF8 and CFC read the same");
	for (uint32_t i = 0; i < 64; i++) {
		uint32_t word = pci_read(0, i & ~3u);

		bytes = bytes && read8(LAYOUT_ECAM + i) == (word >> (i % 4 * 8) & 0xff);
		bytes = bytes && in8((uint16_t)(0xcfc + i % 4)) == (word >> (i % 4 * 8) & 0xff);
		if (i % 2 == 0)
			words = words && read16(LAYOUT_ECAM + i) == (word >> (i % 4 * 8) & 0xffff);
	}
	EXPECT(bytes, "bytes of configuration are part of their doublewords");
	EXPECT(words, "words of configuration are part of their doublewords");
	EXPECT_EQ(read32(LAYOUT_ECAM + (31u << 15)), 0xffffffff,
		  "a function that is not there reads all ones");
	EXPECT_EQ(read32(LAYOUT_ECAM + (1u << 12)), 0xffffffff,
		  "so does function 1 of a device that has one");
}

#define RMW(text, from, should)                                                                    \
	do {                                                                                       \
		write8(line_at, from);                                                             \
		__asm__ volatile(text : : "r"(line_at), "c"(0x35u) : "memory", "cc", "rax");       \
		EXPECT_EQ(read8(line_at), should, text);                                           \
	} while (0)

static void read_modify_write(void)
{
	RMW("movb %%cl, (%0)", 0, 0x35);
	RMW("movb $0x42, (%0)", 0, 0x42);
	RMW("orb $0x42, (%0)", 0x11, 0x53);
	RMW("andb $0x0f, (%0)", 0x35, 0x05);
	RMW("xorb %%cl, (%0)", 0xff, 0xca);
	RMW("addb $1, (%0)", 0xff, 0x00);
	RMW("subb %%cl, (%0)", 0x36, 0x01);
	RMW("incb (%0)", 0x41, 0x42);
	RMW("decb (%0)", 0x41, 0x40);
	RMW("notb (%0)", 0x0f, 0xf0);
	RMW("negb (%0)", 0x01, 0xff);
	RMW("lock btsl $3, (%0)", 0x00, 0x08);
	RMW("lock btrl $0, (%0)", 0xff, 0xfe);
	RMW("movb $9, %%al; xchgb %%al, (%0)", 0x33, 0x09);
	RMW("movb $0x33, %%al; lock cmpxchgb %%cl, (%0)", 0x33, 0x35);
	RMW("movb $0x32, %%al; lock cmpxchgb %%cl, (%0)", 0x33, 0x33);
}

static uint64_t flags_of_compare(uint8_t is, uint8_t with)
{
	uint64_t flags;

	write8(line_at, is);
	__asm__ volatile("cmpb %%cl, (%1); pushfq; pop %0"
			 : "=r"(flags)
			 : "r"(line_at), "c"(with)
			 : "memory", "cc");
	return flags & 0x8d5;
}

static uint64_t flags_of_compare_in_ram(uint8_t is, uint8_t with)
{
	uint64_t flags;

	copy[0] = is;
	__asm__ volatile("cmpb %%cl, (%1); pushfq; pop %0"
			 : "=r"(flags)
			 : "r"(copy), "c"(with)
			 : "memory", "cc");
	return flags & 0x8d5;
}

static void flags(void)
{
	bool all = true;

	for (uint32_t i = 0; i < 64; i++) {
		uint8_t a = (uint8_t)(i * 37), b = (uint8_t)(i * 101 + 7);

		all = all && flags_of_compare(a, b) == flags_of_compare_in_ram(a, b);
	}
	EXPECT(all, "CMP with device memory sets the flags that CMP with RAM does");
	EXPECT(flags_of_compare(7, 7) & 0x40, "among them ZF");
}

static void widening(void)
{
	uint64_t val = ~0ull;

	write8(line_at, 0x9a);
	__asm__ volatile("movzbl (%1), %k0" : "+r"(val) : "r"(line_at));
	EXPECT_EQ(val, 0x9a, "MOVZX of a byte clears the upper half");
	__asm__ volatile("movsbq (%1), %0" : "=r"(val) : "r"(line_at));
	EXPECT_EQ(val, 0xffffffffffffff9aull, "MOVSX of a byte to 64 bits");
	__asm__ volatile("movswl (%1), %k0" : "=r"(val) : "r"(LAYOUT_ECAM + 0));
	EXPECT_EQ(val, 0x1b36, "MOVSX of a word to 32 bits");
	__asm__ volatile("movslq (%1), %0" : "=r"(val) : "r"(LAYOUT_ECAM + (30ull << 15)));
	EXPECT_EQ(val, ~0ull, "MOVSXD");
	val = ~0ull;
	__asm__ volatile("movb (%1), %b0" : "+q"(val) : "r"(line_at));
	EXPECT_EQ(val, 0xffffffffffffff9aull, "a byte into a register leaves its rest");
	val = ~0ull;
	__asm__ volatile("movl (%1), %k0" : "+r"(val) : "r"(LAYOUT_ECAM));
	EXPECT_EQ(val, pci_read(0, 0), "a doubleword into a register clears its upper half");
	val = 0x11223344;
	__asm__ volatile("movb (%1), %%ah" : "+a"(val) : "r"(line_at));
	EXPECT_EQ(val, 0x11229a44, "a byte into AH");
	__asm__ volatile("movabs 0xe0000000, %%eax" : "=a"(val));
	EXPECT_EQ(val, pci_read(0, 0), "the form with an absolute address");
	if (cpuid(1, 0).ecx & 1 << 22) {
		__asm__ volatile("movbe (%1), %k0" : "=r"(val) : "r"(LAYOUT_ECAM));
		EXPECT_EQ(val, __builtin_bswap32(pci_read(0, 0)), "MOVBE");
	}
}

static void strings(void)
{
	uint64_t si = LAYOUT_ECAM, di = (uint64_t)copy, cx = 64;
	bool all = true;

	__asm__ volatile("rep movsl" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	for (uint32_t reg = 0; reg < 256; reg += 4)
		all = all && *(uint32_t *)(copy + reg) == pci_read(0, reg);
	EXPECT(all && cx == 0 && si == LAYOUT_ECAM + 256,
	       "REP MOVSL copies 64 doublewords from a device");
	si = HOLE, di = (uint64_t)copy, cx = 4000;
	__asm__ volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	all = true;
	for (uint32_t i = 0; i < 4000; i++)
		all = all && copy[i] == 0xff;
	EXPECT(all && cx == 0, "REP MOVSB copies 4000 bytes from one");
	copy[0] = 0x21;
	si = (uint64_t)copy, di = line_at, cx = 1;
	__asm__ volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	EXPECT_EQ(read8(line_at), 0x21, "MOVSB copies to a device");
	di = line_at, cx = 1;
	__asm__ volatile("rep stosb" : "+D"(di), "+c"(cx) : "a"(0x43) : "memory");
	EXPECT_EQ(read8(line_at), 0x43, "STOSB fills a device");
	si = line_at;
	__asm__ volatile("lodsb" : "+S"(si), "=a"(cx) : : "memory");
	EXPECT_EQ(cx & 0xff, 0x43, "LODSB loads from a device");
	si = line_at, di = line_at + (1ull << 15), cx = 1;
	__asm__ volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
	EXPECT_EQ(read8(line_at + (1ull << 15)), 0x43, "MOVSB copies from device to device");
}

static void holes(void)
{
	EXPECT_EQ(read8(HOLE), 0xff, "a hole reads all ones, 1 byte");
	EXPECT_EQ(read16(HOLE + 2), 0xffff, "a hole reads all ones, 2 bytes");
	EXPECT_EQ(read32(HOLE + 4), 0xffffffff, "a hole reads all ones, 4 bytes");
	EXPECT_EQ(read64(HOLE + 8), ~0ull, "a hole reads all ones, 8 bytes");
	EXPECT_EQ(read64(HOLE + 0xffc), ~0ull, "also across a page");
	EXPECT_EQ(read32(0xfed00000), 0xffffffff, "there is no HPET");
	EXPECT_EQ(read32(0xc0000000), 0xffffffff,
		  "where RAM could be and is not, it reads all ones");
	write32(HOLE, 0);
	EXPECT_EQ(read32(HOLE), 0xffffffff, "writes to a hole vanish");
}

static void faults(void)
{
	uint64_t *entry = page_entry(HOLE);
	uint64_t si = HOLE, di = (uint64_t)copy + 4096 - 16, cx = 32;
	uint64_t *behind = page_entry((uint64_t)copy + 4096), old = *behind;

	*behind = old & ~1ull;
	invlpg((uint64_t)copy + 4096);
	EXPECT_EQ(CATCH(__asm__ volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(cx) : : "memory")),
		  PF, "MOVS from a device into a page that is not present is #PF");
	EXPECT_EQ(trap_cr2, (uint64_t)copy + 4096, "CR2 is the first byte that failed");
	EXPECT_EQ(trap_regs.rcx, 16, "RCX is what was left");
	EXPECT_EQ(trap_regs.rsi, HOLE + 16, "RSI is the next element's");
	*behind = old;
	*entry &= ~1ull;
	invlpg(HOLE);
	EXPECT_EQ(CATCH(read32(HOLE)), PF, "device memory that is not mapped is #PF");
	*entry |= 1;
	invlpg(HOLE);
	EXPECT_EQ(read32(HOLE), 0xffffffff, "and is itself again when it is");
}

void guest_main(void)
{
	int dev = pci_find(0x1af4, 0x1044);

	EXPECT(dev > 0, "the board has a virtio-rng");
	line_at = LAYOUT_ECAM + ((uint64_t)dev << 15) + LINE;
	same_by_both_ways();
	read_modify_write();
	flags();
	widening();
	strings();
	holes();
	faults();
}
