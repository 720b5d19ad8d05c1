/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "attest/chain_cache.h"
#include "attest/memo.h"
#include "tests/unit/denied.h"
#include "tests/unit/log-maker.h"
#include "tests/unit/stage.h"
#include "tests/unit/vectors.h"

/* A TD with a vTPM: what its second log says, and what the first one hides. */

enum {
	UNPINNED = 1 << 0, /* the policy has no rtmr_sets */
	UNASKED = 1 << 1,  /* nor does it ask anything of the logs */
	IGNORED = 1 << 2,
	REQUIRED = 1 << 3,
	UNEXPLAINED = 1 << 4, /* unlogged_rtmrs names them all */
};

/* The policy of the stage, with another event_log. */
static struct policy *
policy_of(const struct stage *s, unsigned how)
{
	cJSON *root = cJSON_Parse(s->text), *log, *tdx;
	struct policy *p = NULL;
	struct why why = { 0 };
	char *text;

	assert_non_null(root);
	log = cJSON_GetObjectItem(root, "event_log");
	tdx = cJSON_GetObjectItem(root, "tdx");
	if ((how & UNPINNED) != 0)
		cJSON_DeleteItemFromObject(tdx, "rtmr_sets");
	if ((how & UNASKED) != 0) {
		cJSON_ReplaceItemInObject(root, "event_log",
		    cJSON_Parse("{\"unlogged_pcrs\":[10]}"));
		log = cJSON_GetObjectItem(root, "event_log");
		(void)cJSON_AddItemToObject(log, "unlogged_rtmrs",
		    cJSON_Parse("[3]"));
	}
	if ((how & UNEXPLAINED) != 0)
		cJSON_ReplaceItemInObject(log, "unlogged_rtmrs",
		    cJSON_Parse("[0,1,2,3]"));
	if ((how & IGNORED) != 0) {
		cJSON_DeleteItemFromObject(log, "unlogged_rtmrs");
		(void)cJSON_AddStringToObject(log, "ccel", "ignore");
	}
	if ((how & REQUIRED) != 0)
		(void)cJSON_AddStringToObject(log, "ccel", "require");
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	if (policy_parse(span(text, strlen(text)), "stage", &p, &why) != 0)
		fail_msg("%s: allowed %s, got %s", why.field, why.expected,
		    why.got);
	free(text);
	return p;
}

/* Judges, and asserts that exactly these checks fail ("LOG-04 LOG-22"). */
static void
judged(struct stage *s, unsigned how, const char *failed, struct verdict *v)
{
	_cleanup_(policy_freep) struct policy *p = policy_of(s, how);
	char got[256] = "";

	s->a.policy = p;
	appraise(&s->a, v, NULL);
	s->a.policy = NULL;
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (v->results[i].status == CHECK_FAIL) {
			(void)strncat(got, " ", sizeof(got) - strlen(got) - 1);
			(void)strncat(got, check_table[i].name,
			    sizeof(got) - strlen(got) - 1);
		}
	assert_string_equal(got[0] == ' ' ? got + 1 : got, failed);
	assert_int_equal(v->admit, failed[0] == '\0');
}

static void
says(const struct verdict *v, enum check_id id, enum check_status status,
    const char *words)
{
	const struct check_result *r = &v->results[id];

	if (r->status != status || strstr(r->got, words) == NULL)
		fail_msg("%s: %s: %s (expected %s)", check_table[id].name,
		    check_status_name(r->status), r->got, r->expected);
}

static void
text_is(struct made_log *l, enum made_name name, const char *text)
{
	struct made_event *e = made_find(l, name);

	assert_int_equal(blob_set(&e->data, span(text, strlen(text))), 0);
	/* GRUB measures what is behind the prefix. */
	text = strstr(text, ": ") + 2;
	assert_int_equal(blob_set(&e->measured, span(text, strlen(text))), 0);
}

static void
nothing(struct made_log *l)
{
	(void)l;
}

static void
secure_boot_off(struct made_log *l)
{
	struct made_event *e = made_find(l, MADE_SECURE_BOOT);

	e->data.data[e->data.len - 1] = 0;
}

static void
no_secure_boot(struct made_log *l)
{
	made_remove(l, made_find(l, MADE_SECURE_BOOT));
}

static void
other_cmdline(struct made_log *l)
{
	text_is(l, MADE_CMDLINE, "kernel_cmdline: /vmlinuz init=/bin/sh");
}

