/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "token/evp.h"
#include "token/mech.h"

/* Every digest, MAC, cipher and generator of secrets in the table, against
 * OpenSSL's own answer. What each mechanism stands for is written down here a
 * second time: a row of the table that names another hash is found. */

static const struct {
	CK_MECHANISM_TYPE digest, hmac, general;
	CK_KEY_TYPE key;
	const char *name;
	size_t len;
} hashes[] = {
	{ CKM_SHA_1, CKM_SHA_1_HMAC, CKM_SHA_1_HMAC_GENERAL, CKK_SHA_1_HMAC,
	    "SHA1", 20 },
	{ CKM_SHA224, CKM_SHA224_HMAC, CKM_SHA224_HMAC_GENERAL, CKK_SHA224_HMAC,
	    "SHA224", 28 },
	{ CKM_SHA256, CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL, CKK_SHA256_HMAC,
	    "SHA256", 32 },
	{ CKM_SHA384, CKM_SHA384_HMAC, CKM_SHA384_HMAC_GENERAL, CKK_SHA384_HMAC,
	    "SHA384", 48 },
	{ CKM_SHA512, CKM_SHA512_HMAC, CKM_SHA512_HMAC_GENERAL, CKK_SHA512_HMAC,
	    "SHA512", 64 },
	{ CKM_SHA3_224, CKM_SHA3_224_HMAC, CKM_SHA3_224_HMAC_GENERAL,
	    CKK_SHA3_224_HMAC, "SHA3-224", 28 },
	{ CKM_SHA3_256, CKM_SHA3_256_HMAC, CKM_SHA3_256_HMAC_GENERAL,
	    CKK_SHA3_256_HMAC, "SHA3-256", 32 },
	{ CKM_SHA3_384, CKM_SHA3_384_HMAC, CKM_SHA3_384_HMAC_GENERAL,
	    CKK_SHA3_384_HMAC, "SHA3-384", 48 },
	{ CKM_SHA3_512, CKM_SHA3_512_HMAC, CKM_SHA3_512_HMAC_GENERAL,
	    CKK_SHA3_512_HMAC, "SHA3-512", 64 },
};

/* Around the blocks of every hash and cipher. */
static const size_t lens[] = { 0, 1, 15, 16, 17, 55, 56, 63, 64, 65, 71, 72, 73,
	103, 104, 111, 112, 127, 128, 129, 136, 143, 144, 200, 300 };
#define ROOM 400

static uint8_t material[ROOM];

static int
setup(void **state)
{
	for (size_t i = 0; i < sizeof(material); i++)
		material[i] = (uint8_t)(i * 7 + (i >> 3));
	return stage_setup(state);
}

#define WITH_MATERIAL(fn)                                                      \
	cmocka_unit_test_setup_teardown(fn, setup, stage_teardown)

static void
start(struct stage *s, enum op_kind kind, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, struct op **ret)
{
	_cleanup_(object_unrefp) struct object *o = NULL;

	if (key != 0)
		ok(token_object(s->t, &s->c, key, &o));
	ok(op_new(s->t, &s->f.cfg, kind, mech, o, key != 0 ? s->c.permit : NULL,
	    ret, why));
}

/* In one call, and in parts of 23 bytes. */
static void
expect_answer(struct stage *s, enum op_kind kind, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, struct span in, struct span want)
{
	_cleanup_(op_freep) struct op *once = NULL;
	_cleanup_(op_freep) struct op *parts = NULL;
	uint8_t out[ROOM];
	CK_ULONG n = sizeof(out), done = 0;

	start(s, kind, mech, key, &once);
	ok(op_once(once, s->c.permit, in, out, &n, why));
	assert_int_equal(n, want.len);
	assert_memory_equal(out, want.data, n);
	start(s, kind, mech, key, &parts);
	for (size_t at = 0; at < in.len; at += 23) {
		n = sizeof(out) - done;
		ok(op_update(parts, s->c.permit,
		    span(in.data + at, in.len - at < 23 ? in.len - at : 23),
		    out + done, &n, why));
		done += kind == OP_ENCRYPT || kind == OP_DECRYPT ? n : 0;
	}
	n = sizeof(out) - done;
	ok(op_final(parts, s->c.permit, out + done, &n, why));
	assert_int_equal(done + n, want.len);
	assert_memory_equal(out, want.data, want.len);
}

static size_t
hash_of(const struct mech *m, bool digest)
{
	for (size_t i = 0; i < COUNT(hashes); i++)
		if (digest ? hashes[i].digest == m->type :
			     hashes[i].hmac == m->type ||
			    hashes[i].general == m->type)
			return i;
	print_message("# %s is not checked\n", m->name);
	fail();
	return 0;
}

