/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/upkeep.h"
#include "tests/unit/x509-maker.h"

/*
 * Upkeep of the CRLs of those who certified an attestation key: which are
 * wanted, from where, and which of the files that are there are good ones.
 */
#define NOW 1780000000LL
#define DAY 86400
#define CRL_POINTS_OID "2.5.29.31"
#define LEAF_URL "http://ca.test/issuer.crl"
#define CA_URL "http://ca.test/root.crl"
#define ISSUER_CRL "google/ak-issuer.crl"
#define ROOT_CRL "google/ak-root.crl"

enum key { KEY_ROOT, KEY_CA, KEY_AK, KEY_OTHER, N_KEYS };
static EVP_PKEY *keys[N_KEYS];

/* A certificate's CRL distribution points: an address, or bytes. */
struct point {
	const char *url, *hex;
};

struct plan {
	struct cert_spec root, ca, leaf;
	struct crl_spec issuer_crl, root_crl;
	enum key issuer_crl_key, root_crl_key;
	struct point leaf_point, ca_point;
	bool no_ca;		/* the root certified the key itself */
	bool swapped;		/* each CRL is in the other's file */
	bool other_pin, no_pem; /* no certificate of a CA is at hand */
	bool no_crls, garbage;	/* none; the issuer's is no CRL */
	bool padded;		/* as an NV index is */
	enum policy_ak_trust trust;
	bool crl_required, has_tpm, no_cert;
};

static struct plan
plan(void)
{
	const struct cert_spec ca = { .cn = "AK Root",
		.serial = 1,
		.from = NOW - DAY,
		.until = NOW + DAY,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.sign = { .md = "SHA256" },
		.version = X509_VERSION_3,
		.key_ids = true };
	struct plan p = { .root = ca,
		.ca = ca,
		.leaf = ca,
		.trust = AK_TRUST_GCE,
		.crl_required = true,
		.has_tpm = true,
		.leaf_point = { .url = LEAF_URL },
		.ca_point = { .url = CA_URL },
		.issuer_crl_key = KEY_CA,
		.root_crl_key = KEY_ROOT };

	p.ca.cn = "AK Issuer";
	p.ca.serial = 2;
	p.ca.constraints = "critical,CA:TRUE,pathlen:0";
	p.leaf.cn = "AK";
	p.leaf.serial = 3;
	p.leaf.constraints = "critical,CA:FALSE";
	p.leaf.usage = "critical,digitalSignature";
	p.issuer_crl = p.root_crl = (struct crl_spec){ .from = NOW - 10,
		.until = NOW + 10,
		.sign = { .md = "SHA256" } };
	return p;
}

/* One point after another: SEQUENCE, [0], [0], [6] (RFC 5280, 4.2.1.13). */
static const char *
point_hex(const struct point *point, char *buf, size_t len)
{
	char text[1200];
	size_t n = point->url != NULL ? strlen(point->url) : 0;

	if (point->hex != NULL)
		return point->hex;
	(void)hex_encode(span(point->url, n), text, sizeof(text));
	(void)snprintf(buf, len,
	    "3082%04zx3082%04zxa082%04zxa082%04zx8682%04zx%s", n + 16, n + 12,
	    n + 8, n + 4, n, text);
	/* The lengths of short ones are written short. */
	if (n + 8 < 128)
		(void)snprintf(buf, len,
		    "30%02zx30%02zxa0%02zxa0%02zx86%02zx%s", n + 8, n + 6,
		    n + 4, n + 2, n, text);
	return buf;
}

/* What upkeep sees, and what it says; the certificate's bytes are here. */
struct case_ {
	struct upkeep u;
	struct policy policy;
	struct endorsements *e;
	struct blob pin, ak;
};

static void
add(struct case_ *c, const char *name, struct blob *b)
{
	assert_int_equal(endorsements_add(c->e, name, blob_span(b)), 0);
	blob_clear(b);
}

static void
add_crl(struct case_ *c, const char *name, const struct crl_spec *spec,
    const X509 *issuer, enum key key)
{
	X509_CRL *crl = maker_crl(spec, issuer, keys[key]);
	struct blob der = { 0 };

	maker_crl_der(crl, &der);
	add(c, name, &der);
	X509_CRL_free(crl);
}

