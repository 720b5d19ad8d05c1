/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "attest/merkle.h"

#define SIZE_MAX_TESTED 70

static struct blob leaves[MERKLE_LEAVES_MAX + 1];

static int
setup(void **state)
{
	char text[16];

	(void)state;
	for (unsigned i = 0; i < NELEMS(leaves); i++) {
		(void)snprintf(text, sizeof(text), "leaf %u", i);
		if (blob_set(&leaves[i], span(text, strlen(text))) != CVM_OK)
			return -1;
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NELEMS(leaves); i++)
		blob_clear(&leaves[i]);
	return 0;
}

struct proof {
	uint8_t root[SHA256_LEN];
	struct blob path;
};

static struct proof
prove(size_t n, size_t index)
{
	struct proof p = { 0 };

	assert_int_equal(merkle_root(leaves, n, p.root), 0);
	assert_int_equal(merkle_proof(leaves, n, index, &p.path), 0);
	return p;
}

static int
verify(size_t leaf, size_t index, size_t n, const struct proof *p)
{
	return merkle_verify(blob_span(&leaves[leaf]), index, n,
	    blob_span(&p->path), p->root);
}

static void
good_proof_refused(void **state)
{
	(void)state;
	for (size_t n = 1; n <= SIZE_MAX_TESTED; n++)
		for (size_t i = 0; i < n; i++) {
			struct proof p = prove(n, i);

			assert_int_equal(verify(i, i, n, &p), 0);
			blob_clear(&p.path);
		}
}

static void
other_leaf_or_index_accepted(void **state)
{
	(void)state;
	for (size_t n = 1; n <= SIZE_MAX_TESTED; n++)
		for (size_t i = 0; i < n; i++) {
			struct proof p = prove(n, i);

			assert_int_equal(verify(i + 1, i, n, &p), CVM_E_DENIED);
			for (size_t j = 0; j <= n; j++)
				if (j != i)
					assert_int_equal(verify(i, j, n, &p),
					    CVM_E_DENIED);
			blob_clear(&p.path);
		}
}

/*
 * A proof does not name the size of its tree in full: RFC 9162 hashes leaves,
 * not their number. What it does say of the size must be right: the shape of
 * the path.
 */
static void
size_that_does_not_fit_the_path_accepted(void **state)
{
	static const size_t bad[] = { 0, MERKLE_LEAVES_MAX + 1, SIZE_MAX };
	struct proof p = prove(6, 2);

	(void)state;
	for (size_t i = 0; i < NELEMS(bad); i++)
		assert_int_equal(verify(2, 2, bad[i], &p), CVM_E_DENIED);
	for (size_t n = 1; n <= 4; n++)
		assert_int_equal(verify(2, 2, n, &p), CVM_E_DENIED);
	for (size_t n = 9; n <= SIZE_MAX_TESTED; n++)
		assert_int_equal(verify(2, 2, n, &p), CVM_E_DENIED);
	blob_clear(&p.path);
}

static void
changed_path_accepted(void **state)
{
	(void)state;
	for (size_t n = 2; n <= SIZE_MAX_TESTED; n++) {
		struct proof p = prove(n, n / 2);

		for (size_t i = 0; i < p.path.len; i += 7) {
			p.path.data[i] ^= 0x80;
			assert_int_equal(verify(n / 2, n / 2, n, &p),
			    CVM_E_DENIED);
			p.path.data[i] ^= 0x80;
		}
		p.root[31] ^= 1;
		assert_int_equal(verify(n / 2, n / 2, n, &p), CVM_E_DENIED);
		blob_clear(&p.path);
	}
}

static void
path_of_other_length_accepted(void **state)
{
	static const uint8_t more[MERKLE_PATH_MAX];

	(void)state;
	for (size_t n = 1; n <= SIZE_MAX_TESTED; n++) {
		struct proof p = prove(n, 0);
		size_t len = p.path.len;

		for (size_t cut = 0; cut < len; cut += 16) {
			p.path.len = cut;
			assert_int_equal(verify(0, 0, n, &p), CVM_E_DENIED);
		}
		p.path.len = len;
		assert_int_equal(blob_append(&p.path, span(more, 32)), 0);
		assert_int_equal(verify(0, 0, n, &p), CVM_E_DENIED);
		assert_int_equal(blob_append(&p.path, span(more, sizeof(more))),
		    0);
		assert_int_equal(verify(0, 0, n, &p), CVM_E_DENIED);
		blob_clear(&p.path);
	}
}

/* Second preimage: the two halves of a node, offered as a leaf. */
static void
node_taken_for_a_leaf(void **state)
{
	struct proof p = prove(4, 0), q = prove(4, 2);
	struct blob node = { 0 };

	(void)state;
	/* The last hash of a path of 4 is the node over the other half. */
	assert_int_equal(blob_append(&node, span(q.path.data + 32, 32)), 0);
	assert_int_equal(blob_append(&node, span(p.path.data + 32, 32)), 0);
	assert_int_equal(merkle_verify(blob_span(&node), 0, 1, span(NULL, 0),
			     p.root),
	    CVM_E_DENIED);
	blob_clear(&node);
	blob_clear(&p.path);
	blob_clear(&q.path);
}

static void
tree_without_bounds(void **state)
{
	struct blob path = { 0 };
	struct proof p = prove(MERKLE_LEAVES_MAX, MERKLE_LEAVES_MAX - 1);
	uint8_t root[SHA256_LEN];

	(void)state;
	assert_int_equal(p.path.len, MERKLE_PATH_MAX);
	assert_int_equal(verify(MERKLE_LEAVES_MAX - 1, MERKLE_LEAVES_MAX - 1,
			     MERKLE_LEAVES_MAX, &p),
	    0);
	assert_int_equal(merkle_root(leaves, 0, root), CVM_E_INVAL);
	assert_int_equal(merkle_root(leaves, MERKLE_LEAVES_MAX + 1, root),
	    CVM_E_INVAL);
	assert_int_equal(merkle_proof(leaves, 0, 0, &path), CVM_E_INVAL);
	assert_int_equal(merkle_proof(leaves, 3, 3, &path), CVM_E_INVAL);
	assert_int_equal(merkle_proof(leaves, MERKLE_LEAVES_MAX + 1, 0, &path),
	    CVM_E_INVAL);
	assert_null(path.data);
	blob_clear(&p.path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_proof_refused),
		cmocka_unit_test(other_leaf_or_index_accepted),
		cmocka_unit_test(size_that_does_not_fit_the_path_accepted),
		cmocka_unit_test(changed_path_accepted),
		cmocka_unit_test(path_of_other_length_accepted),
		cmocka_unit_test(node_taken_for_a_leaf),
		cmocka_unit_test(tree_without_bounds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
