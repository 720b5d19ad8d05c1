/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "attest/chain_cache.h"
#include "attest/hcl.h"
#include "attest/tdx_parts.h"
#include "tests/unit/judged.h"
#include "tests/unit/vectors.h"

/*
 * Every TDX quote, case and mutation that the vectors' MANIFEST.json names is
 * appraised, under the pinned Intel root, at the time that it gives.
 */
#define LAST_GENUINE CHECK_TDX_19 /* the quote itself */
#define FIRST_COLLATERAL CHECK_TDX_20
#define LAST_COLLATERAL CHECK_TDX_52

static cJSON *manifest;

static void
ok(int r)
{
	assert_int_equal(r, CVM_OK);
}

static const cJSON *
manifest_array(const char *name)
{
	struct blob text = { 0 };

	if (manifest == NULL) {
		vector_load("MANIFEST.json", &text);
		manifest = cJSON_ParseWithLength((const char *)text.data,
		    text.len);
		blob_clear(&text);
	}
	assert_non_null(manifest);
	return cJSON_GetObjectItemCaseSensitive(manifest, name);
}

static const cJSON *
member(const cJSON *o, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(o, name);
}

static const char *
text_of(const cJSON *o, const char *name)
{
	const cJSON *item = member(o, name);

	return cJSON_IsString(item) ? item->valuestring : "";
}

static bool
ends_with(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);

	return a >= b && strcmp(s + a - b, end) == 0;
}

static bool
is_quote(const char *path)
{
	return ends_with(path, ".quote.bin") || ends_with(path, "td_quote.bin");
}

static const cJSON *
file_entry(const char *path)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, manifest_array("files"))
		if (strcmp(text_of(f, "path"), path) == 0)
			return f;
	return NULL;
}

static int64_t
time_of(const char *s)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm));
	return (int64_t)timegm(&tm);
}

/* One appraisal of recorded evidence. */
struct trial {
	struct policy policy;
	struct blob mrtd;
	char *status;
	struct evidence evidence;
	struct endorsements *e;
	struct verdict v;
	bool admitted;
	char fmspc[16];
};

static void
put(struct trial *t, const char *name, struct span data)
{
	if (endorsements_find(t->e, name).len == 0)
		ok(endorsements_add(t->e, name, data));
}

static void
put_text(struct trial *t, const char *name, const char *text)
{
	put(t, name, span(text, strlen(text)));
}

/* Named for the FMSPC of the quote: whoever serves files chooses names. */
static void
put_tcb_info(struct trial *t, struct span body)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "intel/tcbinfo-%s.json", t->fmspc);
	put(t, name, body);
}

static void
put_crl(struct trial *t, struct span der)
{
	struct crl *crl = NULL;
	char issuer[CERT_NAME_MAX];

	ok(crl_from_bytes(der, &crl));
	(void)name_line(crl->issuer, issuer, sizeof(issuer));
	put(t,
	    strstr(issuer, "Root") != NULL ? "intel/root-ca.crl" :
		strstr(issuer, "Processor") != NULL ?
					     "intel/pck-crl-processor.der" :
					     "intel/pck-crl-platform.der",
	    der);
	crl_freep(&crl);
}

static void
put_hex_crl(struct trial *t, const char *hex)
{
	struct blob der = { 0 };

	ok(hex_decode_blob(hex, CRL_BYTES_MAX, &der));
	put_crl(t, blob_span(&der));
	blob_clear(&der);
}

/* A DCAP bundle: the signed strings, their signatures, chains and CRLs. */
static void
put_bundle(struct trial *t, const cJSON *j)
{
	char *body = NULL;

	assert_true(
	    asprintf(&body, "{\"tcbInfo\":%s,\"signature\":\"%s\"}",
		text_of(j, "tcb_info"), text_of(j, "tcb_info_signature")) > 0);
	put_tcb_info(t, span(body, strlen(body)));
	free(body);
	assert_true(
	    asprintf(&body, "{\"enclaveIdentity\":%s,\"signature\":\"%s\"}",
		text_of(j, "qe_identity"),
		text_of(j, "qe_identity_signature")) > 0);
	put_text(t, "intel/qe-identity.json", body);
	free(body);
	put_text(t, "intel/tcbinfo-chain.pem",
	    text_of(j, "tcb_info_issuer_chain"));
	put_text(t, "intel/qe-identity-chain.pem",
	    text_of(j, "qe_identity_issuer_chain"));
	put_hex_crl(t, text_of(j, "root_ca_crl"));
	put_hex_crl(t, text_of(j, "pck_crl"));
}

