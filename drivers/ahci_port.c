/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a port, in the order in which it goes through them; then commands; then errors. */
#include "drivers/ahci_port.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define MS NSEC_PER_MSEC

#define STOP_NS	    (500 * MS) /* [AHCI] "Port Registers": PxCMD.CR after ST is cleared */
#define COMRESET_NS (2 * MS)   /* 1 ms at least */
#define ABSENT_NS   (150 * MS) /* a disk answers a COMRESET within 10 ms */
#define LINK_NS	    (2000 * MS)
#define READY_NS    (28000 * MS) /* disks that spin up; less than BLOCK_RESET_NS */
#define OWN_NS	    (5000 * MS)
#define LOOK_NS	    MS	      /* how often a state looks at its register, at first */
#define SLOW_NS	    (10 * MS) /* and later */

#define TFD_NOT_READY (ATA_STATUS_BSY | ATA_STATUS_DRQ)
#define OWN_SLOT      0u

static uint32_t read_reg(struct ahci_port *port, uint32_t reg)
{
	return port->regs->read(port->regs->arg, reg);
}

static void write_reg(struct ahci_port *port, uint32_t reg, uint32_t val)
{
	port->regs->write(port->regs->arg, reg, val);
}

static void enter(struct ahci_port *port, enum ahci_state state, uint64_t now_ns, uint64_t wait_ns)
{
	port->state = state;
	port->began_ns = now_ns;
	port->wake_ns = now_ns + wait_ns;
}

static void rest(struct ahci_port *port, enum ahci_state state, uint32_t interrupts)
{
	port->state = state;
	port->wake_ns = 0;
	write_reg(port, AHCI_PORT_SERR, ~0u);
	write_reg(port, AHCI_PORT_IS, ~0u);
	write_reg(port, AHCI_PORT_IE, interrupts);
}

static bool has_passed(const struct ahci_port *port, uint64_t now_ns, uint64_t limit_ns)
{
	return now_ns - port->began_ns >= limit_ns;
}

static void wait_more(struct ahci_port *port, uint64_t now_ns)
{
	port->wake_ns = now_ns + (has_passed(port, now_ns, 10 * LOOK_NS) ? SLOW_NS : LOOK_NS);
}

static void forget_requests(struct ahci_port *port)
{
	memset(port->reqs, 0, sizeof(port->reqs));
	port->issued = port->replay = 0;
	port->held = NULL;
	port->own = AHCI_OWN_NONE;
	port->wants_health = false;
}

static void lose_disk(struct ahci_port *port, struct ahci_events *ev)
{
	forget_requests(port);
	ev->is_gone |= port->has_disk;
	port->has_disk = port->owes_reset = false;
}

void ahci_port_kill(struct ahci_port *port, struct ahci_events *ev)
{
	lose_disk(port, ev);
	port->state = AHCI_DEAD;
	port->wake_ns = 0;
}

bool ahci_port_is_settled(const struct ahci_port *port)
{
	return port->state == AHCI_EMPTY || port->state >= AHCI_READY;
}

/* ---- reset, step by step ---- */

static void begin(struct ahci_port *port, uint64_t now_ns)
{
	write_reg(port, AHCI_PORT_IE, 0);
	write_reg(port, AHCI_PORT_CMD, read_reg(port, AHCI_PORT_CMD) & ~AHCI_CMD_ST);
	enter(port, AHCI_STOPPING, now_ns, 0);
}

void ahci_port_begin(struct ahci_port *port, uint64_t when_ns)
{
	begin(port, when_ns);
}

static void start_comreset(struct ahci_port *port, uint64_t now_ns)
{
	uint64_t list = port->mem_hpa + offsetof(struct ahci_memory, headers);
	uint64_t received = port->mem_hpa + offsetof(struct ahci_memory, received);
	uint32_t cmd = read_reg(port, AHCI_PORT_CMD) & ~(AHCI_CMD_ICC | AHCI_CMD_ST);

	write_reg(port, AHCI_PORT_CLB, (uint32_t)list);
	write_reg(port, AHCI_PORT_CLBU, (uint32_t)(list >> 32));
	write_reg(port, AHCI_PORT_FB, (uint32_t)received);
	write_reg(port, AHCI_PORT_FBU, (uint32_t)(received >> 32));
	cmd |= AHCI_CMD_FRE | AHCI_CMD_SUD | (cmd & AHCI_CMD_CPD ? AHCI_CMD_POD : 0);
	write_reg(port, AHCI_PORT_CMD, cmd | (uint32_t)FIELD_PREP(AHCI_CMD_ICC, AHCI_ICC_ON));
	write_reg(port, AHCI_PORT_SCTL, AHCI_SCTL_NO_SLEEP | AHCI_SCTL_DET_COMRESET);
	enter(port, AHCI_RESETTING, now_ns, COMRESET_NS);
}

