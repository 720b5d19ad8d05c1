/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/attr_rules.h"
#include "token/keys.h"
#include "token/nested.h"
#include "token/object_impl.h"

/* C_GetAttributeValue (PKCS#11 section 5.7.5) and C_GetObjectSize. */

static int
give(CK_ATTRIBUTE *a, struct span value)
{
	if (a->pValue == NULL) {
		a->ulValueLen = value.len;
		return CVM_OK;
	}
	if (a->ulValueLen < value.len) {
		a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CVM_E_BUFFER_TOO_SMALL;
	}
	if (value.len > 0)
		memcpy(a->pValue, value.data, value.len);
	a->ulValueLen = value.len;
	return CVM_OK;
}

static int
withhold(CK_ATTRIBUTE *a, int err)
{
	a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
	return err;
}

/* One value out of the material, for who may read it. */
static int
read_material(struct token *t, struct object *o, const struct permit *p,
    CK_ATTRIBUTE_TYPE type, struct secret **ret)
{
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	int err;

	if (o->class != CKO_PRIVATE_KEY)
		return object_material(t, o, p, ret, /* reterr_why= */ NULL);
	err = object_private_key(t, o, p, &pkey, /* reterr_why= */ NULL);
	return err == CVM_OK ? key_private_value(pkey, type, ret) : err;
}

static bool
is_secret(const struct object *o, const struct attr_rule *rule)
{
	return (rule->flags & ATTR_SECRET) != 0 ||
	    (o->class == CKO_DATA && o->private && rule->type == CKA_VALUE);
}

static int
get_secret(struct token *t, struct object *o, const struct caller *c,
    CK_ATTRIBUTE *a)
{
	_cleanup_(secret_freep) struct secret *value = NULL;
	int err;

	if (object_is_key(o) &&
	    (attrs_bool(&o->attrs, CKA_SENSITIVE, true) ||
		!attrs_bool(&o->attrs, CKA_EXTRACTABLE, false)))
		return withhold(a, CVM_E_ATTR_SENSITIVE);
	err = read_material(t, o, c->permit, a->type, &value);
	/* A key without that part, a prime for instance. */
	if (err == CVM_E_NOT_FOUND)
		return withhold(a, CVM_E_ATTR_TYPE);
	if (err != CVM_OK)
		return withhold(a, err);
	return give(a, secret_span(value));
}

static int
get_one(struct token *t, struct object *o, const struct caller *c,
    CK_ATTRIBUTE *a)
{
	const struct attr_rule *rule = attr_rule_find(a->type, o->class,
	    o->key_type);
	const struct attr *have = attrs_find(&o->attrs, a->type);

	if (rule == NULL)
		return withhold(a, CVM_E_ATTR_TYPE);
	if (is_secret(o, rule))
		return get_secret(t, o, c, a);
	if (rule->form == FORM_TEMPLATE)
		return nested_give(have == NULL ? span("", 0) :
						  blob_span(&have->value),
		    a);
	if (have == NULL)
		return withhold(a, CVM_E_ATTR_TYPE);
	return give(a, blob_span(&have->value));
}

static bool
needs_permit(const struct object *o, CK_ATTRIBUTE_TYPE type)
{
	const struct attr_rule *rule = attr_rule_find(type, o->class,
	    o->key_type);

	return rule != NULL && is_secret(o, rule);
}

/*
 * Each is answered, whatever becomes of the others. What needs the permit goes
 * first: when it is over the call is made again, with the lengths as they were,
 * and members of nested templates would have lost theirs.
 */
static int
get_all(struct token *t, struct object *o, const struct caller *c,
    CK_ATTRIBUTE *templ, CK_ULONG n)
{
	int worst = CVM_OK;

	for (int pass = 0; pass < 2; pass++) {
		for (CK_ULONG i = 0; i < n; i++) {
			int err;

			if (needs_permit(o, templ[i].type) != (pass == 0))
				continue;
			err = get_one(t, o, c, &templ[i]);
			if (err == CVM_E_PERMIT)
				return err;
			if (err != CVM_OK &&
			    (worst == CVM_OK ||
				worst == CVM_E_BUFFER_TOO_SMALL))
				worst = err;
		}
	}
	return worst;
}

int
token_get_attributes(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	CK_ULONG len[ATTRS_MAX];
	int err;

	if (n > ATTRS_MAX || (n > 0 && templ == NULL))
		return CVM_E_INVAL;
	err = token_object(t, c, handle, &o);
	if (err != CVM_OK)
		return err;
	for (CK_ULONG i = 0; i < n; i++)
		len[i] = templ[i].ulValueLen;
	err = get_all(t, o, c, templ, n);
	if (err == CVM_E_PERMIT)
		for (CK_ULONG i = 0; i < n; i++)
			templ[i].ulValueLen = len[i];
	return err;
}

int
token_object_size(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE handle, CK_ULONG *ret)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	CK_ULONG size = 0;
	int err = token_object(t, c, handle, &o);

	if (err != CVM_OK)
		return err;
	for (size_t i = 0; i < o->attrs.n; i++)
		size += sizeof(CK_ATTRIBUTE) + o->attrs.v[i].value.len;
	*ret = size;
	return CVM_OK;
}
