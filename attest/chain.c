/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <stdio.h>
#include <string.h>

#include "attest/cert_rules.h"

static size_t
chain_len(const struct chain *c)
{
	return c->n_intermediates + 2;
}

/* 0 is the leaf, the last one the root. */
struct cert *
chain_at(const struct chain *c, size_t i)
{
	if (i == 0)
		return c->leaf;
	return i <= c->n_intermediates ? c->intermediates[i - 1] : c->root;
}

/* Leaf first, each issued (by name) by the next, a self-issued root last,
 * nothing twice, nothing superfluous. */
static int
shape_acceptable(const struct chain *c, struct why *why)
{
	size_t n = chain_len(c);

	if (n > CHAIN_CERTS_MAX)
		return why_setf(why, CVM_E_DENIED, "certificate chain",
		    "length", "at most 8 certificates", "%zu", n);
	for (size_t i = 0; i < n; i++)
		if (chain_at(c, i) == NULL)
			return why_set(why, CVM_E_DENIED, "certificate chain",
			    "certificates", "leaf, intermediates and root",
			    i == 0 ? "no leaf" : "one is missing");
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if (memcmp(chain_at(c, i)->digest,
				chain_at(c, j)->digest, SHA256_LEN) == 0)
				return cert_deny(why, chain_at(c, i), "order",
				    "each certificate once", "twice");
	for (size_t i = 0; i < n; i++) {
		const struct cert *by = chain_at(c, i + 1 < n ? i + 1 : i);
		int r = cert_issued_by(chain_at(c, i), by, why);

		if (r != CVM_OK)
			return r;
	}
	return CVM_OK;
}

bool
cert_pinned(const struct cert *x, const struct value_list *pins)
{
	for (size_t i = 0; i < pins->n; i++)
		if (span_equal(blob_span(&pins->v[i]),
			span(x->spki_digest, SHA256_LEN)))
			return true;
	return false;
}

static int
root_pinned(const struct chain *c, struct why *why)
{
	char hex[2 * SHA256_LEN + 1];

	if (c->pins != NULL && cert_pinned(c->root, c->pins))
		return CVM_OK;
	return cert_deny(why, c->root, "root key (SHA-256 of SPKI)",
	    "one of the pinned roots",
	    hex_encode(span(c->root->spki_digest, SHA256_LEN), hex,
		sizeof(hex)));
}

/* RFC 5280 section 6.1.4 (l, m): CAs below this one, without the leaf and
 * without those that issued themselves a new certificate. */
static int
lengths_acceptable(const struct chain *c, struct why *why)
{
	int below = 0;
	char expected[48], got[16];

	for (size_t i = 1; i < chain_len(c); i++) {
		const struct cert *x = chain_at(c, i);

		if (x->path_len < 0 || below <= x->path_len) {
			below += !name_equal(x->issuer, x->subject);
			continue;
		}
		(void)snprintf(expected, sizeof(expected),
		    "at most %d CAs below it", x->path_len);
		(void)snprintf(got, sizeof(got), "%d", below);
		return cert_deny(why, x, "path length", expected, got);
	}
	return CVM_OK;
}

static int
signatures_verified(const struct chain *c, struct why *why)
{
	size_t n = chain_len(c);
	char issuer[CERT_NAME_MAX];

	for (size_t i = 0; i < n; i++) {
		struct cert *x = chain_at(c, i);
		struct cert *by = chain_at(c, i + 1 < n ? i + 1 : i);
		int r = cert_verify(x, by);

		if (r == CVM_E_DENIED)
			return cert_deny(why, x, "signature",
			    cert_name(by, issuer, sizeof(issuer)),
			    "one that its key does not verify");
		if (r != CVM_OK)
			return r;
	}
	return CVM_OK;
}

static int
crl_judge(const struct chain *c, const struct crl *crl, struct cert *issuer,
    struct why *why)
{
	static const char *const dates[] = { "thisUpdate", "nextUpdate" };
	static const char where[] = ""; /* the caller's */
	int64_t at = c->now;
	int r;

	if (crl->version != 2)
		return why_set(why, CVM_E_DENIED, where, "version", "v2",
		    "another");
	if ((issuer->usage & USAGE_CRL_SIGN) == 0)
		return why_set(why, CVM_E_DENIED, where, "issuer's keyUsage",
		    "cRLSign", "not cRLSign");
	r = signature_acceptable(&crl->alg, &crl->alg_inside, where, why);
	if (r != CVM_OK)
		return r;
	if (!crl->complete)
		return why_set(why, CVM_E_DENIED, where, "extensions",
		    "a complete CRL with known critical extensions alone",
		    "a delta, indirect or partial one");
	r = crl_verify(crl, issuer);
	if (r == CVM_E_DENIED)
		return why_set(why, r, where, "signature",
		    "by the issuer in the chain", "does not verify");
	if (r != CVM_OK)
		return r;
	if (!crl->has_until)
		return why_set(why, CVM_E_DENIED, where, "nextUpdate", "a date",
		    "none");
	if (c->stale_crl_ok && at >= crl->until)
		at = crl->until - 1;
	return dates_include(crl->from, crl->until, at, where, dates, why);
}

static int
crl_acceptable(const struct chain *c, const struct crl *crl,
    struct cert *issuer, struct why *why)
{
	char name[CERT_NAME_MAX];
	int r = crl_judge(c, crl, issuer, why);

	if (r != CVM_OK && why != NULL)
		(void)snprintf(why->where, sizeof(why->where), "CRL of %s",
		    cert_name(issuer, name, sizeof(name)));
	return r;
}

