/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent does with texts from outside. The first byte chooses: the node's configuration
 * file, an answer to an enrolment, or a desired state, which is brought about on a small node in
 * memory: it must settle within a bounded number of steps, and then do nothing more.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/conf.h"
#include "agent/enrol.h"
#include "agent/report.h"
#include "agent/sync.h"

#define NR_ITEMS  8
#define MAX_STEPS 200

static struct desired_vm wanted[NR_ITEMS];
static struct desired_image wanted_images[NR_ITEMS];
static struct ctl_vm_info vms[NR_ITEMS * 2];
static struct ctl_image_info images[NR_ITEMS];
static struct sync_actual actual = {.vms = vms, .images = images};
static struct sync_memory memory;

static struct ctl_vm_info *find(uint32_t handle)
{
	uint32_t i;

	for (i = 0; i < actual.nr_vms; i++)
		if (vms[i].handle == handle)
			return &vms[i];
	abort();
}

static enum hv_err create(const struct ctl_vm_config *config)
{
	static uint32_t next_handle = 1;

	if (memchr(config->name, 0, sizeof(config->name)) == NULL ||
	    memchr(config->cmdline, 0, sizeof(config->cmdline)) == NULL ||
	    config->nr_nics > CTL_NICS_MAX || config->mem_bytes % (2 * MIB) != 0)
		abort();
	if (actual.nr_vms == NR_ITEMS * 2)
		return HV_ENOMEM;
	vms[actual.nr_vms] = (struct ctl_vm_info){
		.handle = next_handle++, .state = CTL_VM_CREATED, .epoch = config->epoch};
	memcpy(vms[actual.nr_vms++].uuid, config->uuid, 16);
	return HV_OK;
}

static enum hv_err obey(const struct sync_action *a)
{
	static const uint32_t states[] = {
		[SYNC_START] = CTL_VM_RUNNING,	[SYNC_RESET] = CTL_VM_RUNNING,
		[SYNC_RESUME] = CTL_VM_RUNNING, [SYNC_PAUSE] = CTL_VM_PAUSED,
		[SYNC_STOP] = CTL_VM_STOPPED,	[SYNC_DESTROY] = CTL_VM_DESTROYED,
	};
	uint32_t i;

	if (a->kind == SYNC_CREATE)
		return create(&a->config);
	if (a->kind != SYNC_IMAGE_DELETE) {
		find(a->handle)->state = states[a->kind];
		return HV_OK;
	}
	for (i = 0; i < actual.nr_images && images[i].handle != a->handle; i++)
		;
	if (i == actual.nr_images)
		abort();
	images[i] = images[--actual.nr_images];
	return HV_OK;
}

static void settle(const struct desired *desired)
{
	static struct sync_action action;
	enum hv_err err;
	int steps;

	for (steps = 0; steps < MAX_STEPS; steps++) {
		sync_next(&memory, desired, &actual, &action);
		if (action.kind == SYNC_NOTHING)
			return;
		err = obey(&action);
		sync_done(&memory, desired, &action, err, "", actual.now_ms, 1);
	}
	abort();
}

static const char *no_reason(void *arg, const char *sha256)
{
	(void)arg;
	(void)sha256;
	return NULL;
}

static void give_images(const struct desired *desired)
{
	uint32_t i;

	actual.nr_images = 0;
	for (i = 0; i < desired->images.nr; i++) {
		images[i] = (struct ctl_image_info){.handle = i + 1, .is_sealed = i % 4 != 3};
		if (!hex_from_text(wanted_images[i].sha256, images[i].sha256, 32))
			abort();
	}
	actual.nr_images = desired->images.nr;
}

static void run_desired(const char *json, size_t len)
{
	static struct report_vm rows[NR_ITEMS];
	static struct desired desired;
	static struct sync_action action;
	struct proto_error err;

	desired = (struct desired){.vms = {wanted, NR_ITEMS, 0},
				   .images = {wanted_images, NR_ITEMS, 0}};
	memset(wanted, 0, sizeof(wanted));
	memset(&memory, 0, sizeof(memory));
	actual.nr_vms = 0;
	if (schema_decode(&desired_schema, json, len, (struct proto_scratch){0}, &desired, &err) !=
		    PROTO_OK ||
	    message_check_desired(&desired, desired.node_id, &err) != PROTO_OK)
		return;
	give_images(&desired);
	settle(&desired);
	sync_next(&memory, &desired, &actual, &action);
	if (action.kind != SYNC_NOTHING)
		abort();
	sync_report(&memory, &desired, &actual, 1, no_reason, NULL, rows, NR_ITEMS);
	desired.vms.nr = 0;
	settle(&desired);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct enrol_answer answer;
	static struct conf conf;
	struct conf_error err;
	char *text;

	if (size < 1)
		return 0;
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	if (data[0] % 4 == 0) {
		if (conf_parse(text, size - 1, &conf, &err) == HV_OK &&
		    (conf.port == 0 || !conf.host[0] || !conf.ca[0]))
			abort();
	} else if (data[0] % 4 == 1) {
		enrol_read_answer(data[0] & 4 ? 201 : 202, text, size - 1, "", &answer);
	} else if (data[0] % 4 == 2) {
		enrol_read_answer(403, text, size - 1, "", &answer);
	} else {
		run_desired(text, size - 1);
	}
	free(text);
	return 0;
}
