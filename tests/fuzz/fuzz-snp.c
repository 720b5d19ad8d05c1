/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "attest/appraise.h"
#include "attest/snp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
say(void *arg, const char *name, const char *value)
{
	if (arg == NULL || name[0] == '\0' || value[0] == '\0')
		__builtin_trap();
}

/* A report, then the host's certificate table. Nothing may be admitted. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = size < SNP_REPORT_LEN ? size : SNP_REPORT_LEN;
	struct policy policy = { .tee = TEE_SNP };
	_cleanup_(evidence_clear) struct evidence e = { .tee = TEE_SNP };
	struct appraisal a = { .policy = &policy, .evidence = &e };
	struct appraisal_facts facts = { 0 };
	struct snp_report r;
	struct verdict v;

	if (blob_set(&e.tee_report, span(data, n)) != 0 ||
	    blob_set(&e.tee_aux, span(data + n, size - n)) != 0)
		return 0;
	verdict_init(&v, GROUP_SNP);
	if (snp_appraise(&a, &v, &facts) || facts.newest_time != 0)
		__builtin_trap();
	if (snp_report_parse(span(data, n), &r, NULL) == 0)
		snp_report_list(&r, say, &n);
	return 0;
}
