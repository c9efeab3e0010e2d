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

/* Words divided by spaces. */
static void split_mitigations(const struct ctl_node_info *info, struct node_info *node)
{
	const char *at = info->mitigations, *end = at + strnlen(at, sizeof(info->mitigations)),
		   *space;

	while (at < end && node->nr_mitigations < ARRAY_SIZE(node->mitigations)) {
		space = memchr(at, ' ', (size_t)(end - at));
		if (!space)
			space = end;
		if (space > at)
			copy_text(node->mitigations[node->nr_mitigations++],
				  sizeof(node->mitigations[0]), at, (size_t)(space - at));
		at = space + 1;
	}
}

static void copy_nics(const struct ctl_node_info *info, struct node_info *node)
{
	uint32_t i;

	node->nr_nics = MIN(info->nr_nics, (uint32_t)ARRAY_SIZE(info->nics));
	for (i = 0; i < node->nr_nics; i++) {
		const uint8_t *mac = info->nics[i].mac;
		struct node_nic *nic = &node->nics[i];

		snprintf(nic->name, sizeof(nic->name), "net%u", (unsigned)i);
		COPY_TEXT(nic->driver, info->nics[i].driver);
		snprintf(nic->mac, sizeof(nic->mac), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
			 mac[1], mac[2], mac[3], mac[4], mac[5]);
		nic->link = info->nics[i].link_up;
		nic->speed_mbps = info->nics[i].speed_mbps;
	}
}

void report_node(const struct ctl_node_info *info, const char *hostname, struct node_info *node)
{
	memset(node, 0, sizeof(*node));
	COPY_TEXT(node->version, info->version);
	COPY_TEXT(node->cpu_model, info->cpu_model);
	COPY_TEXT(node->virt, info->virt);
	snprintf(node->hostname, sizeof(node->hostname), "%s", hostname);
	node->cpus = info->nr_cpus;
	node->memory_mib = info->mem_total / MIB;
	node->guest_memory_mib = (info->mem_total - MIN(info->mem_kernel, info->mem_total)) / MIB;
	node->free_memory_mib = info->mem_free / MIB;
	node->uptime_ms = info->uptime_ns / NSEC_PER_MSEC;
	split_mitigations(info, node);
	copy_nics(info, node);
}
