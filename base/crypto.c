/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "base/crypto.h"
#include "base/openssl.h"

#define BOX_NONCE_LEN 12
#define BOX_TAG_LEN 16
#define BOX_KEY_LEN 32
/* OpenSSL 3.0 keeps the HKDF info in a fixed buffer of this size. */
#define HKDF_INFO_MAX 1024

static const struct {
	const char *name;
	size_t len;
} algs[] = {
	[HASH_SHA1] = { "SHA1", 20 },
	[HASH_SHA256] = { "SHA2-256", SHA256_LEN },
	[HASH_SHA384] = { "SHA2-384", SHA384_LEN },
	[HASH_SHA512] = { "SHA2-512", SHA512_LEN },
};

/* Written once under the once, read-only from then on, never freed. */
static struct {
	OSSL_LIB_CTX *ctx;
	EVP_MD *md[NELEMS(algs)];
	EVP_CIPHER *gcm;
	EVP_KDF *hkdf;
} lib;
static pthread_once_t lib_once = PTHREAD_ONCE_INIT;

static void
ctx_freep(OSSL_LIB_CTX **ctx)
{
	OSSL_LIB_CTX_free(*ctx);
	*ctx = NULL;
}

static void
md_ctx_freep(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
	*ctx = NULL;
}

static void
cipher_ctx_freep(EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX_free(*ctx);
	*ctx = NULL;
}

static void
kdf_ctx_freep(EVP_KDF_CTX **ctx)
{
	EVP_KDF_CTX_free(*ctx);
	*ctx = NULL;
}

/*
 * No atexit: where this library is the first in the process to use OpenSSL,
 * an exit handler of OpenSSL would tear it down under threads and destructors
 * that still call C_Finalize. Where the host came first, the choice was the
 * host's, and this call changes nothing. OPENSSL_INIT_NO_LOAD_CONFIG is not
 * for a guest: it would keep the host from ever reading its own configuration
 * file, while OSSL_LIB_CTX_new() reads none. Loading a provider by name ends
 * the fallback to others.
 */
static void
lib_init(void)
{
	quiet_openssl();
	_cleanup_(ctx_freep) OSSL_LIB_CTX *ctx = NULL;

	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, /* settings= */ NULL);
	ctx = OSSL_LIB_CTX_new();
	if (ctx == NULL || OSSL_PROVIDER_load(ctx, "default") == NULL)
		return;
	for (size_t i = 0; i < NELEMS(algs); i++)
		lib.md[i] = EVP_MD_fetch(ctx, algs[i].name, /* props= */ NULL);
	lib.gcm = EVP_CIPHER_fetch(ctx, "AES-256-GCM", /* props= */ NULL);
	lib.hkdf = EVP_KDF_fetch(ctx, "HKDF", /* props= */ NULL);
	lib.ctx = TAKE_PTR(ctx);
}

OSSL_LIB_CTX *
crypto_libctx(void)
{
	(void)pthread_once(&lib_once, lib_init);
	return lib.ctx;
}

const char *
hash_name(enum hash_alg alg)
{
	return algs[alg].name;
}

size_t
hash_len(enum hash_alg alg)
{
	return algs[alg].len;
}

const EVP_MD *
hash_md(enum hash_alg alg)
{
	return crypto_libctx() != NULL ? lib.md[alg] : NULL;
}

int
hash_parts(enum hash_alg alg, const struct span *parts, size_t n, uint8_t *out)
{
	quiet_openssl();
	_cleanup_(md_ctx_freep) EVP_MD_CTX *ctx = NULL;
	uint8_t digest[EVP_MAX_MD_SIZE];
	const EVP_MD *md = hash_md(alg);

	if (md == NULL)
		return CVM_E_CRYPTO;
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL)
		return CVM_E_NOMEM;
	if (EVP_DigestInit_ex2(ctx, md, /* params= */ NULL) != 1)
		return CVM_E_CRYPTO;
	for (size_t i = 0; i < n; i++)
		if (EVP_DigestUpdate(ctx, parts[i].data, parts[i].len) != 1)
			return CVM_E_CRYPTO;
	if (EVP_DigestFinal_ex(ctx, digest, /* len= */ NULL) != 1)
		return CVM_E_CRYPTO;
	memcpy(out, digest, hash_len(alg));
	secret_wipe(digest, sizeof(digest));
	return CVM_OK;
}

