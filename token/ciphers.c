/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <pthread.h>
#include <string.h>

#include "base/crypto.h"
#include "token/ciphers.h"

/* The names of PKCS#11 for a hash, as what comes with each; 0: none. */
static const struct {
	const char *name;
	size_t len;
	CK_MECHANISM_TYPE mech, hmac;
	CK_ULONG mgf, kdf, sp800, pbkdf2;
} digests[N_DIGESTS] = {
	[DIGEST_SHA1] = { "SHA1", 20, CKM_SHA_1, CKM_SHA_1_HMAC, CKG_MGF1_SHA1,
	    CKD_SHA1_KDF, CKD_SHA1_KDF_SP800, CKP_PKCS5_PBKD2_HMAC_SHA1 },
	[DIGEST_SHA224] = { "SHA2-224", 28, CKM_SHA224, CKM_SHA224_HMAC,
	    CKG_MGF1_SHA224, CKD_SHA224_KDF, CKD_SHA224_KDF_SP800,
	    CKP_PKCS5_PBKD2_HMAC_SHA224 },
	[DIGEST_SHA256] = { "SHA2-256", 32, CKM_SHA256, CKM_SHA256_HMAC,
	    CKG_MGF1_SHA256, CKD_SHA256_KDF, CKD_SHA256_KDF_SP800,
	    CKP_PKCS5_PBKD2_HMAC_SHA256 },
	[DIGEST_SHA384] = { "SHA2-384", 48, CKM_SHA384, CKM_SHA384_HMAC,
	    CKG_MGF1_SHA384, CKD_SHA384_KDF, CKD_SHA384_KDF_SP800,
	    CKP_PKCS5_PBKD2_HMAC_SHA384 },
	[DIGEST_SHA512] = { "SHA2-512", 64, CKM_SHA512, CKM_SHA512_HMAC,
	    CKG_MGF1_SHA512, CKD_SHA512_KDF, CKD_SHA512_KDF_SP800,
	    CKP_PKCS5_PBKD2_HMAC_SHA512 },
	[DIGEST_SHA3_224] = { "SHA3-224", 28, CKM_SHA3_224, CKM_SHA3_224_HMAC,
	    CKG_MGF1_SHA3_224, CKD_SHA3_224_KDF, CKD_SHA3_224_KDF_SP800, 0 },
	[DIGEST_SHA3_256] = { "SHA3-256", 32, CKM_SHA3_256, CKM_SHA3_256_HMAC,
	    CKG_MGF1_SHA3_256, CKD_SHA3_256_KDF, CKD_SHA3_256_KDF_SP800, 0 },
	[DIGEST_SHA3_384] = { "SHA3-384", 48, CKM_SHA3_384, CKM_SHA3_384_HMAC,
	    CKG_MGF1_SHA3_384, CKD_SHA3_384_KDF, CKD_SHA3_384_KDF_SP800, 0 },
	[DIGEST_SHA3_512] = { "SHA3-512", 64, CKM_SHA3_512, CKM_SHA3_512_HMAC,
	    CKG_MGF1_SHA3_512, CKD_SHA3_512_KDF, CKD_SHA3_512_KDF_SP800, 0 },
};

/* By key length; ChaCha20 has one. */
static const size_t key_lens[] = { 16, 24, 32 };
static const char *const cipher_names[N_CIPHERS][NELEMS(key_lens)] = {
	[CIPHER_ECB] = { "AES-128-ECB", "AES-192-ECB", "AES-256-ECB" },
	[CIPHER_CBC] = { "AES-128-CBC", "AES-192-CBC", "AES-256-CBC" },
	[CIPHER_CTR] = { "AES-128-CTR", "AES-192-CTR", "AES-256-CTR" },
	[CIPHER_GCM] = { "AES-128-GCM", "AES-192-GCM", "AES-256-GCM" },
	[CIPHER_CCM] = { "AES-128-CCM", "AES-192-CCM", "AES-256-CCM" },
	[CIPHER_KW] = { "AES-128-WRAP", "AES-192-WRAP", "AES-256-WRAP" },
	[CIPHER_KWP] = { "AES-128-WRAP-PAD", "AES-192-WRAP-PAD",
	    "AES-256-WRAP-PAD" },
	[CIPHER_CHACHA20_POLY1305] = { NULL, NULL, "ChaCha20-Poly1305" },
};

