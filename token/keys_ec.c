/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <string.h>

#include "base/reader.h"
#include "token/keys.h"
#include "token/template.h"

#define DER_OID 0x06
#define DER_PRINTABLE 0x13
#define DER_OCTETS 0x04
#define PRIVATE_MAX 66

#define OID(...)                                                               \
	{                                                                      \
		(const uint8_t[]){ __VA_ARGS__ },                              \
		    sizeof((const uint8_t[]){ __VA_ARGS__ })                   \
	}

#define NO_OID                                                                 \
	{                                                                      \
		NULL, 0                                                        \
	}

/* clang-format off */
static const struct curve curves[] = {
	{ "P-256", NAME_EC, CKK_EC, 256, 32, 65,
	    OID(0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7), NO_OID,
	    { "secp256r1", "prime256v1" } },
	{ "P-384", NAME_EC, CKK_EC, 384, 48, 97,
	    OID(0x06, 5, 0x2b, 0x81, 4, 0, 34), NO_OID,
	    { "secp384r1", NULL } },
	{ "P-521", NAME_EC, CKK_EC, 521, 66, 133,
	    OID(0x06, 5, 0x2b, 0x81, 4, 0, 35), NO_OID,
	    { "secp521r1", NULL } },
	{ "secp256k1", NAME_EC, CKK_EC, 256, 32, 65,
	    OID(0x06, 5, 0x2b, 0x81, 4, 0, 10), NO_OID,
	    { "secp256k1", NULL } },
	{ "ED25519", "1.3.101.112", CKK_EC_EDWARDS, 255, 32, 32,
	    OID(0x06, 3, 0x2b, 101, 112),
	    OID(0x06, 9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 15, 1),
	    { "edwards25519", "Ed25519" } },
	{ "ED448", "1.3.101.113", CKK_EC_EDWARDS, 448, 57, 57,
	    OID(0x06, 3, 0x2b, 101, 113), NO_OID,
	    { "edwards448", "Ed448" } },
	{ "X25519", "1.3.101.110", CKK_EC_MONTGOMERY, 255, 32, 32,
	    OID(0x06, 3, 0x2b, 101, 110),
	    OID(0x06, 10, 0x2b, 6, 1, 4, 1, 0x97, 0x55, 1, 5, 1),
	    { "curve25519", "X25519" } },
	{ "X448", "1.3.101.111", CKK_EC_MONTGOMERY, 448, 56, 56,
	    OID(0x06, 3, 0x2b, 101, 111), NO_OID, { "curve448", "X448" } },
};
/* clang-format on */

/* PrintableString with exactly this word. */
static bool
is_word(struct span params, const char *word)
{
	struct reader r = reader_init(params);
	struct span text;
	size_t len;

	if (word == NULL || read_u8(&r) != DER_PRINTABLE)
		return false;
	len = read_u8(&r);
	text = read_span(&r, len);
	return len == strlen(word) && reader_end(&r) == CVM_OK &&
	    memcmp(text.data, word, len) == 0;
}

int
curve_missing(struct span ec_params)
{
	struct reader r = reader_init(ec_params);
	uint8_t type = read_u8(&r);
	size_t len = read_u8(&r);

	(void)read_span(&r, len);
	return len > 0 && reader_end(&r) == CVM_OK &&
		(type == DER_OID || type == DER_PRINTABLE) ?
	    CVM_E_CURVE :
	    CVM_E_DOMAIN_PARAMS;
}

static bool
names(const struct curve *c, struct span params)
{
	return span_equal(c->oid, params) ||
	    (c->old_oid.len > 0 && span_equal(c->old_oid, params)) ||
	    is_word(params, c->words[0]) || is_word(params, c->words[1]);
}

const struct curve *
curve_find(CK_KEY_TYPE key_type, struct span ec_params)
{
	for (size_t i = 0; i < NELEMS(curves); i++)
		if (curves[i].key_type == key_type &&
		    names(&curves[i], ec_params))
			return &curves[i];
	return NULL;
}

