/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests are copied into one static buffer each way; the kernel answers within the notification's
 * exit, and the loop below is only there because nobody promised that. Events have sixteen buffers.
 */
#include "agent/control.h"

#include <string.h>

#include "agent/port/cpu.h"
#include "agent/port/port.h"
#include "agent/port/virtio_pci.h"
#include "kernel/lib/assert.h"

#define NR_EVENTS 16u
#define ANSWER_MS 400u /* below CTL_WATCHDOG_MS, so that the log gets to know */

static struct virtio_dev dev;
static struct virtio_queue requests, events;
static struct vq_rings request_rings, event_rings;

static struct ctl_request request;
static struct ctl_reply reply;
static struct ctl_event event_bufs[NR_EVENTS];
static uint64_t last_call_ns;

static void offer_event(struct ctl_event *event)
{
	struct vq_part part = {event, sizeof(*event)};

	if (vq_add(&events.vq, &part, 0, 1, event) != HV_OK)
		agent_fail("control: event queue broken", __FILE__, __LINE__);
}

void control_open(void)
{
	unsigned i;

	if (virtio_open(&dev, CTL_VIRTIO_ID, 0) != HV_OK ||
	    virtio_queue(&dev, CTL_QUEUE_REQUESTS, &request_rings, &requests) != HV_OK ||
	    virtio_queue(&dev, CTL_QUEUE_EVENTS, &event_rings, &events) != HV_OK)
		agent_fail("no control device: this guest only runs under Billet", __FILE__,
			   __LINE__);
	virtio_start(&dev);
	for (i = 0; i < MIN(NR_EVENTS, events.vq.size); i++)
		offer_event(&event_bufs[i]);
	virtio_notify(&events);
}

static uint32_t exchange(struct control_io *io)
{
	struct vq_part parts[4] = {{&request, sizeof(request)}};
	unsigned nr_out = 1, nr_in = 1;
	uint64_t give_up = clock_ns() + ANSWER_MS * NSEC_PER_MSEC;
	uint32_t written;

	if (io->in_len > 0)
		parts[nr_out++] = (struct vq_part){(void *)(uintptr_t)io->in, (uint32_t)io->in_len};
	parts[nr_out] = (struct vq_part){&reply, sizeof(reply)};
	if (io->out_cap > 0)
		parts[nr_out + nr_in++] = (struct vq_part){io->out, (uint32_t)io->out_cap};
	if (vq_add(&requests.vq, parts, nr_out, nr_in, &request) != HV_OK)
		agent_fail("control: request queue broken", __FILE__, __LINE__);
	virtio_notify(&requests);
	while (!vq_get(&requests.vq, &written)) {
		if (requests.vq.is_broken || clock_ns() > give_up)
			agent_fail("control: no answer", __FILE__, __LINE__);
		cpu_pause();
	}
	return written;
}

enum hv_err control_call(struct control_io *io)
{
	uint32_t written;

	ASSERT(io->in_len <= CTL_DATA_MAX && io->out_cap <= CTL_DATA_MAX);
	last_call_ns = clock_ns();
	request = (struct ctl_request){.version = CTL_ABI_VERSION,
				       .command = io->command,
				       .tag = request.tag + 1,
				       .arg0 = io->arg0,
				       .arg1 = io->arg1,
				       .data_len = (uint32_t)io->in_len};
	memset(&reply, 0, sizeof(reply));
	written = exchange(io);
	if (written < sizeof(reply) || reply.tag != request.tag || reply.status >= HV_ERRS ||
	    reply.data_len > written - sizeof(reply))
		agent_fail("control: answer makes no sense", __FILE__, __LINE__);
	io->out_len = reply.data_len;
	io->value0 = reply.value0;
	io->value1 = reply.value1;
	memcpy(io->message, reply.message, sizeof(io->message));
	io->message[sizeof(io->message) - 1] = 0;
	return (enum hv_err)reply.status;
}

bool control_next_event(struct ctl_event *event)
{
	struct ctl_event *buf;
	uint32_t written;

	buf = vq_get(&events.vq, &written);
	if (!buf)
		return false;
	*event = *buf;
	offer_event(buf);
	virtio_notify(&events);
	return written >= sizeof(*event);
}

uint64_t control_last_call_ns(void)
{
	return last_call_ns;
}
