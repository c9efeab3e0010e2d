/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC, in the mode that the option x2apic= asks for: delivery, timers, other CPUs. */
#include "tests/guest/lib/guest.h"

#define GP 13

#define APIC_ID	       0x20
#define APIC_VERSION   0x30
#define APIC_TPR       0x80
#define APIC_PPR       0xa0
#define APIC_EOI       0xb0
#define APIC_LDR       0xd0
#define APIC_DFR       0xe0
#define APIC_ISR       0x100
#define APIC_IRR       0x200
#define APIC_ESR       0x280
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_INITIAL   0x380
#define APIC_CURRENT   0x390
#define APIC_DIVIDE    0x3e0

#define TO_SELF	  0x40000u
#define TO_ALL	  0x80000u
#define TO_OTHERS 0xc0000u
#define NMI	  0x400u
#define LOGICAL	  0x800u

#define LVT_MASKED   0x10000u
#define LVT_PERIODIC 0x20000u
#define LVT_DEADLINE 0x40000u
#define DIVIDE_BY_1  0xbu
#define MSR_DEADLINE 0x6e0u

static bool is_x2apic;
static uint8_t order[16];
static volatile uint32_t nr_taken;
static volatile uint64_t taken_at;
static volatile uint32_t ppr_inside, isr_inside;

static void note(uint8_t vector)
{
	taken_at = rdtsc();
	order[nr_taken++ % sizeof(order)] = vector;
	ppr_inside = apic_read(APIC_PPR);
	isr_inside = apic_read(APIC_ISR + vector / 32 * 16);
}

static uint64_t bus_khz(void)
{
	return cpuid(0x40000010, 0).ebx;
}

static void to_itself(void)
{
	irq_count[0x50] = 0;
	apic_send(0, TO_SELF | 0x50);
	EXPECT_EQ(irq_count[0x50], 0, "an interrupt waits while IF is 0");
	EXPECT(apic_read(APIC_IRR + 2 * 16) & 1u << 16, "and shows in IRR");
	EXPECT(WAIT_FOR(irq_count[0x50] == 1, 10000), "it comes when IF is 1");
	EXPECT(isr_inside & 1u << 16, "its bit is in ISR in the handler");
	EXPECT_EQ(ppr_inside, 0x50, "PPR is its class in the handler");
	EXPECT_EQ(apic_read(APIC_ISR + 2 * 16), 0, "EOI takes the bit away");
	apic_send(0, 0x51); /* by number */
	EXPECT(WAIT_FOR(irq_count[0x51] == 1, 10000), "an IPI to its own ID arrives");
	if (is_x2apic) {
		wrmsr(0x83f, 0x52);
		EXPECT(WAIT_FOR(irq_count[0x52] == 1, 10000), "the self-IPI register sends one");
	}
}

static void priorities(void)
{
	nr_taken = 0;
	apic_send(0, TO_SELF | 0x40);
	apic_send(0, TO_SELF | 0x90);
	apic_send(0, TO_SELF | 0x61);
	apic_send(0, TO_SELF | 0x6f);
	EXPECT(WAIT_FOR(nr_taken == 4, 10000), "four that waited all come");
	EXPECT(order[0] == 0x90 && order[1] == 0x6f && order[2] == 0x61 && order[3] == 0x40,
	       "the highest vector first");
	nr_taken = 0;
	apic_write(APIC_TPR, 0x60);
	EXPECT_EQ(apic_read(APIC_PPR), 0x60, "PPR follows TPR");
	apic_send(0, TO_SELF | 0x6e);
	apic_send(0, TO_SELF | 0x70);
	EXPECT(WAIT_FOR(nr_taken == 1, 1000) && order[0] == 0x70,
	       "TPR lets only higher classes through");
	irq_on();
	apic_write(APIC_TPR, 0x50);
	EXPECT(WAIT_FOR(nr_taken == 2, 1000) && order[1] == 0x6e, "the other comes when TPR falls");
	apic_write(APIC_TPR, 0x60);
	apic_send(0, TO_SELF | 0x62);
	irq_on();
	write_cr8(0);
	EXPECT(WAIT_FOR(nr_taken == 3, 1000) && order[2] == 0x62, "also when it falls by CR8");
	irq_off();
}

static volatile uint32_t depth, deepest;

static void nest(uint8_t vector)
{
	uint32_t before = nr_taken;

	note(vector);
	if (vector != 0x80)
		return;
	apic_send(0, TO_SELF | 0x70);
	apic_send(0, TO_SELF | 0xa0);
	irq_on();
	wait_us(100);
	irq_off();
	deepest = nr_taken - before;
}

static void nesting(void)
{
	nr_taken = 0;
	irq_hook = nest;
	apic_send(0, TO_SELF | 0x80);
	EXPECT(WAIT_FOR(nr_taken == 3, 10000), "three nested ones all come");
	EXPECT(order[0] == 0x80 && order[1] == 0xa0 && order[2] == 0x70 && deepest == 2,
	       "a higher class interrupts a handler, a lower one waits for its EOI");
	irq_hook = note;
}

