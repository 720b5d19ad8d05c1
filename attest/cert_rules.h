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
int dates_include(const ASN1_TIME *from, const ASN1_TIME *until, int64_t now,
    const char *where, const char *const field[2],
    struct why *why) _must_check_;
/* SHA-2 under RSA, RSASSA-PSS (with MGF1 of the same hash) or ECDSA. */
int signature_acceptable(const X509_ALGOR *alg, const char *where,
    struct why *why) _must_check_;
/* X.509 v3, a strong signature and key, extensions known and not repeated,
 * a CA or not as asked, dates around now. */
int cert_acceptable(X509 *x, bool ca, int64_t now,
    struct why *why) _must_check_;
/* Refuses x: fills *why with its name and returns CVM_E_DENIED. */
int cert_deny(struct why *why, const X509 *x, const char *field,
    const char *expected, const char *got) _must_check_;

#endif
