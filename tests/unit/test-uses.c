/* SPDX-License-Identifier: BSD-2-Clause
 * Copyright (c) 2026 The cvm-pkcs11 authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "attest/permit.h"
#include "tests/unit/fake-clock.h"
#include "tests/unit/fake-permit.h"
#include "tests/unit/scene-program.h"
#include "tests/unit/uses.h"

/*
 * Every entry point of the newest function list is here, and either uses no
 * private or secret key, or is called with permits that are always refused:
 * the program is linked with --wrap=permit_check and its two brothers, which
 * all of token/ asks before it touches key material. An entry point without a
 * row, or one that gives something out, fails the test; so does a row that
 * would have failed with a permit, too.
 */
/* A key that takes longer than any admission lasts. */
static uint64_t generation_ms;

int __real_EVP_PKEY_generate(EVP_PKEY_CTX *ctx, EVP_PKEY **ret);
int __wrap_EVP_PKEY_generate(EVP_PKEY_CTX *ctx, EVP_PKEY **ret);

int
__wrap_EVP_PKEY_generate(EVP_PKEY_CTX *ctx, EVP_PKEY **ret)
{
	fake_clock_pass(generation_ms);
	return __real_EVP_PKEY_generate(ctx, ret);
}

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static void
entry_point_without_a_row(void **state)
{
	size_t at = offsetof(CK_FUNCTION_LIST_3_2, C_Initialize), next = 0;

	(void)state;
	for (; at < sizeof(CK_FUNCTION_LIST_3_2);
	     at += sizeof(CK_C_Initialize)) {
		if (next == n_uses || uses[next].at != at)
			fail_msg("no row for the function at %zu, after %s", at,
			    next > 0 ? uses[next - 1].name : "nothing");
		while (next < n_uses && uses[next].at == at)
			next++;
	}
	assert_int_equal(next, n_uses);
}

/* The newest list that the module has is the one that is enumerated. */
static void
newer_function_list_offered(void **state)
{
	CK_INTERFACE *in = NULL;
	CK_INTERFACE all[8];
	CK_ULONG n = NELEMS(all);

	(void)state;
	assert_ok(C_GetInterfaceList(all, &n));
	for (CK_ULONG i = 0; i < n; i++) {
		const CK_VERSION *v = all[i].pFunctionList;

		assert_true(v->major < 3 || (v->major == 3 && v->minor <= 2));
	}
	assert_ok(C_GetInterface(NULL, NULL, &in, 0));
}

/* With permits it works, or is not offered at all. */
static bool
offered(const struct use *r)
{
	CK_RV rv = CKR_OK;

	uses_clean_up();
	if (r->begin != NULL)
		rv = r->begin();
	if (rv == CKR_OK)
		rv = r->call();
	uses_clean_up();
	if (rv != CKR_OK && rv != CKR_FUNCTION_NOT_SUPPORTED)
		fail_msg("%s: 0x%lx with a permit", r->name, rv);
	return rv == CKR_OK;
}

static void
refused(const struct use *r, bool bound)
{
	CK_RV rv = CKR_OK;

	if (r->begin != NULL && (rv = r->begin()) != CKR_OK)
		fail_msg("%s: 0x%lx with a permit, again", r->name, rv);
	if (r->at == offsetof(CK_FUNCTION_LIST_3_2, C_DestroyObject))
		assert_int_not_equal(use.len, 0);
	atomic_store(&refuse, true);
	rv = r->call();
	atomic_store(&refuse, false);
	if (rv == CKR_OK && r->kind != KEEPS && !(bound && r->kind == HOLDS))
		fail_msg("%s succeeds without a permit", r->name);
	if (rv == CKR_OK && use.len != 0 && use.len != OUT_MAX)
		fail_msg("%s gives out %lu bytes", r->name, use.len);
	if (use.made != 0)
		fail_msg("%s makes an object", r->name);
	for (size_t i = 0; i < sizeof(use.out); i++)
		if (use.out[i] != FILL)
			fail_msg("%s writes output", r->name);
	uses_clean_up();
}

/* One row with an admission that runs out at the nth look; true: it has so
 * many. The call must do its work all the same, with another admission. */
static bool
runs_out_at(const struct use *r, unsigned nth)
{
	CK_RV rv = CKR_OK;
	unsigned n;

	uses_clean_up();
	if (r->begin != NULL && (rv = r->begin()) != CKR_OK)
		fail_msg("%s: 0x%lx to begin with", r->name, rv);
	looks = 0;
	hour_strikes_at = nth;
	rv = r->call();
	hour_strikes_at = 0;
	n = looks;
	if (rv != CKR_OK)
		fail_msg("%s: 0x%lx when the admission runs out at look %u",
		    r->name, rv, nth);
	uses_clean_up();
	return n >= nth;
}

