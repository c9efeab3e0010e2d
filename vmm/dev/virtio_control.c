/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue's transport: copy in, hand on, copy out. Requests are handled in order, each
 * wholly before its buffer is returned.
 */
#include "vmm/dev/virtio_control.h"

#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/memory.h"

#define QUEUES 2u

struct virtio_control {
	struct virtio_pci vp; /* first */
	struct virtio_control_conf conf;

	/* under the request queue's lock */
	struct vring_chain chain;
	struct ctl_request request;
	struct ctl_reply reply;
	uint8_t data[CTL_DATA_MAX];
	uint8_t reply_data[CTL_DATA_MAX];

	struct vring_chain event_chain; /* under the event queue's lock */
};

static struct virtio_control *control_of(struct virtio_pci *vp)
{
	return container_of(vp, struct virtio_control, vp);
}

/* ---- requests ---- */

static bool take_request(struct virtio_control *control, const struct vring *vring)
{
	const struct vring_chain *chain = &control->chain;
	uint32_t len;

	control->request = (struct ctl_request){0};
	if (vring_chain_read(vring, chain, 0, &control->request, sizeof(control->request)) <
	    sizeof(control->request))
		return false;
	len = control->request.data_len;
	if (len > CTL_DATA_MAX)
		return false;
	return vring_chain_read(vring, chain, sizeof(control->request), control->data, len) == len;
}

static void answer(struct virtio_control *control, const struct vring *vring)
{
	uint64_t room = control->chain.writable_bytes - sizeof(control->reply);
	size_t cap = MIN(room, CTL_DATA_MAX);
	bool is_whole = take_request(control, vring);

	control->reply = (struct ctl_reply){.tag = control->request.tag};
	if (!is_whole) {
		control->reply.status = HV_EPROTO;
		fmt(control->reply.message, sizeof(control->reply.message),
		    "request is shorter than it says");
		return;
	}
	control->conf.handle(control->conf.ctx, &control->request, control->data, &control->reply,
			     control->reply_data, cap);
	ASSERT(control->reply.data_len <= cap);
}

static void handle_chain(struct virtio_control *control, struct vring *vring)
{
	const struct vring_chain *chain = &control->chain;
	size_t written;

	if (chain->writable_bytes < sizeof(control->reply)) {
		vring_break(vring, "no room for a reply");
		return;
	}
	answer(control, vring);
	written = vring_chain_write(vring, chain, 0, &control->reply, sizeof(control->reply));
	written += vring_chain_write(vring, chain, written, control->reply_data,
				     control->reply.data_len);
	vring_put(vring, chain->head, (uint32_t)written);
}

void virtio_control_run(struct virtio_control *control)
{
	struct virtio_pci *vp = &control->vp;
	struct vring *vring = virtio_queue_take(vp, CTL_QUEUE_REQUESTS);

	for (uint16_t nr = vring_arm(vring); nr && vring_pop(vring, &control->chain); nr--) {
		handle_chain(control, vring);
		virtio_queue_show(vp, CTL_QUEUE_REQUESTS);
	}
	virtio_queue_give(vp, CTL_QUEUE_REQUESTS);
}

static void control_notify(struct virtio_pci *vp, uint32_t queue)
{
	struct virtio_control *control = control_of(vp);

	if (queue != CTL_QUEUE_REQUESTS)
		return;
	if (control->conf.kick)
		control->conf.kick(control->conf.ctx);
	else
		virtio_control_run(control);
}

/* ---- events ---- */

bool virtio_control_event(struct virtio_control *control, const struct ctl_event *event)
{
	bool is_told = false;
	struct vring *vring = virtio_queue_take(&control->vp, CTL_QUEUE_EVENTS);
	const struct vring_chain *chain = &control->event_chain;

	if (vring_pop(vring, &control->event_chain)) {
		if (chain->writable_bytes < sizeof(*event))
			vring_break(vring, "event buffer is too small");
		else
			vring_put(vring, chain->head,
				  (uint32_t)vring_chain_write(vring, chain, 0, event,
							      sizeof(*event)));
		is_told = !vring->broken_why;
	}
	virtio_queue_give(&control->vp, CTL_QUEUE_EVENTS);
	return is_told;
}

/* ---- life ---- */

static void control_destroy(struct virtio_pci *vp)
{
	kmem_free(control_of(vp));
}

static const struct virtio_ops control_ops = {
	.name = "virtio-control",
	.id = CTL_VIRTIO_ID,
	.class_code = 0x078000, /* communication controller */
	.nr_queues = QUEUES,
	.queue_max = VIRTIO_CONTROL_QUEUE_MAX,
	.quiet_queues = BIT(CTL_QUEUE_EVENTS),
	.notify = control_notify,
	.destroy = control_destroy,
};

enum hv_err virtio_control_create(struct vm *vm, struct pci_host *host,
				  const struct virtio_control_conf *conf,
				  struct virtio_control **out)
{
	struct virtio_control *control = kmem_alloc(sizeof(*control));
	enum hv_err err;

	ASSERT(conf->handle);
	if (!control)
		return HV_ENOMEM;
	control->conf = *conf;
	virtio_pci_init(&control->vp, vm, &control_ops);
	err = pci_host_add(host, &control->vp.fn);
	if (err != HV_OK) {
		kmem_free(control);
		return err;
	}
	*out = control;
	return HV_OK;
}
