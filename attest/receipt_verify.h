/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_RECEIPT_VERIFY_H
#define ATTEST_RECEIPT_VERIFY_H

#include "attest/bundle.h"
#include "attest/receipt.h"

/*
 * Verifies a receipt log anywhere. Pure: bytes and times in, results out.
 * A log may be given in several files, the oldest first; each must outlive the
 * verifier's next receipts_begin() or free.
 */
struct receipt_verifier;

struct receipt_options {
	/* NULL: the chain and the proofs only, evidence is not appraised. */
	const struct policy *policy;
	const struct endorsements *extra; /* the verifier's own, or NULL */
	bool allow_simulated;
	int64_t at; /* when to judge; 0: at each round's own time */
	/* Lines in their order, as far as they are whole; verdict is that of a
	 * round's appraisal, else NULL. good: a round or admission that the
	 * evidence proves and the policy admits. */
	void (*seen)(void *arg, const char *where, const struct receipt *r,
	    const struct verdict *verdict, bool good);
	void *arg;
};

struct receipt_counts {
	uint64_t lines, rounds, admissions, operations;
	uint64_t denied;      /* rounds that the machine denied */
	uint64_t unreachable; /* rounds without evidence */
	uint64_t refused;     /* admitted there, but not by this policy */
	uint64_t missed;      /* rounds that gaps say are missing */
	uint64_t torn;	      /* bytes that gaps say were cut off */
	bool continued;	      /* the first file is not the first of its log */
	uint8_t first_prev[SHA256_LEN], head[SHA256_LEN];
};

/* o outlives the verifier. */
int receipts_new(const struct receipt_options *o,
    struct receipt_verifier **ret) _must_check_;
void receipts_freep(struct receipt_verifier **v);
/*
 * One file. CVM_E_CORRUPT: not what was written; why names line and member.
 * A round that the policy refuses does not end it: see receipts_refusal().
 */
int receipts_verify(struct receipt_verifier *v, struct span log,
    const char *name, struct why *reterr_why) _must_check_;
const struct receipt_counts *receipts_counts(const struct receipt_verifier *v);
/* The first round that was admitted there and is refused here, or err 0. */
const struct why *receipts_refusal(const struct receipt_verifier *v);
/* True when a line has this hash: the log was not cut before it. */
bool receipts_has_head(const struct receipt_verifier *v,
    const uint8_t head[static SHA256_LEN]);

#endif