static void
shorter_cmdline(struct made_log *l)
{
	text_is(l, MADE_CMDLINE, "kernel_cmdline: /vmlinuz root=/dev/dm-0 r");
}

static void
longer_cmdline(struct made_log *l)
{
	text_is(l, MADE_CMDLINE, "kernel_cmdline: " MADE_KERNEL " init=/sh");
}

static void
cmdline_as_long(struct made_log *l)
{
	text_is(l, MADE_CMDLINE, "kernel_cmdline: /vmlinuz root=/dev/dm-1 ro");
}

static void
second_cmdline(struct made_log *l)
{
	static const char text[] = "kernel_cmdline: " MADE_KERNEL;

	made_insert(l, l->n, 8, EV_IPL, span(text, strlen(text)),
	    span(MADE_KERNEL, strlen(MADE_KERNEL)));
}

static void
no_cmdline(struct made_log *l)
{
	made_remove(l, made_find(l, MADE_CMDLINE));
}

static void
other_app(struct made_log *l)
{
	static const char image[] = "another application";

	assert_int_equal(blob_set(&made_find(l, MADE_APP)->measured,
			     span(image, strlen(image))),
	    0);
}

static void
second_app(struct made_log *l)
{
	struct made_event *e = made_find(l, MADE_APP);

	made_insert(l, (size_t)(e - l->events) + 1, 4,
	    (uint32_t)EV_EFI_BOOT_SERVICES_APPLICATION, span("x", 1),
	    span("x", 1));
}

static void
no_app(struct made_log *l)
{
	made_remove(l, made_find(l, MADE_APP));
}

static void
one_bank(struct made_log *l)
{
	l->n_others = 0;
}

static void
one_bank_second_app(struct made_log *l)
{
	one_bank(l);
	second_app(l);
}

static void
no_boot_order(struct made_log *l)
{
	made_remove(l, made_find(l, MADE_BOOT_ORDER));
}

static void
debug_mode(struct made_log *l)
{
	static const char text[] = "UEFI Debug Mode";

	made_insert(l, 2, 7, (uint32_t)EV_EFI_ACTION, span(text, strlen(text)),
	    span(NULL, 0));
}

static void
lied_about(struct made_log *l)
{
	struct made_event *e = made_find(l, MADE_EXIT);

	assert_int_equal(blob_set(&e->measured, span("something else", 14)), 0);
}

static void
broken_separator(struct made_log *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->events[i].type == EV_SEPARATOR &&
		    l->events[i].pcr == 4) {
			l->events[i].data.data[0] = 1;
			return;
		}
	fail_msg("no separator of PCR 4");
}

static void
unprotected(struct made_log *l)
{
	static const char off[] = "DMA Protection Disabled";

	made_insert(l, 2, 7, (uint32_t)EV_EFI_ACTION, span(off, strlen(off)),
	    span(NULL, 0));
}

static void
no_exit(struct made_log *l)
{
	made_remove(l, made_find(l, MADE_EXIT));
}

static void
no_sbat(struct made_log *l)
{
	made_remove(l, made_find(l, MADE_SBAT));
}

static void
other_grub(struct made_log *l)
{
	text_is(l, MADE_GRUB, "grub_cmd: insmod evil");
}

