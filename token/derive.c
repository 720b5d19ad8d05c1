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
    const struct mech_params *params, struct object **ret, struct why *why)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	int err;

	if (params->salt_type != CKF_HKDF_SALT_KEY)
		return CVM_OK;
	err = token_object_why(t, c, params->salt_key, &o, why);
	if (err != CVM_OK && err != CVM_E_NOT_FOUND)
		return err;
	if (err != CVM_OK || object_bool(o, CKA_CVM_BIND_OPERATION) ||
	    mech_check_key(token_config(t), m, CKF_DERIVE, o, why) != CVM_OK)
		return mech_refuse(why, CVM_E_MECH_PARAM, m, "hSaltKey",
		    "a secret key that the mechanism may derive from",
		    "another");
	*ret = TAKE_PTR(o);
	return CVM_OK;
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

/* What is derived at once: first the key of the call, then the parameter's. */
struct derivation {
	struct token *t;
	const struct caller *c;
	const struct mech *m;
	struct object *base, *salt;
	struct mech_params params;
	struct template_use use[KDF_MORE_MAX + 1];
	struct newborn born[KDF_MORE_MAX + 1];
};

static void
derivation_clear(struct derivation *d)
{
	for (size_t i = 0; i <= KDF_MORE_MAX; i++)
		newborn_clear(&d->born[i]);
	mech_params_clear(&d->params);
	object_unrefp(&d->salt);
	object_unrefp(&d->base);
}

/* PKCS#11 section 6.42.9. */
static int
open_as_base(const struct object *base, struct attrs *a)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_SENSITIVE,
		CKA_EXTRACTABLE };
	int err = CVM_OK;

	for (size_t i = 0; i < 2 && err == CVM_OK; i++)
		if (attrs_find(a, types[i]) == NULL)
			err = attrs_set_bool(a, types[i],
			    object_bool(base, types[i]));
	return err;
}

static int
read_child(struct derivation *d, size_t i, const CK_ATTRIBUTE *templ,
    CK_ULONG n, CK_ULONG *ret_len, struct why *why)
{
	struct template_use *use = &d->use[i];
	struct attrs *a = &d->born[i].attrs;
	int err;

	use->in = IN_DERIVE;
	use->so = d->c->so;
	err = read_use(d->m, templ, n, use, why);
	if (err == CVM_OK)
		err = template_read(use, templ, n, a, why);
	if (err == CVM_OK)
		err = nested_apply(d->base, CKA_DERIVE_TEMPLATE, use, a, why);
	if (err == CVM_OK && d->salt != NULL)
		err = nested_apply(d->salt, CKA_DERIVE_TEMPLATE, use, a, why);
	if (err == CVM_OK && d->m->ops->as_base)
		err = open_as_base(d->base, a);
	return err == CVM_OK ? read_len(use, a, ret_len, why) : err;
}

/* Tells whose template it was (PKCS#11 section 6.42.8), if it was one's. */
static int
blame(const struct kdf_key *k, int err)
{
	static const int not_its[] = { CVM_OK, CVM_E_NOMEM, CVM_E_INTERNAL,
		CVM_E_CRYPTO, CVM_E_PERMIT };

	for (size_t i = 0; i < NELEMS(not_its); i++)
		if (err == not_its[i])
			return err;
	*k->ret = CK_INVALID_HANDLE;
	return err;
}

static int
read_more(struct derivation *d, size_t i, struct why *why)
{
	struct kdf_key *k = &d->params.more[i];
	CK_ULONG len = 0;
	int err = read_child(d, i + 1, k->templ, k->n, &len, why);

	if (err != CVM_OK)
		return err;
	if (len == 0)
		return template_refuse(why, CVM_E_TEMPLATE_INCOMPLETE,
		    CKA_VALUE_LEN, "the length to derive", "none");
	k->len = len;
	return CVM_OK;
}

static int
bear(struct derivation *d, size_t i, struct secret **value, struct why *why)
{
	int err = give_value(&d->use[i], d->base, value, &d->born[i], why);

	return err == CVM_OK ? newborn_check(d->t, d->c, &d->born[i], why) :
			       err;
}

/* Each key has its part of value; len is of the first. */
static int
share(struct derivation *d, struct secret **value, size_t len, struct why *why)
{
	size_t at = len;

	for (size_t i = 0; i < d->params.n_more; i++) {
		const struct kdf_key *k = &d->params.more[i];
		_cleanup_(secret_freep) struct secret *part = secret_copy(
		    span(&secret_data(*value)[at], k->len));
		int err = part == NULL ? CVM_E_NOMEM :
					 blame(k, bear(d, i + 1, &part, why));

		if (err != CVM_OK)
			return err;
		at += k->len;
	}
	if (d->params.n_more > 0)
		secret_shrink(*value, len);
	return bear(d, 0, value, why);
}

static int
publish(struct derivation *d, CK_OBJECT_HANDLE *ret, struct why *why)
{
	CK_OBJECT_HANDLE handles[KDF_MORE_MAX + 1];
	size_t n = d->params.n_more;
	int err = objects_publish(d->t, d->c, d->born, n + 1, handles, why);

	if (err != CVM_OK)
		return err;
	*ret = handles[0];
	for (size_t i = 0; i < n; i++)
		*d->params.more[i].ret = handles[i + 1];
	return CVM_OK;
}

int
token_derive(struct token *t, const struct caller *c, const CK_MECHANISM *mech,
    CK_OBJECT_HANDLE base, const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_OBJECT_HANDLE *ret, struct why *reterr_why)
{
	_cleanup_(derivation_clear) struct derivation d = { .t = t, .c = c };
	_cleanup_(secret_freep) struct secret *value = NULL;
	CK_ULONG len = 0;
	int err = token_object_why(t, c, base, &d.base, reterr_why);

	if (err == CVM_OK)
		err = check_mech(t, mech, d.base, &d.m, &d.params, reterr_why);
	if (err == CVM_OK)
		err = check_salt(t, c, d.m, &d.params, &d.salt, reterr_why);
	d.params.salt = d.salt;
	if (err == CVM_OK)
		err = read_child(&d, 0, templ, n, &len, reterr_why);
	for (size_t i = 0; i < d.params.n_more && err == CVM_OK; i++)
		err = blame(&d.params.more[i], read_more(&d, i, reterr_why));
	if (err == CVM_OK)
		err = d.m->ops->derive(t, c, d.base, &d.params, len, &value,
		    reterr_why);
	if (err == CVM_OK)
		err = share(&d, &value, len, reterr_why);
	return err == CVM_OK ? publish(&d, ret, reterr_why) : err;
}
