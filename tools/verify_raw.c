/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "attest/hcl.h"
#include "attest/quote.h"
#include "attest/snp.h"
#include "attest/svsm.h"
#include "attest/tdx.h"
#include "tools/collateral_sort.h"
#include "tools/evidence_files.h"
#include "tools/text.h"
#include "tools/tool.h"
#include "tools/verify.h"

#define CERT_FILE_MAX (64 * 1024)
#define TPM_FILE_MAX 8192
#define PCRS_FILE_MAX (64 * 1024)

/* Evidence in files, and what it is compared with. */
struct raw {
	const struct tool *t;
	struct evidence e;
	struct policy *policy;
	struct endorsements *endorsements;
	struct appraisal a;
	bool own_policy; /* none was given: genuineness alone */
	struct verdict v;
};

static const char *
option_name(enum option_id id)
{
	return option_table[id].name;
}

static void
raw_clear(struct raw *r)
{
	evidence_clear(&r->e);
	policy_freep(&r->policy);
	endorsements_freep(&r->endorsements);
}

bool
verify_is_raw(const struct tool *t)
{
	return t->n_operands == 0;
}

/* What makes no sense without what. */
static const struct {
	enum option_id option, needs;
} needs[] = {
	{ OPT_CERTS, OPT_REPORT },
	{ OPT_VEK, OPT_REPORT },
	{ OPT_CA, OPT_REPORT },
	{ OPT_REPORT_DATA, OPT_REPORT },
	{ OPT_CCEL, OPT_REPORT },
	{ OPT_SVSM_MANIFEST, OPT_REPORT },
	{ OPT_QUOTE, OPT_SIGNATURE },
	{ OPT_QUOTE, OPT_AK_PUBLIC },
	{ OPT_QUOTE, OPT_PCR_VALUES },
	{ OPT_SIGNATURE, OPT_QUOTE },
	{ OPT_AK_PUBLIC, OPT_QUOTE },
	{ OPT_AK_CERT, OPT_QUOTE },
	{ OPT_PCR_VALUES, OPT_QUOTE },
	{ OPT_QUALIFYING, OPT_QUOTE },
	{ OPT_EVENT_LOG, OPT_QUOTE },
};

/* A bundle has its own: what is given would not be looked at. */
const char *
verify_raw_only(const struct tool *t)
{
	for (size_t i = 0; i < NELEMS(needs); i++) {
		if (t->opt[needs[i].option] != NULL)
			return option_name(needs[i].option);
		if (t->opt[needs[i].needs] != NULL)
			return option_name(needs[i].needs);
	}
	return t->opt[OPT_HCL_REPORT] != NULL ? option_name(OPT_HCL_REPORT) :
						NULL;
}

static int
check_options(const struct raw *r, struct why *why)
{
	const char *const *opt = r->t->opt;

	if (opt[OPT_REPORT] == NULL && opt[OPT_QUOTE] == NULL &&
	    opt[OPT_EVENT_LOG] == NULL && opt[OPT_HCL_REPORT] == NULL)
		return why_set(why, CVM_E_INVAL, "evidence", "",
		    "a bundle, or --report FILE, or --quote FILE", "none");
	if (opt[OPT_HCL_REPORT] != NULL && opt[OPT_SVSM_MANIFEST] != NULL)
		return why_set(why, CVM_E_INVAL, option_name(OPT_SVSM_MANIFEST),
		    "", "not beside --hcl-report: a vTPM has one owner",
		    "given");
	for (size_t i = 0; i < NELEMS(needs); i++) {
		if (opt[needs[i].option] == NULL || opt[needs[i].needs] != NULL)
			continue;
		/* The paravisor's report has one in it. */
		if (needs[i].needs == OPT_REPORT && opt[OPT_HCL_REPORT] != NULL)
			continue;
		return why_set(why, CVM_E_INVAL, option_name(needs[i].option),
		    "", option_name(needs[i].needs), "not given");
	}
	return CVM_OK;
}