static const struct row {
	void (*tpm)(struct made_log *l), (*ccel)(struct made_log *l);
	unsigned how;
	const char *failed;
	enum check_id check; /* whose words are looked at */
	const char *words;
} rows[] = {
	{ nothing, nothing, 0, "", CHECK_LOG_22,
	    "the same: Secure Boot, kernel command line, EFI applications" },
	{ nothing, nothing, REQUIRED, "", CHECK_LOG_22, "the same: " },
	{ nothing, nothing, UNPINNED, "", CHECK_LOG_22, "the same: " },
	{ nothing, nothing, UNPINNED | UNASKED, "", CHECK_LOG_22,
	    "the same: " },

	/* Both prove themselves; one tells of another boot. */
	{ nothing, secure_boot_off, UNPINNED, "LOG-22", CHECK_LOG_22,
	    "CCEL: off" },
	{ secure_boot_off, nothing, UNPINNED | UNASKED, "LOG-22", CHECK_LOG_22,
	    "CCEL: on" },
	{ secure_boot_off, secure_boot_off, UNPINNED | UNASKED, "",
	    CHECK_LOG_22, "the same: Secure Boot" },
	{ nothing, other_cmdline, UNPINNED, "LOG-22", CHECK_LOG_22,
	    "CCEL: /vmlinuz init=/bin/sh" },
	{ nothing, shorter_cmdline, UNPINNED, "LOG-22", CHECK_LOG_22,
	    "CCEL: /vmlinuz root=/dev/dm-0 r" },
	{ nothing, longer_cmdline, UNPINNED, "LOG-22", CHECK_LOG_22,
	    "CCEL: " MADE_KERNEL " init=/sh" },
	{ nothing, cmdline_as_long, UNPINNED, "LOG-22", CHECK_LOG_22,
	    "CCEL: /vmlinuz root=/dev/dm-1 ro" },
	{ other_cmdline, nothing, UNPINNED | UNASKED, "LOG-22", CHECK_LOG_22,
	    "CCEL: " MADE_KERNEL },
	{ other_cmdline, other_cmdline, UNPINNED | UNASKED, "", CHECK_LOG_22,
	    "kernel command line" },
	{ nothing, second_cmdline, UNPINNED, "LOG-22", CHECK_LOG_22,
	    "CCEL: 2" },
	{ nothing, other_app, UNPINNED, "LOG-22", CHECK_LOG_22, "CCEL: " },
	{ nothing, second_app, UNPINNED, "LOG-22", CHECK_LOG_22, "CCEL: 2" },
	{ second_app, nothing, UNPINNED | UNASKED, "LOG-22", CHECK_LOG_22,
	    "CCEL: 1" },
	{ second_app, second_app, UNPINNED | UNASKED, "", CHECK_LOG_22,
	    "EFI applications" },
	/* Without SHA-384 in the TPM's log only their number can be told. */
	{ one_bank, other_app, UNPINNED, "", CHECK_LOG_22,
	    "number of EFI applications" },
	{ one_bank_second_app, nothing, UNPINNED | UNASKED, "LOG-22",
	    CHECK_LOG_22, "CCEL: 1" },

	/* What one of them does not say is no lie. */
	{ nothing, no_cmdline, UNPINNED, "", CHECK_LOG_22,
	    "the same: Secure Boot, EFI applications" },
	{ nothing, no_app, UNPINNED, "", CHECK_LOG_22,
	    "the same: Secure Boot, kernel command line" },
	{ nothing, no_secure_boot, UNPINNED, "", CHECK_LOG_22,
	    "the same: kernel command line, EFI applications" },

	/* What is asked is asked of both, where RTMRs prove it. */
	{ nothing, secure_boot_off, 0, "LOG-10 LOG-22", CHECK_LOG_10,
	    "CCEL: off" },
	{ nothing, no_cmdline, 0, "LOG-12", CHECK_LOG_12, "CCEL: 0" },
	{ nothing, other_cmdline, 0, "LOG-12 LOG-22", CHECK_LOG_12,
	    "CCEL: /vmlinuz init" },
	{ nothing, other_grub, 0, "LOG-13", CHECK_LOG_13, "CCEL: insmod evil" },
	{ nothing, no_exit, 0, "LOG-15", CHECK_LOG_15, "CCEL: no such event" },
	{ nothing, no_sbat, 0, "LOG-19", CHECK_LOG_19, "CCEL: no SbatLevel" },
	{ nothing, unprotected, 0, "LOG-21", CHECK_LOG_21, "CCEL: one" },
	{ nothing, no_exit, UNPINNED, "", CHECK_LOG_15, "" },
	{ nothing, no_exit, UNEXPLAINED, "", CHECK_LOG_15, "" },
	{ nothing, other_grub, UNPINNED, "", CHECK_LOG_13, "" },
	/* These the policy names in another bank. */
	{ nothing, no_app, 0, "", CHECK_LOG_14, "" },
	{ nothing, no_boot_order, 0, "", CHECK_LOG_20, "" },

	/* What no policy has to ask for. */
	{ nothing, debug_mode, UNPINNED | UNASKED, "LOG-16", CHECK_LOG_16,
	    "CCEL: debug mode" },
	{ nothing, lied_about, UNPINNED | UNASKED, "LOG-05", CHECK_LOG_05,
	    "CCEL: event log" },
	{ nothing, broken_separator, UNPINNED | UNASKED, "LOG-06", CHECK_LOG_06,
	    "CCEL: event log" },

	/* A good CCEL makes up for nothing. */
	{ debug_mode, nothing, UNASKED, "LOG-16", CHECK_LOG_16, "debug mode" },
	{ lied_about, nothing, UNASKED, "LOG-05", CHECK_LOG_05, "event log" },
	{ no_cmdline, nothing, 0, "LOG-12", CHECK_LOG_12, "0" },
	{ other_grub, nothing, 0, "LOG-13", CHECK_LOG_13, "insmod evil" },

	/* Whoever does not look sees nothing. */
	{ nothing, secure_boot_off, IGNORED, "", CHECK_LOG_10, "" },
	{ nothing, other_cmdline, IGNORED, "", CHECK_LOG_12, "" },
	{ nothing, debug_mode, IGNORED, "", CHECK_LOG_16, "" },
};

