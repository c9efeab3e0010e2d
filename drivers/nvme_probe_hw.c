/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVMe controllers that come and go: registers, memory, what a controller and its namespaces say of
 * themselves, their disks, and all of it given back.
 *
 *   attach() ─► stages of nvme_hw.c ─► LIVE: nvme_probe() ─► controller ─► list ─► namespace … ─►
 *   is_probed, each ─► the end of one command and the beginning of the next
 *
 * At boot attach() goes round until that is over; for a controller that is plugged in later it
 * returns at once, and timer and interrupts go on.
 *
 * Source: [NVMe] "Controller Initialization", "Identify command".
 */
#include "drivers/dev_open.h"
#include "drivers/drivers.h"
#include "drivers/nvme.h"
#include "drivers/nvme_priv.h"
#include "kernel/acpi.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/time.h"

#define CONTROLLERS_MAX 16u
#define DISCARD_BYTES	(1 * GIB)

static struct nvme *controllers[CONTROLLERS_MAX]; /* by index, so that names are used again */

/* ---- the disks ---- */

static void ask(struct nvme *ctrl, uint32_t cns, uint32_t nsid,
		void (*done)(struct nvme *, uint16_t, uint32_t))
{
	struct nvme_command command = {
		.opcode = NVME_IDENTIFY, .nsid = nsid, .prp1 = ctrl->data, .cdw10 = cns};

	if (!nvme_admin(ctrl, &ctrl->setup, &command, NVME_ADMIN_NS, done))
		nvme_give_up(ctrl, "takes no commands");
}

/* Into a copy, as the page is the controller's to write. */
static bool take_answer(struct nvme *ctrl, uint16_t status)
{
	if (nvme_status_error(status) != HV_OK)
		return false;
	memcpy(ctrl->copy, hva_of(ctrl->data), NVME_IDENTIFY_BYTES);
	return true;
}

static void fill_block(struct nvme *ctrl, struct nvme_namespace *ns,
		       const struct nvme_namespace_info *info)
{
	struct block_dev *dev = &ns->block;

	dev->ops = &nvme_block_ops;
	fmt(dev->name, sizeof(dev->name), "nvme%un%u", ctrl->index, ns->nsid);
	memcpy(dev->location, ctrl->location, sizeof(dev->location));
	memcpy(dev->model, ctrl->info.model, sizeof(dev->model));
	memcpy(dev->serial, ctrl->info.serial, sizeof(dev->serial));
	memcpy(dev->firmware, ctrl->info.firmware, sizeof(dev->firmware));
	dev->sector_bytes = info->sector_bytes;
	dev->nr_sectors = info->nr_sectors;
	dev->has_volatile_cache = ctrl->info.has_volatile_cache;
	dev->is_read_only = info->is_read_only;
	dev->limits = (struct block_limits){
		.max_bytes = MIN(ctrl->info.max_bytes, NVME_BYTES_MAX),
		.max_segs = BLOCK_SEGS_MAX,
		.align_bytes = 4,
		.boundary_bytes = NVME_PAGE_BYTES,
		.max_discard_sectors =
			ctrl->info.can_discard ? (uint32_t)(DISCARD_BYTES / info->sector_bytes) : 0,
	};
}

/* Among the controller's namespaces before it is a disk: then any CPU may find and use it. */
static void add_namespace(struct nvme *ctrl, uint32_t nsid, const struct nvme_namespace_info *info)
{
	struct nvme_namespace *ns =
		ctrl->nr_namespaces < NVME_NAMESPACES_MAX ? kmem_alloc(sizeof(*ns)) : NULL;

	if (!ns) {
		log_warn("nvme", "%s: no room for namespace %u", ctrl->location, nsid);
		return;
	}
	ns->ctrl = ctrl;
	ns->index = ctrl->nr_namespaces;
	ns->nsid = nsid;
	fill_block(ctrl, ns, info);
	ctrl->namespaces[ctrl->nr_namespaces++] = ns;
	if (block_add(&ns->block) != HV_OK) {
		log_warn("nvme", "%s: no room for another disk", ctrl->location);
		ctrl->nr_namespaces--;
		kmem_free(ns);
		return;
	}
	log_info("nvme", "%s: %s, %lu sectors of %u bytes", ctrl->location, ns->block.name,
		 info->nr_sectors, info->sector_bytes);
}

static void look_at_namespace(struct nvme *ctrl, uint32_t nsid)
{
	struct nvme_namespace_info info = {0};
	enum hv_err err = nvme_identify_namespace(ctrl->copy, &info);

	if (err == HV_OK)
		add_namespace(ctrl, nsid, &info);
	else if (err != HV_ENOENT)
		log_warn("nvme",
			 "%s: namespace %u is left out: %s (sectors of %u bytes and %u of "
			 "metadata; 512 or 4096 and none are wanted)",
			 ctrl->location, nsid, hv_strerror(err), info.sector_bytes,
			 info.metadata_bytes);
}

static void namespace_done(struct nvme *ctrl, uint16_t status, uint32_t result);

