/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a machine that found a bug in us. The first CPU to panic stops the others by NMI, has
 * the log to itself, prints all it knows, and does what the command line's panic= says.
 */
#include "kernel/panic.h"

#include "kernel/apic.h"
#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/idt.h"
#include "kernel/ksyms.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "kernel/log.h"
#include "kernel/paging.h"
#include "kernel/power.h"
#include "kernel/serial.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"

#define NOTES_MAX	8
#define BACKTRACE_MAX	24
#define REBOOT_AFTER_S	5
#define STACK_MAX_BYTES (128 * KIB)

static void (*notes[NOTES_MAX])(void);
static unsigned nr_notes;
static enum panic_action action = PANIC_REBOOT;
static uint32_t is_panicking; /* set once, by the CPU that prints */

void panic_add_note(void (*print)(void))
{
	if (nr_notes < NOTES_MAX)
		notes[nr_notes++] = print;
}

void panic_set_action(enum panic_action new_action)
{
	action = new_action;
}

void panic_stop_if_asked(void)
{
	if (__atomic_load_n(&is_panicking, __ATOMIC_ACQUIRE))
		cpu_halt_forever();
}

/* A second panic, on another CPU or inside the first one, only halts. */
static void begin(void)
{
	__asm__ volatile("cli" : : : "memory");
	if (__atomic_exchange_n(&is_panicking, 1, __ATOMIC_ACQ_REL))
		cpu_halt_forever();
	apic_send_nmi_to_others();
	/* A text that ends in a hang is better cut short by a reset than by nobody. */
	if (action == PANIC_HALT)
		watchdog_stop();
	else
		watchdog_kick();
	log_enter_panic();
	serial_enter_panic();
	log_set_level(LOG_DBG);
}

static void print_registers(const struct trap_frame *f)
{
	log_info("panic", "rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx,
		 f->rdx);
	log_info("panic", "rsi %016lx rdi %016lx rbp %016lx rsp %016lx", f->rsi, f->rdi, f->rbp,
		 f->rsp);
	log_info("panic", "r8  %016lx r9  %016lx r10 %016lx r11 %016lx", f->r8, f->r9, f->r10,
		 f->r11);
	log_info("panic", "r12 %016lx r13 %016lx r14 %016lx r15 %016lx", f->r12, f->r13, f->r14,
		 f->r15);
	log_info("panic", "rip %016lx flags %08lx cs %04lx ss %04lx", f->rip, f->rflags, f->cs,
		 f->ss);
}

static void print_control_registers(void)
{
	log_info("panic", "cr0 %016lx cr2 %016lx cr3 %016lx cr4 %016lx", read_cr0(), read_cr2(),
		 read_cr3(), read_cr4());
	log_info("panic", "gs  %016lx", rdmsr(MSR_GS_BASE));
}

static void print_place(uint64_t rip)
{
	uint64_t offset;
	const char *name = ksyms_find(rip, &offset);

	log_info("panic", "  %016lx %s+0x%lx", rip, name ? name : "?", name ? offset : 0);
}

static bool is_mapped(uint64_t at, uint64_t len_bytes)
{
	return paging_is_mapped(at) && paging_is_mapped(at + len_bytes - 8);
}

/* Behind idt_handle()'s frame lies what it was called with: where the CPU was, and why it left. */
static void print_interrupted(const struct trap_frame *trap)
{
	if (!is_mapped((uint64_t)trap, sizeof(*trap)))
		return;
	log_info("panic", "  ---- vector 0x%lx, error code 0x%lx, flags %08lx, cs %lx, rsp %016lx",
		 trap->vector, trap->error_code, trap->rflags, trap->cs, trap->rsp);
	print_place(trap->rip);
}

static bool is_trap(uint64_t return_address)
{
	return return_address > (uint64_t)trap_common && return_address < (uint64_t)trap_common_end;
}

/* Frames must rise, and stay within one set of stacks, so that a broken chain ends. */
static void print_backtrace(uint64_t rip, uint64_t rbp)
{
	uint64_t low = rbp;

	log_info("panic", "backtrace:");
	print_place(rip);
	for (unsigned i = 0; i < BACKTRACE_MAX && rbp; i++) {
		const uint64_t *frame = (const uint64_t *)rbp;

		if (!IS_ALIGNED(rbp, 8) || rbp < low || rbp - low > STACK_MAX_BYTES ||
		    rbp < STACK_AREA || !is_mapped(rbp, 16))
			break;
		if (!frame[1])
			break;
		print_place(frame[1] - 1);
		if (is_trap(frame[1]))
			print_interrupted((const struct trap_frame *)(frame + 2));
		low = rbp + 16;
		rbp = frame[0];
	}
}

static NORETURN void finish(void)
{
	power_skip_hooks();
	for (unsigned i = 0; i < nr_notes; i++) {
		watchdog_kick();
		notes[i]();
	}
	if (action == PANIC_HALT) {
		log_info("panic", "halted");
		serial_drain();
		cpu_halt_forever();
	}
	if (action == PANIC_POWER_OFF)
		power_off();
	log_info("panic", "reboot in %u s", REBOOT_AFTER_S);
	for (unsigned s = 0; s < REBOOT_AFTER_S; s++) {
		watchdog_kick();
		time_busy_wait_ns(NSEC_PER_SEC);
	}
	power_reboot();
}

static void print_headline(const char *text)
{
	log_info("PANIC", "%s", text);
	log_info("panic", "CPU %u, Billet %s", this_cpu()->index, BILLET_VERSION);
}

void panic(const char *format, ...)
{
	char text[160];
	va_list args;

	begin();
	va_start(args, format);
	fmt_v(text, sizeof(text), format, args);
	va_end(args);
	print_headline(text);
	print_control_registers();
	print_backtrace((uint64_t)__builtin_return_address(0) - 1,
			*(const uint64_t *)__builtin_frame_address(0));
	finish();
}

void panic_trap(const struct trap_frame *frame, const char *what)
{
	char text[160];

	begin();
	fmt(text, sizeof(text), "exception %lu (%s), error code 0x%lx", frame->vector,
	    what ? what : "reserved", frame->error_code);
	print_headline(text);
	print_registers(frame);
	print_control_registers();
	print_backtrace(frame->rip, frame->rbp);
	finish();
}

void assert_fail(const char *cond, const char *file, int line)
{
	panic("%s:%d: assertion failed: %s", file, line, cond);
}
