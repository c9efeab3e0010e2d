/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for a watchdog, and reaches its registers. */
#include "drivers/watchdogs.h"

#include "boot/boot_info.h"
#include "drivers/tco.h"
#include "drivers/wdat.h"
#include "kernel/acpi.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/fmt.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/paging.h"
#include "kernel/watchdog.h"

/* ---- WDAT ---- */

static struct wdat wdat;
static volatile void *wdat_mapped[WDAT_INSTRUCTIONS_MAX]; /* NULL for ports */

static uint32_t wdat_read(void *arg, const struct wdat *table, uint32_t index)
{
	const struct wdat_instruction *in = &table->instructions[index];

	(void)arg;
	return in->is_io ? in_sized((uint16_t)in->address, in->width_bytes)
			 : mmio_read_sized(wdat_mapped[index], in->width_bytes);
}

static void wdat_write(void *arg, const struct wdat *table, uint32_t index, uint32_t val)
{
	const struct wdat_instruction *in = &table->instructions[index];

	(void)arg;
	if (in->is_io)
		out_sized((uint16_t)in->address, in->width_bytes, val);
	else
		mmio_write_sized(wdat_mapped[index], in->width_bytes, val);
}

static const struct wdat_io wdat_io = {.read = wdat_read, .write = wdat_write};

static enum hv_err start_wdat(struct watchdog *dog, uint32_t timeout_s)
{
	(void)dog;
	return wdat_start(&wdat, &wdat_io, timeout_s);
}

static void kick_wdat(struct watchdog *dog)
{
	(void)dog;
	wdat_kick(&wdat, &wdat_io);
}

static void stop_wdat(struct watchdog *dog)
{
	(void)dog;
	wdat_stop(&wdat, &wdat_io);
}

static bool has_wdat_fired(struct watchdog *dog)
{
	(void)dog;
	return wdat_has_fired(&wdat, &wdat_io);
}

static const struct watchdog_ops wdat_ops = {
	.start = start_wdat,
	.kick = kick_wdat,
	.stop = stop_wdat,
	.has_fired = has_wdat_fired,
};

/* What the map of memory has as reserved, or does not have at all, may be registers. */
static bool is_memory(uint64_t hpa, uint64_t len_bytes)
{
	for (uint32_t i = 0; i < boot_info.nr_ranges; i++) {
		const struct boot_range *range = &boot_info.ranges[i];

		if (range->type != RANGE_RESERVED && hpa < range->base + range->len_bytes &&
		    hpa + len_bytes > range->base)
			return true;
	}
	return false;
}

static bool map_wdat_registers(void)
{
	for (uint32_t i = 0; i < wdat.nr_instructions; i++) {
		const struct wdat_instruction *in = &wdat.instructions[i];

		if (in->is_io)
			continue;
		wdat_mapped[i] = mmio_map(in->address, in->width_bytes);
		if (!wdat_mapped[i])
			return false;
	}
	return true;
}

static bool begin_wdat(void)
{
	static struct watchdog dog = {.ops = &wdat_ops, .name = "ACPI's WDAT"};
	const uint8_t *table;
	const char *why;
	enum hv_err err;

	if (!acpi_info.wdat_hpa)
		return false;
	table = paging_map_firmware(acpi_info.wdat_hpa, acpi_info.wdat_len_bytes);
	if (!table)
		return false;
	err = wdat_parse(table, acpi_info.wdat_len_bytes, is_memory, &wdat, &why);
	if (err != HV_OK) {
		log_line(err == HV_ENOENT ? LOG_INFO : LOG_WARN, "watchdog",
			 "ACPI's WDAT is not used: %s", why);
		return false;
	}
	dog.min_s = wdat.min_s;
	dog.max_s = wdat.max_s;
	if (map_wdat_registers() && watchdog_begin(&dog) == HV_OK)
		return true;
	log_warn("watchdog", "ACPI's WDAT is not used: it does not start");
	return false;
}

/* ---- TCO ---- */

static struct tco tco;

static uint16_t tco_in(void *arg, uint16_t port)
{
	(void)arg;
	return in16(port);
}

static void tco_out(void *arg, uint16_t port, uint16_t val)
{
	(void)arg;
	out16(port, val);
}

/* It has one register in memory. */
static volatile uint32_t *map_tco_register(uint64_t hpa)
{
	static volatile uint32_t *mapped;

	if (!mapped)
		mapped = mmio_map(hpa, sizeof(*mapped));
	return mapped;
}

static uint32_t tco_read(void *arg, uint64_t hpa)
{
	volatile uint32_t *reg = map_tco_register(hpa);

	(void)arg;
	return reg ? *reg : UINT32_MAX;
}

static void tco_write(void *arg, uint64_t hpa, uint32_t val)
{
	volatile uint32_t *reg = map_tco_register(hpa);

	(void)arg;
	if (reg)
		*reg = val;
}

static const struct tco_io tco_io = {
	.pci = &pci_machine,
	.in = tco_in,
	.out = tco_out,
	.read = tco_read,
	.write = tco_write,
};

static enum hv_err start_tco(struct watchdog *dog, uint32_t timeout_s)
{
	enum hv_err err = tco_start(&tco, timeout_s);

	if (err == HV_ENOTSUP)
		log_warn("watchdog", "%s is not used: firmware or a strap locked NO_REBOOT",
			 dog->name);
	else if (err != HV_OK)
		log_warn("watchdog", "%s is not used: it does not start", dog->name);
	return err == HV_OK ? HV_OK : HV_EIO;
}

static void kick_tco(struct watchdog *dog)
{
	(void)dog;
	tco_kick(&tco);
}

static void stop_tco(struct watchdog *dog)
{
	(void)dog;
	tco_stop(&tco);
}

static bool has_tco_fired(struct watchdog *dog)
{
	(void)dog;
	return tco_has_fired(&tco);
}

static const struct watchdog_ops tco_ops = {
	.start = start_tco,
	.kick = kick_tco,
	.stop = stop_tco,
	.has_fired = has_tco_fired,
};

static bool begin_tco(void)
{
	static struct watchdog dog = {.ops = &tco_ops, .min_s = TCO_MIN_S, .max_s = TCO_MAX_S};
	const char *why;
	enum hv_err err = tco_find(&tco_io, &tco, &why);

	if (err == HV_ENOENT)
		return false;
	fmt(dog.name, sizeof(dog.name), "TCO of 8086:%04x", tco.device);
	if (err != HV_OK) {
		log_warn("watchdog", "%s is not used: %s", dog.name, why);
		return false;
	}
	return watchdog_begin(&dog) == HV_OK;
}

void watchdogs_init(void)
{
	if (!begin_wdat() && !begin_tco())
		log_info("watchdog", "none: nothing resets this machine when it stands still");
}