static void
log_that_tells_of_another_boot(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		const struct row *r = &rows[i];
		_cleanup_(stage_free) struct stage *s = NULL;
		struct made_log tpm, ccel;
		struct verdict v;

		print_message("# row %zu: %s\n", i, r->failed);
		stage_logs(&tpm, &ccel);
		r->tpm(&tpm);
		r->ccel(&ccel);
		s = stage_new_td(&tpm, &ccel);
		made_log_clear(&tpm);
		made_log_clear(&ccel);
		judged(s, r->how, r->failed, &v);
		if (r->words[0] != '\0')
			says(&v, r->check,
			    r->failed[0] != '\0' ? CHECK_FAIL : CHECK_PASS,
			    r->words);
		else
			assert_int_equal(v.results[r->check].status,
			    CHECK_PASS);
		/* Of the log that failed first the words are its own. */
		if (r->ccel == nothing && r->check != CHECK_LOG_22)
			assert_null(strstr(v.results[r->check].got, "CCEL"));
	}
}

/* The CCEL is a claim until it replays. */
static void
ccel_that_leads_elsewhere(void **state)
{
	_cleanup_(stage_free) struct stage *s = stage_new(STAGE_TDX_TPM);
	struct verdict v;
	size_t n;

	(void)state;
	judged(s, 0, "", &v);
	assert_int_equal(v.results[CHECK_LOG_04].status, CHECK_PASS);
	n = s->e.ccel.len;
	for (size_t i = 0; i < 3; i++) { /* RTMR 0, 1 and 2 */
		struct pcr_values rtmrs;
		struct made_log tpm, ccel;

		stage_logs(&tpm, &ccel);
		made_remove(&ccel,
		    i == 0     ? made_find(&ccel, MADE_SBAT) :
			i == 1 ? made_find(&ccel, MADE_GPT) :
				 made_find(&ccel, MADE_GRUB));
		made_log_build(&ccel, &s->e.ccel, &rtmrs);
		made_log_clear(&tpm);
		made_log_clear(&ccel);
		judged(s, UNPINNED, "LOG-04", &v);
		says(&v, CHECK_LOG_04, CHECK_FAIL, "RTMR ");
		judged(s, UNPINNED | UNEXPLAINED, "", &v);
		judged(s, IGNORED, "", &v);
	}
	assert_true(s->e.ccel.len < n);
	s->e.ccel.len -= 2;
	judged(s, 0, "LOG-01", &v);
	says(&v, CHECK_LOG_01, CHECK_FAIL, "CCEL: ");
	s->e.ccel.len = 40;
	judged(s, UNPINNED, "LOG-01", &v);
	s->e.ccel.data[0] ^= 1;
	s->e.ccel.data[30] ^= 1;
	judged(s, UNPINNED | UNASKED, "LOG-01", &v);
	judged(s, IGNORED, "", &v);
	assert_int_equal(v.results[CHECK_LOG_04].status, CHECK_NOT_APPLICABLE);
	assert_int_equal(v.results[CHECK_LOG_22].status, CHECK_NOT_APPLICABLE);
}

