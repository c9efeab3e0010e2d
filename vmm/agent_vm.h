/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's VM: made from the image that is linked into the kernel, watched, and reset when it
 * stops talking. It has the control device, and is otherwise a guest like all others.
 */
#ifndef VMM_AGENT_VM_H
#define VMM_AGENT_VM_H

#include "vmm/boot_proto.h"
#include "vmm/vm.h"

struct virtio_control_conf;

bool agent_vm_is(
	const struct ctl_vm_config *config); /* the one config that agent_vm.c itself made */
struct image_src agent_vm_image(void);
const struct virtio_control_conf *agent_vm_control(void);

/* agent_vm_work - requests wait in the control queue. Context: the agent's CPU, between its exits.
 */
void agent_vm_work(struct vm *vm);

/* agent_vm_event - tell the agent; false: it does not listen just now. Any CPU. */
bool agent_vm_event(enum ctl_event_kind kind, uint32_t vm, uint64_t value);

/* What the agent's VM prints on its serial port: before its control queue works, and when it
 * crashes. */
void agent_vm_print(const uint8_t *data, size_t len_bytes);

/* The agent's VM is being reset; counted for struct ctl_hello. */
void agent_vm_restarts(void);
uint32_t agent_vm_nr_restarts(void);

#endif