static void run_stopping(struct ahci_port *port, uint64_t now_ns, struct ahci_events *ev)
{
	if (!(read_reg(port, AHCI_PORT_CMD) & AHCI_CMD_CR)) {
		start_comreset(port, now_ns);
		return;
	}
	if (!has_passed(port, now_ns, STOP_NS)) {
		wait_more(port, now_ns);
		return;
	}
	log_err("ahci", "%s: does not stop; its controller is switched off", port->name);
	ev->is_wedged = true;
	ahci_port_kill(port, ev);
}

static void run_resetting(struct ahci_port *port, uint64_t now_ns)
{
	write_reg(port, AHCI_PORT_SCTL, AHCI_SCTL_NO_SLEEP);
	enter(port, AHCI_LINKING, now_ns, LOOK_NS);
}

static void run_linking(struct ahci_port *port, uint64_t now_ns, struct ahci_events *ev)
{
	uint32_t det = read_reg(port, AHCI_PORT_SSTS) & AHCI_SSTS_DET;
	uint64_t limit_ns = det == AHCI_DET_PRESENT || port->has_disk ? LINK_NS : ABSENT_NS;

	if (det == AHCI_DET_LINKED) {
		write_reg(port, AHCI_PORT_SERR, ~0u);
		enter(port, AHCI_WAITING, now_ns, 0);
		return;
	}
	if (!has_passed(port, now_ns, limit_ns)) {
		wait_more(port, now_ns);
		return;
	}
	if (det == AHCI_DET_PRESENT)
		log_warn("ahci", "%s: there is a device, but no link to it", port->name);
	lose_disk(port, ev);
	rest(port, AHCI_EMPTY, AHCI_IS_CHANGES);
}

static void ignore(struct ahci_port *port, const char *why, struct ahci_events *ev)
{
	log_info("ahci", "%s: %s, left alone", port->name, why);
	write_reg(port, AHCI_PORT_CMD, read_reg(port, AHCI_PORT_CMD) & ~AHCI_CMD_ST);
	lose_disk(port, ev);
	rest(port, AHCI_IGNORED, AHCI_IS_CHANGES);
}

static void build_own(struct ahci_port *port, enum ahci_own own, uint64_t now_ns)
{
	struct ata_taskfile taskfile = {.command = ATA_IDENTIFY};
	struct block_seg seg = {
		.hpa = port->mem_hpa + offsetof(struct ahci_memory, data),
		.len_bytes = ATA_DATA_BYTES,
	};

	if (own != AHCI_OWN_IDENTIFY)
		taskfile = (struct ata_taskfile){
			.command = ATA_SMART,
			.features =
				own == AHCI_OWN_SMART_DATA ? ATA_SMART_READ_DATA : ATA_SMART_STATUS,
			.lba = ATA_SMART_KEY,
		};
	memset(port->mem->data, 0, sizeof(port->mem->data));
	ahci_build(port->mem, port->mem_hpa, OWN_SLOT, &taskfile, &seg,
		   own == AHCI_OWN_SMART_STATUS ? 0 : 1, false);
	port->own = own;
	port->own_deadline_ns = now_ns + OWN_NS;
	port->issued = BIT(OWN_SLOT);
	port->is_queueing = false;
	write_reg(port, AHCI_PORT_CI, BIT(OWN_SLOT));
}

static void start_identify(struct ahci_port *port, uint64_t now_ns)
{
	write_reg(port, AHCI_PORT_IS, ~0u);
	write_reg(port, AHCI_PORT_CMD, read_reg(port, AHCI_PORT_CMD) | AHCI_CMD_ST);
	build_own(port, AHCI_OWN_IDENTIFY, now_ns);
	enter(port, AHCI_IDENTIFYING, now_ns, LOOK_NS);
}

