/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/blob.h"
#include "base/cleanup.h"
#include "base/crypto.h"
#include "tests/unit/scene-program.h"

/*
 * The state machines and error codes of PKCS#11 3.2, section by section: of
 * operations (5.8 to 5.16), of sessions and objects (5.6, 5.7), of PINs (5.5).
 */

static void
begin(void)
{
	scene_forget_stderr(&scene);
	scene_prepare(&scene, &(struct scene_options){ 0 });
	assert_ok(C_Initialize(NULL));
}

static CK_BYTE data[64] = { 1, 2, 3 }, iv[16];

/* Digests have no key; the others' are alike. */
static CK_RV
digest_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	(void)key;
	return C_DigestInit(s, m);
}

/* Only ciphers give something before the end. */
static CK_RV
sign_update(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG n, CK_BYTE *out,
    CK_ULONG *out_len)
{
	(void)out;
	(void)out_len;
	return C_SignUpdate(s, in, n);
}

static CK_RV
digest_update(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG n, CK_BYTE *out,
    CK_ULONG *out_len)
{
	(void)out;
	(void)out_len;
	return C_DigestUpdate(s, in, n);
}

typedef CK_RV init_fn(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
typedef CK_RV data_fn(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *,
    CK_ULONG *);
typedef CK_RV final_fn(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG *);

static const struct family {
	const char *section;
	CK_FLAGS flag;
	init_fn *init;
	data_fn *once, *update;
	final_fn *final;
	CK_MECHANISM_TYPE mech;
	CK_ULONG param_len;
	CK_OBJECT_CLASS class;
	const char *key;
	CK_ULONG out_len; /* for all of data */
} families[] = {
	{ "5.8", CKF_ENCRYPT, C_EncryptInit, C_Encrypt, C_EncryptUpdate,
	    C_EncryptFinal, CKM_AES_CBC_PAD, 16, CKO_SECRET_KEY, "aes", 80 },
	{ "5.8", CKF_ENCRYPT, C_EncryptInit, C_Encrypt, C_EncryptUpdate,
	    C_EncryptFinal, CKM_AES_CBC, 16, CKO_SECRET_KEY, "aes", 64 },
	{ "5.10", CKF_DECRYPT, C_DecryptInit, C_Decrypt, C_DecryptUpdate,
	    C_DecryptFinal, CKM_AES_CBC, 16, CKO_SECRET_KEY, "aes", 64 },
	{ "5.12", CKF_DIGEST, digest_init, C_Digest, digest_update,
	    C_DigestFinal, CKM_SHA256, 0, 0, NULL, 32 },
	{ "5.12", CKF_DIGEST, digest_init, C_Digest, digest_update,
	    C_DigestFinal, CKM_SHA3_256, 0, 0, NULL, 32 },
	{ "5.13", CKF_SIGN, C_SignInit, C_Sign, sign_update, C_SignFinal,
	    CKM_SHA256_HMAC, 0, CKO_SECRET_KEY, "mac", 32 },
	{ "5.13", CKF_SIGN, C_SignInit, C_Sign, sign_update, C_SignFinal,
	    CKM_ECDSA_SHA256, 0, CKO_PRIVATE_KEY, "ec", 64 },
	{ "5.13", CKF_SIGN, C_SignInit, C_Sign, sign_update, C_SignFinal,
	    CKM_SHA256_RSA_PKCS, 0, CKO_PRIVATE_KEY, "rsa", 256 },
	{ "5.13", CKF_SIGN, C_SignInit, C_Sign, sign_update, C_SignFinal,
	    CKM_RSA_PKCS, 0, CKO_PRIVATE_KEY, "rsa", 256 },
};

/* A family on a session; assertions name its section. */
struct trial {
	const struct family *f;
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	CK_MECHANISM mech;
};

static void
expect(const struct trial *t, CK_RV want, CK_RV got, const char *what)
{
	if (got != want)
		print_error("section %s, mechanism 0x%lx, %s: 0x%lx, expected "
			    "0x%lx\n",
		    t->f->section, t->f->mech, what, got, want);
	assert_int_equal(got, want);
}

#define EXPECT(want, call) expect(t, want, call, #call)

static CK_RV
init(const struct trial *t)
{
	CK_MECHANISM m = t->mech;

	return t->f->init(t->s, &m, t->key);
}

static CK_RV
once(const struct trial *t, CK_BYTE *in, CK_ULONG n, CK_BYTE *out,
    CK_ULONG *len)
{
	return t->f->once(t->s, in, n, out, len);
}

static CK_RV
update(const struct trial *t, CK_BYTE *in, CK_ULONG n)
{
	CK_BYTE out[256];
	CK_ULONG len = sizeof(out);

	return t->f->update(t->s, in, n, out, &len);
}

static CK_RV
final(const struct trial *t, CK_BYTE *out, CK_ULONG *len)
{
	return t->f->final(t->s, out, len);
}

/* Nothing is in progress: every way to go on says so, and a new beginning is
 * possible. */
static void
expect_idle(const struct trial *t)
{
	CK_BYTE out[512];
	CK_ULONG n = sizeof(out);

	EXPECT(CKR_OPERATION_NOT_INITIALIZED, once(t, data, 16, out, &n));
	EXPECT(CKR_OPERATION_NOT_INITIALIZED, update(t, data, 16));
	EXPECT(CKR_OPERATION_NOT_INITIALIZED, final(t, out, &n));
	EXPECT(CKR_OPERATION_NOT_INITIALIZED, once(t, NULL, 16, NULL, NULL));
	EXPECT(CKR_OPERATION_NOT_INITIALIZED, final(t, NULL, NULL));
	EXPECT(CKR_ARGUMENTS_BAD, t->f->init(t->s, NULL, t->key));
}

static void
expect_active(const struct trial *t)
{
	EXPECT(CKR_OPERATION_ACTIVE, init(t));
}

/* 5.8.1: what is refused leaves nothing in progress. */
static void
bad_beginnings(const struct trial *t)
{
	CK_MECHANISM m = t->mech;
	CK_BYTE junk[40] = { 0 };

	m.mechanism = CKM_VENDOR_DEFINED;
	EXPECT(CKR_MECHANISM_INVALID, t->f->init(t->s, &m, t->key));
	m.mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN;
	m.ulParameterLen = 0;
	EXPECT(CKR_MECHANISM_INVALID, t->f->init(t->s, &m, t->key));
	m = (CK_MECHANISM){ t->f->mech, junk, 33 };
	EXPECT(CKR_MECHANISM_PARAM_INVALID, t->f->init(t->s, &m, t->key));
	m = (CK_MECHANISM){ t->f->mech, NULL, 16 };
	EXPECT(CKR_MECHANISM_PARAM_INVALID, t->f->init(t->s, &m, t->key));
	if (t->key != 0) {
		m = t->mech;
		EXPECT(CKR_KEY_HANDLE_INVALID, t->f->init(t->s, &m, 0));
		EXPECT(CKR_KEY_HANDLE_INVALID, t->f->init(t->s, &m, ~0UL));
		EXPECT(CKR_KEY_TYPE_INCONSISTENT,
		    t->f->init(t->s, &m,
			find(t->s, CKO_PUBLIC_KEY,
			    t->f->key[0] == 'r' ? "ec" : "rsa")));
	}
	EXPECT(CKR_SESSION_HANDLE_INVALID, t->f->init(0, &m, t->key));
	expect_idle(t);
}

/* 5.2: a question for the size and a buffer that is too small change nothing.
 * Every other end is an end. */
static void
lengths_of_one_shot(const struct trial *t)
{
	CK_BYTE out[512], again[512];
	CK_ULONG n = 0, m;

	EXPECT(CKR_OK, init(t));
	expect_active(t);
	EXPECT(CKR_OK, once(t, data, 32, NULL, &n));
	assert_true(n >= 16 && n <= t->f->out_len);
	m = 15;
	EXPECT(CKR_BUFFER_TOO_SMALL, once(t, data, 32, out, &m));
	assert_true(m > 15 && m <= n);
	m = 0;
	EXPECT(CKR_BUFFER_TOO_SMALL, once(t, data, 32, out, &m));
	expect_active(t);
	m = n;
	EXPECT(CKR_OK, once(t, data, 32, out, &m));
	expect_idle(t);
	EXPECT(CKR_OK, init(t));
	m = sizeof(again);
	EXPECT(CKR_OK, once(t, data, 32, again, &m));
	if (t->f->mech != CKM_ECDSA_SHA256)
		assert_memory_equal(out, again, m);
	expect_idle(t);
}

static void
errors_end_one_shot(const struct trial *t)
{
	CK_BYTE out[512];
	CK_ULONG n = sizeof(out);

	EXPECT(CKR_OK, init(t));
	EXPECT(CKR_ARGUMENTS_BAD, once(t, NULL, 32, out, &n));
	expect_idle(t);
	EXPECT(CKR_OK, init(t));
	EXPECT(CKR_ARGUMENTS_BAD, once(t, data, 32, out, NULL));
	expect_idle(t);
	/* One part, and there is no way back to one-shot. */
	EXPECT(CKR_OK, init(t));
	EXPECT(CKR_OK, update(t, data, 16));
	EXPECT(CKR_OPERATION_ACTIVE, once(t, data, 16, out, &n));
	expect_idle(t);
	/* Nor is a question for the size of the whole followed by parts. */
	EXPECT(CKR_OK, init(t));
	EXPECT(CKR_OK, once(t, data, 16, NULL, &n));
	EXPECT(CKR_OPERATION_ACTIVE, update(t, data, 16));
	expect_idle(t);
	EXPECT(CKR_OK, init(t));
	EXPECT(CKR_OK, once(t, data, 16, NULL, &n));
	n = sizeof(out);
	EXPECT(CKR_OPERATION_ACTIVE, final(t, out, &n));
	expect_idle(t);
	EXPECT(CKR_OK, init(t));
	n = 1;
	EXPECT(CKR_BUFFER_TOO_SMALL, once(t, data, 16, out, &n));
	EXPECT(CKR_OPERATION_ACTIVE, final(t, out, &n));
	expect_idle(t);
}

static void
parts(const struct trial *t)
{
	CK_BYTE out[512];
	CK_ULONG n = 0, m;

	EXPECT(CKR_OK, init(t));
	EXPECT(CKR_OK, update(t, data, 16));
	EXPECT(CKR_OK, update(t, NULL, 0));
	EXPECT(CKR_OK, update(t, &data[16], 16));
	EXPECT(CKR_OK, final(t, NULL, &n));
	expect_active(t);
	if (n > 0) {
		m = n - 1;
		EXPECT(CKR_BUFFER_TOO_SMALL, final(t, out, &m));
		assert_int_equal(m, n);
		expect_active(t);
	}
	m = sizeof(out);
	EXPECT(CKR_OK, final(t, out, &m));
	expect_idle(t);
	EXPECT(CKR_OK, init(t));
	EXPECT(CKR_ARGUMENTS_BAD, update(t, NULL, 16));
	expect_idle(t);
	EXPECT(CKR_OK, init(t));
	EXPECT(CKR_OK, update(t, data, 16));
	EXPECT(CKR_ARGUMENTS_BAD, final(t, out, NULL));
	expect_idle(t);
	/* Nothing at all is a message, too. */
	EXPECT(CKR_OK, init(t));
	m = sizeof(out);
	EXPECT(CKR_OK, final(t, out, &m));
	expect_idle(t);
	EXPECT(CKR_OK, init(t));
	m = sizeof(out);
	EXPECT(CKR_OK, once(t, NULL, 0, out, &m));
	expect_idle(t);
}

/* 5.6.8 and 5.8.1: the two ways to give up. */
static void
cancels(const struct trial *t)
{
	EXPECT(CKR_OK, init(t));
	EXPECT(CKR_OK, C_SessionCancel(t->s, 0));
	EXPECT(CKR_OK, C_SessionCancel(t->s, ~t->f->flag));
	expect_active(t);
	EXPECT(CKR_OK, C_SessionCancel(t->s, t->f->flag));
	expect_idle(t);
	EXPECT(CKR_OK, init(t));
	EXPECT(CKR_OK, update(t, data, 16));
	EXPECT(CKR_OK, t->f->init(t->s, NULL, 0));
	expect_idle(t);
	EXPECT(CKR_SESSION_HANDLE_INVALID, C_SessionCancel(0, t->f->flag));
}

/* 5.6.2: a session's operations end with it. */
static void
closing(struct trial *t)
{
	CK_BYTE out[512];
	CK_ULONG n = sizeof(out);
	CK_SESSION_HANDLE kept = t->s;

	t->s = open_session(RO);
	EXPECT(CKR_OK, init(t));
	EXPECT(CKR_OK, C_CloseSession(t->s));
	EXPECT(CKR_SESSION_HANDLE_INVALID, once(t, data, 16, out, &n));
	EXPECT(CKR_SESSION_HANDLE_INVALID, update(t, data, 16));
	EXPECT(CKR_SESSION_HANDLE_INVALID, final(t, out, &n));
	EXPECT(CKR_SESSION_HANDLE_INVALID, init(t));
	t->s = kept;
}

static void
operations_begin_go_on_and_end(void **state)
{
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	begin();
	s = open_session(RO);
	login(s);
	for (size_t i = 0; i < NELEMS(families); i++) {
		const struct family *f = &families[i];
		struct trial t = { .f = f,
			.s = s,
			.mech = { f->mech, f->param_len > 0 ? iv : NULL,
			    f->param_len } };

		if (f->key != NULL)
			t.key = find(s, f->class, f->key);
		expect_idle(&t);
		bad_beginnings(&t);
		lengths_of_one_shot(&t);
		errors_end_one_shot(&t);
		parts(&t);
		cancels(&t);
		closing(&t);
	}
}

/* 5.15. */
static void
verification_ends_whatever_it_says(void **state)
{
	CK_BYTE sig[64];
	CK_ULONG n = sizeof(sig);
	CK_OBJECT_HANDLE key;
	CK_SESSION_HANDLE s;
	const struct {
		CK_RV want;
		CK_BYTE *in, *sig;
		CK_ULONG in_len, sig_len;
	} rows[] = {
		{ CKR_OK, data, sig, 40, 32 },
		{ CKR_SIGNATURE_INVALID, data, sig, 39, 32 },
		{ CKR_SIGNATURE_INVALID, NULL, sig, 0, 32 },
		{ CKR_SIGNATURE_LEN_RANGE, data, sig, 40, 31 },
		{ CKR_SIGNATURE_LEN_RANGE, data, sig, 40, 0 },
		{ CKR_SIGNATURE_LEN_RANGE, data, sig, 40, 33 },
		{ CKR_ARGUMENTS_BAD, NULL, sig, 40, 32 },
		{ CKR_ARGUMENTS_BAD, data, NULL, 40, 32 },
	};

	(void)state;
	NEEDS_MACHINE();
	begin();
	s = open_session(RO);
	login(s);
	key = find(s, CKO_SECRET_KEY, "mac");
	assert_ok(C_SignInit(s, MECH(CKM_SHA256_HMAC), key));
	assert_ok(C_Sign(s, data, 40, sig, &n));
	for (size_t i = 0; i < NELEMS(rows); i++) {
		assert_ok(C_VerifyInit(s, MECH(CKM_SHA256_HMAC), key));
		assert_rv(rows[i].want,
		    C_Verify(s, rows[i].in, rows[i].in_len, rows[i].sig,
			rows[i].sig_len));
		assert_rv(CKR_OPERATION_NOT_INITIALIZED,
		    C_Verify(s, data, 40, sig, 32));
		assert_ok(C_VerifyInit(s, MECH(CKM_SHA256_HMAC), key));
		if (rows[i].in == NULL && rows[i].in_len > 0) {
			assert_rv(CKR_ARGUMENTS_BAD,
			    C_VerifyUpdate(s, NULL, 40));
			continue;
		}
		assert_ok(C_VerifyUpdate(s, rows[i].in, rows[i].in_len));
		assert_rv(rows[i].want,
		    C_VerifyFinal(s, rows[i].sig, rows[i].sig_len));
		assert_rv(CKR_OPERATION_NOT_INITIALIZED,
		    C_VerifyFinal(s, sig, 32));
	}
}

/* 5.8.2, 5.10.2: lengths that a mode cannot have. */
static void
lengths_that_no_block_has(void **state)
{
	static const struct {
		CK_MECHANISM_TYPE mech;
		bool encrypts;
		CK_ULONG len;
		CK_RV want;
	} rows[] = {
		{ CKM_AES_CBC, true, 15, CKR_DATA_LEN_RANGE },
		{ CKM_AES_CBC, true, 17, CKR_DATA_LEN_RANGE },
		{ CKM_AES_CBC, false, 17, CKR_ENCRYPTED_DATA_LEN_RANGE },
		{ CKM_AES_CBC_PAD, false, 0, CKR_ENCRYPTED_DATA_LEN_RANGE },
		{ CKM_AES_CBC_PAD, false, 15, CKR_ENCRYPTED_DATA_LEN_RANGE },
		{ CKM_AES_CBC_PAD, false, 33, CKR_ENCRYPTED_DATA_LEN_RANGE },
	};
	CK_BYTE out[128];
	CK_OBJECT_HANDLE key;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	begin();
	s = open_session(RO);
	login(s);
	key = find(s, CKO_SECRET_KEY, "aes");
	for (size_t i = 0; i < NELEMS(rows); i++) {
		CK_MECHANISM m = { rows[i].mech, iv, sizeof(iv) };
		bool e = rows[i].encrypts;
		CK_ULONG n = sizeof(out);

		assert_ok((e ? C_EncryptInit : C_DecryptInit)(s, &m, key));
		assert_rv(rows[i].want,
		    (e ? C_Encrypt : C_Decrypt)(s, data, rows[i].len, out, &n));
		assert_rv(CKR_OPERATION_NOT_INITIALIZED,
		    (e ? C_Encrypt : C_Decrypt)(s, data, 16, out, &n));
		assert_ok((e ? C_EncryptInit : C_DecryptInit)(s, &m, key));
		n = sizeof(out);
		assert_ok((e ? C_EncryptUpdate : C_DecryptUpdate)(s, data,
		    rows[i].len, out, &n));
		n = sizeof(out);
		assert_rv(rows[i].want,
		    (e ? C_EncryptFinal : C_DecryptFinal)(s, out, &n));
		assert_rv(CKR_OPERATION_NOT_INITIALIZED,
		    (e ? C_EncryptFinal : C_DecryptFinal)(s, out, &n));
	}
}

/* 5.17: input and output may share their place, and both operations see what
 * they should. */
static void
dual_operations_in_place(void **state)
{
	CK_MECHANISM cbc = { CKM_AES_CBC, iv, sizeof(iv) };
	CK_BYTE text[64], want[64], digest[32], back[32];
	CK_ULONG n, m;
	CK_OBJECT_HANDLE key;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	begin();
	s = open_session(RO);
	login(s);
	key = find(s, CKO_SECRET_KEY, "aes");
	n = sizeof(want);
	assert_ok(C_EncryptInit(s, &cbc, key));
	assert_ok(C_Encrypt(s, data, sizeof(data), want, &n));
	m = sizeof(digest);
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_ok(C_Digest(s, data, sizeof(data), digest, &m));
	memcpy(text, data, sizeof(text));
	assert_ok(C_EncryptInit(s, &cbc, key));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_DigestEncryptUpdate(s, text, 64, text, &n));
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	n = 0;
	assert_ok(C_DigestEncryptUpdate(s, text, 64, NULL, &n));
	assert_int_equal(n, 64);
	n = 63;
	assert_rv(CKR_BUFFER_TOO_SMALL,
	    C_DigestEncryptUpdate(s, text, 64, text, &n));
	assert_int_equal(n, 64);
	assert_ok(C_DigestEncryptUpdate(s, text, 64, text, &n));
	assert_memory_equal(text, want, 64);
	assert_ok(C_DigestFinal(s, back, &m));
	assert_memory_equal(back, digest, 32);
	n = sizeof(want);
	assert_ok(C_EncryptFinal(s, want, &n));
	assert_int_equal(n, 0);
	assert_ok(C_DecryptInit(s, &cbc, key));
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	n = 64;
	assert_ok(C_DecryptDigestUpdate(s, text, 64, text, &n));
	assert_memory_equal(text, data, 64);
	assert_ok(C_DigestFinal(s, back, &m));
	assert_memory_equal(back, digest, 32);
	/* An error ends both. */
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_DecryptDigestUpdate(s, NULL, 64, text, &n));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_DigestUpdate(s, data, 1));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_DecryptFinal(s, text, &n));
}