static void next_namespace(struct nvme *ctrl)
{
	if (ctrl->next_id < ctrl->nr_ids) {
		ask(ctrl, NVME_CNS_NAMESPACE, ctrl->ids[ctrl->next_id], namespace_done);
		return;
	}
	ctrl->is_probed = true;
	kmem_free(ctrl->copy);
	ctrl->copy = NULL;
}

static void namespace_done(struct nvme *ctrl, uint16_t status, uint32_t result)
{
	(void)result;
	if (take_answer(ctrl, status))
		look_at_namespace(ctrl, ctrl->ids[ctrl->next_id]);
	ctrl->next_id++;
	next_namespace(ctrl);
}

/* Those of the list of active ones; old controllers have none, and their namespaces are 1 to nn. */
static void list_done(struct nvme *ctrl, uint16_t status, uint32_t result)
{
	uint32_t *nr = &ctrl->nr_ids;

	(void)result;
	if (take_answer(ctrl, status))
		while (*nr < ARRAY_SIZE(ctrl->ids) && get_le32(ctrl->copy + 4 * *nr) != 0) {
			ctrl->ids[*nr] = get_le32(ctrl->copy + 4 * *nr);
			(*nr)++;
		}
	else
		for (; *nr < MIN(ctrl->info.nr_namespaces, (uint32_t)ARRAY_SIZE(ctrl->ids));
		     (*nr)++)
			ctrl->ids[*nr] = *nr + 1;
	next_namespace(ctrl);
}

static void controller_done(struct nvme *ctrl, uint16_t status, uint32_t result)
{
	(void)result;
	if (!take_answer(ctrl, status) ||
	    nvme_identify_controller(ctrl->copy, &ctrl->info) != HV_OK) {
		nvme_give_up(ctrl, "does not say what it is");
		return;
	}
	log_info("nvme", "%s: %s, serial %s, firmware %s, %u queue%s", ctrl->location,
		 ctrl->info.model, ctrl->info.serial, ctrl->info.firmware, ctrl->nr_pairs,
		 ctrl->nr_pairs == 1 ? "" : "s");
	ask(ctrl, NVME_CNS_ACTIVE, 0, list_done);
}

void nvme_probe(struct nvme *ctrl)
{
	ask(ctrl, NVME_CNS_CONTROLLER, 0, controller_done);
}

/* ---- attach ---- */

/* In halves, as not every controller takes eight bytes at once. */
static uint64_t read_cap(const struct nvme *ctrl)
{
	return nvme_reg_read(ctrl, NVME_REG_CAP) | (uint64_t)nvme_reg_read(ctrl, NVME_REG_CAP + 4)
							   << 32;
}

static enum hv_err map_registers(struct nvme *ctrl)
{
	uint64_t nr_doorbells;
	uint32_t stride;

	ctrl->registers = dev_map(ctrl->dev, 0, NVME_REG_DOORBELL);
	if (!ctrl->registers)
		return HV_EIO;
	ctrl->cap = read_cap(ctrl);
	if (ctrl->cap == ~0ull)
		return HV_EIO;
	if (FIELD_GET(NVME_CAP_MPSMIN, ctrl->cap) != 0 ||
	    !(FIELD_GET(NVME_CAP_CSS, ctrl->cap) & NVME_CAP_CSS_NVM) ||
	    FIELD_GET(NVME_CAP_MQES, ctrl->cap) == 0)
		return HV_ENOTSUP;
	ctrl->nr_entries = (uint16_t)MIN(FIELD_GET(NVME_CAP_MQES, ctrl->cap) + 1,
					 (uint64_t)NVME_QUEUE_ENTRIES);
	/* Its BAR may have doorbells for fewer queues than we have CPUs. */
	stride = 4u << FIELD_GET(NVME_CAP_DSTRD, ctrl->cap);
	nr_doorbells = (ctrl->dev->bars[0].len_bytes - NVME_REG_DOORBELL) / (2 * stride);
	if (nr_doorbells < 2)
		return HV_EIO;
	ctrl->nr_pairs = MIN(MIN(acpi_info.nr_cpus, NVME_PAIRS_MAX), (uint32_t)nr_doorbells - 1);
	ctrl->registers =
		dev_map(ctrl->dev, 0, NVME_REG_DOORBELL + 2ull * stride * (1 + ctrl->nr_pairs));
	return ctrl->registers ? HV_OK : HV_ENOMEM;
}

static enum hv_err alloc_memory(struct nvme *ctrl)
{
	enum hv_err err = HV_OK;

	ctrl->copy = kmem_alloc(NVME_IDENTIFY_BYTES);
	ctrl->data = pages_alloc(0);
	ctrl->log_data = pages_alloc(0);
	if (!ctrl->copy || ctrl->data == HPA_NONE || ctrl->log_data == HPA_NONE)
		return HV_ENOMEM;
	for (uint32_t i = 0; i <= ctrl->nr_pairs && err == HV_OK; i++)
		err = nvme_pair_alloc(ctrl, i);
	return err;
}

