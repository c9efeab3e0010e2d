/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two halves of the virtio-net driver share: drivers/virtio_net_open_hw.c finds a card and
 * takes memory for it, drivers/virtio_net_hw.c runs it.
 */
#ifndef DRIVERS_VIRTIO_NET_PRIV_H
#define DRIVERS_VIRTIO_NET_PRIV_H

#include "drivers/nic.h"
#include "drivers/virtio_net_rings.h"
#include "drivers/virtio_pci_hw.h"
#include "kernel/lib/lock.h"
#include "kernel/memory.h"
#include "kernel/time.h"

/* [VIRTIO] "Network Device", "Feature bits" */
#define VIRTIO_NET_F_CSUM	  BIT(0)
#define VIRTIO_NET_F_GUEST_CSUM	  BIT(1)
#define VIRTIO_NET_F_MTU	  BIT(3)
#define VIRTIO_NET_F_MAC	  BIT(5)
#define VIRTIO_NET_F_GUEST_TSO4	  BIT(7)
#define VIRTIO_NET_F_GUEST_TSO6	  BIT(8)
#define VIRTIO_NET_F_HOST_TSO4	  BIT(11)
#define VIRTIO_NET_F_HOST_TSO6	  BIT(12)
#define VIRTIO_NET_F_MRG_RXBUF	  BIT(15)
#define VIRTIO_NET_F_STATUS	  BIT(16)
#define VIRTIO_NET_F_CTRL_VQ	  BIT(17)
#define VIRTIO_NET_F_CTRL_RX	  BIT(18)
#define VIRTIO_NET_F_MQ		  BIT(22)
#define VIRTIO_NET_F_SPEED_DUPLEX BIT(63)

/* [VIRTIO] "Network Device", "Device configuration layout": offsets */
#define CONFIG_MAC	 0u
#define CONFIG_STATUS	 6u
#define CONFIG_MAX_PAIRS 8u
#define CONFIG_MTU	 10u
#define CONFIG_SPEED	 12u /* Mb/s */

struct virtio_net_rx_queue {
	struct lock lock; /* tried only, but to stop it */
	bool is_live;	  /* the device has it, and buffers in it */
	struct virtio_ring ring;
	hpa_t buffers, large; /* HPA_NONE: not taken */
	unsigned order;
	struct virtio_net_rx rx;
	struct timer more; /* the budget was used up */
	struct virtio_net_card *card;
};

struct virtio_net_tx_queue {
	struct lock lock;
	bool is_live;
	struct virtio_ring ring;
	hpa_t chunks; /* HPA_NONE: not taken */
	unsigned order;
	struct virtio_net_tx tx;
};

struct virtio_net_command { /* the device's memory, too */
	uint8_t class, command;
	uint8_t data[2];
	volatile uint8_t ack;
};

struct virtio_net_card {
	struct nic nic;
	struct virtio_dev virtio;
	uint32_t nr_pairs, max_pairs;
	bool is_started, is_resetting;
	struct virtio_net_rx_queue rx[NIC_QUEUES_MAX];
	struct virtio_net_tx_queue tx[NIC_QUEUES_MAX];
	struct virtio_ring control; /* after boot: the watch's */
	hpa_t commands;		    /* a page of them; HPA_NONE: not taken */
	uint64_t commands_ns;	    /* when they were given */
	bool is_added;		    /* to the list of cards */
	struct timer watch;	    /* before that, for the answers of one that was plugged in */
};

extern const struct nic_ops virtio_net_nic_ops;
extern const struct virtio_dev_ops virtio_net_dev_ops;

static inline bool virtio_net_has(const struct virtio_net_card *card, uint64_t feature)
{
	return card->virtio.features & feature;
}

/*
 * virtio_net_card_run - give its rings to a device that has agreed on features, and start it
 *
 * Errors:  HV_EIO - it does not take them, or wants a reset.
 * Context: boot, or after a reset; nobody uses the card meanwhile.
 */
MUST_CHECK enum hv_err virtio_net_card_run(struct virtio_net_card *card);

/*
 * virtio_net_card_are_answered - whether the commands of the above are; asked again and again, in
 * attach() or by a timer. After a while they are taken as refused, and what that means is done.
 */
bool virtio_net_card_are_answered(struct virtio_net_card *card);

/* virtio_net_card_announce - its link into the log, and look after it from now on; last */
void virtio_net_card_announce(struct virtio_net_card *card);

/* virtio_net_card_leave - it is to be taken out: no frames, no link. The boot CPU. */
void virtio_net_card_leave(struct virtio_net_card *card, bool is_there);
/* virtio_net_card_end_timers - once nobody can set them any more */
void virtio_net_card_end_timers(struct virtio_net_card *card);

/* virtio_net_card_init_queue - what a receive queue needs beside memory */
void virtio_net_card_init_queue(struct virtio_net_card *card, struct virtio_net_rx_queue *queue);

#endif