static CK_RV
create(CK_SESSION_HANDLE s, bool token, bool private)
{
	CK_BBOOL is_token = token ? CK_TRUE : CK_FALSE;
	CK_BBOOL is_private = private ? CK_TRUE : CK_FALSE;
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_TOKEN, &is_token, sizeof(is_token) },
		{ CKA_PRIVATE, &is_private, sizeof(is_private) } };
	CK_OBJECT_HANDLE h = 0;
	CK_RV rv = C_CreateObject(s, t, NELEMS(t), &h);

	if (rv == CKR_OK)
		assert_ok(C_DestroyObject(s, h));
	return rv;
}

/* 5.6 and the user guide's tables of sessions: who may make which object,
 * initialise or change a PIN, and what the session says of itself. */
static void
sessions_may_what_their_state_says(void **state)
{
	enum { NOBODY, USER, SO };
	static const struct {
		CK_FLAGS flags;
		int who;
		CK_STATE state;
		CK_RV public, public_token, private, private_token;
		CK_RV init_pin, set_pin;
	} rows[] = {
		{ RO, NOBODY, CKS_RO_PUBLIC_SESSION, CKR_OK,
		    CKR_SESSION_READ_ONLY, CKR_USER_NOT_LOGGED_IN,
		    CKR_SESSION_READ_ONLY, CKR_USER_NOT_LOGGED_IN,
		    CKR_SESSION_READ_ONLY },
		{ RW, NOBODY, CKS_RW_PUBLIC_SESSION, CKR_OK, CKR_OK,
		    CKR_USER_NOT_LOGGED_IN, CKR_USER_NOT_LOGGED_IN,
		    CKR_USER_NOT_LOGGED_IN, CKR_PIN_INCORRECT },
		{ RO, USER, CKS_RO_USER_FUNCTIONS, CKR_OK,
		    CKR_SESSION_READ_ONLY, CKR_OK, CKR_SESSION_READ_ONLY,
		    CKR_USER_NOT_LOGGED_IN, CKR_SESSION_READ_ONLY },
		{ RW, USER, CKS_RW_USER_FUNCTIONS, CKR_OK, CKR_OK, CKR_OK,
		    CKR_OK, CKR_USER_NOT_LOGGED_IN, CKR_PIN_INCORRECT },
		{ RW, SO, CKS_RW_SO_FUNCTIONS, CKR_OK, CKR_OK,
		    CKR_USER_NOT_LOGGED_IN, CKR_USER_NOT_LOGGED_IN,
		    CKR_PIN_LEN_RANGE, CKR_PIN_INCORRECT },
	};
	CK_UTF8CHAR so[] = SO_PIN, wrong[] = "wrong pin", good[] = "good pin";

	(void)state;
	NEEDS_MACHINE();
	begin();
	for (size_t i = 0; i < NELEMS(rows); i++) {
		CK_SESSION_HANDLE s = open_session(rows[i].flags);
		CK_SESSION_INFO info;

		if (rows[i].who == USER)
			login(s);
		if (rows[i].who == SO)
			assert_ok(C_Login(s, CKU_SO, so, sizeof(so) - 1));
		assert_ok(C_GetSessionInfo(s, &info));
		assert_int_equal(info.state, rows[i].state);
		assert_int_equal(info.flags, rows[i].flags);
		assert_int_equal(info.slotID, the_slot());
		assert_rv(rows[i].public, create(s, false, false));
		assert_rv(rows[i].public_token, create(s, true, false));
		assert_rv(rows[i].private, create(s, false, true));
		assert_rv(rows[i].private_token, create(s, true, true));
		assert_rv(rows[i].init_pin, C_InitPIN(s, wrong, 3));
		assert_rv(rows[i].set_pin,
		    C_SetPIN(s, wrong, sizeof(wrong) - 1, good,
			sizeof(good) - 1));
		assert_ok(C_CloseSession(s));
	}
}

