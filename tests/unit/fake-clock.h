/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_FAKE_CLOCK_H
#define TESTS_UNIT_FAKE_CLOCK_H

#include "base/clock.h"

/* For programs that are linked with --wrap=boottime_ns: the boot clock, and
 * what was added to it, so that no test waits for its time to pass. */
void fake_clock_pass(uint64_t ms);

#endif
