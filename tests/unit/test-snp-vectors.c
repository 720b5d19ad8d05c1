/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

/*
 * Reports of real machines, and what their manifest says of them. Nothing in
 * here names a file: what is listed is judged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "attest/chain_cache.h"
#include "attest/snp_parts.h"
#include "tests/unit/judged.h"
#include "tests/unit/vectors.h"

#define HCL_AT 0x20 /* of the report in Azure's HCL report */
#define HCL_SNP 2
#define PATH_LEN_MAX 256

static cJSON *manifest;

static int
load_manifest(void **state)
{
	_cleanup_(blob_clear) struct blob b = { 0 };

	(void)state;
	if (manifest != NULL)
		return 0;
	vector_load("MANIFEST.json", &b);
	manifest = cJSON_ParseWithLength((const char *)b.data, b.len);
	assert_non_null(manifest);
	return 0;
}

static int
free_manifest(void **state)
{
	(void)state;
	cJSON_Delete(manifest);
	return 0;
}

static const char *
text(const cJSON *o, const char *name)
{
	const char *s = cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(o, name));

	return s != NULL ? s : "";
}

static const cJSON *
array(const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(manifest, name);
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(&s[n - m], end) == 0;
}

static int64_t
seconds(const char *iso)
{
	struct tm tm = { 0 };

	assert_non_null(strptime(iso, "%Y-%m-%dT%H:%M:%SZ", &tm));
	return (int64_t)timegm(&tm);
}

static bool
is_report(const char *path)
{
	return ends_with(path, ".report.bin") ||
	    ends_with(path, "hcl_report.bin");
}

static bool
is_vek(const char *path)
{
	return ends_with(path, ".vek.der") || ends_with(path, "/vcek.der") ||
	    ends_with(path, "/vlek.der") || ends_with(path, "vcek_chain.pem") ||
	    ends_with(path, "vlek_chain.pem");
}

static bool
is_ca(const char *path)
{
	return strncmp(path, "collateral/amd/", 15) == 0;
}

/* The SNP report in a file, which may be an HCL report; else empty. */
static struct span
report_in(const char *path, struct span file)
{
	if (!ends_with(path, "hcl_report.bin"))
		return file;
	if (file.len < HCL_AT + SNP_REPORT_LEN + 12 ||
	    file.data[HCL_AT + SNP_REPORT_LEN + 8] != HCL_SNP)
		return (struct span){ 0 };
	return span(&file.data[HCL_AT], SNP_REPORT_LEN);
}

static void
read_vek(const char *path, struct cert **ret)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	struct cert *chain[4] = { NULL };
	size_t n = 0;

	vector_load(path, &b);
	if (b.data[0] != '-') {
		assert_int_equal(cert_from_der(blob_span(&b), false, ret), 0);
		return;
	}
	assert_int_equal(certs_from_pem(blob_span(&b), chain, 4, &n), 0);
	*ret = chain[0];
	for (size_t i = 1; i < n; i++)
		cert_freep(&chain[i]);
}

/* The same certificates wherever a line and a kind might look for them. */
static void
add_ca(struct endorsements *e, const char *path)
{
	static const char *const lines[] = { "milan", "genoa", "turin" };
	static const char *const kinds[] = { "ask", "asvk" };
	_cleanup_(blob_clear) struct blob b = { 0 };
	char name[PATH_LEN_MAX];

	vector_load(path, &b);
	for (size_t i = 0; i < NELEMS(lines); i++)
		for (size_t k = 0; k < NELEMS(kinds); k++) {
			bool vlek = strstr(path, "vlek") != NULL;

			if (vlek != (k == 1) || strstr(path, lines[i]) == NULL)
				continue;
			(void)snprintf(name, sizeof(name), "amd/%s/%s.pem",
			    lines[i], kinds[k]);
			assert_int_equal(endorsements_add(e, name,
					     blob_span(&b)),
			    0);
		}
	for (size_t i = 0; i < NELEMS(lines); i++) {
		if (strstr(path, lines[i]) == NULL)
			continue;
		(void)snprintf(name, sizeof(name), "amd/%s/ark.pem", lines[i]);
		if (endorsements_find(e, name).len == 0)
			assert_int_equal(endorsements_add(e, name,
					     blob_span(&b)),
			    0);
	}
}

