/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "token/evp.h"
#include "token/keys.h"

/* Keys and certificates that come from outside, or leave wrapped. */

static int
create(struct stage *s, const CK_ATTRIBUTE *templ, CK_ULONG n,
    CK_OBJECT_HANDLE *ret)
{
	return token_create(s->t, &s->c, templ, n, ret, NULL);
}

/* An RSA key of OpenSSL's, as a template. */
struct rsa_parts {
	struct blob v[8];
};

static const struct {
	const char *name;
	CK_ATTRIBUTE_TYPE type;
} rsa_names[] = {
	{ OSSL_PKEY_PARAM_RSA_N, CKA_MODULUS },
	{ OSSL_PKEY_PARAM_RSA_E, CKA_PUBLIC_EXPONENT },
	{ OSSL_PKEY_PARAM_RSA_D, CKA_PRIVATE_EXPONENT },
	{ OSSL_PKEY_PARAM_RSA_FACTOR1, CKA_PRIME_1 },
	{ OSSL_PKEY_PARAM_RSA_FACTOR2, CKA_PRIME_2 },
	{ OSSL_PKEY_PARAM_RSA_EXPONENT1, CKA_EXPONENT_1 },
	{ OSSL_PKEY_PARAM_RSA_EXPONENT2, CKA_EXPONENT_2 },
	{ OSSL_PKEY_PARAM_RSA_COEFFICIENT1, CKA_COEFFICIENT },
};

static void
rsa_parts_clear(struct rsa_parts *p)
{
	for (size_t i = 0; i < 8; i++)
		blob_clear(&p->v[i]);
}

static void
take_parts(const EVP_PKEY *pkey, struct rsa_parts *ret)
{
	for (size_t i = 0; i < 8; i++) {
		_cleanup_(bn_freep) BIGNUM *bn = NULL;

		assert_int_equal(EVP_PKEY_get_bn_param(pkey, rsa_names[i].name,
				     &bn),
		    1);
		ret->v[i].len = (size_t)BN_num_bytes(bn);
		ret->v[i].data = malloc(ret->v[i].len);
		assert_non_null(ret->v[i].data);
		(void)BN_bn2bin(bn, ret->v[i].data);
	}
}

/* mask: which of the eight numbers are given. */
static int
import_rsa(struct stage *s, const struct rsa_parts *p, unsigned mask,
    CK_OBJECT_HANDLE *ret)
{
	CK_ATTRIBUTE templ[16] = {
		ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_RSA),
		TEXT_ATTR(CKA_LABEL, "imported"),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		BOOL_ATTR(CKA_SENSITIVE, false),
	};
	CK_ULONG n = 5;

	for (size_t i = 0; i < 8; i++)
		if ((mask >> i & 1) != 0)
			templ[n++] = (CK_ATTRIBUTE){ rsa_names[i].type,
				p->v[i].data, p->v[i].len };
	return create(s, templ, n, ret);
}

