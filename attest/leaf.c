/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "attest/leaf.h"
#include "base/reader.h"
#include "base/tuple.h"

#define ANY 0 /* length of a field that may have any */

static const struct {
	const char *name, *tag;
	size_t n;
	size_t len[LEAF_FIELDS_MAX];
} kinds[LEAF_KINDS] = {
	[LEAF_SESSION] = { "session", "cvm-pkcs11/session/1", 4,
	    { ANY, 8, 8, 32 } },
	[LEAF_OPERATION] = { "operation", "cvm-pkcs11/operation/1", 9,
	    { ANY, SESSION_ID_LEN, 8, ANY, 8, 32, 32, 32, 16 } },
	[LEAF_CHALLENGE] = { "challenge", "cvm-pkcs11/challenge/1", 2,
	    { ANY, ANY } },
	[LEAF_KEY] = { "key", "cvm-pkcs11/key/1", 4, { ANY, ANY, 32, ANY } },
	[LEAF_CHAIN] = { "chain", "cvm-pkcs11/chain/1", 1, { 32 } },
	[LEAF_OTHER] = { "other", NULL, 0, { ANY } },
};

const char *
leaf_kind_name(enum leaf_kind kind)
{
	return kinds[kind].name;
}

uint64_t
leaf_u64(struct span field)
{
	struct reader r = reader_init(field);

	return read_be64(&r);
}

/* True when bytes are a tuple of the kind's tag and fields. */
static bool
read_as(enum leaf_kind kind, struct span bytes, struct leaf *l)
{
	struct reader r = reader_init(bytes);
	const char *tag = kinds[kind].tag;
	struct span s;

	if (tag == NULL)
		return false;
	s = read_span(&r, read_be16(&r));
	if (!span_equal(s, span(tag, strlen(tag))))
		return false;
	for (size_t i = 0; i < kinds[kind].n; i++) {
		l->field[i] = read_span(&r, read_be32(&r));
		if (kinds[kind].len[i] != ANY &&
		    l->field[i].len != kinds[kind].len[i])
			return false;
	}
	return reader_end(&r) == CVM_OK;
}

void
leaf_read(struct span bytes, struct leaf *ret)
{
	for (enum leaf_kind k = 0; k < LEAF_KINDS; k++) {
		struct leaf l = { .kind = k, .n = kinds[k].n };

		if (read_as(k, bytes, &l)) {
			*ret = l;
			return;
		}
	}
	*ret = (struct leaf){ .kind = LEAF_OTHER };
}

int
leaf_write(const struct leaf *l, struct blob *ret)
{
	if (kinds[l->kind].tag == NULL || l->n != kinds[l->kind].n)
		return CVM_E_INVAL;
	return tuple(kinds[l->kind].tag, l->field, l->n, ret);
}

int
leaf_chain(const uint8_t head[static SHA256_LEN], struct blob *ret)
{
	const struct span fields[] = { span(head, SHA256_LEN) };

	return tuple("cvm-pkcs11/chain/1", fields, NELEMS(fields), ret);
}
