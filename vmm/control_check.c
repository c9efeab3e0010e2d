/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's configuration, field by field. This machine's size is vm_create's to judge by. */
#include "kernel/lib/string.h"
#include "kernel/sched.h"
#include "vmm/control_priv.h"

#define CONFIG_MEM_UNIT (2 * MIB)

/* Ended by a zero within its field, and nothing but printable ASCII before it. */
static bool is_text(const char *text, size_t cap)
{
	size_t len = strnlen(text, cap);

	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	return len < cap;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

static bool have_same_address(const struct ctl_vm_config *c, uint32_t a, uint32_t b)
{
	return c->nics[a].network == c->nics[b].network &&
	       memcmp(c->nics[a].mac, c->nics[b].mac, 6) == 0;
}

static enum hv_err check_nic(struct call *call, const struct ctl_vm_config *c, uint32_t i)
{
	if (c->nics[i].reserved != 0)
		return control_refuse(call, HV_EINVAL, "nics[%u].reserved: not zero", i);
	if ((c->nics[i].mac[0] & 1) || is_zero(c->nics[i].mac, 6))
		return control_refuse(call, HV_EINVAL,
				      "nics[%u].mac: not the address of one station", i);
	for (uint32_t other = 0; other < i; other++)
		if (have_same_address(c, i, other))
			return control_refuse(call, HV_EINVAL,
					      "nics[%u].mac: the same as that of nics[%u]", i,
					      other);
	return HV_OK;
}

static enum hv_err check_nics(struct call *call, const struct ctl_vm_config *c)
{
	enum hv_err err = HV_OK;

	if (c->nr_nics > CTL_NICS_MAX)
		return control_refuse(call, HV_EINVAL, "nr_nics: %u, at most %u can be", c->nr_nics,
				      CTL_NICS_MAX);
	for (uint32_t i = 0; i < c->nr_nics && err == HV_OK; i++)
		err = check_nic(call, c, i);
	return err;
}

static enum hv_err check_shares(struct call *call, const struct ctl_vm_config *c)
{
	if (c->mem_bytes == 0 || c->mem_bytes % CONFIG_MEM_UNIT)
		return control_refuse(call, HV_EINVAL, "mem_bytes: %llu is no multiple of 2 MiB",
				      (unsigned long long)c->mem_bytes);
	if (c->nr_vcpus == 0 || c->nr_vcpus > CTL_VCPUS_MAX)
		return control_refuse(call, HV_EINVAL, "nr_vcpus: %u is not 1 to %u", c->nr_vcpus,
				      CTL_VCPUS_MAX);
	if (c->weight == 0 || c->weight > SCHED_WEIGHT_MAX)
		return control_refuse(call, HV_EINVAL, "weight: %u is not 1 to %u", c->weight,
				      SCHED_WEIGHT_MAX);
	if (c->cap_percent > 100)
		return control_refuse(call, HV_EINVAL, "cap_percent: %u is more than a CPU has",
				      c->cap_percent);
	if (c->tsc_khz && (c->tsc_khz < CTL_TSC_KHZ_MIN || c->tsc_khz > CTL_TSC_KHZ_MAX))
		return control_refuse(call, HV_EINVAL, "tsc_khz: %u is not %u to %u", c->tsc_khz,
				      CTL_TSC_KHZ_MIN, CTL_TSC_KHZ_MAX);
	return HV_OK;
}

static enum hv_err check_boot(struct call *call, const struct ctl_vm_config *c)
{
	if (c->boot_kind < CTL_BOOT_LINUX || c->boot_kind > CTL_BOOT_MULTIBOOT)
		return control_refuse(call, HV_EINVAL, "boot_kind: %u is none that is known",
				      c->boot_kind);
	if (c->kernel_image == 0)
		return control_refuse(call, HV_EINVAL, "kernel_image: none given");
	if (!is_text(c->cmdline, sizeof(c->cmdline)))
		return control_refuse(call, HV_EINVAL,
				      "cmdline: has no end, or bytes that are not printable");
	return HV_OK;
}

enum hv_err control_vm_check(struct call *call, const struct ctl_vm_config *config)
{
	enum hv_err err;

	if (is_zero(config->uuid, sizeof(config->uuid)))
		return control_refuse(call, HV_EINVAL, "uuid: all zero");
	if (config->name[0] == 0 || !is_text(config->name, sizeof(config->name)))
		return control_refuse(call, HV_EINVAL,
				      "name: empty, without end, or not printable");
	err = check_shares(call, config);
	if (err == HV_OK)
		err = check_boot(call, config);
	if (err == HV_OK)
		err = check_nics(call, config);
	return err;
}
