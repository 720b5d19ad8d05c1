/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/instance.h"
#include "tests/unit/chain-faults.h"
#include "tests/unit/denied.h"
#include "tests/unit/quote-maker.h"
#include "tests/unit/tpm-scene.h"
#include "tests/unit/x509-maker.h"

/* Google's chain, of an attestation key's certificate, with one fault each. */

#define MASK 0x0181u /* PCRs 0, 7, 8 */
#define NOW iso_seconds("2026-01-01T00:00:00Z")
#define DAY 86400

enum key { KEY_ROOT, KEY_CA, KEY_OTHER, KEY_SMALL, N_KEYS };
static EVP_PKEY *keys[N_KEYS];

struct plan {
	struct cert_spec root, ca, leaf;
	struct crl_spec root_crl, ca_crl;
	enum key root_key, ca_key, ca_signer, leaf_signer;
	bool no_root_crl, no_ca_crl;
	bool swapped; /* root and intermediate are in each other's file */
	bool other_pin;
	bool other_ak; /* the leaf is another key's */
};

static struct plan
plan(void)
{
	/* "z", 5, "p", 7, "n", and isProduction TRUE. */
	static const char instance[] =
	    "30180c017a0201050c01700201070c016ea0073005a1030101ff";
	const struct cert_spec ca = { .cn = "EK/AK CA Root",
		.serial = 1,
		.from = NOW - DAY,
		.until = NOW + DAY,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.sign = { .md = "SHA256" },
		.version = X509_VERSION_3,
		.key_ids = true };
	struct plan p = { .root = ca, .ca = ca, .leaf = ca };

	p.ca.cn = "EK/AK CA Intermediate";
	p.ca.serial = 2;
	p.ca.constraints = "critical,CA:TRUE,pathlen:0";
	p.leaf.cn = "AK";
	p.leaf.serial = 3;
	p.leaf.constraints = "critical,CA:FALSE";
	p.leaf.usage = "critical,digitalSignature";
	p.leaf.exts[0] = (struct ext_spec){ GCE_INSTANCE_OID, instance, false };
	p.root_crl = p.ca_crl = (struct crl_spec){ .from = NOW - 10,
		.until = NOW + 10,
		.sign = { .md = "SHA256" } };
	p.root_key = p.ca_signer = KEY_ROOT;
	p.ca_key = p.leaf_signer = KEY_CA;
	return p;
}

static void
add(struct scene *s, const char *name, struct blob *b)
{
	assert_int_equal(endorsements_add(s->endorsements, name, blob_span(b)),
	    0);
	blob_clear(b);
}

static void
add_crl(struct scene *s, const char *name, const struct crl_spec *spec,
    const X509 *issuer, enum key key)
{
	X509_CRL *crl = maker_crl(spec, issuer, keys[key]);
	struct blob der = { 0 };

	maker_crl_der(crl, &der);
	add(s, name, &der);
	X509_CRL_free(crl);
}

static void
add_certs(struct scene *s, const struct plan *p, const X509 *root,
    const X509 *ca)
{
	static const char *const names[] = { "google/ak-root.pem",
		"google/ak-intermediates.pem" };
	struct blob pem[2] = { { 0 }, { 0 } };
	uint8_t spki[SHA256_LEN];

	maker_cert_pem(root, &pem[p->swapped]);
	maker_cert_pem(ca, &pem[!p->swapped]);
	for (size_t i = 0; i < 2; i++)
		add(s, names[i], &pem[i]);
	maker_spki(root, spki);
	spki[0] ^= p->other_pin;
	assert_int_equal(blob_set(&s->pins[0], span(spki, sizeof(spki))), 0);
	s->policy.tpm.ak_roots = (struct value_list){ s->pins, 1 };
}

/* A vTPM whose quote is good, and the chain of its key. */
static struct scene *
made(const struct plan *p)
{
	struct quote_plan q = quote_plan(MASK);
	struct scene *s = scene_new();
	X509 *root, *ca, *leaf;

	s->evidence.pcrs.bank = HASH_SHA256;
	s->evidence.pcrs.mask = MASK;
	for (uint8_t i = 0; i < POLICY_PCR_MAX; i++)
		memset(s->evidence.pcrs.value[i], 0x40 + i, 32);
	accept_values(s, MASK);
	quote_make(&q, &s->evidence);
	s->policy.tpm.ak_trust = AK_TRUST_GCE;
	s->policy.tpm.instance.production = true;
	s->policy.tpm.require_crl = true;
	root = maker_cert(&p->root, keys[p->root_key], NULL, keys[p->root_key]);
	ca = maker_cert(&p->ca, keys[p->ca_key], root, keys[p->ca_signer]);
	leaf = maker_cert(&p->leaf,
	    p->other_ak ? keys[KEY_OTHER] : quote_key(&q), ca,
	    keys[p->leaf_signer]);
	maker_cert_der(leaf, &s->evidence.ak_cert);
	add_certs(s, p, root, ca);
	if (!p->no_root_crl)
		add_crl(s, "google/root.crl", &p->root_crl, root, p->root_key);
	if (!p->no_ca_crl)
		add_crl(s, "google/ca.crl", &p->ca_crl, ca, p->ca_key);
	X509_free(root);
	X509_free(ca);
	X509_free(leaf);
	return s;
}