static void
check_signs(struct stage *s, CK_OBJECT_HANDLE h, CK_MECHANISM_TYPE type,
    EVP_PKEY *pkey)
{
	CK_MECHANISM mech = { type, NULL, 0 };
	_cleanup_(op_freep) struct op *op = begin(s, OP_SIGN, &mech, h);
	_cleanup_(evp_md_ctx_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t sig[512];
	CK_ULONG len = sizeof(sig);

	ok(op_once(op, s->c.permit, text("data"), sig, &len, why));
	if (pkey == NULL)
		return;
	assert_int_equal(EVP_DigestVerifyInit_ex(md, NULL, "SHA256",
			     crypto_libctx(), NULL, pkey, NULL),
	    1);
	assert_int_equal(EVP_DigestVerify(md, sig, len, (const uint8_t *)"data",
			     4),
	    1);
}

static void
rsa_import_loses_parts(void **state)
{
	struct stage *s = *state;
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	_cleanup_(rsa_parts_clear) struct rsa_parts p = { 0 };
	static const unsigned masks[] = { 0xff, 0x07, 0x1f, 0x3f };

	ok(rsa_generate(1024, span(NULL, 0), &pkey, why));
	take_parts(pkey, &p);
	for (size_t i = 0; i < COUNT(masks); i++) {
		CK_OBJECT_HANDLE h = 0;

		assert_int_equal(import_rsa(s, &p, masks[i], &h), CVM_OK);
		check_signs(s, h, CKM_SHA256_RSA_PKCS, pkey);
		assert_false(get_bool(s, h, CKA_LOCAL));
		assert_int_equal(get_ulong(s, h, CKA_CVM_ORIGIN),
		    CVM_ORIGIN_IMPORTED);
		assert_false(get_bool(s, h, CKA_ALWAYS_SENSITIVE));
		assert_false(get_bool(s, h, CKA_NEVER_EXTRACTABLE));
		assert_int_equal(get_ulong(s, h, CKA_KEY_GEN_MECHANISM),
		    CK_UNAVAILABLE_INFORMATION);
		for (size_t k = 0; k < 8; k++) {
			_cleanup_(blob_clear) struct blob b = get_attr(s, h,
			    rsa_names[k].type);

			assert_true(
			    span_equal(blob_span(&b), blob_span(&p.v[k])));
		}
	}
}

static void
rsa_import_of_no_key(void **state)
{
	struct stage *s = *state;
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	_cleanup_(rsa_parts_clear) struct rsa_parts p = { 0 };
	CK_OBJECT_HANDLE h;

	ok(rsa_generate(1024, span(NULL, 0), &pkey, why));
	take_parts(pkey, &p);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(import_rsa(s, &p, 0xff & ~(1u << i), &h),
		    CVM_E_TEMPLATE_INCOMPLETE);
	for (size_t i = 0; i < 8; i++) {
		p.v[i].data[p.v[i].len - 1] ^= 2;
		assert_int_equal(import_rsa(s, &p, 0xff, &h), CVM_E_ATTR_VALUE);
		p.v[i].data[p.v[i].len - 1] ^= 2;
	}
	p.v[2].data[5] ^= 1; /* without the primes, too */
	assert_int_equal(import_rsa(s, &p, 0x07, &h), CVM_E_ATTR_VALUE);
	p.v[2].data[5] ^= 1;
	s->f.cfg.min_rsa_bits = 2048;
	assert_int_equal(import_rsa(s, &p, 0xff, &h), CVM_E_KEY_SIZE);
}

static void
rsa_public_of_no_key(void **state)
{
	struct stage *s = *state;
	CK_BYTE n[128], e[] = { 1, 0, 1 };
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, CKO_PUBLIC_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_RSA), BYTES_ATTR(CKA_MODULUS, n),
		BYTES_ATTR(CKA_PUBLIC_EXPONENT, e) };
	CK_OBJECT_HANDLE h;

	memset(n, 0xd5, sizeof(n));
	assert_int_equal(create(s, templ, 4, &h), CVM_OK);
	assert_int_equal(create(s, templ, 3, &h), CVM_E_TEMPLATE_INCOMPLETE);
	e[2] = 2;
	assert_int_equal(create(s, templ, 4, &h), CVM_E_ATTR_VALUE);
	e[2] = 1;
	n[127] = 0xd4;
	assert_int_equal(create(s, templ, 4, &h), CVM_E_ATTR_VALUE);
	n[127] = 0;
	assert_int_equal(create(s, templ, 4, &h), CVM_E_ATTR_VALUE);
	templ[2].ulValueLen = 127;
	assert_int_equal(create(s, templ, 4, &h), CVM_E_KEY_SIZE);
}

/* RFC 6979 appendix A.2.5. */
#define EC_PRIVATE                                                             \
	"c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
#define EC_PUBLIC                                                              \
	"0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"   \
	"7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"

static int
import_ec(struct stage *s, struct span value, struct span point,
    CK_OBJECT_HANDLE *ret)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} v = { .in = value.data }, p = { .in = point.data };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_EC),
		BYTES_ATTR(CKA_EC_PARAMS, p256),
		{ CKA_VALUE, v.out, value.len },
		{ CKA_EC_POINT, p.out, point.len },
	};

	return create(s, templ, point.len == 0 ? 4 : 5, ret);
}

static void
ec_import_without_its_point(void **state)
{
	struct stage *s = *state;
	uint8_t value[33] = { 0 }, point[67] = { 0x04, 65 };
	_cleanup_(blob_clear) struct blob have = { 0 };
	CK_OBJECT_HANDLE h = 0;

	ok(hex_decode(EC_PRIVATE, value + 1, 32));
	ok(hex_decode(EC_PUBLIC, point + 2, 65));
	assert_int_equal(import_ec(s, span(value + 1, 32), span(NULL, 0), &h),
	    CVM_OK);
	have = get_attr(s, h, CKA_EC_POINT);
	assert_true(span_equal(blob_span(&have), span(point, 67)));
	check_signs(s, h, CKM_ECDSA_SHA256, NULL);
	/* With leading zero; the point as it should be, and raw. */
	assert_int_equal(import_ec(s, span(value, 33), span(point, 67), &h),
	    CVM_OK);
	assert_int_equal(import_ec(s, span(value + 1, 32), span(point + 2, 65),
			     &h),
	    CVM_OK);
	point[66] ^= 1;
	assert_int_equal(import_ec(s, span(value + 1, 32), span(point, 67), &h),
	    CVM_E_TEMPLATE_INCONSISTENT);
	memset(value, 0, sizeof(value));
	assert_int_equal(import_ec(s, span(value, 32), span(NULL, 0), &h),
	    CVM_E_ATTR_VALUE);
	memset(value, 0xff, sizeof(value));
	assert_int_equal(import_ec(s, span(value, 32), span(NULL, 0), &h),
	    CVM_E_ATTR_VALUE);
	assert_int_equal(import_ec(s, span("", 0), span(NULL, 0), &h),
	    CVM_E_ATTR_VALUE);
}

