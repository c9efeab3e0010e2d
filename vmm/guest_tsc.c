/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rates become a fixed-point multiplier once; from then on all is exact: the way back rounds up to
 * the first host tick that will do, so a timer that fires there never finds that it came too early.
 *
 *      guest TSC  0 ────────────► deadline        deadline - offset = deadline + scaled(begin),
 *      host TSC   begin ────────► ?               65 bits wide; what does not fit is never
 */
#include "vmm/guest_tsc.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "vmm/control_abi.h"

typedef unsigned __int128 uint128_t;

/* dividend / divisor, with a quotient of 64 bits. C's own 128-bit division is a call into libgcc,
 * which the kernel has none of. */
static uint64_t divide(uint128_t dividend, uint64_t divisor)
{
	uint64_t quotient, rest;

	ASSERT((uint64_t)(dividend >> 64) < divisor);
	__asm__("divq %4"
		: "=a"(quotient), "=d"(rest)
		: "a"((uint64_t)dividend), "d"((uint64_t)(dividend >> 64)), "r"(divisor)
		: "cc");
	return quotient;
}

static bool is_same_rate(uint32_t a_khz, uint32_t b_khz)
{
	uint64_t off = a_khz > b_khz ? a_khz - b_khz : b_khz - a_khz;

	return off * 1000000u <= (uint64_t)b_khz * CTL_TSC_PPM_MAX;
}

/*
 * The nearest multiplier; 0: the CPU does not take it, or its product would come round within the
 * guest's life, which the way back from a deadline does not reckon with.
 */
static uint64_t choose_multiplier(const struct tsc_scaling *scaling, uint32_t guest_khz,
				  uint32_t host_khz, uint64_t host_now)
{
	uint128_t dividend = ((uint128_t)guest_khz << scaling->fraction_bits) + host_khz / 2;
	uint64_t multiplier;

	if ((uint64_t)(dividend >> 64) >= host_khz)
		return 0;
	multiplier = divide(dividend, host_khz);
	if (multiplier < scaling->least || multiplier > scaling->most ||
	    (uint128_t)host_now * multiplier >> scaling->fraction_bits >> 63)
		return 0;
	return multiplier;
}

enum hv_err guest_tsc_init(struct guest_tsc *t, uint32_t asked_khz, uint32_t host_khz,
			   const struct tsc_scaling *scaling, uint64_t host_now, char *why,
			   size_t why_bytes)
{
	bool wants_scaling = asked_khz && !is_same_rate(asked_khz, host_khz);
	uint64_t multiplier = 0;

	ASSERT(host_khz && scaling->fraction_bits < 64);
	if (wants_scaling && !scaling->fraction_bits) {
		fmt(why, why_bytes,
		    "tsc_khz: %u asked for, node has %u and cannot scale: omit it or use another "
		    "node",
		    asked_khz, host_khz);
		return HV_ENOTSUP;
	}
	if (wants_scaling)
		multiplier = choose_multiplier(scaling, asked_khz, host_khz, host_now);
	if (wants_scaling && !multiplier) {
		fmt(why, why_bytes,
		    "tsc_khz: %u asked for, node has %u, too far to scale: omit it or use another "
		    "node",
		    asked_khz, host_khz);
		return HV_ENOTSUP;
	}
	*t = (struct guest_tsc){
		.multiplier = multiplier,
		.khz = wants_scaling ? asked_khz : host_khz,
		.fraction_bits = scaling->fraction_bits,
	};
	t->offset = 0 - guest_tsc_of_host(t, host_now);
	/* deadline - offset is above the host's last tick from there on. */
	if (!multiplier)
		t->direct_below = t->offset ? t->offset : GUEST_TSC_NEVER;
	return HV_OK;
}

static uint128_t scaled(const struct guest_tsc *t, uint64_t host)
{
	return (uint128_t)host * t->multiplier >> t->fraction_bits;
}

uint64_t guest_tsc_scaled(const struct guest_tsc *t, uint64_t host)
{
	return (uint64_t)scaled(t, host);
}

uint64_t guest_tsc_host_deadline_far(const struct guest_tsc *t, uint64_t deadline)
{
	uint64_t target = deadline - t->offset, host;
	uint128_t dividend;

	if (!t->multiplier || deadline == GUEST_TSC_NEVER || target < deadline)
		return GUEST_TSC_NEVER;
	dividend = ((uint128_t)target << t->fraction_bits) + (t->multiplier - 1);
	if ((uint64_t)(dividend >> 64) >= t->multiplier)
		return GUEST_TSC_NEVER;
	host = divide(dividend, t->multiplier);
	return scaled(t, host) >> 64 ? GUEST_TSC_NEVER : host;
}
