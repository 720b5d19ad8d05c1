/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <string.h>

#include "token/keys.h"
#include "token/template.h"

/*
 * ML-DSA (FIPS 204), ML-KEM (FIPS 203) and SLH-DSA (FIPS 205), of which
 * OpenSSL has keys from 3.5 on. A key is its parameter set and bytes.
 */
#define SEED_PARAM "seed"

#define SET(type, set, name, oid, pub, priv, out)                              \
	{                                                                      \
		CKK_##type, CKP_##type##_##set, name,                          \
		    "2.16.840.1.101.3.4." oid, pub, priv, out                  \
	}

/* clang-format off */
static const struct param_set sets[] = {
	SET(ML_DSA, 44, "ML-DSA-44", "3.17", 1312, 2560, 2420),
	SET(ML_DSA, 65, "ML-DSA-65", "3.18", 1952, 4032, 3309),
	SET(ML_DSA, 87, "ML-DSA-87", "3.19", 2592, 4896, 4627),
	SET(ML_KEM, 512, "ML-KEM-512", "4.1", 800, 1632, 768),
	SET(ML_KEM, 768, "ML-KEM-768", "4.2", 1184, 2400, 1088),
	SET(ML_KEM, 1024, "ML-KEM-1024", "4.3", 1568, 3168, 1568),
	SET(SLH_DSA, SHA2_128S, "SLH-DSA-SHA2-128s", "3.20", 32, 64, 7856),
	SET(SLH_DSA, SHA2_128F, "SLH-DSA-SHA2-128f", "3.21", 32, 64, 17088),
	SET(SLH_DSA, SHA2_192S, "SLH-DSA-SHA2-192s", "3.22", 48, 96, 16224),
	SET(SLH_DSA, SHA2_192F, "SLH-DSA-SHA2-192f", "3.23", 48, 96, 35664),
	SET(SLH_DSA, SHA2_256S, "SLH-DSA-SHA2-256s", "3.24", 64, 128, 29792),
	SET(SLH_DSA, SHA2_256F, "SLH-DSA-SHA2-256f", "3.25", 64, 128, 49856),
	SET(SLH_DSA, SHAKE_128S, "SLH-DSA-SHAKE-128s", "3.26", 32, 64, 7856),
	SET(SLH_DSA, SHAKE_128F, "SLH-DSA-SHAKE-128f", "3.27", 32, 64, 17088),
	SET(SLH_DSA, SHAKE_192S, "SLH-DSA-SHAKE-192s", "3.28", 48, 96, 16224),
	SET(SLH_DSA, SHAKE_192F, "SLH-DSA-SHAKE-192f", "3.29", 48, 96, 35664),
	SET(SLH_DSA, SHAKE_256S, "SLH-DSA-SHAKE-256s", "3.30", 64, 128, 29792),
	SET(SLH_DSA, SHAKE_256F, "SLH-DSA-SHAKE-256f", "3.31", 64, 128, 49856),
};
/* clang-format on */

bool
pqc_is(CK_KEY_TYPE key_type)
{
	return key_type == CKK_ML_DSA || key_type == CKK_ML_KEM ||
	    key_type == CKK_SLH_DSA;
}

const struct param_set *
param_set_find(CK_KEY_TYPE key_type, const struct attrs *a)
{
	CK_ULONG set = attrs_ulong(a, CKA_PARAMETER_SET, 0);

	for (size_t i = 0; i < NELEMS(sets); i++)
		if (sets[i].key_type == key_type && sets[i].set == set)
			return &sets[i];
	return NULL;
}

const struct param_set *
param_set_of(const EVP_PKEY *pkey)
{
	for (size_t i = 0; i < NELEMS(sets); i++)
		if (EVP_PKEY_is_a(pkey, sets[i].name) == 1)
			return &sets[i];
	return NULL;
}

static int
refuse_set(struct why *why)
{
	return template_refuse(why, CVM_E_PARAMETER_SET, CKA_PARAMETER_SET,
	    "a parameter set of the key type", "another");
}

int
pqc_describe(const EVP_PKEY *pkey, CK_OBJECT_CLASS class, struct attrs *a,
    struct why *reterr_why)
{
	quiet_openssl();
	_cleanup_(blob_clear) struct blob pub = { 0 };
	const struct param_set *set = param_set_of(pkey);
	const struct attr *have = attrs_find(a, CKA_PARAMETER_SET);
	size_t len = 0;
	int err;

