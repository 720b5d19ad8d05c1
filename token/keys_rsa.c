/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "base/reader.h"
#include "token/keys.h"
#include "token/template.h"

/* PKCS#11 numbers and OpenSSL's, in the order that OpenSSL wants. */
static const struct {
	CK_ATTRIBUTE_TYPE type;
	const char *name;
} parts[] = {
	{ CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N },
	{ CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E },
	{ CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D },
	{ CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1 },
	{ CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2 },
	{ CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1 },
	{ CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2 },
	{ CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
};
enum {
	PART_N,
	PART_E,
	PART_D,
	PART_P,
	PART_Q,
	PART_DP,
	PART_DQ,
	PART_QINV,
	N_PARTS
};
_Static_assert(N_PARTS == RSA_NUMBERS, "an RSAPrivateKey has all of them");

static const uint8_t exponent_f4[] = { 1, 0, 1 };

static struct span
strip(struct span s)
{
	struct reader r = reader_init(s);
	size_t zeros = 0;

	while (zeros < s.len && s.data[zeros] == 0)
		zeros++;
	read_skip(&r, zeros);
	return read_span(&r, s.len - zeros);
}

CK_ULONG
rsa_bits(struct span modulus)
{
	struct span s = strip(modulus);
	CK_ULONG bits = s.len * 8;

	for (unsigned top = 0x80; s.len > 0 && (s.data[0] & top) == 0;
	     top >>= 1)
		bits--;
	return bits;
}

int
rsa_check_bits(const struct config_token *cfg, CK_ULONG bits,
    struct why *reterr_why)
{
	char allowed[64];

	if (bits >= cfg->min_rsa_bits && bits <= RSA_BITS_MAX && bits % 8 == 0)
		return CVM_OK;
	(void)snprintf(allowed, sizeof(allowed), "%u to %u bits, whole bytes",
	    cfg->min_rsa_bits, RSA_BITS_MAX);
	return why_setf(reterr_why, CVM_E_KEY_SIZE, "template", "CKA_MODULUS",
	    allowed, "%lu bits", bits);
}

static int
get_number(const EVP_PKEY *pkey, const char *name, struct secret **ret)
{
	quiet_openssl();
	_cleanup_(bn_freep) BIGNUM *bn = NULL;
	_cleanup_(secret_freep) struct secret *s = NULL;
	int len;

	if (EVP_PKEY_get_bn_param(pkey, name, &bn) != 1)
		return CVM_E_NOT_FOUND;
	len = BN_num_bytes(bn);
	s = secret_new(len > 0 ? (size_t)len : 1);
	if (s == NULL)
		return CVM_E_NOMEM;
	if (BN_bn2binpad(bn, secret_data(s), (int)secret_len(s)) < 0)
		return CVM_E_CRYPTO;
	*ret = TAKE_PTR(s);
	return CVM_OK;
}

int
rsa_private_value(const EVP_PKEY *pkey, CK_ATTRIBUTE_TYPE type,
    struct secret **ret)
{
	for (size_t i = 0; i < N_PARTS; i++)
		if (parts[i].type == type)
			return get_number(pkey, parts[i].name, ret);
	return CVM_E_ATTR_TYPE;
}

/* Numbers are compared and stored without leading zeros. */
static int
agree_number(struct attrs *a, CK_ATTRIBUTE_TYPE type, struct span value,
    struct why *why)
{
	const struct attr *have = attrs_find(a, type);

	if (have != NULL && have->value.len > 0 &&
	    !span_equal(strip(blob_span(&have->value)), value))
		return template_refuse(why, CVM_E_TEMPLATE_INCONSISTENT, type,
		    "the key's own value", "another");
	return attrs_set(a, type, value);
}

static int
describe_bits(CK_ULONG bits, struct attrs *a, struct why *why)
{
	if (attrs_ulong(a, CKA_MODULUS_BITS, bits) != bits)
		return template_refuse(why, CVM_E_TEMPLATE_INCONSISTENT,
		    CKA_MODULUS_BITS, "the key's own size", "another");
	return attrs_set_ulong(a, CKA_MODULUS_BITS, bits);
}

int
rsa_describe(const EVP_PKEY *pkey, CK_OBJECT_CLASS class, struct attrs *a,
    struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *n = NULL;
	_cleanup_(secret_freep) struct secret *e = NULL;
	int err = get_number(pkey, OSSL_PKEY_PARAM_RSA_N, &n);

	if (err == CVM_OK)
		err = get_number(pkey, OSSL_PKEY_PARAM_RSA_E, &e);
	if (err == CVM_OK)
		err = agree_number(a, CKA_MODULUS, secret_span(n), reterr_why);
	if (err == CVM_OK)
		err = agree_number(a, CKA_PUBLIC_EXPONENT, secret_span(e),
		    reterr_why);
	if (err != CVM_OK || class != CKO_PUBLIC_KEY)
		return err;
	return describe_bits(rsa_bits(secret_span(n)), a, reterr_why);
}

/* 65537 when none is given; odd, above 2^16 and at most 256 bits otherwise
 * (FIPS 186-5 section A.1.1). What another is: err. */
static int
check_exponent(struct span e, int err, struct why *why)
{
	struct span s = strip(e);

	if (s.len >= sizeof(exponent_f4) && s.len <= 32 &&
	    (s.data[s.len - 1] & 1) == 1 && rsa_bits(s) > 16)
		return CVM_OK;
	return template_refuse(why, err, CKA_PUBLIC_EXPONENT,
	    "an odd number between 2^16 and 2^256", "another");
}

static int
set_exponent(EVP_PKEY_CTX *ctx, struct span e)
{
	_cleanup_(bn_freep) BIGNUM *bn = BN_bin2bn(e.data, (int)e.len, NULL);

	if (bn == NULL)
		return CVM_E_NOMEM;
	return EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, bn) == 1 ? CVM_OK :
								   CVM_E_CRYPTO;
}

