/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_QUOTE_MAKER_H
#define TESTS_UNIT_QUOTE_MAKER_H

#include <openssl/evp.h>

#include "attest/quote.h"

/*
 * A TPM of the test's own: it signs whatever quote is described, also such as
 * no TPM would sign.
 */
struct quote_plan {
	uint32_t magic;
	uint16_t type;
	uint32_t hierarchy; /* 0: signer is not derived, but garbage */
	struct span extra;
	struct tpm_clock clock;
	uint8_t safe;
	uint64_t firmware;
	uint16_t bank;
	uint32_t mask;
	struct span digest; /* empty: of the evidence's values */
	/* The key. */
	bool rsa;
	unsigned rsa_bits; /* 0: 2048 */
	uint32_t attributes;
	uint16_t name_alg, scheme, scheme_hash;
	/* The signature. */
	uint16_t sig_scheme, sig_hash;
};

/* A quote that a good TPM gives over mask of SHA-256 values. */
struct quote_plan quote_plan(uint32_t mask);
/* The key that signs; kept for the whole program. */
EVP_PKEY *quote_key(const struct quote_plan *p);
/* Fills tpm_quote, tpm_signature and ak_public of e; its pcrs are there. */
void quote_make(const struct quote_plan *p, struct evidence *e);

/* quote_verify_signature() by a key that is used once. */
int quote_check(EVP_PKEY *key, const struct tpm_public *pub, struct span attest,
    struct span sig, enum hash_alg *ret_hash, struct why *reterr_why);

#endif
