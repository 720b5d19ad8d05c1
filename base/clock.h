/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_S 1000000000u
#define NS_PER_MS 1000000u

/* CLOCK_BOOTTIME in nanoseconds: it counts suspended time, and the host does
 * not set it. UINT64_MAX if the kernel has none, so that everything is over. */
uint64_t boottime_ns(void);
/* CLOCK_MONOTONIC in nanoseconds, for waiting. */
uint64_t monotonic_ns(void);

/* A date of the Gregorian calendar, years 1 to 9999, and a time in UTC without
 * leap seconds. */
struct utc_time {
	unsigned year, month, day, hour, minute, second;
};
/* Seconds since 1970; false where there is no such date or time. */
bool utc_seconds(const struct utc_time *u, int64_t *ret);

#endif
