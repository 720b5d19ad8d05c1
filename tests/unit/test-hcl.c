/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "attest/derive.h"
#include "attest/hcl.h"
#include "tests/unit/azure-maker.h"
#include "tests/unit/denied.h"
#include "tests/unit/judged.h"
#include "tests/unit/quote-maker.h"
#include "tests/unit/vectors.h"

/* The paravisor's report: made here, and recorded on Azure. */

static void
put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static bool
judge(struct azure *z)
{
	appraise(&z->a, &z->v, NULL);
	return z->v.admit;
}

static void
say(const struct azure *z)
{
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (z->v.results[i].status == CHECK_FAIL)
			print_error("%s: expected %s, got %s\n",
			    check_table[i].name, z->v.results[i].expected,
			    z->v.results[i].got);
}

static void
accepted(struct azure *z)
{
	char text[VERDICT_SENTENCE_MAX];

	if (judge(z))
		return;
	say(z);
	fail_msg("%s", verdict_sentence(&z->v, text, sizeof(text)));
}

/* By this check, and no other would have objected. */
static void
denied_by(struct azure *z, enum check_id id)
{
	bool admitted = judge(z);

	for (size_t i = 0; i < CHECK_COUNT; i++)
		if ((z->v.results[i].status == CHECK_FAIL) != (i == id)) {
			say(z);
			fail_msg("expected %s alone", check_table[id].name);
		}
	assert_false(admitted);
	assert_true(z->v.results[id].expected[0] != '\0');
	assert_true(z->v.results[id].got[0] != '\0');
}

#define AZURE(z) _cleanup_(azure_free) struct azure *z = azure_new()

static void
machine_of_azure_refused(void **state)
{
	(void)state;
	for (uint32_t version = 1; version <= 2; version++)
		for (uint32_t alg = 1; alg <= 3; alg++) {
			AZURE(z);

			z->plan.alg = alg;
			z->plan.version = version;
			azure_build(z);
			accepted(z);
			assert_int_equal(z->v.results[CHECK_HCL_06].status,
			    CHECK_PASS);
			assert_int_equal(z->v.results[CHECK_TPM_11].status,
			    CHECK_PASS);
			assert_int_equal(z->v.results[CHECK_HCL_07].status,
			    CHECK_SKIPPED);
		}
}

/* Without the group nothing of it is asked, and a forgotten check denies. */
static void
report_missing_or_of_another_kind(void **state)
{
	AZURE(z);

	(void)state;
	azure_build(z);
	accepted(z);
	blob_clear(&z->e.hcl_report);
	denied_by(z, CHECK_HCL_01);
	azure_make_hcl(z);
	accepted(z);
	put_le32(z->e.hcl_report.data + RUNTIME_AT + 8, HCL_TDX);
	denied_by(z, CHECK_HCL_02);
}

static void
report_of_another_machine(void **state)
{
	AZURE(z);

	(void)state;
	z->plan.other_hardware = true;
	azure_build(z);
	denied_by(z, CHECK_HCL_03);
}

static void
runtime_data_changed(void **state)
{
	AZURE(z);
	AZURE(y);

	(void)state;
	z->plan.stale = true;
	azure_build(z);
	denied_by(z, CHECK_HCL_04);
	/* The hash of all of the JSON, and zero behind it. */
	azure_build(y);
	y->e.hcl_report.data[JSON_AT + strlen(y->json) - 2] ^= 0x20;
	assert_false(judge(y));
	assert_int_equal(y->v.results[CHECK_HCL_04].status, CHECK_FAIL);
}

static void
key_of_another_vtpm(void **state)
{
	AZURE(z);
	AZURE(y);

	(void)state;
	z->plan.other_key = true;
	azure_build(z);
	denied_by(z, CHECK_HCL_06);
	y->plan.exponent = 65539;
	azure_build(y);
	denied_by(y, CHECK_HCL_06);
}

