/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>

#include "tests/bench/token-tasks.h"

static EVP_PKEY *rsa, *p256, *p384, *ed, *other;
static uint8_t pkcs1_box[256], oaep_box[256], gcm_box[LEN + 16];
static uint8_t point[65]; /* of other, on P-256 */
static const uint8_t digest[51] = { 7 }, text[LEN] = { 1 }, key32[32] = { 3 };
static uint8_t iv[12] = { 5 };

/* PKCS#11 takes what it only reads without const. */
static CK_BYTE *
input(const uint8_t *in)
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} u = { .in = in };

	return u.out;
}

static void
p11_sign(struct worker *w, CK_MECHANISM *m, CK_OBJECT_HANDLE key,
    const uint8_t *in, size_t len)
{
	uint8_t sig[256];
	CK_ULONG n = sizeof(sig);
	CK_FUNCTION_LIST *f = w->peer->f;

	MUST(f->C_SignInit(w->session, m, key) == CKR_OK);
	MUST(f->C_Sign(w->session, input(in), len, sig, &n) == CKR_OK);
}

static void
raw_sign(struct worker *w, enum raw_pkey which, size_t len)
{
	uint8_t sig[256];
	size_t n = sizeof(sig);

	MUST(EVP_PKEY_sign(w->pkey[which], sig, &n, digest, len) == 1);
}

static void
rsa_sign(struct worker *w)
{
	CK_MECHANISM m = { CKM_RSA_PKCS, NULL, 0 };

	if (w->peer != NULL)
		p11_sign(w, &m, w->peer->rsa, digest, sizeof(digest));
	else
		raw_sign(w, RAW_RSA_SIGN, sizeof(digest));
}

static void
pss_sign(struct worker *w)
{
	CK_RSA_PKCS_PSS_PARAMS p = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
	CK_MECHANISM m = { CKM_RSA_PKCS_PSS, &p, sizeof(p) };

	if (w->peer != NULL)
		p11_sign(w, &m, w->peer->rsa, digest, 32);
	else
		raw_sign(w, RAW_RSA_PSS, 32);
}

static void
p256_sign(struct worker *w)
{
	CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };

	if (w->peer != NULL)
		p11_sign(w, &m, w->peer->p256, digest, 32);
	else
		raw_sign(w, RAW_P256, 32);
}

static void
p384_sign(struct worker *w)
{
	CK_MECHANISM m = { CKM_ECDSA, NULL, 0 };

	if (w->peer != NULL)
		p11_sign(w, &m, w->peer->p384, digest, 48);
	else
		raw_sign(w, RAW_P384, 48);
}

static void
ed_sign(struct worker *w)
{
	CK_MECHANISM m = { CKM_EDDSA, NULL, 0 };
	uint8_t sig[64];
	size_t n = sizeof(sig);

	if (w->peer != NULL)
		p11_sign(w, &m, w->peer->ed, digest, 32);
	else
		MUST(EVP_DigestSign(w->ed, sig, &n, digest, 32) == 1);
}

static void
hmac(struct worker *w)
{
	CK_MECHANISM m = { CKM_SHA256_HMAC, NULL, 0 };
	size_t n = 0;

	if (w->peer != NULL)
		p11_sign(w, &m, w->peer->hmac, text, LEN);
	else
		MUST(EVP_MAC_init(w->hmac, NULL, 0, NULL) == 1 &&
		    EVP_MAC_update(w->hmac, text, LEN) == 1 &&
		    EVP_MAC_final(w->hmac, w->box, &n, sizeof(w->box)) == 1);
}

static void
decrypt(struct worker *w, CK_MECHANISM *m, enum raw_pkey which, uint8_t *box)
{
	uint8_t out[256];
	CK_ULONG n = sizeof(out);
	size_t len = sizeof(out);
	CK_FUNCTION_LIST *f;

	if (w->peer == NULL) {
		MUST(
		    EVP_PKEY_decrypt(w->pkey[which], out, &len, box, 256) == 1);
		return;
	}
	f = w->peer->f;
	MUST(f->C_DecryptInit(w->session, m, w->peer->rsa) == CKR_OK);
	MUST(f->C_Decrypt(w->session, box, 256, out, &n) == CKR_OK);
}

