/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/tdx_parts.h"
#include "tests/unit/tdx-maker.h"

static struct span
str(const char *s)
{
	return span(s, strlen(s));
}

#define HEX32 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SIG HEX32 HEX32

static int
open_json(const char *body, struct signed_json *json, struct why *why)
{
	memset(why, 0, sizeof(*why));
	return signed_json_open(str(body), "file", "tcbInfo", json, why);
}

static void
signed_text_is_cut_exactly(void **state)
{
	static const struct {
		const char *body, *text;
	} rows[] = {
		{ "{\"tcbInfo\":{},\"signature\":\"" SIG "\"}", "{}" },
		{ "{\"signature\":\"" SIG "\",\"tcbInfo\":{\"a\":[{}]}}",
		    "{\"a\":[{}]}" },
		{ " {\n\"tcbInfo\" : { \"a\" : \"}\" } ,\t"
		  "\"signature\" : \"" SIG "\" }\r\n",
		    "{ \"a\" : \"}\" }" },
		{ "{\"tcbInfo\":{\"a\\\"}\":\"\\\\\"},\"signature\":\"" SIG
		  "\"}",
		    "{\"a\\\"}\":\"\\\\\"}" },
	};
	struct signed_json json;
	struct why why;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		assert_int_equal(open_json(rows[i].body, &json, &why), CVM_OK);
		assert_true(span_equal(json.text, str(rows[i].text)));
		assert_int_equal(json.signature[1], 0x11);
	}
}

static void
other_envelopes_are_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"tcbInfo\":{}}",
		"{\"signature\":\"" SIG "\"}",
		"{\"tcbInfo\":{},\"tcbInfo\":{}}",
		"{\"signature\":\"" SIG "\",\"signature\":\"" SIG "\"}",
		"{\"tcbInfo\":{},\"signature\":\"" SIG "\",\"more\":1}",
		"{\"tcbInfo\":{},\"signature\":\"" SIG "\"}x",
		"{\"tcbInfo\":{},\"signature\":\"" SIG "\"}{}",
		"{\"tcbInfo\":{},\"signature\":\"" SIG "\",}",
		"{\"tcbInfo\":[],\"signature\":\"" SIG "\"}",
		"{\"tcbInfo\":\"{}\",\"signature\":\"" SIG "\"}",
		"{\"tcbInfo\":{]},\"signature\":\"" SIG "\"}",
		"{\"tcbInfo\":{\"a\":[}],\"signature\":\"" SIG "\"}",
		"{\"tcbInfo\":{\"a,\"signature\":\"" SIG "\"}",
		"{\"tcbinfo\":{},\"signature\":\"" SIG "\"}",
		"{\"tcb\\u0049nfo\":{},\"signature\":\"" SIG "\"}",
		"{\"enclaveIdentity\":{},\"signature\":\"" SIG "\"}",
		"{\"tcbInfo\":{},\"signature\":\"" HEX32 "\"}",
		"{\"tcbInfo\":{},\"signature\":\"" SIG "00\"}",
		"{\"tcbInfo\":{},\"signature\":\"g" SIG "\"}",
		"{\"tcbInfo\":{},\"signature\":{}}",
		"{\"tcbInfo\":{},\"signature\":12}",
		"{\"tcbInfo\" {},\"signature\":\"" SIG "\"}",
		"{\"tcbInfo\":{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]},"
		"\"signature\":\"" SIG "\"}",
	};
	struct signed_json json;
	struct why why;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		if (open_json(rows[i], &json, &why) != CVM_E_PARSE)
			fail_msg("accepted: %s", rows[i]);
		assert_string_equal(why.where, "file");
		assert_true(why.expected[0] != '\0');
	}
}

/* The text of a good member, to be changed. */
static char *
good_text(bool qe)
{
	struct tdx_spec s;
	struct tdx_made m;
	struct signed_json json;
	char *copy;

	tdx_spec_default(&s, 4);
	tdx_make(&s, &m);
	assert_int_equal(signed_json_open(blob_span(qe ? &m.qe_identity :
							 &m.tcb_info),
			     "good", qe ? "enclaveIdentity" : "tcbInfo", &json,
			     NULL),
	    CVM_OK);
	copy = strndup((const char *)json.text.data, json.text.len);
	assert_non_null(copy);
	tdx_made_clear(&m);
	return copy;
}

