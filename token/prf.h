/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_PRF_H
#define TOKEN_PRF_H

#include <stdbool.h>

#include "base/crypto.h"
#include "token/ciphers.h"

/*
 * HMAC (FIPS 198-1) or AES-CMAC (SP 800-38B) under one key, used as a
 * pseudo-random function by the derivations.
 */
struct prf {
	EVP_MAC_CTX *mac;
	size_t len; /* of an output */
};

#define PRF_LEN_MAX 64

/* DIGEST_NONE: AES-CMAC, whose key has 16, 24 or 32 bytes; CVM_E_KEY_SIZE. */
int prf_open(enum digest d, struct span key, struct prf *ret) _must_check_;
void prf_close(struct prf *f);
/* Over the concatenation of n spans; out has room for f->len bytes. */
int prf_run(struct prf *f, const struct span *parts, size_t n,
    uint8_t *out) _must_check_;

#endif
