/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/import.h"
#include "token/keys.h"
#include "token/mech.h"
#include "token/template.h"

/* C_GenerateKeyPair and C_GenerateKey. */

int
generate_rsa(const struct config_token *cfg, const struct mech *m,
    struct attrs *pub, EVP_PKEY **ret, struct why *reterr_why)
{
	const struct attr *e = attrs_find(pub, CKA_PUBLIC_EXPONENT);
	CK_ULONG bits = attrs_ulong(pub, CKA_MODULUS_BITS, 0);
	int err = rsa_check_bits(cfg, bits, reterr_why);

	(void)m;
	if (err != CVM_OK)
		return err;
	return rsa_generate(bits,
	    e == NULL ? span(NULL, 0) : blob_span(&e->value), ret, reterr_why);
}

int
generate_ec(const struct config_token *cfg, const struct mech *m,
    struct attrs *pub, EVP_PKEY **ret, struct why *reterr_why)
{
	const struct attr *at = attrs_find(pub, CKA_EC_PARAMS);
	struct span params = at == NULL ? span("", 0) : blob_span(&at->value);
	const struct curve *curve = curve_find(m->key_type, params);

	(void)cfg;
	if (curve == NULL)
		return template_refuse(reterr_why, curve_missing(params),
		    CKA_EC_PARAMS, "a named curve of the mechanism", "another");
	return ec_generate(curve, ret);
}

int
generate_pqc(const struct config_token *cfg, const struct mech *m,
    struct attrs *pub, EVP_PKEY **ret, struct why *reterr_why)
{
	const struct param_set *set = param_set_find(m->key_type, pub);

	(void)cfg;
	if (set == NULL)
		return template_refuse(reterr_why, CVM_E_PARAMETER_SET,
		    CKA_PARAMETER_SET, "a parameter set of the mechanism",
		    "another");
	return pqc_generate(set, ret);
}

int
generate_len(CK_KEY_TYPE type, const struct attrs *a, size_t *ret,
    struct why *reterr_why)
{
	CK_ULONG len = attrs_ulong(a, CKA_VALUE_LEN, secret_fixed_len(type));
	int err;

	if (len == 0 && attrs_find(a, CKA_VALUE_LEN) == NULL)
		return template_refuse(reterr_why, CVM_E_TEMPLATE_INCOMPLETE,
		    CKA_VALUE_LEN, "a value", "none");
	err = secret_check_len(type, len, reterr_why);
	if (err == CVM_OK)
		*ret = len;
	return err;
}

