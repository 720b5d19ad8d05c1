/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tests/unit/scene.h"

/* What PKCS#11 3.0 and 3.2 add, on a token whose machine is admitted. */
static struct scene scene;

#define NEEDS_MACHINE()                                                        \
	if (!scene.there)                                                      \
	skip()

static int
start(void **state)
{
	(void)state;
	scene_start(&scene);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	scene_stop(&scene);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)C_Finalize(NULL);
	if (!scene.there)
		return 0;
	machine_reset(&scene.m);
	scene_silent(&scene);
	return 0;
}

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
	assert_rv(CKR_OPERATION_NOT_INITIALIZED,
	    C_VerifySignature(s, data, sizeof(data)));
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

#define TEST(fn) cmocka_unit_test_teardown(fn, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(signature_comes_first),
		TEST(verifications_do_not_mix),
		TEST(no_validation_is_claimed),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