static void
add_files(struct case_ *c, const struct plan *p, const X509 *root,
    const X509 *ca)
{
	struct blob pem = { 0 };
	const char *const names[] = { ISSUER_CRL, ROOT_CRL };
	struct blob text = { 0 };

	if (!p->no_pem) {
		maker_cert_pem(root, &pem);
		add(c, "google/ak-root.pem", &pem);
		/* A root may be in both files. */
		maker_cert_pem(p->no_ca ? root : ca, &pem);
		add(c, "google/ak-intermediates.pem", &pem);
	}
	if (p->no_crls)
		return;
	add_crl(c, names[!p->swapped], &p->root_crl, root, p->root_crl_key);
	if (!p->garbage) {
		add_crl(c, names[p->swapped], &p->issuer_crl,
		    p->no_ca ? root : ca, p->issuer_crl_key);
		return;
	}
	assert_int_equal(blob_set(&text, span("<html>", 6)), 0);
	add(c, names[p->swapped], &text);
}

static void
made(struct case_ *c, const struct plan *plan)
{
	char hex[2][2600];
	struct plan p = *plan;
	X509 *root, *ca, *leaf;
	uint8_t spki[SHA256_LEN];

	memset(c, 0, sizeof(*c));
	c->e = endorsements_new();
	assert_non_null(c->e);
	if (p.leaf_point.url != NULL || p.leaf_point.hex != NULL)
		p.leaf.exts[0] = (struct ext_spec){ CRL_POINTS_OID,
			point_hex(&p.leaf_point, hex[0], sizeof(hex[0])),
			false };
	if (p.ca_point.url != NULL || p.ca_point.hex != NULL)
		p.ca.exts[0] = (struct ext_spec){ CRL_POINTS_OID,
			point_hex(&p.ca_point, hex[1], sizeof(hex[1])), false };
	root = maker_cert(&p.root, keys[KEY_ROOT], NULL, keys[KEY_ROOT]);
	ca = maker_cert(&p.ca, keys[KEY_CA], root, keys[KEY_ROOT]);
	leaf = maker_cert(&p.leaf, keys[KEY_AK], p.no_ca ? root : ca,
	    keys[p.no_ca ? KEY_ROOT : KEY_CA]);
	maker_spki(root, spki);
	spki[0] ^= p.other_pin;
	assert_int_equal(blob_set(&c->pin, span(spki, sizeof(spki))), 0);
	maker_cert_der(leaf, &c->ak);
	if (p.padded)
		assert_int_equal(blob_append(&c->ak, span("\0\0\0\0\0", 5)), 0);
	add_files(c, &p, root, ca);
	X509_free(root);
	X509_free(ca);
	X509_free(leaf);
	c->policy.has_tpm = p.has_tpm;
	c->policy.tpm.ak_trust = p.trust;
	c->policy.tpm.require_crl = p.crl_required;
	c->policy.tpm.ak_roots = (struct value_list){ &c->pin, 1 };
	upkeep_init_tpm(&c->u, &c->policy);
	if (!p.no_cert)
		c->u.ak_cert = blob_span(&c->ak);
	upkeep_judge(&c->u, c->e, NOW);
}

static void
unmade(struct case_ *c)
{
	upkeep_clear(&c->u);
	endorsements_freep(&c->e);
	blob_clear(&c->pin);
	blob_clear(&c->ak);
}

static const struct upkeep_file *
file(const struct case_ *c, enum upkeep_id id)
{
	return &c->u.file[id];
}

static void
good(const struct case_ *c, enum upkeep_id id, const char *name,
    const char *issuer)
{
	const struct upkeep_file *f = file(c, id);
	char about[80];

	(void)snprintf(about, sizeof(about), "issued by %s", issuer);
	if (f->why.err != CVM_OK)
		fail_msg("%s: %s: %s: allowed %s, got %s", name, f->why.where,
		    f->why.field, f->why.expected, f->why.got);
	assert_true(f->wanted && f->present);
	assert_string_equal(f->name, name);
	assert_string_equal(f->about, about);
	assert_int_equal(f->issued, NOW - 10);
	assert_int_equal(f->expires, NOW + 10);
}

static void
not_wanted(const struct case_ *c, enum upkeep_id id)
{
	assert_false(file(c, id)->wanted);
	assert_int_equal(file(c, id)->why.err, CVM_OK);
}

static void
both_crls_refused(void **state)
{
	struct plan p = plan();
	struct case_ c;

	(void)state;
	made(&c, &p);
	good(&c, UPKEEP_AK_CRL, ISSUER_CRL, "AK Issuer");
	good(&c, UPKEEP_AK_CA_CRL, ROOT_CRL, "AK Root");
	assert_string_equal(c.u.ak_url[0], LEAF_URL);
	assert_string_equal(c.u.ak_url[1], CA_URL);
	for (enum upkeep_id i = 0; i < UPKEEP_AK_CRL; i++)
		not_wanted(&c, i);
	unmade(&c);
	p.padded = true;
	made(&c, &p);
	good(&c, UPKEEP_AK_CRL, ISSUER_CRL, "AK Issuer");
	unmade(&c);
}