/* One of a family: where it is, so are the others. */
static const struct {
	CK_KEY_TYPE type;
	const char *name;
} families[] = {
	{ CKK_ML_DSA, "ML-DSA-65" },
	{ CKK_ML_KEM, "ML-KEM-768" },
	{ CKK_SLH_DSA, "SLH-DSA-SHA2-128f" },
};

/* Written once under the once, read-only from then on, never freed. */
static struct {
	EVP_MD *md[N_DIGESTS];
	EVP_CIPHER *cipher[N_CIPHERS][NELEMS(key_lens)];
	EVP_MAC *hmac, *cmac, *gmac;
	EVP_KDF *pbkdf2;
	bool pqc[NELEMS(families)];
	bool gcm_fixed; /* fixed_nonce() is what it says */
} fetched;
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

static bool
has_keys(OSSL_LIB_CTX *ctx, const char *name)
{
	EVP_KEYMGMT *k = EVP_KEYMGMT_fetch(ctx, name, /* props= */ NULL);

	EVP_KEYMGMT_free(k);
	return k != NULL;
}

/*
 * All of the nonce as what TLS calls the fixed part of it. EVP_CipherInit_ex2()
 * asks for the nonce's length each time, and takes three times as long.
 */
static int
fixed_nonce(EVP_CIPHER_CTX *ctx, const uint8_t *nonce)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} u = { .in = nonce };
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED,
		    u.out, (size_t)-1),
		OSSL_PARAM_END,
	};

	return EVP_CIPHER_CTX_set_params(ctx, params);
}

static int
usual_nonce(EVP_CIPHER_CTX *ctx, const uint8_t *nonce)
{
	return EVP_CipherInit_ex2(ctx, /* cipher= */ NULL, /* key= */ NULL,
	    nonce, /* enc= */ -1, /* params= */ NULL);
}

