/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/object_impl.h"
#include "token/template.h"

/* C_CopyObject, C_SetAttributeValue, C_DestroyObject. */

/* Against others who change the very object all the time. */
#define CHANGE_TRIES 8

static int
refuse_trusted(struct why *why, CK_ATTRIBUTE_TYPE type)
{
	return template_refuse(why, CVM_E_ACTION_PROHIBITED, type,
	    "as it is, since the SO trusts this object", "another value");
}

static int
refuse_action(struct why *why, CK_ATTRIBUTE_TYPE type)
{
	return template_refuse(why, CVM_E_ACTION_PROHIBITED, type, "TRUE",
	    "FALSE");
}

/* What others find in the token is changed by who is admitted. */
static int
check_writable(struct token *t, const struct object *o, const struct caller *c,
    struct why *why)
{
	if (!o->token)
		return CVM_OK;
	if (!c->writable)
		return why_set(why, CVM_E_READ_ONLY, "session", "flags",
		    "a read/write session for a token object", "read-only");
	return permit_check(c->permit, token_issuer(t));
}

/* What the SO trusted stays what he trusted: a user's copy of it is not, and a
 * user changes nothing of it that tells what it is good for. */
static int
keep_trust(const struct object *o, const struct template_use *use,
    const struct attrs *change, struct attrs *all, struct why *why)
{
	static const CK_ATTRIBUTE_TYPE harmless[] = { CKA_LABEL, CKA_ID,
		CKA_APPLICATION, CKA_START_DATE, CKA_END_DATE };

	if (use->so || !attrs_bool(&o->attrs, CKA_TRUSTED, false))
		return CVM_OK;
	if (use->in == IN_COPY)
		return attrs_set_bool(all, CKA_TRUSTED, false);
	for (size_t i = 0; i < change->n; i++) {
		bool ok = false;

		if (o->class == CKO_CERTIFICATE)
			return refuse_trusted(why, change->v[i].type);
		for (size_t k = 0; k < NELEMS(harmless); k++)
			ok |= change->v[i].type == harmless[k];
		if (!ok)
			return refuse_trusted(why, change->v[i].type);
	}
	return CVM_OK;
}

/* Lays the template over the attributes of o. */
static int
overlay(const struct object *o, const struct template_use *use,
    const CK_ATTRIBUTE *templ, CK_ULONG n, struct attrs *ret, struct why *why)
{
	_cleanup_(attrs_clear) struct attrs change = { 0 };
	_cleanup_(attrs_clear) struct attrs all = { 0 };
	int err = template_read(use, templ, n, &change, why);

	if (err == CVM_OK)
		err = attrs_copy(&o->attrs, &all);
	for (size_t i = 0; i < change.n && err == CVM_OK; i++) {
		struct span value = blob_span(&change.v[i].value);

		err = template_change(use,
		    attr_rule_find(change.v[i].type, use->class, use->key_type),
		    &o->attrs, value, why);
		if (err == CVM_OK)
			err = attrs_set(&all, change.v[i].type, value);
	}
	if (err == CVM_OK)
		err = keep_trust(o, use, &change, &all, why);
	if (err != CVM_OK)
		return err;
	*ret = all;
	all = (struct attrs){ 0 };
	return CVM_OK;
}

static struct template_use
use_of(const struct object *o, const struct caller *c, unsigned in)
{
	return (struct template_use){ .in = in,
		.class = o->class,
		.key_type = o->key_type,
		.so = c->so };
}

/* The value of private data is their material, and one that the template gives
 * becomes it. */
static int
copy_material(struct token *t, struct object *o, const struct caller *c,
    bool has_value, struct newborn *b, struct why *why)
{
	if (o->class == CKO_DATA && (!o->private || has_value))
		return data_split(b);
	if (o->key == NULL || o->class == CKO_PUBLIC_KEY)
		return CVM_OK;
	return object_material(t, o, c->permit, &b->material, why);
}

