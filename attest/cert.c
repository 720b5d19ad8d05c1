/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "attest/chain.h"
#include "attest/openssl.h"

void
x509_freep(X509 **x)
{
	X509_free(*x);
	*x = NULL;
}

void
x509_crl_freep(X509_CRL **crl)
{
	X509_CRL_free(*crl);
	*crl = NULL;
}

void
evp_pkey_freep(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
	*pkey = NULL;
}

static void
bio_freep(BIO **bio)
{
	BIO_free(*bio);
	*bio = NULL;
}

static void
bn_freep(BIGNUM **bn)
{
	BN_free(*bn);
	*bn = NULL;
}

static void
sig_freep(ECDSA_SIG **sig)
{
	ECDSA_SIG_free(*sig);
	*sig = NULL;
}

static void
pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
	*ctx = NULL;
}

static void
obj_freep(ASN1_OBJECT **obj)
{
	ASN1_OBJECT_free(*obj);
	*obj = NULL;
}

/* Memory that OpenSSL allocated. */
struct ossl_buf {
	unsigned char *data;
	int len;
};

static void
ossl_buf_clear(struct ossl_buf *b)
{
	OPENSSL_free(b->data);
	*b = (struct ossl_buf){ 0 };
}

/* What was parsed must encode to the bytes that were received: no BER, no
 * second spelling of the same certificate. */
static bool
encodes_to(const struct ossl_buf *b, struct span in)
{
	return b->len > 0 && span_equal(span(b->data, (size_t)b->len), in);
}

int
cert_from_der(struct span der, bool padded, X509 **ret)
{
	quiet_openssl();
	_cleanup_(x509_freep) X509 *x = NULL;
	_cleanup_(ossl_buf_clear) struct ossl_buf again = { 0 };
	const unsigned char *p = der.data;
	size_t used;

	if (der.len == 0 || der.len > CERT_BYTES_MAX)
		return CVM_E_PARSE;
	x = X509_new_ex(crypto_libctx(), /* propq= */ NULL);
	if (x == NULL)
		return CVM_E_NOMEM;
	if (d2i_X509(&x, &p, (long)der.len) == NULL)
		return CVM_E_PARSE;
	used = (size_t)(p - der.data);
	if (used < der.len) {
		struct span rest = span(p, der.len - used);

		if (!padded || !span_is_filled(rest, 0))
			return CVM_E_PARSE;
	}
	again.len = i2d_X509(x, &again.data);
	if (!encodes_to(&again, span(der.data, used)))
		return CVM_E_PARSE;
	*ret = TAKE_PTR(x);
	return CVM_OK;
}

/* One block of a PEM file. */
struct pem_block {
	char *name, *header;
	unsigned char *data;
	long len;
};

static void
pem_block_clear(struct pem_block *b)
{
	OPENSSL_free(b->name);
	OPENSSL_free(b->header);
	OPENSSL_free(b->data);
	*b = (struct pem_block){ 0 };
}

/* The next block; CVM_E_NOT_FOUND when there is no further one. */
static int
pem_next(BIO *bio, const char *kind, struct pem_block *ret)
{
	if (PEM_read_bio(bio, &ret->name, &ret->header, &ret->data,
		&ret->len) != 1) {
		unsigned long e = ERR_peek_last_error();

		if (ERR_GET_LIB(e) == ERR_LIB_PEM &&
		    ERR_GET_REASON(e) == PEM_R_NO_START_LINE)
			return CVM_E_NOT_FOUND;
		return CVM_E_PARSE;
	}
	if (strcmp(ret->name, kind) != 0 || ret->header[0] != '\0' ||
	    ret->len <= 0)
		return CVM_E_PARSE;
	return CVM_OK;
}

static BIO *
pem_open(struct span pem, size_t max)
{
	if (pem.len > 0 && pem.data[pem.len - 1] == '\0')
		pem.len--;
	if (pem.len == 0 || pem.len > max ||
	    memchr(pem.data, '\0', pem.len) != NULL)
		return NULL;
	return BIO_new_mem_buf(pem.data, (int)pem.len);
}