static uint32_t errors(void)
{
	apic_write(APIC_ESR, 0);
	return apic_read(APIC_ESR);
}

static void error_register(void)
{
	errors();
	apic_write(APIC_LVT_ERROR, 0x58);
	apic_send(0, TO_SELF | 0x05);
	EXPECT(WAIT_FOR(irq_count[0x58] == 1, 10000),
	       "sending an illegal vector raises the error interrupt");
	EXPECT(errors() & 0x20, "ESR says that it was sent");
	EXPECT_EQ(errors(), 0, "a second write finds ESR empty");
	apic_write(APIC_LVT_ERROR, LVT_MASKED);
	if (is_x2apic)
		return;
	(void)read32(0xfee00000 + 0x40);
	EXPECT(errors() & 0x80, "ESR says that a register which is not there was read");
}

static bool is_near(uint64_t is, uint64_t should, uint64_t slack)
{
	return is + slack >= should && is <= should + slack;
}

static void start_timer(uint32_t lvt, uint32_t count)
{
	apic_write(APIC_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, lvt);
	apic_write(APIC_INITIAL, count);
}

static void one_shot(void)
{
	uint64_t start, ticks = tsc_khz() * 5; /* 5 ms */
	uint32_t first, later;
	bool has_fired;

	irq_count[0x60] = 0;
	start = rdtsc();
	start_timer(0x60, (uint32_t)(5 * bus_khz()));
	first = apic_read(APIC_CURRENT);
	wait_us(1000);
	later = apic_read(APIC_CURRENT);
	has_fired = WAIT_FOR(irq_count[0x60] == 1, 20000);
	EXPECT(first > 4 * bus_khz() && first <= 5 * bus_khz(),
	       "the count starts at what was written");
	EXPECT(later < first - bus_khz() / 2, "and goes down");
	EXPECT(has_fired, "the one-shot timer fires");
	EXPECT(is_near(taken_at - start, ticks, ticks / 10),
	       "after the time that it was set to, within 10%");
	EXPECT_EQ(apic_read(APIC_CURRENT), 0, "the count is 0 then");
	WAIT_FOR(irq_count[0x60] == 2, 10000);
	EXPECT_EQ(irq_count[0x60], 1, "it fires once");
	start_timer(LVT_MASKED | 0x60, (uint32_t)bus_khz());
	WAIT_FOR(irq_count[0x60] == 2, 2000);
	EXPECT_EQ(irq_count[0x60], 1, "a masked timer does not fire");
	EXPECT_EQ(apic_read(APIC_CURRENT), 0, "though it counts");
	start_timer(0x60, (uint32_t)bus_khz());
	apic_write(APIC_INITIAL, 0);
	WAIT_FOR(irq_count[0x60] == 2, 2000);
	EXPECT_EQ(irq_count[0x60], 1, "an initial count of 0 stops it");
}

static void dividers(void)
{
	uint64_t start = rdtsc(), ticks = tsc_khz() * 4;

	irq_count[0x63] = 0;
	apic_write(APIC_DIVIDE, 0x1); /* by 4 */
	apic_write(APIC_LVT_TIMER, 0x63);
	apic_write(APIC_INITIAL, (uint32_t)bus_khz());
	EXPECT(WAIT_FOR(irq_count[0x63] == 1, 20000) &&
		       is_near(taken_at - start, ticks, ticks / 10),
	       "the divider slows it down");
}

static void periodic(void)
{
	uint64_t start, ticks = tsc_khz() * 20;

	irq_count[0x61] = 0;
	start = rdtsc();
	start_timer(LVT_PERIODIC | 0x61, (uint32_t)(2 * bus_khz()));
	EXPECT(WAIT_FOR(irq_count[0x61] == 10, 100000), "the periodic timer fires again and again");
	EXPECT(is_near(taken_at - start, ticks, ticks / 10),
	       "ten periods take ten periods' time, within 10%");
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	apic_write(APIC_INITIAL, 0);
}

static void deadline(void)
{
	uint64_t at, read_back;
	bool has_fired;

	irq_count[0x62] = 0;
	apic_write(APIC_LVT_TIMER, LVT_DEADLINE | 0x62);
	at = rdtsc() + tsc_khz() * 3;
	wrmsr(MSR_DEADLINE, at);
	read_back = rdmsr(MSR_DEADLINE);
	has_fired = WAIT_FOR(irq_count[0x62] == 1, 20000);
	EXPECT_EQ(read_back, at, "the deadline can be read while it is ahead");
	EXPECT(has_fired, "the deadline timer fires");
	EXPECT(taken_at >= at, "not before its deadline");
	EXPECT(taken_at < at + tsc_khz() / 2, "and at most half a millisecond after");
	EXPECT_EQ(rdmsr(MSR_DEADLINE), 0, "the deadline reads 0 then");
	wrmsr(MSR_DEADLINE, 1);
	EXPECT(WAIT_FOR(irq_count[0x62] == 2, 1000), "a deadline in the past fires at once");
	wrmsr(MSR_DEADLINE, rdtsc() + tsc_khz());
	wrmsr(MSR_DEADLINE, 0);
	WAIT_FOR(irq_count[0x62] == 3, 2000);
	EXPECT_EQ(irq_count[0x62], 2, "a deadline of 0 disarms it");
	wrmsr(MSR_DEADLINE, ~0ull);
	WAIT_FOR(irq_count[0x62] == 3, 2000);
	EXPECT_EQ(irq_count[0x62], 2, "a deadline at the end of time does not come");
	apic_write(APIC_LVT_TIMER, 0x62);
	wrmsr(MSR_DEADLINE, rdtsc() + 1000);
	EXPECT_EQ(rdmsr(MSR_DEADLINE), 0, "outside its mode the deadline does not take");
}