static char *
changed(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *out = NULL;

	if (at == NULL)
		fail_msg("no %s", from);
	assert_true(asprintf(&out, "%.*s%s%s", (int)(at - text), text, to,
			at + strlen(from)) > 0);
	return out;
}

struct change {
	const char *from, *to, *field;
};

static void
refuse_changes(bool qe, const struct change *rows, size_t n)
{
	char *text = good_text(qe);

	for (size_t i = 0; i < n; i++) {
		char *other = changed(text, rows[i].from, rows[i].to);
		struct tcb_info *t = NULL;
		struct qe_identity *q = NULL;
		struct why why = { 0 };
		int r = qe ? qe_identity_parse(str(other), "f", &q, &why) :
			     tcb_info_parse(str(other), "f", &t, &why);

		if (r == CVM_OK)
			fail_msg("accepted: %s", rows[i].to);
		if (rows[i].field != NULL &&
		    strstr(why.field, rows[i].field) == NULL &&
		    strstr(why.got, rows[i].field) == NULL)
			fail_msg("%s: field \"%s\", got \"%s\"", rows[i].to,
			    why.field, why.got);
		assert_null(t);
		assert_null(q);
		free(other);
	}
	free(text);
}

static void
malformed_tcb_info_is_refused(void **state)
{
	static const struct change rows[] = {
		{ "\"id\":\"TDX\"", "\"id\":7", "id" },
		{ "\"id\":\"TDX\",", "", "id" },
		{ "\"id\":\"TDX\"", "\"id\":\"TDX\",\"id\":\"TDX\"", "id" },
		{ "\"version\":3", "\"version\":\"3\"", "version" },
		{ "\"version\":3", "\"version\":3.5", NULL },
		{ "\"version\":3", "\"version\":-3", "version" },
		{ "\"issueDate\":\"2", "\"issueDate\":\"+", "issueDate" },
		{ "Z\",\"fmspc\"", "\",\"fmspc\"", "nextUpdate" },
		{ "Z\",\"fmspc\"", "+00:00\",\"fmspc\"", "nextUpdate" },
		{ "\"00806f050000\"", "\"00806f0500\"", "fmspc" },
		{ "\"00806f050000\"", "\"00806f05000000\"", "fmspc" },
		{ "\"00806f050000\"", "\"00806f05000g\"", "fmspc" },
		{ "\"0000\"", "\"000\"", "pceId" },
		{ "\"tcbType\":0", "\"tcbType\":70000", "tcbType" },
		{ "\"tcbType\":0,", "", "tcbType" },
		{ "\"tdxModule\":{", "\"tdxModule\":[],\"x\":{", "tdxModule" },
		{ "\"tdxModule\":{", "\"x\":{", "tdxModule" },
		{ "\"attributesMask\":\"FFFF", "\"attributesMask\":\"FFFFF",
		    "attributesMask" },
		{ "\"TDX_01\"", "\"TDX_03\"", "tdxModuleIdentities" },
		{ "\"TDX_01\"", "\"TDX_00\"", "id" },
		{ "\"TDX_01\"", "\"TDX_1\"", "id" },
		{ "\"TDX_01\"", "\"SGX_01\"", "id" },
		{ "\"TDX_01\"", "\"TDX_011\"", "id" },
		{ "{\"isvsvn\":6}", "{}", "isvsvn" },
		{ "{\"isvsvn\":6}", "{\"isvsvn\":65536}", "isvsvn" },
		{ "{\"isvsvn\":6}", "{\"isvsvn\":2}", "tcbLevels" },
		{ "{\"isvsvn\":6}", "6", "tcb" },
		{ "\"UpToDate\"", "\"SWHardeningNeeded\"", "tcbStatus" },
		{ "\"UpToDate\"", "\"\"", "tcbStatus" },
		{ "\"UpToDate\"", "null", "tcbStatus" },
		{ "\"OutOfDate\"", "\"TDRelaunchAdvised\"", "tcbStatus" },
		{ "[\"INTEL-SA-01036\"]", "\"INTEL-SA-01036\"", "advisory" },
		{ "[\"INTEL-SA-01036\"]", "[1]", "advisoryIDs" },
		{ "[\"INTEL-SA-01036\"]", "[\"\"]", "advisoryIDs" },
		{ "[\"INTEL-SA-01036\"]", "[\"INTEL SA\"]", "advisoryIDs" },
		{ "[\"INTEL-SA-01036\"]",
		    "[\"INTEL-SA-0103600000000000000000000\"]", "advisoryIDs" },
		{ "{\"svn\":0},", "", "sgxtcbcomponents" },
		{ "{\"svn\":0},", "{\"svn\":0},{\"svn\":0},",
		    "sgxtcbcomponents" },
		{ "{\"svn\":0},", "0,", "sgxtcbcomponents" },
		{ "{\"svn\":0},", "{\"svn\":256},", "svn" },
		{ "{\"svn\":0},", "{\"svn\":65473},", "svn" },
		{ "{\"svn\":0},", "{\"svn\":-1},", "svn" },
		{ "{\"svn\":0},", "{\"svn\":\"0\"},", "svn" },
		{ "{\"svn\":0},", "{\"svn\":0,\"svn\":9},", "svn" },
		{ "{\"svn\":0},", "{\"svn\":1e0},", NULL },
		{ "\"pcesvn\":13", "\"pcesvn\":65536", "pcesvn" },
		{ "\"tdxtcbcomponents\"", "\"other\"", "tdxtcbcomponents" },
		{ "\"2025-05-14T00:00:00Z\"", "\"2025-02-29T00:00:00Z\"",
		    "tcbDate" },
		{ "\"2025-05-14T00:00:00Z\"", "\"2025-05-14T00:00:60Z\"",
		    "tcbDate" },
		{ "\"2025-05-14T00:00:00Z\"", "\"2025-00-14T00:00:00Z\"",
		    "tcbDate" },
		{ "\"2025-05-14T00:00:00Z\"", "\"2025-05-14T00:0/:00Z\"",
		    "tcbDate" },
		{ "\"2025-05-14T00:00:00Z\"", "\"2025-05-14 00:00:00Z\"",
		    "tcbDate" },
		{ "\"2025-05-14T00:00:00Z\"", "\"2025-05-14T24:00:00Z\"",
		    "tcbDate" },
		{ "\"2025-05-14T00:00:00Z\"", "\"2025-05-14T00:00:00\"",
		    "tcbDate" },
		{ "],\"tcbLevels\":[", "],\"tcbLevels\":[],\"x\":[",
		    "tcbLevels" },
	};

	(void)state;
	refuse_changes(false, rows, NELEMS(rows));
}

