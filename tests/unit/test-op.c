/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

/* A host's ENGINE is what one test is about. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tests/unit/objects-fixture.h"

#include <openssl/engine.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "token/evp.h"
#include "token/keys.h"
#include "token/rsa_unpad.h"

/* Signatures and RSA encryption, checked by OpenSSL itself, or by values that
 * RFCs and NIST published. */

static const uint8_t message[] = "What the token signs and decrypts.";
static char lab[] = "lab", upper[] = "LAB";
#define MESSAGE span(message, sizeof(message) - 1)

static EVP_PKEY *
public_key(struct stage *s, CK_OBJECT_HANDLE h)
{
	_cleanup_(
	    blob_clear) struct blob info = get_attr(s, h, CKA_PUBLIC_KEY_INFO);
	EVP_PKEY *pkey = NULL;

	ok(key_decode_public(blob_span(&info), &pkey));
	return pkey;
}

/* Signs once, and asks for the size before as applications do. */
static void
sign_as(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
    struct span in, struct blob *ret)
{
	_cleanup_(op_freep) struct op *op = begin(s, OP_SIGN, mech, key);
	CK_ULONG len = 0, small;

	ok(op_once(op, s->c.permit, in, NULL, &len, why));
	assert_true(len > 0);
	ret->data = calloc(1, len);
	assert_non_null(ret->data);
	small = len - 1;
	assert_int_equal(op_once(op, s->c.permit, in, ret->data, &small, NULL),
	    CVM_E_BUFFER_TOO_SMALL);
	assert_int_equal(small, len);
	ok(op_once(op, s->c.permit, in, ret->data, &len, why));
	ret->len = len;
}

/* The same in parts of uneven size. */
static void
sign_in_parts(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
    struct span in, struct blob *ret)
{
	_cleanup_(op_freep) struct op *op = begin(s, OP_SIGN, mech, key);
	CK_ULONG len = 0;

	ok(op_update(op, s->c.permit, span(in.data, 3), NULL, NULL, why));
	ok(op_update(op, s->c.permit, span(in.data, 0), NULL, NULL, why));
	ok(op_update(op, s->c.permit, span(in.data + 3, in.len - 3), NULL, NULL,
	    why));
	ok(op_final(op, s->c.permit, NULL, &len, why));
	ret->data = calloc(1, len);
	assert_non_null(ret->data);
	ok(op_final(op, s->c.permit, ret->data, &len, why));
	ret->len = len;
}

static int
verify(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
    struct span in, struct span sig)
{
	_cleanup_(op_freep) struct op *op = begin(s, OP_VERIFY, mech, key);

	return op_verify_once(op, in, sig);
}

/* Right as it is; wrong with any bit of it or of the message changed. */
static void
check_signature(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE pub,
    struct span in, struct blob *sig)
{
	_cleanup_(blob_clear) struct blob other = { 0 };
	_cleanup_(op_freep) struct op *op = NULL;

	assert_int_equal(verify(s, mech, pub, in, blob_span(sig)), CVM_OK);
	sig->data[sig->len - 1] ^= 1;
	assert_int_equal(verify(s, mech, pub, in, blob_span(sig)),
	    CVM_E_SIGNATURE_INVALID);
	sig->data[sig->len - 1] ^= 1;
	ok(blob_set(&other, in));
	other.data[0] ^= 0x40;
	assert_int_equal(verify(s, mech, pub, blob_span(&other),
			     blob_span(sig)),
	    CVM_E_SIGNATURE_INVALID);
	assert_int_equal(verify(s, mech, pub, in,
			     span(sig->data, sig->len - 1)),
	    CVM_E_SIGNATURE_LEN);
	op = begin(s, OP_VERIFY, mech, pub);
	ok(op_update(op, NULL, in, NULL, NULL, why));
	assert_int_equal(op_verify_final(op, blob_span(sig)), CVM_OK);
}

static void
round_trip(struct stage *s, CK_MECHANISM *mech, struct pair p, struct span in)
{
	_cleanup_(blob_clear) struct blob sig = { 0 };
	_cleanup_(blob_clear) struct blob parts = { 0 };

	sign_as(s, mech, p.priv, in, &sig);
	check_signature(s, mech, p.pub, in, &sig);
	sign_in_parts(s, mech, p.priv, in, &parts);
	check_signature(s, mech, p.pub, in, &parts);
}

static const struct {
	CK_MECHANISM_TYPE rsa, pss, ecdsa, hash;
	CK_ULONG mgf;
	const char *name;
} hashes[] = {
	{ CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, CKM_ECDSA_SHA1, CKM_SHA_1,
	    CKG_MGF1_SHA1, "SHA1" },
	{ CKM_SHA224_RSA_PKCS, CKM_SHA224_RSA_PKCS_PSS, CKM_ECDSA_SHA224,
	    CKM_SHA224, CKG_MGF1_SHA224, "SHA224" },
	{ CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKM_ECDSA_SHA256,
	    CKM_SHA256, CKG_MGF1_SHA256, "SHA256" },
	{ CKM_SHA384_RSA_PKCS, CKM_SHA384_RSA_PKCS_PSS, CKM_ECDSA_SHA384,
	    CKM_SHA384, CKG_MGF1_SHA384, "SHA384" },
	{ CKM_SHA512_RSA_PKCS, CKM_SHA512_RSA_PKCS_PSS, CKM_ECDSA_SHA512,
	    CKM_SHA512, CKG_MGF1_SHA512, "SHA512" },
	{ CKM_SHA3_256_RSA_PKCS, CKM_SHA3_256_RSA_PKCS_PSS, CKM_ECDSA_SHA3_256,
	    CKM_SHA3_256, CKG_MGF1_SHA3_256, "SHA3-256" },
};