static void registers(void)
{
	EXPECT_EQ(apic_read(APIC_VERSION) & 0xff, 0x14, "the version is an integrated APIC's");
	EXPECT_EQ(apic_read(APIC_ID), 0, "the first CPU has ID 0");
	apic_write(APIC_LVT_LINT1, 0x400);
	EXPECT_EQ(apic_read(APIC_LVT_LINT1), 0x400, "LVT entries keep what is written");
	if (is_x2apic) {
		uint64_t val;

		EXPECT_EQ(apic_read(APIC_LDR), 1, "the logical ID follows from the ID");
		EXPECT_EQ(wrmsr_catch(0x802, 0), GP, "the ID cannot be written");
		EXPECT_EQ(wrmsr_catch(0x808, 0x100), GP, "a reserved bit of TPR is #GP");
		EXPECT_EQ(rdmsr_catch(0x80b, &val), GP, "EOI cannot be read");
		EXPECT_EQ(wrmsr_catch(0x80b, 1), GP, "EOI takes 0 only");
		EXPECT_EQ(rdmsr_catch(0x83f, &val), GP, "self-IPI cannot be read");
		EXPECT_EQ(rdmsr_catch(0x80e, &val), GP, "there is no DFR");
		EXPECT_EQ(rdmsr_catch(0x831, &val), GP, "there is no upper ICR");
	} else {
		apic_write(APIC_LDR, 0x01000000);
		EXPECT_EQ(apic_read(APIC_DFR), 0xffffffff, "the destination format is flat");
	}
	apic_write(APIC_LVT_LINT1, LVT_MASKED | 0x400);
}

static volatile uint32_t nr_starts, second_state;

static void second(void)
{
	if (!is_x2apic)
		apic_write(APIC_LDR, 0x02000000);
	__atomic_fetch_add(&nr_starts, 1, __ATOMIC_SEQ_CST);
	second_state = 1;
	for (;;)
		__asm__ volatile("sti; hlt");
}

static void second_without_interrupts(void)
{
	__atomic_fetch_add(&nr_starts, 1, __ATOMIC_SEQ_CST);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static bool comes(volatile uint64_t *count, uint64_t wanted)
{
	return WAIT_FOR(*count == wanted, 20000);
}

static void other_cpu(void)
{
	uint32_t logical = 2;

	irq_hook = NULL;
	EXPECT(start_second_cpu(second) && nr_starts == 1, "INIT and SIPI start the second CPU");
	wait_us(1000);
	apic_send(1, 0x77);
	EXPECT(comes(&irq_count[0x77], 1), "an IPI reaches it, also in HLT");
	apic_send(logical, LOGICAL | 0x71);
	EXPECT(comes(&irq_count[0x71], 1), "an IPI to its logical ID reaches it");
	apic_send(0, TO_OTHERS | 0x72);
	EXPECT(comes(&irq_count[0x72], 1), "a broadcast to the others reaches it");
	apic_send(0, TO_ALL | 0x73);
	EXPECT(comes(&irq_count[0x73], 2), "a broadcast to all reaches both");
	apic_send(is_x2apic ? 0xffffffff : 0xff, 0x74);
	EXPECT(comes(&irq_count[0x74], 2), "so does one by the broadcast ID");
	apic_send(5, 0x75);
	WAIT_FOR(irq_count[0x75], 1000);
	EXPECT_EQ(irq_count[0x75], 0, "an IPI to nobody goes nowhere");
	apic_send(1, NMI);
	EXPECT(comes(&irq_count[2], 1), "an NMI reaches it");
	apic_send(1, 0x4608);
	wait_us(1000);
	EXPECT_EQ(nr_starts, 1, "a SIPI to a CPU that runs does nothing");
	EXPECT(start_second_cpu(second_without_interrupts) && nr_starts == 2,
	       "INIT and SIPI start it again");
	apic_send(1, 0x76);
	WAIT_FOR(irq_count[0x76], 1000);
	EXPECT_EQ(irq_count[0x76], 0, "HLT with IF 0 does not take an interrupt");
	apic_send(1, NMI);
	EXPECT(comes(&irq_count[2], 2), "but an NMI");
}

void guest_main(void)
{
	is_x2apic = option("x2apic", 0);
	apic_enable(is_x2apic);
	irq_hook = note;
	registers();
	to_itself();
	priorities();
	nesting();
	error_register();
	one_shot();
	dividers();
	periodic();
	deadline();
	other_cpu();
}
