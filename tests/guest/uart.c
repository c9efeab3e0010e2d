/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port as a 16550A: registers, FIFO, loopback, interrupts. */
#include "tests/guest/lib/guest.h"

#include "vmm/layout.h"

#define DATA LAYOUT_COM1
#define IER  (LAYOUT_COM1 + 1)
#define IIR  (LAYOUT_COM1 + 2)
#define FCR  (LAYOUT_COM1 + 2)
#define LCR  (LAYOUT_COM1 + 3)
#define MCR  (LAYOUT_COM1 + 4)
#define LSR  (LAYOUT_COM1 + 5)
#define MSR  (LAYOUT_COM1 + 6)
#define SCR  (LAYOUT_COM1 + 7)
#define LOOP 0x10

/* While the port is tested nothing may be printed: what is found out is kept until afterwards. */
static bool has_echo, is_in_order, has_ready, is_empty_after, fifo_iir, modem, thre, rx_iir,
	thre_is_gone;

static void in_loopback(void)
{
	while (!(in8(LSR) & 0x40))
		;
	out8(MCR, LOOP);
	out8(FCR, 7);
	out8(DATA, 0x5a);
	has_ready = in8(LSR) & 1;
	has_echo = in8(DATA) == 0x5a;
	is_empty_after = !(in8(LSR) & 1);
	is_in_order = true;
	for (uint8_t i = 0; i < 16; i++)
		out8(DATA, i);
	out8(IER, 1);
	rx_iir = (in8(IIR) & 0xf) == 0x4;
	for (uint8_t i = 0; i < 16; i++)
		is_in_order = is_in_order && in8(DATA) == i;
	out8(IER, 0);
	out8(FCR, 7);
	out8(MCR, LOOP | 0xf);
	modem = (in8(MSR) & 0xf0) == 0xf0;
	out8(MCR, LOOP);
	modem = modem && (in8(MSR) & 0xf0) == 0;
	out8(MCR, 0xb);
	in8(MSR);
}

void guest_main(void)
{
	out8(SCR, 0xa5);
	EXPECT_EQ(in8(SCR), 0xa5, "the scratch register keeps what is written");
	out8(FCR, 1);
	EXPECT_EQ(in8(IIR) & 0xc0, 0xc0, "the FIFOs are a 16550A's");
	out8(LCR, 0x83);
	out8(DATA, 0x34), out8(IER, 0x12);
	fifo_iir = in8(DATA) == 0x34 && in8(IER) == 0x12;
	out8(LCR, 0x03);
	EXPECT(fifo_iir, "the divisor is behind DLAB");
	EXPECT_EQ(in8(LCR), 3, "the line control reads back");
	EXPECT_EQ(in8(IER), 0, "no interrupts are enabled after reset");
	EXPECT_EQ(in8(LSR) & 0x60, 0x60, "the transmitter is empty");
	EXPECT_EQ(in8(IIR) & 0xf, 1, "no interrupt is pending");
	out8(IER, 2);
	thre = (in8(IIR) & 0xf) == 2;
	thre_is_gone = (in8(IIR) & 0xf) == 1;
	out8(IER, 0);
	EXPECT(thre, "enabling the transmitter's interrupt raises it");
	EXPECT(thre_is_gone, "reading IIR takes it away");
	in_loopback();
	EXPECT(has_ready, "in loopback a byte sent is received");
	EXPECT(has_echo, "and it is the same");
	EXPECT(is_empty_after, "reading it empties the receiver");
	EXPECT(is_in_order, "16 bytes in the FIFO come in order");
	EXPECT(rx_iir, "received data is what IIR says");
	EXPECT(modem, "in loopback the modem's lines follow MCR");
	EXPECT_EQ(in8(LSR) & 1, 0, "nothing has come from outside");
}
