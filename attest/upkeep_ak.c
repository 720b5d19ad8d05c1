/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/upkeep.h"
#include "base/der.h"

#define AK_ROOTS "google/ak-root.pem"
#define AK_INTERMEDIATES "google/ak-intermediates.pem"
#define CRL_POINTS "2.5.29.31"

/* What a path can be made of; it borrows from here. */
struct ak_certs {
	struct cert *leaf;
	struct cert *roots[CHAIN_CERTS_MAX], *more[CHAIN_CERTS_MAX];
	size_t n_roots, n_more;
};

static void
ak_certs_clear(struct ak_certs *c)
{
	cert_freep(&c->leaf);
	for (size_t i = 0; i < CHAIN_CERTS_MAX; i++) {
		cert_freep(&c->roots[i]);
		cert_freep(&c->more[i]);
	}
}

/* Where a certificate says that its issuer's CRL is: the first address (RFC
 * 5280 section 4.2.1.13). Empty: nowhere, or not in words that a URL has. */
static void
crl_address(const struct cert *x, char url[static UPKEEP_URL_MAX])
{
	struct reader r, list, point, name, full;
	struct span value, uri = { 0 };

	url[0] = '\0';
	if (cert_extension(x, CRL_POINTS, &value) != CVM_OK)
		return;
	r = reader_init(value);
	list = der_open(&r, DER_SEQUENCE);
	point = der_open(&list, DER_SEQUENCE);
	name = der_open(&point, DER_EXPLICIT(0));
	full = der_open(&name, DER_EXPLICIT(0));
	if (der_tag(&full) == DER_IMPLICIT(6))
		uri = der_value(&full, DER_IMPLICIT(6));
	if (full.failed || uri.len == 0 || uri.len >= UPKEEP_URL_MAX)
		return;
	for (size_t i = 0; i < uri.len; i++)
		if (uri.data[i] <= ' ' || uri.data[i] > '~')
			return;
	memcpy(url, uri.data, uri.len);
	url[uri.len] = '\0';
}

static struct cert *
issuer_among(struct cert *x, struct cert *const *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (name_equal(x->issuer, from[i]->subject) &&
		    cert_verify(x, from[i]) == CVM_OK)
			return from[i];
	return NULL;
}

static void
load_certs(const struct upkeep *u, const struct endorsements *e,
    struct ak_certs *c)
{
	if (cert_from_der(u->ak_cert, /* padded= */ true, &c->leaf) != CVM_OK ||
	    certs_from_pem(endorsements_find(e, AK_ROOTS), c->roots,
		CHAIN_CERTS_MAX, &c->n_roots) != CVM_OK)
		return;
	if (certs_from_pem(endorsements_find(e, AK_INTERMEDIATES), c->more,
		CHAIN_CERTS_MAX, &c->n_more) != CVM_OK)
		c->n_more = 0;
}

/* The path to a root, in *ret with the CA below it, if there is one. */
static bool
find_path(struct ak_certs *c, struct cert *path[static 1], struct chain *ret)
{
	struct cert *top = c->leaf;

	if (top == NULL)
		return false;
	path[0] = issuer_among(top, c->more, c->n_more);
	if (issuer_among(top, c->roots, c->n_roots) != NULL)
		path[0] = NULL;
	else if ((top = path[0]) == NULL)
		return false;
	*ret = (struct chain){ .leaf = c->leaf,
		.intermediates = path,
		.n_intermediates = path[0] != NULL,
		.root = issuer_among(top, c->roots, c->n_roots),
		.want_strict = true };
	return ret->root != NULL;
}

static void
judge_crl(struct upkeep *u, struct chain *c, size_t issuer,
    const struct endorsements *e, struct upkeep_file *f)
{
	_cleanup_(crl_freep) struct crl *crl = NULL;
	size_t by = 0;
	int r = crl_from_bytes(endorsements_find(e, f->name), &crl);

	if (r != CVM_OK) {
		(void)why_set(&f->why, r, f->name, "", "a CRL",
		    "something else");
		return;
	}
	upkeep_note_crl(f, crl);
	c->pins = &u->policy->tpm.ak_roots;
	r = chain_path_verify(c, &f->why);
	if (r == CVM_OK)
		r = chain_crl_issuer(c, crl, &by, &f->why);
	if (r == CVM_OK && by != issuer)
		r = why_set(&f->why, CVM_E_DENIED, f->name, "issuer",
		    "the CA whose list this place is for", "another");
	if (r == CVM_OK)
		r = chain_crl_verify_by(c, crl, by, &f->why);
	f->why.err = r;
}

void
upkeep_judge_ak(struct upkeep *u, const struct endorsements *e, int64_t now)
{
	static const struct {
		enum upkeep_id id;
		const char *name;
	} files[] = {
		{ UPKEEP_AK_CRL, "google/ak-issuer.crl" },
		{ UPKEEP_AK_CA_CRL, "google/ak-root.crl" },
	};
	_cleanup_(ak_certs_clear) struct ak_certs certs = { 0 };
	struct chain chain = { 0 };
	struct cert *path[1];

	if (u->ak_cert.len == 0 || !u->policy->has_tpm ||
	    u->policy->tpm.ak_trust != AK_TRUST_GCE ||
	    !u->policy->tpm.require_crl)
		return;
	load_certs(u, e, &certs);
	if (!find_path(&certs, path, &chain)) {
		upkeep_want(u, UPKEEP_AK_CRL, "%s", files[0].name);
		(void)why_set(&u->file[UPKEEP_AK_CRL].why, CVM_E_NOT_FOUND,
		    files[0].name, "issuer",
		    "a CA of " AK_INTERMEDIATES " below a root of " AK_ROOTS
		    ", or that root",
		    "none that issued the attestation key's certificate");
		return;
	}
	chain.now = now;
	for (size_t i = 0; i < 1 + chain.n_intermediates; i++) {
		struct upkeep_file *f = &u->file[files[i].id];

		crl_address(chain_at(&chain, i), u->ak_url[i]);
		if (u->ak_url[i][0] == '\0')
			continue; /* brought by hand, under any name */
		upkeep_want(u, files[i].id, "%s", files[i].name);
		upkeep_look(u, files[i].id, e);
		if (f->present)
			judge_crl(u, &chain, i + 1, e, f);
	}
}
