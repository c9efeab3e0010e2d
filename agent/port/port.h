/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's machine as the rest of the port sees it: how it starts, fails and waits. Everything
 * runs on one CPU with interrupts off; they are let in only while the CPU is halted, so nothing
 * here needs a lock.
 */
#ifndef AGENT_PORT_PORT_H
#define AGENT_PORT_PORT_H

#include "kernel/lib/types.h"

/* start.c: the PVH module that QEMU hands over as -initrd; NULL when there is none. */
const void *port_module(size_t *len_bytes);

/* uart.c: for the first lines and the last. */
void uart_init(void);
void uart_write(const char *text, size_t len_bytes);

/* trap.c */
void trap_init(void);
/* agent_fail - say what and where, then reset this guest by a triple fault */
NORETURN void agent_fail(const char *what, const char *file, int line);

/* timer.c */
#define TIMER_VECTOR  0x40u
#define DEVICE_VECTOR 0x41u
void timer_init(void);
uint32_t timer_apic_id(void);
void timer_eoi(void);
/* timer_idle - halt until an interrupt, at most until clock_ns() is until_ns */
void timer_idle(uint64_t until_ns);

/* clock.c: nanoseconds since the agent started, by the TSC. */
void clock_init(void);
uint64_t clock_ns(void);
uint64_t clock_tsc_from_ns(uint64_t ns);

/* newlib.c: where sbrk() takes memory from. */
void heap_init(uint64_t from, uint64_t end);
size_t heap_used(void);

/* nic.c: lwIP's interface on the virtio-net device. */
void nic_init(const char *hostname);
bool nic_poll(void); /* true when frames came in */

#endif