static void
digest_differs_from_openssl(void **state)
{
	struct stage *s = *state;
	const struct mech *m;
	size_t found = 0;

	for (size_t i = 0; (m = mech_at(&s->f.cfg, i)) != NULL; i++) {
		CK_MECHANISM mech = { m->type, NULL, 0 };
		uint8_t want[EVP_MAX_MD_SIZE];
		size_t h, n = 0;

		if ((m->flags & CKF_DIGEST) == 0)
			continue;
		h = hash_of(m, true);
		found++;
		for (size_t k = 0; k < COUNT(lens); k++) {
			struct span in = span(material, lens[k]);

			assert_int_equal(EVP_Q_digest(crypto_libctx(),
					     hashes[h].name, NULL, in.data,
					     in.len, want, &n),
			    1);
			assert_int_equal(n, hashes[h].len);
			expect_answer(s, OP_DIGEST, &mech, 0, in,
			    span(want, n));
		}
	}
	assert_int_equal(found, COUNT(hashes));
}

static void
openssl_mac(const char *mac, const char *of, struct span key, struct span in,
    uint8_t out[static EVP_MAX_MD_SIZE], size_t want)
{
	size_t n = 0;

	assert_non_null(EVP_Q_mac(crypto_libctx(), mac, NULL, of, NULL,
	    key.data, key.len, in.data, in.len, out, EVP_MAX_MD_SIZE, &n));
	assert_int_equal(n, want);
}

/* A MAC in full under no parameter, and in each length under its general
 * form, whose signatures of any other length are refused. */
static void
expect_mac(struct stage *s, const struct mech *m, bool general,
    CK_OBJECT_HANDLE key, struct span in, struct span want)
{
	for (CK_ULONG n = general ? 4 : want.len; n <= want.len; n++) {
		CK_MECHANISM mech = { m->type, general ? &n : NULL,
			general ? sizeof(n) : 0 };
		_cleanup_(op_freep) struct op *good = NULL;
		_cleanup_(op_freep) struct op *bad = NULL;

		expect_answer(s, OP_SIGN, &mech, key, in, span(want.data, n));
		start(s, OP_VERIFY, &mech, key, &good);
		assert_int_equal(op_verify_once(good, in, span(want.data, n)),
		    CVM_OK);
		start(s, OP_VERIFY, &mech, key, &bad);
		assert_int_equal(op_verify_once(bad, in,
				     span(want.data, n - 1)),
		    CVM_E_SIGNATURE_LEN);
	}
}

static void
expect_hmac(struct stage *s, const struct mech *m, size_t h, bool general)
{
	static const size_t key_lens[] = { 1, 20, 64, 65, 128, 129, 144, 145,
		300 };
	uint8_t want[EVP_MAX_MD_SIZE];

	for (size_t k = 0; k < COUNT(key_lens); k++) {
		struct span key = span(material, key_lens[k]);
		CK_OBJECT_HANDLE typed = make_secret(s, hashes[h].key, key.data,
				     key.len),
				 any = make_secret(s, CKK_GENERIC_SECRET,
				     key.data, key.len);
		struct span in = span(material + 3,
		    lens[(k * 3) % COUNT(lens)]);

		openssl_mac("HMAC", hashes[h].name, key, in, want,
		    hashes[h].len);
		expect_mac(s, m, general, typed, in, span(want, hashes[h].len));
		expect_mac(s, m, general, any, in, span(want, hashes[h].len));
	}
}

static void
hmac_differs_from_openssl(void **state)
{
	struct stage *s = *state;
	const struct mech *m;
	size_t found = 0;

	for (size_t i = 0; (m = mech_at(&s->f.cfg, i)) != NULL; i++) {
		size_t h;

		if (strstr(m->name, "_HMAC") == NULL)
			continue;
		h = hash_of(m, false);
		found++;
		expect_hmac(s, m, h, hashes[h].general == m->type);
	}
	assert_int_equal(found, 2 * COUNT(hashes));
}

static void
general_hmac_of_wrong_length(void **state)
{
	struct stage *s = *state;

	for (size_t i = 0; i < COUNT(hashes); i++) {
		CK_ULONG n = 0;
		CK_MECHANISM mech = { hashes[i].general, &n, sizeof(n) };
		CK_OBJECT_HANDLE key = make_secret(s, hashes[i].key, "k", 1);
		const struct {
			CK_ULONG n;
			int err;
		} v[] = {
			{ 0, CVM_E_MECH_PARAM },
			{ 3, CVM_E_MECH_PARAM },
			{ 4, CVM_OK },
			{ hashes[i].len, CVM_OK },
			{ hashes[i].len + 1, CVM_E_MECH_PARAM },
			{ ULONG_MAX, CVM_E_MECH_PARAM },
		};

		for (size_t k = 0; k < COUNT(v); k++) {
			n = v[k].n;
			assert_int_equal(try_begin(s, OP_SIGN, &mech, key),
			    v[k].err);
			assert_int_equal(try_begin(s, OP_VERIFY, &mech, key),
			    v[k].err);
		}
	}
}

