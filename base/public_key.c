/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/openssl.h"
#include "base/public_key.h"

#define COORDINATE_MAX 66
#define RSA_BYTES_MAX 1024 /* RSA-8192 */
#define RSA_EXPONENT_MAX 8
/* SEQUENCE, two INTEGERs with a sign byte, each length in one byte or two. */
#define ECDSA_DER_MAX (3 + 2 * (3 + COORDINATE_MAX))

static const struct {
	const char *name;
	size_t len;
} curves[] = {
	[EC_P256] = { "P-256", 32 },
	[EC_P384] = { "P-384", 48 },
	[EC_P521] = { "P-521", 66 },
};

/* A key without a point for each curve, of which the others are copies: to
 * look a group up by its name takes OpenSSL three times as long as the rest.
 * Written once under the once, never freed. */
static EVP_PKEY *templates[EC_CURVES];
static pthread_once_t templates_once = PTHREAD_ONCE_INIT;

size_t
ec_curve_len(enum ec_curve curve)
{
	return curves[curve].len;
}

const char *
ec_curve_name(enum ec_curve curve)
{
	return curves[curve].name;
}

void
evp_pkey_freep(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
	*key = NULL;
}

static void
pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
	*ctx = NULL;
}

static EVP_PKEY *
from_data(const char *type, int selection, OSSL_PARAM *params)
{
	_cleanup_(pkey_ctx_freep)
	    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(crypto_libctx(),
		type, NULL);
	EVP_PKEY *key = NULL;

	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, selection, params) != 1)
		return NULL;
	return key;
}

static EVP_PKEY *
make_template(enum ec_curve curve)
{
	char name[8];
	OSSL_PARAM params[2];

	(void)snprintf(name, sizeof(name), "%s", curves[curve].name);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
	    name, 0);
	params[1] = OSSL_PARAM_construct_end();
	return from_data(CRYPTO_EC, EVP_PKEY_KEY_PARAMETERS, params);
}

static void
make_templates(void)
{
	quiet_openssl();

	for (size_t i = 0; i < NELEMS(curves); i++)
		templates[i] = make_template((enum ec_curve)i);
}

int
public_key_ec(enum ec_curve curve, struct span point, EVP_PKEY **ret)
{
	quiet_openssl();
	_cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;

	if (point.len != 1 + 2 * curves[curve].len || point.data[0] != 4)
		return CVM_E_PARSE;
	(void)pthread_once(&templates_once, make_templates);
	/* Where there was no memory for it then, there may be now. */
	key = templates[curve] != NULL ? EVP_PKEY_dup(templates[curve]) :
					 make_template(curve);
	if (key == NULL)
		return CVM_E_CRYPTO;
	if (EVP_PKEY_set1_encoded_public_key(key, point.data, point.len) != 1)
		return CVM_E_DENIED;
	*ret = TAKE_PTR(key);
	return CVM_OK;
}

/* OSSL_PARAM integers are in the byte order of the machine. */
static void
native(struct span in, uint8_t *out)
{
	for (size_t i = 0; i < in.len; i++) {
		size_t at = in.len - 1 - i;

		out[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? at : i] =
		    in.data[i];
	}
}

int
public_key_rsa(struct span n, struct span e, EVP_PKEY **ret)
{
	quiet_openssl();
	uint8_t modulus[RSA_BYTES_MAX], exponent[RSA_EXPONENT_MAX];
	OSSL_PARAM params[3];

	if (n.len == 0 || n.len > sizeof(modulus) || e.len == 0 ||
	    e.len > sizeof(exponent))
		return CVM_E_PARSE;
	native(n, modulus);
	native(e, exponent);
	params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, modulus,
	    n.len);
	params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, exponent,
	    e.len);
	params[2] = OSSL_PARAM_construct_end();
	*ret = from_data(CRYPTO_RSA, EVP_PKEY_PUBLIC_KEY, params);
	return *ret != NULL ? CVM_OK : CVM_E_CRYPTO;
}

struct verifier {
	size_t refs;
	EVP_PKEY *key;
	EVP_PKEY_CTX *ctx;
	enum sig_scheme scheme; /* what ctx is set to */
	enum hash_alg alg;
};

static void
verifier_clear(struct verifier *v)
{
	EVP_PKEY_CTX_free(v->ctx);
	EVP_PKEY_free(v->key);
}

static int
verifier_init(struct verifier *v, EVP_PKEY *key)
{
	if (key == NULL || EVP_PKEY_up_ref(key) != 1)
		return CVM_E_DENIED;
	v->key = key;
	v->ctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(), key,
	    /* propq= */ NULL);
	return v->ctx != NULL && EVP_PKEY_verify_init(v->ctx) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

