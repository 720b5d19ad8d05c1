/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include "tests/unit/objects-fixture.h"

#include "token/mech.h"

/* The table of mechanisms, their parameters, and the symmetric ones, checked
 * with values that NIST and RFCs published. */

static void
bytes_of(const char *hex, struct blob *ret)
{
	assert_int_equal(hex_decode_blob(hex, 4096, ret), CVM_OK);
}

static CK_OBJECT_HANDLE
secret_of(struct stage *s, CK_KEY_TYPE type, const char *hex)
{
	_cleanup_(blob_clear) struct blob key = { 0 };

	bytes_of(hex, &key);
	return make_secret(s, type, key.data, key.len);
}

static void
table_not_sorted(void **state)
{
	struct stage *s = *state;
	const struct mech *m;
	CK_MECHANISM_TYPE last = 0;
	size_t i = 0;

	for (; (m = mech_at(&s->f.cfg, i)) != NULL; i++) {
		assert_true(i == 0 || m->type > last);
		assert_ptr_equal(mech_find(&s->f.cfg, m->type), m);
		assert_int_equal(strncmp(m->name, "CKM_", 4), 0);
		last = m->type;
	}
	assert_true(i > 60);
	assert_null(mech_find(&s->f.cfg, CKM_MD5_RSA_PKCS));
	assert_null(mech_find(&s->f.cfg, CKM_DES3_CBC));
	assert_null(mech_find(&s->f.cfg, CKM_VENDOR_DEFINED));
}

static void
configured_list_ignored(void **state)
{
	struct stage *s = *state;
	char ecdsa[] = "CKM_ECDSA", gen[] = "CKM_EC_KEY_PAIR_GEN";
	char *names[] = { ecdsa, gen, NULL };
	struct config_token *cfg = &s->f.cfg;
	CK_MECHANISM sha = { CKM_SHA256, NULL, 0 };
	struct op *op = NULL;

	cfg->mechanisms.names = names;
	assert_non_null(mech_find(cfg, CKM_ECDSA));
	assert_null(mech_find(cfg, CKM_ECDSA_SHA256));
	assert_null(mech_find(cfg, CKM_RSA_PKCS));
	assert_null(mech_at(cfg, 2));
	assert_int_equal(op_new(s->t, cfg, OP_DIGEST, &sha, NULL, NULL, &op,
			     NULL),
	    CVM_E_MECH_INVALID);
	cfg->mechanisms.deny = true;
	assert_null(mech_find(cfg, CKM_ECDSA));
	assert_non_null(mech_find(cfg, CKM_ECDSA_SHA256));
	cfg->mechanisms.names = NULL;
	cfg->rsa_x509 = false;
	assert_null(mech_find(cfg, CKM_RSA_X_509));
}

static void
info_promises_too_much(void **state)
{
	struct stage *s = *state;
	CK_MECHANISM_INFO info;
	const struct mech *m = mech_find(&s->f.cfg, CKM_RSA_PKCS);

	s->f.cfg.min_rsa_bits = 3072;
	s->f.cfg.rsa_pkcs1_decrypt = false;
	mech_info(&s->f.cfg, m, &info);
	assert_int_equal(info.ulMinKeySize, 3072);
	assert_int_equal(info.ulMaxKeySize, 8192);
	assert_int_equal(info.flags & CKF_DECRYPT, 0);
	assert_int_equal(info.flags & CKF_UNWRAP, 0);
	assert_int_not_equal(info.flags & CKF_SIGN, 0);
	assert_int_equal(info.flags & CKF_HW, 0);
}

static void
key_used_for_other_things(void **state)
{
	struct stage *s = *state;
	struct pair rsa = make_rsa(s, 1024, false), ec = MAKE_EC(s, p256);
	CK_OBJECT_HANDLE aes = secret_of(s, CKK_AES,
	    "2b7e151628aed2a6abf7158809cf4f3c");
	CK_MECHANISM ecdsa = { CKM_ECDSA, NULL, 0 };
	CK_MECHANISM pkcs = { CKM_RSA_PKCS, NULL, 0 };
	CK_MECHANISM ecb = { CKM_AES_ECB, NULL, 0 };
	CK_MECHANISM hmac = { CKM_SHA256_HMAC, NULL, 0 };
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE unsign = { CKA_SIGN, &no, 1 };

	assert_int_equal(try_begin(s, OP_SIGN, &ecdsa, rsa.priv),
	    CVM_E_KEY_TYPE);
	assert_int_equal(try_begin(s, OP_SIGN, &ecdsa, ec.pub), CVM_E_KEY_TYPE);
	assert_int_equal(try_begin(s, OP_VERIFY, &ecdsa, ec.priv),
	    CVM_E_KEY_TYPE);
	assert_int_equal(try_begin(s, OP_ENCRYPT, &pkcs, rsa.priv),
	    CVM_E_KEY_TYPE);
	assert_int_equal(try_begin(s, OP_SIGN, &hmac, aes), CVM_E_KEY_TYPE);
	assert_int_equal(try_begin(s, OP_SIGN, &ecb, aes), CVM_E_MECH_INVALID);
	assert_int_equal(try_begin(s, OP_ENCRYPT, &ecdsa, ec.pub),
	    CVM_E_MECH_INVALID);
	assert_int_equal(try_begin(s, OP_SIGN, &ecdsa, ec.priv), CVM_OK);
	ok(token_set_attributes(s->t, &s->c, ec.priv, &unsign, 1, why));
	assert_int_equal(try_begin(s, OP_SIGN, &ecdsa, ec.priv),
	    CVM_E_KEY_FUNCTION);
	s->f.cfg.min_rsa_bits = 2048;
	assert_int_equal(try_begin(s, OP_SIGN, &pkcs, rsa.priv),
	    CVM_E_KEY_SIZE);
}

