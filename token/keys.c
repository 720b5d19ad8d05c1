/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <string.h>

#include "token/keys.h"
#include "token/template.h"

#define DEFAULT_ID_LEN 20

static const struct {
	const char *name;
	CK_KEY_TYPE type;
} names[] = {
	{ "RSA", CKK_RSA },
	{ "EC", CKK_EC },
	{ "ED25519", CKK_EC_EDWARDS },
	{ "ED448", CKK_EC_EDWARDS },
	{ "X25519", CKK_EC_MONTGOMERY },
	{ "X448", CKK_EC_MONTGOMERY },
};

CK_KEY_TYPE
key_type_of(const EVP_PKEY *pkey)
{
	for (size_t i = 0; i < NELEMS(names); i++)
		if (EVP_PKEY_is_a(pkey, names[i].name) == 1)
			return names[i].type;
	return param_set_of(pkey) == NULL ? CK_UNAVAILABLE_INFORMATION :
					    param_set_of(pkey)->key_type;
}

static void
encoder_freep(OSSL_ENCODER_CTX **c)
{
	OSSL_ENCODER_CTX_free(*c);
	*c = NULL;
}

static void
decoder_freep(OSSL_DECODER_CTX **c)
{
	OSSL_DECODER_CTX_free(*c);
	*c = NULL;
}

static int
encode_private(const EVP_PKEY *pkey, struct secret **ret)
{
	quiet_openssl();
	_cleanup_(encoder_freep) OSSL_ENCODER_CTX *enc = NULL;
	struct secret *copy;
	uint8_t *der = NULL;
	size_t len = 0;

	enc = OSSL_ENCODER_CTX_new_for_pkey(pkey, EVP_PKEY_KEYPAIR, "DER",
	    "PrivateKeyInfo", /* props= */ NULL);
	if (enc == NULL || OSSL_ENCODER_to_data(enc, &der, &len) != 1)
		return CVM_E_CRYPTO;
	copy = secret_copy(span(der, len));
	OPENSSL_clear_free(der, len);
	if (copy == NULL)
		return CVM_E_NOMEM;
	*ret = copy;
	return CVM_OK;
}

int
key_encode_private(const EVP_PKEY *pkey, struct secret **ret)
{
	int err = pkcs8_encode(pkey, ret);

	return err == CVM_E_UNSUPPORTED ? encode_private(pkey, ret) : err;
}

static int
decode(struct span der, const char *structure, int selection, EVP_PKEY **ret)
{
	quiet_openssl();
	_cleanup_(decoder_freep) OSSL_DECODER_CTX *dec = NULL;
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	const uint8_t *p = der.data;
	size_t left = der.len;

	dec = OSSL_DECODER_CTX_new_for_pkey(&pkey, "DER", structure,
	    /* keytype= */ NULL, selection, crypto_libctx(),
	    /* props= */ NULL);
	if (dec == NULL)
		return CVM_E_CRYPTO;
	if (OSSL_DECODER_from_data(dec, &p, &left) != 1 || pkey == NULL ||
	    left != 0 || key_type_of(pkey) == CK_UNAVAILABLE_INFORMATION)
		return CVM_E_PARSE;
	*ret = TAKE_PTR(pkey);
	return CVM_OK;
}

int
key_decode_private(struct span der, EVP_PKEY **ret)
{
	int err = pkcs8_decode(der, ret);

	return err == CVM_E_UNSUPPORTED ?
	    decode(der, "PrivateKeyInfo", EVP_PKEY_KEYPAIR, ret) :
	    err;
}

int
key_decode_public(struct span spki, EVP_PKEY **ret)
{
	return decode(spki, "SubjectPublicKeyInfo", EVP_PKEY_PUBLIC_KEY, ret);
}

