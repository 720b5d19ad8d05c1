/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_TEMPLATES_H
#define TESTS_UNIT_TEMPLATES_H

#include "base/pkcs11.h"

/* Templates. A value of a few bytes stands in the expression itself. */
#define BOOL_ATTR(type, v)                                                     \
	{                                                                      \
		type, (CK_BBOOL[]){ v }, sizeof(CK_BBOOL)                      \
	}
#define ULONG_ATTR(type, v)                                                    \
	{                                                                      \
		type, (CK_ULONG[]){ v }, sizeof(CK_ULONG)                      \
	}
#define BYTES_ATTR(type, v)                                                    \
	{                                                                      \
		type, v, sizeof(v)                                             \
	}
#define TEXT_ATTR(type, v)                                                     \
	{                                                                      \
		type, (char[]){ v }, sizeof(v) - 1                             \
	}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static CK_BYTE __attribute__((unused))
p256[] = { 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
static CK_BYTE __attribute__((unused))
p384[] = { 0x06, 5, 0x2b, 0x81, 4, 0, 34 };
static CK_BYTE __attribute__((unused))
p521[] = { 0x06, 5, 0x2b, 0x81, 4, 0, 35 };
static CK_BYTE __attribute__((unused))
secp256k1[] = { 0x06, 5, 0x2b, 0x81, 4, 0, 10 };
static CK_BYTE __attribute__((unused)) ed25519[] = { 0x13, 12, 'e', 'd', 'w',
	'a', 'r', 'd', 's', '2', '5', '5', '1', '9' };
static CK_BYTE __attribute__((unused)) ed448[] = { 0x06, 3, 0x2b, 101, 113 };
static CK_BYTE __attribute__((unused))
x25519[] = { 0x13, 10, 'c', 'u', 'r', 'v', 'e', '2', '5', '5', '1', '9' };
static CK_BYTE __attribute__((unused)) x448[] = { 0x06, 3, 0x2b, 101, 111 };

#endif