static void
keys_without_one_that_signs(void **state)
{
#define AK(ops, kty, e, n)                                                     \
	"{\"kid\":\"HCLAkPub\",\"key_ops\":" ops ",\"kty\":" kty ",\"e\":" e   \
	",\"n\":" n "}"
#define GOOD AK("[\"sign\"]", "\"RSA\"", "\"AQAB\"", "\"mUK7\"")
	static const char *const keys[] = { "[]", "{}", "null", "[1]",
		"[" GOOD "," GOOD "]", "[{\"kid\":\"HCLEkPub\"}]",
		"[{\"kid\":\"HCLAkPub\"}]",
		"[" AK("[]", "\"RSA\"", "\"AQAB\"", "\"mUK7\"") "]",
		"[" AK("[\"encrypt\"]", "\"RSA\"", "\"AQAB\"", "\"mUK7\"") "]",
		"[" AK("[\"sign\",\"encrypt\"]", "\"RSA\"", "\"AQAB\"",
		    "\"mUK7\"") "]",
		"[" AK("[\"sign\"]", "\"EC\"", "\"AQAB\"", "\"mUK7\"") "]",
		"[" AK("[\"sign\"]", "\"RSA\"", "\"\"", "\"mUK7\"") "]",
		"[" AK("[\"sign\"]", "\"RSA\"", "65537", "\"mUK7\"") "]",
		"[" AK("[\"sign\"]", "\"RSA\"", "\"AQABAAEA\"", "\"mUK7\"") "]",
		"[" AK("[\"sign\"]", "\"RSA\"", "\"AAEAAQ\"", "\"mUK7\"") "]",
		"[" AK("[\"sign\"]", "\"RSA\"", "\"AQAB\"", "\"\"") "]",
		"[" AK("[\"sign\"]", "\"RSA\"", "\"AQAB\"", "\"AEK7\"") "]",
		"[" AK("[\"sign\"]", "\"RSA\"", "\"AQAB\"", "\"mUK+\"") "]",
		"[" AK("[\"sign\"]", "\"RSA\"", "\"AQAB\"", "\"mUI=\"") "]",
		"[" AK("[\"sign\"]", "\"RSA\"", "\"AQAB\"", "\"mUK7x\"") "]" };

	(void)state;
	for (size_t i = 0; i < NELEMS(keys); i++) {
		AZURE(z);

		z->plan.keys = keys[i];
		azure_build(z);
		assert_false(judge(z));
		if (z->v.results[CHECK_HCL_05].status != CHECK_FAIL)
			fail_msg("keys: %s", keys[i]);
	}
	/* The same with nothing wrong, but for being another key. */
	AZURE(z);

	z->plan.keys = "[" GOOD "]";
	azure_build(z);
	denied_by(z, CHECK_HCL_06);
}

/* What the guest asked for: nonce, AK and policy. */
static void
user_data_of_another_round(void **state)
{
	char other[2 * REPORT_DATA_LEN + 1];
	const char *const bad[] = { "", "00", other };
	AZURE(z);
	AZURE(y);
	AZURE(x);

	(void)state;
	(void)snprintf(other, sizeof(other), "%s", z->user_data);
	other[127] = other[127] == '0' ? '1' : '0';
	z->plan.user_data = other;
	azure_build(z);
	denied_by(z, CHECK_BIND_01);
	y->plan.user_data = NULL;
	azure_build(y);
	denied_by(y, CHECK_BIND_01);
	assert_non_null(strstr(y->v.results[CHECK_BIND_01].got, "too old"));
	for (size_t i = 0; i < 2; i++) {
		AZURE(w);

		w->plan.user_data = bad[i];
		azure_build(w);
		denied_by(w, CHECK_HCL_05);
	}
	/* Upper case, as Azure writes it. */
	for (char *p = x->user_data; *p != '\0'; p++)
		if (*p >= 'a')
			*p = (char)(*p - 'a' + 'A');
	azure_build(x);
	accepted(x);
}