/* All the collateral that the manifest lists. */
static void
add_all_cas(struct endorsements *e)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, array("files")) {
		if (is_ca(text(f, "path")))
			add_ca(e, text(f, "path"));
	}
}

/* Accepts whatever this report says, so that only its truth is judged. */
struct lax {
	struct policy policy;
	struct blob measurement;
	char csp[256];
	char *csps[1];
};

static void
lax_init(struct lax *l, struct span report, const struct cert *vek)
{
	struct policy_snp *p = &l->policy.snp;
	struct span csp;

	memset(l, 0, sizeof(*l));
	l->policy.tee = TEE_SNP;
	l->policy.has_snp = true;
	p->products = SNP_MILAN | SNP_GENOA | SNP_TURIN;
	p->allow_vcek = p->allow_vlek = p->masked_chip_id = true;
	p->provisional_firmware = true;
	if (report.len == SNP_REPORT_LEN) {
		p->vmpl = report.data[0x30];
		assert_int_equal(blob_set(&l->measurement,
				     span(&report.data[0x90], SHA384_LEN)),
		    0);
		p->measurement = (struct value_list){ &l->measurement, 1 };
	}
	if (snp_ext_csp_id(vek, &csp) == CVM_OK && csp.len < sizeof(l->csp)) {
		memcpy(l->csp, csp.data, csp.len);
		l->csps[0] = l->csp;
		p->csp_id = (struct string_list){ l->csps, 1 };
	}
}

static void
lax_clear(struct lax *l)
{
	blob_clear(&l->measurement);
}

static void
add_vek(struct endorsements *e, struct span report, struct cert *vek)
{
	char name[SNP_VEK_NAME_MAX];
	struct snp_report r;
	const char *fault;

	if (snp_report_read(report, &r, &fault, NULL) == CVM_OK &&
	    snp_vek_name(&r, 0, name) != NULL)
		assert_int_equal(endorsements_add(e, name,
				     blob_span(&vek->der)),
		    0);
}

/* Appraises and tells; at most the first failure is left in why. With an
 * entry of the manifest, the checks that fail are those listed for it. */
static bool
judge_entry(const cJSON *entry, struct span report, struct cert *vek,
    struct endorsements *endorsements, int64_t now,
    char why[static VERDICT_SENTENCE_MAX])
{
	_cleanup_(evidence_clear) struct evidence e = { .tee = TEE_SNP };
	_cleanup_(lax_clear) struct lax lax;
	struct appraisal_facts facts = { 0 };
	struct appraisal a = { .evidence = &e,
		.endorsements = endorsements,
		.now = now };
	struct verdict v;

	lax_init(&lax, report, vek);
	a.policy = &lax.policy;
	add_vek(endorsements, report, vek);
	assert_int_equal(blob_set(&e.tee_report, report), 0);
	verdict_init(&v, GROUP_SNP);
	(void)snp_appraise(&a, &v, &facts);
	verdict_finish(&v);
	(void)verdict_sentence(&v, why, VERDICT_SENTENCE_MAX);
	if (entry != NULL)
		judged_as_listed("snp", entry, &v);
	return v.admit;
}

static bool
judge(struct span report, struct cert *vek, struct endorsements *endorsements,
    int64_t now, char why[static VERDICT_SENTENCE_MAX])
{
	return judge_entry(NULL, report, vek, endorsements, now, why);
}

