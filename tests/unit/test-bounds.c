/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/scene-program.h"

/*
 * Lengths that went wrong in the program that calls: beyond what an address
 * space has. Each is refused before a byte is looked at, and the session works
 * on. A length of the caller's own that is merely too large is for the caller
 * to answer for, as everywhere in C.
 */
static CK_SESSION_HANDLE s;
static CK_OBJECT_HANDLE aes, mac, rsa, rsa_public, ec;
static CK_BYTE bytes[64], out[512], iv[16], tag[16];
static CK_ULONG n;

static const CK_ULONG lengths[] = { ((CK_ULONG)1 << 56) + 1, PTRDIFF_MAX,
	(CK_ULONG)PTRDIFF_MAX + 1, ULONG_MAX - 15, ULONG_MAX };

static CK_RV
digest(CK_ULONG len)
{
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	return C_Digest(s, bytes, len, out, &n);
}

static CK_RV
digest_size(CK_ULONG len)
{
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	return C_Digest(s, bytes, len, NULL, &n);
}

static CK_RV
digest_part(CK_ULONG len)
{
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	return C_DigestUpdate(s, bytes, len);
}

static CK_RV
sign(CK_ULONG len)
{
	assert_ok(C_SignInit(s, MECH(CKM_SHA256_HMAC), mac));
	return C_Sign(s, bytes, len, out, &n);
}

static CK_RV
sign_ec(CK_ULONG len)
{
	assert_ok(C_SignInit(s, MECH(CKM_ECDSA_SHA256), ec));
	return C_Sign(s, bytes, len, out, &n);
}

static CK_RV
sign_part(CK_ULONG len)
{
	assert_ok(C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), rsa));
	return C_SignUpdate(s, bytes, len);
}

static CK_RV
verify(CK_ULONG len)
{
	assert_ok(C_VerifyInit(s, MECH(CKM_SHA256_HMAC), mac));
	return C_Verify(s, bytes, len, out, 32);
}

static CK_RV
verify_part(CK_ULONG len)
{
	assert_ok(C_VerifyInit(s, MECH(CKM_SHA256_RSA_PKCS), rsa_public));
	return C_VerifyUpdate(s, bytes, len);
}

static CK_RV
signature(CK_ULONG len)
{
	assert_ok(C_VerifyInit(s, MECH(CKM_SHA256_RSA_PKCS), rsa_public));
	return C_Verify(s, bytes, 4, bytes, len);
}

static CK_RV
last_signature(CK_ULONG len)
{
	assert_ok(C_VerifyInit(s, MECH(CKM_SHA256_HMAC), mac));
	assert_ok(C_VerifyUpdate(s, bytes, 4));
	return C_VerifyFinal(s, bytes, len);
}

static CK_RV
first_signature(CK_ULONG len)
{
	return C_VerifySignatureInit(s, MECH(CKM_SHA256_HMAC), mac, bytes, len);
}

static CK_RV
encrypt(CK_ULONG len)
{
	assert_ok(C_EncryptInit(s, MECH(CKM_AES_ECB), aes));
	n = ULONG_MAX;
	return C_Encrypt(s, bytes, len, out, &n);
}

static CK_RV
encrypt_size(CK_ULONG len)
{
	CK_MECHANISM pad = { CKM_AES_CBC_PAD, iv, sizeof(iv) };

	assert_ok(C_EncryptInit(s, &pad, aes));
	return C_Encrypt(s, bytes, len, NULL, &n);
}

static CK_RV
encrypt_part(CK_ULONG len)
{
	assert_ok(C_EncryptInit(s, MECH(CKM_AES_ECB), aes));
	n = ULONG_MAX;
	return C_EncryptUpdate(s, bytes, len, out, &n);
}

static CK_RV
decrypt(CK_ULONG len)
{
	assert_ok(C_DecryptInit(s, MECH(CKM_RSA_PKCS), rsa));
	return C_Decrypt(s, bytes, len, out, &n);
}

