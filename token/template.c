/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/nested.h"
#include "token/template.h"

int
template_refuse(struct why *why, int err, CK_ATTRIBUTE_TYPE type,
    const char *expected, const char *got)
{
	const char *name = attr_name(type);

	if (name != NULL)
		return why_set(why, err, "template", name, expected, got);
	return why_setf(why, err, "template", "attribute", expected, "0x%lx",
	    type);
}

static int
check_array(const CK_ATTRIBUTE *templ, CK_ULONG n, struct why *why)
{
	if (n > ATTRS_MAX)
		return why_setf(why, CVM_E_TEMPLATE_INCONSISTENT, "template",
		    "count", "at most 128 attributes", "%lu", n);
	if (n > 0 && templ == NULL)
		return why_set(why, CVM_E_INVAL, "template", "pointer",
		    "attributes", "NULL");
	return CVM_OK;
}

/* A borrowed value: present, readable and of a sane length. */
static int
attribute_span(const CK_ATTRIBUTE *a, struct span *ret, struct why *why)
{
	if (a->ulValueLen == 0) {
		*ret = span("", 0);
		return CVM_OK;
	}
	if (a->pValue == NULL)
		return template_refuse(why, CVM_E_ATTR_VALUE, a->type,
		    "a value", "NULL");
	if (a->ulValueLen > ATTR_VALUE_MAX)
		return template_refuse(why, CVM_E_ATTR_VALUE, a->type,
		    "at most 65536 bytes", "more");
	*ret = span(a->pValue, a->ulValueLen);
	return CVM_OK;
}

/* The same value once more is as if it had been given once (PKCS#11 section
 * 4.1.1). */
static bool
same_value(const CK_ATTRIBUTE *a, const CK_ATTRIBUTE *b)
{
	struct span x, y;

	return attribute_span(a, &x, /* why= */ NULL) == CVM_OK &&
	    attribute_span(b, &y, /* why= */ NULL) == CVM_OK &&
	    span_equal(x, y);
}

static const CK_ATTRIBUTE *
find_attribute(const CK_ATTRIBUTE *templ, CK_ULONG n, CK_ATTRIBUTE_TYPE type)
{
	for (CK_ULONG i = 0; i < n && i <= ATTRS_MAX; i++)
		if (templ[i].type == type)
			return &templ[i];
	return NULL;
}

int
template_ulong(const CK_ATTRIBUTE *templ, CK_ULONG n, CK_ATTRIBUTE_TYPE type,
    CK_ULONG *ret, struct why *reterr_why)
{
	const CK_ATTRIBUTE *a;
	int err = check_array(templ, n, reterr_why);

	if (err != CVM_OK)
		return err;
	a = find_attribute(templ, n, type);
	if (a == NULL)
		return CVM_E_NOT_FOUND;
	if (a->pValue == NULL || a->ulValueLen != sizeof(CK_ULONG))
		return template_refuse(reterr_why, CVM_E_ATTR_VALUE, type,
		    "a CK_ULONG", "another size");
	memcpy(ret, a->pValue, sizeof(*ret));
	return CVM_OK;
}

bool
template_has(const CK_ATTRIBUTE *templ, CK_ULONG n, CK_ATTRIBUTE_TYPE type)
{
	return find_attribute(templ, n, type) != NULL;
}

struct span
template_value(const CK_ATTRIBUTE *templ, CK_ULONG n, CK_ATTRIBUTE_TYPE type)
{
	const CK_ATTRIBUTE *a = find_attribute(templ, n, type);

	if (a == NULL || a->pValue == NULL || a->ulValueLen > ATTR_VALUE_MAX)
		return span(NULL, 0);
	return span(a->pValue, a->ulValueLen);
}

/* Class and key type are given apart from the template: they must agree. */
static int
check_identity(const struct template_use *use, CK_ATTRIBUTE_TYPE type,
    struct span value, struct why *why)
{
	CK_ULONG have = type == CKA_CLASS ? use->class : use->key_type, got;

	if (type != CKA_CLASS && type != CKA_KEY_TYPE)
		return CVM_OK;
	memcpy(&got, value.data, sizeof(got));
	if (got == have)
		return CVM_OK;
	return template_refuse(why, CVM_E_TEMPLATE_INCONSISTENT, type,
	    "the one of mechanism and key", "another");
}

