/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "token/keys.h"
#include "token/object_impl.h"

/*
 * The only ways to key material. Each asks the permit first, so that nothing
 * is decrypted in vain, and again last: a denial that came meanwhile counts.
 */

static int
decode_attr(const struct object *o, EVP_PKEY **ret)
{
	const struct attr *info = attrs_find(&o->attrs, CKA_PUBLIC_KEY_INFO);

	if (info == NULL || info->value.len == 0)
		return CVM_E_KEY_TYPE;
	return key_decode_public(blob_span(&info->value), ret);
}

int
object_public_key(struct object *o, EVP_PKEY **ret)
{
	EVP_PKEY *pkey = NULL;
	int err;

	if (o->class != CKO_PUBLIC_KEY)
		return decode_attr(o, ret);
	pkey = key_cache_recall(o->key);
	if (pkey == NULL) {
		uint64_t generation = atomic_load(&o->key->wiped);

		err = decode_attr(o, &pkey);
		if (err != CVM_OK)
			return err;
		key_cache_remember(o->key, generation, pkey);
	}
	*ret = pkey;
	return CVM_OK;
}

/* A session object's material, from memory. */
static int
recall_material(struct key_cache *k, struct secret **ret)
{
	struct secret *copy = NULL;
	bool there;

	(void)pthread_mutex_lock(&k->lock);
	there = k->material != NULL;
	if (there)
		copy = secret_copy(secret_span(k->material));
	(void)pthread_mutex_unlock(&k->lock);
	/* A denial, or the end of its session, destroyed it. */
	if (copy == NULL)
		return there ? CVM_E_NOMEM : CVM_E_NOT_FOUND;
	*ret = copy;
	return CVM_OK;
}

int
object_material(struct token *t, struct object *o, const struct permit *p,
    struct secret **ret, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *s = NULL;
	int err = permit_check(p, token_issuer(t));

	if (err != CVM_OK)
		return err;
	if (o->key == NULL)
		return CVM_E_KEY_TYPE;
	if (o->token)
		err = record_open_material(t, o->id, &s, reterr_why);
	else
		err = recall_material(o->key, &s);
	/* A denial is the reason, where there was one. */
	if (permit_check(p, token_issuer(t)) != CVM_OK)
		err = CVM_E_PERMIT;
	if (err != CVM_OK)
		return err;
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

static int
load_private_key(struct token *t, struct object *o, const struct permit *p,
    EVP_PKEY **ret, struct why *why)
{
	_cleanup_(secret_freep) struct secret *der = NULL;
	uint64_t generation = atomic_load(&o->key->wiped);
	int err = object_material(t, o, p, &der, why);

	if (err != CVM_OK)
		return err;
	err = key_decode_private(secret_span(der), ret);
	if (err == CVM_E_NOMEM)
		return err;
	if (err != CVM_OK)
		return why_set(why, CVM_E_CORRUPT, "object", "material",
		    "a PrivateKeyInfo", "something else");
	key_cache_remember(o->key, generation, *ret);
	return CVM_OK;
}

int
object_private_key(struct token *t, struct object *o, const struct permit *p,
    EVP_PKEY **ret, struct why *reterr_why)
{
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	int err = permit_check(p, token_issuer(t));

	if (err != CVM_OK)
		return err;
	if (o->class != CKO_PRIVATE_KEY)
		return CVM_E_KEY_TYPE;
	pkey = key_cache_recall(o->key);
	if (pkey == NULL)
		err = load_private_key(t, o, p, &pkey, reterr_why);
	if (err == CVM_OK)
		err = permit_check(p, token_issuer(t));
	if (err != CVM_OK)
		return err;
	*ret = TAKE_PTR(pkey);
	return CVM_OK;
}

int
object_secret_value(struct token *t, struct object *o, const struct permit *p,
    struct secret **ret, struct why *reterr_why)
{
	if (o->class != CKO_SECRET_KEY)
		return CVM_E_KEY_TYPE;
	return object_material(t, o, p, ret, reterr_why);
}