static const struct input {
	enum option_id option;
	size_t max;
	size_t at; /* of the blob in struct evidence */
	bool is_2b;
} inputs[] = {
	{ OPT_REPORT, EVIDENCE_TEE_MAX, offsetof(struct evidence, tee_report),
	    false },
	{ OPT_CERTS, EVIDENCE_AUX_MAX, offsetof(struct evidence, tee_aux),
	    false },
	{ OPT_QUOTE, TPM_FILE_MAX, offsetof(struct evidence, tpm_quote), true },
	{ OPT_SIGNATURE, TPM_FILE_MAX, offsetof(struct evidence, tpm_signature),
	    false },
	{ OPT_AK_PUBLIC, TPM_FILE_MAX, offsetof(struct evidence, ak_public),
	    true },
	{ OPT_AK_CERT, CERT_FILE_MAX, offsetof(struct evidence, ak_cert),
	    false },
	{ OPT_EVENT_LOG, EVIDENCE_LOG_MAX, offsetof(struct evidence, event_log),
	    false },
	{ OPT_CCEL, EVIDENCE_LOG_MAX, offsetof(struct evidence, ccel), false },
	{ OPT_HCL_REPORT, HCL_REPORT_MAX, offsetof(struct evidence, hcl_report),
	    false },
	{ OPT_SVSM_MANIFEST, SVSM_MANIFEST_MAX,
	    offsetof(struct evidence, svsm_manifest), false },
};

/* The SNP report in the paravisor's; of a TD there is a TDREPORT, which only
 * the machine itself could verify. */
static int
unwrap_hcl(struct raw *r, struct why *why)
{
	struct hcl_report hcl;
	int err = hcl_report_parse(blob_span(&r->e.hcl_report), &hcl, why);

	if (err != CVM_OK)
		return err;
	if (hcl.type != HCL_SNP)
		return why_set(why, CVM_E_INVAL, option_name(OPT_REPORT), "",
		    "the quote of the TD whose TDREPORT --hcl-report has",
		    "not given");
	r->e.tee = TEE_SNP;
	err = blob_set(&r->e.tee_report, hcl.hardware);
	return err == CVM_OK ? CVM_OK : why_set(why, err, "", "", "", "");
}

static int
read_inputs(struct raw *r, struct why *why)
{
	for (size_t i = 0; i < NELEMS(inputs); i++) {
		const char *path = r->t->opt[inputs[i].option];
		char *base = (char *)&r->e;
		struct blob *b = (struct blob *)(void *)(base + inputs[i].at);
		int err;

		if (path == NULL)
			continue;
		err = evidence_file(path, inputs[i].max, b, why);
		if (err != CVM_OK)
			return err;
		if (inputs[i].is_2b)
			evidence_unwrap_2b(b);
	}
	if (r->t->opt[OPT_REPORT] == NULL)
		return r->e.hcl_report.len > 0 ? unwrap_hcl(r, why) : CVM_OK;
	return evidence_tee_kind(blob_span(&r->e.tee_report),
	    r->t->opt[OPT_REPORT], &r->e.tee, why);
}

/* The values that the quote selects, in its bank. */
static int
read_pcrs(struct raw *r, struct why *why)
{
	_cleanup_(blob_clear) struct blob json = { 0 };
	const char *path = r->t->opt[OPT_PCR_VALUES];
	struct tpm_quote q;
	enum hash_alg bank;
	int err;

	if (path == NULL)
		return CVM_OK;
	err = quote_parse(blob_span(&r->e.tpm_quote), &q, why);
	if (err != CVM_OK)
		return err;
	if (tpm_hash_alg(q.bank_alg, &bank) != CVM_OK ||
	    (bank != HASH_SHA256 && bank != HASH_SHA384))
		return why_setf(why, CVM_E_UNSUPPORTED, r->t->opt[OPT_QUOTE],
		    "bank", "sha256 or sha384", "%04x", q.bank_alg);
	err = evidence_file(path, PCRS_FILE_MAX, &json, why);
	return err != CVM_OK ? err :
			       evidence_pcrs(blob_span(&json), path, bank,
				   q.pcr_mask, &r->e.pcrs, why);
}

/* Certificates that lie about as files: under every name that the appraisal
 * looks for; which of them fits, the certificates themselves say. */
static int
add_file(struct raw *r, enum option_id option, const char *const *names,
    size_t n, struct why *why)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	const char *path = r->t->opt[option];
	int err;

	if (path == NULL)
		return CVM_OK;
	err = evidence_file(path, CERT_FILE_MAX, &b, why);
	for (size_t i = 0; err == CVM_OK && i < n; i++) {
		err = endorsements_add(r->endorsements, names[i],
		    blob_span(&b));
		if (err == CVM_E_EXISTS)
			return why_set(why, CVM_E_INVAL, option_name(option),
			    names[i], "one file", "another in --collateral");
	}
	return err;
}

