/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>

#include "token/evp.h"
#include "token/mech.h"

/* Keys derived from keys and made of passwords, checked with values that RFCs
 * and NIST published, and with OpenSSL's own. */

static void
bytes_of(const char *hex, struct blob *ret)
{
	assert_int_equal(hex_decode_blob(hex, 4096, ret), CVM_OK);
}

static CK_OBJECT_HANDLE
secret_of(struct stage *s, CK_KEY_TYPE type, const char *hex)
{
	_cleanup_(blob_clear) struct blob key = { 0 };

	bytes_of(hex, &key);
	return make_secret(s, type, key.data, key.len);
}

/* Derives a generic secret that can be looked at. */
static int
try_derive(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE base,
    CK_ULONG len, CK_OBJECT_HANDLE *ret)
{
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
		BOOL_ATTR(CKA_SENSITIVE, false),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		ULONG_ATTR(CKA_VALUE_LEN, len),
	};

	return token_derive(s->t, &s->c, mech, base, templ,
	    COUNT(templ) - (len == 0), ret, NULL);
}

static void
value_is(struct stage *s, CK_OBJECT_HANDLE h, const char *hex)
{
	_cleanup_(blob_clear) struct blob got = get_attr(s, h, CKA_VALUE);
	_cleanup_(blob_clear) struct blob want = { 0 };

	bytes_of(hex, &want);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.data, want.data, want.len);
}

static void
expect_derived(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE base,
    CK_ULONG len, const char *hex)
{
	CK_OBJECT_HANDLE h = 0;

	ok(try_derive(s, mech, base, len, &h));
	value_is(s, h, hex);
	assert_false(get_bool(s, h, CKA_LOCAL));
}

#define IKM22 "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
#define OKM1                                                                   \
	"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"     \
	"34007208d5b887185865"
#define PRK1 "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"

static CK_BYTE salt1[13], info1[10];

static CK_HKDF_PARAMS
rfc5869_1(void)
{
	CK_HKDF_PARAMS p = { CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_DATA,
		salt1, sizeof(salt1), 0, info1, sizeof(info1) };

	for (size_t i = 0; i < sizeof(salt1); i++)
		salt1[i] = (CK_BYTE)i;
	for (size_t i = 0; i < sizeof(info1); i++)
		info1[i] = (CK_BYTE)(0xf0 + i);
	return p;
}

/* RFC 5869 appendix A, tests 1, 3 and 4, whole and in its two steps. */
static void
hkdf_not_of_rfc5869(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE ikm = secret_of(s, CKK_HKDF, IKM22);
	CK_OBJECT_HANDLE generic = secret_of(s, CKK_GENERIC_SECRET, IKM22);
	CK_OBJECT_HANDLE prk = secret_of(s, CKK_HKDF, PRK1);
	CK_OBJECT_HANDLE sha1 = secret_of(s, CKK_HKDF,
	    "0b0b0b0b0b0b0b0b0b0b0b");
	CK_OBJECT_HANDLE salt = secret_of(s, CKK_GENERIC_SECRET,
	    "000102030405060708090a0b0c");
	CK_HKDF_PARAMS p = rfc5869_1();
	CK_MECHANISM mech = { CKM_HKDF_DERIVE, &p, sizeof(p) };

	expect_derived(s, &mech, ikm, 42, OKM1);
	expect_derived(s, &mech, generic, 42, OKM1);
	p.ulSaltType = CKF_HKDF_SALT_KEY;
	p.hSaltKey = salt;
	expect_derived(s, &mech, ikm, 42, OKM1);
	p.bExpand = CK_FALSE;
	expect_derived(s, &mech, ikm, 32, PRK1);
	expect_derived(s, &mech, ikm, 0, PRK1);
	p.bExpand = CK_TRUE;
	p.bExtract = CK_FALSE;
	expect_derived(s, &mech, prk, 42, OKM1);
	p = (CK_HKDF_PARAMS){ CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL,
		NULL, 0, 0, NULL, 0 };
	expect_derived(s, &mech, ikm, 42,
	    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
	    "9d201395faa4b61a96c8");
	p = rfc5869_1();
	p.prfHashMechanism = CKM_SHA_1;
	expect_derived(s, &mech, sha1, 42,
	    "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2"
	    "c22e422478d305f3f896");
}

/* The spoilt member of a parameter, by its place in the table. */
static void
spoil_hkdf(CK_HKDF_PARAMS *p, int which)
{
	if (which == 0)
		p->bExtract = p->bExpand = CK_FALSE;
	if (which == 1)
		p->bExtract = 2;
	if (which == 2)
		p->prfHashMechanism = CKM_MD5;
	if (which == 3)
		p->prfHashMechanism = CKM_SHA256_HMAC;
	if (which == 4)
		p->ulSaltType = 0;
	if (which == 5)
		p->ulSaltType = CKF_HKDF_SALT_DATA | CKF_HKDF_SALT_KEY;
	if (which == 6)
		p->pSalt = NULL;
	if (which == 7)
		p->pInfo = NULL;
	if (which == 8)
		p->ulInfoLen = PARAM_BYTES_MAX + 1;
	if (which == 9) {
		p->ulSaltType = CKF_HKDF_SALT_KEY;
		p->hSaltKey = 4711;
	}
}

