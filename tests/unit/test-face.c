/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/scene-program.h"

/* What PKCS#11 3.0 and 3.2 add, on a token whose machine is admitted. */

static CK_SESSION_HANDLE
begin(const struct scene_options *o)
{
	CK_SESSION_HANDLE s;

	scene_forget_stderr(&scene);
	scene_prepare(&scene, o);
	assert_ok(C_Initialize(NULL));
	s = open_session(RW);
	if (o->login == NULL)
		login(s);
	return s;
}

static const struct scene_options plain, bound = { .bind = "operation" };
static CK_BYTE data[100] = { 1, 2, 3 };

/*
 * Verification with the signature first (PKCS#11 3.2 section 5.15).
 */
static CK_ULONG
make_signature(CK_SESSION_HANDLE s, CK_MECHANISM_TYPE mech,
    CK_OBJECT_HANDLE key, CK_BYTE sig[512])
{
	CK_ULONG n = 512;

	assert_ok(C_SignInit(s, MECH(mech), key));
	assert_ok(C_Sign(s, data, sizeof(data), sig, &n));
	return n;
}

static void
expect_signature_first(CK_SESSION_HANDLE s, CK_MECHANISM_TYPE mech,
    CK_OBJECT_HANDLE signer, CK_OBJECT_HANDLE key)
{
	CK_BYTE sig[512];
	CK_ULONG n = make_signature(s, mech, signer, sig);

	assert_ok(C_VerifySignatureInit(s, MECH(mech), key, sig, n));
	assert_ok(C_VerifySignature(s, data, sizeof(data)));
	assert_ok(C_VerifySignatureInit(s, MECH(mech), key, sig, n));
	assert_ok(C_VerifySignatureUpdate(s, data, 30));
	assert_ok(C_VerifySignatureUpdate(s, &data[30], 70));
	assert_ok(C_VerifySignatureFinal(s));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_VerifySignatureFinal(s));
	assert_ok(C_VerifySignatureInit(s, MECH(mech), key, sig, n));
	assert_rv(CKR_SIGNATURE_INVALID, C_VerifySignature(s, data, 99));
	assert_ok(C_VerifySignatureInit(s, MECH(mech), key, sig, n - 1));
	assert_rv(CKR_SIGNATURE_LEN_RANGE,
	    C_VerifySignature(s, data, sizeof(data)));
	assert_ok(C_VerifySignatureInit(s, MECH(mech), key, sig, n));
	/* What is kept is a copy. */
	sig[5] ^= 1;
	assert_ok(C_VerifySignature(s, data, sizeof(data)));
	assert_ok(C_VerifySignatureInit(s, MECH(mech), key, sig, n));
	assert_rv(CKR_SIGNATURE_INVALID,
	    C_VerifySignature(s, data, sizeof(data)));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_VerifySignature(s, data, sizeof(data)));
}

static void
signature_comes_first(void **state)
{
	const struct scene_options *const options[] = { &plain, &bound };

	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < NELEMS(options); i++) {
		CK_SESSION_HANDLE s = begin(options[i]);
		CK_OBJECT_HANDLE mac = find(s, CKO_SECRET_KEY, "mac");

		expect_signature_first(s, CKM_ECDSA_SHA256,
		    find(s, CKO_PRIVATE_KEY, "ec"),
		    find(s, CKO_PUBLIC_KEY, "ec"));
		expect_signature_first(s, CKM_SHA256_HMAC, mac, mac);
		assert_ok(C_Finalize(NULL));
	}
}

/* The two ways to verify share a session's place, but do not mix. */
static void
verifications_do_not_mix(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	CK_BYTE sig[512];
	CK_ULONG n;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&plain);
	key = find(s, CKO_SECRET_KEY, "mac");
	n = make_signature(s, CKM_SHA256_HMAC, key, sig);
	assert_ok(C_VerifySignatureInit(s, MECH(CKM_SHA256_HMAC), key, sig, n));
	assert_rv(CKR_OPERATION_ACTIVE,
	    C_VerifyInit(s, MECH(CKM_SHA256_HMAC), key));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_Verify(s, data, sizeof(data), sig, n));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_VerifyUpdate(s, data, 1));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_VerifyFinal(s, sig, n));
	assert_ok(C_VerifySignature(s, data, sizeof(data)));
	assert_ok(C_VerifyInit(s, MECH(CKM_SHA256_HMAC), key));
	assert_rv(CKR_OPERATION_ACTIVE,
	    C_VerifySignatureInit(s, MECH(CKM_SHA256_HMAC), key, sig, n));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_VerifySignature(s, data, sizeof(data)));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_VerifySignatureUpdate(s, data, 1));
	assert_ok(C_Verify(s, data, sizeof(data), sig, n));
	/* Refused from the beginning, and cancelled. */
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_VerifySignatureInit(s, MECH(CKM_SHA256_HMAC), key, NULL, n));
	assert_rv(CKR_SIGNATURE_LEN_RANGE,
	    C_VerifySignatureInit(s, MECH(CKM_SHA256_HMAC), key, sig, ~0UL));
	assert_ok(C_VerifySignatureInit(s, MECH(CKM_SHA256_HMAC), key, sig, n));
	assert_ok(C_VerifySignatureInit(s, NULL, 0, NULL, 0));
	assert_ok(C_VerifySignatureInit(s, MECH(CKM_SHA256_HMAC), key, sig, n));
	assert_ok(C_SessionCancel(s, CKF_VERIFY));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_VerifySignatureFinal(s));
	/* An update cannot be followed by the one-shot form. */
	assert_ok(C_VerifySignatureInit(s, MECH(CKM_SHA256_HMAC), key, sig, n));
	assert_ok(C_VerifySignatureUpdate(s, data, 1));
	assert_rv(CKR_OPERATION_ACTIVE,
	    C_VerifySignature(s, data, sizeof(data)));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_VerifySignatureFinal(s));
}