static void
allowed_mechanisms_ignored(void **state)
{
	struct stage *s = *state;
	CK_MECHANISM gen = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_MECHANISM_TYPE allow[] = { CKM_ECDSA_SHA384, CKM_ECDSA_SHA256 };
	CK_ATTRIBUTE pub[] = { BYTES_ATTR(CKA_EC_PARAMS, p256) };
	CK_ATTRIBUTE priv[] = { BYTES_ATTR(CKA_ALLOWED_MECHANISMS, allow) };
	CK_ATTRIBUTE odd[] = { { CKA_ALLOWED_MECHANISMS, allow, 7 } };
	CK_MECHANISM mech = { CKM_ECDSA_SHA256, NULL, 0 };
	CK_OBJECT_HANDLE a, b;

	ok(token_generate_pair(s->t, &s->c, &gen, pub, 1, priv, 1, &a, &b,
	    why));
	assert_int_equal(try_begin(s, OP_SIGN, &mech, b), CVM_OK);
	mech.mechanism = CKM_ECDSA;
	assert_int_equal(try_begin(s, OP_SIGN, &mech, b), CVM_E_MECH_INVALID);
	mech.mechanism = CKM_ECDSA_SHA1;
	assert_int_equal(try_begin(s, OP_SIGN, &mech, b), CVM_E_MECH_INVALID);
	assert_int_equal(try_begin(s, OP_VERIFY, &mech, a), CVM_OK);
	assert_int_equal(token_generate_pair(s->t, &s->c, &gen, pub, 1, odd, 1,
			     &a, &b, NULL),
	    CVM_E_ATTR_VALUE);
}

/* One way through, in one call and in parts of every size. */
static void
run_whole(struct stage *s, enum op_kind kind, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, struct span in, struct span want)
{
	_cleanup_(op_freep) struct op *op = begin(s, kind, mech, key);
	uint8_t out[512];
	CK_ULONG len = 0;

	ok(op_once(op, s->c.permit, in, NULL, &len, why));
	assert_true(len >= want.len && len <= want.len + 16);
	len = want.len;
	ok(op_once(op, s->c.permit, in, out, &len, why));
	assert_int_equal(len, want.len);
	assert_memory_equal(out, want.data, want.len);
}

static void
run_parts(struct stage *s, enum op_kind kind, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, struct span in, struct span want, size_t step,
    bool late)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	_cleanup_(op_freep) struct op *op = NULL;
	const struct permit *p = late ? NULL : s->c.permit;
	uint8_t out[512];
	size_t done = 0;
	CK_ULONG len, need;

	ok(token_object(s->t, &s->c, key, &o));
	ok(op_new(s->t, &s->f.cfg, kind, mech, o, p, &op, why));
	for (size_t at = 0; at < in.len; at += step) {
		size_t n = in.len - at < step ? in.len - at : step;

		need = 0;
		ok(op_update(op, p, span(in.data + at, n), NULL, &need, why));
		len = need;
		ok(op_update(op, p, span(in.data + at, n), out + done, &len,
		    why));
		assert_true(len <= need);
		done += len;
	}
	need = 0;
	ok(op_final(op, s->c.permit, NULL, &need, why));
	len = sizeof(out) - done;
	ok(op_final(op, s->c.permit, out + done, &len, why));
	assert_true(len <= need);
	done += len;
	assert_int_equal(done, want.len);
	assert_memory_equal(out, want.data, want.len);
}

static void
check_vector(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
    const char *plain_hex, const char *boxhex)
{
	_cleanup_(blob_clear) struct blob plain = { 0 };
	_cleanup_(blob_clear) struct blob text = { 0 };

	bytes_of(plain_hex, &plain);
	bytes_of(boxhex, &text);
	run_whole(s, OP_ENCRYPT, mech, key, blob_span(&plain),
	    blob_span(&text));
	run_whole(s, OP_DECRYPT, mech, key, blob_span(&text),
	    blob_span(&plain));
	for (size_t step = 1; step <= 33; step++)
		for (int late = 0; late < 2; late++) {
			run_parts(s, OP_ENCRYPT, mech, key, blob_span(&plain),
			    blob_span(&text), step, late == 1);
			run_parts(s, OP_DECRYPT, mech, key, blob_span(&text),
			    blob_span(&plain), step, late == 1);
		}
}

#define SP800_KEY "2b7e151628aed2a6abf7158809cf4f3c"
#define SP800_PLAIN                                                            \
	"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"

