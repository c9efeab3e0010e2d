/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board of a guest: which devices it has and where they sit, as one table of rows in board.c.
 *
 * Everything here is under vm->lock, unless it says otherwise.
 */
#ifndef VMM_BOARD_H
#define VMM_BOARD_H

#include "vmm/vm.h"

struct virtio_control_conf;
struct virtio_control;

/*
 * board_create - make every device, and the NICs that vm->config asks for
 *
 * control   the agent's board has a control device; NULL for all others
 * Errors:   HV_ENOMEM; HV_EEXIST - a NIC's address is in use on its network. Nothing is left
 * behind. Context:  no lock needed: nobody has the VM yet.
 */
MUST_CHECK enum hv_err board_create(struct vm *vm, const struct virtio_control_conf *control);
void board_destroy(struct board *board); /* no vCPU runs; without vm->lock. NULL is fine */
void board_reset(struct board *board);	 /* as the reset line does */

/* An access at an absolute address; unclaimed ones read as all ones. Takes vm->lock itself. */
void board_access(struct vm *vm, enum io_space space, uint64_t addr, struct io_access *acc);

/* The same for ports: acc->addr is the port. Takes vm->lock itself. */
void board_pio(struct vm *vm, struct io_access *acc);

/* board_doorbell - a write to a notification port. False: none is there. Any CPU, no lock. */
bool board_doorbell(struct board *board, uint16_t port);

/* board_init - the table from ports to rows; boot CPU, once */
void board_init(void);

void board_irq_line(struct board *board, uint32_t gsi, bool is_high);
void board_eoi(struct board *board, uint8_t vector);
bool board_extint_pending(const struct board *board); /* any context, no lock */
int board_extint_ack(struct vm *vm);		      /* takes vm->lock itself */
void board_console_input(struct board *board);
void board_press_power_button(struct board *board);

/* The agent's control device, or NULL. Fixed; no lock. */
struct virtio_control *board_control(const struct board *board);

/* Sum of the NICs' counters, seen from the guest. Any context. */
void board_net_counters(const struct board *board, struct net_counters *sum);

#endif
