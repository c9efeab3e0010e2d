/* SPDX-License-Identifier: Apache-2.0 */
/* What is plugged into this node, as its drivers know it, in the control queue's words. */
#include "drivers/block.h"
#include "drivers/nic.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "vmm/node_info.h"

#define SET(field, text) fmt(field, sizeof(field), "%s", text)

static void write_offloads(uint32_t features, char *out, size_t cap)
{
	static const struct {
		uint32_t feature;
		const char *word;
	} rows[] = {
		{NIC_TX_CSUM, "tx-csum"},
		{NIC_TX_TSO4, "tso4"},
		{NIC_TX_TSO6, "tso6"},
		{NIC_RX_CSUM, "rx-csum"},
	};
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (features & rows[i].feature)
			len += fmt(out + len, cap - len, "%s%s", len > 0 ? " " : "", rows[i].word);
}

static void read_nic(const struct nic *nic, struct ctl_nic_info *out)
{
	SET(out->driver, nic->ops->driver);
	SET(out->location, nic->location);
	memcpy(out->mac, nic->mac, sizeof(out->mac));
	out->link_up = nic->is_link_up;
	out->is_gone = nic->is_gone;
	out->speed_mbps = nic->speed_mbps;
	out->nr_queues = nic->nr_rx_queues;
	write_offloads(nic->features, out->offloads, sizeof(out->offloads));
	out->rx_bytes = nic->counters.rx_bytes;
	out->tx_bytes = nic->counters.tx_bytes;
	out->rx_packets = nic->counters.rx_packets;
	out->tx_packets = nic->counters.tx_packets;
	out->rx_dropped = nic->counters.rx_dropped;
	out->tx_dropped = nic->counters.tx_dropped;
}

uint32_t node_nics_read(struct ctl_nic_info *out, uint32_t cap)
{
	uint32_t nr = MIN(nic_count(), cap);

	for (uint32_t i = 0; i < nr; i++)
		read_nic(nic_at(i), &out[i]);
	return nr;
}

uint32_t node_disks_read(struct ctl_disk_info *out, uint32_t cap)
{
	(void)out;
	(void)cap;
	return 0;
}
