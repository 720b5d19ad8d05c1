/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_APPRAISE_H
#define ATTEST_APPRAISE_H

#include "attest/evidence.h"
#include "attest/verdict.h"

/* TPMS_CLOCK_INFO of a verified quote; forward only. */
struct tpm_clock {
	uint64_t clock; /* ms */
	uint32_t reset_count, restart_count;
	bool safe;
};

/* REPORT_ID: random at every launch of a guest, constant until its end. */
#define SNP_REPORT_ID_LEN 32
struct snp_guest {
	uint8_t report_id[SNP_REPORT_ID_LEN];
};

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
	struct chain_cache *cache;	    /* or NULL: everything anew */
};

/* What is known after an appraisal that passed its signatures. */
struct appraisal_facts {
	struct tpm_clock clock;
	struct snp_guest guest; /* zero without an SNP report */
	uint8_t ak_name[TPM_NAME_MAX];
	size_t ak_name_len;
	int64_t newest_time; /* latest thisUpdate/issueDate in verified
				collateral, 0 when there is none */
	/* Of the TEE's and the log's part: as long as no date that was judged
	 * changes its answer. Empty (from > until) when one is over. */
	int64_t valid_from, valid_until;
};

/* Nothing known: every time is as good as the other. */
void facts_init(struct appraisal_facts *f);
/* The answer depends on dates that hold from from to until. */
void facts_narrow(struct appraisal_facts *f, int64_t from, int64_t until);
/* Verified collateral is of this time. */
void facts_newer(struct appraisal_facts *f, int64_t time);

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

#endif
