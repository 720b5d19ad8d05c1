/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_CHAIN_H
#define ATTEST_CHAIN_H

#include "attest/cert.h"
#include "attest/evidence.h"

/*
 * Certification paths (RFC 5280 section 6) of endorsements, at an explicit
 * time. Trust anchors are pinned by SHA-256 of their SubjectPublicKeyInfo,
 * never taken on the word of the evidence. Signatures weaker than SHA-256, RSA
 * below 2048 bits and unknown critical extensions are refused, and so is what
 * no endorser uses and a path could be bent by: name constraints, policy
 * constraints, keys on other curves.
 */
#define CHAIN_CERTS_MAX 8

/* Its key is one of those that pins (SHA-256 of SubjectPublicKeyInfo) name. */
bool cert_pinned(const struct cert *x, const struct value_list *pins);

/*
 * Verifies leaf <- intermediates <- root. The root must be self-issued and
 * its SPKI digest in pins. Dates of all at now; path length and CA bits;
 * crls (may be empty) are each verified against their issuer in the chain and
 * checked for validity at now; with require_crl every non-root certificate
 * whose issuer has no current CRL is refused. want_strict asks for what RFC
 * 5280 wants of conforming CAs: key identifiers, and basicConstraints that are
 * critical (AMD's V*EK do not have them).
 * CVM_E_DENIED with *reterr_why naming certificate and reason.
 */
struct chain {
	struct cert *leaf;
	struct cert **intermediates;
	size_t n_intermediates;
	struct cert *root;
	struct crl **crls;
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
int chain_crl_issuer(const struct chain *c, const struct crl *crl,
    size_t *ret_issuer, struct why *reterr_why) _must_check_;
struct cert *chain_at(const struct chain *c, size_t i);
int chain_crl_verify_by(const struct chain *c, const struct crl *crl,
    size_t issuer, struct why *reterr_why) _must_check_;
int chain_not_revoked(const struct chain *c, const struct crl *crl,
    size_t issuer, struct why *reterr_why) _must_check_;
int chain_crls_suffice(const struct chain *c,
    struct why *reterr_why) _must_check_;
/* One CRL, by its issuer in a chain that verifies: signature, form, dates at
 * now. Whom it revokes is not asked. CVM_E_DENIED. */
int chain_crl_verify(const struct chain *c, const struct crl *crl,
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

#endif
