/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "attest/chain_cache.h"
#include "attest/collect.h"
#include "attest/quote.h"
#include "tests/unit/round-scene.h"
#include "tests/unit/quote-maker.h"

/*
 * What an admission costs, as a ratio to what it cannot do without: one
 * TPM2_Quote, and one verification of its signature. On a virtual CVM whose
 * TPM is a program, so that what is our own is seen.
 */
#define ROUNDS 200

static uint64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

struct case_;
typedef void (*step)(struct case_ *c);

struct case_ {
	struct round_scene scene;
	struct collector collector;
	struct evidence evidence;
	struct endorsements *endorsements;
	struct chain_cache *cache;
	struct rounds *rounds;
	struct round_result *rr;
};

static void
quote(struct case_ *c)
{
	static const uint8_t nonce[32] = { 1 };
	struct blob q = { 0 }, s = { 0 };
	struct pcr_values v;
	struct why why;
	const struct policy_tpm *p = &c->scene.policy->tpm;

	assert_int_equal(vtpm_quote(rounds_vtpm(c->rounds), p->bank,
			     p->pcr_sets[0].mask, span(nonce, sizeof(nonce)),
			     &q, &s, &v, &why),
	    0);
	blob_clear(&q);
	blob_clear(&s);
}

static void
verify(struct case_ *c)
{
	const struct evidence *e = &c->rr->evidence;
	_cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
	struct tpm_public public;
	enum hash_alg alg;
	struct why why;

	assert_int_equal(tpm_public_parse(blob_span(&e->ak_public), &public,
			     &why),
	    0);
	assert_int_equal(tpm_public_key(&public, &key), 0);
	assert_int_equal(quote_check(key, &public, blob_span(&e->tpm_quote),
			     blob_span(&e->tpm_signature), &alg, &why),
	    0);
}

static void
join(struct case_ *c)
{
	struct admission a = { 0 };
	struct why why;

	assert_int_equal(round_scene_join(c->rounds, false, &a, &why), 0);
	admission_clear(&a);
}

static void
collect_once(struct case_ *c)
{
	static const uint8_t root[SHA256_LEN] = { 9 };
	struct evidence e = { 0 };
	struct why why;

	assert_int_equal(collect(&c->collector, root, false, &e, &why), 0);
	evidence_clear(&e);
}

static void
stat_endorsements(struct case_ *c)
{
	assert_false(endorsements_stale(c->endorsements));
}

/* One part of the appraisal, with a cache as the rounds have it. */
#define PART(part)                                                             \
	static void appraise_##part(struct case_ *c)                           \
	{                                                                      \
		static struct verdict v;                                       \
		struct appraisal_facts f = { 0 };                              \
		const struct appraisal a = { .policy = c->scene.policy,        \
			.evidence = &c->rr->evidence,                          \
			.endorsements = c->endorsements,                       \
			.now = c->rr->time,                                    \
			.allow_simulated = true,                               \
			.cache = c->cache };                                   \
		verdict_init(&v, GROUP_SNP | GROUP_TPM | GROUP_LOG);           \
		(void)part##_appraise(&a, &v, &f);                             \
	}
PART(snp)
PART(tpm)
PART(log)

static void
begin(struct case_ *c)
{
	struct admission a = { 0 };
	struct why why;

	round_scene_start(&c->scene, "");
	if (!c->scene.there)
		exit(77);
	round_scene_configure(&c->scene,
	    &(struct round_options){ .tee_max_age_s = 3600,
		.with_boot_log = true });
	assert_int_equal(rounds_new(c->scene.cfg, c->scene.policy, &c->rounds),
	    0);
	assert_int_equal(round_scene_join(c->rounds, false, &a, &why), 0);
	c->rr = a.round;
	c->collector.cfg = c->scene.cfg;
	c->collector.policy = c->scene.policy;
	c->collector.vtpm = rounds_vtpm(c->rounds);
	c->cache = chain_cache_new();
	assert_int_equal(endorsements_load(c->scene.cfg->evidence.collateral,
			     &c->endorsements, &why),
	    0);
}

static void
end(struct case_ *c)
{
	collector_forget(&c->collector);
	round_result_unrefp(&c->rr);
	rounds_freep(&c->rounds);
	chain_cache_freep(&c->cache);
	endorsements_freep(&c->endorsements);
	round_scene_stop(&c->scene);
}

static const struct row {
	const char *name;
	step fn;
} rows[] = {
	{ "TPM2_Quote", quote }, /* these two are the floor */
	{ "verification", verify },
	{ "join", join },
	{ "collection", collect_once },
	{ "endorsements: changed?", stat_endorsements },
	{ "appraisal: SNP", appraise_snp },
	{ "appraisal: TPM", appraise_tpm },
	{ "appraisal: log", appraise_log },
};

/* Medians in microseconds; in turns, since machines have moods. */
static void
measure(struct case_ *c, double median[static NELEMS(rows)])
{
	static uint64_t t[NELEMS(rows)][ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++)
		for (size_t k = 0; k < NELEMS(rows); k++) {
			uint64_t start = now_ns();

			rows[k].fn(c);
			t[k][i] = now_ns() - start;
		}
	for (size_t k = 0; k < NELEMS(rows); k++) {
		qsort(t[k], ROUNDS, sizeof(t[k][0]), compare);
		median[k] = (double)t[k][ROUNDS / 2] / 1000;
	}
}

static void
bench(void **state)
{
	static struct case_ c;
	double us[NELEMS(rows)], floor;

	(void)state;
	begin(&c);
	measure(&c, us);
	floor = us[0] + us[1];
	(void)printf("# in microseconds, and as a ratio to %s and %s\n",
	    rows[0].name, rows[1].name);
	for (size_t k = 0; k < NELEMS(rows); k++)
		(void)printf("# %-24s %8.1f %6.2f\n", rows[k].name, us[k],
		    us[k] / floor);
	end(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bench) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
