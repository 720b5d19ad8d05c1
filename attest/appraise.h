/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_APPRAISE_H
#define ATTEST_APPRAISE_H

#include "attest/facts.h"
#include "attest/verdict.h"

struct chain_cache;

/* Everything an appraisal reads: pure, bytes and a time in, verdict out. */
struct appraisal {
	const struct policy *policy;
	const struct evidence *evidence;
	const struct endorsements *endorsements;
	/* What the round asked for; compared in full, in constant time. */
	uint8_t report_data[REPORT_DATA_LEN];
	uint8_t qualifying[QUALIFYING_LEN];
	int64_t now;	    /* judged time, seconds since the epoch */
	uint64_t tee_age_s; /* of the TEE report when the quote was asked for */
	bool allow_simulated;
	bool elsewhere; /* evidence of a machine that is not this one */
	const struct tpm_clock *last_clock; /* or NULL */
	const struct snp_guest *last_guest; /* or NULL */
	const struct seen *seen;	    /* what others verified; or NULL */
	struct chain_cache *cache;	    /* or NULL: everything anew */
};

/*
 * Fills *v (finished). Never fails by itself: whatever cannot be decided is a
 * denial that says why. facts may be NULL.
 */
void appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts);

/* The parts, each in its own file; each decides every check of its group
 * that it reaches, and returns true when it went through to its end. */
bool snp_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts);
bool tdx_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts);
bool tpm_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts);
/* What the paravisor's report adds to the TEE's: HCL-01 to HCL-09. */
bool hcl_appraise(const struct appraisal *a, struct verdict *v);
bool log_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts);
bool ccel_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts);
/* What the log of a TPM and a CCEL of one machine both say: LOG-22. */
bool logs_appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts);

#endif
