/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "attest/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What both read must be the same: two readings of one certificate are two
 * certificates. */
static void
same(struct span ours, int len, unsigned char *theirs)
{
	if (len < 0 || !span_equal(ours, span(theirs, (size_t)len)))
		__builtin_trap();
	OPENSSL_free(theirs);
}

static void
same_time(int64_t ours, const ASN1_TIME *t)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1 || (int64_t)timegm(&tm) != ours)
		__builtin_trap();
}

static void
compare_cert(const struct cert *c, struct span in)
{
	const unsigned char *p = in.data;
	X509 *x = d2i_X509(NULL, &p, (long)in.len);
	unsigned char *out = NULL;
	uint32_t usage;
	int len;

	/* Nothing is read that OpenSSL does not read. */
	if (x == NULL || (size_t)X509_get_ext_count(x) != c->n_ext ||
	    X509_get_version(x) != (long)c->version - 1)
		__builtin_trap();
	len = i2d_X509_NAME(X509_get_subject_name(x), &out);
	same(c->subject, len, out);
	out = NULL;
	len = i2d_X509_NAME(X509_get_issuer_name(x), &out);
	same(c->issuer, len, out);
	out = NULL;
	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &out);
	same(c->spki, len, out);
	for (size_t i = 0; i < c->n_ext; i++) {
		X509_EXTENSION *e = X509_get_ext(x, (int)i);
		const ASN1_OCTET_STRING *v = X509_EXTENSION_get_data(e);

		if (X509_EXTENSION_get_critical(e) != c->ext[i].critical ||
		    !span_equal(c->ext[i].value,
			span(ASN1_STRING_get0_data(v),
			    (size_t)ASN1_STRING_length(v))))
			__builtin_trap();
	}
	same_time(c->from, X509_get0_notBefore(x));
	same_time(c->until, X509_get0_notAfter(x));
	usage = X509_get_key_usage(x);
	/* An extension that we have no use for may be malformed. */
	if ((X509_get_extension_flags(x) & EXFLAG_INVALID) == 0 &&
	    ((c->has_usage && usage != c->usage) ||
		X509_get_pathlen(x) != c->path_len ||
		(c->has_constraints &&
		    c->ca != ((X509_get_extension_flags(x) & EXFLAG_CA) != 0))))
		__builtin_trap();
	if (c->key != NULL && X509_get0_pubkey(x) != NULL &&
	    EVP_PKEY_eq(X509_get0_pubkey(x), c->key) != 1)
		__builtin_trap();
	X509_free(x);
}

/* A list that is taken for whole is none of some reasons, of attributes or of
 * other issuers, and is about whom OpenSSL says. */
static void
compare_point(const struct crl *c, const X509_CRL *x)
{
	int critical = -1;
	ISSUING_DIST_POINT *idp = X509_CRL_get_ext_d2i(x,
	    NID_issuing_distribution_point, &critical, NULL);

	if (c->complete &&
	    (c->has_point != (idp != NULL) ||
		(idp != NULL &&
		    (critical != 1 || idp->onlysomereasons != NULL ||
			idp->indirectCRL > 0 || idp->onlyattr > 0 ||
			(idp->onlyuser > 0) != c->user_only ||
			(idp->onlyCA > 0) != c->ca_only ||
			(idp->distpoint != NULL) != (c->places.len > 0)))))
		__builtin_trap();
	ISSUING_DIST_POINT_free(idp);
}