static void
vm_that_the_policy_does_not_want(void **state)
{
	static const struct {
		enum tristate secure_boot, console;
		const char *vm;
		enum check_id id; /* CHECK_COUNT: admitted */
	} rows[] = {
#define VM(console, boot)                                                      \
	"{\"console-enabled\":" console ",\"secure-boot\":" boot "}"
		{ REQUIRE, ANY, VM("true", "true"), CHECK_COUNT },
		{ REQUIRE, ANY, VM("true", "false"), CHECK_HCL_07 },
		{ REQUIRE, ANY, VM("true", "1"), CHECK_HCL_07 },
		{ REQUIRE, ANY, "{}", CHECK_HCL_07 },
		{ FORBID, ANY, VM("true", "false"), CHECK_COUNT },
		{ FORBID, ANY, VM("true", "true"), CHECK_HCL_07 },
		{ FORBID, ANY, "[]", CHECK_HCL_07 },
		{ ANY, FORBID, VM("false", "true"), CHECK_COUNT },
		{ ANY, FORBID, VM("true", "true"), CHECK_HCL_08 },
		{ ANY, FORBID, "{}", CHECK_HCL_08 },
		{ ANY, REQUIRE, VM("true", "true"), CHECK_COUNT },
		{ ANY, REQUIRE, VM("false", "true"), CHECK_HCL_08 },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		AZURE(z);

		z->m.policy.tpm.vm.secure_boot = rows[i].secure_boot;
		z->m.policy.tpm.vm.console = rows[i].console;
		z->plan.vm = rows[i].vm;
		azure_build(z);
		if (rows[i].id == CHECK_COUNT)
			accepted(z);
		else
			denied_by(z, rows[i].id);
	}
}

static void
vm_of_another_name(void **state)
{
	static const char *const names[] = {
		"26f8bc30-774e-4290-8e7a-535f3b672aee",
		"26f8bc30-774e-4290-8e7a-535f3b672aef",
		"36f8bc30-774e-4290-8e7a-535f3b672aee"
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(names); i++) {
		AZURE(z);

		(void)snprintf(z->id, sizeof(z->id), "%s", names[i]);
		z->ids[0] = z->id;
		z->m.policy.tpm.vm.ids = (struct string_list){ z->ids, 1 };
		azure_build(z);
		if (i == 0)
			accepted(z);
		else
			denied_by(z, CHECK_HCL_09);
		z->plan.vm = "{\"vmUniqueId\":7}";
	}
	AZURE(z);

	(void)snprintf(z->id, sizeof(z->id), "%s", names[0]);
	z->ids[0] = z->id;
	z->m.policy.tpm.vm.ids = (struct string_list){ z->ids, 1 };
	z->plan.vm = "{}";
	azure_build(z);
	denied_by(z, CHECK_HCL_09);
	assert_string_equal(z->v.results[CHECK_HCL_09].got, "none");
}

/* ---- recorded on Azure ---- */

static void
load(const char *set, struct blob *hcl, struct hcl_report *r)
{
	char name[96];

	(void)snprintf(name, sizeof(name), "azure/%s/hcl_report.bin", set);
	vector_load(name, hcl);
	assert_int_equal(hcl_report_parse(blob_span(hcl), r, NULL), 0);
}

/* HCL-01 to HCL-09 of evidence, and which of them failed first. */
static enum check_id
hcl_verdict(const struct policy *p, const struct evidence *e, struct verdict *v)
{
	const struct appraisal a = { .policy = p, .evidence = e };
	enum check_id not_run;

	verdict_init(v, GROUP_HCL);
	(void)hcl_appraise(&a, v);
	verdict_finish(v);
	return v->admit ? CHECK_COUNT : verdict_first_fail(v, &not_run);
}

/* The AK as a TPMT_PUBLIC, which is not recorded. */
static void
make_public(const struct hcl_runtime *r, struct blob *ret)
{
	static const uint8_t head[] = { 0, 1, 0, 0x0b, 0, 5, 0, 0x72, 0, 0, 0,
		0x10, 0, 0x14, 0, 0x0b, 8, 0, 0, 0, 0, 0, 1, 0 };

	assert_int_equal(blob_set(ret, span(head, sizeof(head))), 0);
	assert_int_equal(blob_append(ret, span(r->modulus, r->modulus_len)), 0);
}

