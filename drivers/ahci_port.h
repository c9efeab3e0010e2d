/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One port of an AHCI controller: from its reset to an identified disk, its commands, its errors,
 * disks that come and go. Pure: registers are behind a pair of functions, time is an argument, and
 * what it wants of the world is written into a struct ahci_events.
 *
 *            begin                   link             ready            identified
 *   EMPTY ──► STOPPING ─► RESETTING ─► LINKING ─► WAITING ─► IDENTIFYING ─► READY
 *     ▲          ▲            │ no link   │            │ no disk, or one that cannot   │
 *     └──────────┼────────────┴───────────┘            └────────► IGNORED              │
 *                └── an error, a link that went, block_ops.reset ◄─────────────────────┘
 *
 * A port has commands of one class at a time: queued ones (NCQ), each with a tag, or plain ones.
 * What does not fit to those under way is held, one request, until they have ended; more are
 * refused with HV_EBUSY. A port that has stopped with an error does not say whose it was unless it
 * had one command only. So what it had is started again one by one, as plain commands, after a
 * reset of the port; that finds the bad one exactly, and needs no log of the disk's.
 *
 * The caller has a lock around each call; wake_ns says when ahci_port_run() is to be called even
 * without an interrupt.
 *
 * Source: [AHCI] "Port Registers", "Software Initialization of HBA", "Error Reporting and
 * Recovery", "Hot Plug Operation".
 */
#ifndef DRIVERS_AHCI_PORT_H
#define DRIVERS_AHCI_PORT_H

#include "drivers/ahci_cmd.h"

/* Registers of a port, from its own base. */
#define AHCI_PORT_CLB	   0x00u
#define AHCI_PORT_CLBU	   0x04u
#define AHCI_PORT_FB	   0x08u
#define AHCI_PORT_FBU	   0x0cu
#define AHCI_PORT_IS	   0x10u
#define AHCI_PORT_IE	   0x14u
#define AHCI_PORT_CMD	   0x18u
#define AHCI_PORT_TFD	   0x20u
#define AHCI_PORT_SIG	   0x24u
#define AHCI_PORT_SSTS	   0x28u
#define AHCI_PORT_SCTL	   0x2cu
#define AHCI_PORT_SERR	   0x30u
#define AHCI_PORT_SACT	   0x34u
#define AHCI_PORT_CI	   0x38u
#define AHCI_PORT_REG_SIZE 0x80u

#define AHCI_CMD_ST  0x00000001u /* start */
#define AHCI_CMD_SUD 0x00000002u /* spin up device */
#define AHCI_CMD_POD 0x00000004u /* power on device */
#define AHCI_CMD_FRE 0x00000010u /* FIS receive enable */
#define AHCI_CMD_CCS 0x00001f00u /* the slot it is at */
#define AHCI_CMD_CR  0x00008000u /* command list running */
#define AHCI_CMD_CPD 0x00100000u /* power can be switched */
#define AHCI_CMD_ICC 0xf0000000u
#define AHCI_ICC_ON  1u

#define AHCI_SSTS_DET	       0x0000000fu
#define AHCI_DET_PRESENT       1u /* but no link yet */
#define AHCI_DET_LINKED	       3u
#define AHCI_SCTL_NO_SLEEP     0x00000300u /* no power saving by the link */
#define AHCI_SCTL_DET_COMRESET 1u

struct ahci_regs {
	uint32_t (*read)(void *arg, uint32_t reg);
	void (*write)(void *arg, uint32_t reg, uint32_t val);
	void *arg;
};

enum ahci_state {
	AHCI_EMPTY,
	AHCI_STOPPING,
	AHCI_RESETTING,
	AHCI_LINKING,
	AHCI_WAITING,
	AHCI_IDENTIFYING,
	AHCI_READY,
	AHCI_IGNORED, /* there is something that we do not drive */
	AHCI_DEAD     /* the controller is gone, or this port's engine cannot be stopped */
};

enum ahci_own { AHCI_OWN_NONE, AHCI_OWN_IDENTIFY, AHCI_OWN_SMART_DATA, AHCI_OWN_SMART_STATUS };

struct ahci_port {
	const struct ahci_regs *regs;
	struct ahci_memory *mem;
	uint64_t mem_hpa;
	const char *name;
	uint32_t nr_slots; /* of the controller */
	bool can_queue;	   /* the controller */
	bool has_64bit;

	enum ahci_state state;
	uint64_t began_ns; /* this state */
	uint64_t wake_ns;  /* 0: not */
	bool has_disk;	   /* id is its, and it was announced */
	bool owes_reset;   /* ahci_port_reset() has not been answered */
	struct ata_identity id;

	struct block_request *reqs[AHCI_SLOTS];
	uint32_t issued;  /* slots that the controller has */
	uint32_t replay;  /* slots that it is to have again, one by one */
	bool is_queueing; /* class of what is issued */
	struct block_request *held;

	enum ahci_own own; /* this driver's own command, in slot 0, alone */
	uint64_t own_deadline_ns;
	bool wants_health;
	struct block_health health;
};

struct ahci_events {
	uint32_t nr_done; /* first to be told */
	struct {
		struct block_request *req;
		enum hv_err status;
	} done[AHCI_SLOTS];
	bool is_gone; /* the disk that was there: block_gone(); what it had is forgotten here */
	bool is_new;  /* port->id is another disk's: block_add() */
	bool is_reset_done; /* block_reset_done(HV_OK) */
	bool has_health;    /* port->health */
	bool is_wedged;	    /* its DMA cannot be stopped by itself */
};

/*
 * ahci_port_begin - start it, for the first time
 *
 * The caller has zeroed port and set regs to can_queue. when_ns: not before, for disks that are
 * to spin up one after another.
 */
void ahci_port_begin(struct ahci_port *port, uint64_t when_ns);

/* ahci_port_run - look at the port and do what follows. By interrupt, at wake_ns, and when polled:
 * any time. Events are added to *ev. */
void ahci_port_run(struct ahci_port *port, uint64_t now_ns, struct ahci_events *ev);

/* ahci_port_submit - as struct block_ops has it; nothing is done before it returns */
MUST_CHECK enum hv_err ahci_port_submit(struct ahci_port *port, struct block_request *req);

/* ahci_port_reset - forget all requests and begin anew; is_reset_done or is_gone will follow */
void ahci_port_reset(struct ahci_port *port, uint64_t now_ns, struct ahci_events *ev);

/* ahci_port_ask_health - has_health will follow, or not */
void ahci_port_ask_health(struct ahci_port *port, uint64_t now_ns);

/* ahci_port_kill - the controller is gone, or may not do DMA any more */
void ahci_port_kill(struct ahci_port *port, struct ahci_events *ev);

/* ahci_port_is_settled - whether it has found out what there is */
bool ahci_port_is_settled(const struct ahci_port *port);

#endif
