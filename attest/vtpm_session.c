/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <string.h>

#include "attest/chain.h"
#include "attest/quote.h"
#include "attest/vtpm_priv.h"
#include "base/openssl.h"

/*
 * One session, SHA-256 and AES-128-CFB, salted to an ECC P-256 key: TPM 2.0
 * Library, Part 1, sections 19.6 (salt, session key), 19.6.5 (HMAC), 21
 * (parameter encryption), 11.4.10 (KDFa, KDFe), annex C.6.3 (ECDH secret).
 */
#define CFB_KEY_LEN 16
#define P256_LEN 32

static int
hmac(struct span key, struct span data, uint8_t out[static SHA256_LEN])
{
	quiet_openssl();
	size_t len = 0;

	if (EVP_Q_mac(crypto_libctx(), "HMAC", NULL, "SHA2-256", NULL, key.data,
		key.len, data.data, data.len, out, SHA256_LEN, &len) == NULL ||
	    len != SHA256_LEN)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

/* KDFa with SHA-256 and at most one block of output. */
static int
kdf_a(struct span key, const char *label, struct span u, struct span v,
    size_t len, uint8_t *out)
{
	_cleanup_(writer_clear) struct writer w = { 0 };
	uint8_t block[SHA256_LEN];
	int r;

	write_be32(&w, 1);
	write_bytes(&w, span(label, strlen(label) + 1));
	write_bytes(&w, u);
	write_bytes(&w, v);
	write_be32(&w, (uint32_t)(len * 8));
	if (w.failed)
		return CVM_E_NOMEM;
	r = hmac(key, blob_span(&w.out), block);
	if (r == CVM_OK)
		memcpy(out, block, len);
	secret_wipe(block, sizeof(block));
	return r;
}

static void
pkey_ctx_freep(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
	*c = NULL;
}

static int
generate_p256(EVP_PKEY **ret)
{
	quiet_openssl();
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *key = NULL;

	ctx = EVP_PKEY_CTX_new_from_name(crypto_libctx(), CRYPTO_EC, NULL);
	if (ctx == NULL || EVP_PKEY_keygen_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_group_name(ctx, "P-256") <= 0 ||
	    EVP_PKEY_generate(ctx, &key) <= 0)
		return CVM_E_CRYPTO;
	*ret = key;
	return CVM_OK;
}

static int
ecdh(EVP_PKEY *own, EVP_PKEY *peer, uint8_t z[static P256_LEN])
{
	quiet_openssl();
	_cleanup_(pkey_ctx_freep) EVP_PKEY_CTX *ctx = NULL;
	size_t len = P256_LEN;

	ctx = EVP_PKEY_CTX_new_from_pkey(crypto_libctx(), own, NULL);
	if (ctx == NULL || EVP_PKEY_derive_init(ctx) <= 0 ||
	    EVP_PKEY_derive_set_peer(ctx, peer) <= 0 ||
	    EVP_PKEY_derive(ctx, z, &len) <= 0 || len != P256_LEN)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

/* The uncompressed point of a P-256 key: 04 || x || y. */
static int
point(EVP_PKEY *key, uint8_t out[static 1 + 2 * P256_LEN])
{
	quiet_openssl();
	size_t len = 0;

	if (EVP_PKEY_get_octet_string_param(key,
		OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, out, 1 + 2 * P256_LEN,
		&len) <= 0 ||
	    len != 1 + 2 * P256_LEN || out[0] != 4)
		return CVM_E_CRYPTO;
	return CVM_OK;
}

static void
write_point(struct writer *w, const uint8_t xy[static 2 * P256_LEN])
{
	write_2b(w, span(xy, P256_LEN));
	write_2b(w, span(xy + P256_LEN, P256_LEN));
}

/* An ephemeral key against the TPM's: the salt, and our point for the TPM. */
static int
make_salt(const struct tpm_object *key, uint8_t salt[static SHA256_LEN],
    struct writer *encrypted)
{
	_cleanup_(evp_pkey_freep) EVP_PKEY *peer = NULL, *own = NULL;
	uint8_t ours[1 + 2 * P256_LEN], theirs[1 + 2 * P256_LEN], z[P256_LEN];
	static const uint8_t counter[] = { 0, 0, 0, 1 };
	struct tpm_public pub;
	int r;

	r = tpm_public_parse(blob_span(&key->public), &pub, NULL);
	if (r == CVM_OK &&
	    (pub.type != TPM2_ALG_ECC || pub.curve != TPM2_ECC_NIST_P256))
		r = CVM_E_UNSUPPORTED;
	if (r == CVM_OK)
		r = tpm_public_key(&pub, &peer);
	if (r == CVM_OK)
		r = generate_p256(&own);
	if (r == CVM_OK)
		r = point(own, ours);
	if (r == CVM_OK)
		r = point(peer, theirs);
	if (r == CVM_OK)
		r = ecdh(own, peer, z);
	if (r == CVM_OK) {
		const struct span parts[] = { span(counter, sizeof(counter)),
			span(z, sizeof(z)), span("SECRET", 7),
			span(ours + 1, P256_LEN), span(theirs + 1, P256_LEN) };

		r = hash_parts(HASH_SHA256, parts, NELEMS(parts), salt);
		write_point(encrypted, ours + 1);
	}
	secret_wipe(z, sizeof(z));
	return r;
}

static int
start(struct tpm_session *s, struct tpm_command *c, const uint8_t *salt,
    struct why *why)
{
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	struct span nonce;
	struct reader r;
	int err;

	err = tpm_send(s->t, c, span(NULL, 0), &rsp, why);
	if (err != CVM_OK)
		return err;
	s->handle = rsp.handle;
	r = reader_init(rsp.params);
	nonce = read_2b(&r);
	if (reader_end(&r) != CVM_OK || nonce.len != SHA256_LEN)
		return tpm_garbled(s->t, c->what, why);
	memcpy(s->nonce_tpm, nonce.data, SHA256_LEN);
	return kdf_a(span(salt, SHA256_LEN), "ATH",
	    span(s->nonce_tpm, SHA256_LEN), span(s->nonce_caller, SHA256_LEN),
	    SHA256_LEN, s->key);
}

int
tpm_session_start(struct vtpm *t, const struct tpm_object *key, TPM2_SE type,
    struct tpm_session *ret, struct why *reterr_why)
{
	_cleanup_(tpm_session_endp) struct tpm_session s = { .t = t };
	_cleanup_(writer_clear) struct writer encrypted = { 0 };
	_cleanup_(tpm_command_clear) struct tpm_command c = {
		.code = TPM2_CC_StartAuthSession,
		.what = "TPM2_StartAuthSession",
		.handles = { key->handle, TPM2_RH_NULL },
		.n_handles = 2,
		.returns_handle = true
	};
	uint8_t salt[SHA256_LEN];
	int r;

	r = random_bytes(s.nonce_caller, sizeof(s.nonce_caller));
	if (r == CVM_OK)
		r = make_salt(key, salt, &encrypted);
	if (r != CVM_OK)
		return why_set(reterr_why, r, t->tcti, "session salt",
		    "an ECC P-256 storage key", cvm_strerror(r));
	write_2b(&c.params, span(s.nonce_caller, SHA256_LEN));
	write_2b(&c.params, blob_span(&encrypted.out));
	write_u8(&c.params, type);
	write_be16(&c.params, TPM2_ALG_AES);
	write_be16(&c.params, 128);
	write_be16(&c.params, TPM2_ALG_CFB);
	write_be16(&c.params, TPM2_ALG_SHA256);
	c.params.failed |= encrypted.failed;
	r = start(&s, &c, salt, reterr_why);
	secret_wipe(salt, sizeof(salt));
	if (r != CVM_OK)
		return r;
	*ret = s;
	secret_wipe(&s, sizeof(s));
	return CVM_OK;
}

void
tpm_session_endp(struct tpm_session *s)
{
	if (s->t != NULL)
		tpm_flush(s->t, s->handle);
	secret_wipe(s, sizeof(*s));
}

/* sessionKey || authValue: keys both the HMAC and the parameter cipher. */
static struct secret *
session_value(const struct tpm_session *s, const struct secret *auth)
{
	size_t len = auth != NULL ? secret_len(auth) : 0;
	struct secret *v = secret_new(SHA256_LEN + len);

	if (v == NULL)
		return NULL;
	memcpy(secret_data(v), s->key, SHA256_LEN);
	if (len > 0)
		memcpy(secret_data(v) + SHA256_LEN, secret_span(auth).data,
		    len);
	return v;
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
cfb(struct span value, struct span newer, struct span older, bool encrypt,
    struct span in, uint8_t *out)
{
	quiet_openssl();
	_cleanup_(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = NULL;
	_cleanup_(cipher_freep) EVP_CIPHER *cipher = NULL;
	uint8_t k[2 * CFB_KEY_LEN];
	int len = 0, r;

	r = kdf_a(value, "CFB", newer, older, sizeof(k), k);
	if (r != CVM_OK)
		return r;
	cipher = EVP_CIPHER_fetch(crypto_libctx(), "AES-128-CFB", NULL);
	ctx = EVP_CIPHER_CTX_new();
	if (cipher == NULL || ctx == NULL ||
	    EVP_CipherInit_ex2(ctx, cipher, k, k + CFB_KEY_LEN, encrypt,
		NULL) != 1 ||
	    EVP_CipherUpdate(ctx, out, &len, in.data, (int)in.len) != 1 ||
	    (size_t)len != in.len)
		r = CVM_E_CRYPTO;
	secret_wipe(k, sizeof(k));
	return r;
}

/* HMAC over parameter hash, nonces and attributes (Part 1, 19.6.5). */
static int
authorise(const struct secret *value, const uint8_t p_hash[static SHA256_LEN],
    const uint8_t *newer, const uint8_t *older, uint8_t attributes,
    uint8_t out[static SHA256_LEN])
{
	uint8_t data[3 * SHA256_LEN + 1];

	memcpy(data, p_hash, SHA256_LEN);
	memcpy(data + SHA256_LEN, newer, SHA256_LEN);
	memcpy(data + 2 * SHA256_LEN, older, SHA256_LEN);
	data[3 * SHA256_LEN] = attributes;
	return hmac(secret_span(value), span(data, sizeof(data)), out);
}

/* Puts the encrypted first parameter before those that c has. */
static int
encrypt_first(const struct tpm_session *s, const struct secret *value,
    const struct secret *in, struct tpm_command *c)
{
	_cleanup_(writer_clear) struct writer w = { 0 };
	_cleanup_(blob_clear) struct blob out = { 0 };
	int r;

	r = blob_set(&out, secret_span(in));
	if (r != CVM_OK)
		return r;
	r = cfb(secret_span(value), span(s->nonce_caller, SHA256_LEN),
	    span(s->nonce_tpm, SHA256_LEN), true, secret_span(in), out.data);
	if (r != CVM_OK) {
		secret_wipe(out.data, out.len);
		return r;
	}
	write_2b(&w, blob_span(&out));
	write_bytes(&w, blob_span(&c->params.out));
	if (w.failed)
		return CVM_E_NOMEM;
	blob_clear(&c->params.out);
	return writer_end(&w, &c->params.out);
}

static int
command_auth(const struct tpm_session *s, const struct tpm_command *c,
    const struct tpm_object *authorised, const struct secret *value,
    uint8_t attributes, struct blob *ret)
{
	_cleanup_(writer_clear) struct writer w = { 0 };
	uint8_t code[4], cp_hash[SHA256_LEN], mac[SHA256_LEN];
	int r;

	write_be32(&w, c->code);
	if (w.failed)
		return CVM_E_NOMEM;
	memcpy(code, w.out.data, sizeof(code));
	const struct span parts[] = { span(code, sizeof(code)),
		span(authorised->name, authorised->name_len),
		blob_span(&c->params.out) };

	r = hash_parts(HASH_SHA256, parts, NELEMS(parts), cp_hash);
	if (r == CVM_OK)
		r = authorise(value, cp_hash, s->nonce_caller, s->nonce_tpm,
		    attributes, mac);
	if (r != CVM_OK)
		return r;
	writer_clear(&w);
	write_be32(&w, s->handle);
	write_2b(&w, span(s->nonce_caller, SHA256_LEN));
	write_u8(&w, attributes);
	write_2b(&w, span(mac, sizeof(mac)));
	return writer_end(&w, ret);
}

/* Checks the response's HMAC and takes over the TPM's new nonce. */
static int
response_auth(struct tpm_session *s, const struct tpm_command *c,
    const struct tpm_response *rsp, const struct secret *value)
{
	struct reader r = reader_init(rsp->auth);
	struct span nonce = read_2b(&r), mac;
	uint8_t head[8], rp_hash[SHA256_LEN], want[SHA256_LEN], attributes;
	int err;

	attributes = read_u8(&r);
	mac = read_2b(&r);
	if (reader_end(&r) != CVM_OK || nonce.len != SHA256_LEN ||
	    mac.len != SHA256_LEN)
		return CVM_E_PARSE;
	memcpy(s->nonce_tpm, nonce.data, SHA256_LEN);
	for (size_t i = 0; i < 4; i++) {
		head[i] = 0; /* TPM_RC_SUCCESS */
		head[4 + i] = (uint8_t)(c->code >> (24 - 8 * i));
	}
	const struct span parts[] = { span(head, sizeof(head)), rsp->params };

	err = hash_parts(HASH_SHA256, parts, NELEMS(parts), rp_hash);
	if (err == CVM_OK)
		err = authorise(value, rp_hash, s->nonce_tpm, s->nonce_caller,
		    attributes, want);
	if (err == CVM_OK && CRYPTO_memcmp(want, mac.data, SHA256_LEN) != 0)
		err = CVM_E_PARSE;
	return err;
}

static int
decrypt_first(const struct tpm_session *s, const struct secret *value,
    struct span params, struct secret **ret)
{
	_cleanup_(secret_freep) struct secret *out = NULL;
	struct reader r = reader_init(params);
	struct span in = read_2b(&r);
	int err;

	if (reader_end(&r) != CVM_OK)
		return CVM_E_PARSE;
	out = secret_new(in.len);
	if (out == NULL)
		return CVM_E_NOMEM;
	err = cfb(secret_span(value), span(s->nonce_tpm, SHA256_LEN),
	    span(s->nonce_caller, SHA256_LEN), false, in, secret_data(out));
	if (err == CVM_OK)
		*ret = TAKE_PTR(out);
	return err;
}

int
tpm_session_send(struct tpm_session *s, struct tpm_command *c,
    const struct tpm_object *authorised, const struct secret *auth,
    const struct secret *secret_in, struct secret **ret_secret,
    struct tpm_response *ret, struct why *reterr_why)
{
	_cleanup_(secret_freep) struct secret *value = session_value(s, auth);
	_cleanup_(tpm_response_clear) struct tpm_response rsp = { 0 };
	_cleanup_(blob_clear) struct blob area = { 0 };
	uint8_t attributes = 0; /* not continued: the session ends here */
	int r;

	if (value == NULL)
		return CVM_E_NOMEM;
	if (secret_in != NULL)
		attributes |= TPMA_SESSION_DECRYPT;
	if (ret_secret != NULL)
		attributes |= TPMA_SESSION_ENCRYPT;
	r = random_bytes(s->nonce_caller, sizeof(s->nonce_caller));
	if (r == CVM_OK && secret_in != NULL)
		r = encrypt_first(s, value, secret_in, c);
	if (r == CVM_OK)
		r = command_auth(s, c, authorised, value, attributes, &area);
	if (r != CVM_OK)
		return r;
	r = tpm_send(s->t, c, blob_span(&area), &rsp, reterr_why);
	if (r != CVM_OK)
		return r;
	s->handle = 0;
	r = response_auth(s, c, &rsp, value);
	if (r == CVM_OK && ret_secret != NULL)
		r = decrypt_first(s, value, rsp.params, ret_secret);
	if (r == CVM_E_PARSE)
		return why_set(reterr_why, CVM_E_UNREACHABLE, s->t->tcti,
		    c->what, "a response with a valid HMAC", "a forged one");
	if (r != CVM_OK)
		return r;
	*ret = rsp;
	rsp = (struct tpm_response){ 0 };
	return CVM_OK;
}