static void
put_pem(struct trial *t, struct span pem)
{
	struct cert *certs[CHAIN_CERTS_MAX] = { NULL };
	char name[CERT_NAME_MAX];
	size_t n = 0;

	ok(certs_from_pem(pem, certs, NELEMS(certs), &n));
	if (strstr(cert_name(certs[0], name, sizeof(name)), "TCB Signing")) {
		put(t, "intel/tcbinfo-chain.pem", pem);
		put(t, "intel/qe-identity-chain.pem", pem);
	}
	while (n > 0)
		cert_freep(&certs[--n]);
}

/* By content, whatever the file is called. */
static void
put_file(struct trial *t, const char *path)
{
	struct blob data = { 0 };
	cJSON *j;

	vector_load(path, &data);
	j = cJSON_ParseWithLength((const char *)data.data, data.len);
	if (member(j, "tcb_info") != NULL)
		put_bundle(t, j);
	else if (member(j, "tcbInfo") != NULL)
		put_tcb_info(t, blob_span(&data));
	else if (member(j, "enclaveIdentity") != NULL)
		put(t, "intel/qe-identity.json", blob_span(&data));
	else if (memmem(data.data, data.len, "-----BEGIN CERT", 15) != NULL)
		put_pem(t, blob_span(&data));
	else if (ends_with(path, ".der") && strstr(path, "crl") != NULL)
		put_crl(t, blob_span(&data));
	cJSON_Delete(j);
	blob_clear(&data);
}

static void
trial_begin(struct trial *t, struct span quote)
{
	static char up_to_date[] = "UpToDate";
	struct policy_tdx *p = &t->policy.tdx;
	struct intel_chain chain = { 0 };
	struct sgx_extension x;
	struct tdx_quote q;
	struct span der;

	memset(t, 0, sizeof(*t));
	ok(blob_set(&t->evidence.tee_report, quote));
	t->evidence.tee = t->policy.tee = TEE_TDX;
	t->e = endorsements_new();
	t->status = up_to_date;
	p->tcb_status = (struct string_list){ &t->status, 1 };
	p->trailing_bytes = true;
	p->dynamic_platform = p->cached_keys = p->smt = true;
	ok(blob_set(&t->mrtd, span("?", 1)));
	p->mrtd = (struct value_list){ &t->mrtd, 1 };
	(void)snprintf(t->fmspc, sizeof(t->fmspc), "none");
	/* The TD's own value: this is about everything else. */
	if (tdx_quote_parse(quote, &q, NULL) < 0)
		return;
	ok(blob_set(&t->mrtd, q.mrtd));
	if (intel_chain_load(q.pck_chain, "", 3, &chain, NULL) < 0)
		return;
	if (cert_extension(chain.cert[0], "1.2.840.113741.1.13.1", &der) ==
		CVM_OK &&
	    sgx_extension_parse(der, &x, NULL) == CVM_OK)
		(void)hex_encode(span(x.fmspc, 6), t->fmspc, sizeof(t->fmspc));
	intel_chain_clear(&chain);
}

static void
trial_run(struct trial *t, const char *when)
{
	struct appraisal a = { .policy = &t->policy,
		.evidence = &t->evidence,
		.endorsements = t->e,
		.now = time_of(when) };
	struct appraisal_facts facts = { 0 };

	verdict_init(&t->v, GROUP_TDX);
	t->admitted = tdx_appraise(&a, &t->v, &facts);
	verdict_finish(&t->v);
	assert_int_equal(t->admitted, t->v.admit);
}

static void
trial_end(struct trial *t)
{
	evidence_clear(&t->evidence);
	endorsements_freep(&t->e);
	blob_clear(&t->mrtd);
}

static void
say(const char *what, const struct trial *t)
{
	char sentence[VERDICT_SENTENCE_MAX];

	print_message("%s: %s\n", what,
	    verdict_sentence(&t->v, sentence, sizeof(sentence)));
}

static bool
all_passed(const struct verdict *v, enum check_id from, enum check_id to)
{
	for (size_t i = from; i <= (size_t)to; i++)
		if (v->results[i].status != CHECK_PASS &&
		    v->results[i].status != CHECK_SKIPPED)
			return false;
	return true;
}

