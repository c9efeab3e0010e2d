/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A buffer for each CPU in which a large frame is made. A send runs from copying the frame in to
 * handing it over without a pause, so the many cards of a CPU's guests share one.
 */
#include "kernel/cpu.h"
#include "kernel/memory.h"
#include "net/port.h"

static uint8_t *buffers[CPU_MAX];

uint8_t *net_buffer(void)
{
	return buffers[this_cpu()->index];
}

enum hv_err net_cpu_init(void)
{
	uint8_t *buffer = kmem_alloc(NET_BUFFER_BYTES);

	if (!buffer)
		return HV_ENOMEM;
	buffers[this_cpu()->index] = buffer;
	return HV_OK;
}
