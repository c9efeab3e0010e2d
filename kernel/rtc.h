/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC's real-time clock: what day it is, at boot, to the second, unauthenticated.
 *
 * Source: [MC146818] "Address Map", "Time, Calendar, and Alarm Locations".
 */
#ifndef KERNEL_RTC_H
#define KERNEL_RTC_H

#include "kernel/lib/types.h"

/* Registers as read, in whatever form status_b says. */
struct rtc_raw {
	uint8_t second, minute, hour, day, month, year, status_b;
};

/* rtc_decode - seconds since 1970, taking years as 2000 to 2099; 0 when that is no date. Pure. */
uint64_t rtc_decode(const struct rtc_raw *raw);

/* rtc_read - seconds since 1970, 0 when the clock shows nonsense. Boot CPU; waits at most a second.
 */
uint64_t rtc_read(void);

#endif