/* The RFC's signature of "sample" verifies, and no other does. */
static void
ec_public_import_wrong(void **state)
{
	struct stage *s = *state;
	CK_BYTE point[67] = { 0x04, 65 }, sig[64];
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_PUBLIC_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_EC),
		BYTES_ATTR(CKA_EC_PARAMS, p256),
		BYTES_ATTR(CKA_EC_POINT, point),
	};
	CK_MECHANISM mech = { CKM_ECDSA_SHA256, NULL, 0 };
	_cleanup_(op_freep) struct op *op = NULL;
	CK_OBJECT_HANDLE h = 0;

	ok(hex_decode(EC_PUBLIC, point + 2, 65));
	ok(hex_decode("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea8"
		      "4eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff406"
		      "4dc4ab2f843acda8",
	    sig, 64));
	assert_int_equal(create(s, templ, 4, &h), CVM_OK);
	op = begin(s, OP_VERIFY, &mech, h);
	assert_int_equal(op_verify_once(op, text("sample"), span(sig, 64)),
	    CVM_OK);
	assert_int_equal(op_verify_once(op, text("Sample"), span(sig, 64)),
	    CVM_E_SIGNATURE_INVALID);
	point[40] ^= 1; /* off the curve */
	assert_int_equal(create(s, templ, 4, &h), CVM_E_ATTR_VALUE);
	point[40] ^= 1;
	point[1] = 64;
	assert_int_equal(create(s, templ, 4, &h), CVM_E_ATTR_VALUE);
	templ[3].ulValueLen--;
	assert_int_equal(create(s, templ, 4, &h), CVM_E_ATTR_VALUE);
	assert_int_equal(create(s, templ, 3, &h), CVM_E_TEMPLATE_INCOMPLETE);
}

static void
secret_import_wrong(void **state)
{
	struct stage *s = *state;
	CK_BYTE value[32] = { 0 }, kcv[3] = { 0xdc, 0x95, 0xc0 };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_SECRET_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_AES),
		BYTES_ATTR(CKA_VALUE, value),
		BYTES_ATTR(CKA_CHECK_VALUE, kcv),
	};
	_cleanup_(blob_clear) struct blob have = { 0 };
	CK_OBJECT_HANDLE h = 0;

	/* FIPS 197's cipher, 256-bit key of zeros, on zeros: dc95c078... */
	assert_int_equal(create(s, templ, 4, &h), CVM_OK);
	assert_int_equal(get_ulong(s, h, CKA_VALUE_LEN), 32);
	have = get_attr(s, h, CKA_CHECK_VALUE);
	assert_memory_equal(have.data, kcv, 3);
	kcv[0] ^= 1;
	assert_int_equal(create(s, templ, 4, &h), CVM_E_ATTR_VALUE);
	templ[2].ulValueLen = 31;
	assert_int_equal(create(s, templ, 3, &h), CVM_E_KEY_SIZE);
	templ[2].ulValueLen = 0;
	assert_int_equal(create(s, templ, 3, &h), CVM_E_KEY_SIZE);
	assert_int_equal(create(s, templ, 2, &h), CVM_E_TEMPLATE_INCOMPLETE);
	assert_int_equal(create(s, templ, 1, &h), CVM_E_TEMPLATE_INCOMPLETE);
	templ[1].pValue = (CK_ULONG[]){ CKK_DES3 };
	assert_int_equal(create(s, templ, 2, &h), CVM_E_ATTR_VALUE);
	templ[1].pValue = (CK_ULONG[]){ CKK_RSA };
	templ[2].ulValueLen = 16;
	assert_int_not_equal(create(s, templ, 3, &h), CVM_OK);
}

static void
make_certificate(EVP_PKEY *pkey, long serial, struct blob *ret)
{
	_cleanup_(x509_freep) X509 *x = X509_new();
	X509_NAME *name = X509_NAME_new();
	uint8_t *der = NULL;
	int len;

	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), serial), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), 0));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 3600));
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
			     (const uint8_t *)"web", -1, -1, 0),
	    1);
	assert_int_equal(X509_set_subject_name(x, name), 1);
	assert_int_equal(X509_set_issuer_name(x, name), 1);
	assert_int_equal(X509_set_pubkey(x, pkey), 1);
	assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
	len = i2d_X509(x, &der);
	assert_true(len > 0);
	ok(blob_set(ret, span(der, (size_t)len)));
	OPENSSL_free(der);
	X509_NAME_free(name);
}

