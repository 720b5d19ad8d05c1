/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "token/evp.h"
#include "token/keys.h"

/* The longest RSA key that there is. It is a program of its own: that its
 * primes are prime takes seconds to check. */

#define MODULUS_LEN (RSA_BITS_MAX / 8)

/* The prime of a group that is published, which nobody has to look for. */
static BIGNUM *
prime_of(const char *group)
{
	_cleanup_(pkey_freep) EVP_PKEY *key = NULL;
	_cleanup_(pkey_ctx_freep)
	    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_libctx(),
		"DH", NULL);
	char name[16];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
		    name, 0),
		OSSL_PARAM_construct_end()
	};
	BIGNUM *ret = NULL;

	(void)snprintf(name, sizeof(name), "%s", group);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEY_PARAMETERS,
			     params),
	    1);
	assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_FFC_P,
			     &ret),
	    1);
	return ret;
}

static void
put(const BIGNUM *bn, CK_ATTRIBUTE_TYPE type, struct blob *b, CK_ATTRIBUTE *ret)
{
	b->len = (size_t)BN_num_bytes(bn);
	b->data = malloc(b->len);
	assert_non_null(b->data);
	(void)BN_bn2bin(bn, b->data);
	*ret = (CK_ATTRIBUTE){ type, b->data, b->len };
}

enum { N, E, D, P, Q, N_PARTS };

static void
make_parts(struct blob b[static N_PARTS], CK_ATTRIBUTE a[static N_PARTS])
{
	_cleanup_(bn_freep) BIGNUM *p = prime_of("modp_4096");
	_cleanup_(bn_freep) BIGNUM *q = prime_of("ffdhe4096");
	_cleanup_(bn_freep) BIGNUM *n = BN_new(), *e = BN_new();
	_cleanup_(bn_freep) BIGNUM *d = BN_new(), *phi = BN_new();
	BN_CTX *ctx = BN_CTX_new();

	assert_int_equal(BN_mul(n, p, q, ctx), 1);
	assert_int_equal(BN_num_bits(n), RSA_BITS_MAX);
	assert_int_equal(BN_set_word(e, RSA_F4), 1);
	put(n, CKA_MODULUS, &b[N], &a[N]);
	put(e, CKA_PUBLIC_EXPONENT, &b[E], &a[E]);
	put(p, CKA_PRIME_1, &b[P], &a[P]);
	put(q, CKA_PRIME_2, &b[Q], &a[Q]);
	assert_int_equal(BN_sub_word(p, 1) && BN_sub_word(q, 1), 1);
	assert_int_equal(BN_mul(phi, p, q, ctx), 1);
	assert_non_null(BN_mod_inverse(d, e, phi, ctx));
	put(d, CKA_PRIVATE_EXPONENT, &b[D], &a[D]);
	BN_CTX_free(ctx);
}

static int
import(struct stage *s, CK_OBJECT_CLASS class, const CK_ATTRIBUTE *parts,
    CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
	CK_ATTRIBUTE templ[2 + N_PARTS] = { ULONG_ATTR(CKA_CLASS, class),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_RSA) };

	memcpy(&templ[2], parts, n * sizeof(*parts));
	return token_create(s->t, &s->c, templ, 2 + n, ret, NULL);
}

/* A buffer that 4096 bits fit into. */
static void
longest_key_does_not_fit(void **state)
{
	struct stage *s = *state;
	CK_RSA_PKCS_PSS_PARAMS pss = { CKM_SHA512, CKG_MGF1_SHA512, 64 };
	CK_MECHANISM signs[] = { { CKM_SHA256_RSA_PKCS, NULL, 0 },
		{ CKM_SHA512_RSA_PKCS_PSS, &pss, sizeof(pss) } };
	CK_MECHANISM crypts = { CKM_RSA_PKCS, NULL, 0 };
	struct blob b[N_PARTS] = { { 0 } };
	CK_ATTRIBUTE a[N_PARTS];
	CK_OBJECT_HANDLE pub = 0, priv = 0;
	uint8_t out[MODULUS_LEN], plain[MODULUS_LEN - 11], back[MODULUS_LEN];

	make_parts(b, a);
	ok(import(s, CKO_PUBLIC_KEY, a, 2, &pub));
	ok(import(s, CKO_PRIVATE_KEY, a, N_PARTS, &priv));
	assert_int_equal(get_ulong(s, pub, CKA_MODULUS_BITS), RSA_BITS_MAX);
	for (size_t i = 0; i < COUNT(signs); i++) {
		_cleanup_(op_freep) struct op *sign = begin(s, OP_SIGN,
		    &signs[i], priv);
		_cleanup_(op_freep) struct op *verify = begin(s, OP_VERIFY,
		    &signs[i], pub);
		CK_ULONG len = sizeof(out);

		ok(op_once(sign, s->c.permit, text("data"), out, &len, why));
		assert_int_equal(len, MODULUS_LEN);
		ok(op_verify_once(verify, text("data"), span(out, len)));
	}
	{
		_cleanup_(op_freep) struct op *enc = begin(s, OP_ENCRYPT,
		    &crypts, pub);
		_cleanup_(op_freep) struct op *dec = begin(s, OP_DECRYPT,
		    &crypts, priv);
		CK_ULONG len = sizeof(out), n = sizeof(back);

		memset(plain, 0x5a, sizeof(plain));
		ok(op_once(enc, NULL, span(plain, sizeof(plain)), out, &len,
		    why));
		ok(op_once(dec, s->c.permit, span(out, len), back, &n, why));
		assert_int_equal(n, sizeof(plain));
		assert_memory_equal(back, plain, n);
	}
	for (size_t i = 0; i < N_PARTS; i++)
		blob_clear(&b[i]);
}

/* What no operation has a buffer for. */
static void
key_is_too_long(void **state)
{
	struct stage *s = *state;
	CK_BYTE n[MODULUS_LEN + 1], e[] = { 1, 0, 1 };
	CK_ATTRIBUTE a[] = { BYTES_ATTR(CKA_MODULUS, n),
		BYTES_ATTR(CKA_PUBLIC_EXPONENT, e) };
	CK_OBJECT_HANDLE h;

	memset(n, 0xff, sizeof(n));
	for (int first = 1; first < 0x100; first <<= 1) {
		n[0] = (CK_BYTE)first;
		assert_int_equal(import(s, CKO_PUBLIC_KEY, a, 2, &h),
		    CVM_E_KEY_SIZE);
	}
	n[0] = 0;
	assert_int_equal(import(s, CKO_PUBLIC_KEY, a, 2, &h), CVM_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(longest_key_does_not_fit),
		ON_STAGE(key_is_too_long),
	};

	return cmocka_run_group_tests_name("rsa-8192", tests, NULL, NULL);
}
