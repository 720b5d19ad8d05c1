/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include <openssl/types.h>

#include "base/secret.h"

/*
 * OpenSSL inside a process that may itself be OpenSSL: one private library
 * context with the default provider only, no configuration file, no atexit.
 * Created at first use, kept for the life of the process (a C_Finalize after
 * OPENSSL_cleanup must be harmless: rather leak than crash). NULL when OpenSSL
 * cannot give one.
 */
OSSL_LIB_CTX *crypto_libctx(void);

/*
 * Names of key types that lead straight to the provider. Under the usual ones
 * ("EC", "RSA") EVP_PKEY_CTX_new_from_name() asks for a default ENGINE of the
 * process first, private context or not: in a host that made its PKCS#11
 * engine the default, our keys would become that engine's.
 */
#define CRYPTO_RSA "1.2.840.113549.1.1.1"
#define CRYPTO_EC "1.2.840.10045.2.1"

#define SHA256_LEN 32
#define SHA384_LEN 48
#define SHA512_LEN 64
#define HASH_LEN_MAX 64

enum hash_alg { HASH_SHA1, HASH_SHA256, HASH_SHA384, HASH_SHA512 };

/* Name for EVP fetches ("SHA2-256"), length in bytes, prefetched EVP_MD. */
const char *hash_name(enum hash_alg alg);
size_t hash_len(enum hash_alg alg);
/* Fetched once and kept; NULL when the library does not have it. */
const EVP_MD *hash_md(enum hash_alg alg);

/* One-shot digest; out holds hash_len(alg). CVM_E_CRYPTO on failure. */
int hash(enum hash_alg alg, struct span in, uint8_t *out) _must_check_;
/* Digest over the concatenation of n spans. */
int hash_parts(enum hash_alg alg, const struct span *parts, size_t n,
    uint8_t *out) _must_check_;

/* HKDF-SHA256 (RFC 5869), extract and expand. ret has outlen bytes. */
int hkdf_sha256(struct span ikm, struct span salt, struct span info,
    size_t outlen, struct secret **ret) _must_check_;

/*
 * AES-256-GCM box (SP 800-38D), 96-bit random nonce: nonce || ciphertext ||
 * 16-byte tag. Opening fails with CVM_E_CORRUPT when anything differs.
 */
#define BOX_OVERHEAD 28
int box_seal(const struct secret *key, struct span aad, struct span plain,
    struct blob *ret) _must_check_;
int box_open(const struct secret *key, struct span aad, struct span box,
    struct secret **ret) _must_check_;

/* Random bytes of the kernel, for others to use: no state of this process is
 * in them that a fork or a copy of its memory could repeat. */
int random_from_kernel(uint8_t *out, size_t len) _must_check_;
/* Cryptographic random bytes from the private context. */
int random_bytes(uint8_t *out, size_t len) _must_check_;
/* Stirs what a caller has into the generator, which seeds itself from the
 * system and can become no worse by it. */
int random_stir(struct span seed) _must_check_;

#endif
