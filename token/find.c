/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/builtin.h"
#include "token/object_impl.h"
#include "token/template.h"

/*
 * C_FindObjects. Only attributes in struct attrs are compared: a search for
 * key material matches nothing, so that it tells nothing.
 */
struct search {
	const struct caller *c;
	bool admitted;
	const CK_ATTRIBUTE *templ;
	CK_ULONG n_templ;
	CK_OBJECT_HANDLE *v;
	size_t n, room;
};

static int
check_template(const CK_ATTRIBUTE *templ, CK_ULONG n, struct why *why)
{
	if (n > ATTRS_MAX || (n > 0 && templ == NULL))
		return why_setf(why, CVM_E_INVAL, "template", "count",
		    "at most 128 attributes", "%lu", n);
	for (CK_ULONG i = 0; i < n; i++)
		if (templ[i].ulValueLen > 0 &&
		    (templ[i].pValue == NULL ||
			templ[i].ulValueLen == CK_UNAVAILABLE_INFORMATION))
			return template_refuse(why, CVM_E_ATTR_VALUE,
			    templ[i].type, "a value", "NULL");
	return CVM_OK;
}

static bool
matches(const struct search *s, const struct object *o)
{
	for (CK_ULONG i = 0; i < s->n_templ; i++) {
		const CK_ATTRIBUTE *want = &s->templ[i];
		const struct attr *a = attrs_find(&o->attrs, want->type);

		if (a == NULL || a->value.len != want->ulValueLen ||
		    (a->value.len > 0 &&
			memcmp(a->value.data, want->pValue, a->value.len) != 0))
			return false;
	}
	return true;
}

static int
found(void *arg, struct object *o)
{
	struct search *s = arg;
	size_t room = s->room == 0 ? 16 : s->room * 2;
	CK_OBJECT_HANDLE *v;

	if (!object_visible(o, s->c, s->admitted) || !matches(s, o))
		return CVM_OK;
	if (s->n == s->room) {
		v = realloc(s->v, room * sizeof(*v));
		if (v == NULL)
			return CVM_E_NOMEM;
		s->v = v;
		s->room = room;
	}
	s->v[s->n++] = o->handle;
	return CVM_OK;
}

static int
by_value(const void *a, const void *b)
{
	CK_OBJECT_HANDLE x = *(const CK_OBJECT_HANDLE *)a;
	CK_OBJECT_HANDLE y = *(const CK_OBJECT_HANDLE *)b;

	return (x > y) - (x < y);
}

#define SEARCH_TRIES 8

/* The narrowest index that the template names. */
static enum object_index
choose_index(const struct search *s, struct span *ret_value)
{
	*ret_value = template_value(s->templ, s->n_templ, CKA_ID);
	if (ret_value->len > 0)
		return BY_ID;
	*ret_value = template_value(s->templ, s->n_templ, CKA_LABEL);
	return ret_value->len > 0 ? BY_LABEL : BY_HANDLE;
}

/* Searches the token's objects, or those that no store holds. */
static int
search(struct token *t, struct search *s, struct why *why)
{
	CK_OBJECT_CLASS class = CK_UNAVAILABLE_INFORMATION;
	enum object_index index;
	struct span value;
	int err = template_ulong(s->templ, s->n_templ, CKA_CLASS, &class,
	    /* reterr_why= */ NULL);

	if (err == CVM_OK && builtin_class(class))
		return builtin_each(token_config(t), class, found, s);
	err = object_table_refresh(t, why);
	if (err != CVM_OK)
		return err;
	s->admitted = caller_admitted(t, s->c);
	index = choose_index(s, &value);
	err = object_search(t, index, value, found, s);
	/* The store changed under the search. */
	for (int i = 0; i < SEARCH_TRIES && err == CVM_E_BUSY; i++) {
		s->n = 0;
		err = object_table_refresh(t, why);
		if (err == CVM_OK)
			err = object_search(t, index, value, found, s);
	}
	return err;
}

int
token_find(struct token *t, const struct caller *c, const CK_ATTRIBUTE *templ,
    CK_ULONG n, CK_OBJECT_HANDLE **ret, size_t *ret_n, struct why *reterr_why)
{
	struct search s = { .c = c, .templ = templ, .n_templ = n };
	int err = check_template(templ, n, reterr_why);

	if (err == CVM_OK)
		err = search(t, &s, reterr_why);
	/* Keys that are missing for want of time are not what was asked. */
	if (err == CVM_OK && c->permit != NULL && !caller_admitted(t, c))
		err = CVM_E_PERMIT;
	if (err != CVM_OK) {
		free(s.v);
		return err;
	}
	/* Handles are given in the order in which objects came to be. */
	if (s.n > 1)
		qsort(s.v, s.n, sizeof(*s.v), by_value);
	*ret = s.v;
	*ret_n = s.n;
	return CVM_OK;
}