static void
rsa_decrypt(struct worker *w)
{
	CK_MECHANISM m = { CKM_RSA_PKCS, NULL, 0 };

	decrypt(w, &m, RAW_RSA_DECRYPT, pkcs1_box);
}

static void
oaep_decrypt(struct worker *w)
{
	CK_RSA_PKCS_OAEP_PARAMS p = { CKM_SHA_1, CKG_MGF1_SHA1,
		CKZ_DATA_SPECIFIED, NULL, 0 };
	CK_MECHANISM m = { CKM_RSA_PKCS_OAEP, &p, sizeof(p) };

	decrypt(w, &m, RAW_RSA_OAEP, oaep_box);
}

/* The peer's point is new each time, as in a handshake. */
static void
raw_ecdh(struct worker *w)
{
	EVP_PKEY *peer = EVP_PKEY_new();
	uint8_t out[32];
	size_t n = sizeof(out);

	MUST(peer != NULL && EVP_PKEY_copy_parameters(peer, p256) == 1 &&
	    EVP_PKEY_set1_encoded_public_key(peer, point, sizeof(point)) == 1 &&
	    EVP_PKEY_derive_set_peer_ex(w->pkey[RAW_ECDH], peer, 1) == 1 &&
	    EVP_PKEY_derive(w->pkey[RAW_ECDH], out, &n) == 1);
	EVP_PKEY_free(peer);
}

static void
ecdh(struct worker *w)
{
	CK_ECDH1_DERIVE_PARAMS p = { CKD_NULL, 0, NULL, sizeof(point), point };
	CK_MECHANISM m = { CKM_ECDH1_DERIVE, &p, sizeof(p) };
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_ULONG len = 32;
	CK_ATTRIBUTE templ[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_KEY_TYPE, &type, sizeof(type) },
		{ CKA_VALUE_LEN, &len, sizeof(len) } };
	CK_OBJECT_HANDLE h = 0;
	CK_FUNCTION_LIST *f;

	if (w->peer == NULL) {
		raw_ecdh(w);
		return;
	}
	f = w->peer->f;
	MUST(f->C_DeriveKey(w->session, &m, w->peer->p256, templ, 3, &h) ==
	    CKR_OK);
	MUST(f->C_DestroyObject(w->session, h) == CKR_OK);
}

