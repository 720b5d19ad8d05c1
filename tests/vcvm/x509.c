/* SPDX-License-Identifier: BSD-2-Clause */
/* Copyright (c) 2026 The cvm-pkcs11 authors */

#include "x509.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

/* Nothing here can fail but by a mistake of ours: stop at once. */
#define MUST(x)                                                                \
	do {                                                                   \
		if (!(x))                                                      \
			die("%s: %s: %s", __func__, #x,                        \
			    ERR_error_string(ERR_peek_last_error(), NULL));    \
	} while (0)

void
x509_freep(X509 **p)
{
	X509_free(*p);
	*p = NULL;
}

void
crl_freep(X509_CRL **p)
{
	X509_CRL_free(*p);
	*p = NULL;
}

void
key_freep(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
	*p = NULL;
}

EVP_PKEY *
key_new_rsa(unsigned bits)
{
	EVP_PKEY *key = EVP_RSA_gen(bits);

	MUST(key != NULL);
	return key;
}

EVP_PKEY *
key_new_ec(const char *curve)
{
	EVP_PKEY *key = EVP_EC_gen(curve);

	MUST(key != NULL);
	return key;
}

static void
add_ext(X509V3_CTX *ctx, X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext;

	if (value == NULL)
		return;
	ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	MUST(ext != NULL);
	MUST(X509_add_ext(cert, ext, -1));
	X509_EXTENSION_free(ext);
}

static void
add_raw_ext(X509 *cert, const struct x509_ext *raw)
{
	ASN1_OBJECT *oid = OBJ_txt2obj(raw->oid, 1);
	ASN1_OCTET_STRING *der = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	MUST(oid != NULL && der != NULL);
	MUST(ASN1_OCTET_STRING_set(der, raw->der.p, (int)raw->der.len));
	ext = X509_EXTENSION_create_by_OBJ(NULL, oid, raw->critical, der);
	MUST(ext != NULL);
	MUST(X509_add_ext(cert, ext, -1));
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(der);
	ASN1_OBJECT_free(oid);
}

static void
set_subject(X509 *cert, const struct rdn *dn)
{
	X509_NAME *name = X509_NAME_new();

	MUST(name != NULL);
	for (; dn->field != NULL; dn++)
		MUST(X509_NAME_add_entry_by_txt(name, dn->field, MBSTRING_UTF8,
		    (const unsigned char *)dn->value, -1, -1, 0));
	MUST(X509_set_subject_name(cert, name));
	X509_NAME_free(name);
}

static void
set_serial(X509 *cert, long serial)
{
	BIGNUM *bn = BN_new();

	MUST(bn != NULL);
	if (serial >= 0)
		MUST(BN_set_word(bn, (BN_ULONG)serial));
	else
		MUST(BN_rand(bn, 159, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY));
	MUST(BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)) != NULL);
	BN_free(bn);
}

/* Signs as AMD does (PSS, SHA-384, salt of 48 bytes) or with SHA-256. */
static EVP_MD_CTX *
sign_ctx(EVP_PKEY *key, bool pss)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;

	MUST(ctx != NULL);
	MUST(EVP_DigestSignInit(ctx, &pctx, pss ? EVP_sha384() : EVP_sha256(),
	    NULL, key));
	if (pss) {
		MUST(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) >
		    0);
		MUST(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 48) > 0);
		MUST(EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, EVP_sha384()) > 0);
	}
	return ctx;
}

static void
add_extensions(X509 *cert, const struct x509_spec *spec, X509 *issuer)
{
	X509V3_CTX v3;

	X509V3_set_ctx(&v3, issuer != NULL ? issuer : cert, cert, NULL, NULL,
	    0);
	if (spec->ski)
		add_ext(&v3, cert, NID_subject_key_identifier, "hash");
	if (spec->aki)
		add_ext(&v3, cert, NID_authority_key_identifier,
		    "keyid:always");
	add_ext(&v3, cert, NID_basic_constraints, spec->basic_constraints);
	add_ext(&v3, cert, NID_key_usage, spec->key_usage);
	add_ext(&v3, cert, NID_ext_key_usage, spec->ext_key_usage);
	add_ext(&v3, cert, NID_crl_distribution_points, spec->crl_dp);
	for (size_t i = 0; i < spec->n_ext; i++)
		add_raw_ext(cert, &spec->ext[i]);
}

X509 *
x509_issue(const struct x509_spec *spec, EVP_PKEY *subject, X509 *issuer,
    EVP_PKEY *issuer_key)
{
	X509 *cert = X509_new();
	EVP_MD_CTX *ctx = sign_ctx(issuer_key, spec->pss);

	MUST(cert != NULL);
	MUST(X509_set_version(cert, X509_VERSION_3));
	set_serial(cert, spec->serial);
	set_subject(cert, spec->dn);
	MUST(X509_set_issuer_name(cert,
	    X509_get_subject_name(issuer != NULL ? issuer : cert)));
	MUST(ASN1_TIME_adj(X509_getm_notBefore(cert), spec->not_before, 0, 0));
	MUST(ASN1_TIME_adj(X509_getm_notAfter(cert), spec->not_after, 0, 0));
	MUST(X509_set_pubkey(cert, subject));
	add_extensions(cert, spec, issuer);
	MUST(X509_sign_ctx(cert, ctx) > 0);
	EVP_MD_CTX_free(ctx);
	return cert;
}

