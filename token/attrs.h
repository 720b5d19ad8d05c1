/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_ATTRS_H
#define TOKEN_ATTRS_H

#include <stdbool.h>

#include "base/blob.h"
#include "base/pkcs11.h"

/*
 * A list of PKCS#11 attributes, sorted by type, each type once, values owned.
 * Values are in PKCS#11 form: CK_ULONG as CK_ULONG, CK_BBOOL as one byte, so
 * that reading one is a copy. Private values (CKA_VALUE, CKA_PRIVATE_EXPONENT
 * ...) never live in a struct attrs: they are in the object's material.
 */
#define ATTRS_MAX 128
#define ATTR_VALUE_MAX (64 * 1024)

struct attr {
	CK_ATTRIBUTE_TYPE type;
	struct blob value;
};

struct attrs {
	struct attr *v;
	size_t n;
	bool packed; /* the values lie behind v, in its memory */
};

void attrs_clear(struct attrs *a);
const struct attr *attrs_find(const struct attrs *a, CK_ATTRIBUTE_TYPE type);
int attrs_set(struct attrs *a, CK_ATTRIBUTE_TYPE type,
    struct span value) _must_check_;
int attrs_set_bool(struct attrs *a, CK_ATTRIBUTE_TYPE type,
    bool v) _must_check_;
int attrs_set_ulong(struct attrs *a, CK_ATTRIBUTE_TYPE type,
    CK_ULONG v) _must_check_;
/* The value, or the default when the attribute is absent or of odd size. */
bool attrs_bool(const struct attrs *a, CK_ATTRIBUTE_TYPE type, bool dflt);
CK_ULONG attrs_ulong(const struct attrs *a, CK_ATTRIBUTE_TYPE type,
    CK_ULONG dflt);
/* Moves everything into one piece of memory, half as much: for lists that are
 * kept. attrs_set() undoes it. CVM_E_NOMEM leaves the list as it is. */
int attrs_pack(struct attrs *a) _must_check_;
bool attrs_equal(const struct attrs *a, const struct attrs *b);
int attrs_copy(const struct attrs *from, struct attrs *ret) _must_check_;

/* Record encoding (token/FORMAT.md): CK_ULONG values as u64, so that a store
 * is the same on every ABI. Strict: a wrong length or order, a duplicate or a
 * byte too many refuses. */
int attrs_encode(const struct attrs *a, struct blob *ret) _must_check_;
int attrs_decode(struct span s, struct attrs *ret,
    struct why *reterr_why) _must_check_;

#endif
