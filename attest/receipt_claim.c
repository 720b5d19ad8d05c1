/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "attest/receipt_claim.h"
#include "base/openssl.h"
#include "base/pkcs11.h"

enum scheme { PKCS1, PSS, ECDSA, EDDSA };

/* NULL: what was signed is a digest, or a DigestInfo, that the caller made. */
static const struct {
	CK_MECHANISM_TYPE mechanism;
	enum scheme scheme;
	const char *digest;
} mechanisms[] = {
	{ CKM_RSA_PKCS, PKCS1, NULL },
	{ CKM_SHA1_RSA_PKCS, PKCS1, "SHA1" },
	{ CKM_SHA224_RSA_PKCS, PKCS1, "SHA224" },
	{ CKM_SHA256_RSA_PKCS, PKCS1, "SHA256" },
	{ CKM_SHA384_RSA_PKCS, PKCS1, "SHA384" },
	{ CKM_SHA512_RSA_PKCS, PKCS1, "SHA512" },
	{ CKM_RSA_PKCS_PSS, PSS, NULL },
	{ CKM_SHA1_RSA_PKCS_PSS, PSS, "SHA1" },
	{ CKM_SHA224_RSA_PKCS_PSS, PSS, "SHA224" },
	{ CKM_SHA256_RSA_PKCS_PSS, PSS, "SHA256" },
	{ CKM_SHA384_RSA_PKCS_PSS, PSS, "SHA384" },
	{ CKM_SHA512_RSA_PKCS_PSS, PSS, "SHA512" },
	{ CKM_ECDSA, ECDSA, NULL },
	{ CKM_ECDSA_SHA1, ECDSA, "SHA1" },
	{ CKM_ECDSA_SHA224, ECDSA, "SHA224" },
	{ CKM_ECDSA_SHA256, ECDSA, "SHA256" },
	{ CKM_ECDSA_SHA384, ECDSA, "SHA384" },
	{ CKM_ECDSA_SHA512, ECDSA, "SHA512" },
	{ CKM_EDDSA, EDDSA, NULL },
};

/* What callers digest a message by before they sign the digest. */
static const char *const digests[] = { "SHA256", "SHA384", "SHA512", "SHA1",
	"SHA224" };

void
receipt_claim_clear(struct receipt_claim *c)
{
	EVP_PKEY_free(c->key);
	*c = (struct receipt_claim){ 0 };
}

static EVP_PKEY *
read_key(struct span file)
{
	OSSL_LIB_CTX *lib = crypto_libctx();
	BIO *bio = BIO_new_mem_buf(file.data, (int)file.len);
	const uint8_t *p = file.data;
	EVP_PKEY *key = NULL;
	X509 *x = X509_new_ex(lib, NULL);

	if (bio != NULL && x != NULL) {
		key = PEM_read_bio_PUBKEY_ex(bio, NULL, NULL, NULL, lib, NULL);
		if (key == NULL && BIO_reset(bio) == 1 &&
		    PEM_read_bio_X509(bio, &x, NULL, NULL) != NULL)
			key = X509_get_pubkey(x);
		if (key == NULL)
			key = d2i_PUBKEY_ex(NULL, &p, (long)file.len, lib,
			    NULL);
		p = file.data;
		if (key == NULL && d2i_X509(&x, &p, (long)file.len) != NULL)
			key = X509_get_pubkey(x);
	}
	X509_free(x);
	BIO_free(bio);
	return key;
}

int
receipt_claim_key(struct receipt_claim *c, struct span file, const char *name,
    struct why *reterr_why)
{
	quiet_openssl();
	unsigned char *der = NULL;
	int len, err;

	if (file.len == 0 || file.len > 1024 * 1024 ||
	    (c->key = read_key(file)) == NULL)
		return why_set(reterr_why, CVM_E_PARSE, name, "",
		    "a public key or a certificate (PEM or DER)",
		    "something else");
	if ((len = i2d_PUBKEY(c->key, &der)) <= 0)
		return CVM_E_CRYPTO;
	err = hash(HASH_SHA256, span(der, (size_t)len), c->fingerprint);
	OPENSSL_free(der);
	return err;
}

/* One digest; 0 bytes where the library does not have it. */
static size_t
digest_of(const char *name, struct span in, uint8_t out[EVP_MAX_MD_SIZE])
{
	EVP_MD *md = EVP_MD_fetch(crypto_libctx(), name, NULL);
	unsigned len = 0;

	if (md == NULL || EVP_Digest(in.data, in.len, out, &len, md, NULL) != 1)
		len = 0;
	EVP_MD_free(md);
	return len;
}

/* PKCS#11 has r || s, everybody else DER. */
static int
ecdsa_to_der(struct span rs, struct blob *ret)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int half = (int)(rs.len / 2), len, err = CVM_E_CRYPTO;
	unsigned char *der = NULL;
	BIGNUM *r = BN_bin2bn(rs.data, half, NULL);
	BIGNUM *s = BN_bin2bn(rs.data + half, half, NULL);

	if (sig != NULL && r != NULL && s != NULL &&
	    ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL;
		if ((len = i2d_ECDSA_SIG(sig, &der)) > 0)
			err = blob_set(ret, span(der, (size_t)len));
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	OPENSSL_free(der);
	return err;
}

static bool
set_digest(EVP_PKEY_CTX *ctx, const char *name)
{
	EVP_MD *md = EVP_MD_fetch(crypto_libctx(), name, NULL);
	bool done = md != NULL && EVP_PKEY_CTX_set_signature_md(ctx, md) > 0;

	EVP_MD_free(md);
	return done;
}