int
chain_crl_issuer(const struct chain *c, const struct crl *crl,
    size_t *ret_issuer, struct why *reterr_why)
{
	for (size_t i = 1; i < chain_len(c); i++)
		if (name_equal(crl->issuer, chain_at(c, i)->subject)) {
			*ret_issuer = i;
			return CVM_OK;
		}
	return why_set(reterr_why, CVM_E_DENIED, "CRL", "issuer",
	    "a CA of this chain", "another issuer");
}

int
chain_not_revoked(const struct chain *c, const struct crl *crl, size_t issuer,
    struct why *why)
{
	size_t first = issuer - 1;

	/* What this issuer signed: the one below, and itself if it is root. */
	for (size_t i = first; i <= issuer; i++) {
		if (i == issuer && issuer + 1 < chain_len(c))
			continue;
		if (i == first && !crl_covers(crl, chain_at(c, i)))
			return cert_deny(why, chain_at(c, i), "CRL",
			    "one of its issuer that includes it",
			    "one for others (issuingDistributionPoint)");
		if (crl_lists(crl, chain_at(c, i)->serial))
			return cert_deny(why, chain_at(c, i), "revocation",
			    "not in its issuer's CRL", "revoked");
	}
	return CVM_OK;
}

int
chain_crl_verify_by(const struct chain *c, const struct crl *crl, size_t issuer,
    struct why *reterr_why)
{
	return crl_acceptable(c, crl, chain_at(c, issuer), reterr_why);
}

int
chain_crl_verify(const struct chain *c, const struct crl *crl,
    struct why *reterr_why)
{
	size_t by = 0;
	int r = chain_crl_issuer(c, crl, &by, reterr_why);

	return r != CVM_OK ? r : chain_crl_verify_by(c, crl, by, reterr_why);
}

int
chain_crls_suffice(const struct chain *c, struct why *reterr_why)
{
	bool covered[CHAIN_CERTS_MAX] = { false };
	size_t n = chain_len(c), by = 0;

	for (size_t k = 0; k < c->n_crls; k++)
		if (chain_crl_issuer(c, c->crls[k], &by, NULL) == CVM_OK)
			covered[by] = true;
	for (size_t i = c->crl_leaf ? 0 : 1; c->require_crl && i + 1 < n; i++)
		if (!covered[i + 1])
			return cert_deny(reterr_why, chain_at(c, i), "CRL",
			    "a current CRL of its issuer", "none");
	return CVM_OK;
}

static int
crls_verified(const struct chain *c, struct why *why)
{
	for (size_t k = 0; k < c->n_crls; k++) {
		size_t by = 0;
		int r = chain_crl_issuer(c, c->crls[k], &by, why);

		if (r == CVM_OK)
			r = chain_crl_verify_by(c, c->crls[k], by, why);
		if (r == CVM_OK)
			r = chain_not_revoked(c, c->crls[k], by, why);
		if (r != CVM_OK)
			return r;
	}
	return chain_crls_suffice(c, why);
}

/* Trouble of our own is as much a refusal as a bad chain. */
static int
refusal(int r, struct why *why)
{
	if (r == CVM_OK || r == CVM_E_DENIED)
		return r;
	return why_set(why, r, "certificate chain", "", "verification",
	    cvm_strerror(r));
}

/* RFC 5280 section 6.1: each certificate by itself, then how they follow on
 * each other, and the signatures, which cost most, last. */
int
chain_path_verify(const struct chain *c, struct why *reterr_why)
{
	int r = shape_acceptable(c, reterr_why);

	if (r == CVM_OK)
		r = root_pinned(c, reterr_why);
	for (size_t i = 0; r == CVM_OK && i < chain_len(c); i++)
		r = cert_acceptable(chain_at(c, i), i > 0 || c->ca_leaf, c->now,
		    reterr_why);
	for (size_t i = 0; r == CVM_OK && c->want_strict && i < chain_len(c);
	     i++)
		r = cert_strict(chain_at(c, i), i + 1 == chain_len(c),
		    reterr_why);
	if (r == CVM_OK)
		r = lengths_acceptable(c, reterr_why);
	if (r == CVM_OK)
		r = signatures_verified(c, reterr_why);
	return refusal(r, reterr_why);
}

int
chain_verify(const struct chain *c, struct why *reterr_why)
{
	int r = chain_path_verify(c, reterr_why);

	return r != CVM_OK ? r :
			     refusal(crls_verified(c, reterr_why), reterr_why);
}

static void
narrow(struct chain_validity *v, int64_t from, int64_t until)
{
	if (from > v->from)
		v->from = from;
	if (until < v->until)
		v->until = until;
}

int
chain_crls_validity(const struct chain *c, struct chain_validity *ret)
{
	struct chain_validity v = { .from = INT64_MIN, .until = INT64_MAX };

	for (size_t i = 0; i < c->n_crls; i++) {
		const struct crl *crl = c->crls[i];

		if (!crl->has_until)
			return CVM_E_PARSE;
		narrow(&v, crl->from,
		    c->stale_crl_ok ? INT64_MAX : crl->until - 1);
		if (crl->from > v.newest_crl)
			v.newest_crl = crl->from;
	}
	*ret = v;
	return CVM_OK;
}

int
chain_validity(const struct chain *c, struct chain_validity *ret)
{
	struct chain_validity v = { 0 };
	int r = chain_crls_validity(c, &v);

	if (r != CVM_OK)
		return r;
	for (size_t i = 0; i < chain_len(c); i++)
		narrow(&v, chain_at(c, i)->from, chain_at(c, i)->until - 1);
	*ret = v;
	return CVM_OK;
}
