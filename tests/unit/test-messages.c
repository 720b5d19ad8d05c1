/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/blob.h"
#include "base/cleanup.h"
#include "tests/unit/scene-program.h"

/* Messages of CKM_AES_CCM and CKM_CHACHA20_POLY1305 (PKCS#11 3.0 sections 5.9
 * and 5.11), against what was published. */

static CK_BYTE nonce[13], tag[16], aad[64], text[256], sealed[256];
static CK_ULONG aad_len, text_len;

static union {
	CK_CCM_MESSAGE_PARAMS ccm;
	CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS chacha;
} param;
static CK_ULONG param_len;

static void
ccm_param(CK_ULONG nonce_len, CK_ULONG tag_len)
{
	param.ccm = (CK_CCM_MESSAGE_PARAMS){ .ulDataLen = text_len,
		.pNonce = nonce,
		.ulNonceLen = nonce_len,
		.nonceGenerator = CKG_NO_GENERATE,
		.pMAC = tag,
		.ulMACLen = tag_len };
	param_len = sizeof(param.ccm);
}

static void
chacha_param(CK_ULONG nonce_len, CK_ULONG tag_len)
{
	assert_int_equal(tag_len, 16);
	param.chacha = (CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS){ nonce,
		nonce_len, tag };
	param_len = sizeof(param.chacha);
}

static const struct answer {
	const char *name;
	CK_MECHANISM_TYPE mech;
	CK_KEY_TYPE type;
	const char *key, *nonce, *aad, *text, *sealed, *tag;
	void (*param)(CK_ULONG nonce_len, CK_ULONG tag_len);
} answers[] = {
	{ "SP 800-38C example 1", CKM_AES_CCM, CKK_AES,
	    "404142434445464748494a4b4c4d4e4f", "10111213141516",
	    "0001020304050607", "20212223", "7162015b", "4dac255d", ccm_param },
	{ "SP 800-38C example 2", CKM_AES_CCM, CKK_AES,
	    "404142434445464748494a4b4c4d4e4f", "1011121314151617",
	    "000102030405060708090a0b0c0d0e0f",
	    "202122232425262728292a2b2c2d2e2f",
	    "d2a1f0e051ea5f62081a7792073d593d", "1fc64fbfaccd", ccm_param },
	{ "RFC 8439 section 2.8.2", CKM_CHACHA20_POLY1305, CKK_CHACHA20,
	    "808182838485868788898a8b8c8d8e8f"
	    "909192939495969798999a9b9c9d9e9f",
	    "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	    "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
	    "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
	    "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
	    "637265656e20776f756c642062652069742e",
	    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
	    "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
	    "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
	    "3ff4def08e4b7a9de576d26586cec64b6116",
	    "1ae10b594f09e26a7e902ecbd0600691", chacha_param },
};

static CK_ULONG
unhex(const char *hex, CK_BYTE *out, size_t room)
{
	size_t n = strlen(hex) / 2;

	assert_true(n <= room);
	assert_int_equal(hex_decode(hex, out, n), CVM_OK);
	return n;
}

static CK_ULONG tag_len;

/* Everything of a, with its text and no tag. */
static void
set(const struct answer *a)
{
	CK_ULONG nonce_len = unhex(a->nonce, nonce, sizeof(nonce));

	tag_len = strlen(a->tag) / 2;
	aad_len = unhex(a->aad, aad, sizeof(aad));
	text_len = unhex(a->text, text, sizeof(text));
	memset(tag, 0, sizeof(tag));
	a->param(nonce_len, tag_len);
}

static CK_OBJECT_HANDLE
key_of(CK_SESSION_HANDLE s, const struct answer *a)
{
	static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = a->type;
	CK_BYTE value[32];
	CK_ULONG n = unhex(a->key, value, sizeof(value));
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_KEY_TYPE, &type, sizeof(type) }, { CKA_TOKEN, &no, 1 },
		{ CKA_ENCRYPT, &yes, 1 }, { CKA_DECRYPT, &yes, 1 },
		{ CKA_VALUE, value, n } };
	CK_OBJECT_HANDLE key = 0;

	assert_ok(C_CreateObject(s, t, NELEMS(t), &key));
	return key;
}

static CK_SESSION_HANDLE
begin(const struct scene_options *o)
{
	CK_SESSION_HANDLE s;

	scene_forget_stderr(&scene);
	scene_prepare(&scene, o);
	assert_ok(C_Initialize(NULL));
	s = open_session(RW);
	login(s);
	return s;
}