/* The certificate that belongs to a listed report: same folder, same stem. */
static bool
vek_of(const char *path, char ret[static PATH_LEN_MAX])
{
	const cJSON *f;
	size_t stem = strlen(path);

	if (ends_with(path, ".report.bin"))
		stem -= strlen("report.bin");
	else
		stem -= strlen("hcl_report.bin");
	cJSON_ArrayForEach(f, array("files")) {
		const char *p = text(f, "path");

		if (is_vek(p) && strncmp(p, path, stem) == 0) {
			(void)snprintf(ret, PATH_LEN_MAX, "%s", p);
			return true;
		}
	}
	return false;
}

static void
files_judged_as_listed(void **state)
{
	char vek_path[PATH_LEN_MAX], why[VERDICT_SENTENCE_MAX];
	size_t n = 0;
	const cJSON *f;

	(void)state;
	load_manifest(state);
	cJSON_ArrayForEach(f, array("files")) {
		_cleanup_(blob_clear) struct blob b = { 0 };
		_cleanup_(cert_freep) struct cert *vek = NULL;
		_cleanup_(endorsements_freep) struct endorsements *e = NULL;
		const char *path = text(f, "path");
		struct span report;
		bool admit;

		if (!is_report(path) || !vek_of(path, vek_path))
			continue;
		vector_load(path, &b);
		report = report_in(path, blob_span(&b));
		if (report.len == 0)
			continue;
		read_vek(vek_path, &vek);
		e = endorsements_new();
		add_all_cas(e);
		admit = judge(report, vek, e, seconds(text(f, "verify_time")),
		    why);
		if (admit != (strcmp(text(f, "verdict"), "valid") == 0))
			fail_msg("%s: %s", path, why);
		n++;
	}
	print_message("%zu reports\n", n);
	assert_true(n > 0);
}

/* Any change of a genuine report: all bits of the first, one of every byte of
 * the others. Endorsements and policy stay those of the good. */
static void
flip_report(struct span good, struct cert *vek,
    struct endorsements *endorsements, int64_t now, bool all, const char *path)
{
	_cleanup_(evidence_clear) struct evidence e = { .tee = TEE_SNP };
	_cleanup_(lax_clear) struct lax lax;
	_cleanup_(
	    chain_cache_freep) struct chain_cache *cache = chain_cache_new();
	struct appraisal_facts facts = { 0 };
	struct appraisal a = { .evidence = &e,
		.endorsements = endorsements,
		.now = now,
		.cache = cache };
	struct verdict v;

	lax_init(&lax, good, vek);
	a.policy = &lax.policy;
	assert_int_equal(blob_set(&e.tee_report, good), 0);
	for (size_t i = 0; i <= good.len * 8; i++) {
		uint8_t mask = (uint8_t)(1 << i % 8);
		bool last = i == good.len * 8;

		if (!all && !last && i % 8 != i / 8 % 8)
			continue;
		if (!last)
			e.tee_report.data[i / 8] ^= mask;
		verdict_init(&v, GROUP_SNP);
		(void)snp_appraise(&a, &v, &facts);
		verdict_finish(&v);
		if (v.admit != last)
			fail_msg("%s: byte 0x%zx bit %zu", path, i / 8, i % 8);
		if (!last)
			e.tee_report.data[i / 8] ^= mask;
	}
}

static void
any_bit_flipped(void **state)
{
	const cJSON *f;
	size_t n = 0;

	(void)state;
	load_manifest(state);
	cJSON_ArrayForEach(f, array("files")) {
		_cleanup_(blob_clear) struct blob b = { 0 };
		_cleanup_(cert_freep) struct cert *vek = NULL;
		_cleanup_(endorsements_freep) struct endorsements *e =
		    endorsements_new();
		const char *path = text(f, "path");
		char vek_path[PATH_LEN_MAX];
		struct span report;

		if (!is_report(path) || strcmp(text(f, "verdict"), "valid") ||
		    !vek_of(path, vek_path))
			continue;
		vector_load(path, &b);
		report = report_in(path, blob_span(&b));
		if (report.len == 0)
			continue;
		read_vek(vek_path, &vek);
		add_all_cas(e);
		add_vek(e, report, vek);
		flip_report(report, vek, e, seconds(text(f, "verify_time")),
		    n == 0, path);
		n++;
	}
	print_message("%zu reports\n", n);
	assert_true(n > 0);
}