static int
read_endorsements(struct raw *r, struct why *why)
{
	static const char *const cas[] = { "amd/milan/ask.pem",
		"amd/genoa/ask.pem", "amd/turin/ask.pem", "amd/milan/asvk.pem",
		"amd/genoa/asvk.pem", "amd/turin/asvk.pem",
		"amd/venice/ask.pem", "amd/venice/asvk.pem" };
	const char *dir = r->t->opt[OPT_COLLATERAL];
	char name[SNP_VEK_NAME_MAX];
	const char *const vek[] = { name };
	struct snp_report report;
	int err = CVM_OK;

	if (dir != NULL)
		err = collateral_load(dir, &r->endorsements, why);
	else if ((r->endorsements = endorsements_new()) == NULL)
		err = CVM_E_NOMEM;
	if (err == CVM_OK)
		err = add_file(r, OPT_CA, cas, NELEMS(cas), why);
	if (err != CVM_OK || r->t->opt[OPT_VEK] == NULL)
		return err;
	err = snp_report_parse(blob_span(&r->e.tee_report), &report, why);
	if (err != CVM_OK || snp_vek_name(&report, 0, name) == NULL)
		return err;
	return add_file(r, OPT_VEK, vek, 1, why);
}

/*
 * Without a policy: one that asks for nothing, over what the evidence itself
 * says. What it would have governed is not judged.
 */
static int
make_policy(struct raw *r, struct why *why)
{
	struct policy *p = calloc(1, sizeof(*p));
	struct pcr_set *set;

	if (p == NULL)
		return why_set(why, CVM_E_NOMEM, "policy", "", "", "");
	r->policy = p;
	r->own_policy = true;
	p->tee = r->e.tee;
	p->has_snp = p->tee == TEE_SNP;
	p->has_tdx = p->tee == TEE_TDX;
	p->snp.products = SNP_MILAN | SNP_GENOA | SNP_TURIN | SNP_VENICE;
	p->snp.allow_vcek = p->snp.allow_vlek = p->snp.masked_chip_id = true;
	p->tdx.trailing_bytes = true;
	p->has_tpm = r->e.tpm_quote.len > 0;
	p->tpm.ak_trust = r->e.hcl_report.len > 0 ? AK_TRUST_AZURE :
	    r->e.svsm_manifest.len > 0		  ? AK_TRUST_SVSM :
						    AK_TRUST_PINNED;
	p->tpm.bank = r->e.pcrs.bank;
	p->tpm.n_pcr_sets = 1;
	set = &p->tpm.pcr_sets[0];
	set->mask = r->e.pcrs.mask;
	memcpy(set->value, r->e.pcrs.value, sizeof(set->value));
	p->log.present = p->has_tpm ? r->e.event_log.len > 0 :
				      r->e.ccel.len > 0;
	return CVM_OK;
}

static int
refuse_evidence(enum option_id option, bool wanted, struct why *why)
{
	return why_set(why, CVM_E_INVAL, option_name(option), "",
	    wanted ? "given: the policy asks for it" :
		     "not given: the policy does not look at it",
	    wanted ? "not given" : "given");
}

/* All that the policy judges is there, and nothing that it would ignore. */
static int
check_evidence(const struct raw *r, struct why *why)
{
	const struct policy *p = r->policy;
	const bool azure = p->tpm.ak_trust == AK_TRUST_AZURE;
	const struct {
		enum option_id option;
		bool wanted;
	} rows[] = {
		{ OPT_HCL_REPORT, azure },
		{ OPT_SVSM_MANIFEST, p->tpm.ak_trust == AK_TRUST_SVSM },
		{ OPT_REPORT, p->tee == TEE_SNP || p->tee == TEE_TDX },
		{ OPT_QUOTE, p->has_tpm },
		{ OPT_EVENT_LOG, p->log.present && p->has_tpm },
		{ OPT_CCEL, policy_reads_ccel(p) },
	};

	for (size_t i = 0; i < NELEMS(rows); i++) {
		bool given = r->t->opt[rows[i].option] != NULL;

		if (rows[i].option == OPT_REPORT && azure)
			given = r->e.tee_report.len > 0;
		/* A policy that does without reads one that there is. */
		if (rows[i].option == OPT_CCEL && rows[i].wanted &&
		    p->has_tpm && p->log.ccel == CCEL_PRESENT)
			continue;
		if (rows[i].wanted != given)
			return refuse_evidence(rows[i].option, rows[i].wanted,
			    why);
	}
	return CVM_OK;
}

