/* SPDX-License-Identifier: Apache-2.0 */
/* What this node tells about itself. */
#ifndef VMM_NODE_INFO_H
#define VMM_NODE_INFO_H

#include "vmm/control_abi.h"

/*
 * node_info_init - read what never changes: firmware's identity, the CPU's name and flaws
 *
 * boot_protocol   struct boot_info's; kept
 * Context: boot CPU, once, after drivers_init() and before the first node_info_read().
 */
void node_info_init(const char *boot_protocol);

/* What is plugged in, each up to cap; they return how many were filled. out is zero before. Any
 * CPU. */
uint32_t node_nics_read(struct ctl_nic_info *out, uint32_t cap);
uint32_t node_disks_read(struct ctl_disk_info *out, uint32_t cap);

/* node_info_read - all but nr_vms; out is zero before. Any CPU, no lock held. */
void node_info_read(struct ctl_node_info *out);

#endif