static void
no_validation_is_claimed(void **state)
{
	CK_FLAGS flags = ~0UL;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&plain);
	assert_ok(
	    C_GetSessionValidationFlags(s, CKS_LAST_VALIDATION_OK, &flags));
	assert_int_equal(flags, 0);
	assert_rv(CKR_ARGUMENTS_BAD, C_GetSessionValidationFlags(s, 0, &flags));
	assert_rv(CKR_ARGUMENTS_BAD, C_GetSessionValidationFlags(s, 2, &flags));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_GetSessionValidationFlags(s, CKS_LAST_VALIDATION_OK, NULL));
}

/*
 * Messages (PKCS#11 3.0 sections 5.9 and 5.11).
 */
static CK_BYTE iv[12], tag[16], aad[20] = { 7, 8, 9 };

static CK_GCM_MESSAGE_PARAMS
gcm(CK_GENERATOR_FUNCTION generator, CK_ULONG fixed)
{
	return (CK_GCM_MESSAGE_PARAMS){ iv, sizeof(iv), fixed, generator, tag,
		128 };
}

/* The one-shot form, whose tag is behind the text. */
static void
expect_same_as_one_shot(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key,
    const CK_BYTE *text, CK_ULONG n)
{
	CK_GCM_PARAMS p = { iv, sizeof(iv), 96, aad, sizeof(aad), 128 };
	CK_MECHANISM mech = { CKM_AES_GCM, &p, sizeof(p) };
	CK_BYTE out[sizeof(data) + 16];
	CK_ULONG len = sizeof(out);

	assert_ok(C_EncryptInit(s, &mech, key));
	assert_ok(C_Encrypt(s, data, n, out, &len));
	assert_int_equal(len, n + 16);
	assert_memory_equal(out, text, n);
	assert_memory_equal(&out[n], tag, 16);
}

static void
expect_messages(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_GCM_MESSAGE_PARAMS p = gcm(CKG_NO_GENERATE, 0);
	CK_MECHANISM mech = { CKM_AES_GCM, &p, sizeof(p) };
	CK_BYTE text[sizeof(data)], back[sizeof(data)];
	CK_ULONG n, m;

	assert_ok(C_MessageEncryptInit(s, &mech, key));
	assert_ok(C_MessageDecryptInit(s, MECH(CKM_AES_GCM), key));
	for (CK_ULONG len = 0; len <= sizeof(data); len += 25) {
		iv[0]++;
		n = sizeof(text);
		assert_ok(C_EncryptMessage(s, &p, sizeof(p), aad, sizeof(aad),
		    data, len, text, &n));
		assert_int_equal(n, len);
		expect_same_as_one_shot(s, key, text, len);
		m = sizeof(back);
		assert_ok(C_DecryptMessage(s, &p, sizeof(p), aad, sizeof(aad),
		    text, n, back, &m));
		assert_int_equal(m, len);
		assert_memory_equal(back, data, len);
		/* In place, both ways. */
		assert_ok(C_DecryptMessage(s, &p, sizeof(p), aad, sizeof(aad),
		    text, n, text, &n));
		assert_memory_equal(text, data, len);
		assert_ok(C_EncryptMessage(s, &p, sizeof(p), aad, sizeof(aad),
		    text, n, text, &n));
		expect_same_as_one_shot(s, key, text, len);
		tag[3] ^= 1;
		assert_rv(CKR_AEAD_DECRYPT_FAILED,
		    C_DecryptMessage(s, &p, sizeof(p), aad, sizeof(aad), text,
			n, back, &m));
		tag[3] ^= 1;
		aad[3] ^= 1;
		assert_rv(CKR_AEAD_DECRYPT_FAILED,
		    C_DecryptMessage(s, &p, sizeof(p), aad, sizeof(aad), text,
			n, back, &m));
		aad[3] ^= 1;
	}
	assert_ok(C_MessageEncryptFinal(s));
	assert_ok(C_MessageDecryptFinal(s));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_MessageEncryptFinal(s));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_MessageDecryptFinal(s));
}

/* In parts of all sizes, with the lengths of section 5.2 on the way. */
static CK_ULONG
feed(CK_SESSION_HANDLE s, bool encrypts, CK_GCM_MESSAGE_PARAMS *p,
    const CK_BYTE *in, CK_ULONG len, CK_BYTE *out)
{
	CK_ULONG done = 0;

	for (CK_ULONG at = 0, take = 0; at <= len; at += take, take += 7) {
		CK_FLAGS flags = at + take >= len ? CKF_END_OF_MESSAGE : 0;
		CK_BYTE part[sizeof(data)];
		CK_ULONG n = at + take >= len ? len - at : take, want = 0, room;
		CK_RV(*next)
		(CK_SESSION_HANDLE, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR,
		    CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR, CK_FLAGS) = encrypts ?
		    C_EncryptMessageNext :
		    C_DecryptMessageNext;

		memcpy(part, &in[at], n);
		assert_ok(next(s, p, sizeof(*p), part, n, NULL, &want, flags));
		room = want - 1;
		if (want > 0)
			assert_rv(CKR_BUFFER_TOO_SMALL,
			    next(s, p, sizeof(*p), part, n, out, &room, flags));
		assert_true(want == 0 || room == want);
		room = want;
		assert_ok(
		    next(s, p, sizeof(*p), part, n, &out[done], &room, flags));
		assert_int_equal(room, want);
		done += room;
		if (flags != 0)
			break;
	}
	return done;
}