static CK_RV
decrypt_part(CK_ULONG len)
{
	assert_ok(C_DecryptInit(s, MECH(CKM_AES_ECB), aes));
	n = ULONG_MAX;
	return C_DecryptUpdate(s, bytes, len, out, &n);
}

static CK_RV
both_parts(CK_ULONG len)
{
	assert_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_ok(C_EncryptInit(s, MECH(CKM_AES_ECB), aes));
	n = ULONG_MAX;
	return C_DigestEncryptUpdate(s, bytes, len, out, &n);
}

static CK_GCM_MESSAGE_PARAMS
message(void)
{
	return (CK_GCM_MESSAGE_PARAMS){ iv, 12, 0, CKG_NO_GENERATE, tag, 128 };
}

static CK_RV
message_text(CK_ULONG len)
{
	CK_GCM_MESSAGE_PARAMS p = message();

	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), aes));
	n = ULONG_MAX;
	return C_EncryptMessage(s, &p, sizeof(p), bytes, 1, bytes, len, out,
	    &n);
}

static CK_RV
message_aad(CK_ULONG len)
{
	CK_GCM_MESSAGE_PARAMS p = message();

	assert_ok(C_MessageDecryptInit(s, MECH(CKM_AES_GCM), aes));
	return C_DecryptMessage(s, &p, sizeof(p), bytes, len, bytes, 1, out,
	    &n);
}

static CK_RV
message_aad_first(CK_ULONG len)
{
	CK_GCM_MESSAGE_PARAMS p = message();

	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), aes));
	return C_EncryptMessageBegin(s, &p, sizeof(p), bytes, len);
}

static CK_RV
message_part(CK_ULONG len)
{
	CK_GCM_MESSAGE_PARAMS p = message();

	assert_ok(C_MessageEncryptInit(s, MECH(CKM_AES_GCM), aes));
	assert_ok(C_EncryptMessageBegin(s, &p, sizeof(p), bytes, 1));
	n = ULONG_MAX;
	return C_EncryptMessageNext(s, &p, sizeof(p), bytes, len, out, &n, 0);
}

static CK_RV
message_sign(CK_ULONG len)
{
	assert_ok(C_MessageSignInit(s, MECH(CKM_SHA256_HMAC), mac));
	return C_SignMessage(s, NULL, 0, bytes, len, out, &n);
}

static CK_RV
message_signature(CK_ULONG len)
{
	assert_ok(C_MessageVerifyInit(s, MECH(CKM_SHA256_HMAC), mac));
	return C_VerifyMessage(s, NULL, 0, bytes, 1, bytes, len);
}

static CK_RV
mechanism(CK_ULONG len)
{
	CK_MECHANISM m = { CKM_AES_CBC, iv, len };

	return C_EncryptInit(s, &m, aes);
}

static CK_RV
wrap_aad(CK_ULONG len)
{
	CK_GCM_MESSAGE_PARAMS p = message();
	CK_MECHANISM m = { CKM_AES_GCM, &p, sizeof(p) };

	return C_WrapKeyAuthenticated(s, &m, aes, mac, bytes, len, out, &n);
}

static CK_RV
wrapped(CK_ULONG len)
{
	CK_ATTRIBUTE label = { CKA_LABEL, bytes, 1 };
	CK_OBJECT_HANDLE h;

	return C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP), aes, bytes, len, &label,
	    1, &h);
}

static CK_RV
random_bytes(CK_ULONG len)
{
	return C_GenerateRandom(s, bytes, len);
}

static CK_RV
seed(CK_ULONG len)
{
	return C_SeedRandom(s, bytes, len);
}