static void
raw_seal(struct worker *w)
{
	int len;

	MUST(EVP_EncryptInit_ex2(w->seal, NULL, NULL, iv, NULL) == 1 &&
	    EVP_EncryptUpdate(w->seal, w->box, &len, text, LEN) == 1 &&
	    EVP_EncryptFinal_ex(w->seal, w->box, &len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(w->seal, EVP_CTRL_AEAD_GET_TAG, 16,
		&w->box[LEN]) == 1);
}

static void
gcm_seal(struct worker *w)
{
	CK_GCM_PARAMS p = { iv, 12, 96, NULL, 0, 128 };
	CK_MECHANISM m = { CKM_AES_GCM, &p, sizeof(p) };
	CK_ULONG n = sizeof(w->box);
	CK_FUNCTION_LIST *f;

	if (w->peer == NULL) {
		raw_seal(w);
		return;
	}
	f = w->peer->f;
	MUST(f->C_EncryptInit(w->session, &m, w->peer->aes) == CKR_OK);
	MUST(f->C_Encrypt(w->session, input(text), LEN, w->box, &n) == CKR_OK);
}

static void
gcm_open(struct worker *w)
{
	CK_GCM_PARAMS p = { iv, 12, 96, NULL, 0, 128 };
	CK_MECHANISM m = { CKM_AES_GCM, &p, sizeof(p) };
	CK_ULONG n = sizeof(w->box);
	CK_FUNCTION_LIST *f;
	int len;

	if (w->peer == NULL) {
		MUST(EVP_DecryptInit_ex2(w->open, NULL, NULL, iv, NULL) == 1 &&
		    EVP_CIPHER_CTX_ctrl(w->open, EVP_CTRL_AEAD_SET_TAG, 16,
			&gcm_box[LEN]) == 1 &&
		    EVP_DecryptUpdate(w->open, w->box, &len, gcm_box, LEN) ==
			1 &&
		    EVP_DecryptFinal_ex(w->open, w->box, &len) == 1);
		return;
	}
	f = w->peer->f;
	MUST(f->C_DecryptInit(w->session, &m, w->peer->aes) == CKR_OK);
	MUST(f->C_Decrypt(w->session, gcm_box, LEN + 16, w->box, &n) == CKR_OK);
}

static bool
has_messages(const struct peer *p)
{
	return p->f3 != NULL;
}

static void
message_seal(struct worker *w)
{
	CK_GCM_MESSAGE_PARAMS p = { iv, 12, 0, CKG_NO_GENERATE, &w->box[LEN],
		128 };
	CK_MECHANISM m = { CKM_AES_GCM, NULL, 0 };
	CK_ULONG n = LEN;
	CK_FUNCTION_LIST_3_0 *f;

	if (w->peer == NULL) {
		raw_seal(w);
		return;
	}
	f = w->peer->f3;
	if (!w->messages)
		MUST(f->C_MessageEncryptInit(w->session, &m, w->peer->aes) ==
		    CKR_OK);
	w->messages = true;
	MUST(f->C_EncryptMessage(w->session, &p, sizeof(p), NULL, 0,
		 input(text), LEN, w->box, &n) == CKR_OK);
}

static void
random32(struct worker *w)
{
	if (w->peer != NULL)
		MUST(w->peer->f->C_GenerateRandom(w->session, w->box, 32) ==
		    CKR_OK);
	else
		MUST(RAND_bytes(w->box, 32) == 1);
}

const struct task tasks[] = {
	{ "RSA-2048 sign", 0.98, rsa_sign, NULL },
	{ "RSA-2048 PSS sign", 0, pss_sign, NULL },
	{ "ECDSA P-256 sign", 0.95, p256_sign, NULL },
	{ "ECDSA P-384 sign", 0, p384_sign, NULL },
	{ "RSA-2048 decrypt", 0.98, rsa_decrypt, NULL },
	{ "RSA-2048 OAEP decrypt", 0, oaep_decrypt, NULL },
	{ "Ed25519 sign", 0.93, ed_sign, NULL },
	{ "ECDH P-256 derive", 0, ecdh, NULL },
	{ "AES-256-GCM 1 KiB", 0.80, gcm_seal, NULL },
	{ "AES-256-GCM decrypt", 0, gcm_open, NULL },
	{ "AES-256-GCM message", 0, message_seal, has_messages },
	{ "HMAC-SHA256 1 KiB", 0, hmac, NULL },
	{ "random 32 bytes", 0.80, random32, NULL },
	{ NULL, 0, NULL, NULL },
};

static EVP_PKEY_CTX *
pkey_ctx(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *), int padding)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);

	MUST(ctx != NULL && init(ctx) == 1);
	MUST(padding == 0 || EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1);
	return ctx;
}

static EVP_MAC_CTX *
hmac_ctx(void)
{
	char name[] = "SHA2-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name,
		    0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);

	MUST(ctx != NULL && EVP_MAC_init(ctx, key32, 32, params) == 1);
	EVP_MAC_free(mac);
	return ctx;
}