static void
certificate_does_not_meet_its_key(void **state)
{
	struct stage *s = *state;
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	_cleanup_(rsa_parts_clear) struct rsa_parts p = { 0 };
	_cleanup_(blob_clear) struct blob der = { 0 }, a = { 0 }, b = { 0 },
					  info = { 0 }, serial = { 0 };
	CK_OBJECT_HANDLE cert = 0, key = 0;
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_CERTIFICATE),
		ULONG_ATTR(CKA_CERTIFICATE_TYPE, CKC_X_509),
		{ CKA_VALUE, NULL, 0 },
		BYTES_ATTR(CKA_SERIAL_NUMBER, ((CK_BYTE[]){ 0x12, 0x67 })),
	};
	static const uint8_t want[] = { 2, 2, 0x12, 0x67 };

	ok(rsa_generate(1024, span(NULL, 0), &pkey, why));
	take_parts(pkey, &p);
	make_certificate(pkey, 4711, &der);
	templ[2].pValue = der.data;
	templ[2].ulValueLen = der.len;
	assert_int_equal(create(s, templ, 4, &cert), CVM_OK);
	assert_int_equal(import_rsa(s, &p, 0xff, &key), CVM_OK);
	a = get_attr(s, cert, CKA_ID);
	b = get_attr(s, key, CKA_ID);
	assert_int_equal(a.len, 20);
	assert_true(span_equal(blob_span(&a), blob_span(&b)));
	info = get_attr(s, cert, CKA_PUBLIC_KEY_INFO);
	assert_true(info.len > 0);
	serial = get_attr(s, cert, CKA_SERIAL_NUMBER);
	assert_true(span_equal(blob_span(&serial), span(want, 4)));
	assert_false(get_bool(s, cert, CKA_TRUSTED));
}

static void
certificate_serial_without_header_refused(void **state)
{
	struct stage *s = *state;
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	_cleanup_(blob_clear) struct blob der = { 0 }, serial = { 0 };
	static const uint8_t want[] = { 2, 3, 0, 0x92, 0x67 };
	static struct {
		uint8_t bytes[6];
		CK_ULONG len;
		int err;
	} cases[] = {
		{ { 2, 3, 0, 0x92, 0x67 }, 5, CVM_OK },
		{ { 0x92, 0x67 }, 2, CVM_OK },
		{ { 0, 0x92, 0x67 }, 3, CVM_OK },
		{ { 0, 0, 0x92, 0x67 }, 4, CVM_E_TEMPLATE_INCONSISTENT },
		{ { 0x92, 0x66 }, 2, CVM_E_TEMPLATE_INCONSISTENT },
		{ { 1, 0x92, 0x67 }, 3, CVM_E_TEMPLATE_INCONSISTENT },
		{ { 0x92 }, 1, CVM_E_TEMPLATE_INCONSISTENT },
		{ { 0 }, 1, CVM_E_TEMPLATE_INCONSISTENT },
	};

	ok(rsa_generate(1024, span(NULL, 0), &pkey, why));
	make_certificate(pkey, 0x9267, &der);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CK_OBJECT_HANDLE cert = 0;
		CK_ATTRIBUTE templ[] = {
			ULONG_ATTR(CKA_CLASS, CKO_CERTIFICATE),
			ULONG_ATTR(CKA_CERTIFICATE_TYPE, CKC_X_509),
			{ CKA_VALUE, der.data, der.len },
			{ CKA_SERIAL_NUMBER, cases[i].bytes, cases[i].len },
		};

		assert_int_equal(create(s, templ, 4, &cert), cases[i].err);
		if (cases[i].err != CVM_OK)
			continue;
		blob_clear(&serial);
		serial = get_attr(s, cert, CKA_SERIAL_NUMBER);
		assert_true(
		    span_equal(blob_span(&serial), span(want, sizeof(want))));
	}
}

static void
certificate_wrong(void **state)
{
	struct stage *s = *state;
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	_cleanup_(blob_clear) struct blob der = { 0 };
	CK_OBJECT_HANDLE h = 0;
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_CERTIFICATE),
		ULONG_ATTR(CKA_CERTIFICATE_TYPE, CKC_X_509),
		{ CKA_VALUE, NULL, 0 },
		TEXT_ATTR(CKA_SUBJECT, "another"),
	};

	ok(rsa_generate(1024, span(NULL, 0), &pkey, why));
	make_certificate(pkey, 4711, &der);
	ok(blob_append(&der, span("", 1)));
	templ[2].pValue = der.data;
	templ[2].ulValueLen = der.len - 1;
	assert_int_equal(create(s, templ, 3, &h), CVM_OK);
	assert_int_equal(create(s, templ, 4, &h), CVM_E_TEMPLATE_INCONSISTENT);
	templ[3].type = CKA_ISSUER;
	assert_int_equal(create(s, templ, 4, &h), CVM_E_TEMPLATE_INCONSISTENT);
	templ[3].type = CKA_CHECK_VALUE;
	assert_int_equal(create(s, templ, 4, &h), CVM_E_ATTR_VALUE);
	templ[3].type = CKA_PUBLIC_KEY_INFO;
	assert_int_equal(create(s, templ, 4, &h), CVM_E_TEMPLATE_INCONSISTENT);
	templ[2].ulValueLen = der.len; /* a byte behind it */
	assert_int_equal(create(s, templ, 3, &h), CVM_E_ATTR_VALUE);
	templ[2].ulValueLen = der.len - 2;
	assert_int_equal(create(s, templ, 3, &h), CVM_E_ATTR_VALUE);
	templ[2].ulValueLen = 0;
	assert_int_equal(create(s, templ, 3, &h), CVM_E_ATTR_VALUE);
	templ[2].ulValueLen = der.len - 1;
	templ[1].pValue = (CK_ULONG[]){ CKC_WTLS };
	assert_int_equal(create(s, templ, 3, &h), CVM_E_ATTR_VALUE);
	assert_int_equal(create(s, templ, 1, &h), CVM_E_TEMPLATE_INCOMPLETE);
}

