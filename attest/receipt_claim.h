/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_RECEIPT_CLAIM_H
#define ATTEST_RECEIPT_CLAIM_H

#include <openssl/types.h>

#include "attest/receipt.h"

/*
 * "This key made this signature over this message": an operation of a receipt
 * log proves it when it names the key, when its input is what its mechanism
 * takes for the message, and when the signature is one by that mechanism.
 */
struct receipt_claim {
	EVP_PKEY *key;
	uint8_t fingerprint[SHA256_LEN]; /* of its SubjectPublicKeyInfo */
	struct span message, signature;	 /* borrowed */
};
void receipt_claim_clear(struct receipt_claim *c);

/* A public key or a certificate, PEM or DER. name is for messages. */
int receipt_claim_key(struct receipt_claim *c, struct span file,
    const char *name, struct why *reterr_why) _must_check_;

enum claim_match {
	CLAIM_OTHER,	    /* another key, another input, no signature */
	CLAIM_UNKNOWN,	    /* its key, by a mechanism that is not known here */
	CLAIM_NO_SIGNATURE, /* key and message, but not this signature */
	CLAIM_PROVED,
};
/* r: an admission of kind LEAF_OPERATION, else CLAIM_OTHER. */
enum claim_match receipt_claim_match(const struct receipt_claim *c,
    const struct receipt *r);

#endif