/* OpenSSL's own verification over the message. */
static bool
openssl_verifies(EVP_PKEY *pkey, const char *md, int padding, int salt,
    struct span in, const struct blob *sig)
{
	_cleanup_(evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p = NULL;

	assert_int_equal(EVP_DigestVerifyInit_ex(ctx, &p, md, crypto_libctx(),
			     NULL, pkey, NULL),
	    1);
	if (padding != 0)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(p, padding), 1);
	if (padding == RSA_PKCS1_PSS_PADDING)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(p, salt), 1);
	return EVP_DigestVerify(ctx, sig->data, sig->len, in.data, in.len) == 1;
}

static void
rsa_signature_differs_from_openssl(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 2048, false);
	_cleanup_(pkey_freep) EVP_PKEY *pkey = public_key(s, p.priv);

	for (size_t i = 0; i < COUNT(hashes); i++) {
		CK_MECHANISM mech = { hashes[i].rsa, NULL, 0 };
		_cleanup_(blob_clear) struct blob sig = { 0 };

		round_trip(s, &mech, p, MESSAGE);
		sign_as(s, &mech, p.priv, MESSAGE, &sig);
		assert_true(openssl_verifies(pkey, hashes[i].name,
		    RSA_PKCS1_PADDING, 0, MESSAGE, &sig));
	}
}

static void
pss_signature_differs_from_openssl(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 2048, false);
	_cleanup_(pkey_freep) EVP_PKEY *pkey = public_key(s, p.priv);

	for (size_t i = 0; i < COUNT(hashes); i++)
		for (CK_ULONG salt = 0; salt <= 40; salt += 20) {
			CK_RSA_PKCS_PSS_PARAMS pss = { hashes[i].hash,
				hashes[i].mgf, salt };
			CK_MECHANISM mech = { hashes[i].pss, &pss,
				sizeof(pss) };
			_cleanup_(blob_clear) struct blob sig = { 0 };

			round_trip(s, &mech, p, MESSAGE);
			sign_as(s, &mech, p.priv, MESSAGE, &sig);
			assert_true(openssl_verifies(pkey, hashes[i].name,
			    RSA_PKCS1_PSS_PADDING, (int)salt, MESSAGE, &sig));
		}
}

/* nginx through libp11, and ssh with a DigestInfo of its own. */
static void
raw_signature_not_what_clients_send(void **state)
{
	static const uint8_t info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09,
		0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
		0x00, 0x04, 0x20 };
	struct stage *s = *state;
	struct pair p = make_rsa(s, 2048, false);
	_cleanup_(pkey_freep) EVP_PKEY *pkey = public_key(s, p.priv);
	CK_RSA_PKCS_PSS_PARAMS pss = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
	CK_MECHANISM raw = { CKM_RSA_PKCS, NULL, 0 };
	CK_MECHANISM raw_pss = { CKM_RSA_PKCS_PSS, &pss, sizeof(pss) };
	_cleanup_(blob_clear) struct blob sig = { 0 };
	_cleanup_(blob_clear) struct blob sig_pss = { 0 };
	uint8_t tbs[sizeof(info) + SHA256_LEN];

	memcpy(tbs, info, sizeof(info));
	ok(hash(HASH_SHA256, MESSAGE, tbs + sizeof(info)));
	round_trip(s, &raw, p, span(tbs, sizeof(tbs)));
	sign_as(s, &raw, p.priv, span(tbs, sizeof(tbs)), &sig);
	assert_true(openssl_verifies(pkey, "SHA256", RSA_PKCS1_PADDING, 0,
	    MESSAGE, &sig));
	round_trip(s, &raw_pss, p, span(tbs + sizeof(info), SHA256_LEN));
	sign_as(s, &raw_pss, p.priv, span(tbs + sizeof(info), SHA256_LEN),
	    &sig_pss);
	assert_true(openssl_verifies(pkey, "SHA256", RSA_PKCS1_PSS_PADDING, 32,
	    MESSAGE, &sig_pss));
}

static void
pss_parameter_wrong(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 1024, false);
	CK_RSA_PKCS_PSS_PARAMS pss = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
	CK_MECHANISM mech = { CKM_SHA256_RSA_PKCS_PSS, &pss, sizeof(pss) };

	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv), CVM_OK);
	pss.hashAlg = CKM_SHA384; /* not the mechanism's */
	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv),
	    CVM_E_MECH_PARAM);
	pss = (CK_RSA_PKCS_PSS_PARAMS){ CKM_SHA256, 99, 32 };
	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv),
	    CVM_E_MECH_PARAM);
	/* 128 bytes hold 32 of hash, 94 of salt and 2 more. */
	pss = (CK_RSA_PKCS_PSS_PARAMS){ CKM_SHA256, CKG_MGF1_SHA256, 94 };
	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv), CVM_OK);
	pss.sLen = 95;
	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv),
	    CVM_E_MECH_PARAM);
	pss.sLen = ULONG_MAX;
	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv),
	    CVM_E_MECH_PARAM);
	pss.sLen = 32;
	mech.ulParameterLen--;
	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv),
	    CVM_E_MECH_PARAM);
	mech.pParameter = NULL;
	mech.ulParameterLen = 0;
	assert_int_equal(try_begin(s, OP_SIGN, &mech, p.priv),
	    CVM_E_MECH_PARAM);
}