/* A root that issues the key's certificate has the only list. */
static void
key_of_the_root_itself(void **state)
{
	struct plan p = plan();
	struct case_ c;

	(void)state;
	p.no_ca = true;
	p.issuer_crl_key = KEY_ROOT;
	made(&c, &p);
	good(&c, UPKEEP_AK_CRL, ISSUER_CRL, "AK Root");
	not_wanted(&c, UPKEEP_AK_CA_CRL);
	assert_string_equal(c.u.ak_url[0], LEAF_URL);
	assert_string_equal(c.u.ak_url[1], "");
	unmade(&c);
}

/* It is the certificate that is at fault. */
static void
list_that_revokes_refused(void **state)
{
	struct plan p = plan();
	struct case_ c;

	(void)state;
	p.issuer_crl.revoked[0] = 3;
	p.root_crl.revoked[0] = 2;
	made(&c, &p);
	good(&c, UPKEEP_AK_CRL, ISSUER_CRL, "AK Issuer");
	good(&c, UPKEEP_AK_CA_CRL, ROOT_CRL, "AK Root");
	unmade(&c);
}

static void
absent_file_not_named(void **state)
{
	struct plan p = plan();
	struct case_ c;

	(void)state;
	p.no_crls = true;
	made(&c, &p);
	for (enum upkeep_id i = UPKEEP_AK_CRL; i <= UPKEEP_AK_CA_CRL; i++) {
		assert_true(file(&c, i)->wanted);
		assert_false(file(&c, i)->present);
		assert_int_equal(file(&c, i)->why.err, CVM_E_NOT_FOUND);
	}
	assert_string_equal(file(&c, UPKEEP_AK_CRL)->why.where, ISSUER_CRL);
	assert_string_equal(file(&c, UPKEEP_AK_CA_CRL)->why.where, ROOT_CRL);
	unmade(&c);
}

#define EDIT(name, statement)                                                  \
	static void edit_##name(struct plan *p)                                \
	{                                                                      \
		statement;                                                     \
	}
EDIT(garbage, p->garbage = true)
EDIT(swapped, p->swapped = true)
EDIT(stale, p->issuer_crl.until = NOW)
EDIT(early, p->issuer_crl.from = NOW + 1)
EDIT(endless, p->issuer_crl.until = 0)
EDIT(sha1, p->issuer_crl.sign.md = "SHA1")
EDIT(forged, p->issuer_crl_key = KEY_OTHER)
EDIT(other_name, p->issuer_crl.issuer_cn = "AK Issuers")
EDIT(delta, p->issuer_crl.exts[0].oid = "2.5.29.27";
     p->issuer_crl.exts[0].hex = "020101";
     p->issuer_crl.exts[0].critical = true)
EDIT(no_crl_sign, p->ca.usage = "critical,keyCertSign")
EDIT(pin, p->other_pin = true)
EDIT(ca_expired, p->ca.until = NOW - 1)
EDIT(root_stale, p->root_crl.until = NOW)
EDIT(root_forged, p->root_crl_key = KEY_CA)

static const struct row {
	void (*edit)(struct plan *p);
	bool issuer, root; /* whose list is refused */
	const char *field;
} rows[] = {
	{ edit_garbage, true, false, "" },
	{ edit_swapped, true, true, "issuer" },
	{ edit_stale, true, false, "nextUpdate" },
	{ edit_early, true, false, "thisUpdate" },
	{ edit_endless, true, false, "nextUpdate" },
	{ edit_sha1, true, false, "signature algorithm" },
	{ edit_forged, true, false, "signature" },
	{ edit_other_name, true, false, "issuer" },
	{ edit_delta, true, false, "extensions" },
	{ edit_no_crl_sign, true, false, "issuer's keyUsage" },
	{ edit_pin, true, true, "root key (SHA-256 of SPKI)" },
	{ edit_ca_expired, true, true, "notAfter" },
	{ edit_root_stale, false, true, "nextUpdate" },
	{ edit_root_forged, false, true, "signature" },
};

static void
check_row(size_t i, const struct upkeep_file *f, bool refused)
{
	assert_true(f->wanted && f->present);
	if ((f->why.err != CVM_OK) != refused ||
	    (refused && strcmp(f->why.field, rows[i].field) != 0))
		fail_msg("row %zu: %s: %d: %s: %s: allowed %s, got %s", i,
		    f->name, f->why.err, f->why.where, f->why.field,
		    f->why.expected, f->why.got);
}

