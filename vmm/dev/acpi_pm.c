/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware. The timer is the VM's clock in other units; its carry is no interrupt
 * source, for the counter has 32 bits and a guest that reads it once in 20 minutes misses none.
 */
#include "vmm/dev/acpi_pm.h"

#include "kernel/memory.h"
#include "vmm/layout.h"

/* [ACPI] "PM1 Event Grouping", "PM1 Control Grouping" */
#define PM1_POWER_BUTTON 0x0100u
#define PM1_STATUS_BITS	 (PM1_POWER_BUTTON)
#define PM1_ENABLE_BITS	 0x0521u /* timer, global lock, power button, RTC; kept as written */
#define CNT_SCI_EN	 0x0001u
#define CNT_SLP_TYP	 0x1c00u
#define CNT_SLP_EN	 0x2000u

struct acpi_pm {
	struct vdev dev;
	uint16_t status, enable, control;
	bool is_sci_high;
};

static struct acpi_pm *acpi_pm_of(struct vdev *dev)
{
	return container_of(dev, struct acpi_pm, dev);
}

static void update_sci(struct acpi_pm *pm)
{
	bool is_high = pm->status & pm->enable & PM1_STATUS_BITS;

	if (is_high == pm->is_sci_high)
		return;
	pm->is_sci_high = is_high;
	vm_irq_line(pm->dev.vm, LAYOUT_IRQ_SCI, is_high);
}

void acpi_pm_press_power_button(struct vdev *dev)
{
	struct acpi_pm *pm = acpi_pm_of(dev);

	pm->status |= PM1_POWER_BUTTON;
	update_sci(pm);
}

static uint32_t timer_value(const struct acpi_pm *pm)
{
	uint64_t ns = vm_time_ns(pm->dev.vm);

	/* Seconds and the rest apart: the product would overflow after an hour and a half. */
	return (uint32_t)(ns / NSEC_PER_SEC * ACPI_PM_TIMER_HZ +
			  ns % NSEC_PER_SEC * ACPI_PM_TIMER_HZ / NSEC_PER_SEC);
}

/* The block as 16 bytes, so that an access of any width at any offset reads what it should. */
static uint64_t read_block(const struct acpi_pm *pm, uint64_t offset)
{
	uint64_t low = pm->status | (uint32_t)pm->enable << 16 | (uint64_t)pm->control << 32;
	uint64_t word = offset < ACPI_PM_TIMER ? low : timer_value(pm);

	return word >> (offset % 8 * 8);
}

static void write_control_high(struct acpi_pm *pm, uint8_t byte)
{
	uint16_t val = (uint16_t)(byte << 8);

	pm->control = (val & CNT_SLP_TYP) | CNT_SCI_EN;
	if ((val & CNT_SLP_EN) && FIELD_GET(CNT_SLP_TYP, val) == ACPI_PM_SLP_TYP_S5)
		vm_stop(pm->dev.vm, VM_STOP_POWER_OFF, "the guest switched itself off");
}

/* Byte by byte, so that every width does what it should. A one clears its status bit. */
static void write_byte(struct acpi_pm *pm, uint64_t offset, uint8_t byte)
{
	switch (offset) {
	case ACPI_PM_EVENT:
		pm->status &= (uint16_t)~byte;
		break;
	case ACPI_PM_EVENT + 1:
		pm->status &= (uint16_t)~(byte << 8);
		break;
	case ACPI_PM_EVENT + 2:
		pm->enable = ((pm->enable & 0xff00) | byte) & PM1_ENABLE_BITS;
		break;
	case ACPI_PM_EVENT + 3:
		pm->enable = ((pm->enable & 0x00ff) | byte << 8) & PM1_ENABLE_BITS;
		break;
	case ACPI_PM_CONTROL + 1:
		write_control_high(pm, byte);
		break;
	default: /* SCI_EN is fixed, the timer cannot be set */
		break;
	}
}

static enum io_result acpi_pm_access(struct vdev *dev, enum io_space space, struct io_access *acc)
{
	struct acpi_pm *pm = acpi_pm_of(dev);

	(void)space;
	if (acc->size > 4)
		return IO_REFUSED;
	if (!acc->is_write) {
		acc->value = read_block(pm, acc->offset) & (BIT(acc->size * 8) - 1);
		return IO_DONE;
	}
	for (uint8_t i = 0; i < acc->size; i++)
		write_byte(pm, acc->offset + i, (uint8_t)(acc->value >> i * 8));
	update_sci(pm);
	return IO_DONE;
}

static void acpi_pm_reset(struct vdev *dev)
{
	struct acpi_pm *pm = acpi_pm_of(dev);

	pm->status = pm->enable = 0;
	pm->control = CNT_SCI_EN;
	update_sci(pm);
}

static enum hv_err acpi_pm_create(struct vm *vm, const void *conf, struct vdev **out)
{
	struct acpi_pm *pm = kmem_alloc(sizeof(*pm));

	(void)conf;
	if (pm == NULL)
		return HV_ENOMEM;
	pm->dev.ops = &acpi_pm_ops;
	pm->dev.vm = vm;
	acpi_pm_reset(&pm->dev);
	*out = &pm->dev;
	return HV_OK;
}

static void acpi_pm_destroy(struct vdev *dev)
{
	kmem_free(acpi_pm_of(dev));
}

const struct vdev_ops acpi_pm_ops = {
	.name = "acpi-pm",
	.create = acpi_pm_create,
	.access = acpi_pm_access,
	.reset = acpi_pm_reset,
	.destroy = acpi_pm_destroy,
};
