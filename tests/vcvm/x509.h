/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#ifndef VCVM_X509_H
#define VCVM_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <time.h>

#include "buf.h"

/* A distinguished name in the order in which it is encoded. */
struct rdn {
	const char *field;
	const char *value;
};

/* A certificate extension whose content the caller has encoded. */
struct x509_ext {
	const char *oid;
	bool critical;
	struct buf der;
};

struct x509_spec {
	const struct rdn *dn; /* ends with field NULL */
	long serial;	      /* < 0: 160 random bits */
	time_t not_before, not_after;
	bool pss; /* RSASSA-PSS with SHA-384; otherwise the SHA-256 default */
	const char
	    *basic_constraints; /* OpenSSL configuration syntax, or NULL */
	const char *key_usage;
	const char *ext_key_usage;
	const char *crl_dp;
	bool ski, aki;
	const struct x509_ext *ext;
	size_t n_ext;
};

struct crl_spec {
	time_t this_update, next_update;
	bool pss;
	X509 *const *revoked; /* certificates to list */
	size_t n_revoked;
};

EVP_PKEY *key_new_rsa(unsigned bits);
EVP_PKEY *key_new_ec(const char *curve);

/* issuer NULL makes a self-signed certificate. */
X509 *x509_issue(const struct x509_spec *spec, EVP_PKEY *subject, X509 *issuer,
    EVP_PKEY *issuer_key);
X509_CRL *crl_issue(const struct crl_spec *spec, X509 *issuer, EVP_PKEY *key);

void x509_put_der(struct buf *b, X509 *cert);
void x509_put_pem(struct buf *b, X509 *cert);
void crl_put_der(struct buf *b, X509_CRL *crl);
void key_put_spki(struct buf *b, EVP_PKEY *key);

/* ECDSA as r || s, each half bytes long and big-endian. */
void ecdsa_raw(EVP_PKEY *key, const char *digest, const void *msg, size_t len,
    size_t half, uint8_t *ret);
/* The two coordinates of an EC public key, each half bytes long. */
void ec_point(EVP_PKEY *key, size_t half, uint8_t *ret);

void digest(const char *name, const void *p, size_t len, uint8_t *ret);

/* DER: tag, definite length, content. */
void der_put(struct buf *b, uint8_t tag, const void *p, size_t len);
void der_wrap(struct buf *b, uint8_t tag, const struct buf *content);
void der_int(struct buf *b, uint64_t v);
void der_oid(struct buf *b, const char *oid);

void x509_freep(X509 **p);
void crl_freep(X509_CRL **p);
void key_freep(EVP_PKEY **p);

#endif
