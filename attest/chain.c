/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "attest/cert_rules.h"
#include "attest/openssl.h"

static void
store_freep(X509_STORE **s)
{
	X509_STORE_free(*s);
	*s = NULL;
}

static void
store_ctx_freep(X509_STORE_CTX **ctx)
{
	X509_STORE_CTX_free(*ctx);
	*ctx = NULL;
}

/* A stack that borrows its certificates. */
typedef STACK_OF(X509) borrowed_certs;

static void
borrowed_freep(borrowed_certs **sk)
{
	sk_X509_free(*sk);
	*sk = NULL;
}

static size_t
chain_len(const struct chain *c)
{
	return c->n_intermediates + 2;
}

/* 0 is the leaf, the last one the root. */
X509 *
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
	char issuer[CERT_NAME_MAX];

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
			if (X509_cmp(chain_at(c, i), chain_at(c, j)) == 0)
				return cert_deny(why, chain_at(c, i), "order",
				    "each certificate once", "twice");
	for (size_t i = 0; i < n; i++) {
		const X509 *x = chain_at(c, i);
		const X509 *by = chain_at(c, i + 1 < n ? i + 1 : i);

		if (X509_NAME_cmp(X509_get_issuer_name(x),
			X509_get_subject_name(by)) != 0)
			return cert_deny(why, x, "issuer",
			    cert_name(by, issuer, sizeof(issuer)),
			    "another name (wrong order or wrong chain)");
	}
	return CVM_OK;
}

static int
root_pinned(const struct chain *c, struct why *why)
{
	uint8_t spki[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	if (cert_spki_sha256(c->root, spki) != CVM_OK)
		return cert_deny(why, c->root, "public key", "readable", "not");
	for (size_t i = 0; c->pins != NULL && i < c->pins->n; i++)
		if (span_equal(blob_span(&c->pins->v[i]),
			span(spki, sizeof(spki))))
			return CVM_OK;
	return cert_deny(why, c->root, "root key (SHA-256 of SPKI)",
	    "one of the pinned roots",
	    hex_encode(span(spki, sizeof(spki)), hex, sizeof(hex)));
}

/* RFC 5280 section 6.3.3 by OpenSSL: signatures, path length, names. */
static int
path_verified(const struct chain *c, struct why *why)
{
	_cleanup_(store_freep) X509_STORE *store = X509_STORE_new();
	_cleanup_(borrowed_freep) borrowed_certs *more = sk_X509_new_null();
	_cleanup_(store_ctx_freep)
	    X509_STORE_CTX *ctx = X509_STORE_CTX_new_ex(crypto_libctx(),
		/* propq= */ NULL);
	X509_VERIFY_PARAM *param;
	unsigned long flags = X509_V_FLAG_CHECK_SS_SIGNATURE;
	int err, depth;

	if (store == NULL || more == NULL || ctx == NULL ||
	    X509_STORE_add_cert(store, c->root) != 1)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < c->n_intermediates; i++)
		if (sk_X509_push(more, c->intermediates[i]) <= 0)
			return CVM_E_NOMEM;
	if (X509_STORE_CTX_init(ctx, store, c->leaf, more) != 1)
		return CVM_E_NOMEM;
	if (c->want_strict)
		flags |= X509_V_FLAG_X509_STRICT;
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)c->now);
	X509_VERIFY_PARAM_set_depth(param, CHAIN_CERTS_MAX);
	if (X509_VERIFY_PARAM_set_flags(param, flags) != 1)
		return CVM_E_CRYPTO;
	if (X509_verify_cert(ctx) == 1 &&
	    sk_X509_num(X509_STORE_CTX_get0_chain(ctx)) == (int)chain_len(c))
		return CVM_OK;
	err = X509_STORE_CTX_get_error(ctx);
	depth = X509_STORE_CTX_get_error_depth(ctx);
	if (depth < 0 || (size_t)depth >= chain_len(c))
		depth = 0;
	return cert_deny(why, chain_at(c, (size_t)depth), "certificate path",
	    "valid up to the pinned root",
	    err != X509_V_OK ? X509_verify_cert_error_string(err) :
			       "another path");
}

/* RFC 5280 section 5.2: an unknown critical extension makes a CRL unusable;
 * that includes delta, indirect and partitioned ones, whose silence about a
 * certificate means nothing. */
static bool
crl_is_complete(X509_CRL *crl)
{
	STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl);

	for (int i = 0; i < X509_CRL_get_ext_count(crl); i++)
		if (X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, i)))
			return false;
	for (int i = 0; i < sk_X509_REVOKED_num(entries); i++) {
		const X509_REVOKED *e = sk_X509_REVOKED_value(entries, i);

		for (int k = 0; k < X509_REVOKED_get_ext_count(e); k++)
			if (X509_EXTENSION_get_critical(
				X509_REVOKED_get_ext(e, k)))
				return false;
	}
	return X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) < 0 &&
	    X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) <
	    0;
}

