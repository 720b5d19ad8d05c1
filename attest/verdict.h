/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_VERDICT_H
#define ATTEST_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Groups of checks; an appraisal says which of them apply. */
enum check_group {
	GROUP_SRC = 1 << 0,
	GROUP_BIND = 1 << 1,	 /* a TEE report is part of the evidence */
	GROUP_BIND_TPM = 1 << 2, /* a TPM quote is part of the evidence */
	GROUP_SNP = 1 << 3,
	GROUP_TDX = 1 << 4,
	GROUP_TPM = 1 << 5,
	GROUP_LOG = 1 << 6, /* TCG event log */
	GROUP_CCEL = 1 << 7,
	GROUP_HCL = 1 << 8, /* Azure's paravisor */
	GROUP_SVSM = 1 << 9,
	GROUP_LOGS = 1 << 10, /* TCG event log and CCEL of one boot */
	GROUP_COL = 1 << 11,  /* collateral, beside what is remembered */
};

enum check_id {
#define CHECK(id, name, group, title, reads, field) CHECK_##id,
#include "attest/checks.def"
#undef CHECK
	CHECK_COUNT
};

enum check_status {
	CHECK_NOT_RUN = 0, /* not reached: never an admission */
	CHECK_PASS,
	CHECK_FAIL,
	CHECK_SKIPPED, /* the policy does not ask */
	CHECK_NOT_APPLICABLE,
};

struct check_info {
	const char *name; /* "SNP-12" */
	enum check_group group;
	const char *title;
	const char *reads;
	const char *field; /* policy field, or "" */
};

extern const struct check_info check_table[CHECK_COUNT];

#define CHECK_VALUE_MAX 200

struct check_result {
	enum check_status status;
	bool absent; /* of a fail: an endorsement that is not at hand */
	char expected[CHECK_VALUE_MAX]; /* of a fail: what was allowed */
	char got[CHECK_VALUE_MAX];	/* what was found; a skip: why */
};

/*
 * What an appraisal says. It admits only when every check of every group that
 * applies was run and none failed: a check that was forgotten denies.
 */
struct verdict {
	bool admit;	 /* set by verdict_finish() only */
	bool simulated;	 /* evidence of a simulated machine was accepted */
	unsigned groups; /* the groups that apply */
	struct check_result results[CHECK_COUNT];
};

void verdict_init(struct verdict *v, unsigned groups);

/* Each returns true for pass or skip, false for fail, so that checks chain.
 * A check that has failed stays failed. */
bool verdict_pass(struct verdict *v, enum check_id id);
/* Pass, and remember the value for people ("PCR 4 = ..."). */
bool verdict_pass_value(struct verdict *v, enum check_id id, const char *fmt,
    ...) _printf_(3, 4);
bool verdict_skip(struct verdict *v, enum check_id id, const char *reason);
bool verdict_fail(struct verdict *v, enum check_id id, const char *expected,
    const char *fmt, ...) _printf_(4, 5);
/* A fail that says nothing against the evidence: an endorsement, without which
 * this cannot be judged, is not at hand. */
bool verdict_absent(struct verdict *v, enum check_id id, const char *expected,
    const char *fmt, ...) _printf_(4, 5);
/* pass when ok, else fail with expected/got. */
bool verdict_check(struct verdict *v, enum check_id id, bool ok,
    const char *expected, const char *fmt, ...) _printf_(5, 6);
/* pass or fail from a why: expected and got are taken from it. A fail by
 * CVM_E_NOT_FOUND is one of verdict_absent(). */
bool verdict_from_why(struct verdict *v, enum check_id id, int r,
    const struct why *why);

/*
 * Takes the results of group from another verdict. A check that v has of the
 * groups in also stays one row with the worse of both results, whose words say
 * by what the other one is called.
 */
void verdict_merge(struct verdict *v, const struct verdict *from,
    enum check_group group, unsigned also, const char *called);

/* Decides: marks rows of other groups not applicable, sets v->admit. */
void verdict_finish(struct verdict *v);

/* Whether all that failed is what verdict_absent() says: then the evidence is
 * not admitted, and nothing is known against it either. */
bool verdict_lacks(const struct verdict *v);

/* The first failed check (CHECK_COUNT when there is none, or when the verdict
 * denies only because something was not run: then see *ret_not_run). */
enum check_id verdict_first_fail(const struct verdict *v,
    enum check_id *ret_not_run);

/* One sentence: "denied: TPM-09 PCR values are accepted: PCR 4 expected .. got
 * .. (policy field tpm.pcr_sets)"; or "admitted: 47 checks passed, 3 skipped".
 */
#define VERDICT_SENTENCE_MAX 900
const char *verdict_sentence(const struct verdict *v, char *buf, size_t len);
/* Fills why (CVM_E_DENIED) from the first failed check. Returns CVM_E_DENIED.*/
int verdict_why(const struct verdict *v, struct why *why);

const char *check_status_name(enum check_status s); /* "pass" */
/* The check of that public name ("SNP-12"), or CHECK_COUNT. */
enum check_id check_find(const char *name);

#endif