static void
expect_parts(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_GCM_MESSAGE_PARAMS p = gcm(CKG_NO_GENERATE, 0);
	CK_BYTE text[sizeof(data) + 1], back[sizeof(data) + 1];
	CK_ULONG n = sizeof(text);

	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	assert_ok(C_MessageDecryptInit(s, MECH(CKM_AES_GCM), key));
	for (CK_ULONG len = 0; len <= sizeof(data); len += 20) {
		iv[1]++;
		assert_ok(
		    C_EncryptMessageBegin(s, &p, sizeof(p), aad, sizeof(aad)));
		assert_int_equal(feed(s, true, &p, data, len, text), len);
		expect_same_as_one_shot(s, key, text, len);
		assert_ok(
		    C_DecryptMessageBegin(s, &p, sizeof(p), aad, sizeof(aad)));
		assert_int_equal(feed(s, false, &p, text, len, back), len);
		assert_memory_equal(back, data, len);
		assert_ok(
		    C_DecryptMessageBegin(s, &p, sizeof(p), aad, sizeof(aad)));
		tag[0] ^= 1;
		n = sizeof(back);
		assert_rv(CKR_AEAD_DECRYPT_FAILED,
		    C_DecryptMessageNext(s, &p, sizeof(p), text, len, back, &n,
			CKF_END_OF_MESSAGE));
		assert_rv(CKR_OPERATION_NOT_INITIALIZED,
		    C_DecryptMessageNext(s, &p, sizeof(p), text, len, back, &n,
			CKF_END_OF_MESSAGE));
	}
	assert_ok(C_MessageEncryptFinal(s));
	assert_ok(C_MessageDecryptFinal(s));
}

static void
messages_are_the_one_shot_form(void **state)
{
	const struct scene_options *const options[] = { &plain, &bound };

	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < NELEMS(options); i++) {
		CK_SESSION_HANDLE s = begin(options[i]);
		CK_OBJECT_HANDLE key = find(s, CKO_SECRET_KEY, "aes");

		expect_messages(s, key);
		expect_parts(s, key);
		assert_ok(C_Finalize(NULL));
	}
}

static CK_RV
seal_counted(CK_SESSION_HANDLE s, CK_BYTE out[static sizeof(data)])
{
	CK_GCM_MESSAGE_PARAMS p = gcm(CKG_GENERATE_COUNTER, 32);
	CK_ULONG n = sizeof(data);

	return C_EncryptMessage(s, &p, sizeof(p), NULL, 0, data, sizeof(data),
	    out, &n);
}

/* Both would seal with the number that comes next. */
static void
child_counts_its_parents_nonces_on(void **state)
{
	CK_BYTE text[2][sizeof(data)], used[sizeof(iv)];
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	int status;
	pid_t pid;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&plain);
	key = find(s, CKO_SECRET_KEY, "aes");
	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	assert_ok(seal_counted(s, text[0]));
	memcpy(used, iv, sizeof(iv));
	pid = fork();
	if (pid == 0) {
		if (seal_counted(s, text[1]) != CKR_OPERATION_NOT_INITIALIZED)
			_exit(1);
		_exit(
		    C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key) == CKR_OK ?
			0 :
			2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_ok(seal_counted(s, text[1]));
	assert_memory_not_equal(used, iv, sizeof(iv));
	assert_ok(C_Finalize(NULL));
}

/* Section 5.9.1. */
static void
processes_that_do_not_begin(void **state)
{
	CK_MECHANISM wrong = { CKM_AES_GCM, iv, sizeof(iv) };
	CK_GCM_MESSAGE_PARAMS p = gcm(CKG_NO_GENERATE, 0);
	CK_BYTE out[sizeof(data)];
	CK_ULONG n = sizeof(out);
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key, ec;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&plain);
	key = find(s, CKO_SECRET_KEY, "aes");
	ec = find(s, CKO_PRIVATE_KEY, "ec");
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_EncryptMessage(s, &p, sizeof(p), NULL, 0, data, 1, out, &n));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_EncryptMessageBegin(s, &p, sizeof(p), NULL, 0));
	assert_rv(CKR_MECHANISM_INVALID,
	    C_MessageEncryptInit(s, MECH(CKM_AES_CBC), key));
	assert_rv(CKR_MECHANISM_INVALID,
	    C_MessageEncryptInit(s, MECH(CKM_ECDSA), ec));
	assert_rv(CKR_KEY_TYPE_INCONSISTENT,
	    C_MessageEncryptInit(s, MECH(CKM_AES_GCM), ec));
	assert_rv(CKR_KEY_HANDLE_INVALID,
	    C_MessageEncryptInit(s, MECH(CKM_AES_GCM), 0));
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    C_MessageEncryptInit(s, &wrong, key));
	assert_rv(CKR_ARGUMENTS_BAD, C_MessageEncryptInit(s, NULL, 0));
	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	assert_rv(CKR_OPERATION_ACTIVE,
	    C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	/* One process does not stand in the way of other operations. */
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_Encrypt(s, data, 1, out, &n));
}

