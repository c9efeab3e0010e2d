/* SPDX-License-Identifier: Apache-2.0 */
/* Port instructions: widths, what they leave of RAX, the string forms and where those stop. */
#include "tests/guest/lib/guest.h"

#define PF	  14
#define NOTHING	  0x5000 /* a port where there is no device */
#define POST_CODE 0x80	 /* reads back what was written */
#define PAGE	  4096u

static uint8_t pages[4 * PAGE] __attribute__((aligned(4096)));

static void unclaimed(void)
{
	bool all = true;

	EXPECT_EQ(in8(NOTHING), 0xff, "a port with nothing behind it reads all ones, 1 byte");
	EXPECT_EQ(in16(NOTHING), 0xffff, "a port with nothing behind it reads all ones, 2 bytes");
	EXPECT_EQ(in32(NOTHING), 0xffffffff,
		  "a port with nothing behind it reads all ones, 4 bytes");
	for (uint32_t port = 0x1000; port < 0x1100; port++)
		all = all && in8((uint16_t)port) == 0xff;
	EXPECT(all, "so do all in a range of them");
	out8(NOTHING, 1);
	out16(NOTHING, 2);
	out32(NOTHING, 3);
	EXPECT_EQ(in32(0xffff), 0xffffffff, "a read over the last port reads all ones");
}

static uint64_t in_with_ones(int size)
{
	uint64_t rax = ~0ull;

	out8(POST_CODE, 0x5a);
	if (size == 1)
		__asm__ volatile("inb $0x80, %%al" : "+a"(rax));
	else if (size == 2)
		__asm__ volatile("inw %%dx, %%ax"
				 : "+a"(rax)
				 : "d"(0x600u + 0)); /* PM1 status: 0 */
	else
		__asm__ volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(0x600u + 0));
	return rax;
}

static void upper_bits(void)
{
	EXPECT_EQ(in_with_ones(1), 0xffffffffffffff5aull, "a byte leaves the rest of RAX");
	EXPECT_EQ(in_with_ones(2) >> 16, 0xffffffffffffull, "a word leaves the rest of RAX");
	EXPECT_EQ(in_with_ones(4) >> 32, 0, "a doubleword clears the upper half of RAX");
}

#define REP_INS(suffix, direction, port, to, count)                                                \
	({                                                                                         \
		uint64_t di_ = (uint64_t)(to), cx_ = (count);                                      \
		__asm__ volatile(direction "; rep ins" suffix "; cld"                              \
				 : "+D"(di_), "+c"(cx_)                                            \
				 : "d"(port)                                                       \
				 : "memory");                                                      \
		EXPECT_EQ(cx_, 0, "a repeated INS counts RCX down");                               \
		di_;                                                                               \
	})
#define REP_OUTS(suffix, direction, port, from, count)                                             \
	({                                                                                         \
		uint64_t si_ = (uint64_t)(from), cx_ = (count);                                    \
		__asm__ volatile(direction "; rep outs" suffix "; cld"                             \
				 : "+S"(si_), "+c"(cx_)                                            \
				 : "d"(port)                                                       \
				 : "memory");                                                      \
		si_;                                                                               \
	})

static bool filled(const uint8_t *at, size_t len, uint8_t byte)
{
	for (size_t i = 0; i < len; i++)
		if (at[i] != byte)
			return false;
	return true;
}