/* Certificates that are listed as invalid vouch for no report. */
static void
forged_certificates(void **state)
{
	char why[VERDICT_SENTENCE_MAX];
	const cJSON *c, *f;
	size_t n = 0;

	(void)state;
	load_manifest(state);
	cJSON_ArrayForEach(c, array("files")) {
		const char *cert = text(c, "path");

		if (strncmp(cert, "snp/", 4) != 0 || !ends_with(cert, ".der") ||
		    strcmp(text(c, "verdict"), "invalid") != 0)
			continue;
		cJSON_ArrayForEach(f, array("files")) {
			_cleanup_(blob_clear) struct blob b = { 0 };
			_cleanup_(cert_freep) struct cert *vek = NULL;
			_cleanup_(endorsements_freep) struct endorsements *e =
			    endorsements_new();
			const char *path = text(f, "path");

			if (!ends_with(path, ".report.bin"))
				continue;
			vector_load(path, &b);
			read_vek(cert, &vek);
			add_all_cas(e);
			if (judge(blob_span(&b), vek, e,
				seconds(text(c, "verify_time")), why))
				fail_msg("%s by %s", path, cert);
			n++;
		}
	}
	print_message("%zu pairs\n", n);
}

/* Inputs of a case; false when it is not about SNP. */
struct inputs {
	struct blob file;
	struct span report;
	struct cert *vek;
	struct endorsements *e;
};

static void
inputs_clear(struct inputs *in)
{
	blob_clear(&in->file);
	cert_freep(&in->vek);
	endorsements_freep(&in->e);
}

static bool
inputs_load(const cJSON *c, struct inputs *in)
{
	const cJSON *i;
	bool ca = false;

	in->e = endorsements_new();
	cJSON_ArrayForEach(i, cJSON_GetObjectItemCaseSensitive(c, "inputs")) {
		const char *path = cJSON_GetStringValue(i);

		assert_non_null(path);
		if (is_report(path)) {
			vector_load(path, &in->file);
			in->report = report_in(path, blob_span(&in->file));
		} else if (is_vek(path)) {
			read_vek(path, &in->vek);
		} else if (is_ca(path)) {
			add_ca(in->e, path);
			ca = true;
		}
	}
	if (!ca)
		add_all_cas(in->e);
	return in->report.len > 0 && in->vek != NULL;
}

static void
cases_judged_as_listed(void **state)
{
	char why[VERDICT_SENTENCE_MAX];
	size_t n = 0;
	const cJSON *c;

	(void)state;
	load_manifest(state);
	cJSON_ArrayForEach(c, array("cases")) {
		_cleanup_(inputs_clear) struct inputs in = { 0 };
		bool admit;

		if (!inputs_load(c, &in))
			continue;
		admit = judge_entry(c, in.report, in.vek, in.e,
		    seconds(text(c, "verify_time")), why);
		if (admit != (strcmp(text(c, "verdict"), "valid") == 0))
			fail_msg("%s: %s", text(c, "id"), why);
		n++;
	}
	print_message("%zu cases\n", n);
	assert_true(n > 0);
}

static const cJSON *
file_entry(const char *path)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, array("files")) {
		if (strcmp(text(f, "path"), path) == 0)
			return f;
	}
	return NULL;
}

/* True when it was about an SNP report and was refused. */
static bool
mutation_refused(const cJSON *m)
{
	_cleanup_(blob_clear) struct blob b = { 0 }, before = { 0 };
	_cleanup_(cert_freep) struct cert *vek = NULL;
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	char vek_path[PATH_LEN_MAX], why[VERDICT_SENTENCE_MAX];
	const char *base = text(m, "base");
	struct span report;

	if (!is_report(base) || text(m, "expect_reject")[0] == '\0' ||
	    !vek_of(base, vek_path))
		return false;
	vector_load(base, &b);
	assert_int_equal(blob_set(&before, report_in(base, blob_span(&b))), 0);
	judged_edit(m, &b);
	report = report_in(base, blob_span(&b));
	if (before.len == 0 || span_equal(blob_span(&before), report))
		return false; /* not the report was changed */
	read_vek(vek_path, &vek);
	e = endorsements_new();
	add_all_cas(e);
	if (judge_entry(m, report, vek, e,
		seconds(text(file_entry(base), "verify_time")), why))
		fail_msg("%s: %s", base, text(m, "expect_reject"));
	return true;
}

