/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entropy device: fills what the driver gives it, from the VM's generator.
 */
#include "vmm/dev/virtio_rng.h"

#include "kernel/memory.h"

struct virtio_rng {
	struct virtio_pci vp;	  /* first */
	struct vring_chain chain; /* under the queue's lock */
};

static struct virtio_rng *rng_of(struct virtio_pci *vp)
{
	return container_of(vp, struct virtio_rng, vp);
}

static uint32_t fill_chain(struct vm *vm, const struct vring *vring,
			   const struct vring_chain *chain)
{
	uint32_t wanted = (uint32_t)MIN(chain->writable_bytes, VIRTIO_RNG_BYTES_MAX);
	uint8_t part[128];

	for (uint32_t done = 0; done < wanted; done += sizeof(part)) {
		size_t len = MIN(sizeof(part), wanted - done);

		vm_random(vm, part, len);
		vring_chain_write(vring, chain, done, part, len);
	}
	return wanted;
}

static void rng_notify(struct virtio_pci *vp, uint32_t queue)
{
	struct vring *vring = virtio_queue_take(vp, queue);
	struct vring_chain *chain = &rng_of(vp)->chain;

	for (uint16_t nr = vring_arm(vring); nr && vring_pop(vring, chain); nr--)
		vring_put(vring, chain->head, fill_chain(vp->fn.vm, vring, chain));
	virtio_queue_give(vp, queue);
}

static void rng_destroy(struct virtio_pci *vp)
{
	kmem_free(rng_of(vp));
}

static const struct virtio_ops rng_ops = {
	.name = "virtio-rng",
	.id = VIRTIO_RNG_ID,
	.class_code = 0x00ff00, /* unclassified */
	.nr_queues = 1,
	.queue_max = VIRTIO_RNG_QUEUE_MAX,
	.notify = rng_notify,
	.destroy = rng_destroy,
};

enum hv_err virtio_rng_create(struct vm *vm, struct pci_host *host)
{
	struct virtio_rng *rng = kmem_alloc(sizeof(*rng));
	enum hv_err err;

	if (!rng)
		return HV_ENOMEM;
	virtio_pci_init(&rng->vp, vm, &rng_ops);
	err = pci_host_add(host, &rng->vp.fn);
	if (err != HV_OK)
		kmem_free(rng);
	return err;
}
