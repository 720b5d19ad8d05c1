/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

/*
 * Event logs of real machines, and what their manifest says of them. Nothing in
 * here names a file: what is listed is judged, once with a policy that asks for
 * nothing but a log, and once with one that asks for all that is listed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "attest/eventlog.h"
#include "attest/tdx.h"
#include "tests/unit/judged.h"
#include "tests/unit/vectors.h"

#define LIST_MAX 16

static cJSON *manifest;

static const cJSON *
array(const char *name)
{
	struct blob b = { 0 };

	if (manifest == NULL) {
		vector_load("MANIFEST.json", &b);
		manifest = cJSON_ParseWithLength((const char *)b.data, b.len);
		blob_clear(&b);
		assert_non_null(manifest);
	}
	return cJSON_GetObjectItemCaseSensitive(manifest, name);
}

static const cJSON *
member(const cJSON *o, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(o, name);
}

static const char *
text(const cJSON *o, const char *name)
{
	const char *s = cJSON_GetStringValue(member(o, name));

	return s != NULL ? s : "";
}

/* A policy's lists are of strings that it owns; nobody writes to these. */
static char *
writable(const cJSON *o, const char *name)
{
	const cJSON *item = member(o, name);
	static char none[] = "";

	return cJSON_IsString(item) ? item->valuestring : none;
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(&s[n - m], end) == 0;
}

static bool
is_ccel(const char *path)
{
	return ends_with(path, ".ccel.bin");
}

static bool
is_log(const char *path)
{
	return is_ccel(path) || strstr(path, "eventlog") != NULL;
}

static bool
is_quote(const char *path)
{
	return ends_with(path, ".quote.bin") || ends_with(path, "td_quote.bin");
}

static bool
is_valid(const cJSON *f)
{
	return strcmp(text(f, "verdict"), "valid") == 0;
}

/* One appraisal of a log. */
struct trial {
	enum log_form form;
	struct policy policy;
	struct evidence evidence;
	struct verdict v;
	char *technology, *cmdlines[LIST_MAX], *unlogged;
	struct blob apps[LIST_MAX];
	bool admitted;
	char sentence[VERDICT_SENTENCE_MAX];
};

static void
trial_free(struct trial **t)
{
	if (*t == NULL)
		return;
	for (size_t i = 0; i < LIST_MAX; i++)
		blob_clear(&(*t)->apps[i]);
	evidence_clear(&(*t)->evidence);
	free(*t);
	*t = NULL;
}

static struct trial *
trial_of(const char *path)
{
	struct trial *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->form = is_ccel(path) ? LOG_CCEL : LOG_TCG;
	t->policy.log.present = true;
	t->policy.has_tpm = t->form == LOG_TCG;
	t->policy.tpm.bank = HASH_SHA256;
	/* Facts are read from registers that the policy names. */
	t->policy.tpm.n_pcr_sets = t->policy.tdx.n_rtmr_sets = 1;
	t->policy.tpm.pcr_sets[0].mask = 0xffffff;
	t->policy.tdx.rtmr_sets[0].mask = 0xf;
	vector_load(path,
	    t->form == LOG_CCEL ? &t->evidence.ccel : &t->evidence.event_log);
	return t;
}

static bool
judge(struct trial *t)
{
	struct appraisal_facts facts = { 0 };
	struct appraisal a = { .policy = &t->policy, .evidence = &t->evidence };

	verdict_init(&t->v, t->form == LOG_CCEL ? GROUP_CCEL : GROUP_LOG);
	if (t->form == LOG_CCEL)
		(void)ccel_appraise(&a, &t->v, &facts);
	else
		(void)log_appraise(&a, &t->v, &facts);
	verdict_finish(&t->v);
	(void)verdict_sentence(&t->v, t->sentence, sizeof(t->sentence));
	t->admitted = t->v.admit;
	return t->admitted;
}

/* The registers that the manifest's own replay led to; the quote of a CCEL is
 * any genuine one, with those registers. */
static bool
listed_registers(struct trial *t, const cJSON *f, struct span quote)
{
	const cJSON *banks = member(member(f, "fields"), "replay");
	const cJSON *bank = member(banks,
	    t->form == LOG_CCEL ? "sha384" : "sha256");
	struct pcr_values *v = &t->evidence.pcrs;
	const cJSON *r;

	if (bank == NULL)
		return false;
	v->bank = t->form == LOG_CCEL ? HASH_SHA384 : HASH_SHA256;
	cJSON_ArrayForEach(r, bank) {
		int i = atoi(r->string);

		assert_int_equal(hex_decode(r->valuestring, v->value[i],
				     hash_len(v->bank)),
		    0);
		v->mask |= 1u << i;
	}
	if (t->form == LOG_TCG)
		return true;
	assert_int_equal(blob_set(&t->evidence.tee_report, quote), 0);
	for (size_t i = 0; i < TDX_RTMRS; i++)
		memcpy(&t->evidence.tee_report.data[48 + 328 + i * SHA384_LEN],
		    v->value[i + 1], SHA384_LEN);
	return true;
}