static void
is_published(const struct answer *a, const CK_BYTE *out, CK_ULONG n)
{
	CK_BYTE want[256];

	assert_int_equal(n, unhex(a->sealed, want, sizeof(want)));
	assert_memory_equal(out, want, n);
	assert_int_equal(tag_len, unhex(a->tag, want, sizeof(want)));
	assert_memory_equal(tag, want, tag_len);
}

static CK_RV
open_message(CK_SESSION_HANDLE s, CK_ULONG n)
{
	CK_BYTE back[256] = { 0 };
	CK_ULONG len = sizeof(back);
	CK_RV rv = C_DecryptMessage(s, &param, param_len, aad, aad_len, sealed,
	    n, back, &len);

	if (rv != CKR_OK)
		return rv;
	assert_int_equal(len, text_len);
	assert_memory_equal(back, text, text_len);
	return CKR_OK;
}

static void
expect_answer(CK_SESSION_HANDLE s, const struct answer *a)
{
	CK_OBJECT_HANDLE key = key_of(s, a);
	CK_ULONG n = sizeof(sealed), at = 0, done = 0;

	set(a);
	assert_ok(C_MessageEncryptInit(s, MECH(a->mech), key));
	assert_ok(C_EncryptMessage(s, &param, param_len, aad, aad_len, text,
	    text_len, sealed, &n));
	is_published(a, sealed, n);
	set(a);
	assert_ok(C_EncryptMessageBegin(s, &param, param_len, aad, aad_len));
	memset(sealed, 0, sizeof(sealed));
	while (at < text_len) {
		CK_ULONG take = text_len - at < 3 ? text_len - at : 3;
		CK_FLAGS end = at + take == text_len ? CKF_END_OF_MESSAGE : 0;

		n = sizeof(sealed) - done;
		assert_ok(C_EncryptMessageNext(s, &param, param_len, &text[at],
		    take, &sealed[done], &n, end));
		at += take;
		done += n;
	}
	is_published(a, sealed, done);
	assert_ok(C_MessageEncryptFinal(s));
	assert_ok(C_MessageDecryptInit(s, MECH(a->mech), key));
	assert_ok(open_message(s, text_len));
	assert_ok(C_MessageDecryptFinal(s));
	assert_ok(C_DestroyObject(s, key));
}

static void
messages_that_were_not_published(void **state)
{
	static const struct scene_options plain,
	    bound = { .bind = "operation" };
	const struct scene_options *const options[] = { &plain, &bound };

	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < NELEMS(options); i++) {
		CK_SESSION_HANDLE s = begin(options[i]);

		for (size_t k = 0; k < NELEMS(answers); k++)
			expect_answer(s, &answers[k]);
		assert_ok(C_Finalize(NULL));
	}
}

/* One bit of everything that is authenticated; the next message is whole. */
static void
changed_message_is_opened(void **state)
{
	CK_BYTE *const parts[] = { nonce, tag, aad, sealed };
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	for (size_t i = 0; i < NELEMS(answers); i++) {
		const struct answer *a = &answers[i];
		CK_OBJECT_HANDLE key = key_of(s, a);

		set(a);
		(void)unhex(a->tag, tag, sizeof(tag));
		(void)unhex(a->sealed, sealed, sizeof(sealed));
		assert_ok(C_MessageDecryptInit(s, MECH(a->mech), key));
		for (size_t k = 0; k < NELEMS(parts); k++) {
			parts[k][2] ^= 0x10;
			assert_rv(CKR_AEAD_DECRYPT_FAILED,
			    open_message(s, text_len));
			parts[k][2] ^= 0x10;
			assert_ok(open_message(s, text_len));
		}
		aad_len--;
		assert_rv(CKR_AEAD_DECRYPT_FAILED, open_message(s, text_len));
		aad_len++;
		assert_ok(C_MessageDecryptFinal(s));
		assert_ok(C_DestroyObject(s, key));
	}
}

static CK_RV
seal(CK_SESSION_HANDLE s)
{
	CK_ULONG n = sizeof(sealed);

	return C_EncryptMessage(s, &param, param_len, aad, aad_len, text,
	    text_len, sealed, &n);
}

