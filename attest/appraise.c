/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/chain_cache.h"
#include "attest/hcl.h"
#include "attest/memo.h"
#include "attest/quote.h"
#include "attest/snp.h"
#include "attest/svsm.h"
#include "attest/tdx.h"

static unsigned
groups_of(const struct policy *p)
{
	unsigned groups = GROUP_SRC | GROUP_COL;

	if (p->tee == TEE_SNP)
		groups |= GROUP_SNP | GROUP_BIND;
	if (p->tee == TEE_TDX)
		groups |= GROUP_TDX | GROUP_BIND;
	if (p->has_tpm)
		groups |= GROUP_TPM | GROUP_BIND_TPM;
	/* The tool verifies these without a quote, too. */
	if (p->tpm.ak_trust == AK_TRUST_AZURE)
		groups |= GROUP_HCL;
	if (p->tpm.ak_trust == AK_TRUST_SVSM)
		groups |= GROUP_SVSM;
	if (p->log.present && p->has_tpm)
		groups |= GROUP_LOG;
	if (policy_reads_ccel(p))
		groups |= p->has_tpm ? GROUP_CCEL | GROUP_LOGS : GROUP_CCEL;
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
	if (!e->simulated && a->elsewhere)
		return verdict_skip(v, CHECK_SRC_02,
			   "that is the machine's own word") &&
		    ok;
	if (!e->simulated)
		return verdict_pass(v, CHECK_SRC_02) && ok;
	v->simulated = true;
	if (a->allow_simulated)
		return verdict_pass_value(v, CHECK_SRC_02,
			   "NOT from the kernel: a SIMULATED source is "
			   "accepted") &&
		    ok;
	return verdict_fail(v, CHECK_SRC_02,
		   "the kernel's configfs and securityfs, owned by root",
		   "a SIMULATED source") &&
	    ok;
}

/*
 * REPORT_DATA as the (verified) report has it. A paravisor puts its runtime
 * data there, and what it was asked for into them: HCL-04 binds the two.
 */
static int
report_data_of(const struct appraisal *a, uint8_t scratch[REPORT_DATA_LEN],
    struct span *ret)
{
	const struct evidence *e = a->evidence;
	struct snp_report snp;
	struct tdx_quote tdx;
	struct why why;
	int r;

