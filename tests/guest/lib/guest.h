/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test guest is written with. It is a program that runs alone on a VM's bare CPU: expects
 * architectural behaviour, prints "ok - claim" or "not ok - claim" for each on the serial port,
 * then "done", and powers the VM off.
 */
#ifndef TESTS_GUEST_LIB_GUEST_H
#define TESTS_GUEST_LIB_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void guest_main(void); /* the test; when it returns the VM powers off */

#define EXPECT(cond, claim)	     expect(cond, claim, #cond, __LINE__)
#define EXPECT_EQ(is, should, claim) expect_eq(is, should, claim, __LINE__)

void expect(bool holds, const char *claim, const char *cond, int line);
void expect_eq(uint64_t is, uint64_t should, const char *claim, int line);
void print(const char *text);
void print_number(uint64_t n);
void print_hex(uint64_t n);
void print_row(const char *name, uint64_t value); /* "row NAME VALUE", for the benches */
const char *guest_cmdline(void);
uint64_t guest_rsdp(void); /* gpa that the start info names */
void power_off(void) __attribute__((noreturn));
void reset(void) __attribute__((noreturn)); /* by port 0xcf9 */

/* ---- instructions ---- */

struct regs4 {
	uint32_t eax, ebx, ecx, edx;
};

static inline __attribute__((always_inline)) struct regs4 cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct regs4 r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline __attribute__((always_inline)) uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline __attribute__((always_inline)) uint64_t rdmsr(uint32_t index)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline __attribute__((always_inline)) void wrmsr(uint32_t index, uint64_t val)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(index), "a"((uint32_t)val), "d"((uint32_t)(val >> 32))
			 : "memory");
}

#define GUEST_PORT(bits, suffix)                                                                   \
	static inline __attribute__((always_inline)) uint##bits##_t in##bits(uint16_t port)        \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		__asm__ volatile("in" suffix " %1, %0" : "=a"(v) : "Nd"(port) : "memory");         \
		return v;                                                                          \
	}                                                                                          \
	static inline                                                                              \
		__attribute__((always_inline)) void out##bits(uint16_t port, uint##bits##_t v)     \
	{                                                                                          \
		__asm__ volatile("out" suffix " %0, %1" : : "a"(v), "Nd"(port) : "memory");        \
	}
GUEST_PORT(8, "b")
GUEST_PORT(16, "w")
GUEST_PORT(32, "l")

