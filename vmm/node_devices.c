/* SPDX-License-Identifier: Apache-2.0 */
/* What is plugged into this node, as its drivers know it, in the control queue's words. */
#include "drivers/block.h"
#include "drivers/nic.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "net/port.h"
#include "net/uplink.h"
#include "storage/node_slots.h"
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
	out->is_uplink = nic == net_uplink();
	out->mtu = MIN(net_mtu(), nic->mtu_max);
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
	uint32_t nr = 0;

	for (uint32_t i = 0; i < nic_count() && nr < cap; i++) {
		const struct nic *nic = nic_at(i);

		if (nic)
			read_nic(nic, &out[nr++]);
	}
	return nr;
}

static uint32_t health_of(const struct block_dev *dev)
{
	if (dev->state == BLOCK_GONE)
		return CTL_DISK_GONE;
	if (!dev->health.is_known)
		return CTL_DISK_UNKNOWN;
	return dev->health.is_failing ? CTL_DISK_FAILING : CTL_DISK_GOOD;
}

static void read_disk(const struct block_dev *dev, struct ctl_disk_info *out)
{
	const struct block_counters *counters = &dev->counters;

	SET(out->driver, dev->ops->driver);
	SET(out->name, dev->name);
	SET(out->location, dev->location);
	SET(out->model, dev->model);
	SET(out->serial, dev->serial);
	out->size_bytes = dev->nr_sectors * dev->sector_bytes;
	out->sector_bytes = dev->sector_bytes;
	out->is_rotational = dev->is_rotational;
	out->is_boot_disk = dev == node_slots_disk();
	out->health = health_of(dev);
	out->temperature_c = dev->health.temperature_c;
	out->used_percent = dev->health.used_percent;
	out->power_on_hours = dev->health.power_on_hours;
	out->media_errors = dev->health.media_errors;
	out->read_ops = counters->ops[BLOCK_READ];
	out->write_ops = counters->ops[BLOCK_WRITE];
	out->read_bytes = counters->sectors[BLOCK_READ] * dev->sector_bytes;
	out->write_bytes = counters->sectors[BLOCK_WRITE] * dev->sector_bytes;
	out->errors = counters->errors;
	out->retries = counters->retries;
}

uint32_t node_disks_read(struct ctl_disk_info *out, uint32_t cap)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < block_count() && nr < cap; i++) {
		const struct block_dev *dev = block_at(i);

		if (dev)
			read_disk(dev, &out[nr++]);
	}
	return nr;
}
