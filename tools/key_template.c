/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

#include "base/crypto.h"
#include "base/openssl.h"
#include "tools/key_template.h"

void
key_template_clear(struct key_template *t)
{
	secret_freep(&t->bytes);
	memset(t, 0, sizeof(*t));
}

int
key_template_add(struct key_template *t, CK_ATTRIBUTE_TYPE type,
    struct span value)
{
	uint8_t *at;

	if (t->bytes == NULL &&
	    (t->bytes = secret_new(KEY_TEMPLATE_BYTES)) == NULL)
		return CVM_E_NOMEM;
	if (t->n == KEY_TEMPLATE_ATTRS || t->used > KEY_TEMPLATE_BYTES ||
	    value.len > KEY_TEMPLATE_BYTES - t->used)
		return CVM_E_KEY_SIZE;
	at = secret_data(t->bytes) + t->used;
	if (value.len > 0)
		memcpy(at, value.data, value.len);
	t->a[t->n++] = (CK_ATTRIBUTE){ type, at, value.len };
	/* CK_ULONGs stand where CK_ULONGs may stand. */
	t->used += (value.len + sizeof(CK_ULONG) - 1) & ~(sizeof(CK_ULONG) - 1);
	return CVM_OK;
}

static int
add_ulong(struct key_template *t, CK_ATTRIBUTE_TYPE type, CK_ULONG v)
{
	return key_template_add(t, type, span(&v, sizeof(v)));
}

static int
add_bn(struct key_template *t, CK_ATTRIBUTE_TYPE type, EVP_PKEY *key,
    const char *param)
{
	uint8_t buf[1024];
	BIGNUM *bn = NULL;
	int r = CVM_E_KEY_TYPE;

	if (EVP_PKEY_get_bn_param(key, param, &bn) == 1 &&
	    BN_num_bytes(bn) <= (int)sizeof(buf)) {
		(void)BN_bn2bin(bn, buf);
		r = key_template_add(t, type,
		    span(buf, (size_t)BN_num_bytes(bn)));
	}
	BN_clear_free(bn);
	secret_wipe(buf, sizeof(buf));
	return r;
}

struct bn_row {
	CK_ATTRIBUTE_TYPE type;
	const char *param;
};

static int
add_bns(struct key_template *t, EVP_PKEY *key, const struct bn_row *rows,
    size_t n)
{
	int r;

	for (size_t i = 0; i < n; i++)
		if ((r = add_bn(t, rows[i].type, key, rows[i].param)) != CVM_OK)
			return r;
	return CVM_OK;
}

/* CKA_EC_PARAMS: the named curve's OID, DER (PKCS#11 2.40, 2.3.3). */
static int
add_curve(struct key_template *t, EVP_PKEY *key)
{
	char name[64];
	unsigned char *der = NULL;
	ASN1_OBJECT *oid;
	int r = CVM_E_KEY_TYPE, len;

	if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME,
		name, sizeof(name), NULL) != 1 ||
	    (oid = OBJ_txt2obj(name, 0)) == NULL)
		return r;
	if ((len = i2d_ASN1_OBJECT(oid, &der)) > 0)
		r = key_template_add(t, CKA_EC_PARAMS, span(der, (size_t)len));
	OPENSSL_free(der);
	ASN1_OBJECT_free(oid);
	return r;
}

/* CKA_EC_POINT: the point as a DER OCTET STRING. */
static int
add_point(struct key_template *t, EVP_PKEY *key)
{
	ASN1_OCTET_STRING *os = ASN1_OCTET_STRING_new();
	unsigned char point[256], *der = NULL;
	int r = CVM_E_KEY_TYPE, len;
	size_t n = 0;

	if (os != NULL &&
	    EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
		sizeof(point), &n) == 1 &&
	    ASN1_OCTET_STRING_set(os, point, (int)n) == 1 &&
	    (len = i2d_ASN1_OCTET_STRING(os, &der)) > 0)
		r = key_template_add(t, CKA_EC_POINT, span(der, (size_t)len));
	OPENSSL_free(der);
	ASN1_OCTET_STRING_free(os);
	return r;
}

static int
begin(struct key_template *t, CK_OBJECT_CLASS class, CK_KEY_TYPE type)
{
	CK_BBOOL yes = CK_TRUE;
	int r;

	if ((r = add_ulong(t, CKA_CLASS, class)) != CVM_OK ||
	    (r = add_ulong(t, CKA_KEY_TYPE, type)) != CVM_OK)
		return r;
	return key_template_add(t, CKA_TOKEN, span(&yes, sizeof(yes)));
}