int
verifier_new(EVP_PKEY *key, struct verifier **ret)
{
	quiet_openssl();
	_cleanup_(verifier_freep) struct verifier *v = calloc(1, sizeof(*v));
	int r;

	if (v == NULL)
		return CVM_E_NOMEM;
	v->refs = 1;
	if ((r = verifier_init(v, key)) == CVM_OK)
		*ret = TAKE_PTR(v);
	return r;
}

struct verifier *
verifier_ref(struct verifier *v)
{
	v->refs++;
	return v;
}

void
verifier_freep(struct verifier **v)
{
	struct verifier *old = *v;

	*v = NULL;
	if (old == NULL || --old->refs > 0)
		return;
	verifier_clear(old);
	free(old);
}

EVP_PKEY *
verifier_key(const struct verifier *v)
{
	return v->key;
}

static bool
set_padding(struct verifier *v, enum sig_scheme scheme, enum hash_alg alg)
{
	int pad = scheme == SIG_RSA ? RSA_PKCS1_PADDING : RSA_PKCS1_PSS_PADDING;

	if (v->scheme == scheme && v->alg == alg)
		return true;
	v->scheme = SIG_UNKNOWN;
	if (EVP_PKEY_CTX_set_rsa_padding(v->ctx, pad) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(v->ctx, hash_md(alg)) <= 0)
		return false;
	if (scheme != SIG_RSA &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(v->ctx,
		scheme == SIG_PSS ? RSA_PSS_SALTLEN_DIGEST :
				    RSA_PSS_SALTLEN_AUTO) <= 0)
		return false;
	v->scheme = scheme;
	v->alg = alg;
	return true;
}

int
verifier_check(struct verifier *v, enum sig_scheme scheme, enum hash_alg alg,
    struct span message, struct span signature)
{
	quiet_openssl();
	uint8_t digest[HASH_LEN_MAX];
	int type = scheme == SIG_ECDSA ? EVP_PKEY_EC : EVP_PKEY_RSA;
	int r;

	if (scheme == SIG_UNKNOWN || EVP_PKEY_get_base_id(v->key) != type)
		return CVM_E_DENIED;
	if ((r = hash(alg, message, digest)) != CVM_OK)
		return r;
	if (scheme != SIG_ECDSA && !set_padding(v, scheme, alg))
		return CVM_E_CRYPTO;
	return EVP_PKEY_verify(v->ctx, signature.data, signature.len, digest,
		   hash_len(alg)) == 1 ?
	    CVM_OK :
	    CVM_E_DENIED;
}

/* A positive INTEGER in its shortest form; returns its end. */
static uint8_t *
put_integer(struct span v, uint8_t *out)
{
	while (v.len > 1 && v.data[0] == 0)
		v = span(&v.data[1], v.len - 1);
	*out++ = 0x02;
	*out++ = (uint8_t)(v.len + (v.data[0] >> 7));
	if (v.data[0] >= 0x80)
		*out++ = 0;
	memcpy(out, v.data, v.len);
	return out + v.len;
}

/* DER of Ecdsa-Sig-Value. Zeros and what is not below the order are refused
 * by OpenSSL, which gets them as they are. */
static size_t
to_der(struct span rs, uint8_t out[static ECDSA_DER_MAX])
{
	uint8_t body[ECDSA_DER_MAX], *end;
	size_t half = rs.len / 2, n, head = 2;

	end = put_integer(span(rs.data, half), body);
	end = put_integer(span(&rs.data[half], half), end);
	n = (size_t)(end - body);
	out[0] = 0x30;
	out[1] = (uint8_t)n;
	if (n >= 0x80) {
		out[1] = 0x81;
		out[head++] = (uint8_t)n;
	}
	memcpy(&out[head], body, n);
	return head + n;
}

int
verifier_check_raw(struct verifier *v, struct span rs, struct span digest)
{
	quiet_openssl();
	uint8_t der[ECDSA_DER_MAX];
	size_t len;

	if (EVP_PKEY_get_base_id(v->key) != EVP_PKEY_EC)
		return CVM_E_DENIED;
	len = (size_t)(EVP_PKEY_get_bits(v->key) + 7) / 8;
	if (rs.len != 2 * len || len == 0 || len > COORDINATE_MAX)
		return CVM_E_DENIED;
	len = to_der(rs, der);
	return EVP_PKEY_verify(v->ctx, der, len, digest.data, digest.len) == 1 ?
	    CVM_OK :
	    CVM_E_DENIED;
}
