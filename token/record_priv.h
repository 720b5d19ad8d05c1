/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_RECORD_PRIV_H
#define TOKEN_RECORD_PRIV_H

#include "token/token_impl.h"

/* Between record.c (boxes) and records.c (the table of records). */
struct record_header {
	bool private; /* CKA_PRIVATE: material is under the private key */
	uint64_t class;
};

int record_header(const struct store_object *o, struct record_header *ret,
    struct why *reterr_why) _must_check_;
/* As record_seal(); with keep, an existing private box stays as it is. */
int record_close(struct token *t, const uint8_t id[static STORE_ID_LEN],
    const struct attrs *attrs, const struct secret *material,
    const struct blob *keep, struct store_object *ret,
    struct why *reterr_why) _must_check_;
/* A reference to the key of the private box, or NULL. */
struct key *record_private_key(struct token *t, const struct record_header *h);

#endif