static CK_RV
encrypt_9(CK_SESSION_HANDLE s, CK_GCM_MESSAGE_PARAMS p, CK_ULONG *n)
{
	CK_BYTE out[sizeof(data)];

	return C_EncryptMessage(s, &p, sizeof(p), NULL, 0, data, 9, out, n);
}

/* Section 5.9.2: what is refused is no message, and harms no other. */
static void
messages_that_are_refused(void **state)
{
	CK_GCM_MESSAGE_PARAMS p = gcm(CKG_NO_GENERATE, 0), q = p;
	CK_BYTE out[sizeof(data)];
	CK_ULONG n = 0;
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&plain);
	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM),
	    find(s, CKO_SECRET_KEY, "aes")));
	assert_ok(
	    C_EncryptMessage(s, &p, sizeof(p), NULL, 0, data, 9, NULL, &n));
	assert_int_equal(n, 9);
	n = 8;
	assert_rv(CKR_BUFFER_TOO_SMALL, encrypt_9(s, p, &n));
	assert_int_equal(n, 9);
	assert_rv(CKR_ARGUMENTS_BAD, encrypt_9(s, p, NULL));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_EncryptMessage(s, &p, sizeof(p), NULL, 0, NULL, 9, out, &n));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_EncryptMessage(s, &p, sizeof(p), NULL, 3, data, 9, out, &n));
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    C_EncryptMessage(s, NULL, sizeof(p), NULL, 0, data, 9, out, &n));
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    C_EncryptMessage(s, &p, sizeof(p) - 1, NULL, 0, data, 9, out, &n));
	q.pTag = NULL;
	assert_rv(CKR_MECHANISM_PARAM_INVALID, encrypt_9(s, q, &n));
	q = p;
	q.ulTagBits = 136;
	assert_rv(CKR_MECHANISM_PARAM_INVALID, encrypt_9(s, q, &n));
	q = p;
	q.ulIvLen = 0;
	assert_rv(CKR_MECHANISM_PARAM_INVALID, encrypt_9(s, q, &n));
	q.ulIvLen = ~0UL;
	assert_rv(CKR_MECHANISM_PARAM_INVALID, encrypt_9(s, q, &n));
	n = 9;
	assert_ok(encrypt_9(s, p, &n));
}

/* Sections 5.9.3 to 5.9.5: what may follow what. */
static void
messages_out_of_order(void **state)
{
	CK_GCM_MESSAGE_PARAMS p = gcm(CKG_NO_GENERATE, 0), q = p;
	CK_BYTE out[sizeof(data)];
	CK_ULONG n = sizeof(out);
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&plain);
	key = find(s, CKO_SECRET_KEY, "aes");
	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	assert_ok(C_EncryptMessageBegin(s, &p, sizeof(p), NULL, 0));
	assert_rv(CKR_OPERATION_ACTIVE,
	    C_EncryptMessageBegin(s, &p, sizeof(p), NULL, 0));
	assert_rv(CKR_OPERATION_ACTIVE, encrypt_9(s, p, &n));
	assert_rv(CKR_OPERATION_ACTIVE, C_MessageEncryptFinal(s));
	/* An error ends the message and leaves the process. */
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_EncryptMessageNext(s, &p, sizeof(p), data, 9, out, &n, 2));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_EncryptMessageNext(s, &p, sizeof(p), data, 9, out, &n, 0));
	assert_ok(C_EncryptMessageBegin(s, &p, sizeof(p), NULL, 0));
	q = p;
	q.ulTagBits = 96;
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    C_EncryptMessageNext(s, &q, sizeof(q), data, 9, out, &n, 0));
	n = sizeof(out);
	assert_ok(encrypt_9(s, p, &n));
	assert_ok(C_SessionCancel(s, CKF_MESSAGE_ENCRYPT));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_MessageEncryptFinal(s));
	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	assert_ok(C_EncryptMessageBegin(s, &p, sizeof(p), NULL, 0));
	assert_ok(C_MessageEncryptInit(s, NULL, 0));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_MessageEncryptFinal(s));
	/* A logout is felt by the next message. */
	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	assert_ok(C_Logout(s));
	n = sizeof(out);
	assert_rv(CKR_USER_NOT_LOGGED_IN, encrypt_9(s, p, &n));
}

static CK_RV
make_iv(CK_SESSION_HANDLE s, CK_GENERATOR_FUNCTION generator, CK_ULONG fixed)
{
	CK_GCM_MESSAGE_PARAMS p = gcm(generator, fixed);
	CK_BYTE out[1];
	CK_ULONG n = sizeof(out);

	return C_EncryptMessage(s, &p, sizeof(p), NULL, 0, data, 1, out, &n);
}