/* Text that is given out over half of itself, both ways. */
static void
message_is_read_after_it_was_written_over(void **state)
{
	static const size_t from[] = { 0, 1, 16, 3, 0 };
	static const size_t to[] = { 1, 0, 0, 19, 0 };
	CK_BYTE room[256];
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	for (size_t i = 0; i < NELEMS(answers) * NELEMS(from); i++) {
		const struct answer *a = &answers[i / NELEMS(from)];
		CK_BYTE *in = &room[from[i % NELEMS(from)]];
		CK_BYTE *out = &room[to[i % NELEMS(from)]];
		CK_OBJECT_HANDLE key = key_of(s, a);
		CK_ULONG n;

		set(a);
		n = text_len;
		memcpy(in, text, n);
		assert_ok(C_MessageEncryptInit(s, MECH(a->mech), key));
		assert_ok(C_EncryptMessage(s, &param, param_len, aad, aad_len,
		    in, n, out, &n));
		is_published(a, out, n);
		memmove(in, out, n);
		assert_ok(C_MessageDecryptInit(s, MECH(a->mech), key));
		assert_ok(C_DecryptMessage(s, &param, param_len, aad, aad_len,
		    in, n, out, &n));
		assert_memory_equal(out, text, text_len);
		assert_ok(C_MessageEncryptFinal(s));
		assert_ok(C_MessageDecryptFinal(s));
		assert_ok(C_DestroyObject(s, key));
	}
}

/* SP 800-38C section A.1, and the lengths that are announced. */
static void
parameters_of_ccm_that_are_none(void **state)
{
	static const CK_ULONG nonces[] = { 0, 6, 14, 257, ~0UL };
	static const CK_ULONG tags[] = { 0, 2, 5, 17, ~0UL };
	static const CK_GENERATOR_FUNCTION generators[] = { 5, ~0UL };
	const struct answer *a = &answers[1];
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	assert_ok(C_MessageEncryptInit(s, MECH(a->mech), key_of(s, a)));
	for (size_t i = 0; i < NELEMS(nonces); i++) {
		set(a);
		param.ccm.ulNonceLen = nonces[i];
		assert_rv(CKR_MECHANISM_PARAM_INVALID, seal(s));
		set(a);
		param.ccm.ulMACLen = tags[i];
		assert_rv(CKR_MECHANISM_PARAM_INVALID, seal(s));
	}
	for (size_t i = 0; i < NELEMS(generators); i++) {
		set(a);
		param.ccm.nonceGenerator = generators[i];
		assert_rv(CKR_MECHANISM_PARAM_INVALID, seal(s));
	}
	set(a);
	param.ccm.pMAC = NULL;
	assert_rv(CKR_MECHANISM_PARAM_INVALID, seal(s));
	set(a);
	param.ccm.pNonce = NULL;
	assert_rv(CKR_MECHANISM_PARAM_INVALID, seal(s));
	for (int off = -1; off <= 1; off += 2) {
		set(a);
		param.ccm.ulDataLen = text_len + (CK_ULONG)off;
		assert_rv(CKR_DATA_LEN_RANGE, seal(s));
	}
	set(a);
	assert_ok(seal(s));
	/* 64 bits are the least that are made at random. */
	param.ccm.nonceGenerator = CKG_GENERATE_RANDOM;
	assert_ok(seal(s));
	param.ccm.ulNonceFixedBits = 1;
	assert_rv(CKR_MECHANISM_PARAM_INVALID, seal(s));
	param.ccm.nonceGenerator = CKG_GENERATE_COUNTER;
	param.ccm.ulNonceFixedBits = 56;
	assert_ok(seal(s));
	assert_int_equal(nonce[7], 0);
	assert_ok(seal(s));
	assert_int_equal(nonce[7], 1);
}

static void
parameters_of_chacha_that_are_none(void **state)
{
	static const CK_ULONG nonces[] = { 0, 8, 11, 13, 24, ~0UL };
	const struct answer *a = &answers[2];
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	assert_ok(C_MessageEncryptInit(s, MECH(a->mech), key_of(s, a)));
	for (size_t i = 0; i < NELEMS(nonces); i++) {
		set(a);
		param.chacha.ulNonceLen = nonces[i];
		assert_rv(CKR_MECHANISM_PARAM_INVALID, seal(s));
	}
	set(a);
	param.chacha.pTag = NULL;
	assert_rv(CKR_MECHANISM_PARAM_INVALID, seal(s));
	set(a);
	param.chacha.pNonce = NULL;
	assert_rv(CKR_MECHANISM_PARAM_INVALID, seal(s));
	set(a);
	param_len--;
	assert_rv(CKR_MECHANISM_PARAM_INVALID, seal(s));
	set(a);
	assert_ok(seal(s));
}