static void
malformed_qe_identity_is_refused(void **state)
{
	static const struct change rows[] = {
		{ "\"miscselect\":\"00000000\"", "\"miscselect\":0",
		    "miscselect" },
		{ "\"miscselect\":\"00000000\"", "\"miscselect\":\"0000000\"",
		    "miscselect" },
		{ "\"miscselectMask\"", "\"mask\"", "miscselectMask" },
		{ "\"attributes\":\"11", "\"attributes\":\"", "attributes" },
		{ "\"mrsigner\":\"DC", "\"mrsigner\":\"DCDC", "mrsigner" },
		{ "\"isvprodid\":2", "\"isvprodid\":65538", "isvprodid" },
		{ "\"isvprodid\":2", "\"isvprodid\":true", "isvprodid" },
		{ "\"isvsvn\":4", "\"isvsvn\":65540", "isvsvn" },
		{ "\"isvsvn\":4", "\"isvsvn\":2", "tcbLevels" },
		{ "\"UpToDate\"", "\"ConfigurationNeeded\"", "tcbStatus" },
		{ "\"tcbEvaluationDataNumber\":19",
		    "\"tcbEvaluationDataNumber\":2147483648",
		    "tcbEvaluationDataNumber" },
		{ "\"tcbLevels\":[", "\"tcbLevels\":[],\"x\":[", "tcbLevels" },
	};

	(void)state;
	refuse_changes(true, rows, NELEMS(rows));
}

static void
levels_are_sorted_and_words_read(void **state)
{
	char *text = good_text(false);
	struct tcb_info *t = NULL;

	(void)state;
	assert_int_equal(tcb_info_parse(str(text), "f", &t, NULL), CVM_OK);
	assert_string_equal(t->head.id, "TDX");
	assert_int_equal(t->head.version, 3);
	assert_int_equal(t->head.issue_date, TDX_MAKER_NOW - 5 * TDX_MAKER_DAY);
	assert_int_equal(t->head.next_update,
	    TDX_MAKER_NOW + 25 * TDX_MAKER_DAY);
	assert_int_equal(t->n_identities, 2);
	assert_int_equal(t->levels.n, 2);
	assert_int_equal(t->levels.v[0].sgx[0], 3);
	assert_int_equal(t->levels.v[0].status, TCB_UP_TO_DATE);
	assert_int_equal(t->levels.v[1].sgx[0], 2);
	assert_int_equal(t->levels.v[1].status, TCB_OUT_OF_DATE);
	assert_int_equal(t->levels.v[1].advisories.n, 2);
	assert_string_equal(t->levels.v[1].advisories.id[0], "INTEL-SA-01079");
	tcb_info_freep(&t);
	assert_null(t);
	tcb_info_freep(&t);
	free(text);
}

