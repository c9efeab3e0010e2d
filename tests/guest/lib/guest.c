/* SPDX-License-Identifier: Apache-2.0 */
/* The small library that test guests are linked with. */
#include "tests/guest/lib/guest.h"

#include "vmm/layout.h"

#define COM1	   LAYOUT_COM1
#define PM_CONTROL (LAYOUT_PM + 4)
#define S5	   (5u << 10 | 1u << 13)

struct PACKED_IDT {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t mid;
	uint32_t high, zero;
};

extern const uint8_t stubs[], ap_trampoline[], ap_trampoline_end[];
void start(const uint8_t *info);
void start_ap(void);
void trap(struct trap_frame *frame);

volatile int trap_vector = -1;
volatile uint64_t trap_error, trap_cr2;
struct trap_frame trap_regs;
uint64_t trap_resume, trap_rsp; /* named by CATCH() */
void (*trap_fatal)(void);
bool irq_without_eoi;
volatile uint64_t irq_count[256];
void (*irq_hook)(uint8_t vector);

static struct PACKED_IDT idt[256];
static bool is_x2apic_on;
static const uint8_t *start_info;
static void (*volatile second_main)(void);
static volatile bool second_is_up;

/* ---- output ---- */

void print(const char *text)
{
	for (; *text; text++) {
		while (!(in8(COM1 + 5) & 0x20))
			;
		out8(COM1, (uint8_t)*text);
	}
}

void print_number(uint64_t n)
{
	char buf[21], *at = buf + sizeof(buf) - 1;

	*at = '\0';
	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	print(at);
}

void print_hex(uint64_t n)
{
	char buf[17], *at = buf + sizeof(buf) - 1;

	*at = '\0';
	do
		*--at = "0123456789abcdef"[n & 15];
	while (n >>= 4);
	print(at);
}

void print_row(const char *name, uint64_t value)
{
	print("row ");
	print(name);
	print(" ");
	print_number(value);
	print("\n");
}

void expect(bool holds, const char *claim, const char *cond, int line)
{
	print(holds ? "ok - " : "not ok - ");
	print(claim);
	if (!holds) {
		print(" # line ");
		print_number((uint64_t)line);
		print(": ");
		print(cond);
	}
	print("\n");
}

void expect_eq(uint64_t is, uint64_t should, const char *claim, int line)
{
	print(is == should ? "ok - " : "not ok - ");
	print(claim);
	if (is != should) {
		print(" # line ");
		print_number((uint64_t)line);
		print(": is 0x");
		print_hex(is);
		print(", should be 0x");
		print_hex(should);
	}
	print("\n");
}

void power_off(void)
{
	out16(PM_CONTROL, S5);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void reset(void)
{
	out8(LAYOUT_RESET_CONTROL, 6);
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* ---- start info: [PVH] struct hvm_start_info ---- */

const char *guest_cmdline(void)
{
	uint64_t gpa = *(const uint64_t *)(start_info + 24);

	return gpa ? (const char *)gpa : "";
}

uint64_t guest_rsdp(void)
{
	return *(const uint64_t *)(start_info + 32);
}

/* ---- traps ---- */

void trap(struct trap_frame *frame)
{
	if (frame->vector >= 32) {
		irq_count[frame->vector]++;
		if (irq_hook)
			irq_hook((uint8_t)frame->vector);
		if (!irq_without_eoi)
			apic_write(0xb0, 0);
		return;
	}
	if (frame->vector == 2) {
		irq_count[2]++;
		return;
	}
	trap_vector = (int)frame->vector;
	trap_error = frame->error;
	trap_cr2 = read_cr2();
	trap_regs = *frame;
	if (frame->vector == 1)
		frame->rflags &= ~0x100ull; /* one step is enough */
	if (trap_resume) {
		frame->rip = trap_resume;
		frame->rsp = trap_rsp;
		trap_resume = 0;
		return;
	}
	if (trap_fatal)
		trap_fatal();
	print("not ok - exception ");
	print_number(frame->vector);
	print(" error ");
	print_hex(frame->error);
	print(" at ");
	print_hex(frame->rip);
	print(" cr2 ");
	print_hex(trap_cr2);
	print("\n");
	power_off();
}

static void load_idt(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} pointer = {sizeof(idt) - 1, (uint64_t)idt};

	for (uint32_t i = 0; i < 256; i++) {
		uint64_t at = (uint64_t)stubs + 16 * i;

		idt[i] = (struct PACKED_IDT){(uint16_t)at,	   8, 0, 0x8e, (uint16_t)(at >> 16),
					     (uint32_t)(at >> 32), 0};
	}
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

int rdmsr_catch(uint32_t index, uint64_t *val)
{
	uint32_t lo = 0, hi = 0;
	int vector = CATCH(__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index) : "memory"));

	*val = (uint64_t)hi << 32 | lo;
	return vector;
}

int wrmsr_catch(uint32_t index, uint64_t val)
{
	return CATCH(__asm__ volatile("wrmsr" : : "c"(index), "a"((uint32_t)val),
				      "d"((uint32_t)(val >> 32)) : "memory"));
}

/* ---- interrupts and the APIC ---- */

void irq_on(void)
{
	__asm__ volatile("sti; nop" : : : "memory");
}

void irq_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

uint32_t apic_read(uint32_t offset)
{
	return is_x2apic_on ? (uint32_t)rdmsr(0x800 + offset / 16) : read32(LAYOUT_LAPIC + offset);
}

void apic_write(uint32_t offset, uint32_t val)
{
	if (is_x2apic_on)
		wrmsr(0x800 + offset / 16, val);
	else
		write32(LAYOUT_LAPIC + offset, val);
}

