/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/import.h"
#include "token/keys.h"
#include "token/mech.h"
#include "token/template.h"

void
newborn_clear(struct newborn *b)
{
	attrs_clear(&b->attrs);
	secret_freep(&b->material);
	pkey_freep(&b->pkey);
}

static int
may_create(struct token *t, const struct caller *c, const struct newborn *b,
    struct why *why)
{
	const struct attrs *a = &b->attrs;
	CK_OBJECT_CLASS class = attrs_ulong(a, CKA_CLASS, CKO_DATA);

	if (attrs_bool(a, CKA_TOKEN, false) && !c->writable)
		return why_set(why, CVM_E_READ_ONLY, "session", "flags",
		    "a read/write session for a token object", "read-only");
	if (attrs_bool(a, CKA_PRIVATE, true) && !c->user)
		return why_set(why, CVM_E_NOT_LOGGED_IN, "session", "login",
		    "the user for a private object", "another");
	/* What others will find in the token is written by who is admitted. */
	if (class == CKO_PRIVATE_KEY || class == CKO_SECRET_KEY ||
	    b->material != NULL || attrs_bool(a, CKA_TOKEN, false))
		return permit_check(c->permit, token_issuer(t));
	return CVM_OK;
}

static int
give_identity(struct newborn *b, uint8_t id[static STORE_ID_LEN])
{
	char hex[2 * STORE_ID_LEN + 1];
	int err = random_bytes(id, STORE_ID_LEN);

	if (err != CVM_OK)
		return err;
	(void)hex_encode(span(id, STORE_ID_LEN), hex, sizeof(hex));
	return attrs_set(&b->attrs, CKA_UNIQUE_ID, span(hex, sizeof(hex) - 1));
}

static int
complete(struct newborn *b, uint8_t id[static STORE_ID_LEN])
{
	struct attrs *a = &b->attrs;
	int err = attr_defaults(attrs_ulong(a, CKA_CLASS, CKO_DATA),
	    attrs_ulong(a, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION), a);

	return err == CVM_OK ? give_identity(b, id) : err;
}

/* What no attribute says alone: a login before each use of a key presumes the
 * one before it is seen (PKCS#11 section 4.9). */
static int
check_together(const struct newborn *b, struct why *why)
{
	const struct attrs *a = &b->attrs;

	if (!attrs_bool(a, CKA_ALWAYS_AUTHENTICATE, false) ||
	    attrs_bool(a, CKA_PRIVATE, true))
		return CVM_OK;
	return template_refuse(why, CVM_E_TEMPLATE_INCONSISTENT,
	    CKA_ALWAYS_AUTHENTICATE, "false where CKA_PRIVATE is", "true");
}

/* A session object keeps its material in memory: there is no other place. */
static void
keep_material(struct object *o, struct newborn *b)
{
	if (o->key == NULL)
		return;
	if (!o->token)
		o->key->material = TAKE_PTR(b->material);
	if (b->pkey != NULL)
		key_cache_remember(o->key, 0, b->pkey);
}

static int
make_object(const struct caller *c, struct newborn *b,
    const uint8_t id[static STORE_ID_LEN], struct object **ret)
{
	_cleanup_(attrs_clear) struct attrs copy = { 0 };
	int err = attrs_copy(&b->attrs, &copy);

	if (err == CVM_OK)
		err = object_new(id, &copy, /* key= */ NULL, ret);
	if (err != CVM_OK)
		return err;
	(*ret)->session = (*ret)->token ? 0 : c->session;
	keep_material(*ret, b);
	return CVM_OK;
}

int
newborn_check(struct token *t, const struct caller *c, const struct newborn *b,
    struct why *reterr_why)
{
	int err = check_together(b, reterr_why);

	return err == CVM_OK ? may_create(t, c, b, reterr_why) : err;
}

/* As many as one derivation makes. */
#define PUBLISH_MAX (KDF_MORE_MAX + 1)

static void
objects_unref(struct object *(*v)[PUBLISH_MAX])
{
	for (size_t i = 0; i < PUBLISH_MAX; i++)
		object_unrefp(&(*v)[i]);
}