/* A digest of another length than the hash's is no digest. */
static void
raw_input_of_wrong_length(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 1024, false);
	CK_RSA_PKCS_PSS_PARAMS pss = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
	CK_MECHANISM pss_mech = { CKM_RSA_PKCS_PSS, &pss, sizeof(pss) };
	CK_MECHANISM pkcs = { CKM_RSA_PKCS, NULL, 0 };
	uint8_t in[256] = { 0 }, out[128];
	static const size_t wrong[] = { 0, 31, 33, 64 };

	for (size_t i = 0; i < COUNT(wrong); i++) {
		_cleanup_(op_freep) struct op *op = begin(s, OP_SIGN, &pss_mech,
		    p.priv);
		CK_ULONG len = sizeof(out);

		assert_int_equal(op_once(op, s->c.permit, span(in, wrong[i]),
				     out, &len, NULL),
		    CVM_E_DATA_LEN);
	}
	for (size_t n = 116; n <= 119; n++) {
		_cleanup_(
		    op_freep) struct op *op = begin(s, OP_SIGN, &pkcs, p.priv);
		CK_ULONG len = sizeof(out);

		assert_int_equal(op_once(op, s->c.permit, span(in, n), out,
				     &len, NULL),
		    n <= 117 ? CVM_OK : CVM_E_DATA_LEN);
	}
}

static const struct {
	CK_BYTE *params;
	size_t len;
} named_curves[] = {
	{ p256, sizeof(p256) },
	{ p384, sizeof(p384) },
	{ p521, sizeof(p521) },
	{ secp256k1, sizeof(secp256k1) },
};

static void
ecdsa_signature_wrong_on_some_curve(void **state)
{
	struct stage *s = *state;
	CK_MECHANISM raw = { CKM_ECDSA, NULL, 0 };
	uint8_t digest[SHA256_LEN];

	ok(hash(HASH_SHA256, MESSAGE, digest));
	for (size_t c = 0; c < COUNT(named_curves); c++) {
		struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN,
		    named_curves[c].params, named_curves[c].len, false);

		for (int i = 0; i < 20; i++)
			round_trip(s, &raw, p, span(digest, sizeof(digest)));
		for (size_t i = 0; i < COUNT(hashes); i++) {
			CK_MECHANISM mech = { hashes[i].ecdsa, NULL, 0 };

			round_trip(s, &mech, p, MESSAGE);
		}
	}
}

static void
eddsa_signature_wrong(void **state)
{
	struct stage *s = *state;
	CK_MECHANISM mech = { CKM_EDDSA, NULL, 0 };
	struct pair a = make_ec(s, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed25519,
	    sizeof(ed25519), false);
	struct pair b = make_ec(s, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed448,
	    sizeof(ed448), false);
	CK_BYTE box[256] = { 0 };
	CK_EDDSA_PARAMS params = { CK_FALSE, 0, NULL };
	CK_MECHANISM with = { CKM_EDDSA, &params, sizeof(params) };

	round_trip(s, &mech, a, MESSAGE);
	round_trip(s, &mech, b, MESSAGE);
	round_trip(s, &with, b, MESSAGE);
	/* That would be Ed25519ctx. */
	assert_int_equal(try_begin(s, OP_SIGN, &with, a.priv),
	    CVM_E_MECH_PARAM);
	params = (CK_EDDSA_PARAMS){ 2, 0, NULL };
	assert_int_equal(try_begin(s, OP_SIGN, &with, b.priv),
	    CVM_E_MECH_PARAM);
	params = (CK_EDDSA_PARAMS){ CK_FALSE, 256, box };
	assert_int_equal(try_begin(s, OP_SIGN, &with, b.priv),
	    CVM_E_MECH_PARAM);
	params = (CK_EDDSA_PARAMS){ CK_FALSE, 1, NULL };
	assert_int_equal(try_begin(s, OP_SIGN, &with, b.priv),
	    CVM_E_MECH_PARAM);
}

/* A context that did one message does the next as if it were the first, a
 * false signature in between or not. */
static void
eddsa_context_keeps_a_message(void **state)
{
	struct stage *s = *state;
	CK_MECHANISM mech = { CKM_EDDSA, NULL, 0 };
	struct pair p = make_ec(s, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed25519,
	    sizeof(ed25519), false);
	uint8_t text[3] = { 1 };

	for (uint8_t i = 0; i < 6; i++) {
		_cleanup_(blob_clear) struct blob sig = { 0 };

		text[1] = i;
		sign_as(s, &mech, p.priv, span(text, 2), &sig);
		assert_int_equal(verify(s, &mech, p.pub, span(text, 2),
				     blob_span(&sig)),
		    CVM_OK);
		assert_int_equal(verify(s, &mech, p.pub, span(text, 3),
				     blob_span(&sig)),
		    CVM_E_SIGNATURE_INVALID);
		assert_int_equal(verify(s, &mech, p.pub, span(text, 2),
				     span(sig.data, 63)),
		    CVM_E_SIGNATURE_LEN);
		sig.data[i] ^= 1;
		assert_int_equal(verify(s, &mech, p.pub, span(text, 2),
				     blob_span(&sig)),
		    CVM_E_SIGNATURE_INVALID);
	}
	assert_int_equal(ERR_peek_error(), 0);
}

