/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdatomic.h>

#include "tests/unit/fake-clock.h"

static _Atomic uint64_t passed_ns;

uint64_t __real_boottime_ns(void);
uint64_t __wrap_boottime_ns(void);

uint64_t
__wrap_boottime_ns(void)
{
	return __real_boottime_ns() + atomic_load(&passed_ns);
}

void
fake_clock_pass(uint64_t ms)
{
	(void)atomic_fetch_add(&passed_ns, ms * NS_PER_MS);
}