void apic_enable(bool is_x2apic)
{
	uint64_t base = rdmsr(0x1b);

	if (is_x2apic)
		wrmsr(0x1b, base | 3u << 10);
	is_x2apic_on = is_x2apic;
	apic_write(0xf0, 0x1ff);
}

void apic_send(uint32_t dest, uint32_t command)
{
	if (is_x2apic_on) {
		wrmsr(0x830, (uint64_t)dest << 32 | command);
		return;
	}
	write32(LAYOUT_LAPIC + 0x310, dest << 24);
	write32(LAYOUT_LAPIC + 0x300, command);
}

/* ---- time ---- */

uint64_t tsc_khz(void)
{
	return cpuid(0x40000010, 0).eax;
}

void wait_us(uint64_t us)
{
	uint64_t end = rdtsc() + us * tsc_khz() / 1000;

	while (rdtsc() < end)
		__asm__ volatile("pause");
}

/* ---- the second CPU ---- */

void start_ap(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} pointer = {sizeof(idt) - 1, (uint64_t)idt};

	__asm__ volatile("lidt %0" : : "m"(pointer));
	if (is_x2apic_on)
		wrmsr(0x1b, rdmsr(0x1b) | 3u << 10);
	apic_write(0xf0, 0x1ff);
	second_is_up = true;
	second_main();
}

bool start_second_cpu(void (*fn)(void))
{
	second_main = fn;
	second_is_up = false;
	memcpy((void *)0x8000, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	apic_send(1, 0x4500);
	wait_us(10000);
	apic_send(1, 0x4608);
	for (uint32_t ms = 0; ms < 1000 && !second_is_up; ms++)
		wait_us(1000);
	return second_is_up;
}

/* ---- paging ---- */

void invlpg(uint64_t gva)
{
	__asm__ volatile("invlpg (%0)" : : "r"(gva) : "memory");
}

uint64_t *page_entry(uint64_t gva)
{
	static uint64_t tables[8][512] __attribute__((aligned(4096)));
	static uint32_t nr_used;
	uint64_t *pdpt = (uint64_t *)(*(uint64_t *)(read_cr3() & ~0xfffull) & ~0xfffull);
	uint64_t *pde = (uint64_t *)(pdpt[gva >> 30 & 511] & ~0xfffull) + (gva >> 21 & 511);

	if (*pde & 0x80) {
		uint64_t *table = tables[nr_used++];

		for (uint64_t i = 0; i < 512; i++)
			table[i] = (*pde & ~0x1fffffull) + i * 4096 + 3;
		*pde = (uint64_t)table + 3;
		invlpg(gva);
	}
	return (uint64_t *)(*pde & ~0xfffull) + (gva >> 12 & 511);
}

/* ---- CMOS ---- */

uint8_t cmos_read(uint8_t index)
{
	out8(LAYOUT_RTC, index);
	return in8(LAYOUT_RTC + 1);
}

void cmos_write(uint8_t index, uint8_t val)
{
	out8(LAYOUT_RTC, index);
	out8(LAYOUT_RTC + 1, val);
}

/* ---- PCI ---- */

uint32_t pci_read(uint32_t dev, uint32_t reg)
{
	out32(0xcf8, 1u << 31 | dev << 11 | (reg & 0xfc));
	return in32(0xcfc);
}

void pci_write(uint32_t dev, uint32_t reg, uint32_t val)
{
	out32(0xcf8, 1u << 31 | dev << 11 | (reg & 0xfc));
	out32(0xcfc, val);
}

int pci_find(uint16_t vendor, uint16_t device)
{
	for (uint32_t dev = 0; dev < 32; dev++)
		if (pci_read(dev, 0) == ((uint32_t)device << 16 | vendor))
			return (int)dev;
	return -1;
}

uint32_t pci_find_cap(uint32_t dev, uint8_t id, uint32_t after)
{
	uint32_t at = after ? pci_read(dev, after) >> 8 & 0xff : pci_read(dev, 0x34) & 0xff;

	while (at && (pci_read(dev, at) & 0xff) != id)
		at = pci_read(dev, at) >> 8 & 0xff;
	return at;
}

uint64_t pci_bar(uint32_t dev, uint32_t bar)
{
	uint32_t low = pci_read(dev, 0x10 + 4 * bar);
	uint64_t high = (low & 6) == 4 ? pci_read(dev, 0x14 + 4 * bar) : 0;

	return high << 32 | (low & ~15u);
}

/* ---- odds and ends ---- */

/* xorshift64*: small, and the same everywhere */
uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

void *memcpy(void *dst, const void *src, size_t len)
{
	void *to = dst;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(src), "+c"(len) : : "memory");
	return dst;
}

void *memset(void *dst, int byte, size_t len)
{
	void *to = dst;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(len) : "a"(byte) : "memory");
	return dst;
}

bool same(const void *a, const void *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((const uint8_t *)a)[i] != ((const uint8_t *)b)[i])
			return false;
	return true;
}

static const char *behind(const char *text, const char *key)
{
	while (*key && *text == *key)
		text++, key++;
	return *key ? NULL : text;
}

uint64_t option(const char *key, uint64_t otherwise)
{
	uint64_t val = 0;

	for (const char *at = guest_cmdline(); *at; at++) {
		const char *digits = behind(at, key);

		if (!digits || *digits++ != '=')
			continue;
		while (*digits >= '0' && *digits <= '9')
			val = val * 10 + (uint64_t)(*digits++ - '0');
		return val;
	}
	return otherwise;
}

void start(const uint8_t *info)
{
	start_info = info;
	load_idt();
	guest_main();
	print("done\n");
	power_off();
}