/* Pre-hash and context came with OpenSSL 3.2; before, they are refused, and
 * after, they make a signature that is not the plain one. */
static void
eddsa_variant_is_the_plain_one(void **state)
{
	struct stage *s = *state;
	CK_BYTE context[] = { 1 };
	const CK_EDDSA_PARAMS variants[] = { { CK_TRUE, 0, NULL },
		{ CK_FALSE, 1, context }, { CK_TRUE, 1, context } };
	struct pair p[] = { make_ec(s, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed25519,
				sizeof(ed25519), false),
		make_ec(s, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed448, sizeof(ed448),
		    false) };
	CK_MECHANISM plain = { CKM_EDDSA, NULL, 0 };
	bool known = OpenSSL_version_num() >= 0x30200000UL;

	for (size_t i = 0; i < COUNT(variants) * COUNT(p); i++) {
		CK_EDDSA_PARAMS params = variants[i / COUNT(p)];
		struct pair key = p[i % COUNT(p)];
		CK_MECHANISM with = { CKM_EDDSA, &params, sizeof(params) };
		_cleanup_(blob_clear) struct blob sig = { 0 };

		assert_int_equal(try_begin(s, OP_SIGN, &with, key.priv),
		    known ? CVM_OK : CVM_E_MECH_PARAM);
		assert_int_equal(try_begin(s, OP_VERIFY, &with, key.pub),
		    known ? CVM_OK : CVM_E_MECH_PARAM);
		if (!known)
			continue;
		round_trip(s, &with, key, MESSAGE);
		sign_as(s, &with, key.priv, MESSAGE, &sig);
		assert_int_equal(verify(s, &plain, key.pub, MESSAGE,
				     blob_span(&sig)),
		    CVM_E_SIGNATURE_INVALID);
	}
}

/* RFC 8032 section 7.1, TEST 2, with the private key imported. */
static void
eddsa_not_of_rfc8032(void **state)
{
	static const char *const seed =
	    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
	static const char *const want =
	    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
	struct stage *s = *state;
	uint8_t value[32], expected[64];
	CK_ATTRIBUTE templ[] = {
		ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_EC_EDWARDS),
		BYTES_ATTR(CKA_EC_PARAMS, ed25519),
		BYTES_ATTR(CKA_VALUE, value),
	};
	CK_MECHANISM mech = { CKM_EDDSA, NULL, 0 };
	_cleanup_(op_freep) struct op *op = NULL;
	CK_OBJECT_HANDLE h = 0;
	CK_ULONG len = sizeof(expected);
	uint8_t out[64];

	ok(hex_decode(seed, value, sizeof(value)));
	ok(hex_decode(want, expected, sizeof(expected)));
	ok(token_create(s->t, &s->c, templ, COUNT(templ), &h, why));
	op = begin(s, OP_SIGN, &mech, h);
	ok(op_once(op, s->c.permit, span("\x72", 1), out, &len, why));
	assert_int_equal(len, 64);
	assert_memory_equal(out, expected, 64);
}

/* Encrypts with the public and decrypts with the private half. */
static void
crypt_round_trip(struct stage *s, CK_MECHANISM *mech, struct pair p,
    struct span plain)
{
	_cleanup_(op_freep) struct op *enc = begin(s, OP_ENCRYPT, mech, p.pub);
	_cleanup_(op_freep) struct op *dec = begin(s, OP_DECRYPT, mech, p.priv);
	uint8_t text[512], back[512];
	CK_ULONG len = sizeof(text), n = plain.len - 1;

	ok(op_once(enc, NULL, plain, text, &len, why));
	/* Room for the message alone is enough, and less is told. */
	assert_int_equal(op_once(dec, s->c.permit, span(text, len), back, &n,
			     NULL),
	    CVM_E_BUFFER_TOO_SMALL);
	assert_int_equal(n, plain.len);
	ok(op_once(dec, s->c.permit, span(text, len), back, &n, why));
	assert_int_equal(n, plain.len);
	assert_memory_equal(back, plain.data, plain.len);
}

static void
rsa_decryption_wrong(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 2048, false);
	CK_MECHANISM pkcs = { CKM_RSA_PKCS, NULL, 0 };
	uint8_t longest[245];

	memset(longest, 0x5a, sizeof(longest));
	crypt_round_trip(s, &pkcs, p, MESSAGE);
	crypt_round_trip(s, &pkcs, p, span(longest, sizeof(longest)));
	for (size_t i = 0; i < COUNT(hashes); i++)
		for (size_t k = 0; k < COUNT(hashes); k++) {
			CK_RSA_PKCS_OAEP_PARAMS oaep = { hashes[i].hash,
				hashes[k].mgf, CKZ_DATA_SPECIFIED,
				k % 2 == 0 ? lab : NULL, k % 2 == 0 ? 3 : 0 };
			CK_MECHANISM mech = { CKM_RSA_PKCS_OAEP, &oaep,
				sizeof(oaep) };

			crypt_round_trip(s, &mech, p, MESSAGE);
		}
}