/* SP 800-38A appendix F, the first two blocks. */
static void
aes_not_of_sp800_38a(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_AES, SP800_KEY);
	CK_BYTE iv[16];
	CK_AES_CTR_PARAMS ctr = { .ulCounterBits = 128 };
	CK_MECHANISM ecb = { CKM_AES_ECB, NULL, 0 };
	CK_MECHANISM cbc = { CKM_AES_CBC, iv, 16 };
	CK_MECHANISM ctr_mech = { CKM_AES_CTR, &ctr, sizeof(ctr) };

	for (int i = 0; i < 16; i++) {
		iv[i] = (CK_BYTE)i;
		ctr.cb[i] = (CK_BYTE)(0xf0 + i);
	}
	check_vector(s, &ecb, key, SP800_PLAIN,
	    "3ad77bb40d7a3660a89ecaf32466ef97"
	    "f5d3d58503b9699de785895a96fdbaaf");
	check_vector(s, &cbc, key, SP800_PLAIN,
	    "7649abac8119b246cee98e9b12e9197d"
	    "5086cb9b507219ee95db113a917678b2");
	check_vector(s, &ctr_mech, key, SP800_PLAIN,
	    "874d6191b620e3261bef6864990db6ce"
	    "9806f66b7970fdff8617187bb9fffdff");
	ctr.ulCounterBits = 32;
	check_vector(s, &ctr_mech, key, SP800_PLAIN,
	    "874d6191b620e3261bef6864990db6ce"
	    "9806f66b7970fdff8617187bb9fffdff");
}

/* Padding: all lengths, and what is wrong at the end. */
static void
cbc_padding_wrong(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_AES, SP800_KEY);
	CK_BYTE iv[16] = { 9 };
	CK_MECHANISM mech = { CKM_AES_CBC_PAD, iv, 16 };
	CK_MECHANISM bare = { CKM_AES_CBC, iv, 16 };
	uint8_t plain[48], text[64], back[64];
	static const size_t wrong[] = { 0, 15, 17, 31 };
	CK_ULONG len, n;

	memset(plain, 0x33, sizeof(plain));
	for (size_t i = 0; i <= sizeof(plain); i++) {
		_cleanup_(
		    op_freep) struct op *enc = begin(s, OP_ENCRYPT, &mech, key);

		len = sizeof(text);
		ok(op_once(enc, s->c.permit, span(plain, i), text, &len, why));
		assert_int_equal(len, (i / 16 + 1) * 16);
		run_whole(s, OP_DECRYPT, &mech, key, span(text, len),
		    span(plain, i));
		for (size_t step = 1; step < 20; step++)
			run_parts(s, OP_DECRYPT, &mech, key, span(text, len),
			    span(plain, i), step, false);
	}
	for (size_t i = 0; i < COUNT(wrong); i++) {
		_cleanup_(
		    op_freep) struct op *dec = begin(s, OP_DECRYPT, &mech, key);
		_cleanup_(
		    op_freep) struct op *enc = begin(s, OP_ENCRYPT, &bare, key);

		n = sizeof(back);
		assert_int_equal(op_once(dec, s->c.permit, span(text, wrong[i]),
				     back, &n, NULL),
		    CVM_E_ENCRYPTED_LEN);
		n = sizeof(back);
		assert_int_equal(op_once(enc, s->c.permit,
				     span(plain, wrong[i]), back, &n, NULL),
		    i == 0 ? CVM_OK : CVM_E_DATA_LEN);
	}
	text[len - 17] ^= 0x20;
	{
		_cleanup_(
		    op_freep) struct op *dec = begin(s, OP_DECRYPT, &mech, key);

		n = sizeof(back);
		assert_int_equal(op_once(dec, s->c.permit, span(text, len),
				     back, &n, NULL),
		    CVM_E_ENCRYPTED_INVALID);
	}
}

/* The decrypted length is told, and the call can be repeated. */
static void
short_room_ends_decryption(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_AES, SP800_KEY);
	CK_BYTE iv[16] = { 0 };
	CK_MECHANISM mech = { CKM_AES_CBC_PAD, iv, 16 };
	_cleanup_(op_freep) struct op *enc = begin(s, OP_ENCRYPT, &mech, key);
	_cleanup_(op_freep) struct op *dec = begin(s, OP_DECRYPT, &mech, key);
	uint8_t box[32], back[32];
	CK_ULONG len = sizeof(box), n = 4;

	ok(op_once(enc, s->c.permit, text("five5five5five5five5"), box, &len,
	    why));
	assert_int_equal(op_once(dec, s->c.permit, span(box, len), back, &n,
			     NULL),
	    CVM_E_BUFFER_TOO_SMALL);
	assert_int_equal(n, 20);
	ok(op_once(dec, s->c.permit, span(box, len), back, &n, why));
	assert_memory_equal(back, "five5five5five5five5", 20);
}

static void
counter_wraps(void **state)
{
	/* From that byte on all ones, but the last is 0xfd: where that is all
	 * of the counter, three blocks are left. */
	static const struct {
		CK_ULONG bits;
		size_t ones;
		bool more;
	} cases[] = { { 8, 15, false }, { 9, 15, true }, { 63, 8, false },
		{ 64, 8, false }, { 64, 9, true }, { 65, 8, true },
		{ 72, 7, false }, { 127, 0, false }, { 128, 0, false },
		{ 128, 1, true } };
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_AES, SP800_KEY);
	CK_AES_CTR_PARAMS ctr = { 0 };
	CK_MECHANISM mech = { CKM_AES_CTR, &ctr, sizeof(ctr) };
	uint8_t in[64] = { 0 }, out[64];

	for (size_t i = 0; i < 2 * COUNT(cases); i++) {
		_cleanup_(op_freep) struct op *op = NULL;
		CK_ULONG len = 64, room = i % 2 == 0 ? 48 : 49;
		size_t first = cases[i / 2].ones;

		ctr = (CK_AES_CTR_PARAMS){ .ulCounterBits = cases[i / 2].bits };
		memset(&ctr.cb[first], 0xff, sizeof(ctr.cb) - first);
		ctr.cb[15] = 0xfd;
		op = begin(s, OP_ENCRYPT, &mech, key);
		assert_int_equal(op_once(op, s->c.permit, span(in, room), out,
				     &len, NULL),
		    room == 48 || cases[i / 2].more ? CVM_OK : CVM_E_DATA_LEN);
	}
	ctr.ulCounterBits = 0;
	assert_int_equal(try_begin(s, OP_ENCRYPT, &mech, key),
	    CVM_E_MECH_PARAM);
	ctr.ulCounterBits = 129;
	assert_int_equal(try_begin(s, OP_ENCRYPT, &mech, key),
	    CVM_E_MECH_PARAM);
	mech.ulParameterLen = 16;
	assert_int_equal(try_begin(s, OP_ENCRYPT, &mech, key),
	    CVM_E_MECH_PARAM);
}