int
hash(enum hash_alg alg, struct span in, uint8_t *out)
{
	return hash_parts(alg, &in, 1, out);
}

/* OpenSSL's parameters are not const, though these are only read. */
static OSSL_PARAM
octets(const char *name, struct span s)
{
	static uint8_t empty;
	union {
		const uint8_t *in;
		uint8_t *out;
	} data = { .in = s.len > 0 ? s.data : &empty };

	return OSSL_PARAM_construct_octet_string(name, data.out, s.len);
}

int
hkdf_sha256(struct span ikm, struct span salt, struct span info, size_t outlen,
    struct secret **ret)
{
	quiet_openssl();
	_cleanup_(kdf_ctx_freep) EVP_KDF_CTX *ctx = NULL;
	_cleanup_(secret_freep) struct secret *out = NULL;
	char digest[] = "SHA2-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest,
		    0),
		octets(OSSL_KDF_PARAM_KEY, ikm),
		octets(OSSL_KDF_PARAM_INFO, info),
		octets(OSSL_KDF_PARAM_SALT, salt),
		OSSL_PARAM_construct_end(),
	};

	if (ikm.len == 0 || info.len > HKDF_INFO_MAX || outlen == 0 ||
	    outlen > 255 * SHA256_LEN)
		return CVM_E_INVAL;
	/* Without a salt, RFC 5869 section 2.2 takes zeros by itself. */
	if (salt.len == 0)
		params[3] = OSSL_PARAM_construct_end();
	if (crypto_libctx() == NULL || lib.hkdf == NULL)
		return CVM_E_CRYPTO;
	ctx = EVP_KDF_CTX_new(lib.hkdf);
	out = secret_new(outlen);
	if (ctx == NULL || out == NULL)
		return CVM_E_NOMEM;
	if (EVP_KDF_derive(ctx, secret_data(out), outlen, params) != 1)
		return CVM_E_CRYPTO;
	*ret = TAKE_PTR(out);
	return CVM_OK;
}

static int
box_ctx(const struct secret *key, EVP_CIPHER_CTX **ret)
{
	if (key == NULL || secret_len(key) != BOX_KEY_LEN)
		return CVM_E_INVAL;
	if (crypto_libctx() == NULL || lib.gcm == NULL)
		return CVM_E_CRYPTO;
	*ret = EVP_CIPHER_CTX_new();
	return *ret != NULL ? CVM_OK : CVM_E_NOMEM;
}

