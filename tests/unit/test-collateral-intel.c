/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/tdx-maker.h"
#include "tools/collateral_judge.h"

/* Intel's endorsements that are brought by hand: what is refused, and why. */

#define TCB "intel/tcbinfo-00806f050000.json"
#define TCB_CHAIN "intel/tcbinfo-chain.pem"
#define QE "intel/qe-identity.json"
#define QE_CHAIN "intel/qe-identity-chain.pem"
#define ROOT_CRL "intel/root-ca.crl"
#define PCK_CRL "intel/pck-crl-platform.der"
#define PCK_CHAIN "intel/pck-crl-chain.pem"

/* Policy with one root of each vendor's, which is the maker's. */
struct pinned {
	uint8_t spki[SHA256_LEN];
	struct blob root;
	struct policy policy;
};

static void
pin(struct pinned *p, const uint8_t spki[static SHA256_LEN])
{
	memset(p, 0, sizeof(*p));
	memcpy(p->spki, spki, SHA256_LEN);
	p->root = (struct blob){ p->spki, SHA256_LEN };
	p->policy.tdx.roots = (struct value_list){ &p->root, 1 };
	p->policy.snp.roots = (struct value_list){ &p->root, 1 };
}

static void
put(struct endorsements *e, const char *name, struct span s)
{
	if (s.len > 0)
		assert_int_equal(endorsements_add(e, name, s), CVM_OK);
}

/* The CA and the root, of the chain in the quote. */
static struct span
pck_issuers(const struct tdx_made *m)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	static const char end[] = "-----END CERTIFICATE-----\n";
	const uint8_t *at = m->quote.data, *last = NULL;
	const uint8_t *stop = m->quote.data + m->quote.len;

	for (int i = 0; i < 2; i++, at++) {
		at = memmem(at, (size_t)(stop - at), begin, strlen(begin));
		assert_non_null(at);
	}
	at--;
	for (const uint8_t *p = at;
	     (p = memmem(p, (size_t)(stop - p), end, strlen(end))) != NULL;)
		last = p += strlen(end);
	assert_non_null(last);
	return span(at, (size_t)(last - at));
}

/* What is left out, of what a spec yields. */
static struct endorsements *
intel(const struct tdx_spec *s, const char *without, struct pinned *p)
{
	struct endorsements *e = endorsements_new();
	struct tdx_made m;

	assert_non_null(e);
	tdx_make(s, &m);
	pin(p, m.root_spki);
	const struct {
		const char *name;
		struct span s;
	} files[] = {
		{ TCB, blob_span(&m.tcb_info) },
		{ TCB_CHAIN, blob_span(&m.tcb_info_chain) },
		{ QE, blob_span(&m.qe_identity) },
		{ QE_CHAIN, blob_span(&m.qe_identity_chain) },
		{ ROOT_CRL, blob_span(&m.root_crl) },
		{ PCK_CRL, blob_span(&m.pck_crl) },
		{ PCK_CHAIN, pck_issuers(&m) },
	};

	for (size_t i = 0; i < NELEMS(files); i++)
		if (strstr(without, files[i].name) == NULL)
			put(e, files[i].name, files[i].s);
	tdx_made_clear(&m);
	return e;
}

static void
nothing(struct tdx_spec *s)
{
	(void)s;
}

static void
root_crl_forged(struct tdx_spec *s)
{
	s->root_crl.signer = KEY_OTHER;
}

static void
root_crl_expired(struct tdx_spec *s)
{
	s->root_crl.until = TDX_MAKER_NOW;
}

static void
root_crl_early(struct tdx_spec *s)
{
	s->root_crl.from = TDX_MAKER_NOW + 1;
}

static void
root_crl_no_number(struct tdx_spec *s)
{
	s->root_crl.no_number = true;
}

static void
pck_crl_forged(struct tdx_spec *s)
{
	s->pck_crl.signer = KEY_OTHER;
}

static void
pck_crl_other(struct tdx_spec *s)
{
	s->pck_crl.issuer_cn = "Intel SGX PCK Processor CA";
}

static void
info_forged(struct tdx_spec *s)
{
	s->tcb_info.signer = KEY_OTHER;
}

static void
info_changed(struct tdx_spec *s)
{
	s->tcb_info.find_after = "UpToDate";
	s->tcb_info.replace_after = "Revoked";
}

static void
info_expired(struct tdx_spec *s)
{
	s->tcb_info.next = TDX_MAKER_NOW;
}

static void
info_early(struct tdx_spec *s)
{
	s->tcb_info.issue = TDX_MAKER_NOW + 1;
}