/* Section 6.13.2. */
static void
initialization_vectors_are_made(void **state)
{
	static const CK_BYTE ones[12] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	CK_BYTE last[12], want[12];
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&plain);
	key = find(s, CKO_SECRET_KEY, "aes");
	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	memcpy(iv, ones, sizeof(iv));
	memcpy(want, ones, sizeof(iv));
	for (CK_BYTE i = 0; i < 3; i++) {
		/* 20 bits are the application's, 76 count from zero. */
		assert_ok(make_iv(s, CKG_GENERATE_COUNTER, 20));
		memset(&want[2], 0, 10);
		want[2] = 0xf0;
		want[11] = i;
		assert_memory_equal(iv, want, sizeof(iv));
	}
	assert_ok(C_MessageEncryptFinal(s));
	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	memcpy(iv, ones, sizeof(iv));
	for (CK_BYTE i = 0; i < 3; i++) {
		assert_ok(make_iv(s, CKG_GENERATE_COUNTER_XOR, 32));
		memcpy(want, ones, sizeof(want));
		want[11] = (CK_BYTE)(0xff ^ i);
		assert_memory_equal(iv, want, sizeof(iv));
	}
	for (int i = 0; i < 2; i++) {
		CK_GENERATOR_FUNCTION g = i == 0 ? CKG_GENERATE :
						   CKG_GENERATE_RANDOM;

		memcpy(iv, ones, sizeof(iv));
		assert_ok(make_iv(s, g, 32));
		assert_memory_equal(iv, ones, 4);
		assert_memory_not_equal(&iv[4], &ones[4], 8);
		memcpy(last, iv, sizeof(iv));
		assert_ok(make_iv(s, g, 32));
		assert_memory_not_equal(iv, last, 12);
		/* Too little to be random in. */
		assert_rv(CKR_MECHANISM_PARAM_INVALID, make_iv(s, g, 33));
		assert_rv(CKR_MECHANISM_PARAM_INVALID, make_iv(s, g, 96));
		assert_rv(CKR_MECHANISM_PARAM_INVALID, make_iv(s, g, 97));
	}
	assert_rv(CKR_MECHANISM_PARAM_INVALID, make_iv(s, 99, 0));
	assert_ok(C_MessageEncryptFinal(s));
	/* One bit counts to two. */
	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), key));
	assert_ok(make_iv(s, CKG_GENERATE_COUNTER, 95));
	assert_ok(make_iv(s, CKG_GENERATE_COUNTER, 95));
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    make_iv(s, CKG_GENERATE_COUNTER, 95));
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    make_iv(s, CKG_GENERATE_COUNTER, 96));
}

/*
 * Signatures of messages (sections 5.14 and 5.16).
 */
static void
expect_signed_messages(CK_SESSION_HANDLE s, CK_MECHANISM_TYPE mech,
    CK_OBJECT_HANDLE signer, CK_OBJECT_HANDLE key)
{
	CK_BYTE sig[512];
	CK_ULONG n, want = 0;

	assert_ok(C_MessageSignInit(s, MECH(mech), signer));
	assert_ok(C_MessageVerifyInit(s, MECH(mech), key));
	for (CK_ULONG len = 1; len < 4; len++) {
		assert_ok(C_SignMessage(s, NULL, 0, data, len, NULL, &want));
		n = want - 1;
		assert_rv(CKR_BUFFER_TOO_SMALL,
		    C_SignMessage(s, NULL, 0, data, len, sig, &n));
		assert_int_equal(n, want);
		assert_ok(C_SignMessage(s, NULL, 0, data, len, sig, &n));
		assert_ok(C_VerifyMessage(s, NULL, 0, data, len, sig, n));
		assert_rv(CKR_SIGNATURE_INVALID,
		    C_VerifyMessage(s, NULL, 0, data, len + 1, sig, n));
		assert_rv(CKR_SIGNATURE_LEN_RANGE,
		    C_VerifyMessage(s, NULL, 0, data, len, sig, n - 1));
		assert_ok(C_VerifyInit(s, MECH(mech), key));
		assert_ok(C_Verify(s, data, len, sig, n));
		/* In parts, the last of which is asked for its size. */
		assert_ok(C_SignMessageBegin(s, NULL, 0));
		assert_ok(C_SignMessageNext(s, NULL, 0, data, 20, NULL, NULL));
		assert_ok(
		    C_SignMessageNext(s, NULL, 0, &data[20], 80, NULL, &n));
		n = want - 1;
		assert_rv(CKR_BUFFER_TOO_SMALL,
		    C_SignMessageNext(s, NULL, 0, &data[20], 80, sig, &n));
		assert_ok(
		    C_SignMessageNext(s, NULL, 0, &data[20], 80, sig, &n));
		assert_ok(
		    C_VerifyMessage(s, NULL, 0, data, sizeof(data), sig, n));
		assert_ok(C_VerifyMessageBegin(s, NULL, 0));
		assert_ok(C_VerifyMessageNext(s, NULL, 0, data, 70, NULL, 0));
		assert_ok(
		    C_VerifyMessageNext(s, NULL, 0, &data[70], 30, sig, n));
		assert_rv(CKR_OPERATION_NOT_INITIALIZED,
		    C_VerifyMessageNext(s, NULL, 0, data, 1, NULL, 0));
		assert_rv(CKR_OPERATION_NOT_INITIALIZED,
		    C_SignMessageNext(s, NULL, 0, data, 1, NULL, NULL));
	}
	assert_ok(C_MessageSignFinal(s));
	assert_ok(C_MessageVerifyFinal(s));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_MessageSignFinal(s));
}