static void run_waiting(struct ahci_port *port, uint64_t now_ns, struct ahci_events *ev)
{
	static const char *const kinds[] = {
		[AHCI_ATAPI] = "an ATAPI device",
		[AHCI_MULTIPLIER] = "a port multiplier",
		[AHCI_ENCLOSURE] = "an enclosure's bridge",
		[AHCI_UNKNOWN] = "a device with an unknown signature",
	};
	enum ahci_kind kind;

	if ((read_reg(port, AHCI_PORT_SSTS) & AHCI_SSTS_DET) != AHCI_DET_LINKED) {
		enter(port, AHCI_LINKING, now_ns, LOOK_NS);
		return;
	}
	if (read_reg(port, AHCI_PORT_TFD) & TFD_NOT_READY) {
		if (has_passed(port, now_ns, READY_NS))
			ignore(port, "a device that is not ready", ev);
		else
			wait_more(port, now_ns);
		return;
	}
	kind = ahci_kind_of(read_reg(port, AHCI_PORT_SIG));
	if (kind == AHCI_DISK)
		start_identify(port, now_ns);
	else
		ignore(port, kinds[kind], ev);
}

static void get_ready(struct ahci_port *port, struct ahci_events *ev)
{
	struct ata_identity id;
	uint8_t data[ATA_DATA_BYTES];
	enum hv_err err;

	memcpy(data, port->mem->data, sizeof(data));
	err = ata_identify(data, &id);
	if (err != HV_OK) {
		ignore(port,
		       err == HV_ENOTSUP ? "a disk that lacks what we need"
					 : "a disk that identifies itself wrongly",
		       ev);
		return;
	}
	if (port->has_disk && !ata_is_same(&id, &port->id))
		lose_disk(port, ev);
	ev->is_new |= !port->has_disk;
	ev->is_reset_done |= port->owes_reset;
	port->id = id;
	port->has_disk = true;
	port->owes_reset = false;
	port->own = AHCI_OWN_NONE;
	port->issued = 0;
	rest(port, AHCI_READY, AHCI_IS_USED);
}

static void run_identifying(struct ahci_port *port, uint64_t now_ns, struct ahci_events *ev)
{
	enum hv_err err =
		ahci_port_error(read_reg(port, AHCI_PORT_IS), read_reg(port, AHCI_PORT_TFD));

	if (err == HV_OK && (read_reg(port, AHCI_PORT_CI) & BIT(OWN_SLOT))) {
		if (now_ns < port->own_deadline_ns)
			wait_more(port, now_ns);
		else
			ignore(port, "a disk that does not identify itself", ev);
		return;
	}
	if (err != HV_OK)
		ignore(port, "a disk that refuses to identify itself", ev);
	else
		get_ready(port, ev);
}

/* ---- commands ---- */

static uint32_t depth(const struct ahci_port *port)
{
	uint32_t nr = port->nr_slots;

	return port->can_queue && port->id.queue_depth > 0 ? MIN(nr, port->id.queue_depth) : nr;
}

static bool is_queued(const struct ahci_port *port, const struct block_request *req)
{
	return port->can_queue && port->id.queue_depth > 0 &&
	       (req->op == BLOCK_READ || req->op == BLOCK_WRITE);
}

/* Whether a request can join what the controller has. */
static bool fits(const struct ahci_port *port, const struct block_request *req)
{
	if (port->state != AHCI_READY || port->own != AHCI_OWN_NONE || port->wants_health ||
	    port->replay)
		return false;
	if (port->issued == 0)
		return true;
	return is_queued(port, req) == port->is_queueing && ahci_count(port->issued) < depth(port);
}

static void issue(struct ahci_port *port, uint32_t slot, struct block_request *req, bool queue)
{
	ahci_build_request(port->mem, port->mem_hpa, slot, &port->id, req,
			   queue ? slot : ATA_PLAIN);
	port->reqs[slot] = req;
	port->issued |= (uint32_t)BIT(slot);
	port->is_queueing = queue;
	req->slot = slot;
	if (queue) /* before the command itself */
		write_reg(port, AHCI_PORT_SACT, (uint32_t)BIT(slot));
	write_reg(port, AHCI_PORT_CI, (uint32_t)BIT(slot));
}

static void issue_new(struct ahci_port *port, struct block_request *req)
{
	issue(port, (uint32_t)__builtin_ctz(~port->issued), req, is_queued(port, req));
}