static void
hkdf_parameter_wrong(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE ikm = secret_of(s, CKK_HKDF, IKM22);
	struct pair ec = MAKE_EC(s, p256);
	CK_HKDF_PARAMS p;
	CK_MECHANISM mech = { CKM_HKDF_DERIVE, &p, sizeof(p) };
	CK_OBJECT_HANDLE h = 0;

	for (int i = 0; i < 10; i++) {
		p = rfc5869_1();
		spoil_hkdf(&p, i);
		assert_int_equal(try_derive(s, &mech, ikm, 42, &h),
		    CVM_E_MECH_PARAM);
	}
	/* A salt has to be a secret key, and one for derivation. */
	p = rfc5869_1();
	p.ulSaltType = CKF_HKDF_SALT_KEY;
	p.hSaltKey = ec.pub;
	assert_int_equal(try_derive(s, &mech, ikm, 42, &h), CVM_E_MECH_PARAM);
	p = rfc5869_1();
	assert_int_equal(try_derive(s, &mech, ikm, 0, &h),
	    CVM_E_TEMPLATE_INCOMPLETE);
	assert_int_equal(try_derive(s, &mech, ikm, 4097, &h), CVM_E_KEY_SIZE);
	p.bExpand = CK_FALSE;
	assert_int_equal(try_derive(s, &mech, ikm, 33, &h), CVM_E_KEY_SIZE);
	p.bExpand = CK_TRUE;
	p.prfHashMechanism = CKM_SHA_1;
	assert_int_equal(try_derive(s, &mech, ikm, 255 * 20, &h),
	    CVM_E_KEY_SIZE);
	mech.ulParameterLen--;
	assert_int_equal(try_derive(s, &mech, ikm, 42, &h), CVM_E_MECH_PARAM);
}

static void
keys_of_others_derive(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE aes = secret_of(s, CKK_AES,
	    "000102030405060708090a0b0c0d0e0f");
	CK_OBJECT_HANDLE hmac = secret_of(s, CKK_SHA256_HMAC, IKM22);
	CK_OBJECT_HANDLE ikm = secret_of(s, CKK_HKDF, IKM22), h = 0;
	CK_HKDF_PARAMS p = rfc5869_1();
	CK_MECHANISM mech = { CKM_HKDF_DERIVE, &p, sizeof(p) };
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE underive = { CKA_DERIVE, &no, 1 };

	assert_int_equal(try_derive(s, &mech, aes, 42, &h), CVM_E_KEY_TYPE);
	assert_int_equal(try_derive(s, &mech, hmac, 42, &h), CVM_E_KEY_TYPE);
	ok(token_set_attributes(s->t, &s->c, ikm, &underive, 1, why));
	assert_int_equal(try_derive(s, &mech, ikm, 42, &h), CVM_E_KEY_FUNCTION);
	/* Not as a salt, either. */
	p.ulSaltType = CKF_HKDF_SALT_KEY;
	p.hSaltKey = ikm;
	ikm = secret_of(s, CKK_HKDF, IKM22);
	assert_int_equal(try_derive(s, &mech, ikm, 42, &h), CVM_E_MECH_PARAM);
}

/* A secret key for derivation, with one attribute more. */
static CK_OBJECT_HANDLE
salt_with(struct stage *s, CK_ATTRIBUTE more)
{
	CK_BYTE value[16] = { 1 };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
		BYTES_ATTR(CKA_VALUE, value),
		BOOL_ATTR(CKA_DERIVE, true),
		more,
	};
	CK_OBJECT_HANDLE h = 0;

	ok(token_create(s->t, &s->c, templ, COUNT(templ), &h, why));
	return h;
}

