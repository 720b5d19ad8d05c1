/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "token/import.h"
#include "token/keys.h"
#include "token/mech.h"
#include "token/nested.h"
#include "token/template.h"

/* C_EncapsulateKey and C_DecapsulateKey (PKCS#11 3.2 section 5.18): a secret
 * key that two sides share, by ML-KEM. */

#define SHARED_LEN 32

static int
check_mech(struct token *t, const CK_MECHANISM *mech, CK_FLAGS use,
    const struct object *key, struct why *why)
{
	_cleanup_(mech_params_clear) struct mech_params params = { 0 };
	const struct mech *m = mech_find(token_config(t), mech->mechanism);
	int err;

	if (m == NULL || (m->flags & use) == 0)
		return why_setf(why, CVM_E_MECH_INVALID, "mechanism", "type",
		    "one of the token that encapsulates", "0x%lx",
		    mech->mechanism);
	err = mech_check_key(token_config(t), m, use, key, why);
	return err == CVM_OK ?
	    mech_params_read(mech, m, /* bound= */ false, &params, why) :
	    err;
}

/* The template of the shared key; its value came from outside. */
static int
read_template(const struct caller *c, const struct object *key,
    CK_ATTRIBUTE_TYPE nested, const CK_ATTRIBUTE *templ, CK_ULONG n,
    struct attrs *ret, struct why *why)
{
	struct template_use use = { .in = IN_UNWRAP,
		.class = CKO_SECRET_KEY,
		.so = c->so };
	int err = template_ulong(templ, n, CKA_KEY_TYPE, &use.key_type, why);

	if (err == CVM_E_NOT_FOUND)
		return template_refuse(why, CVM_E_TEMPLATE_INCOMPLETE,
		    CKA_KEY_TYPE, "a value", "none");
	if (err != CVM_OK)
		return err;
	if (!secret_is_known(use.key_type))
		return template_refuse(why, CVM_E_ATTR_VALUE, CKA_KEY_TYPE,
		    "a kind of secret key that is known here", "another");
	err = template_read(&use, templ, n, ret, why);
	if (err == CVM_OK)
		err = nested_apply(key, nested, &use, ret, why);
	return err == CVM_OK ? attrs_set_ulong(ret, CKA_CLASS, use.class) : err;
}

/* A shorter key is the secret's leading bytes. */
static int
publish(struct token *t, const struct caller *c, struct secret **value,
    struct newborn *b, CK_OBJECT_HANDLE *ret, struct why *why)
{
	CK_ULONG want = attrs_ulong(&b->attrs, CKA_VALUE_LEN, SHARED_LEN);
	int err;

	if (want == 0 || want > secret_len(*value))
		return template_refuse(why, CVM_E_KEY_SIZE, CKA_VALUE_LEN,
		    "at most the length of the shared secret", "another");
	secret_shrink(*value, want);
	err = import_value(value, b, why);
	return err == CVM_OK ? objects_publish(t, c, b, 1, ret, why) : err;
}

static int
encapsulate(EVP_PKEY *pkey, size_t len, uint8_t *out, struct secret **ret)
{
	quiet_openssl();
	_cleanup_(pkey_ctx_freep)
	    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(),
		pkey, /* props= */ NULL);
	_cleanup_(secret_freep) struct secret *s = secret_new(SHARED_LEN);
	size_t out_len = len, n = SHARED_LEN;

	if (ctx == NULL || s == NULL)
		return CVM_E_NOMEM;
	if (EVP_PKEY_encapsulate_init(ctx, /* params= */ NULL) != 1 ||
	    EVP_PKEY_encapsulate(ctx, out, &out_len, secret_data(s), &n) != 1 ||
	    out_len != len || n != SHARED_LEN)
		return CVM_E_CRYPTO;
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

int
token_encapsulate(struct token *t, const struct caller *c,
    const CK_MECHANISM *mech, CK_OBJECT_HANDLE key, const CK_ATTRIBUTE *templ,
    CK_ULONG n, uint8_t *out, CK_ULONG *len, CK_OBJECT_HANDLE *ret,
    struct why *reterr_why)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(newborn_clear) struct newborn b = { 0 };
	_cleanup_(secret_freep) struct secret *value = NULL;
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	const struct param_set *set = NULL;
	int err = token_object_why(t, c, key, &o, reterr_why);

	if (err == CVM_OK)
		err = check_mech(t, mech, CKF_ENCAPSULATE, o, reterr_why);
	if (err == CVM_OK)
		set = param_set_find(o->key_type, &o->attrs);
	if (err == CVM_OK && set == NULL)
		err = CVM_E_PARAMETER_SET;
	if (err == CVM_OK)
		err = read_template(c, o, CKA_ENCAPSULATE_TEMPLATE, templ, n,
		    &b.attrs, reterr_why);
	if (err != CVM_OK)
		return err;
	if (out == NULL || *len < set->out_len) {
		*len = set->out_len;
		return out == NULL ? CVM_OK : CVM_E_BUFFER_TOO_SMALL;
	}
	err = object_public_key(o, &pkey);
	if (err == CVM_OK)
		err = encapsulate(pkey, set->out_len, out, &value);
	if (err == CVM_OK)
		err = publish(t, c, &value, &b, ret, reterr_why);
	if (err == CVM_OK)
		*len = set->out_len;
	return err;
}

/* ML-KEM rejects implicitly: a ciphertext of the right length always gives
 * some secret (FIPS 203 section 6.3). */
static int
decapsulate(EVP_PKEY *pkey, struct span in, struct secret **ret)
{
	quiet_openssl();
	_cleanup_(pkey_ctx_freep)
	    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(),
		pkey, /* props= */ NULL);
	_cleanup_(secret_freep) struct secret *s = secret_new(SHARED_LEN);
	size_t n = SHARED_LEN;

	if (ctx == NULL || s == NULL)
		return CVM_E_NOMEM;
	if (EVP_PKEY_decapsulate_init(ctx, /* params= */ NULL) != 1)
		return CVM_E_CRYPTO;
	if (EVP_PKEY_decapsulate(ctx, secret_data(s), &n, in.data, in.len) !=
		1 ||
	    n != SHARED_LEN)
		return CVM_E_WRAPPED_INVALID;
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

int
token_decapsulate(struct token *t, const struct caller *c,
    const CK_MECHANISM *mech, CK_OBJECT_HANDLE key, const CK_ATTRIBUTE *templ,
    CK_ULONG n, struct span in, CK_OBJECT_HANDLE *ret, struct why *reterr_why)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(newborn_clear) struct newborn b = { 0 };
	_cleanup_(secret_freep) struct secret *value = NULL;
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	const struct param_set *set = NULL;
	int err = token_object_why(t, c, key, &o, reterr_why);

	if (err == CVM_OK)
		err = check_mech(t, mech, CKF_DECAPSULATE, o, reterr_why);
	if (err == CVM_OK)
		set = param_set_find(o->key_type, &o->attrs);
	if (err == CVM_OK && (set == NULL || in.len != set->out_len))
		err = why_set(reterr_why, CVM_E_WRAPPED_LEN, "ciphertext",
		    "length", "that of the parameter set", "another");
	if (err == CVM_OK)
		err = read_template(c, o, CKA_DECAPSULATE_TEMPLATE, templ, n,
		    &b.attrs, reterr_why);
	if (err == CVM_OK)
		err = object_private_key(t, o, c->permit, &pkey, reterr_why);
	if (err == CVM_OK)
		err = decapsulate(pkey, in, &value);
	return err == CVM_OK ? publish(t, c, &value, &b, ret, reterr_why) : err;
}