/* A buffer or a limit that 2048 bits fit into. */
static void
modulus_is_longer_than_was_thought(void **state)
{
	struct stage *s = *state;
	CK_RSA_PKCS_PSS_PARAMS pss = { CKM_SHA384, CKG_MGF1_SHA384, 48 };
	CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256,
		CKZ_DATA_SPECIFIED, lab, 3 };
	CK_MECHANISM signs[] = { { CKM_SHA512_RSA_PKCS, NULL, 0 },
		{ CKM_SHA384_RSA_PKCS_PSS, &pss, sizeof(pss) } };
	CK_MECHANISM crypts[] = { { CKM_RSA_PKCS, NULL, 0 },
		{ CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) } };

	for (CK_ULONG bits = 3072; bits <= 4096; bits += 1024) {
		struct pair p = make_rsa(s, bits, false);

		assert_int_equal(get_ulong(s, p.pub, CKA_MODULUS_BITS), bits);
		for (size_t i = 0; i < COUNT(signs); i++)
			round_trip(s, &signs[i], p, MESSAGE);
		for (size_t i = 0; i < COUNT(crypts); i++)
			crypt_round_trip(s, &crypts[i], p, MESSAGE);
	}
}

/* All ways of being wrong are one error. */
static void
oaep_failure_tells_apart(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 2048, false);
	CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256,
		CKZ_DATA_SPECIFIED, lab, 3 };
	CK_MECHANISM mech = { CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) };
	_cleanup_(op_freep) struct op *enc = begin(s, OP_ENCRYPT, &mech, p.pub);
	uint8_t text[256], back[256], zeros[256] = { 0 };
	CK_ULONG len = sizeof(text);

	ok(op_once(enc, NULL, MESSAGE, text, &len, why));
	for (int i = 0; i < 4; i++) {
		_cleanup_(op_freep) struct op *dec = NULL;
		CK_ULONG n = sizeof(back);

		oaep.pSourceData = i == 0 ? upper : lab;
		oaep.mgf = i == 1 ? CKG_MGF1_SHA1 : CKG_MGF1_SHA256;
		text[100] ^= i == 2;
		dec = begin(s, OP_DECRYPT, &mech, p.priv);
		assert_int_equal(op_once(dec, s->c.permit,
				     i == 3 ? span(zeros, 256) :
					      span(text, len),
				     back, &n, NULL),
		    CVM_E_ENCRYPTED_INVALID);
		text[100] ^= i == 2;
	}
}

/* A context holds its label: it must not serve the next operation's. */
static void
oaep_label_of_another_operation(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 2048, false);
	CK_RSA_PKCS_OAEP_PARAMS oaep = { CKM_SHA256, CKG_MGF1_SHA256,
		CKZ_DATA_SPECIFIED, lab, 3 };
	CK_MECHANISM mech = { CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep) };
	uint8_t text[2][256], back[256];

	for (size_t i = 0; i < 2; i++) {
		_cleanup_(op_freep) struct op *enc = NULL;
		CK_ULONG len = sizeof(text[i]);

		oaep.pSourceData = i == 0 ? lab : upper;
		enc = begin(s, OP_ENCRYPT, &mech, p.pub);
		ok(op_once(enc, NULL, MESSAGE, text[i], &len, why));
	}
	for (size_t i = 0; i < 8; i++) {
		_cleanup_(op_freep) struct op *dec = NULL;
		CK_ULONG n = sizeof(back);

		oaep.pSourceData = i % 2 == 0 ? lab : upper;
		dec = begin(s, OP_DECRYPT, &mech, p.priv);
		assert_int_equal(op_once(dec, s->c.permit,
				     span(text[i / 2 % 2], 256), back, &n,
				     NULL),
		    i % 2 == i / 2 % 2 ? CVM_OK : CVM_E_ENCRYPTED_INVALID);
	}
}

/* Raw numbers with any padding: what an attacker would send. */
static void
send_padding(struct stage *s, struct pair p, const uint8_t *em, uint8_t *out,
    CK_ULONG *len, int want)
{
	CK_MECHANISM x509 = { CKM_RSA_X_509, NULL, 0 };
	CK_MECHANISM pkcs = { CKM_RSA_PKCS, NULL, 0 };
	_cleanup_(op_freep) struct op *enc = begin(s, OP_ENCRYPT, &x509, p.pub);
	_cleanup_(
	    op_freep) struct op *dec = begin(s, OP_DECRYPT, &pkcs, p.priv);
	uint8_t text[128];
	CK_ULONG n = sizeof(text);

	ok(op_once(enc, NULL, span(em, 128), text, &n, why));
	assert_int_equal(op_once(dec, s->c.permit, span(text, n), out, len,
			     NULL),
	    want);
}