/* 5.5.8, 5.5.9: PINs are UTF-8 of 4 to 255 bytes. */
static void
pins_have_a_form(void **state)
{
	static const struct {
		const char *pin;
		CK_ULONG len;
		CK_RV want;
	} rows[] = {
		{ "", 0, CKR_PIN_LEN_RANGE },
		{ "abc", 3, CKR_PIN_LEN_RANGE },
		{ "abcd", 4, CKR_OK },
		{ "p\u00e4ss", 5, CKR_OK },
		{ "\xc3\xa4\xf0\x9f\x94\x91", 6, CKR_OK },
		{ "abc\xff", 4, CKR_PIN_INVALID },
		{ "abc\xc3", 4, CKR_PIN_INVALID },
		{ "ab\xc0\x80", 4, CKR_PIN_INVALID },
		{ "a\xed\xa0\x80", 4, CKR_PIN_INVALID },
		{ "ab\0d", 4, CKR_PIN_INVALID },
		{ "abc\n", 4, CKR_PIN_INVALID },
		{ USER_PIN, sizeof(USER_PIN) - 1, CKR_OK },
	};
	CK_UTF8CHAR so[] = SO_PIN, pin[300], old[300] = USER_PIN;
	CK_ULONG old_len = sizeof(USER_PIN) - 1;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	begin();
	s = open_session(RW);
	memset(pin, 'x', sizeof(pin));
	assert_rv(CKR_PIN_LEN_RANGE, C_SetPIN(s, old, old_len, pin, 256));
	assert_ok(C_SetPIN(s, old, old_len, pin, 255));
	memcpy(old, pin, 255);
	old_len = 255;
	for (size_t i = 0; i < NELEMS(rows); i++) {
		memcpy(pin, rows[i].pin, rows[i].len + 1);
		assert_rv(rows[i].want,
		    C_SetPIN(s, old, old_len, pin, rows[i].len));
		if (rows[i].want != CKR_OK)
			continue;
		memcpy(old, pin, rows[i].len);
		old_len = rows[i].len;
	}
	assert_rv(CKR_ARGUMENTS_BAD, C_SetPIN(s, NULL, 4, pin, 4));
	assert_rv(CKR_ARGUMENTS_BAD, C_SetPIN(s, old, old_len, NULL, 4));
	assert_ok(C_Login(s, CKU_SO, so, sizeof(so) - 1));
	assert_rv(CKR_ARGUMENTS_BAD, C_InitPIN(s, NULL, 4));
	assert_rv(CKR_PIN_LEN_RANGE, C_InitPIN(s, pin, 300));
	memcpy(pin, "abc\xff", 4);
	assert_rv(CKR_PIN_INVALID, C_InitPIN(s, pin, 4));
}

