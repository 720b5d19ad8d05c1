/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/verdict.h"
#include "conf/json_read.h"
#include "tests/unit/corpus.h"

#define EVERY_GROUP                                                            \
	(GROUP_SRC | GROUP_BIND | GROUP_BIND_TPM | GROUP_SNP | GROUP_TDX |     \
	    GROUP_TPM | GROUP_LOG | GROUP_CCEL | GROUP_HCL | GROUP_SVSM |      \
	    GROUP_LOGS | GROUP_COL)

/* Everything of groups has passed. */
static void
all_passed(struct verdict *v, unsigned groups)
{
	verdict_init(v, groups);
	for (int i = 0; i < CHECK_COUNT; i++)
		if (check_table[i].group & groups)
			assert_true(verdict_pass(v, (enum check_id)i));
}

static void
check_that_was_never_run_admits(void **state)
{
	enum check_id not_run;
	struct verdict v;

	(void)state;
	all_passed(&v, EVERY_GROUP);
	verdict_finish(&v);
	assert_true(v.admit);
	for (int i = 0; i < CHECK_COUNT; i++) {
		all_passed(&v, EVERY_GROUP);
		v.results[i].status = CHECK_NOT_RUN;
		verdict_finish(&v);
		assert_false(v.admit);
		assert_int_equal(verdict_first_fail(&v, &not_run), CHECK_COUNT);
		assert_int_equal(not_run, i);
	}
}

static void
nothing_asked_admits(void **state)
{
	struct verdict v;

	(void)state;
	verdict_init(&v, 0);
	verdict_finish(&v);
	assert_false(v.admit);
	/* All skipped is as good as nothing looked at. */
	verdict_init(&v, GROUP_SRC);
	(void)verdict_skip(&v, CHECK_SRC_01, "why not");
	(void)verdict_skip(&v, CHECK_SRC_02, "why not");
	verdict_finish(&v);
	assert_false(v.admit);
	verdict_init(&v, GROUP_SRC);
	assert_false(v.admit);
}

static void
failed_check_passes_later(void **state)
{
	enum check_id not_run;
	struct verdict v;

	(void)state;
	for (int i = 0; i < CHECK_COUNT; i++) {
		enum check_id id = (enum check_id)i;

		all_passed(&v, EVERY_GROUP);
		assert_false(verdict_fail(&v, id, "this", "%s", "that"));
		assert_false(verdict_pass(&v, id));
		assert_false(verdict_skip(&v, id, "no"));
		assert_false(verdict_pass_value(&v, id, "%d", 1));
		assert_false(verdict_check(&v, id, true, "", "%s", ""));
		assert_false(verdict_from_why(&v, id, CVM_OK, NULL));
		assert_false(verdict_fail(&v, id, "other", "%s", "words"));
		verdict_finish(&v);
		assert_false(v.admit);
		assert_int_equal(verdict_first_fail(&v, &not_run), id);
		assert_string_equal(v.results[id].expected, "this");
		assert_string_equal(v.results[id].got, "that");
	}
}

static void
failure_of_another_group_lost(void **state)
{
	enum check_id not_run;
	struct verdict v;

	(void)state;
	all_passed(&v, GROUP_SRC);
	(void)verdict_fail(&v, CHECK_TPM_04, "a signature", "none");
	verdict_finish(&v);
	assert_false(v.admit);
	assert_int_equal(verdict_first_fail(&v, &not_run), CHECK_TPM_04);
}

static void
groups_that_do_not_apply_counted(void **state)
{
	struct verdict v;
	size_t n = 0;

	(void)state;
	all_passed(&v, GROUP_SRC | GROUP_TPM);
	verdict_finish(&v);
	assert_true(v.admit);
	for (int i = 0; i < CHECK_COUNT; i++) {
		bool applies = check_table[i].group & (GROUP_SRC | GROUP_TPM);

		assert_int_equal(v.results[i].status,
		    applies ? CHECK_PASS : CHECK_NOT_APPLICABLE);
		n += !applies;
	}
	assert_true(n > 0);
	/* A pass of a group that was not asked for admits nobody. */
	verdict_init(&v, GROUP_SRC);
	(void)verdict_pass(&v, CHECK_TPM_01);
	verdict_finish(&v);
	assert_false(v.admit);
}

