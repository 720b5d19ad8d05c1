/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_TDX_BENCH_H
#define TESTS_UNIT_TDX_BENCH_H

#include "attest/appraise.h"
#include "tests/unit/tdx-maker.h"

/* An appraisal of what the maker made. */
struct bench {
	struct tdx_spec spec;
	struct tdx_made made;
	struct policy policy;
	struct blob root, mrtd;
	char *status, *advisories[8];
	struct evidence evidence;
	struct endorsements *endorsements;
	struct appraisal a;
	struct appraisal_facts facts;
	struct verdict v;
	/* What an edit makes point at its own values. */
	struct blob value;
	bool no_roots;
};

/* A spec and a policy that accepts it, to be changed before bench_make(). */
void bench_begin(struct bench *b, unsigned version);
/* Makes quote and collateral, and names the root in the policy. */
void bench_make(struct bench *b);
/* Appraises; returns whether it admits. */
bool bench_appraise(struct bench *b);
void bench_end(struct bench *b);
/* Prints the checks that failed. */
void print_failed(const struct verdict *v);

#endif
