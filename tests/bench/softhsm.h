/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_BENCH_SOFTHSM_H
#define TESTS_BENCH_SOFTHSM_H

#include <stdbool.h>

#include "base/pkcs11.h"

/* SoftHSM2, to be measured beside us: a token in a directory of its own, and a
 * session where the user is logged in. */
struct softhsm {
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session;
	char dir[32];
};

/* False: it is not installed. CVM_SOFTHSM may name its library. Anything else
 * that fails ends the program. */
bool softhsm_start(struct softhsm *s);
/* Removes the token with its directory. */
void softhsm_stop(struct softhsm *s);

#endif