int
certs_from_pem_by(struct span pem, cert_reader *read, void *arg, X509 **ret,
    size_t max, size_t *ret_n)
{
	quiet_openssl();
	_cleanup_(bio_freep)
	    BIO *bio = pem_open(pem, CHAIN_CERTS_MAX * 2 * CERT_BYTES_MAX);
	size_t n = 0;
	int r = CVM_E_PARSE;

	while (bio != NULL) {
		_cleanup_(pem_block_clear) struct pem_block b = { 0 };

		r = pem_next(bio, PEM_STRING_X509, &b);
		if (r != CVM_OK)
			break;
		r = n < max ? read(arg, span(b.data, (size_t)b.len), &ret[n]) :
			      CVM_E_PARSE;
		if (r != CVM_OK)
			break;
		n++;
	}
	if (r == CVM_E_NOT_FOUND && n > 0) {
		*ret_n = n;
		return CVM_OK;
	}
	while (n > 0)
		x509_freep(&ret[--n]);
	return r == CVM_E_NOT_FOUND ? CVM_E_PARSE : r;
}

static int
read_der(void *arg, struct span der, X509 **ret)
{
	(void)arg;
	return cert_from_der(der, /* padded= */ false, ret);
}

int
certs_from_pem(struct span pem, X509 **ret, size_t max, size_t *ret_n)
{
	return certs_from_pem_by(pem, read_der, NULL, ret, max, ret_n);
}

static int
crl_from_der(struct span der, X509_CRL **ret)
{
	_cleanup_(x509_crl_freep) X509_CRL *crl = NULL;
	_cleanup_(ossl_buf_clear) struct ossl_buf again = { 0 };
	const unsigned char *p = der.data;

	crl = X509_CRL_new_ex(crypto_libctx(), /* propq= */ NULL);
	if (crl == NULL)
		return CVM_E_NOMEM;
	if (d2i_X509_CRL(&crl, &p, (long)der.len) == NULL)
		return CVM_E_PARSE;
	again.len = i2d_X509_CRL(crl, &again.data);
	if (!encodes_to(&again, der))
		return CVM_E_PARSE;
	*ret = TAKE_PTR(crl);
	return CVM_OK;
}

int
crl_from_bytes(struct span s, X509_CRL **ret)
{
	quiet_openssl();
	_cleanup_(bio_freep) BIO *bio = NULL;
	_cleanup_(pem_block_clear) struct pem_block b = { 0 }, more = { 0 };
	int r;

	if (s.len == 0 || s.len > CRL_BYTES_MAX)
		return CVM_E_PARSE;
	if (s.data[0] == 0x30) /* SEQUENCE: DER; PEM starts with text */
		return crl_from_der(s, ret);
	bio = pem_open(s, CRL_BYTES_MAX);
	if (bio == NULL)
		return CVM_E_PARSE;
	r = pem_next(bio, PEM_STRING_X509_CRL, &b);
	if (r != CVM_OK ||
	    pem_next(bio, PEM_STRING_X509_CRL, &more) != CVM_E_NOT_FOUND)
		return CVM_E_PARSE;
	return crl_from_der(span(b.data, (size_t)b.len), ret);
}

int
cert_spki_sha256(const X509 *x, uint8_t out[static SHA256_LEN])
{
	quiet_openssl();
	_cleanup_(ossl_buf_clear) struct ossl_buf spki = { 0 };

	spki.len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki.data);
	if (spki.len <= 0)
		return CVM_E_CRYPTO;
	return hash(HASH_SHA256, span(spki.data, (size_t)spki.len), out);
}

int
cert_digest(const X509 *x, uint8_t out[static SHA256_LEN])
{
	quiet_openssl();
	_cleanup_(ossl_buf_clear) struct ossl_buf der = { 0 };

	der.len = i2d_X509(x, &der.data);
	if (der.len <= 0)
		return CVM_E_CRYPTO;
	return hash(HASH_SHA256, span(der.data, (size_t)der.len), out);
}

int
crl_digest(const X509_CRL *crl, uint8_t out[static SHA256_LEN])
{
	quiet_openssl();
	_cleanup_(ossl_buf_clear) struct ossl_buf der = { 0 };

	der.len = i2d_X509_CRL(crl, &der.data);
	if (der.len <= 0)
		return CVM_E_CRYPTO;
	return hash(HASH_SHA256, span(der.data, (size_t)der.len), out);
}

