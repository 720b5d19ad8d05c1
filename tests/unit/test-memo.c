/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attest/chain_cache.h"
#include "attest/memo.h"
#include "tests/unit/denied.h"
#include "tests/unit/log-maker.h"
#include "tests/unit/snp-maker.h"

/* What a remembered answer must not outlive: each test first sees that the
 * answer is remembered. */

#define REPORT_DATA_AT 0x50

/* An SNP machine whose appraisals share a memory. */
struct scene {
	struct snp_machine m;
	struct evidence evidence;
	struct endorsements *endorsements;
	struct chain_cache *cache;
	struct appraisal a;
	struct verdict v;
};

static void
scene_clear(struct scene *s)
{
	evidence_clear(&s->evidence);
	endorsements_freep(&s->endorsements);
	chain_cache_freep(&s->cache);
}

/* The machine as it is now; the memory stays. */
static void
build(struct scene *s)
{
	struct snp_machine *m = &s->m;

	evidence_clear(&s->evidence);
	endorsements_freep(&s->endorsements);
	snp_machine_build(m, &s->evidence, &s->endorsements);
	m->root_blob = (struct blob){ m->root_pin, SHA256_LEN };
	m->policy.snp.roots = (struct value_list){ &m->root_blob, 1 };
	s->a.endorsements = s->endorsements;
	memcpy(s->a.report_data, &m->report[REPORT_DATA_AT], REPORT_DATA_LEN);
}

static bool
admits(struct scene *s)
{
	appraise(&s->a, &s->v, NULL);
	return s->v.admit;
}

static size_t
recalls(const struct scene *s)
{
	return memo_recalls(chain_cache_memos(s->cache));
}

static void
begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	snp_machine_init(&s->m, SNP_MILAN, false);
	s->cache = chain_cache_new();
	assert_non_null(s->cache);
	s->a = (struct appraisal){ .policy = &s->m.policy,
		.evidence = &s->evidence,
		.now = SNP_NOW,
		.cache = s->cache };
	s->m.policy.digest[0] = 1;
	build(s);
	assert_true(admits(s));
	assert_int_equal(recalls(s), 0);
	assert_true(admits(s));
	assert_int_equal(recalls(s), 1);
}

static void
denied_by(struct scene *s, enum check_id id)
{
	size_t before = recalls(s);

	assert_false(admits(s));
	assert_int_equal(s->v.results[id].status, CHECK_FAIL);
	assert_int_equal(recalls(s), before);
}

static void
outlives_next_update(void **state)
{
	_cleanup_(scene_clear) struct scene s;

	(void)state;
	begin(&s);
	s.a.now = SNP_NOW + SNP_DAY - 1;
	assert_true(admits(&s));
	assert_int_equal(recalls(&s), 2);
	s.a.now = SNP_NOW + SNP_DAY;
	denied_by(&s, CHECK_SNP_18);
	s.a.now = SNP_NOW - SNP_DAY;
	assert_true(admits(&s));
	assert_int_equal(recalls(&s), 3);
	s.a.now = SNP_NOW - SNP_DAY - 1;
	denied_by(&s, CHECK_SNP_18);
}

static void
outlives_not_after(void **state)
{
	_cleanup_(scene_clear) struct scene s;

	(void)state;
	begin(&s);
	s.m.policy.snp.require_crl = s.m.with_crl = false;
	s.m.policy.digest[0] = 2;
	build(&s);
	assert_true(admits(&s));
	s.a.now = SNP_NOW + 100 * SNP_DAY - 1;
	assert_true(admits(&s));
	assert_int_equal(recalls(&s), 2);
	s.a.now = SNP_NOW + 100 * SNP_DAY;
	denied_by(&s, CHECK_SNP_17);
	s.a.now = SNP_NOW - 100 * SNP_DAY - 1;
	denied_by(&s, CHECK_SNP_17);
}

static void
outlives_its_crl(void **state)
{
	_cleanup_(scene_clear) struct scene s;

	(void)state;
	begin(&s);
	s.m.resign = false;	      /* the report stays the same */
	s.m.crl.revoked[0] = 0x10001; /* the ASK */
	build(&s);
	denied_by(&s, CHECK_SNP_18);
	s.m.with_crl = false;
	build(&s);
	denied_by(&s, CHECK_SNP_18);
	s.m.with_crl = true;
	s.m.crl.revoked[0] = 0;
	build(&s);
	assert_true(admits(&s));
}

static void
outlives_its_policy(void **state)
{
	_cleanup_(scene_clear) struct scene s;

	(void)state;
	begin(&s);
	s.m.policy.snp.min_tcb.snp = 255;
	s.m.policy.digest[POLICY_DIGEST_LEN - 1] ^= 1;
	denied_by(&s, CHECK_SNP_24);
	s.m.policy.snp.min_tcb.snp = 0;
	s.m.policy.snp.vmpl = 3;
	s.m.policy.digest[POLICY_DIGEST_LEN - 1] ^= 2;
	denied_by(&s, CHECK_SNP_29);
}

static void
serves_other_evidence(void **state)
{
	_cleanup_(scene_clear) struct scene s;
	static const size_t at[] = { 0x90, 0x2a0, 0x300, 0x7 };

	(void)state;
	begin(&s);
	for (size_t i = 0; i < NELEMS(at); i++) {
		size_t before = recalls(&s);

		s.evidence.tee_report.data[at[i]] ^= 1;
		assert_false(admits(&s));
		assert_int_equal(recalls(&s), before);
		s.evidence.tee_report.data[at[i]] ^= 1;
	}
	s.evidence.tee_report.len--;
	denied_by(&s, CHECK_SNP_01);
	s.evidence.tee_report.len++;
	assert_int_equal(blob_append(&s.evidence.tee_aux, span("x", 1)), 0);
	denied_by(&s, CHECK_SNP_08);
}

