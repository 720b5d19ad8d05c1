/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>

#include "attest/chain.h"
#include "attest/credential.h"
#include "base/openssl.h"

#define CFB_KEY_LEN 16
#define RSA_BITS_MIN 2048

#define EK_SET                                                                 \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |                      \
	    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |         \
	    TPMA_OBJECT_DECRYPT)
#define EK_MUST_NOT                                                            \
	(TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_ENCRYPTEDDUPLICATION)

bool
endorsement_key_fits(const struct tpm_public *p)
{
	return p->type == TPM2_ALG_RSA && p->name_alg == TPM2_ALG_SHA256 &&
	    p->key_bits >= RSA_BITS_MIN && p->exponent == 65537 &&
	    (p->attributes & EK_SET) == EK_SET &&
	    (p->attributes & EK_MUST_NOT) == 0;
}

static void
pkey_ctx_freep(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
	*c = NULL;
}

static void
cipher_ctx_freep(EVP_CIPHER_CTX **c)
{
	EVP_CIPHER_CTX_free(*c);
	*c = NULL;
}

static void
cipher_freep(EVP_CIPHER **c)
{
	EVP_CIPHER_free(*c);
	*c = NULL;
}

static int
hmac(struct span key, struct span data, uint8_t out[static SHA256_LEN])
{
	quiet_openssl();
	size_t len = 0;

	return EVP_Q_mac(crypto_libctx(), "HMAC", NULL, "SHA2-256", NULL,
		   key.data, key.len, data.data, data.len, out, SHA256_LEN,
		   &len) != NULL &&
		len == SHA256_LEN ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

/* KDFa (Part 1, section 11.4.10.2) of one block, with contextU only. */
static int
kdf_a(const uint8_t seed[static SHA256_LEN], const char *label, struct span u,
    size_t len, uint8_t *out)
{
	_cleanup_(writer_clear) struct writer w = { 0 };
	uint8_t block[SHA256_LEN];
	int r;

	write_be32(&w, 1);
	write_bytes(&w, span(label, strlen(label) + 1));
	write_bytes(&w, u);
	write_be32(&w, (uint32_t)(len * 8));
	if (w.failed)
		return CVM_E_NOMEM;
	r = hmac(span(seed, SHA256_LEN), blob_span(&w.out), block);
	if (r == CVM_OK)
		memcpy(out, block, len);
	secret_wipe(block, sizeof(block));
	return r;
}

/* OAEP with SHA-256 and the label "IDENTITY" (annex B.10.4). */
static int
encrypt_seed(const struct tpm_public *ek, const uint8_t seed[static SHA256_LEN],
    struct blob *ret)
{
	quiet_openssl();
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *ctx = NULL;
	_cleanup_(evp_pkey_freep) EVP_PKEY *key = NULL;
	_cleanup_(blob_clear) struct blob out = { 0 };
	char md[] = "SHA2-256", label[] = "IDENTITY", pad[] = "oaep";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_ASYM_CIPHER_PARAM_PAD_MODE, pad, 0),
		OSSL_PARAM_construct_utf8_string(
		    OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, md, 0),
		/* The NUL is part of it. */
		OSSL_PARAM_construct_octet_string(
		    OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, label, sizeof(label)),
		OSSL_PARAM_construct_end(),
	};
	int r = tpm_public_key(ek, &key);

	if (r != CVM_OK)
		return r;
	out.len = ek->key_bits / 8;
	if ((out.data = malloc(out.len)) == NULL)
		return CVM_E_NOMEM;
	ctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(), key, NULL);
	if (ctx == NULL || EVP_PKEY_encrypt_init_ex(ctx, params) <= 0 ||
	    EVP_PKEY_encrypt(ctx, out.data, &out.len, seed, SHA256_LEN) <= 0)
		return CVM_E_CRYPTO;
	*ret = out;
	out = (struct blob){ 0 };
	return CVM_OK;
}

static int
encrypt_cfb(const uint8_t key[static CFB_KEY_LEN], struct span in, uint8_t *out)
{
	quiet_openssl();
	_cleanup_(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	_cleanup_(cipher_freep)
	    EVP_CIPHER *cfb = EVP_CIPHER_fetch(crypto_libctx(), "AES-128-CFB",
		NULL);
	static const uint8_t iv[CFB_KEY_LEN];
	int len = 0;

	return ctx != NULL && cfb != NULL &&
		EVP_EncryptInit_ex2(ctx, cfb, key, iv, NULL) > 0 &&
		EVP_EncryptUpdate(ctx, out, &len, in.data, (int)in.len) > 0 &&
		(size_t)len == in.len ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}

/* TPMS_ID_OBJECT: an HMAC over what follows it and the Name; the credential,
 * encrypted under a key that depends on the Name. */
static int
make_id(const uint8_t seed[static SHA256_LEN], struct span name,
    const uint8_t credential[static CREDENTIAL_LEN], struct blob *ret)
{
	uint8_t key[CFB_KEY_LEN], mac_key[SHA256_LEN], mac[SHA256_LEN];
	uint8_t plain[2 + CREDENTIAL_LEN] = { 0, CREDENTIAL_LEN };
	uint8_t both[sizeof(plain) + TPM_NAME_MAX];
	_cleanup_(writer_clear) struct writer w = { 0 };
	int r;

	if (name.len > TPM_NAME_MAX)
		return CVM_E_INVAL;
	memcpy(plain + 2, credential, CREDENTIAL_LEN);
	r = kdf_a(seed, "STORAGE", name, sizeof(key), key);
	if (r == CVM_OK)
		r = kdf_a(seed, "INTEGRITY", span(NULL, 0), sizeof(mac_key),
		    mac_key);
	if (r == CVM_OK)
		r = encrypt_cfb(key, span(plain, sizeof(plain)), both);
	memcpy(both + sizeof(plain), name.data, name.len);
	if (r == CVM_OK)
		r = hmac(span(mac_key, sizeof(mac_key)),
		    span(both, sizeof(plain) + name.len), mac);
	secret_wipe(plain, sizeof(plain));
	secret_wipe(key, sizeof(key));
	secret_wipe(mac_key, sizeof(mac_key));
	if (r != CVM_OK)
		return r;
	write_be16(&w, SHA256_LEN);
	write_bytes(&w, span(mac, SHA256_LEN));
	write_bytes(&w, span(both, sizeof(plain)));
	return writer_end(&w, ret);
}

int
credential_make(const struct tpm_public *ek, struct span name,
    const uint8_t credential[static CREDENTIAL_LEN], struct blob *ret_id,
    struct blob *ret_secret)
{
	_cleanup_(blob_clear) struct blob id = { 0 }, secret = { 0 };
	uint8_t seed[SHA256_LEN];
	int r;

	if (!endorsement_key_fits(ek))
		return CVM_E_UNSUPPORTED;
	r = random_bytes(seed, sizeof(seed));
	if (r == CVM_OK)
		r = make_id(seed, name, credential, &id);
	if (r == CVM_OK)
		r = encrypt_seed(ek, seed, &secret);
	secret_wipe(seed, sizeof(seed));
	if (r != CVM_OK)
		return r;
	blob_clear(ret_id);
	blob_clear(ret_secret);
	*ret_id = id;
	*ret_secret = secret;
	id = secret = (struct blob){ 0 };
	return CVM_OK;
}