/* What a key says of its use goes for the salt as for the base key. */
static void
salt_used_against_its_attributes(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE ikm = secret_of(s, CKK_HKDF, IKM22), h = 0;
	CK_MECHANISM_TYPE hkdf[] = { CKM_SHA256_HMAC, CKM_HKDF_DERIVE };
	CK_MECHANISM_TYPE data[] = { CKM_HKDF_DATA };
	CK_ATTRIBUTE open[] = { BOOL_ATTR(CKA_EXTRACTABLE, true) };
	CK_ATTRIBUTE closed[] = { BOOL_ATTR(CKA_EXTRACTABLE, false) };
	CK_HKDF_PARAMS p = rfc5869_1();
	CK_MECHANISM mech = { CKM_HKDF_DERIVE, &p, sizeof(p) };
	const struct {
		CK_ATTRIBUTE more;
		int err;
	} v[] = {
		{ TEXT_ATTR(CKA_LABEL, "salt"), CVM_OK },
		{ BYTES_ATTR(CKA_ALLOWED_MECHANISMS, hkdf), CVM_OK },
		{ BYTES_ATTR(CKA_ALLOWED_MECHANISMS, data), CVM_E_MECH_PARAM },
		{ BYTES_ATTR(CKA_DERIVE_TEMPLATE, open), CVM_OK },
		{ BYTES_ATTR(CKA_DERIVE_TEMPLATE, closed),
		    CVM_E_TEMPLATE_INCONSISTENT },
		{ BOOL_ATTR(CKA_CVM_BIND_OPERATION, true), CVM_E_MECH_PARAM },
	};

	p.ulSaltType = CKF_HKDF_SALT_KEY;
	for (size_t i = 0; i < COUNT(v); i++) {
		p.hSaltKey = salt_with(s, v[i].more);
		assert_int_equal(try_derive(s, &mech, ikm, 42, &h), v[i].err);
	}
	/* A key of another kind derives nothing by this mechanism. */
	p.hSaltKey = secret_of(s, CKK_AES, "000102030405060708090a0b0c0d0e0f");
	assert_int_equal(try_derive(s, &mech, ikm, 42, &h), CVM_E_MECH_PARAM);
}

/* 24 bits of a hash find a key of few bytes at once. */
static void
check_value_gives_a_short_key_away(void **state)
{
	static const CK_ULONG lens[] = { 1, 3, 8, 15, 16, 32 };
	struct stage *s = *state;
	CK_OBJECT_HANDLE ikm = secret_of(s, CKK_HKDF, IKM22), h = 0;
	CK_HKDF_PARAMS p = rfc5869_1();
	CK_MECHANISM mech = { CKM_HKDF_DERIVE, &p, sizeof(p) };
	uint8_t digest[SHA512_LEN];

	for (size_t i = 0; i < COUNT(lens); i++) {
		_cleanup_(blob_clear) struct blob kcv = { 0 }, value = { 0 };

		ok(try_derive(s, &mech, ikm, lens[i], &h));
		kcv = get_attr(s, h, CKA_CHECK_VALUE);
		assert_int_equal(kcv.len, lens[i] < 16 ? 0 : 3);
		value = get_attr(s, h, CKA_VALUE);
		ok(hash(HASH_SHA1, blob_span(&value), digest));
		assert_memory_equal(kcv.data, digest, kcv.len);
	}
}

/* Nor does the answer to a template with a guess. */
static void
check_value_confirms_a_guess(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE ikm = secret_of(s, CKK_HKDF, IKM22), h = 0;
	CK_HKDF_PARAMS p = rfc5869_1();
	CK_MECHANISM mech = { CKM_HKDF_DERIVE, &p, sizeof(p) };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
		ULONG_ATTR(CKA_VALUE_LEN, 1),
		TEXT_ATTR(CKA_CHECK_VALUE, "xyz"),
	};

	ok(token_derive(s->t, &s->c, &mech, ikm, templ, 4, &h, why));
	templ[2].pValue = (CK_ULONG[]){ 16 };
	assert_int_equal(token_derive(s->t, &s->c, &mech, ikm, templ, 4, &h,
			     NULL),
	    CVM_E_ATTR_VALUE);
}

static void
hkdf_data_is_no_data(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE ikm = secret_of(s, CKK_HKDF, IKM22), h = 0;
	CK_HKDF_PARAMS p = rfc5869_1();
	CK_MECHANISM mech = { CKM_HKDF_DATA, &p, sizeof(p) };
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_DATA),
		ULONG_ATTR(CKA_VALUE_LEN, 42), BOOL_ATTR(CKA_PRIVATE, true) };
	CK_ATTRIBUTE key[] = { ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_VALUE_LEN, 42) };

	for (CK_ULONG n = 2; n <= 3; n++) {
		ok(token_derive(s->t, &s->c, &mech, ikm, templ, n, &h, why));
		assert_int_equal(get_ulong(s, h, CKA_CLASS), CKO_DATA);
		value_is(s, h, OKM1);
	}
	assert_int_equal(token_derive(s->t, &s->c, &mech, ikm, key, 2, &h,
			     NULL),
	    CVM_E_TEMPLATE_INCONSISTENT);
	assert_int_equal(token_derive(s->t, &s->c, &mech, ikm, templ, 1, &h,
			     NULL),
	    CVM_E_TEMPLATE_INCOMPLETE);
	mech.mechanism = CKM_HKDF_DERIVE;
	assert_int_equal(token_derive(s->t, &s->c, &mech, ikm, templ, 2, &h,
			     NULL),
	    CVM_E_TEMPLATE_INCOMPLETE);
}

#define KI "dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0"
#define FIXED                                                                  \
	"01322b96b30acd197979444e468e1c5c6859bf1b1cf951b7e725303e237e46b8"     \
	"64a145fab25e517b08f8683d0315bb2911d80a0e8aba17f3b413faac"

