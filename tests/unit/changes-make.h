/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_UNIT_CHANGES_MAKE_H
#define TESTS_UNIT_CHANGES_MAKE_H

#include "token/op.h"

/*
 * The objects that changes.c makes, by every way that objects come into a
 * token. All are the token's, and have this label. Without cmocka: they are
 * made in processes that come to harm.
 */
#define MAKE_SECRET_LEN 32
#define MAKE_DERIVED_LEN 42
extern const uint8_t make_secret_value[MAKE_SECRET_LEN];
extern const uint8_t make_unwrapped_value[MAKE_SECRET_LEN];
extern const uint8_t make_derived_value[MAKE_DERIVED_LEN];

int make_data(struct token *t, const struct caller *c, const char *label,
    const char *value, bool private, struct why *why) _must_check_;
int make_pair(struct token *t, const struct caller *c, const char *label,
    struct why *why) _must_check_;
int make_key(struct token *t, const struct caller *c, const char *label,
    struct why *why) _must_check_;
int make_certificate(struct token *t, const struct caller *c, const char *label,
    struct span der, struct why *why) _must_check_;
/* The halves of one key pair; the public one of the session if asked. */
int make_private(struct token *t, const struct caller *c, const char *label,
    struct why *why) _must_check_;
int make_public(struct token *t, const struct caller *c, const char *label,
    bool token, struct why *why) _must_check_;
/* A private key, its public key and a certificate, at once. */
int make_three(struct token *t, const struct caller *c, const char *label,
    struct span der, struct why *why) _must_check_;
/* Some certificate; an assertion fails where there is none. */
void make_cert_der(struct blob *ret);

/* Session objects to unwrap with and to derive from; and what they give. */
int make_unwrapping(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE *ret, struct why *why) _must_check_;
int make_base(struct token *t, const struct caller *c, CK_OBJECT_HANDLE *ret,
    struct why *why) _must_check_;
int make_unwrapped(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE unwrapping, const char *label,
    struct why *why) _must_check_;
int make_derived(struct token *t, const struct caller *c, CK_OBJECT_HANDLE base,
    const char *label, struct why *why) _must_check_;

#endif
