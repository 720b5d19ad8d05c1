/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_X509_MAKER_H
#define TESTS_UNIT_X509_MAKER_H

#include <openssl/x509.h>
#include <stdbool.h>

#include "base/public_key.h"

/*
 * Certificates and CRLs to order, the bad ones above all. Everything here
 * fails the calling test rather than to return an error.
 */
#define SPEC_EXTS_MAX 16
#define SPEC_REVOKED_MAX 4

struct ext_spec {
	const char *oid;
	const char *hex; /* contents of the extension */
	bool critical;
};

struct sign_spec {
	const char *md; /* "SHA384" */
	bool pss;
	const char *mgf_md; /* PSS: NULL for md */
	int salt;	    /* PSS: 0 for the length of md */
};

struct cert_spec {
	const char *cn;
	const char *issuer_cn; /* NULL: the issuer's real name */
	bool amd;	       /* the other five parts of AMD's names */
	long serial;
	int64_t from, until;
	const char *constraints; /* "critical,CA:TRUE", or NULL */
	const char *usage;	 /* "critical,keyCertSign", or NULL */
	struct sign_spec sign;
	long version; /* X509_VERSION_3 */
	bool key_ids; /* subject and authority key identifiers */
	struct ext_spec exts[SPEC_EXTS_MAX];
};

struct crl_spec {
	int64_t from, until;		/* until 0: no nextUpdate */
	long revoked[SPEC_REVOKED_MAX]; /* serial numbers; 0 ends */
	bool revoke_zero;		/* serial 0 too */
	const char *issuer_cn;
	bool amd;
	struct sign_spec sign;
	struct ext_spec exts[2];
};

EVP_PKEY *maker_rsa(unsigned bits);
EVP_PKEY *maker_ec(const char *group);
/* issuer NULL: self-signed by issuer_key. */
X509 *maker_cert(const struct cert_spec *spec, EVP_PKEY *key,
    const X509 *issuer, EVP_PKEY *issuer_key);
X509_CRL *maker_crl(const struct crl_spec *spec, const X509 *issuer,
    EVP_PKEY *issuer_key);
void maker_cert_der(const X509 *x, struct blob *ret);
void maker_cert_pem(const X509 *x, struct blob *ret); /* appends */
void maker_crl_der(const X509_CRL *crl, struct blob *ret);
/* SHA-256 of the key's SubjectPublicKeyInfo. */
void maker_spki(const X509 *x, uint8_t out[static 32]);
/* Signs digest; r and s little-endian, 48 bytes each. */
void maker_ecdsa_p384(EVP_PKEY *key, struct span digest, uint8_t r[static 48],
    uint8_t s[static 48]);

/* verifier_check() and verifier_check_raw() by a key that is used once. */
int maker_check(EVP_PKEY *key, enum sig_scheme scheme, enum hash_alg alg,
    struct span message, struct span signature);
int maker_check_raw(EVP_PKEY *key, struct span rs, struct span digest);

#endif