/* NIST CAVS KDFCTR_gen, HMAC_SHA256, BEFORE_FIXED, RLEN=32_BITS, COUNT=0. */
static void
counter_kdf_not_of_nist(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_GENERIC_SECRET, KI);
	CK_OBJECT_HANDLE typed = secret_of(s, CKK_SHA256_HMAC, KI);
	_cleanup_(blob_clear) struct blob fixed = { 0 };
	CK_SP800_108_COUNTER_FORMAT r = { CK_FALSE, 32 };
	CK_PRF_DATA_PARAM parts[2] = {
		{ CK_SP800_108_ITERATION_VARIABLE, &r, sizeof(r) },
		{ CK_SP800_108_BYTE_ARRAY, NULL, 0 },
	};
	CK_SP800_108_KDF_PARAMS p = { CKM_SHA256_HMAC, 2, parts, 0, NULL };
	CK_MECHANISM mech = { CKM_SP800_108_COUNTER_KDF, &p, sizeof(p) };

	bytes_of(FIXED, &fixed);
	parts[1].pValue = fixed.data;
	parts[1].ulValueLen = fixed.len;
	expect_derived(s, &mech, key, 16, "10621342bfb0fd40046c0e29f2cfdbf0");
	expect_derived(s, &mech, typed, 16, "10621342bfb0fd40046c0e29f2cfdbf0");
}

static void
kdf_freep(EVP_KDF_CTX **k)
{
	EVP_KDF_CTX_free(*k);
	*k = NULL;
}

/* OpenSSL's layout: counter, label, a zero, context, length in bits. */
static void
openssl_kbkdf(bool cmac, struct span key, uint8_t *out, size_t len)
{
	static char hmac_name[] = "HMAC", cmac_name[] = "CMAC",
		    mode[] = "COUNTER", md[] = "SHA2-384",
		    cipher[] = "AES-128-CBC", label[] = "label",
		    context[] = "context";
	EVP_KDF *kdf = EVP_KDF_fetch(crypto_libctx(), "KBKDF", NULL);
	_cleanup_(kdf_freep) EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	_cleanup_(blob_clear) struct blob copy = { 0 };
	OSSL_PARAM v[7];

	ok(blob_set(&copy, key));
	v[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC,
	    cmac ? cmac_name : hmac_name, 0);
	v[1] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, mode, 0);
	v[2] = cmac ?
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_CIPHER, cipher, 0) :
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, md, 0);
	v[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, copy.data,
	    copy.len);
	v[4] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, label, 5);
	v[5] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, context,
	    7);
	v[6] = OSSL_PARAM_construct_end();
	assert_int_equal(EVP_KDF_derive(ctx, out, len, v), 1);
	EVP_KDF_free(kdf);
}

static void
counter_kdf_not_of_openssl(void **state)
{
	static const uint8_t key[16] = { 1, 2, 3 };
	static CK_BYTE label[] = "label", context[] = "context";
	struct stage *s = *state;
	CK_SP800_108_COUNTER_FORMAT r = { CK_FALSE, 32 };
	CK_SP800_108_DKM_LENGTH_FORMAT l = {
		CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_FALSE, 32
	};
	CK_PRF_DATA_PARAM parts[] = {
		{ CK_SP800_108_ITERATION_VARIABLE, &r, sizeof(r) },
		{ CK_SP800_108_BYTE_ARRAY, label, 6 },
		{ CK_SP800_108_BYTE_ARRAY, context, 7 },
		{ CK_SP800_108_DKM_LENGTH, &l, sizeof(l) },
	};
	CK_SP800_108_KDF_PARAMS p = { 0, COUNT(parts), parts, 0, NULL };
	CK_MECHANISM mech = { CKM_SP800_108_COUNTER_KDF, &p, sizeof(p) };

	for (int cmac = 0; cmac < 2; cmac++) {
		CK_OBJECT_HANDLE base = make_secret(s,
				     cmac ? CKK_AES : CKK_GENERIC_SECRET, key,
				     sizeof(key)),
				 h = 0;
		uint8_t want[100];

		p.prfType = cmac ? CKM_AES_CMAC : CKM_SHA384_HMAC;
		for (size_t len = 1; len <= sizeof(want); len += 33) {
			openssl_kbkdf(cmac != 0, span(key, sizeof(key)), want,
			    len);
			ok(try_derive(s, &mech, base, len, &h));
			{
				_cleanup_(
				    blob_clear) struct blob got = get_attr(s, h,
				    CKA_VALUE);

				assert_int_equal(got.len, len);
				assert_memory_equal(got.data, want, len);
			}
		}
	}
}

/* What else the layout may hold: little-endian numbers, length of segments,
 * a counter that is not first, put together here by hand. */
