/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attest/tdx_parts.h"
#include "tests/bench/fresh-key.h"
#include "tests/bench/ratio.h"
#include "tests/unit/tdx-bench.h"
#include "tests/unit/x509-maker.h"

/*
 * What the appraisal of a TDX quote costs, as a ratio to the bare signatures
 * in it, each once: three certificates, two CRLs, the signer of TCB info and QE
 * identity and these two, the quoting enclave's report, the quote.
 */
enum { LEAF, CA, ROOT, SIGNER, QE_SIGNER, QUOTE, TDX_KEYS };

struct tdx_case {
	struct bench b;
	struct chain_cache *cache;
	struct tdx_quote q;
	struct intel_chain pck, signer, qe_signer;
	struct crl *root_crl, *pck_crl;
	struct signed_json info, identity;
	EVP_PKEY *key;
	EVP_PKEY *ready[TDX_KEYS];
	struct key_bytes bytes[TDX_KEYS];
};

static struct span
file(const struct tdx_case *c, const char *name)
{
	struct span s = endorsements_find(c->b.endorsements, name);

	assert_true(s.len > 0);
	return s;
}

static void
open_json(const struct tdx_case *c, const char *part, const char *member,
    struct signed_json *ret)
{
	const char *name;

	for (size_t i = 0;
	     (name = endorsements_name(c->b.endorsements, i)) != NULL; i++)
		if (strstr(name, part) != NULL &&
		    strstr(name, ".json") != NULL) {
			assert_int_equal(signed_json_open(file(c, name), name,
					     member, ret, NULL),
			    0);
			return;
		}
	fail();
}

static void
tdx_begin(struct tdx_case *c)
{
	struct tdx_run run = { .a = &c->b.a };

	bench_begin(&c->b, 5);
	bench_make(&c->b);
	c->cache = chain_cache_new();
	assert_int_equal(tdx_quote_parse(blob_span(&c->b.evidence.tee_report),
			     &c->q, NULL),
	    0);
	assert_int_equal(intel_chain_load(c->q.pck_chain, "", 3, &c->pck, NULL),
	    0);
	assert_int_equal(intel_chain_load(file(c, "intel/tcbinfo-chain.pem"),
			     "", 2, &c->signer, NULL),
	    0);
	assert_int_equal(intel_chain_load(file(c,
					      "intel/qe-identity-chain.pem"),
			     "", 2, &c->qe_signer, NULL),
	    0);
	assert_int_equal(intel_crl_load(&run, "intel/root-ca.crl",
			     c->pck.cert[2], &c->root_crl, NULL),
	    0);
	assert_int_equal(intel_crl_load(&run, "intel/pck-crl-platform.der",
			     c->pck.cert[1], &c->pck_crl, NULL),
	    0);
	open_json(c, "tcbinfo-", "tcbInfo", &c->info);
	open_json(c, "qe-identity", "enclaveIdentity", &c->identity);
	assert_int_equal(tdx_attestation_key(c->q.attestation_key, &c->key), 0);
	c->ready[LEAF] = c->pck.cert[0]->key;
	c->ready[CA] = c->pck.cert[1]->key;
	c->ready[ROOT] = c->pck.cert[2]->key;
	c->ready[SIGNER] = c->signer.cert[0]->key;
	c->ready[QE_SIGNER] = c->qe_signer.cert[0]->key;
	c->ready[QUOTE] = c->key;
	for (size_t i = 0; i < TDX_KEYS; i++)
		key_bytes_of(c->ready[i], &c->bytes[i]);
}

static void
tdx_end(struct tdx_case *c)
{
	intel_chain_clear(&c->pck);
	intel_chain_clear(&c->signer);
	intel_chain_clear(&c->qe_signer);
	crl_freep(&c->root_crl);
	crl_freep(&c->pck_crl);
	evp_pkey_freep(&c->key);
	chain_cache_freep(&c->cache);
	bench_end(&c->b);
}

static void
verify(EVP_PKEY *key, struct span rs, struct span message)
{
	uint8_t digest[SHA256_LEN];

	assert_int_equal(hash(HASH_SHA256, message, digest), 0);
	assert_int_equal(maker_check_raw(key, rs, span(digest, SHA256_LEN)), 0);
}

static void
quote_signed(const struct tdx_case *c, EVP_PKEY *const key[static TDX_KEYS])
{
	verify(key[LEAF], c->q.qe_signature, c->q.qe.bytes);
	verify(key[QUOTE], c->q.signature, c->q.signed_bytes);
}

static void
cert_signed(const struct cert *x, EVP_PKEY *by)
{
	signed_by(by, &x->alg, x->tbs, x->signature);
}

static void
crl_signed(const struct crl *crl, EVP_PKEY *by)
{
	signed_by(by, &crl->alg, crl->tbs, crl->signature);
}

static void
json_signed(const struct signed_json *json, EVP_PKEY *by)
{
	verify(by, span(json->signature, sizeof(json->signature)), json->text);
}

static void
all_signed(const struct tdx_case *c, EVP_PKEY *const key[static TDX_KEYS])
{
	cert_signed(c->pck.cert[0], key[CA]);
	cert_signed(c->pck.cert[1], key[ROOT]);
	cert_signed(c->pck.cert[2], key[ROOT]);
	crl_signed(c->root_crl, key[ROOT]);
	crl_signed(c->pck_crl, key[CA]);
	cert_signed(c->signer.cert[0], key[ROOT]);
	if (memcmp(c->signer.cert[0]->digest, c->qe_signer.cert[0]->digest,
		SHA256_LEN) != 0)
		cert_signed(c->qe_signer.cert[0], key[ROOT]);
	json_signed(&c->info, key[SIGNER]);
	json_signed(&c->identity, key[QE_SIGNER]);
	quote_signed(c, key);
}

static void
tdx_signatures(void *arg)
{
	const struct tdx_case *c = arg;

	quote_signed(c, c->ready);
}

static void
tdx_operations(void *arg)
{
	const struct tdx_case *c = arg;

	all_signed(c, c->ready);
}

static void
tdx_keys(void *arg)
{
	const struct tdx_case *c = arg;
	EVP_PKEY *key[TDX_KEYS];

	for (size_t i = 0; i < TDX_KEYS; i++)
		key[i] = fresh_key(&c->bytes[i]);
	all_signed(c, key);
	for (size_t i = 0; i < TDX_KEYS; i++)
		evp_pkey_freep(&key[i]);
}

static void
run(struct tdx_case *c, struct chain_cache *cache)
{
	c->b.a.cache = cache;
	assert_true(bench_appraise(&c->b));
}

static void
tdx_cold(void *arg)
{
	_cleanup_(
	    chain_cache_freep) struct chain_cache *fresh = chain_cache_new();

	run(arg, fresh);
}

static void
tdx_known(void *arg)
{
	struct tdx_case *c = arg;

	run(c, c->cache);
}

static void
bench_tdx(void **state)
{
	static const struct ratio_row rows[] = {
		{ "operations", tdx_operations },
		{ "cold", tdx_cold },
		{ "signatures", tdx_signatures },
		{ "known", tdx_known },
		{ "operations, keys made", tdx_keys },
	};
	static struct tdx_case c;

	(void)state;
	tdx_begin(&c);
	run(&c, c.cache); /* to know it */
	ratio_print("TDX quote", rows, &c);
	tdx_end(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bench_tdx) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