static void free_memory(struct nvme *ctrl)
{
	nvme_free_pairs(ctrl, 0);
	if (ctrl->data != HPA_NONE)
		pages_free(ctrl->data, 0);
	if (ctrl->log_data != HPA_NONE)
		pages_free(ctrl->log_data, 0);
	ctrl->data = ctrl->log_data = HPA_NONE;
	kmem_free(ctrl->copy);
	ctrl->copy = NULL;
}

/* All stages and all disks, while nothing else runs yet. */
static enum hv_err run_at_boot(struct nvme *ctrl)
{
	nvme_begin(ctrl);
	while (!ctrl->is_probed) {
		nvme_step(ctrl);
		if (nvme_stage_of(ctrl) == NVME_GONE)
			return HV_EIO;
	}
	return HV_OK;
}

/* With a reset of the whole function when the controller's own does not work. */
static enum hv_err start_at_boot(struct nvme *ctrl)
{
	enum hv_err err = run_at_boot(ctrl);

	if (err == HV_EIO && ctrl->irqs.nr_handlers == 0 && dev_reset(ctrl->dev) == HV_OK) {
		log_warn("nvme", "%s: once more, after a reset of the function", ctrl->location);
		err = run_at_boot(ctrl);
	}
	return err;
}

static enum hv_err bring_up(struct nvme *ctrl)
{
	enum hv_err err = dev_open(ctrl->dev);

	if (err == HV_OK)
		err = map_registers(ctrl);
	if (err == HV_OK)
		err = alloc_memory(ctrl);
	if (err == HV_OK && !ctrl->dev->is_plugged_in)
		err = start_at_boot(ctrl);
	else if (err == HV_OK)
		nvme_begin(ctrl);
	return err;
}

static void forget_pages(struct nvme *ctrl)
{
	ctrl->data = ctrl->log_data = HPA_NONE;
	for (uint32_t i = 0; i <= NVME_PAIRS_MAX; i++)
		ctrl->pairs[i].sq = ctrl->pairs[i].cq = ctrl->pairs[i].lists = HPA_NONE;
}

static uint32_t free_index(void)
{
	uint32_t index = 0;

	while (index < CONTROLLERS_MAX && controllers[index])
		index++;
	return index;
}

static enum hv_err attach(struct pci_device *dev)
{
	uint32_t index = free_index();
	struct nvme *ctrl = index < CONTROLLERS_MAX ? kmem_alloc(sizeof(*ctrl)) : NULL;
	enum hv_err err;

	if (!ctrl)
		return HV_ENOMEM;
	ctrl->dev = dev;
	ctrl->index = index;
	forget_pages(ctrl);
	dev_name(dev, ctrl->location, sizeof(ctrl->location));

	err = bring_up(ctrl);
	if (err != HV_OK)
		goto free_all;
	controllers[index] = ctrl;
	dev->driver_data = ctrl;
	nvme_go_on(ctrl);
	return HV_OK;

free_all:
	dev_stop_dma(dev);
	nvme_forget_commands(ctrl);
	dev_irqs_disconnect(&ctrl->irqs);
	dev_irqs_free(&ctrl->irqs);
	free_memory(ctrl);
	kmem_free(ctrl);
	return err;
}

/* ---- detach ---- */

static void detach(struct pci_device *dev, bool is_there)
{
	struct nvme *ctrl = dev->driver_data;

	timer_cancel(&ctrl->timer);
	if (is_there)
		nvme_leave(ctrl);
	else
		nvme_give_up(ctrl, "was pulled out");
}

static bool is_detached(struct pci_device *dev)
{
	return nvme_has_left(dev->driver_data);
}

/* Whether no disk of it is held. */
static bool remove_disks(struct nvme *ctrl)
{
	bool are_removed = true;

	for (uint32_t i = 0; i < ctrl->nr_namespaces; i++)
		are_removed &= block_remove(&ctrl->namespaces[i]->block);
	return are_removed;
}

static void free_disks(struct nvme *ctrl)
{
	for (uint32_t i = 0; i < ctrl->nr_namespaces; i++) {
		block_forget(&ctrl->namespaces[i]->block);
		kmem_free(ctrl->namespaces[i]);
	}
}

/* A disk that is held keeps the structs, and its name, for ever; the rest goes all the same. */
static void release(struct pci_device *dev)
{
	struct nvme *ctrl = dev->driver_data;
	bool are_removed;

	nvme_give_up(ctrl, "is taken out");
	are_removed = remove_disks(ctrl);
	dev_irqs_disconnect(&ctrl->irqs);
	dev_wait_for_cpus();
	dev_irqs_free(&ctrl->irqs);
	free_memory(ctrl);
	if (!are_removed)
		return;
	free_disks(ctrl);
	controllers[ctrl->index] = NULL;
	kmem_free(ctrl);
}

static const struct pci_class_match classes[] = {
	{0x010802, 0xffffff}, /* NVM Express, I/O controller */
};

const struct pci_driver nvme_driver = {
	.name = "nvme",
	.base_class = PCI_CLASS_STORAGE,
	.devices = "NVM Express",
	.classes = classes,
	.nr_classes = ARRAY_SIZE(classes),
	.attach = attach,
	.detach = detach,
	.is_detached = is_detached,
	.release = release,
};