static const size_t aes_lens[] = { 16, 24, 32 };

/* RFC 4493 section 4, and OpenSSL for longer keys and uneven texts. */
static void
cmac_differs_from_openssl(void **state)
{
	static const char *const key_hex = "2b7e151628aed2a6abf7158809cf4f3c";
	static const char *const text_hex =
	    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
	    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
	static const struct {
		size_t len;
		const char *mac;
	} v[] = {
		{ 16, "070a16b46b4d4144f79bdd9dd04a287c" },
		{ 40, "dfa66747de9ae63030ca32611497c827" },
		{ 64, "51f0bebf7e3b9d92fc49741779363cfe" },
	};
	static const char *const names[] = { "AES-128-CBC", "AES-192-CBC",
		"AES-256-CBC" };
	struct stage *s = *state;
	const struct mech *plain = mech_find(&s->f.cfg, CKM_AES_CMAC);
	const struct mech *general = mech_find(&s->f.cfg, CKM_AES_CMAC_GENERAL);
	uint8_t key[16], in[64], want[EVP_MAX_MD_SIZE];
	CK_OBJECT_HANDLE h;

	ok(hex_decode(key_hex, key, sizeof(key)));
	ok(hex_decode(text_hex, in, sizeof(in)));
	h = make_secret(s, CKK_AES, key, sizeof(key));
	for (size_t i = 0; i < COUNT(v); i++) {
		ok(hex_decode(v[i].mac, want, 16));
		expect_mac(s, plain, false, h, span(in, v[i].len),
		    span(want, 16));
	}
	for (size_t i = 0; i < COUNT(aes_lens); i++) {
		struct span k = span(material + i, aes_lens[i]);

		h = make_secret(s, CKK_AES, k.data, k.len);
		for (size_t n = 0; n < COUNT(lens); n++) {
			struct span msg = span(material + 5, lens[n]);

			openssl_mac("CMAC", names[i], k, msg, want, 16);
			expect_mac(s, plain, false, h, msg, span(want, 16));
			expect_mac(s, general, true, h, msg, span(want, 16));
		}
	}
}

/* A cipher of OpenSSL's, as EVP runs it. */
struct evp {
	const char *mode; /* behind "AES-256-" */
	bool wraps, pads, aead, ccm;
	struct span key, iv, aad;
};

static size_t
openssl_encrypt(const struct evp *e, struct span in, uint8_t out[static ROOM])
{
	_cleanup_(evp_cipher_ctx_freep)
	    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	char name[32];
	EVP_CIPHER *c;
	int n = 0, m = 0, iv_len = (int)e->iv.len;

	(void)snprintf(name, sizeof(name), "AES-%zu-%s", e->key.len * 8,
	    e->mode);
	c = EVP_CIPHER_fetch(crypto_libctx(), name, NULL);
	assert_non_null(c);
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	assert_int_equal(EVP_EncryptInit_ex2(ctx, c, NULL, NULL, NULL), 1);
	EVP_CIPHER_free(c);
	if (e->aead)
		assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx,
				     EVP_CTRL_AEAD_SET_IVLEN, iv_len, NULL),
		    1);
	if (e->ccm)
		assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG,
				     16, NULL),
		    1);
	assert_int_equal(EVP_EncryptInit_ex2(ctx, NULL, e->key.data,
			     iv_len > 0 ? e->iv.data : NULL, NULL),
	    1);
	assert_int_equal(EVP_CIPHER_CTX_set_padding(ctx, e->pads), 1);
	if (e->ccm)
		assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, NULL,
				     (int)in.len),
		    1);
	if (e->aad.len > 0)
		assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, e->aad.data,
				     (int)e->aad.len),
		    1);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, in.data, (int)in.len),
	    1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, out + n, &m), 1);
	n += m;
	if (e->aead) {
		assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG,
				     16, out + n),
		    1);
		n += 16;
	}
	return (size_t)n;
}

static void
expect_cipher(struct stage *s, CK_MECHANISM *mech, const struct evp *e,
    struct span in)
{
	CK_OBJECT_HANDLE key = make_secret(s, CKK_AES, e->key.data, e->key.len);
	uint8_t want[ROOM];
	size_t n = openssl_encrypt(e, in, want);