static void
messages_are_signed(void **state)
{
	const struct scene_options *const options[] = { &plain, &bound };

	(void)state;
	NEEDS_MACHINE();
	for (size_t i = 0; i < NELEMS(options); i++) {
		CK_SESSION_HANDLE s = begin(options[i]);
		CK_OBJECT_HANDLE mac = find(s, CKO_SECRET_KEY, "mac");

		expect_signed_messages(s, CKM_ECDSA_SHA256,
		    find(s, CKO_PRIVATE_KEY, "ec"),
		    find(s, CKO_PUBLIC_KEY, "ec"));
		expect_signed_messages(s, CKM_SHA256_HMAC, mac, mac);
		assert_ok(C_Finalize(NULL));
	}
}

static void
signed_messages_out_of_order(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE key;
	CK_BYTE sig[64];
	CK_ULONG n = sizeof(sig);

	(void)state;
	NEEDS_MACHINE();
	s = begin(&plain);
	key = find(s, CKO_SECRET_KEY, "mac");
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_SignMessageBegin(s, NULL, 0));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_SignMessage(s, NULL, 0, data, 1, sig, &n));
	assert_ok(C_MessageSignInit(s, MECH(CKM_SHA256_HMAC), key));
	assert_rv(CKR_OPERATION_ACTIVE,
	    C_MessageSignInit(s, MECH(CKM_SHA256_HMAC), key));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_Sign(s, data, 1, sig, &n));
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    C_SignMessage(s, iv, sizeof(iv), data, 1, sig, &n));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_SignMessage(s, NULL, 0, NULL, 1, sig, &n));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_SignMessage(s, NULL, 0, data, 1, sig, NULL));
	assert_ok(C_SignMessageBegin(s, NULL, 0));
	assert_rv(CKR_OPERATION_ACTIVE, C_SignMessageBegin(s, NULL, 0));
	assert_rv(CKR_OPERATION_ACTIVE,
	    C_SignMessage(s, NULL, 0, data, 1, sig, &n));
	assert_rv(CKR_OPERATION_ACTIVE, C_MessageSignFinal(s));
	/* An error ends the message; what it had seen is forgotten. */
	assert_ok(C_SignMessageNext(s, NULL, 0, data, 9, NULL, NULL));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_SignMessageNext(s, NULL, 0, NULL, 9, NULL, NULL));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_SignMessageNext(s, NULL, 0, data, 9, NULL, NULL));
	n = sizeof(sig);
	assert_ok(C_SignMessage(s, NULL, 0, data, 1, sig, &n));
	assert_ok(C_VerifyInit(s, MECH(CKM_SHA256_HMAC), key));
	assert_ok(C_Verify(s, data, 1, sig, n));
	assert_ok(C_SessionCancel(s, CKF_MESSAGE_SIGN));
	assert_rv(CKR_OPERATION_NOT_INITIALIZED, C_MessageSignFinal(s));
}

/*
 * Authenticated wrapping (3.2 section 5.18).
 */
static CK_RV
unwrap_apart(CK_SESSION_HANDLE s, CK_MECHANISM *mech, CK_OBJECT_HANDLE key,
    CK_BYTE *wrapped, CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
	static CK_BBOOL yes = CK_TRUE;
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_KEY_TYPE, &type, sizeof(type) },
		{ CKA_SIGN, &yes, sizeof(yes) } };

	return C_UnwrapKeyAuthenticated(s, mech, key, wrapped, n, t, NELEMS(t),
	    aad, sizeof(aad), ret);
}

static void
expect_wrapped_apart(CK_SESSION_HANDLE s)
{
	CK_OBJECT_HANDLE aes = find(s, CKO_SECRET_KEY, "aes");
	CK_OBJECT_HANDLE mac = find(s, CKO_SECRET_KEY, "mac"), back = 0;
	CK_GCM_MESSAGE_PARAMS p = gcm(CKG_GENERATE, 0);
	CK_MECHANISM mech = { CKM_AES_GCM, &p, sizeof(p) };
	CK_BYTE wrapped[64], a[64], b[64];
	CK_ULONG n = 0, n_a = sizeof(a), n_b = sizeof(b);

	assert_ok(C_WrapKeyAuthenticated(s, &mech, aes, mac, aad, sizeof(aad),
	    NULL, &n));
	assert_int_equal(n, 32);
	n = 31;
	assert_rv(CKR_BUFFER_TOO_SMALL,
	    C_WrapKeyAuthenticated(s, &mech, aes, mac, aad, sizeof(aad),
		wrapped, &n));
	assert_int_equal(n, 32);
	memset(iv, 0, sizeof(iv));
	assert_ok(C_WrapKeyAuthenticated(s, &mech, aes, mac, aad, sizeof(aad),
	    wrapped, &n));
	assert_false(iv[0] == 0 && iv[3] == 0 && iv[7] == 0 && iv[11] == 0);
	assert_ok(unwrap_apart(s, &mech, aes, wrapped, n, &back));
	assert_ok(C_SignInit(s, MECH(CKM_SHA256_HMAC), mac));
	assert_ok(C_Sign(s, data, 10, a, &n_a));
	assert_ok(C_SignInit(s, MECH(CKM_SHA256_HMAC), back));
	assert_ok(C_Sign(s, data, 10, b, &n_b));
	assert_memory_equal(a, b, n_a);
	for (int i = 0; i < 3; i++) {
		CK_BYTE *at = i == 0 ? tag : i == 1 ? aad : wrapped;

		at[1] ^= 1;
		assert_rv(CKR_WRAPPED_KEY_INVALID,
		    unwrap_apart(s, &mech, aes, wrapped, n, &back));
		at[1] ^= 1;
	}
	/* No counter lives longer than the call. */
	p.ivGenerator = CKG_GENERATE_COUNTER;
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    C_WrapKeyAuthenticated(s, &mech, aes, mac, aad, sizeof(aad),
		wrapped, &n));
	p = gcm(CKG_NO_GENERATE, 0);
	assert_rv(CKR_MECHANISM_INVALID,
	    C_WrapKeyAuthenticated(s, MECH(CKM_AES_KEY_WRAP), aes, mac, aad,
		sizeof(aad), wrapped, &n));
	assert_rv(CKR_WRAPPING_KEY_HANDLE_INVALID,
	    C_WrapKeyAuthenticated(s, &mech, 0, mac, aad, sizeof(aad), wrapped,
		&n));
	assert_rv(CKR_KEY_HANDLE_INVALID,
	    C_WrapKeyAuthenticated(s, &mech, aes, 0, aad, sizeof(aad), wrapped,
		&n));
	assert_rv(CKR_UNWRAPPING_KEY_HANDLE_INVALID,
	    unwrap_apart(s, &mech, 0, wrapped, n, &back));
	assert_rv(CKR_WRAPPED_KEY_LEN_RANGE,
	    unwrap_apart(s, &mech, aes, wrapped, ~0UL, &back));
}

