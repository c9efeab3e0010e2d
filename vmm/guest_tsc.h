/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's TSC as a function of the host's, and back. Pure.
 *
 *      guest = (host * multiplier >> fraction_bits) + offset          in 64 bits, as the CPU does
 * it
 *
 * A VM that asks for no rate, or for the host's, has no multiplier: then the CPU adds, and so do
 * we. All vCPUs of a VM share one struct guest_tsc. It is fixed once the VM is made.
 *
 * Source: [SDM] "Changes to Instruction Behavior in VMX Non-Root Operation" (RDTSC) and
 * "Time-Stamp Counter Offset and Multiplier"; [APM] "TSC Ratio MSR (C000_0104h)".
 */
#ifndef VMM_GUEST_TSC_H
#define VMM_GUEST_TSC_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define GUEST_TSC_NEVER (~0ull) /* a deadline that no TSC reaches */

/* What a CPU can multiply its TSC by for a guest: multiplier / 2^fraction_bits. */
struct tsc_scaling {
	uint8_t fraction_bits; /* below 64; 0: it cannot */
	uint64_t least, most;  /* multipliers */
};

struct guest_tsc {
	uint64_t multiplier;   /* 0: the host's rate */
	uint64_t offset;       /* modulo 2^64 */
	uint64_t direct_below; /* deadlines below it are the host's but for the offset */
	uint32_t khz;
	uint8_t fraction_bits;
};

/*
 * guest_tsc_init - a TSC that is 0 now and goes on at the rate asked for
 *
 * asked_khz  0: the host's rate
 * host_khz   not 0
 * host_now   the host's TSC
 * why        filled with a sentence when the answer is not HV_OK
 * Errors:    HV_ENOTSUP - this CPU does not scale, or not so far.
 */
MUST_CHECK enum hv_err guest_tsc_init(struct guest_tsc *t, uint32_t asked_khz, uint32_t host_khz,
				      const struct tsc_scaling *scaling, uint64_t host_now,
				      char *why, size_t why_bytes);

uint64_t guest_tsc_scaled(const struct guest_tsc *t, uint64_t host); /* without the offset */
uint64_t guest_tsc_host_deadline_far(const struct guest_tsc *t, uint64_t deadline);

/* guest_tsc_of_host - what the guest reads when the host's TSC is so. Context: exit path. */
static inline uint64_t guest_tsc_of_host(const struct guest_tsc *t, uint64_t host)
{
	return (t->multiplier ? guest_tsc_scaled(t, host) : host) + t->offset;
}

/* guest_tsc_is_direct - whether the way back from a deadline is a subtraction */
static inline bool guest_tsc_is_direct(const struct guest_tsc *t, uint64_t deadline)
{
	return deadline < t->direct_below;
}

/*
 * guest_tsc_host_deadline - the first tick of the host's TSC at which the guest's has reached
 * deadline; GUEST_TSC_NEVER when there is none. Context: exit path.
 */
static inline uint64_t guest_tsc_host_deadline(const struct guest_tsc *t, uint64_t deadline)
{
	if (guest_tsc_is_direct(t, deadline))
		return deadline - t->offset;
	return guest_tsc_host_deadline_far(t, deadline);
}

#endif
