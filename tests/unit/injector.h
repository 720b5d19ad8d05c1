/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_INJECTOR_H
#define TESTS_UNIT_INJECTOR_H

#include <stdbool.h>

/*
 * Lets one call of a kind fail: memory, OpenSSL, or SQLite. A program that is
 * linked with injector.c is linked with --wrap for all that it wraps
 * (meson.build: injected), and may wrap more of its own with WRAP().
 */
enum injected {
	INJECT_MEMORY,
	INJECT_EVP,
	INJECT_SQLITE,
	INJECT_SQLITE_MEMORY,
	INJECT_TPM,
};

extern struct injector {
	bool on, reached;
	enum injected kind;
	int code; /* that SQLite's calls, or the TPM's, give */
	unsigned at, seen;
} injector;

/* What SQLite's calls fail with. */
extern const struct sqlite_code {
	int code;
	const char *name;
} sqlite_codes[5];

/* The at-th (1, 2, ...) call of that kind fails from now on, once. */
void inject(enum injected kind, int code, unsigned at);
/* Stops counting; returns what injector.on was, for the way back. */
bool inject_pause(void);
/* In a wrapper: true when it is this call's turn to fail. */
bool inject_due(enum injected kind);

/* A wrapper that gives fail when it is due. */
#define WRAP(kind, type, name, fail, params, args)                             \
	type __real_##name params;                                             \
	type __wrap_##name params;                                             \
	type __wrap_##name params                                              \
	{                                                                      \
		if (inject_due(kind))                                          \
			return fail;                                           \
		return __real_##name args;                                     \
	}

#endif
