/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/chain.h"
#include "attest/instance.h"
#include "tests/unit/denied.h"
#include "tests/unit/quote-maker.h"
#include "tests/unit/tpm-scene.h"
#include "tests/unit/x509-maker.h"

/* What an appraisal says about quotes of a TPM of the test's own. */

#define MASK 0x0181u /* PCRs 0, 7, 8 */

static struct scene *
own(const struct quote_plan *p)
{
	struct scene *s = scene_new();

	s->evidence.pcrs.bank = HASH_SHA256;
	s->evidence.pcrs.mask = MASK;
	for (uint8_t i = 0; i < POLICY_PCR_MAX; i++)
		memset(s->evidence.pcrs.value[i], 0x40 + i, 32);
	accept_values(s, MASK);
	quote_make(p, &s->evidence);
	pin_name(s);
	return s;
}

static void
plan_denied_by(const struct quote_plan *p, enum check_id id)
{
	_cleanup_(scene_freep) struct scene *s = own(p);

	denied_by(s, id);
}

static void
plan_admitted(const struct quote_plan *p)
{
	_cleanup_(scene_freep) struct scene *s = own(p);

	admitted(s);
}

static void
key_attributes_of_no_attestation_key(void **state)
{
	static const uint32_t may = 0x000004c4; /* stClear, userWithAuth,
		adminWithPolicy, noDA */
	struct quote_plan p = quote_plan(MASK);

	(void)state;
	plan_admitted(&p);
	for (int bit = 0; bit < 32; bit++) {
		p.attributes = 0x00050072 ^ (UINT32_C(1) << bit);
		if (may & UINT32_C(1) << bit)
			plan_admitted(&p);
		else
			plan_denied_by(&p, CHECK_TPM_02);
	}
}

static void
key_algorithms_too_weak(void **state)
{
	struct quote_plan p = quote_plan(MASK);

	(void)state;
	p.rsa = true;
	p.scheme = p.sig_scheme = 0x14;
	plan_admitted(&p);
	p.rsa_bits = 1024;
	plan_denied_by(&p, CHECK_TPM_03);
	p.rsa_bits = 0;
	p.scheme_hash = p.sig_hash = 0x04;
	plan_denied_by(&p, CHECK_TPM_03);
	p = quote_plan(MASK);
	p.scheme = 0x10; /* no scheme: the quoter chooses */
	plan_denied_by(&p, CHECK_TPM_03);
	p = quote_plan(MASK);
	p.name_alg = 0x04;
	plan_denied_by(&p, CHECK_TPM_03);
	p = quote_plan(MASK);
	p.scheme_hash = p.sig_hash = 0x0c;
	plan_admitted(&p);
	p.sig_hash = 0x0b;
	plan_denied_by(&p, CHECK_TPM_04);
}

static void
signer_of_another_hierarchy(void **state)
{
	struct quote_plan p = quote_plan(MASK);

	(void)state;
	p.hierarchy = 0x40000001; /* owner: the name is pinned */
	plan_admitted(&p);
	p.hierarchy = 0x40000007; /* null: anybody's */
	plan_denied_by(&p, CHECK_TPM_05);
	p.hierarchy = 0; /* a parent that nobody knows */
	plan_admitted(&p);
}

static void
name_that_is_not_pinned(void **state)
{
	struct quote_plan p = quote_plan(MASK);
	_cleanup_(scene_freep) struct scene *s = own(&p);

	(void)state;
	admitted(s);
	s->pins[3].data[33] ^= 1;
	denied_by(s, CHECK_TPM_10);
	s->policy.tpm.ak_names.n = 0;
	denied_by(s, CHECK_TPM_10);
}

static void
tee_trust_without_a_report(void **state)
{
	struct quote_plan p = quote_plan(MASK);
	_cleanup_(scene_freep) struct scene *s = own(&p);

	(void)state;
	s->policy.tpm.ak_trust = AK_TRUST_TEE;
	s->policy.tee = s->evidence.tee = TEE_SNP;
	denied_by(s, CHECK_TPM_11);
	assert_int_equal(blob_set(&s->evidence.tee_report, span("x", 1)), 0);
	admitted(s);
	s->policy.tee = s->evidence.tee = TEE_NONE;
	denied_by(s, CHECK_TPM_11);
	s->policy.tee = TEE_TDX;
	s->evidence.tee = TEE_SNP;
	denied_by(s, CHECK_TPM_11);
	s->policy.tpm.ak_trust = (enum policy_ak_trust)7;
	assert_false(scene_run(s));
}