static void
admission_runs_out_within_a_call(const char *bind)
{
	unsigned n = 0;

	if (!scene.there)
		skip();
	uses_prepare(&scene, bind);
	for (size_t i = 0; i < n_uses; i++) {
		if (uses[i].kind == NO_KEY || uses[i].kind == KEM ||
		    !offered(&uses[i]))
			continue;
		for (unsigned nth = 1; runs_out_at(&uses[i], nth); nth++)
			n++;
	}
	print_message("# an admission ran out at %u places\n", n);
	assert_true(n >= 100);
}

static void
session_admission_runs_out_within_a_call(void **state)
{
	(void)state;
	admission_runs_out_within_a_call("session");
}

static void
bound_admission_runs_out_within_a_call(void **state)
{
	(void)state;
	admission_runs_out_within_a_call("operation");
}

/* A buffer is as long as it was said to be, in each try; so is the buffer of a
 * member of a template, which is written only once. */
static void
length_is_lost_with_the_admission(void **state)
{
	CK_BYTE value[32 + 8], small[40], label[8];
	CK_BBOOL member[2] = { 7, 7 };
	CK_BYTE input[32] = "thirty-two bytes of input, once";
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_ATTRIBUTE inner = { CKA_EXTRACTABLE, &member[0], 1 };
	CK_ATTRIBUTE made[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_KEY_TYPE, &type, sizeof(type) }, { CKA_VALUE, input, 32 },
		{ CKA_SENSITIVE, &no, 1 }, { CKA_EXTRACTABLE, &yes, 1 },
		{ CKA_LABEL, input, 5 },
		{ CKA_WRAP_TEMPLATE, &inner, sizeof(inner) } };
	CK_ATTRIBUTE t[] = { { CKA_LABEL, label, 3 }, { CKA_VALUE, value, 32 },
		{ CKA_WRAP_TEMPLATE, &inner, sizeof(inner) },
		{ CKA_MODULUS, value, 8 } };
	CK_ATTRIBUTE twice[] = { { CKA_VALUE, small, 8 },
		{ CKA_VALUE, value, 32 } };
	unsigned nth = 0;

	(void)state;
	if (!scene.there)
		skip();
	uses_prepare(&scene, "session");
	inner = (CK_ATTRIBUTE){ CKA_EXTRACTABLE, &yes, 1 };
	assert_ok(C_CreateObject(use.s, made, NELEMS(made), &use.made));
	do {
		CK_RV rv;

		memset(value, FILL, sizeof(value));
		memset(label, FILL, sizeof(label));
		memset(small, FILL, sizeof(small));
		inner = (CK_ATTRIBUTE){ CKA_EXTRACTABLE, &member[0], 0 };
		t[0].ulValueLen = 3;
		t[1].ulValueLen = twice[1].ulValueLen = 32;
		t[2].ulValueLen = sizeof(inner);
		t[3].ulValueLen = twice[0].ulValueLen = 8;
		looks = 0;
		hour_strikes_at = ++nth;
		rv = C_GetAttributeValue(use.s, use.made, t, NELEMS(t));
		hour_strikes_at = 0;
		/* The label does not fit, nor does the member. */
		assert_rv(CKR_ATTRIBUTE_TYPE_INVALID, rv);
		assert_int_equal(label[0], FILL);
		assert_int_equal(t[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
		assert_int_equal(t[1].ulValueLen, 32);
		assert_memory_equal(value, input, 32);
		assert_int_equal(value[32], FILL);
		assert_int_equal(member[0], 7);
		/* The first does not fit, and the hour may strike after it. */
		looks = 0;
		hour_strikes_at = nth;
		rv = C_GetAttributeValue(use.s, use.made, twice, NELEMS(twice));
		hour_strikes_at = 0;
		assert_rv(CKR_BUFFER_TOO_SMALL, rv);
		assert_int_equal(small[0], FILL);
	} while (looks >= nth);
	assert_true(nth >= 4);
}

static void
key_reached_without_permit(const char *bind)
{
	unsigned n_used = 0, missing = 0;

	if (!scene.there)
		skip();
	uses_prepare(&scene, bind);
	for (size_t i = 0; i < n_uses; i++) {
		if (uses[i].kind == NO_KEY || uses[i].kind == KEM)
			continue;
		if (!offered(&uses[i])) {
			missing++;
			continue;
		}
		refused(&uses[i], strcmp(bind, "operation") == 0);
		n_used++;
	}
	print_message("# %u uses refused, %u not offered\n", n_used, missing);
	assert_true(n_used >= 40);
}

static void
session_key_reached_without_permit(void **state)
{
	(void)state;
	key_reached_without_permit("session");
}

static void
bound_key_reached_without_permit(void **state)
{
	(void)state;
	key_reached_without_permit("operation");
}

/* Skipped, not passed, where OpenSSL has no such key that could be reached. */
static void
kem_key_reached_without_permit(const char *bind)
{
	if (!scene.there)
		skip();
	uses_prepare(&scene, bind);
	if (!uses_prepare_kem())
		skip();
	for (size_t i = 0; i < n_uses; i++) {
		if (uses[i].kind != KEM)
			continue;
		assert_true(offered(&uses[i]));
		refused(&uses[i], strcmp(bind, "operation") == 0);
	}
}

static void
session_kem_key_reached_without_permit(void **state)
{
	(void)state;
	kem_key_reached_without_permit("session");
}

static void
bound_kem_key_reached_without_permit(void **state)
{
	(void)state;
	kem_key_reached_without_permit("operation");
}

static CK_RV
call_of(size_t at)
{
	for (size_t i = 0; i < n_uses; i++)
		if (uses[i].at == at)
			return uses[i].call();
	return CKR_FUNCTION_NOT_SUPPORTED;
}

/* Its making was admitted when it began, and what follows is another use. */
static void
long_generation_is_lost(void **state)
{
	static const char *const binds[] = { "session", "operation" };

	(void)state;
	if (!scene.there)
		skip();
	for (size_t i = 0; i < NELEMS(binds); i++) {
		uses_prepare(&scene, binds[i]);
		generation_ms = 3600000;
		assert_ok(
		    call_of(offsetof(CK_FUNCTION_LIST_3_2, C_GenerateKeyPair)));
		generation_ms = 0;
		assert_int_not_equal(use.made, 0);
		atomic_store(&refuse, true);
		assert_rv(CKR_KEY_FUNCTION_NOT_PERMITTED,
		    C_SignInit(use.s, MECH(CKM_ECDSA), use.made));
		atomic_store(&refuse, false);
		assert_ok(C_Finalize(NULL));
	}
}

/* Neither the attribute nor a copy takes the binding back. */
static void
binding_is_loosened(void **state)
{
	CK_ATTRIBUTE bind = { CKA_CVM_BIND_OPERATION, &yes, 1 };
	CK_ATTRIBUTE loose = { CKA_CVM_BIND_OPERATION, &no, 1 };
	CK_BBOOL bound = CK_FALSE;
	CK_ATTRIBUTE asked = { CKA_CVM_BIND_OPERATION, &bound, 1 };

	(void)state;
	if (!scene.there)
		skip();
	uses_prepare(&scene, "session");
	assert_ok(C_SetAttributeValue(use.s, use.key[KEY_PLAIN], &bind, 1));
	assert_rv(CKR_ATTRIBUTE_READ_ONLY,
	    C_SetAttributeValue(use.s, use.key[KEY_PLAIN], &loose, 1));
	if (C_CopyObject(use.s, use.key[KEY_PLAIN], &loose, 1, &use.made) ==
	    CKR_OK) {
		assert_ok(C_GetAttributeValue(use.s, use.made, &asked, 1));
		assert_int_equal(bound, CK_TRUE);
	}
	assert_ok(C_CopyObject(use.s, use.key[KEY_PLAIN], NULL, 0, &use.made));
	assert_ok(C_GetAttributeValue(use.s, use.made, &asked, 1));
	assert_int_equal(bound, CK_TRUE);
}

static int
finalize(void **state)
{
	(void)state;
	atomic_store(&refuse, false);
	(void)C_Finalize(NULL);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry_point_without_a_row),
		cmocka_unit_test(newer_function_list_offered),
		cmocka_unit_test_teardown(session_key_reached_without_permit,
		    finalize),
		cmocka_unit_test_teardown(bound_key_reached_without_permit,
		    finalize),
		cmocka_unit_test_teardown(
		    session_kem_key_reached_without_permit, finalize),
		cmocka_unit_test_teardown(bound_kem_key_reached_without_permit,
		    finalize),
		cmocka_unit_test_teardown(
		    session_admission_runs_out_within_a_call, finalize),
		cmocka_unit_test_teardown(
		    bound_admission_runs_out_within_a_call, finalize),
		cmocka_unit_test_teardown(length_is_lost_with_the_admission,
		    finalize),
		cmocka_unit_test_teardown(long_generation_is_lost, finalize),
		cmocka_unit_test_teardown(binding_is_loosened, finalize),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