/* A message with nonce, behind one with another that was given up. */
static bool
try_gcm(const EVP_CIPHER *cipher, const uint8_t *nonce,
    int (*set)(EVP_CIPHER_CTX *ctx, const uint8_t *nonce),
    uint8_t out[static 32])
{
	static const uint8_t zero[32];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t none[16];
	int n;
	bool ok = ctx != NULL &&
	    EVP_CipherInit_ex2(ctx, cipher, zero, zero, /* enc= */ 1,
		/* params= */ NULL) == 1 &&
	    EVP_CipherUpdate(ctx, out, &n, zero, 16) == 1 &&
	    set(ctx, nonce) == 1 &&
	    EVP_CipherUpdate(ctx, out, &n, zero, 16) == 1 && n == 16 &&
	    EVP_CipherFinal_ex(ctx, none, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, &out[16]) == 1;

	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

/* A provider that passes the parameter over would encrypt with the last
 * message's nonce again, and that gives the key of the tags away. */
static bool
has_fixed_nonce(const EVP_CIPHER *cipher)
{
	static const uint8_t nonce[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
		12 };
	uint8_t usual[32], fixed[32];

	return cipher != NULL && try_gcm(cipher, nonce, usual_nonce, usual) &&
	    try_gcm(cipher, nonce, fixed_nonce, fixed) &&
	    memcmp(usual, fixed, sizeof(usual)) == 0;
}

static void
fetch(void)
{
	quiet_openssl();
	OSSL_LIB_CTX *ctx = crypto_libctx();

	if (ctx == NULL)
		return;
	for (size_t i = 0; i < N_DIGESTS; i++)
		fetched.md[i] = EVP_MD_fetch(ctx, digests[i].name,
		    /* props= */ NULL);
	for (size_t i = 0; i < N_CIPHERS; i++)
		for (size_t k = 0; k < NELEMS(key_lens); k++)
			if (cipher_names[i][k] != NULL)
				fetched.cipher[i][k] = EVP_CIPHER_fetch(ctx,
				    cipher_names[i][k], /* props= */ NULL);
	fetched.gcm_fixed = true;
	for (size_t k = 0; k < NELEMS(key_lens); k++)
		if (!has_fixed_nonce(fetched.cipher[CIPHER_GCM][k]))
			fetched.gcm_fixed = false;
	for (size_t i = 0; i < NELEMS(families); i++)
		fetched.pqc[i] = has_keys(ctx, families[i].name);
	fetched.hmac = EVP_MAC_fetch(ctx, "HMAC", /* props= */ NULL);
	fetched.cmac = EVP_MAC_fetch(ctx, "CMAC", /* props= */ NULL);
	fetched.gmac = EVP_MAC_fetch(ctx, "GMAC", /* props= */ NULL);
	fetched.pbkdf2 = EVP_KDF_fetch(ctx, "PBKDF2", /* props= */ NULL);
}

const EVP_MD *
digest_get(enum digest d)
{
	(void)pthread_once(&fetch_once, fetch);
	return d >= 0 && d < N_DIGESTS ? fetched.md[d] : NULL;
}

const char *
digest_name(enum digest d)
{
	return d >= 0 && d < N_DIGESTS ? digests[d].name : NULL;
}

size_t
digest_len(enum digest d)
{
	return d >= 0 && d < N_DIGESTS ? digests[d].len : 0;
}

enum digest
digest_by_mech(CK_MECHANISM_TYPE type)
{
	for (int i = 0; i < N_DIGESTS; i++)
		if (digests[i].mech == type)
			return (enum digest)i;
	return DIGEST_NONE;
}

enum digest
digest_by_hmac(CK_MECHANISM_TYPE type)
{
	for (int i = 0; i < N_DIGESTS; i++)
		if (digests[i].hmac == type)
			return (enum digest)i;
	return DIGEST_NONE;
}

enum digest
digest_by_mgf(CK_ULONG mgf)
{
	for (int i = 0; i < N_DIGESTS; i++)
		if (digests[i].mgf == mgf)
			return (enum digest)i;
	return DIGEST_NONE;
}

enum digest
digest_by_kdf(CK_ULONG kdf)
{
	for (int i = 0; i < N_DIGESTS; i++)
		if (digests[i].kdf == kdf)
			return (enum digest)i;
	return DIGEST_NONE;
}

enum digest
digest_by_sp800_kdf(CK_ULONG kdf)
{
	for (int i = 0; i < N_DIGESTS; i++)
		if (digests[i].sp800 == kdf)
			return (enum digest)i;
	return DIGEST_NONE;
}

enum digest
digest_by_pbkdf2(CK_ULONG prf)
{
	for (int i = 0; i < N_DIGESTS; i++)
		if (prf != 0 && digests[i].pbkdf2 == prf)
			return (enum digest)i;
	return DIGEST_NONE;
}

const EVP_CIPHER *
cipher_get(enum cipher c, size_t key_len)
{
	(void)pthread_once(&fetch_once, fetch);
	for (size_t k = 0; k < NELEMS(key_lens); k++)
		if (key_lens[k] == key_len)
			return fetched.cipher[c][k];
	return NULL;
}

int
gcm_set_nonce(EVP_CIPHER_CTX *ctx, const uint8_t *nonce)
{
	/* Who has a context has been through the once. */
	int ok = fetched.gcm_fixed ? fixed_nonce(ctx, nonce) :
				     usual_nonce(ctx, nonce);

	return ok == 1 ? CVM_OK : CVM_E_CRYPTO;
}

EVP_MAC *
mac_hmac(void)
{
	(void)pthread_once(&fetch_once, fetch);
	return fetched.hmac;
}

EVP_MAC *
mac_cmac(void)
{
	(void)pthread_once(&fetch_once, fetch);
	return fetched.cmac;
}

EVP_MAC *
mac_gmac(void)
{
	(void)pthread_once(&fetch_once, fetch);
	return fetched.gmac;
}

EVP_KDF *
kdf_pbkdf2(void)
{
	(void)pthread_once(&fetch_once, fetch);
	return fetched.pbkdf2;
}

bool
pqc_available(CK_KEY_TYPE key_type)
{
	(void)pthread_once(&fetch_once, fetch);
	for (size_t i = 0; i < NELEMS(families); i++)
		if (families[i].type == key_type)
			return fetched.pqc[i];
	return false;
}