int
key_encode_public(const EVP_PKEY *pkey, struct blob *ret)
{
	quiet_openssl();
	_cleanup_(encoder_freep) OSSL_ENCODER_CTX *enc = NULL;
	uint8_t *der = NULL;
	size_t len = 0;
	int err;

	enc = OSSL_ENCODER_CTX_new_for_pkey(pkey, EVP_PKEY_PUBLIC_KEY, "DER",
	    "SubjectPublicKeyInfo", /* props= */ NULL);
	if (enc == NULL || OSSL_ENCODER_to_data(enc, &der, &len) != 1)
		return CVM_E_CRYPTO;
	err = blob_set(ret, span(der, len));
	OPENSSL_free(der);
	return err;
}

CK_ULONG
key_size(CK_KEY_TYPE key_type, const struct attrs *a)
{
	const struct curve *curve;
	const struct attr *at;

	if (key_type == CKK_RSA) {
		at = attrs_find(a, CKA_MODULUS);
		return at == NULL ? 0 : rsa_bits(blob_span(&at->value));
	}
	if (pqc_is(key_type)) {
		const struct param_set *set = param_set_find(key_type, a);

		return set == NULL ? 0 : set->public_len;
	}
	at = attrs_find(a, CKA_EC_PARAMS);
	if (at == NULL)
		return attrs_ulong(a, CKA_VALUE_LEN, 0);
	curve = curve_find(key_type, blob_span(&at->value));
	return curve == NULL ? 0 : curve->bits;
}

static int
agree(struct attrs *a, CK_ATTRIBUTE_TYPE type, struct span value, int refusal,
    struct why *why)
{
	const struct attr *have = attrs_find(a, type);

	if (have == NULL || have->value.len == 0)
		return attrs_set(a, type, value);
	if (span_equal(blob_span(&have->value), value))
		return CVM_OK;
	return template_refuse(why, refusal, type,
	    "the value of the key or certificate itself", "another");
}

int
attr_agree(struct attrs *a, CK_ATTRIBUTE_TYPE type, struct span value,
    struct why *reterr_why)
{
	return agree(a, type, value, CVM_E_TEMPLATE_INCONSISTENT, reterr_why);
}

int
check_value_agree(struct attrs *a, struct span value, struct why *reterr_why)
{
	const struct attr *have = attrs_find(a, CKA_CHECK_VALUE);

	/* An empty one asks for none. */
	if (have != NULL && have->value.len == 0)
		return CVM_OK;
	return agree(a, CKA_CHECK_VALUE, value, CVM_E_ATTR_VALUE, reterr_why);
}

int
key_default_id(struct attrs *a, struct span spki)
{
	const struct attr *id = attrs_find(a, CKA_ID);
	uint8_t digest[SHA256_LEN];
	int err;

	if (id != NULL && id->value.len > 0)
		return CVM_OK;
	err = hash(HASH_SHA256, spki, digest);
	if (err != CVM_OK)
		return err;
	return attrs_set(a, CKA_ID, span(digest, DEFAULT_ID_LEN));
}

int
key_describe(const EVP_PKEY *pkey, CK_OBJECT_CLASS class, struct attrs *a,
    struct why *reterr_why)
{
	_cleanup_(blob_clear) struct blob spki = { 0 };
	int err = key_encode_public(pkey, &spki);

	if (err == CVM_OK)
		err = attr_agree(a, CKA_PUBLIC_KEY_INFO, blob_span(&spki),
		    reterr_why);
	if (err == CVM_OK)
		err = key_default_id(a, blob_span(&spki));
	if (err != CVM_OK)
		return err;
	if (key_type_of(pkey) == CKK_RSA)
		return rsa_describe(pkey, class, a, reterr_why);
	if (pqc_is(key_type_of(pkey)))
		return pqc_describe(pkey, class, a, reterr_why);
	return ec_describe(pkey, a, reterr_why);
}

int
key_private_value(const EVP_PKEY *pkey, CK_ATTRIBUTE_TYPE type,
    struct secret **ret)
{
	if (key_type_of(pkey) == CKK_RSA)
		return rsa_private_value(pkey, type, ret);
	if (pqc_is(key_type_of(pkey)))
		return pqc_private_value(pkey, type, ret);
	return type == CKA_VALUE ? ec_private_value(pkey, ret) :
				   CVM_E_ATTR_TYPE;
}
