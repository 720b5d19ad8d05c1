/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TOKEN_NESTED_H
#define TOKEN_NESTED_H

#include "token/object_impl.h"
#include "token/template.h"

/*
 * Templates that are values of attributes: CKA_WRAP_TEMPLATE and its like. In
 * a struct attrs such a value is the list's own encoding (attrs_encode()), a
 * list within it likewise, to this depth.
 */
#define NESTED_DEPTH_MAX 3

/* From what an application has: an array of CK_ATTRIBUTE of so many bytes.
 * Each attribute is known, of its form, no key material, and there once. */
int nested_pack(struct span array, struct blob *ret,
    struct why *reterr_why) _must_check_;
/* For C_GetAttributeValue (PKCS#11 section 5.7.5): the length of the array,
 * or, where pValue has room for it, types, lengths and values. */
int nested_give(struct span packed, CK_ATTRIBUTE *a) _must_check_;

/* Whether o has all attributes of wrapping's CKA_WRAP_TEMPLATE;
 * CVM_E_NOT_FOUND, as the handle of another. */
int nested_check(const struct object *wrapping, const struct object *o,
    struct why *reterr_why) _must_check_;
/* Adds what key's template says of the keys that it unwraps, derives and so
 * on; CVM_E_TEMPLATE_INCONSISTENT where a says otherwise. */
int nested_apply(const struct object *key, CK_ATTRIBUTE_TYPE type,
    const struct template_use *use, struct attrs *a,
    struct why *reterr_why) _must_check_;

#endif