#define GUEST_MMIO(bits)                                                                           \
	static inline __attribute__((always_inline)) uint##bits##_t read##bits(uint64_t gpa)       \
	{                                                                                          \
		return *(volatile uint##bits##_t *)gpa;                                            \
	}                                                                                          \
	static inline                                                                              \
		__attribute__((always_inline)) void write##bits(uint64_t gpa, uint##bits##_t v)    \
	{                                                                                          \
		*(volatile uint##bits##_t *)gpa = v;                                               \
	}
GUEST_MMIO(8)
GUEST_MMIO(16)
GUEST_MMIO(32)
GUEST_MMIO(64)

/* ---- exceptions: the vector that an instruction raised, or -1 ---- */

struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

extern volatile int trap_vector; /* of the last exception caught */
extern volatile uint64_t trap_error, trap_cr2;
extern struct trap_frame trap_regs; /* as they were at the exception */

/* Called, when it is not NULL, for an exception that nobody catches. */
extern void (*trap_fatal)(void);

/* Runs the instruction(s); an exception inside jumps behind them. */
#define CATCH(...)                                                                                 \
	({                                                                                         \
		trap_vector = -1;                                                                  \
		__asm__ volatile("leaq 9f(%%rip), %%rax\n\tmovq %%rax, trap_resume\n\t"            \
				 "movq %%rsp, trap_rsp"                                            \
				 :                                                                 \
				 :                                                                 \
				 : "rax", "memory");                                               \
		__VA_ARGS__;                                                                       \
		__asm__ volatile("9:\n\tmovq $0, trap_resume"                                      \
				 :                                                                 \
				 :                                                                 \
				 : "memory", "rax", "rcx", "rdx", "rbx");                          \
		trap_vector;                                                                       \
	})

int rdmsr_catch(uint32_t index, uint64_t *val); /* vector raised, or -1 */
int wrmsr_catch(uint32_t index, uint64_t val);

/* ---- interrupts ---- */

extern volatile uint64_t irq_count[256];
void irq_on(void);
void irq_off(void);
/* Called for vectors 32 up before EOI; NULL: only counted. */
extern void (*irq_hook)(uint8_t vector);
extern bool irq_without_eoi; /* the test sends EOI itself, or the interrupt is the PIC's */

/* Local APIC in whatever mode it is; offset as in the register page. */
uint32_t apic_read(uint32_t offset);
void apic_write(uint32_t offset, uint32_t val);
void apic_enable(bool is_x2apic);
void apic_send(uint32_t dest, uint32_t command);

/* The second CPU runs fn(); false when it did not come up within a second of TSC time. */
bool start_second_cpu(void (*fn)(void));
uint64_t tsc_khz(void); /* as CPUID says */
void wait_us(uint64_t us);

/* Waits with interrupts on until condition holds; false after limit_us. */
#define WAIT_FOR(condition, limit_us)                                                              \
	({                                                                                         \
		uint64_t end_ = rdtsc() + (limit_us) * tsc_khz() / 1000;                           \
		irq_on();                                                                          \
		while (!(condition) && rdtsc() < end_)                                             \
			__asm__ volatile("pause");                                                 \
		irq_off();                                                                         \
		(condition);                                                                       \
	})

/* ---- control registers ---- */

#define GUEST_CR(n)                                                                                \
	static inline __attribute__((always_inline)) uint64_t read_cr##n(void)                     \
	{                                                                                          \
		uint64_t v;                                                                        \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v) : : "memory");                     \
		return v;                                                                          \
	}                                                                                          \
	static inline __attribute__((always_inline)) void write_cr##n(uint64_t v)                  \
	{                                                                                          \
		__asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");                         \
	}
GUEST_CR(0)
GUEST_CR(2)
GUEST_CR(3)
GUEST_CR(4)
GUEST_CR(8)

static inline __attribute__((always_inline)) void xsetbv(uint32_t index, uint64_t val)
{
	__asm__ volatile("xsetbv"
			 :
			 : "c"(index), "a"((uint32_t)val), "d"((uint32_t)(val >> 32))
			 : "memory");
}

static inline __attribute__((always_inline)) uint64_t xgetbv(uint32_t index)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index) : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* ---- paging: everything below 4 GiB is mapped 1:1 ---- */

/* The entry that maps gva's 4 KiB page, after its 2 MiB page was cut up; at most 8 of those. */
uint64_t *page_entry(uint64_t gva);
void invlpg(uint64_t gva);

/* ---- CMOS: bytes from 0x40 on survive a reset of the VM ---- */

uint8_t cmos_read(uint8_t index);
void cmos_write(uint8_t index, uint8_t val);

/* ---- PCI by ports ---- */

uint32_t pci_read(uint32_t dev, uint32_t reg);
void pci_write(uint32_t dev, uint32_t reg, uint32_t val);
/* Device number of vendor:device on bus 0, or -1. */
int pci_find(uint16_t vendor, uint16_t device);

/* Offset of a capability in configuration space, from the one at `after` on (0: the first); 0:
 * none. */
uint32_t pci_find_cap(uint32_t dev, uint8_t id, uint32_t after);
/* The address in a memory BAR, or 0. */
uint64_t pci_bar(uint32_t dev, uint32_t bar);

/* A generator for tests that want the same numbers again. */
uint64_t random_next(uint64_t *state);

void *memcpy(void *dst, const void *src, size_t len);
void *memset(void *dst, int byte, size_t len);
bool same(const void *a, const void *b, size_t len);
/* The number behind "key=" on the guest's command line. */
uint64_t option(const char *key, uint64_t otherwise);

#endif
