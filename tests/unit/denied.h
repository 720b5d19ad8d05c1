/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_DENIED_H
#define TESTS_UNIT_DENIED_H

/*
 * A check that no test has seen deny by itself might as well not be there.
 * denied.def names for every check a program that has a verdict of which it is
 * the only one that failed. Such a program is linked with what sees every
 * verdict_finish(), and is red when a row of its own has not come true, or when
 * it has not seen the check pass as well: one that is skipped where it should
 * judge looks like one that is not asked for. test-verdict sees that no check
 * lacks a row.
 */

/* At the end of main(): failed, or 1 when a row is wanting. */
int denied_end(const char *program, int failed);

#endif
