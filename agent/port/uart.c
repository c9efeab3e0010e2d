/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550 at 0x3f8, output only: the agent's words before the control queue works and when it
 * dies. */
#include "agent/port/cpu.h"
#include "agent/port/port.h"

#define UART	      0x3f8u
#define UART_LSR_THRE 0x20u
#define UART_SPINS    100000 /* a UART that is not there must not hang us */

void uart_init(void)
{
	out8(UART + 1, 0x00); /* no interrupts */
	out8(UART + 3, 0x80); /* divisor 1: 115200 */
	out8(UART + 0, 0x01);
	out8(UART + 1, 0x00);
	out8(UART + 3, 0x03); /* 8n1 */
	out8(UART + 2, 0x07); /* FIFOs on and empty */
}

void uart_write(const char *text, size_t len_bytes)
{
	size_t i;
	int spins;

	for (i = 0; i < len_bytes; i++) {
		for (spins = 0; spins < UART_SPINS && !(in8(UART + 5) & UART_LSR_THRE); spins++)
			cpu_pause();
		out8(UART, (uint8_t)text[i]);
	}
}
