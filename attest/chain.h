/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_CHAIN_H
#define ATTEST_CHAIN_H

#include <openssl/x509.h>

#include "attest/evidence.h"

/*
 * X.509 (RFC 5280) for endorsements, at an explicit time. Trust anchors are
 * pinned by SHA-256 of their SubjectPublicKeyInfo, never taken on the word of
 * the evidence. Signatures weaker than SHA-256, RSA below 2048 bits and
 * unknown critical extensions are refused.
 */
#define CERT_BYTES_MAX (16 * 1024)
#define CHAIN_CERTS_MAX 8
#define CRL_BYTES_MAX (4 * 1024 * 1024)

void x509_freep(X509 **x);
void x509_crl_freep(X509_CRL **crl);
void evp_pkey_freep(EVP_PKEY **pkey);

/* One DER certificate; zero padding after it is allowed when padded is set
 * (NV indices are padded), anything else after it is CVM_E_PARSE. */
int cert_from_der(struct span der, bool padded, X509 **ret) _must_check_;
/* PEM certificates in order, at most max; a trailing NUL is tolerated. */
int certs_from_pem(struct span pem, X509 **ret, size_t max,
    size_t *ret_n) _must_check_;
/* The same, where read() makes a certificate of the DER of each. */
typedef int cert_reader(void *arg, struct span der, X509 **ret);
int certs_from_pem_by(struct span pem, cert_reader *read, void *arg, X509 **ret,
    size_t max, size_t *ret_n) _must_check_;
/* A CRL, DER or PEM. */
int crl_from_bytes(struct span s, X509_CRL **ret) _must_check_;

/* Seconds since the epoch; CVM_E_PARSE when t is NULL or malformed. */
int asn1_time_seconds(const ASN1_TIME *t, int64_t *ret) _must_check_;

/* SHA-256 of the DER. */
int cert_digest(const X509 *x, uint8_t out[static SHA256_LEN]) _must_check_;
int crl_digest(const X509_CRL *crl,
    uint8_t out[static SHA256_LEN]) _must_check_;
/* The subject on one line, printable ASCII, cut to len; returns buf. */
#define CERT_NAME_MAX 160
const char *cert_name(const X509 *x, char *buf, size_t len);

/* SHA-256 of the certificate's SubjectPublicKeyInfo DER. */
int cert_spki_sha256(const X509 *x,
    uint8_t out[static SHA256_LEN]) _must_check_;

/*
 * Verifies leaf <- intermediates <- root. The root must be self-issued and
 * its SPKI digest in pins. Dates of all at now; path length and CA bits;
 * crls (may be empty) are each verified against their issuer in the chain and
 * checked for validity at now; with require_crl every non-root certificate
 * whose issuer has no current CRL is refused. want_strict adds
 * X509_V_FLAG_X509_STRICT (AMD's V*EK do not pass it).
 * CVM_E_DENIED with *reterr_why naming certificate and reason.
 */
struct chain {
	X509 *leaf;
	X509 **intermediates;
	size_t n_intermediates;
	X509 *root;
	X509_CRL **crls;
	size_t n_crls;
	const struct value_list *pins; /* of SHA-256 digests */
	int64_t now;
	bool require_crl;
	bool crl_leaf; /* the leaf's issuer needs a CRL too */
	bool want_strict;
	bool stale_crl_ok; /* a CRL past its nextUpdate still counts */
	bool ca_leaf;	   /* the leaf must be a CA (else it must not be one) */
};
int chain_verify(const struct chain *c, struct why *reterr_why) _must_check_;
/*
 * The same in steps, for who remembers some: the path alone, without CRLs;
 * then, of a path that verifies, one CRL: by its issuer (an index, 1 is the
 * leaf's), then whom it revokes; then whether there are enough of them.
 */
int chain_path_verify(const struct chain *c,
    struct why *reterr_why) _must_check_;
int chain_crl_issuer(const struct chain *c, const X509_CRL *crl,
    size_t *ret_issuer, struct why *reterr_why) _must_check_;
X509 *chain_at(const struct chain *c, size_t i);
int chain_crl_verify_by(const struct chain *c, X509_CRL *crl, size_t issuer,
    struct why *reterr_why) _must_check_;
int chain_not_revoked(const struct chain *c, X509_CRL *crl, size_t issuer,
    struct why *reterr_why) _must_check_;
int chain_crls_suffice(const struct chain *c,
    struct why *reterr_why) _must_check_;
/* One CRL, by its issuer in a chain that verifies: signature, form, dates at
 * now. Whom it revokes is not asked. CVM_E_DENIED. */
int chain_crl_verify(const struct chain *c, X509_CRL *crl,
    struct why *reterr_why) _must_check_;

/*
 * How long the dates in a chain and its CRLs stay as they are: at every
 * second of [from, until] none is over and none is in the future. newest_crl
 * is the latest thisUpdate, 0 without CRL. Says nothing about signatures.
 */
struct chain_validity {
	int64_t from, until, newest_crl;
};
int chain_validity(const struct chain *c,
    struct chain_validity *ret) _must_check_;
/* The same of the CRLs alone. */
int chain_crls_validity(const struct chain *c,
    struct chain_validity *ret) _must_check_;

/* ECDSA over digest: r, s big-endian, each of half the size of rs; range
 * checked. CVM_E_DENIED when it does not verify. */
int ecdsa_verify_raw(EVP_PKEY *key, struct span rs,
    struct span digest) _must_check_;

/* The bytes of the extension with this dotted OID; CVM_E_NOT_FOUND; a
 * repeated extension is CVM_E_PARSE. Borrowed from x. */
int cert_extension(const X509 *x, const char *oid,
    struct span *ret) _must_check_;

#endif