static void
load_evidence(const char *set, struct policy *p, struct evidence *e)
{
	struct hcl_runtime runtime;
	struct hcl_report r;
	char name[96];

	load(set, &e->hcl_report, &r);
	assert_int_equal(hcl_runtime_parse(r.runtime, &runtime, NULL), 0);
	make_public(&runtime, &e->ak_public);
	p->tee = e->tee = r.type == HCL_SNP ? TEE_SNP : TEE_TDX;
	(void)snprintf(name, sizeof(name), "azure/%s/td_quote.bin", set);
	if (r.type == HCL_TDX)
		vector_load(name, &e->tee_report);
	else
		assert_int_equal(blob_set(&e->tee_report, r.hardware), 0);
}

static const struct recorded {
	const char *set;
	enum hcl_type type;
	uint32_t version;
	const char *vm_id, *user_data; /* its beginning */
} recorded[] = {
	{ "snp-milan-userdata", HCL_SNP, 1,
	    "7DF7B373-B947-4AAA-96E5-C358F2A03D20", "982f5c6e45df0ed3" },
	{ "snp-milan-v0", HCL_SNP, 1, "26F8BC30-774E-4290-8E7A-535F3B672AEE",
	    "0000000000000000" },
	{ "snp-v2-standalone", HCL_SNP, 1,
	    "911B0EF8-9DBA-48B0-B275-4E4DF2D39252", "0000000000000000" },
	{ "tdx-2026-with-ak-chain", HCL_TDX, 2,
	    "3c18c97a-0d2a-4565-969d-166cdcef26a3", "0000000000000000" },
	{ "tdx-nonce-challenge", HCL_TDX, 2,
	    "6332533D-5649-4D02-8AA7-8F64B7C3EE21", "0000000000000000" },
};

static void
recorded_report_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(recorded); i++) {
		_cleanup_(evidence_clear) struct evidence e = { 0 };
		struct policy p = { .has_tpm = true };
		struct hcl_runtime runtime;
		struct hcl_report r;
		struct verdict v;
		uint8_t data[8];

		load_evidence(recorded[i].set, &p, &e);
		assert_int_equal(hcl_verdict(&p, &e, &v), CHECK_COUNT);
		assert_int_equal(hcl_report_parse(blob_span(&e.hcl_report), &r,
				     NULL),
		    0);
		assert_int_equal(r.version, recorded[i].version);
		assert_int_equal(r.type, recorded[i].type);
		assert_int_equal(r.alg, HASH_SHA256);
		assert_int_equal(hcl_runtime_parse(r.runtime, &runtime, NULL),
		    0);
		assert_int_equal(runtime.secure_boot, HCL_YES);
		assert_int_equal(runtime.console, HCL_YES);
		assert_string_equal(runtime.vm_id, recorded[i].vm_id);
		assert_true(runtime.has_user_data);
		assert_int_equal(hex_decode(recorded[i].user_data, data, 8), 0);
		assert_memory_equal(runtime.user_data, data, 8);
	}
}

/* Every bit of what Azure's machines gave. Of a TDREPORT only what the quote
 * says as well can be held against it: the rest is for this platform alone. */
static void
recorded_report_with_a_bit_flipped(void **state)
{
	static const size_t sets[] = { 0, 4 };
	size_t passed = 0;

	(void)state;
	for (size_t k = 0; k < NELEMS(sets); k++) {
		_cleanup_(evidence_clear) struct evidence e = { 0 };
		struct policy p = { .has_tpm = true };
		struct verdict v;
		bool tdx = recorded[sets[k]].type == HCL_TDX;

		load_evidence(recorded[sets[k]].set, &p, &e);
		for (size_t i = 0; i < 8 * e.hcl_report.len; i++) {
			size_t at = i / 8 - HARDWARE_AT;

			e.hcl_report.data[i / 8] ^= (uint8_t)(1 << i % 8);
			if (hcl_verdict(&p, &e, &v) == CHECK_COUNT) {
				passed++;
				/* MAC and TCB; the rest after RTMR3. */
				assert_true(tdx &&
				    (at < 128 || (at >= 192 && at < 512) ||
					(at >= 512 + 16 + 8 * 48 &&
					    at < HCL_TDREPORT_LEN)));
			}
			e.hcl_report.data[i / 8] ^= (uint8_t)(1 << i % 8);
		}
	}
	assert_int_equal(passed, 8 * (128 + 320 + 112));
}