#define EDIT(name, statement)                                                  \
	static void edit_##name(struct plan *p)                                \
	{                                                                      \
		statement;                                                     \
	}

EDIT(leaf_expired, p->leaf.until = NOW - 1)
EDIT(ca_expired, p->ca.until = NOW - 1)
EDIT(root_expired, p->root.until = NOW - 1)
EDIT(leaf_early, p->leaf.from = NOW + 1)
EDIT(ca_early, p->ca.from = NOW + 1)
EDIT(root_early, p->root.from = NOW + 1)
EDIT(swapped, p->swapped = true)
EDIT(leaf_usage, p->leaf.usage = "critical,keyEncipherment")
EDIT(leaf_ca, p->leaf.constraints = "critical,CA:TRUE")
EDIT(ca_usage, p->ca.usage = "critical,digitalSignature,cRLSign")
EDIT(root_usage, p->root.usage = "critical,cRLSign")
EDIT(ca_no_ca, p->ca.constraints = "critical,CA:FALSE")
EDIT(own_root, p->other_pin = true)
EDIT(leaf_revoked, p->ca_crl.revoked[0] = 3)
EDIT(ca_revoked, p->root_crl.revoked[0] = 2)
EDIT(no_ca_crl, p->no_ca_crl = true)
EDIT(no_root_crl, p->no_root_crl = true)
EDIT(ca_crl_stale, p->ca_crl.until = NOW - 1)
EDIT(root_crl_stale, p->root_crl.until = NOW - 1)
EDIT(ca_crl_early, p->ca_crl.from = NOW + 1)
EDIT(leaf_sha1, p->leaf.sign.md = "SHA1")
EDIT(ca_sha1, p->ca.sign.md = "SHA1")
EDIT(root_sha1, p->root.sign.md = "SHA1")
EDIT(crl_sha1, p->ca_crl.sign.md = "SHA1")
EDIT(ca_small, p->ca_key = p->leaf_signer = KEY_SMALL)
EDIT(root_small, p->root_key = p->ca_signer = KEY_SMALL)
EDIT(path, p->root.constraints = "critical,CA:TRUE,pathlen:0")
EDIT(leaf_other_issuer, p->leaf.issuer_cn = "EK/AK CA Intermediat")
EDIT(ca_other_issuer, p->ca.issuer_cn = "EK/AK CA Roof")
EDIT(leaf_forged, p->leaf_signer = KEY_OTHER)
EDIT(ca_forged, p->ca_signer = KEY_OTHER)
EDIT(crl_other_issuer, p->ca_crl.issuer_cn = "EK/AK CA")

