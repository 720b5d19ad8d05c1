/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_ASKED_H
#define TESTS_UNIT_ASKED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attest/verdict.h"
#include "conf/policy.h"

/*
 * A check that denied asks for something: where the same policy admits, it has
 * to have been passed. Who says "skipped" of it would let a reader of the
 * verdict believe that nobody looked.
 */
static struct policy asked_policy;
static bool asked_checks[CHECK_COUNT];

static inline void
asked_denied(const struct policy *p, enum check_id id)
{
	if (memcmp(&asked_policy, p, sizeof(*p)) != 0)
		memset(asked_checks, 0, sizeof(asked_checks));
	memcpy(&asked_policy, p, sizeof(*p));
	asked_checks[id] = true;
}

static inline void
asked_admitted(const struct policy *p, const struct verdict *v)
{
	if (memcmp(&asked_policy, p, sizeof(*p)) != 0)
		return;
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (asked_checks[i] && v->results[i].status != CHECK_PASS)
			fail_msg("%s: %s, where it denied before",
			    check_table[i].name,
			    check_status_name(v->results[i].status));
}

/* Before evidence of which the policy asks less. */
static inline void
asked_forget(void)
{
	memset(asked_checks, 0, sizeof(asked_checks));
}

#endif