static void
raw_new(struct worker *w)
{
	static const struct {
		EVP_PKEY **key;
		int (*init)(EVP_PKEY_CTX *);
		int padding;
	} pkeys[N_RAW_PKEYS] = {
		[RAW_RSA_SIGN] = { &rsa, EVP_PKEY_sign_init,
		    RSA_PKCS1_PADDING },
		[RAW_RSA_PSS] = { &rsa, EVP_PKEY_sign_init,
		    RSA_PKCS1_PSS_PADDING },
		[RAW_RSA_DECRYPT] = { &rsa, EVP_PKEY_decrypt_init,
		    RSA_PKCS1_PADDING },
		[RAW_RSA_OAEP] = { &rsa, EVP_PKEY_decrypt_init,
		    RSA_PKCS1_OAEP_PADDING },
		[RAW_P256] = { &p256, EVP_PKEY_sign_init, 0 },
		[RAW_P384] = { &p384, EVP_PKEY_sign_init, 0 },
		[RAW_ECDH] = { &p256, EVP_PKEY_derive_init, 0 },
	};

	for (size_t i = 0; i < N_RAW_PKEYS; i++)
		w->pkey[i] = pkey_ctx(*pkeys[i].key, pkeys[i].init,
		    pkeys[i].padding);
	MUST(EVP_PKEY_CTX_set_signature_md(w->pkey[RAW_RSA_PSS],
		 EVP_sha256()) == 1 &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(w->pkey[RAW_RSA_PSS], 32) == 1);
	w->ed = EVP_MD_CTX_new();
	MUST(EVP_DigestSignInit(w->ed, NULL, NULL, NULL, ed) == 1);
	w->seal = EVP_CIPHER_CTX_new();
	w->open = EVP_CIPHER_CTX_new();
	MUST(EVP_EncryptInit_ex2(w->seal, EVP_aes_256_gcm(), key32, iv, NULL) ==
		1 &&
	    EVP_DecryptInit_ex2(w->open, EVP_aes_256_gcm(), key32, iv, NULL) ==
		1);
	w->hmac = hmac_ctx();
}

void
worker_new(struct worker *w, const struct peer *peer)
{
	*w = (struct worker){ .peer = peer };
	if (peer == NULL)
		raw_new(w);
	else
		MUST(peer->f->C_OpenSession(peer->slot,
			 CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
			 &w->session) == CKR_OK);
}

void
worker_free(struct worker *w)
{
	if (w->peer != NULL)
		(void)w->peer->f->C_CloseSession(w->session);
	for (size_t i = 0; i < N_RAW_PKEYS; i++)
		EVP_PKEY_CTX_free(w->pkey[i]);
	EVP_MD_CTX_free(w->ed);
	EVP_CIPHER_CTX_free(w->seal);
	EVP_CIPHER_CTX_free(w->open);
	EVP_MAC_CTX_free(w->hmac);
}

static void
encrypt(int padding, uint8_t out[static 256])
{
	EVP_PKEY_CTX *ctx = pkey_ctx(rsa, EVP_PKEY_encrypt_init, padding);
	size_t n = 256;

	MUST(EVP_PKEY_encrypt(ctx, out, &n, key32, 32) == 1);
	EVP_PKEY_CTX_free(ctx);
}

void
tasks_setup(void)
{
	struct worker w = { .peer = NULL };
	size_t n = 0;

	rsa = EVP_RSA_gen(2048);
	p256 = EVP_EC_gen("P-256");
	p384 = EVP_EC_gen("P-384");
	other = EVP_EC_gen("P-256");
	ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	MUST(rsa != NULL && p256 != NULL && p384 != NULL && other != NULL &&
	    ed != NULL);
	MUST(EVP_PKEY_get_octet_string_param(other, OSSL_PKEY_PARAM_PUB_KEY,
		 point, sizeof(point), &n) == 1 &&
	    n == sizeof(point));
	encrypt(RSA_PKCS1_PADDING, pkcs1_box);
	encrypt(RSA_PKCS1_OAEP_PADDING, oaep_box);
	worker_new(&w, /* peer= */ NULL);
	raw_seal(&w);
	memcpy(gcm_box, w.box, sizeof(gcm_box));
	worker_free(&w);
}

void
tasks_end(void)
{
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(p256);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(other);
	EVP_PKEY_free(ed);
}

/* A key of a class and type from at most eight values of its own. */
struct import {
	CK_ATTRIBUTE templ[16];
	CK_ULONG n;
	uint8_t room[2048];
	size_t used;
};

static const CK_BBOOL yes = CK_TRUE;

static void
add(struct import *i, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
	uint8_t *at = &i->room[i->used];

	MUST(i->n < 16 && sizeof(i->room) - i->used >= len);
	memcpy(at, value, len);
	i->templ[i->n++] = (CK_ATTRIBUTE){ type, at, len };
	i->used += (len + 7) / 8 * 8;
}

static void
start(struct import *i, CK_OBJECT_CLASS class, CK_KEY_TYPE type)
{
	*i = (struct import){ .n = 0 };
	add(i, CKA_CLASS, &class, sizeof(class));
	add(i, CKA_KEY_TYPE, &type, sizeof(type));
}

