/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <string.h>

#include "token/import.h"
#include "token/nested.h"
#include "token/op_impl.h"
#include "token/template.h"

/* C_DeriveKey with ECDH (SP 800-56A section 5.7.1.2, RFC 7748). */

/* As long as any key may be; so short that no derivation counts too far. */
#define DERIVED_MAX 4096

/* Hashes of Z || counter || shared (ANSI X9.63, SEC 1 section 3.6.1), or of
 * counter || Z || shared (SP 800-56A section 5.8.2.1). */
static int
concat_kdf(enum digest d, bool counter_first, struct span z, struct span shared,
    size_t want, struct secret **ret)
{
	_cleanup_(secret_freep) struct secret *out = NULL;
	_cleanup_(evp_md_ctx_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t len = digest_len(d), blocks = (want + len - 1) / len;
	uint8_t n[4] = { 0 };
	struct span counter = span(n, sizeof(n));
	struct span first = counter_first ? counter : z;
	struct span second = counter_first ? z : counter;

	out = secret_new(blocks * len);
	if (md == NULL || out == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < blocks; i++) {
		n[2] = (uint8_t)((i + 1) >> 8);
		n[3] = (uint8_t)(i + 1);
		if (EVP_DigestInit_ex2(md, digest_get(d), NULL) != 1 ||
		    EVP_DigestUpdate(md, first.data, first.len) != 1 ||
		    EVP_DigestUpdate(md, second.data, second.len) != 1 ||
		    (shared.len > 0 &&
			EVP_DigestUpdate(md, shared.data, shared.len) != 1) ||
		    EVP_DigestFinal_ex(md, &secret_data(out)[i * len], NULL) !=
			1)
			return CVM_E_CRYPTO;
	}
	secret_shrink(out, want);
	*ret = TAKE_PTR(out);
	return CVM_OK;
}

static int
agree(EVP_PKEY *ours, EVP_PKEY *theirs, struct secret **ret)
{
	_cleanup_(pkey_ctx_freep)
	    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(),
		ours,
		/* props= */ NULL);
	_cleanup_(secret_freep) struct secret *z = NULL;
	size_t len = 0;

	if (ctx == NULL)
		return CVM_E_NOMEM;
	if (EVP_PKEY_derive_init(ctx) != 1 ||
	    /* ec_peer() has looked at the point. */
	    EVP_PKEY_derive_set_peer_ex(ctx, theirs, /* validate= */ 0) != 1 ||
	    EVP_PKEY_derive(ctx, NULL, &len) != 1)
		return CVM_E_MECH_PARAM;
	z = secret_new(len);
	if (z == NULL)
		return CVM_E_NOMEM;
	/* Fails for a point of small order (RFC 7748 section 6.1). */
	if (EVP_PKEY_derive(ctx, secret_data(z), &len) != 1)
		return CVM_E_MECH_PARAM;
	secret_shrink(z, len);
	*ret = TAKE_PTR(z);
	return CVM_OK;
}

static int
check_peer(int err, size_t len, struct why *why)
{
	if (err != CVM_E_ATTR_VALUE && err != CVM_E_MECH_PARAM)
		return err;
	return why_setf(why, CVM_E_MECH_PARAM, "CKM_ECDH1_DERIVE",
	    "pPublicData", "a point of the curve, and not of small order",
	    "%zu bytes that are none", len);
}

static int
refuse_len(const char *expected, size_t got, struct why *why)
{
	return why_setf(why, CVM_E_KEY_SIZE, "template", "CKA_VALUE_LEN",
	    expected, "%zu", got);
}

/* Takes z over. */
static int
shape(struct secret *z, const struct mech_params *params, size_t want,
    struct secret **ret, struct why *why)
{
	_cleanup_(secret_freep) struct secret *own = z;
	enum digest sp800 = digest_by_sp800_kdf(params->kdf);

