/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_CERT_H
#define ATTEST_CERT_H

#include "base/der.h"
#include "base/public_key.h"

/*
 * Certificates and CRLs (RFC 5280) of those who endorse platforms, read
 * strictly: DER, whole, each field once and within bounds. To read says
 * nothing about dates, keys, algorithms and signatures; attest/chain.h judges
 * them. What cannot be read is CVM_E_PARSE.
 */
#define CERT_BYTES_MAX (16 * 1024)
#define CERT_EXTENSIONS_MAX 32
#define CRL_BYTES_MAX (4 * 1024 * 1024)

/* Bits of keyUsage (RFC 5280 section 4.2.1.3), as der_named_bits() gives. */
enum {
	USAGE_DIGITAL_SIGNATURE = 0x80,
	USAGE_KEY_ENCIPHERMENT = 0x20,
	USAGE_DATA_ENCIPHERMENT = 0x10,
	USAGE_KEY_AGREEMENT = 0x08,
	USAGE_KEY_CERT_SIGN = 0x04,
	USAGE_CRL_SIGN = 0x02,
};

/* An AlgorithmIdentifier of a signature; whole are its bytes. */
struct cert_alg {
	enum sig_scheme scheme; /* SIG_UNKNOWN: not one to be trusted */
	enum hash_alg hash;
	struct span whole;
};

struct cert_extension {
	struct span oid, value;
	bool critical;
};

enum cert_key_kind { CERT_KEY_OTHER, CERT_KEY_RSA, CERT_KEY_EC };

/* authorityKeyIdentifier; spans are empty where it does not say. */
struct cert_authority {
	struct span key_id;
	struct span issuer; /* the one directoryName, as a Name */
	struct span serial;
};

/*
 * Spans borrow from der. Nothing but what verifying remembers changes once it
 * was read; shared by reference (cert_ref), counted without locks: a
 * certificate belongs to one thread.
 */
struct cert {
	size_t refs;
	struct blob der;
	uint8_t digest[SHA256_LEN]; /* of der */
	uint8_t spki_digest[SHA256_LEN];
	unsigned version; /* 3 for X.509 v3 */
	struct span tbs, serial, issuer, subject, spki;
	struct cert_alg alg, alg_inside; /* beside the signature; signed */
	struct span signature;
	int64_t from, until; /* notBefore, notAfter */

	enum cert_key_kind key_kind;
	enum ec_curve curve; /* of an EC key */
	unsigned key_bits;
	EVP_PKEY *key; /* NULL: not RSA, and on none of the three curves */

	struct cert_extension ext[CERT_EXTENSIONS_MAX];
	size_t n_ext;
	bool has_constraints, constraints_critical, ca;
	int path_len; /* -1: no limit */
	bool has_usage;
	uint16_t usage; /* USAGE_*; 0 when it is not there */
	struct span key_id;
	bool has_authority;
	struct cert_authority authority;

	struct verifier *verifier; /* of key; NULL before its first use */
	bool verified;		   /* by the certificate of this digest */
	uint8_t verified_by[SHA256_LEN];
};

/* A complete list, or not one; the entries stay in the bytes. */
struct crl {
	size_t refs;
	struct blob der;
	uint8_t digest[SHA256_LEN];
	unsigned version; /* 2 for v2 */
	struct span tbs, issuer, entries;
	struct cert_alg alg, alg_inside;
	struct span signature;
	int64_t from, until; /* thisUpdate, nextUpdate */
	bool has_until;
	/* No delta, no part but for the following, nothing critical that is not
	 * known: its silence means something. */
	bool complete;
	/* issuingDistributionPoint: a list of CAs, or of others, alone; and of
	 * those that name one of these places (URIs), unless empty. */
	bool has_point, ca_only, user_only;
	struct span places;
	bool has_number, has_authority;
};

struct cert *cert_ref(struct cert *x);
void cert_freep(struct cert **x);
struct crl *crl_ref(struct crl *c);
void crl_freep(struct crl **c);

/* One DER certificate; zero padding after it is allowed when padded is set
 * (NV indices are padded). */
int cert_from_der(struct span der, bool padded, struct cert **ret) _must_check_;
/* PEM certificates (RFC 7468) in order, 1 to max; a trailing NUL is
 * tolerated. */
int certs_from_pem(struct span pem, struct cert **ret, size_t max,
    size_t *ret_n) _must_check_;
/* The same, where read() makes a certificate of the DER of each. */
typedef int cert_reader(void *arg, struct span der, struct cert **ret);
int certs_from_pem_by(struct span pem, cert_reader *read, void *arg,
    struct cert **ret, size_t max, size_t *ret_n) _must_check_;
/* A CRL, DER or PEM. */
int crl_from_bytes(struct span s, struct crl **ret) _must_check_;
/* What bytes that crl_from_bytes() did not take look like, for people. */
const char *crl_mistaken(struct span s);

/* The contents of the extension with this dotted OID; CVM_E_NOT_FOUND; a
 * repeated one is CVM_E_PARSE. Borrowed from x. */
int cert_extension(const struct cert *x, const char *oid,
    struct span *ret) _must_check_;
/* CVM_E_DENIED unless the key of by signed x, which it remembers: both are
 * what they were. */
int cert_verify(struct cert *x, struct cert *by) _must_check_;
int crl_verify(const struct crl *c, struct cert *by) _must_check_;
/* What x signed with its key; as the functions of base/public_key.h. */
int cert_check(struct cert *x, enum sig_scheme scheme, enum hash_alg alg,
    struct span message, struct span signature) _must_check_;
int cert_check_raw(struct cert *x, struct span rs,
    struct span digest) _must_check_;
/* True when the list is about x too (RFC 5280 section 6.3.3 b), given that its
 * issuer issued x. */
bool crl_covers(const struct crl *c, const struct cert *x);
/* True when the list has an entry with this serial number. */
bool crl_lists(const struct crl *c, struct span serial);
/* "RSASSA-PSS with SHA384"; an algorithm that is not known by its OID. */
#define CERT_ALG_NAME_MAX 64
const char *cert_alg_name(const struct cert_alg *alg,
    char buf[static CERT_ALG_NAME_MAX]);

/*
 * Names (RFC 5280 section 4.1.2.4) are spans of their DER. Two are the same
 * when their parts are, byte for byte and in order, whatever kind of string
 * they are in: some write their CRLs with another tool than their
 * certificates.
 */
enum name_type { /* X.520: the arc after 2.5.4 */
	NAME_COMMON = 3,
	NAME_COUNTRY = 6,
	NAME_LOCALITY = 7,
	NAME_STATE = 8,
	NAME_ORGANIZATION = 10,
	NAME_UNIT = 11,
};

struct name_part {
	enum name_type type;
	const char *value;
};

bool name_equal(struct span a, struct span b);
/* True when name has these parts, each once, and nothing else. */
bool name_is(struct span name, const struct name_part *parts, size_t n);
/* The text of the only part of this type; CVM_E_NOT_FOUND when there is none,
 * or several. */
int name_text(struct span name, enum name_type type,
    struct span *ret) _must_check_;
/* On one line, printable ASCII, cut to len; returns buf. */
#define CERT_NAME_MAX 160
const char *name_line(struct span name, char *buf, size_t len);
const char *cert_name(const struct cert *x, char *buf, size_t len);
/* True when these bytes are a well-formed Name. */
bool name_check(struct span name);

#endif