static int
wrap(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE by,
    CK_OBJECT_HANDLE key, uint8_t out[static 2048], CK_ULONG *len)
{
	*len = 2048;
	return token_wrap(s->t, &s->c, mech, by, key, out, len, NULL);
}

static int
unwrap(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE by,
    struct span wrapped, CK_OBJECT_CLASS class, CK_KEY_TYPE type,
    CK_OBJECT_HANDLE *ret)
{
	CK_ATTRIBUTE templ[] = { ULONG_ATTR(CKA_CLASS, class),
		ULONG_ATTR(CKA_KEY_TYPE, type),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		BOOL_ATTR(CKA_SENSITIVE, false) };

	return token_unwrap(s->t, &s->c, mech, by, wrapped, templ, 4, ret,
	    NULL);
}

static void
wrapped_key_comes_back_another(void **state)
{
	struct stage *s = *state;
	CK_BYTE iv[16] = { 7 };
	CK_GCM_PARAMS gcm = { iv, 12, 96, NULL, 0, 128 };
	CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256,
		CKZ_DATA_SPECIFIED, NULL, 0 };
	CK_MECHANISM symmetric[] = { { CKM_AES_KEY_WRAP_KWP, NULL, 0 },
		{ CKM_AES_CBC_PAD, iv, 16 },
		{ CKM_AES_GCM, &gcm, sizeof(gcm) } };
	CK_MECHANISM asymmetric[] = { { CKM_RSA_PKCS, NULL, 0 },
		{ CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) } };
	CK_OBJECT_HANDLE kek = make_secret(s, CKK_AES, "0123456789abcdef", 16);
	CK_OBJECT_HANDLE aes = make_secret(s, CKK_AES,
	    "fedcba9876543210fedcba98", 24);
	CK_OBJECT_HANDLE ec = 0, h = 0;
	struct pair rsa = make_rsa(s, 1024, false);
	uint8_t value[32], out[2048];
	CK_ULONG len;

	ok(hex_decode(EC_PRIVATE, value, 32));
	for (size_t i = 0; i < COUNT(symmetric); i++) {
		_cleanup_(blob_clear) struct blob b = { 0 };
		CK_ATTRIBUTE open[] = {
			ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),
			ULONG_ATTR(CKA_KEY_TYPE, CKK_EC),
			BYTES_ATTR(CKA_EC_PARAMS, p256),
			BYTES_ATTR(CKA_VALUE, value),
			BOOL_ATTR(CKA_EXTRACTABLE, true),
		};

		assert_int_equal(create(s, open, 5, &ec), CVM_OK);
		assert_int_equal(wrap(s, &symmetric[i], kek, ec, out, &len),
		    CVM_OK);
		assert_int_equal(unwrap(s, &symmetric[i], kek, span(out, len),
				     CKO_PRIVATE_KEY, CKK_EC, &h),
		    CVM_OK);
		b = get_attr(s, h, CKA_VALUE);
		assert_memory_equal(b.data, value, 32);
		assert_int_equal(get_ulong(s, h, CKA_CVM_ORIGIN),
		    CVM_ORIGIN_UNWRAPPED);
		check_signs(s, h, CKM_ECDSA_SHA256, NULL);
		/* Not what it is taken for; harmed. */
		assert_int_equal(unwrap(s, &symmetric[i], kek, span(out, len),
				     CKO_PRIVATE_KEY, CKK_RSA, &h),
		    CVM_E_WRAPPED_INVALID);
		out[20] ^= 1;
		assert_int_equal(unwrap(s, &symmetric[i], kek, span(out, len),
				     CKO_PRIVATE_KEY, CKK_EC, &h),
		    CVM_E_WRAPPED_INVALID);
		assert_int_equal(unwrap(s, &symmetric[i], kek, span(out, 0),
				     CKO_PRIVATE_KEY, CKK_EC, &h),
		    CVM_E_WRAPPED_INVALID);
	}
	for (size_t i = 0; i < COUNT(asymmetric); i++) {
		_cleanup_(blob_clear) struct blob b = { 0 };

		assert_int_equal(wrap(s, &asymmetric[i], rsa.pub, aes, out,
				     &len),
		    CVM_OK);
		assert_int_equal(unwrap(s, &asymmetric[i], rsa.priv,
				     span(out, len), CKO_SECRET_KEY, CKK_AES,
				     &h),
		    CVM_OK);
		b = get_attr(s, h, CKA_VALUE);
		assert_true(span_equal(blob_span(&b),
		    text("fedcba9876543210fedcba98")));
		assert_false(get_bool(s, h, CKA_ALWAYS_SENSITIVE));
		/* A private key does not fit. */
		assert_int_equal(wrap(s, &asymmetric[i], rsa.pub, ec, out,
				     &len),
		    CVM_E_KEY_SIZE);
	}
}