const struct curve *
curve_of(const EVP_PKEY *pkey)
{
	char group[64] = "";
	size_t len;
	int nid;

	if (EVP_PKEY_is_a(pkey, "EC") != 1) {
		for (size_t i = 0; i < NELEMS(curves); i++)
			if (curves[i].key_type != CKK_EC &&
			    EVP_PKEY_is_a(pkey, curves[i].name) == 1)
				return &curves[i];
		return NULL;
	}
	if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) != 1)
		return NULL;
	nid = OBJ_txt2nid(group);
	for (size_t i = 0; i < NELEMS(curves); i++) {
		int have = EC_curve_nist2nid(curves[i].name);

		if (have == NID_undef)
			have = OBJ_txt2nid(curves[i].name);
		if (curves[i].key_type == CKK_EC && nid != NID_undef &&
		    nid == have)
			return &curves[i];
	}
	return NULL;
}

static int
refuse_params(struct why *why, int err)
{
	return template_refuse(why, err, CKA_EC_PARAMS,
	    "a named curve that is known here", "another");
}

static int
find_params(CK_KEY_TYPE key_type, const struct attrs *a,
    const struct curve **ret, struct why *why)
{
	const struct attr *at = attrs_find(a, CKA_EC_PARAMS);
	struct span params = at == NULL ? span("", 0) : blob_span(&at->value);

	*ret = curve_find(key_type, params);
	return *ret != NULL ? CVM_OK :
			      refuse_params(why, curve_missing(params));
}

int
ec_point(const EVP_PKEY *pkey, const struct curve *c,
    uint8_t out[static POINT_MAX])
{
	quiet_openssl();
	size_t len = 0;

	if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, out,
		POINT_MAX, &len) != 1)
		return CVM_E_CRYPTO;
	/* A compressed point is not how an EVP_PKEY made here looks. */
	return len == c->public_len ? CVM_OK : CVM_E_UNSUPPORTED;
}

/* CKA_EC_POINT: a DER OCTET STRING of the point. */
static int
encode_point(struct span raw, struct blob *ret)
{
	_cleanup_(writer_clear) struct writer w = { 0 };

	write_u8(&w, DER_OCTETS);
	if (raw.len >= 0x80)
		write_u8(&w, 0x81);
	write_u8(&w, (uint8_t)raw.len);
	write_bytes(&w, raw);
	return writer_end(&w, ret);
}

/*
 * Some applications give the raw point, though the standard asks for the
 * OCTET STRING. Both are told apart by their length, which the curve fixes.
 */
static struct span
decode_point(const struct curve *c, struct span point)
{
	struct reader r = reader_init(point);
	struct span raw;

	if (point.len == c->public_len)
		return point;
	if (read_u8(&r) != DER_OCTETS)
		return span(NULL, 0);
	if (c->public_len >= 0x80 && read_u8(&r) != 0x81)
		return span(NULL, 0);
	raw = read_span(&r, read_u8(&r));
	if (reader_end(&r) != CVM_OK || raw.len != c->public_len)
		return span(NULL, 0);
	return raw;
}

static int
agree_params(const struct curve *c, struct attrs *a, struct why *why)
{
	const struct attr *have = attrs_find(a, CKA_EC_PARAMS);

	if (have == NULL || have->value.len == 0)
		return attrs_set(a, CKA_EC_PARAMS, c->oid);
	return curve_find(c->key_type, blob_span(&have->value)) == c ?
	    CVM_OK :
	    refuse_params(why, CVM_E_TEMPLATE_INCONSISTENT);
}

static int
agree_point(const struct curve *c, struct span raw, struct attrs *a,
    struct why *why)
{
	_cleanup_(blob_clear) struct blob point = { 0 };
	const struct attr *have = attrs_find(a, CKA_EC_POINT);
	int err;

	if (have != NULL && have->value.len > 0 &&
	    !span_equal(decode_point(c, blob_span(&have->value)), raw))
		return template_refuse(why, CVM_E_TEMPLATE_INCONSISTENT,
		    CKA_EC_POINT, "the key's own point", "another");
	err = encode_point(raw, &point);
	if (err != CVM_OK)
		return err;
	return attrs_set(a, CKA_EC_POINT, blob_span(&point));
}