static void
counter_kdf_layout_ignored(void **state)
{
	static CK_BYTE tag[] = "tag";
	static const uint8_t blocks[2][7] = {
		{ 't', 'a', 'g', 1, 0, 0x00, 0x02 },
		{ 't', 'a', 'g', 2, 0, 0x00, 0x02 },
	};
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_SHA256_HMAC, KI), h = 0;
	CK_SP800_108_COUNTER_FORMAT r = { CK_TRUE, 16 };
	CK_SP800_108_DKM_LENGTH_FORMAT l = {
		CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS, CK_TRUE, 16
	};
	CK_PRF_DATA_PARAM parts[] = {
		{ CK_SP800_108_BYTE_ARRAY, tag, 3 },
		{ CK_SP800_108_ITERATION_VARIABLE, &r, sizeof(r) },
		{ CK_SP800_108_DKM_LENGTH, &l, sizeof(l) },
	};
	CK_SP800_108_KDF_PARAMS p = { CKM_SHA256_HMAC, 3, parts, 0, NULL };
	CK_MECHANISM mech = { CKM_SP800_108_COUNTER_KDF, &p, sizeof(p) };
	CK_MECHANISM hmac = { CKM_SHA256_HMAC, NULL, 0 };
	uint8_t want[64];

	for (int i = 0; i < 2; i++) {
		_cleanup_(
		    op_freep) struct op *op = begin(s, OP_SIGN, &hmac, key);
		CK_ULONG len = 32;

		ok(op_once(op, s->c.permit, span(blocks[i], 7), &want[32 * i],
		    &len, why));
	}
	ok(try_derive(s, &mech, key, 40, &h));
	{
		_cleanup_(
		    blob_clear) struct blob got = get_attr(s, h, CKA_VALUE);

		assert_int_equal(got.len, 40);
		assert_memory_equal(got.data, want, 40);
	}
}

struct sp800_case {
	CK_ULONG prf, n_parts, more_keys, type, width, len, want;
	int err;
};

static void
counter_kdf_parameter_wrong(void **state)
{
	static const struct sp800_case v[] = {
		{ CKM_SHA256_HMAC, 1, 0, CK_SP800_108_ITERATION_VARIABLE, 8,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 16, CVM_OK },
		{ CKM_SHA256, 1, 0, CK_SP800_108_ITERATION_VARIABLE, 8,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 16, CVM_E_MECH_PARAM },
		{ CKM_SHA256_HMAC, 0, 0, CK_SP800_108_ITERATION_VARIABLE, 8,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 16, CVM_E_MECH_PARAM },
		{ CKM_SHA256_HMAC, 17, 0, CK_SP800_108_ITERATION_VARIABLE, 8,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 16, CVM_E_MECH_PARAM },
		{ CKM_SHA256_HMAC, 2, 0, CK_SP800_108_ITERATION_VARIABLE, 8,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 16, CVM_E_MECH_PARAM },
		{ CKM_SHA256_HMAC, 1, 1, CK_SP800_108_ITERATION_VARIABLE, 8,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 16, CVM_E_MECH_PARAM },
		{ CKM_SHA256_HMAC, 1, 0, CK_SP800_108_BYTE_ARRAY, 8,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 16, CVM_E_MECH_PARAM },
		{ CKM_SHA256_HMAC, 1, 0, CK_SP800_108_COUNTER, 8,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 16, CVM_E_MECH_PARAM },
		{ CKM_SHA256_HMAC, 1, 0, CK_SP800_108_ITERATION_VARIABLE, 12,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 16, CVM_E_MECH_PARAM },
		{ CKM_SHA256_HMAC, 1, 0, CK_SP800_108_ITERATION_VARIABLE, 72,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 16, CVM_E_MECH_PARAM },
		{ CKM_SHA256_HMAC, 1, 0, CK_SP800_108_ITERATION_VARIABLE, 8, 1,
		    16, CVM_E_MECH_PARAM },
		/* 256 blocks, which 8 bits do not count. */
		{ CKM_SHA_1_HMAC, 1, 0, CK_SP800_108_ITERATION_VARIABLE, 8,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 4096, CVM_OK },
		{ CKM_AES_CMAC, 1, 0, CK_SP800_108_ITERATION_VARIABLE, 8,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 16, CVM_E_KEY_TYPE },
		{ CKM_SHA256_HMAC, 1, 0, CK_SP800_108_ITERATION_VARIABLE, 8,
		    sizeof(CK_SP800_108_COUNTER_FORMAT), 0,
		    CVM_E_TEMPLATE_INCOMPLETE },
	};
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_GENERIC_SECRET, KI);
	CK_OBJECT_HANDLE aes = secret_of(s, CKK_AES, KI), h = 0;
	CK_SP800_108_COUNTER_FORMAT r = { CK_FALSE, 8 };
	CK_PRF_DATA_PARAM parts[17];
	CK_SP800_108_KDF_PARAMS p;
	CK_MECHANISM mech = { CKM_SP800_108_COUNTER_KDF, &p, sizeof(p) };

	for (size_t i = 0; i < COUNT(v); i++) {
		r.ulWidthInBits = v[i].width;
		for (size_t k = 0; k < COUNT(parts); k++)
			parts[k] = (CK_PRF_DATA_PARAM){ v[i].type, &r,
				v[i].len };
		p = (CK_SP800_108_KDF_PARAMS){ v[i].prf, v[i].n_parts, parts,
			v[i].more_keys, NULL };
		assert_int_equal(try_derive(s, &mech, key, v[i].want, &h),
		    v[i].err);
	}
	/* 16 bytes a block: 256 of them for 4096 bytes, of which 8 bits count
	 * 255. An HMAC does not take the AES key. */
	p = (CK_SP800_108_KDF_PARAMS){ CKM_AES_CMAC, 1, parts, 0, NULL };
	r.ulWidthInBits = 8;
	ok(try_derive(s, &mech, aes, 4080, &h));
	assert_int_equal(try_derive(s, &mech, aes, 4081, &h), CVM_E_KEY_SIZE);
	p.prfType = CKM_SHA256_HMAC;
	assert_int_equal(try_derive(s, &mech, aes, 16, &h), CVM_E_KEY_TYPE);
}