/* MANIFEST: azure-mixed-td-quote, azure-foreign-ak, and its edits. */
static void
recorded_parts_of_two_machines(void **state)
{
	_cleanup_(evidence_clear) struct evidence e = { 0 }, f = { 0 };
	struct policy p = { .has_tpm = true };
	struct verdict v;
	struct blob mine;

	(void)state;
	load_evidence("tdx-2026-with-ak-chain", &p, &f);
	load_evidence("tdx-nonce-challenge", &p, &e);
	mine = e.tee_report;
	e.tee_report = f.tee_report;
	assert_int_equal(hcl_verdict(&p, &e, &v), CHECK_HCL_03);
	assert_non_null(strstr(v.results[CHECK_HCL_03].got, "REPORTDATA"));
	e.tee_report = mine;
	assert_int_equal(hcl_verdict(&p, &e, &v), CHECK_COUNT);
	mine = e.ak_public;
	e.ak_public = f.ak_public;
	assert_int_equal(hcl_verdict(&p, &e, &v), CHECK_HCL_06);
	e.ak_public = mine;
	/* A TDREPORT, or anything else, in the place of the quote. */
	e.tee_report.len = HCL_TDREPORT_LEN;
	assert_int_equal(hcl_verdict(&p, &e, &v), CHECK_HCL_03);
	p.tee = TEE_SNP;
	assert_int_equal(hcl_verdict(&p, &e, &v), CHECK_HCL_02);
}

static void
edit(const char *set, size_t at, const char *hex, uint8_t xor,
    enum check_id want)
{
	_cleanup_(evidence_clear) struct evidence e = { 0 };
	struct policy p = { .has_tpm = true };
	struct verdict v;

	load_evidence(set, &p, &e);
	if (hex != NULL)
		assert_int_equal(hex_decode(hex, e.hcl_report.data + at,
				     strlen(hex) / 2),
		    0);
	else
		e.hcl_report.data[at] ^= xor;
	assert_int_equal(hcl_verdict(&p, &e, &v), want);
}

static void
recorded_report_edited(void **state)
{
	static const char set[] = "snp-v2-standalone";

	(void)state;
	edit(set, 422, "00", 0, CHECK_HCL_03);
	edit(set, 1760, NULL, 1, CHECK_HCL_04);
	edit(set, 1344, "00", 0, CHECK_HCL_04);
	edit("tdx-nonce-challenge", 2176, NULL, 1, CHECK_HCL_04);
	edit(set, 0, "00", 0, CHECK_HCL_01);
	edit(set, 1232, "ffffffff", 0, CHECK_HCL_01);
	edit(set, NV_LEN - 1, "01", 0, CHECK_HCL_01);
}

static cJSON *
manifest(void)
{
	_cleanup_(blob_clear) struct blob b = { 0 };
	cJSON *m;

	vector_load("MANIFEST.json", &b);
	m = cJSON_ParseWithLength((const char *)b.data, b.len);
	assert_non_null(m);
	return m;
}

/* The set of azure/SET/hcl_report.bin; false for another file. */
static bool
set_of(const char *path, char ret[static 64])
{
	char set[64];
	int end = 0;

	if (path == NULL ||
	    sscanf(path, "azure/%63[^/]/hcl_report.bin%n", set, &end) != 1 ||
	    end == 0 || path[end] != '\0')
		return false;
	memcpy(ret, set, sizeof(set));
	return true;
}