static void
info_number(struct tdx_spec *s)
{
	s->tcb_info.number++;
}

static void
qe_forged(struct tdx_spec *s)
{
	s->qe_identity.signer = KEY_OTHER;
}

static void
qe_expired(struct tdx_spec *s)
{
	s->qe_identity.next = TDX_MAKER_NOW;
}

static void
signer_expired(struct tdx_spec *s)
{
	s->signer.until = TDX_MAKER_NOW - 1;
}

static void
signer_revoked(struct tdx_spec *s)
{
	s->signer.revoked = true;
}

static void
signer_forged(struct tdx_spec *s)
{
	s->signer.signer = KEY_OTHER;
}

static void
chain_swapped(struct tdx_spec *s)
{
	s->json_swapped = true;
}

static void
another_root(struct tdx_spec *s)
{
	s->json_root = true;
}

static void
ca_expired(struct tdx_spec *s)
{
	s->ca.until = TDX_MAKER_NOW - 1;
}

static void
intel_refused(void **state)
{
	static const struct {
		void (*spoil)(struct tdx_spec *s);
		const char *without; /* names of files */
		const char *where;   /* NULL: it is taken */
	} rows[] = {
		{ nothing, "", NULL },
		{ nothing, PCK_CRL, NULL },
		{ nothing, PCK_CRL " " PCK_CHAIN, NULL },
		{ nothing, TCB " " TCB_CHAIN, NULL },
		{ nothing, QE " " QE_CHAIN, NULL },
		{ nothing, TCB " " QE, NULL },
		{ nothing, PCK_CHAIN, PCK_CRL },
		{ nothing, ROOT_CRL, TCB },
		{ nothing, TCB_CHAIN, TCB },
		{ nothing, QE_CHAIN, QE },
		{ nothing, TCB_CHAIN " " QE_CHAIN " " PCK_CHAIN, ROOT_CRL },
		{ root_crl_forged, "", ROOT_CRL },
		{ root_crl_expired, "", ROOT_CRL },
		{ root_crl_early, "", ROOT_CRL },
		{ root_crl_no_number, "", ROOT_CRL },
		{ pck_crl_forged, "", PCK_CRL },
		{ pck_crl_other, "", PCK_CRL },
		{ info_forged, "", TCB },
		{ info_changed, "", TCB },
		{ info_expired, "", TCB },
		{ info_early, "", TCB },
		{ info_number, "", TCB },
		{ qe_forged, "", QE },
		{ qe_expired, "", QE },
		{ signer_expired, "", TCB_CHAIN },
		{ signer_revoked, "", TCB },
		{ signer_forged, "", TCB_CHAIN },
		{ chain_swapped, "", TCB_CHAIN },
		{ another_root, "", TCB_CHAIN },
		{ ca_expired, "", PCK_CHAIN },
	};

	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(endorsements_freep) struct endorsements *old =
		    endorsements_new();
		_cleanup_(endorsements_freep) struct endorsements *e = NULL;
		struct why why = { 0 };
		struct tdx_spec spec;
		struct pinned p;

		tdx_spec_default(&spec, 4);
		rows[i].spoil(&spec);
		e = intel(&spec, rows[i].without, &p);
		const struct collateral_case c = { e, old, &p.policy,
			TDX_MAKER_NOW, false };
		int r = collateral_judge(&c, &why);

		if ((r == CVM_OK) != (rows[i].where == NULL) ||
		    (r != CVM_OK && strcmp(why.where, rows[i].where) != 0))
			fail_msg("row %zu: %d, %s: %s: %s, %s", i, r, why.where,
			    why.field, why.expected, why.got);
		if (r != CVM_OK) {
			assert_int_equal(why.err, r);
			assert_string_not_equal(why.expected, "");
			assert_string_not_equal(why.got, "");
		}
	}
}

/* The makers' roots are not the vendors'. */
static void
roots_of_nobody(void **state)
{
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	_cleanup_(
	    endorsements_freep) struct endorsements *old = endorsements_new();
	struct collateral_case c = { .old = old, .now = TDX_MAKER_NOW };
	struct tdx_spec spec;
	struct why why = { 0 };
	struct pinned p;

	(void)state;
	tdx_spec_default(&spec, 4);
	e = intel(&spec, "", &p);
	c.fresh = e;
	assert_int_equal(collateral_judge(&c, &why), CVM_E_DENIED);
	assert_non_null(strstr(why.field, "SHA-256 of its key"));
}

