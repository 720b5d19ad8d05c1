/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_EVERYTHING_H
#define TESTS_UNIT_EVERYTHING_H

#include <stddef.h>

#include "base/pkcs11.h"

/*
 * Every entry point behind one type, called with NULL wherever a pointer is
 * expected, and with h as its slot or session.
 */
enum entry_kind { ON_MODULE, ON_SLOT, ON_SESSION, NOT_OFFERED, LEGACY };

struct entry_point {
	const char *name;
	CK_RV (*call)(CK_ULONG h);
	enum entry_kind kind;
};

extern const struct entry_point everything[];
extern const size_t n_everything;

#endif
