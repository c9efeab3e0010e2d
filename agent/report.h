/* SPDX-License-Identifier: Apache-2.0 */
/* From the kernel's words to the protocol's, for reports and enrolment. Pure. */
#ifndef AGENT_REPORT_H
#define AGENT_REPORT_H

#include "agent/protocol/messages.h"
#include "kernel/lib/types.h"
#include "vmm/control_abi.h"

/* UUIDs: 16 bytes, and 36 characters with a closing zero. */
void uuid_to_text(const uint8_t uuid[16], char text[UUID_TEXT_MAX]);
bool uuid_from_text(const char *text, uint8_t uuid[16]);

void hex_to_text(const uint8_t *bytes, size_t len, char *text); /* 2 * len + 1 */
bool hex_from_text(const char *text, uint8_t *bytes, size_t len);

bool mac_from_text(const char *text, uint8_t mac[6]);

/* report_node - what the kernel knows of the machine; all else of node is cleared */
void report_node(const struct ctl_node_info *info, const char *hostname, struct node_info *node);

/* What is plugged into it, as many as the protocol has room for. */
void report_nics(const struct ctl_nic_info *list, uint32_t nr, struct node_info *node);
void report_disks(const struct ctl_disk_info *list, uint32_t nr, struct node_info *node);

#endif