/* Makes a key of a password that can be looked at. */
static int
try_pbkdf2(struct stage *s, CK_PKCS5_PBKD2_PARAMS2 *p, CK_KEY_TYPE type,
    CK_ULONG len, CK_OBJECT_HANDLE *ret)
{
	CK_MECHANISM mech = { CKM_PKCS5_PBKD2, p, sizeof(*p) };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_KEY_TYPE, type),
		BOOL_ATTR(CKA_SENSITIVE, false),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		ULONG_ATTR(CKA_VALUE_LEN, len),
	};

	return token_generate_key(s->t, &s->c, &mech, templ,
	    COUNT(templ) - (len == 0), ret, NULL);
}

static CK_BYTE salt[] = "salt", password[] = "password";

static CK_PKCS5_PBKD2_PARAMS2
rfc6070(CK_ULONG iterations)
{
	return (CK_PKCS5_PBKD2_PARAMS2){ CKZ_SALT_SPECIFIED, salt, 4,
		iterations, CKP_PKCS5_PBKD2_HMAC_SHA1, NULL, 0, password, 8 };
}

static void
pbkdf2_not_of_rfc6070(void **state)
{
	struct stage *s = *state;
	CK_PKCS5_PBKD2_PARAMS2 p = rfc6070(1);
	CK_OBJECT_HANDLE h = 0;
	CK_ULONG len = 8;
	uint8_t want[32];
	char hex[65];

	ok(try_pbkdf2(s, &p, CKK_GENERIC_SECRET, 20, &h));
	value_is(s, h, "0c60c80f961f0e71f3a9b524af6012062fe037a6");
	p.iterations = 4096;
	ok(try_pbkdf2(s, &p, CKK_GENERIC_SECRET, 20, &h));
	value_is(s, h, "4b007901b765489abead49d926f721d065a429c1");
	assert_int_equal(get_ulong(s, h, CKA_KEY_GEN_MECHANISM),
	    CKM_PKCS5_PBKD2);
	/* As NSS gives it. */
	p.ulPasswordLen = (CK_ULONG)(uintptr_t)&len;
	ok(try_pbkdf2(s, &p, CKK_GENERIC_SECRET, 20, &h));
	value_is(s, h, "4b007901b765489abead49d926f721d065a429c1");
	p.ulPasswordLen = 8;
	p.prf = CKP_PKCS5_PBKD2_HMAC_SHA512;
	assert_int_equal(PKCS5_PBKDF2_HMAC("password", 8, salt, 4, 4096,
			     EVP_sha512(), sizeof(want), want),
	    1);
	(void)hex_encode(span(want, sizeof(want)), hex, sizeof(hex));
	ok(try_pbkdf2(s, &p, CKK_AES, 32, &h));
	value_is(s, h, hex);
	ok(try_pbkdf2(s, &p, CKK_CHACHA20, 0, &h));
	value_is(s, h, hex);
}

static void
pbkdf2_parameter_wrong(void **state)
{
	struct stage *s = *state;
	CK_PKCS5_PBKD2_PARAMS2 p;
	CK_OBJECT_HANDLE h = 0;
	CK_ULONG len = PARAM_BYTES_MAX + 1;

	for (int i = 0; i < 10; i++) {
		p = rfc6070(10);
		if (i == 0)
			p.iterations = 0;
		if (i == 1)
			p.iterations = PBKDF2_ITERATIONS_MAX + 1;
		if (i == 2)
			p.prf = 2; /* GOST */
		if (i == 3)
			p.saltSource = 0;
		if (i == 4)
			p.pSaltSourceData = NULL;
		if (i == 5)
			p.pPassword = NULL;
		if (i == 6)
			p.ulPasswordLen = (CK_ULONG)(uintptr_t)&len;
		if (i == 7)
			p.ulPrfDataLen = 1;
		if (i == 9)
			p.ulPasswordLen = PARAM_BYTES_MAX + 1;
		if (i == 8)
			p.ulSaltSourceDataLen = PARAM_BYTES_MAX + 1;
		assert_int_equal(try_pbkdf2(s, &p, CKK_AES, 16, &h),
		    CVM_E_MECH_PARAM);
	}
	p = rfc6070(10);
	assert_int_equal(try_pbkdf2(s, &p, CKK_AES, 16, &h), CVM_OK);
	assert_int_equal(try_pbkdf2(s, &p, CKK_AES, 17, &h), CVM_E_KEY_SIZE);
	assert_int_equal(try_pbkdf2(s, &p, CKK_AES, 0, &h),
	    CVM_E_TEMPLATE_INCOMPLETE);
	assert_int_equal(try_pbkdf2(s, &p, CKK_RSA, 16, &h),
	    CVM_E_TEMPLATE_INCONSISTENT);
}