static void
add_number(struct import *i, CK_ATTRIBUTE_TYPE type, const EVP_PKEY *key,
    const char *name, size_t len)
{
	BIGNUM *bn = NULL;
	uint8_t v[256];

	MUST(EVP_PKEY_get_bn_param(key, name, &bn) == 1);
	if (len == 0)
		len = (size_t)BN_num_bytes(bn);
	MUST(BN_bn2binpad(bn, v, (int)len) == (int)len);
	add(i, type, v, len);
	BN_clear_free(bn);
}

static CK_OBJECT_HANDLE
create(const struct peer *p, struct import *i)
{
	CK_OBJECT_HANDLE h = 0;

	MUST(p->f->C_CreateObject(p->main, i->templ, i->n, &h) == CKR_OK);
	return h;
}

static CK_OBJECT_HANDLE
import_rsa(const struct peer *p)
{
	static const struct {
		CK_ATTRIBUTE_TYPE type;
		const char *name;
	} numbers[] = {
		{ CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N },
		{ CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E },
		{ CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D },
		{ CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1 },
		{ CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2 },
		{ CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1 },
		{ CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2 },
		{ CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
	};
	struct import i;

	start(&i, CKO_PRIVATE_KEY, CKK_RSA);
	for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++)
		add_number(&i, numbers[k].type, rsa, numbers[k].name, 0);
	add(&i, CKA_SIGN, &yes, sizeof(yes));
	add(&i, CKA_DECRYPT, &yes, sizeof(yes));
	return create(p, &i);
}

static CK_OBJECT_HANDLE
import_ec(const struct peer *p, const EVP_PKEY *key, size_t len,
    const uint8_t *oid, size_t oid_len)
{
	struct import i;

	start(&i, CKO_PRIVATE_KEY, CKK_EC);
	add(&i, CKA_EC_PARAMS, oid, oid_len);
	add_number(&i, CKA_VALUE, key, OSSL_PKEY_PARAM_PRIV_KEY, len);
	add(&i, CKA_SIGN, &yes, sizeof(yes));
	add(&i, CKA_DERIVE, &yes, sizeof(yes));
	return create(p, &i);
}

static CK_OBJECT_HANDLE
import_ed(const struct peer *p)
{
	static const uint8_t name[] = { 0x13, 12, 'e', 'd', 'w', 'a', 'r', 'd',
		's', '2', '5', '5', '1', '9' };
	struct import i;
	uint8_t v[32];
	size_t n = sizeof(v);

	start(&i, CKO_PRIVATE_KEY, CKK_EC_EDWARDS);
	MUST(EVP_PKEY_get_raw_private_key(ed, v, &n) == 1);
	add(&i, CKA_EC_PARAMS, name, sizeof(name));
	add(&i, CKA_VALUE, v, n);
	add(&i, CKA_SIGN, &yes, sizeof(yes));
	return create(p, &i);
}

static CK_OBJECT_HANDLE
import_secret(const struct peer *p, CK_KEY_TYPE type, CK_ATTRIBUTE_TYPE use,
    CK_ATTRIBUTE_TYPE second_use)
{
	struct import i;

	start(&i, CKO_SECRET_KEY, type);
	add(&i, CKA_VALUE, key32, sizeof(key32));
	add(&i, use, &yes, sizeof(yes));
	add(&i, second_use, &yes, sizeof(yes));
	return create(p, &i);
}

void
tasks_import(struct peer *p)
{
	static const uint8_t oid256[] = { 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d,
		3, 1, 7 };
	static const uint8_t oid384[] = { 0x06, 5, 0x2b, 0x81, 4, 0, 34 };

	p->rsa = import_rsa(p);
	p->p256 = import_ec(p, p256, 32, oid256, sizeof(oid256));
	p->p384 = import_ec(p, p384, 48, oid384, sizeof(oid384));
	p->ed = import_ed(p);
	p->aes = import_secret(p, CKK_AES, CKA_ENCRYPT, CKA_DECRYPT);
	p->hmac = import_secret(p, CKK_GENERIC_SECRET, CKA_SIGN, CKA_VERIFY);
}
