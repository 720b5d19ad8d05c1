/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "attest/cert.h"
#include "tests/unit/x509-maker.h"

#define EXT_BYTES_MAX 640

EVP_PKEY *
maker_rsa(unsigned bits)
{
	EVP_PKEY *key = EVP_RSA_gen(bits);

	assert_non_null(key);
	return key;
}

EVP_PKEY *
maker_ec(const char *group)
{
	EVP_PKEY *key = EVP_EC_gen(group);

	assert_non_null(key);
	return key;
}

static void
add_name(X509_NAME *name, const char *field, const char *value)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC,
			     (const unsigned char *)value, -1, -1, 0),
	    1);
}

static X509_NAME *
make_name(const char *cn, bool amd)
{
	X509_NAME *name = X509_NAME_new();

	assert_non_null(name);
	if (amd) {
		add_name(name, "OU", "Engineering");
		add_name(name, "C", "US");
		add_name(name, "L", "Santa Clara");
		add_name(name, "ST", "CA");
		add_name(name, "O", "Advanced Micro Devices");
	}
	add_name(name, "CN", cn);
	return name;
}

static X509_EXTENSION *
make_ext(const struct ext_spec *e)
{
	uint8_t bytes[EXT_BYTES_MAX];
	size_t len = strlen(e->hex) / 2;
	ASN1_OCTET_STRING *s = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *obj = OBJ_txt2obj(e->oid, 1);
	X509_EXTENSION *ext;

	assert_true(len <= sizeof(bytes));
	assert_int_equal(hex_decode(e->hex, bytes, len), 0);
	assert_int_equal(ASN1_OCTET_STRING_set(s, bytes, (int)len), 1);
	ext = X509_EXTENSION_create_by_OBJ(NULL, obj, e->critical, s);
	assert_non_null(ext);
	ASN1_OCTET_STRING_free(s);
	ASN1_OBJECT_free(obj);
	return ext;
}

static void
add_conf(X509 *x, const X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	if (value == NULL)
		return;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer != NULL ? (X509 *)(uintptr_t)issuer : x, x,
	    NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(x, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static EVP_MD_CTX *
sign_ctx(const struct sign_spec *sign, EVP_PKEY *key)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	const EVP_MD *md = EVP_get_digestbyname(sign->md);

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, md, NULL, key), 1);
	if (sign->pss) {
		const EVP_MD *mgf = sign->mgf_md != NULL ?
		    EVP_get_digestbyname(sign->mgf_md) :
		    md;

		assert_true(EVP_PKEY_CTX_set_rsa_padding(pctx,
				RSA_PKCS1_PSS_PADDING) > 0);
		assert_true(EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, mgf) > 0);
		assert_true(
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx,
			sign->salt > 0 ? sign->salt : EVP_MD_get_size(md)) > 0);
	}
	return ctx;
}

X509 *
maker_cert(const struct cert_spec *spec, EVP_PKEY *key, const X509 *issuer,
    EVP_PKEY *issuer_key)
{
	X509 *x = X509_new();
	X509_NAME *name = make_name(spec->cn, spec->amd);
	X509_NAME *by = spec->issuer_cn != NULL ?
	    make_name(spec->issuer_cn, spec->amd) :
	    X509_NAME_dup(
		issuer != NULL ? X509_get_subject_name(issuer) : name);
	EVP_MD_CTX *ctx = sign_ctx(&spec->sign, issuer_key);

	assert_int_equal(X509_set_version(x, spec->version), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x), spec->serial);
	X509_set_subject_name(x, name);
	X509_set_issuer_name(x, by);
	ASN1_TIME_set(X509_getm_notBefore(x), (time_t)spec->from);
	ASN1_TIME_set(X509_getm_notAfter(x), (time_t)spec->until);
	assert_int_equal(X509_set_pubkey(x, key), 1);
	add_conf(x, issuer, NID_basic_constraints, spec->constraints);
	add_conf(x, issuer, NID_key_usage, spec->usage);
	if (spec->key_ids) {
		add_conf(x, issuer, NID_subject_key_identifier, "hash");
		add_conf(x, issuer, NID_authority_key_identifier, "keyid");
	}
	for (size_t i = 0; i < SPEC_EXTS_MAX && spec->exts[i].oid; i++) {
		X509_EXTENSION *ext = make_ext(&spec->exts[i]);

		assert_int_equal(X509_add_ext(x, ext, -1), 1);
		X509_EXTENSION_free(ext);
	}
	assert_true(X509_sign_ctx(x, ctx) > 0);
	EVP_MD_CTX_free(ctx);
	X509_NAME_free(name);
	X509_NAME_free(by);
	return x;
}

