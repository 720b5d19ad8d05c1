/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "attest/tdx.h"
#include "tests/unit/machine.h"

/*
 * Quotes and collateral of the virtual CVM, which another hand wrote from the
 * specifications: each of its misbehaviours is refused by the right check.
 */
static struct machine machine;
static bool running;

/* Everything that an appraisal of it needs. */
struct scene {
	struct evidence evidence;
	struct endorsements *e;
	struct policy policy;
	struct blob root, mrtd;
	char *status;
	struct verdict v;
};

static void
read_file(const char *path, struct blob *ret)
{
	FILE *f = fopen(path, "r");
	uint8_t buf[8192];
	size_t n;

	if (f == NULL)
		fail_msg("%s", path);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		assert_int_equal(blob_append(ret, span(buf, n)), CVM_OK);
	assert_int_equal(fclose(f), 0);
}

/* configfs-tsm: an entry, an inblob, an outblob. */
static void
take_quote(struct blob *ret)
{
	static const char dir[] = "sys/kernel/config/tsm/report/test";
	uint8_t report_data[REPORT_DATA_LEN] = { 1, 2, 3 };
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s", machine_path(&machine, dir));
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/inblob",
	    machine_path(&machine, dir));
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(report_data, 1, sizeof(report_data), f),
	    sizeof(report_data));
	assert_int_equal(fclose(f), 0);
	(void)snprintf(path, sizeof(path), "%s/outblob",
	    machine_path(&machine, dir));
	read_file(path, ret);
	assert_int_equal(rmdir(machine_path(&machine, dir)), 0);
}

/* The pin of the machine's own root. */
static void
root_pin(struct blob *ret)
{
	_cleanup_(blob_clear) struct blob text = { 0 };
	char path[256];
	cJSON *j;
	const cJSON *spki;

	(void)snprintf(path, sizeof(path), "%s/pki/roots.json", machine.dir);
	read_file(path, &text);
	j = cJSON_ParseWithLength((const char *)text.data, text.len);
	spki =
	    cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(j,
						 "sgx_root"),
		"spki_sha256");
	assert_true(cJSON_IsString(spki));
	assert_int_equal(hex_decode_blob(spki->valuestring, SHA256_LEN, ret),
	    CVM_OK);
	cJSON_Delete(j);
}

static void
scene_begin(struct scene *s)
{
	static char up_to_date[] = "UpToDate";
	struct policy_tdx *p = &s->policy.tdx;
	char dir[128];
	struct tdx_quote q;

	memset(s, 0, sizeof(*s));
	s->policy.tee = s->evidence.tee = TEE_TDX;
	root_pin(&s->root);
	p->roots = (struct value_list){ &s->root, 1 };
	s->status = up_to_date;
	p->tcb_status = (struct string_list){ &s->status, 1 };
	p->debug = p->migratable = p->perfmon = FORBID;
	p->sept_ve_disable = REQUIRE;
	p->dynamic_platform = p->cached_keys = p->smt = true;
	take_quote(&s->evidence.tee_report);
	assert_int_equal(tdx_quote_parse(blob_span(&s->evidence.tee_report), &q,
			     NULL),
	    CVM_OK);
	assert_int_equal(blob_set(&s->mrtd, q.mrtd), CVM_OK);
	p->mrtd = (struct value_list){ &s->mrtd, 1 };
	(void)snprintf(dir, sizeof(dir), "%s/collateral", machine.dir);
	assert_int_equal(endorsements_load(dir, &s->e, NULL), CVM_OK);
}

static bool
scene_appraise(struct scene *s)
{
	struct appraisal a = { .policy = &s->policy,
		.evidence = &s->evidence,
		.endorsements = s->e,
		.now = time(NULL) };
	struct appraisal_facts facts = { 0 };

	verdict_init(&s->v, GROUP_TDX);
	(void)tdx_appraise(&a, &s->v, &facts);
	verdict_finish(&s->v);
	return s->v.admit;
}

static void
scene_end(struct scene *s)
{
	evidence_clear(&s->evidence);
	endorsements_freep(&s->e);
	blob_clear(&s->root);
	blob_clear(&s->mrtd);
}

static void
appraise_machine(const char *words, enum check_id expected)
{
	char sentence[VERDICT_SENTENCE_MAX];
	enum check_id not_run;
	struct scene s;

	if (words != NULL)
		machine_ctl(&machine, words);
	scene_begin(&s);
	(void)scene_appraise(&s);
	(void)verdict_sentence(&s.v, sentence, sizeof(sentence));
	print_message("%s: %s\n", words != NULL ? words : "good", sentence);
	assert_int_equal(s.v.admit, expected == CHECK_COUNT);
	assert_int_equal(verdict_first_fail(&s.v, &not_run), expected);
	scene_end(&s);
	if (words != NULL)
		machine_reset(&machine);
}

static void
each_misbehaviour_is_refused(void)
{
	static const struct {
		const char *words;
		enum check_id expected;
	} rows[] = {
		{ "set debug on", CHECK_TDX_59 },
		{ "set migratable on", CHECK_TDX_62 },
		{ "set root foreign", CHECK_TDX_11 },
		{ "set revoked ca", CHECK_TDX_22 },
		{ "set revoked leaf", CHECK_TDX_22 },
		{ "set collateral expired", CHECK_TDX_22 },
		{ "set collateral future", CHECK_TDX_22 },
		{ "set signature bad", CHECK_TDX_18 },
		{ "set tdx.padding junk", CHECK_TDX_07 },
		{ "set tcb old", CHECK_TDX_51 },
	};

	for (size_t i = 0; i < NELEMS(rows); i++)
		appraise_machine(rows[i].words, rows[i].expected);
	appraise_machine("set tdx.padding none", CHECK_COUNT);
	appraise_machine(NULL, CHECK_COUNT);
}

static void
with_machine(const char *platform)
{
	if (!machine_start(&machine, platform))
		skip();
	running = true;
	appraise_machine(NULL, CHECK_COUNT);
	each_misbehaviour_is_refused();
	running = false;
	machine_stop(&machine);
}

static void
version_4_platform_ca(void **state)
{
	(void)state;
	with_machine("tdx");
}

static void
version_5_processor_ca(void **state)
{
	(void)state;
	with_machine("tdx --quote-version 5 --pck-ca processor");
}

static void
version_5_td10(void **state)
{
	(void)state;
	with_machine("tdx --quote-version 5 --quote-body 1.0");
}

static int
stop(void **state)
{
	(void)state;
	if (running)
		machine_stop(&machine);
	running = false;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(version_4_platform_ca, stop),
		cmocka_unit_test_teardown(version_5_processor_ca, stop),
		cmocka_unit_test_teardown(version_5_td10, stop),
	};

	return cmocka_run_group_tests_name("tdx-machine", tests, NULL, NULL);
}
