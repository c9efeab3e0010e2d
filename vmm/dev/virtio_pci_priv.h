/* SPDX-License-Identifier: Apache-2.0 */
/* Between the two files of the virtio transport; all under vm->lock. */
#ifndef VMM_DEV_VIRTIO_PCI_PRIV_H
#define VMM_DEV_VIRTIO_PCI_PRIV_H

#include "vmm/dev/virtio_pci.h"

/* ---- virtio_pci_common.c ---- */

/* Offsets into struct virtio_common; what lies outside reads as zero and is not written. */
uint64_t virtio_common_read(const struct virtio_pci *vp, uint64_t offset, uint8_t size);
void virtio_common_write(struct virtio_pci *vp, uint64_t offset, uint8_t size, uint64_t val);

/* ---- virtio_pci.c ---- */

uint64_t virtio_pci_offered(const struct virtio_pci *vp);
void virtio_pci_write_status(struct virtio_pci *vp, uint8_t val);
void virtio_pci_enable_queue(struct virtio_pci *vp, uint32_t index);
void virtio_pci_reset_queue(struct virtio_pci *vp, uint32_t index);

#endif