/* 3.2: fields are padded with blanks and hold no NUL; counts are right. */
static bool
is_padded(const unsigned char *field, size_t len)
{
	bool blanks = false;

	for (size_t i = 0; i < len; i++) {
		if (field[i] < 0x20 || (blanks && field[i] != ' '))
			return false;
		blanks |= field[i] == ' ' && i + 1 < len && field[i + 1] == ' ';
	}
	return field[len - 1] == ' ' || !blanks;
}

#define assert_padded(field) assert_true(is_padded(field, sizeof(field)))

static void
token_information(void **state)
{
	static const char blank[16] = "                ";
	CK_SESSION_HANDLE rw;
	CK_TOKEN_INFO t;
	CK_SLOT_INFO slot;
	CK_INFO info;

	(void)state;
	NEEDS_MACHINE();
	begin();
	(void)open_session(RO);
	rw = open_session(RW);
	assert_ok(C_GetInfo(&info));
	assert_int_equal(info.flags, 0);
	assert_padded(info.manufacturerID);
	assert_padded(info.libraryDescription);
	assert_ok(C_GetSlotInfo(the_slot(), &slot));
	assert_padded(slot.slotDescription);
	assert_padded(slot.manufacturerID);
	assert_ok(C_GetTokenInfo(the_slot(), &t));
	assert_padded(t.label);
	assert_padded(t.manufacturerID);
	assert_padded(t.model);
	assert_padded(t.serialNumber);
	assert_int_equal(t.flags &
		(CKF_CLOCK_ON_TOKEN | CKF_ERROR_STATE | CKF_WRITE_PROTECTED |
		    CKF_USER_PIN_COUNT_LOW | CKF_SO_PIN_COUNT_LOW),
	    0);
	assert_memory_equal(t.utcTime, blank, sizeof(t.utcTime));
	assert_int_equal(t.ulSessionCount, 2);
	assert_int_equal(t.ulRwSessionCount, 1);
	assert_int_equal(t.ulMinPinLen, 4);
	assert_int_equal(t.ulMaxPinLen, 255);
	assert_int_equal(t.ulTotalPublicMemory, CK_UNAVAILABLE_INFORMATION);
	assert_int_equal(t.ulFreePrivateMemory, CK_UNAVAILABLE_INFORMATION);
	assert_ok(C_CloseSession(rw));
	assert_ok(C_GetTokenInfo(the_slot(), &t));
	assert_int_equal(t.ulSessionCount, 1);
	assert_int_equal(t.ulRwSessionCount, 0);
	assert_ok(C_CloseAllSessions(the_slot()));
	assert_ok(C_GetTokenInfo(the_slot(), &t));
	assert_int_equal(t.ulSessionCount, 0);
}

