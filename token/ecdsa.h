/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_ECDSA_H
#define TOKEN_ECDSA_H

#include "base/blob.h"

/*
 * ECDSA signatures in their two forms: PKCS#11's r || s, each as long as the
 * curve's order, and the DER that OpenSSL speaks (RFC 3279 section 2.2.3).
 */
#define ECDSA_DER_MAX 144

/* Writes len bytes to out; CVM_E_CRYPTO when der is not such a signature. */
int ecdsa_from_der(struct span der, uint8_t *out, size_t len) _must_check_;
/* raw has an even length of at most 132; returns the length of the DER. */
size_t ecdsa_to_der(struct span raw, uint8_t out[static ECDSA_DER_MAX]);

#endif