/* Intel adds members without a new version; known ones stay strict. */
static void
unknown_members_are_passed_over(void **state)
{
	char *text = good_text(false);
	char *more = changed(text, "\"pceId\"",
	    "\"news\":{\"a\":[1]},\"pceId\"");
	struct tcb_info *t = NULL;

	(void)state;
	assert_int_equal(tcb_info_parse(str(more), "f", &t, NULL), CVM_OK);
	tcb_info_freep(&t);
	free(more);
	free(text);
}

/* Of another TEE there is nothing but the head, so that nothing matches. */
static void
another_tees_info_has_no_levels(void **state)
{
	char *text = good_text(false);
	char *sgx = changed(text, "\"TDX\"", "\"SGX\"");
	struct tcb_info *t = NULL;

	(void)state;
	assert_int_equal(tcb_info_parse(str(sgx), "f", &t, NULL), CVM_OK);
	assert_string_equal(t->head.id, "SGX");
	assert_int_equal(t->levels.n, 0);
	assert_int_equal(t->n_identities, 0);
	tcb_info_freep(&t);
	free(sgx);
	free(text);
}

/* A small world for Intel's rules: two platform levels, one module. */
struct rules {
	struct tcb_level platform[2], module[2], qe[2];
	struct tdx_module identity;
	struct tcb_info info;
	struct qe_identity identity_qe;
	struct sgx_extension x;
	uint8_t svn[16], svn2[16];
	struct tcb_input in;
};

static void
rules_begin(struct rules *w)
{
	memset(w, 0, sizeof(*w));
	for (size_t i = 0; i < 2; i++) {
		memset(w->platform[i].sgx, i == 0 ? 5 : 3, 16);
		w->platform[i].pcesvn = 11;
		w->platform[i].tdx[0] = 9; /* more than any module here has */
		w->platform[i].tdx[2] = i == 0 ? 4 : 2;
		w->module[i].isvsvn = i == 0 ? 6 : 2;
		w->qe[i].isvsvn = i == 0 ? 8 : 4;
		w->platform[i].status = w->module[i].status = w->qe[i].status =
		    i == 0 ? TCB_UP_TO_DATE : TCB_OUT_OF_DATE;
	}
	w->identity.version = 1;
	w->identity.levels = (struct tcb_levels){ w->module, 2 };
	w->info.identities = &w->identity;
	w->info.n_identities = 1;
	w->info.levels = (struct tcb_levels){ w->platform, 2 };
	w->identity_qe.levels = (struct tcb_levels){ w->qe, 2 };
	memset(w->x.components, 5, 16);
	w->x.pcesvn = 11;
	memcpy(w->svn, "\x06\x01\x04", 3);
	memcpy(w->svn2, "\x06\x01\x04", 3);
	w->in = (struct tcb_input){ &w->info, &w->identity_qe, &w->x,
		span(w->svn, 16), span(NULL, 0), 8 };
}

static enum tcb_status
status_of(const struct rules *w)
{
	struct tcb_result r;

	tcb_evaluate(&w->in, &r);
	return r.status;
}

