/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/merkle.h"

static int
leaf_hash(struct span leaf, uint8_t out[static SHA256_LEN])
{
	static const uint8_t prefix = 0x00;
	const struct span parts[] = { span(&prefix, 1), leaf };

	return hash_parts(HASH_SHA256, parts, NELEMS(parts), out);
}

static int
node_hash(const uint8_t *left, const uint8_t *right,
    uint8_t out[static SHA256_LEN])
{
	static const uint8_t prefix = 0x01;
	const struct span parts[] = { span(&prefix, 1), span(left, SHA256_LEN),
		span(right, SHA256_LEN) };

	return hash_parts(HASH_SHA256, parts, NELEMS(parts), out);
}

/* The largest power of two smaller than n, n >= 2 (RFC 9162: k). */
static size_t
split(size_t n)
{
	size_t k = 1;

	while (k * 2 < n)
		k *= 2;
	return k;
}

/* Recursion is bounded: depth log2(MERKLE_LEAVES_MAX) = 12. */
static int
tree_hash(const struct blob *leaves, size_t n, uint8_t out[static SHA256_LEN])
{
	uint8_t left[SHA256_LEN], right[SHA256_LEN];
	size_t k;
	int r;

	if (n == 1)
		return leaf_hash(blob_span(&leaves[0]), out);
	k = split(n);
	if ((r = tree_hash(leaves, k, left)) != CVM_OK ||
	    (r = tree_hash(leaves + k, n - k, right)) != CVM_OK)
		return r;
	return node_hash(left, right, out);
}

int
merkle_root(const struct blob *leaves, size_t n,
    uint8_t root[static SHA256_LEN])
{
	if (n == 0 || n > MERKLE_LEAVES_MAX)
		return CVM_E_INVAL;
	return tree_hash(leaves, n, root);
}

static int
tree_path(const struct blob *leaves, size_t n, size_t index, struct blob *path)
{
	uint8_t sibling[SHA256_LEN];
	size_t k;
	int r;

	if (n == 1)
		return CVM_OK;
	k = split(n);
	if (index < k) {
		if ((r = tree_path(leaves, k, index, path)) != CVM_OK ||
		    (r = tree_hash(leaves + k, n - k, sibling)) != CVM_OK)
			return r;
	} else {
		if ((r = tree_path(leaves + k, n - k, index - k, path)) !=
			CVM_OK ||
		    (r = tree_hash(leaves, k, sibling)) != CVM_OK)
			return r;
	}
	return blob_append(path, span(sibling, sizeof(sibling)));
}

int
merkle_proof(const struct blob *leaves, size_t n, size_t index,
    struct blob *ret_path)
{
	_cleanup_(blob_clear) struct blob path = { 0 };
	int r;

	if (n == 0 || n > MERKLE_LEAVES_MAX || index >= n)
		return CVM_E_INVAL;
	if ((r = tree_path(leaves, n, index, &path)) != CVM_OK)
		return r;
	blob_clear(ret_path);
	*ret_path = path;
	path = (struct blob){ 0 };
	return CVM_OK;
}

/* Row upon row; an odd one out rises unchanged, which yields the same nodes
 * as the recursion of section 2.1.1. */
struct merkle_tree {
	size_t n;
	uint8_t (*hash)[SHA256_LEN];
};

/* Nodes above a row of n until the root. */
static size_t
nodes_of(size_t n)
{
	size_t total = n;

	for (; n > 1; n = (n + 1) / 2)
		total += (n + 1) / 2;
	return total;
}

int
merkle_tree_new(const struct blob *leaves, size_t n, struct merkle_tree **ret)
{
	_cleanup_(merkle_tree_freep) struct merkle_tree *t = NULL;
	uint8_t(*row)[SHA256_LEN], (*up)[SHA256_LEN];
	int r;

	if (n == 0 || n > MERKLE_LEAVES_MAX)
		return CVM_E_INVAL;
	if ((t = calloc(1, sizeof(*t))) == NULL ||
	    (t->hash = calloc(nodes_of(n), SHA256_LEN)) == NULL)
		return CVM_E_NOMEM;
	t->n = n;
	for (size_t i = 0; i < n; i++)
		if ((r = leaf_hash(blob_span(&leaves[i]), t->hash[i])) !=
		    CVM_OK)
			return r;
	for (row = t->hash; n > 1; n = (n + 1) / 2, row = up) {
		up = row + n;
		for (size_t i = 0; i + 1 < n; i += 2)
			if ((r = node_hash(row[i], row[i + 1], up[i / 2])) !=
			    CVM_OK)
				return r;
		if (n % 2 == 1)
			memcpy(up[n / 2], row[n - 1], SHA256_LEN);
	}
	*ret = TAKE_PTR(t);
	return CVM_OK;
}

int
merkle_tree_path(const struct merkle_tree *t, size_t index,
    struct blob *ret_path)
{
	_cleanup_(blob_clear) struct blob path = { 0 };
	uint8_t(*row)[SHA256_LEN] = t->hash;
	int r;

	if (index >= t->n)
		return CVM_E_INVAL;
	for (size_t n = t->n; n > 1; row += n, n = (n + 1) / 2, index /= 2)
		if ((index ^ 1) < n &&
		    (r = blob_append(&path,
			 span(row[index ^ 1], SHA256_LEN))) != CVM_OK)
			return r;
	blob_clear(ret_path);
	*ret_path = path;
	path = (struct blob){ 0 };
	return CVM_OK;
}

void
merkle_tree_freep(struct merkle_tree **t)
{
	if (t == NULL || *t == NULL)
		return;
	free((*t)->hash);
	free(*t);
	*t = NULL;
}

/* RFC 9162 section 2.1.3.2, in its own letters: fn, sn, r. */
int
merkle_verify(struct span leaf, size_t index, size_t n, struct span path,
    const uint8_t root[static SHA256_LEN])
{
	size_t fn = index, sn = n - 1;
	uint8_t r[SHA256_LEN];
	int err;

	if (n == 0 || n > MERKLE_LEAVES_MAX || index >= n ||
	    path.len % SHA256_LEN != 0 || path.len > MERKLE_PATH_MAX)
		return CVM_E_DENIED;
	if ((err = leaf_hash(leaf, r)) != CVM_OK)
		return err;
	for (size_t i = 0; i < path.len; i += SHA256_LEN) {
		const uint8_t *p = path.data + i;
		bool right = (fn & 1) != 0 || fn == sn;

		if (sn == 0)
			return CVM_E_DENIED;
		err = right ? node_hash(p, r, r) : node_hash(r, p, r);
		if (err != CVM_OK)
			return err;
		while (right && (fn & 1) == 0 && fn != 0) {
			fn >>= 1;
			sn >>= 1;
		}
		fn >>= 1;
		sn >>= 1;
	}
	if (sn != 0 || memcmp(r, root, SHA256_LEN) != 0)
		return CVM_E_DENIED;
	return CVM_OK;
}
