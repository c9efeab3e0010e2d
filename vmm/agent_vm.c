/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's VM and its watchdog. The agent must send any request at least every CTL_WATCHDOG_MS;
 * a timer that looks when the last one is so old resets it otherwise. Its crashes end in a triple
 * fault or a stop, which for this VM always means: boot again.
 */
#include "vmm/agent_vm.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "vmm/board.h"
#include "vmm/control.h"
#include "vmm/dev/virtio_control.h"

#define AGENT_MEM_BYTES (32 * MIB)

extern const uint8_t agent_image[], agent_image_end[];

static struct vm *agent;
static struct ctl_vm_config config;
static struct timer watchdog;
static uint64_t last_request_tsc;
static uint32_t nr_restarts;

/* The reader of what is linked in. */
static enum hv_err read_linked(const void *ctx, uint64_t offset, void *dst, uint64_t len_bytes)
{
	memcpy(dst, (const uint8_t *)ctx + offset, len_bytes);
	return HV_OK;
}

struct image_src agent_vm_image(void)
{
	return (struct image_src){.read = read_linked,
				  .ctx = agent_image,
				  .size = (uint64_t)(agent_image_end - agent_image)};
}

bool agent_vm_is(const struct ctl_vm_config *other)
{
	return other == &config;
}

static void kick(void *ctx)
{
	(void)ctx;
	agent->has_work = true;
}

static const struct virtio_control_conf control_conf = {.handle = control_handle, .kick = kick};

const struct virtio_control_conf *agent_vm_control(void)
{
	return &control_conf;
}

void agent_vm_work(struct vm *vm)
{
	uint64_t before = __atomic_load_n(&last_request_tsc, __ATOMIC_RELAXED);

	vm->has_work = false;
	virtio_control_run(board_control(vm->board));
	/* A long command is no silence of the agent's. */
	if (__atomic_load_n(&last_request_tsc, __ATOMIC_RELAXED) != before)
		vm_agent_alive();
}

bool agent_vm_event(enum ctl_event_kind kind, uint32_t vm, uint64_t value)
{
	struct ctl_event event = {.kind = kind, .vm = vm, .value = value};

	return agent && virtio_control_event(board_control(agent->board), &event);
}

void agent_vm_print(const uint8_t *data, size_t len_bytes)
{
	static char line[120];
	static size_t len; /* under the agent's vm->lock */

	for (size_t i = 0; i < len_bytes; i++) {
		if (data[i] != '\n' && data[i] != '\r')
			line[len++] = (char)data[i];
		if (len > 0 && (data[i] == '\n' || len == sizeof(line))) {
			log_warn("agent", "on its serial port: %.*s", (int)len, line);
			len = 0;
		}
	}
}

void vm_agent_alive(void)
{
	__atomic_store_n(&last_request_tsc, tsc_now(), __ATOMIC_RELAXED);
}

void agent_vm_restarts(void)
{
	nr_restarts++;
	vm_agent_alive();
}

uint32_t agent_vm_nr_restarts(void)
{
	return nr_restarts;
}

static void watch(struct timer *timer)
{
	uint64_t now = tsc_now(), limit = CTL_WATCHDOG_MS * tsc_khz();
	uint64_t end = __atomic_load_n(&last_request_tsc, __ATOMIC_RELAXED) + limit;

	if (now < end) {
		timer_set(timer, end);
		return;
	}
	/* While it is being loaded nothing can be expected of it, hence RUNNING only. */
	if (agent->state == VM_RUNNING && !agent->has_stop)
		vm_stop(agent, VM_STOP_RESET, "watchdog: no request in time");
	timer_set(timer, now + limit / 2);
}

enum hv_err vm_start_agent(void)
{
	static const uint8_t mac[6] = {0x02, 0xb1, 0x11, 0xe7, 0x00, 0x00};
	char why[96] = "";
	enum hv_err err;

	config = (struct ctl_vm_config){
		.name = "agent",
		.mem_bytes = AGENT_MEM_BYTES,
		.nr_vcpus = 1,
		.weight = SCHED_WEIGHT_MAX /
			  10, /* a tenth of a busy CPU's guests must not starve it */
		.boot_kind = CTL_BOOT_PVH,
		.nr_nics = 1,
	};
	memcpy(config.nics[0].mac, mac, sizeof(mac));
	control_agent_mac(config.nics[0].mac);
	err = vm_create(&config, &agent, why);
	if (err == HV_OK)
		err = vm_start_whole(agent, why);
	if (err != HV_OK) {
		log_err("agent", "cannot be started: %s", why);
		return err;
	}
	vm_agent_alive();
	timer_init(&watchdog, watch);
	timer_set_in(&watchdog, CTL_WATCHDOG_MS * NSEC_PER_MSEC);
	log_info("agent", "%llu KiB of image, %llu MiB of memory",
		 (unsigned long long)(agent_image_end - agent_image) / 1024,
		 (unsigned long long)(AGENT_MEM_BYTES / MIB));
	return HV_OK;
}