/*
 * PCRs 16 and 23 can be reset by anybody: extended as a good machine's 0 and
 * 7 were, they have its values, and the quote its digest.
 */
static void
quote_over_resettable_pcrs(void **state)
{
	struct quote_plan p = quote_plan(1u << 16 | 1u << 23);
	_cleanup_(scene_freep) struct scene *s = scene_new();
	struct pcr_values *v = &s->evidence.pcrs;

	(void)state;
	memset(v->value[0], 0x11, 32);
	memset(v->value[7], 0x22, 32);
	v->bank = HASH_SHA256;
	accept_values(s, 0x81);
	memset(v->value[16], 0x11, 32);
	memset(v->value[23], 0x22, 32);
	v->mask = 1u << 16 | 1u << 23;
	quote_make(&p, &s->evidence);
	pin_name(s);
	denied_by(s, CHECK_TPM_12);
	/* The same digest, said to be of PCRs 0 and 7. */
	v->mask = 0x81;
	denied_by(s, CHECK_TPM_12);
	/* All four are delivered, only two are quoted. */
	v->mask |= 1u << 16 | 1u << 23;
	denied_by(s, CHECK_TPM_12);
}

static void
selection_or_bank_differs(void **state)
{
	struct quote_plan p = quote_plan(MASK);
	_cleanup_(scene_freep) struct scene *s = own(&p);

	(void)state;
	s->evidence.pcrs.mask &= ~0x80u; /* a value is missing */
	denied_by(s, CHECK_TPM_12);
	s->evidence.pcrs.mask = MASK | 1; /* as before: PCR 0 is in */
	admitted(s);
	s->policy.tpm.pcr_sets[0].mask |= 0x10; /* one more is wanted */
	denied_by(s, CHECK_TPM_12);
	s->policy.tpm.pcr_sets[0].mask = 0x80; /* fewer are wanted */
	admitted(s);
	s->policy.tpm.pcr_sets[0].mask = 0;
	denied_by(s, CHECK_TPM_12);
	accept_values(s, MASK);
	s->policy.tpm.n_pcr_sets = 0;
	denied_by(s, CHECK_TPM_12);
	s->policy.tpm.n_pcr_sets = 1;
	s->evidence.pcrs.bank = HASH_SHA384;
	denied_by(s, CHECK_TPM_12);
	s->evidence.pcrs.bank = HASH_SHA256;
	s->policy.tpm.bank = HASH_SHA384;
	denied_by(s, CHECK_TPM_12);
	s->evidence.pcrs.bank = HASH_SHA384;
	denied_by(s, CHECK_TPM_12);
	p.bank = 0x0004;
	plan_denied_by(&p, CHECK_TPM_12);
}

static void
values_that_are_not_the_quoted_ones(void **state)
{
	struct quote_plan p = quote_plan(MASK);
	_cleanup_(scene_freep) struct scene *s = own(&p);
	static const uint8_t digest[32] = { 1 };

	(void)state;
	s->evidence.pcrs.value[7][31] ^= 1;
	denied_by(s, CHECK_TPM_13);
	/* That a policy takes the forged values does not help. */
	accept_values(s, MASK);
	denied_by(s, CHECK_TPM_13);
	s->evidence.pcrs.value[8][31] ^= 1; /* not selected twice */
	denied_by(s, CHECK_TPM_13);
	p.digest = span(digest, 32);
	plan_denied_by(&p, CHECK_TPM_13);
	p.digest = span(digest, 20);
	plan_denied_by(&p, CHECK_TPM_13);
}

/* Values of two sets do not make one, and the closest set is named. */
static void
values_of_no_single_set(void **state)
{
	struct quote_plan p = quote_plan(MASK);
	_cleanup_(scene_freep) struct scene *s = own(&p);
	struct policy_tpm *t = &s->policy.tpm;
	const struct check_result *r = &s->verdict.results[CHECK_TPM_14];

	(void)state;
	t->n_pcr_sets = 2;
	t->pcr_sets[1] = t->pcr_sets[0];
	(void)snprintf(t->pcr_sets[1].label, sizeof(t->pcr_sets[1].label),
	    "next");
	memset(t->pcr_sets[0].value[0], 0, 32);
	memset(t->pcr_sets[0].value[7], 0, 32);
	admitted(s);
	assert_string_equal(r->got, "set \"next\"");
	t->pcr_sets[1].value[8][0] = 0;
	denied_by(s, CHECK_TPM_14);
	assert_non_null(strstr(r->got, "PCR 8 = 48"));
	assert_non_null(strstr(r->got, "\"next\", 1 differ"));
	assert_memory_equal(r->expected, "PCR 8 = 00", 10);
}