/* PKCS#11 section 5.2: the caller learns how much it takes, by either way. */
static void
room_for_a_wrapped_key_too_small(void **state)
{
	struct stage *s = *state;
	CK_BYTE iv[16] = { 7 };
	CK_GCM_PARAMS gcm = { iv, 12, 96, NULL, 0, 128 };
	CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA_1, CKG_MGF1_SHA1,
		CKZ_DATA_SPECIFIED, NULL, 0 };
	CK_RSA_AES_KEY_WRAP_PARAMS both = { 256, &oaep };
	CK_MECHANISM mechs[] = { { CKM_RSA_PKCS, NULL, 0 },
		{ CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) },
		{ CKM_RSA_AES_KEY_WRAP, &both, sizeof(both) },
		{ CKM_AES_KEY_WRAP, NULL, 0 },
		{ CKM_AES_KEY_WRAP_KWP, NULL, 0 }, { CKM_AES_CBC, iv, 16 },
		{ CKM_AES_CBC_PAD, iv, 16 },
		{ CKM_AES_GCM, &gcm, sizeof(gcm) } };
	CK_OBJECT_HANDLE kek = make_secret(s, CKK_AES, "0123456789abcdef", 16);
	CK_OBJECT_HANDLE key = make_secret(s, CKK_AES, "fedcba9876543210", 16);
	struct pair rsa = make_rsa(s, 1024, false);
	uint8_t out[2048];

	for (size_t i = 0; i < COUNT(mechs); i++) {
		CK_OBJECT_HANDLE by = i < 3 ? rsa.pub : kek;
		CK_ULONG need = 0, len;

		ok(token_wrap(s->t, &s->c, &mechs[i], by, key, NULL, &need,
		    why));
		for (size_t k = 0; k < 3; k++) {
			const CK_ULONG room[] = { 0, 5, need - 1 };

			len = room[k];
			assert_int_equal(token_wrap(s->t, &s->c, &mechs[i], by,
					     key, out, &len, NULL),
			    CVM_E_BUFFER_TOO_SMALL);
			assert_int_equal(len, need);
		}
		ok(token_wrap(s->t, &s->c, &mechs[i], by, key, out, &len, why));
		assert_int_equal(len, need);
	}
}

/* A key longer than any RSA message, and its two halves taken apart with the
 * mechanisms that they are made of. */
static void
rsa_aes_wraps_as_nobody_else(void **state)
{
	struct stage *s = *state;
	struct pair rsa = make_rsa(s, 2048, false);
	CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256,
		CKZ_DATA_SPECIFIED, NULL, 0 };
	CK_RSA_AES_KEY_WRAP_PARAMS p = { 192, &oaep };
	CK_MECHANISM mech = { CKM_RSA_AES_KEY_WRAP, &p, sizeof(p) };
	CK_MECHANISM outer = { CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) };
	CK_MECHANISM inner = { CKM_AES_KEY_WRAP_KWP, NULL, 0 };
	CK_OBJECT_HANDLE long_key, aes = 0, back = 0, h = 0;
	uint8_t value[300], out[2048];
	CK_ULONG len = 0, need = 0;

	memset(value, 0x5a, sizeof(value));
	long_key = make_secret(s, CKK_GENERIC_SECRET, value, sizeof(value));
	ok(token_wrap(s->t, &s->c, &mech, rsa.pub, long_key, NULL, &need, why));
	assert_int_equal(need, 256 + 304 + 8);
	len = need - 1;
	assert_int_equal(token_wrap(s->t, &s->c, &mech, rsa.pub, long_key, out,
			     &len, NULL),
	    CVM_E_BUFFER_TOO_SMALL);
	assert_int_equal(len, need);
	ok(wrap(s, &mech, rsa.pub, long_key, out, &len));
	ok(unwrap(s, &mech, rsa.priv, span(out, len), CKO_SECRET_KEY,
	    CKK_GENERIC_SECRET, &back));
	ok(unwrap(s, &outer, rsa.priv, span(out, 256), CKO_SECRET_KEY, CKK_AES,
	    &aes));
	assert_int_equal(get_ulong(s, aes, CKA_VALUE_LEN), 24);
	{
		CK_BBOOL yes = CK_TRUE;
		CK_ATTRIBUTE unwraps = { CKA_UNWRAP, &yes, 1 };

		ok(token_set_attributes(s->t, &s->c, aes, &unwraps, 1, why));
	}
	ok(unwrap(s, &inner, aes, span(&out[256], len - 256), CKO_SECRET_KEY,
	    CKK_GENERIC_SECRET, &h));
	for (int i = 0; i < 2; i++) {
		_cleanup_(blob_clear) struct blob v = get_attr(s,
		    i == 0 ? back : h, CKA_CHECK_VALUE);
		_cleanup_(blob_clear) struct blob w = get_attr(s, long_key,
		    CKA_CHECK_VALUE);

		assert_memory_equal(v.data, w.data, 3);
	}
	for (size_t i = 0; i < len; i += 97) {
		out[i] ^= 1;
		assert_int_equal(unwrap(s, &mech, rsa.priv, span(out, len),
				     CKO_SECRET_KEY, CKK_GENERIC_SECRET, &h),
		    CVM_E_WRAPPED_INVALID);
		out[i] ^= 1;
	}
	for (size_t i = 255; i < 280; i++)
		assert_int_equal(unwrap(s, &mech, rsa.priv, span(out, i),
				     CKO_SECRET_KEY, CKK_GENERIC_SECRET, &h),
		    CVM_E_WRAPPED_INVALID);
	/* The AES key has to be of the length that was asked for. */
	p.ulAESKeyBits = 256;
	assert_int_equal(unwrap(s, &mech, rsa.priv, span(out, len),
			     CKO_SECRET_KEY, CKK_GENERIC_SECRET, &h),
	    CVM_E_WRAPPED_INVALID);
	p.ulAESKeyBits = 64;
	assert_int_equal(wrap(s, &mech, rsa.pub, long_key, out, &len),
	    CVM_E_MECH_PARAM);
	p = (CK_RSA_AES_KEY_WRAP_PARAMS){ 256, NULL };
	assert_int_equal(wrap(s, &mech, rsa.pub, long_key, out, &len),
	    CVM_E_MECH_PARAM);
	p.pOAEPParams = &oaep;
	oaep.hashAlg = CKM_MD5;
	assert_int_equal(wrap(s, &mech, rsa.pub, long_key, out, &len),
	    CVM_E_MECH_PARAM);
}