static const struct row {
	enum chain_fault fault;
	void (*edit)(struct plan *p);
	enum check_id check;
	const char *word;
} rows[] = {
	{ FAULT_EXPIRED, edit_leaf_expired, CHECK_TPM_06, "expired" },
	{ FAULT_EXPIRED, edit_ca_expired, CHECK_TPM_06, "expired" },
	{ FAULT_EXPIRED, edit_root_expired, CHECK_TPM_06, "expired" },
	{ FAULT_NOT_YET_VALID, edit_leaf_early, CHECK_TPM_06, "not yet" },
	{ FAULT_NOT_YET_VALID, edit_ca_early, CHECK_TPM_06, "not yet" },
	{ FAULT_NOT_YET_VALID, edit_root_early, CHECK_TPM_06, "not yet" },
	{ FAULT_ORDER, edit_swapped, CHECK_TPM_06, "root" },
	{ FAULT_KEY_USAGE, edit_leaf_usage, CHECK_TPM_07, "digitalSignature" },
	{ FAULT_KEY_USAGE, edit_leaf_ca, CHECK_TPM_06, "CA" },
	{ FAULT_KEY_USAGE, edit_ca_usage, CHECK_TPM_06, "keyCertSign" },
	{ FAULT_KEY_USAGE, edit_root_usage, CHECK_TPM_06, "keyCertSign" },
	{ FAULT_KEY_USAGE, edit_ca_no_ca, CHECK_TPM_06, "CA" },
	{ FAULT_OWN_ROOT, edit_own_root, CHECK_TPM_06, "root" },
	{ FAULT_LEAF_REVOKED, edit_leaf_revoked, CHECK_TPM_18, "revoked" },
	{ FAULT_CA_REVOKED, edit_ca_revoked, CHECK_TPM_18, "revoked" },
	{ FAULT_NO_CRL, edit_no_ca_crl, CHECK_TPM_18, "CRL" },
	{ FAULT_NO_CRL, edit_no_root_crl, CHECK_TPM_18, "CRL" },
	{ FAULT_STALE_CRL, edit_ca_crl_stale, CHECK_TPM_18, "CRL" },
	{ FAULT_STALE_CRL, edit_root_crl_stale, CHECK_TPM_18, "CRL" },
	{ FAULT_STALE_CRL, edit_ca_crl_early, CHECK_TPM_18, "CRL" },
	{ FAULT_SHA1, edit_leaf_sha1, CHECK_TPM_06, "SHA" },
	{ FAULT_SHA1, edit_ca_sha1, CHECK_TPM_06, "SHA" },
	{ FAULT_SHA1, edit_root_sha1, CHECK_TPM_06, "SHA" },
	{ FAULT_SHA1, edit_crl_sha1, CHECK_TPM_18, "SHA" },
	{ FAULT_RSA_1024, edit_ca_small, CHECK_TPM_06, "1024" },
	{ FAULT_RSA_1024, edit_root_small, CHECK_TPM_06, "1024" },
	{ FAULT_PATH_LENGTH, edit_path, CHECK_TPM_06, "path" },
	{ FAULT_NAME, edit_leaf_other_issuer, CHECK_TPM_06, "issuer" },
	{ FAULT_NAME, edit_ca_other_issuer, CHECK_TPM_06, "issuer" },
	{ FAULT_NAME, edit_leaf_forged, CHECK_TPM_06, "signature" },
	{ FAULT_NAME, edit_ca_forged, CHECK_TPM_06, "signature" },
	{ FAULT_NAME, edit_crl_other_issuer, CHECK_TPM_18, "CRL" },
};

static void
good_chain_denied(void **state)
{
	struct plan p = plan();
	_cleanup_(scene_freep) struct scene *s = made(&p);

	(void)state;
	admitted(s);
	/* Without CRLs where the policy does not ask for them. */
	p.no_root_crl = p.no_ca_crl = true;
	scene_freep(&s);
	s = made(&p);
	s->policy.tpm.require_crl = false;
	admitted(s);
}

/* Of both CAs; an appraisal remembers them only where they were judged. */
static void
crl_not_remembered(void **state)
{
	const struct seen_mark *by = NULL;
	struct plan p = plan();
	_cleanup_(scene_freep) struct scene *s = made(&p);
	struct seen first;

	(void)state;
	admitted(s);
	first = s->facts.seen;
	assert_int_equal(first.n, 2);
	scene_freep(&s);
	p.ca_crl.from--;
	s = made(&p);
	admitted(s);
	assert_int_equal(s->facts.seen.n, 2);
	assert_non_null(seen_older(&s->facts.seen, &first, &by));
	assert_null(seen_older(&first, &s->facts.seen, &by));
	scene_freep(&s);
	p.no_root_crl = p.no_ca_crl = true;
	s = made(&p);
	s->policy.tpm.require_crl = false;
	admitted(s);
	assert_int_equal(s->facts.seen.n, 0);
	scene_freep(&s);
	p = plan();
	p.root_crl.revoked[0] = 2;
	s = made(&p);
	assert_false(scene_run(s));
	assert_int_equal(s->facts.seen.n, 0);
}

/* A good chain, which says nothing of the key that signed. */
static void
certificate_of_another_key(void **state)
{
	struct plan p = plan();
	_cleanup_(scene_freep) struct scene *s = NULL;

	(void)state;
	p.other_ak = true;
	s = made(&p);
	denied_by(s, CHECK_TPM_08);
}

static void
chain_at_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(scene_freep) struct scene *s = NULL;
		struct plan p = plan();

		rows[i].edit(&p);
		s = made(&p);
		(void)scene_run(s);
		fault_denied(&s->verdict, rows[i].fault, rows[i].check,
		    rows[i].word);
	}
}

static void
fault_without_a_row(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++)
		seen |= 1u << rows[i].fault;
	faults_complete(seen);
}

static int
setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KEYS; i++)
		keys[i] = i == KEY_SMALL ? maker_rsa(1024) : maker_ec("P-256");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KEYS; i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_chain_denied),
		cmocka_unit_test(crl_not_remembered),
		cmocka_unit_test(certificate_of_another_key),
		cmocka_unit_test(chain_at_fault),
		cmocka_unit_test(fault_without_a_row),
	};

	return denied_end("faults-google",
	    cmocka_run_group_tests_name("faults-google", tests, setup,
		teardown));
}