static void
keys_are_wrapped_apart_from_the_tag(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	expect_wrapped_apart(begin(&plain));
	assert_ok(C_Finalize(NULL));
	expect_wrapped_apart(begin(&bound));
}

/*
 * Wrapping with an AEAD by CK_GCM_WRAP_PARAMS and CK_CCM_WRAP_PARAMS (3.2), and
 * what is wrapped is what the older parameters wrap.
 */
static CK_RV
unwrap_by(CK_SESSION_HANDLE s, CK_MECHANISM *mech, CK_BYTE *wrapped, CK_ULONG n)
{
	CK_OBJECT_HANDLE aes = find(s, CKO_SECRET_KEY, "aes"), back = 0;
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_KEY_TYPE, &type, sizeof(type) } };
	CK_RV rv = C_UnwrapKey(s, mech, aes, wrapped, n, t, NELEMS(t), &back);

	if (rv == CKR_OK)
		assert_ok(C_DestroyObject(s, back));
	else
		assert_int_equal(back, 0);
	return rv;
}

/* generator and nonce are those of the parameter in m. */
static void
expect_wrapped_by(CK_SESSION_HANDLE s, CK_MECHANISM *m,
    CK_GENERATOR_FUNCTION *generator, CK_BYTE *nonce, CK_MECHANISM *older)
{
	static const CK_GENERATOR_FUNCTION refused[] = { CKG_GENERATE_COUNTER,
		CKG_GENERATE_COUNTER_XOR, 5, ~0UL };
	CK_OBJECT_HANDLE aes = find(s, CKO_SECRET_KEY, "aes");
	CK_OBJECT_HANDLE mac = find(s, CKO_SECRET_KEY, "mac");
	CK_BYTE wrapped[64], again[64], before[12];
	CK_ULONG n = 0, n_again = sizeof(again);

	memset(nonce, 0, 12);
	assert_ok(C_WrapKey(s, m, aes, mac, NULL, &n));
	assert_int_equal(n, 48);
	assert_memory_equal(nonce, (CK_BYTE[12]){ 0 }, 12);
	assert_ok(C_WrapKey(s, m, aes, mac, wrapped, &n));
	assert_memory_not_equal(nonce, (CK_BYTE[12]){ 0 }, 12);
	assert_ok(unwrap_by(s, m, wrapped, n));
	assert_ok(unwrap_by(s, older, wrapped, n));
	memcpy(before, nonce, 12);
	assert_ok(C_WrapKey(s, m, aes, mac, again, &n_again));
	assert_memory_not_equal(before, nonce, 12);
	*generator = CKG_NO_GENERATE;
	memcpy(nonce, before, 12);
	assert_ok(C_WrapKey(s, m, aes, mac, again, &n_again));
	assert_memory_equal(wrapped, again, n);
	for (int i = 0; i < 3; i++) {
		CK_BYTE *at = i == 0 ? nonce : i == 1 ? aad : &wrapped[n - 9];

		at[1] ^= 1;
		assert_rv(CKR_WRAPPED_KEY_INVALID, unwrap_by(s, m, wrapped, n));
		at[1] ^= 1;
	}
	for (size_t i = 0; i < NELEMS(refused); i++) {
		*generator = refused[i];
		assert_rv(CKR_MECHANISM_PARAM_INVALID,
		    C_WrapKey(s, m, aes, mac, again, &n_again));
	}
	assert_memory_equal(nonce, before, 12);
	*generator = CKG_GENERATE;
}