/* Lengths that an address could be, with nothing there to be read. */
static void
length_of_a_password_is_an_address_of_nothing(void **state)
{
	static const CK_ULONG lens[] = { 65536, 1UL << 40, 1UL << 47, 1UL << 63,
		~7UL, ~0UL };
	struct stage *s = *state;
	CK_PKCS5_PBKD2_PARAMS2 p = rfc6070(1);
	CK_OBJECT_HANDLE h = 0;

	for (size_t i = 0; i < COUNT(lens); i++) {
		p.ulPasswordLen = lens[i];
		assert_int_equal(try_pbkdf2(s, &p, CKK_AES, 16, &h),
		    CVM_E_MECH_PARAM);
	}
	assert_int_equal(h, 0);
}

/* SP 800-56A puts the counter first, X9.63 the secret. */
static void
ecdh_kdf_hashes_in_other_order(void **state)
{
	struct stage *s = *state;
	struct pair a = MAKE_EC(s, p256), b = MAKE_EC(s, p256);
	_cleanup_(
	    blob_clear) struct blob point = get_attr(s, b.pub, CKA_EC_POINT);
	CK_BYTE shared[] = "shared";
	CK_ECDH1_DERIVE_PARAMS p = { CKD_NULL, 0, NULL, point.len, point.data };
	CK_MECHANISM mech = { CKM_ECDH1_DERIVE, &p, sizeof(p) };
	CK_MECHANISM same = { CKM_ECDH1_COFACTOR_DERIVE, &p, sizeof(p) };
	static const uint8_t one[4] = { 0, 0, 0, 1 };
	CK_OBJECT_HANDLE h = 0;
	uint8_t want[32];
	char hex[65];

	ok(try_derive(s, &mech, a.priv, 32, &h));
	{
		_cleanup_(blob_clear) struct blob z = get_attr(s, h, CKA_VALUE);
		const struct span x963[] = { blob_span(&z), span(one, 4),
			span(shared, 6) };
		const struct span sp800[] = { span(one, 4), blob_span(&z),
			span(shared, 6) };

		(void)hex_encode(blob_span(&z), hex, sizeof(hex));
		expect_derived(s, &same, a.priv, 32, hex);
		p.pSharedData = shared;
		p.ulSharedDataLen = 6;
		p.kdf = CKD_SHA256_KDF;
		ok(hash_parts(HASH_SHA256, x963, 3, want));
		(void)hex_encode(span(want, 32), hex, sizeof(hex));
		expect_derived(s, &mech, a.priv, 32, hex);
		p.kdf = CKD_SHA256_KDF_SP800;
		ok(hash_parts(HASH_SHA256, sp800, 3, want));
		(void)hex_encode(span(want, 32), hex, sizeof(hex));
		expect_derived(s, &mech, a.priv, 32, hex);
	}
	p.kdf = 0x17;
	assert_int_equal(try_derive(s, &mech, a.priv, 32, &h),
	    CVM_E_MECH_PARAM);
	p.kdf = CKD_NULL;
	assert_int_equal(try_derive(s, &mech, a.priv, 32, &h),
	    CVM_E_MECH_PARAM);
}

/* SP 800-56A section 5.8.2.1 and SEC 1 section 3.6.1 go on until a counter of
 * 32 bits ends; no key of ours is that long, whatever is added to its length
 * (PKCS#11 section 5.18.5, CKR_KEY_SIZE_RANGE). */
static void
ecdh_kdf_ends_at_longest_key(void **state)
{
	static const CK_EC_KDF_TYPE kdfs[] = { CKD_SHA1_KDF, CKD_SHA256_KDF,
		CKD_SHA512_KDF, CKD_SHA256_KDF_SP800 };
	static const CK_ULONG lens[] = { 4097, 65536UL * 64, 65536UL * 64 + 64,
		(CK_ULONG)PTRDIFF_MAX, ~0UL - 63, ~0UL - 31, ~0UL - 30, ~0UL };
	struct stage *s = *state;
	struct pair a = MAKE_EC(s, p256), b = MAKE_EC(s, p256);
	_cleanup_(
	    blob_clear) struct blob point = get_attr(s, b.pub, CKA_EC_POINT);
	CK_ECDH1_DERIVE_PARAMS p = { CKD_NULL, 0, NULL, point.len, point.data };
	CK_MECHANISM mech = { CKM_ECDH1_DERIVE, &p, sizeof(p) };

	for (size_t i = 0; i < COUNT(kdfs); i++) {
		CK_OBJECT_HANDLE h = 0;

		p.kdf = kdfs[i];
		ok(try_derive(s, &mech, a.priv, 4096, &h));
		{
			_cleanup_(blob_clear) struct blob got = get_attr(s, h,
			    CKA_VALUE);

			assert_int_equal(got.len, 4096);
		}
		for (size_t j = 0; j < COUNT(lens); j++)
			assert_int_equal(try_derive(s, &mech, a.priv, lens[j],
					     &h),
			    CVM_E_KEY_SIZE);
	}
}

