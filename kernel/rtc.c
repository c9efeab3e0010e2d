/* SPDX-License-Identifier: Apache-2.0 */
/* The real-time clock's registers, decoded; kernel/rtc_hw.c reads them. */
#include "kernel/rtc.h"

#define STATUS_B_24H	0x02
#define STATUS_B_BINARY 0x04
#define HOUR_PM		0x80

static unsigned plain(uint8_t val, uint8_t status_b)
{
	return status_b & STATUS_B_BINARY ? val : (val >> 4) * 10u + (val & 15);
}

static unsigned hour_of(const struct rtc_raw *raw)
{
	unsigned hour;

	if (raw->status_b & STATUS_B_24H)
		return plain(raw->hour, raw->status_b);
	hour = plain(raw->hour & (uint8_t)~HOUR_PM, raw->status_b);
	if (hour < 1 || hour > 12)
		return 24; /* refused by the caller */
	return hour % 12 + (raw->hour & HOUR_PM ? 12 : 0);
}

/* Days from 1970-01-01 to a date of 2000 to 2099, where every fourth year is a leap year. */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
	static const uint16_t before_month[12] = {0,   31,  59,	 90,  120, 151,
						  181, 212, 243, 273, 304, 334};
	const uint64_t at_2000 = 10957;
	bool is_past_leap_day = year % 4 == 0 && month > 2;

	return at_2000 + year * 365 + (year + 3) / 4 + before_month[month - 1] + is_past_leap_day +
	       day - 1;
}

uint64_t rtc_decode(const struct rtc_raw *raw)
{
	unsigned second = plain(raw->second, raw->status_b),
		 minute = plain(raw->minute, raw->status_b);
	unsigned day = plain(raw->day, raw->status_b), month = plain(raw->month, raw->status_b);
	unsigned year = plain(raw->year, raw->status_b), hour = hour_of(raw);

	if (second > 59 || minute > 59 || hour > 23 || day < 1 || day > 31 || month < 1 ||
	    month > 12 || year > 99)
		return 0;
	return ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
}