const char *
cert_name(const X509 *x, char *buf, size_t len)
{
	quiet_openssl();
	_cleanup_(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
	int n = 0;

	if (len == 0)
		return buf;
	if (bio != NULL &&
	    X509_NAME_print_ex(bio, X509_get_subject_name(x), 0,
		XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ) >= 0)
		n = BIO_read(bio, buf, (int)len - 1);
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

int
asn1_time_seconds(const ASN1_TIME *t, int64_t *ret)
{
	quiet_openssl();
	struct tm tm = { 0 };

	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
		return CVM_E_PARSE;
	*ret = (int64_t)timegm(&tm);
	return CVM_OK;
}

int
cert_extension(const X509 *x, const char *oid, struct span *ret)
{
	quiet_openssl();
	_cleanup_(obj_freep) ASN1_OBJECT *obj = NULL;
	const ASN1_OCTET_STRING *data;
	int at;

	obj = OBJ_txt2obj(oid, /* no_name= */ 1);
	if (obj == NULL)
		return CVM_E_INVAL;
	at = X509_get_ext_by_OBJ(x, obj, -1);
	if (at < 0)
		return CVM_E_NOT_FOUND;
	if (X509_get_ext_by_OBJ(x, obj, at) >= 0)
		return CVM_E_PARSE;
	data = X509_EXTENSION_get_data(X509_get_ext(x, at));
	if (data == NULL)
		return CVM_E_PARSE;
	*ret = span(ASN1_STRING_get0_data(data),
	    (size_t)ASN1_STRING_length(data));
	return CVM_OK;
}

/* 0 < v < order (FIPS 186-5 section 6.4.2). */
static bool
in_range(const BIGNUM *v, const BIGNUM *order)
{
	return !BN_is_zero(v) && BN_cmp(v, order) < 0;
}

/* DER of Ecdsa-Sig-Value, after the range check. */
static int
sig_to_der(EVP_PKEY *key, struct span rs, struct ossl_buf *ret)
{
	_cleanup_(bn_freep) BIGNUM *r = NULL, *s = NULL, *order = NULL;
	_cleanup_(sig_freep) ECDSA_SIG *sig = ECDSA_SIG_new();
	size_t half = rs.len / 2;

	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_ORDER, &order) != 1)
		return CVM_E_CRYPTO;
	if (rs.len == 0 || rs.len % 2 != 0 ||
	    half != (size_t)(BN_num_bits(order) + 7) / 8)
		return CVM_E_DENIED;
	r = BN_bin2bn(rs.data, (int)half, NULL);
	s = BN_bin2bn(&rs.data[half], (int)half, NULL);
	if (r == NULL || s == NULL || sig == NULL)
		return CVM_E_NOMEM;
	if (!in_range(r, order) || !in_range(s, order))
		return CVM_E_DENIED;
	if (ECDSA_SIG_set0(sig, r, s) != 1)
		return CVM_E_CRYPTO;
	(void)TAKE_PTR(r);
	(void)TAKE_PTR(s);
	ret->len = i2d_ECDSA_SIG(sig, &ret->data);
	return ret->len > 0 ? CVM_OK : CVM_E_NOMEM;
}

/*
 * A key that was read while the host's default ENGINE claims its type belongs
 * to no provider and answers few questions: the same key, of the private
 * context.
 */
static int
own_key(EVP_PKEY *key, EVP_PKEY **ret)
{
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *ctx = NULL;
	OSSL_PARAM *params = NULL;
	int ok;

	if (EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return CVM_E_CRYPTO;
	ctx = EVP_PKEY_CTX_new_from_name(crypto_libctx(), CRYPTO_EC,
	    /* propq= */ NULL);
	ok = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, ret, EVP_PKEY_PUBLIC_KEY, params) == 1;
	OSSL_PARAM_free(params);
	return ok ? CVM_OK : CVM_E_CRYPTO;
}

int
ecdsa_verify_raw(EVP_PKEY *key, struct span rs, struct span digest)
{
	quiet_openssl();
	_cleanup_(ossl_buf_clear) struct ossl_buf der = { 0 };
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *ctx = NULL;
	_cleanup_(evp_pkey_freep) EVP_PKEY *own = NULL;
	int r;

	if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC)
		return CVM_E_DENIED;
	if (EVP_PKEY_get0_provider(key) == NULL) {
		if ((r = own_key(key, &own)) != CVM_OK)
			return r;
		key = own;
	}
	r = sig_to_der(key, rs, &der);
	if (r != CVM_OK)
		return r;
	ctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(), key,
	    /* propq= */ NULL);
	if (ctx == NULL || EVP_PKEY_verify_init(ctx) != 1)
		return CVM_E_CRYPTO;
	if (EVP_PKEY_verify(ctx, der.data, (size_t)der.len, digest.data,
		digest.len) != 1)
		return CVM_E_DENIED;
	return CVM_OK;
}