static void
list_at_fault_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		struct plan p = plan();
		struct case_ c;

		rows[i].edit(&p);
		made(&c, &p);
		check_row(i, file(&c, UPKEEP_AK_CRL), rows[i].issuer);
		check_row(i, file(&c, UPKEEP_AK_CA_CRL), rows[i].root);
		unmade(&c);
	}
}

/* Lists whose place no certificate tells are brought by hand. */
static void
list_without_a_place_wanted(void **state)
{
	static char longest[UPKEEP_URL_MAX], longer[UPKEEP_URL_MAX + 1];
	static const struct point bad[] = {
		{ 0 },
		{ .url = "http://ca.test/a b" },
		{ .url = "http://ca.test/\n" },
		{ .url = "http://ca.test/\xc3\xbc" },
		{ .url = longer },
		{ .url = "" },
		{ .hex = "30023000" },
		/* a name relative to the issuer; a directory's name */
		{ .hex = "300430020a00" },
		{ .hex = "300830"
			 "06a004a1020500" },
		{ .hex = "300a3008a006a004a4023000" },
	};
	struct plan p = plan();
	struct case_ c;

	(void)state;
	memset(longest, 'a', sizeof(longest) - 1);
	memset(longer, 'a', sizeof(longer) - 1);
	for (size_t i = 0; i < NELEMS(bad); i++) {
		p = plan();
		p.leaf_point = bad[i];
		made(&c, &p);
		not_wanted(&c, UPKEEP_AK_CRL);
		assert_string_equal(c.u.ak_url[0], "");
		good(&c, UPKEEP_AK_CA_CRL, ROOT_CRL, "AK Root");
		unmade(&c);
	}
	p = plan();
	p.ca_point = (struct point){ 0 };
	p.leaf_point.url = longest;
	made(&c, &p);
	good(&c, UPKEEP_AK_CRL, ISSUER_CRL, "AK Issuer");
	assert_string_equal(c.u.ak_url[0], longest);
	not_wanted(&c, UPKEEP_AK_CA_CRL);
	unmade(&c);
}

/* Of several addresses, the first. */
static void
second_address_taken(void **state)
{
	struct plan p = plan();
	struct case_ c;

	(void)state;
	p.leaf_point = (struct point){ .hex = "3018"
					      "300aa008a006860161860162"
					      "300aa008a006860163860164" };
	made(&c, &p);
	assert_string_equal(c.u.ak_url[0], "a");
	unmade(&c);
}

static void
list_that_nobody_asks_for(void **state)
{
	struct case_ c;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct plan p = plan();

		p.crl_required = i != 0;
		p.has_tpm = i != 1;
		p.no_cert = i == 2;
		if (i == 3)
			p.trust = AK_TRUST_PINNED;
		made(&c, &p);
		for (enum upkeep_id k = 0; k < UPKEEP_COUNT; k++)
			not_wanted(&c, k);
		unmade(&c);
	}
}

static void
issuer_unknown(void **state)
{
	struct plan p = plan();
	struct case_ c;
	const struct upkeep_file *f = file(&c, UPKEEP_AK_CRL);

	(void)state;
	p.no_pem = true;
	made(&c, &p);
	assert_true(f->wanted);
	assert_int_equal(f->why.err, CVM_E_NOT_FOUND);
	assert_string_equal(f->why.field, "issuer");
	assert_non_null(strstr(f->why.expected, "google/ak-root.pem"));
	assert_string_equal(c.u.ak_url[0], "");
	not_wanted(&c, UPKEEP_AK_CA_CRL);
	/* No certificate at all leads nowhere, either. */
	c.u.ak_cert = span("no DER", 6);
	upkeep_judge(&c.u, c.e, NOW);
	assert_int_equal(f->why.err, CVM_E_NOT_FOUND);
	assert_string_equal(f->why.field, "issuer");
	unmade(&c);
}

static int
setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KEYS; i++)
		keys[i] = maker_ec("P-256");
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
		cmocka_unit_test(both_crls_refused),
		cmocka_unit_test(key_of_the_root_itself),
		cmocka_unit_test(list_that_revokes_refused),
		cmocka_unit_test(absent_file_not_named),
		cmocka_unit_test(list_at_fault_accepted),
		cmocka_unit_test(list_without_a_place_wanted),
		cmocka_unit_test(second_address_taken),
		cmocka_unit_test(list_that_nobody_asks_for),
		cmocka_unit_test(issuer_unknown),
	};

	return cmocka_run_group_tests_name("upkeep-ak", tests, setup, teardown);
}