static void
pkcs1_padding_told_by_error(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 1024, false);
	uint8_t em[128], out[128], again[128];
	CK_ULONG len, len_again;

	for (int i = 0; i < 8; i++) {
		memset(em, 0xff, sizeof(em));
		em[0] = 0;
		em[1] = 2;
		em[100] = 0;
		em[1] = i == 1 ? 1 : 2;	      /* block type */
		em[100] = i == 2 ? 0xff : 0;  /* no end of the padding */
		em[9] = i == 3 ? 0 : 0xff;    /* seven bytes of padding */
		em[2] = i == 4 ? 0 : em[2];   /* none */
		em[10] = i == 5 ? 0 : em[10]; /* eight: right */
		em[127] = i == 6 ? 0 : em[127];
		if (i == 7) {
			em[100] = 0xff;
			em[127] = 0; /* right, an empty message */
		}
		len = sizeof(out);
		send_padding(s, p, em, out, &len, CVM_OK);
		if (i == 0 || i == 6) {
			assert_int_equal(len, 27);
			assert_memory_equal(out, em + 101, 27);
		} else if (i == 5) {
			assert_int_equal(len, 117);
			assert_memory_equal(out, em + 11, 117);
		} else if (i == 7) {
			assert_int_equal(len, 0);
		} else {
			/* Not the message, but the same each time. */
			assert_true(len <= 117);
			assert_true(
			    len != 27 || memcmp(out, em + 101, 27) != 0);
			len_again = sizeof(again);
			send_padding(s, p, em, again, &len_again, CVM_OK);
			assert_int_equal(len, len_again);
			assert_memory_equal(out, again, len);
		}
	}
}

/* HMAC(key, i || label || bits), as much of it as is wanted. */
static void
expand_plainly(const uint8_t *key, const char *label, uint8_t *out, size_t len)
{
	uint8_t in[16], block[32];
	size_t n = strlen(label);

	for (size_t at = 0; at < len; at += 32) {
		size_t left = len - at < 32 ? len - at : 32;

		in[0] = 0;
		in[1] = (uint8_t)(at / 32);
		memcpy(&in[2], label, n);
		in[2 + n] = (uint8_t)(len * 8 >> 8);
		in[3 + n] = (uint8_t)(len * 8);
		assert_non_null(
		    HMAC(EVP_sha256(), key, 32, in, n + 4, block, NULL));
		memcpy(&out[at], block, left);
	}
}

/* What OpenSSL 3.2 and later make of the same key and ciphertext, worked out
 * with branches: another OpenSSL decrypts it to the same. */
static void
false_message_of_our_own(void **state)
{
	static const uint8_t key[32] = { 1, 2, 3 };
	static const size_t sizes[] = { 128, 250, 256, 512 };
	uint8_t text[512] = { 9 }, em[512], out[512], want[512], kdk[32];
	uint8_t lengths[256];

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		size_t k = sizes[i % COUNT(sizes)], n = 0, len = 0, mask = 1;

		text[1] = (uint8_t)i;
		memset(em, 0, sizeof(em)); /* no padding at all */
		assert_non_null(
		    HMAC(EVP_sha256(), key, 32, text, k, kdk, NULL));
		expand_plainly(kdk, "length", lengths, sizeof(lengths));
		expand_plainly(kdk, "message", want, k);
		while (mask < k - 10)
			mask = mask * 2 + 1;
		for (size_t c = 0; c < 128; c++) {
			size_t candidate = mask &
			    (size_t)(lengths[2 * c] << 8 | lengths[2 * c + 1]);

			if (candidate < k - 10)
				len = candidate;
		}
		ok(rsa_unpad(key, span(text, k), span(em, k), out, &n));
		assert_int_equal(n, len);
		assert_memory_equal(out, &want[k - n], n);
	}
}

static void
pkcs1_decryption_allowed_when_forbidden(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 1024, false);
	CK_MECHANISM pkcs = { CKM_RSA_PKCS, NULL, 0 };
	CK_MECHANISM x509 = { CKM_RSA_X_509, NULL, 0 };

	s->f.cfg.rsa_pkcs1_decrypt = false;
	s->f.cfg.rsa_x509 = false;
	assert_int_equal(try_begin(s, OP_DECRYPT, &pkcs, p.priv),
	    CVM_E_MECH_INVALID);
	assert_int_equal(try_begin(s, OP_DECRYPT, &x509, p.priv),
	    CVM_E_MECH_INVALID);
	assert_int_equal(try_begin(s, OP_SIGN, &x509, p.priv),
	    CVM_E_MECH_INVALID);
	assert_int_equal(try_begin(s, OP_SIGN, &pkcs, p.priv), CVM_OK);
}

static void
x509_number_above_modulus(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 1024, false);
	CK_MECHANISM x509 = { CKM_RSA_X_509, NULL, 0 };
	uint8_t in[129], out[128];
	static const size_t lens[] = { 128, 129 };

	memset(in, 0xff, sizeof(in));
	round_trip(s, &x509, p, MESSAGE);
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(
		    op_freep) struct op *op = begin(s, OP_SIGN, &x509, p.priv);
		CK_ULONG len = sizeof(out);

		assert_int_equal(op_once(op, s->c.permit, span(in, lens[i]),
				     out, &len, NULL),
		    i == 0 ? CVM_E_DATA_INVALID : CVM_E_DATA_LEN);
	}
}

#define LARGE (3 * 1024 * 1024 + 5)

/* One decryption of padded text with this much room. */
static int
unpad(struct stage *s, CK_OBJECT_HANDLE key, CK_MECHANISM *mech,
    struct span sealed, uint8_t *out, CK_ULONG *len)
{
	_cleanup_(op_freep) struct op *op = begin(s, OP_DECRYPT, mech, key);