/* 5.6.1, 5.18: arguments of what makes sessions and keys. */
static void
sessions_that_do_not_open(void **state)
{
	CK_SESSION_HANDLE s = 0;

	(void)state;
	NEEDS_MACHINE();
	begin();
	assert_rv(CKR_SESSION_PARALLEL_NOT_SUPPORTED,
	    C_OpenSession(the_slot(), 0, NULL, NULL, &s));
	assert_rv(CKR_SESSION_PARALLEL_NOT_SUPPORTED,
	    C_OpenSession(the_slot(), CKF_RW_SESSION, NULL, NULL, &s));
	assert_rv(CKR_SESSION_ASYNC_NOT_SUPPORTED,
	    C_OpenSession(the_slot(), RW | CKF_ASYNC_SESSION, NULL, NULL, &s));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_OpenSession(the_slot(), RW, NULL, NULL, NULL));
	assert_rv(CKR_SLOT_ID_INVALID,
	    C_OpenSession(the_slot() + 1, RW, NULL, NULL, &s));
	assert_int_equal(s, 0);
	assert_rv(CKR_SLOT_ID_INVALID, C_CloseAllSessions(the_slot() + 1));
	assert_rv(CKR_SESSION_HANDLE_INVALID, C_CloseSession(0));
}

static void
keys_that_do_not_fit(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE rsa, mac, aes, h;
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_KEY_TYPE, &type, sizeof(type) } };
	CK_BYTE out[64] = { 0 };
	CK_ULONG n = sizeof(out);

	(void)state;
	NEEDS_MACHINE();
	begin();
	s = open_session(RW);
	login(s);
	rsa = find(s, CKO_PRIVATE_KEY, "rsa");
	mac = find(s, CKO_SECRET_KEY, "mac");
	aes = find(s, CKO_SECRET_KEY, "aes");
	assert_rv(CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
	    C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), mac, aes, out, &n));
	assert_rv(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
	    C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP), mac, out, 40, t, 2, &h));
	assert_rv(CKR_KEY_UNEXTRACTABLE,
	    C_WrapKey(s, MECH(CKM_AES_KEY_WRAP_KWP), aes, rsa, out, &n));
	assert_rv(CKR_MECHANISM_INVALID,
	    C_WrapKey(s, MECH(CKM_SHA256), aes, mac, out, &n));
	assert_rv(CKR_WRAPPED_KEY_INVALID,
	    C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP), aes, out, 40, t, 2, &h));
	n = 39;
	assert_rv(CKR_BUFFER_TOO_SMALL,
	    C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), aes, mac, out, &n));
	assert_int_equal(n, 40);
	assert_rv(CKR_MECHANISM_INVALID,
	    C_GenerateKey(s, MECH(CKM_SHA256), t, 2, &h));
	assert_rv(CKR_TEMPLATE_INCOMPLETE,
	    C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), NULL, 0, &h));
	assert_rv(CKR_MECHANISM_INVALID,
	    C_DeriveKey(s, MECH(CKM_SHA256), rsa, t, 2, &h));
}

