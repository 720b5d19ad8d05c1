/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_SEEN_H
#define ATTEST_SEEN_H

#include "attest/chain.h"

/*
 * The newest issue that was seen of each thing that its issuer replaces from
 * time to time: a CRL, TCB info, QE identity. Older ones stay genuine, and
 * current for a month, so that who brings them could hide a revocation or a
 * TCB recovery; only who remembers the newer one can tell.
 */
#define SEEN_MAX 32
#define SEEN_ABOUT_MAX 64

struct seen_mark {
	uint8_t id[SHA256_LEN]; /* of the thing, whichever the issue */
	uint64_t number;	/* tcbEvaluationDataNumber; 0: it has none */
	int64_t time; /* thisUpdate, issueDate; seconds since the epoch */
	char about[SEEN_ABOUT_MAX]; /* for people; empty when not known */
};

/* In rising order of the ids. A full one forgets what is oldest. */
struct seen {
	struct seen_mark v[SEEN_MAX];
	size_t n;
};

/* Takes a mark, unless one of its id is there that is as new. Issues follow on
 * each other by number, then by time: Intel counts the same number in all CRLs.
 * True when s changed. */
bool seen_raise(struct seen *s, const struct seen_mark *m);
/* All of from; true when to changed. */
bool seen_merge(struct seen *to, const struct seen *from);
/* The first of found that is older than what is known, which *ret_known is
 * then; NULL: none. */
const struct seen_mark *seen_older(const struct seen *found,
    const struct seen *known, const struct seen_mark **ret_known);

/* The CRLs of a chain that verifies, to s. Lists of one issuer for others
 * (issuingDistributionPoint) are things of their own. */
int seen_crls(const struct chain *c, struct seen *s) _must_check_;
/* Anything else: tag and fields say what it is (base/tuple.h). */
int seen_id(const char *tag, const struct span *fields, size_t n,
    uint8_t ret[static SHA256_LEN]) _must_check_;

/* "2026-06-08T11:32:35Z, number 18" */
#define SEEN_TEXT_MAX 64
const char *seen_text(const struct seen_mark *m,
    char buf[static SEEN_TEXT_MAX]);

#endif
