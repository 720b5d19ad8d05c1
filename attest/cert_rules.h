/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_CERT_RULES_H
#define ATTEST_CERT_RULES_H

#include "attest/chain.h"

/*
 * What every certificate and CRL must be on its own, before any signature is
 * looked at. CVM_E_DENIED with the certificate, the field and both values.
 */

/* from <= now < until; field[] names the two dates. */
int dates_include(int64_t from, int64_t until, int64_t now, const char *where,
    const char *const field[2], struct why *why) _must_check_;
/* RSA, RSASSA-PSS (with MGF1 of the same hash) or ECDSA with SHA-2, the same
 * in what is signed and beside the signature. */
int signature_acceptable(const struct cert_alg *alg,
    const struct cert_alg *inside, const char *where,
    struct why *why) _must_check_;
/* X.509 v3, a strong signature and key, extensions known and not repeated,
 * a CA or not as asked, dates around now. */
int cert_acceptable(const struct cert *x, bool ca, int64_t now,
    struct why *why) _must_check_;
/* The extensions that RFC 5280 wants of a CA and of what it issues; root:
 * self-issued, which needs no authority key identifier. */
int cert_strict(const struct cert *x, bool root, struct why *why) _must_check_;
/* by issued x: name and key identifiers, where there are both, are the same.
 * Says nothing about the signature. */
int cert_issued_by(const struct cert *x, const struct cert *by,
    struct why *why) _must_check_;
/* Refuses x: fills *why with its name and returns CVM_E_DENIED. */
int cert_deny(struct why *why, const struct cert *x, const char *field,
    const char *expected, const char *got) _must_check_;

#endif
