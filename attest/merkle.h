/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef ATTEST_MERKLE_H
#define ATTEST_MERKLE_H

#include <stdbool.h>

#include "base/crypto.h"

/* The Merkle tree of RFC 9162 section 2.1 with SHA-256. A leaf hash is
 * H(0x00 || leaf), a node H(0x01 || left || right). */
#define MERKLE_LEAVES_MAX 4096
#define MERKLE_PATH_MAX (12 * SHA256_LEN)

/* Merkle tree hash (2.1.1) over 1..MERKLE_LEAVES_MAX leaves. */
int merkle_root(const struct blob *leaves, size_t n,
    uint8_t root[static SHA256_LEN]) _must_check_;
/* Inclusion proof (2.1.3.1) of leaf index, as concatenated hashes. */
int merkle_proof(const struct blob *leaves, size_t n, size_t index,
    struct blob *ret_path) _must_check_;
/* The same for many leaves of one tree, whose hashes are computed once.
 * Leaves are not needed after merkle_tree_new(). */
struct merkle_tree;
int merkle_tree_new(const struct blob *leaves, size_t n,
    struct merkle_tree **ret) _must_check_;
int merkle_tree_path(const struct merkle_tree *t, size_t index,
    struct blob *ret_path) _must_check_;
void merkle_tree_freep(struct merkle_tree **t);
/* 0 when the leaf at index of n is under root by path (2.1.3.2), else
 * CVM_E_DENIED. */
int merkle_verify(struct span leaf, size_t index, size_t n, struct span path,
    const uint8_t root[static SHA256_LEN]) _must_check_;

#endif