static bool
set_scheme(EVP_PKEY_CTX *ctx, enum scheme scheme, const char *digest)
{
	int padding = scheme == PSS ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;

	if (scheme == ECDSA)
		return true;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, padding) > 0 &&
	    (digest == NULL || set_digest(ctx, digest)) &&
	    (scheme != PSS ||
		EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_AUTO) >
		    0);
}

static bool
verify_with(EVP_PKEY *key, enum scheme scheme, const char *digest,
    struct span tbs, struct span sig)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(), key,
	    NULL);
	bool good = ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
	    set_scheme(ctx, scheme, digest) &&
	    EVP_PKEY_verify(ctx, sig.data, sig.len, tbs.data, tbs.len) == 1;

	EVP_PKEY_CTX_free(ctx);
	return good;
}

static bool
verify_eddsa(const struct receipt_claim *c)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx != NULL &&
	    EVP_DigestVerifyInit_ex(ctx, NULL, NULL, crypto_libctx(), NULL,
		c->key, NULL) == 1 &&
	    EVP_DigestVerify(ctx, c->signature.data, c->signature.len,
		c->message.data, c->message.len) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

/* digest NULL: tbs as it is, PKCS#1 around whatever bytes. */
static bool
verify(const struct receipt_claim *c, enum scheme scheme, const char *digest,
    struct span tbs)
{
	_cleanup_(blob_clear) struct blob der = { 0 };

	if (scheme == EDDSA)
		return verify_eddsa(c);
	if (verify_with(c->key, scheme, digest, tbs, c->signature))
		return true;
	return scheme == ECDSA && c->signature.len % 2 == 0 &&
	    c->signature.len <= 256 &&
	    ecdsa_to_der(c->signature, &der) == CVM_OK &&
	    verify_with(c->key, scheme, digest, tbs, blob_span(&der));
}

static bool
is_input(const struct receipt *r, struct span input)
{
	uint8_t digest[SHA256_LEN];

	return hash(HASH_SHA256, input, digest) == CVM_OK &&
	    memcmp(digest, r->input_digest, SHA256_LEN) == 0;
}

/* DigestInfo (RFC 8017, section 9.2, note 1) around a digest. */
static int
digest_info(const char *name, struct span digest, struct blob *ret)
{
	X509_SIG *sig = X509_SIG_new();
	unsigned char *der = NULL;
	X509_ALGOR *alg = NULL;
	ASN1_OCTET_STRING *value = NULL;
	int len, err = CVM_E_CRYPTO;

	if (sig != NULL) {
		X509_SIG_getm(sig, &alg, &value);
		if (X509_ALGOR_set0(alg, OBJ_txt2obj(name, 0), V_ASN1_NULL,
			NULL) == 1 &&
		    ASN1_OCTET_STRING_set(value, digest.data,
			(int)digest.len) == 1 &&
		    (len = i2d_X509_SIG(sig, &der)) > 0)
			err = blob_set(ret, span(der, (size_t)len));
	}
	X509_SIG_free(sig);
	OPENSSL_free(der);
	return err;
}

static enum claim_match
answer(bool verified)
{
	return verified ? CLAIM_PROVED : CLAIM_NO_SIGNATURE;
}

/* The mechanism digests: its input is the message. */
static enum claim_match
match_message(const struct receipt_claim *c, const struct receipt *r,
    enum scheme scheme, const char *digest)
{
	uint8_t d[EVP_MAX_MD_SIZE];
	size_t n;

	if (!is_input(r, c->message))
		return CLAIM_OTHER;
	if (scheme == EDDSA)
		return answer(verify(c, scheme, NULL, c->message));
	n = digest_of(digest, c->message, d);
	return answer(n > 0 && verify(c, scheme, digest, span(d, n)));
}

/* The caller digested: by what, its input tells. */
static enum claim_match
match_digest(const struct receipt_claim *c, const struct receipt *r,
    enum scheme scheme)
{
	uint8_t d[EVP_MAX_MD_SIZE];
	size_t n;

	for (size_t i = 0; i < NELEMS(digests); i++) {
		_cleanup_(blob_clear) struct blob info = { 0 };
		struct span in;

		if ((n = digest_of(digests[i], c->message, d)) == 0)
			continue;
		in = span(d, n);
		if (scheme == PKCS1) {
			if (digest_info(digests[i], in, &info) != CVM_OK)
				continue;
			in = blob_span(&info);
		}
		if (is_input(r, in))
			return answer(verify(c, scheme,
			    scheme == PSS ? digests[i] : NULL, in));
	}
	/* The message itself, as it was given. */
	if (scheme != PSS && is_input(r, c->message))
		return answer(verify(c, scheme, NULL, c->message));
	return CLAIM_OTHER;
}

enum claim_match
receipt_claim_match(const struct receipt_claim *c, const struct receipt *r)
{
	quiet_openssl();

	if (r->type != RECEIPT_ADMISSION || r->kind != LEAF_OPERATION ||
	    strncmp(r->function, "C_Sign", 6) != 0 ||
	    r->key.len != SHA256_LEN ||
	    memcmp(r->key.data, c->fingerprint, SHA256_LEN) != 0)
		return CLAIM_OTHER;
	for (size_t i = 0; i < NELEMS(mechanisms); i++) {
		enum scheme scheme = mechanisms[i].scheme;

		if (mechanisms[i].mechanism != r->mechanism)
			continue;
		if (mechanisms[i].digest != NULL || scheme == EDDSA)
			return match_message(c, r, scheme,
			    mechanisms[i].digest);
		return match_digest(c, r, scheme);
	}
	return CLAIM_UNKNOWN;
}
