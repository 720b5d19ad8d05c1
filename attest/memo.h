/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_MEMO_H
#define ATTEST_MEMO_H

#include "attest/facts.h"
#include "attest/verdict.h"

/*
 * What a part of an appraisal found, for as long as it would find the same: a
 * TEE report serves many rounds, and so does a log. The key is everything
 * that the part reads, compared byte for byte, and the interval in which no
 * date in it changes the answer. Only groups all of whose checks passed, or
 * were skipped, are kept: a denial is found anew each time. Holds MEMO_MAX
 * answers. Not thread-safe.
 */
#define MEMO_MAX 4
#define MEMO_PARTS_MAX 6

struct memos;

struct memo_key {
	enum check_group group;
	struct span parts[MEMO_PARTS_MAX];
	size_t n;
};

struct memos *memos_new(void);
void memos_freep(struct memos **m);

/* Fills in the checks of the group and narrows facts; false: not known. m may
 * be NULL. */
bool memo_recall(struct memos *m, const struct memo_key *key, int64_t now,
    struct verdict *v, struct appraisal_facts *facts);
/* Keeps what the part found; facts are the part's own. Nothing is kept where
 * a check failed or was not reached, nor out of the facts' validity. */
void memo_keep(struct memos *m, const struct memo_key *key, int64_t now,
    const struct verdict *v, const struct appraisal_facts *facts);
/* How often an answer came from memory; for tests and benchmarks. */
size_t memo_recalls(const struct memos *m);

#endif
