/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random bytes for a guest: [VIRTIO] "Entropy Device". Each buffer gets at most
 * VIRTIO_RNG_BYTES_MAX, and the queue is short, so one notification costs a bounded number of
 * random words.
 *
 * Create it while its VM is created; the VM's struct pci_host destroys it. Pure.
 */
#ifndef VMM_DEV_VIRTIO_RNG_H
#define VMM_DEV_VIRTIO_RNG_H

#include "vmm/dev/virtio_pci.h"

#define VIRTIO_RNG_ID	     4u
#define VIRTIO_RNG_QUEUE_MAX 8u
#define VIRTIO_RNG_BYTES_MAX 4096u

/* virtio_rng_create - HV_ENOMEM: memory or the bus ran out, nothing is left behind */
MUST_CHECK enum hv_err virtio_rng_create(struct vm *vm, struct pci_host *host);

#endif