static void strings(void)
{
	memset(pages, 0, sizeof(pages));
	out8(POST_CODE, 0x42);
	EXPECT_EQ(REP_INS("b", "cld", POST_CODE, pages + 100, 50), (uint64_t)pages + 150,
		  "INSB moves RDI up");
	EXPECT(filled(pages + 100, 50, 0x42) && !pages[99] && !pages[150],
	       "REP INSB fills what it was told to");
	EXPECT_EQ(REP_INS("b", "std", POST_CODE, pages + 300, 50), (uint64_t)pages + 250,
		  "and down with DF");
	EXPECT(filled(pages + 251, 50, 0x42) && !pages[250] && !pages[301],
	       "REP INSB fills downwards");
	EXPECT_EQ(REP_INS("l", "cld", NOTHING, pages + PAGE - 6, 4), (uint64_t)pages + PAGE + 10,
		  "INSL moves by 4");
	EXPECT(filled(pages + PAGE - 6, 16, 0xff) && !pages[PAGE - 7] && !pages[PAGE + 10],
	       "INSL crosses a page in the middle of an element");
	EXPECT_EQ(REP_INS("w", "cld", NOTHING, pages + 1001, 3000), (uint64_t)pages + 7001,
		  "a long REP INSW is carried out");
	EXPECT(filled(pages + 1001, 6000, 0xff) && !pages[1000] && !pages[7001], "in full");
	pages[400] = 1, pages[401] = 2, pages[402] = 3;
	EXPECT_EQ(REP_OUTS("b", "cld", POST_CODE, pages + 400, 3), (uint64_t)pages + 403,
		  "OUTSB moves RSI up");
	EXPECT_EQ(in8(POST_CODE), 3, "REP OUTSB sends in order");
	EXPECT_EQ(REP_OUTS("b", "std", POST_CODE, pages + 402, 3), (uint64_t)pages + 399,
		  "and down with DF");
	EXPECT_EQ(in8(POST_CODE), 1, "REP OUTSB sends downwards");
	EXPECT_EQ(REP_OUTS("w", "cld", NOTHING, pages, 5000), (uint64_t)pages + 10000,
		  "a long REP OUTSW is carried out");
	REP_INS("b", "cld", POST_CODE, pages, 0);
	EXPECT(true, "a count of 0 does nothing");
}

/* Two neighbouring pages of the guest's linear space that are none of its physical one. */
static void scattered_pages(void)
{
	uint64_t *first = page_entry((uint64_t)pages), *second = page_entry((uint64_t)pages + PAGE);
	uint64_t old = *second;

	*second = (uint64_t)(pages + 3 * PAGE) | 3;
	invlpg((uint64_t)pages + PAGE);
	memset(pages, 0, PAGE);
	memset(pages + 3 * PAGE, 0, PAGE);
	REP_INS("w", "cld", NOTHING, pages + PAGE - 3, 3);
	EXPECT(filled(pages + 3 * PAGE, 3, 0xff) && pages[3 * PAGE + 3] == 0,
	       "each page has its own translation");
	*second = old & ~1ull;
	invlpg((uint64_t)pages + PAGE);
	out8(POST_CODE, 0x77);
	trap_cr2 = 0;
	EXPECT_EQ(CATCH(({
			  uint64_t di = (uint64_t)pages + PAGE - 8, cx = 20;
			  __asm__ volatile("rep insb"
					   : "+D"(di), "+c"(cx)
					   : "d"(POST_CODE)
					   : "memory");
		  })),
		  PF, "INSB into a page that is not present is #PF");
	EXPECT_EQ(trap_cr2, (uint64_t)pages + PAGE, "CR2 is where it stopped");
	EXPECT_EQ(trap_error, 2, "the error code says write");
	EXPECT_EQ(trap_regs.rcx, 12, "RCX is what was left");
	EXPECT_EQ(trap_regs.rdi, (uint64_t)pages + PAGE, "RDI is the next element's");
	EXPECT(filled(pages + PAGE - 8, 8, 0x77), "what came before is done");
	*second = old;
	invlpg((uint64_t)pages + PAGE);
	*first &= ~2ull; /* read-only */
	write_cr0(read_cr0() | 1 << 16);
	invlpg((uint64_t)pages);
	EXPECT_EQ(CATCH(({
			  uint64_t di = (uint64_t)pages, cx = 1;
			  __asm__ volatile("rep insb"
					   : "+D"(di), "+c"(cx)
					   : "d"(POST_CODE)
					   : "memory");
		  })),
		  PF, "INSB into a read-only page is #PF with CR0.WP");
	EXPECT_EQ(trap_error, 3, "the error code says write, present");
	*first |= 2;
	invlpg((uint64_t)pages);
}

void guest_main(void)
{
	unclaimed();
	upper_bits();
	strings();
	scattered_pages();
}