static void
mutations_refused(void **state)
{
	size_t n = 0;
	const cJSON *m;

	(void)state;
	load_manifest(state);
	cJSON_ArrayForEach(m, array("mutations"))
		n += mutation_refused(m);
	print_message("%zu mutations\n", n);
	assert_true(n > 0);
	judged_all("snp");
}

/* The manifest's fields were read by other means: both must agree. */
static void
hex_field(const cJSON *fields, const char *name, struct span v)
{
	char hex[2 * 64 + 1];

	if (text(fields, name)[0] != '\0')
		assert_string_equal(text(fields, name),
		    hex_encode(v, hex, sizeof(hex)));
}

static void
number_field(const cJSON *fields, const char *name, uint64_t v)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(fields, name);

	if (cJSON_IsNumber(n))
		assert_true((uint64_t)n->valuedouble == v);
	else if (cJSON_IsString(n))
		assert_true(strtoull(n->valuestring, NULL, 0) == v);
}

static void
fields_agree(const cJSON *f, const struct snp_report *r)
{
	number_field(f, "version", r->version);
	number_field(f, "guest_svn", r->guest_svn);
	number_field(f, "policy", r->policy);
	number_field(f, "vmpl", r->vmpl);
	number_field(f, "platinfo", r->platform_info);
	number_field(f, "signer_info", r->signer_info);
	hex_field(f, "family_id", r->family_id);
	hex_field(f, "image_id", r->image_id);
	hex_field(f, "current_tcb", r->current_tcb);
	hex_field(f, "reported_tcb", r->reported_tcb);
	hex_field(f, "committed_tcb", r->committed_tcb);
	hex_field(f, "launch_tcb", r->launch_tcb);
	hex_field(f, "report_data", r->report_data);
	hex_field(f, "measurement", r->measurement);
	hex_field(f, "host_data", r->host_data);
	hex_field(f, "id_key_digest", r->id_key_digest);
	hex_field(f, "author_key_digest", r->author_key_digest);
	hex_field(f, "report_id", r->report_id);
	hex_field(f, "chip_id", r->chip_id);
}

static void
fields_as_listed(void **state)
{
	size_t n = 0;
	const cJSON *f;

	(void)state;
	load_manifest(state);
	cJSON_ArrayForEach(f, array("files")) {
		_cleanup_(blob_clear) struct blob b = { 0 };
		const char *path = text(f, "path");
		const cJSON *fields = cJSON_GetObjectItemCaseSensitive(f,
		    "fields");
		struct snp_report r;
		struct span report;

		if (!is_report(path))
			continue;
		vector_load(path, &b);
		report = report_in(path, blob_span(&b));
		if (report.len == 0)
			continue;
		if (ends_with(path, "hcl_report.bin"))
			fields = cJSON_GetObjectItemCaseSensitive(fields,
			    "snp");
		assert_non_null(fields);
		assert_int_equal(snp_report_parse(report, &r, NULL), 0);
		fields_agree(fields, &r);
		n++;
	}
	assert_true(n > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_judged_as_listed),
		cmocka_unit_test(any_bit_flipped),
		cmocka_unit_test(forged_certificates),
		cmocka_unit_test(cases_judged_as_listed),
		cmocka_unit_test(mutations_refused),
		cmocka_unit_test(fields_as_listed),
	};

	return cmocka_run_group_tests_name("snp-vectors", tests, NULL,
	    free_manifest);
}