static bool
any_failed(const struct verdict *v, enum check_id from, enum check_id to)
{
	for (size_t i = from; i <= (size_t)to; i++)
		if (v->results[i].status == CHECK_FAIL)
			return true;
	return false;
}

/* Chains and CRLs of PCS answers are files of their own: those of the time. */
static void
put_pcs_chains(struct trial *t, bool in_2023)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, manifest_array("files")) {
		const char *p = text_of(f, "path");

		if (strstr(p,
			in_2023 ? "signing-chain-2018" :
				  "signing-chain-2025") != NULL ||
		    (in_2023 && strstr(p, "crl-") != NULL))
			put_file(t, p);
	}
}

static void
put_files(struct trial *t, const char *list)
{
	char *copy = strdup(list), *save = NULL;
	bool pcs = strstr(list, "pcs-") != NULL;

	assert_non_null(copy);
	for (char *s = strtok_r(copy, " +", &save); s != NULL;
	     s = strtok_r(NULL, " +", &save)) {
		char path[256];

		(void)snprintf(path, sizeof(path), "%s%s",
		    strchr(s, '/') != NULL ? "" : "collateral/intel/", s);
		put_file(t, path);
	}
	free(copy);
	if (pcs)
		put_pcs_chains(t, strstr(list, "-2023-") != NULL);
}

/* The status that the vectors' own evaluation came to. */
static void
check_status(const struct trial *t, const cJSON *fields, const char *path)
{
	const cJSON *eval = member(fields, "tcb_evaluation");
	const char *status = text_of(eval, "converged_status");
	const char *got = t->v.results[CHECK_TDX_51].got;

	if (status[0] == '\0')
		return;
	if (strstr(status, "no match") != NULL) {
		assert_true(any_failed(&t->v, CHECK_TDX_46, CHECK_TDX_50));
		return;
	}
	if (strncmp(got, status, strlen(status)) != 0 &&
	    !any_failed(&t->v, FIRST_COLLATERAL, CHECK_TDX_40))
		fail_msg("%s: status %s, wanted %s", path, got, status);
}

static void
appraise_file(const cJSON *f)
{
	const char *path = text_of(f, "path");
	const cJSON *fields = member(f, "fields");
	const char *with = text_of(member(fields, "tcb_evaluation"), "with");
	bool valid = strcmp(text_of(f, "verdict"), "valid") == 0;
	bool crypto_valid = valid ||
	    strcmp(text_of(fields, "tee_type"), "0x81") == 0;
	struct blob quote = { 0 };
	struct trial t;

	vector_load(path, &quote);
	trial_begin(&t, blob_span(&quote));
	if (with[0] != '\0')
		put_files(&t, with);
	trial_run(&t, text_of(f, "verify_time"));
	say(path, &t);
	assert_int_equal(all_passed(&t.v, CHECK_TDX_01, LAST_GENUINE),
	    crypto_valid);
	if (crypto_valid)
		check_status(&t, fields, path);
	if (!valid || with[0] == '\0')
		assert_false(t.admitted);
	else if (strstr(text_of(f, "why"), "-> refuse") != NULL)
		assert_false(t.admitted);
	else
		assert_true(t.admitted);
	trial_end(&t);
	blob_clear(&quote);
}

static void
recorded_quotes_are_judged_right(void **state)
{
	const cJSON *f;
	size_t n = 0;

	(void)state;
	cJSON_ArrayForEach(f, manifest_array("files")) {
		if (!is_quote(text_of(f, "path")))
			continue;
		appraise_file(f);
		n++;
	}
	assert_true(n > 0);
}

static void
same(struct span got, const char *hex, const char *name)
{
	char text[2 * 64 + 1];

	assert_true(got.len <= 64);
	(void)hex_encode(got, text, sizeof(text));
	if (hex[0] != '\0' && strcmp(text, hex) != 0)
		fail_msg("%s: %s, wanted %s", name, text, hex);
}

static uint64_t
le64(const uint8_t b[static 8])
{
	uint64_t v = 0;

	for (size_t i = 8; i > 0; i--)
		v = v << 8 | b[i - 1];
	return v;
}