static void
control_characters_reach_the_log(void **state)
{
	char buf[VERDICT_SENTENCE_MAX];
	struct verdict v;
	struct why why;

	(void)state;
	all_passed(&v, GROUP_SRC);
	(void)verdict_fail(&v, CHECK_SRC_01, "a\nb\x1b[2J", "%s",
	    "\x01\x7f\xc3\xa4\r\nline");
	verdict_finish(&v);
	assert_string_equal(v.results[CHECK_SRC_01].expected, "a?b?[2J");
	assert_string_equal(v.results[CHECK_SRC_01].got, "??????line");
	(void)verdict_sentence(&v, buf, sizeof(buf));
	for (const char *c = buf; *c != '\0'; c++)
		assert_true(*c >= 0x20 && *c < 0x7f);
	assert_int_equal(verdict_why(&v, &why), CVM_E_DENIED);
	assert_int_equal(why.err, CVM_E_DENIED);
	assert_non_null(strstr(why.where, "SRC-01"));
	assert_string_equal(why.got, "??????line");
}

static void
long_value_overflows(void **state)
{
	char text[2 * CHECK_VALUE_MAX], buf[VERDICT_SENTENCE_MAX];
	struct verdict v;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	all_passed(&v, GROUP_SRC);
	(void)verdict_fail(&v, CHECK_SRC_02, text, "%s", text);
	verdict_finish(&v);
	assert_int_equal(strlen(v.results[CHECK_SRC_02].got),
	    CHECK_VALUE_MAX - 1);
	assert_true(
	    strlen(verdict_sentence(&v, buf, sizeof(buf))) < sizeof(buf));
	assert_true(strlen(verdict_sentence(&v, buf, 10)) < 10);
}

static void
first_failure_is_not_the_first(void **state)
{
	char buf[VERDICT_SENTENCE_MAX];
	enum check_id not_run;
	struct verdict v;
	struct why why;

	(void)state;
	verdict_init(&v, GROUP_SRC | GROUP_TPM);
	(void)verdict_fail(&v, CHECK_TPM_14, "PCR 4 = 00", "PCR 4 = %02x", 1);
	(void)verdict_fail(&v, CHECK_TPM_02, "x", "y");
	verdict_finish(&v);
	assert_int_equal(verdict_first_fail(&v, &not_run), CHECK_TPM_02);
	assert_int_equal(not_run, CHECK_SRC_01);
	assert_int_equal(verdict_why(&v, &why), CVM_E_DENIED);
	assert_non_null(strstr(why.where, "TPM-02"));
	assert_non_null(
	    strstr(verdict_sentence(&v, buf, sizeof(buf)), "TPM-02"));
	/* Not reached: named, where nothing failed. */
	verdict_init(&v, GROUP_SRC);
	verdict_finish(&v);
	(void)verdict_why(&v, &why);
	assert_string_equal(why.field, "SRC-01");
	assert_non_null(strstr(verdict_sentence(&v, buf, sizeof(buf)),
	    "SRC-01 was not reached"));
}

static void
simulated_machine_unmentioned(void **state)
{
	char buf[VERDICT_SENTENCE_MAX];
	struct verdict v;

	(void)state;
	all_passed(&v, GROUP_SRC);
	verdict_finish(&v);
	assert_null(strstr(verdict_sentence(&v, buf, sizeof(buf)), "SIMUL"));
	v.simulated = true;
	assert_non_null(
	    strstr(verdict_sentence(&v, buf, sizeof(buf)), "SIMULATED"));
}

static void
checks_without_or_with_the_same_name(void **state)
{
	(void)state;
	for (int i = 0; i < CHECK_COUNT; i++) {
		const struct check_info *c = &check_table[i];

		assert_int_equal(check_find(c->name), i);
		assert_true(c->group != 0 && (c->group & ~EVERY_GROUP) == 0);
		assert_true(c->title[0] != '\0' && c->reads[0] != '\0');
	}
	assert_int_equal(check_find("SNP"), CHECK_COUNT);
	assert_int_equal(check_find(""), CHECK_COUNT);
	for (int s = CHECK_NOT_RUN; s <= CHECK_NOT_APPLICABLE; s++)
		assert_true(check_status_name((enum check_status)s)[0] != 0);
}

/* What no check of an appraisal is about: names, and what a round does. */
static const char *const not_judged[] = { "version", "name", "bind",
	"session_max_age_s", "session_open_max_age_s", "tpm.bank" };

static bool
is_below(const char *path, const char *field)
{
	size_t n = strlen(field);

	return n > 0 && strncmp(path, field, n) == 0 &&
	    (path[n] == '\0' || path[n] == '.');
}

static bool
governs_a_check(const char *path)
{
	for (size_t i = 0; i < NELEMS(not_judged); i++)
		if (strcmp(path, not_judged[i]) == 0)
			return true;
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (strcmp(check_table[i].field, "event_log") != 0 &&
		    is_below(path, check_table[i].field))
			return true;
	return false;
}