	if (params->kdf != CKD_NULL)
		return concat_kdf(sp800 != DIGEST_NONE ?
			sp800 :
			digest_by_kdf(params->kdf),
		    sp800 != DIGEST_NONE, secret_span(own),
		    blob_span(&params->aad), want > 0 ? want : secret_len(own),
		    ret);
	if (want > secret_len(own))
		return refuse_len("at most the length of the shared secret",
		    want, why);
	/* A shorter key is the secret's leading bytes (PKCS#11 section 6.3.17).
	 */
	if (want > 0)
		secret_shrink(own, want);
	*ret = TAKE_PTR(own);
	return CVM_OK;
}

int
derive_ecdh(struct token *t, const struct caller *c, struct object *base,
    const struct mech_params *params, size_t want, struct secret **ret,
    struct why *reterr_why)
{
	quiet_openssl();
	_cleanup_(pkey_freep) EVP_PKEY *ours = NULL;
	_cleanup_(pkey_freep) EVP_PKEY *theirs = NULL;
	struct secret *z = NULL;
	const struct curve *curve;
	int err = object_private_key(t, base, c->permit, &ours, reterr_why);

	if (err != CVM_OK)
		return err;
	curve = curve_of(ours);
	err = curve == NULL ? CVM_E_DOMAIN_PARAMS :
			      ec_peer(curve, blob_span(&params->iv), &theirs);
	if (err == CVM_OK)
		err = agree(ours, theirs, &z);
	if (err != CVM_OK)
		return check_peer(err, params->iv.len, reterr_why);
	return shape(z, params, want, ret, reterr_why);
}

/* What a derived key inherits from its base (PKCS#11 section 4.10). */
static int
inherit(const struct object *base, struct attrs *a)
{
	bool sensitive = object_bool(base, CKA_ALWAYS_SENSITIVE) &&
	    attrs_bool(a, CKA_SENSITIVE, true);
	bool kept = object_bool(base, CKA_NEVER_EXTRACTABLE) &&
	    !attrs_bool(a, CKA_EXTRACTABLE, false);
	int err = attrs_set_bool(a, CKA_ALWAYS_SENSITIVE, sensitive);

	if (err == CVM_OK)
		err = attrs_set_ulong(a, CKA_CVM_ORIGIN, CVM_ORIGIN_DERIVED);
	return err == CVM_OK ? attrs_set_bool(a, CKA_NEVER_EXTRACTABLE, kept) :
			       err;
}

/* A secret key, or what the mechanism says. */
static int
read_use(const struct mech *m, const CK_ATTRIBUTE *templ, CK_ULONG n,
    struct template_use *use, struct why *why)
{
	int err;

	use->class = m->ops->data ? CKO_DATA : CKO_SECRET_KEY;
	use->key_type = CK_UNAVAILABLE_INFORMATION;
	if (m->ops->data)
		return CVM_OK;
	err = template_ulong(templ, n, CKA_KEY_TYPE, &use->key_type, why);
	if (err == CVM_E_NOT_FOUND)
		return template_refuse(why, CVM_E_TEMPLATE_INCOMPLETE,
		    CKA_KEY_TYPE, "a value", "none");
	if (err != CVM_OK)
		return err;
	return secret_is_known(use->key_type) ?
	    CVM_OK :
	    template_refuse(why, CVM_E_ATTR_VALUE, CKA_KEY_TYPE,
		"a kind of secret key that is known here", "another");
}

static int
check_mech(struct token *t, const CK_MECHANISM *mech, const struct object *base,
    const struct mech **ret, struct mech_params *ret_params, struct why *why)
{
	const struct mech *m = mech_find(token_config(t), mech->mechanism);
	int err;

	if (m == NULL || m->ops->derive == NULL)
		return why_setf(why, CVM_E_MECH_INVALID, "mechanism", "type",
		    "one of the token that derives", "0x%lx", mech->mechanism);
	err = mech_check_key(token_config(t), m, CKF_DERIVE, base, why);
	if (err != CVM_OK)
		return err;
	*ret = m;
	return mech_params_read(mech, m, /* bound= */ false, ret_params, why);
}

