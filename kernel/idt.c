/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt descriptor table and what exceptions lead to. The kernel runs with interrupts off
 * everywhere but in cpu_idle_wait(), so interrupts arrive there or through a guest's exit.
 *
 * Source: [SDM] "Interrupt and Exception Handling", "Machine-Check Architecture".
 */
#include "kernel/idt.h"

#include "kernel/cpu_arch.h"
#include "kernel/cpu_hw.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/panic.h"

#define GATE_INTERRUPT 0x8e00 /* present, ring 0, 64-bit interrupt gate */
#define STUB_BYTES     16

/* [SDM] "IA32_MCi_STATUS MSRs" */
#define MCI_STATUS_VAL	BIT(63)
#define MCI_STATUS_UC	BIT(61)
#define MCI_STATUS_PCC	BIT(57)
#define MCG_CAP_COUNT	0xffull
#define MCG_STATUS_RIPV BIT(0)

struct gate {
	uint16_t offset_low, selector, flags, offset_mid;
	uint32_t offset_high, reserved;
};
static_assert(sizeof(struct gate) == 16, "[SDM] a 64-bit gate is 16 bytes");

struct PACKED table_pointer {
	uint16_t limit;
	uint64_t base;
};

struct fixup_row {
	uint64_t fault_rip, resume_rip;
};

extern const char idt_stubs[];
extern const struct fixup_row fixup_start[], fixup_end[];

static struct gate idt[256];

static const char *const exception_names[32] = {
	"divide error",
	"debug",
	"NMI",
	"breakpoint",
	"overflow",
	"bound range",
	"invalid opcode",
	"no FPU",
	"double fault",
	NULL,
	"invalid TSS",
	"segment not present",
	"stack fault",
	"general protection",
	"page fault",
	NULL,
	"x87 error",
	"alignment check",
	"machine check",
	"SIMD error",
	"virtualization",
	"control protection",
};

static unsigned ist_of(unsigned vector)
{
	switch (vector) {
	case VECTOR_NMI:
		return IST_NMI;
	case VECTOR_DOUBLE_FAULT:
		return IST_DOUBLE_FAULT;
	case VECTOR_MACHINE_CHECK:
		return IST_MACHINE_CHECK;
	default:
		return 0;
	}
}

void idt_init(void)
{
	for (unsigned v = 0; v < ARRAY_SIZE(idt); v++) {
		uint64_t at = (uint64_t)idt_stubs + v * STUB_BYTES;

		idt[v] = (struct gate){
			.offset_low = (uint16_t)at,
			.selector = SEL_CODE,
			.flags = (uint16_t)(GATE_INTERRUPT | ist_of(v)),
			.offset_mid = (uint16_t)(at >> 16),
			.offset_high = (uint32_t)(at >> 32),
		};
	}
}

void idt_load(void)
{
	struct table_pointer pointer = {sizeof(idt) - 1, (uint64_t)idt};

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static bool fix_up(struct trap_frame *frame)
{
	for (const struct fixup_row *row = fixup_start; row < fixup_end; row++) {
		if (row->fault_rip == frame->rip) {
			frame->rip = row->resume_rip;
			return true;
		}
	}
	return false;
}

void idt_handle_nmi(void)
{
	panic_stop_if_asked();
	((struct cpu_arch *)this_cpu()->arch)->nmi_count++;
}

static void print_machine_check_banks(void)
{
	uint64_t nr_banks = rdmsr(MSR_MCG_CAP) & MCG_CAP_COUNT;

	for (uint32_t i = 0; i < nr_banks; i++) {
		uint64_t status = rdmsr(MSR_MC0_STATUS + 4 * i);

		if (status & MCI_STATUS_VAL)
			log_info("panic", "machine check bank %u status %016lx", i, status);
	}
}

/* It may have struck inside the log, so one that we survive is only counted. */
void idt_handle_machine_check(const struct trap_frame *frame)
{
	uint64_t nr_banks = rdmsr(MSR_MCG_CAP) & MCG_CAP_COUNT;
	bool is_fatal = !(rdmsr(MSR_MCG_STATUS) & MCG_STATUS_RIPV);

	for (uint32_t i = 0; i < nr_banks; i++) {
		uint64_t status = rdmsr(MSR_MC0_STATUS + 4 * i);

		if (status & MCI_STATUS_VAL)
			is_fatal |= (status & (MCI_STATUS_UC | MCI_STATUS_PCC)) != 0;
	}
	if (is_fatal) {
		panic_add_note(print_machine_check_banks);
		panic_trap(frame, "machine check, uncorrected");
	}
	for (uint32_t i = 0; i < nr_banks; i++)
		wrmsr(MSR_MC0_STATUS + 4 * i, 0);
	((struct cpu_arch *)this_cpu()->arch)->machine_check_count++;
	wrmsr(MSR_MCG_STATUS, 0);
}

void idt_handle(struct trap_frame *frame)
{
	if (frame->vector >= VECTOR_FIRST_IRQ) {
		irq_dispatch((uint8_t)frame->vector);
		return;
	}
	switch (frame->vector) {
	case VECTOR_NMI:
		idt_handle_nmi();
		return;
	case VECTOR_MACHINE_CHECK:
		idt_handle_machine_check(frame);
		return;
	case VECTOR_GENERAL_PROTECTION:
		if (fix_up(frame))
			return;
		break;
	}
	panic_trap(frame, exception_names[frame->vector]);
}
