/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/import.h"
#include "token/nested.h"
#include "token/op_impl.h"
#include "token/template.h"

/* C_WrapKey and C_UnwrapKey: encryption of PrivateKeyInfo or secret value. */

/* Trusted: one that the SO said so of (PKCS#11 section 4.9). */
static int
check_target(const struct object *key, const struct object *wrapping,
    struct why *why)
{
	if (!object_is_key(key))
		return template_refuse(why, CVM_E_KEY_NOT_WRAPPABLE, CKA_CLASS,
		    "a private or secret key", "another");
	if (!object_bool(key, CKA_EXTRACTABLE))
		return template_refuse(why, CVM_E_KEY_UNEXTRACTABLE,
		    CKA_EXTRACTABLE, "TRUE", "FALSE");
	if (object_bool(key, CKA_WRAP_WITH_TRUSTED) &&
	    !object_bool(wrapping, CKA_TRUSTED))
		return template_refuse(why, CVM_E_KEY_NOT_WRAPPABLE,
		    CKA_WRAP_WITH_TRUSTED, "a trusted wrapping key", "another");
	return CVM_OK;
}

static int
get_pair(struct token *t, const struct caller *c, CK_OBJECT_HANDLE first,
    CK_OBJECT_HANDLE second, struct object **ret_first,
    struct object **ret_second, struct why *why)
{
	int err = token_object_why(t, c, first, ret_first, why);

	return err == CVM_OK ? token_object_why(t, c, second, ret_second, why) :
			       err;
}

/* What does not fit the mechanism is the key, to C_WrapKey. */
static int
wrap_error(int err)
{
	return err == CVM_E_DATA_LEN ? CVM_E_KEY_SIZE : err;
}

int
token_wrap(struct token *t, const struct caller *c, const CK_MECHANISM *mech,
    CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, uint8_t *out,
    CK_ULONG *len, struct why *reterr_why)
{
	_cleanup_(object_unrefp) struct object *w = NULL;
	_cleanup_(object_unrefp) struct object *k = NULL;
	_cleanup_(secret_freep) struct secret *material = NULL;
	_cleanup_(op_freep) struct op *op = NULL;
	int err = get_pair(t, c, wrapping, key, &w, &k, reterr_why);

	if (err == CVM_OK)
		err = check_target(k, w, reterr_why);
	if (err == CVM_OK)
		err = nested_check(w, k, reterr_why);
	if (err == CVM_OK)
		err = op_start(t, token_config(t), OP_ENCRYPT, CKF_WRAP, mech,
		    w, c->permit, &op, reterr_why);
	if (err == CVM_OK)
		err = object_material(t, k, c->permit, &material, reterr_why);
	if (err != CVM_OK)
		return err;
	return wrap_error(op_once(op, c->permit, secret_span(material), out,
	    len, reterr_why));
}

/* Any way in which the wrapped key is not one is the same to the caller. */
static int
unwrap_error(int err, struct why *why)
{
	switch (err) {
	case CVM_E_ENCRYPTED_INVALID:
	case CVM_E_ENCRYPTED_LEN:
	case CVM_E_DATA_INVALID:
	case CVM_E_KEY_SIZE:
		return why_set(why, CVM_E_WRAPPED_INVALID, "wrapped key",
		    "bytes", "a key wrapped with this key and mechanism",
		    "something else");
	default:
		return err;
	}
}

static int
unwrap_bytes(struct token *t, const struct caller *c, const CK_MECHANISM *mech,
    struct object *key, struct span wrapped, struct secret **ret,
    struct why *why)
{
	_cleanup_(op_freep) struct op *op = NULL;
	_cleanup_(secret_freep) struct secret *plain = NULL;
	CK_ULONG len = wrapped.len;
	int err;

	if (wrapped.len == 0 || wrapped.len > OP_HELD_MAX)
		return unwrap_error(CVM_E_ENCRYPTED_LEN, why);
	err = op_start(t, token_config(t), OP_DECRYPT, CKF_UNWRAP, mech, key,
	    c->permit, &op, why);
	if (err != CVM_OK)
		return err;
	plain = secret_new(wrapped.len);
	if (plain == NULL)
		return CVM_E_NOMEM;
	err = op_once(op, c->permit, wrapped, secret_data(plain), &len, why);
	if (err != CVM_OK)
		return unwrap_error(err, why);
	secret_shrink(plain, len);
	*ret = TAKE_PTR(plain);
	return CVM_OK;
}

static int
read_use(const CK_ATTRIBUTE *templ, CK_ULONG n, struct template_use *use,
    struct why *why)
{
	int err = template_ulong(templ, n, CKA_CLASS, &use->class, why);

	if (err == CVM_OK)
		err = template_ulong(templ, n, CKA_KEY_TYPE, &use->key_type,
		    why);
	if (err == CVM_E_NOT_FOUND)
		return template_refuse(why, CVM_E_TEMPLATE_INCOMPLETE,
		    CKA_KEY_TYPE, "class and key type", "less");
	if (err != CVM_OK)
		return err;
	if ((use->class != CKO_PRIVATE_KEY && use->class != CKO_SECRET_KEY) ||
	    key_type_bit(use->key_type) == 0)
		return template_refuse(why, CVM_E_TEMPLATE_INCONSISTENT,
		    CKA_CLASS, "a private or secret key", "another");
	return CVM_OK;
}

int
token_unwrap(struct token *t, const struct caller *c, const CK_MECHANISM *mech,
    CK_OBJECT_HANDLE unwrapping, struct span wrapped, const CK_ATTRIBUTE *templ,
    CK_ULONG n, CK_OBJECT_HANDLE *ret, struct why *reterr_why)
{
	_cleanup_(object_unrefp) struct object *key = NULL;
	_cleanup_(newborn_clear) struct newborn b = { 0 };
	_cleanup_(secret_freep) struct secret *plain = NULL;
	struct template_use use = { .in = IN_UNWRAP, .so = c->so };
	int err = token_object_why(t, c, unwrapping, &key, reterr_why);

	if (err == CVM_OK)
		err = read_use(templ, n, &use, reterr_why);
	if (err == CVM_OK)
		err = template_read(&use, templ, n, &b.attrs, reterr_why);
	if (err == CVM_OK)
		err = nested_apply(key, CKA_UNWRAP_TEMPLATE, &use, &b.attrs,
		    reterr_why);
	if (err == CVM_OK)
		err = unwrap_bytes(t, c, mech, key, wrapped, &plain,
		    reterr_why);
	if (err == CVM_OK)
		err = use.class == CKO_PRIVATE_KEY ?
		    import_pkcs8(token_config(t), secret_span(plain), &b,
			reterr_why) :
		    import_value(&plain, &b, reterr_why);
	if (err == CVM_OK)
		err = attrs_set_ulong(&b.attrs, CKA_CVM_ORIGIN,
		    CVM_ORIGIN_UNWRAPPED);
	if (err != CVM_OK)
		return unwrap_error(err, reterr_why);
	return objects_publish(t, c, &b, 1, ret, reterr_why);
}
