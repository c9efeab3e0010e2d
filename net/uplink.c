/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from the NIC's interrupt handler into the switch, and from the switch onto the wire. */
#include "net/uplink.h"

#include "drivers/nic.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "net/port.h"

static bool deliver(struct net_port *port, const void *frame, size_t len_bytes,
		    const struct frame_offload *offload)
{
	struct nic *nic = port->owner;

	return nic->ops->send(nic, frame, len_bytes, offload);
}

static void received(struct nic *nic, const void *frame, size_t len_bytes,
		     const struct frame_offload *offload)
{
	net_send(nic->receiver, frame, len_bytes, offload);
}

static struct nic *choose(void)
{
	for (uint32_t i = 0; i < nic_count(); i++)
		if (nic_at(i)->is_link_up)
			return nic_at(i);
	return nic_count() > 0 ? nic_at(0) : NULL;
}

void net_uplink_init(void)
{
	static struct net_port port;
	struct nic *nic = choose();
	enum hv_err err;

	if (!nic)
		return;
	port = (struct net_port){
		.name = nic->location,
		.kind = NET_PORT_UPLINK,
		.owner = nic,
		.deliver = deliver,
		.slot = -1,
	};
	memcpy(port.mac, nic->mac, sizeof(port.mac));
	err = net_attach(&port);
	if (err != HV_OK) {
		log_err("net", "%s: cannot be the uplink: %s", nic->location, hv_strerror(err));
		return;
	}
	nic->received = received;
	nic->receiver = &port;
	err = nic->ops->start(nic, NIC_MTU);
	if (err != HV_OK) {
		log_err("net", "%s: cannot be started: %s", nic->location, hv_strerror(err));
		net_detach(&port);
		return;
	}
	log_info("net", "uplink is %s of %u network card%s", nic->location, nic_count(),
		 nic_count() == 1 ? "" : "s");
}
