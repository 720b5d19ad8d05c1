/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_RSA_UNPAD_H
#define TOKEN_RSA_UNPAD_H

#include "token/keys.h"

/*
 * Decryption with RSAES-PKCS1-v1_5 that is no padding oracle. OpenSSL 3.0 has
 * no implicit rejection, so it is done here as OpenSSL 3.2 and
 * draft-irtf-cfrg-rsa-guidance do it: what is padded wrongly decrypts, without
 * an error and in the same time, to a message that the key and the ciphertext
 * determine and that nobody without the key can tell from a real one.
 */

/* The secret that false messages come from: SHA-256 of the private exponent,
 * as long as the modulus. */
int rsa_rejection_key(const EVP_PKEY *pkey, size_t k,
    uint8_t out[static SHA256_LEN]) _must_check_;
/* em: the k decrypted bytes, with padding. out holds k bytes; *ret_len is the
 * message's length. Constant time in em. */
int rsa_unpad(const uint8_t key[static SHA256_LEN], struct span ciphertext,
    struct span em, uint8_t *out, size_t *ret_len) _must_check_;

#endif