static int
crl_judge(const struct chain *c, X509_CRL *crl, X509 *issuer, struct why *why)
{
	static const char *const dates[] = { "thisUpdate", "nextUpdate" };
	static const char where[] = ""; /* the caller's */
	uint32_t usage = X509_get_key_usage(issuer);
	const X509_ALGOR *alg = NULL;
	int64_t at = c->now, until;
	int r;

	if (X509_CRL_get_version(crl) != X509_CRL_VERSION_2)
		return why_set(why, CVM_E_DENIED, where, "version", "v2",
		    "another");
	if (usage == UINT32_MAX || (usage & KU_CRL_SIGN) == 0)
		return why_set(why, CVM_E_DENIED, where, "issuer's keyUsage",
		    "cRLSign", "not cRLSign");
	X509_CRL_get0_signature(crl, NULL, &alg);
	r = signature_acceptable(alg, where, why);
	if (r != CVM_OK)
		return r;
	if (!crl_is_complete(crl))
		return why_set(why, CVM_E_DENIED, where, "extensions",
		    "a complete CRL without critical extensions",
		    "a delta, partial or indirect one");
	if (X509_CRL_verify(crl, X509_get0_pubkey(issuer)) != 1)
		return why_set(why, CVM_E_DENIED, where, "signature",
		    "by the issuer in the chain", "does not verify");
	if (c->stale_crl_ok &&
	    asn1_time_seconds(X509_CRL_get0_nextUpdate(crl), &until) ==
		CVM_OK &&
	    at >= until)
		at = until - 1;
	return dates_include(X509_CRL_get0_lastUpdate(crl),
	    X509_CRL_get0_nextUpdate(crl), at, where, dates, why);
}

static int
crl_acceptable(const struct chain *c, X509_CRL *crl, X509 *issuer,
    struct why *why)
{
	char name[CERT_NAME_MAX];
	int r = crl_judge(c, crl, issuer, why);

	if (r != CVM_OK && why != NULL)
		(void)snprintf(why->where, sizeof(why->where), "CRL of %s",
		    cert_name(issuer, name, sizeof(name)));
	return r;
}

int
chain_crl_issuer(const struct chain *c, const X509_CRL *crl, size_t *ret_issuer,
    struct why *reterr_why)
{
	for (size_t i = 1; i < chain_len(c); i++)
		if (X509_NAME_cmp(X509_CRL_get_issuer(crl),
			X509_get_subject_name(chain_at(c, i))) == 0) {
			*ret_issuer = i;
			return CVM_OK;
		}
	return why_set(reterr_why, CVM_E_DENIED, "CRL", "issuer",
	    "a CA of this chain", "another issuer");
}

int
chain_not_revoked(const struct chain *c, X509_CRL *crl, size_t issuer,
    struct why *why)
{
	quiet_openssl();
	size_t first = issuer - 1;

	/* What this issuer signed: the one below, and itself if it is root. */
	for (size_t i = first; i <= issuer; i++) {
		X509_REVOKED *entry = NULL;

		if (i == issuer && issuer + 1 < chain_len(c))
			continue;
		if (X509_CRL_get0_by_cert(crl, &entry, chain_at(c, i)) != 0)
			return cert_deny(why, chain_at(c, i), "revocation",
			    "not in its issuer's CRL", "revoked");
	}
	return CVM_OK;
}

int
chain_crl_verify_by(const struct chain *c, X509_CRL *crl, size_t issuer,
    struct why *reterr_why)
{
	quiet_openssl();

	return crl_acceptable(c, crl, chain_at(c, issuer), reterr_why);
}

int
chain_crl_verify(const struct chain *c, X509_CRL *crl, struct why *reterr_why)
{
	quiet_openssl();
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

int
chain_path_verify(const struct chain *c, struct why *reterr_why)
{
	quiet_openssl();
	int r = shape_acceptable(c, reterr_why);

	if (r == CVM_OK)
		r = root_pinned(c, reterr_why);
	for (size_t i = 0; r == CVM_OK && i < chain_len(c); i++)
		r = cert_acceptable(chain_at(c, i), i > 0 || c->ca_leaf, c->now,
		    reterr_why);
	if (r == CVM_OK)
		r = path_verified(c, reterr_why);
	return refusal(r, reterr_why);
}

int
chain_verify(const struct chain *c, struct why *reterr_why)
{
	quiet_openssl();
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
	int64_t from = 0, until = 0;

	for (size_t i = 0; i < c->n_crls; i++) {
		const X509_CRL *crl = c->crls[i];

		if (asn1_time_seconds(X509_CRL_get0_lastUpdate(crl), &from) ||
		    asn1_time_seconds(X509_CRL_get0_nextUpdate(crl), &until))
			return CVM_E_PARSE;
		narrow(&v, from, c->stale_crl_ok ? INT64_MAX : until - 1);
		if (from > v.newest_crl)
			v.newest_crl = from;
	}
	*ret = v;
	return CVM_OK;
}

int
chain_validity(const struct chain *c, struct chain_validity *ret)
{
	struct chain_validity v = { 0 };
	int64_t from = 0, until = 0;
	int r = chain_crls_validity(c, &v);

	if (r != CVM_OK)
		return r;
	for (size_t i = 0; i < chain_len(c); i++) {
		const X509 *x = chain_at(c, i);

		if (asn1_time_seconds(X509_get0_notBefore(x), &from) ||
		    asn1_time_seconds(X509_get0_notAfter(x), &until))
			return CVM_E_PARSE;
		narrow(&v, from, until - 1);
	}
	*ret = v;
	return CVM_OK;
}