/* 5.1.6: CKR_KEY_HANDLE_INVALID is for handles of what is no key, too. */
static void
handle_of_no_key_is_a_key_of_wrong_type(void **state)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_BBOOL no = CK_FALSE;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_PRIVATE, &no, sizeof(no) } };
	CK_OBJECT_HANDLE aes, data_object = 0, h = 0;
	CK_SESSION_HANDLE s;
	uint8_t out[64] = { 0 };
	CK_ULONG n = sizeof(out);

	(void)state;
	NEEDS_MACHINE();
	begin();
	s = open_session(RW);
	login(s);
	aes = find(s, CKO_SECRET_KEY, "aes");
	assert_ok(C_CreateObject(s, t, NELEMS(t), &data_object));
	assert_rv(CKR_KEY_HANDLE_INVALID,
	    C_SignInit(s, MECH(CKM_ECDSA), data_object));
	assert_rv(CKR_KEY_HANDLE_INVALID,
	    C_VerifyInit(s, MECH(CKM_ECDSA), data_object));
	assert_rv(CKR_KEY_HANDLE_INVALID,
	    C_EncryptInit(s, MECH(CKM_AES_ECB), data_object));
	assert_rv(CKR_KEY_HANDLE_INVALID,
	    C_DecryptInit(s, MECH(CKM_AES_ECB), data_object));
	assert_rv(CKR_KEY_HANDLE_INVALID,
	    C_DeriveKey(s, MECH(CKM_SHA256), data_object, t, 1, &h));
	assert_rv(CKR_WRAPPING_KEY_HANDLE_INVALID,
	    C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), data_object, aes, out, &n));
	assert_rv(CKR_KEY_HANDLE_INVALID,
	    C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), aes, data_object, out, &n));
	assert_rv(CKR_UNWRAPPING_KEY_HANDLE_INVALID,
	    C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP), data_object, out, 40, t, 2,
		&h));
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_rv(CKR_KEY_HANDLE_INVALID, C_DigestKey(s, data_object));
}