int
generate_secret(const struct mech *m, const struct mech_params *params,
    CK_KEY_TYPE type, struct attrs *a, struct secret **ret,
    struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *s = NULL;
	size_t len = 0;
	int err = generate_len(type, a, &len, reterr_why);

	(void)m;
	(void)params;
	if (err != CVM_OK)
		return err;
	s = secret_new(len);
	if (s == NULL)
		return CVM_E_NOMEM;
	err = random_bytes(secret_data(s), len);
	if (err != CVM_OK)
		return err;
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

/* What a key made here says of its origin. */
static int
set_origin(struct attrs *a, CK_OBJECT_CLASS class, CK_KEY_TYPE type,
    const struct mech *m)
{
	int err = attrs_set_ulong(a, CKA_CLASS, class);

	if (err == CVM_OK)
		err = attrs_set_ulong(a, CKA_KEY_TYPE, type);
	if (err == CVM_OK)
		err = attrs_set_bool(a, CKA_LOCAL, true);
	if (err == CVM_OK)
		err = attrs_set_ulong(a, CKA_KEY_GEN_MECHANISM, m->type);
	if (err != CVM_OK || class == CKO_PUBLIC_KEY)
		return err;
	err = attrs_set_ulong(a, CKA_CVM_ORIGIN, CVM_ORIGIN_GENERATED);
	if (err != CVM_OK)
		return err;
	err = attrs_set_bool(a, CKA_ALWAYS_SENSITIVE,
	    attrs_bool(a, CKA_SENSITIVE, true));
	if (err != CVM_OK)
		return err;
	return attrs_set_bool(a, CKA_NEVER_EXTRACTABLE,
	    !attrs_bool(a, CKA_EXTRACTABLE, false));
}

static int
read_half(const struct caller *c, const struct mech *m, CK_OBJECT_CLASS class,
    CK_KEY_TYPE type, const CK_ATTRIBUTE *templ, CK_ULONG n, struct newborn *b,
    struct why *why)
{
	struct template_use use = { .in = IN_GENERATE,
		.class = class,
		.key_type = type,
		.so = c->so };
	int err = template_read(&use, templ, n, &b->attrs, why);

	return err == CVM_OK ? set_origin(&b->attrs, class, type, m) : err;
}

/* The halves find each other by CKA_ID: one that is given goes for both. */
static int
share_id(const struct attrs *from, struct attrs *to)
{
	const struct attr *id = attrs_find(from, CKA_ID);
	const struct attr *have = attrs_find(to, CKA_ID);

	if (id == NULL || id->value.len == 0 ||
	    (have != NULL && have->value.len > 0))
		return CVM_OK;
	return attrs_set(to, CKA_ID, blob_span(&id->value));
}

/* Both halves carry the domain parameters in the form that was asked for. */
static int
share_params(const struct attrs *pub, struct attrs *priv)
{
	const struct attr *params = attrs_find(pub, CKA_EC_PARAMS);

	if (params == NULL || attrs_find(priv, CKA_EC_PARAMS) != NULL)
		return CVM_OK;
	return attrs_set(priv, CKA_EC_PARAMS, blob_span(&params->value));
}

static int
find_generator(struct token *t, const CK_MECHANISM *mech, CK_FLAGS flag,
    const struct mech **ret, struct mech_params *ret_params, struct why *why)
{
	const struct mech *m = mech_find(token_config(t), mech->mechanism);
	int err;

	if (m == NULL || (m->flags & flag) == 0)
		return why_setf(why, CVM_E_MECH_INVALID, "mechanism", "type",
		    "one that generates keys", "0x%lx", mech->mechanism);
	err = mech_params_read(mech, m, /* bound= */ false, ret_params, why);
	if (err == CVM_OK)
		*ret = m;
	return err;
}

/* Before the work of making a key that may not be kept. */
static int
check_caller(struct token *t, const struct caller *c, const struct newborn *b,
    struct why *why)
{
	int err = permit_check(c->permit, token_issuer(t));

	if (err != CVM_OK)
		return err;
	if (!c->user && attrs_bool(&b->attrs, CKA_PRIVATE, true))
		return why_set(why, CVM_E_NOT_LOGGED_IN, "session", "login",
		    "the user for a private object", "another");
	if (!c->writable && attrs_bool(&b->attrs, CKA_TOKEN, false))
		return why_set(why, CVM_E_READ_ONLY, "session", "flags",
		    "a read/write session for a token object", "read-only");
	return CVM_OK;
}

static void pair_clear(struct newborn (*v)[2])
{
	newborn_clear(&(*v)[0]);
	newborn_clear(&(*v)[1]);
}

static int
make_pair(const struct config_token *cfg, const struct mech *m,
    struct newborn *pub, struct newborn *priv, struct why *why)
{
	int err = share_id(&pub->attrs, &priv->attrs);

	if (err == CVM_OK)
		err = share_id(&priv->attrs, &pub->attrs);
	if (err == CVM_OK)
		err = share_params(&pub->attrs, &priv->attrs);
	if (err == CVM_OK)
		err = m->ops->pair(cfg, m, &pub->attrs, &priv->pkey, why);
	if (err == CVM_OK)
		err = key_describe(priv->pkey, CKO_PUBLIC_KEY, &pub->attrs,
		    why);
	if (err == CVM_OK)
		err = key_describe(priv->pkey, CKO_PRIVATE_KEY, &priv->attrs,
		    why);
	return err == CVM_OK ? key_encode_private(priv->pkey, &priv->material) :
			       err;
}

int
token_generate_pair(struct token *t, const struct caller *c,
    const CK_MECHANISM *mech, const CK_ATTRIBUTE *pub, CK_ULONG n_pub,
    const CK_ATTRIBUTE *priv, CK_ULONG n_priv, CK_OBJECT_HANDLE *ret_pub,
    CK_OBJECT_HANDLE *ret_priv, struct why *reterr_why)
{
	_cleanup_(pair_clear) struct newborn v[2] = { 0 };
	_cleanup_(mech_params_clear) struct mech_params params = { 0 };
	CK_OBJECT_HANDLE handles[2];
	const struct mech *m = NULL;
	int err = find_generator(t, mech, CKF_GENERATE_KEY_PAIR, &m, &params,
	    reterr_why);

	if (err == CVM_OK)
		err = read_half(c, m, CKO_PUBLIC_KEY, m->key_type, pub, n_pub,
		    &v[0], reterr_why);
	if (err == CVM_OK)
		err = read_half(c, m, CKO_PRIVATE_KEY, m->key_type, priv,
		    n_priv, &v[1], reterr_why);
	if (err == CVM_OK)
		err = check_caller(t, c, &v[1], reterr_why);
	if (err == CVM_OK)
		err = make_pair(token_config(t), m, &v[0], &v[1], reterr_why);
	if (err == CVM_OK)
		err = objects_publish(t, c, v, 2, handles, reterr_why);
	if (err != CVM_OK)
		return err;
	*ret_pub = handles[0];
	*ret_priv = handles[1];
	return CVM_OK;
}

/* A generic secret may be for one HMAC only; a password, for anything. */
static int
read_type(const struct mech *m, const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_KEY_TYPE *ret, struct why *why)
{
	CK_KEY_TYPE type = m->key_type;
	int err = template_ulong(templ, n, CKA_KEY_TYPE, &type, why);

	if (err == CVM_E_NOT_FOUND && m->ops->any_secret)
		return template_refuse(why, CVM_E_TEMPLATE_INCOMPLETE,
		    CKA_KEY_TYPE, "a value", "none");
	if (err != CVM_OK && err != CVM_E_NOT_FOUND)
		return err;
	if (!secret_is_known(type) || !mech_makes(m, type))
		return template_refuse(why, CVM_E_TEMPLATE_INCONSISTENT,
		    CKA_KEY_TYPE, "a type that the mechanism makes", "another");
	*ret = type;
	return CVM_OK;
}

int
token_generate_key(struct token *t, const struct caller *c,
    const CK_MECHANISM *mech, const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_OBJECT_HANDLE *ret, struct why *reterr_why)
{
	_cleanup_(newborn_clear) struct newborn b = { 0 };
	_cleanup_(secret_freep) struct secret *value = NULL;
	_cleanup_(mech_params_clear) struct mech_params params = { 0 };
	const struct mech *m = NULL;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	int err = find_generator(t, mech, CKF_GENERATE, &m, &params,
	    reterr_why);

	if (err == CVM_OK)
		err = read_type(m, templ, n, &type, reterr_why);
	if (err == CVM_OK)
		err = read_half(c, m, CKO_SECRET_KEY, type, templ, n, &b,
		    reterr_why);
	if (err == CVM_OK)
		err = check_caller(t, c, &b, reterr_why);
	if (err == CVM_OK)
		err = m->ops->key(m, &params, type, &b.attrs, &value,
		    reterr_why);
	if (err == CVM_OK)
		err = import_value(&value, &b, reterr_why);
	if (err != CVM_OK)
		return err;
	return objects_publish(t, c, &b, 1, ret, reterr_why);
}