static void
compare_crl(const struct crl *c, struct span in)
{
	const unsigned char *p = in.data;
	X509_CRL *x = d2i_X509_CRL(NULL, &p, (long)in.len);
	STACK_OF(X509_REVOKED) * list;
	unsigned char *issuer = NULL;
	int len;

	if (x == NULL)
		__builtin_trap();
	len = i2d_X509_NAME(X509_CRL_get_issuer(x), &issuer);
	same(c->issuer, len, issuer);
	same_time(c->from, X509_CRL_get0_lastUpdate(x));
	if ((X509_CRL_get0_nextUpdate(x) != NULL) != c->has_until)
		__builtin_trap();
	if (c->has_until)
		same_time(c->until, X509_CRL_get0_nextUpdate(x));
	compare_point(c, x);
	list = X509_CRL_get_REVOKED(x);
	for (int i = 0; i < sk_X509_REVOKED_num(list); i++) {
		const ASN1_INTEGER *n = X509_REVOKED_get0_serialNumber(
		    sk_X509_REVOKED_value(list, i));
		unsigned char *out = NULL;

		len = i2d_ASN1_INTEGER(n, &out);

		/* Past tag and length, which is short for what we read. */
		if (len > 2 && len < 100 &&
		    !crl_lists(c, span(&out[2], (size_t)len - 2)))
			__builtin_trap();
		OPENSSL_free(out);
	}
	X509_CRL_free(x);
}

static X509 *
again(const struct cert *c)
{
	const unsigned char *p = c->der.data;

	return d2i_X509(NULL, &p, (long)c->der.len);
}

/* A chain that is accepted here, OpenSSL accepts. */
static void
compare_chain(const struct chain *c)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *more = sk_X509_new_null();
	X509 *leaf = again(c->leaf), *root = again(c->root);
	X509_VERIFY_PARAM *param;

	X509_STORE_add_cert(store, root);
	for (size_t i = 0; i < c->n_intermediates; i++)
		sk_X509_push(more, again(c->intermediates[i]));
	X509_STORE_CTX_init(ctx, store, leaf, more);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)c->now);
	X509_VERIFY_PARAM_set_flags(param,
	    X509_V_FLAG_CHECK_SS_SIGNATURE |
		(c->want_strict ? X509_V_FLAG_X509_STRICT : 0));
	if (X509_verify_cert(ctx) != 1)
		__builtin_trap();
	X509_STORE_CTX_free(ctx);
	sk_X509_pop_free(more, X509_free);
	X509_STORE_free(store);
	X509_free(leaf);
	X509_free(root);
}

/* Leaf first, root last; the last one's key is pinned. */
static void
judge(struct cert **v, size_t n, struct crl *crl)
{
	struct blob pin = { v[n - 1]->spki_digest, SHA256_LEN };
	struct value_list pins = { &pin, 1 };
	struct chain c = { .leaf = v[0],
		.root = v[n - 1],
		.intermediates = &v[1],
		.n_intermediates = n > 2 ? n - 2 : 0,
		.pins = &pins,
		.now = v[0]->from };

	for (int strict = 0; strict < 2; strict++) {
		c.want_strict = strict;
		if (chain_verify(&c, NULL) == CVM_OK)
			compare_chain(&c);
	}
	c.crls = &crl;
	c.n_crls = crl != NULL;
	(void)!chain_verify(&c, NULL);
}

/* A certificate, a CRL, or PEM: certificates and then a CRL. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cert *v[CHAIN_CERTS_MAX] = { NULL };
	struct crl *crl = NULL;
	char text[CERT_NAME_MAX], alg[CERT_ALG_NAME_MAX];
	const uint8_t *list = memmem(data, size, "-----BEGIN X509 CRL", 19);
	size_t n = 0, len = list != NULL ? (size_t)(list - data) : size;

	if (cert_from_der(span(data, size), false, &v[0]) == CVM_OK) {
		compare_cert(v[0], span(data, size));
		n = 1;
	} else if (certs_from_pem(span(data, len), v, CHAIN_CERTS_MAX, &n) !=
	    CVM_OK) {
		n = 0;
	}
	if (list != NULL)
		(void)!crl_from_bytes(span(list, size - len), &crl);
	else if (crl_from_bytes(span(data, size), &crl) == CVM_OK)
		compare_crl(crl, span(data, size));
	if (n > 0)
		judge(v, n, crl);
	for (size_t i = 0; i < n; i++) {
		(void)cert_name(v[i], text, sizeof(text));
		(void)cert_alg_name(&v[i]->alg, alg);
		cert_freep(&v[i]);
	}
	crl_freep(&crl);
	return 0;
}