static void
statuses_converge(void **state)
{
	static const struct {
		enum tcb_status platform, module, qe, whole;
	} rows[] = {
		{ TCB_UP_TO_DATE, TCB_UP_TO_DATE, TCB_UP_TO_DATE,
		    TCB_UP_TO_DATE },
		{ TCB_UP_TO_DATE, TCB_OUT_OF_DATE, TCB_UP_TO_DATE,
		    TCB_OUT_OF_DATE },
		{ TCB_UP_TO_DATE, TCB_UP_TO_DATE, TCB_OUT_OF_DATE,
		    TCB_OUT_OF_DATE },
		{ TCB_SW_HARDENING_NEEDED, TCB_UP_TO_DATE, TCB_UP_TO_DATE,
		    TCB_SW_HARDENING_NEEDED },
		{ TCB_SW_HARDENING_NEEDED, TCB_OUT_OF_DATE, TCB_UP_TO_DATE,
		    TCB_OUT_OF_DATE },
		{ TCB_CONFIGURATION_NEEDED, TCB_OUT_OF_DATE, TCB_UP_TO_DATE,
		    TCB_OUT_OF_DATE_CONFIGURATION_NEEDED },
		{ TCB_CONFIGURATION_NEEDED, TCB_UP_TO_DATE, TCB_OUT_OF_DATE,
		    TCB_OUT_OF_DATE_CONFIGURATION_NEEDED },
		{ TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED, TCB_OUT_OF_DATE,
		    TCB_UP_TO_DATE, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED },
		{ TCB_OUT_OF_DATE, TCB_UP_TO_DATE, TCB_UP_TO_DATE,
		    TCB_OUT_OF_DATE },
		{ TCB_OUT_OF_DATE, TCB_OUT_OF_DATE, TCB_OUT_OF_DATE,
		    TCB_OUT_OF_DATE },
		{ TCB_OUT_OF_DATE_CONFIGURATION_NEEDED, TCB_UP_TO_DATE,
		    TCB_OUT_OF_DATE, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED },
		{ TCB_UP_TO_DATE, TCB_REVOKED, TCB_UP_TO_DATE, TCB_REVOKED },
		{ TCB_UP_TO_DATE, TCB_UP_TO_DATE, TCB_REVOKED, TCB_REVOKED },
		{ TCB_REVOKED, TCB_UP_TO_DATE, TCB_UP_TO_DATE, TCB_REVOKED },
		{ TCB_REVOKED, TCB_OUT_OF_DATE, TCB_OUT_OF_DATE, TCB_REVOKED },
	};
	struct rules w;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		rules_begin(&w);
		w.platform[0].status = rows[i].platform;
		w.module[0].status = rows[i].module;
		w.qe[0].status = rows[i].qe;
		if (status_of(&w) != rows[i].whole)
			fail_msg("row %zu: %s", i,
			    tcb_status_name(status_of(&w)));
	}
}

static void
levels_need_every_component(void **state)
{
	struct rules w;
	struct tcb_result r;

	(void)state;
	for (size_t i = 0; i < 16; i++) {
		rules_begin(&w);
		w.x.components[i] = 4;
		tcb_evaluate(&w.in, &r);
		assert_ptr_equal(r.platform, &w.platform[1]);
		w.x.components[i] = 2;
		assert_int_equal(status_of(&w), TCB_NOT_SUPPORTED);
	}
	rules_begin(&w);
	w.x.pcesvn = 10;
	assert_int_equal(status_of(&w), TCB_NOT_SUPPORTED);
	rules_begin(&w);
	w.in.qe_isvsvn = 3;
	assert_int_equal(status_of(&w), TCB_NOT_SUPPORTED);
	w.in.qe_isvsvn = 7;
	assert_int_equal(status_of(&w), TCB_OUT_OF_DATE);
}

/* The first level that the platform reaches is revoked; the TD's own
 * components lead to a lower one, which must not hide that. */
static void
a_revoked_platform_stays_revoked(void **state)
{
	struct rules w;
	struct tcb_result r;

	(void)state;
	rules_begin(&w);
	w.platform[0].status = TCB_REVOKED;
	w.svn[2] = 3;
	tcb_evaluate(&w.in, &r);
	assert_ptr_equal(r.sgx, &w.platform[0]);
	assert_ptr_equal(r.platform, &w.platform[1]);
	assert_int_equal(r.status, TCB_REVOKED);
}

