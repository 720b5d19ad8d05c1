/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_CIPHERS_H
#define TOKEN_CIPHERS_H

#include <openssl/kdf.h>
#include <stdbool.h>

#include "base/pkcs11.h"
#include "token/evp.h"

/*
 * The algorithms that mechanisms name, fetched once for the process and kept;
 * NULL where the OpenSSL at run time does not have them.
 */
enum digest {
	DIGEST_NONE = -1,
	DIGEST_SHA1,
	DIGEST_SHA224,
	DIGEST_SHA256,
	DIGEST_SHA384,
	DIGEST_SHA512,
	DIGEST_SHA3_224,
	DIGEST_SHA3_256,
	DIGEST_SHA3_384,
	DIGEST_SHA3_512,
	N_DIGESTS
};

enum cipher {
	CIPHER_ECB,
	CIPHER_CBC,
	CIPHER_CTR,
	CIPHER_GCM,
	CIPHER_CCM,
	CIPHER_KW,
	CIPHER_KWP,
	CIPHER_CHACHA20_POLY1305,
	N_CIPHERS
};

const EVP_MD *digest_get(enum digest d);
const char *digest_name(enum digest d);
size_t digest_len(enum digest d);
/* By CKM_SHA256..., CKG_MGF1_SHA256... or CKD_SHA256_KDF...; DIGEST_NONE
 * where there is none. */
enum digest digest_by_mech(CK_MECHANISM_TYPE type);
enum digest digest_by_mgf(CK_ULONG mgf);
enum digest digest_by_kdf(CK_ULONG kdf);
/* By CKD_SHA256_KDF_SP800... */
enum digest digest_by_sp800_kdf(CK_ULONG kdf);
/* By CKM_SHA256_HMAC..., or CKP_PKCS5_PBKD2_HMAC_SHA256... */
enum digest digest_by_hmac(CK_MECHANISM_TYPE type);
enum digest digest_by_pbkdf2(CK_ULONG prf);

/* For a key of key_len bytes. */
const EVP_CIPHER *cipher_get(enum cipher c, size_t key_len);
/* The nonce of the next message for a context of GCM that has a key, of the
 * length that it is set up for. */
int gcm_set_nonce(EVP_CIPHER_CTX *ctx, const uint8_t *nonce) _must_check_;
/* Whether there are keys of CKK_ML_DSA, CKK_ML_KEM or CKK_SLH_DSA. */
bool pqc_available(CK_KEY_TYPE key_type);
EVP_MAC *mac_hmac(void);
EVP_MAC *mac_cmac(void);
EVP_MAC *mac_gmac(void);
EVP_KDF *kdf_pbkdf2(void);

#endif
