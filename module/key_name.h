/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef MODULE_KEY_NAME_H
#define MODULE_KEY_NAME_H

#include "token/object.h"

/*
 * A key that somebody names: a PKCS#11 URI (RFC 7512) with "object" or "id" or
 * both, of whose other attributes "type" may be "private" or "secret-key" and
 * "token", "serial", "manufacturer" and "model" are the token's own business;
 * or else a label, or else a CKA_ID in hex.
 */
bool key_name_is_uri(struct span name);
/* The one private or secret key of that name that the caller can see. */
int key_name_find(struct token *t, const struct caller *c, struct span name,
    struct object **ret, struct why *reterr_why) _must_check_;

#endif