static void
same_le64(uint64_t got, const char *hex, const char *name)
{
	uint8_t b[8];

	if (hex[0] == '\0')
		return;
	ok(hex_decode(hex, b, sizeof(b)));
	if (le64(b) != got)
		fail_msg("%s: %llx, wanted %s", name, (unsigned long long)got,
		    hex);
}

static void
compare_body(const cJSON *b, const struct tdx_quote *q)
{
	const struct {
		const char *name;
		struct span got;
	} rows[] = { { "tee_tcb_svn", q->tee_tcb_svn },
		{ "mr_seam", q->mrseam }, { "mrsigner_seam", q->mrsignerseam },
		{ "seam_attr", q->seam_attributes }, { "mrtd", q->mrtd },
		{ "mrconfigid", q->mrconfigid }, { "mrowner", q->mrowner },
		{ "mrownerconfig", q->mrownerconfig }, { "rtmr0", q->rtmr[0] },
		{ "rtmr1", q->rtmr[1] }, { "rtmr2", q->rtmr[2] },
		{ "rtmr3", q->rtmr[3] }, { "report_data", q->report_data },
		{ "tee_tcb_svn2", q->tee_tcb_svn2 } };

	for (size_t i = 0; i < NELEMS(rows); i++)
		same(rows[i].got, text_of(b, rows[i].name), rows[i].name);
	same_le64(q->td_attributes, text_of(b, "td_attr"), "td_attr");
	same_le64(q->xfam, text_of(b, "xfam"), "xfam");
}

static void
compare_extension(const cJSON *ext, const struct tdx_quote *q)
{
	struct intel_chain chain = { 0 };
	struct sgx_extension x;
	struct span der;
	char name[16];

	ok(intel_chain_load(q->pck_chain, "", 3, &chain, NULL));
	ok(cert_extension(chain.cert[0], "1.2.840.113741.1.13.1", &der));
	ok(sgx_extension_parse(der, &x, NULL));
	same(span(x.ppid, 16), text_of(ext, "1"), "ppid");
	for (int i = 0; i < 16; i++) {
		(void)snprintf(name, sizeof(name), "2.%d", i + 1);
		assert_int_equal(x.components[i], member(ext, name)->valueint);
	}
	assert_int_equal(x.pcesvn, member(ext, "2.17")->valueint);
	same(span(x.cpusvn, 16), text_of(ext, "2.18"), "cpusvn");
	same(span(x.pceid, 2), text_of(ext, "3"), "pceid");
	same(span(x.fmspc, 6), text_of(ext, "4"), "fmspc");
	assert_int_equal(x.type, member(ext, "5")->valueint);
	same(span(x.platform_instance_id, 16), text_of(ext, "6"), "instance");
	assert_int_equal(x.dynamic_platform == FLAG_SET,
	    strcmp(text_of(ext, "7.1"), "ff") == 0);
	assert_int_equal(x.cached_keys == FLAG_SET,
	    strcmp(text_of(ext, "7.2"), "ff") == 0);
	assert_int_equal(x.smt == FLAG_SET,
	    strcmp(text_of(ext, "7.3"), "ff") == 0);
	intel_chain_clear(&chain);
}

static void
fields_are_read_as_recorded(void **state)
{
	const cJSON *f;

	(void)state;
	cJSON_ArrayForEach(f, manifest_array("files")) {
		const cJSON *fields = member(f, "fields");
		const cJSON *ext = member(fields, "sgx_ext");
		struct blob quote = { 0 };
		struct tdx_quote q;

		if (!is_quote(text_of(f, "path")) ||
		    (text_of(fields, "tee_type")[0] != '\0' &&
			strcmp(text_of(fields, "tee_type"), "0x81") != 0))
			continue;
		vector_load(text_of(f, "path"), &quote);
		ok(tdx_quote_parse(blob_span(&quote), &q, NULL));
		compare_body(member(fields, "body"), &q);
		if (ext == NULL)
			ext = member(member(fields, "pck"), "sgx_ext");
		if (ext != NULL)
			compare_extension(ext, &q);
		blob_clear(&quote);
	}
}

