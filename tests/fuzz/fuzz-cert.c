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
	len = i2d_re_X509_tbs(x, &out);
	OPENSSL_free(out);
	same_time(c->from, X509_get0_notBefore(x));
	same_time(c->until, X509_get0_notAfter(x));
	usage = X509_get_key_usage(x);
	/* An extension that we have no use for may be malformed. */
	if (c->has_usage &&
	    (X509_get_extension_flags(x) & EXFLAG_INVALID) == 0 &&
	    usage != c->usage)
		__builtin_trap();
	if (c->key != NULL && X509_get0_pubkey(x) != NULL &&
	    EVP_PKEY_eq(X509_get0_pubkey(x), c->key) != 1)
		__builtin_trap();
	X509_free(x);
}

static void
compare_crl(const struct crl *c, struct span in)
{
	const unsigned char *p = in.data;
	X509_CRL *x = d2i_X509_CRL(NULL, &p, (long)in.len);
	STACK_OF(X509_REVOKED) * list;

	if (x == NULL)
		__builtin_trap();
	same_time(c->from, X509_CRL_get0_lastUpdate(x));
	list = X509_CRL_get_REVOKED(x);
	for (int i = 0; i < sk_X509_REVOKED_num(list); i++) {
		const ASN1_INTEGER *n = X509_REVOKED_get0_serialNumber(
		    sk_X509_REVOKED_value(list, i));
		unsigned char *out = NULL;
		int len = i2d_ASN1_INTEGER(n, &out);

		/* Past tag and length, which is short for what we read. */
		if (len > 2 && len < 100 &&
		    !crl_lists(c, span(&out[2], (size_t)len - 2)))
			__builtin_trap();
		OPENSSL_free(out);
	}
	X509_CRL_free(x);
}

/* A certificate, a CRL or PEM of either; nobody's root is pinned. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct value_list none = { 0 };
	struct cert *v[CHAIN_CERTS_MAX] = { NULL };
	struct crl *crl = NULL;
	char text[CERT_NAME_MAX], alg[CERT_ALG_NAME_MAX];
	size_t n = 0;

	if (cert_from_der(span(data, size), false, &v[0]) == CVM_OK) {
		compare_cert(v[0], span(data, size));
		n = 1;
	} else if (certs_from_pem(span(data, size), v, CHAIN_CERTS_MAX, &n) !=
	    CVM_OK) {
		n = 0;
	}
	if (crl_from_bytes(span(data, size), &crl) == CVM_OK && size > 0 &&
	    data[0] == 0x30)
		compare_crl(crl, span(data, size));
	for (size_t i = 0; i < n; i++) {
		struct chain c = { .leaf = v[i],
			.root = v[n - 1],
			.pins = &none,
			.crls = &crl,
			.n_crls = crl != NULL };

		(void)cert_name(v[i], text, sizeof(text));
		(void)cert_alg_name(&v[i]->alg, alg);
		(void)!cert_verify(v[i], v[n - 1]);
		if (chain_verify(&c, NULL) == CVM_OK)
			__builtin_trap();
		cert_freep(&v[i]);
	}
	crl_freep(&crl);
	return 0;
}