int
ec_describe(const EVP_PKEY *pkey, struct attrs *a, struct why *reterr_why)
{
	quiet_openssl();
	const struct curve *c = curve_of(pkey);
	uint8_t raw[POINT_MAX];
	int err;

	if (c == NULL)
		return refuse_params(reterr_why, CVM_E_CURVE);
	err = agree_params(c, a, reterr_why);
	if (err == CVM_OK)
		err = ec_point(pkey, c, raw);
	if (err != CVM_OK)
		return err;
	return agree_point(c, span(raw, c->public_len), a, reterr_why);
}

int
ec_private_value(const EVP_PKEY *pkey, struct secret **ret)
{
	quiet_openssl();
	_cleanup_(secret_freep) struct secret *s = NULL;
	_cleanup_(bn_freep) BIGNUM *d = NULL;
	const struct curve *c = curve_of(pkey);
	size_t len;
	int ok;

	if (c == NULL)
		return CVM_E_CRYPTO;
	s = secret_new(c->private_len);
	if (s == NULL)
		return CVM_E_NOMEM;
	len = c->private_len;
	if (c->key_type == CKK_EC)
		ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY,
			 &d) == 1 &&
		    BN_bn2binpad(d, secret_data(s), (int)len) == (int)len;
	else
		ok = EVP_PKEY_get_raw_private_key(pkey, secret_data(s), &len) ==
			1 &&
		    len == c->private_len;
	if (!ok)
		return CVM_E_CRYPTO;
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

/* OpenSSL's parameters are not const, though these are only read. */
static OSSL_PARAM
text_param(const char *name, const char *text)
{
	union {
		const char *in;
		char *out;
	} u = { .in = text };

	return OSSL_PARAM_construct_utf8_string(name, u.out, 0);
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
from_params(int selection, OSSL_PARAM *params, EVP_PKEY **ret)
{
	_cleanup_(pkey_ctx_freep)
	    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_libctx(),
		NAME_EC,
		/* props= */ NULL);

	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1)
		return CVM_E_CRYPTO;
	return EVP_PKEY_fromdata(ctx, ret, selection, params) == 1 ?
	    CVM_OK :
	    CVM_E_ATTR_VALUE;
}

static int
from_point(const struct curve *c, struct span point, EVP_PKEY **ret)
{
	quiet_openssl();
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *check = NULL;
	struct span raw = decode_point(c, point);
	OSSL_PARAM params[] = {
		text_param(OSSL_PKEY_PARAM_GROUP_NAME, c->name),
		bytes_param(OSSL_PKEY_PARAM_PUB_KEY, raw),
		OSSL_PARAM_construct_end(),
	};
	int err;

	if (raw.len == 0)
		return CVM_E_ATTR_VALUE;
	if (c->key_type != CKK_EC) {
		*ret = EVP_PKEY_new_raw_public_key_ex(crypto_libctx(), c->type,
		    /* props= */ NULL, raw.data, raw.len);
		return *ret != NULL ? CVM_OK : CVM_E_ATTR_VALUE;
	}
	err = from_params(EVP_PKEY_PUBLIC_KEY, params, &pkey);
	if (err != CVM_OK)
		return err;
	/* On the curve, and not the point at infinity. All curves here have
	 * cofactor 1, so that each such point has the right order (SP 800-56A
	 * section 5.6.2.3.4), which is not computed again. */
	check = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(), pkey,
	    /* props= */ NULL);
	if (check == NULL)
		return CVM_E_NOMEM;
	if (EVP_PKEY_public_check_quick(check) != 1)
		return CVM_E_ATTR_VALUE;
	*ret = TAKE_PTR(pkey);
	return CVM_OK;
}

int
ec_peer(const struct curve *curve, struct span point, EVP_PKEY **ret)
{
	return from_point(curve, point, ret);
}

int
ec_from_public(CK_KEY_TYPE key_type, const struct attrs *a, EVP_PKEY **ret,
    struct why *reterr_why)
{
	const struct attr *point = attrs_find(a, CKA_EC_POINT);
	const struct curve *c;
	int err = find_params(key_type, a, &c, reterr_why);

	if (err != CVM_OK)
		return err;
	err = from_point(c,
	    point == NULL ? span(NULL, 0) : blob_span(&point->value), ret);
	if (err == CVM_E_ATTR_VALUE)
		return template_refuse(reterr_why, err, CKA_EC_POINT,
		    "a point of the curve", "another value");
	return err;
}

