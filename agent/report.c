/* SPDX-License-Identifier: Apache-2.0 */
/* Texts from the kernel are cut to the protocol's sizes, never trusted to end. */
#include "agent/report.h"

#include <stdio.h>
#include <string.h>

void hex_to_text(const uint8_t *bytes, size_t len, char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * len] = 0;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool byte_from_text(const char *text, uint8_t *byte)
{
	int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);

	if (low < 0)
		return false;
	*byte = (uint8_t)(high << 4 | low);
	return true;
}

bool hex_from_text(const char *text, uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!byte_from_text(text + 2 * i, &bytes[i]))
			return false;
	return text[2 * len] == 0;
}

static bool is_dash_before(unsigned byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_to_text(const uint8_t uuid[16], char text[UUID_TEXT_MAX])
{
	unsigned i;

	for (i = 0; i < 16; i++) {
		if (is_dash_before(i))
			*text++ = '-';
		hex_to_text(&uuid[i], 1, text);
		text += 2;
	}
}

bool uuid_from_text(const char *text, uint8_t uuid[16])
{
	unsigned i;

	for (i = 0; i < 16; i++) {
		if (is_dash_before(i) && *text++ != '-')
			return false;
		if (!byte_from_text(text, &uuid[i]))
			return false;
		text += 2;
	}
	return *text == 0;
}

bool mac_from_text(const char *text, uint8_t mac[6])
{
	unsigned i;

	for (i = 0; i < 6; i++) {
		if (i > 0 && *text++ != ':')
			return false;
		if (!byte_from_text(text, &mac[i]))
			return false;
		text += 2;
	}
	return *text == 0;
}

static void copy_text(char *to, size_t cap, const char *from, size_t from_cap)
{
	size_t len = strnlen(from, MIN(from_cap, cap - 1));

	memcpy(to, from, len);
	memset(to + len, 0, cap - len);
}
#define COPY_TEXT(to, from) copy_text(to, sizeof(to), from, sizeof(from))

/* Words divided by spaces, into rows of word_cap bytes; returns how many. */
static uint32_t split_words(const char *text, size_t text_cap, char *words, size_t word_cap,
			    uint32_t cap)
{
	const char *at = text, *end = text + strnlen(text, text_cap), *space;
	uint32_t nr = 0;

	while (at < end && nr < cap) {
		space = memchr(at, ' ', (size_t)(end - at));
		if (!space)
			space = end;
		if (space > at)
			copy_text(words + word_cap * nr++, word_cap, at, (size_t)(space - at));
		at = space + 1;
	}
	return nr;
}
#define SPLIT_WORDS(text, words)                                                                   \
	split_words(text, sizeof(text), (words)[0], sizeof((words)[0]), ARRAY_SIZE(words))

static void copy_nic(const struct ctl_nic_info *from, struct node_nic *nic)
{
	const uint8_t *mac = from->mac;

	COPY_TEXT(nic->driver, from->driver);
	COPY_TEXT(nic->location, from->location);
	COPY_TEXT(nic->offloads, from->offloads);
	snprintf(nic->mac, sizeof(nic->mac), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
		 mac[2], mac[3], mac[4], mac[5]);
	nic->link = from->link_up;
	nic->uplink = from->is_uplink;
	nic->speed_mbps = from->speed_mbps;
	nic->mtu = from->mtu;
	nic->queues = from->nr_queues;
	nic->rx_bytes = from->rx_bytes;
	nic->tx_bytes = from->tx_bytes;
	nic->rx_dropped = from->rx_dropped;
	nic->tx_dropped = from->tx_dropped;
}

void report_nics(const struct ctl_nic_info *list, uint32_t nr, struct node_info *node)
{
	node->nr_nics = MIN(nr, (uint32_t)ARRAY_SIZE(node->nics));
	for (uint32_t i = 0; i < node->nr_nics; i++) {
		copy_nic(&list[i], &node->nics[i]);
		snprintf(node->nics[i].name, sizeof(node->nics[i].name), "net%u", (unsigned)i);
	}
}

static void copy_disk(const struct ctl_disk_info *from, struct node_disk *disk)
{
	COPY_TEXT(disk->name, from->name);
	COPY_TEXT(disk->driver, from->driver);
	COPY_TEXT(disk->location, from->location);
	COPY_TEXT(disk->model, from->model);
	COPY_TEXT(disk->serial, from->serial);
	disk->size = from->size_bytes;
	disk->sector_bytes = from->sector_bytes;
	disk->health =
		from->health < DISK_HEALTHS ? (enum disk_health)from->health : DISK_HEALTH_UNKNOWN;
	disk->boot = from->is_boot_disk;
	disk->rotational = from->is_rotational;
	disk->temperature_c = from->temperature_c > 0 ? (uint32_t)from->temperature_c : 0;
	disk->used_percent = MIN(from->used_percent, 255u);
	disk->power_on_hours = from->power_on_hours;
	disk->media_errors = from->media_errors;
	disk->errors = from->errors;
}

void report_disks(const struct ctl_disk_info *list, uint32_t nr, struct node_info *node)
{
	static_assert((int)CTL_DISK_GONE == (int)DISK_HEALTH_GONE, "one order in both");

	node->nr_disks = MIN(nr, (uint32_t)ARRAY_SIZE(node->disks));
	for (uint32_t i = 0; i < node->nr_disks; i++)
		copy_disk(&list[i], &node->disks[i]);
}

void report_node(const struct ctl_node_info *info, const char *hostname, struct node_info *node)
{
	memset(node, 0, sizeof(*node));
	COPY_TEXT(node->version, info->version);
	COPY_TEXT(node->cpu_model, info->cpu_model);
	COPY_TEXT(node->virt, info->virt);
	snprintf(node->hostname, sizeof(node->hostname), "%s", hostname);
	node->cpus = info->nr_cpus;
	node->tsc_khz = info->tsc_khz;
	node->memory_mib = info->mem_total / MIB;
	node->guest_memory_mib = (info->mem_total - MIN(info->mem_kernel, info->mem_total)) / MIB;
	node->free_memory_mib = info->mem_free / MIB;
	node->uptime_ms = info->uptime_ns / NSEC_PER_MSEC;
	node->watchdog_reset = info->watchdog_reset != 0;
	COPY_TEXT(node->firmware, info->firmware);
	COPY_TEXT(node->machine, info->machine);
	node->nr_mitigations = SPLIT_WORDS(info->mitigations, node->mitigations);
	node->nr_cpu_features = SPLIT_WORDS(info->cpu_features, node->cpu_features);
	node->nr_virt_features = SPLIT_WORDS(info->virt_features, node->virt_features);
}