	if (a->policy->tpm.ak_trust == AK_TRUST_AZURE) {
		*ret = span(scratch, REPORT_DATA_LEN);
		return hcl_user_data(e, scratch);
	}
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

/*
 * Whoever was admitted once is looked for again: a report of another guest,
 * even one that looks the same, is not of this boot. A reboot, which nothing
 * that remembers survives but in tests, resets the TPM as well.
 */
static void
bind_guest(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	const struct tpm_clock *last = a->last_clock;
	char expected[2 * REPORT_DATA_LEN + 1], got[2 * REPORT_DATA_LEN + 1];
	struct snp_report snp;
	struct why why;

	if (a->evidence->tee != TEE_SNP) {
		(void)verdict_skip(v, CHECK_BIND_04,
		    "a TDX quote does not tell launches apart");
		return;
	}
	if (snp_report_parse(blob_span(&a->evidence->tee_report), &snp, &why) !=
	    CVM_OK)
		return;
	memcpy(facts->guest.report_id, snp.report_id.data, SNP_REPORT_ID_LEN);
	hex_short(snp.report_id, got);
	if (a->last_guest == NULL) {
		(void)verdict_pass_value(v, CHECK_BIND_04, "first report: %s",
		    got);
		return;
	}
	if (a->policy->has_tpm && last != NULL &&
	    facts->clock.reset_count != last->reset_count) {
		(void)verdict_pass_value(v, CHECK_BIND_04, "rebooted: %s", got);
		return;
	}
	hex_short(span(a->last_guest->report_id, SNP_REPORT_ID_LEN), expected);
	(void)verdict_check(v, CHECK_BIND_04,
	    span_equal(snp.report_id,
		span(a->last_guest->report_id, SNP_REPORT_ID_LEN)),
	    expected, "%s", got);
}

static void
bind_tee(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	char expected[2 * REPORT_DATA_LEN + 1], got[2 * REPORT_DATA_LEN + 1];
	struct span rd, want = span(a->report_data, REPORT_DATA_LEN);
	uint8_t scratch[REPORT_DATA_LEN];
	uint8_t over[REPORT_DATA_LEN];
	int r = report_data_of(a, scratch, &rd);

	if (r == CVM_E_NOT_FOUND) {
		(void)verdict_fail(v, CHECK_BIND_01, "user-data",
		    "none: the paravisor is too old for it");
		return;
	}
	if (r == CVM_OK && a->policy->tpm.ak_trust == AK_TRUST_SVSM) {
		r = svsm_report_data(a->report_data,
		    blob_span(&a->evidence->svsm_manifest), over);
		want = span(over, REPORT_DATA_LEN);
	}
	if (r != CVM_OK)
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
	bind_guest(a, v, facts);
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

/*
 * The parts whose evidence serves many rounds. A part sees that evidence and
 * no other, so that it cannot rest on anything that is not in its memo's key:
 * one that reads more has to say so here.
 */
enum {
	READS_TEE = 1 << 0, /* tee, tee_report, tee_aux */
	READS_LOG = 1 << 1, /* event_log, pcrs */
	READS_CCEL = 1 << 2,
};

static const struct part {
	enum check_group group;
	bool (*fn)(const struct appraisal *a, struct verdict *v,
	    struct appraisal_facts *facts);
	unsigned reads;
} parts[] = {
	{ GROUP_SNP, snp_appraise, READS_TEE },
	{ GROUP_TDX, tdx_appraise, READS_TEE },
	{ GROUP_LOG, log_appraise, READS_LOG },
	{ GROUP_CCEL, ccel_appraise, READS_TEE | READS_CCEL },
	{ GROUP_LOGS, logs_appraise, READS_LOG | READS_CCEL },
};

/* What the part reads of e, borrowed. */
static void
evidence_of(const struct part *p, const struct evidence *e,
    struct evidence *ret)
{
	memset(ret, 0, sizeof(*ret));
	if ((p->reads & READS_TEE) != 0) {
		ret->tee = e->tee;
		ret->tee_report = e->tee_report;
		ret->tee_aux = e->tee_aux;
	}
	if ((p->reads & READS_LOG) != 0) {
		ret->event_log = e->event_log;
		ret->pcrs = e->pcrs;
	}
	if ((p->reads & READS_CCEL) != 0)
		ret->ccel = e->ccel;
}

/* Everything that is in a, but its time and its memory. */
static struct memo_key
key_of(const struct part *p, const struct appraisal *a,
    const uint8_t endorsements[static SHA256_LEN])
{
	const struct evidence *e = a->evidence;
	struct memo_key k = { .group = p->group };

	k.parts[k.n++] = span(a->policy->digest, POLICY_DIGEST_LEN);
	if ((p->reads & READS_TEE) != 0) {
		k.parts[k.n++] = span(&e->tee, sizeof(e->tee));
		k.parts[k.n++] = blob_span(&e->tee_report);
		k.parts[k.n++] = blob_span(&e->tee_aux);
		k.parts[k.n++] = span(endorsements, SHA256_LEN);
	}
	if ((p->reads & READS_LOG) != 0) {
		k.parts[k.n++] = blob_span(&e->event_log);
		k.parts[k.n++] = span(&e->pcrs, sizeof(e->pcrs));
	}
	if ((p->reads & READS_CCEL) != 0)
		k.parts[k.n++] = blob_span(&e->ccel);
	return k;
}

static void
appraise_part(const struct part *p, const struct appraisal *a,
    struct verdict *v, struct appraisal_facts *facts)
{
	struct evidence evidence;
	const struct appraisal sub = {
		.policy = a->policy,
		.evidence = &evidence,
		.endorsements = (p->reads & READS_TEE) != 0 ? a->endorsements :
							      NULL,
		.now = a->now,
		.cache = a->cache,
	};
	uint8_t endorsements[SHA256_LEN];
	struct memos *memos = chain_cache_memos(a->cache);
	struct appraisal_facts found;
	struct memo_key key;

	evidence_of(p, a->evidence, &evidence);
	endorsements_digest(sub.endorsements, endorsements);
	key = key_of(p, &sub, endorsements);
	if (memo_recall(memos, &key, a->now, v, facts))
		return;
	facts_init(&found);
	(void)p->fn(&sub, v, &found);
	memo_keep(memos, &key, a->now, v, &found);
	facts_narrow(facts, found.valid_from, found.valid_until);
	facts_newer(facts, found.newest_time);
	(void)seen_merge(&facts->seen, &found.seen);
}

/* After the others, which say what there is and that it is genuine. */
static void
check_memory(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	const struct seen_mark *older, *known = NULL;
	char was[SEEN_TEXT_MAX], is[SEEN_TEXT_MAX], expected[CHECK_VALUE_MAX];

	if (a->seen == NULL) {
		(void)verdict_skip(v, CHECK_COL_01,
		    "nothing is remembered here");
		return;
	}
	older = seen_older(&facts->seen, a->seen, &known);
	if (older == NULL) {
		(void)verdict_pass(v, CHECK_COL_01);
		return;
	}
	facts->older = a->policy->older_collateral;
	if (facts->older) {
		(void)verdict_pass_value(v, CHECK_COL_01,
		    "older, which the policy accepts: %s of %s; seen was %s",
		    older->about, seen_text(older, is), seen_text(known, was));
		return;
	}
	(void)snprintf(expected, sizeof(expected), "%s of %s or later",
	    older->about, seen_text(known, was));
	(void)verdict_fail(v, CHECK_COL_01, expected, "%s",
	    seen_text(older, is));
}

/* Beside the log of a TPM: checks that both logs have are one row each. */
static void
appraise_beside(const struct part *p, const struct appraisal *a,
    struct verdict *v, struct appraisal_facts *facts)
{
	struct verdict *own = malloc(sizeof(*own));

	if (own == NULL) {
		(void)verdict_fail(v, CHECK_LOG_01, "memory for the CCEL",
		    "none");
		return;
	}
	verdict_init(own, p->group);
	appraise_part(p, a, own, facts);
	verdict_merge(v, own, p->group, GROUP_LOG, "CCEL");
	free(own);
}

static void
appraise_all(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	for (size_t i = 0; i < NELEMS(parts); i++) {
		bool beside = parts[i].group == GROUP_CCEL &&
		    (v->groups & GROUP_LOG) != 0;

		if ((v->groups & parts[i].group) != 0)
			(beside ? appraise_beside : appraise_part)(&parts[i], a,
			    v, facts);
	}
	if ((v->groups & GROUP_TPM) != 0)
		(void)tpm_appraise(a, v, facts);
	if ((v->groups & GROUP_HCL) != 0)
		(void)hcl_appraise(a, v);
	if ((v->groups & GROUP_SVSM) != 0)
		(void)svsm_appraise(a, v);
	if ((v->groups & GROUP_BIND) != 0)
		bind_tee(a, v, facts);
	if ((v->groups & GROUP_BIND_TPM) != 0)
		bind_tpm(a, v);
	check_memory(a, v, facts);
}

void
appraise(const struct appraisal *a, struct verdict *v,
    struct appraisal_facts *facts)
{
	_cleanup_(chain_cache_freep) struct chain_cache *own = NULL;
	struct appraisal with_cache = *a;
	struct appraisal_facts scratch;

	/* Also within one appraisal the same things come up again. */
	if (a->cache == NULL)
		with_cache.cache = own = chain_cache_new();
	if (facts == NULL)
		facts = &scratch;
	facts_init(facts);
	verdict_init(v, groups_of(a->policy));
	if (source_appraise(a, v))
		appraise_all(&with_cache, v, facts);
	verdict_finish(v);
}
