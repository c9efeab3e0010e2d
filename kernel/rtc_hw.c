/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the real-time clock. It changes under the reader, so a reading counts only when no update
 * was going on and a second one says the same.
 */
#include "kernel/cpu_hw.h"
#include "kernel/lib/string.h"
#include "kernel/rtc.h"

#define PORT_INDEX 0x70
#define PORT_DATA  0x71

enum {
	RTC_SECOND = 0,
	RTC_MINUTE = 2,
	RTC_HOUR = 4,
	RTC_DAY = 7,
	RTC_MONTH = 8,
	RTC_YEAR = 9,
	RTC_STATUS_A = 0x0a,
	RTC_STATUS_B = 0x0b
};
#define STATUS_A_UPDATING 0x80

#define READ_TRIES   100
#define UPDATE_POLLS 100000u

static uint8_t cmos(uint8_t index)
{
	out8(PORT_INDEX, index);
	return in8(PORT_DATA);
}

static struct rtc_raw read_once(void)
{
	for (unsigned i = 0; i < UPDATE_POLLS && cmos(RTC_STATUS_A) & STATUS_A_UPDATING; i++)
		cpu_pause();
	return (struct rtc_raw){cmos(RTC_SECOND),  cmos(RTC_MINUTE), cmos(RTC_HOUR),
				cmos(RTC_DAY),	   cmos(RTC_MONTH),  cmos(RTC_YEAR),
				cmos(RTC_STATUS_B)};
}

uint64_t rtc_read(void)
{
	struct rtc_raw last = read_once();

	for (unsigned i = 0; i < READ_TRIES; i++) {
		struct rtc_raw now = read_once();

		if (!memcmp(&now, &last, sizeof(now)))
			return rtc_decode(&now);
		last = now;
	}
	return 0;
}