/* Intel's look-alike: its own root, DER where PEM belongs, SVNs above 255. */
static void
a_look_alike_is_refused(void **state)
{
	struct blob b = { 0 };
	struct signed_json json;
	struct tcb_info *info = NULL;
	struct why why = { 0 };
	struct trial t;
	const cJSON *f;

	(void)state;
	vector_load("tdx/intel-synthetic/quote.dat", &b);
	trial_begin(&t, blob_span(&b));
	/* All that it brings along does not make its root Intel's. */
	cJSON_ArrayForEach(f, manifest_array("files"))
		if (strncmp(text_of(f, "path"), "tdx/intel-syn", 13) == 0)
			put_file(&t, text_of(f, "path"));
	trial_run(&t, "2026-01-01T00:00:00Z");
	say("intel-synthetic", &t);
	assert_false(t.admitted);
	assert_int_equal(t.v.results[CHECK_TDX_08].status, CHECK_FAIL);
	trial_end(&t);
	blob_clear(&b);
	vector_load("tdx/intel-synthetic/tcbInfo.json", &b);
	ok(signed_json_open(blob_span(&b), "tcbInfo.json", "tcbInfo", &json,
	    &why));
	assert_true(tcb_info_parse(json.text, "tcbInfo.json", &info, &why) < 0);
	assert_string_equal(why.got, "65473");
	blob_clear(&b);
	vector_load("tdx/tdreport-1024.bin", &b);
	trial_begin(&t, blob_span(&b));
	trial_run(&t, "2026-01-01T00:00:00Z");
	assert_int_equal(t.v.results[CHECK_TDX_01].status, CHECK_FAIL);
	trial_end(&t);
	blob_clear(&b);
}

static void
check_expect(const struct trial *t, const cJSON *expect)
{
	const char *status = text_of(expect, "converged_status");
	const cJSON *id, *level = member(expect, "platform_level");
	char date[16];

	if (status[0] == '\0')
		return;
	assert_memory_equal(t->v.results[CHECK_TDX_51].got, status,
	    strlen(status));
	(void)snprintf(date, sizeof(date), "of %.10s",
	    cJSON_GetArrayItem(level, 1)->valuestring);
	assert_non_null(strstr(t->v.results[CHECK_TDX_51].got, date));
	cJSON_ArrayForEach(id, member(expect, "advisories_union"))
		if (strstr(t->v.results[CHECK_TDX_52].got, id->valuestring) ==
		    NULL)
			fail_msg("%s is not in %s", id->valuestring,
			    t->v.results[CHECK_TDX_52].got);
}

/*
 * Cases that list no more than what is wrong: without the rest, which is of
 * about the same time, they would be denied because it is missing.
 */
static const struct rest {
	const char *id, *quote, *collateral, *when;
} rests[] = {
	{ "tcbinfo-2018-signing-cert-in-2026",
	    "tdx/v5-td15-90c06f-2026.quote.bin",
	    "collateral/intel/tdx-90c06f-2026-02.json",
	    "2026-02-20T00:00:00Z" },
	{ "mixed-eval-numbers", "tdx/v5-td15-90c06f-2026.quote.bin",
	    "collateral/intel/tdx-90c06f-2026-02.json",
	    "2026-02-20T00:00:00Z" },
};

static const struct rest *
rest_of(const cJSON *c)
{
	for (size_t i = 0; i < NELEMS(rests); i++)
		if (strcmp(rests[i].id, text_of(c, "id")) == 0)
			return &rests[i];
	return NULL;
}

/* NULL when the case is not about TDX. */
static const char *
quote_of(const cJSON *c)
{
	const struct rest *rest = rest_of(c);
	const cJSON *i;

	cJSON_ArrayForEach(i, member(c, "inputs"))
		if (is_quote(i->valuestring))
			return i->valuestring;
	return rest != NULL ? rest->quote : NULL;
}

static void
run_case(const cJSON *c, const char *quote_path)
{
	const struct rest *rest = rest_of(c);
	const cJSON *input;
	bool valid = strcmp(text_of(c, "verdict"), "valid") == 0;
	bool others = false, collateral = false;
	struct blob quote = { 0 };
	struct trial t;

	vector_load(quote_path, &quote);
	trial_begin(&t, blob_span(&quote));
	cJSON_ArrayForEach(input, member(c, "inputs")) {
		const char *path = input->valuestring;

		if (strncmp(path, "collateral/intel/", 17) == 0)
			put_file(&t, path);
		else
			others |= !is_quote(path);
		collateral |= strncmp(path, "collateral/intel/", 17) == 0 &&
		    ends_with(path, ".json");
	}
	if (rest != NULL) /* what is there already stays */
		put_file(&t, rest->collateral);
	trial_run(&t, rest != NULL ? rest->when : text_of(c, "verify_time"));
	say(text_of(c, "id"), &t);
	judged_as_listed("tdx", c, &t.v);
	if (collateral)
		assert_int_equal(t.admitted, valid);
	else if (valid || others) /* the fault is in the other evidence */
		assert_true(all_passed(&t.v, CHECK_TDX_01, LAST_GENUINE));
	else
		assert_true(any_failed(&t.v, CHECK_TDX_01, LAST_GENUINE));
	check_expect(&t, member(c, "expect"));
	trial_end(&t);
	blob_clear(&quote);
}

