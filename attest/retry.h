/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_RETRY_H
#define ATTEST_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* Attempts within a time limit, further and further apart. */
struct retry {
	uint64_t deadline_ms;	  /* CLOCK_MONOTONIC */
	uint32_t wait_ms, max_ms; /* before the next one; at most */
};

/* Begins now: the first wait is about first_ms, and each doubles to max_ms. */
struct retry retry_within(uint32_t timeout_ms, uint32_t first_ms,
    uint32_t max_ms);
/* Sleeps before the next attempt, half of the time at random: callers must not
 * march in step. False when it would begin after the deadline. */
bool retry_wait(struct retry *r);
/* Is this errno worth another request? The host throttles, or somebody came
 * in between. */
bool retry_helps(int err);

#endif
