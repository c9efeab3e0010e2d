/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of a network card's driver by itself, against a peer of tests/system/lib/wire.py that
 * echoes frames, checks what the card made of them and sends flows. Each says what it saw in the
 * log; who reads that judges.
 */
#ifndef TESTS_KERNEL_LIB_NIC_CARD_H
#define TESTS_KERNEL_LIB_NIC_CARD_H

#include "drivers/nic.h"
#include "kernel/pci.h"
#include "tests/kernel/lib/nic_frames.h"

extern struct nic *card; /* set by the test, with the two that follow in its struct nic */

void card_received(struct nic *from, const void *bytes, size_t len_bytes,
		   const struct frame_offload *offload);
void card_link_changed(struct nic *of);

bool card_has_link(void);
struct pci_device *card_device(void); /* NULL: it is not among the devices */

bool card_send_test(enum op op, uint32_t nr, size_t len_bytes);

/* card_send_sure - the ring may be full for a moment, as nothing tells when it is not */
void card_send_sure(size_t len_bytes, const struct frame_offload *offload);

void card_test_sizes(uint32_t mtu, uint32_t rounds);
void card_test_checksums(void);
void card_test_segments(uint32_t mtu);
void card_test_flows(void);
void card_test_link(uint32_t mtu); /* somebody pulls the cable, and plugs it in again */

#endif