static void
group_freep(EC_GROUP **g)
{
	EC_GROUP_free(*g);
	*g = NULL;
}

static void
point_freep(EC_POINT **p)
{
	EC_POINT_free(*p);
	*p = NULL;
}

/* The public point, which a PKCS#11 private key need not carry. */
static int
public_of(const struct curve *c, struct span value,
    uint8_t out[static POINT_MAX])
{
	_cleanup_(bn_freep)
	    BIGNUM *d = BN_bin2bn(value.data, (int)value.len, NULL);
	_cleanup_(group_freep) EC_GROUP *g = NULL;
	_cleanup_(point_freep) EC_POINT *p = NULL;
	int nid = EC_curve_nist2nid(c->name);

	if (nid == NID_undef)
		nid = OBJ_txt2nid(c->name);
	g = EC_GROUP_new_by_curve_name_ex(crypto_libctx(), /* props= */ NULL,
	    nid);
	p = g == NULL ? NULL : EC_POINT_new(g);
	if (d == NULL || p == NULL)
		return CVM_E_NOMEM;
	BN_set_flags(d, BN_FLG_CONSTTIME);
	if (BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(g)) >= 0)
		return CVM_E_ATTR_VALUE;
	if (EC_POINT_mul(g, p, d, NULL, NULL, NULL) != 1 ||
	    EC_POINT_point2oct(g, p, POINT_CONVERSION_UNCOMPRESSED, out,
		POINT_MAX, NULL) != c->public_len)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

static int
from_scalar(const struct curve *c, struct span value, EVP_PKEY **ret)
{
	uint8_t point[POINT_MAX], number[PRIVATE_MAX];
	OSSL_PARAM params[4];
	int err;

	if (value.len == 0 || value.len > sizeof(number))
		return CVM_E_ATTR_VALUE;
	err = public_of(c, value, point);
	if (err != CVM_OK)
		return err;
	for (size_t i = 0; i < value.len; i++)
		number[i] = value.data[value.len - 1 - i];
	params[0] = text_param(OSSL_PKEY_PARAM_GROUP_NAME, c->name);
	params[1] = bytes_param(OSSL_PKEY_PARAM_PUB_KEY,
	    span(point, c->public_len));
	params[2] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, number,
	    value.len);
	params[3] = OSSL_PARAM_construct_end();
	err = from_params(EVP_PKEY_KEYPAIR, params, ret);
	secret_wipe(number, sizeof(number));
	return err;
}

int
ec_from_value(const struct curve *c, struct span value, EVP_PKEY **ret)
{
	quiet_openssl();

	if (c->key_type == CKK_EC)
		return from_scalar(c, value, ret);
	if (value.len != c->private_len)
		return CVM_E_ATTR_VALUE;
	*ret = EVP_PKEY_new_raw_private_key_ex(crypto_libctx(), c->type,
	    /* props= */ NULL, value.data, value.len);
	return *ret != NULL ? CVM_OK : CVM_E_ATTR_VALUE;
}

int
ec_from_private(CK_KEY_TYPE key_type, const struct attrs *a, struct span value,
    EVP_PKEY **ret, struct why *reterr_why)
{
	const struct curve *c;
	int err = find_params(key_type, a, &c, reterr_why);

	if (err == CVM_OK)
		err = ec_from_value(c, value, ret);
	if (err == CVM_E_ATTR_VALUE)
		return template_refuse(reterr_why, err, CKA_VALUE,
		    "a private value of the curve", "another");
	return err;
}

int
ec_generate(const struct curve *curve, EVP_PKEY **ret)
{
	quiet_openssl();
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *ctx = NULL;
	bool named = curve->key_type == CKK_EC;

	ctx = EVP_PKEY_CTX_new_from_name(crypto_libctx(), curve->type,
	    /* props= */ NULL);
	if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
	    (named && EVP_PKEY_CTX_set_group_name(ctx, curve->name) != 1))
		return CVM_E_CRYPTO;
	return EVP_PKEY_generate(ctx, ret) == 1 ? CVM_OK : CVM_E_CRYPTO;
}
