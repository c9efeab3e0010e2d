/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile driver of all virtio devices at once: it starts them as it should, and then writes
 * registers, rings and buffers as it likes, while frames and events come in. Input: how each device
 * is started, then steps.
 */
#include <stdlib.h>

#include "kernel/lib/assert.h"
#include "tests/fuzz/input.h"
#include "tests/unit/support/fake_net.h"
#include "tests/unit/support/fake_vm.h"
#include "tests/unit/support/tcp_frame.h"
#include "tests/unit/support/vdriver.h"
#include "vmm/dev/virtio_control.h"
#include "vmm/dev/virtio_rng.h"

#define DEVICES	 3u
#define QUEUES	 2u
#define RINGS(n) (0x1000ull + 0x1000ull * (n))
#define SENDS	 (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6)
#define TAKES	 (VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static struct vm *vm;
static struct vdev *bus;
static struct virtio_net *net;
static struct virtio_control *control;
static struct vdriver drivers[DEVICES];
static struct vdriver_queue queues[DEVICES][QUEUES];

static void must(enum hv_err err)
{
	if (err != HV_OK)
		abort();
}

static void handle(void *ctx, const struct ctl_request *req, const void *data,
		   struct ctl_reply *reply, void *reply_data, size_t reply_cap)
{
	(void)ctx;
	reply->data_len = (uint32_t)MIN(req->data_len, reply_cap);
	memcpy(reply_data, data, reply->data_len);
}

static void create(void)
{
	struct virtio_control_conf control_conf = {.handle = handle};
	struct virtio_net_conf net_conf = {.kind = NET_PORT_GUEST, .net = &fake_net_ops};

	fake_net = (struct fake_net){.port = NULL};
	vm = fake_vm_create(GMEM_CHUNK, 0);
	must(pci_host_ops.create(vm, NULL, &bus));
	must(virtio_net_create(vm, pci_host_of(bus), &net_conf, &net));
	must(virtio_control_create(vm, pci_host_of(bus), &control_conf, &control));
	must(virtio_rng_create(vm, pci_host_of(bus)));
}

static void start(uint32_t device, struct input *in)
{
	struct vdriver *d = &drivers[device];
	uint8_t how = input_u8(in);
	uint64_t features = VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET;

	if (!vdriver_find(d, vm, bus, 1 + device))
		abort();
	features |= how & 1 ? VIRTIO_F_EVENT_IDX : 0;
	features |= how & 2 ? VIRTIO_F_INDIRECT_DESC : 0;
	features |= how & 4 && device == 0 ? VIRTIO_NET_F_MRG_RXBUF : 0;
	features |= how & 0x10 && device == 0 ? SENDS : 0;
	features |= how & 0x20 && device == 0 ? TAKES : 0;
	(void)vdriver_negotiate(d, features); /* it fails when a BAR was moved away */
	if (how & 8)
		vdriver_enable_msix(d);
	for (uint16_t i = 0; i < QUEUES; i++)
		vdriver_setup_queue(d, &queues[device][i], i, 8, RINGS(2 * device + i));
	if (!(how & 0x80))
		vdriver_ready(d);
}

static void add_chain(struct vdriver_queue *q, struct input *in)
{
	struct vdriver_buf bufs[4];
	uint16_t nr = 1 + (input_u8(in) & 3);

	for (uint16_t i = 0; i < nr; i++) {
		uint8_t how = input_u8(in);

		bufs[i].is_writable = how & 1;
		bufs[i].gpa = how & 2 ? input_gpa(in) : 0x8000 + 0x800ull * (how >> 4);
		bufs[i].len_bytes = how & 4 ? input_u16(in) : how;
	}
	if (input_u8(in) & 1)
		vdriver_add_indirect(q, 0x7000, bufs, nr);
	else
		vdriver_add(q, bufs, nr);
}

