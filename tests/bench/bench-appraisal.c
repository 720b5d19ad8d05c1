/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attest/chain_cache.h"
#include "attest/snp_parts.h"
#include "tests/bench/fresh-key.h"
#include "tests/bench/ratio.h"
#include "tests/unit/quote-maker.h"
#include "tests/unit/snp-maker.h"
#include "tests/unit/tpm-scene.h"
#include "tests/unit/x509-maker.h"

/*
 * What the appraisal of an SNP report and of a TPM quote costs, as a ratio to
 * the bare signatures in it. The report differs each time, as it does in
 * rounds that take a new one.
 */
#define REPORTS 67 /* more than a memory keeps, and odd */
#define REPORT_DATA_AT 0x50

struct snp_case {
	struct snp_machine m;
	struct evidence evidence;
	struct endorsements *endorsements;
	struct chain_cache *cache;
	uint8_t reports[REPORTS][SNP_REPORT_LEN];
	size_t at;
	struct cert *vek, *ask, *ark;
	struct crl *crl;
	struct key_bytes ask_bytes, ark_bytes, vek_bytes;
};

static struct cert *
one_of(struct snp_case *c, const char *part, size_t n)
{
	const char *name;
	struct cert *x = NULL;

	for (size_t i = 0;
	     (name = endorsements_name(c->endorsements, i)) != NULL; i++)
		if (strstr(name, part) != NULL && n-- == 0)
			assert_int_equal(
			    snp_cert_read(endorsements_find(c->endorsements,
					      name),
				&x),
			    0);
	assert_non_null(x);
	return x;
}

static void
snp_begin(struct snp_case *c)
{
	memset(c, 0, sizeof(*c));
	snp_machine_init(&c->m, SNP_MILAN, false);
	snp_machine_build(&c->m, &c->evidence, &c->endorsements);
	c->m.root_blob = (struct blob){ c->m.root_pin, SHA256_LEN };
	c->m.policy.snp.roots = (struct value_list){ &c->m.root_blob, 1 };
	for (size_t i = 0; i < REPORTS; i++) {
		c->m.report[REPORT_DATA_AT] = (uint8_t)i;
		snp_sign(&c->m);
		memcpy(c->reports[i], c->m.report, SNP_REPORT_LEN);
	}
	c->cache = chain_cache_new();
	c->vek = one_of(c, "amd/vek/", 0);
	c->ask = one_of(c, "/ask.pem", 0);
	c->ark = one_of(c, "/ark.pem", 0);
	assert_int_equal(crl_from_bytes(endorsements_find(c->endorsements,
					    "amd/milan/crl-vcek.der"),
			     &c->crl),
	    0);
	key_bytes_of(c->vek->key, &c->vek_bytes);
	key_bytes_of(c->ask->key, &c->ask_bytes);
	key_bytes_of(c->ark->key, &c->ark_bytes);
}

static void
snp_end(struct snp_case *c)
{
	cert_freep(&c->vek);
	cert_freep(&c->ask);
	cert_freep(&c->ark);
	crl_freep(&c->crl);
	chain_cache_freep(&c->cache);
	endorsements_freep(&c->endorsements);
	evidence_clear(&c->evidence);
}

static void
next_report(struct snp_case *c)
{
	memcpy(c->evidence.tee_report.data, c->reports[c->at++ % REPORTS],
	    SNP_REPORT_LEN);
}

static void
snp_signature(void *arg)
{
	struct snp_case *c = arg;
	struct snp_report r;

	next_report(c);
	assert_int_equal(snp_report_parse(blob_span(&c->evidence.tee_report),
			     &r, NULL),
	    0);
	assert_int_equal(snp_report_verify(&r, c->vek), 0);
}

static void
snp_endorsed(const struct snp_case *c, EVP_PKEY *ask, EVP_PKEY *ark)
{
	signed_by(ask, &c->vek->alg, c->vek->tbs, c->vek->signature);
	signed_by(ark, &c->ask->alg, c->ask->tbs, c->ask->signature);
	signed_by(ark, &c->ark->alg, c->ark->tbs, c->ark->signature);
	signed_by(ark, &c->crl->alg, c->crl->tbs, c->crl->signature);
}

static void
snp_operations(void *arg)
{
	struct snp_case *c = arg;

	snp_endorsed(c, c->ask->key, c->ark->key);
	snp_signature(c);
}

static void
snp_keys(void *arg)
{
	struct snp_case *c = arg;
	_cleanup_(evp_pkey_freep) EVP_PKEY *ask = fresh_key(&c->ask_bytes);
	_cleanup_(evp_pkey_freep) EVP_PKEY *ark = fresh_key(&c->ark_bytes);
	_cleanup_(evp_pkey_freep) EVP_PKEY *vek = fresh_key(&c->vek_bytes);

	snp_endorsed(c, ask, ark);
	snp_signature(c);
}