/* An expected value of exactly len bytes; else what the evidence has. */
static int
expect(const struct raw *r, enum option_id option, uint8_t *out, size_t len,
    struct span own, struct why *why)
{
	const char *hex = r->t->opt[option];

	if (hex == NULL) {
		if (own.len == len)
			memcpy(out, own.data, len);
		return CVM_OK;
	}
	return hex_decode(hex, out, len) == CVM_OK ?
	    CVM_OK :
	    why_setf(why, CVM_E_INVAL, option_name(option), "",
		len == REPORT_DATA_LEN ? "64 bytes in hex" : "32 bytes in hex",
		"%zu characters", strlen(hex));
}

/* Empty where it cannot be read, which has its own check. */
static struct span
own_report_data(const struct evidence *e, uint8_t scratch[REPORT_DATA_LEN])
{
	struct span bytes = blob_span(&e->tee_report);
	struct snp_report snp;
	struct tdx_quote tdx;

	if (e->hcl_report.len > 0)
		return span(scratch,
		    hcl_user_data(e, scratch) == CVM_OK ? REPORT_DATA_LEN : 0);
	if (e->tee == TEE_SNP && snp_report_parse(bytes, &snp, NULL) == CVM_OK)
		return snp.report_data;
	if (e->tee == TEE_TDX && tdx_quote_parse(bytes, &tdx, NULL) == CVM_OK)
		return tdx.report_data;
	return span(NULL, 0);
}

static int
expect_all(struct raw *r, struct why *why)
{
	struct span data = { 0 }, extra = { 0 };
	uint8_t scratch[REPORT_DATA_LEN];
	struct tpm_quote q;
	int err;

	data = own_report_data(&r->e, scratch);
	if (r->e.tpm_quote.len > 0 &&
	    quote_parse(blob_span(&r->e.tpm_quote), &q, NULL) == CVM_OK)
		extra = q.extra_data;
	err = expect(r, OPT_REPORT_DATA, r->a.report_data, REPORT_DATA_LEN,
	    data, why);
	return err != CVM_OK ? err :
			       expect(r, OPT_QUALIFYING, r->a.qualifying,
				   QUALIFYING_LEN, extra, why);
}

static void
not_judged(struct verdict *v, enum check_id id, const char *reason)
{
	struct check_result *c = &v->results[id];

	if (c->status == CHECK_NOT_APPLICABLE)
		return;
	*c = (struct check_result){ .status = CHECK_SKIPPED };
	(void)snprintf(c->got, sizeof(c->got), "not judged: %s", reason);
}

/* Of what a policy governs these are what makes evidence genuine. */
static bool
is_genuineness(const struct raw *r, enum check_id id)
{
	static const char *const fields[] = { "", "tee", "snp.roots", "snp.crl",
		"tdx.roots", "event_log", "event_log.unlogged_rtmrs",
		"event_log.ccel" };

	for (size_t i = 0; i < NELEMS(fields); i++)
		if (strcmp(check_table[id].field, fields[i]) == 0)
			return true;
	/* That the paravisor names the key that signed the quote. */
	return id == CHECK_TPM_12 ||
	    (id == CHECK_HCL_06 && r->e.tpm_quote.len > 0);
}

static void
judge(struct raw *r)
{
	const char *const *opt = r->t->opt;

	appraise(&r->a, &r->v, /* facts= */ NULL);
	for (enum check_id id = 0; r->own_policy && id < CHECK_COUNT; id++)
		if (!is_genuineness(r, id))
			not_judged(&r->v, id, "there is no policy");
	if (opt[OPT_REPORT_DATA] == NULL)
		not_judged(&r->v, CHECK_BIND_01, "no --report-data");
	if (opt[OPT_QUALIFYING] == NULL)
		not_judged(&r->v, CHECK_BIND_02, "no --qualifying");
	not_judged(&r->v, CHECK_SRC_02, "read from files");
	/* The age of a report is known to who asked for it. */
	not_judged(&r->v, CHECK_BIND_03, "a file has no age");
	verdict_finish(&r->v);
}

