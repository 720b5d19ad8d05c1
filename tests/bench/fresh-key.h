/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */
#ifndef TESTS_BENCH_FRESH_KEY_H
#define TESTS_BENCH_FRESH_KEY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "attest/cert.h"
#include "tests/unit/x509-maker.h"

/*
 * A public key as bytes, which is how a verifier meets it for the first time,
 * and made from them anew: on a curve by a copy of a key without a point, RSA
 * by EVP_PKEY_fromdata(), which are the quickest ways that OpenSSL 3.0 has.
 */
struct key_bytes {
	bool rsa;
	enum ec_curve curve;
	uint8_t a[1024], b[16]; /* point; or modulus and exponent */
	size_t a_len, b_len;
};

static inline size_t
number_bytes(const EVP_PKEY *key, const char *name, uint8_t *out, size_t len)
{
	BIGNUM *n = NULL;
	int used;

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
	assert_true((size_t)BN_num_bytes(n) <= len);
	used = BN_bn2bin(n, out);
	BN_free(n);
	return (size_t)used;
}

static inline void
key_bytes_of(const EVP_PKEY *key, struct key_bytes *ret)
{
	int bits = EVP_PKEY_get_bits(key);

	memset(ret, 0, sizeof(*ret));
	ret->rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	if (ret->rsa) {
		ret->a_len = number_bytes(key, OSSL_PKEY_PARAM_RSA_N, ret->a,
		    sizeof(ret->a));
		ret->b_len = number_bytes(key, OSSL_PKEY_PARAM_RSA_E, ret->b,
		    sizeof(ret->b));
		return;
	}
	ret->curve = bits == 256 ? EC_P256 : bits == 384 ? EC_P384 : EC_P521;
	assert_int_equal(EVP_PKEY_get_octet_string_param(key,
			     OSSL_PKEY_PARAM_PUB_KEY, ret->a, sizeof(ret->a),
			     &ret->a_len),
	    1);
}

static inline EVP_PKEY *
fresh_key(const struct key_bytes *k)
{
	EVP_PKEY *key = NULL;

	if (k->rsa)
		assert_int_equal(public_key_rsa(span(k->a, k->a_len),
				     span(k->b, k->b_len), &key),
		    0);
	else
		assert_int_equal(public_key_ec(k->curve, span(k->a, k->a_len),
				     &key),
		    0);
	return key;
}

/* The signature alone, whatever is remembered of it. */
static inline void
signed_by(EVP_PKEY *key, const struct cert_alg *alg, struct span tbs,
    struct span signature)
{
	assert_int_equal(maker_check(key, alg->scheme, alg->hash, tbs,
			     signature),
	    0);
}

#endif