static void
recorded_cases_are_judged_right(void **state)
{
	const cJSON *c;
	size_t n = 0;

	(void)state;
	cJSON_ArrayForEach(c, manifest_array("cases")) {
		const char *quote = quote_of(c);

		if (quote == NULL || text_of(c, "verify_time")[0] == '\0')
			continue;
		run_case(c, quote);
		n++;
	}
	assert_true(n > 0);
}

static void
recorded_mutations_are_refused(void **state)
{
	const cJSON *m;
	size_t n = 0;

	(void)state;
	cJSON_ArrayForEach(m, manifest_array("mutations")) {
		const char *base = text_of(m, "base");
		const cJSON *f = file_entry(base);
		struct blob quote = { 0 };
		struct trial t;

		if (!is_quote(base))
			continue;
		vector_load(base, &quote);
		judged_edit(m, &quote);
		trial_begin(&t, blob_span(&quote));
		trial_run(&t, text_of(f, "verify_time"));
		say(text_of(m, "expect_reject"), &t);
		assert_false(t.admitted);
		judged_as_listed("tdx", m, &t.v);
		/* By what the quote itself says, not for want of collateral. */
		assert_true(any_failed(&t.v, CHECK_TDX_01, LAST_GENUINE));
		trial_end(&t);
		blob_clear(&quote);
		n++;
	}
	assert_true(n > 0);
	judged_all("tdx");
}

/*
 * No bit of a genuine quote is free, nor of the zeros behind it: all bits of
 * the first quote of version 5, one of every byte of the others.
 */