static int
rsa_template(EVP_PKEY *key, bool private, struct key_template *t)
{
	static const struct bn_row rows[] = {
		{ CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N },
		{ CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E },
		{ CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D },
		{ CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1 },
		{ CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2 },
		{ CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1 },
		{ CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2 },
		{ CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
	};

	return add_bns(t, key, rows, private ? NELEMS(rows) : 2);
}

static int
ec_template(EVP_PKEY *key, bool private, struct key_template *t)
{
	int r;

	if ((r = add_curve(t, key)) != CVM_OK)
		return r;
	return private ? add_bn(t, CKA_VALUE, key, OSSL_PKEY_PARAM_PRIV_KEY) :
			 add_point(t, key);
}

static int
build(EVP_PKEY *key, bool private, struct key_template *ret)
{
	struct key_template t = { .n = 0 };
	bool rsa = EVP_PKEY_is_a(key, "RSA") == 1;
	int r;

	if (!rsa && EVP_PKEY_is_a(key, "EC") != 1)
		return CVM_E_KEY_TYPE;
	r = begin(&t, private ? CKO_PRIVATE_KEY : CKO_PUBLIC_KEY,
	    rsa ? CKK_RSA : CKK_EC);
	if (r == CVM_OK)
		r = rsa ? rsa_template(key, private, &t) :
			  ec_template(key, private, &t);
	if (r != CVM_OK) {
		key_template_clear(&t);
		return r;
	}
	*ret = t;
	return CVM_OK;
}

/* A key with more primes than two would lose some on the way. */
static bool
has_two_primes(EVP_PKEY *key)
{
	BIGNUM *third = NULL;
	bool has = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR3,
		       &third) == 1;

	BN_clear_free(third);
	return !has;
}

/* PKCS#11 names curves; points go as they are written there. */
static bool
is_on_named_curve(EVP_PKEY *key)
{
	char name[64];

	return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME,
		   name, sizeof(name), NULL) == 1 &&
	    EVP_PKEY_set_utf8_string_param(key,
		OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
		"uncompressed") == 1;
}

static bool
is_pair(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(), key,
	    NULL);
	bool ok = ctx != NULL && EVP_PKEY_pairwise_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

int
key_template_check(EVP_PKEY *key, const char *name, struct why *reterr_why)
{
	quiet_openssl();
	bool rsa = EVP_PKEY_is_a(key, "RSA") == 1;
	const char *type = EVP_PKEY_get0_type_name(key);

	if (!rsa && EVP_PKEY_is_a(key, "EC") != 1)
		return why_set(reterr_why, CVM_E_KEY_TYPE, name, "key type",
		    "RSA or EC", type != NULL ? type : "another");
	if (rsa && !has_two_primes(key))
		return why_set(reterr_why, CVM_E_KEY_TYPE, name, "RSA primes",
		    "two", "more");
	if (!rsa && !is_on_named_curve(key))
		return why_set(reterr_why, CVM_E_KEY_TYPE, name, "EC curve",
		    "one with a name", "explicit parameters");
	if (!is_pair(key))
		return why_set(reterr_why, CVM_E_KEY_TYPE, name, "public key",
		    "the one of the private key", "another");
	return CVM_OK;
}

int
key_template_cert(X509 *cert, struct key_template *ret)
{
	struct key_template t = { .n = 0 };
	CK_BBOOL yes = CK_TRUE;
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der), r;

	if (len <= 0)
		return CVM_E_CRYPTO;
	if ((r = add_ulong(&t, CKA_CLASS, CKO_CERTIFICATE)) == CVM_OK &&
	    (r = add_ulong(&t, CKA_CERTIFICATE_TYPE, CKC_X_509)) == CVM_OK &&
	    (r = key_template_add(&t, CKA_TOKEN, span(&yes, sizeof(yes)))) ==
		CVM_OK)
		r = key_template_add(&t, CKA_VALUE, span(der, (size_t)len));
	OPENSSL_free(der);
	if (r != CVM_OK)
		key_template_clear(&t);
	else
		*ret = t;
	return r;
}

int
key_template_private(EVP_PKEY *key, struct key_template *ret)
{
	return build(key, true, ret);
}

int
key_template_public(EVP_PKEY *key, struct key_template *ret)
{
	return build(key, false, ret);
}