/* The GCM specification's test case 4. */
static void
gcm_not_of_the_specification(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_AES,
	    "feffe9928665731c6d6a8f9467308308");
	_cleanup_(blob_clear) struct blob iv = { 0 };
	_cleanup_(blob_clear) struct blob aad = { 0 };
	CK_GCM_PARAMS gcm;
	CK_MECHANISM mech = { CKM_AES_GCM, &gcm, sizeof(gcm) };

	bytes_of("cafebabefacedbaddecaf888", &iv);
	bytes_of("feedfacedeadbeeffeedfacedeadbeefabaddad2", &aad);
	gcm = (CK_GCM_PARAMS){ iv.data, iv.len, 0, aad.data, aad.len, 128 };
	check_vector(s, &mech, key,
	    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	    "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
	    "5bc94fbc3221a5db94fae95ae7121a47");
}

/* Nothing of the plain text leaves before the tag is checked. */
static void
gcm_gives_out_forged_text(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_AES, SP800_KEY);
	CK_BYTE iv[12] = { 0 };
	CK_GCM_PARAMS gcm = { iv, 12, 96, NULL, 0, 96 };
	CK_MECHANISM mech = { CKM_AES_GCM, &gcm, sizeof(gcm) };
	_cleanup_(op_freep) struct op *enc = begin(s, OP_ENCRYPT, &mech, key);
	uint8_t box[44], out[44];
	CK_ULONG len = sizeof(box);

	ok(op_once(enc, s->c.permit, text("thirty-two bytes of plain text.."),
	    box, &len, why));
	assert_int_equal(len, 44);
	for (size_t i = 0; i < 44; i++) {
		_cleanup_(
		    op_freep) struct op *a = begin(s, OP_DECRYPT, &mech, key);
		_cleanup_(
		    op_freep) struct op *b = begin(s, OP_DECRYPT, &mech, key);

		box[i] ^= 4;
		memset(out, 0, sizeof(out));
		len = sizeof(out);
		assert_int_equal(op_once(a, s->c.permit, span(box, 44), out,
				     &len, NULL),
		    CVM_E_ENCRYPTED_INVALID);
		len = sizeof(out);
		ok(op_update(b, s->c.permit, span(box, 44), out, &len, why));
		assert_int_equal(len, 0);
		len = sizeof(out);
		assert_int_equal(op_final(b, s->c.permit, out, &len, NULL),
		    CVM_E_ENCRYPTED_INVALID);
		assert_true(span_is_filled(span(out, sizeof(out)), 0));
		box[i] ^= 4;
	}
}

static void
gcm_parameter_wrong(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_AES, SP800_KEY);
	CK_BYTE iv[200] = { 0 };
	CK_GCM_PARAMS good = { iv, 12, 96, NULL, 0, 128 }, gcm;
	CK_MECHANISM mech = { CKM_AES_GCM, &gcm, sizeof(gcm) };

	gcm = good;
	assert_int_equal(try_begin(s, OP_ENCRYPT, &mech, key), CVM_OK);
	for (int i = 0; i < 7; i++) {
		gcm = good;
		if (i == 0)
			gcm.ulIvLen = 0;
		if (i == 1)
			gcm.ulIvLen = 129;
		if (i == 2)
			gcm.pIv = NULL;
		if (i == 3)
			gcm.ulAADLen = 1;
		if (i == 4)
			gcm.ulTagBits = 88;
		if (i == 5)
			gcm.ulTagBits = 136;
		if (i == 6)
			gcm.ulTagBits = 100;
		assert_int_equal(try_begin(s, OP_ENCRYPT, &mech, key),
		    CVM_E_MECH_PARAM);
	}
}

/* RFC 3394 section 4.1, RFC 5649 section 6. */
static void
key_wrap_not_of_the_rfcs(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE kek = secret_of(s, CKK_AES,
	    "000102030405060708090a0b0c0d0e0f");
	CK_OBJECT_HANDLE kek2 = secret_of(s, CKK_AES,
	    "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
	CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 };
	CK_MECHANISM kwp = { CKM_AES_KEY_WRAP_KWP, NULL, 0 };
	static const struct {
		bool pad;
		size_t len;
	} bad[] = { { false, 8 }, { false, 17 }, { false, 0 }, { true, 0 } };
	uint8_t in[64] = { 0 }, out[64];

	check_vector(s, &kw, kek, "00112233445566778899aabbccddeeff",
	    "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5");
	check_vector(s, &kwp, kek2, "466f7250617369",
	    "afbeb0f07dfbf5419200f2ccb50bb24f");
	for (size_t i = 0; i < COUNT(bad); i++) {
		_cleanup_(op_freep) struct op *op = begin(s, OP_ENCRYPT,
		    bad[i].pad ? &kwp : &kw, kek);
		CK_ULONG len = sizeof(out);

		assert_int_equal(op_once(op, s->c.permit, span(in, bad[i].len),
				     out, &len, NULL),
		    CVM_E_DATA_LEN);
	}
}