int
token_copy(struct token *t, const struct caller *c, CK_OBJECT_HANDLE from,
    const CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *ret,
    struct why *reterr_why)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(newborn_clear) struct newborn b = { 0 };
	struct template_use use;
	int err = token_object_why(t, c, from, &o, reterr_why);

	if (err != CVM_OK)
		return err;
	if (!attrs_bool(&o->attrs, CKA_COPYABLE, true))
		return refuse_action(reterr_why, CKA_COPYABLE);
	use = use_of(o, c, IN_COPY);
	err = overlay(o, &use, templ, n, &b.attrs, reterr_why);
	if (err == CVM_OK)
		err = copy_material(t, o, c, template_has(templ, n, CKA_VALUE),
		    &b, reterr_why);
	if (err != CVM_OK)
		return err;
	return objects_publish(t, c, &b, 1, ret, reterr_why);
}

static int
replace(struct token *t, const struct caller *c, struct object *old,
    struct attrs *attrs, struct why *why)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct record_change change = { .what = RECORD_REPLACE };
	int err;

	memcpy(change.id, old->id, sizeof(change.id));
	if (old->token) {
		change.attrs = attrs;
		change.was = &old->attrs;
		err = object_table_write(t, c->permit, &change, 1, why);
		if (err != CVM_OK)
			return err;
	}
	err = object_new(old->id, attrs, old->key, &o);
	if (err != CVM_OK)
		return err;
	o->session = old->session;
	/* A record that is gone again was changed before. */
	if (object_table_renew(token_objects(t), old, o) || old->token)
		return CVM_OK;
	return why_set(why, CVM_E_STALE, "session object", "attributes",
	    "those that were changed", "newer ones, or none");
}

static int
set_attributes_once(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *templ, CK_ULONG n,
    bool *ret_stored, struct why *reterr_why)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(attrs_clear) struct attrs attrs = { 0 };
	struct template_use use;
	int err = token_object_why(t, c, handle, &o, reterr_why);

	if (err == CVM_OK) {
		*ret_stored = o->token;
		err = check_writable(t, o, c, reterr_why);
	}
	if (err != CVM_OK)
		return err;
	if (!attrs_bool(&o->attrs, CKA_MODIFIABLE, true))
		return refuse_action(reterr_why, CKA_MODIFIABLE);
	if (o->class == CKO_DATA && o->private &&
	    template_has(templ, n, CKA_VALUE))
		return template_refuse(reterr_why, CVM_E_ATTR_READ_ONLY,
		    CKA_VALUE, "unchanged in a private object", "another");
	use = use_of(o, c, IN_SET);
	err = overlay(o, &use, templ, n, &attrs, reterr_why);
	return err == CVM_OK ? replace(t, c, o, &attrs, reterr_why) : err;
}

int
token_set_attributes(struct token *t, const struct caller *c,
    CK_OBJECT_HANDLE handle, const CK_ATTRIBUTE *templ, CK_ULONG n,
    struct why *reterr_why)
{
	bool stored = false;
	int err = CVM_E_STALE;

	/* What others changed meanwhile stays, and is changed further. In a
	 * session object each lost race is another thread's change made, which
	 * ends by itself; in the store others may go on for ever. */
	for (int i = 0; i < CHANGE_TRIES && err == CVM_E_STALE; i += stored) {
		if (i > 0 &&
		    (err = object_table_refresh(t, reterr_why)) != CVM_OK)
			return err;
		err = set_attributes_once(t, c, handle, templ, n, &stored,
		    reterr_why);
	}
	return err;
}

int
token_destroy(struct token *t, const struct caller *c, CK_OBJECT_HANDLE handle,
    struct why *reterr_why)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct record_change change = { .what = RECORD_DELETE };
	int err = token_object_why(t, c, handle, &o, reterr_why);

	if (err == CVM_OK)
		err = check_writable(t, o, c, reterr_why);
	if (err != CVM_OK)
		return err;
	if (!attrs_bool(&o->attrs, CKA_DESTROYABLE, true))
		return refuse_action(reterr_why, CKA_DESTROYABLE);
	memcpy(change.id, o->id, sizeof(change.id));
	if (o->token) {
		err = object_table_write(t, c->permit, &change, 1, reterr_why);
		/* Another process was first: it is gone all the same. */
		if (err != CVM_OK && err != CVM_E_NOT_FOUND)
			return err;
	}
	object_table_drop(token_objects(t), o);
	if (o->key != NULL)
		key_cache_wipe(o->key);
	return CVM_OK;
}
