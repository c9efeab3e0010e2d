/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slots of the disk that this node was booted from. GRUB says on the command line which disk
 * (disk=) and which slot (slot=), and whether it is a trial (trial=1); a trial that is not
 * committed within trial-limit= seconds ends in a reboot, whatever else happens, and GRUB then
 * boots the other slot.
 *
 * A job goes on by itself, from one disk interrupt to the next. Locked inside; context: any CPU,
 * interrupts off, no lock held that comes after the control queue's.
 */
#ifndef STORAGE_NODE_SLOTS_H
#define STORAGE_NODE_SLOTS_H

#include "storage/slots.h"

struct block_dev;

struct node_image {
	struct slots_image image;
	void (*release)(void *ctx); /* the bytes are needed no more; never called when refused */
};

/* node_slots_init - after the disks, on the boot CPU. It spins for a few requests. */
void node_slots_init(void);

/* The disk with the slots; NULL when the node was booted from something else. */
const struct block_dev *node_slots_disk(void);

/* The same, and where its config partition begins, bytes; at is left alone without one. */
struct block_dev *node_slots_config(uint64_t *at);

/* All zero when there are none. */
void node_slots_status(struct ctl_update_status *out);

/* As those of storage/slots.h, and HV_ENOTSUP without slots. node_slots_try ends in a reboot. */
MUST_CHECK enum hv_err node_slots_install(const struct ctl_update_manifest *manifest,
					  const struct node_image *image,
					  char why[SLOTS_WHY_BYTES]);
MUST_CHECK enum hv_err node_slots_try(uint64_t attempt, char why[SLOTS_WHY_BYTES]);
MUST_CHECK enum hv_err node_slots_commit(char why[SLOTS_WHY_BYTES]);

#endif