static void
check_mac(struct stage *s, CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
    struct span in, const char *hex)
{
	_cleanup_(blob_clear) struct blob want = { 0 };
	_cleanup_(op_freep) struct op *good = begin(s, OP_VERIFY, mech, key);
	_cleanup_(op_freep) struct op *bad = begin(s, OP_VERIFY, mech, key);
	_cleanup_(op_freep) struct op *cut = begin(s, OP_VERIFY, mech, key);

	bytes_of(hex, &want);
	run_whole(s, OP_SIGN, mech, key, in, blob_span(&want));
	assert_int_equal(op_verify_once(good, in, blob_span(&want)), CVM_OK);
	assert_int_equal(op_verify_once(cut, in, span(want.data, want.len - 1)),
	    CVM_E_SIGNATURE_LEN);
	want.data[want.len - 1] ^= 0x80;
	assert_int_equal(op_verify_once(bad, in, blob_span(&want)),
	    CVM_E_SIGNATURE_INVALID);
}

/* RFC 4231 section 4.3, RFC 4493 section 4. */
static void
mac_not_of_the_rfcs(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE jefe = make_secret(s, CKK_GENERIC_SECRET, "Jefe", 4);
	CK_OBJECT_HANDLE typed = make_secret(s, CKK_SHA256_HMAC, "Jefe", 4);
	CK_OBJECT_HANDLE aes = secret_of(s, CKK_AES, SP800_KEY);
	CK_ULONG eight = 8, three = 3, more = 33;
	CK_MECHANISM sha256 = { CKM_SHA256_HMAC, NULL, 0 };
	CK_MECHANISM sha512 = { CKM_SHA512_HMAC, NULL, 0 };
	CK_MECHANISM general = { CKM_SHA256_HMAC_GENERAL, &eight,
		sizeof(eight) };
	CK_MECHANISM cmac = { CKM_AES_CMAC, NULL, 0 };
	struct span in = text("what do ya want for nothing?");

	check_mac(s, &sha256, jefe, in,
	    "5bdcc146bf60754e6a042426089575c7"
	    "5a003f089d2739839dec58b964ec3843");
	check_mac(s, &sha256, typed, in,
	    "5bdcc146bf60754e6a042426089575c7"
	    "5a003f089d2739839dec58b964ec3843");
	check_mac(s, &general, jefe, in, "5bdcc146bf60754e");
	check_mac(s, &sha512, jefe, in,
	    "164b7a7bfcf819e2e395fbe73b56e0a3"
	    "87bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd"
	    "caeab1a34d4a6b4b636e070a38bce737");
	check_mac(s, &cmac, aes, span("", 0),
	    "bb1d6929e95937287fa37d129b756746");
	assert_int_equal(try_begin(s, OP_SIGN, &sha512, typed), CVM_E_KEY_TYPE);
	general.pParameter = &three;
	assert_int_equal(try_begin(s, OP_SIGN, &general, jefe),
	    CVM_E_MECH_PARAM);
	general.pParameter = &more;
	assert_int_equal(try_begin(s, OP_SIGN, &general, jefe),
	    CVM_E_MECH_PARAM);
	general.pParameter = NULL;
	assert_int_equal(try_begin(s, OP_SIGN, &general, jefe),
	    CVM_E_MECH_PARAM);
}

/* RFC 3610 section 8, packet vector 1; SP 800-38C, examples 3 and 1. CCM is
 * given its length first, so its parts are held. */
static void
ccm_not_of_the_standard(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE a = secret_of(s, CKK_AES,
	    "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf");
	CK_OBJECT_HANDLE b = secret_of(s, CKK_AES,
	    "404142434445464748494a4b4c4d4e4f");
	_cleanup_(blob_clear) struct blob nonce = { 0 };
	_cleanup_(blob_clear) struct blob nonce3 = { 0 };
	_cleanup_(blob_clear) struct blob aad = { 0 };
	CK_CCM_PARAMS ccm;
	CK_MECHANISM mech = { CKM_AES_CCM, &ccm, sizeof(ccm) };

	bytes_of("00000003020100a0a1a2a3a4a5", &nonce);
	bytes_of("000102030405060708090a0b0c0d0e0f10111213", &aad);
	ccm = (CK_CCM_PARAMS){ 23, nonce.data, 13, aad.data, 8, 8 };
	check_vector(s, &mech, a,
	    "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e",
	    "588c979a61c663d2f066d0c2c0f989806d5f6b61dac384"
	    "17e8d12cfdf926e0");
	bytes_of("101112131415161718191a1b", &nonce3);
	ccm = (CK_CCM_PARAMS){ 24, nonce3.data, 12, aad.data, 20, 8 };
	check_vector(s, &mech, b,
	    "202122232425262728292a2b2c2d2e2f3031323334353637",
	    "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5"
	    "484392fbc1b09951");
	/* The shortest nonce, which leaves eight bytes for the length. */
	ccm = (CK_CCM_PARAMS){ 4, nonce3.data, 7, aad.data, 8, 4 };
	check_vector(s, &mech, b, "20212223", "7162015b4dac255d");
}