/*
 * A key that is the salt is used as the base key is: for derivation, by
 * mechanisms that it allows, for keys that are as its template wants them. No
 * admission names it, so that one which wants its own is none.
 */
static int
check_salt(struct token *t, const struct caller *c, const struct mech *m,
    const struct mech_params *params, const struct template_use *use,
    struct attrs *a, struct object **ret, struct why *why)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	int err;

	if (params->salt_type != CKF_HKDF_SALT_KEY)
		return CVM_OK;
	err = token_object(t, c, params->salt_key, &o);
	if (err != CVM_OK && err != CVM_E_NOT_FOUND)
		return err;
	if (err != CVM_OK || object_bool(o, CKA_CVM_BIND_OPERATION) ||
	    mech_check_key(token_config(t), m, CKF_DERIVE, o, why) != CVM_OK)
		return mech_refuse(why, CVM_E_MECH_PARAM, m, "hSaltKey",
		    "a secret key that the mechanism may derive from",
		    "another");
	err = nested_apply(o, CKA_DERIVE_TEMPLATE, use, a, why);
	if (err == CVM_OK)
		*ret = TAKE_PTR(o);
	return err;
}

/* 0: the mechanism says it. */
static int
read_len(const struct template_use *use, const struct attrs *a, CK_ULONG *ret,
    struct why *why)
{
	*ret = attrs_ulong(a, CKA_VALUE_LEN, secret_fixed_len(use->key_type));
	return *ret <= DERIVED_MAX ?
	    CVM_OK :
	    refuse_len("at most 4096 bytes", *ret, why);
}

/* The object of a value: a data object has it as an attribute. */
static int
give_value(const struct template_use *use, const struct object *base,
    struct secret **value, struct newborn *b, struct why *why)
{
	int err = attrs_set_ulong(&b->attrs, CKA_CLASS, use->class);

	if (err != CVM_OK)
		return err;
	if (use->class == CKO_DATA) {
		err = attrs_set(&b->attrs, CKA_VALUE, secret_span(*value));
		return err == CVM_OK ? data_split(b) : err;
	}
	err = inherit(base, &b->attrs);
	return err == CVM_OK ? import_value(value, b, why) : err;
}

int
token_derive(struct token *t, const struct caller *c, const CK_MECHANISM *mech,
    CK_OBJECT_HANDLE base, const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_OBJECT_HANDLE *ret, struct why *reterr_why)
{
	_cleanup_(object_unrefp) struct object *o = NULL, *salt = NULL;
	_cleanup_(newborn_clear) struct newborn b = { 0 };
	_cleanup_(mech_params_clear) struct mech_params params = { 0 };
	_cleanup_(secret_freep) struct secret *value = NULL;
	struct template_use use = { .in = IN_DERIVE, .so = c->so };
	const struct mech *m = NULL;
	CK_ULONG len = 0;
	int err = token_object(t, c, base, &o);

	if (err == CVM_OK)
		err = check_mech(t, mech, o, &m, &params, reterr_why);
	if (err == CVM_OK)
		err = read_use(m, templ, n, &use, reterr_why);
	if (err == CVM_OK)
		err = template_read(&use, templ, n, &b.attrs, reterr_why);
	if (err == CVM_OK)
		err = nested_apply(o, CKA_DERIVE_TEMPLATE, &use, &b.attrs,
		    reterr_why);
	if (err == CVM_OK)
		err = check_salt(t, c, m, &params, &use, &b.attrs, &salt,
		    reterr_why);
	params.salt = salt;
	if (err == CVM_OK)
		err = read_len(&use, &b.attrs, &len, reterr_why);
	if (err == CVM_OK)
		err = m->ops->derive(t, c, o, &params, len, &value, reterr_why);
	if (err == CVM_OK)
		err = give_value(&use, o, &value, &b, reterr_why);
	if (err != CVM_OK)
		return err;
	return objects_publish(t, c, &b, 1, ret, reterr_why);
}