/* Every mutation of a recorded report, by exactly the checks listed. */
static void
listed_edit_denied_otherwise(void **state)
{
	cJSON *m = manifest();
	const cJSON *entry;

	(void)state;
	cJSON_ArrayForEach(entry, cJSON_GetObjectItem(m, "mutations")) {
		_cleanup_(evidence_clear) struct evidence e = { 0 };
		struct policy p = { .has_tpm = true };
		struct verdict v;
		char set[64];

		if (!set_of(cJSON_GetStringValue(
				cJSON_GetObjectItem(entry, "base")),
			set))
			continue;
		load_evidence(set, &p, &e);
		judged_edit(entry, &e.hcl_report);
		assert_int_not_equal(hcl_verdict(&p, &e, &v), CHECK_COUNT);
		judged_as_listed("hcl", entry, &v);
	}
	cJSON_Delete(m);
}

/* Report and TD quote of every case: of one machine, or of two. The AK is the
 * report's own: whether it signed the quote is not asked here. */
static void
listed_case_judged_otherwise(void **state)
{
	cJSON *m = manifest();
	const cJSON *entry, *i;

	(void)state;
	cJSON_ArrayForEach(entry, cJSON_GetObjectItem(m, "cases")) {
		_cleanup_(evidence_clear) struct evidence e = { 0 };
		struct policy p = { .has_tpm = true };
		struct verdict v;
		char set[64];
		bool any = false;

		cJSON_ArrayForEach(i, cJSON_GetObjectItem(entry, "inputs"))
			if (set_of(i->valuestring, set))
				any = true;
		if (!any)
			continue;
		load_evidence(set, &p, &e);
		cJSON_ArrayForEach(i, cJSON_GetObjectItem(entry, "inputs"))
			if (strstr(i->valuestring, "/td_quote.bin") != NULL) {
				blob_clear(&e.tee_report);
				vector_load(i->valuestring, &e.tee_report);
			}
		(void)hcl_verdict(&p, &e, &v);
		judged_as_listed("hcl", entry, &v);
	}
	judged_all("hcl");
	cJSON_Delete(m);
}

static void
report_cut_or_prolonged(void **state)
{
	struct blob hcl = { 0 };
	struct hcl_report r;
	struct why why;
	uint8_t big[HCL_REPORT_MAX + 1] = { 0 };
	size_t used;

	(void)state;
	load("snp-milan-v0", &hcl, &r);
	used = JSON_AT + r.runtime.len;
	for (size_t n = 0; n < used; n++)
		assert_int_not_equal(hcl_report_parse(span(hcl.data, n), &r,
					 &why),
		    0);
	for (size_t n = used; n <= hcl.len; n++)
		assert_int_equal(hcl_report_parse(span(hcl.data, n), &r, &why),
		    0);
	memcpy(big, hcl.data, hcl.len);
	assert_int_equal(hcl_report_parse(span(big, HCL_REPORT_MAX), &r, &why),
	    0);
	assert_int_equal(hcl_report_parse(span(big, sizeof(big)), &r, &why),
	    CVM_E_PARSE);
	blob_clear(&hcl);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machine_of_azure_refused),
		cmocka_unit_test(report_missing_or_of_another_kind),
		cmocka_unit_test(report_of_another_machine),
		cmocka_unit_test(runtime_data_changed),
		cmocka_unit_test(key_of_another_vtpm),
		cmocka_unit_test(keys_without_one_that_signs),
		cmocka_unit_test(user_data_of_another_round),
		cmocka_unit_test(vm_that_the_policy_does_not_want),
		cmocka_unit_test(vm_of_another_name),
		cmocka_unit_test(recorded_report_refused),
		cmocka_unit_test(recorded_report_with_a_bit_flipped),
		cmocka_unit_test(recorded_parts_of_two_machines),
		cmocka_unit_test(recorded_report_edited),
		cmocka_unit_test(listed_edit_denied_otherwise),
		cmocka_unit_test(listed_case_judged_otherwise),
		cmocka_unit_test(report_cut_or_prolonged),
	};

	return denied_end("hcl",
	    cmocka_run_group_tests(tests, snp_maker_setup, snp_maker_teardown));
}
