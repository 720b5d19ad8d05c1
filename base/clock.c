/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <time.h>

#include "base/clock.h"

uint64_t
boottime_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_BOOTTIME, &ts) != 0)
		return UINT64_MAX;
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static bool
is_leap(unsigned year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01 to the first of a month of the Gregorian calendar. */
static int64_t
days_before(unsigned year, unsigned month)
{
	static const unsigned before[] = { 0, 31, 59, 90, 120, 151, 181, 212,
		243, 273, 304, 334 };
	int64_t y = (int64_t)year - 1;
	int64_t days = y * 365 + y / 4 - y / 100 + y / 400 - 719162;

	return days + before[month - 1] + (month > 2 && is_leap(year));
}

static unsigned
days_in(unsigned year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
		30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

bool
utc_seconds(const struct utc_time *u, int64_t *ret)
{
	if (u->year < 1 || u->year > 9999 || u->month < 1 || u->month > 12 ||
	    u->day < 1 || u->day > days_in(u->year, u->month) || u->hour > 23 ||
	    u->minute > 59 || u->second > 59)
		return false;
	*ret = (days_before(u->year, u->month) + u->day - 1) * 86400 +
	    u->hour * 3600 + u->minute * 60 + u->second;
	return true;
}