static void
add_revoked(X509_CRL *crl, long serial, int64_t when)
{
	X509_REVOKED *r = X509_REVOKED_new();
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)when);

	ASN1_INTEGER_set(n, serial);
	X509_REVOKED_set_serialNumber(r, n);
	X509_REVOKED_set_revocationDate(r, t);
	assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
	ASN1_INTEGER_free(n);
	ASN1_TIME_free(t);
}

X509_CRL *
maker_crl(const struct crl_spec *spec, const X509 *issuer, EVP_PKEY *issuer_key)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)spec->from);
	X509_NAME *by = spec->issuer_cn != NULL ?
	    make_name(spec->issuer_cn, spec->amd) :
	    X509_NAME_dup(X509_get_subject_name(issuer));
	EVP_MD_CTX *ctx = sign_ctx(&spec->sign, issuer_key);

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, by);
	X509_CRL_set1_lastUpdate(crl, t);
	ASN1_TIME_free(t);
	if (spec->until != 0) {
		t = ASN1_TIME_set(NULL, (time_t)spec->until);
		X509_CRL_set1_nextUpdate(crl, t);
		ASN1_TIME_free(t);
	}
	for (size_t i = 0; i < SPEC_REVOKED_MAX && spec->revoked[i]; i++)
		add_revoked(crl, spec->revoked[i], spec->from);
	if (spec->revoke_zero)
		add_revoked(crl, 0, spec->from);
	for (size_t i = 0; i < 2 && spec->exts[i].oid; i++) {
		X509_EXTENSION *ext = make_ext(&spec->exts[i]);

		assert_int_equal(X509_CRL_add_ext(crl, ext, -1), 1);
		X509_EXTENSION_free(ext);
	}
	X509_CRL_sort(crl);
	assert_true(X509_CRL_sign_ctx(crl, ctx) > 0);
	EVP_MD_CTX_free(ctx);
	X509_NAME_free(by);
	return crl;
}

static void
take_buf(unsigned char *buf, int len, struct blob *ret)
{
	assert_true(len > 0);
	assert_int_equal(blob_set(ret, span(buf, (size_t)len)), 0);
	OPENSSL_free(buf);
}

void
maker_cert_der(const X509 *x, struct blob *ret)
{
	unsigned char *buf = NULL;
	int len = i2d_X509(x, &buf);

	take_buf(buf, len, ret);
}

void
maker_crl_der(const X509_CRL *crl, struct blob *ret)
{
	unsigned char *buf = NULL;
	int len = i2d_X509_CRL(crl, &buf);

	take_buf(buf, len, ret);
}

void
maker_cert_pem(const X509 *x, struct blob *ret)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len;

	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	len = BIO_get_mem_data(bio, &text);
	assert_int_equal(blob_append(ret, span(text, (size_t)len)), 0);
	BIO_free(bio);
}

void
maker_spki(const X509 *x, uint8_t out[static 32])
{
	unsigned char *buf = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &buf);

	assert_true(len > 0);
	assert_int_equal(EVP_Digest(buf, (size_t)len, out, NULL, EVP_sha256(),
			     NULL),
	    1);
	OPENSSL_free(buf);
}

static void
put_le48(const BIGNUM *bn, uint8_t out[static 48])
{
	assert_int_equal(BN_bn2lebinpad(bn, out, 48), 48);
}

void
maker_ecdsa_p384(EVP_PKEY *key, struct span digest, uint8_t r[static 48],
    uint8_t s[static 48])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	uint8_t der[160];
	const unsigned char *p = der;
	size_t len = sizeof(der);
	ECDSA_SIG *sig;

	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, der, &len, digest.data, digest.len),
	    1);
	sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
	assert_non_null(sig);
	put_le48(ECDSA_SIG_get0_r(sig), r);
	put_le48(ECDSA_SIG_get0_s(sig), s);
	ECDSA_SIG_free(sig);
	EVP_PKEY_CTX_free(ctx);
}

int
maker_check(EVP_PKEY *key, enum sig_scheme scheme, enum hash_alg alg,
    struct span message, struct span signature)
{
	_cleanup_(verifier_freep) struct verifier *v = NULL;
	int r = verifier_new(key, &v);

	return r != CVM_OK ? r :
			     verifier_check(v, scheme, alg, message, signature);
}

int
maker_check_raw(EVP_PKEY *key, struct span rs, struct span digest)
{
	_cleanup_(verifier_freep) struct verifier *v = NULL;
	int r = verifier_new(key, &v);

	return r != CVM_OK ? r : verifier_check_raw(v, rs, digest);
}
