/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550, polled: by whoever writes, or by a timer. Its interrupt is not used: not every board
 * wires it up. A UART that takes nothing, as behind a terminal that was stopped, costs one wait;
 * from then on what is written is dropped until it takes bytes again.
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
#define WAIT_POLLS     1000000u /* a second, where a read of a port takes what it did on ISA */

#define FIFO_BYTES   16u
#define ROUNDS_MAX   16u		   /* of a UART that takes a FIFO's worth in no time */
#define PUMP_NS	     (700 * NSEC_PER_USEC) /* half of what a full FIFO takes */
#define PUMP_LATE_NS (50 * NSEC_PER_MSEC)
#define LATE_BYTES   1024u /* a tenth of a second */
#define STUCK_NS     NSEC_PER_SEC

static bool is_there, has_fifo;
static bool is_stuck;	 /* it let somebody wait in vain */
static bool is_deferred; /* written at boot's end, and in a panic */

static struct lock lock; /* guards what follows, and while is_deferred the UART */
static struct serial_queue queue;
static struct timer pump_timer;
static bool is_pump_set;
static uint64_t pump_due_ns, last_sent_ns;

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

static bool is_set(uint8_t lsr_bit)
{
	return in8(UART_LSR) & lsr_bit;
}

static void wait_for(uint8_t lsr_bit)
{
	for (unsigned i = 0; i < WAIT_POLLS && !is_set(lsr_bit) && !is_stuck; i++)
		cpu_pause();
	is_stuck = !is_set(lsr_bit);
}

static void put(char c)
{
	wait_for(LSR_THRE);
	if (!is_stuck)
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

static void send_waiting(uint32_t bytes_max)
{
	for (uint32_t i = 0; i < bytes_max && !serial_queue_is_empty(&queue); i++)
		put(serial_queue_take(&queue));
	if (!is_stuck)
		last_sent_ns = time_now_ns();
}

/* What the UART takes without a wait; a FIFO's worth, mostly. */
static void send_some(uint64_t now_ns)
{
	for (uint32_t round = 0;
	     round < ROUNDS_MAX && !serial_queue_is_empty(&queue) && is_set(LSR_THRE); round++) {
		for (uint32_t i = 0; i < FIFO_BYTES && !serial_queue_is_empty(&queue); i++)
			out8(UART_THR, (uint8_t)serial_queue_take(&queue));
		last_sent_ns = now_ns;
	}
}

/* And the rest later, unless it has taken nothing for long. */
static void pump(void)
{
	uint64_t now_ns = time_now_ns();

	if (!is_pump_set)
		last_sent_ns = now_ns; /* from then on it is expected to take something */
	send_some(now_ns);
	if (now_ns - last_sent_ns > STUCK_NS)
		serial_queue_drop(&queue);
	is_pump_set = !serial_queue_is_empty(&queue);
	if (!is_pump_set)
		return;
	pump_due_ns = now_ns + PUMP_NS;
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
	if (is_pump_late())
		send_waiting(LATE_BYTES);
	while (!serial_queue_put(&queue, text, len_bytes))
		send_waiting(FIFO_BYTES);
	if (!is_pump_set)
		pump();
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
		send_waiting(SERIAL_QUEUE_BYTES);
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
	send_waiting(SERIAL_QUEUE_BYTES);
}