static void
clock_unsafe_or_backwards(void **state)
{
	static const struct {
		struct tpm_clock last;
		bool ok;
	} rows[] = {
		/* The quote says 5000 ms, reset 3, restart 1. */
		{ { 5000, 3, 1, true }, true },
		{ { 4999, 3, 1, true }, true },
		{ { 4999, 3, 0, true }, true },
		{ { 10, 2, 9, true }, true },
		{ { 5001, 3, 1, true }, false },
		{ { 4000, 3, 2, true }, false },
		{ { 4000, 4, 0, true }, false },
		{ { 5001, 2, 0, true }, false },
	};
	struct quote_plan p = quote_plan(MASK);
	_cleanup_(scene_freep) struct scene *s = own(&p);

	(void)state;
	s->appraisal.last_clock = &s->last;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		s->last = rows[i].last;
		if (rows[i].ok)
			admitted(s);
		else
			denied_by(s, CHECK_TPM_16);
	}
	p.safe = 0;
	plan_denied_by(&p, CHECK_TPM_15);
}

static void
parts_that_are_missing(void **state)
{
	struct quote_plan p = quote_plan(MASK);
	_cleanup_(scene_freep) struct scene *s = own(&p);

	(void)state;
	blob_clear(&s->evidence.tpm_signature);
	denied_by(s, CHECK_TPM_04);
	blob_clear(&s->evidence.ak_public);
	denied_by(s, CHECK_TPM_02);
	blob_clear(&s->evidence.tpm_quote);
	denied_by(s, CHECK_TPM_01);
	assert_int_equal(s->facts.ak_name_len, 0);
}

/* ---- Certificates of a CA of the test's own. ---- */

/* "z", 5, "p", 7, "n", and isProduction TRUE or FALSE. */
#define PRODUCTION "30180c017a0201050c01700201070c016ea0073005a1030101ff"
#define TEST_VM "30180c017a0201050c01700201070c016ea0073005a103010100"

struct ca {
	EVP_PKEY *key;
	X509 *root;
	struct cert_spec leaf;
};

static void
ca_clear(struct ca *ca)
{
	X509_free(ca->root);
	EVP_PKEY_free(ca->key);
}

static struct ca
ca_new(struct scene *s)
{
	struct cert_spec root = { .cn = "AK root",
		.serial = 1,
		.from = s->appraisal.now - 1000,
		.until = s->appraisal.now + 1000,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.sign = { .md = "SHA256" },
		.version = X509_VERSION_3,
		.key_ids = true };
	struct ca ca = { .key = maker_ec("P-256") };
	struct blob pem = { 0 };
	uint8_t spki[32];

	ca.root = maker_cert(&root, ca.key, NULL, ca.key);
	maker_cert_pem(ca.root, &pem);
	assert_int_equal(endorsements_add(s->endorsements, "google/ak-root.pem",
			     blob_span(&pem)),
	    0);
	blob_clear(&pem);
	maker_spki(ca.root, spki);
	assert_int_equal(blob_set(&s->pins[0], span(spki, 32)), 0);
	s->policy.tpm.ak_roots = (struct value_list){ s->pins, 1 };
	s->policy.tpm.ak_trust = AK_TRUST_GCE;
	s->policy.tpm.instance.production = true;
	ca.leaf = root;
	ca.leaf.cn = "AK";
	ca.leaf.serial = 77;
	ca.leaf.constraints = "critical,CA:FALSE";
	ca.leaf.usage = "critical,digitalSignature";
	ca.leaf.exts[0] = (struct ext_spec){ GCE_INSTANCE_OID, PRODUCTION,
		false };
	return ca;
}

static void
certify(struct scene *s, const struct ca *ca)
{
	struct quote_plan p = quote_plan(MASK);
	X509 *x = maker_cert(&ca->leaf, quote_key(&p), ca->root, ca->key);

	blob_clear(&s->evidence.ak_cert);
	maker_cert_der(x, &s->evidence.ak_cert);
	X509_free(x);
}