/* Each has words in the log: the member, what was allowed, what came. */
static CK_RV
wrap_by(CK_SESSION_HANDLE s, CK_MECHANISM *mech)
{
	CK_ULONG n = sizeof(sealed);

	return C_WrapKey(s, mech, find(s, CKO_SECRET_KEY, "aes"),
	    find(s, CKO_SECRET_KEY, "mac"), sealed, &n);
}

static CK_RV
unwrap_by(CK_SESSION_HANDLE s, CK_MECHANISM *mech)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_KEY_TYPE, &type, sizeof(type) } };
	CK_OBJECT_HANDLE back = 0;

	return C_UnwrapKey(s, mech, find(s, CKO_SECRET_KEY, "aes"), sealed, 48,
	    t, NELEMS(t), &back);
}

static CK_RV
sign_by(CK_SESSION_HANDLE s, CK_MECHANISM *mech)
{
	return C_SignInit(s, mech, find(s, CKO_PRIVATE_KEY, "rsa"));
}

static CK_RV
derive_by(CK_SESSION_HANDLE s, CK_MECHANISM *mech)
{
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_ULONG len = 4097;
	CK_ATTRIBUTE t[] = { { CKA_KEY_TYPE, &type, sizeof(type) },
		{ CKA_VALUE_LEN, &len, sizeof(len) } };
	CK_OBJECT_HANDLE back = 0;

	return C_DeriveKey(s, mech, find(s, CKO_PRIVATE_KEY, "ec"), t,
	    NELEMS(t), &back);
}

#define GCM(...)                                                               \
	(&(CK_GCM_WRAP_PARAMS){ __VA_ARGS__ }), sizeof(CK_GCM_WRAP_PARAMS)
#define CCM(...)                                                               \
	(&(CK_CCM_WRAP_PARAMS){ __VA_ARGS__ }), sizeof(CK_CCM_WRAP_PARAMS)
#define PSS(...)                                                               \
	(&(CK_RSA_PKCS_PSS_PARAMS){ __VA_ARGS__ }),                            \
	    sizeof(CK_RSA_PKCS_PSS_PARAMS)
static const struct refusal {
	CK_RV (*fn)(CK_SESSION_HANDLE s, CK_MECHANISM *mech);
	CK_MECHANISM mech;
	const char *words;
} refusals[] = {
	{ wrap_by, { CKM_AES_GCM, GCM(nonce, 257, 0, 0, NULL, 0, 128) },
	    "CK_GCM_WRAP_PARAMS: ulIvLen: expected at most 256 bytes, "
	    "got 257" },
	{ wrap_by, { CKM_AES_GCM, GCM(nonce, 12, 0, 0, NULL, 0, 127) },
	    "ulTagBits: expected at most 128 bits, in whole bytes, "
	    "got 127" },
	{ wrap_by, { CKM_AES_GCM, GCM(nonce, 12, 0, 5, NULL, 0, 128) },
	    "ivGenerator: expected a generator (CKG_): 0 to 4, got 5" },
	{ wrap_by, { CKM_AES_GCM, GCM(NULL, 12, 0, 0, NULL, 0, 128) },
	    "pIv: expected a pointer, got NULL" },
	{ wrap_by,
	    { CKM_AES_GCM, GCM(nonce, 12, 97, CKG_GENERATE, NULL, 0, 128) },
	    "ulIvFixedBits: expected no more bits than the vector has, "
	    "got 97" },
	{ wrap_by,
	    { CKM_AES_GCM, GCM(nonce, 12, 33, CKG_GENERATE, NULL, 0, 128) },
	    "ulIvFixedBits: expected 64 bits or more left to the "
	    "generator, got 33" },
	{ wrap_by,
	    { CKM_AES_CCM,
		CCM(32, nonce, 12, 0, CKG_GENERATE_COUNTER, NULL, 0, 16) },
	    "CK_CCM_WRAP_PARAMS: nonceGenerator: expected one that "
	    "does not count: there is nothing to count in, got 2" },
	{ unwrap_by, { CKM_AES_CCM, CCM(32, nonce, 12, 0, 0, NULL, 0, 17) },
	    "ulMACLen: expected at most 16 bytes, got 17" },
	{ unwrap_by, { CKM_AES_CCM, CCM(32, nonce, 12, 0, ~0UL, NULL, 0, 16) },
	    "nonceGenerator: expected a generator (CKG_): 0 to 4, got "
	    "18446744073709551615" },
	{ sign_by, { CKM_RSA_PKCS_PSS, PSS(CKM_SHA256, 99, 32) },
	    "mgf: expected a known MGF1, got 0x63" },
	{ sign_by, { CKM_RSA_PKCS_PSS, PSS(CKM_SHA256, CKG_MGF1_SHA256, 223) },
	    "sLen: expected what the modulus has room for beside the "
	    "hash, got 223 bytes" },
	{ wrap_by, { CKM_AES_GCM, NULL, 0 },
	    "CKM_AES_GCM: parameter: expected a structure of 48 bytes, "
	    "got NULL, 0 bytes" },
	{ sign_by, { CKM_SHA256_RSA_PKCS, nonce, 3 },
	    "parameter: expected none, got 3 bytes" },
	{ sign_by, { CKM_SHA256_RSA_PKCS, NULL, 3 },
	    "pParameter: expected a pointer to ulParameterLen bytes, "
	    "got NULL, 3 bytes" },
};

