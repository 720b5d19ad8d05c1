/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_LEAF_H
#define ATTEST_LEAF_H

#include "attest/derive.h"

/*
 * Leaves, read back (attest/PROTOCOL.md). The kinds differ by their tags; what
 * has another tag, or not the fields of its tag, is LEAF_OTHER.
 */
enum leaf_kind {
	LEAF_SESSION,
	LEAF_OPERATION,
	LEAF_CHALLENGE,
	LEAF_KEY,
	LEAF_CHAIN,
	LEAF_OTHER,
	LEAF_KINDS,
};

#define LEAF_FIELDS_MAX 9

/* Fields in the order of the leaf; they borrow from it. */
struct leaf {
	enum leaf_kind kind;
	size_t n;
	struct span field[LEAF_FIELDS_MAX];
};

void leaf_read(struct span leaf, struct leaf *ret);
/* The tag and fields as bytes; of LEAF_OTHER none. */
int leaf_write(const struct leaf *l, struct blob *ret) _must_check_;
const char *leaf_kind_name(enum leaf_kind kind); /* "session" */
/* A field of 8 bytes as a number. */
uint64_t leaf_u64(struct span field);

/* TUPLE("cvm-pkcs11/chain/1", head of the receipt log). */
int leaf_chain(const uint8_t head[static SHA256_LEN],
    struct blob *ret) _must_check_;

#endif
