/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550A. What is received waits in the VM's console ring and is drawn into the FIFO as the guest
 * empties it, so nothing overruns. "Transmitter empty" is the one interrupt with a memory of its
 * own: it arises when a byte has left or when the guest enables it, and ends when IIR has reported
 * it.
 */
#include "vmm/dev/uart.h"

#include "kernel/lib/string.h"
#include "kernel/memory.h"
#include "vmm/layout.h"

#define FIFO_LEN 16u

/* [16550] "Register Summary"; offset 0 and 1 are the divisor while LCR_DLAB is set */
#define REG_DATA 0u
#define REG_IER	 1u
#define REG_IIR	 2u /* read */
#define REG_FCR	 2u /* write */
#define REG_LCR	 3u
#define REG_MCR	 4u
#define REG_LSR	 5u
#define REG_MSR	 6u
#define REG_SCR	 7u

#define IER_RECEIVED 0x01u
#define IER_THRE     0x02u
#define IER_LINE     0x04u
#define IER_MODEM    0x08u

#define IIR_NONE     0x01u
#define IIR_MODEM    0x00u
#define IIR_THRE     0x02u
#define IIR_RECEIVED 0x04u
#define IIR_TIMEOUT  0x0cu
#define IIR_FIFOS    0xc0u

#define FCR_ENABLE   0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_TRIGGER  0xc0u

#define LCR_DLAB 0x80u

#define MCR_DTR	 0x01u
#define MCR_RTS	 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u /* on a PC: lets the interrupt through */
#define MCR_LOOP 0x10u

#define LSR_READY 0x01u
#define LSR_EMPTY 0x60u /* holding and shift register */

#define MSR_DELTAS 0x0fu
#define MSR_CTS	   0x10u
#define MSR_DSR	   0x20u
#define MSR_RI	   0x40u
#define MSR_DCD	   0x80u

struct uart {
	struct vdev dev;
	uint32_t irq;
	uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
	bool has_thre; /* the interrupt, not the state */
	bool is_line_high;
	uint8_t fifo[FIFO_LEN];
	uint32_t fifo_at, fifo_len;
};

static struct uart *uart_of(struct vdev *dev)
{
	return container_of(dev, struct uart, dev);
}

static uint32_t trigger_level(const struct uart *u)
{
	static const uint8_t levels[4] = {1, 4, 8, 14};

	return u->fcr & FCR_ENABLE ? levels[FIELD_GET(FCR_TRIGGER, u->fcr)] : 1;
}

/* The most urgent cause that is enabled. Bytes below the trigger level count as timed out at once.
 */
