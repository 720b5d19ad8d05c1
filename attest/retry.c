/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <time.h>

#include "attest/retry.h"
#include "base/crypto.h"

static uint64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct retry
retry_within(uint32_t timeout_ms, uint32_t first_ms, uint32_t max_ms)
{
	return (struct retry){ now_ms() + timeout_ms, first_ms, max_ms };
}

bool
retry_wait(struct retry *r)
{
	uint8_t rnd = 0;
	struct timespec ts;
	uint64_t t;

	if (random_bytes(&rnd, sizeof(rnd)) != CVM_OK)
		rnd = 0x80;
	t = r->wait_ms / 2 + (uint64_t)r->wait_ms * rnd / 256;
	if (now_ms() + t >= r->deadline_ms)
		return false;
	ts.tv_sec = (time_t)(t / 1000);
	ts.tv_nsec = (long)(t % 1000) * 1000000;
	(void)nanosleep(&ts, NULL);
	if (r->wait_ms < r->max_ms)
		r->wait_ms *= 2;
	return true;
}

bool
retry_helps(int err)
{
	return err == EBUSY || err == EAGAIN || err == EWOULDBLOCK ||
	    err == EINTR || err == ETIMEDOUT;
}