int
box_seal(const struct secret *key, struct span aad, struct span plain,
    struct blob *ret)
{
	quiet_openssl();
	_cleanup_(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = NULL;
	_cleanup_(blob_clear) struct blob box = { 0 };
	uint8_t *nonce, *text, *tag;
	int n, err;

	if (plain.len > SECRET_MAX || aad.len > INT_MAX)
		return CVM_E_INVAL;
	err = box_ctx(key, &ctx);
	if (err != CVM_OK)
		return err;
	box.data = malloc(plain.len + BOX_OVERHEAD);
	if (box.data == NULL)
		return CVM_E_NOMEM;
	box.len = plain.len + BOX_OVERHEAD;
	nonce = box.data;
	text = nonce + BOX_NONCE_LEN;
	tag = text + plain.len;
	err = random_bytes(nonce, BOX_NONCE_LEN);
	if (err != CVM_OK)
		return err;
	if (EVP_EncryptInit_ex2(ctx, lib.gcm, secret_span(key).data, nonce,
		/* params= */ NULL) != 1 ||
	    (aad.len > 0 &&
		EVP_EncryptUpdate(ctx, NULL, &n, aad.data, (int)aad.len) !=
		    1) ||
	    (plain.len > 0 &&
		EVP_EncryptUpdate(ctx, text, &n, plain.data, (int)plain.len) !=
		    1) ||
	    EVP_EncryptFinal_ex(ctx, tag, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, BOX_TAG_LEN, tag) !=
		1)
		return CVM_E_CRYPTO;
	*ret = box;
	box = (struct blob){ NULL, 0 };
	return CVM_OK;
}

int
box_open(const struct secret *key, struct span aad, struct span box,
    struct secret **ret)
{
	quiet_openssl();
	_cleanup_(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = NULL;
	_cleanup_(secret_freep) struct secret *plain = NULL;
	uint8_t tag[BOX_TAG_LEN], none;
	size_t len;
	int n, err;

	if (aad.len > INT_MAX)
		return CVM_E_INVAL;
	if (box.len < BOX_OVERHEAD || box.len - BOX_OVERHEAD > SECRET_MAX)
		return CVM_E_CORRUPT;
	err = box_ctx(key, &ctx);
	if (err != CVM_OK)
		return err;
	len = box.len - BOX_OVERHEAD;
	plain = secret_new(len);
	if (plain == NULL)
		return CVM_E_NOMEM;
	memcpy(tag, box.data + BOX_NONCE_LEN + len, BOX_TAG_LEN);
	if (EVP_DecryptInit_ex2(ctx, lib.gcm, secret_span(key).data, box.data,
		/* params= */ NULL) != 1 ||
	    (aad.len > 0 &&
		EVP_DecryptUpdate(ctx, NULL, &n, aad.data, (int)aad.len) !=
		    1) ||
	    (len > 0 &&
		EVP_DecryptUpdate(ctx, secret_data(plain), &n,
		    box.data + BOX_NONCE_LEN, (int)len) != 1) ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, BOX_TAG_LEN, tag) !=
		1)
		return CVM_E_CRYPTO;
	if (EVP_DecryptFinal_ex(ctx, &none, &n) != 1)
		return CVM_E_CORRUPT;
	*ret = TAKE_PTR(plain);
	return CVM_OK;
}

int
random_from_kernel(uint8_t *out, size_t len)
{
	while (len > 0) {
		ssize_t n = getrandom(out, len, 0);

		if (n <= 0 && errno != EINTR)
			return CVM_E_CRYPTO;
		if (n > 0) {
			out += n;
			len -= (size_t)n;
		}
	}
	return CVM_OK;
}

/*
 * Straight from the private context's generator: RAND_bytes() would hand over
 * to whatever RAND method or engine the host has installed. The generator
 * reseeds by itself in a forked child, but not in a copy of the whole machine:
 * a snapshot that is resumed twice has its state twice. The kernel knows
 * (VM generation id), so that each call stirs in bytes of the kernel's.
 */
int
random_bytes(uint8_t *out, size_t len)
{
	quiet_openssl();
	OSSL_LIB_CTX *ctx = crypto_libctx();
	EVP_RAND_CTX *rand = ctx != NULL ? RAND_get0_private(ctx) : NULL;
	uint8_t kernel[32];

	if (len == 0)
		return CVM_OK;
	/* So few bytes come whole or not at all (getrandom(2)). */
	if (rand == NULL ||
	    getrandom(kernel, sizeof(kernel), 0) != (ssize_t)sizeof(kernel) ||
	    EVP_RAND_generate(rand, out, len, /* strength= */
		256, /* prediction_resistance= */ 0, kernel,
		sizeof(kernel)) != 1)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

int
random_stir(struct span seed)
{
	quiet_openssl();
	OSSL_LIB_CTX *ctx = crypto_libctx();
	EVP_RAND_CTX *rand = ctx != NULL ? RAND_get0_private(ctx) : NULL;
	uint8_t digest[SHA256_LEN], unused[SHA256_LEN];
	int err = hash(HASH_SHA256, seed, digest);

	if (err != CVM_OK)
		return err;
	/* Additional input (SP 800-90A section 9.3). */
	return rand != NULL &&
		EVP_RAND_generate(rand, unused, sizeof(unused),
		    /* strength= */ 256, /* prediction_resistance= */ 0, digest,
		    sizeof(digest)) == 1 ?
	    CVM_OK :
	    CVM_E_CRYPTO;
}
