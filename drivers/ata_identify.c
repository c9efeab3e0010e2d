/* SPDX-License-Identifier: Apache-2.0 */
/* Words of IDENTIFY data, by their numbers. A word that its disk does not have is 0 or all ones. */
#include "drivers/ata_identify.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

/* [ATA] "IDENTIFY DEVICE data" */
#define WORD_GENERAL	  0u
#define GENERAL_NOT_ATA	  0x8000u
#define GENERAL_REMOVABLE 0x0080u
#define WORD_SERIAL	  10u
#define WORD_FIRMWARE	  23u
#define WORD_MODEL	  27u
#define WORD_CAPABILITIES 49u
#define CAPABILITY_DMA	  0x0100u
#define CAPABILITY_LBA	  0x0200u
#define WORD_SECTORS_28	  60u
#define WORD_QUEUE_DEPTH  75u
#define QUEUE_DEPTH_MASK  0x001fu
#define WORD_SATA	  76u
#define SATA_NCQ	  0x0100u
#define WORD_SUPPORTED_82 82u
#define SUPPORTED_SMART	  0x0001u
#define SUPPORTED_CACHE	  0x0020u
#define WORD_SUPPORTED_83 83u
#define SUPPORTED_LBA48	  0x0400u
#define SUPPORTED_FLUSH	  0x1000u
#define WORD_ENABLED_85	  85u
#define WORD_SECTORS_48	  100u
#define WORD_SECTOR_SIZE  106u
#define SECTOR_SIZE_LONG  0x1000u /* words 117 and 118 hold it */
#define WORD_SECTOR_WORDS 117u
#define WORD_DSM	  169u
#define DSM_TRIM	  0x0001u
#define WORD_ROTATION	  217u
#define ROTATION_NONE	  1u
#define WORD_INTEGRITY	  255u
#define INTEGRITY_SIGNED  0xa5u
#define WORD_VALID_MASK	  0xc000u /* of words 83, 84, 87, 106: one means the rest is valid */
#define WORD_VALID	  0x4000u

#define SECTORS_28_MAX 0x0fffffffull
#define SECTORS_48_MAX (1ull << 48)

/* [ATA] "SMART READ DATA"; attributes as all vendors lay them out */
#define SMART_ATTRIBUTES      30u
#define SMART_FIRST	      2u
#define SMART_ATTRIBUTE_BYTES 12u
#define SMART_RAW	      5u
#define SMART_HOURS	      9u
#define SMART_AIRFLOW_TEMP    190u
#define SMART_TEMPERATURE     194u
#define TEMPERATURE_MAX_C     125u
#define HOURS_MAX	      (100u * 366u * 24u)

static uint16_t word(const uint8_t *data, uint32_t index)
{
	return get_le16(data + 2 * (size_t)index);
}

/* A word of features, 0 when it is not valid. */
static uint16_t valid_word(const uint8_t *data, uint32_t index)
{
	uint16_t val = word(data, index);

	return (val & WORD_VALID_MASK) == WORD_VALID ? val : 0;
}

static bool sum_is_zero(const uint8_t *data)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < ATA_DATA_BYTES; i++)
		sum = (uint8_t)(sum + data[i]);
	return sum == 0;
}

/* Text has the first character of each pair in a word's upper byte, and blanks around it. */
static void copy_text(const uint8_t *data, uint32_t index, char *dst, size_t len)
{
	const uint8_t *from = data + 2 * (size_t)index;
	size_t nr = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = from[i ^ 1];

		if (nr > 0 || (c > ' ' && c < 0x7f))
			dst[nr++] = c >= ' ' && c < 0x7f ? (char)c : ' ';
	}
	while (nr > 0 && dst[nr - 1] == ' ')
		nr--;
	dst[nr] = 0;
}

static enum hv_err read_size(const uint8_t *data, struct ata_identity *id)
{
	uint32_t words = 256;

	if (valid_word(data, WORD_SECTOR_SIZE) & SECTOR_SIZE_LONG)
		words = get_le32(data + 2 * (size_t)WORD_SECTOR_WORDS);
	if (words != 256 && words != 2048)
		return HV_ENOTSUP;
	id->sector_bytes = words * 2;

	id->nr_sectors = get_le32(data + 2 * (size_t)WORD_SECTORS_28);
	if (id->nr_sectors > SECTORS_28_MAX && !id->has_lba48)
		return HV_EPROTO;
	if (id->has_lba48)
		id->nr_sectors = get_le64(data + 2 * (size_t)WORD_SECTORS_48);
	return id->nr_sectors > 0 && id->nr_sectors <= SECTORS_48_MAX ? HV_OK : HV_EPROTO;
}

