/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_FAULTY_CALLS_H
#define TESTS_UNIT_FAULTY_CALLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/cleanup.h"
#include "tests/unit/injector.h"
#include "tests/unit/scene.h"

/*
 * For programs that call the module with faults: a table of calls, the errors
 * that PKCS#11 has for a fault, and complaints. Included by the
 * program's one file.
 */
struct more {
	const char *name;
	CK_RV (*begin)(void);
	CK_RV (*call)(void);
	CK_RV want; /* without a fault */
};

static const CK_RV rv_of_fault[] = { CKR_HOST_MEMORY, CKR_DEVICE_MEMORY,
	CKR_DEVICE_ERROR, CKR_FUNCTION_FAILED, CKR_GENERAL_ERROR };

static unsigned complaints; /* of this test */

static inline const char *
name_of_kind(void)
{
	switch (injector.kind) {
	case INJECT_EVP:
		return "OpenSSL";
	case INJECT_SQLITE:
		return injector.code == SQLITE_BUSY ? "SQLite (busy)" :
						      "SQLite";
	default:
		return "memory";
	}
}

static inline void __attribute__((format(printf, 1, 2)))
complain(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (complaints++ < 20)
		print_message("# fault %u of %s: %s\n", injector.at,
		    name_of_kind(), text);
}

/* What OpenSSL cannot tell from wrong data, one says of the data. */
static const struct {
	const char *name; /* has that in it */
	CK_RV rv;
} rv_of_data[] = {
	{ "Decrypt", CKR_ENCRYPTED_DATA_INVALID },
	{ "DecryptMessage", CKR_AEAD_DECRYPT_FAILED },
	{ "DeriveKey", CKR_MECHANISM_PARAM_INVALID },
	{ "DeriveKey", CKR_DOMAIN_PARAMS_INVALID },
	{ "GenerateKeyPair", CKR_CURVE_NOT_SUPPORTED },
	{ "Unwrap", CKR_WRAPPED_KEY_INVALID },
	{ "Verify", CKR_SIGNATURE_INVALID },
};

static inline bool
is_of_fault(const char *name, CK_RV rv)
{
	for (size_t i = 0; i < NELEMS(rv_of_fault); i++)
		if (rv_of_fault[i] == rv)
			return true;
	for (size_t i = 0; i < NELEMS(rv_of_data); i++)
		if (rv_of_data[i].rv == rv &&
		    strstr(name, rv_of_data[i].name) != NULL)
			return true;
	return false;
}

static inline void
begin(const struct more *m)
{
	CK_RV rv = m->begin != NULL ? m->begin() : CKR_OK;

	if (rv != CKR_OK)
		complain("%s: what precedes it: 0x%lx", m->name, rv);
}

#define STEP(name, call)                                                       \
	static CK_RV name(void)                                                \
	{                                                                      \
		return call;                                                   \
	}

#endif
