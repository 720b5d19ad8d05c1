/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "base/reader.h"
#include "token/nested.h"

static int pack(struct span array, unsigned depth, struct blob *ret,
    struct why *why);

static int
pack_one(const CK_ATTRIBUTE *a, unsigned depth, struct attrs *ret,
    struct why *why)
{
	const struct attr_rule *rule = attr_rule_any(a->type);
	_cleanup_(blob_clear) struct blob inner = { 0 };
	struct span value = span("", 0);
	int err = CVM_OK;

	if (rule == NULL || (rule->flags & ATTR_SECRET) != 0)
		return template_refuse(why, CVM_E_ATTR_TYPE, a->type,
		    "an attribute that a template can ask for", "another");
	if (attrs_find(ret, a->type) != NULL)
		return template_refuse(why, CVM_E_TEMPLATE_INCONSISTENT,
		    a->type, "one value", "two");
	if (a->ulValueLen > ATTR_VALUE_MAX ||
	    (a->ulValueLen > 0 && a->pValue == NULL))
		return template_refuse(why, CVM_E_ATTR_VALUE, a->type,
		    "a value", "NULL, or more than 65536 bytes");
	if (a->ulValueLen > 0)
		value = span(a->pValue, a->ulValueLen);
	if (!attr_value_ok(rule, value))
		return template_refuse(why, CVM_E_ATTR_VALUE, a->type,
		    "a value of its form", "another size or content");
	if (rule->form == FORM_TEMPLATE) {
		err = pack(value, depth + 1, &inner, why);
		value = blob_span(&inner);
	}
	return err == CVM_OK ? attrs_set(ret, a->type, value) : err;
}

static int
pack(struct span array, unsigned depth, struct blob *ret, struct why *why)
{
	_cleanup_(attrs_clear) struct attrs list = { 0 };
	struct reader r = reader_init(array);
	int err = CVM_OK;

	if (depth > NESTED_DEPTH_MAX)
		return why_set(why, CVM_E_ATTR_VALUE, "template", "depth",
		    "3 templates within each other", "more");
	while (reader_left(&r) > 0 && err == CVM_OK) {
		CK_ATTRIBUTE a;

		read_bytes(&r, (uint8_t *)&a, sizeof(a));
		err = pack_one(&a, depth, &list, why);
	}
	if (err == CVM_OK)
		err = reader_end(&r) == CVM_OK ? attrs_encode(&list, ret) :
						 CVM_E_ATTR_VALUE;
	return err;
}

int
nested_pack(struct span array, struct blob *ret, struct why *reterr_why)
{
	return pack(array, 1, ret, reterr_why);
}

static int give(struct span packed, CK_ATTRIBUTE *a, unsigned depth);

static int
give_one(const struct attr *from, CK_ATTRIBUTE *a, unsigned depth)
{
	const struct attr_rule *rule = attr_rule_any(from->type);
	struct span value = blob_span(&from->value);

	a->type = from->type;
	if (rule != NULL && rule->form == FORM_TEMPLATE)
		return give(value, a, depth + 1);
	if (a->pValue != NULL && a->ulValueLen < value.len) {
		a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CVM_E_BUFFER_TOO_SMALL;
	}
	if (a->pValue != NULL && value.len > 0)
		memcpy(a->pValue, value.data, value.len);
	a->ulValueLen = value.len;
	return CVM_OK;
}

static int
give(struct span packed, CK_ATTRIBUTE *a, unsigned depth)
{
	_cleanup_(attrs_clear) struct attrs list = { 0 };
	CK_ULONG need;
	uint8_t *at = a->pValue;
	int err, worst = CVM_OK;

	if (depth > NESTED_DEPTH_MAX)
		return CVM_E_CORRUPT;
	if (packed.len > 0) {
		err = attrs_decode(packed, &list, /* reterr_why= */ NULL);
		if (err != CVM_OK)
			return CVM_E_CORRUPT;
	}
	need = list.n * sizeof(CK_ATTRIBUTE);
	if (at != NULL && a->ulValueLen < need) {
		a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
		return CVM_E_BUFFER_TOO_SMALL;
	}
	a->ulValueLen = need;
	for (size_t i = 0; at != NULL && i < list.n; i++) {
		CK_ATTRIBUTE one;

		memcpy(&one, &at[i * sizeof(one)], sizeof(one));
		err = give_one(&list.v[i], &one, depth);
		memcpy(&at[i * sizeof(one)], &one, sizeof(one));
		if (err != CVM_OK)
			worst = err;
	}
	return worst;
}

int
nested_give(struct span packed, CK_ATTRIBUTE *a)
{
	return give(packed, a, 1);
}

/* The list in an attribute of o; empty when it has none. */
static int
list_of(const struct object *o, CK_ATTRIBUTE_TYPE type, struct attrs *ret)
{
	const struct attr *a = attrs_find(&o->attrs, type);

	if (a == NULL || a->value.len == 0)
		return CVM_OK;
	return attrs_decode(blob_span(&a->value), ret, /* why= */ NULL) ==
		CVM_OK ?
	    CVM_OK :
	    CVM_E_CORRUPT;
}

int
nested_check(const struct object *wrapping, const struct object *o,
    struct why *reterr_why)
{
	_cleanup_(attrs_clear) struct attrs list = { 0 };
	int err = list_of(wrapping, CKA_WRAP_TEMPLATE, &list);

	for (size_t i = 0; i < list.n && err == CVM_OK; i++) {
		const struct attr *have = attrs_find(&o->attrs, list.v[i].type);

		if (have == NULL ||
		    !span_equal(blob_span(&have->value),
			blob_span(&list.v[i].value)))
			err = template_refuse(reterr_why, CVM_E_NOT_FOUND,
			    list.v[i].type,
			    "the value in CKA_WRAP_TEMPLATE of the wrapping "
			    "key",
			    "another");
	}
	return err;
}

/* What nobody could have given in a template of their own, no key can, too. */
static int
apply_one(const struct attr *from, const struct template_use *use,
    struct attrs *a, struct why *why)
{
	const struct attr_rule *rule = attr_rule_find(from->type, use->class,
	    use->key_type);
	const struct attr *have = attrs_find(a, from->type);
	struct span value = blob_span(&from->value);
	int err;

	if (rule == NULL || (rule->in & use->in) == 0)
		return template_refuse(why, CVM_E_TEMPLATE_INCONSISTENT,
		    from->type, "what the template of the key asks for",
		    "a key that cannot have it");
	if (have != NULL && !span_equal(blob_span(&have->value), value))
		return template_refuse(why, CVM_E_TEMPLATE_INCONSISTENT,
		    from->type, "the value in the template of the key",
		    "another");
	err = template_change(use, rule, /* old= */ NULL, value, why);
	return err == CVM_OK ? attrs_set(a, from->type, value) : err;
}

int
nested_apply(const struct object *key, CK_ATTRIBUTE_TYPE type,
    const struct template_use *use, struct attrs *a, struct why *reterr_why)
{
	_cleanup_(attrs_clear) struct attrs list = { 0 };
	int err = list_of(key, type, &list);

	if (list.n == 0)
		return err;
	/* The two that are known without standing in the template. */
	if (err == CVM_OK)
		err = attrs_set_ulong(a, CKA_CLASS, use->class);
	if (err == CVM_OK && use->key_type != CK_UNAVAILABLE_INFORMATION)
		err = attrs_set_ulong(a, CKA_KEY_TYPE, use->key_type);
	for (size_t i = 0; i < list.n && err == CVM_OK; i++)
		err = apply_one(&list.v[i], use, a, reterr_why);
	return err;
}
