/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <string.h>

#include "token/keys.h"

/*
 * The primes of an RSA key out of its exponents (SP 800-56B appendix C.2):
 * applications may import modulus and exponents alone, and PrivateKeyInfo has
 * no form for a key without primes.
 */
#define TRIES 100

static void
bn_ctx_freep(BN_CTX **c)
{
	BN_CTX_free(*c);
	*c = NULL;
}

struct factoring {
	BIGNUM *n, *r, *n1, *y, *x;
	int t; /* d * e - 1 = 2^t * r */
};

static void
factoring_clear(struct factoring *f)
{
	bn_freep(&f->n);
	bn_freep(&f->r);
	bn_freep(&f->n1);
	bn_freep(&f->y);
	bn_freep(&f->x);
}

static int
prepare(struct factoring *f, struct span n, struct span e, struct span d,
    BN_CTX *ctx)
{
	_cleanup_(bn_freep) BIGNUM *be = BN_bin2bn(e.data, (int)e.len, NULL);
	_cleanup_(bn_freep) BIGNUM *bd = BN_bin2bn(d.data, (int)d.len, NULL);

	f->n = BN_bin2bn(n.data, (int)n.len, NULL);
	f->r = BN_new();
	f->y = BN_new();
	f->x = BN_new();
	if (be == NULL || bd == NULL || f->n == NULL || f->r == NULL ||
	    f->y == NULL || f->x == NULL)
		return CVM_E_NOMEM;
	f->n1 = BN_dup(f->n);
	if (f->n1 == NULL)
		return CVM_E_NOMEM;
	if (!BN_is_odd(f->n) || BN_num_bits(f->n) < 16 ||
	    BN_mul(f->r, bd, be, ctx) != 1 || BN_sub_word(f->r, 1) != 1 ||
	    BN_is_zero(f->r) || BN_is_odd(f->r) || BN_sub_word(f->n1, 1) != 1)
		return CVM_E_ATTR_VALUE;
	while (!BN_is_odd(f->r)) {
		if (BN_rshift1(f->r, f->r) != 1)
			return CVM_E_CRYPTO;
		f->t++;
	}
	return CVM_OK;
}

/* y: a square root of one that is neither 1 nor -1, if this try finds it. */
static int
try_root(struct factoring *f, BN_CTX *ctx, bool *ret_found)
{
	if (BN_priv_rand_range_ex(f->y, f->n, 0, ctx) != 1 ||
	    BN_mod_exp(f->y, f->y, f->r, f->n, ctx) != 1)
		return CVM_E_CRYPTO;
	if (BN_is_one(f->y) || BN_cmp(f->y, f->n1) == 0)
		return CVM_OK;
	for (int i = 0; i < f->t; i++) {
		if (BN_mod_sqr(f->x, f->y, f->n, ctx) != 1)
			return CVM_E_CRYPTO;
		if (BN_is_one(f->x)) {
			*ret_found = true;
			return CVM_OK;
		}
		if (BN_cmp(f->x, f->n1) == 0)
			return CVM_OK;
		if (BN_copy(f->y, f->x) == NULL)
			return CVM_E_NOMEM;
	}
	/* y^(2^t r) is not one: the exponents do not fit the modulus. */
	return CVM_E_ATTR_VALUE;
}

static int
to_secret(const BIGNUM *bn, struct secret **ret)
{
	int len = BN_num_bytes(bn);
	_cleanup_(secret_freep) struct secret *s = secret_new((size_t)len);

	if (s == NULL)
		return CVM_E_NOMEM;
	if (BN_bn2binpad(bn, secret_data(s), len) != len)
		return CVM_E_CRYPTO;
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

/* p = gcd(y - 1, n), q = n / p, the larger one first. */
static int
split(struct factoring *f, BN_CTX *ctx, struct secret **ret_p,
    struct secret **ret_q)
{
	bool swap;
	int err;

	if (BN_sub_word(f->y, 1) != 1 || BN_gcd(f->x, f->y, f->n, ctx) != 1 ||
	    BN_div(f->y, NULL, f->n, f->x, ctx) != 1)
		return CVM_E_CRYPTO;
	if (BN_is_one(f->x) || BN_is_one(f->y))
		return CVM_E_ATTR_VALUE;
	swap = BN_cmp(f->x, f->y) < 0;
	err = to_secret(swap ? f->y : f->x, ret_p);
	return err == CVM_OK ? to_secret(swap ? f->x : f->y, ret_q) : err;
}

int
rsa_factor(struct span n, struct span e, struct span d, struct secret **ret_p,
    struct secret **ret_q)
{
	quiet_openssl();
	_cleanup_(factoring_clear) struct factoring f = { 0 };
	_cleanup_(bn_ctx_freep)
	    BN_CTX *ctx = BN_CTX_secure_new_ex(crypto_libctx());
	bool found = false;
	int err;

	if (ctx == NULL)
		return CVM_E_NOMEM;
	err = prepare(&f, n, e, d, ctx);
	/* Each try succeeds with one half at least. */
	for (int i = 0; i < TRIES && err == CVM_OK && !found; i++)
		err = try_root(&f, ctx, &found);
	if (err != CVM_OK)
		return err;
	return found ? split(&f, ctx, ret_p, ret_q) : CVM_E_ATTR_VALUE;
}
