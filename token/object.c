/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/keys.h"
#include "token/object_impl.h"

static const struct {
	CK_ATTRIBUTE_TYPE type;
	CK_FLAGS flag;
} usages[] = {
	{ CKA_ENCRYPT, CKF_ENCRYPT },
	{ CKA_DECRYPT, CKF_DECRYPT },
	{ CKA_SIGN, CKF_SIGN },
	{ CKA_VERIFY, CKF_VERIFY },
	{ CKA_WRAP, CKF_WRAP },
	{ CKA_UNWRAP, CKF_UNWRAP },
	{ CKA_DERIVE, CKF_DERIVE },
	{ CKA_ENCAPSULATE, CKF_ENCAPSULATE },
	{ CKA_DECAPSULATE, CKF_DECAPSULATE },
};

/* FNV-1a: values come from the token's own users. */
uint64_t
object_hash(struct span s)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.data[i]) * 0x100000001b3;
	return h;
}

static uint64_t
hash_attr(const struct attrs *a, CK_ATTRIBUTE_TYPE type)
{
	const struct attr *at = attrs_find(a, type);

	return at == NULL ? 0 : object_hash(blob_span(&at->value));
}

static void
object_init(struct object *o)
{
	const struct attrs *a = &o->attrs;

	o->class = attrs_ulong(a, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
	o->key_type = attrs_ulong(a, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
	o->token = attrs_bool(a, CKA_TOKEN, false);
	/* An object whose attribute is lost counts as private. */
	o->private = attrs_bool(a, CKA_PRIVATE, true);
	o->always_auth = attrs_bool(a, CKA_ALWAYS_AUTHENTICATE, false);
	o->bind_operation = attrs_bool(a, CKA_CVM_BIND_OPERATION, false);
	for (size_t i = 0; i < NELEMS(usages); i++)
		if (attrs_bool(a, usages[i].type, false))
			o->usage |= usages[i].flag;
	if (o->key_type != CK_UNAVAILABLE_INFORMATION)
		o->key_size = key_size(o->key_type, a);
	o->hash[BY_RECORD] = object_hash(span(o->id, sizeof(o->id)));
	o->hash[BY_ID] = hash_attr(a, CKA_ID);
	o->hash[BY_LABEL] = hash_attr(a, CKA_LABEL);
}

/* Private data objects have material too: their value. */
static bool
has_key(const struct object *o)
{
	return o->class == CKO_PUBLIC_KEY || object_is_key(o) ||
	    (o->class == CKO_DATA && o->private);
}

int
object_new(const uint8_t id[static STORE_ID_LEN], struct attrs *attrs,
    struct key_cache *key, struct object **ret)
{
	_cleanup_(object_unrefp) struct object *o = calloc(1, sizeof(*o));
	int err;

	if (o == NULL)
		return CVM_E_NOMEM;
	o->refs = 1;
	memcpy(o->id, id, STORE_ID_LEN);
	o->attrs = *attrs;
	*attrs = (struct attrs){ 0 };
	err = attrs_pack(&o->attrs);
	if (err != CVM_OK)
		return err;
	object_init(o);
	if (key != NULL) {
		o->key = key_cache_ref(key);
	} else if (has_key(o)) {
		err = key_cache_new(&o->key);
		if (err != CVM_OK)
			return err;
	}
	*ret = TAKE_PTR(o);
	return CVM_OK;
}

int
object_husk(const struct object *o, struct object **ret)
{
	struct object *husk = calloc(1, sizeof(*husk));

	if (husk == NULL)
		return CVM_E_NOMEM;
	husk->refs = 1;
	husk->husk = true;
	husk->token = true;
	husk->private = o->private;
	husk->class = husk->key_type = CK_UNAVAILABLE_INFORMATION;
	husk->handle = o->handle;
	husk->seen = o->seen;
	memcpy(husk->id, o->id, sizeof(husk->id));
	memcpy(husk->stamp, o->stamp, sizeof(husk->stamp));
	husk->hint_id = o->hint_id;
	husk->hint_label = o->hint_label;
	husk->hash[BY_HANDLE] = o->handle;
	husk->hash[BY_RECORD] = object_hash(span(husk->id, sizeof(husk->id)));
	husk->hash[BY_ID] = o->hint_id;
	husk->hash[BY_LABEL] = o->hint_label;
	if (o->key != NULL)
		husk->key = key_cache_ref(o->key);
	*ret = husk;
	return CVM_OK;
}

struct object *
object_ref(struct object *o)
{
	(void)atomic_fetch_add(&o->refs, 1);
	return o;
}

void
object_unrefp(struct object **o)
{
	struct object *old = TAKE_PTR(*o);

	if (old == NULL || atomic_fetch_sub(&old->refs, 1) != 1)
		return;
	attrs_clear(&old->attrs);
	key_cache_unrefp(&old->key);
	free(old);
}

CK_OBJECT_HANDLE
object_handle(const struct object *o)
{
	return o->handle;
}

void
object_after_fork(struct object *o)
{
	if (o->key != NULL)
		key_cache_after_fork(o->key);
}

bool
object_is_private(const struct object *o)
{
	return o->private;
}

bool
object_is_token(const struct object *o)
{
	return o->token;
}

CK_OBJECT_CLASS
object_class(const struct object *o)
{
	return o->class;
}

CK_KEY_TYPE
object_key_type(const struct object *o)
{
	return o->key_type;
}

bool
object_is_key(const struct object *o)
{
	return o->class == CKO_PRIVATE_KEY || o->class == CKO_SECRET_KEY;
}

bool
object_bool(const struct object *o, CK_ATTRIBUTE_TYPE type)
{
	if (type == CKA_ALWAYS_AUTHENTICATE)
		return o->always_auth;
	if (type == CKA_CVM_BIND_OPERATION)
		return o->bind_operation;
	return attrs_bool(&o->attrs, type, false);
}

int
object_fingerprint(const struct object *o, uint8_t out[static SHA256_LEN])
{
	const struct attr *info = attrs_find(&o->attrs, CKA_PUBLIC_KEY_INFO);

	if (o->class == CKO_SECRET_KEY)
		return hash(HASH_SHA256, span(o->id, sizeof(o->id)), out);
	if (info == NULL || info->value.len == 0)
		return CVM_E_KEY_TYPE;
	return hash(HASH_SHA256, blob_span(&info->value), out);
}

_Static_assert(CVM_ORIGIN_GENERATED == ORIGIN_GENERATED &&
	CVM_ORIGIN_IMPORTED == ORIGIN_IMPORTED &&
	CVM_ORIGIN_UNWRAPPED == ORIGIN_UNWRAPPED &&
	CVM_ORIGIN_DERIVED == ORIGIN_DERIVED,
    "statements say what the store says");

int
object_birth(const struct object *o, struct birth *ret)
{
	CK_ULONG origin = attrs_ulong(&o->attrs, CKA_CVM_ORIGIN, 0);
	struct birth b = {
		.origin = origin <= CVM_ORIGIN_DERIVED ? (uint32_t)origin :
							 ORIGIN_UNKNOWN,
		.is_secret = o->class == CKO_SECRET_KEY,
		.key_type = object_key_type(o),
		.gen_mechanism = attrs_ulong(&o->attrs, CKA_KEY_GEN_MECHANISM,
		    CK_UNAVAILABLE_INFORMATION),
		.local = object_bool(o, CKA_LOCAL),
		.always_sensitive = object_bool(o, CKA_ALWAYS_SENSITIVE),
		.never_extractable = object_bool(o, CKA_NEVER_EXTRACTABLE),
		.sensitive = object_bool(o, CKA_SENSITIVE),
		.extractable = object_bool(o, CKA_EXTRACTABLE),
		.bind_operation = object_bool(o, CKA_CVM_BIND_OPERATION),
	};
	int err;

	if (o->class != CKO_PRIVATE_KEY && o->class != CKO_SECRET_KEY)
		return CVM_E_KEY_TYPE;
	if ((err = object_fingerprint(o, b.fingerprint)) != CVM_OK)
		return err;
	*ret = b;
	return CVM_OK;
}