int
rsa_generate(CK_ULONG bits, struct span public_exponent, EVP_PKEY **ret,
    struct why *reterr_why)
{
	quiet_openssl();
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *ctx = NULL;
	struct span e = public_exponent.len > 0 ?
	    public_exponent :
	    span(exponent_f4, sizeof(exponent_f4));
	/* PKCS#11 section 6.1.4 names the error. */
	int err = check_exponent(e, CVM_E_TEMPLATE_INCONSISTENT, reterr_why);

	if (err != CVM_OK)
		return err;
	ctx = EVP_PKEY_CTX_new_from_name(crypto_libctx(), NAME_RSA,
	    /* props= */ NULL);
	if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) != 1)
		return CVM_E_CRYPTO;
	err = set_exponent(ctx, e);
	if (err != CVM_OK)
		return err;
	return EVP_PKEY_generate(ctx, ret) == 1 ? CVM_OK : CVM_E_CRYPTO;
}

/*
 * OpenSSL takes numbers in the machine's byte order: little-endian here. They
 * are laid out in one secret, so that no copy is left on the heap.
 */
struct numbers {
	struct secret *bytes;
	size_t used;
	OSSL_PARAM params[N_PARTS + 1];
	size_t n;
};

static void
numbers_clear(struct numbers *v)
{
	secret_freep(&v->bytes);
}

static int
add_number(struct numbers *v, const char *name, struct span value)
{
	struct span s = strip(value);
	uint8_t *to;

	if (s.len == 0 || s.len > RSA_BYTES_MAX)
		return CVM_E_ATTR_VALUE;
	to = &secret_data(v->bytes)[v->used];
	for (size_t i = 0; i < s.len; i++)
		to[i] = s.data[s.len - 1 - i];
	v->params[v->n++] = OSSL_PARAM_construct_BN(name, to, s.len);
	v->params[v->n] = OSSL_PARAM_construct_end();
	v->used += s.len;
	return CVM_OK;
}

static int
from_numbers(struct numbers *v, int selection, EVP_PKEY **ret)
{
	quiet_openssl();
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *ctx = NULL;

	ctx = EVP_PKEY_CTX_new_from_name(crypto_libctx(), NAME_RSA,
	    /* props= */ NULL);
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1)
		return CVM_E_CRYPTO;
	return EVP_PKEY_fromdata(ctx, ret, selection, v->params) == 1 ?
	    CVM_OK :
	    CVM_E_ATTR_VALUE;
}