static void
key_wrapped_that_must_stay(void **state)
{
	struct stage *s = *state;
	CK_MECHANISM kwp = { CKM_AES_KEY_WRAP_KWP, NULL, 0 };
	CK_OBJECT_HANDLE kek = make_secret(s, CKK_AES, "0123456789abcdef", 16);
	CK_OBJECT_HANDLE aes = make_secret(s, CKK_AES, "fedcba9876543210", 16);
	struct pair ec = MAKE_EC(s, p256);
	CK_ATTRIBUTE trusted_only = BOOL_ATTR(CKA_WRAP_WITH_TRUSTED, true);
	CK_ATTRIBUTE trusted = BOOL_ATTR(CKA_TRUSTED, true);
	CK_ATTRIBUTE no_wrap = BOOL_ATTR(CKA_WRAP, false);
	uint8_t out[2048];
	CK_ULONG len;

	assert_int_equal(wrap(s, &kwp, kek, ec.priv, out, &len),
	    CVM_E_KEY_UNEXTRACTABLE);
	assert_int_equal(wrap(s, &kwp, kek, ec.pub, out, &len),
	    CVM_E_KEY_NOT_WRAPPABLE);
	assert_int_equal(wrap(s, &kwp, kek, aes, out, &len), CVM_OK);
	ok(token_set_attributes(s->t, &s->c, aes, &trusted_only, 1, why));
	assert_int_equal(wrap(s, &kwp, kek, aes, out, &len),
	    CVM_E_KEY_NOT_WRAPPABLE);
	s->c.so = true;
	ok(token_set_attributes(s->t, &s->c, kek, &trusted, 1, why));
	s->c.so = false;
	assert_int_equal(wrap(s, &kwp, kek, aes, out, &len), CVM_OK);
	s->c.so = true;
	ok(token_set_attributes(s->t, &s->c, kek, &no_wrap, 1, why));
	s->c.so = false;
	assert_int_equal(wrap(s, &kwp, kek, aes, out, &len),
	    CVM_E_KEY_FUNCTION);
}

static int
derive(struct stage *s, CK_OBJECT_HANDLE base, CK_ECDH1_DERIVE_PARAMS *p,
    CK_ULONG want, CK_OBJECT_HANDLE *ret)
{
	CK_MECHANISM mech = { CKM_ECDH1_DERIVE, p, sizeof(*p) };
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_KEY_TYPE, CKK_GENERIC_SECRET),
		BOOL_ATTR(CKA_SENSITIVE, false),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		ULONG_ATTR(CKA_VALUE_LEN, want),
	};

	return token_derive(s->t, &s->c, &mech, base, templ, want > 0 ? 4 : 3,
	    ret, NULL);
}