#define TEST(fn) cmocka_unit_test_teardown(fn, teardown)

/* H(object id), as receipts name a secret key; and H of that. */
static void
fingerprint(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key, char hex[2][65])
{
	char id[64];
	CK_ATTRIBUTE a = { CKA_UNIQUE_ID, id, sizeof(id) };
	_cleanup_(blob_clear) struct blob bytes = { 0 };
	uint8_t digest[SHA512_LEN];

	assert_ok(C_GetAttributeValue(s, key, &a, 1));
	assert_true(a.ulValueLen < sizeof(id));
	id[a.ulValueLen] = '\0';
	assert_int_equal(hex_decode_blob(id, sizeof(id), &bytes), CVM_OK);
	assert_int_equal(hash(HASH_SHA256, blob_span(&bytes), digest), CVM_OK);
	(void)hex_encode(span(digest, SHA256_LEN), hex[0], 65);
	assert_int_equal(hash(HASH_SHA256, span(digest, SHA256_LEN), digest),
	    CVM_OK);
	(void)hex_encode(span(digest, SHA256_LEN), hex[1], 65);
}

static char *
slurp(const char *path)
{
	char *text = calloc(1, 1 << 20);
	FILE *f = fopen(path, "re");

	assert_non_null(text);
	assert_non_null(f);
	text[fread(text, 1, (1 << 20) - 1, f)] = '\0';
	(void)fclose(f);
	return text;
}