static bool can_reach(const struct ahci_port *port, const struct block_request *req)
{
	for (uint32_t i = 0; i < req->nr_segs && !port->has_64bit; i++)
		if (!range_fits(req->segs[i].hpa, req->segs[i].len_bytes, 4 * GIB))
			return false;
	return true;
}

enum hv_err ahci_port_submit(struct ahci_port *port, struct block_request *req)
{
	if (!port->has_disk)
		return HV_ENOENT;
	if (!can_reach(port, req))
		return HV_ENOTSUP;
	if (port->held || port->owes_reset)
		return HV_EBUSY;
	if (fits(port, req))
		issue_new(port, req);
	else
		port->held = req;
	return HV_OK;
}

/* Whatever is to be started next, if it can be. */
static void go_on(struct ahci_port *port, uint64_t now_ns)
{
	struct block_request *held = port->held;

	if (port->state != AHCI_READY || port->own != AHCI_OWN_NONE)
		return;
	if (port->issued == 0 && port->replay) {
		uint32_t slot = (uint32_t)__builtin_ctz(port->replay);

		port->replay &= ~(uint32_t)BIT(slot);
		issue(port, slot, port->reqs[slot], false);
	} else if (port->issued == 0 && port->wants_health) {
		build_own(port, AHCI_OWN_SMART_DATA, now_ns);
		port->wake_ns = port->own_deadline_ns;
	} else if (held && fits(port, held)) {
		port->held = NULL;
		issue_new(port, held);
	}
}

void ahci_port_ask_health(struct ahci_port *port, uint64_t now_ns)
{
	if (!port->has_disk || !port->id.has_smart)
		return;
	port->wants_health = true;
	go_on(port, now_ns);
}

static void end_own(struct ahci_port *port, uint64_t now_ns, struct ahci_events *ev)
{
	uint8_t data[ATA_DATA_BYTES];
	uint64_t lba;

	port->issued = 0;
	if (port->own == AHCI_OWN_SMART_DATA) {
		memcpy(data, port->mem->data, sizeof(data));
		if (ata_smart_data(data, &port->health) != HV_OK)
			log_warn("ahci", "%s: SMART data with a wrong checksum", port->name);
		build_own(port, AHCI_OWN_SMART_STATUS, now_ns);
		port->wake_ns = port->own_deadline_ns;
		return;
	}
	lba = ahci_received_lba(port->mem) & ATA_SMART_KEY_MASK;
	port->health.is_failing = lba == ATA_SMART_FAILING;
	port->health.is_known = lba == ATA_SMART_FAILING || lba == ATA_SMART_KEY;
	port->own = AHCI_OWN_NONE;
	port->wants_health = false;
	port->wake_ns = 0;
	ev->has_health = true;
}

static void end(struct ahci_port *port, uint32_t slot, enum hv_err status, struct ahci_events *ev)
{
	ASSERT(port->reqs[slot] && ev->nr_done < ARRAY_SIZE(ev->done));

	ev->done[ev->nr_done].req = port->reqs[slot];
	ev->done[ev->nr_done++].status = status;
	port->reqs[slot] = NULL;
	port->issued &= ~(uint32_t)BIT(slot);
}

/* Slots that are under way, now that the port has stopped with an error, or has not. */
static uint32_t look_at_slots(struct ahci_port *port, uint32_t cmd, bool has_failed)
{
	uint32_t active = read_reg(port, AHCI_PORT_SACT) | read_reg(port, AHCI_PORT_CI);

	if (!has_failed)
		return active;
	if (ahci_count(port->issued) == 1)
		return port->issued;
	/* The plain command that it is at has not ended, whatever its bit says. */
	return active | (port->is_queueing ? 0 : (uint32_t)BIT(FIELD_GET(AHCI_CMD_CCS, cmd)));
}

static void end_others(struct ahci_port *port, uint32_t active, uint64_t now_ns,
		       struct ahci_events *ev)
{
	for (uint32_t slot = 0; slot < AHCI_SLOTS; slot++) {
		if (!(port->issued & ~active & BIT(slot)))
			continue;
		if (port->own != AHCI_OWN_NONE)
			end_own(port, now_ns, ev);
		else
			end(port, slot, HV_OK, ev);
	}
}

/* ---- errors ---- */