int
template_change(const struct template_use *use, const struct attr_rule *rule,
    const struct attrs *old, struct span value, struct why *reterr_why)
{
	bool was, is;

	if ((rule->flags & ATTR_SET_EMPTY) != 0 && use->in == IN_SET &&
	    value.len > 0)
		return template_refuse(reterr_why, CVM_E_ATTR_READ_ONLY,
		    rule->type, "no value, which removes it", "one");
	if (rule->form != FORM_BOOL)
		return CVM_OK;
	is = value.len == sizeof(CK_BBOOL) && value.data[0] != CK_FALSE;
	if ((rule->flags & ATTR_TRUE_BY_SO) != 0 && is && !use->so)
		return template_refuse(reterr_why, CVM_E_ATTR_READ_ONLY,
		    rule->type, "set by the SO", "TRUE from another");
	if (old == NULL)
		return CVM_OK;
	was = attrs_bool(old, rule->type, rule->dflt == DEFAULT_TRUE);
	if ((rule->flags & ATTR_ONLY_TRUE) != 0 && was && !is)
		return template_refuse(reterr_why, CVM_E_ATTR_READ_ONLY,
		    rule->type, "TRUE, which it is", "FALSE");
	if ((rule->flags & ATTR_ONLY_FALSE) != 0 && !was && is)
		return template_refuse(reterr_why, CVM_E_ATTR_READ_ONLY,
		    rule->type, "FALSE, which it is", "TRUE");
	return CVM_OK;
}

static int
read_one(const struct template_use *use, const CK_ATTRIBUTE *a,
    struct attrs *ret, struct why *why)
{
	const struct attr_rule *rule = attr_rule_find(a->type, use->class,
	    use->key_type);
	_cleanup_(blob_clear) struct blob packed = { 0 };
	struct span value;
	int err;

	if (rule == NULL)
		return template_refuse(why, CVM_E_ATTR_TYPE, a->type,
		    "an attribute of such an object", "one that it has not");
	if ((rule->in & use->in) == 0)
		return template_refuse(why,
		    rule->in == 0 || use->in == IN_SET || use->in == IN_COPY ?
			CVM_E_ATTR_READ_ONLY :
			CVM_E_TEMPLATE_INCONSISTENT,
		    a->type, "no value in this function", "one");
	err = attribute_span(a, &value, why);
	if (err != CVM_OK)
		return err;
	if (!attr_value_ok(rule, value))
		return template_refuse(why, CVM_E_ATTR_VALUE, a->type,
		    "a value of its form", "another size or content");
	err = check_identity(use, a->type, value, why);
	if (err == CVM_OK)
		err = template_change(use, rule, /* old= */ NULL, value, why);
	if (err != CVM_OK || (rule->flags & ATTR_SECRET) != 0)
		return err;
	if (rule->form == FORM_TEMPLATE) {
		err = nested_pack(value, &packed, why);
		value = blob_span(&packed);
	}
	return err == CVM_OK ? attrs_set(ret, a->type, value) : err;
}

static int
check_required(const struct template_use *use, const CK_ATTRIBUTE *templ,
    CK_ULONG n, struct why *why)
{
	const struct attr_rule *rule = NULL;
	unsigned flag = use->in == IN_CREATE ? ATTR_REQUIRED :
	    use->in == IN_GENERATE	     ? ATTR_GEN_REQUIRED :
					       0;

	while (
	    (rule = attr_rule_next(rule, use->class, use->key_type)) != NULL) {
		if ((rule->flags & flag) == 0 ||
		    find_attribute(templ, n, rule->type) != NULL)
			continue;
		return template_refuse(why, CVM_E_TEMPLATE_INCOMPLETE,
		    rule->type, "a value", "none");
	}
	return CVM_OK;
}

int
template_read(const struct template_use *use, const CK_ATTRIBUTE *templ,
    CK_ULONG n, struct attrs *ret, struct why *reterr_why)
{
	_cleanup_(attrs_clear) struct attrs a = { 0 };
	int err = check_array(templ, n, reterr_why);

	if (err != CVM_OK)
		return err;
	for (CK_ULONG i = 0; i < n; i++) {
		const CK_ATTRIBUTE *first = find_attribute(templ, i,
		    templ[i].type);

		if (first != NULL && same_value(first, &templ[i]))
			continue;
		if (first != NULL)
			return template_refuse(reterr_why,
			    CVM_E_TEMPLATE_INCONSISTENT, templ[i].type,
			    "one value", "two");
		err = read_one(use, &templ[i], &a, reterr_why);
		if (err != CVM_OK)
			return err;
	}
	err = check_required(use, templ, n, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret = a;
	a = (struct attrs){ 0 };
	return CVM_OK;
}