/* Both keys are in the line, whichever of them asks for the admission. */
static void
receipt_of_wrapping_omits_a_key(void **state)
{
	static CK_BBOOL yes = CK_TRUE;
	CK_ULONG len = 32;
	CK_ATTRIBUTE t[] = { { CKA_VALUE_LEN, &len, sizeof(len) },
		{ CKA_EXTRACTABLE, &yes, 1 }, { CKA_WRAP, &yes, 1 },
		{ CKA_CVM_BIND_OPERATION, &yes, 1 } };
	char wrapping[2][65], key[2][65], want[256], path[192];
	CK_OBJECT_HANDLE bound, aes;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	scene_prepare(&scene,
	    &(struct scene_options){ .receipts = "operations" });
	assert_ok(C_Initialize(NULL));
	s = open_session(RW);
	login(s);
	aes = find(s, CKO_SECRET_KEY, "aes");
	assert_ok(
	    C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), t, NELEMS(t), &bound));
	(void)snprintf(path, sizeof(path), "%s/web.receipts", scene.m.dir);
	for (int i = 0; i < 2; i++) {
		CK_OBJECT_HANDLE w = i == 0 ? aes : bound;
		CK_OBJECT_HANDLE k = i == 0 ? bound : aes;
		CK_BYTE out[64];
		CK_ULONG n = sizeof(out);

		fingerprint(s, w, wrapping);
		fingerprint(s, k, key);
		assert_ok(C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), w, k, out, &n));
		(void)snprintf(want, sizeof(want),
		    "\"key\":\"%s\",\"input_digest\":\"%s\"", wrapping[0],
		    key[1]);
		{
			_cleanup_(freep) char *log = slurp(path);

			assert_non_null(strstr(log, "\"C_WrapKey\""));
			if (strstr(log, want) == NULL)
				fail_msg("%s is not in\n%s", want, log);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(handle_of_no_key_is_a_key_of_wrong_type),
		TEST(operations_begin_go_on_and_end),
		TEST(verification_ends_whatever_it_says),
		TEST(lengths_that_no_block_has),
		TEST(dual_operations_in_place),
		TEST(sessions_may_what_their_state_says),
		TEST(pins_have_a_form),
		TEST(token_information),
		TEST(sessions_that_do_not_open),
		TEST(keys_that_do_not_fit),
		TEST(receipt_of_wrapping_omits_a_key),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
