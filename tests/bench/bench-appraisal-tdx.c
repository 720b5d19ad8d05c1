/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "attest/tdx_parts.h"
#include "tests/bench/ratio.h"
#include "tests/unit/tdx-bench.h"
#include "tests/unit/x509-maker.h"

/*
 * What the appraisal of a TDX quote costs, as a ratio to the bare signatures
 * in it, each once: three certificates, two CRLs, the signer of TCB info and QE
 * identity and these two, the quoting enclave's report, the quote.
 */
struct tdx_case {
	struct bench b;
	struct chain_cache *cache;
	struct tdx_quote q;
	struct intel_chain pck, signer, qe_signer;
	struct crl *root_crl, *pck_crl;
	struct signed_json info, identity;
	EVP_PKEY *key;
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
tdx_signatures(void *arg)
{
	struct tdx_case *c = arg;

	verify(c->pck.cert[0]->key, c->q.qe_signature, c->q.qe.bytes);
	verify(c->key, c->q.signature, c->q.signed_bytes);
}

static void
tdx_operations(void *arg)
{
	struct tdx_case *c = arg;
	const struct cert *root = c->pck.cert[2];

	maker_signed(&c->pck.cert[0]->alg, c->pck.cert[0]->tbs,
	    c->pck.cert[0]->signature, c->pck.cert[1]);
	maker_signed(&c->pck.cert[1]->alg, c->pck.cert[1]->tbs,
	    c->pck.cert[1]->signature, root);
	maker_signed(&c->pck.cert[2]->alg, c->pck.cert[2]->tbs,
	    c->pck.cert[2]->signature, root);
	maker_signed(&c->root_crl->alg, c->root_crl->tbs,
	    c->root_crl->signature, root);
	maker_signed(&c->pck_crl->alg, c->pck_crl->tbs, c->pck_crl->signature,
	    c->pck.cert[1]);
	maker_signed(&c->signer.cert[0]->alg, c->signer.cert[0]->tbs,
	    c->signer.cert[0]->signature, root);
	if (memcmp(c->signer.cert[0]->digest, c->qe_signer.cert[0]->digest,
		SHA256_LEN) != 0)
		maker_signed(&c->qe_signer.cert[0]->alg,
		    c->qe_signer.cert[0]->tbs, c->qe_signer.cert[0]->signature,
		    root);
	verify(c->signer.cert[0]->key,
	    span(c->info.signature, sizeof(c->info.signature)), c->info.text);
	verify(c->qe_signer.cert[0]->key,
	    span(c->identity.signature, sizeof(c->identity.signature)),
	    c->identity.text);
	tdx_signatures(c);
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