	expect_answer(s, OP_ENCRYPT, mech, key, in, span(want, n));
	expect_answer(s, OP_DECRYPT, mech, key, span(want, n), in);
}

static void
aes_differs_from_openssl(void **state)
{
	struct stage *s = *state;
	CK_BYTE iv[16];
	CK_AES_CTR_PARAMS ctr = { .ulCounterBits = 128 };
	struct {
		CK_MECHANISM mech;
		struct evp evp;
		size_t unit, least;
	} v[] = {
		{ { CKM_AES_ECB, NULL, 0 }, { .mode = "ECB" }, 16, 0 },
		{ { CKM_AES_CBC, iv, 16 },
		    { .mode = "CBC", .iv = span(iv, 16) }, 16, 0 },
		{ { CKM_AES_CBC_PAD, iv, 16 },
		    { .mode = "CBC", .pads = true, .iv = span(iv, 16) }, 1, 0 },
		{ { CKM_AES_CTR, &ctr, sizeof(ctr) },
		    { .mode = "CTR", .iv = span(iv, 16) }, 1, 0 },
		{ { CKM_AES_KEY_WRAP, NULL, 0 }, { .mode = "WRAP" }, 8, 16 },
		{ { CKM_AES_KEY_WRAP_KWP, NULL, 0 }, { .mode = "WRAP-PAD" }, 1,
		    1 },
	};

	memcpy(iv, material + 40, sizeof(iv));
	memcpy(ctr.cb, iv, sizeof(iv));
	for (size_t i = 0; i < COUNT(v); i++)
		for (size_t k = 0; k < COUNT(aes_lens); k++)
			for (size_t n = 0; n < COUNT(lens); n++) {
				if (lens[n] % v[i].unit != 0 ||
				    lens[n] < v[i].least)
					continue;
				v[i].evp.key = span(material + k, aes_lens[k]);
				expect_cipher(s, &v[i].mech, &v[i].evp,
				    span(material + 9, lens[n]));
			}
}

/* An IV that is not of 96 bits is hashed, not counted from. */
static void
gcm_differs_from_openssl(void **state)
{
	static const size_t iv_lens[] = { 1, 8, 11, 12, 13, 16, 17, 64, 128 };
	struct stage *s = *state;

	for (size_t i = 0; i < COUNT(iv_lens); i++)
		for (size_t k = 0; k < COUNT(aes_lens); k++) {
			struct evp e = { .mode = "GCM",
				.aead = true,
				.key = span(material + k, aes_lens[k]),
				.iv = span(material + 50, iv_lens[i]),
				.aad = span(material + 60, 5 * i) };
			CK_GCM_PARAMS p = { material + 50, iv_lens[i], 0,
				material + 60, 5 * i, 128 };
			CK_MECHANISM mech = { CKM_AES_GCM, &p, sizeof(p) };

			for (size_t n = 0; n < COUNT(lens); n += 4)
				expect_cipher(s, &mech, &e,
				    span(material + 9, lens[n]));
		}
}

static void
ccm_differs_from_openssl(void **state)
{
	struct stage *s = *state;

	for (size_t nonce = 7; nonce <= 13; nonce++)
		for (size_t k = 0; k < COUNT(aes_lens); k++) {
			struct evp e = { .mode = "CCM",
				.aead = true,
				.ccm = true,
				.key = span(material + k, aes_lens[k]),
				.iv = span(material + 50, nonce),
				.aad = span(material + 60, nonce) };
			CK_CCM_PARAMS p = { 0, material + 50, nonce,
				material + 60, nonce, 16 };
			CK_MECHANISM mech = { CKM_AES_CCM, &p, sizeof(p) };

			for (size_t n = 1; n < COUNT(lens); n += 4) {
				p.ulDataLen = lens[n];
				expect_cipher(s, &mech, &e,
				    span(material + 9, lens[n]));
			}
		}
}

