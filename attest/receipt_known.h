/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_RECEIPT_KNOWN_H
#define ATTEST_RECEIPT_KNOWN_H

#include "attest/receipt_file.h"

/*
 * Which parts and endorsements stand in a file of receipts already, so that a
 * round need not repeat them. To forget one costs a line; nothing is written
 * less for it that a verifier needs.
 */
#define RECEIPT_KNOWN_MAX 64
#define RECEIPT_LEARN_MAX (1024 * 1024) /* bytes at the end of a file */

struct receipt_known {
	dev_t dev;
	ino_t ino;
	off_t size; /* a file that is shorter was begun anew */
	uint8_t key[RECEIPT_KNOWN_MAX][SHA256_LEN];
	size_t n; /* of all that were added; a ring */
};

/* The key of a line of these: name is NULL for a part. */
int receipt_known_key(const char *name, const uint8_t sha256[static SHA256_LEN],
    uint8_t out[static SHA256_LEN]) _must_check_;
bool receipt_known_has(const struct receipt_known *k,
    const uint8_t key[static SHA256_LEN]);
void receipt_known_add(struct receipt_known *k,
    const uint8_t key[static SHA256_LEN]);

/* False: it is another file than before; what its end has is learnt. */
bool receipt_known_file(struct receipt_known *k, const struct receipt_file *f);

#endif