/* Both sides come to the same secret, and the KDF to more of it. */
static void
derived_secrets_differ(void **state)
{
	static const struct {
		CK_MECHANISM_TYPE mech;
		CK_BYTE *params;
		size_t len, secret;
	} v[] = {
		{ CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256), 32 },
		{ CKM_EC_KEY_PAIR_GEN, p521, sizeof(p521), 66 },
		{ CKM_EC_MONTGOMERY_KEY_PAIR_GEN, x25519, sizeof(x25519), 32 },
		{ CKM_EC_MONTGOMERY_KEY_PAIR_GEN, x448, sizeof(x448), 56 },
	};
	struct stage *s = *state;

	for (size_t i = 0; i < COUNT(v); i++) {
		struct pair a = make_ec(s, v[i].mech, v[i].params, v[i].len,
		    false);
		struct pair b = make_ec(s, v[i].mech, v[i].params, v[i].len,
		    false);
		_cleanup_(blob_clear) struct blob pa = get_attr(s, a.pub,
		    CKA_EC_POINT);
		_cleanup_(blob_clear) struct blob pb = get_attr(s, b.pub,
		    CKA_EC_POINT);
		_cleanup_(blob_clear) struct blob x = { 0 }, y = { 0 },
						  z = { 0 };
		CK_ECDH1_DERIVE_PARAMS to_b = { CKD_NULL, 0, NULL, pb.len,
			pb.data };
		CK_ECDH1_DERIVE_PARAMS to_a = { CKD_NULL, 0, NULL, pa.len,
			pa.data };
		CK_OBJECT_HANDLE h = 0;
		uint8_t info[70] = { 0 }, want[32];

		assert_int_equal(derive(s, a.priv, &to_b, 0, &h), CVM_OK);
		assert_int_equal(get_ulong(s, h, CKA_CVM_ORIGIN),
		    CVM_ORIGIN_DERIVED);
		x = get_attr(s, h, CKA_VALUE);
		assert_int_equal(derive(s, b.priv, &to_a, 0, &h), CVM_OK);
		y = get_attr(s, h, CKA_VALUE);
		assert_int_equal(x.len, v[i].secret);
		assert_true(span_equal(blob_span(&x), blob_span(&y)));
		assert_false(span_is_filled(blob_span(&x), 0));
		assert_int_equal(derive(s, a.priv, &to_b, v[i].secret + 1, &h),
		    CVM_E_KEY_SIZE);
		/* SEC 1 section 3.6.1, the first block. */
		to_b.kdf = CKD_SHA256_KDF;
		assert_int_equal(derive(s, a.priv, &to_b, 100, &h), CVM_OK);
		z = get_attr(s, h, CKA_VALUE);
		memcpy(info, x.data, x.len);
		info[x.len + 3] = 1;
		ok(hash(HASH_SHA256, span(info, x.len + 4), want));
		assert_int_equal(z.len, 100);
		assert_memory_equal(z.data, want, 32);
	}
}

static void
peer_point_wrong(void **state)
{
	struct stage *s = *state;
	struct pair a = MAKE_EC(s, p256);
	struct pair m = make_ec(s, CKM_EC_MONTGOMERY_KEY_PAIR_GEN, x25519,
	    sizeof(x25519), false);
	_cleanup_(blob_clear) struct blob p = get_attr(s, a.pub, CKA_EC_POINT);
	CK_ECDH1_DERIVE_PARAMS d = { CKD_NULL, 0, NULL, p.len, p.data };
	CK_BYTE zeros[32] = { 0 };
	CK_OBJECT_HANDLE h;

	assert_int_equal(derive(s, a.priv, &d, 0, &h), CVM_OK);
	p.data[30] ^= 1;
	assert_int_equal(derive(s, a.priv, &d, 0, &h), CVM_E_MECH_PARAM);
	p.data[30] ^= 1;
	d.ulPublicDataLen--;
	assert_int_equal(derive(s, a.priv, &d, 0, &h), CVM_E_MECH_PARAM);
	d.ulPublicDataLen++;
	d.kdf = 99;
	assert_int_equal(derive(s, a.priv, &d, 0, &h), CVM_E_MECH_PARAM);
	d.kdf = CKD_NULL;
	d.ulSharedDataLen = 1;
	assert_int_equal(derive(s, a.priv, &d, 0, &h), CVM_E_MECH_PARAM);
	/* A point of small order gives a secret that everybody knows. */
	d = (CK_ECDH1_DERIVE_PARAMS){ CKD_NULL, 0, NULL, 32, zeros };
	assert_int_equal(derive(s, m.priv, &d, 0, &h), CVM_E_MECH_PARAM);
	assert_int_equal(derive(s, m.pub, &d, 0, &h), CVM_E_KEY_TYPE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(rsa_import_loses_parts),
		ON_STAGE(rsa_import_of_no_key),
		ON_STAGE(rsa_public_of_no_key),
		ON_STAGE(ec_import_without_its_point),
		ON_STAGE(ec_public_import_wrong),
		ON_STAGE(secret_import_wrong),
		ON_STAGE(certificate_does_not_meet_its_key),
		ON_STAGE(certificate_serial_without_header_refused),
		ON_STAGE(certificate_wrong),
		ON_STAGE(wrapped_key_comes_back_another),
		ON_STAGE(room_for_a_wrapped_key_too_small),
		ON_STAGE(rsa_aes_wraps_as_nobody_else),
		ON_STAGE(key_wrapped_that_must_stay),
		ON_STAGE(derived_secrets_differ),
		ON_STAGE(peer_point_wrong),
	};

	return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