/* Components 0 and 1 belong to the module's identity when it has one. */
static void
tdx_components_start_where_they_must(void **state)
{
	struct rules w;
	struct tcb_result r;

	(void)state;
	rules_begin(&w);
	tcb_evaluate(&w.in, &r);
	assert_ptr_equal(r.platform, &w.platform[0]);
	assert_ptr_equal(r.module, &w.module[0]);
	w.svn[1] = 0; /* the base module: now component 0 counts, 6 < 9 */
	tcb_evaluate(&w.in, &r);
	assert_null(r.platform);
	w.svn[0] = 9;
	tcb_evaluate(&w.in, &r);
	assert_ptr_equal(r.platform, &w.platform[0]);
	assert_null(r.module);
	assert_int_equal(r.status, TCB_UP_TO_DATE);
	rules_begin(&w);
	w.svn[1] = 2; /* no such module */
	assert_int_equal(status_of(&w), TCB_NOT_SUPPORTED);
	rules_begin(&w);
	w.svn[0] = 1; /* below the lowest level */
	assert_int_equal(status_of(&w), TCB_NOT_SUPPORTED);
	rules_begin(&w);
	w.svn[15] = 1; /* higher than any level is fine */
	assert_int_equal(status_of(&w), TCB_UP_TO_DATE);
	w.platform[0].tdx[15] = 2;
	tcb_evaluate(&w.in, &r);
	assert_ptr_equal(r.sgx, &w.platform[0]);
	assert_ptr_equal(r.platform, &w.platform[1]);
}

static void
a_relaunch_is_advised_only_for_the_newest(void **state)
{
	struct rules w;

	(void)state;
	rules_begin(&w);
	w.svn[0] = 4; /* launched under an old module */
	assert_int_equal(status_of(&w), TCB_OUT_OF_DATE);
	w.in.tee_tcb_svn2 = span(w.svn2, 16); /* TD 1.5 */
	assert_int_equal(status_of(&w), TCB_TD_RELAUNCH_ADVISED);
	w.platform[0].status = TCB_SW_HARDENING_NEEDED;
	assert_int_equal(status_of(&w), TCB_TD_RELAUNCH_ADVISED);
	w.platform[0].status = TCB_CONFIGURATION_NEEDED;
	assert_int_equal(status_of(&w),
	    TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED);
	w.platform[0].status = TCB_OUT_OF_DATE; /* not the module's fault */
	assert_int_equal(status_of(&w), TCB_OUT_OF_DATE);
	w.platform[0].status = TCB_UP_TO_DATE;
	w.svn2[0] = 5; /* the module that runs now is old too */
	assert_int_equal(status_of(&w), TCB_OUT_OF_DATE);
	w.svn2[0] = 6;
	w.svn2[2] = 3;
	assert_int_equal(status_of(&w), TCB_OUT_OF_DATE);
	w.svn2[2] = 4;
	w.svn2[1] = 7; /* a module that nobody knows */
	assert_int_equal(status_of(&w), TCB_NOT_SUPPORTED);
	w.svn2[1] = 0; /* base module: the platform's component 0 */
	assert_int_equal(status_of(&w), TCB_OUT_OF_DATE);
	w.svn2[0] = 9;
	assert_int_equal(status_of(&w), TCB_TD_RELAUNCH_ADVISED);
	w.in.qe_isvsvn = 4; /* an old QE is another matter */
	assert_int_equal(status_of(&w), TCB_OUT_OF_DATE);
	w.in.qe_isvsvn = 8;
	w.svn[0] = 6; /* nothing to relaunch for */
	assert_int_equal(status_of(&w), TCB_UP_TO_DATE);
}

static void
statuses_have_the_names_of_the_service(void **state)
{
	(void)state;
	assert_string_equal(tcb_status_name(TCB_UP_TO_DATE), "UpToDate");
	assert_string_equal(tcb_status_name(
				TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED),
	    "TDRelaunchAdvisedConfigurationNeeded");
	assert_string_equal(tcb_status_name((enum tcb_status)99), "?");
}

static int
end(void **state)
{
	(void)state;
	tdx_maker_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signed_text_is_cut_exactly),
		cmocka_unit_test(other_envelopes_are_refused),
		cmocka_unit_test(malformed_tcb_info_is_refused),
		cmocka_unit_test(malformed_qe_identity_is_refused),
		cmocka_unit_test(levels_are_sorted_and_words_read),
		cmocka_unit_test(unknown_members_are_passed_over),
		cmocka_unit_test(another_tees_info_has_no_levels),
		cmocka_unit_test(statuses_converge),
		cmocka_unit_test(levels_need_every_component),
		cmocka_unit_test(a_revoked_platform_stays_revoked),
		cmocka_unit_test(tdx_components_start_where_they_must),
		cmocka_unit_test(a_relaunch_is_advised_only_for_the_newest),
		cmocka_unit_test(statuses_have_the_names_of_the_service),
	};

	return cmocka_run_group_tests_name("collateral", tests, NULL, end);
}
