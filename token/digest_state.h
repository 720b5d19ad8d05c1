/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_DIGEST_STATE_H
#define TOKEN_DIGEST_STATE_H

#include "base/reader.h"
#include "base/secret.h"
#include "token/ciphers.h"

/*
 * Digests whose state can be written down in the middle of a message: SHA-1
 * and SHA-2. EVP keeps the state of its digests to itself; these are the
 * functions below it, which OpenSSL 3 keeps for programs of old.
 */
struct digest_state;

/* False: that digest has none, and EVP is to be used. */
bool digest_state_has(enum digest d);
struct digest_state *digest_state_new(enum digest d); /* NULL: no memory */
void digest_state_freep(struct digest_state **s);
int digest_state_update(struct digest_state *s, struct span in) _must_check_;
/* Ends it. out holds digest_len() bytes. */
int digest_state_final(struct digest_state *s, uint8_t *out) _must_check_;
/* Words, length so far, and the part of a block that waits for its rest. */
void digest_state_write(const struct digest_state *s, struct writer *w);
/* CVM_E_PARSE: not what digest_state_write() wrote. */
int digest_state_read(enum digest d, struct reader *r,
    struct digest_state **ret) _must_check_;

#endif