/* What each generator makes: 0 where its keys have one length only. */
static const struct {
	CK_MECHANISM_TYPE gen;
	CK_KEY_TYPE key;
	CK_ULONG fixed;
} generators[] = {
	{ CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, 0 },
	{ CKM_SHA_1_KEY_GEN, CKK_SHA_1_HMAC, 0 },
	{ CKM_SHA224_KEY_GEN, CKK_SHA224_HMAC, 0 },
	{ CKM_SHA256_KEY_GEN, CKK_SHA256_HMAC, 0 },
	{ CKM_SHA384_KEY_GEN, CKK_SHA384_HMAC, 0 },
	{ CKM_SHA512_KEY_GEN, CKK_SHA512_HMAC, 0 },
	{ CKM_SHA3_224_KEY_GEN, CKK_SHA3_224_HMAC, 0 },
	{ CKM_SHA3_256_KEY_GEN, CKK_SHA3_256_HMAC, 0 },
	{ CKM_SHA3_384_KEY_GEN, CKK_SHA3_384_HMAC, 0 },
	{ CKM_SHA3_512_KEY_GEN, CKK_SHA3_512_HMAC, 0 },
	{ CKM_HKDF_KEY_GEN, CKK_HKDF, 0 },
	{ CKM_AES_KEY_GEN, CKK_AES, 0 },
	{ CKM_CHACHA20_KEY_GEN, CKK_CHACHA20, 32 },
};

static int
generate(struct stage *s, size_t i, CK_ULONG len, CK_OBJECT_HANDLE *ret)
{
	CK_MECHANISM mech = { generators[i].gen, NULL, 0 };
	CK_ATTRIBUTE templ[] = { BOOL_ATTR(CKA_SENSITIVE, false),
		BOOL_ATTR(CKA_EXTRACTABLE, true),
		ULONG_ATTR(CKA_VALUE_LEN, len) };

	return token_generate_key(s->t, &s->c, &mech, templ,
	    COUNT(templ) - (generators[i].fixed != 0), ret, NULL);
}

static void
expect_generated(struct stage *s, size_t i, CK_ULONG len)
{
	CK_OBJECT_HANDLE a = 0, b = 0;

	ok(generate(s, i, len, &a));
	ok(generate(s, i, len, &b));
	assert_int_equal(get_ulong(s, a, CKA_KEY_TYPE), generators[i].key);
	assert_int_equal(get_ulong(s, a, CKA_KEY_GEN_MECHANISM),
	    generators[i].gen);
	assert_true(get_bool(s, a, CKA_LOCAL));
	{
		_cleanup_(blob_clear) struct blob v = get_attr(s, a, CKA_VALUE);
		_cleanup_(blob_clear) struct blob w = get_attr(s, b, CKA_VALUE);

		assert_int_equal(v.len, len);
		assert_int_equal(w.len, len);
		if (len >= 16)
			assert_memory_not_equal(v.data, w.data, len);
	}
	if (generators[i].fixed == 0)
		assert_int_equal(get_ulong(s, a, CKA_VALUE_LEN), len);
}

static size_t
generator_of(const struct mech *m)
{
	for (size_t i = 0; i < COUNT(generators); i++)
		if (generators[i].gen == m->type)
			return i;
	print_message("# %s is not checked\n", m->name);
	fail();
	return 0;
}

static void
generated_secret_of_other_length(void **state)
{
	static const CK_ULONG any[] = { 1, 16, 33, 64, 4096 };
	static const CK_ULONG none[] = { 0, 4097, ULONG_MAX };
	struct stage *s = *state;
	const struct mech *m;
	size_t found = 0;

	for (size_t i = 0; (m = mech_at(&s->f.cfg, i)) != NULL; i++) {
		CK_OBJECT_HANDLE h = 0;
		size_t g;

		if ((m->flags & CKF_GENERATE) == 0 ||
		    m->type == CKM_PKCS5_PBKD2)
			continue;
		g = generator_of(m);
		found++;
		if (generators[g].fixed != 0) {
			expect_generated(s, g, generators[g].fixed);
			continue;
		}
		for (size_t k = 0; k < COUNT(none); k++)
			assert_int_equal(generate(s, g, none[k], &h),
			    CVM_E_KEY_SIZE);
		for (size_t k = 0; k < COUNT(any); k++)
			if (m->type != CKM_AES_KEY_GEN)
				expect_generated(s, g, any[k]);
		for (size_t k = 0; k < COUNT(aes_lens); k++)
			expect_generated(s, g, aes_lens[k]);
		if (m->type == CKM_AES_KEY_GEN)
			assert_int_equal(generate(s, g, 17, &h),
			    CVM_E_KEY_SIZE);
	}
	assert_int_equal(found, COUNT(generators));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MATERIAL(digest_differs_from_openssl),
		WITH_MATERIAL(hmac_differs_from_openssl),
		WITH_MATERIAL(general_hmac_of_wrong_length),
		WITH_MATERIAL(cmac_differs_from_openssl),
		WITH_MATERIAL(aes_differs_from_openssl),
		WITH_MATERIAL(gcm_differs_from_openssl),
		WITH_MATERIAL(ccm_differs_from_openssl),
		WITH_MATERIAL(generated_secret_of_other_length),
	};

	return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
