/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_SEAL_PRIV_H
#define TOKEN_SEAL_PRIV_H

#include "token/seal.h"

/* Between the kinds of seals: what is the same for all (seal.c). */

/* A new row with a fresh id and the time; params are moved into it. */
int seal_row(enum seal_purpose purpose, enum seal_kind kind, const char *label,
    struct blob *params, struct store_seal *ret) _must_check_;
/* Fills row->blob: inner (what the kind needs to get at secret) and the box
 * of key under the KEK. */
int seal_close(const struct seal_context *c, const uint8_t *policy_digest,
    const struct secret *secret, struct span inner, const struct secret *key,
    struct store_seal *row) _must_check_;
/* The two parts of a blob, borrowed. */
int seal_parts(const struct store_seal *s, struct span *ret_inner,
    struct span *ret_box, struct why *reterr_why) _must_check_;
/* CVM_E_CORRUPT when secret, policy digest or row is not what it was. */
int seal_unbox(const struct seal_context *c, const uint8_t *policy_digest,
    const struct secret *secret, const struct store_seal *s,
    struct secret **ret_key, struct why *reterr_why) _must_check_;
/* "seal 'current' (token)" for messages. */
#define SEAL_WHERE_MAX 96
const char *seal_where(const struct store_seal *s,
    char buf[static SEAL_WHERE_MAX]);

#endif