static void
any_quote(struct blob *ret)
{
	const cJSON *f;

	cJSON_ArrayForEach(f, array("files"))
		if (is_quote(text(f, "path")) && is_valid(f) &&
		    strstr(text(f, "path"), "/v4") != NULL && ret->len == 0)
			vector_load(text(f, "path"), ret);
	assert_true(ret->len > 0);
}

/* Asks for every fact that the manifest lists. */
static void
ask_for_all(struct trial *t, const cJSON *fields)
{
	struct policy_event_log *p = &t->policy.log;
	const char *alg = t->form == LOG_CCEL ? "sha384" : "sha256";
	const cJSON *gce = cJSON_GetArrayItem(member(fields,
						  "gce_nonhost_info"),
	    0);
	const cJSON *crtm = cJSON_GetArrayItem(member(fields, "scrtm_version"),
	    0);
	const cJSON *sb = cJSON_GetArrayItem(member(fields, "secure_boot_var"),
	    0);
	const cJSON *i;
	unsigned version = 0;

	t->technology = writable(gce, "technology");
	p->technology = (struct string_list){ &t->technology, gce != NULL };
	if (cJSON_IsString(crtm) &&
	    sscanf(crtm->valuestring, "GCE Virtual Firmware v%u", &version) ==
		1)
		p->min_gce_firmware = version;
	if (sb != NULL)
		p->secure_boot = strcmp(text(sb, "value"), "00") == 0 ? FORBID :
									REQUIRE;
	p->kernel_cmdline.v = t->cmdlines;
	cJSON_ArrayForEach(i, member(fields, "kernel_cmdlines"))
		t->cmdlines[p->kernel_cmdline.n++] = writable(i, "cmdline");
	p->efi_apps.v = t->apps;
	cJSON_ArrayForEach(i,
	    member(member(fields, "efi_app_digests_in_log"), alg))
		assert_int_equal(hex_decode_blob(i->valuestring, HASH_LEN_MAX,
				     &t->apps[p->efi_apps.n++]),
		    0);
}

/* Two separators in MR 1 and none in MR 2: PCR 2's went into the wrong
 * register, and what they bound is not known. */
static bool
separators_astray(const cJSON *fields)
{
	unsigned n[LOG_MRS_MAX] = { 0 };
	const cJSON *i;

	cJSON_ArrayForEach(i, member(fields, "separators"))
		n[member(i, "pcr_or_mr")->valueint]++;
	return n[1] == 2 && n[2] == 0;
}

static bool
apps_too_early(const struct trial *t)
{
	const struct check_result *r = &t->v.results[CHECK_LOG_14];

	return r->status == CHECK_FAIL && strstr(r->got, "before it") != NULL;
}

static void
judge_file(const cJSON *f, struct span quote, size_t *ret_n)
{
	const char *path = text(f, "path");
	const cJSON *fields = member(f, "fields");
	_cleanup_(trial_free) struct trial *t = trial_of(path);
	bool sha1_only = strstr(text(fields, "format"), "SHA1-only") != NULL;
	bool known = listed_registers(t, f, quote);
	const cJSON *sb = cJSON_GetArrayItem(member(fields, "secure_boot_var"),
	    0);

	if (!known) { /* no bank that counts, or no log */
		assert_false(judge(t));
		print_message("# %s: %s\n", path, t->sentence);
		assert_int_equal(t->v.results[CHECK_LOG_01].status, CHECK_FAIL);
		if (sha1_only)
			assert_non_null(strstr(t->sentence, "SHA-1 only"));
		return;
	}
	if (is_valid(f) && !judge(t))
		fail_msg("%s: %s", path, t->sentence);
	ask_for_all(t, fields);
	(void)judge(t);
	print_message("# %s: %s\n", path, t->sentence);
	/* A kernel that the firmware itself loads is no boot option. */
	if (is_valid(f) && apps_too_early(t)) {
		t->policy.log.efi_apps.n = 0;
		(void)judge(t);
	}
	if (separators_astray(fields) ||
	    (sb != NULL && text(sb, "value")[0] == '\0'))
		assert_int_equal(t->v.results[CHECK_LOG_10].status, CHECK_FAIL);
	else if (t->admitted != is_valid(f))
		fail_msg("%s: %s", path, t->sentence);
	++*ret_n;
}

static void
logs_judged_as_listed(void **state)
{
	struct blob quote = { 0 };
	const cJSON *f;
	size_t n = 0;

	(void)state;
	(void)array("files");
	any_quote(&quote);
	cJSON_ArrayForEach(f, array("files"))
		if (is_log(text(f, "path")))
			judge_file(f, blob_span(&quote), &n);
	print_message("# %zu logs with registers\n", n);
	assert_true(n > 0);
	blob_clear(&quote);
}