static void read_features(const uint8_t *data, struct ata_identity *id)
{
	uint16_t sata = word(data, WORD_SATA), supported = word(data, WORD_SUPPORTED_82);
	uint16_t enabled = word(data, WORD_ENABLED_85);
	bool is_listed = valid_word(data, WORD_SUPPORTED_83) != 0;

	id->has_lba48 = valid_word(data, WORD_SUPPORTED_83) & SUPPORTED_LBA48;
	id->has_flush = valid_word(data, WORD_SUPPORTED_83) & SUPPORTED_FLUSH;
	id->has_smart = is_listed && (supported & enabled & SUPPORTED_SMART);
	id->has_volatile_cache =
		id->has_flush && (!(supported & SUPPORTED_CACHE) || (enabled & SUPPORTED_CACHE));
	if (id->has_lba48 && sata != 0xffff && (sata & SATA_NCQ))
		id->queue_depth = (word(data, WORD_QUEUE_DEPTH) & QUEUE_DEPTH_MASK) + 1u;
	id->has_trim = id->has_lba48 && word(data, WORD_DSM) != 0xffff &&
		       (word(data, WORD_DSM) & DSM_TRIM);
	id->is_rotational = word(data, WORD_ROTATION) != ROTATION_NONE;
	id->is_removable = word(data, WORD_GENERAL) & GENERAL_REMOVABLE;
}

enum hv_err ata_identify(const uint8_t *data, struct ata_identity *out)
{
	struct ata_identity id = {0};
	uint16_t capabilities = word(data, WORD_CAPABILITIES);
	enum hv_err err;

	if ((word(data, WORD_INTEGRITY) & 0xff) == INTEGRITY_SIGNED && !sum_is_zero(data))
		return HV_EPROTO;
	if ((word(data, WORD_GENERAL) & GENERAL_NOT_ATA) || !(capabilities & CAPABILITY_LBA) ||
	    !(capabilities & CAPABILITY_DMA))
		return HV_ENOTSUP;
	read_features(data, &id);
	err = read_size(data, &id);
	if (err != HV_OK)
		return err;
	copy_text(data, WORD_SERIAL, id.serial, sizeof(id.serial) - 1);
	copy_text(data, WORD_FIRMWARE, id.firmware, sizeof(id.firmware) - 1);
	copy_text(data, WORD_MODEL, id.model, sizeof(id.model) - 1);
	*out = id;
	return HV_OK;
}

bool ata_is_same(const struct ata_identity *a, const struct ata_identity *b)
{
	return a->nr_sectors == b->nr_sectors && a->sector_bytes == b->sector_bytes &&
	       !strcmp(a->serial, b->serial) && !strcmp(a->model, b->model);
}

void ata_describe(const struct ata_identity *id, struct block_dev *dev)
{
	memcpy(dev->model, id->model, sizeof(id->model));
	memcpy(dev->serial, id->serial, sizeof(id->serial));
	memcpy(dev->firmware, id->firmware, sizeof(id->firmware));
	dev->sector_bytes = id->sector_bytes;
	dev->nr_sectors = id->nr_sectors;
	dev->has_volatile_cache = id->has_volatile_cache;
	dev->is_rotational = id->is_rotational;
	dev->is_removable = id->is_removable;
}

static void read_attribute(const uint8_t *at, struct block_health *health)
{
	uint32_t raw = get_le32(at + SMART_RAW);

	switch (at[0]) {
	case SMART_HOURS:
		if (raw <= HOURS_MAX)
			health->power_on_hours = raw;
		break;
	case SMART_TEMPERATURE:
	case SMART_AIRFLOW_TEMP: /* in the lowest byte; above it may be what it has been */
		if ((raw & 0xff) > 0 && (raw & 0xff) <= TEMPERATURE_MAX_C &&
		    (at[0] == SMART_TEMPERATURE || health->temperature_c == 0))
			health->temperature_c = (int16_t)(raw & 0xff);
		break;
	default:
		break;
	}
}

enum hv_err ata_smart_data(const uint8_t *data, struct block_health *health)
{
	if (!sum_is_zero(data))
		return HV_EPROTO;
	health->temperature_c = 0;
	for (uint32_t i = 0; i < SMART_ATTRIBUTES; i++)
		read_attribute(data + SMART_FIRST + (size_t)i * SMART_ATTRIBUTE_BYTES, health);
	return HV_OK;
}