static void
expect_wrap_params(CK_SESSION_HANDLE s)
{
	CK_BYTE nonce[12];
	CK_GCM_WRAP_PARAMS g = { nonce, 12, 0, CKG_GENERATE, aad, sizeof(aad),
		128 };
	CK_CCM_WRAP_PARAMS c = { 32, nonce, 12, 0, CKG_GENERATE_RANDOM, aad,
		sizeof(aad), 16 };
	CK_GCM_PARAMS gcm_older = { nonce, 12, 96, aad, sizeof(aad), 128 };
	CK_CCM_PARAMS ccm_older = { 32, nonce, 12, aad, sizeof(aad), 16 };
	CK_MECHANISM mg = { CKM_AES_GCM, &g, sizeof(g) };
	CK_MECHANISM mc = { CKM_AES_CCM, &c, sizeof(c) };

	expect_wrapped_by(s, &mg, &g.ivGenerator, nonce,
	    &(CK_MECHANISM){ CKM_AES_GCM, &gcm_older, sizeof(gcm_older) });
	expect_wrapped_by(s, &mc, &c.nonceGenerator, nonce,
	    &(CK_MECHANISM){ CKM_AES_CCM, &ccm_older, sizeof(ccm_older) });
}

static void
nonces_of_wrapping_are_made_once(void **state)
{
	(void)state;
	NEEDS_MACHINE();
	expect_wrap_params(begin(&plain));
	assert_ok(C_Finalize(NULL));
	expect_wrap_params(begin(&bound));
}

/* Structures of one length: a length of the one is the tag's address in the
 * other, which nobody may read or write. */
static void
lengths_are_taken_for_tags(void **state)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_HANDLE aes, mac, back = 0;
	CK_BYTE nonce[12] = { 1 }, wrapped[64];
	CK_ULONG n = sizeof(wrapped);
	CK_GCM_PARAMS p = { nonce, 12, 96, aad, 4, 128 };
	CK_MECHANISM mech = { CKM_AES_GCM, &p, sizeof(p) };

	(void)state;
	NEEDS_MACHINE();
	assert_int_equal(sizeof(p), sizeof(CK_GCM_MESSAGE_PARAMS));
	s = begin(&plain);
	aes = find(s, CKO_SECRET_KEY, "aes");
	mac = find(s, CKO_SECRET_KEY, "mac");
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    C_WrapKeyAuthenticated(s, &mech, aes, mac, NULL, 0, wrapped, &n));
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    C_UnwrapKeyAuthenticated(s, &mech, aes, wrapped, 32, NULL, 0, NULL,
		0, &back));
	assert_ok(C_MessageEncryptInit(s, &mech, aes));
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    C_EncryptMessage(s, &p, sizeof(p), NULL, 0, data, 9, wrapped, &n));
	p.pAAD = NULL;
	p.ulAADLen = 0;
	assert_rv(CKR_MECHANISM_PARAM_INVALID,
	    C_EncryptMessage(s, &p, sizeof(p), NULL, 0, data, 9, wrapped, &n));
	assert_ok(C_MessageEncryptFinal(s));
}

/* Section 5.18: with what there is at run time, and no handle on a refusal. */
static void
encapsulation_is_asked_for_what_there_is_not(void **state)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_KEY_TYPE, &type, sizeof(type) } };
	CK_OBJECT_HANDLE pub, priv, h = 77;
	CK_BYTE out[2048];
	CK_ULONG n = sizeof(out);
	CK_SESSION_HANDLE s;

	(void)state;
	NEEDS_MACHINE();
	s = begin(&plain);
	pub = find(s, CKO_PUBLIC_KEY, "ec");
	priv = find(s, CKO_PRIVATE_KEY, "ec");
	assert_rv(CKR_MECHANISM_INVALID,
	    C_EncapsulateKey(s, MECH(CKM_SHA256), pub, t, 2, out, &n, &h));
	assert_rv(CKR_MECHANISM_INVALID,
	    C_DecapsulateKey(s, MECH(CKM_SHA256), priv, t, 2, out, 99, &h));
	assert_rv(CKR_KEY_HANDLE_INVALID,
	    C_EncapsulateKey(s, MECH(CKM_ML_KEM), 0, t, 2, out, &n, &h));
	assert_rv(CKR_KEY_HANDLE_INVALID,
	    C_DecapsulateKey(s, MECH(CKM_ML_KEM), 0, t, 2, out, 99, &h));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_EncapsulateKey(s, MECH(CKM_ML_KEM), pub, t, 2, out, NULL, &h));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_EncapsulateKey(s, MECH(CKM_ML_KEM), pub, t, 2, out, &n, NULL));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_DecapsulateKey(s, MECH(CKM_ML_KEM), priv, t, 2, NULL, 9, &h));
	assert_rv(CKR_ARGUMENTS_BAD,
	    C_DecapsulateKey(s, MECH(CKM_ML_KEM), priv, t, 2, out, 9, NULL));
	assert_int_equal(h, 77);
}

#define TEST(fn) cmocka_unit_test_teardown(fn, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(processes_that_do_not_begin),
		TEST(messages_that_are_refused),
		TEST(messages_out_of_order),
		TEST(initialization_vectors_are_made),
		TEST(signed_messages_out_of_order),
		TEST(verifications_do_not_mix),
		TEST(no_validation_is_claimed),
		TEST(encapsulation_is_asked_for_what_there_is_not),
		TEST(signature_comes_first),
		TEST(messages_are_the_one_shot_form),
		TEST(child_counts_its_parents_nonces_on),
		TEST(messages_are_signed),
		TEST(keys_are_wrapped_apart_from_the_tag),
		TEST(nonces_of_wrapping_are_made_once),
		TEST(lengths_are_taken_for_tags),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
