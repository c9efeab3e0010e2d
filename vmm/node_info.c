/* SPDX-License-Identifier: Apache-2.0 */
/* The node's report: firmware and CPU say who it is, counters how it is. */
#include "vmm/node_info.h"

#include "drivers/nic.h"
#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/memory.h"
#include "kernel/mitigations.h"
#include "kernel/paging.h"
#include "kernel/smbios.h"
#include "kernel/time.h"
#include "vmm/control.h"
#include "vmm/virt.h"

static struct { /* fixed after node_info_init() */
	char cpu_model[64];
	uint8_t machine_id[16];
	const char *mitigations, *boot_protocol;
} identity;

#define FNV_BASIS 0xcbf29ce484222325ull
#define FNV_PRIME 0x00000100000001b3ull

/* FNV-1a: an address or an identity out of fixed bytes; nobody gains by making two the same. */
static uint64_t hash(uint64_t seed, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		seed = (seed ^ at[i]) * FNV_PRIME;
	return seed;
}

/* [SDM] CPUID 80000002h to 80000004h: 48 characters, with spaces in front on some CPUs. */
static void read_cpu_model(char *out, size_t cap)
{
	char brand[49] = "";
	const char *from = brand;

	for (uint32_t i = 0; i < 3; i++) {
		struct cpuid_regs r = cpuid_if_present(0x80000002u + i, 0);

		memcpy(brand + 16 * i, &r, sizeof(r));
	}
	while (*from == ' ')
		from++;
	fmt(out, cap, "%s", from);
}

static bool read_smbios_uuid(uint8_t uuid[16])
{
	const uint8_t *area = paging_map_firmware(SMBIOS_AREA_HPA, SMBIOS_AREA_BYTES), *table;
	struct smbios_entry entry;

	if (!area || !smbios_find(area, SMBIOS_AREA_BYTES, &entry))
		return false;
	table = paging_map_firmware(entry.table_hpa, entry.table_bytes);
	return table && smbios_uuid(table, entry.table_bytes, uuid);
}

/* A made-up UUID (version 8 of RFC 9562) from the cards' addresses, which stay with the machine. */
static void make_machine_id(uint8_t id[16])
{
	uint64_t low = FNV_BASIS, high = ~FNV_BASIS;

	for (uint32_t i = 0; i < nic_count(); i++) {
		low = hash(low, nic_at(i)->mac, sizeof(nic_at(i)->mac));
		high = hash(high, nic_at(i)->mac, sizeof(nic_at(i)->mac));
	}
	put_le64(id, low);
	put_le64(id + 8, high);
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x80);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

void node_info_init(const char *boot_protocol)
{
	identity.boot_protocol = boot_protocol;
	identity.mitigations = mitigations_text();
	read_cpu_model(identity.cpu_model, sizeof(identity.cpu_model));
	if (!read_smbios_uuid(identity.machine_id))
		make_machine_id(identity.machine_id);
}

static void read_nics(struct ctl_node_info *out)
{
	out->nr_nics = MIN(nic_count(), (uint32_t)ARRAY_SIZE(out->nics));
	for (uint32_t i = 0; i < out->nr_nics; i++) {
		const struct nic *nic = nic_at(i);

		fmt(out->nics[i].driver, sizeof(out->nics[i].driver), "%s", nic->ops->driver);
		fmt(out->nics[i].location, sizeof(out->nics[i].location), "%s", nic->location);
		memcpy(out->nics[i].mac, nic->mac, sizeof(out->nics[i].mac));
		out->nics[i].link_up = nic->is_link_up;
		out->nics[i].speed_mbps = nic->speed_mbps;
		out->nics[i].rx_bytes = nic->counters.rx_bytes;
		out->nics[i].tx_bytes = nic->counters.tx_bytes;
		out->nics[i].rx_packets = nic->counters.rx_packets;
		out->nics[i].tx_packets = nic->counters.tx_packets;
	}
}

static uint64_t idle_ns(void)
{
	uint64_t ticks = 0;

	for (uint32_t i = 0; i < cpu_count(); i++)
		ticks += __atomic_load_n(&cpu_at(i)->idle_tsc, __ATOMIC_RELAXED);
	return time_ns_of_tsc(ticks);
}

void node_info_read(struct ctl_node_info *out)
{
	struct pages_stats pages;

	pages_stats(&pages);
	fmt(out->version, sizeof(out->version), "%s", BILLET_VERSION);
	fmt(out->cpu_model, sizeof(out->cpu_model), "%s", identity.cpu_model);
	fmt(out->virt, sizeof(out->virt), "%s", virt->name);
	fmt(out->virt_features, sizeof(out->virt_features), "%s", virt_caps.features);
	fmt(out->mitigations, sizeof(out->mitigations), "%s", identity.mitigations);
	fmt(out->boot_protocol, sizeof(out->boot_protocol), "%s", identity.boot_protocol);
	memcpy(out->machine_id, identity.machine_id, sizeof(out->machine_id));
	out->nr_cpus = cpu_count();
	out->tsc_khz = (uint32_t)tsc_khz();
	out->mem_total = pages.total * PAGE_SIZE;
	out->mem_free = pages.free * PAGE_SIZE;
	out->mem_kernel = kmem_in_use();
	out->uptime_ns = time_now_ns();
	out->idle_ns = idle_ns();
	read_nics(out);
}

void control_agent_mac(uint8_t mac[6])
{
	if (nic_count() == 0)
		return;
	/* 02: given out locally, one station; b1: ours; then what is the card's own. */
	mac[0] = 0x02;
	mac[1] = 0xb1;
	put_be32(mac + 2, (uint32_t)hash(FNV_BASIS, nic_at(0)->mac, sizeof(nic_at(0)->mac)));
}