static int
try_generate(struct stage *s, CK_MECHANISM_TYPE type, CK_KEY_TYPE key_type,
    CK_ULONG len, CK_OBJECT_HANDLE *ret)
{
	CK_MECHANISM mech = { type, NULL, 0 };
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_KEY_TYPE, key_type),
		ULONG_ATTR(CKA_VALUE_LEN, len) };

	return token_generate_key(s->t, &s->c, &mech, templ,
	    COUNT(templ) - (len == 0), ret, NULL);
}

static void
generated_key_of_other_type(void **state)
{
	static const struct {
		CK_MECHANISM_TYPE type;
		CK_KEY_TYPE key;
		CK_ULONG len;
		int err;
	} v[] = {
		{ CKM_SHA256_KEY_GEN, CKK_SHA256_HMAC, 32, CVM_OK },
		{ CKM_SHA3_512_KEY_GEN, CKK_SHA3_512_HMAC, 64, CVM_OK },
		{ CKM_SHA256_KEY_GEN, CKK_SHA384_HMAC, 32,
		    CVM_E_TEMPLATE_INCONSISTENT },
		{ CKM_SHA256_KEY_GEN, CKK_SHA256_HMAC, 0,
		    CVM_E_TEMPLATE_INCOMPLETE },
		{ CKM_CHACHA20_KEY_GEN, CKK_CHACHA20, 0, CVM_OK },
		{ CKM_CHACHA20_KEY_GEN, CKK_CHACHA20, 32, CVM_OK },
		{ CKM_CHACHA20_KEY_GEN, CKK_CHACHA20, 16, CVM_E_KEY_SIZE },
		{ CKM_CHACHA20_KEY_GEN, CKK_AES, 32,
		    CVM_E_TEMPLATE_INCONSISTENT },
		{ CKM_HKDF_KEY_GEN, CKK_HKDF, 48, CVM_OK },
		{ CKM_HKDF_KEY_GEN, CKK_HKDF, 0, CVM_E_TEMPLATE_INCOMPLETE },
		{ CKM_HKDF_KEY_GEN, CKK_HKDF, 4097, CVM_E_KEY_SIZE },
		{ CKM_GENERIC_SECRET_KEY_GEN, CKK_SHA3_256_HMAC, 32, CVM_OK },
		{ CKM_GENERIC_SECRET_KEY_GEN, CKK_AES, 32,
		    CVM_E_TEMPLATE_INCONSISTENT },
		{ CKM_AES_KEY_GEN, CKK_GENERIC_SECRET, 32,
		    CVM_E_TEMPLATE_INCONSISTENT },
	};
	struct stage *s = *state;
	CK_OBJECT_HANDLE h = 0;

	for (size_t i = 0; i < COUNT(v); i++) {
		assert_int_equal(try_generate(s, v[i].type, v[i].key, v[i].len,
				     &h),
		    v[i].err);
		if (v[i].err != CVM_OK)
			continue;
		assert_int_equal(get_ulong(s, h, CKA_KEY_TYPE), v[i].key);
		assert_int_equal(get_ulong(s, h, CKA_KEY_GEN_MECHANISM),
		    v[i].type);
		assert_true(get_bool(s, h, CKA_LOCAL));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(hkdf_not_of_rfc5869),
		ON_STAGE(hkdf_parameter_wrong),
		ON_STAGE(keys_of_others_derive),
		ON_STAGE(salt_used_against_its_attributes),
		ON_STAGE(check_value_gives_a_short_key_away),
		ON_STAGE(check_value_confirms_a_guess),
		ON_STAGE(hkdf_data_is_no_data),
		ON_STAGE(counter_kdf_not_of_nist),
		ON_STAGE(counter_kdf_not_of_openssl),
		ON_STAGE(counter_kdf_layout_ignored),
		ON_STAGE(counter_kdf_parameter_wrong),
		ON_STAGE(pbkdf2_not_of_rfc6070),
		ON_STAGE(pbkdf2_parameter_wrong),
		ON_STAGE(length_of_a_password_is_an_address_of_nothing),
		ON_STAGE(ecdh_kdf_hashes_in_other_order),
		ON_STAGE(ecdh_kdf_ends_at_longest_key),
		ON_STAGE(generated_key_of_other_type),
	};

	return cmocka_run_group_tests_name("kdf", tests, NULL, NULL);
}