/* What a round checks anew is not part of what is remembered. */
static void
hides_what_is_of_this_round(void **state)
{
	_cleanup_(scene_clear) struct scene s;

	(void)state;
	begin(&s);
	s.a.report_data[0] ^= 1;
	assert_false(admits(&s));
	assert_int_equal(s.v.results[CHECK_BIND_01].status, CHECK_FAIL);
	s.a.report_data[0] ^= 1;
	s.a.tee_age_s = 1;
	assert_false(admits(&s));
	assert_int_equal(s.v.results[CHECK_BIND_03].status, CHECK_FAIL);
	s.a.tee_age_s = 0;
	s.evidence.simulated = true;
	assert_false(admits(&s));
	assert_int_equal(s.v.results[CHECK_SRC_02].status, CHECK_FAIL);
}

/* One launch, one REPORT_ID; a reboot, which the TPM counts, is another. */
static void
guest_exchanged(void **state)
{
	_cleanup_(scene_clear) struct scene s;
	struct appraisal_facts facts;
	struct snp_guest last;

	(void)state;
	begin(&s);
	appraise(&s.a, &s.v, &facts);
	assert_memory_equal(facts.guest.report_id, &s.m.report[0x140],
	    sizeof(facts.guest.report_id));
	last = facts.guest;
	s.a.last_guest = &last;
	assert_true(admits(&s));
	for (size_t i = 0; i < SNP_REPORT_ID_LEN * 8; i++) {
		last.report_id[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_false(admits(&s));
		assert_int_equal(s.v.results[CHECK_BIND_04].status, CHECK_FAIL);
		last.report_id[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_true(admits(&s));
}

static void
remembers_denials(void **state)
{
	_cleanup_(scene_clear) struct scene s;

	(void)state;
	begin(&s);
	s.m.policy.digest[0] = 9;
	snp_put32(&s.m, 0x30, 1); /* VMPL */
	build(&s);
	for (int i = 0; i < 3; i++)
		denied_by(&s, CHECK_SNP_29);
}

static void
grows_without_bounds(void **state)
{
	_cleanup_(scene_clear) struct scene s;
	size_t before;

	(void)state;
	begin(&s);
	for (uint8_t i = 0; i < MEMO_MAX; i++) {
		s.m.policy.digest[1] = (uint8_t)(i + 1);
		assert_true(admits(&s));
	}
	before = recalls(&s);
	s.m.policy.digest[1] = 0; /* the oldest */
	assert_true(admits(&s));
	assert_int_equal(recalls(&s), before);
	assert_true(admits(&s));
	assert_int_equal(recalls(&s), before + 1);
}

/* A log explains these registers and no others. */
static void
log_explains_other_registers(void **state)
{
	_cleanup_(
	    chain_cache_freep) struct chain_cache *cache = chain_cache_new();
	struct made_log log;
	struct policy policy = { .tee = TEE_NONE,
		.has_tpm = true,
		.tpm = { .bank = HASH_SHA256 },
		.log = { .present = true } };
	_cleanup_(evidence_clear) struct evidence e = { 0 };
	const struct appraisal a = { .policy = &policy,
		.evidence = &e,
		.cache = cache };
	const struct memos *memos = chain_cache_memos(cache);
	struct verdict v;

	(void)state;
	made_log_init(&log, LOG_TCG);
	made_log_build(&log, &e.event_log, &e.pcrs);
	for (int i = 0; i < 2; i++) {
		appraise(&a, &v, NULL);
		assert_int_equal(v.results[CHECK_LOG_02].status, CHECK_PASS);
		assert_int_equal(memo_recalls(memos), i);
	}
	e.pcrs.value[4][0] ^= 1;
	appraise(&a, &v, NULL);
	assert_int_equal(v.results[CHECK_LOG_02].status, CHECK_FAIL);
	e.pcrs.value[4][0] ^= 1;
	e.event_log.data[e.event_log.len - 1] ^= 1;
	appraise(&a, &v, NULL);
	assert_int_not_equal(v.results[CHECK_LOG_05].status, CHECK_PASS);
	e.event_log.data[e.event_log.len - 1] ^= 1;
	policy.log.min_gce_firmware = 99;
	policy.digest[0] ^= 1;
	appraise(&a, &v, NULL);
	assert_int_equal(v.results[CHECK_LOG_09].status, CHECK_FAIL);
	assert_int_equal(memo_recalls(memos), 1);
	made_log_clear(&log);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outlives_next_update),
		cmocka_unit_test(outlives_not_after),
		cmocka_unit_test(outlives_its_crl),
		cmocka_unit_test(outlives_its_policy),
		cmocka_unit_test(serves_other_evidence),
		cmocka_unit_test(hides_what_is_of_this_round),
		cmocka_unit_test(guest_exchanged),
		cmocka_unit_test(remembers_denials),
		cmocka_unit_test(grows_without_bounds),
		cmocka_unit_test(log_explains_other_registers),
	};

	return denied_end("memo",
	    cmocka_run_group_tests_name("memo", tests, snp_maker_setup,
		snp_maker_teardown));
}
