/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/receipt.h"
#include "base/tuple.h"

/* A leaf as members of a line for people, and from them again. */

static int
set_text(struct span s, char **ret)
{
	char *copy = strndup((const char *)s.data, s.len);

	if (copy == NULL)
		return CVM_E_NOMEM;
	free(*ret);
	*ret = copy;
	return CVM_OK;
}

static int
set_session(struct receipt *r, const struct leaf *l)
{
	int err;

	if ((err = set_text(l->field[0], &r->serial)) != CVM_OK)
		return err;
	r->leaf_pid = leaf_u64(l->field[1]);
	r->fork_count = leaf_u64(l->field[2]);
	return blob_set(&r->random, l->field[3]);
}

static int
set_operation(struct receipt *r, const struct leaf *l)
{
	int err;

	if ((err = set_text(l->field[0], &r->serial)) != CVM_OK ||
	    (err = blob_set(&r->session, l->field[1])) != CVM_OK ||
	    (err = set_text(l->field[3], &r->function)) != CVM_OK ||
	    (err = blob_set(&r->key, l->field[6])) != CVM_OK)
		return err;
	r->counter = leaf_u64(l->field[2]);
	r->mechanism = leaf_u64(l->field[4]);
	memcpy(r->parameter_digest, l->field[5].data, SHA256_LEN);
	memcpy(r->input_digest, l->field[7].data, SHA256_LEN);
	return blob_set(&r->random, l->field[8]);
}

static int
set_challenge(struct receipt *r, const struct leaf *l)
{
	int err = blob_set(&r->nonce, l->field[0]);

	return err != CVM_OK ? err : blob_set(&r->key, l->field[1]);
}

static int
get_session(const struct receipt *r, struct blob *ret)
{
	if (r->random.len != 32)
		return CVM_E_CORRUPT;
	return leaf_session(r->serial, r->leaf_pid, r->fork_count,
	    r->random.data, ret);
}

static int
get_operation(const struct receipt *r, struct blob *ret)
{
	struct operation_leaf op = {
		.serial = r->serial,
		.counter = r->counter,
		.function = r->function,
		.mechanism = r->mechanism,
	};

	if (r->session.len != sizeof(op.session_id) ||
	    r->key.len != SHA256_LEN || r->random.len != sizeof(op.random))
		return CVM_E_CORRUPT;
	memcpy(op.session_id, r->session.data, sizeof(op.session_id));
	memcpy(op.parameter_digest, r->parameter_digest, SHA256_LEN);
	memcpy(op.key_fingerprint, r->key.data, SHA256_LEN);
	memcpy(op.input_digest, r->input_digest, SHA256_LEN);
	memcpy(op.random, r->random.data, sizeof(op.random));
	return leaf_operation(&op, ret);
}

static int
get_challenge(const struct receipt *r, struct blob *ret)
{
	int err = leaf_challenge(blob_span(&r->nonce), blob_span(&r->key), ret);

	return err == CVM_E_INVAL ? CVM_E_CORRUPT : err;
}

static int
get_other(const struct receipt *r, struct blob *ret)
{
	return blob_set(ret, blob_span(&r->leaf));
}

/* Of the kinds that have members of their own. */
static const struct {
	int (*set)(struct receipt *r, const struct leaf *l);
	int (*get)(const struct receipt *r, struct blob *ret);
} rows[LEAF_KINDS] = {
	[LEAF_SESSION] = { set_session, get_session },
	[LEAF_OPERATION] = { set_operation, get_operation },
	[LEAF_CHALLENGE] = { set_challenge, get_challenge },
	[LEAF_KEY] = { NULL, get_other },
	[LEAF_OTHER] = { NULL, get_other },
};

/* Members say only what the leaf says again when it is made from them. */
static bool
is_faithful(const struct receipt *r, struct span leaf)
{
	_cleanup_(blob_clear) struct blob again = { 0 };
	const char *const texts[] = { r->serial, r->function };

	for (size_t i = 0; i < NELEMS(texts); i++)
		for (const char *p = texts[i]; p != NULL; p++) {
			if (*p == '\0' && p > texts[i] && p - texts[i] <= 64)
				break;
			if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\')
				return false;
		}
	return receipt_get_leaf(r, &again) == CVM_OK &&
	    span_equal(blob_span(&again), leaf);
}

int
receipt_set_leaf(struct receipt *r, struct span leaf)
{
	struct leaf l;
	int err;

	leaf_read(leaf, &l);
	r->kind = l.kind;
	if (rows[l.kind].set != NULL) {
		if ((err = rows[l.kind].set(r, &l)) != CVM_OK)
			return err;
		if (is_faithful(r, leaf))
			return CVM_OK;
	}
	if (l.kind != LEAF_KEY)
		r->kind = LEAF_OTHER;
	return blob_set(&r->leaf, leaf);
}

int
receipt_get_leaf(const struct receipt *r, struct blob *ret)
{
	return rows[r->kind].get(r, ret);
}
