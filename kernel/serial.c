/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550, polled. Every wait is bounded, so that a UART that hangs costs time but not the machine.
 *
 * Source: [16550] "Registers".
 */
#include "kernel/serial.h"

#include "kernel/cpu_hw.h"

#define UART_BASE 0x3f8
#define UART_THR  (UART_BASE + 0) /* divisor, low byte, while LCR_DLAB */
#define UART_IER  (UART_BASE + 1) /* divisor, high byte, while LCR_DLAB */
#define UART_FCR  (UART_BASE + 2)
#define UART_LCR  (UART_BASE + 3)
#define UART_MCR  (UART_BASE + 4)
#define UART_LSR  (UART_BASE + 5)
#define UART_SCR  (UART_BASE + 7)

#define LCR_8N1	  0x03
#define LCR_DLAB  0x80
#define FCR_ON	  0x07 /* FIFOs on and emptied */
#define MCR_READY 0x03 /* DTR, RTS */
#define LSR_THRE  0x20 /* room for a byte */
#define LSR_TEMT  0x40 /* all sent */

#define DIVISOR_115200 1
#define WAIT_POLLS     1000000u

static bool is_there;

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

void serial_write(const char *text, size_t len_bytes)
{
	if (!is_there)
		return;
	for (size_t i = 0; i < len_bytes; i++) {
		if (text[i] == '\n')
			put('\r');
		put(text[i]);
	}
}

void serial_drain(void)
{
	if (is_there)
		wait_for(LSR_TEMT);
}