/* All that the controller has is to be started again, or is ours and is dropped. */
static void recover(struct ahci_port *port, uint64_t now_ns)
{
	if (port->own != AHCI_OWN_NONE) {
		port->own = AHCI_OWN_NONE;
		port->wants_health = port->id.has_smart = false;
	} else {
		port->replay |= port->issued;
	}
	port->issued = 0;
	begin(port, now_ns);
}

static void handle_error(struct ahci_port *port, enum hv_err err, uint64_t now_ns,
			 struct ahci_events *ev)
{
	if (port->own == AHCI_OWN_NONE && ahci_count(port->issued) == 1)
		end(port, (uint32_t)__builtin_ctz(port->issued), err, ev);
	recover(port, now_ns);
}

static bool has_link_changed(struct ahci_port *port, uint32_t is)
{
	return (is & AHCI_IS_PCS) || ((is & AHCI_IS_PRCS) && (read_reg(port, AHCI_PORT_SSTS) &
							      AHCI_SSTS_DET) != AHCI_DET_LINKED);
}

/* We have started it. A controller that was pulled out, or reset by somebody else, reads otherwise;
 * and a slot that reads as ended says nothing then. */
static bool is_running(uint32_t cmd)
{
	return cmd != ~0u && (cmd & AHCI_CMD_ST);
}

static void run_ready(struct ahci_port *port, uint64_t now_ns, struct ahci_events *ev)
{
	uint32_t is = read_reg(port, AHCI_PORT_IS);
	enum hv_err err = ahci_port_error(is, read_reg(port, AHCI_PORT_TFD));
	uint32_t active = look_at_slots(port, read_reg(port, AHCI_PORT_CMD), err != HV_OK);

	if (!is_running(read_reg(port, AHCI_PORT_CMD))) { /* after all that it is to vouch for */
		log_err("ahci", "%s: was stopped, or is gone", port->name);
		ahci_port_kill(port, ev);
		return;
	}
	/* These come from SERR, and are cleared there. */
	if (is & (AHCI_IS_CHANGES | AHCI_IS_BROKEN))
		write_reg(port, AHCI_PORT_SERR, ~0u);
	write_reg(port, AHCI_PORT_IS, is);
	end_others(port, active, now_ns, ev);
	if (err != HV_OK)
		handle_error(port, err, now_ns, ev);
	else if (has_link_changed(port, is) ||
		 (port->own != AHCI_OWN_NONE && now_ns >= port->own_deadline_ns))
		recover(port, now_ns);
	else
		go_on(port, now_ns);
}

static void run_resting(struct ahci_port *port, uint64_t now_ns)
{
	if (read_reg(port, AHCI_PORT_IS) & AHCI_IS_CHANGES)
		begin(port, now_ns);
}

void ahci_port_reset(struct ahci_port *port, uint64_t now_ns, struct ahci_events *ev)
{
	if (!port->has_disk)
		return; /* block_gone() has been, or will be, called */
	forget_requests(port);
	port->owes_reset = true;
	begin(port, now_ns);
	ahci_port_run(port, now_ns, ev);
}

static void run_state(struct ahci_port *port, uint64_t now_ns, struct ahci_events *ev)
{
	switch (port->state) {
	case AHCI_EMPTY:
	case AHCI_IGNORED:
		run_resting(port, now_ns);
		return;
	case AHCI_STOPPING:
		run_stopping(port, now_ns, ev);
		return;
	case AHCI_RESETTING:
		run_resetting(port, now_ns);
		return;
	case AHCI_LINKING:
		run_linking(port, now_ns, ev);
		return;
	case AHCI_WAITING:
		run_waiting(port, now_ns, ev);
		return;
	case AHCI_IDENTIFYING:
		run_identifying(port, now_ns, ev);
		if (port->state == AHCI_READY)
			go_on(port, now_ns);
		return;
	case AHCI_READY:
		run_ready(port, now_ns, ev);
		return;
	default:
		return;
	}
}

void ahci_port_run(struct ahci_port *port, uint64_t now_ns, struct ahci_events *ev)
{
	enum ahci_state before;

	if (port->state == AHCI_DEAD)
		return;
	if (read_reg(port, AHCI_PORT_CMD) == ~0u) {
		ahci_port_kill(port, ev);
		return;
	}
	do {
		bool is_waiting = !ahci_port_is_settled(port) && now_ns < port->wake_ns;

		before = port->state;
		if (!is_waiting)
			run_state(port, now_ns, ev);
	} while (port->state != before && !ahci_port_is_settled(port));
}