	return op_once(op, s->c.permit, sealed, out, len, NULL);
}

/* The plain text is shorter than the bound that is told beforehand: room for
 * just that is enough, for a text of any size, and room for less costs
 * nothing, even where the output goes where the input is. */
static void
padded_text_wants_more_room_than_it_has(void **state)
{
	static const size_t lens[] = { 0, 1, 15, 16, 17, 4096, LARGE };
	struct stage *s = *state;
	CK_BYTE iv[16] = { 3 };
	CK_MECHANISM mech = { CKM_AES_CBC_PAD, iv, 16 };
	CK_OBJECT_HANDLE key = make_secret(s, CKK_AES, "0123456789abcdef", 16);
	_cleanup_(freep) uint8_t *text = calloc(1, LARGE + 16);
	_cleanup_(freep) uint8_t *sealed = calloc(1, LARGE + 16);
	_cleanup_(freep) uint8_t *out = calloc(1, LARGE + 16);

	for (size_t i = 0; i < LARGE; i++)
		text[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < COUNT(lens); i++) {
		_cleanup_(
		    op_freep) struct op *enc = begin(s, OP_ENCRYPT, &mech, key);
		CK_ULONG n = LARGE + 16, len = lens[i];
		struct span all;

		ok(op_once(enc, s->c.permit, span(text, lens[i]), sealed, &n,
		    why));
		all = span(sealed, n);
		memset(out, 0xaa, LARGE + 16);
		ok(unpad(s, key, &mech, all, out, &len));
		assert_int_equal(len, lens[i]);
		assert_memory_equal(out, text, lens[i]);
		assert_int_equal(out[lens[i]], 0xaa);
		if (lens[i] == 0)
			continue;
		len = lens[i] - 1;
		assert_int_equal(unpad(s, key, &mech, all, sealed, &len),
		    CVM_E_BUFFER_TOO_SMALL);
		assert_int_equal(len, lens[i]);
		ok(unpad(s, key, &mech, all, sealed, &len));
		assert_memory_equal(sealed, text, lens[i]);
	}
}

/* No part of a text whose padding is wrong is given where it has no room. */
static void
wrong_padding_fits(void **state)
{
	struct stage *s = *state;
	CK_BYTE iv[16] = { 3 };
	CK_MECHANISM mech = { CKM_AES_CBC_PAD, iv, 16 };
	CK_MECHANISM raw = { CKM_AES_CBC, iv, 16 };
	CK_OBJECT_HANDLE key = make_secret(s, CKK_AES, "0123456789abcdef", 16);
	static const uint8_t ends[] = { 0, 17, 2, 255 };

	for (size_t i = 0; i < COUNT(ends); i++) {
		_cleanup_(
		    op_freep) struct op *enc = begin(s, OP_ENCRYPT, &raw, key);
		uint8_t text[32] = { 1, 2, 3 }, sealed[32], out[32];
		CK_ULONG n = 32, len = 20;

		text[31] = ends[i];
		ok(op_once(enc, s->c.permit, span(text, 32), sealed, &n, why));
		memset(out, 0xaa, sizeof(out));
		assert_int_equal(unpad(s, key, &mech, span(sealed, 32), out,
				     &len),
		    CVM_E_ENCRYPTED_INVALID);
		assert_int_equal(out[0], 0xaa);
	}
}

/* The same in parts: the end of the text is four bytes, and says so. */
static void
last_part_wants_a_whole_block(void **state)
{
	struct stage *s = *state;
	CK_BYTE iv[16] = { 3 };
	CK_MECHANISM mech = { CKM_AES_CBC_PAD, iv, 16 };
	CK_OBJECT_HANDLE key = make_secret(s, CKK_AES, "0123456789abcdef", 16);
	_cleanup_(op_freep) struct op *enc = begin(s, OP_ENCRYPT, &mech, key);
	_cleanup_(op_freep) struct op *dec = begin(s, OP_DECRYPT, &mech, key);
	uint8_t sealed[32], out[32];
	CK_ULONG n = 32, len = 16;

	ok(op_once(enc, s->c.permit, span("twenty bytes of text", 20), sealed,
	    &n, why));
	ok(op_update(dec, s->c.permit, span(sealed, 32), out, &len, why));
	assert_int_equal(len, 16);
	len = 3;
	assert_int_equal(op_final(dec, s->c.permit, &out[16], &len, NULL),
	    CVM_E_BUFFER_TOO_SMALL);
	assert_int_equal(len, 4);
	ok(op_final(dec, s->c.permit, &out[16], &len, why));
	assert_int_equal(len, 4);
	assert_memory_equal(out, "twenty bytes of text", 20);
}