int
objects_publish(struct token *t, const struct caller *c, struct newborn *v,
    size_t n, CK_OBJECT_HANDLE *ret, struct why *reterr_why)
{
	_cleanup_(objects_unref) struct object *o[PUBLISH_MAX] = { NULL };
	struct record_change change[PUBLISH_MAX];
	size_t n_change = 0;
	int err;

	if (n == 0 || n > PUBLISH_MAX)
		return CVM_E_INTERNAL;
	for (size_t i = 0; i < n; i++) {
		struct record_change *ch = &change[n_change];

		err = complete(&v[i], ch->id);
		if (err == CVM_OK)
			err = newborn_check(t, c, &v[i], reterr_why);
		if (err == CVM_OK)
			err = make_object(c, &v[i], ch->id, &o[i]);
		if (err != CVM_OK)
			return err;
		ch->what = RECORD_INSERT;
		ch->attrs = &v[i].attrs;
		ch->material = v[i].material;
		n_change += o[i]->token ? 1 : 0;
	}
	if (n_change > 0) {
		err = object_table_write(t, c->permit, change, n_change,
		    reterr_why);
		if (err != CVM_OK)
			return err;
	}
	object_table_publish(t, c, o, n, ret);
	return CVM_OK;
}

int
data_split(struct newborn *b)
{
	const struct attr *value = attrs_find(&b->attrs, CKA_VALUE);

	if (value == NULL || !attrs_bool(&b->attrs, CKA_PRIVATE, false))
		return CVM_OK;
	b->material = secret_copy(blob_span(&value->value));
	if (b->material == NULL)
		return CVM_E_NOMEM;
	return attrs_set(&b->attrs, CKA_VALUE, span("", 0));
}

static int
describe(const struct config_token *cfg, CK_OBJECT_CLASS class,
    const CK_ATTRIBUTE *templ, CK_ULONG n, struct newborn *b, struct why *why)
{
	switch (class) {
	case CKO_DATA:
		return data_split(b);
	case CKO_CERTIFICATE:
		return certificate_describe(&b->attrs, why);
	case CKO_PUBLIC_KEY:
		return import_public(cfg, b, why);
	case CKO_PRIVATE_KEY:
		return import_private(cfg, templ, n, b, why);
	case CKO_SECRET_KEY:
		return import_secret(templ, n, b, why);
	default:
		return template_refuse(why, CVM_E_ATTR_VALUE, CKA_CLASS,
		    "data, certificate, public, private or secret key",
		    "another");
	}
}

/* What a template asks for, and nothing is written yet. */
static int
conceive(struct token *t, const struct caller *c, const CK_ATTRIBUTE *templ,
    CK_ULONG n, struct newborn *b, struct why *why)
{
	struct template_use use = { .in = IN_CREATE,
		.so = c->so,
		.key_type = CK_UNAVAILABLE_INFORMATION };
	int err = template_ulong(templ, n, CKA_CLASS, &use.class, why);

	if (err == CVM_E_NOT_FOUND)
		return template_refuse(why, CVM_E_TEMPLATE_INCOMPLETE,
		    CKA_CLASS, "a value", "none");
	if (err == CVM_OK)
		err = template_ulong(templ, n, CKA_KEY_TYPE, &use.key_type,
		    why);
	if (err != CVM_OK && err != CVM_E_NOT_FOUND)
		return err;
	if (class_bit(use.class) == 0 ||
	    (err == CVM_OK && key_type_bit(use.key_type) == 0))
		return template_refuse(why, CVM_E_ATTR_VALUE,
		    err == CVM_OK ? CKA_KEY_TYPE : CKA_CLASS,
		    "one that is known here", "another");
	err = template_read(&use, templ, n, &b->attrs, why);
	if (err == CVM_OK)
		err = describe(token_config(t), use.class, templ, n, b, why);
	if (err == CVM_OK &&
	    (use.class == CKO_PRIVATE_KEY || use.class == CKO_SECRET_KEY))
		err = attrs_set_ulong(&b->attrs, CKA_CVM_ORIGIN,
		    CVM_ORIGIN_IMPORTED);
	return err;
}

static void newborns_clear(struct newborn (*v)[TOKEN_CREATE_MAX])
{
	for (size_t i = 0; i < TOKEN_CREATE_MAX; i++)
		newborn_clear(&(*v)[i]);
}

int
token_create_all(struct token *t, const struct caller *c,
    const struct token_template *v, size_t n, CK_OBJECT_HANDLE *ret,
    struct why *reterr_why)
{
	_cleanup_(newborns_clear) struct newborn b[TOKEN_CREATE_MAX] = { 0 };
	int err = n <= TOKEN_CREATE_MAX ? CVM_OK : CVM_E_INTERNAL;

	for (size_t i = 0; err == CVM_OK && i < n; i++)
		err = conceive(t, c, v[i].attrs, v[i].n, &b[i], reterr_why);
	return err == CVM_OK ? objects_publish(t, c, b, n, ret, reterr_why) :
			       err;
}

int
token_create(struct token *t, const struct caller *c, const CK_ATTRIBUTE *templ,
    CK_ULONG n, CK_OBJECT_HANDLE *ret, struct why *reterr_why)
{
	const struct token_template one = { templ, n };

	return token_create_all(t, c, &one, 1, ret, reterr_why);
}
