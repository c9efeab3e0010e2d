/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calendar, with years that begin on 1 March: then the leap day is the last of its year, and
 * the days before a month follow one formula.
 */
#include "vmm/dev/rtc_date.h"

#define DAY_S		  86400u
#define DAYS_OF_400_YEARS 146097u
#define DAYS_TO_1970	  719468u /* from 1 March of the year 0 */

/* Days before month m, counted from March as 0: 0, 31, 61, 92, 122, 153, … */
static uint32_t days_before(uint32_t month_from_march)
{
	return (153 * month_from_march + 2) / 5;
}

static uint64_t days_before_year(uint64_t year)
{
	return year * 365 + year / 4 - year / 100 + year / 400;
}

void rtc_date_of(uint64_t seconds, struct rtc_date *date)
{
	uint64_t days = seconds / DAY_S + DAYS_TO_1970;
	uint64_t year = days * 400 / DAYS_OF_400_YEARS; /* right, or one too many or few */
	uint32_t rest, month, of_day = (uint32_t)(seconds % DAY_S);

	while (days_before_year(year + 1) <= days)
		year++;
	while (days_before_year(year) > days)
		year--;
	rest = (uint32_t)(days - days_before_year(year));
	month = (5 * rest + 2) / 153;
	date->year = (uint32_t)(month < 10 ? year : year + 1);
	date->month = month < 10 ? month + 3 : month - 9;
	date->day = rest - days_before(month) + 1;
	date->weekday = (uint32_t)((seconds / DAY_S + 4) % 7) + 1; /* 1970 began on a Thursday */
	date->hour = of_day / 3600;
	date->minute = of_day / 60 % 60;
	date->second = of_day % 60;
}

uint64_t rtc_seconds_of(const struct rtc_date *date)
{
	uint32_t month = date->month > 2 ? date->month - 3 : date->month + 9;
	uint64_t year = date->month > 2 ? date->year : date->year - 1;
	uint64_t days = days_before_year(year) + days_before(month) + date->day - 1;

	if (days < DAYS_TO_1970)
		return 0;
	return (days - DAYS_TO_1970) * DAY_S + date->hour * 3600u + date->minute * 60u +
	       date->second;
}
