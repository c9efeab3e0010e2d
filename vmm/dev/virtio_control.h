/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transport half of the control queue (vmm/control_abi.h): takes a request out of the agent's
 * memory, once and whole, hands the copy to the command table, and puts the reply back.
 *
 * What a command does takes locks that come before vm->lock in the order, and a notification comes
 * in under the agent's vm->lock. So a notification only calls conf->kick(), and the run loop then
 * calls virtio_control_run() where it holds no lock. Where that does not matter, kick may be NULL:
 * requests are then handled within the notification.
 *
 * A request whose chain is too short for its parts is answered HV_EPROTO and not handed on; one
 * without even room for a reply breaks the queue.
 *
 * Create it while the agent's VM is created; the VM's struct pci_host destroys it. Pure.
 */
#ifndef VMM_DEV_VIRTIO_CONTROL_H
#define VMM_DEV_VIRTIO_CONTROL_H

#include "vmm/control_abi.h"
#include "vmm/dev/virtio_pci.h"

#define VIRTIO_CONTROL_QUEUE_MAX 64u

/*
 * One request, checked for shape only: req->data_len bytes lie at data. The handler fills *reply
 * (zero but for the tag, status HV_OK) and reply->data_len of the reply_cap bytes at reply_data. It
 * runs under the request queue's lock and may call virtio_control_event(); it must not reset the
 * device.
 */
typedef void virtio_control_fn(void *ctx, const struct ctl_request *req, const void *data,
			       struct ctl_reply *reply, void *reply_data, size_t reply_cap);

struct virtio_control_conf { /* borrowed by create; what it points at is kept */
	virtio_control_fn *handle;
	void (*kick)(void *ctx); /* have virtio_control_run() called soon; NULL: see above */
	void *ctx;
};

struct virtio_control;

/* virtio_control_create - *out is valid until host is destroyed. HV_ENOMEM: nothing is left */
MUST_CHECK enum hv_err virtio_control_create(struct vm *vm, struct pci_host *host,
					     const struct virtio_control_conf *conf,
					     struct virtio_control **out);

/* virtio_control_run - handle the requests that wait, if any. Any CPU, no lock held. */
void virtio_control_run(struct virtio_control *control);

/* virtio_control_event - tell the agent; false: it has no buffer, the event is dropped. Any CPU. */
bool virtio_control_event(struct virtio_control *control, const struct ctl_event *event);

#endif