/* Against what is in place: a time, and a number. */
static void
intel_older(void **state)
{
	static const struct {
		int64_t crl, pck, info, qe; /* days after the old one's */
		int number;		    /* the same of both JSON files */
		const char *where;
	} rows[] = {
		{ 0, 0, 0, 0, 0, NULL },
		{ 1, 1, 1, 1, 1, NULL },
		{ -1, 0, 0, 0, 0, ROOT_CRL },
		{ 0, -1, 0, 0, 0, PCK_CRL },
		{ 0, 0, -1, 0, 0, TCB },
		{ 0, 0, 0, -1, 0, QE },
		{ 0, 0, 1, 1, -1, QE },
		{ 1, 1, 1, -1, 1, QE },
	};
	_cleanup_(endorsements_freep) struct endorsements *old = NULL;
	struct tdx_spec spec;
	struct pinned p;

	(void)state;
	tdx_spec_default(&spec, 4);
	old = intel(&spec, "", &p);
	for (size_t i = 0; i < NELEMS(rows); i++) {
		_cleanup_(endorsements_freep) struct endorsements *e = NULL;
		struct why why = { 0 };

		tdx_spec_default(&spec, 4);
		spec.root_crl.from += rows[i].crl * TDX_MAKER_DAY;
		spec.pck_crl.from += rows[i].pck * TDX_MAKER_DAY;
		spec.tcb_info.issue += rows[i].info * TDX_MAKER_DAY;
		spec.qe_identity.issue += rows[i].qe * TDX_MAKER_DAY;
		spec.tcb_info.number += (unsigned)rows[i].number;
		spec.qe_identity.number += (unsigned)rows[i].number;
		e = intel(&spec, "", &p);
		struct collateral_case c = { e, old, &p.policy, TDX_MAKER_NOW,
			false };
		int r = collateral_judge(&c, &why);

		if (rows[i].where == NULL) {
			assert_int_equal(r, CVM_OK);
			continue;
		}
		assert_int_equal(r, CVM_E_DENIED);
		assert_string_equal(why.where, rows[i].where);
		assert_non_null(strstr(why.hint, "--older"));
		c.older = true;
		assert_int_equal(collateral_judge(&c, &why), CVM_OK);
	}
}

/* What is in place is no help to junk, and junk in place is not in the way. */
static void
beside_what_is_there(void **state)
{
	_cleanup_(endorsements_freep) struct endorsements *old = NULL;
	_cleanup_(endorsements_freep) struct endorsements *e = NULL;
	_cleanup_(
	    endorsements_freep) struct endorsements *junk = endorsements_new();
	_cleanup_(endorsements_freep) struct endorsements *chain = NULL;
	static const char *const names[] = { TCB, QE, ROOT_CRL, PCK_CRL };
	struct why why = { 0 };
	struct tdx_spec spec;
	struct pinned p;

	(void)state;
	tdx_spec_default(&spec, 4);
	old = intel(&spec, "", &p);
	/* Alone, beside their chains. */
	e = intel(&spec, TCB_CHAIN " " QE_CHAIN " " PCK_CHAIN " " ROOT_CRL, &p);
	struct collateral_case c = { e, old, &p.policy, TDX_MAKER_NOW, false };

	assert_int_equal(collateral_judge(&c, &why), CVM_OK);
	endorsements_freep(&e);
	e = intel(&spec, "", &p);
	for (size_t i = 0; i < NELEMS(names); i++)
		put(junk, names[i], span("junk", 4));
	c.fresh = e;
	c.old = junk;
	assert_int_equal(collateral_judge(&c, &why), CVM_OK);
	/* A chain whose signer did not sign what stays. */
	spec.signer.key = spec.qe_signer.key = KEY_OTHER;
	chain = intel(&spec, TCB " " QE " " ROOT_CRL " " PCK_CRL " " PCK_CHAIN,
	    &p);
	c.fresh = chain;
	c.old = old;
	assert_int_equal(collateral_judge(&c, &why), CVM_E_DENIED);
	assert_string_equal(why.where, TCB);
	/* Half of an update. */
	tdx_spec_default(&spec, 4);
	spec.qe_identity.number++;
	endorsements_freep(&e);
	e = intel(&spec, TCB, &p);
	c.fresh = e;
	assert_int_equal(collateral_judge(&c, &why), CVM_E_DENIED);
	assert_string_equal(why.where, QE);
}

static int
end(void **state)
{
	(void)state;
	tdx_maker_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intel_refused),
		cmocka_unit_test(roots_of_nobody),
		cmocka_unit_test(intel_older),
		cmocka_unit_test(beside_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
