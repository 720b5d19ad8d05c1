/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_FACTS_H
#define ATTEST_FACTS_H

#include "attest/seen.h"

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

/* What is known after an appraisal that passed its signatures. */
struct appraisal_facts {
	struct tpm_clock clock;
	struct snp_guest guest; /* zero without an SNP report */
	uint8_t ak_name[TPM_NAME_MAX];
	size_t ak_name_len;
	int64_t newest_time; /* latest thisUpdate/issueDate in verified
				collateral, 0 when there is none */
	struct seen seen;    /* each of verified collateral */
	bool older; /* one is older than known, and the policy accepts it */
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

#endif