/* Whoever does not ask for it with bind "operation" touches no key. */
static void
late_permit_not_asked(void **state)
{
	struct stage *s = *state;
	struct pair p = make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256),
	    true);
	CK_MECHANISM mech = { CKM_ECDSA_SHA256, NULL, 0 };
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(op_freep) struct op *op = NULL;
	uint8_t sig[64], input[SHA256_LEN], digest[SHA256_LEN];
	CK_ULONG len = sizeof(sig);

	ok(token_object(s->t, &s->c, p.priv, &o));
	ok(op_new(s->t, &s->f.cfg, OP_SIGN, &mech, o, NULL, &op, why));
	ok(op_hash_input(op));
	ok(op_update(op, NULL, MESSAGE, NULL, NULL, why));
	ok(op_input_digest(op, input));
	ok(op_input_digest(op, input));
	ok(hash(HASH_SHA256, MESSAGE, digest));
	assert_memory_equal(input, digest, sizeof(digest));
	assert_int_equal(op_final(op, NULL, sig, &len, NULL), CVM_E_PERMIT);
	ok(op_final(op, s->c.permit, sig, &len, why));
	assert_int_equal(verify(s, &mech, p.pub, MESSAGE, span(sig, len)),
	    CVM_OK);
}

/* A host that made its PKCS#11 engine the default for all keys. */
static int
engine_methods(ENGINE *e, EVP_PKEY_METHOD **ret, const int **nids, int nid)
{
	static const int types[] = { EVP_PKEY_RSA, EVP_PKEY_EC };
	static EVP_PKEY_METHOD *methods[COUNT(types)];

	(void)e;
	if (ret == NULL) {
		*nids = types;
		return COUNT(types);
	}
	for (size_t i = 0; i < COUNT(types); i++) {
		if (types[i] != nid)
			continue;
		/* As libp11 does: the library's own, and more. */
		if (methods[i] == NULL) {
			methods[i] = EVP_PKEY_meth_new(nid, 0);
			EVP_PKEY_meth_copy(methods[i], EVP_PKEY_meth_find(nid));
		}
		*ret = methods[i];
		return 1;
	}
	return 0;
}

static void
engine_of_host_takes_our_keys(void **state)
{
	struct stage *s = *state;
	ENGINE *e = ENGINE_new();
	CK_MECHANISM rsa = { CKM_SHA256_RSA_PKCS, NULL, 0 };
	CK_MECHANISM ec = { CKM_ECDSA_SHA256, NULL, 0 };
	CK_MECHANISM ed = { CKM_EDDSA, NULL, 0 };
	CK_BYTE value[32] = { [31] = 9 };
	CK_ATTRIBUTE import[] = { ULONG_ATTR(CKA_CLASS, CKO_PRIVATE_KEY),
		ULONG_ATTR(CKA_KEY_TYPE, CKK_EC),
		BYTES_ATTR(CKA_EC_PARAMS, p256), BYTES_ATTR(CKA_VALUE, value) };
	CK_OBJECT_HANDLE h;
	EVP_PKEY_CTX *hijacked;

	assert_non_null(e);
	assert_int_equal(ENGINE_set_id(e, "hijack"), 1);
	assert_int_equal(ENGINE_set_name(e, "hijack"), 1);
	assert_int_equal(ENGINE_set_pkey_meths(e, engine_methods), 1);
	assert_int_equal(ENGINE_set_default_pkey_meths(e), 1);
	/* It does, where one asks for keys by their usual name. */
	hijacked = EVP_PKEY_CTX_new_from_name(crypto_libctx(), "EC", NULL);
	assert_non_null(hijacked);
	assert_null(EVP_PKEY_CTX_get0_provider(hijacked));
	EVP_PKEY_CTX_free(hijacked);
	round_trip(s, &rsa, make_rsa(s, 1024, true), MESSAGE);
	round_trip(s, &ec,
	    make_ec(s, CKM_EC_KEY_PAIR_GEN, p256, sizeof(p256), true), MESSAGE);
	round_trip(s, &ed,
	    make_ec(s, CKM_EC_EDWARDS_KEY_PAIR_GEN, ed25519, sizeof(ed25519),
		true),
	    MESSAGE);
	eddsa_not_of_rfc8032(state);
	/* As a key is read that was made before. */
	ok(token_create(s->t, &s->c, import, COUNT(import), &h, why));
	ENGINE_unregister_pkey_meths(e);
	assert_int_equal(ENGINE_free(e), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(rsa_signature_differs_from_openssl),
		ON_STAGE(pss_signature_differs_from_openssl),
		ON_STAGE(raw_signature_not_what_clients_send),
		ON_STAGE(pss_parameter_wrong),
		ON_STAGE(raw_input_of_wrong_length),
		ON_STAGE(ecdsa_signature_wrong_on_some_curve),
		ON_STAGE(eddsa_signature_wrong),
		ON_STAGE(eddsa_context_keeps_a_message),
		ON_STAGE(eddsa_variant_is_the_plain_one),
		ON_STAGE(eddsa_not_of_rfc8032),
		ON_STAGE(rsa_decryption_wrong),
		ON_STAGE(modulus_is_longer_than_was_thought),
		ON_STAGE(oaep_failure_tells_apart),
		ON_STAGE(oaep_label_of_another_operation),
		ON_STAGE(pkcs1_padding_told_by_error),
		cmocka_unit_test(false_message_of_our_own),
		ON_STAGE(pkcs1_decryption_allowed_when_forbidden),
		ON_STAGE(x509_number_above_modulus),
		ON_STAGE(padded_text_wants_more_room_than_it_has),
		ON_STAGE(wrong_padding_fits),
		ON_STAGE(last_part_wants_a_whole_block),
		ON_STAGE(late_permit_not_asked),
		ON_STAGE(engine_of_host_takes_our_keys),
	};

	return cmocka_run_group_tests_name("op", tests, NULL, NULL);
}