int
rsa_from_numbers(const struct span v[static RSA_NUMBERS], EVP_PKEY **ret)
{
	_cleanup_(numbers_clear) struct numbers all = { 0 };
	int err = CVM_OK;

	all.bytes = secret_new(N_PARTS * RSA_BYTES_MAX);
	if (all.bytes == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; err == CVM_OK && i < N_PARTS; i++)
		err = add_number(&all, parts[i].name, v[i]);
	return err == CVM_OK ? from_numbers(&all, EVP_PKEY_KEYPAIR, ret) : err;
}

static struct span
public_part(const struct attrs *a, size_t i)
{
	const struct attr *at = attrs_find(a, parts[i].type);

	return at == NULL ? span(NULL, 0) : blob_span(&at->value);
}

static int
add_parts(struct numbers *v, const struct attrs *a, const CK_ATTRIBUTE *templ,
    CK_ULONG n, size_t n_parts, struct why *why)
{
	v->bytes = secret_new(N_PARTS * RSA_BYTES_MAX);
	if (v->bytes == NULL)
		return CVM_E_NOMEM;
	for (size_t i = 0; i < n_parts; i++) {
		struct span value = i <= PART_E ?
		    public_part(a, i) :
		    template_value(templ, n, parts[i].type);

		if (value.len == 0 && i > PART_D)
			continue;
		if (add_number(v, parts[i].name, value) != CVM_OK)
			return template_refuse(why, CVM_E_ATTR_VALUE,
			    parts[i].type, "a number of the key's size",
			    "another");
	}
	return CVM_OK;
}

/* What is no product of odd primes is no key. */
static int
check_modulus(struct span n, struct why *why)
{
	if (n.len > 0 && (n.data[n.len - 1] & 1) == 1)
		return CVM_OK;
	return template_refuse(why, CVM_E_ATTR_VALUE, CKA_MODULUS,
	    "an odd number", n.len > 0 ? "an even one" : "none");
}

int
rsa_from_public(const struct attrs *a, EVP_PKEY **ret, struct why *reterr_why)
{
	_cleanup_(numbers_clear) struct numbers v = { 0 };
	int err = add_parts(&v, a, /* templ= */ NULL, 0, PART_E + 1,
	    reterr_why);

	if (err == CVM_OK)
		err = check_modulus(public_part(a, PART_N), reterr_why);
	if (err == CVM_OK)
		err = check_exponent(public_part(a, PART_E), CVM_E_ATTR_VALUE,
		    reterr_why);
	return err == CVM_OK ? from_numbers(&v, EVP_PKEY_PUBLIC_KEY, ret) : err;
}

static int
to_bn(BIGNUM **ret, struct span s)
{
	*ret = BN_bin2bn(s.data, (int)s.len, NULL);
	if (*ret == NULL)
		return CVM_E_NOMEM;
	BN_set_flags(*ret, BN_FLG_CONSTTIME);
	return CVM_OK;
}

static void
bn_ctx_freep(BN_CTX **c)
{
	BN_CTX_free(*c);
	*c = NULL;
}

/* value mod (p - 1), or the inverse of q mod p. */
static int
add_derived(struct numbers *v, size_t part, struct span a, struct span prime,
    BN_CTX *ctx)
{
	_cleanup_(bn_freep) BIGNUM *x = NULL;
	_cleanup_(bn_freep) BIGNUM *m = NULL;
	uint8_t out[RSA_BYTES_MAX];
	int len, err;

	err = to_bn(&x, a);
	if (err == CVM_OK)
		err = to_bn(&m, prime);
	if (err != CVM_OK)
		return err;
	if (part == PART_QINV ?
		BN_mod_inverse(x, x, m, ctx) == NULL :
		(BN_sub_word(m, 1) != 1 || BN_mod(x, x, m, ctx) != 1))
		return CVM_E_ATTR_VALUE;
	len = BN_bn2bin(x, out);
	err = add_number(v, parts[part].name, span(out, (size_t)len));
	secret_wipe(out, sizeof(out));
	return err;
}