static void
ccm_parameter_wrong(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_AES, SP800_KEY);
	CK_BYTE nonce[14] = { 0 };
	CK_CCM_PARAMS good = { 24, nonce, 12, NULL, 0, 8 }, ccm;
	CK_MECHANISM mech = { CKM_AES_CCM, &ccm, sizeof(ccm) };

	for (int i = 0; i < 10; i++) {
		ccm = good;
		if (i == 1)
			ccm.ulNonceLen = 6;
		if (i == 2)
			ccm.ulNonceLen = 14;
		if (i == 3)
			ccm.pNonce = NULL;
		if (i == 4)
			ccm.ulAADLen = 1;
		if (i == 5)
			ccm.ulMACLen = 2;
		if (i == 6)
			ccm.ulMACLen = 9;
		if (i == 7)
			ccm.ulMACLen = 18;
		if (i == 8)
			ccm.ulDataLen = 1UL << 31;
		if (i == 9) {
			ccm.ulNonceLen = 13;
			ccm.ulDataLen = 65536;
		}
		assert_int_equal(try_begin(s, OP_ENCRYPT, &mech, key),
		    i == 0 ? CVM_OK : CVM_E_MECH_PARAM);
	}
}

static int
once(struct stage *s, enum op_kind kind, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key, struct span in, uint8_t *out, CK_ULONG *len)
{
	_cleanup_(op_freep) struct op *op = begin(s, kind, mech, key);

	return op_once(op, s->c.permit, in, out, len, NULL);
}

/* Every bit counts, of the nonce too; nothing leaves before the tag fits. */
static void
ccm_gives_out_forged_text(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_AES, SP800_KEY);
	CK_BYTE nonce[12] = { 0 };
	CK_CCM_PARAMS ccm = { 20, nonce, 12, NULL, 0, 16 };
	CK_MECHANISM mech = { CKM_AES_CCM, &ccm, sizeof(ccm) };
	uint8_t box[36], out[36];
	CK_ULONG len = sizeof(box);

	ok(once(s, OP_ENCRYPT, &mech, key, text("twenty bytes of text"), box,
	    &len));
	assert_int_equal(len, 36);
	for (size_t i = 0; i < 37; i++) {
		uint8_t *at = i == 36 ? nonce : &box[i];

		*at ^= 2;
		memset(out, 0, sizeof(out));
		len = sizeof(out);
		assert_int_equal(once(s, OP_DECRYPT, &mech, key, span(box, 36),
				     out, &len),
		    CVM_E_ENCRYPTED_INVALID);
		assert_true(span_is_filled(span(out, sizeof(out)), 0));
		*at ^= 2;
	}
	len = sizeof(out);
	assert_int_equal(once(s, OP_DECRYPT, &mech, key, span(box, 35), out,
			     &len),
	    CVM_E_ENCRYPTED_LEN);
	assert_int_equal(once(s, OP_DECRYPT, &mech, key, span(box, 15), out,
			     &len),
	    CVM_E_ENCRYPTED_LEN);
	len = sizeof(out);
	assert_int_equal(once(s, OP_ENCRYPT, &mech, key, span(out, 19), box,
			     &len),
	    CVM_E_DATA_LEN);
}

/* A tag over nothing but additional data, and over nothing at all. */
static void
empty_text_not_sealed(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE aes = secret_of(s, CKK_AES, SP800_KEY);
	CK_OBJECT_HANDLE chacha = secret_of(s, CKK_CHACHA20,
	    SP800_KEY SP800_KEY);
	CK_BYTE nonce[12] = { 0 }, aad[] = "data";
	CK_CCM_PARAMS ccm = { 0, nonce, 12, aad, 4, 16 };
	CK_GCM_PARAMS gcm = { nonce, 12, 96, aad, 4, 128 };
	CK_SALSA20_CHACHA20_POLY1305_PARAMS cp = { nonce, 12, aad, 4 };
	CK_MECHANISM mechs[] = { { CKM_AES_CCM, &ccm, sizeof(ccm) },
		{ CKM_AES_GCM, &gcm, sizeof(gcm) },
		{ CKM_CHACHA20_POLY1305, &cp, sizeof(cp) } };

	for (size_t i = 0; i < COUNT(mechs); i++) {
		CK_OBJECT_HANDLE key = i == 2 ? chacha : aes;
		uint8_t box[16], out[16];
		CK_ULONG len = sizeof(box);

		ok(once(s, OP_ENCRYPT, &mechs[i], key, span("", 0), box, &len));
		assert_int_equal(len, 16);
		len = sizeof(out);
		ok(once(s, OP_DECRYPT, &mechs[i], key, span(box, 16), out,
		    &len));
		assert_int_equal(len, 0);
		aad[0] ^= 1;
		len = sizeof(out);
		assert_int_equal(once(s, OP_DECRYPT, &mechs[i], key,
				     span(box, 16), out, &len),
		    CVM_E_ENCRYPTED_INVALID);
		aad[0] ^= 1;
	}
}

