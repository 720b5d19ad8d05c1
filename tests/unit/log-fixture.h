/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_LOG_FIXTURE_H
#define TESTS_UNIT_LOG_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/asked.h"
#include "tests/unit/log-maker.h"
#include "tests/unit/tdx-bench.h"

/* An event log that is made, and the policy that asks for all it has. */
struct fixture {
	struct made_log log;
	struct policy policy;
	struct evidence evidence;
	struct verdict v;
	char *technology[2], *cmdline[1], *grub[1], *unlogged[2];
	struct blob authority, app, revoked, order;
	uint8_t revoked_bytes[SHA256_LEN], order_bytes[HASH_LEN_MAX];
	uint8_t authority_bytes[SHA256_LEN], app_bytes[HASH_LEN_MAX];
	struct bench tdx; /* of a CCEL: the quote */
};

static char words[][32] = { "AMD_SEV_SNP", "INTEL_TDX", MADE_KERNEL,
	MADE_GRUB_CMD };

/* A policy that asks for everything, and a log that has it. */
static struct fixture *
fixture(enum log_form form)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct policy_event_log *p;
	enum hash_alg alg = form == LOG_TCG ? HASH_SHA256 : HASH_SHA384;

	assert_non_null(f);
	made_log_init(&f->log, form);
	f->policy.tee = form == LOG_TCG ? TEE_SNP : TEE_TDX;
	f->policy.has_tpm = form == LOG_TCG;
	f->policy.tpm.bank = HASH_SHA256;
	p = &f->policy.log;
	p->present = p->exit_boot_services = true;
	f->technology[0] = words[0];
	f->technology[1] = words[1];
	p->technology = (struct string_list){ f->technology, 1 };
	p->min_gce_firmware = 2;
	p->secure_boot = REQUIRE;
	made_authority(f->authority_bytes);
	f->authority = (struct blob){ f->authority_bytes, SHA256_LEN };
	p->authorities = (struct value_list){ &f->authority, 1 };
	p->secure_boot_keys = (struct value_list){ &f->authority, 1 };
	made_revoked(f->revoked_bytes);
	f->revoked = (struct blob){ f->revoked_bytes, SHA256_LEN };
	p->dbx = (struct value_list){ &f->revoked, 1 };
	p->min_sbat_level = MADE_SBAT_LEVEL;
	made_boot_order(&f->log, f->order_bytes);
	f->order = (struct blob){ f->order_bytes, hash_len(alg) };
	p->boot_variables = (struct value_list){ &f->order, 1 };
	p->dma_protection = true;
	f->cmdline[0] = words[2];
	p->kernel_cmdline = (struct string_list){ f->cmdline, 1 };
	f->grub[0] = words[3];
	p->grub_cmd = (struct string_list){ f->grub, 1 };
	assert_int_equal(hash(alg, span(MADE_APP_IMAGE, strlen(MADE_APP_IMAGE)),
			     f->app_bytes),
	    0);
	f->app = (struct blob){ f->app_bytes, hash_len(alg) };
	p->efi_apps = (struct value_list){ &f->app, 1 };
	return f;
}

static void
fixture_freep(struct fixture **f)
{
	made_log_clear(&(*f)->log);
	evidence_clear(&(*f)->evidence);
	free(*f);
	*f = NULL;
}

#define RTMRS_AT (48 + 328) /* header; TDREPORT body to RTMR0 */

/* The log's bytes, and registers that agree with it. */
static inline void
build(struct fixture *f)
{
	struct pcr_values v;
	uint8_t *rtmr;

	if (f->log.form == LOG_TCG) {
		made_log_build(&f->log, &f->evidence.event_log,
		    &f->evidence.pcrs);
		f->policy.tpm.n_pcr_sets = 1;
		f->policy.tpm.pcr_sets[0].mask = f->evidence.pcrs.mask;
		return;
	}
	made_log_build(&f->log, &f->evidence.ccel, &v);
	if (f->evidence.tee_report.len == 0) {
		bench_begin(&f->tdx, 4);
		bench_make(&f->tdx);
		assert_int_equal(blob_set(&f->evidence.tee_report,
				     blob_span(&f->tdx.evidence.tee_report)),
		    0);
		bench_end(&f->tdx);
	}
	f->policy.tdx.n_rtmr_sets = 1;
	f->policy.tdx.rtmr_sets[0].mask = 0xf;
	rtmr = f->evidence.tee_report.data + RTMRS_AT;
	for (size_t i = 0; i < 4; i++)
		memcpy(rtmr + i * SHA384_LEN, v.value[i + 1], SHA384_LEN);
}

static inline bool
judge(struct fixture *f)
{
	const struct appraisal a = { .policy = &f->policy,
		.evidence = &f->evidence };
	struct appraisal_facts facts = { 0 };

	if (f->log.form == LOG_TCG) {
		verdict_init(&f->v, GROUP_LOG);
		(void)log_appraise(&a, &f->v, &facts);
	} else {
		verdict_init(&f->v, GROUP_CCEL);
		(void)ccel_appraise(&a, &f->v, &facts);
	}
	verdict_finish(&f->v);
	return f->v.admit;
}

static inline void
say(const struct fixture *f)
{
	char buf[VERDICT_SENTENCE_MAX];

	print_message("# %s\n", verdict_sentence(&f->v, buf, sizeof(buf)));
	for (size_t i = 0; i < CHECK_COUNT; i++)
		if (f->v.results[i].status == CHECK_FAIL)
			print_message("#   %s\n", check_table[i].name);
}

static inline void
admitted(struct fixture *f)
{
	if (!judge(f))
		say(f);
	assert_true(f->v.admit);
	asked_admitted(&f->policy, &f->v);
}

/* No other check would have objected. */
static inline void
denied_by(struct fixture *f, enum check_id id)
{
	size_t failed = 0;

	assert_false(judge(f));
	for (size_t i = 0; i < CHECK_COUNT; i++)
		failed += f->v.results[i].status == CHECK_FAIL;
	if (f->v.results[id].status != CHECK_FAIL || failed != 1)
		say(f);
	assert_int_equal(f->v.results[id].status, CHECK_FAIL);
	assert_int_equal(failed, 1);
	asked_denied(&f->policy, id);
}

#define FIXTURE(form)                                                          \
	_cleanup_(fixture_freep) struct fixture *f = fixture(form);            \
	build(f);                                                              \
	admitted(f)

#endif