/* The Chinese remainder parts that the template does not give. */
static int
add_missing(struct numbers *v, const CK_ATTRIBUTE *templ, CK_ULONG n,
    struct span d, struct span p, struct span q)
{
	_cleanup_(bn_ctx_freep)
	    BN_CTX *ctx = BN_CTX_secure_new_ex(crypto_libctx());
	int err = CVM_OK;

	if (ctx == NULL)
		return CVM_E_NOMEM;
	if (template_value(templ, n, CKA_EXPONENT_1).len == 0)
		err = add_derived(v, PART_DP, d, p, ctx);
	if (err == CVM_OK && template_value(templ, n, CKA_EXPONENT_2).len == 0)
		err = add_derived(v, PART_DQ, d, q, ctx);
	if (err == CVM_OK && template_value(templ, n, CKA_COEFFICIENT).len == 0)
		err = add_derived(v, PART_QINV, q, p, ctx);
	return err;
}

/* Modulus and exponents only: the rest follows from them. */
static int
add_primes(struct numbers *v, const struct attrs *a, const CK_ATTRIBUTE *templ,
    CK_ULONG n)
{
	_cleanup_(secret_freep) struct secret *p = NULL;
	_cleanup_(secret_freep) struct secret *q = NULL;
	struct span d = template_value(templ, n, CKA_PRIVATE_EXPONENT);
	int err = rsa_factor(public_part(a, PART_N), public_part(a, PART_E), d,
	    &p, &q);

	if (err == CVM_OK)
		err = add_number(v, parts[PART_P].name, secret_span(p));
	if (err == CVM_OK)
		err = add_number(v, parts[PART_Q].name, secret_span(q));
	return err == CVM_OK ?
	    add_missing(v, NULL, 0, d, secret_span(p), secret_span(q)) :
	    err;
}

/* Everything that OpenSSL knows to check (SP 800-56B section 6.4). */
static int
check_primes(EVP_PKEY *pkey)
{
	_cleanup_(pkey_ctx_freep)
	    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(),
		pkey,
		/* props= */ NULL);

	if (ctx == NULL)
		return CVM_E_NOMEM;
	return EVP_PKEY_pairwise_check(ctx) == 1 ? CVM_OK : CVM_E_ATTR_VALUE;
}

int
rsa_from_private(const struct attrs *a, const CK_ATTRIBUTE *templ, CK_ULONG n,
    EVP_PKEY **ret, struct why *reterr_why)
{
	quiet_openssl();
	_cleanup_(numbers_clear) struct numbers v = { 0 };
	_cleanup_(pkey_freep) EVP_PKEY *pkey = NULL;
	bool primes = template_value(templ, n, CKA_PRIME_1).len > 0 &&
	    template_value(templ, n, CKA_PRIME_2).len > 0;
	int err = add_parts(&v, a, templ, n, primes ? N_PARTS : PART_D + 1,
	    reterr_why);

	if (err == CVM_OK)
		err = check_exponent(public_part(a, PART_E), CVM_E_ATTR_VALUE,
		    reterr_why);
	if (err == CVM_OK && primes)
		err = add_missing(&v, templ, n,
		    template_value(templ, n, CKA_PRIVATE_EXPONENT),
		    template_value(templ, n, CKA_PRIME_1),
		    template_value(templ, n, CKA_PRIME_2));
	else if (err == CVM_OK)
		err = add_primes(&v, a, templ, n);
	if (err == CVM_OK)
		err = from_numbers(&v, EVP_PKEY_KEYPAIR, &pkey);
	if (err == CVM_OK)
		err = check_primes(pkey);
	if (err == CVM_E_ATTR_VALUE)
		return template_refuse(reterr_why, err, CKA_PRIVATE_EXPONENT,
		    "numbers that form one RSA key", "numbers that do not");
	if (err != CVM_OK)
		return err;
	*ret = TAKE_PTR(pkey);
	return CVM_OK;
}