static void
missing_ccel_unnoticed(void **state)
{
	_cleanup_(stage_free) struct stage *s = stage_new(STAGE_TDX_BARE);
	struct verdict v;

	(void)state;
	judged(s, 0, "", &v);
	says(&v, CHECK_LOG_04, CHECK_SKIPPED, "the machine has no CCEL");
	says(&v, CHECK_LOG_22, CHECK_SKIPPED, "the machine has no CCEL");
	assert_int_equal(v.results[CHECK_LOG_01].status, CHECK_PASS);
	assert_int_equal(v.results[CHECK_LOG_10].status, CHECK_PASS);
	judged(s, REQUIRED, "LOG-01", &v);
	says(&v, CHECK_LOG_01, CHECK_FAIL, "CCEL: none");
	judged(s, REQUIRED | UNPINNED | UNASKED, "LOG-01", &v);
	judged(s, IGNORED, "", &v);
	/* The TPM's own log is no less needed. */
	blob_clear(&s->e.event_log);
	judged(s, 0, "LOG-01", &v);
	assert_null(strstr(v.results[CHECK_LOG_01].got, "CCEL"));
}

/* An answer that is remembered is of these very logs. */
static void
outlives_its_ccel(void **state)
{
	_cleanup_(
	    chain_cache_freep) struct chain_cache *cache = chain_cache_new();
	_cleanup_(stage_free) struct stage *s = stage_new(STAGE_TDX_TPM);
	struct memos *memos = chain_cache_memos(cache);
	struct verdict v;
	size_t last;

	(void)state;
	s->a.cache = cache;
	judged(s, 0, "", &v);
	assert_int_equal(memo_recalls(memos), 0);
	judged(s, 0, "", &v);
	assert_int_equal(memo_recalls(memos), 4); /* TDX, both logs, LOG-22 */
	assert_int_equal(v.results[CHECK_LOG_04].status, CHECK_PASS);
	says(&v, CHECK_LOG_22, CHECK_PASS, "the same: ");
	last = s->e.ccel.len - 1;
	s->e.ccel.data[last] ^= 1;
	/* "Exit Boot Services Returned with Success" */
	judged(s, 0, "LOG-05 LOG-15", &v);
	says(&v, CHECK_LOG_05, CHECK_FAIL, "CCEL: ");
	assert_int_equal(memo_recalls(memos), 6);
	s->e.ccel.data[last] ^= 1;
	s->e.event_log.data[s->e.event_log.len - 1] ^= 1;
	judged(s, 0, "LOG-05 LOG-15", &v);
	assert_null(strstr(v.results[CHECK_LOG_05].got, "CCEL"));
	s->e.event_log.data[s->e.event_log.len - 1] ^= 1;
	blob_clear(&s->e.ccel);
	judged(s, 0, "", &v);
	says(&v, CHECK_LOG_22, CHECK_SKIPPED, "no CCEL");
	s->a.cache = NULL;
}

/* Logs of machines of Google's: no two of them are of one boot. */
static void
recorded_logs_of_two_boots(void **state)
{
	static const char *const tpm[] = { "tpm/eventlog-cos-101-amd-sev.bin",
		"tpm/eventlog-cos-85-amd-sev.bin", "tpm/eventlog-coreos-36.bin",
		"tpm/eventlog-ubuntu-2104-no-secure-boot.bin",
		"tpm/eventlog-ubuntu-2404-amd-sevsnp.bin" };
	static const char *const td[] = { "ccel/gce-cos113.ccel.bin",
		"ccel/gce-vm.ccel.bin" };

	(void)state;
	for (size_t i = 0; i < NELEMS(tpm) * NELEMS(td); i++) {
		_cleanup_(evidence_clear) struct evidence e = { 0 };
		const struct policy p = { .tpm.bank = HASH_SHA256 };
		const struct appraisal a = { .policy = &p, .evidence = &e };
		struct appraisal_facts facts;
		struct verdict v;

		vector_load(tpm[i / NELEMS(td)], &e.event_log);
		vector_load(td[i % NELEMS(td)], &e.ccel);
		verdict_init(&v, GROUP_LOGS);
		assert_false(logs_appraise(&a, &v, &facts));
		says(&v, CHECK_LOG_22, CHECK_FAIL, "CCEL: ");
		print_message("# %s\n", v.results[CHECK_LOG_22].expected);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_that_tells_of_another_boot),
		cmocka_unit_test(ccel_that_leads_elsewhere),
		cmocka_unit_test(missing_ccel_unnoticed),
		cmocka_unit_test(outlives_its_ccel),
		cmocka_unit_test(recorded_logs_of_two_boots),
	};

	return denied_end("log-both",
	    cmocka_run_group_tests_name("log-both", tests, stage_setup,
		stage_teardown));
}