/* A register of the common configuration, whole, with a small value or any. */
static void set_register(struct vdriver *d, struct input *in)
{
#define FIELD(name)                                                                                \
	{offsetof(struct virtio_common, name), sizeof(((struct virtio_common *)0)->name)}
	static const struct {
		uint8_t offset, size;
	} fields[] = {
		FIELD(device_feature_select),
		FIELD(driver_feature_select),
		FIELD(driver_feature),
		FIELD(config_msix_vector),
		FIELD(device_status),
		FIELD(queue_select),
		FIELD(queue_size),
		FIELD(queue_msix_vector),
		FIELD(queue_enable),
		FIELD(queue_desc),
		FIELD(queue_driver),
		FIELD(queue_device),
		FIELD(queue_reset),
	};
#undef FIELD
	uint8_t how = input_u8(in);
	uint8_t at = (how & 0x0f) % ARRAY_SIZE(fields);
	uint8_t size = how & 0x10 ? MIN(fields[at].size, 4) : fields[at].size;
	uint64_t offset = fields[at].offset + (how & 0x20 ? fields[at].size - size : 0);

	vdriver_write(d, d->common_gpa + offset, size,
		      how & 0x40 ? input_bytes(in, size) : input_u8(in));
}

static void poke_register(struct vdriver *d, struct input *in)
{
	uint8_t how = input_u8(in);
	uint64_t gpa = d->common_gpa + input_u8(in) + (how & 8 ? 0x1000ull * (how >> 4 & 3) : 0);
	uint8_t size = (uint8_t)(1u << (how & 3));

	if (how & 4)
		vdriver_write(d, gpa, size, input_bytes(in, size));
	else
		(void)vdriver_read(d, gpa, size);
}

static void poke_memory(struct input *in)
{
	uint64_t gpa = input_u16(in);
	uint64_t val = input_u64(in);

	must(gmem_write(vm_memory(vm), gpa, &val, 1u << (val & 3)));
}

/* A segment, as it is or finished but for its checksum; whatever the driver said that it takes. */
static void tcp_comes_in(uint16_t how)
{
	static struct tcp_frame tcp;

	tcp_frame_make(&tcp, &(struct tcp_frame_conf){
				     .is_ipv6 = how & 1,
				     .tcp_options = how >> 1 & 7,
				     .payload_bytes = 1 + 2u * (how & 0xfff),
				     .gso_size = how & 0x1000 ? 1448 : 0,
			     });
	(void)net->port.deliver(&net->port, tcp.bytes, tcp.len_bytes, &tcp.offload);
}

static void come_in(struct input *in)
{
	static const uint8_t frame[NET_FRAME_MAX];
	struct ctl_event event = {.kind = CTL_EVENT_VM};
	uint16_t how = input_u16(in), len = how % (NET_FRAME_MAX + 1);

	if (how & 0x8000)
		tcp_comes_in(how);
	else if (len >= NET_FRAME_MIN)
		(void)net->port.deliver(&net->port, frame, len, NULL);
	else
		virtio_control_event(control, &event);
}

static void step(struct input *in)
{
	uint8_t what = input_u8(in);
	uint32_t device = (what >> 4 & 3) % DEVICES;
	struct vdriver_queue *q = &queues[device][what >> 6 & 1];

	switch (what & 7) {
	case 0:
		add_chain(q, in);
		break;
	case 1:
		set_register(&drivers[device], in);
		break;
	case 2:
		vdriver_kick(&drivers[device], q);
		break;
	case 3:
		poke_register(&drivers[device], in);
		break;
	case 4:
		poke_memory(in);
		break;
	case 5:
		come_in(in);
		break;
	case 6:
		vdriver_config_write(&drivers[device], input_u8(in), 1, input_u8(in));
		break;
	case 7:
		if (what & 8)
			start(device, in);
		else if (what & 0x40)
			bus->ops->reset(bus);
		else
			virtio_pci_notify(&net->vp, input_u8(in));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	struct input in = {data, len_bytes};

	create();
	for (uint32_t i = 0; i < DEVICES; i++)
		start(i, &in);
	while (in.left)
		step(&in);
	bus->ops->destroy(bus);
	fake_vm_destroy(vm);
	return 0;
}