/* RFC 8439 section 2.8.2. */
static void
chacha_not_of_rfc8439(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_CHACHA20,
	    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
	_cleanup_(blob_clear) struct blob nonce = { 0 };
	_cleanup_(blob_clear) struct blob aad = { 0 };
	CK_SALSA20_CHACHA20_POLY1305_PARAMS p, good;
	CK_MECHANISM mech = { CKM_CHACHA20_POLY1305, &p, sizeof(p) };

	bytes_of("070000004041424344454647", &nonce);
	bytes_of("50515253c0c1c2c3c4c5c6c7", &aad);
	good = p = (CK_SALSA20_CHACHA20_POLY1305_PARAMS){ nonce.data, 12,
		aad.data, 12 };
	check_vector(s, &mech, key,
	    "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
	    "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
	    "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
	    "637265656e20776f756c642062652069742e",
	    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
	    "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
	    "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
	    "3ff4def08e4b7a9de576d26586cec64b6116"
	    "1ae10b594f09e26a7e902ecbd0600691");
	for (int i = 0; i < 4; i++) {
		p = good;
		if (i == 0)
			p.ulNonceLen = 8;
		if (i == 1)
			p.ulNonceLen = 24;
		if (i == 2)
			p.pNonce = NULL;
		if (i == 3)
			p.pAAD = NULL;
		assert_int_equal(try_begin(s, OP_ENCRYPT, &mech, key),
		    CVM_E_MECH_PARAM);
	}
}

/* NIST CAVS gcmEncryptExtIV128 without text; the GCM specification's test
 * case 1; NIST's example of HMAC-SHA3-256. */
