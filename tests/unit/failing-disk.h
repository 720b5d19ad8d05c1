/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_FAILING_DISK_H
#define TESTS_UNIT_FAILING_DISK_H

#include "tests/unit/changes.h"

/* Of a group: the token that the changes begin with. */
int disk_start(void **state);
int disk_stop(void **state);
/*
 * Every kind of change, with error from each call in turn that can give it
 * (HARM_FAIL), or from that call on (HARM_FAIL_ON): the change is made, or a
 * clear error is given, nothing has changed, and it works once the disk does.
 */
void all_changes_fail(enum harm harm, int error);

#endif
