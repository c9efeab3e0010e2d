/* SPDX-License-Identifier: Apache-2.0 */
/* The node's report: firmware and CPU say who it is, counters how it is. */
#include "vmm/node_info.h"

#include "drivers/block.h"
#include "drivers/nic.h"
#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/cpu_words.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/mitigations.h"
#include "kernel/paging.h"
#include "kernel/smbios.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"
#include "vmm/control.h"
#include "vmm/virt.h"

static struct { /* fixed after node_info_init() */
	char cpu_model[64];
	char cpu_features[512];
	uint8_t machine_id[16];
	uint8_t agent_mac[6];
	bool has_agent_mac;
	char firmware[64], machine[96];
	const char *mitigations, *boot_protocol;
} identity;

static const char *const firmware_names[] = {
	[FIRMWARE_BIOS] = "BIOS", [FIRMWARE_UEFI] = "UEFI", [FIRMWARE_NONE] = "none"};

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

static struct cpu_word_regs read_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r = cpuid_if_present(leaf, subleaf);

	return (struct cpu_word_regs){r.eax, r.ebx, r.ecx, r.edx};
}

static const void *map_firmware(void *arg, uint64_t hpa, uint64_t len_bytes)
{
	(void)arg;
	return paging_map_firmware(hpa, len_bytes);
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

/* Words with one space between them, without those that firmware leaves empty. */
static void join(char *out, size_t cap, const char *first, const char *second, const char *third)
{
	const char *const words[] = {first, second, third};
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words) && len < cap; i++)
		if (words[i][0] != '\0')
			len += fmt(out + len, cap - len, "%s%s", len > 0 ? " " : "", words[i]);
}

static void read_smbios(void)
{
	struct smbios_info smbios;

	if (!smbios_read(boot_info.smbios_hpa, map_firmware, NULL, &smbios))
		log_info("node",
			 "firmware has no SMBIOS table: the machine is known by its network cards");
	join(identity.firmware, sizeof(identity.firmware), firmware_names[boot_info.firmware],
	     smbios.bios_vendor, smbios.bios_version);
	join(identity.machine, sizeof(identity.machine), smbios.manufacturer, smbios.product, "");
	log_info("node", "machine: %s; firmware: %s", identity.machine, identity.firmware);
	if (smbios.has_uuid)
		memcpy(identity.machine_id, smbios.uuid, sizeof(identity.machine_id));
	else
		make_machine_id(identity.machine_id);
}

/* Made once: the first card may be taken out, and the agent, started again, keeps its address. */
static void make_agent_mac(void)
{
	const struct nic *nic = nic_count() > 0 ? nic_at(0) : NULL;

	if (!nic)
		return;
	/* 02: given out locally, one station; b1: ours; then what is the card's own. */
	identity.agent_mac[0] = 0x02;
	identity.agent_mac[1] = 0xb1;
	put_be32(identity.agent_mac + 2, (uint32_t)hash(FNV_BASIS, nic->mac, sizeof(nic->mac)));
	identity.has_agent_mac = true;
}

void node_info_init(const char *boot_protocol)
{
	identity.boot_protocol = boot_protocol;
	identity.mitigations = mitigations_text();
	read_cpu_model(identity.cpu_model, sizeof(identity.cpu_model));
	cpu_words(read_cpuid, identity.cpu_features, sizeof(identity.cpu_features));
	read_smbios();
	make_agent_mac();
}

static uint64_t idle_ns(void)
{
	uint64_t ticks = 0;

	for (uint32_t i = 0; i < cpu_count(); i++)
		ticks += __atomic_load_n(&cpu_at(i)->idle_tsc, __ATOMIC_RELAXED);
	return time_ns_of_tsc(ticks);
}

/* Without those that were taken out. */
static uint32_t nr_nics(void)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < nic_count(); i++)
		nr += nic_at(i) != NULL;
	return nr;
}

static uint32_t nr_disks(void)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < block_count(); i++)
		nr += block_at(i) != NULL;
	return nr;
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
	out->nr_nics = nr_nics();
	out->nr_disks = nr_disks();
	out->watchdog_reset = watchdog_has_reset();
	fmt(out->cpu_features, sizeof(out->cpu_features), "%s", identity.cpu_features);
	fmt(out->firmware, sizeof(out->firmware), "%s", identity.firmware);
	fmt(out->machine, sizeof(out->machine), "%s", identity.machine);
}

void control_agent_mac(uint8_t mac[6])
{
	if (identity.has_agent_mac)
		memcpy(mac, identity.agent_mac, sizeof(identity.agent_mac));
}