static const struct {
	const char *name;
	CK_RV (*call)(CK_ULONG len);
	CK_RV rv;
} calls[] = {
	{ "digest", digest, CKR_ARGUMENTS_BAD },
	{ "digest, its size", digest_size, CKR_ARGUMENTS_BAD },
	{ "digest, a part", digest_part, CKR_ARGUMENTS_BAD },
	{ "sign", sign, CKR_ARGUMENTS_BAD },
	{ "sign, EC", sign_ec, CKR_ARGUMENTS_BAD },
	{ "sign, a part", sign_part, CKR_ARGUMENTS_BAD },
	{ "verify", verify, CKR_ARGUMENTS_BAD },
	{ "verify, a part", verify_part, CKR_ARGUMENTS_BAD },
	{ "signature", signature, CKR_SIGNATURE_LEN_RANGE },
	{ "signature at the end", last_signature, CKR_SIGNATURE_LEN_RANGE },
	{ "signature first", first_signature, CKR_SIGNATURE_LEN_RANGE },
	{ "encrypt", encrypt, CKR_ARGUMENTS_BAD },
	{ "encrypt, its size", encrypt_size, CKR_ARGUMENTS_BAD },
	{ "encrypt, a part", encrypt_part, CKR_ARGUMENTS_BAD },
	{ "decrypt", decrypt, CKR_ARGUMENTS_BAD },
	{ "decrypt, a part", decrypt_part, CKR_ARGUMENTS_BAD },
	{ "digest and encrypt", both_parts, CKR_ARGUMENTS_BAD },
	{ "message", message_text, CKR_ARGUMENTS_BAD },
	{ "message, its data", message_aad, CKR_ARGUMENTS_BAD },
	{ "message, its data first", message_aad_first, CKR_ARGUMENTS_BAD },
	{ "message, a part", message_part, CKR_ARGUMENTS_BAD },
	{ "message signed", message_sign, CKR_ARGUMENTS_BAD },
	{ "message's signature", message_signature, CKR_SIGNATURE_LEN_RANGE },
	{ "mechanism's parameter", mechanism, CKR_MECHANISM_PARAM_INVALID },
	{ "wrap, its data", wrap_aad, CKR_ARGUMENTS_BAD },
	{ "wrapped key", wrapped, CKR_WRAPPED_KEY_LEN_RANGE },
	{ "random bytes", random_bytes, CKR_ARGUMENTS_BAD },
	{ "seed", seed, CKR_ARGUMENTS_BAD },
};

/* Ends what was begun, as far as the refusal did not. */
static void
cancel_all(void)
{
	assert_ok(C_SessionCancel(s,
	    CKF_DIGEST | CKF_SIGN | CKF_VERIFY | CKF_ENCRYPT | CKF_DECRYPT |
		CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY | CKF_MESSAGE_ENCRYPT |
		CKF_MESSAGE_DECRYPT));
}

static void
lengths_that_nothing_has(void **state)
{
	size_t wrong = 0;

	(void)state;
	NEEDS_MACHINE();
	scene_forget_stderr(&scene);
	scene_prepare(&scene, &(struct scene_options){ 0 });
	assert_ok(C_Initialize(NULL));
	s = open_session(RW);
	login(s);
	aes = find(s, CKO_SECRET_KEY, "aes");
	mac = find(s, CKO_SECRET_KEY, "mac");
	rsa = find(s, CKO_PRIVATE_KEY, "rsa");
	rsa_public = find(s, CKO_PUBLIC_KEY, "rsa");
	ec = find(s, CKO_PRIVATE_KEY, "ec");
	for (size_t i = 0; i < NELEMS(calls); i++)
		for (size_t j = 0; j < NELEMS(lengths); j++) {
			CK_RV rv;

			n = sizeof(out);
			rv = calls[i].call(lengths[j]);
			if (rv != calls[i].rv) {
				print_error("%s, 0x%lx bytes: 0x%lx\n",
				    calls[i].name, lengths[j], rv);
				wrong++;
			}
			cancel_all();
		}
	assert_int_equal(wrong, 0);
	n = sizeof(out);
	assert_ok(sign(sizeof(bytes)));
	assert_int_equal(n, 32);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(lengths_that_nothing_has, teardown),
	};

	return cmocka_run_group_tests_name("bounds", tests, start, stop);
}
