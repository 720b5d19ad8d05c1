/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/appraise.h"
#include "attest/quote.h"
#include "attest/snp.h"
#include "attest/tdx.h"

static unsigned
groups_of(const struct policy *p)
{
	unsigned groups = GROUP_SRC;

	if (p->tee == TEE_SNP)
		groups |= GROUP_SNP | GROUP_BIND;
	if (p->tee == TEE_TDX)
		groups |= GROUP_TDX | GROUP_BIND;
	if (p->has_tpm)
		groups |= GROUP_TPM | GROUP_BIND_TPM;
	if (p->log.present)
		groups |= p->has_tpm ? GROUP_LOG : GROUP_CCEL;
	return groups;
}

/* SRC: a report of the wrong kind must not be parsed as the right one. */
static bool
source_appraise(const struct appraisal *a, struct verdict *v)
{
	const struct evidence *e = a->evidence;
	bool wants = a->policy->tee == TEE_SNP || a->policy->tee == TEE_TDX;
	bool ok;

	ok = verdict_check(v, CHECK_SRC_01,
	    e->tee == a->policy->tee && wants == (e->tee_report.len > 0),
	    tee_kind_name(a->policy->tee), "%s%s", tee_kind_name(e->tee),
	    e->tee_report.len > 0 ? " with a report" : " without a report");
	if (!e->simulated)
		return verdict_pass(v, CHECK_SRC_02) && ok;
	v->simulated = true;
	return verdict_check(v, CHECK_SRC_02, a->allow_simulated,
		   "the kernel's configfs and securityfs, owned by root",
		   "a SIMULATED source") &&
	    ok;
}

/* REPORT_DATA as the (verified) report has it. */
static int
report_data_of(const struct evidence *e, struct span *ret)
{
	struct snp_report snp;
	struct tdx_quote tdx;
	struct why why;
	int r;

	if (e->tee == TEE_SNP) {
		if ((r = snp_report_parse(blob_span(&e->tee_report), &snp,
			 &why)) != CVM_OK)
			return r;
		*ret = snp.report_data;
		return CVM_OK;
	}
	if ((r = tdx_quote_parse(blob_span(&e->tee_report), &tdx, &why)) !=
	    CVM_OK)
		return r;
	*ret = tdx.report_data;
	return CVM_OK;
}

static void
hex_short(struct span s, char out[static 2 * REPORT_DATA_LEN + 1])
{
	if (s.len > REPORT_DATA_LEN)
		s.len = REPORT_DATA_LEN;
	(void)hex_encode(s, out, 2 * REPORT_DATA_LEN + 1);
}

static void
bind_tee(const struct appraisal *a, struct verdict *v)
{
	char expected[2 * REPORT_DATA_LEN + 1], got[2 * REPORT_DATA_LEN + 1];
	struct span rd, want = span(a->report_data, REPORT_DATA_LEN);

	if (report_data_of(a->evidence, &rd) != CVM_OK)
		return; /* stays not run: denied by the parser's own check */
	hex_short(want, expected);
	hex_short(rd, got);
	(void)verdict_check(v, CHECK_BIND_01, span_equal(rd, want), expected,
	    "%s", got);
	/* A report taken in the same second as the quote has age 0. */
	(void)snprintf(expected, sizeof(expected), "at most %u s",
	    a->policy->tee_report_max_age_s);
	(void)verdict_check(v, CHECK_BIND_03,
	    a->tee_age_s <= a->policy->tee_report_max_age_s, expected, "%llu s",
	    (unsigned long long)a->tee_age_s);
}

static void
bind_tpm(const struct appraisal *a, struct verdict *v)
{
	char expected[2 * REPORT_DATA_LEN + 1], got[2 * REPORT_DATA_LEN + 1];
	struct span want = span(a->qualifying, QUALIFYING_LEN);
	struct tpm_quote q;
	struct why why;

	if (quote_parse(blob_span(&a->evidence->tpm_quote), &q, &why) != CVM_OK)
		return;
	hex_short(want, expected);
	hex_short(q.extra_data, got);
	(void)verdict_check(v, CHECK_BIND_02, span_equal(q.extra_data, want),
	    expected, "%s", got);
}

void
appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	struct appraisal_facts scratch;

	if (facts == NULL)
		facts = &scratch;
	memset(facts, 0, sizeof(*facts));
	verdict_init(v, groups_of(a->policy));
	if (source_appraise(a, v)) {
		if ((v->groups & GROUP_SNP) != 0)
			(void)snp_appraise(a, v, facts);
		if ((v->groups & GROUP_TDX) != 0)
			(void)tdx_appraise(a, v, facts);
		if ((v->groups & GROUP_TPM) != 0)
			(void)tpm_appraise(a, v, facts);
		if ((v->groups & GROUP_BIND) != 0)
			bind_tee(a, v);
		if ((v->groups & GROUP_BIND_TPM) != 0)
			bind_tpm(a, v);
		if ((v->groups & GROUP_LOG) != 0)
			(void)log_appraise(a, v, facts);
		if ((v->groups & GROUP_CCEL) != 0)
			(void)ccel_appraise(a, v, facts);
	}
	verdict_finish(v);
}
