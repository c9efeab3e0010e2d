/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMBIOS 3 tables for the guest: who made this machine and which one it is, so that cloud-init and
 * inventories know where they are. Each structure is a fixed part and then its strings, each ended
 * by a zero, the last by two.
 */
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "vmm/layout.h"
#include "vmm/tables.h"

#define SMBIOS_MAX 1024u
#define STRING_MAX 64u

/* [SMBIOS] "Structure Definitions" */
#define TYPE_BIOS    0u
#define TYPE_SYSTEM  1u
#define TYPE_CHASSIS 3u
#define TYPE_END     127u

#define BIOS_LEN    0x18u
#define SYSTEM_LEN  0x1bu
#define CHASSIS_LEN 0x16u

#define ENTRY_LEN 24u

struct smbios {
	uint8_t bytes[SMBIOS_MAX];
	uint32_t len;
	uint16_t next_handle;
	uint8_t *current; /* the structure that strings are added to */
	uint8_t nr_strings;
};

static uint8_t *begin(struct smbios *s, uint8_t type, uint8_t len)
{
	s->current = s->bytes + s->len;
	s->current[0] = type;
	s->current[1] = len;
	put_le16(s->current + 2, s->next_handle++);
	s->len += len;
	s->nr_strings = 0;
	return s->current;
}

/* The string's number goes to the field at offset; long ones are cut. */
static void add_string(struct smbios *s, uint8_t offset, const char *text)
{
	uint32_t len = (uint32_t)strnlen(text, STRING_MAX);

	if (len == 0) /* number 0: there is none */
		return;
	memcpy(s->bytes + s->len, text, len);
	s->len += len + 1;
	s->current[offset] = ++s->nr_strings;
}

static void end(struct smbios *s)
{
	s->len += s->nr_strings == 0 ? 2 : 1;
}

static void add_bios(struct smbios *s)
{
	uint8_t *at = begin(s, TYPE_BIOS, BIOS_LEN);

	put_le16(at + 6, (uint16_t)(LAYOUT_BIOS >> 4)); /* segment */
	at[9] = 1;					/* (64 KiB) - 1 */
	put_le64(at + 0x0a, BIT(3));			/* no characteristics are told */
	at[0x13] = 0x10;				/* but that it is a virtual machine */
	at[0x16] = at[0x17] = 0xff;			/* no embedded controller */
	add_string(s, 4, "Billet");
	add_string(s, 5, "1");
	add_string(s, 8, "01/01/2026");
	end(s);
}

/* [SMBIOS] "System — UUID": the first three fields are little-endian. */
static void put_uuid(uint8_t *at, const uint8_t uuid[16])
{
	put_le32(at, get_be32(uuid));
	put_le16(at + 4, get_be16(uuid + 4));
	put_le16(at + 6, get_be16(uuid + 6));
	memcpy(at + 8, uuid + 8, 8);
}

static void add_system(struct smbios *s, const struct tables_conf *conf)
{
	uint8_t *at = begin(s, TYPE_SYSTEM, SYSTEM_LEN);

	put_uuid(at + 8, conf->uuid);
	at[0x18] = 6; /* woken by the power switch */
	add_string(s, 4, "Billet");
	add_string(s, 5, "Billet VM");
	add_string(s, 6, "1");
	add_string(s, 7, conf->serial);
	end(s);
}

static void add_chassis(struct smbios *s, const struct tables_conf *conf)
{
	uint8_t *at = begin(s, TYPE_CHASSIS, CHASSIS_LEN);

	at[5] = 1;		       /* type: other */
	at[9] = at[0xa] = at[0xb] = 3; /* states: safe */
	at[0xc] = 2;		       /* security: unknown */
	add_string(s, 4, "Billet");
	add_string(s, 7, conf->serial);
	end(s);
}

/* [SMBIOS] "SMBIOS 3.0 (64-bit) Entry Point" */
static enum hv_err put_entry_point(const struct gmem *mem, uint64_t gpa, uint32_t len)
{
	uint8_t entry[ENTRY_LEN] = {'_', 'S', 'M', '3', '_', 0, ENTRY_LEN, 3, 0, 0, 1};

	put_le32(entry + 12, len);
	put_le64(entry + 16, gpa);
	entry[5] = tables_checksum(entry, sizeof(entry));
	return gmem_write(mem, LAYOUT_SMBIOS, entry, sizeof(entry));
}

enum hv_err tables_put_smbios(const struct gmem *mem, const struct tables_conf *conf)
{
	const uint64_t gpa = LAYOUT_SMBIOS + ALIGN_UP(ENTRY_LEN, 16);
	struct smbios s;

	memset(&s, 0, sizeof(s));
	add_bios(&s);
	add_system(&s, conf);
	add_chassis(&s, conf);
	(void)begin(&s, TYPE_END, 4);
	end(&s);
	if (gmem_write(mem, gpa, s.bytes, s.len) != HV_OK ||
	    put_entry_point(mem, gpa, s.len) != HV_OK)
		return HV_ENOMEM;
	return HV_OK;
}