static uint8_t interrupt_cause(const struct uart *u)
{
	if ((u->ier & IER_RECEIVED) && u->fifo_len > 0)
		return u->fifo_len >= trigger_level(u) ? IIR_RECEIVED : IIR_TIMEOUT;
	if ((u->ier & IER_THRE) && u->has_thre)
		return IIR_THRE;
	if ((u->ier & IER_MODEM) && (u->msr & MSR_DELTAS))
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_line(struct uart *u)
{
	bool is_gated = !(u->mcr & MCR_OUT2) || (u->mcr & MCR_LOOP);
	bool is_high = !is_gated && interrupt_cause(u) != IIR_NONE;

	if (is_high == u->is_line_high)
		return;
	u->is_line_high = is_high;
	vm_irq_line(u->dev.vm, u->irq, is_high);
}

/* ---- receiving ---- */

static void fifo_put(struct uart *u, uint8_t byte)
{
	uint32_t cap = u->fcr & FCR_ENABLE ? FIFO_LEN : 1;

	if (u->fifo_len >= cap)
		return;
	u->fifo[(u->fifo_at + u->fifo_len++) % FIFO_LEN] = byte;
}

static void draw_input(struct uart *u)
{
	uint32_t cap = u->fcr & FCR_ENABLE ? FIFO_LEN : 1;
	uint8_t typed[FIFO_LEN];
	size_t got;

	if (u->fifo_len > 0 || (u->mcr & MCR_LOOP))
		return;
	got = vm_console_get(u->dev.vm, typed, cap);
	for (size_t i = 0; i < got; i++)
		fifo_put(u, typed[i]);
}

void uart_poll(struct vdev *dev)
{
	struct uart *u = uart_of(dev);

	draw_input(u);
	update_line(u);
}

static uint8_t read_data(struct uart *u)
{
	uint8_t byte = 0;

	if (u->fifo_len > 0) {
		byte = u->fifo[u->fifo_at];
		u->fifo_at = (u->fifo_at + 1) % FIFO_LEN;
		u->fifo_len--;
	}
	draw_input(u);
	return byte;
}

/* ---- sending and control ---- */

static void write_data(struct uart *u, uint8_t byte)
{
	if (u->mcr & MCR_LOOP)
		fifo_put(u, byte);
	else
		vm_console_put(u->dev.vm, &byte, 1);
	/* The line falls and rises again: for an edge-triggered input this is a new interrupt. */
	u->has_thre = false;
	update_line(u);
	u->has_thre = true;
}

/* Modem lines: of the cable (always connected), or in loop-back the port's own outputs. */
static uint8_t modem_lines(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void write_mcr(struct uart *u, uint8_t val)
{
	uint8_t before = u->msr & 0xf0, lines, changed;

	u->mcr = val & 0x1f;
	lines = modem_lines(u);
	changed = before ^ lines;
	if (lines & MSR_RI) /* only its trailing edge is reported */
		changed &= (uint8_t)~MSR_RI;
	u->msr = (uint8_t)(lines | (u->msr & MSR_DELTAS) | changed >> 4);
	draw_input(u);
}

static void write_ier(struct uart *u, uint8_t val)
{
	if (!(u->ier & IER_THRE) && (val & IER_THRE))
		u->has_thre = true;
	u->ier = val & (IER_RECEIVED | IER_THRE | IER_LINE | IER_MODEM);
}

static void write_fcr(struct uart *u, uint8_t val)
{
	bool is_toggled = (u->fcr ^ val) & FCR_ENABLE;

	if (is_toggled || (val & FCR_CLEAR_RX))
		u->fifo_len = 0;
	u->fcr = val & FCR_ENABLE ? val & (FCR_ENABLE | FCR_TRIGGER) : 0;
	draw_input(u);
}

static uint8_t read_iir(struct uart *u)
{
	uint8_t cause = interrupt_cause(u);

	if (cause == IIR_THRE)
		u->has_thre = false;
	return cause | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static uint8_t read_msr(struct uart *u)
{
	uint8_t val = u->msr;

	u->msr &= (uint8_t)~MSR_DELTAS;
	return val;
}

static uint8_t uart_read(struct uart *u, uint64_t reg)
{
	bool is_dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return is_dlab ? u->dll : read_data(u);
	case REG_IER:
		return is_dlab ? u->dlm : u->ier;
	case REG_IIR:
		return read_iir(u);
	case REG_LCR:
		return u->lcr;
	case REG_MCR:
		return u->mcr;
	case REG_LSR:
		return LSR_EMPTY | (u->fifo_len > 0 ? LSR_READY : 0);
	case REG_MSR:
		return read_msr(u);
	default:
		return u->scr;
	}
}

static void uart_write(struct uart *u, uint64_t reg, uint8_t val)
{
	bool is_dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (is_dlab)
			u->dll = val;
		else
			write_data(u, val);
		break;
	case REG_IER:
		if (is_dlab)
			u->dlm = val;
		else
			write_ier(u, val);
		break;
	case REG_FCR:
		write_fcr(u, val);
		break;
	case REG_LCR:
		u->lcr = val;
		break;
	case REG_MCR:
		write_mcr(u, val);
		break;
	case REG_SCR:
		u->scr = val;
		break;
	default: /* LSR and MSR: for factory tests only */
		break;
	}
}

static enum io_result uart_access(struct vdev *dev, enum io_space space, struct io_access *acc)
{
	struct uart *u = uart_of(dev);

	(void)space;
	if (acc->size != 1)
		return IO_REFUSED;
	if (acc->is_write)
		uart_write(u, acc->offset, (uint8_t)acc->value);
	else
		acc->value = uart_read(u, acc->offset);
	update_line(u);
	return IO_DONE;
}

/* ---- life ---- */

static void uart_reset(struct vdev *dev)
{
	struct uart *u = uart_of(dev);

	u->ier = u->fcr = u->lcr = u->mcr = u->scr = 0;
	u->dll = 12; /* 9600 baud */
	u->dlm = 0;
	u->msr = modem_lines(u);
	u->has_thre = true;
	u->fifo_len = 0;
	update_line(u);
}

static enum hv_err uart_create(struct vm *vm, const void *conf, struct vdev **out)
{
	const struct uart_conf *c = conf;
	struct uart *u = kmem_alloc(sizeof(*u));

	if (u == NULL)
		return HV_ENOMEM;
	u->dev.ops = &uart_ops;
	u->dev.vm = vm;
	u->irq = c != NULL ? c->irq : LAYOUT_IRQ_COM1;
	uart_reset(&u->dev);
	*out = &u->dev;
	return HV_OK;
}

static void uart_destroy(struct vdev *dev)
{
	kmem_free(uart_of(dev));
}

const struct vdev_ops uart_ops = {
	.name = "uart",
	.create = uart_create,
	.access = uart_access,
	.reset = uart_reset,
	.destroy = uart_destroy,
};
