/* SPDX-License-Identifier: Apache-2.0 */
/* Identify data and the health log, by offsets in bytes. */
#include "drivers/nvme_identify.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

/* [NVMe] "Identify Controller Data Structure" */
#define ID_SN		4u
#define ID_SN_BYTES	20u
#define ID_MN		24u
#define ID_MN_BYTES	40u
#define ID_FR		64u
#define ID_FR_BYTES	8u
#define ID_MDTS		77u
#define ID_SQES		512u
#define ID_CQES		513u
#define ID_NN		516u
#define ID_ONCS		520u
#define ID_ONCS_DATASET 0x0004u
#define ID_VWC		525u
#define ID_VWC_PRESENT	0x01u
#define ID_ES_LEAST	0x0fu
#define MDTS_MOST	16u /* 256 MiB: more than anybody asks for */

/* [NVMe] "Identify Namespace Data Structure" */
#define NS_NSZE	      0u
#define NS_NLBAF      25u /* less one */
#define NS_FLBAS      26u
#define NS_FLBAS_LOW  0x0fu
#define NS_FLBAS_HIGH 0x60u
#define NS_NSATTR     99u
#define NS_NSATTR_WP  0x01u
#define NS_LBAF	      128u
#define NS_LBAF_MOST  64u
#define LBAF_MS	      0x0000ffffu
#define LBAF_LBADS    0x00ff0000u

/* [NVMe] "SMART / Health Information" */
#define HEALTH_WARNING	   0u
#define HEALTH_SPARE_LOW   0x01u
#define HEALTH_DEGRADED	   0x04u
#define HEALTH_READ_ONLY   0x08u
#define HEALTH_BACKUP	   0x10u
#define HEALTH_FAILING	   (HEALTH_SPARE_LOW | HEALTH_DEGRADED | HEALTH_READ_ONLY | HEALTH_BACKUP)
#define HEALTH_TEMPERATURE 1u /* kelvins */
#define HEALTH_SPARE	   3u
#define HEALTH_USED	   5u
#define HEALTH_HOURS	   128u
#define HEALTH_UNSAFE	   144u
#define HEALTH_MEDIA	   160u
#define KELVIN_OF_0_C	   273

/* ASCII, padded with spaces at either end; what cannot be printed becomes a question mark. */
static void copy_text(char *dst, size_t cap, const uint8_t *src, size_t len)
{
	while (len > 0 && (src[len - 1] == ' ' || src[len - 1] == 0))
		len--;
	while (len > 0 && *src == ' ') {
		src++;
		len--;
	}
	len = MIN(len, cap - 1);
	for (size_t i = 0; i < len; i++)
		dst[i] = src[i] >= ' ' && src[i] <= '~' ? (char)src[i] : '?';
	dst[len] = 0;
}

enum hv_err nvme_identify_controller(const void *data, struct nvme_controller_info *out)
{
	const uint8_t *at = data;
	uint8_t mdts = at[ID_MDTS];

	*out = (struct nvme_controller_info){
		.max_bytes = mdts == 0 || mdts > MDTS_MOST ? UINT32_MAX : 4096u << mdts,
		.nr_namespaces = get_le32(at + ID_NN),
		.has_volatile_cache = at[ID_VWC] & ID_VWC_PRESENT,
		.can_discard = get_le16(at + ID_ONCS) & ID_ONCS_DATASET,
	};
	copy_text(out->serial, sizeof(out->serial), at + ID_SN, ID_SN_BYTES);
	copy_text(out->model, sizeof(out->model), at + ID_MN, ID_MN_BYTES);
	copy_text(out->firmware, sizeof(out->firmware), at + ID_FR, ID_FR_BYTES);
	/* The least size that it takes is in the low half: 2^6 and 2^4 bytes, says [NVMe]. */
	if ((at[ID_SQES] & ID_ES_LEAST) != 6 || (at[ID_CQES] & ID_ES_LEAST) != 4)
		return HV_ENOTSUP;
	return HV_OK;
}

enum hv_err nvme_identify_namespace(const void *data, struct nvme_namespace_info *out)
{
	const uint8_t *at = data;
	uint32_t nr_formats = at[NS_NLBAF] + 1u, index = at[NS_FLBAS] & NS_FLBAS_LOW, format, shift;

	*out = (struct nvme_namespace_info){.nr_sectors = get_le64(at + NS_NSZE)};
	if (out->nr_sectors == 0)
		return HV_ENOENT;
	if (nr_formats > 16)
		index |= (uint32_t)FIELD_GET(NS_FLBAS_HIGH, at[NS_FLBAS]) << 4;
	if (index >= nr_formats || index >= NS_LBAF_MOST)
		return HV_EPROTO;
	format = get_le32(at + NS_LBAF + 4 * index);
	shift = (uint32_t)FIELD_GET(LBAF_LBADS, format);
	out->sector_bytes = shift < 32 ? 1u << shift : 0;
	out->metadata_bytes = (uint32_t)FIELD_GET(LBAF_MS, format);
	out->is_read_only = at[NS_NSATTR] & NS_NSATTR_WP;
	if ((shift != 9 && shift != 12) || out->metadata_bytes != 0)
		return HV_ENOTSUP;
	return out->nr_sectors <= UINT64_MAX >> shift ? HV_OK : HV_EPROTO;
}

/* Counters have 16 bytes, of which nobody will see the upper ones move. */
static uint64_t counter(const uint8_t *at)
{
	return get_le64(at + 8) != 0 ? UINT64_MAX : get_le64(at);
}

void nvme_health(const void *data, struct block_health *out)
{
	const uint8_t *at = data;
	uint16_t kelvin = get_le16(at + HEALTH_TEMPERATURE);

	*out = (struct block_health){
		.is_known = true,
		.is_failing = at[HEALTH_WARNING] & HEALTH_FAILING,
		.used_percent = at[HEALTH_USED],
		.spare_percent = at[HEALTH_SPARE],
		.power_on_hours = counter(at + HEALTH_HOURS),
		.unsafe_shutdowns = counter(at + HEALTH_UNSAFE),
		.media_errors = counter(at + HEALTH_MEDIA),
	};
	if (kelvin != 0 && kelvin < 1000)
		out->temperature_c = (int16_t)(kelvin - KELVIN_OF_0_C);
}