static void
gmac_and_sha3_hmac_not_of_nist(void **state)
{
	struct stage *s = *state;
	CK_OBJECT_HANDLE key = secret_of(s, CKK_AES,
	    "77be63708971c4e240d1cb79e8d77feb");
	CK_OBJECT_HANDLE zero = secret_of(s, CKK_AES,
	    "00000000000000000000000000000000");
	CK_OBJECT_HANDLE typed = secret_of(s, CKK_SHA3_256_HMAC,
	    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
	_cleanup_(blob_clear) struct blob iv = { 0 };
	_cleanup_(blob_clear) struct blob aad = { 0 };
	CK_BYTE none[12] = { 0 };
	CK_MECHANISM gmac = { CKM_AES_GMAC, NULL, 12 };
	CK_MECHANISM sha3 = { CKM_SHA3_256_HMAC, NULL, 0 };
	CK_MECHANISM other = { CKM_SHA3_384_HMAC, NULL, 0 };

	bytes_of("e0e00f19fed7ba0136a797f3", &iv);
	bytes_of("7a43ec1d9c0a5a78a0b16533a6213cab", &aad);
	gmac.pParameter = iv.data;
	check_mac(s, &gmac, key, blob_span(&aad),
	    "209fcc8d3675ed938e9c7166709dd946");
	gmac.pParameter = none;
	check_mac(s, &gmac, zero, span("", 0),
	    "58e2fccefa7e3061367f1d57a4e7455a");
	gmac.ulParameterLen = 16;
	assert_int_equal(try_begin(s, OP_SIGN, &gmac, key), CVM_E_MECH_PARAM);
	gmac.ulParameterLen = 0;
	assert_int_equal(try_begin(s, OP_SIGN, &gmac, key), CVM_E_MECH_PARAM);
	gmac.ulParameterLen = 12;
	gmac.pParameter = NULL;
	assert_int_equal(try_begin(s, OP_SIGN, &gmac, key), CVM_E_MECH_PARAM);
	check_mac(s, &sha3, typed, text("Sample message for keylen<blocklen"),
	    "4fe8e202c4f058e8dddc23d8c34e467343e23555e24fc2f025d598f558f67205");
	assert_int_equal(try_begin(s, OP_SIGN, &other, typed), CVM_E_KEY_TYPE);
}

/* FIPS 180-4 and FIPS 202, "abc". */
static void
digest_not_of_the_standard(void **state)
{
	static const struct {
		CK_MECHANISM_TYPE type;
		const char *want;
	} v[] = {
		{ CKM_SHA_1, "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ CKM_SHA224,
		    "23097d223405d8228642a477bda255b32aadbce4bda0b3f7"
		    "e36c9da7" },
		{ CKM_SHA256,
		    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9c"
		    "b410ff61f20015ad" },
		{ CKM_SHA3_256,
		    "3a985da74fe225b2045c172d6bd390bd855f086e3e9d52"
		    "5b46bfe24511431532" },
	};
	struct stage *s = *state;
	char box[1] = "";

	for (size_t i = 0; i < COUNT(v); i++) {
		CK_MECHANISM mech = { v[i].type, box, 0 };
		_cleanup_(blob_clear) struct blob want = { 0 };
		_cleanup_(op_freep) struct op *a = NULL;
		_cleanup_(op_freep) struct op *b = NULL;
		uint8_t out[64];
		CK_ULONG len = sizeof(out);

		bytes_of(v[i].want, &want);
		ok(op_new(s->t, &s->f.cfg, OP_DIGEST, &mech, NULL, NULL, &a,
		    why));
		ok(op_new(s->t, &s->f.cfg, OP_DIGEST, &mech, NULL, NULL, &b,
		    why));
		assert_false(op_needs_permit(a));
		ok(op_once(a, NULL, text("abc"), out, &len, why));
		assert_int_equal(len, want.len);
		assert_memory_equal(out, want.data, len);
		ok(op_update(b, NULL, text("a"), NULL, NULL, why));
		ok(op_update(b, NULL, text("bc"), NULL, NULL, why));
		len = want.len - 1;
		assert_int_equal(op_final(b, NULL, out, &len, NULL),
		    CVM_E_BUFFER_TOO_SMALL);
		ok(op_final(b, NULL, out, &len, why));
		assert_memory_equal(out, want.data, len);
		mech.ulParameterLen = 1;
		op_freep(&a);
		assert_int_equal(op_new(s->t, &s->f.cfg, OP_DIGEST, &mech, NULL,
				     NULL, &a, NULL),
		    CVM_E_MECH_PARAM);
	}
}

/* As of a key whose uses are admitted one by one: only these are bound to
 * their parameters. */
static struct op *
begin_bound(struct stage *s, enum op_kind kind, CK_MECHANISM *mech,
    CK_OBJECT_HANDLE key)
{
	_cleanup_(object_unrefp) struct object *o = NULL;
	struct op *op = NULL;

	ok(token_object(s->t, &s->c, key, &o));
	ok(op_new(s->t, &s->f.cfg, kind, mech, o, NULL, &op, why));
	return op;
}

/* What an admission is bound to differs when a parameter does. */
static void
parameter_not_in_its_digest(void **state)
{
	struct stage *s = *state;
	struct pair p = make_rsa(s, 1024, false);
	CK_RSA_PKCS_PSS_PARAMS pss = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
	CK_MECHANISM mech = { CKM_RSA_PKCS_PSS, &pss, sizeof(pss) };
	CK_MECHANISM none = { CKM_RSA_PKCS, NULL, 0 };
	uint8_t a[32], b[32], c[32], d[32], want[32];
	struct op *op = begin_bound(s, OP_SIGN, &mech, p.priv);
	static const uint8_t bytes[24] = { 0, 0, 0, 0, 0, 0, 2, 0x50, 0, 0, 0,
		0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 32 };

	ok(op_parameter_digest(op, a));
	op_freep(&op);
	ok(hash(HASH_SHA256, span(bytes, sizeof(bytes)), want));
	assert_memory_equal(a, want, 32);
	pss.sLen = 20;
	op = begin_bound(s, OP_SIGN, &mech, p.priv);
	ok(op_parameter_digest(op, b));
	op_freep(&op);
	pss.mgf = CKG_MGF1_SHA1;
	op = begin_bound(s, OP_SIGN, &mech, p.priv);
	ok(op_parameter_digest(op, c));
	op_freep(&op);
	op = begin_bound(s, OP_SIGN, &none, p.priv);
	ok(op_parameter_digest(op, d));
	op_freep(&op);
	assert_memory_not_equal(a, b, 32);
	assert_memory_not_equal(b, c, 32);
	ok(hash(HASH_SHA256, span("", 0), want));
	assert_memory_equal(d, want, 32);
}

/* "parameter-gcm" of attest/PROTOCOL.md, which auditors go by. */
static void
parameter_not_of_the_protocol(void **state)
{
	struct stage *s = *state;
	CK_BYTE iv[12] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
	CK_BYTE aad[] = { 'a', 'b', 'c' };
	CK_GCM_PARAMS gcm = { iv, sizeof(iv), 96, aad, sizeof(aad), 128 };
	CK_MECHANISM mech = { CKM_AES_GCM, &gcm, sizeof(gcm) };
	static const uint8_t want[32] = { 0xf8, 0xed, 0x32, 0x0c, 0xfe, 0x5f,
		0x84, 0xac, 0x16, 0xb9, 0x87, 0x9d, 0x18, 0xf6, 0xf7, 0x02,
		0xba, 0x7e, 0x69, 0x5a, 0x44, 0x5a, 0x3a, 0x62, 0x3c, 0xfa,
		0x48, 0x3d, 0x59, 0x89, 0xcd, 0xd2 };
	uint8_t got[32];
	struct op *op = begin_bound(s, OP_ENCRYPT, &mech,
	    secret_of(s, CKK_AES, SP800_KEY));

	ok(op_parameter_digest(op, got));
	op_freep(&op);
	assert_memory_equal(got, want, sizeof(want));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(table_not_sorted),
		ON_STAGE(configured_list_ignored),
		ON_STAGE(info_promises_too_much),
		ON_STAGE(key_used_for_other_things),
		ON_STAGE(allowed_mechanisms_ignored),
		ON_STAGE(aes_not_of_sp800_38a),
		ON_STAGE(cbc_padding_wrong),
		ON_STAGE(short_room_ends_decryption),
		ON_STAGE(counter_wraps),
		ON_STAGE(gcm_not_of_the_specification),
		ON_STAGE(gcm_gives_out_forged_text),
		ON_STAGE(gcm_parameter_wrong),
		ON_STAGE(key_wrap_not_of_the_rfcs),
		ON_STAGE(mac_not_of_the_rfcs),
		ON_STAGE(ccm_not_of_the_standard),
		ON_STAGE(ccm_parameter_wrong),
		ON_STAGE(ccm_gives_out_forged_text),
		ON_STAGE(empty_text_not_sealed),
		ON_STAGE(chacha_not_of_rfc8439),
		ON_STAGE(gmac_and_sha3_hmac_not_of_nist),
		ON_STAGE(digest_not_of_the_standard),
		ON_STAGE(parameter_not_in_its_digest),
		ON_STAGE(parameter_not_of_the_protocol),
	};

	return cmocka_run_group_tests_name("mech", tests, NULL, NULL);
}