static void
flip_quote(struct trial *t, const char *when, bool all, const char *id)
{
	struct chain_cache *cache = chain_cache_new();
	struct appraisal a = { .policy = &t->policy,
		.evidence = &t->evidence,
		.endorsements = t->e,
		.now = time_of(when),
		.cache = cache };
	struct appraisal_facts facts;
	uint8_t *data = t->evidence.tee_report.data;

	for (size_t i = 0; i < t->evidence.tee_report.len * 8; i++) {
		if (!all && i % 8 != i / 8 % 8)
			continue;
		data[i / 8] ^= (uint8_t)(1 << i % 8);
		verdict_init(&t->v, GROUP_TDX);
		facts_init(&facts);
		(void)tdx_appraise(&a, &t->v, &facts);
		verdict_finish(&t->v);
		if (t->v.admit)
			fail_msg("%s: byte %zu bit %zu", id, i / 8, i % 8);
		data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	trial_run(t, when);
	assert_true(t->admitted);
	chain_cache_freep(&cache);
}

static void
any_bit_of_a_recorded_quote_counts(void **state)
{
	bool seen = false;
	const cJSON *c, *input;
	size_t n = 0;

	(void)state;
	cJSON_ArrayForEach(c, manifest_array("cases")) {
		struct blob quote = { 0 };
		struct trial t;

		cJSON_ArrayForEach(input, member(c, "inputs"))
			if (is_quote(input->valuestring))
				vector_load(input->valuestring, &quote);
		trial_begin(&t, blob_span(&quote));
		cJSON_ArrayForEach(input, member(c, "inputs"))
			if (strncmp(input->valuestring, "collateral/intel/",
				17) == 0)
				put_file(&t, input->valuestring);
		if (quote.len > 0 && text_of(c, "verify_time")[0] != '\0') {
			trial_run(&t, text_of(c, "verify_time"));
			t.policy.tdx.trailing_bytes = false;
			if (t.admitted) {
				flip_quote(&t, text_of(c, "verify_time"),
				    quote.data[0] == 5 && !seen,
				    text_of(c, "id"));
				seen |= quote.data[0] == 5;
				n++;
			}
		}
		trial_end(&t);
		blob_clear(&quote);
	}
	print_message("%zu quotes\n", n);
	assert_true(n > 0);
}

/* The member of the first of the set's files that has it. */
static bool
signed_text(const struct endorsements *e, const char *name, const char *what,
    struct span *ret)
{
	struct span body = endorsements_find(e, name);
	struct signed_json json;

	if (body.len == 0)
		return false;
	ok(signed_json_open(body, name, what, &json, NULL));
	*ret = json.text;
	return true;
}

static void
compare_level(const cJSON *recorded, const struct tcb_level *got)
{
	const cJSON *status = cJSON_GetArrayItem(recorded, 0);
	const cJSON *date = cJSON_GetArrayItem(recorded, 1);
	const cJSON *ids = cJSON_GetArrayItem(recorded, 2), *id;
	size_t i = 0;

	if (!cJSON_IsArray(recorded)) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_string_equal(tcb_status_name(got->status), status->valuestring);
	if (cJSON_IsString(date))
		assert_string_equal(got->date, date->valuestring);
	assert_int_equal(got->advisories.n, cJSON_GetArraySize(ids));
	cJSON_ArrayForEach(id, ids)
		assert_string_equal(got->advisories.id[i++], id->valuestring);
}

/* Intel's rules alone, also where a set has no CRL of the time. */
static void
evaluate_file(const cJSON *f)
{
	const cJSON *eval = member(member(f, "fields"), "tcb_evaluation");
	const char *status = text_of(eval, "converged_status");
	struct blob quote = { 0 };
	struct tcb_info *info = NULL;
	struct qe_identity *qe = NULL;
	struct intel_chain chain = { 0 };
	struct sgx_extension x;
	struct tdx_quote q;
	struct tcb_result t;
	struct span der, text;
	struct trial tr;
	char name[64];

	vector_load(text_of(f, "path"), &quote);
	ok(tdx_quote_parse(blob_span(&quote), &q, NULL));
	ok(intel_chain_load(q.pck_chain, "", 3, &chain, NULL));
	ok(cert_extension(chain.cert[0], "1.2.840.113741.1.13.1", &der));
	ok(sgx_extension_parse(der, &x, NULL));
	trial_begin(&tr, blob_span(&quote));
	put_files(&tr, text_of(eval, "with"));
	(void)snprintf(name, sizeof(name), "intel/tcbinfo-%s.json", tr.fmspc);
	assert_true(signed_text(tr.e, name, "tcbInfo", &text));
	ok(tcb_info_parse(text, name, &info, NULL));
	assert_true(signed_text(tr.e, "intel/qe-identity.json",
	    "enclaveIdentity", &text));
	ok(qe_identity_parse(text, "", &qe, NULL));
	tcb_evaluate(&(struct tcb_input){ info, qe, &x, q.tee_tcb_svn,
			 q.tee_tcb_svn2, q.qe.isvsvn },
	    &t);
	print_message("%s: %s\n", text_of(f, "path"),
	    tcb_status_name(t.status));
	if (strstr(status, "no match") != NULL)
		assert_int_equal(t.status, TCB_NOT_SUPPORTED);
	else
		assert_string_equal(tcb_status_name(t.status), status);
	compare_level(member(eval, "tdx_level"), t.platform);
	if (member(eval, "sgx_level") != NULL)
		compare_level(member(eval, "sgx_level"), t.sgx);
	tcb_info_freep(&info);
	qe_identity_freep(&qe);
	intel_chain_clear(&chain);
	trial_end(&tr);
	blob_clear(&quote);
}

static void
levels_are_chosen_as_recorded(void **state)
{
	const cJSON *f;

	(void)state;
	cJSON_ArrayForEach(f, manifest_array("files")) {
		const cJSON *fields = member(f, "fields");

		if (is_quote(text_of(f, "path")) &&
		    member(fields, "tcb_evaluation") != NULL &&
		    strcmp(text_of(fields, "tee_type"), "0x0") != 0)
			evaluate_file(f);
	}
}

#define AZURE "azure/tdx-2026-with-ak-chain/"

static void
load_pcrs(struct pcr_values *v)
{
	struct blob b = { 0 };
	const cJSON *i;
	cJSON *j;

	vector_load(AZURE "pcrs.json", &b);
	j = cJSON_ParseWithLength((const char *)b.data, b.len);
	v->bank = HASH_SHA256;
	cJSON_ArrayForEach(i, member(j, "sha256")) {
		int n = atoi(i->string);

		v->mask |= UINT32_C(1) << n;
		ok(hex_decode(i->valuestring, v->value[n], SHA256_LEN));
	}
	assert_int_equal(v->mask, 0xffffff);
	cJSON_Delete(j);
	blob_clear(&b);
}

/* What was recorded has neither the heads of TPMT_PUBLIC nor of
 * TPMT_SIGNATURE, whose contents are known. */
static void
load_azure(struct evidence *e)
{
	static const uint8_t public[] = { 0, 1, 0, 0x0b, 0, 5, 0, 0x72, 0, 0, 0,
		0x10, 0, 0x14, 0, 0x0b, 8, 0, 0, 0, 0, 0, 1, 0 };
	static const uint8_t signature[] = { 0, 0x14, 0, 0x0b, 1, 0 };
	struct hcl_runtime runtime;
	struct hcl_report report;
	struct blob b = { 0 };

	vector_load(AZURE "hcl_report.bin", &e->hcl_report);
	ok(hcl_report_parse(blob_span(&e->hcl_report), &report, NULL));
	ok(hcl_runtime_parse(report.runtime, &runtime, NULL));
	ok(blob_set(&e->ak_public, span(public, sizeof(public))));
	ok(blob_append(&e->ak_public,
	    span(runtime.modulus, runtime.modulus_len)));
	vector_load(AZURE "tpm_quote.attest", &e->tpm_quote);
	vector_load(AZURE "tpm_quote.sig", &b);
	ok(blob_set(&e->tpm_signature, span(signature, sizeof(signature))));
	ok(blob_append(&e->tpm_signature, blob_span(&b)));
	blob_clear(&b);
	load_pcrs(&e->pcrs);
}

/* The one recorded machine whose evidence is complete: the nonces of its
 * quote and of its paravisor are zero. */
static void
machine_of_azure_as_a_whole(void **state)
{
	struct trial t;
	struct appraisal a = { .now = time_of("2026-06-10T00:00:00Z") };
	struct blob quote = { 0 };
	struct policy *p = &t.policy;

	(void)state;
	vector_load(AZURE "td_quote.bin", &quote);
	trial_begin(&t, blob_span(&quote));
	put_file(&t, "collateral/intel/tdx-90c06f-2026-06.json");
	load_azure(&t.evidence);
	p->has_tdx = p->has_tpm = true;
	p->tpm.ak_trust = AK_TRUST_AZURE;
	p->tpm.bank = HASH_SHA256;
	p->tpm.n_pcr_sets = 1;
	p->tpm.pcr_sets[0].mask = 0x3ff;
	memcpy(p->tpm.pcr_sets[0].value, t.evidence.pcrs.value,
	    sizeof(t.evidence.pcrs.value));
	p->tpm.vm.secure_boot = REQUIRE;
	a.policy = p;
	a.evidence = &t.evidence;
	a.endorsements = t.e;
	appraise(&a, &t.v, NULL);
	if (!t.v.admit)
		say("Azure", &t);
	assert_true(t.v.admit);
	assert_int_equal(t.v.results[CHECK_HCL_07].status, CHECK_PASS);
	a.report_data[63] = 1;
	appraise(&a, &t.v, NULL);
	assert_int_equal(verdict_first_fail(&t.v, &(enum check_id){ 0 }),
	    CHECK_BIND_01);
	a.report_data[63] = 0;
	a.qualifying[0] = 1;
	appraise(&a, &t.v, NULL);
	assert_int_equal(verdict_first_fail(&t.v, &(enum check_id){ 0 }),
	    CHECK_BIND_02);
	blob_clear(&quote);
	trial_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machine_of_azure_as_a_whole),
		cmocka_unit_test(recorded_quotes_are_judged_right),
		cmocka_unit_test(fields_are_read_as_recorded),
		cmocka_unit_test(a_look_alike_is_refused),
		cmocka_unit_test(recorded_cases_are_judged_right),
		cmocka_unit_test(recorded_mutations_are_refused),
		cmocka_unit_test(levels_are_chosen_as_recorded),
		cmocka_unit_test(any_bit_of_a_recorded_quote_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