static void
parameters_refused_without_a_word(void **state)
{
	CK_ECDH1_DERIVE_PARAMS ecdh = { CKD_SHA256_KDF, 0, NULL, 65, text };
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	for (size_t i = 0; i < NELEMS(refusals); i++) {
		CK_MECHANISM mech = refusals[i].mech;

		assert_rv(CKR_MECHANISM_PARAM_INVALID,
		    refusals[i].fn(s, &mech));
		if (!scene_logged(&scene, refusals[i].words))
			fail_msg("not in the log: %s", refusals[i].words);
	}
	assert_int_not_equal(derive_by(s,
				 &(CK_MECHANISM){ CKM_ECDH1_DERIVE, &ecdh,
				     sizeof(ecdh) }),
	    CKR_OK);
	assert_true(scene_logged(&scene,
	    "CKA_VALUE_LEN: expected at most 4096 bytes, got 4097"));
}

static CK_RV
begin_with(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type,
    CK_ULONG len)
{
	static CK_BYTE none[128];
	CK_MECHANISM mech = { type, len == 0 ? NULL : none, len };
	CK_RV rv = C_MessageEncryptInit(s, &mech, key);

	assert_rv(rv, C_MessageDecryptInit(s, &mech, key));
	if (rv == CKR_OK) {
		assert_ok(C_MessageEncryptFinal(s));
		assert_ok(C_MessageDecryptFinal(s));
	}
	return rv;
}

/* Messages bring their parameter (PKCS#11 3.0 section 5.9.1: C_EncryptMessage);
 * what comes with the mechanism may be any that it knows, or none. */
static void
parameters_before_messages(void **state)
{
	static const struct {
		CK_MECHANISM_TYPE mech;
		const struct answer *answer;
		CK_ULONG len[3];
	} rows[] = {
		{ CKM_AES_GCM, &answers[1],
		    { 0, sizeof(CK_GCM_MESSAGE_PARAMS),
			sizeof(CK_GCM_PARAMS) } },
		{ CKM_AES_CCM, &answers[1],
		    { 0, sizeof(CK_CCM_MESSAGE_PARAMS),
			sizeof(CK_CCM_PARAMS) } },
		{ CKM_CHACHA20_POLY1305, &answers[2],
		    { 0, sizeof(CK_SALSA20_CHACHA20_POLY1305_MSG_PARAMS),
			sizeof(CK_SALSA20_CHACHA20_POLY1305_PARAMS) } },
	};
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&(struct scene_options){ 0 });
	for (size_t i = 0; i < NELEMS(rows); i++) {
		CK_OBJECT_HANDLE key = key_of(s, rows[i].answer);
		const CK_ULONG *l = rows[i].len;

		for (CK_ULONG n = 0; n <= 128; n++)
			assert_rv(n == l[0] || n == l[1] || n == l[2] ?
				CKR_OK :
				CKR_MECHANISM_PARAM_INVALID,
			    begin_with(s, key, rows[i].mech, n));
	}
}

#define TEST(fn) cmocka_unit_test_teardown(fn, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(messages_that_were_not_published),
		TEST(changed_message_is_opened),
		TEST(message_is_read_after_it_was_written_over),
		TEST(parameters_of_ccm_that_are_none),
		TEST(parameters_of_chacha_that_are_none),
		TEST(parameters_before_messages),
		TEST(parameters_refused_without_a_word),
	};

	return cmocka_run_group_tests_name("messages", tests, start, stop);
}