static void
crl_revoke(X509_CRL *crl, X509 *cert, ASN1_TIME *when)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

	MUST(entry != NULL && reason != NULL);
	MUST(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(cert)));
	MUST(X509_REVOKED_set_revocationDate(entry, when));
	MUST(ASN1_ENUMERATED_set(reason, CRL_REASON_KEY_COMPROMISE));
	MUST(X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason, 0, 0));
	MUST(X509_CRL_add0_revoked(crl, entry));
	ASN1_ENUMERATED_free(reason);
}

static void
crl_extensions(X509_CRL *crl, X509 *issuer)
{
	X509V3_CTX v3;
	X509_EXTENSION *aki;
	ASN1_INTEGER *number = ASN1_INTEGER_new();

	/* Every Intel CRL has number 1: it is no clock. */
	MUST(number != NULL && ASN1_INTEGER_set(number, 1));
	MUST(X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0));
	ASN1_INTEGER_free(number);
	X509V3_set_ctx(&v3, issuer, NULL, NULL, crl, 0);
	aki = X509V3_EXT_conf_nid(NULL, &v3, NID_authority_key_identifier,
	    "keyid:always");
	MUST(aki != NULL && X509_CRL_add_ext(crl, aki, -1));
	X509_EXTENSION_free(aki);
}

X509_CRL *
crl_issue(const struct crl_spec *spec, X509 *issuer, EVP_PKEY *key)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = ASN1_TIME_set(NULL, spec->this_update);
	ASN1_TIME *to = ASN1_TIME_set(NULL, spec->next_update);
	EVP_MD_CTX *ctx = sign_ctx(key, spec->pss);

	MUST(crl != NULL && from != NULL && to != NULL);
	MUST(X509_CRL_set_version(crl, X509_CRL_VERSION_2));
	MUST(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)));
	MUST(X509_CRL_set1_lastUpdate(crl, from));
	MUST(X509_CRL_set1_nextUpdate(crl, to));
	for (size_t i = 0; i < spec->n_revoked; i++)
		crl_revoke(crl, spec->revoked[i], from);
	crl_extensions(crl, issuer);
	MUST(X509_CRL_sort(crl));
	MUST(X509_CRL_sign_ctx(crl, ctx) > 0);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	EVP_MD_CTX_free(ctx);
	return crl;
}

void
x509_put_der(struct buf *b, X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);

	MUST(len > 0);
	buf_put(b, der, (size_t)len);
	OPENSSL_free(der);
}

void
x509_put_pem(struct buf *b, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	MUST(bio != NULL && PEM_write_bio_X509(bio, cert));
	len = BIO_get_mem_data(bio, &text);
	buf_put(b, text, (size_t)len);
	BIO_free(bio);
}

void
crl_put_der(struct buf *b, X509_CRL *crl)
{
	unsigned char *der = NULL;
	int len = i2d_X509_CRL(crl, &der);

	MUST(len > 0);
	buf_put(b, der, (size_t)len);
	OPENSSL_free(der);
}

void
key_put_spki(struct buf *b, EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);

	MUST(len > 0);
	buf_put(b, der, (size_t)len);
	OPENSSL_free(der);
}

void
ecdsa_raw(EVP_PKEY *key, const char *md, const void *msg, size_t len,
    size_t half, uint8_t *ret)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char der[160];
	const unsigned char *p = der;
	size_t der_len = sizeof(der);
	ECDSA_SIG *sig;

	MUST(ctx != NULL);
	MUST(EVP_DigestSignInit_ex(ctx, NULL, md, NULL, NULL, key, NULL));
	MUST(EVP_DigestSign(ctx, der, &der_len, msg, len));
	sig = d2i_ECDSA_SIG(NULL, &p, (long)der_len);
	MUST(sig != NULL);
	MUST(BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, (int)half) > 0);
	MUST(BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + half, (int)half) > 0);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
}

void
ec_point(EVP_PKEY *key, size_t half, uint8_t *ret)
{
	static const char *const names[] = { OSSL_PKEY_PARAM_EC_PUB_X,
		OSSL_PKEY_PARAM_EC_PUB_Y };

	for (size_t i = 0; i < 2; i++) {
		BIGNUM *bn = NULL;

		MUST(EVP_PKEY_get_bn_param(key, names[i], &bn));
		MUST(BN_bn2binpad(bn, ret + i * half, (int)half) > 0);
		BN_free(bn);
	}
}

void
digest(const char *name, const void *p, size_t len, uint8_t *ret)
{
	MUST(EVP_Q_digest(NULL, name, NULL, p, len, ret, NULL));
}

void
der_put(struct buf *b, uint8_t tag, const void *p, size_t len)
{
	buf_u8(b, tag);
	if (len >= 0x100) {
		buf_u8(b, 0x82);
		buf_be16(b, (uint16_t)len);
	} else {
		if (len >= 0x80)
			buf_u8(b, 0x81);
		buf_u8(b, (uint8_t)len);
	}
	buf_put(b, p, len);
}

void
der_wrap(struct buf *b, uint8_t tag, const struct buf *content)
{
	der_put(b, tag, content->p, content->len);
}

void
der_int(struct buf *b, uint64_t v)
{
	uint8_t be[9] = { 0 };
	size_t from = 1;

	for (int i = 0; i < 8; i++)
		be[8 - i] = (uint8_t)(v >> 8 * i);
	while (from < 8 && be[from] == 0)
		from++;
	if (be[from] & 0x80)
		from--;
	der_put(b, 0x02, be + from, 9 - from);
}

void
der_oid(struct buf *b, const char *oid)
{
	ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);

	MUST(obj != NULL);
	der_put(b, 0x06, OBJ_get0_data(obj), OBJ_length(obj));
	ASN1_OBJECT_free(obj);
}