static void
snp_run(struct snp_case *c, struct chain_cache *cache)
{
	static struct verdict v;
	struct appraisal_facts f;
	const struct appraisal a = { .policy = &c->m.policy,
		.evidence = &c->evidence,
		.endorsements = c->endorsements,
		.now = c->m.now,
		.cache = cache };

	facts_init(&f);
	next_report(c);
	verdict_init(&v, GROUP_SNP);
	assert_true(snp_appraise(&a, &v, &f));
	verdict_finish(&v);
	assert_true(v.admit);
}

static void
snp_cold(void *arg)
{
	_cleanup_(
	    chain_cache_freep) struct chain_cache *fresh = chain_cache_new();

	snp_run(arg, fresh);
}

static void
snp_known(void *arg)
{
	struct snp_case *c = arg;

	snp_run(c, c->cache);
}

static void
bench_snp(void **state)
{
	static const struct ratio_row rows[] = {
		{ "operations", snp_operations },
		{ "cold", snp_cold },
		{ "signature", snp_signature },
		{ "known", snp_known },
		{ "operations, keys made", snp_keys },
	};
	static struct snp_case c;

	(void)state;
	snp_begin(&c);
	snp_run(&c, c.cache); /* to know it */
	ratio_print("SNP report", rows, &c);
	snp_end(&c);
}

struct tpm_case_ {
	struct scene *s;
	struct chain_cache *cache;
	EVP_PKEY *key;
	struct key_bytes key_bytes;
	struct tpm_public public;
};

static void
tpm_signed(const struct tpm_case_ *c, EVP_PKEY *key)
{
	const struct evidence *e = &c->s->evidence;
	enum hash_alg alg;

	assert_int_equal(quote_check(key, &c->public, blob_span(&e->tpm_quote),
			     blob_span(&e->tpm_signature), &alg, NULL),
	    0);
}

static void
tpm_signature(void *arg)
{
	const struct tpm_case_ *c = arg;

	tpm_signed(c, c->key);
}

static void
tpm_keys(void *arg)
{
	const struct tpm_case_ *c = arg;
	_cleanup_(evp_pkey_freep) EVP_PKEY *key = fresh_key(&c->key_bytes);

	tpm_signed(c, key);
}

static void
tpm_run(struct tpm_case_ *c, struct chain_cache *cache)
{
	c->s->appraisal.cache = cache;
	verdict_init(&c->s->verdict, GROUP_TPM);
	assert_true(
	    tpm_appraise(&c->s->appraisal, &c->s->verdict, &c->s->facts));
	verdict_finish(&c->s->verdict);
	assert_true(c->s->verdict.admit);
}

static void
tpm_cold(void *arg)
{
	_cleanup_(
	    chain_cache_freep) struct chain_cache *fresh = chain_cache_new();

	tpm_run(arg, fresh);
}

static void
tpm_known(void *arg)
{
	struct tpm_case_ *c = arg;

	tpm_run(c, c->cache);
}

static void
bench_tpm(bool rsa, const char *name)
{
	static const struct ratio_row rows[] = {
		{ "operations", tpm_signature },
		{ "cold", tpm_cold },
		{ "signature", tpm_signature },
		{ "known", tpm_known },
		{ "operations, keys made", tpm_keys },
	};
	struct quote_plan p = quote_plan(0x0181);
	struct tpm_case_ c = { .s = scene_new(), .cache = chain_cache_new() };
	struct evidence *e = &c.s->evidence;

	if (rsa) {
		p.rsa = true;
		p.scheme = p.sig_scheme = 0x14; /* RSASSA */
	}
	e->pcrs.bank = HASH_SHA256;
	e->pcrs.mask = 0x0181;
	accept_values(c.s, e->pcrs.mask);
	quote_make(&p, e);
	pin_name(c.s);
	admitted(c.s);
	assert_int_equal(tpm_public_parse(blob_span(&e->ak_public), &c.public,
			     NULL),
	    0);
	assert_int_equal(tpm_public_key(&c.public, &c.key), 0);
	key_bytes_of(c.key, &c.key_bytes);
	tpm_run(&c, c.cache); /* to know it */
	ratio_print(name, rows, &c);
	evp_pkey_freep(&c.key);
	chain_cache_freep(&c.cache);
	scene_freep(&c.s);
}

static void
bench_quotes(void **state)
{
	(void)state;
	bench_tpm(false, "quote, P-256");
	bench_tpm(true, "quote, RSA");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bench_snp),
		cmocka_unit_test(bench_quotes),
	};

	return cmocka_run_group_tests(tests, snp_maker_setup,
	    snp_maker_teardown);
}