/* Was everything judged that an answer needs? A reason why not, or NULL. */
static const char *
open_question(const struct raw *r)
{
	const char *const *opt = r->t->opt;

	if (!r->v.admit)
		return verdict_lacks(&r->v) ? NO_ENDORSEMENTS : NULL;

	if (r->own_policy)
		return "genuine, as far as it was judged; without --policy "
		       "nothing says whether this is the machine that you want";
	if (r->e.tee_report.len > 0 && opt[OPT_REPORT_DATA] == NULL)
		return "REPORT_DATA was not compared (--report-data): this may "
		       "be an old report, or one about another key";
	if (opt[OPT_QUOTE] != NULL && opt[OPT_QUALIFYING] == NULL)
		return "qualifyingData was not compared (--qualifying): this "
		       "may be an old quote";
	/* A paravisor and a service module name the key in the report. */
	if (opt[OPT_QUOTE] != NULL && r->e.tee_report.len > 0 &&
	    r->policy->tpm.ak_trust != AK_TRUST_AZURE &&
	    r->policy->tpm.ak_trust != AK_TRUST_SVSM)
		return "nothing in these files says that report and quote are "
		       "one machine's (a bundle does)";
	return NULL;
}

static void
print_files(const struct raw *r)
{
	for (size_t i = 0; i < NELEMS(inputs); i++) {
		const char *path = r->t->opt[inputs[i].option];

		if (path != NULL)
			(void)printf("%-12s %s\n",
			    option_name(inputs[i].option), path);
	}
}

static int
report(const struct raw *r)
{
	const char *doubt = open_question(r);
	int status = doubt != NULL ? EXIT_TROUBLE :
	    r->v.admit		   ? EXIT_OK :
				     EXIT_DENY;
	static const char *const words[] = { "admit", "deny", "cannot-tell" };
	bool all = r->t->opt[OPT_ALL] != NULL;
	int printed;
	cJSON *root;

	if (r->t->opt[OPT_JSON] != NULL) {
		root = json_verdict(&r->v);
		(void)cJSON_ReplaceItemInObject(root, "admit",
		    cJSON_CreateBool(status == EXIT_OK));
		if (doubt != NULL)
			(void)cJSON_ReplaceItemInObject(root, "sentence",
			    cJSON_CreateString(doubt));
		(void)cJSON_AddStringToObject(root, "answer", words[status]);
		(void)cJSON_AddStringToObject(root, "judged",
		    r->own_policy ? "genuineness" : "policy");
		printed = print_json(root);
	} else {
		print_files(r);
		if (doubt == NULL)
			print_verdict(stdout, &r->v, all);
		else
			print_checks(stdout, &r->v, all);
		if (doubt != NULL)
			(void)printf("cannot tell: %s\n", doubt);
		printed = print_end();
	}
	return printed != EXIT_OK ? printed : status;
}

static int
load(struct raw *r, struct why *why)
{
	const char *policy = r->t->opt[OPT_POLICY];
	int err;

	if ((err = check_options(r, why)) != CVM_OK ||
	    (err = read_inputs(r, why)) != CVM_OK ||
	    (err = read_pcrs(r, why)) != CVM_OK ||
	    (err = read_endorsements(r, why)) != CVM_OK ||
	    (err = policy != NULL ? policy_load_named(policy, &r->policy, why) :
				    make_policy(r, why)) != CVM_OK ||
	    (err = check_evidence(r, why)) != CVM_OK)
		return err;
	/* SEV without SNP has no report: the log says what it is (LOG-08). */
	if (r->e.tee == TEE_NONE && r->policy->tee == TEE_SEV)
		r->e.tee = TEE_SEV;
	return expect_all(r, why);
}

int
verify_raw(const struct tool *t, int64_t now)
{
	_cleanup_(raw_clear) struct raw r = { .t = t };
	struct why why = { 0 };
	int err;

	if ((err = load(&r, &why)) != CVM_OK) {
		(void)tool_fail(err, &why);
		return EXIT_TROUBLE;
	}
	r.a.policy = r.policy;
	r.a.evidence = &r.e;
	r.a.endorsements = r.endorsements;
	r.a.now = now;
	r.a.elsewhere = true;
	judge(&r);
	return report(&r);
}
