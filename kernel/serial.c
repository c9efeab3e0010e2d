/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550, polled: by whoever writes, or by a timer. Every wait is bounded, so that a UART that
 * hangs costs time but not the machine. Its interrupt is not used: not every board wires it up.
 *
 * Source: [16550] "Registers", "FIFO Polled Mode Operation".
 */
#include "kernel/serial.h"

#include "kernel/cmdline.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/lock.h"
#include "kernel/serial_queue.h"
#include "kernel/time.h"

#define UART_BASE 0x3f8
#define UART_THR  (UART_BASE + 0) /* divisor, low byte, while LCR_DLAB */
#define UART_IER  (UART_BASE + 1) /* divisor, high byte, while LCR_DLAB */
#define UART_IIR  (UART_BASE + 2)
#define UART_FCR  (UART_BASE + 2) /* the same, written */
#define UART_LCR  (UART_BASE + 3)
#define UART_MCR  (UART_BASE + 4)
#define UART_LSR  (UART_BASE + 5)
#define UART_SCR  (UART_BASE + 7)

#define LCR_8N1	  0x03
#define LCR_DLAB  0x80
#define FCR_ON	  0x07 /* FIFOs on and emptied */
#define IIR_FIFOS 0xc0 /* they work */
#define MCR_READY 0x03 /* DTR, RTS */
#define LSR_THRE  0x20 /* room for a byte; with FIFOs, for FIFO_BYTES */
#define LSR_TEMT  0x40 /* all sent */

#define DIVISOR_115200 1
#define WAIT_POLLS     1000000u

#define FIFO_BYTES   16u
#define ROUNDS_MAX   16u		   /* of a UART that takes a FIFO's worth in no time */
#define PUMP_NS	     (700 * NSEC_PER_USEC) /* half of what a full FIFO takes */
#define PUMP_LATE_NS (50 * NSEC_PER_MSEC)

static bool is_there, has_fifo;
static bool is_deferred; /* written at boot's end, and in a panic */

static struct lock lock; /* guards what follows, and while is_deferred the UART */
static struct serial_queue queue;
static struct timer pump_timer;
static bool is_pump_set;
static uint64_t pump_due_ns;

void serial_init(void)
{
	out8(UART_SCR, 0x5a);
	is_there = in8(UART_SCR) == 0x5a && in8(UART_LSR) != 0xff;
	if (!is_there)
		return;
	out8(UART_IER, 0);
	out8(UART_LCR, LCR_8N1 | LCR_DLAB);
	out8(UART_THR, DIVISOR_115200);
	out8(UART_IER, 0);
	out8(UART_LCR, LCR_8N1);
	out8(UART_FCR, FCR_ON);
	has_fifo = (in8(UART_IIR) & IIR_FIFOS) == IIR_FIFOS;
	out8(UART_MCR, MCR_READY);
}

static void wait_for(uint8_t lsr_bit)
{
	for (unsigned i = 0; i < WAIT_POLLS && !(in8(UART_LSR) & lsr_bit); i++)
		cpu_pause();
}

static void put(char c)
{
	wait_for(LSR_THRE);
	out8(UART_THR, (uint8_t)c);
}

static void write_at_once(const char *text, size_t len_bytes)
{
	for (size_t i = 0; i < len_bytes; i++) {
		if (text[i] == '\n')
			put('\r');
		put(text[i]);
	}
}

/* ---- deferred ---- */

static void send_all(void)
{
	while (!serial_queue_is_empty(&queue))
		put(serial_queue_take(&queue));
}

/* What the UART takes now; the rest later. */
static void pump(void)
{
	for (uint32_t round = 0;
	     round < ROUNDS_MAX && !serial_queue_is_empty(&queue) && (in8(UART_LSR) & LSR_THRE);
	     round++)
		for (uint32_t i = 0; i < FIFO_BYTES && !serial_queue_is_empty(&queue); i++)
			out8(UART_THR, (uint8_t)serial_queue_take(&queue));
	is_pump_set = !serial_queue_is_empty(&queue);
	if (!is_pump_set)
		return;
	pump_due_ns = time_now_ns() + PUMP_NS;
	timer_set_in(&pump_timer, PUMP_NS);
}

static void pump_again(struct timer *timer)
{
	(void)timer;
	lock_take(&lock);
	pump();
	lock_release(&lock);
}

/* The CPU that the timer is on may have been busy for long, or stand still. */
static bool is_pump_late(void)
{
	return is_pump_set && time_now_ns() > pump_due_ns + PUMP_LATE_NS;
}

static void write_deferred(const char *text, size_t len_bytes)
{
	lock_take(&lock);
	if (is_pump_late() || !serial_queue_put(&queue, text, len_bytes)) {
		send_all();
		write_at_once(text, len_bytes);
	} else if (!is_pump_set) {
		pump();
	}
	lock_release(&lock);
}

/* ---- the calls ---- */

void serial_write(const char *text, size_t len_bytes)
{
	if (is_there && is_deferred)
		write_deferred(text, len_bytes);
	else if (is_there)
		write_at_once(text, len_bytes);
}

void serial_drain(void)
{
	if (!is_there)
		return;
	if (is_deferred) {
		lock_take(&lock);
		send_all();
		lock_release(&lock);
	}
	wait_for(LSR_TEMT);
}

void serial_defer(void)
{
	static const char *const words[] = {"deferred", "sync"};

	timer_init(&pump_timer, pump_again);
	is_deferred = has_fifo && cmdline_choose("serial", words, ARRAY_SIZE(words), 0) == 0;
}

/* A CPU may have been stopped between a byte and its count: then that byte comes twice. */
void serial_enter_panic(void)
{
	if (!is_deferred)
		return;
	is_deferred = false;
	send_all();
}