/* Any fact that is asked for otherwise than it is listed is refused. */
static void
facts_differ_from_the_listed(void **state)
{
	static char other[] = "another text", none[] = "INTEL_TDX";
	struct blob quote = { 0 };
	const cJSON *f;

	(void)state;
	(void)array("files");
	any_quote(&quote);
	cJSON_ArrayForEach(f, array("files")) {
		_cleanup_(trial_free) struct trial *t = NULL;
		struct policy_event_log *p;

		if (!is_log(text(f, "path")) || !is_valid(f))
			continue;
		t = trial_of(text(f, "path"));
		p = &t->policy.log;
		if (!listed_registers(t, f, blob_span(&quote)))
			continue;
		ask_for_all(t, member(f, "fields"));
		if (!judge(t))
			continue;
		if (p->technology.n > 0)
			t->technology = none;
		if (p->min_gce_firmware > 0)
			p->min_gce_firmware++;
		if (p->secure_boot != ANY)
			p->secure_boot = p->secure_boot == FORBID ? REQUIRE :
								    FORBID;
		if (p->kernel_cmdline.n > 0)
			t->cmdlines[0] = other;
		if (p->efi_apps.n > 0)
			t->apps[0].data[0] ^= 1;
		(void)judge(t);
#define DENIED(id, asked)                                                      \
	assert_int_equal(t->v.results[CHECK_LOG_##id].status,                  \
	    (asked) ?                                                          \
		CHECK_FAIL :                                                   \
		(t->form == LOG_TCG || (id##u) > 9 ? CHECK_SKIPPED :           \
						     CHECK_NOT_APPLICABLE))
		DENIED(07, p->technology.n > 0);
		DENIED(10, p->secure_boot != ANY);
		DENIED(12, p->kernel_cmdline.n > 0);
		DENIED(14, p->efi_apps.n > 0);
#undef DENIED
	}
	blob_clear(&quote);
}

/* SHA-256 of each certificate that the manifest has to be recognised. */
static size_t
known_keys(struct blob v[static LIST_MAX])
{
	const cJSON *f;
	size_t n = 0;

	cJSON_ArrayForEach(f, array("files")) {
		_cleanup_(blob_clear) struct blob der = { 0 };
		uint8_t digest[SHA256_LEN];

		if (strncmp(text(f, "path"), "collateral/uefi/", 16) != 0 ||
		    !is_valid(f))
			continue;
		vector_load(text(f, "path"), &der);
		assert_int_equal(hash(HASH_SHA256, blob_span(&der), digest), 0);
		assert_true(n < LIST_MAX);
		assert_int_equal(blob_set(&v[n++],
				     span(digest, sizeof(digest))),
		    0);
	}
	return n;
}

/* The keys of a firmware that trusts what is listed, and nothing else. */
static void
recorded_key_not_recognised(void **state)
{
	struct policy_event_log *p;
	struct blob quote = { 0 };
	struct blob keys[LIST_MAX] = { 0 };
	const cJSON *f;
	size_t n, whole = 0;

	(void)state;
	any_quote(&quote);
	n = known_keys(keys);
	assert_true(n > 1);
	cJSON_ArrayForEach(f, array("files")) {
		_cleanup_(trial_free) struct trial *t = NULL;

		if (!is_log(text(f, "path")) || !is_valid(f))
			continue;
		t = trial_of(text(f, "path"));
		if (!listed_registers(t, f, blob_span(&quote)))
			continue;
		p = &t->policy.log;
		p->secure_boot_keys = (struct value_list){ keys, n };
		(void)judge(t);
		if (t->v.results[CHECK_LOG_17].status != CHECK_PASS)
			continue;
		print_message("# %s\n", text(f, "path"));
		whole++;
		for (size_t i = 0; i < n; i++) {
			keys[i].data[31] ^= 1;
			(void)judge(t);
			assert_int_equal(t->v.results[CHECK_LOG_17].status,
			    CHECK_FAIL);
			keys[i].data[31] ^= 1;
		}
	}
	assert_true(whole > 0);
	for (size_t i = 0; i < n; i++)
		blob_clear(&keys[i]);
	blob_clear(&quote);
}

/* A launcher's log of what it started is no log of a firmware. */
static void
log_of_another_format_taken(void **state)
{
	const cJSON *f;
	size_t n = 0;

	(void)state;
	cJSON_ArrayForEach(f, array("files")) {
		static const enum log_form forms[] = { LOG_TCG, LOG_CCEL };
		struct blob b = { 0 };

		if (!ends_with(text(f, "path"), "-cel.bin"))
			continue;
		vector_load(text(f, "path"), &b);
		for (size_t i = 0; i < NELEMS(forms); i++) {
			struct event_log log = { 0 };
			struct why why = { 0 };

			assert_int_not_equal(eventlog_parse(blob_span(&b),
						 forms[i], &log, &why),
			    0);
			assert_true(
			    why.where[0] != '\0' || why.field[0] != '\0');
			print_message("# %s %s %s\n", why.where, why.field,
			    why.got);
		}
		n++;
		blob_clear(&b);
	}
	assert_true(n > 0);
}

static void
load_pcrs(const char *path, struct pcr_values *v)
{
	struct blob b = { 0 };
	const cJSON *bank, *i;
	cJSON *j;

	vector_load(path, &b);
	j = cJSON_ParseWithLength((const char *)b.data, b.len);
	blob_clear(&b);
	bank = member(j, "sha256");
	v->bank = HASH_SHA256;
	cJSON_ArrayForEach(i, bank) {
		int n = atoi(i->string);

		assert_int_equal(hex_decode(i->valuestring, v->value[n],
				     SHA256_LEN),
		    0);
		v->mask |= 1u << n;
	}
	cJSON_Delete(j);
}

/* Evidence and log of one machine, or of two. */
static bool
judge_case(const cJSON *c)
{
	static char ima[] = "10";
	_cleanup_(trial_free) struct trial *t = NULL;
	const char *log = NULL;
	const cJSON *i;
	bool registers = false;

	cJSON_ArrayForEach(i, member(c, "inputs"))
		if (is_log(i->valuestring))
			log = i->valuestring;
	if (log == NULL)
		return false;
	t = trial_of(log);
	cJSON_ArrayForEach(i, member(c, "inputs")) {
		if (is_quote(i->valuestring) && t->form == LOG_CCEL) {
			vector_load(i->valuestring, &t->evidence.tee_report);
			registers = true;
		} else if (strstr(i->valuestring, "pcrs") != NULL) {
			load_pcrs(i->valuestring, &t->evidence.pcrs);
			registers = true;
		}
	}
	if (!registers)
		return false;
	if (t->form == LOG_TCG) {
		assert_false(judge(t)); /* IMA is not in the firmware's log */
		assert_int_equal(t->v.results[CHECK_LOG_03].status, CHECK_FAIL);
		t->unlogged = ima;
		t->policy.log.unlogged_ok = (struct string_list){ &t->unlogged,
			1 };
	}
	(void)judge(t);
	print_message("# %s: %s\n", text(c, "id"), t->sentence);
	judged_as_listed("log", c, &t->v);
	assert_int_equal(t->admitted, is_valid(c));
	if (!t->admitted)
		assert_int_equal(t->v.results[t->form == LOG_CCEL ?
					     CHECK_LOG_04 :
					     CHECK_LOG_02]
				     .status,
		    CHECK_FAIL);
	return true;
}

static void
cases_judged_as_listed(void **state)
{
	const cJSON *c;
	size_t n = 0;

	(void)state;
	cJSON_ArrayForEach(c, array("cases"))
		n += judge_case(c);
	assert_true(n > 0);
}

/* Edited logs beside the registers of the genuine, with a policy that asks for
 * the facts of the genuine. */
static void
mutations_judged_as_listed(void **state)
{
	struct blob quote = { 0 };
	const cJSON *f, *m;

	(void)state;
	(void)array("files");
	any_quote(&quote);
	cJSON_ArrayForEach(m, array("mutations")) {
		_cleanup_(trial_free) struct trial *t = NULL;

		if (!is_log(text(m, "base")))
			continue;
		t = trial_of(text(m, "base"));
		cJSON_ArrayForEach(f, array("files"))
			if (strcmp(text(f, "path"), text(m, "base")) == 0) {
				assert_true(
				    listed_registers(t, f, blob_span(&quote)));
				ask_for_all(t, member(f, "fields"));
			}
		assert_true(judge(t));
		judged_edit(m,
		    t->form == LOG_CCEL ? &t->evidence.ccel :
					  &t->evidence.event_log);
		(void)judge(t);
		print_message("# %s\n", t->sentence);
		judged_as_listed("log", m, &t->v);
	}
	blob_clear(&quote);
	judged_all("log");
}

/* No case and no mutation that no program judges. */
static void
entries_passed_over(void **state)
{
	(void)state;
	(void)array("files");
	judged_covers(manifest);
}

static int
end(void **state)
{
	(void)state;
	cJSON_Delete(manifest);
	manifest = NULL;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logs_judged_as_listed),
		cmocka_unit_test(facts_differ_from_the_listed),
		cmocka_unit_test(recorded_key_not_recognised),
		cmocka_unit_test(log_of_another_format_taken),
		cmocka_unit_test(cases_judged_as_listed),
		cmocka_unit_test(mutations_judged_as_listed),
		cmocka_unit_test(entries_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