static void
certificate_for_another_use(void **state)
{
	static const char *const bad[] = { NULL, "critical,keyEncipherment",
		"critical,digitalSignature,keyEncipherment",
		"critical,digitalSignature,keyAgreement",
		"critical,digitalSignature,dataEncipherment",
		"critical,nonRepudiation" };
	struct quote_plan p = quote_plan(MASK);
	_cleanup_(scene_freep) struct scene *s = own(&p);
	_cleanup_(ca_clear) struct ca ca = ca_new(s);

	(void)state;
	certify(s, &ca);
	admitted(s);
	for (size_t i = 0; i < NELEMS(bad); i++) {
		ca.leaf.usage = bad[i];
		certify(s, &ca);
		denied_by(s, CHECK_TPM_07);
	}
}

static void
instance_not_in_production_or_unnamed(void **state)
{
	struct quote_plan p = quote_plan(MASK);
	_cleanup_(scene_freep) struct scene *s = own(&p);
	_cleanup_(ca_clear) struct ca ca = ca_new(s);

	(void)state;
	ca.leaf.exts[0].hex = TEST_VM;
	certify(s, &ca);
	denied_by(s, CHECK_TPM_09);
	s->policy.tpm.instance.production = false;
	admitted(s);
	s->policy.tpm.instance.production = true;
	ca.leaf.exts[0].hex = "3000";
	certify(s, &ca);
	denied_by(s, CHECK_TPM_09);
	ca.leaf.exts[0] = (struct ext_spec){ 0 };
	certify(s, &ca);
	denied_by(s, CHECK_TPM_09);
}

static void
add_crl(struct scene *s, const struct ca *ca, const char *name, long revoked)
{
	struct crl_spec spec = { .from = s->appraisal.now - 10,
		.until = s->appraisal.now + 10,
		.revoked = { revoked },
		.sign = { .md = "SHA256" } };
	X509_CRL *crl = maker_crl(&spec, ca->root, ca->key);
	struct blob der = { 0 };

	maker_crl_der(crl, &der);
	assert_int_equal(endorsements_add(s->endorsements, name,
			     blob_span(&der)),
	    0);
	blob_clear(&der);
	X509_CRL_free(crl);
}

static void
certificate_revoked(void **state)
{
	struct quote_plan p = quote_plan(MASK);
	_cleanup_(scene_freep) struct scene *s = own(&p);
	_cleanup_(ca_clear) struct ca ca = ca_new(s);

	(void)state;
	certify(s, &ca);
	add_crl(s, &ca, "google/a.crl", 78);
	admitted(s);
	add_crl(s, &ca, "intel/b.crl", 77); /* not ours to heed */
	admitted(s);
	add_crl(s, &ca, "google/c.crl", 77);
	denied_by(s, CHECK_TPM_18);
}

static void
crl_malformed(void **state)
{
	struct quote_plan p = quote_plan(MASK);
	_cleanup_(scene_freep) struct scene *s = own(&p);
	_cleanup_(ca_clear) struct ca ca = ca_new(s);

	(void)state;
	certify(s, &ca);
	assert_int_equal(endorsements_add(s->endorsements, "google/a.crl",
			     span("nonsense", 8)),
	    0);
	denied_by(s, CHECK_TPM_18);
	assert_non_null(
	    strstr(s->verdict.results[CHECK_TPM_18].got, "google/a.crl"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_attributes_of_no_attestation_key),
		cmocka_unit_test(key_algorithms_too_weak),
		cmocka_unit_test(signer_of_another_hierarchy),
		cmocka_unit_test(name_that_is_not_pinned),
		cmocka_unit_test(tee_trust_without_a_report),
		cmocka_unit_test(quote_over_resettable_pcrs),
		cmocka_unit_test(selection_or_bank_differs),
		cmocka_unit_test(values_that_are_not_the_quoted_ones),
		cmocka_unit_test(values_of_no_single_set),
		cmocka_unit_test(clock_unsafe_or_backwards),
		cmocka_unit_test(parts_that_are_missing),
		cmocka_unit_test(certificate_for_another_use),
		cmocka_unit_test(instance_not_in_production_or_unnamed),
		cmocka_unit_test(certificate_revoked),
		cmocka_unit_test(crl_malformed),
	};

	return denied_end("tpm-appraise",
	    cmocka_run_group_tests(tests, NULL, NULL));
}