	if (set == NULL)
		return CVM_E_KEY_TYPE;
	if (have != NULL && attrs_ulong(a, CKA_PARAMETER_SET, 0) != set->set)
		return template_refuse(reterr_why, CVM_E_TEMPLATE_INCONSISTENT,
		    CKA_PARAMETER_SET, "the key's own", "another");
	err = attrs_set_ulong(a, CKA_PARAMETER_SET, set->set);
	if (err != CVM_OK || class != CKO_PUBLIC_KEY)
		return err;
	pub.data = calloc(1, set->public_len);
	if (pub.data == NULL)
		return CVM_E_NOMEM;
	if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY,
		pub.data, set->public_len, &len) != 1 ||
	    len != set->public_len)
		return CVM_E_CRYPTO;
	pub.len = len;
	return attr_agree(a, CKA_VALUE, blob_span(&pub), reterr_why);
}

int
pqc_private_value(const EVP_PKEY *pkey, CK_ATTRIBUTE_TYPE type,
    struct secret **ret)
{
	quiet_openssl();
	const char *name = type == CKA_SEED ? SEED_PARAM :
					      OSSL_PKEY_PARAM_PRIV_KEY;
	_cleanup_(secret_freep) struct secret *s = NULL;
	size_t len = 0;

	/* A key that came without a seed has none. */
	if (EVP_PKEY_get_octet_string_param(pkey, name, NULL, 0, &len) != 1 ||
	    len == 0)
		return CVM_E_NOT_FOUND;
	s = secret_new(len);
	if (s == NULL)
		return CVM_E_NOMEM;
	if (EVP_PKEY_get_octet_string_param(pkey, name, secret_data(s), len,
		&len) != 1)
		return CVM_E_CRYPTO;
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

static OSSL_PARAM
bytes_param(const char *name, struct span s)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} u = { .in = s.data };

	return OSSL_PARAM_construct_octet_string(name, u.out, s.len);
}

static int
from_params(const struct param_set *set, int selection, OSSL_PARAM *params,
    EVP_PKEY **ret)
{
	_cleanup_(pkey_ctx_freep)
	    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_libctx(),
		set->oid, /* props= */ NULL);

	if (ctx == NULL)
		return CVM_E_PARAMETER_SET;
	if (EVP_PKEY_fromdata_init(ctx) != 1)
		return CVM_E_CRYPTO;
	return EVP_PKEY_fromdata(ctx, ret, selection, params) == 1 ?
	    CVM_OK :
	    CVM_E_ATTR_VALUE;
}

int
pqc_from_public(CK_KEY_TYPE key_type, const struct attrs *a, EVP_PKEY **ret,
    struct why *reterr_why)
{
	quiet_openssl();
	const struct attr *value = attrs_find(a, CKA_VALUE);
	struct span v = value == NULL ? span("", 0) : blob_span(&value->value);
	const struct param_set *set = param_set_find(key_type, a);
	OSSL_PARAM params[] = {
		bytes_param(OSSL_PKEY_PARAM_PUB_KEY, v),
		OSSL_PARAM_construct_end(),
	};
	int err;

	if (set == NULL)
		return refuse_set(reterr_why);
	err = v.len == set->public_len ?
	    from_params(set, EVP_PKEY_PUBLIC_KEY, params, ret) :
	    CVM_E_ATTR_VALUE;
	if (err == CVM_E_ATTR_VALUE)
		return template_refuse(reterr_why, err, CKA_VALUE,
		    "a public key of the parameter set", "another value");
	return err;
}

int
pqc_from_private(CK_KEY_TYPE key_type, const struct attrs *a, struct span value,
    struct span seed, EVP_PKEY **ret, struct why *reterr_why)
{
	quiet_openssl();
	const struct param_set *set = param_set_find(key_type, a);
	OSSL_PARAM params[3];
	size_t n = 0;
	int err;

	if (set == NULL)
		return refuse_set(reterr_why);
	if (value.len == 0 && seed.len == 0)
		return template_refuse(reterr_why, CVM_E_TEMPLATE_INCOMPLETE,
		    CKA_VALUE, "the value or the seed", "none");
	if (value.len > 0)
		params[n++] = bytes_param(OSSL_PKEY_PARAM_PRIV_KEY, value);
	if (seed.len > 0)
		params[n++] = bytes_param(SEED_PARAM, seed);
	params[n] = OSSL_PARAM_construct_end();
	err = value.len == 0 || value.len == set->private_len ?
	    from_params(set, EVP_PKEY_KEYPAIR, params, ret) :
	    CVM_E_ATTR_VALUE;
	if (err == CVM_E_ATTR_VALUE)
		return template_refuse(reterr_why, err, CKA_VALUE,
		    "a private key of the parameter set", "another value");
	return err;
}

int
pqc_generate(const struct param_set *set, EVP_PKEY **ret)
{
	quiet_openssl();
	_cleanup_(pkey_ctx_freep)
	    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_libctx(),
		set->oid, /* props= */ NULL);

	if (ctx == NULL)
		return CVM_E_PARAMETER_SET;
	if (EVP_PKEY_keygen_init(ctx) != 1)
		return CVM_E_CRYPTO;
	return EVP_PKEY_generate(ctx, ret) == 1 ? CVM_OK : CVM_E_CRYPTO;
}