/* Walks the rows of the policy: each leaf is some check's, and the fields that
 * were met are counted. */
static void
walk(const struct json_table *table, const char *above,
    bool met[static CHECK_COUNT])
{
	for (size_t i = 0; i < table->n; i++) {
		const struct json_field *row = &table->fields[i];
		char path[128];

		(void)snprintf(path, sizeof(path), "%s%s%s", above,
		    above[0] != '\0' ? "." : "", row->name);
		for (size_t k = 0; k < CHECK_COUNT; k++)
			met[k] |= strcmp(check_table[k].field, path) == 0;
		if (row->read == json_read_table)
			walk(row->arg, path, met);
		else if (!governs_a_check(path))
			fail_msg("%s: no check reads it", path);
	}
}

static void
policy_field_without_check(void **state)
{
	bool met[CHECK_COUNT] = { false };

	(void)state;
	walk(&policy_table, "", met);
	for (size_t k = 0; k < CHECK_COUNT; k++)
		if (check_table[k].field[0] != '\0' && !met[k])
			fail_msg("%s: no policy has a field \"%s\"",
			    check_table[k].name, check_table[k].field);
}

/* Of two logs the worse one counts, whichever it is. */
static void
worse_result_hidden(void **state)
{
	static const enum check_status worst[] = { CHECK_SKIPPED, CHECK_PASS,
		CHECK_NOT_RUN, CHECK_FAIL };
	static struct verdict a, b;

	(void)state;
	for (size_t i = 0; i < NELEMS(worst) * NELEMS(worst); i++) {
		size_t mine = i % NELEMS(worst), other = i / NELEMS(worst);
		const struct check_result *r = &a.results[CHECK_LOG_10];

		all_passed(&a, EVERY_GROUP);
		all_passed(&b, EVERY_GROUP);
		a.results[CHECK_LOG_10] = (struct check_result){
			.status = worst[mine],
			.got = "mine"
		};
		b.results[CHECK_LOG_10] = (struct check_result){
			.status = worst[other],
			.got = "other"
		};
		b.results[CHECK_LOG_04].status = worst[other];
		b.results[CHECK_LOG_02].status = CHECK_FAIL;
		verdict_merge(&a, &b, GROUP_CCEL, GROUP_LOG, "CCEL");
		assert_int_equal(r->status, worst[mine > other ? mine : other]);
		assert_string_equal(r->got,
		    other > mine ? "CCEL: other" : "mine");
		/* The other's own, and none of its business. */
		assert_int_equal(a.results[CHECK_LOG_04].status, worst[other]);
		assert_int_equal(a.results[CHECK_LOG_02].status, CHECK_PASS);
		verdict_finish(&a);
		assert_int_equal(a.admit, mine < 2 && other < 2);
	}
}

static const struct {
	enum check_id check;
	const char *program;
} denied[] = {
#define ALONE(id, program) { CHECK_##id, program },
#define FIRST(id, program) { CHECK_##id, program },
#include "tests/unit/denied.def"
#undef ALONE
#undef FIRST
};

static void
check_that_nobody_saw_deny(void **state)
{
	static unsigned rows[CHECK_COUNT];

	(void)state;
	for (size_t i = 0; i < NELEMS(denied); i++) {
		_cleanup_(freep) char *text = NULL;
		char path[128], call[64];

		rows[denied[i].check]++;
		/* The program is one that looks at its rows. */
		(void)snprintf(path, sizeof(path), "tests/unit/test-%s.c",
		    denied[i].program);
		(void)snprintf(call, sizeof(call), "denied_end(\"%s\",",
		    denied[i].program);
		text = corpus_file(path);
		if (strstr(text, call) == NULL)
			fail_msg("%s does not call %s", path, call);
	}
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (rows[i] != 1)
			fail_msg("%s: %u rows in denied.def",
			    check_table[i].name, rows[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policy_field_without_check),
		cmocka_unit_test(check_that_was_never_run_admits),
		cmocka_unit_test(nothing_asked_admits),
		cmocka_unit_test(failed_check_passes_later),
		cmocka_unit_test(failure_of_another_group_lost),
		cmocka_unit_test(groups_that_do_not_apply_counted),
		cmocka_unit_test(control_characters_reach_the_log),
		cmocka_unit_test(long_value_overflows),
		cmocka_unit_test(first_failure_is_not_the_first),
		cmocka_unit_test(simulated_machine_unmentioned),
		cmocka_unit_test(checks_without_or_with_the_same_name),
		cmocka_unit_test(worse_result_hidden),
		cmocka_unit_test(check_that_nobody_saw_deny),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
