/* SPDX-License-Identifier: Apache-2.0 */
/* Seconds since 1970 and the Gregorian calendar, years 1970 to 9999, UTC. Pure. */
#ifndef VMM_DEV_RTC_DATE_H
#define VMM_DEV_RTC_DATE_H

#include "kernel/lib/types.h"

struct rtc_date {
	uint32_t year, month, day; /* month and day from 1 */
	uint32_t weekday;	   /* 1 is Sunday */
	uint32_t hour, minute, second;
};

void rtc_date_of(uint64_t seconds, struct rtc_date *date);
/* The weekday is not looked at. Fields out of range count on, as 31 April is 1 May. */
uint64_t rtc_seconds_of(const struct rtc_date *date);

#endif
